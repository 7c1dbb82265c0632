package inputs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// memorySink keeps what is submitted.
type memorySink struct {
	mu        sync.Mutex
	lines     []string
	positions map[string][]byte
	batches   int
	first     string
}

func (s *memorySink) Submit(_ context.Context, b *Batch) (Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches++
	for _, l := range b.Lines {
		s.lines = append(s.lines, l.Text)
	}
	if b.Source.First != "" {
		s.first = b.Source.First
	}
	for _, p := range b.Positions {
		s.positions[p.Key] = p.Value
	}
	return nil, nil
}

func fileInput(t *testing.T, dir, more string, env Env) Input {
	t.Helper()
	f, _ := conf.Parse("test.hcl", fmt.Appendf(nil, "input \"file\" \"x\" {\n  paths = [\"app.log\"]\n  parser = \"raw\"\n%s\n}\n", more))
	c := Registry["file"].Decode("x", f.Body().Blocks("input", 2)[0].Body)
	if err := f.Diagnostics().Err(); err != nil {
		t.Fatal(err)
	}
	env.Dir, env.Logger = dir, slog.New(slog.NewTextHandler(io.Discard, nil))
	in, err := c.New(env)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func append1(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// Reading goes on at the submitted position, and says what the first line of the file was.
func TestFileGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	sink := &memorySink{positions: map[string][]byte{}}
	once := func() {
		t.Helper()
		own := map[string][]byte{}
		prefix := PositionPrefix("file", "x")
		for k, v := range sink.positions {
			own[k[len(prefix):]] = v
		}
		if err := fileInput(t, dir, "", Env{Once: true, Positions: own}).Run(context.Background(), sink); err != nil {
			t.Fatal(err)
		}
	}
	append1(t, path, "head\none\n")
	once()
	append1(t, path, "two\n")
	once()
	once()
	if got := fmt.Sprint(sink.lines); got != "[head one two]" || sink.first != "head" {
		t.Errorf("lines %s, first line %q", got, sink.first)
	}
}

// The position of a silent file is submitted again every day, or the log would forget it after a month.
func TestPositionsOfSilentFilesAreKeptAlive(t *testing.T) {
	dir := t.TempDir()
	append1(t, filepath.Join(dir, "app.log"), "one\n")
	synctest.Test(t, func(t *testing.T) {
		sink := &memorySink{positions: map[string][]byte{}}
		ctx, stop := context.WithCancel(t.Context())
		in := fileInput(t, dir, "  notify = false\n  poll = \"30s\"\n  rescan = \"30s\"", Env{})
		done := make(chan error)
		go func() { done <- in.Run(ctx, sink) }()
		time.Sleep(time.Minute) // of the bubble's clock
		sink.mu.Lock()
		before := sink.batches
		sink.mu.Unlock()
		time.Sleep(3*24*time.Hour + time.Hour)
		sink.mu.Lock()
		after := sink.batches
		sink.mu.Unlock()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if before == 0 || after-before != 3 || len(sink.lines) != 1 {
			t.Errorf("%d batches, then %d; %d lines", before, after, len(sink.lines))
		}
	})
}
