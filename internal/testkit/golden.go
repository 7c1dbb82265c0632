package testkit

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "renew the golden files from what the code gives now; read them before committing")

// Golden runs f on the file "input" of every *.txtar of dir, one subtest each, and compares what it gives with the file
// "want"; go test -update writes it there instead. Other files of the archive are for the reader. A folder without any
// case fails.
func Golden(t *testing.T, dir string, f func(t *testing.T, input []byte) []byte) {
	t.Helper()
	GoldenArchive(t, dir, func(t *testing.T, ar *txtar.Archive) []byte { return f(t, File(ar, "input")) })
}

// GoldenArchive is [Golden] for code that takes more than one file.
func GoldenArchive(t *testing.T, dir string, f func(t *testing.T, ar *txtar.Archive) []byte) {
	t.Helper()
	cases, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("find golden cases in %s: none (%v)", dir, err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatalf("read golden case: %v", err)
			}
			if !has(ar, "input") {
				t.Fatalf("%s has no file named input", path)
			}
			got := f(t, ar)
			if len(got) > 0 && !bytes.HasSuffix(got, []byte("\n")) {
				got = append(got, '\n') // every file of an archive ends in a newline
			}
			if *update {
				renew(t, path, ar, got)
				return
			}
			if !has(ar, "want") {
				t.Fatalf("%s has no file named want; go test -update writes it", path)
			}
			if d := cmp.Diff(string(File(ar, "want")), string(got)); d != "" {
				t.Errorf("%s: (-want +got)\n%s", path, d)
			}
		})
	}
}

// GoldenFile compares what the code gives now with a file; go test -update writes it there instead.
func GoldenFile(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatalf("renew %s: %v", path, err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden file: %v", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s: (-want +got)\n%s", path, d)
	}
}

// File returns a file of the archive; nil if there is none of that name.
func File(ar *txtar.Archive, name string) []byte {
	for _, f := range ar.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func has(ar *txtar.Archive, name string) bool {
	for _, f := range ar.Files {
		if f.Name == name {
			return true
		}
	}
	return false
}

func renew(t *testing.T, path string, ar *txtar.Archive, got []byte) {
	t.Helper()
	set := false
	for i := range ar.Files {
		if ar.Files[i].Name == "want" {
			ar.Files[i].Data, set = got, true
		}
	}
	if !set {
		ar.Files = append(ar.Files, txtar.File{Name: "want", Data: got})
	}
	if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
		t.Fatalf("renew golden case: %v", err)
	}
}
