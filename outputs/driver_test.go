package outputs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
)

// memReader is a Reader over blocks in memory, for tests that step the clock.
type memReader struct {
	mu       sync.Mutex
	blocks   []*buffer.Block
	next     int
	wake     chan struct{}
	settled  map[uint64]bool // every sequence that is dealt with
	out      map[uint64]bool
	leased   uint64
	meta     map[string]string
	commits  int
	accounts [3]int
	closed   bool
}

func newMemReader() *memReader {
	return &memReader{wake: make(chan struct{}, 1), settled: map[uint64]bool{}, out: map[uint64]bool{}, meta: map[string]string{}}
}

// add appends a block with one event per dataset named.
func (r *memReader) add(datasets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := buffer.NewBlock()
	b.First = 1
	if n := len(r.blocks); n > 0 {
		b.First = r.blocks[n-1].First + uint64(r.blocks[n-1].Count)
	}
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: epochA, Typed: true})
	b.Typed = event.AppendTypedHeader(b.Typed)
	for i, ds := range datasets {
		e := event.Event{Time: 1, Dataset: event.DatasetPrefix + ds, Message: ds}
		b.Docs, b.Typed = enc.AppendItem(b.Docs, b.Typed, &e, b.First+uint64(i))
		b.Ends = append(b.Ends, uint32(len(b.Docs)))
	}
	b.Count, b.RawSize = len(datasets), len(b.Docs)
	r.blocks = append(r.blocks, b)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *memReader) Next(ctx context.Context) (*buffer.Block, error) {
	for {
		b, ok, err := r.TryNext()
		if ok || err != nil {
			return b, err
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *memReader) TryNext() (*buffer.Block, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false, buffer.ErrClosed
	}
	if r.next == len(r.blocks) {
		return nil, false, nil
	}
	b := r.blocks[r.next]
	b.Retain()
	r.next++
	return b, true, nil
}

func (r *memReader) Settle(b *buffer.Block, outstanding []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Count {
		r.settled[b.First+uint64(i)] = true
	}
	for _, s := range outstanding {
		delete(r.settled, s)
		r.out[s] = true
	}
}

func (r *memReader) SettleItems(seqs ...uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range seqs {
		if r.out[s] {
			delete(r.out, s)
			r.settled[s] = true
		}
	}
}

func (r *memReader) Outstanding() []uint64 { return nil }

func (r *memReader) Item(seq uint64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.blocks {
		if seq >= b.First && seq < b.First+uint64(b.Count) {
			item, err := b.Item(int(seq - b.First))
			return bytes.Clone(item), err
		}
	}
	return nil, buffer.ErrNotOutstanding
}

func (r *memReader) Lease(upTo uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leased = max(r.leased, upTo)
	return nil
}

func (r *memReader) Unknown(uint64) bool { return false }

func (r *memReader) Meta(key string) string { return r.meta[key] }

func (r *memReader) SetMeta(key, value string) error { r.meta[key] = value; return nil }

func (r *memReader) Commit() error { r.mu.Lock(); defer r.mu.Unlock(); r.commits++; return nil }

func (r *memReader) Count(d, f, l int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts[0] += d
	r.accounts[1] += f
	r.accounts[2] += l
}

func (r *memReader) settledCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.settled)
}

// funcOutput is an Output of a function, called with the streams of the batch's items.
type funcOutput func(streams []string) error

func (f funcOutput) Write(_ context.Context, b *Batch) error {
	var streams []string
	for k := range b.Parts {
		items, err := b.Parts[k].Items()
		if err != nil {
			return err
		}
		for i := range b.Parts[k].Ends {
			streams = append(streams, string(StreamOf(b.Parts[k].Item(items, i))))
		}
	}
	return f(streams)
}

func (f funcOutput) Close() error { return nil }

