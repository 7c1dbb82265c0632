package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// Rotation by renaming, 50 times under load: nothing is lost, nothing doubled.
func TestFiftyRenames(t *testing.T) {
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	s.configure("", fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))
	p := s.start()
	p.WaitLog(time.Minute, "started")
	f := s.feed(0, 10000, opened(1000, out)) // every tenth of a second
	testkit.Eventually(t, 2*time.Minute, func() bool { return f.rotations.Load() >= 50 })
	n := f.end()
	testkit.Eventually(t, time.Minute, func() bool { return lineCount(out) >= n })
	p.Term(time.Minute)
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, n)
}

// Rotation by copytruncate with a writer that does not wait for it, 50 times. What is written between the end of the copy and the
// truncation is in no file: no reader can promise it. Everything that is in some file is there exactly once. How long that
// window was, how many lines fell into it, and how many of them had been read in time, is logged (-v).
func TestCopytruncateWindow(t *testing.T) {
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	s.configure("", fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))
	s.write(1, 1)
	p := s.start()
	p.WaitLog(time.Minute, "started")
	f := s.feed(1, 5000, rotation{})
	kept := map[int]bool{}
	last := 0 // of the lines in the copy that the next one replaces: it must have been read by then
	var window time.Duration
	for i := range 50 {
		testkit.Eventually(t, time.Minute, func() bool { return f.written.Load() > int64(i)*500 && (last == 0 || inFile(out, last)) })
		b, err := os.ReadFile(s.log) // as cp does: read, then write the copy
		must(t, err)
		begin := time.Now()
		must(t, os.WriteFile(s.log+".1", b, 0o644))
		must(t, os.Truncate(s.log, 0))
		window += time.Since(begin)
		last = max(last, numbersIn(t, b, kept))
	}
	n := f.end()
	b, err := os.ReadFile(s.log)
	must(t, err)
	numbersIn(t, b, kept)
	testkit.Eventually(t, time.Minute, func() bool { // more lines than are kept were delivered: their number says nothing
		b, err := os.ReadFile(out)
		must(t, err)
		seen := map[int]bool{}
		for line := range bytes.Lines(b) {
			if _, rest, ok := bytes.Cut(line, []byte(`"name":"u`)); ok {
				digits, _, _ := bytes.Cut(rest, []byte(`"`))
				n, _ := strconv.Atoi(string(digits))
				seen[n] = true
			}
		}
		for n := range kept {
			if !seen[n] {
				return false
			}
		}
		return true
	})
	p.Term(time.Minute)
	c := newTally()
	countFile(t, out, c)
	rescued := 0
	for i := 1; i <= n; i++ {
		switch got := c.seen[i]; {
		case got > 1:
			t.Errorf("line %d is there %d times", i, got)
		case kept[i] && got == 0:
			t.Errorf("line %d is in a file and was not delivered", i)
		case !kept[i] && got == 1:
			rescued++
		}
	}
	t.Logf("%d lines at 5,000/s, 50 rotations: the window was %v on average; %d lines fell into one, %d of them had been read in time; none doubled",
		n, window/50, n-len(kept), rescued)
}

// numbersIn adds the numbers of the whole lines in a file's text, and returns the last.
func numbersIn(t *testing.T, text []byte, to map[int]bool) (last int) {
	t.Helper()
	for line := range bytes.Lines(text) {
		_, rest, ok := bytes.Cut(line, []byte("invalid user u"))
		if !ok || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		digits, _, _ := bytes.Cut(rest, []byte(" "))
		n, err := strconv.Atoi(string(digits))
		must(t, err)
		to[n] = true
		last = n
	}
	return last
}
