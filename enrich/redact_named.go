package enrich

import (
	"sort"
	"strings"
)

// Some texts name a secret in one place and give it in another of the same object or element:
//
//	{"field": "password", "old": "x", "new": "y"}     {"type": "otp", "code": "837465"}
//	<param name="password" value="x"/>                <param name="password">x</param>
//
// What names it is one of namingKeys; what may hold it, one of valueKeys.

const (
	farthestNamed = 4 << 10 // bytes on either side in which the object's bounds are looked for
	mostNamed     = 300     // in one text
)

// namingAt tells whether the ':' or '=' at i is followed by the quoted name of a secret, and a naming key stands before it. weak: the
// key names other things as well, so that only what is plainly a value counts.
func (k *keySet) namingAt(s string, i int) (weak, ok bool) {
	if i == 0 || s[i] == ':' && s[i-1] != '"' && s[i-1] != '\'' && s[i-1] != ' ' || !endsNaming(s[:i]) {
		return false, false
	}
	v := i + 1
	for v < len(s) && (s[v] == ' ' || s[v] == '\\') {
		v++
	}
	if v >= len(s) || s[v] != '"' && s[v] != '\'' {
		return false, false
	}
	rest := s[v+1 : min(len(s), v+1+longestWord)]
	n := strings.IndexByte(rest, s[v])
	if n <= 0 {
		return false, false
	}
	name := strings.TrimRight(rest[:n], `\`)
	if !k.mayEnd(name, false) {
		return false, false
	}
	if kind, hit := k.match(name); !hit || kind == keyCookie && s[i] == '=' {
		return false, false
	}
	e := i
	for e > 0 && (s[e-1] == ' ' || s[e-1] == '"' || s[e-1] == '\'' || s[e-1] == '\\') {
		e--
	}
	b := e
	for b > 0 && e-b < 16 && (isTokenByte(s[b-1]) || s[b-1] == '_') {
		b--
	}
	switch strings.ToLower(s[b:e]) {
	case "field", "attribute", "property", "parameter", "header", "column", "key":
		return false, true
	case "name", "type":
		return true, true
	}
	return false, false
}

// endsNaming says in a few nanoseconds that no naming key stands at the end.
func endsNaming(s string) bool {
	e := len(s)
	for e > 0 && (s[e-1] == '"' || s[e-1] == ' ' || s[e-1] == '\'' || s[e-1] == '\\') {
		e--
	}
	if e < 3 {
		return false
	}
	switch lower(s[e-1]) {
	case 'd':
		return lower(s[e-2]) == 'l' // field
	case 'e':
		c := lower(s[e-2])
		return c == 'm' || c == 'p' || c == 't' // name, type, attribute
	case 'y':
		c := lower(s[e-2])
		return c == 'e' || c == 't' // key, property
	case 'r':
		return lower(s[e-2]) == 'e' && lower(s[e-3]) != 's' // parameter, header, not user
	case 'n':
		return lower(s[e-2]) == 'm' // column
	}
	return false
}

// namedSpans are the values of all secrets that are named in the text, in order.
func (k *keySet) namedSpans(s string) []span {
	var all []span
	hits := 0
	for i := 0; i < len(s) && hits < mostNamed; i++ {
		if s[i] != ':' && s[i] != '=' {
			continue
		}
		weak, ok := k.namingAt(s, i)
		if !ok {
			continue
		}
		hits++
		if s[i] == '=' {
			all = k.appendElement(all, s, i)
		} else {
			all = k.appendMembers(all, s, i, weak)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].start < all[j].start })
	kept := all[:0]
	for _, sp := range all {
		if n := len(kept); n == 0 || sp.start >= kept[n-1].end {
			kept = append(kept, sp)
		}
	}
	return kept
}

// appendMembers takes the values in the object around i.
func (k *keySet) appendMembers(all []span, s string, i int, weak bool) []span {
	lo, hi := i, i
	for depth := 0; lo > 0 && i-lo < farthestNamed; lo-- {
		if c := s[lo-1]; c == '}' {
			depth++
		} else if c == '{' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	for depth := 0; hi < len(s) && hi-i < farthestNamed; hi++ {
		if c := s[hi]; c == '{' {
			depth++
		} else if c == '}' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	// What lies deeper than the name is named there, or is the value itself. Where the object's beginning is out of reach, depth
	// does not begin at 0.
	depth, own := 0, 0
	for j := lo; j < i; j++ {
		own += nesting(s[j])
	}
	for j := lo; j < hi; j++ {
		depth += nesting(s[j])
		if s[j] != ':' || j == i || depth != own {
			continue
		}
		e := j
		for e > lo && (s[e-1] == ' ' || s[e-1] == '\\') {
			e--
		}
		if e == lo || s[e-1] != '"' {
			continue
		}
		e--
		for e > lo && s[e-1] == '\\' {
			e--
		}
		b := e
		for b > lo && e-b < 16 && (isTokenByte(s[b-1]) || s[b-1] == '_') {
			b--
		}
		if !holdsValue(strings.ToLower(s[b:e]), weak) {
			continue
		}
		sp, ok := k.valueAt(s[:hi], j+1, true, true, keyPlain, false)
		if ok && sp.end == hi && hi < len(s) { // it goes on beyond
			sp, ok = k.valueAt(s, j+1, true, true, keyPlain, false)
		}
		if ok {
			all = append(all, sp)
			j = sp.end - 1
		}
	}
	return all
}

func nesting(c byte) int {
	switch c {
	case '{', '[':
		return 1
	case '}', ']':
		return -1
	}
	return 0
}

// holdsValue tells whether a member with that key may hold the secret that another one names.
func holdsValue(key string, weak bool) bool {
	switch key {
	case "value", "values", "code", "secret", "content", "plain", "text", "old", "new", "_old", "_new", "oldvalue", "newvalue", "old_value", "new_value":
		return true
	case "before", "after", "from", "to":
		return !weak
	}
	return false
}

// appendElement takes the value of an XML element that is named by an attribute: of another attribute, or what stands in it.
func (k *keySet) appendElement(all []span, s string, i int) []span {
	end := strings.IndexByte(s[i:min(len(s), i+farthestNamed)], '>')
	open := strings.LastIndexByte(s[max(0, i-longestWord):i], '<')
	if end < 0 || open < 0 {
		return all
	}
	end += i
	if v := strings.Index(s[i:end], " value="); v >= 0 {
		if sp, ok := k.valueAt(s, i+v+len(" value="), false, false, keyPlain, false); ok && sp.end <= end {
			all = append(all, sp)
		}
		return all
	}
	if sp, ok := content(s, end, keyPlain); ok && s[end-1] != '/' {
		all = append(all, sp)
	}
	return all
}

// content is what stands between the '>' at i and the next tag.
func content(s string, i int, kind keyKind) (span, bool) {
	const cdata = "<![CDATA["
	if rest := s[i+1:]; strings.HasPrefix(rest, cdata) {
		start, end := i+1+len(cdata), len(s)
		if n := strings.Index(s[start:], "]]>"); n >= 0 {
			end = start + n
		}
		return filled(s, span{start: start, end: end, kind: kind, byKey: true})
	}
	end := strings.IndexByte(s[i:], '<')
	if end < 0 {
		return span{}, false
	}
	return filled(s, span{start: i + 1, end: i + end, kind: kind, byKey: true})
}

// findNamed replaces the values of secrets that are named elsewhere in the text.
func (w *redaction) findNamed(s string) string {
	out, at := []byte(nil), 0
	for _, sp := range w.r.keys.namedSpans(s) {
		w.rememberSpan(s[sp.start:sp.end], sp.kind)
		out = append(out, s[at:sp.start]...)
		out = appendRedacted(out, sp.quote)
		at = sp.end
	}
	if at == 0 {
		return s
	}
	return string(append(out, s[at:]...))
}
