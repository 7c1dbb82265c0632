package buffer

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

// smallLog is a log of four segments of 16 KiB.
func smallLog(fs fsx.FS) Options {
	o := testOptions(fs)
	o.MaxBytes, o.SegmentBytes, o.CacheBytes, o.Reserve = 64<<10, 16<<10, 1, 8<<10
	return o
}

// fill appends until Append waits; it returns the number of items in, and the ctx error.
func fill(t *testing.T, l *Log) int {
	t.Helper()
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		tk, err := l.Append(ctx, block(l, 1, 3000))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := tk.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n > 1000 {
			t.Fatal("never full")
		}
	}
}

func TestFullBlocksAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := fsx.NewMem()
		l := mustOpen(t, smallLog(mem))
		r := mustReader(t, l, "r", ReaderOptions{Required: true})
		lag := mustReader(t, l, "lag", ReaderOptions{MaxLag: 10 << 10})
		total := 0
		for range 5 {
			n := fill(t, l)
			total += n
			if s := l.Stats(); s.Bytes > 64<<10 || s.Full != fullSize || n == 0 {
				t.Fatalf("full after %d items: %+v", n, s)
			}
			// Alerts still go in.
			b := block(l, 1, 1000)
			b.UseReserve = true
			if err := mustAppend(t, l, b).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			total++
			waiting := make(chan error, 1)
			go func() {
				tk, err := l.Append(t.Context(), block(l, 1, 10))
				if err == nil {
					err = tk.Wait(t.Context())
				}
				waiting <- err
			}()
			synctest.Wait()
			drain(t, r)
			checkAccounts(t, l)
			if err := r.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-waiting; err != nil {
				t.Fatal(err)
			}
			total++
		}
		drain(t, r)
		got := len(drain(t, lag))
		checkAccounts(t, l)
		for _, s := range l.Readers() {
			if s.Name == "r" && s.Delivered != uint64(total) {
				t.Errorf("delivered %d of %d", s.Delivered, total)
			}
			if s.Name == "lag" && (s.Skipped == 0 || s.Skipped+s.Delivered != uint64(total) || got == 0) {
				t.Errorf("lagging reader: %+v of %d", s, total)
			}
		}
	})
}

func TestDropOldest(t *testing.T) {
	mem := fsx.NewMem()
	o := smallLog(mem)
	o.OnFull = DropOldest
	l := mustOpen(t, o)
	r := mustReader(t, l, "r", ReaderOptions{Required: true})
	put(t, l, 4, 10)
	take(t, r, 2, 3) // outstanding in what will be dropped
	hand, _, err := r.TryNext()
	if hand != nil || err != nil {
		t.Fatal(hand, err)
	}
	put(t, l, 1, 3000)
	hand, _, err = r.TryNext() // in hand while its segment is dropped
	if hand == nil || err != nil {
		t.Fatal(err)
	}
	for range 100 {
		put(t, l, 1, 3000)
		if s := l.Stats(); s.Bytes > o.MaxBytes {
			t.Fatalf("log has %d bytes", s.Bytes)
		}
		checkDropped(t, l, 1)
	}
	if got := r.Outstanding(); len(got) != 0 {
		t.Errorf("outstanding %v", got)
	}
	checkBlock(t, hand)
	r.Settle(hand, []uint64{hand.First}) // its segment is gone: skipped
	hand.Release()
	got := drain(t, r)
	checkAccounts(t, l)
	s := l.Readers()[0]
	if s.Skipped == 0 || s.Delivered+s.Skipped != 105 || len(got) == 0 || got[len(got)-1] != 105 {
		t.Errorf("%+v, read %d", s, len(got))
	}
}

// checkDropped asserts the accounts with a block in hand.
func checkDropped(t *testing.T, l *Log, hand uint64) {
	t.Helper()
	for _, s := range l.Readers() {
		if s.AtOpen+s.Appended != s.Delivered+s.Filtered+s.DeadLettered+s.Skipped+s.Unsettled || s.Unsettled < hand {
			t.Fatalf("accounts: %+v", s)
		}
	}
}

