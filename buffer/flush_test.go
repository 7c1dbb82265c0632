package buffer

import (
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

// slowFS takes a while, on the test's clock, for every fsync.
type slowFS struct {
	fsx.FS
	took time.Duration
}

func (s slowFS) OpenFile(name string, flag int, perm os.FileMode) (fsx.File, error) {
	f, err := s.FS.OpenFile(name, flag, perm)
	return slowFile{f, s.took}, err
}

type slowFile struct {
	fsx.File
	took time.Duration
}

func (f slowFile) Sync() error {
	<-time.After(f.took)
	return f.File.Sync()
}

func TestFlushIsImmediateWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(fsx.NewMem())
		o.Flush = time.Hour
		l := mustOpen(t, o)
		for range 3 {
			start := time.Now()
			put(t, l, 1, 10)
			if d := time.Since(start); d != 0 {
				t.Errorf("waited %v", d)
			}
			<-time.After(time.Second)
		}
	})
}

// TestFlushSharesFsyncsUnderLoad: a block every 2 ms at 5 ms an fsync needs few fsyncs, and none waits longer
// than Flush and the fsyncs themselves.
func TestFlushSharesFsyncsUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(slowFS{fsx.NewMem(), 5 * time.Millisecond})
		l := mustOpen(t, o)
		put(t, l, 1, 10)
		before := l.Stats().Fsyncs
		type sent struct {
			t  *Ticket
			at time.Time
		}
		longest := time.Duration(0)
		var open []sent
		for range 1000 {
			open = append(open, sent{mustAppend(t, l, block(l, 1, 10)), time.Now()})
			<-time.After(2 * time.Millisecond)
			synctest.Wait()
			l.mu.Lock()
			for len(open) > 0 && open[0].t.done {
				open = open[1:]
			}
			l.mu.Unlock()
			if len(open) > 0 {
				longest = max(longest, time.Since(open[0].at))
			}
		}
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := l.Stats().Fsyncs - before; n > 40 {
			t.Errorf("%d fsyncs for 1000 blocks in 2 s", n)
		}
		if longest > o.Flush+100*time.Millisecond+12*time.Millisecond || longest < 20*time.Millisecond {
			t.Errorf("the longest wait was %v", longest)
		}
	})
}

// TestFlushDoesNotHoldUpWhoWaits: senders that wait for each ticket get an fsync's time or a few, not Flush.
func TestFlushDoesNotHoldUpWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, testOptions(slowFS{fsx.NewMem(), 5 * time.Millisecond}))
		start := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					put(t, l, 1, 10)
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d > 50*4*5*time.Millisecond {
			t.Errorf("50 rounds of 8 senders took %v", d)
		}
	})
}
