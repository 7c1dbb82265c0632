package enrich

import "strings"

// deepestEncoding is how often a text may be encoded over: a URL in a URL in a JSON text.
const deepestEncoding = 3

// decoded is a text without its escapes, and where each of its bytes stands in the text as it is.
type decoded struct {
	text []byte
	at   []int32 // one more than text has bytes
}

// decode takes one layer of escapes off: %22, \x22, \u0022, &quot; and their like, as far as they stand for ASCII. It tells
// whether there were any.
func (d *decoded) decode(s string) bool {
	d.text, d.at = make([]byte, 0, len(s)), make([]int32, 0, len(s)+1)
	any := false
	for i := 0; i < len(s); {
		c, n := s[i], 1
		switch c {
		case '%':
			if v, ok := hexByte(s, i+1); ok {
				c, n = v, 3
			}
		case '\\':
			if strings.HasPrefix(s[i:], `\x`) {
				if v, ok := hexByte(s, i+2); ok {
					c, n = v, 4
				}
			} else if strings.HasPrefix(s[i:], `\u00`) {
				if v, ok := hexByte(s, i+4); ok {
					c, n = v, 6
				}
			}
		case '&':
			c, n = entity(s[i:])
		}
		any = any || n > 1
		d.text, d.at = append(d.text, c), append(d.at, int32(i))
		i += n
	}
	d.at = append(d.at, int32(len(s)))
	return any
}

func hexByte(s string, i int) (byte, bool) {
	if i+2 > len(s) {
		return 0, false
	}
	hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
	return hi<<4 | lo, hi < 8 && lo < 16
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|32 >= 'a' && c|32 <= 'f':
		return c | 32 - 'a' + 10
	}
	return 99
}

var entities = [...]struct {
	text string
	c    byte
}{{"&quot;", '"'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&apos;", '\''}, {"&#34;", '"'}, {"&#39;", '\''}, {"&#x22;", '"'}, {"&#x27;", '\''}, {"&#61;", '='}}

func entity(s string) (byte, int) {
	for _, e := range entities {
		if strings.HasPrefix(s, e.text) {
			return e.c, len(e.text)
		}
	}
	return '&', 1
}

// hides tells whether an escape at i may hide what the scan looks for: a quote, a separator, a bracket, an escape. Escaped letters
// of a key are known where the key is.
func hides(s string, i int) bool {
	switch s[i] {
	case '%':
		if i+2 >= len(s) {
			return false
		}
		switch s[i+1] {
		case '2':
			return s[i+2] == '2' || s[i+2] == '5' || s[i+2] == '7' || s[i+2]|32 == 'd'
		case '3':
			return s[i+2]|32 >= 'a' && s[i+2]|32 <= 'e'
		case '4':
			return s[i+2] == '0' // user%3Apassword%40host
		}
	case '\\':
		return strings.HasPrefix(s[i:], `\x`) || strings.HasPrefix(s[i:], `\u00`)
	case '&':
		_, n := entity(s[i:])
		return n > 1
	}
	return false
}

// encoded tells whether a text has escapes that may hide something.
func encoded(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '%', '\\', '&':
			if hides(s, i) {
				return true
			}
		}
	}
	return false
}

// layers calls f with the text as it reads with one, two and more layers of escapes taken off, as long as there are any, until f
// returns a text that is another one: then it begins anew with that.
func layers(s string, f func(text string, at []int32) string) string {
	for layer := 1; layer <= deepestEncoding; {
		if !encoded(s) {
			return s
		}
		text, at := s, []int32(nil)
		for range layer {
			var d decoded
			if !d.decode(text) {
				return s
			}
			if at != nil {
				for i, x := range d.at {
					d.at[i] = at[x]
				}
			}
			text, at = string(d.text), d.at
		}
		if next := f(text, at); next != s {
			s = next // at most once a layer: what is replaced is not found again
		}
		layer++
	}
	return s
}

// findEncoded replaces what is a secret when the text is read without its escapes.
func (w *redaction) findEncoded(s string) string {
	return layers(s, func(text string, at []int32) string {
		out, from, seen := []byte(nil), 0, int32(0)
		for {
			sp, ok := w.r.keys.find(text, from)
			if !ok {
				break
			}
			start, end := at[sp.start], at[sp.end]
			if sp.byKey {
				w.rememberSpan(text[sp.start:sp.end], sp.kind)
				w.remember(s[start:end])
			}
			out = append(append(out, s[seen:start]...), redacted...)
			seen, from = end, sp.end
		}
		if seen == 0 && out == nil {
			return s
		}
		return string(append(out, s[seen:]...))
	})
}

// quietEncoded tells that findEncoded would find nothing.
func (k *keySet) quietEncoded(s string) bool {
	quiet := true
	layers(s, func(text string, _ []int32) string {
		if quiet {
			_, hit := k.find(text, 0)
			quiet = !hit && len(k.namedSpans(text)) == 0
		}
		return s
	})
	return quiet
}
