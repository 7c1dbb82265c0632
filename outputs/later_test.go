package outputs

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// patient is an output that puts items off.
type patient struct {
	mu     sync.Mutex
	until  time.Duration
	begun  time.Time
	writes int
	early  int // items that came before their time
	taken  int
}

func (o *patient) Write(_ context.Context, b *Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	now := time.Now()
	if o.writes == 1 {
		o.begun = now
	} else if !b.Final && now.Before(o.begun.Add(o.until)) {
		o.early++
	}
	if b.Final || o.writes > 1 && !now.Before(o.begun.Add(o.until)) {
		o.taken += b.Len
		return nil
	}
	e := &PartialError{}
	for i := range b.Len {
		e.Items = append(e.Items, ItemError{Index: i, Verdict: Later, Until: o.begun.Add(o.until)})
	}
	return e
}

func (o *patient) Close() error { return nil }

func (o *patient) figures() (writes, early, taken int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writes, o.early, o.taken
}

// What is put off comes again when it said, together, is in no trouble meanwhile, and is kept over a restart.
func TestLater(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, epochA)
	l.add(0, "m", "linux.auth", 5)
	run := func(out Output, o Options, until func() bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		r := l.reader("p")
		go func() { done <- Run(ctx, r, out, o) }()
		testkit.Eventually(t, 20*time.Second, until)
		if f := o.Stats.Figures(); f.LastProblem != nil || f.Retried != 0 {
			t.Errorf("figures %+v", f)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	out, o := &patient{until: time.Hour}, fastOptions(Params{Workers: 1, Idempotent: true})
	o.Stats = &Stats{}
	run(out, o, func() bool { return o.Stats.Figures().Outstanding == 5 && o.Stats.Figures().InFlight == 0 })
	l.Close()

	l = openLog(t, dir, epochB)
	defer l.Close()
	out, o.Stats = &patient{until: 300 * time.Millisecond}, &Stats{}
	run(out, o, func() bool { _, _, taken := out.figures(); return taken == 5 && o.Stats.Figures().Outstanding == 0 })
	if writes, early, _ := out.figures(); writes != 2 || early != 0 {
		t.Errorf("%d writes, %d early", writes, early)
	}
	l.wantAccounts("p", 5, 0, 0)
}

// When nothing more will come nothing is put off any longer.
func TestLaterAtTheEnd(t *testing.T) {
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.add(0, "m", "linux.auth", 5)
	end := make(chan struct{})
	out, o := &patient{until: time.Hour}, fastOptions(Params{Workers: 1, Idempotent: true})
	o.End, o.Stats = end, &Stats{}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	r := l.reader("p")
	go func() { done <- Run(ctx, r, out, o) }()
	testkit.Eventually(t, 20*time.Second, func() bool { return o.Stats.Figures().Outstanding == 5 })
	close(end)
	if err := <-done; err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	if _, _, taken := out.figures(); taken != 5 {
		t.Errorf("%d taken", taken)
	}
	l.wantAccounts("p", 5, 0, 0)
}
