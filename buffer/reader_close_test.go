package buffer

import (
	"context"
	"errors"
	"testing"

	"github.com/gatebook/gatebook/internal/fsx"
)

// A reader that is closed and opened again goes on as after a restart, while the log stays open.
func TestReaderCloseAndOpenAgain(t *testing.T) {
	l := mustOpen(t, testOptions(fsx.NewMem()))
	defer l.Close()
	r := mustReader(t, l, "out", ReaderOptions{Required: true})
	first := put(t, l, 3, 10)
	put(t, l, 2, 10)
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	take(t, r, first+1) // settles the first block but for one item
	if err := r.Lease(first + 4); err != nil {
		t.Fatal(err)
	}
	b, ok, err := r.TryNext() // handed out, never settled
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.Release()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.TryNext(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed reader: %v", err)
	}
	put(t, l, 1, 10)
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	r = mustReader(t, l, "out", ReaderOptions{Required: true})
	wantSeqs(t, r.Outstanding(), []uint64{first + 1})
	if !r.Unknown(first+3) || r.Unknown(first+4) {
		t.Errorf("unknown: %v %v, want true false", r.Unknown(first+3), r.Unknown(first+4))
	}
	wantSeqs(t, drain(t, r), []uint64{first + 3, first + 4, first + 5})
}

// What a reader never handed out nobody has sent, however far ahead its lease went: after a reload, or a stop in good order, only
// what was under way is in doubt, and what was so before.
func TestCloseGivesTheLeaseBack(t *testing.T) {
	for _, restart := range []bool{false, true} {
		disk := fsx.NewMem()
		l := mustOpen(t, testOptions(disk))
		r := mustReader(t, l, "out", ReaderOptions{Required: true})
		again := func() {
			t.Helper()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if restart {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = mustOpen(t, testOptions(disk))
			}
			r = mustReader(t, l, "out", ReaderOptions{Required: true})
		}
		first := put(t, l, 2, 10)
		put(t, l, 2, 10)
		if err := l.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := r.Lease(first + 1000); err != nil {
			t.Fatal(err)
		}
		b, ok, err := r.TryNext() // handed out, never settled
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		b.Release()
		for range 2 { // the second time nothing was handed out in between
			again()
			for i, want := range []bool{true, true, false, false} {
				if got := r.Unknown(first + uint64(i)); got != want {
					t.Errorf("restart %v: item %d unknown: %v", restart, i, got)
				}
			}
		}
		wantSeqs(t, drain(t, r), []uint64{first, first + 1, first + 2, first + 3})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A reader that settles by place, long after it released the blocks, goes on behind them.
func TestSettleAtPlace(t *testing.T) {
	l := mustOpen(t, testOptions(fsx.NewMem()))
	defer l.Close()
	r := mustReader(t, l, "rules", ReaderOptions{Required: true})
	first := put(t, l, 2, 10)
	put(t, l, 2, 10)
	put(t, l, 1, 10)
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	var places []Pos
	for {
		b, ok, err := r.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		places = append(places, b.Pos())
		b.Release()
	}
	for _, p := range places[:len(places)-1] {
		r.SettleAt(p)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = mustReader(t, l, "rules", ReaderOptions{Required: true})
	wantSeqs(t, drain(t, r), []uint64{first + 4})
}
