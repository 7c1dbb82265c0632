package inputs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each kind of input has its file, its line in the registry, and its options on a page of the docs.
func TestRegistryIsComplete(t *testing.T) {
	pages := map[string]string{"file": "../docs/tail.md"}
	for name, spec := range Registry {
		if spec.Decode == nil || spec.Summary == "" {
			t.Errorf("%s: incomplete", name)
		}
		if _, err := os.Stat(name + ".go"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		page, err := os.ReadFile(pages[name])
		if err != nil || !strings.Contains(string(page), "`input \""+name+"\"`") {
			t.Errorf("%s: its options are on no page of the docs", name)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".go")
		if _, ok := Registry[name]; !ok && !strings.HasSuffix(name, "_test") && name != "inputs" && name != "registry" {
			t.Errorf("%s is not in the registry", f)
		}
	}
}