// running starts Run and returns what ends it.
func running(t *testing.T, r Reader, out Output, o Options) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if o.Logger == nil {
		o.Logger = quiet()
	}
	go func() { done <- Run(ctx, r, out, o) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// A server that is down is asked less and less often, by one request at a time, and spoken of twice: down, and up again.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		r := newMemReader()
		var mu sync.Mutex
		var at []time.Duration
		begin := time.Now()
		var up atomic.Bool
		out := funcOutput(func([]string) error {
			mu.Lock()
			at = append(at, time.Since(begin))
			mu.Unlock()
			if up.Load() {
				return nil
			}
			return &RequestError{Host: "http://es1:9200", Err: errors.New("connection refused"), Remedy: "start it"}
		})
		st := &Stats{}
		stop := running(t, r, out, Options{Label: "siem", Stats: st, Logger: slog.New(slog.NewTextHandler(&logged, nil)), Params: Params{Workers: 4}})
		for range 20 {
			r.add("linux.auth")
			synctest.Wait()
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		mu.Lock()
		tries := slices.Clone(at)
		mu.Unlock()
		if n := len(tries); n < 12 || n > 24 {
			t.Errorf("%d attempts in five minutes: %v", n, tries)
		}
		for i := 2; i < len(tries); i++ {
			if gap := tries[i] - tries[i-1]; gap > 30*time.Second*5/4 || i > 8 && gap < 30*time.Second*3/4 {
				t.Errorf("attempt %d after %v", i, gap)
			}
		}
		if f := st.Figures(); f.State != StateRetrying || f.Problem == nil || f.Problem.Remedy != "start it" {
			t.Errorf("figures while down: %+v", f)
		}
		up.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if got := r.settledCount(); got != 20 {
			t.Errorf("%d settled", got)
		}
		if f := st.Figures(); f.State != StateOK || f.Delivered != 20 || f.InFlight != 0 {
			t.Errorf("figures: %+v", f)
		}
		if n := strings.Count(logged.String(), "\n"); n != 2 || !strings.Contains(logged.String(), "remedy=\"start it\"") {
			t.Errorf("logged:\n%s", logged.String())
		}
	})
}

// A red index and a rejected item stop nothing else, and are there in the end.
func TestRedStreamStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		var mu sync.Mutex
		red, redSent := true, 0
		out := funcOutput(func(streams []string) error {
			mu.Lock()
			defer mu.Unlock()
			var e PartialError
			for i, s := range streams {
				if s == "logs-gatebook.red-default" && red {
					redSent++
					e.Items = append(e.Items, ItemError{Index: i, Stream: s, Status: 503, Type: "unavailable_shards_exception"})
				}
			}
			if e.Items == nil {
				return nil
			}
			return &e
		})
		st := &Stats{}
		stop := running(t, r, out, Options{Label: "siem", Stats: st, Params: Params{Workers: 2}})
		for range 500 {
			r.add("linux.auth", "red", "linux.auth")
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := r.settledCount(); got != 1000 {
			t.Errorf("%d settled while red, want 1000", got)
		}
		mu.Lock()
		if redSent > 600 {
			t.Errorf("%d sent to a red index", redSent)
		}
		red = false
		mu.Unlock()
		if f := st.Figures(); f.State != StateRetrying || f.Problem.Stream != "logs-gatebook.red-default" || f.Outstanding != 500 {
			t.Errorf("figures while red: %+v", f)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		stop()
		if got := r.settledCount(); got != 1500 || r.accounts != [3]int{1500, 0, 0} {
			t.Errorf("%d settled, accounts %v", got, r.accounts)
		}
		if f := st.Figures(); f.State != StateOK || f.Outstanding != 0 {
			t.Errorf("figures: %+v", f)
		}
	})
}

// A stream that holds as much as it may stops what has more of it; what came before goes on, and nothing is lost.
func TestFullStreamWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		var red atomic.Bool
		red.Store(true)
		out := funcOutput(func(streams []string) error {
			var e PartialError
			for i, s := range streams {
				if s == "logs-gatebook.red-default" && red.Load() {
					e.Items = append(e.Items, ItemError{Index: i, Stream: s, Status: 429, Type: "es_rejected_execution_exception"})
				}
			}
			if e.Items == nil {
				return nil
			}
			return &e
		})
		stop := running(t, r, out, Options{Label: "siem", StreamOutstanding: 10, Params: Params{Workers: 1}})
		for range 30 {
			r.add("linux.auth", "red")
			synctest.Wait()
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if got := r.settledCount(); got < 8 || got > 13 {
			t.Errorf("%d settled while full", got)
		}
		red.Store(false)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		stop()
		if got := r.settledCount(); got != 60 {
			t.Errorf("%d settled", got)
		}
	})
}

