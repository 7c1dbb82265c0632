package kibana_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/kibana"
)

// The file that is shipped is what the code makes.
func TestShippedFile(t *testing.T) {
	got, err := kibana.Objects()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(testkit.RepoRoot(t), "configs", "kibana", "gatebook.ndjson")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.GoldenFile(t, path, got)
	again, err := kibana.Objects()
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("made twice, the objects differ (%v)", err)
	}
}

// With namespaces the data views are about their streams alone, and all else is the same.
func TestNamespaces(t *testing.T) {
	f := func(events, alerts string, namespaces ...string) {
		t.Helper()
		got, err := kibana.Objects(namespaces...)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Replace(objects(t), []byte(`"title":"logs-gatebook.*"`), []byte(`"title":"`+events+`"`), 1)
		want = bytes.Replace(want, []byte(`"title":"logs-gatebook.alert-*"`), []byte(`"title":"`+alerts+`"`), 1)
		if !bytes.Equal(got, want) {
			t.Errorf("%q: other objects than with the data views %s and %s", namespaces, events, alerts)
		}
	}
	f("logs-gatebook.*", "logs-gatebook.alert-*")
	f("logs-gatebook.*-prod", "logs-gatebook.alert-prod", "prod")
	f("logs-gatebook.*-prod,logs-gatebook.*-test", "logs-gatebook.alert-prod,logs-gatebook.alert-test", "prod", "test")
	for _, bad := range []string{"", "a-b", "*", "a,b", `"`} {
		if _, err := kibana.Objects(bad); err == nil {
			t.Errorf("%q is no namespace", bad)
		}
	}
}
