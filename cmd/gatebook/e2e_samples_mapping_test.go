package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatebook/gatebook/internal/testkit"
)

// indexed is what is in data streams, held against the mappings that the server gives back.
type indexed struct {
	t         *testing.T
	node      *testkit.Node
	documents int
	ids       map[string]int
	streams   map[string]*indexedStream
	problems  map[string]*problem
	opaque    map[string]int // leaves that no query on their own name finds, by kind and object
	long      map[string]int // values under a flattened field that are longer than its ignore_above
}

type indexedStream struct {
	documents, lines, lineBytes int // lines: documents that hold the line they came from
	mapping                     map[string]any
}

type problem struct {
	n       int
	example string
}

// newIndexed reads all documents of all data streams of a pattern.
func newIndexed(t *testing.T, node *testkit.Node, pattern string) *indexed {
	t.Helper()
	x := &indexed{t: t, node: node, ids: map[string]int{}, streams: map[string]*indexedStream{}, problems: map[string]*problem{}, opaque: map[string]int{}, long: map[string]int{}}
	var list struct {
		Streams []struct {
			Name    string
			Indices []struct {
				Name string `json:"index_name"`
			}
		} `json:"data_streams"`
	}
	node.Must("GET", "/_data_stream/"+pattern, "", &list)
	for _, s := range list.Streams {
		if len(s.Indices) != 1 {
			t.Fatalf("%s has %d indices", s.Name, len(s.Indices))
		}
		var m map[string]struct{ Mappings map[string]any }
		node.Must("GET", "/"+s.Name+"/_mapping", "", &m)
		stream := &indexedStream{mapping: m[s.Indices[0].Name].Mappings}
		x.streams[s.Name] = stream
		node.Each(s.Name, nil, func(h testkit.Hit) { x.document(s.Name, stream, h) })
		x.ignored(s.Name)
	}
	return x
}

func (x *indexed) document(name string, s *indexedStream, h testkit.Hit) {
	var d struct{ Event struct{ Original string } }
	must(x.t, json.Unmarshal(h.Source, &d))
	x.documents++
	x.ids[h.ID]++
	s.documents++
	if d.Event.Original != "" {
		s.lines++
		s.lineBytes += len(d.Event.Original) + 1
	}
	var doc map[string]any
	dec := json.NewDecoder(strings.NewReader(string(h.Source)))
	dec.UseNumber()
	must(x.t, dec.Decode(&doc))
	x.object(name, h.ID, "", doc, s.mapping)
}

func (x *indexed) problem(id, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if x.problems[text] == nil {
		x.problems[text] = &problem{example: id}
	}
	x.problems[text].n++
}

// object holds an object of a document against the mapping of its level.
func (x *indexed) object(stream, id, path string, o, mapping map[string]any) {
	properties, _ := mapping["properties"].(map[string]any)
	for name, v := range o {
		at := strings.TrimPrefix(path+"."+name, ".")
		m, ok := properties[name].(map[string]any)
		if !ok {
			for _, leaf := range leaves(at, v) {
				x.problem(id, "%s is not in the mapping of %s", leaf, stream)
			}
			continue
		}
		x.value(stream, id, at, v, m)
	}
}

func (x *indexed) value(stream, id, at string, v any, m map[string]any) {
	kind, _ := m["type"].(string)
	switch {
	case m["enabled"] == false:
		x.opaque["not indexed "+at] += len(leaves(at, v))
	case kind == "flattened", kind == "flat_object":
		x.opaque[kind+" "+at] += len(leaves(at, v))
		if limit, ok := m["ignore_above"].(float64); ok {
			x.long[at] += longer(v, int(limit))
		}
	case kind == "" || kind == "object" || kind == "nested":
		if list, ok := v.([]any); ok {
			for _, one := range list {
				x.value(stream, id, at, one, m)
			}
			return
		}
		o, ok := v.(map[string]any)
		if !ok {
			x.problem(id, "%s is %v, which is no object", at, v)
			return
		}
		x.object(stream, id, at, o, m)
	case kind == "geo_point":
		if o, ok := v.(map[string]any); !ok || len(o) != 2 || !isNumber(o["lat"]) || !isNumber(o["lon"]) {
			x.problem(id, "%s is %v, which is no geo_point", at, v)
		}
	default:
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, one := range list {
			if !isOf(kind, one) {
				x.problem(id, "%s is %v, which is no %s", at, one, kind)
			}
		}
	}
}

