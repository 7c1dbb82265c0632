package tail

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const soakRotations = 50

// soak is a writer that never pauses for long, and a tailer in Run, with real time and notification.
type soak struct {
	t     *testing.T
	dir   string
	mu    sync.Mutex // held by a cooperating writer while it writes, and by a rotation that it cooperates with
	file  *os.File
	n     int
	first int // line of this generation of the file
}

func (s *soak) path() string { return filepath.Join(s.dir, "app.log") }

func (s *soak) open() {
	f, err := os.OpenFile(s.path(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Error(err)
		return
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.first = f, s.n
}

func (s *soak) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 20 {
		fmt.Fprintln(s.file, soakLine(s.n))
		s.n++
	}
}

func soakLine(n int) string { return fmt.Sprintf("%08d a line written while files are rotated", n) }

func (s *soak) must(err error) {
	if err != nil {
		s.t.Error(err)
	}
}

// reopened lets the writer go over to the new file a little later, as after a signal.
func (s *soak) reopened(gen int, rotate func()) {
	rotate()
	for range gen % 3 {
		s.write() // still into the old file
	}
	s.mu.Lock()
	s.open()
	s.mu.Unlock()
}

func (s *soak) copy(to string) {
	src, err := os.Open(s.path())
	s.must(err)
	defer src.Close()
	dst, err := os.Create(to)
	s.must(err)
	_, err = io.Copy(dst, src)
	s.must(err)
	s.must(dst.Close())
}

// TestSoak runs all kinds at the same time: they mostly wait for the next scan.
func TestSoak(t *testing.T) {
	var all sync.WaitGroup
	// In the last kind the writer does not wait for the rotation: what it writes between the end of the copy and the
	// truncation is in neither file. The test counts that itself, by the size at both moments.
	for _, kind := range []string{"rename", "rename+gzip", "copytruncate", "delete+create", "symlink", "copytruncate uncooperative"} {
		for _, glob := range []string{"app.log", "app.log*"} {
			all.Go(func() {
				lost, doubled, n := runSoak(t, kind, glob)
				t.Logf("%s %s: %d rotations, %d lines: %d lost, %d doubled", kind, glob, soakRotations, n, lost, doubled)
				if lost != 0 || doubled != 0 {
					t.Errorf("%s %s", kind, glob)
				}
			})
		}
	}
	all.Wait()
}

func runSoak(t *testing.T, kind, glob string) (lost, doubled, written int) {
	s := &soak{t: t, dir: t.TempDir()}
	tl, err := New(Config{Paths: []string{filepath.Join(s.dir, glob)}, Poll: 20 * time.Millisecond, Rescan: 100 * time.Millisecond},
		Options{OnError: func(p string, err error) { t.Log(p, err) }})
	if err != nil {
		t.Error(err)
		return 0, 0, 0
	}
	var mu sync.Mutex
	got := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- tl.Run(ctx, func(_ context.Context, c *Chunk) error {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range c.Lines {
				got[c.Text[l.Start:l.End]]++
			}
			return nil
		})
	}()
	seen := func(n int) bool { mu.Lock(); defer mu.Unlock(); return got[soakLine(n)] > 0 }
	if kind == "symlink" {
		s.switchLink(0)
	}
	s.open()
	inWindow := map[string]bool{}
	for gen := 1; gen <= soakRotations; gen++ {
		// The writer writes all the time; the next rotation comes once the tailer has seen the file at all. A file
		// that comes and goes between two looks cannot be known to anyone.
		waitFor(t, func() bool { s.write(); return seen(s.first) })
		s.rotate(kind, gen, inWindow)
	}
	s.write()
	next := 0
	waitFor(t, func() bool {
		for next < s.n && (inWindow[soakLine(next)] || seen(next)) {
			next++
		}
		return next == s.n
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.file.Close()
	for i := range s.n {
		line := soakLine(i)
		switch {
		case got[line] == 0 && !inWindow[line]:
			lost++
		case got[line] > 1:
			doubled++
		}
	}
	if len(inWindow) > 0 {
		t.Logf("%d lines (%.1f a rotation) were in neither file", len(inWindow), float64(len(inWindow))/soakRotations)
	}
	return lost, doubled, s.n
}

func (s *soak) switchLink(gen int) {
	target := fmt.Sprintf("target%d", gen)
	s.must(os.WriteFile(filepath.Join(s.dir, target), nil, 0o644))
	s.must(os.Symlink(target, filepath.Join(s.dir, "tmp")))
	s.must(os.Rename(filepath.Join(s.dir, "tmp"), s.path()))
}

func (s *soak) rotate(kind string, gen int, inWindow map[string]bool) {
	rotated := fmt.Sprintf("%s.%03d", s.path(), gen)
	switch kind {
	case "rename":
		s.reopened(gen, func() { s.must(os.Rename(s.path(), rotated)) })
	case "rename+gzip":
		s.reopened(gen, func() { s.must(os.Rename(s.path(), rotated)) })
		b, err := os.ReadFile(rotated)
		s.must(err)
		s.must(os.WriteFile(rotated+".gz", compressed(b), 0o644))
		s.must(os.Remove(rotated))
	case "delete+create":
		s.reopened(gen, func() { s.must(os.Remove(s.path())) })
	case "symlink":
		s.reopened(gen, func() { s.switchLink(gen) })
	case "copytruncate":
		s.mu.Lock()
		s.copy(rotated)
		s.must(os.Truncate(s.path(), 0))
		s.first = s.n
		s.mu.Unlock()
	case "copytruncate uncooperative":
		s.copy(rotated)
		s.write() // the writer gets in between
		whole, err := os.ReadFile(s.path())
		s.must(err)
		copied, err := os.ReadFile(rotated)
		s.must(err)
		s.must(os.Truncate(s.path(), 0))
		s.first = s.n
		for line := range bytes.Lines(whole[len(copied):]) {
			inWindow[string(bytes.TrimSuffix(line, []byte("\n")))] = true
		}
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			return // the count at the end says what is missing
		case <-tick.C:
		}
	}
}
