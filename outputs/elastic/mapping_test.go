package elastic

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

var update = flag.Bool("update", false, "write the golden files")

func TestTemplatesGolden(t *testing.T) {
	f := func(name string, got []byte) {
		t.Helper()
		path := "testdata/" + name
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got; renew with -update, and raise templateVersion):\n%s", name, diff)
		}
		if !json.Valid(got) {
			t.Errorf("%s is not JSON", name)
		}
	}
	f("component.json", Component(Flattened))
	f("template.json", Template(true))
	for _, p := range pipelines {
		if !json.Valid([]byte(p)) {
			t.Errorf("not JSON: %s", p)
		}
	}
}

// Every field of the table is mapped, at its place, and nothing else is.
func TestMappingIsTheTable(t *testing.T) {
	m := gjson.ParseBytes(Component(FlatObject)).Get("template.mappings")
	if m.Get("dynamic").Raw != "false" {
		t.Errorf("dynamic is %s", m.Get("dynamic").Raw)
	}
	for _, f := range event.Fields {
		path := "properties." + strings.ReplaceAll(strings.ReplaceAll(f.Name, ".", ".properties."), "@", "\\@")
		got := m.Get(path)
		want := string(f.Type)
		switch {
		case f.Type == event.Flattened:
			want = FlatObject
		case f.Type == event.Stored && isText(f.Name):
			want = "keyword"
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
	}
	if n := countTypes(m.Get("properties")); n != len(event.Fields) {
		t.Errorf("%d fields mapped, %d in the table", n, len(event.Fields))
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