// isOf says whether a value is written as its type is; what a server would convert is none.
func isOf(kind string, v any) bool {
	text, isText := v.(string)
	number, isNum := v.(json.Number)
	switch kind {
	case "keyword", "text", "wildcard", "constant_keyword", "match_only_text":
		return isText
	case "date":
		_, err := time.Parse(time.RFC3339Nano, text)
		return isText && err == nil
	case "ip":
		a, err := netip.ParseAddr(text)
		return isText && err == nil && a.Zone() == ""
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "long":
		_, err := number.Int64()
		return isNum && err == nil
	case "float", "scaled_float":
		return isNum
	}
	return false
}

func isNumber(v any) bool {
	_, ok := v.(json.Number)
	return ok
}

// leaves are the paths of all values below a path.
func leaves(at string, v any) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			list = append(list, leaves(at+"."+name, v[name])...)
		}
	case []any:
		for _, one := range v {
			for _, leaf := range leaves(at, one) {
				if !slices.Contains(list, leaf) {
					list = append(list, leaf)
				}
			}
		}
	default:
		list = []string{at}
	}
	return list
}

// longer counts the texts that are longer than a limit of characters. A server leaves them out of its index of a flattened field, and does
// not say so in _ignored.
func longer(v any, limit int) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			n += longer(one, limit)
		}
	case []any:
		for _, one := range v {
			n += longer(one, limit)
		}
	case string:
		if utf8.RuneCountInString(v) > limit {
			n++
		}
	}
	return n
}

// ignored asks for documents with values that the server kept and did not index: too long, or of another type.
func (x *indexed) ignored(stream string) {
	var r struct {
		Hits struct {
			Hits []struct {
				ID      string   `json:"_id"`
				Ignored []string `json:"_ignored"`
			}
		}
	}
	x.node.Must("POST", "/"+stream+"/_search", `{"size":10000,"_source":false,"query":{"exists":{"field":"_ignored"}}}`, &r)
	for _, h := range r.Hits.Hits {
		if len(h.Ignored) == 0 {
			h.Ignored = []string{"a field"}
		}
		for _, field := range h.Ignored {
			x.problem(h.ID, "%s is ignored in %s", field, stream)
		}
	}
}

// kinds says how many leaves lie in objects that are indexed as a whole, or not at all.
func (x *indexed) kinds() string {
	var words []string
	for _, at := range slices.Sorted(maps.Keys(x.opaque)) {
		kind, field, _ := cutLast(at, " ")
		words = append(words, fmt.Sprintf("%d leaves under %s %s", x.opaque[at], kind, field))
		if x.long[field] > 0 {
			words = append(words, fmt.Sprintf("%d values of %s too long to be found", x.long[field], field))
		}
	}
	return strings.Join(words, ", ")
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// logSizes logs a table of what a document costs on disk, each data stream merged to one segment.
func (x *indexed) logSizes() {
	x.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-52s %9s %11s %10s %12s\n", "data stream", "documents", "disk bytes", "per doc.", "line, bytes")
	var documents, bytes, lines, lineBytes int
	row := func(name string, documents, bytes, lines, lineBytes int) {
		fmt.Fprintf(&b, "%-52s %9d %11d %10.1f %12.1f\n", name, documents, bytes, float64(bytes)/float64(max(documents, 1)), float64(lineBytes)/float64(max(lines, 1)))
	}
	for _, name := range slices.Sorted(maps.Keys(x.streams)) {
		s := x.streams[name]
		size := diskBytes(x.node, name)
		row(name, s.documents, size, s.lines, s.lineBytes)
		documents, bytes, lines, lineBytes = documents+s.documents, bytes+size, lines+s.lines, lineBytes+s.lineBytes
	}
	row("all", documents, bytes, lines, lineBytes)
	x.t.Log(b.String())
}

// diskBytes merges a data stream to one segment a shard and returns their size. (The size in _stats/store is up to 10 s old.)
func diskBytes(node *testkit.Node, stream string) (bytes int) {
	node.Must("POST", "/"+stream+"/_flush?wait_if_ongoing=true", "", nil)
	node.Must("POST", "/"+stream+"/_forcemerge?max_num_segments=1", "", nil)
	node.Refresh(stream)
	var r struct {
		Indices map[string]struct {
			Shards map[string][]struct {
				Segments map[string]struct {
					Size   int  `json:"size_in_bytes"`
					Search bool `json:"search"`
				}
			}
		}
	}
	node.Must("GET", "/"+stream+"/_segments", "", &r)
	for _, index := range r.Indices {
		for _, copies := range index.Shards {
			for _, segment := range copies[0].Segments {
				if segment.Search { // others are files of before the merge
					bytes += segment.Size
				}
			}
		}
	}
	return bytes
}
