package buffer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/internal/fsx"
)

func TestAppendReadReopen(t *testing.T) {
	for _, codec := range []Codec{Raw, S2, Gzip} {
		t.Run(codec.String(), func(t *testing.T) {
			o := testOptions(fsx.NewMem())
			l := mustOpen(t, o)
			id := l.ID()
			r := mustReader(t, l, "out/es", ReaderOptions{Required: true})
			b := block(l, 10, 100)
			if err := b.Compress(codec); err != nil {
				t.Fatal(err)
			}
			if err := mustAppend(t, l, b).Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			put(t, l, 5, 100)
			wantSeqs(t, take(t, r), seqRange(1, 11))
			checkAccounts(t, l)
			if err := r.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, o)
			if l.ID() != id {
				t.Errorf("id changed from %s to %s", id, l.ID())
			}
			if got := string(l.Positions()["last"]); got != "15" {
				t.Errorf("position %q, want 15", got)
			}
			r = mustReader(t, l, "out/es", ReaderOptions{Required: true})
			other := mustReader(t, l, "new", ReaderOptions{})
			late := mustReader(t, l, "late", ReaderOptions{FromEnd: true})
			wantSeqs(t, drain(t, r), seqRange(11, 16))
			wantSeqs(t, drain(t, other), seqRange(1, 16))
			if first := l.Reserve(3); first < 16 {
				t.Errorf("sequence %d given out again", first)
			}
			put(t, l, 2, 10)
			wantSeqs(t, drain(t, r), seqRange(19, 21))
			wantSeqs(t, drain(t, late), seqRange(19, 21))
			checkAccounts(t, l)
			if got, err := other.Meta("x"), other.SetMeta("x", strings.Repeat("y", maxMeta)); got != "" || err == nil {
				t.Errorf("meta %q, %v", got, err)
			}
		})
	}
}

func TestOneLockOwnsTheDirectory(t *testing.T) {
	o := testOptions(fsx.OS{})
	o.Dir = t.TempDir()
	l := mustOpen(t, o)
	_, err := Open(o)
	if err == nil || !strings.Contains(err.Error(), o.Dir) || !strings.Contains(err.Error(), "another Gatebook") {
		t.Fatalf("second open: %v", err)
	}
	l.Close()
	mustOpen(t, o)
}

func TestClosedLogRefuses(t *testing.T) {
	l := mustOpen(t, testOptions(fsx.NewMem()))
	r := mustReader(t, l, "r", ReaderOptions{})
	got := make(chan error)
	go func() {
		_, err := r.Next(context.Background())
		got <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("next: %v", err)
	}
	if _, err := l.Append(context.Background(), block(l, 1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
}
