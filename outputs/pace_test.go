package outputs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
)

// supply is a Reader with as many blocks as are wanted, all alike.
type supply struct {
	*memReader
	block *buffer.Block
	left  int
}

// supplied makes blocks of n items of about size bytes each.
func supplied(blocks, n, size int) *supply {
	b := buffer.NewBlock()
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: epochA, Typed: true})
	e := event.Event{Time: 1, Dataset: event.DatasetPrefix + "linux.auth", Message: strings.Repeat("x", size)}
	b.Typed = event.AppendTypedHeader(b.Typed)
	for i := range n {
		b.Docs, b.Typed = enc.AppendItem(b.Docs, b.Typed, &e, uint64(i+1))
		b.Ends = append(b.Ends, uint32(len(b.Docs)))
	}
	b.Count, b.RawSize = n, len(b.Docs)
	return &supply{newMemReader(), b, blocks}
}

func (r *supply) TryNext() (*buffer.Block, bool, error) {
	r.mu.Lock()
	if r.left > 0 {
		r.left--
		b := buffer.NewBlock()
		b.First = 1
		if n := len(r.blocks); n > 0 {
			b.First = r.blocks[n-1].First + uint64(r.blocks[n-1].Count)
		}
		b.Docs, b.Ends, b.Typed, b.Count, b.RawSize = r.block.Docs, r.block.Ends, r.block.Typed, r.block.Count, r.block.RawSize
		r.blocks = append(r.blocks, b)
	}
	r.mu.Unlock()
	return r.memReader.TryNext()
}

func (r *supply) Next(ctx context.Context) (*buffer.Block, error) {
	if b, ok, err := r.TryNext(); ok || err != nil {
		return b, err
	}
	return r.memReader.Next(ctx)
}

// server is a model of one: it takes a time for each request and for each byte, and no request above a size.
type server struct {
	mu       sync.Mutex
	fixed    time.Duration // the network
	perMiB   time.Duration // the server, and it says so
	silent   bool          // as one whose answers do not say how long it worked
	most     int64         // bytes of a request
	busy     bool          // it turns all items away
	seen     map[uint64]int
	sizes    []int64
	parts    int // requests whose blocks were not cut
	refused  int
	inFlight int
	widest   int
}

func (s *server) Write(_ context.Context, b *Batch) error {
	s.mu.Lock()
	s.inFlight++
	s.widest = max(s.widest, s.inFlight)
	work := time.Duration(float64(s.perMiB) * float64(b.Size) / (1 << 20))
	wait := s.fixed + work
	s.mu.Unlock()
	time.Sleep(wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if s.most > 0 && b.Size > s.most {
		s.refused++
		return &RequestError{Status: 413, TooLarge: true, Err: errors.New("too large")}
	}
	if !s.silent {
		b.Took = work
	}
	if s.busy {
		e := &PartialError{}
		for i := range b.Len {
			e.Items = append(e.Items, ItemError{Index: i, Status: 429, Stream: "logs-gatebook.linux.auth-default"})
		}
		return e
	}
	s.sizes = append(s.sizes, b.Size)
	whole := 1
	for k := range b.Parts {
		p := &b.Parts[k]
		if p.Seqs != nil {
			whole = 0
		}
		for i := range p.Ends {
			s.seen[p.Seq(i)]++
		}
	}
	s.parts += whole
	return nil
}

func (s *server) Close() error { return nil }

func (s *server) set(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }

// sizesSince returns the sizes of the requests taken since it was last called.
func (s *server) sizesSince() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes := s.sizes
	s.sizes = nil
	return sizes
}

func within(t *testing.T, what string, sizes []int64, low, high int64) {
	t.Helper()
	if len(sizes) < 5 {
		t.Errorf("%s: %d requests", what, len(sizes))
	}
	for i, n := range sizes {
		if n < low || n > high {
			t.Errorf("%s: request %d of %d has %d bytes, want %d to %d", what, i, len(sizes), n, low, high)
			return
		}
	}
}

// wantOnce checks that each item of the supply was taken once and settled.
func (s *server) wantOnce(t *testing.T, r *supply, all int) {
	t.Helper()
	if len(s.seen) != all || r.settledCount() != all {
		t.Errorf("%d items of %d taken, %d settled", len(s.seen), all, r.settledCount())
	}
	for seq, n := range s.seen {
		if n != 1 {
			t.Fatalf("item %d taken %d times", seq, n)
		}
	}
}

func adaptive() Options {
	return Options{Label: "es", Params: Params{Workers: 2, BatchBytes: 4 << 20, Latency: time.Second}}
}

const mib = 1 << 20

