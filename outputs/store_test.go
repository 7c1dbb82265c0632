package outputs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/internal/fsx"
	"github.com/gatebook/gatebook/store"
)

// Each record is in the store once, however often the power of the log's disk goes.
func TestStoreExactlyOnceThroughCrashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	dir, mem, total := t.TempDir(), fsx.NewMem(), 0
	o := Options{Label: "s", CommitEvery: 2 * time.Millisecond, Logger: quiet(), RetryFirst: time.Millisecond,
		Params: Params{Workers: 1, Idempotent: true, BatchBytes: 3000}}
	run := func(l *testLog, f func(Reader, Output)) {
		out := &storeOutput{options: store.Options{Dir: dir}, log: quiet()}
		f(l.reader("s"), out)
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		l.Close()
	}
	for round := range 5 {
		l := openLogFS(t, mem, "/log", fmt.Sprintf("%032d", round))
		for i := range 10 {
			l.add(buffer.Codec(rng.IntN(3)), fmt.Sprintf("%d.%d.", round, i), "linux.auth", 1+rng.IntN(20))
		}
		total += l.total
		run(l, func(r Reader, out Output) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- Run(ctx, r, out, o) }()
			timer := time.NewTimer(time.Duration(rng.IntN(60)) * time.Millisecond)
			<-timer.C
			mem = mem.Cut(rng)
			cancel()
			<-done
		})
	}
	l := openLogFS(t, mem, "/log", epochB)
	run(l, func(r Reader, out Output) {
		once(t, r, out, o)
		have := map[string]int{}
		for doc, err := range StoreOf(out).Query(context.Background(), nil, store.QueryOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			have[message(doc)]++
		}
		wantAll(t, have, total)
	})
}
