package tail

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var regexpSpace = regexp.MustCompile(`^ `)

// Very short lines do not make huge chunks, none is lost at a chunk's limit, and a group is not broken by it.
func TestChunksHaveABoundedNumberOfLines(t *testing.T) {
	f := func(multi *Multiline, perLine, want int) {
		t.Helper()
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		text := strings.Repeat("y\n"+strings.Repeat(" z\n", perLine-1), 3*maxChunkLines+10)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tl, err := New(Config{Paths: []string{path}, Multiline: multi}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		lines, bytes := 0, 0
		err = tl.ReadToEnd(context.Background(), func(_ context.Context, c *Chunk) error {
			if len(c.Lines) > maxChunkLines {
				t.Errorf("a chunk of %d lines", len(c.Lines))
			}
			for _, l := range c.Lines {
				if got := strings.Count(c.Text[l.Start:l.End], "z"); got != perLine-1 {
					t.Fatalf("line %d of %d continuations, want %d", lines, got, perLine-1)
				}
				lines++
			}
			bytes += c.Size
			return nil
		})
		if err != nil || lines != want || bytes != len(text) {
			t.Errorf("%v: %d lines, want %d; %d bytes, want %d", err, lines, want, bytes, len(text))
		}
	}
	f(nil, 1, 3*maxChunkLines+10)
	f(&Multiline{Pattern: regexpSpace, Match: After}, 3, 3*maxChunkLines+10)
}
