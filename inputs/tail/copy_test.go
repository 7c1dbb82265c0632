package tail

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read reads what the known files have, without looking for others.
func (r *rig) read() {
	r.Helper()
	r.tl.mu.Lock()
	defer r.tl.mu.Unlock()
	r.tl.poll(r.clock, true)
	if err := r.tl.serveAll(context.Background(), r.emit); err != nil {
		r.Fatalf("read: %v", err)
	}
}

// TestCopyTruncateWindow: the writer goes on while the file is copied, and its lines after the copy are read before the
// truncation. The copy then ends before the position, and maybe before the end of the fingerprint.
func TestCopyTruncateWindow(t *testing.T) {
	for _, n := range []int{1, 3, 20, 36, 200} {
		for _, how := range []string{"", "held", "held in the making", "down", "held down", "gzip", "held gzip", "down gzip"} {
			t.Run(fmt.Sprintf("%d %s", n, how), func(t *testing.T) {
				dir := t.TempDir()
				r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
				text, lines := long("old", n)
				window, inWindow := long("window", 10)
				r.append("app.log", text)
				r.pass()
				if strings.Contains(how, "in the making") {
					r.append("app.log.1", "")
					r.pass()
					r.append("app.log.1", text[:len(text)/2])
					r.pass()
					r.append("app.log.1", text[len(text)/2:])
				} else {
					r.copy("app.log", "app.log.1")
				}
				if strings.Contains(how, "held") {
					r.pass()
				}
				r.append("app.log", window)
				r.read()
				r.want(append(lines, inWindow...)...)
				if strings.Contains(how, "down") {
					r.stop()
				}
				r.truncate("app.log")
				if strings.Contains(how, "gzip") {
					r.gzip("app.log.1")
				}
				r.append("app.log", "fresh\n")
				if strings.Contains(how, "down") {
					r.restart()
				}
				r.pass()
				r.pass()
				r.want("fresh")
				r.restart()
				r.append("app.log", "last\n")
				r.pass()
				r.want("last")
			})
		}
	}
}

// TestCopyEndsBeforeTheFingerprint: the fingerprint covers bytes that were not read yet and are not in the copy.
func TestCopyEndsBeforeTheFingerprint(t *testing.T) {
	for _, down := range []bool{false, true} {
		dir := t.TempDir()
		r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
		r.append("app.log", "one\ntwo\nthr")
		r.pass()
		r.append("app.log", "ee\n")
		r.copy("app.log", "app.log.1")
		r.append("app.log", "in the window, without its end")
		s := r.tl.live[0]
		r.tl.mu.Lock()
		_, err := r.tl.verify(s)
		r.tl.mu.Unlock()
		r.check(err)
		r.truncate("app.log")
		if down {
			r.restart()
		}
		r.append("app.log", "fresh\n")
		r.pass()
		r.wantSet("one", "two", "three", "fresh")
	}
}

// TestCopyFoundWithItsOriginal: both are there when the first is seen.
func TestCopyFoundWithItsOriginal(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		dir := t.TempDir()
		r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
		text, lines := long("old", n)
		r.append("app.log", text)
		r.copy("app.log", "app.log.1")
		r.pass()
		r.want(lines...)
		r.truncate("app.log")
		r.append("app.log", "fresh\n")
		r.pass()
		r.want("fresh")
	})
}

// TestShortFileWithTheSameFirstLine: a name that could be a copy's, and bytes that could be, but its own writer.
func TestShortFileWithTheSameFirstLine(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app*.log")}})
	r.append("app.log", "header\none\n")
	r.pass()
	r.want("header", "one")
	r.truncate("app.log")
	r.append("app.log", "header two\n")
	r.pass()
	r.want("header two")
	r.append("app-worker.log", "header\n")
	r.pass()
	r.append("app-worker.log", "worker\n")
	r.pass()
	r.want("header", "worker")
}

