package elastic

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// All that Setup may send, as files below testdata/setup. Where a release had another, templateVersion is to be raised.
func TestRequestsGolden(t *testing.T) {
	dir := "testdata/setup"
	o := SetupOptions{Retention: Retention{ByDataset: map[string]time.Duration{"auth_service.audit": 7 * year, "linux.auth": 90 * day}}}
	written := map[string]bool{}
	for _, r := range Requests(o) {
		path := filepath.Join(dir, filepath.FromSlash(r.File))
		if written[path] {
			t.Errorf("%s is written twice", path)
		}
		written[path] = true
		testkit.GoldenFile(t, path, r.Body)
		if !json.Valid(r.Body) {
			t.Errorf("%s is not JSON", path)
		}
	}
	files, err := filepath.Glob(dir + "/*/*.json")
	if err != nil || len(files) != len(written) {
		t.Errorf("%d files in %s, %d requests (%v)", len(files), dir, len(written), err)
	}
	for _, f := range files {
		if !written[f] {
			t.Errorf("%s is no longer written", f)
		}
	}
}

// plain are the types that stand in for others where a server has only what all have.
var plain = Types{matchOnlyText: "text", wildcard: "keyword", constantKeyword: "keyword", Flattened: unindexed}

// mappingOf is the mapping as a server gets it.
func mappingOf(types Types) gjson.Result { return gjson.ParseBytes(render(fieldMappings(types))) }

func property(m gjson.Result, field string) gjson.Result {
	return m.Get("properties." + strings.ReplaceAll(strings.ReplaceAll(field, ".", ".properties."), "@", "\\@"))
}

// Every field of the table is mapped, at its place, with its type or what stands in for it, and nothing else is.
func TestMappingIsTheTable(t *testing.T) {
	for _, types := range []Types{nil, plain} {
		m := mappingOf(types)
		if m.Get("dynamic").Raw != "false" {
			t.Errorf("dynamic is %s", m.Get("dynamic").Raw)
		}
		for _, f := range event.Fields {
			got := property(m, f.Name)
			want := string(f.Type)
			switch {
			case f.Type == event.Flattened:
				want = types.as(Flattened)
			case f.Type == event.Text:
				want = types.as(matchOnlyText)
			case f.Type == event.Stored && isText(f.Name):
				want = "keyword"
			case types == nil && special[f.Name] != nil:
				want = special[f.Name][0].Value.(string)
			}
			if got.Get("type").String() != want {
				t.Errorf("%s: %s, want type %s", f.Name, got.Raw, want)
			}
			if f.Type == event.Stored && got.Get("index").Raw != "false" && got.Get("enabled").Raw != "false" {
				t.Errorf("%s is indexed: %s", f.Name, got.Raw)
			}
			if f.Search != got.Get("fields.text").Exists() {
				t.Errorf("%s: .text is there: %v", f.Name, !f.Search)
			}
			if a := got.Get("ignore_above"); (want == "keyword" && f.Type != event.Stored || want == wildcard) && a.Int() != mostKeyword {
				t.Errorf("%s: %s, want ignore_above", f.Name, got.Raw)
			}
		}
		if n := countTypes(m.Get("properties")); n != len(event.Fields) {
			t.Errorf("%d fields mapped, %d in the table", n, len(event.Fields))
		}
	}
	for name := range special {
		if id, ok := event.FieldByName(name); !ok || id.Info().Type != event.Keyword {
			t.Errorf("%s has a type of its own and is no keyword of the table", name)
		}
	}
}

// Fields that ECS has are mapped as ECS says, apart from those listed, for a reason each.
func TestMappingIsECS(t *testing.T) {
	schema := testkit.ECS(t)
	m := mappingOf(nil)
	other := map[string]string{
		"data_stream.dataset":   "constant_keyword",
		"data_stream.namespace": "constant_keyword", // the first record of an index would set it: nothing is gained
		"email.message_id":      "wildcard",         // asked for as a whole
		"labels":                "object",           // one field for all keys: input cannot blow up the mapping
	}
	for _, f := range event.Fields {
		want, _, ok := schema.Field(f.Name)
		if !ok {
			continue
		}
		if got := property(m, f.Name).Get("type").String(); got != want && other[f.Name] != want {
			t.Errorf("%s: %s, ECS has %s", f.Name, got, want)
		}
	}
}

func countTypes(properties gjson.Result) int {
	n := 0
	properties.ForEach(func(_, v gjson.Result) bool {
		if p := v.Get("properties"); p.Exists() {
			n += countTypes(p)
		} else {
			n++
		}
		return true
	})
	return n
}
