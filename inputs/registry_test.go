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
	page := func(name string) string {
		if p, ok := pages[name]; ok {
			return p
		}
		return "../docs/" + name + ".md"
	}
	for name, spec := range Registry {
		if spec.Decode == nil || spec.Summary == "" {
			t.Errorf("%s: incomplete", name)
		}
		if _, err := os.Stat(name + ".go"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text, err := os.ReadFile(page(name))
		if err != nil || !strings.Contains(string(text), "`input \""+name+"\"`") {
			t.Errorf("%s: its options are on no page of the docs", name)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".go")
		kind, _, _ := strings.Cut(name, "_") // journald_entry.go belongs to journald.go
		if _, ok := Registry[kind]; !ok && !strings.HasSuffix(name, "_test") && name != "inputs" && name != "registry" && name != "sockets" && name != "tls" && kind != "listener" {
			t.Errorf("%s is not in the registry", f)
		}
	}
}
