package elastic

import (
	"encoding/json"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// How fields with free keys are mapped, best first: Elasticsearch, OpenSearch, and where neither is there.
const (
	Flattened  = "flattened"
	FlatObject = "flat_object"
	Unindexed  = "object"
)

// Component is the body of the component template, generated from the field table.
func Component(flattened string) []byte {
	return render(object{
		{"template", object{{"mappings", Mappings(flattened)}}},
		{"_meta", meta()},
	})
}

// Template is the body of the index template.
func Template(pipeline bool) []byte {
	index := object{
		{"number_of_shards", 1},
		{"refresh_interval", "5s"},
		{"codec", "best_compression"},
		{"mapping", object{{"total_fields", object{{"limit", 2000}}}}},
	}
	if pipeline {
		index = append(index, member{"final_pipeline", Pipeline})
	}
	return render(object{
		{"index_patterns", []string{Pattern}},
		{"data_stream", object{}},
		{"priority", 250},
		{"composed_of", []string{ComponentTemplate}},
		{"template", object{{"settings", object{{"index", index}}}}},
		{"_meta", meta()},
	})
}

// pipelineMark begins the description of our pipeline; OpenSearch knows no _meta there.
const pipelineMark = "Gatebook 1: "

// pipelines are ways to set event.ingested; which one works depends on the server and its modules.
var pipelines = []string{
	`{"description":"` + pipelineMark + `sets event.ingested","processors":[{"set":{"field":"event.ingested","copy_from":"_ingest.timestamp","ignore_failure":true}}]}`,
	`{"description":"` + pipelineMark + `sets event.ingested","processors":[{"set":{"field":"event.ingested","value":"{{{_ingest.timestamp}}}","ignore_failure":true}}]}`,
}

func meta() object {
	return object{{"managed_by", managedBy}, {"version", templateVersion}, {"ecs_version", event.ECSVersion}}
}

// Mappings is the mapping of all fields of the table.
func Mappings(flattened string) any {
	root := &node{}
	for i := range event.Fields {
		f := &event.Fields[i]
		root.put(strings.Split(f.Name, "."), fieldMapping(f, flattened))
	}
	return object{
		{"dynamic", false}, // what is not in the table is kept and not indexed: hostile input cannot blow up the mapping
		{"date_detection", false},
		{"properties", root.properties()},
	}
}

func fieldMapping(f *event.Field, flattened string) object {
	if f.Type == event.Stored {
		if isText(f.Name) {
			return object{{"type", "keyword"}, {"index", false}, {"doc_values", false}}
		}
		return object{{"type", "object"}, {"enabled", false}}
	}
	switch f.Type {
	case event.Flattened:
		if flattened == Unindexed {
			return object{{"type", "object"}, {"enabled", false}}
		}
		if flattened == FlatObject {
			return object{{"type", FlatObject}}
		}
		return object{{"type", Flattened}, {"ignore_above", 1024}}
	case event.Keyword:
		m := object{{"type", "keyword"}, {"ignore_above", 1024}}
		if f.Search {
			m = append(m, member{"fields", object{{"text", object{{"type", "text"}}}}})
		}
		return m
	}
	return object{{"type", string(f.Type)}}
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
