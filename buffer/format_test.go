package buffer

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

var update = flag.Bool("update", false, "write the example in docs/buffer-format.md anew")

// TestFormatExample holds docs/buffer-format.md and the code together: the hex dump there is a segment that the
// code writes, byte for byte.
func TestFormatExample(t *testing.T) {
	mem := fsx.NewMem()
	o := testOptions(mem)
	o.Now = func() time.Time { return time.Unix(1_800_000_000, 0) }
	idFile := make([]byte, idFileSize)
	copy(idFile[12:], "0123456789abcdef")
	sealHeader(idFile, idMagic, 0)
	if err := mem.MkdirAll("/log", 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenFile("/log/id", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(idFile, 0); err != nil {
		t.Fatal(err)
	}
	write := func(first uint64, items []string, typed, key, value string) {
		b := NewBlock()
		b.First, b.Count, b.Typed = first, len(items), append(b.Typed, typed...)
		for _, s := range items {
			b.Docs = append(b.Docs, s...)
			b.Ends = append(b.Ends, uint32(len(b.Docs)))
		}
		b.RawSize = len(b.Docs)
		b.Positions = append(b.Positions, Position{key, []byte(value)})
		l := mustOpen(t, o)
		if err := mustAppend(t, l, b).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	write(1, nil, "", "file/auth.log", "120")
	write(5, []string{"{\"a\":1}\n", "{\"b\":22}\n"}, "T5", "file/auth.log", "180")

	size, err := mem.Size("/log/00000000000000000002.seg")
	if err != nil {
		t.Fatal(err)
	}
	seg, _, err := (&Log{o: o}).openSegment(2)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	if _, err := seg.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	want := "```text\n" + hex.Dump(data) + "```\n"

	path := filepath.Join("..", "docs", "buffer-format.md")
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- example -->\n", "<!-- end of example -->"
	head, rest, ok := strings.Cut(string(doc), begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no example", path)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("the example in %s is not what is written (-update renews it):\n%s", path, want)
	}
	if err := os.WriteFile(path, []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
