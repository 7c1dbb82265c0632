package elastic

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// How objects of free keys are mapped, by Elasticsearch and by OpenSearch.
const (
	Flattened  = "flattened"
	FlatObject = "flat_object"
)

// Mappings is the mapping of all fields of the table, to be rendered as JSON, with types that every server has and objects of free keys in one of the two
// ways. Setup may choose better types, of which the same can be asked.
func Mappings(free string) any {
	types := maps.Clone(openSearchTypes)
	types[Flattened] = free
	return fieldMappings(types)
}

func fieldMappings(types Types) object {
	root := &node{}
	for i := range event.Fields {
		f := &event.Fields[i]
		root.put(strings.Split(f.Name, "."), fieldMapping(f, types))
	}
	return object{
		{"dynamic", false}, // what is not in the table is kept and not indexed: hostile input cannot blow up the mapping
		{"date_detection", false},
		{"properties", root.properties()},
	}
}

// mostKeyword is the longest text of a keyword that is indexed, in characters. Longer ones stay in the document.
const mostKeyword = 1024

// flattenedDepth is how deep objects of free keys may go. Elasticsearch refuses documents that go deeper than 20, unless told otherwise; what is in
// gatebook.changes is as deep as its source made it.
const flattenedDepth = 64

// special are the fields that ECS gives another type than the field table has: those in which people look for parts, and the one that is always the same.
// What can be asked of them, and the answers, are those of keywords.
var special = map[string]object{
	"data_stream.type":     {{"type", constantKeyword}, {"value", "logs"}},
	"error.stack_trace":    {{"type", wildcard}, {"ignore_above", mostKeyword}},
	"process.command_line": {{"type", wildcard}, {"ignore_above", mostKeyword}},
	"url.full":             {{"type", wildcard}, {"ignore_above", mostKeyword}},
	"url.original":         {{"type", wildcard}, {"ignore_above", mostKeyword}},
	"url.path":             {{"type", wildcard}, {"ignore_above", mostKeyword}},
}

func fieldMapping(f *event.Field, types Types) object {
	switch f.Type {
	case event.Stored:
		if isText(f.Name) {
			return object{{"type", "keyword"}, {"index", false}, {"doc_values", false}}
		}
		return object{{"type", unindexed}, {"enabled", false}}
	case event.Flattened:
		switch as := types.as(Flattened); as {
		case Flattened:
			return object{{"type", Flattened}, {"ignore_above", mostKeyword}, {"depth_limit", flattenedDepth}}
		case unindexed:
			return object{{"type", unindexed}, {"enabled", false}}
		default:
			return object{{"type", as}}
		}
	case event.Text:
		return object{{"type", types.as(matchOnlyText)}}
	case event.Keyword:
		return keywordMapping(f, types)
	case event.DateTime:
		if f.Name == "@timestamp" { // also where all else may be malformed
			return object{{"type", "date"}, {"ignore_malformed", false}}
		}
	}
	return object{{"type", string(f.Type)}}
}

func keywordMapping(f *event.Field, types Types) object {
	m := object{{"type", "keyword"}, {"ignore_above", mostKeyword}}
	if s, ok := special[f.Name]; ok && types.as(s[0].Value.(string)) == s[0].Value {
		m = slices.Clone(s)
	}
	if f.Search {
		m = append(m, member{"fields", object{{"text", object{{"type", types.as(matchOnlyText)}}}}})
	}
	return m
}

// isText tells the stored fields that hold a string from those that hold an object.
func isText(name string) bool {
	return name == "event.original" || name == "gatebook.notification.body"
}

// node is a level of the mapping, in the order of the table.
type node struct {
	names  []string
	leaves map[string]object
	nodes  map[string]*node
}

func (n *node) put(path []string, m object) {
	name := path[0]
	if n.leaves[name] == nil && n.nodes[name] == nil {
		n.names = append(n.names, name)
	}
	if len(path) == 1 {
		if n.leaves == nil {
			n.leaves = map[string]object{}
		}
		n.leaves[name] = m
		return
	}
	if n.nodes == nil {
		n.nodes = map[string]*node{}
	}
	if n.nodes[name] == nil {
		n.nodes[name] = &node{}
	}
	n.nodes[name].put(path[1:], m)
}

func (n *node) properties() object {
	var o object
	for _, name := range n.names {
		if m := n.leaves[name]; m != nil {
			o = append(o, member{name, m})
		} else {
			o = append(o, member{name, object{{"properties", n.nodes[name].properties()}}})
		}
	}
	return o
}

// object is a JSON object that keeps its order, so that the same table always gives the same bytes.
type object []member

type member struct {
	Key   string
	Value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		k, err := json.Marshal(m.Key)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(m.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, k...), ':'), v...)
	}
	return append(out, '}'), nil
}

func render(o object) []byte {
	// Strings, numbers and objects of them: there is nothing that could fail.
	b, _ := json.MarshalIndent(o, "", "  ")
	return append(b, '\n')
}