// The size settles where the latency is right and stays there; in a brown-out it follows, and comes back.
func TestSizeFollowsLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks, items = 12000, 32
		r := supplied(blocks, items, 2000) // blocks of about 76 KB
		s := &server{perMiB: 500 * time.Millisecond, seen: map[uint64]int{}}
		st := &Stats{}
		o := adaptive()
		o.Stats = st
		stop := running(t, r, s, o)
		time.Sleep(30 * time.Second)
		s.sizesSince()
		time.Sleep(30 * time.Second)
		calm := s.sizesSince()
		within(t, "at 2 MiB/s", calm, mib, 2*mib+100_000)
		changes := 0
		for i := 1; i < len(calm); i++ {
			if d := calm[i] - calm[i-1]; d > 100_000 || d < -100_000 {
				changes++
			}
		}
		if changes > 0 {
			t.Errorf("%d changes in half a minute of calm: %v", changes, calm)
		}
		if got := st.Figures().RequestBytes; got < mib/2 || got > 2*mib+mib/4 {
			t.Errorf("shown: %d", got)
		}

		s.set(func() { s.perMiB = 2 * time.Second })
		time.Sleep(20 * time.Second)
		s.sizesSince()
		time.Sleep(20 * time.Second)
		within(t, "brown-out", s.sizesSince(), mib/4, mib/2+100_000)

		s.set(func() { s.perMiB = 100 * time.Millisecond })
		time.Sleep(15 * time.Second)
		s.sizesSince()
		time.Sleep(5 * time.Second)
		within(t, "well again", s.sizesSince(), 4*mib, 4*mib+100_000)
		for r.settledCount() < blocks*items {
			time.Sleep(time.Second)
		}
		stop()
		s.wantOnce(t, r, blocks*items)
		if n := s.parts; n != int(st.Figures().Requests) {
			t.Errorf("%d of %d requests had their blocks cut", int(st.Figures().Requests)-n, st.Figures().Requests)
		}
	})
}

// Where smaller requests are not answered sooner the size stays: less would be sent in all.
func TestSizeStaysWhereItIsNotTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks, items = 20000, 32
		r := supplied(blocks, items, 2000)
		s := &server{fixed: 1500 * time.Millisecond, perMiB: time.Millisecond, seen: map[uint64]int{}}
		stop := running(t, r, s, adaptive())
		time.Sleep(4 * time.Minute)
		sizes := s.sizesSince()
		stop()
		total := int64(0)
		for _, n := range sizes {
			total += n
		}
		// Two at a time, every 1.5 s: 320 requests of 4 MiB at the most.
		if most := int64(320 * 4 * mib); total < most*8/10 {
			t.Errorf("%d MiB in four minutes, of %d that were possible", total/mib, most/mib)
		}
	})
}

// A size that was refused is not sent again, until it is time to try a larger one; blocks above it are cut beforehand.
func TestSizeAfter413(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks, items = 2000, 32
		r := supplied(blocks, items, 2000)
		s := &server{fixed: 300 * time.Millisecond, perMiB: time.Millisecond, most: 700_000, seen: map[uint64]int{}}
		stop := running(t, r, s, adaptive())
		for r.settledCount() < blocks*items {
			time.Sleep(time.Second)
		}
		stop()
		s.wantOnce(t, r, blocks*items)
		// Two requests of 4 MiB under way at once; then half of it, and half again until it fits: 4, 4, 2, 2, 1, 1.
		if s.refused > 8 {
			t.Errorf("%d requests refused", s.refused)
		}
		within(t, "late", s.sizes[len(s.sizes)-20:len(s.sizes)-5], 400_000, 700_000)

		r = supplied(20, 32, 20_000) // blocks larger than what is taken
		s = &server{perMiB: time.Millisecond, most: 300_000, seen: map[uint64]int{}}
		stop = running(t, r, s, adaptive())
		for r.settledCount() < 20*items {
			time.Sleep(time.Second)
		}
		stop()
		s.wantOnce(t, r, 20*items)
		if s.refused > 12 {
			t.Errorf("%d requests refused of %d", s.refused, len(s.sizes))
		}
	})
}

// The memory of a 413 fades: a quarter more every ten minutes, and back to what is known to work where that is refused too.
func TestCeiling(t *testing.T) {
	now := time.Unix(0, 0)
	o := adaptive()
	o.setDefaults()
	var p pace
	p.init(&o)
	most := int64(mib)
	refused := 0
	// step sends a request of the size that is right and says how large that was.
	step := func() int64 {
		p.raise(now)
		began, size := now, p.size()
		now = now.Add(100 * time.Millisecond)
		if size > most {
			refused++
			p.refused(now, size)
		} else {
			p.answered(now, began, size, true, 0)
		}
		return size
	}
	hour := func() {
		for end := now.Add(time.Hour); now.Before(end); {
			step()
		}
	}
	hour()
	if refused > 10 || p.size() < most*7/10 {
		t.Errorf("%d refused in the first hour, size %d", refused, p.size())
	}
	refused = 0
	hour()
	if refused > 6 || p.size() < most*8/10 {
		t.Errorf("%d refused in the second hour, size %d", refused, p.size())
	}
	most = 100_000 // the bound is lowered
	refused = 0
	hour()
	if refused > 12 || p.size() < most/2 {
		t.Errorf("%d refused in the hour after, size %d", refused, p.size())
	}
	most = 1 << 40
	for range 6 {
		hour()
	}
	if p.size() != 4*mib || p.ceiling != 0 {
		t.Errorf("the bound is gone; size %d, ceiling %d", p.size(), p.ceiling)
	}
}

