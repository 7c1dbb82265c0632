package outputs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/internal/fsx"
)

// misbehave lets a fake server fail in every way there is, without ever lying about what it did.
func misbehave(f *fakeES, rng *rand.Rand) {
	rng = rand.New(rand.NewPCG(rng.Uint64(), 0)) // the server's own: it runs beside the test
	f.before = func(_, items int) int {
		switch rng.IntN(12) {
		case 0:
			return 429
		case 1:
			return 503
		case 2:
			if items > 1 { // alone it would be refused for good
				return 413
			}
		}
		return 0
	}
	f.item = func(string, string, []byte) int {
		switch rng.IntN(60) {
		case 0:
			return 429
		case 1:
			return 503
		}
		return 0
	}
	after := rand.New(rand.NewPCG(rng.Uint64(), 1))
	f.after = func(_ int, answer []byte) []byte {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch after.IntN(8) {
		case 0:
			return nil // cut, after it was done
		case 1:
			return answer[:len(answer)/2]
		case 2:
			return []byte(`{"errors":false,"items":[]}`)
		}
		return answer
	}
}

func (f *fakeES) behave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.item, f.after, f.rollEvery = nil, nil, nil, 0
}

// rollover rolls over the streams whose write index the output knows of, by what is stored with the cursor: that no two
// rollovers come between two commits is what the promise rests on (docs/outputs.md).
func (f *fakeES) rollover(known string) {
	var s elasticState
	s.init()
	s.parse(known)
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, st := range f.streams {
		if slices.Contains(s.backing([]byte(name)), st.writeIndex(name)) {
			st.generation++
		}
	}
}

// Whatever the server does and whenever the power goes, each record is there once in the end: through 429, 503, 413, cuts
// before and after, half answers, answers of the wrong length, rollovers and restarts.
func TestExactlyOnceThroughCrashes(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(seed), 7))
			f := newFakeES(t)
			mem := fsx.NewMem()
			total := 0
			o := Options{Label: "es", RetryFirst: time.Millisecond, RetryMost: 5 * time.Millisecond, CommitEvery: 3 * time.Millisecond,
				LeaseAhead: uint64(1 + rng.IntN(300)), StreamOutstanding: 50, Drain: time.Millisecond, Logger: quiet(),
				Params: Params{Workers: 1 + rng.IntN(4), BatchBytes: int64(1000 + rng.IntN(100_000))}}
			for round := range 6 {
				l := openLogFS(t, mem, "/log", fmt.Sprintf("%032d", round))
				for i := range 15 {
					l.add(buffer.Codec(rng.IntN(3)), fmt.Sprintf("%d.%d.", round, i), []string{"linux.auth", "alert", "x"}[rng.IntN(3)], 1+rng.IntN(20))
				}
				total += l.total
				f.mu.Lock()
				misbehave(f, rng)
				f.mu.Unlock()
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				r := l.reader("es")
				if rng.IntN(2) == 0 {
					f.rollover(r.Meta(metaState))
				}
				out := f.output(rng.IntN(2) == 0)
				go func() { done <- Run(ctx, r, out, o) }()
				timer := time.NewTimer(time.Duration(rng.IntN(40)) * time.Millisecond)
				<-timer.C
				f.mu.Lock()
				mem = mem.Cut(rng)
				f.mu.Unlock()
				cancel()
				<-done
				l.Close()
			}
			f.behave()
			l := openLogFS(t, mem, "/log", epochB)
			once(t, l.reader("es"), f.output(true), o)
			wantAll(t, f.count(), total)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
