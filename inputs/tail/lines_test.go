package tail

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPartialLastLine(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{})
	for _, piece := range []string{"one\nha", "l", "f", " line"} {
		r.append("app.log", piece)
		r.after(time.Hour)
	}
	r.want("one")
	r.restart()
	r.pass()
	r.append("app.log", "\nthree")
	r.pass()
	r.want("half line")
	r.once()
	r.want("three")
}

func TestPartialTimeout(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{PartialTimeout: 3 * time.Second})
	r.append("app.log", "half")
	r.pass()
	r.append("app.log", " more")
	r.pass()
	r.after(2 * time.Second)
	r.want()
	r.after(2 * time.Second)
	r.want("half more")
}

func TestLineOverTheLimit(t *testing.T) {
	for _, chunk := range []int{10, 128 << 10} {
		r := newRig(t, t.TempDir(), Config{MaxLine: 100, ChunkSize: chunk})
		huge := strings.Repeat("abcdefghij", 5000)
		r.append("app.log", "first\n", huge, "\nnext\n", huge[:100], "\n", huge[:101], "\nlast\n")
		r.pass()
		if l := r.lines; len(l) != 6 || !l[1].Truncated || l[2].Truncated || l[3].Truncated || !l[4].Truncated || l[2].Offset != 6+50001 {
			t.Fatalf("%+v", l)
		}
		r.want("first", huge[:100], "next", huge[:100], huge[:100], "last")
	}
}

func TestEndlessLineAcrossRestarts(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{MaxLine: 100})
	r.append("app.log", strings.Repeat("x", 300))
	r.pass()
	for range 5 {
		r.restart()
		r.append("app.log", strings.Repeat("x", 300))
		r.pass()
	}
	r.append("app.log", "\nnext\n")
	r.pass()
	r.want(strings.Repeat("x", 100), "next")
}

// A hole of NULs, as a crash leaves, must neither be one endless line nor swallow the line after it.
func TestHoleOfNULs(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{MaxLine: 1000})
	r.append("app.log", "before\n")
	r.check(os.Truncate(r.path("app.log"), 10<<20))
	r.append("app.log", "after\nlast\n")
	r.pass()
	r.want("before", string(make([]byte, 1000)), "after", "last")
	if r.chunks > 1000 {
		t.Fatal(r.chunks)
	}
}

// A writer without O_APPEND goes on at its old offset after copytruncate.
func TestTruncatedUnderAWriterWithOffset(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{MaxLine: 100})
	f, err := os.Create(r.path("app.log"))
	r.check(err)
	defer f.Close()
	text, lines := long("x", 100)
	f.WriteString(text)
	r.pass()
	r.want(lines...)
	r.truncate("app.log")
	f.WriteString("again\n")
	r.pass()
	r.want(string(make([]byte, 100)), "again")
}

func TestBytesPassThrough(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{})
	r.append("app.log", "bad \xff\xfe utf-8\n", "nul \x00 byte\n", "crlf\r\n", "\n\r\n", "cr\rinside\n", "\n", "end\n")
	r.pass()
	if r.lines[3].Offset != 33 { // the empty lines before it count
		t.Errorf("offset %d", r.lines[3].Offset)
	}
	r.want("bad \xff\xfe utf-8", "nul \x00 byte", "crlf", "cr\rinside", "end")
}

func TestFromEnd(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Paths: []string{filepath.Join(dir, "*.log*")}, From: End}
	r := newRig(t, dir, cfg)
	r.append("app.log", "old\nhalf")
	r.append("empty.log")
	r.check(os.WriteFile(r.path("old.log.1.gz"), compressed([]byte("very old\n")), 0o644))
	r.pass()
	r.append("app.log", " of an old line\nnew\n")
	r.append("empty.log", "first\n")
	r.append("late.log", "late\n")
	r.pass()
	r.wantSet("new", "first", "late")
	r.stop()
	r.append("app.log", "more\n")
	r.append("later.log", "later\n")
	r.restart()
	r.pass()
	r.wantSet("more", "later")
}