// Half of the size where a server has no room; it grows again afterwards.
func TestSizeWhenTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks, items = 3000, 32
		r := supplied(blocks, items, 2000)
		s := &server{fixed: 50 * time.Millisecond, perMiB: 10 * time.Millisecond, seen: map[uint64]int{}}
		st := &Stats{}
		o := adaptive()
		o.Stats = st
		stop := running(t, r, s, o)
		time.Sleep(2 * time.Second)
		s.set(func() { s.busy = true })
		time.Sleep(20 * time.Second)
		if got := st.Figures().RequestBytes; got > 2*mib { // once: then the stream itself waits
			t.Errorf("%d bytes where all is turned away", got)
		}
		s.set(func() { s.busy = false })
		time.Sleep(20 * time.Second)
		if got := st.Figures().RequestBytes; got != 4*mib {
			t.Errorf("%d bytes where there is room again", got)
		}
		for r.settledCount() < blocks*items {
			time.Sleep(time.Second)
		}
		stop()
		s.wantOnce(t, r, blocks*items)
	})
}

// More requests are in flight where the network takes the time, and only there.
func TestRequestsInFlight(t *testing.T) {
	f := func(fixed, perMiB time.Duration, silent bool, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			const blocks, items = 1000, 32
			r := supplied(blocks, items, 2000)
			s := &server{fixed: fixed, perMiB: perMiB, silent: silent, seen: map[uint64]int{}}
			o := adaptive()
			o.MostWorkers = 4
			stop := running(t, r, s, o)
			for r.settledCount() < blocks*items {
				time.Sleep(time.Second)
			}
			stop()
			s.wantOnce(t, r, blocks*items)
			if s.widest != want {
				t.Errorf("%v network and %v/MiB server (silent: %v): %d in flight, want %d", fixed, perMiB, silent, s.widest, want)
			}
		})
	}
	f(200*time.Millisecond, 5*time.Millisecond, false, 4)
	f(28*time.Millisecond, 10*time.Millisecond, false, 3)
	f(20*time.Millisecond, 100*time.Millisecond, false, 2)
	f(200*time.Millisecond, 5*time.Millisecond, true, 2)
}

// With a trickle of items requests are not spread over more places: they are better sent together.
func TestFewInFlightWithoutBacklog(t *testing.T) {
	o := adaptive()
	o.MostWorkers = 4
	o.setDefaults()
	var p pace
	p.init(&o)
	now := time.Unix(0, 0)
	for range 20 {
		p.answered(now.Add(200*time.Millisecond), now, mib, true, 5*time.Millisecond)
	}
	if p.slots != 4 {
		t.Fatalf("%d in flight", p.slots)
	}
	p.answered(now.Add(200*time.Millisecond), now, 1000, false, 5*time.Millisecond)
	if p.slots != 2 {
		t.Errorf("%d in flight without a backlog", p.slots)
	}
}

// partsOutput is an Output of a function called with the parts.
type partsOutput func(parts []Part) error

func (f partsOutput) Write(_ context.Context, b *Batch) error { return f(b.Parts) }
func (f partsOutput) Close() error                            { return nil }

// A block of which everything is wanted is forwarded as it lies, also where the output has a `when`, and beside a stream in
// trouble; only a block of which something is left out is put together anew.
func TestWholeBlocksAreForwarded(t *testing.T) {
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.add(buffer.Gzip, "wanted ", "linux.auth", 20)
	l.add(buffer.Gzip, "other ", "shop.order", 20)
	l.addMixed(buffer.Gzip, "mixed ", []string{"linux.auth", "shop.order"}, 20)
	l.add(buffer.Gzip, "late ", "linux.auth", 20)
	var got []string
	o := quick()
	o.Workers = 1
	o.Match = func(e *event.Event) bool { return e.Dataset == event.DatasetPrefix+"linux.auth" }
	st := once(t, l.reader("out"), partsOutput(func(parts []Part) error {
		for i := range parts {
			got = append(got, fmt.Sprintf("%v %d %v", parts[i].Codec, parts[i].Len(), parts[i].Typed != nil))
		}
		return nil
	}), o)
	if want := "gzip 20 true, raw 10 false, gzip 20 true"; strings.Join(got, ", ") != want {
		t.Errorf("parts %q, want %q", got, want)
	}
	if g := st.Figures(); g.Delivered != 50 || g.Filtered != 30 {
		t.Errorf("figures %+v", g)
	}
	l.wantAccounts("out", 50, 30, 0)
}
