package parsers

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// jsonParser reads one JSON object a line. The text is checked once by gjson; then one pass over its members looks each path
// up in the mapping.
type jsonParser struct {
	m     *mapping
	marks []string
}

func newJSON(label string, body *conf.Body, o Options) (Parser, error) {
	p := &jsonParser{m: newMapping("json", label, body, o, nil)}
	p.marks = p.m.marks(`"`, `"`)
	if body != nil {
		body.Close()
	}
	return p, nil
}

func (p *jsonParser) Dataset() string { return p.m.dataset }

func (p *jsonParser) Parse(line Line, ev *event.Event) error {
	i := skipSpace(line.Text, 0)
	if i == len(line.Text) || line.Text[i] != '{' {
		return ErrNoMatch
	}
	if err := event.CheckJSON(line.Text); err != nil {
		return err
	}
	w := jsonWalk{filling: p.m.begin(ev, line.Received), s: line.Text}
	w.object(i, false)
	w.finish(line.Text)
	return nil
}

// maxDepth is how deep objects are taken apart; what lies deeper stays JSON text.
const maxDepth = 16

// maxPath is how long a path in a config may be; longer ones in a line match none.
const maxPath = 200

// jsonWalk goes over a valid JSON text. Filling and path are in place, not pointed to, so that all of it stays on the stack.
type jsonWalk struct {
	filling
	s     string
	depth int
	path  [maxPath + 56]byte
	n     int // length of the path; 0 at the top, where the key alone is the path
}

func (w *jsonWalk) push(s string) { w.n += copy(w.path[w.n:], s) }

// object gives every member of the object at s[i] to its targets and returns the index after it. labelled: the object
// stands in the list of labels.
func (w *jsonWalk) object(i int, labelled bool) int {
	prefix := w.n
	i = skipSpace(w.s, i+1)
	for w.s[i] != '}' {
		end, escaped := stringEnd(w.s, i)
		key := w.s[i+1 : end-1]
		if escaped {
			key = unescape(w.s[i:end])
		}
		i = skipSpace(w.s, end)
		i = skipSpace(w.s, i+1) // the colon
		i = w.member(i, key, labelled)
		w.n = prefix
		i = skipSpace(w.s, i)
		if w.s[i] == ',' {
			i = skipSpace(w.s, i+1)
		}
	}
	return i + 1
}

func (w *jsonWalk) member(i int, key string, labelled bool) int {
	var n *node
	if w.n == 0 {
		n = w.m.nodes[key]
	} else {
		w.push(key)
		n = w.m.nodes[string(w.path[:w.n])]
	}
	return w.value(i, key, n, labelled)
}

// value handles the value at s[i], whose path is w.path, or key at the top.
func (w *jsonWalk) value(i int, key string, n *node, labelled bool) int {
	label := w.m.labels == labelsAll
	if n != nil {
		labelled = labelled || n.label
		label = label && !n.consumed || n.label
	}
	label = label || labelled && (n == nil || !n.consumed)
	switch w.s[i] {
	case '{':
		return w.nested(i, key, n, label, labelled)
	case '[':
		return w.array(i, key, n, label, labelled)
	}
	end, text := scalar(w.s, i)
	if n != nil {
		w.put(n, text)
	}
	if label {
		w.label(w.labelKey(key), text)
	}
	return end
}

// scalar returns the end and the text of the string, number or truth value at s[i]; null is empty.
func scalar(s string, i int) (end int, text string) {
	switch s[i] {
	case '"':
		end, escaped := stringEnd(s, i)
		if escaped {
			return end, unescape(s[i:end])
		}
		return end, s[i+1 : end-1]
	case 'n':
		return i + 4, ""
	}
	end = wordOf(s, i)
	return end, s[i:end]
}

// wordOf returns the end of the number or literal at s[i].
func wordOf(s string, i int) int {
	for i < len(s) && s[i] > ' ' && s[i] != ',' && s[i] != '}' && s[i] != ']' {
		i++
	}
	return i
}

func (w *jsonWalk) labelKey(key string) string {
	if w.n == 0 {
		return event.LabelKey(key)
	}
	return w.m.keys.key(w.path[:w.n])
}