// 413 halves down to the item that is the cause; that one alone is given up.
func TestTooLargeHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		var sizes []int
		out := funcOutput(func(streams []string) error {
			sizes = append(sizes, len(streams))
			for _, s := range streams {
				if s == "logs-gatebook.big-default" {
					return &RequestError{Host: "h", Status: 413, TooLarge: true, Err: errors.New("too large")}
				}
			}
			return nil
		})
		r.add("a", "b", "big", "c", "d", "e", "f", "g")
		st := &Stats{}
		stop := running(t, r, out, Options{Label: "siem", Stats: st, Params: Params{Workers: 1}})
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if f := st.Figures(); f.Delivered != 7 || f.DeadLettered != 1 || r.settledCount() != 8 || r.accounts != [3]int{7, 0, 1} {
			t.Errorf("figures %+v, %d settled, accounts %v, requests of %v", f, r.settledCount(), r.accounts, sizes)
		}
	})
}

// A request that the server calls wrong as a whole is not the fault of its items until another one was taken.
func TestBadRequestHoldsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		var all atomic.Bool
		all.Store(true)
		out := funcOutput(func(streams []string) error {
			for _, s := range streams {
				if all.Load() || s == "logs-gatebook.poison-default" {
					return &RequestError{Host: "h", Status: 400, Suspect: true, Hold: true, Err: errors.New("malformed")}
				}
			}
			return nil
		})
		r.add("a", "poison", "b")
		st := &Stats{}
		stop := running(t, r, out, Options{Label: "siem", Stats: st, Params: Params{Workers: 1}})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if f := st.Figures(); f.State != StateHeld || f.DeadLettered != 0 {
			t.Errorf("while all is refused: %+v", f)
		}
		all.Store(false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		stop()
		if f := st.Figures(); f.Delivered != 2 || f.DeadLettered != 1 || f.State != StateOK {
			t.Errorf("figures %+v", f)
		}
	})
}

// What `when` leaves out is counted and settled.
func TestWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		var got []string
		out := funcOutput(func(streams []string) error { got = append(got, streams...); return nil })
		match := func(e *event.Event) bool { return e.Dataset == "gatebook.a" }
		r.add("a", "b", "c", "a")
		r.add("b")
		stop := running(t, r, out, Options{Label: "x", Params: Params{Match: match}})
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if len(got) != 2 || r.accounts != [3]int{2, 3, 0} || r.settledCount() != 5 || r.commits == 0 {
			t.Errorf("got %v, accounts %v, %d settled, %d commits", got, r.accounts, r.settledCount(), r.commits)
		}
	})
}

// The end of the context lets requests in flight come home, and gives up those that do not.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		out := ctxOutput(func(ctx context.Context, n int) error {
			if n == 1 {
				time.Sleep(3 * time.Second)
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		st := &Stats{}
		stop := running(t, r, &out, Options{Label: "x", Stats: st, Drain: 5 * time.Second, Params: Params{Workers: 2}})
		r.add("a")
		synctest.Wait()
		r.add("b")
		synctest.Wait()
		begin := time.Now()
		stop()
		if d := time.Since(begin); d != 5*time.Second || r.settledCount() != 1 || st.Figures().InFlight != 0 {
			t.Errorf("drained in %v, %d settled, %+v", d, r.settledCount(), st.Figures())
		}
	})
}

type ctxOut struct {
	mu sync.Mutex
	n  int
	f  func(ctx context.Context, n int) error
}

func ctxOutput(f func(ctx context.Context, n int) error) ctxOut { return ctxOut{f: f} }

func (o *ctxOut) Write(ctx context.Context, _ *Batch) error {
	o.mu.Lock()
	o.n++
	n := o.n
	o.mu.Unlock()
	return o.f(ctx, n)
}

func (o *ctxOut) Close() error { return nil }

// A request that is split while it probes does not leave the gate shut.
func TestSplitWhileProbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		n := 0
		out := funcOutput(func(streams []string) error {
			if n++; n == 1 {
				return &RequestError{Host: "h", Status: 503, Unknown: true, Err: errors.New("down")}
			}
			if len(streams) > 1 {
				return &RequestError{Host: "h", Status: 413, TooLarge: true, Err: errors.New("too large")}
			}
			return nil
		})
		r.add("a", "b", "c", "d")
		stop := running(t, r, out, Options{Label: "x", Params: Params{Workers: 1}})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		stop()
		if got := r.settledCount(); got != 4 {
			t.Errorf("%d settled", got)
		}
	})
}