// TestCopyJudgedWhileItMoves: what a scan saw of the original and its copy is out of date when the two are compared.
func TestCopyJudgedWhileItMoves(t *testing.T) {
	old, oldLines := long("old", 100)
	more, moreLines := long("more", 5)
	for _, c := range []struct {
		name string
		cut  int // of old, in the copy when it was seen
		then func(r *rig, s *source)
		want []string // read then
	}{
		{"original truncated, copy complete", len(old), func(r *rig, _ *source) { r.truncate("app.log") }, nil},
		{"original truncated, copy was half made", len(old) / 2, func(r *rig, _ *source) {
			r.append("app.log.1", old[len(old)/2:])
			r.truncate("app.log")
		}, nil},
		{"original truncated, copy was empty", 0, func(r *rig, _ *source) {
			r.append("app.log.1", old)
			r.truncate("app.log")
		}, nil},
		{"original truncated, copy was empty and ends before the position", 0, func(r *rig, _ *source) {
			r.append("app.log.1", old[:len(old)-100])
			r.truncate("app.log")
		}, nil},
		{"original truncated, copy was half made and ends before the position", len(old) / 2, func(r *rig, _ *source) {
			r.append("app.log.1", old[len(old)/2:len(old)-100])
			r.truncate("app.log")
		}, nil},
		{"copy has unread lines", len(old) / 2, func(r *rig, _ *source) {
			r.append("app.log.1", old[len(old)/2:], more)
			r.truncate("app.log")
		}, moreLines},
		{"original removed while closed", len(old), func(r *rig, s *source) {
			r.tl.closeSource(s)
			r.remove("app.log")
		}, nil},
		{"original removed while closed, copy was half made", 500, func(r *rig, s *source) {
			r.tl.closeSource(s)
			r.append("app.log.1", old[500:])
			r.remove("app.log")
		}, nil},
		{"copy renamed", len(old), func(r *rig, _ *source) { r.rename("app.log.1", "app.log.2") }, nil},
		{"copy renamed, original truncated", len(old), func(r *rig, _ *source) {
			r.rename("app.log.1", "app.log.2")
			r.truncate("app.log")
		}, nil},
		{"copy was held half made, original forgotten", len(old) / 2, func(r *rig, s *source) {
			r.tl.mu.Unlock()
			r.pass()
			r.tl.mu.Lock()
			r.append("app.log.1", old[len(old)/2:len(old)-100])
			r.truncate("app.log")
			r.tl.bury(s)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
			r.append("app.log", old)
			r.pass()
			r.want(oldLines...)
			s := r.tl.live[0]
			// A scan: the directory is listed, the copy is looked at, the world changes, then the copy is judged.
			r.tl.mu.Lock()
			r.tl.peeked, r.tl.listed = make(map[string]peek), make(map[string][]entry)
			r.tl.scanNo++
			r.tl.entries(dir)
			r.append("app.log.1", old[:c.cut])
			in, err := statPath(r.path("app.log.1"))
			r.check(err)
			r.tl.peek(r.path("app.log.1"))
			c.then(r, s)
			r.tl.admitAll([]found{{r.path("app.log.1"), in}})
			r.tl.peeked, r.tl.listed = nil, nil
			r.tl.mu.Unlock()
			for range 4 {
				r.pass()
			}
			r.want(c.want...)
			r.append("app.log", "fresh\n")
			r.pass()
			r.pass()
			r.want("fresh")
		})
	}
}

// Positions are written to the log without redaction: they must not hold what a line says.
func TestPositionsHoldNothingOfTheLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	if err := os.WriteFile(path, []byte("login ok\npassword=hunter2\nlast line\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tl, err := New(Config{Paths: []string{path}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = tl.ReadToEnd(context.Background(), func(_ context.Context, c *Chunk) error {
		n++
		if bytes.Contains(c.Position, []byte("hunter2")) || bytes.Contains(c.Position, []byte("login")) {
			t.Errorf("position %q", c.Position)
		}
		p, err := decodePlace(c.Position)
		if err != nil || len(p.ends) != 2 || !p.beganWith([]byte("login ok\n")) || !p.beganWith([]byte("login ok\npassword=hunter2\n")) ||
			p.beganWith([]byte("login no\n")) || p.beganWith([]byte("log")) {
			t.Errorf("%v: %+v", err, p)
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
}