func TestMultiline(t *testing.T) {
	after := &Multiline{Pattern: regexp.MustCompile(`^\s`), Match: After}
	before := &Multiline{Pattern: regexp.MustCompile(`\\$`), Match: Before}
	starts := &Multiline{Pattern: regexp.MustCompile(`^\d`), Negate: true, Match: After, MaxLines: 3}
	for _, c := range []struct {
		name  string
		multi *Multiline
		text  string
		now   []string
		later []string
	}{
		{"after", after, "a\n b\n\n  c\nd\n e\n", []string{"a\n b", "\n  c"}, []string{"d\n e"}},
		{"after crlf", after, "a\r\n b\r\nd\r\n", []string{"a\r\n b"}, []string{"d"}},
		{"before", before, "a\\\nb\nc\nd\\\n", []string{"a\\\nb", "c"}, []string{"d\\"}},
		{"negate", starts, "1 a\nx\n2 b\ny\nz\nw\n3\n", []string{"1 a\nx", "2 b\ny\nz", "w"}, []string{"3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, t.TempDir(), Config{Multiline: c.multi})
			r.append("app.log", c.text)
			r.pass()
			r.want(c.now...)
			r.restart() // in the middle of a group
			r.pass()
			r.want()
			r.after(6 * time.Second)
			r.want(c.later...)
		})
	}
}

func TestMultilineOverChunks(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{Multiline: &Multiline{Pattern: regexp.MustCompile(`^ `)}, ChunkSize: 16, MaxLine: 64})
	var text strings.Builder
	var want []string
	for i := range 200 {
		g := fmt.Sprintf("event %d\n with\n several lines", i)
		want = append(want, g)
		text.WriteString(g + "\n")
	}
	r.append("app.log", text.String())
	r.pass()
	r.after(time.Minute)
	r.want(want...)
}

// The lines found do not depend on where reads end.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00x\nlonger than the limit\n"), 3, false)
	f.Add([]byte("a\n b\n c\nd\n e\n f\n g\n"), 1, true)
	f.Fuzz(func(t *testing.T, data []byte, step int, multi bool) {
		s := splitter{maxLine: 8}
		if multi {
			s.multi = &Multiline{Pattern: regexp.MustCompile(`^ `), MaxLines: 3}
		}
		type piece struct {
			text string
			off  int64
			cut  bool
		}
		read := func(step int) (out []piece) {
			pos, skip := 0, skipNone
			for end := 0; ; {
				end = min(end+step, len(data))
				final := end == len(data)
				lines, n, sk := s.split(data[pos:end], int64(pos), skip, final, final, nil)
				for _, l := range lines {
					out = append(out, piece{string(data[pos:end][l.Start:l.End]), l.Offset, l.Truncated})
				}
				pos, skip = pos+n, sk
				if final {
					if pos != len(data) {
						t.Fatalf("%d bytes left", len(data)-pos)
					}
					return out
				}
			}
		}
		step = 1 + (step&0x7fffffff)%20
		if a, b := fmt.Sprint(read(step)), fmt.Sprint(read(len(data)+1)); a != b {
			t.Fatalf("step %d: %q\nwhole: %q", step, a, b)
		}
	})
}

func FuzzPosition(f *testing.F) {
	p := place{id: fileID{1, 2}, fp: fingerprintOf([]byte("x")), path: "/var/log/x", origin: "/var/log/y"}
	for i := range 12 {
		p.advance(markAt(int64(100*i+1), []byte("x")))
	}
	f.Add(p.appendTo(nil))
	q := place{path: "/var/log/x", origin: "/var/log/x"}
	q.setPrint([]byte("x"))
	f.Add(q.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePlace(b)
		if err != nil {
			return
		}
		q, err := decodePlace(p.appendTo(nil))
		if err != nil || !bytes.Equal(p.appendTo(nil), q.appendTo(nil)) {
			t.Fatalf("%+v %+v %v", p, q, err)
		}
	})
}
