package parsers

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// names numbers the names of a source's values. A name is looked up without letter case and separators, so that "createdAt",
// "created_at" and "Created At" are one (foldName). Number 0 is a name that means nothing.
type names map[string]uint8

// newNames makes names from lists of folded names, separated by spaces, by number.
func newNames(lists map[uint8]string) names {
	n := names{}
	for number, list := range lists {
		for _, name := range strings.Fields(list) {
			n[name] = number
		}
	}
	return n
}

// find returns the number of a name, 0 where it has none. It allocates nothing.
func (n names) find(name string) uint8 {
	var buf [40]byte
	return n[string(foldName(buf[:0], name))]
}

// objectOf returns the object that a line consists of. The text has been checked (event.CheckJSON): its values can be read without
// further care. ErrNoMatch where it does not begin as an object does.
func objectOf(text string) (gjson.Result, error) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		return gjson.Result{}, ErrNoMatch
	}
	if err := event.CheckJSON(text); err != nil {
		return gjson.Result{}, err
	}
	return gjson.Parse(text[i:]), nil
}

// textOf is the text of a value: of a string its content, of null nothing, of anything else its JSON.
func textOf(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Null:
		return ""
	default:
		return v.Raw
	}
}

// labelRest keeps a value that has no field of its own: objects by their paths, to a bounded depth, the rest as it stands.
func labelRest(ev *event.Event, key string, v gjson.Result) {
	f := filling{ev: ev}
	f.rest(key, v, 0)
}

// restDepth is how deep objects become paths; what lies deeper stays JSON text.
const restDepth = 3

func (f *filling) rest(key string, v gjson.Result, depth int) {
	if !v.IsObject() || depth == restDepth || len(key) > 48 {
		f.label(event.LabelKey(key), strings.TrimSpace(textOf(v)))
		return
	}
	v.ForEach(func(k, v gjson.Result) bool {
		f.rest(key+"_"+k.Str, v, depth+1)
		return true
	})
}

// jsonMember is one member of a JSON object: its key, and its value as JSON text.
type jsonMember struct {
	key, value string
	seen       bool
}

// membersOf appends the members of a checked object; "" has none.
func membersOf(dst []jsonMember, s string) []jsonMember {
	if s == "" {
		return dst
	}
	for i := skipSpace(s, 1); s[i] != '}'; {
		end, escaped := stringEnd(s, i)
		key := s[i+1 : end-1]
		if escaped {
			key = unescape(s[i:end])
		}
		i = skipSpace(s, skipSpace(s, end)+1)
		end = valueEnd(s, i)
		dst = append(dst, jsonMember{key: key, value: s[i:end]})
		i = afterComma(s, end)
	}
	return dst
}

// finder finds members by key: where the last one was found the next one usually follows.
type finder struct {
	list  []jsonMember
	next  int
	byKey map[string]int
}

// manyMembers is the number from which on a map is made.
const manyMembers = 48

func (f *finder) find(key string) int {
	if f.next < len(f.list) && f.list[f.next].key == key {
		f.next++
		return f.next - 1
	}
	if len(f.list) > manyMembers {
		if f.byKey == nil {
			f.byKey = make(map[string]int, len(f.list))
			for i := range f.list {
				f.byKey[f.list[i].key] = i
			}
		}
		if i, ok := f.byKey[key]; ok {
			f.next = i + 1
			return i
		}
		return -1
	}
	i := slices.IndexFunc(f.list, func(m jsonMember) bool { return m.key == key })
	f.next = i + 1
	return i
}

// distinct says that no key comes twice.
func distinct(list []jsonMember) bool {
	if len(list) > manyMembers {
		seen := make(map[string]bool, len(list))
		for i := range list {
			seen[list[i].key] = true
		}
		return len(seen) == len(list)
	}
	for i := range list {
		for j := range list[:i] {
			if list[i].key == list[j].key {
				return false
			}
		}
	}
	return true
}
