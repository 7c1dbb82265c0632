package event

import "strings"

// constant is a piece of text that is the same from event to event as long as one or two values are.
type constant struct {
	first, second string // copies: what the values are substrings of may be reused
	text          []byte
	start, end    [2]int
	escaped       [2]bool
	ok            bool
}

func (c *constant) holds(first, second string) bool {
	return c.ok && c.first == first && c.second == second
}

func (c *constant) begin(first, second string) {
	c.first, c.second, c.ok = strings.Clone(first), strings.Clone(second), true
	c.text = c.text[:0]
	c.start, c.end = [2]int{}, [2]int{}
}

// add appends a key and its value, as number i of the marks.
func (c *constant) add(i int, key, value string) {
	c.text = append(c.text, key...)
	c.start[i] = len(c.text)
	c.text = appendEscaped(c.text, value)
	c.end[i] = len(c.text)
	c.escaped[i] = c.end[i]-c.start[i] != len(value)
}

// append appends the text and marks its values.
func (c *constant) append(w *Encoder, dst []byte, ids [2]FieldID) []byte {
	at := len(dst)
	dst = append(dst, c.text...)
	if w.options.Typed {
		for i, id := range ids {
			if c.end[i] > 0 {
				w.markTyped(id, at+c.start[i], at+c.end[i], c.escaped[i])
			}
		}
	}
	return dst
}

// appendLogHead appends log.file and log.offset: the former is the same for many lines.
func (w *Encoder) appendLogHead(dst []byte, e *Event) []byte {
	if e.Log.Path == "" {
		return dst
	}
	c := &w.logFile
	if !c.holds(e.Log.Path, "") {
		c.begin(e.Log.Path, "")
		c.add(0, `"file":{"path":"`, e.Log.Path)
		c.text = append(c.text, `"},`...)
	}
	dst = c.append(w, dst, [2]FieldID{FieldLogFilePath, FieldLogFilePath})
	if e.Log.Offset.Valid {
		dst = w.appendLong(append(dst, `"offset":`...), FieldLogOffset, e.Log.Offset.N)
	}
	return dst
}

// appendGatebookHead appends gatebook.input and gatebook.parser.
func (w *Encoder) appendGatebookHead(dst []byte, e *Event) []byte {
	c := &w.origin
	if !c.holds(e.Input, e.Parser) {
		c.begin(e.Input, e.Parser)
		if e.Input != "" {
			c.add(0, `"input":"`, e.Input)
			c.text = append(c.text, `",`...)
		}
		if e.Parser != "" {
			c.add(1, `"parser":"`, e.Parser)
			c.text = append(c.text, `",`...)
		}
	}
	return c.append(w, dst, [2]FieldID{FieldGatebookInput, FieldGatebookParser})
}