// nested takes an object apart where something in it is wanted.
func (w *jsonWalk) nested(i int, key string, n *node, label, labelled bool) int {
	inside := label || n != nil && n.descend
	if inside && w.depth < maxDepth && (n == nil || len(n.targets) == 0) {
		w.enter(key)
		i = w.object(i, labelled)
		w.leave()
		return i
	}
	end := valueEnd(w.s, i)
	if n != nil {
		w.whole(n, w.s[i:end])
	}
	switch {
	case inside && w.depth < maxDepth:
		w.enter(key)
		w.object(i, labelled)
		w.leave()
	case label:
		w.label(w.labelKey(key), w.s[i:end])
	}
	return end
}

func (w *jsonWalk) enter(key string) {
	w.depth++
	if w.n == 0 {
		w.push(key)
	}
	w.push(".")
}

func (w *jsonWalk) leave() { w.depth-- }

// whole gives an object or array to the fields that hold JSON; others cannot take it.
func (w *jsonWalk) whole(n *node, raw string) {
	for j := range n.targets {
		t := &n.targets[j]
		switch t.kind {
		case toJSON, toSlot, toLabel:
			w.set(t, raw)
		case toRealm:
		default:
			w.reject(t, raw)
		}
	}
}

// array gives the elements to a list field, a single one to any field, and takes apart what else is wanted.
func (w *jsonWalk) array(i int, key string, n *node, label, labelled bool) int {
	end := valueEnd(w.s, i)
	if n != nil && len(n.targets) > 0 {
		w.arrayTargets(i, end, n)
	}
	if !label && (n == nil || !n.descend) {
		return end
	}
	if w.depth == maxDepth {
		if label {
			w.label(w.labelKey(key), w.s[i:end])
		}
		return end
	}
	prefix := w.n
	number := 0
	for j := skipSpace(w.s, i+1); w.s[j] != ']'; number++ {
		plain := w.s[j] != '{' && w.s[j] != '['
		if plain && label {
			next, text := scalar(w.s, j)
			w.label(w.labelKey(key), text)
			if n == nil || !n.descend {
				j = afterComma(w.s, next)
				continue
			}
		}
		w.enter(key)
		var digits [20]byte
		w.n += copy(w.path[w.n:], strconv.AppendInt(digits[:0], int64(number), 10))
		child := w.m.nodes[string(w.path[:w.n])]
		if plain {
			next, text := scalar(w.s, j)
			if child != nil {
				w.put(child, text)
			}
			j = next
		} else {
			j = w.value(j, "", child, labelled)
		}
		w.leave()
		w.n = prefix
		j = afterComma(w.s, j)
	}
	return end
}

func afterComma(s string, i int) int {
	i = skipSpace(s, i)
	if s[i] == ',' {
		i = skipSpace(s, i+1)
	}
	return i
}

func (w *jsonWalk) arrayTargets(i, end int, n *node) {
	count, simple := 0, true
	for j := skipSpace(w.s, i+1); w.s[j] != ']'; count++ {
		simple = simple && w.s[j] != '{' && w.s[j] != '['
		j = afterComma(w.s, valueEnd(w.s, j))
	}
	if count == 0 {
		return
	}
	for k := range n.targets {
		t := &n.targets[k]
		switch {
		case t.kind == toSlot || t.kind == toLabel && !simple:
			w.set(t, w.s[i:end])
		case simple && (t.list || t.kind == toLabel || count == 1):
			for j := skipSpace(w.s, i+1); w.s[j] != ']'; {
				next, text := scalar(w.s, j)
				if text != "" {
					w.set(t, text)
				}
				j = afterComma(w.s, next)
			}
		case t.kind == toRealm:
		default:
			w.reject(t, w.s[i:end])
		}
	}
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index after the closing quote of the string at s[i].
func stringEnd(s string, i int) (end int, escaped bool) {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			escaped = true
			i++
		}
	}
	return i + 1, escaped
}

// valueEnd returns the index after the value at s[i].
func valueEnd(s string, i int) int {
	switch s[i] {
	case '"':
		end, _ := stringEnd(s, i)
		return end
	case '{', '[':
	default:
		return wordOf(s, i)
	}
	for depth := 0; ; i++ {
		switch s[i] {
		case '"':
			end, _ := stringEnd(s, i)
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// unescape returns what a quoted JSON string stands for.
func unescape(quoted string) string { return gjson.Parse(quoted).String() }
