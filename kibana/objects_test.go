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
