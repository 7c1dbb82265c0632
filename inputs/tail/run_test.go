package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestPollingAlone: without notification, or with notifications lost, every line still comes.
func TestPollingAlone(t *testing.T) {
	dir := t.TempDir()
	tl, err := New(Config{Paths: []string{filepath.Join(dir, "*.log")}, NoNotify: true, Poll: 10 * time.Millisecond, Rescan: 20 * time.Millisecond}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- tl.Run(ctx, func(_ context.Context, c *Chunk) error {
			for _, l := range c.Lines {
				lines <- c.Text[l.Start:l.End]
			}
			return nil
		})
	}()
	for i := range 5 {
		name := filepath.Join(dir, fmt.Sprintf("%d.log", i%2))
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "line %d\n", i)
		f.Close()
		if got := <-lines; got != fmt.Sprintf("line %d", i) {
			t.Fatal(got)
		}
	}
	// A line is handed over before the reader's place is moved behind it: only
	// after the end of Run is that place settled for certain.
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st := tl.Stats(); len(st) != 2 || st[0].Offset != 21 || st[1].Offset != 14 || st[0].Lag != 0 {
		t.Errorf("%+v", st)
	}
}

func TestNotificationOverflow(t *testing.T) {
	n := newNotifier(slog.New(slog.DiscardHandler))
	if n == nil {
		t.Skip("no inotify here")
	}
	defer n.close()
	if n.hinted("/some/file") {
		t.Fatal("hinted before anything happened")
	}
	n.lost(fsnotify.ErrEventOverflow)
	if h := n.take(); !h.scan || !h.changed || !n.hinted("/any/file") {
		t.Fatalf("%+v: after an overflow everything has to be looked at", h)
	}
}

// TestEmitErrorEndsRun: the chunk counts as not taken and comes again.
func TestEmitErrorEndsRun(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "x.log"), []byte("one\n"), 0o644)
	tl, err := New(Config{Paths: []string{filepath.Join(dir, "*.log")}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	if err := tl.Run(t.Context(), func(context.Context, *Chunk) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	n := 0
	if err := tl.ReadToEnd(t.Context(), func(_ context.Context, c *Chunk) error { n += len(c.Lines); return nil }); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

// TestHugeFileDoesNotStarveSmall: a small file is served long before the large one is at its end.
func TestHugeFileDoesNotStarveSmall(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*.log")}, ChunkSize: 1 << 10, MaxLine: 256})
	text, _ := long("huge", 20000)
	r.append("a.log", text)
	r.append("b.log", "small\n")
	r.pass()
	for i, p := range r.paths {
		if filepath.Base(p) == "b.log" && i > 200 {
			t.Fatalf("served after %d lines", i)
		}
	}
}