func TestDiskFull(t *testing.T) {
	for _, policy := range []Policy{Wait, DropOldest} {
		synctest.Test(t, func(t *testing.T) {
			mem := fsx.NewMem()
			o := smallLog(mem)
			o.OnFull = policy
			o.MaxBytes, o.SegmentBytes = 10<<20, 16<<10
			l := mustOpen(t, o)
			r := mustReader(t, l, "r", ReaderOptions{Required: true})
			for range 8 {
				put(t, l, 1, 3000)
			}
			mem.SetCapacity(mem.Used() + 1000)
			tk := mustAppend(t, l, block(l, 1, 3000))
			if policy == DropOldest {
				if err := tk.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				drain(t, r)
				checkAccounts(t, l)
				if s := l.Readers()[0]; s.Skipped == 0 {
					t.Errorf("nothing was dropped: %+v", s)
				}
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := tk.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("fsynced on a full disk: %v", err)
			}
			if s := l.Stats(); s.Full != fullDisk {
				t.Errorf("%+v", s)
			}
			// A cursor can be written, without new space. An alert and a dead letter take the reserve.
			if err := r.SetMeta("index", "000001"); err != nil {
				t.Fatal(err)
			}
			if err := r.Commit(); err != nil {
				t.Fatal(err)
			}
			b := block(l, 1, 3000)
			b.UseReserve = true
			if err := mustAppend(t, l, b).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if l.Stats().ReserveAvailable {
				t.Error("the reserve was not used")
			}
			if _, err := l.Append(ctxDone(t), block(l, 1, 10)); err == nil {
				t.Error("an input used the reserve")
			}
			// Whoever uses the reserve has it until he is done, however long that takes.
			tries := 0
			err := l.WithReserve(func() error {
				if tries++; tries == 1 {
					return syscall.ENOSPC
				}
				mem.SetCapacity(mem.Used() + 64<<10)
				<-time.After(time.Minute)
				if l.Stats().ReserveAvailable {
					t.Error("the reserve was taken back while in use")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := tk.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := l.Stats(); !s.ReserveAvailable || s.Full != "" {
				t.Errorf("after recovery: %+v", s)
			}
			if got := len(drain(t, r)); got != 10 {
				t.Errorf("read %d items", got)
			}
			checkAccounts(t, l)
			l.Close()
			l = mustOpen(t, o)
			if s := l.Stats(); s.TornBytes != 0 || s.Damaged != 0 {
				t.Errorf("the full disk left %+v", s)
			}
		})
	}
}

func ctxDone(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestCloseOnAFullDisk: what found no space is given up, and leaves nothing torn behind.
func TestCloseOnAFullDisk(t *testing.T) {
	mem := fsx.NewMem()
	o := testOptions(mem)
	l := mustOpen(t, o)
	put(t, l, 1, 10)
	mem.SetCapacity(mem.Used() + 1000)
	tk := mustAppend(t, l, block(l, 1, 3000))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tk.Wait(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("ticket: %v", err)
	}
	l = mustOpen(t, o)
	if s := l.Stats(); s.TornBytes != 0 || string(l.Positions()["last"]) != "1" {
		t.Errorf("%+v, position %s", s, l.Positions()["last"])
	}
}

// TestFullDiskAtTheStart: what is there can be read, and committed, on a disk without any space.
func TestFullDiskAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := fsx.NewMem()
		o := smallLog(mem)
		filled(t, o, 3)
		l := mustOpen(t, o)
		mustReader(t, l, "r", ReaderOptions{Required: true})
		l.Close()
		if err := mem.Remove("/log/reserve"); err != nil {
			t.Fatal(err)
		}
		mem.SetCapacity(mem.Used())
		l = mustOpen(t, o)
		r := mustReader(t, l, "r", ReaderOptions{Required: true})
		wantSeqs(t, drain(t, r), seqRange(1, 7))
		if err := r.Commit(); err != nil {
			t.Fatal(err)
		}
		mem.SetCapacity(0)
		put(t, l, 1, 10)
	})
}

func TestFsyncError(t *testing.T) {
	mem := fsx.NewMem()
	fault := fsx.NewFault(mem)
	o := testOptions(fault)
	l := mustOpen(t, o)
	r := mustReader(t, l, "r", ReaderOptions{Required: true})
	mustReader(t, l, "all", ReaderOptions{Required: true})
	put(t, l, 1, 10)
	fault.Add(fsx.Rule{Op: fsx.OpSync, Match: segmentSuffix, Err: syscall.EIO})
	put(t, l, 1, 10)
	wantSeqs(t, drain(t, r), []uint64{1, 2})
	if s := l.Stats(); s.Segments != 2 || s.FsyncErrors != 1 {
		t.Errorf("%+v", s)
	}
	// The failed descriptor may have written its bytes all the same: they must not be read twice, also where
	// cutting them off failed.
	fault.Add(fsx.Rule{Op: fsx.OpSync, Match: segmentSuffix, Err: syscall.EIO})
	fault.Add(fsx.Rule{Op: fsx.OpTruncate, Match: segmentSuffix, Err: syscall.EIO, Times: -1})
	put(t, l, 1, 10)
	l.Close()
	fault.Clear()
	l = mustOpen(t, o)
	wantSeqs(t, drain(t, mustReader(t, l, "all", ReaderOptions{})), []uint64{1, 2, 3})

	fault.Add(fsx.Rule{Op: fsx.OpSync, Match: segmentSuffix, Err: syscall.EIO, Times: -1})
	tk := mustAppend(t, l, block(l, 1, 10))
	if err := tk.Wait(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Errorf("ticket: %v", err)
	}
	if _, err := l.Append(t.Context(), block(l, 1, 10)); !errors.Is(err, syscall.EIO) {
		t.Errorf("append after the end: %v", err)
	}
	if err := l.Sync(t.Context()); !errors.Is(err, syscall.EIO) || !errors.Is(l.Stats().Err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
}

// TestSegmentsGoWhenAllRequiredHaveCommitted also holds back for outstanding items and for cursors that nobody opened.
func TestSegmentsGoWhenAllRequiredHaveCommitted(t *testing.T) {
	mem := fsx.NewMem()
	o := testOptions(mem)
	o.SegmentBytes = 1000
	l := mustOpen(t, o)
	a := mustReader(t, l, "a", ReaderOptions{Required: true})
	mustReader(t, l, "gone", ReaderOptions{Required: true})
	segments := func(want bool, after string) {
		t.Helper()
		if n := l.Stats().Segments; (n == 1) != want {
			t.Fatalf("%d segments %s", n, after)
		}
	}
	commit := func() {
		t.Helper()
		if err := a.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		put(t, l, 2, 300)
	}
	drain(t, a)
	commit()
	l.Close()
	l = mustOpen(t, o)
	a = mustReader(t, l, "a", ReaderOptions{Required: true})
	if err := a.SetMeta("k", "v"); err != nil {
		t.Fatal(err)
	}
	commit()
	segments(false, "while another reader's cursor stands")
	if err := l.DropReader("gone"); err != nil {
		t.Fatal(err)
	}
	segments(true, "when that is dropped")

	for range 10 {
		put(t, l, 2, 300)
	}
	take(t, a, 21)
	drain(t, a)
	segments(false, "before commit")
	commit()
	segments(false, "while an item is outstanding")
	got, err := a.Item(21)
	if err != nil || string(got) != item(21, 300) {
		t.Fatalf("item: %.20q, %v", got, err)
	}
	a.SettleItems(21)
	a.Count(1, 0, 0)
	segments(false, "before that is committed")
	commit()
	segments(true, "at the end")
	checkAccounts(t, l)
	if got := string(l.Positions()["last"]); got != "40" {
		t.Errorf("position %s", got)
	}
}

// TestLagHoldsNothingBack: what is outstanding beyond the lag is given up, counted, and its segment goes.
func TestLagHoldsNothingBack(t *testing.T) {
	o := testOptions(fsx.NewMem())
	o.SegmentBytes = 2000
	l := mustOpen(t, o)
	lag := mustReader(t, l, "lag", ReaderOptions{MaxLag: 5000})
	put(t, l, 2, 300)
	take(t, lag, 1, 2)
	for range 50 {
		put(t, l, 1, 300)
	}
	if got := lag.Outstanding(); len(got) != 0 {
		t.Errorf("outstanding %v", got)
	}
	if s := l.Stats(); s.Bytes > 5000+3*2000 {
		t.Errorf("%d bytes kept", s.Bytes)
	}
	got := drain(t, lag)
	checkAccounts(t, l)
	if s := l.Readers()[0]; s.Skipped+s.Delivered != 52 || s.Waiting != 0 || len(got) < 5 || got[len(got)-1] != 52 {
		t.Errorf("%+v, read %v", s, got)
	}
}

func TestPositionsExpire(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := testOptions(fsx.NewMem())
	o.Now = func() time.Time { return now }
	l := mustOpen(t, o)
	put1 := func(key, value string) {
		b := NewBlock()
		b.Positions = append(b.Positions, Position{key, []byte(value)})
		if err := mustAppend(t, l, b).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put1("old", "1")
	put1("renewed", "1")
	put1("removed", "1")
	now = now.Add(20 * 24 * time.Hour)
	put1("renewed", "2")
	put1("removed", "")
	now = now.Add(20 * 24 * time.Hour)
	l.Close()
	l = mustOpen(t, o)
	got := l.Positions()
	if len(got) != 1 || string(got["renewed"]) != "2" {
		t.Errorf("positions %q", got)
	}
}

// TestOutstandingBeyondTheSlot: more outstanding items than the cursor file takes are read again, none is lost.
func TestOutstandingBeyondTheSlot(t *testing.T) {
	o := testOptions(fsx.NewMem())
	l := mustOpen(t, o)
	r := mustReader(t, l, "r", ReaderOptions{Required: true, MaxOutstanding: 1})
	for range 50 {
		put(t, l, 20, 10)
	}
	var hand []*Block
	for {
		b, ok, err := r.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		hand = append(hand, b)
	}
	for _, b := range hand {
		r.Settle(b, seqRange(b.First, b.First+20))
		b.Release()
	}
	if _, ok, err := r.TryNext(); ok || err != nil {
		t.Fatalf("read with %d outstanding: %v", len(r.Outstanding()), err)
	}
	checkAccounts(t, l)
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = mustOpen(t, o)
	r = mustReader(t, l, "r", ReaderOptions{Required: true, MaxOutstanding: 1000})
	kept := r.Outstanding()
	if len(kept) == 0 || len(kept) == 1000 {
		t.Fatalf("%d kept", len(kept))
	}
	wantSeqs(t, append(kept, drain(t, r)...), seqRange(1, 1001))
}
