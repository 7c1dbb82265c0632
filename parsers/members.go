package parsers

import (
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

// objectOf returns the object that a line consists of. The text has been checked (checkJSON): its values can be read without
// further care. ErrNoMatch where it does not begin as an object does.
func objectOf(text string) (gjson.Result, error) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		return gjson.Result{}, ErrNoMatch
	}
	if err := checkJSON(text); err != nil {
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
