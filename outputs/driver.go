package outputs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatebook/gatebook/buffer"
)

// Reader is what the driver needs of *buffer.Reader. Next and TryNext are called by one goroutine at a time.
type Reader interface {
	Next(ctx context.Context) (*buffer.Block, error)
	TryNext() (*buffer.Block, bool, error)
	Settle(b *buffer.Block, outstanding []uint64)
	SettleItems(seqs ...uint64)
	Outstanding() []uint64
	Item(seq uint64) ([]byte, error)
	Lease(upTo uint64) error
	Unknown(seq uint64) bool
	Meta(key string) string
	SetMeta(key, value string) error
	Commit() error
	Count(delivered, filtered, deadLettered int)
}

// metaState is where a Checkpointer's state is stored with the cursor.
const metaState = "output"

// driver is the state of one Run. Only the goroutine of Run touches it, the fetcher and the writes aside.
type driver struct {
	r     Reader
	out   Output
	o     Options
	st    *Stats
	cp    Checkpointer
	exact bool // what Settle says must agree with the Checkpointer's state to the item

	wctx    context.Context // of Writes: outlives Run's by Options.Drain
	results chan result
	want    chan struct{} // asks the fetcher for blocks
	groups  chan []*buffer.Block

	live    int  // jobs that hold a slot, running or waiting
	probes  int  // running jobs of troubled streams: they have a slot of their own
	running int  // Writes
	wanted  bool // the fetcher was asked and has not answered
	ended   bool // the fetcher is gone: nothing more will be appended
	started bool // Starter.Start has returned nil, or there is none

	retry   []*job
	streams map[string]*stream
	parked  []*buffer.Block // admitted when a full stream has room again
	gate    gate
	pace    pace
	press   int // requests in a row whose items were mostly turned away
	pause   time.Time

	leased   uint64
	ahead    uint64    // how far beyond what is sent the last lease went
	leasedAt time.Time // when
	settling []*flight // settled with the next commit, where exact
	dirty    int       // items settled since the last commit
	must     bool      // nothing is sent before the next commit has worked
	bytes    int64     // of the blocks in settling
	commitAt time.Time
	trouble  troubles
}

// job is a batch on its way, until everything in it is settled or has become outstanding.
type job struct {
	batch    *Batch
	items    []*waiting // of outstanding items, by index of the batch; nil for blocks
	probe    *stream
	attempts int
	due      time.Time
	began    time.Time // the last attempt
	full     bool      // there was more to send
}

type result struct {
	job   *job
	err   error
	start bool // of Starter.Start: nothing of the job was sent
}

// flight is a block between fetch and settlement.
type flight struct {
	block                     *buffer.Block
	left                      int // items of which nothing is known yet
	outstanding               []uint64
	delivered, filtered, dead int
	settled                   bool
}

// Run reads the log and writes it to the output until ctx ends, the reader is closed or, with Options.End, all of it is
// settled. It returns nil then, with the cursor committed. Run does not close the output.
func Run(ctx context.Context, r Reader, out Output, o Options) error {
	o.setDefaults()
	wctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d := &driver{
		r: r, out: out, o: o, st: o.Stats, wctx: wctx, results: make(chan result, o.MostWorkers+4), want: make(chan struct{}, 1),
		groups: make(chan []*buffer.Block), streams: map[string]*stream{}, commitAt: time.Now().Add(o.CommitEvery),
	}
	d.trouble.init(o)
	d.pace.init(&o)
	d.cp, _ = out.(Checkpointer)
	d.exact = d.cp != nil && o.Workers == 1
	if err := d.restore(); err != nil {
		return fmt.Errorf("output %s: %w", o.Label, err)
	}
	fctx, stopFetch := context.WithCancel(ctx)
	fetched := make(chan struct{})
	go func() { defer close(fetched); d.fetch(fctx) }()
	if _, ok := out.(Starter); ok {
		d.retry = append(d.retry, &job{batch: &Batch{}}) // of no items: it stands for Start
	} else {
		d.started = true
	}
	err := d.loop(ctx)
	stopFetch()
	d.finish(cancel)
	<-fetched
	d.drop()
	if cerr := d.commit(); cerr != nil && err == nil && !errors.Is(cerr, buffer.ErrClosed) {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("output %s: %w", o.Label, err)
	}
	return nil
}

func (d *driver) restore() error {
	if d.cp != nil {
		if err := d.cp.Restore(d.r.Meta(metaState)); err != nil {
			return err
		}
	}
	for _, seq := range d.r.Outstanding() {
		item, err := d.r.Item(seq)
		if err != nil {
			return err
		}
		w := &waiting{seq: seq, data: item, unknown: d.r.Unknown(seq)}
		d.stream(string(StreamOf(item))).add(w)
		d.st.outstanding.Add(1)
	}
	return nil
}

// loop is the heart: it gives work out, takes results in, and sleeps until one or the other is possible.
func (d *driver) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if d.commitDue(now) {
			if err := d.commit(); errors.Is(err, buffer.ErrClosed) {
				return nil
			}
		}
		if err := d.dispatch(now); err != nil {
			return err
		}
		if d.finished() {
			return nil
		}
		timer.Reset(time.Until(d.wakeAt(now)))
		select {
		case <-ctx.Done():
			return nil
		case g, ok := <-d.groups:
			d.wanted = false
			if !ok {
				d.ended = true
				if d.o.End == nil {
					return nil // the reader is closed
				}
				d.hurry(time.Now())
				continue
			}
			d.parked = append(d.parked, g...)
		case res := <-d.results:
			d.take(res)
		case <-timer.C:
		}
	}
}

// dispatch starts what can be started now.
func (d *driver) dispatch(now time.Time) error {
	if d.must || !d.started && d.running > 0 {
		return nil
	}
	d.pace.raise(now)
	for d.gate.open(now, d.running) {
		j := d.nextJob(now)
		if j == nil {
			break
		}
		if most := d.pace.largest(); most > 0 && j.batch.Size > most && j.batch.Len > 1 && d.halve(j) {
			continue
		}
		if err := d.start(j); err != nil {
			return err
		}
		if d.gate.closed || !d.started {
			break // one at a time, to see whether it works
		}
	}
	if d.gate.closed || !d.started && d.running > 0 || len(d.parked) > 0 || d.wanted || d.live >= d.pace.slots || now.Before(d.pause) {
		return nil
	}
	if !d.ended {
		d.wanted = true
		d.want <- struct{}{}
		return nil
	}
	// The fetcher is gone: what it could not see while too much was outstanding is fetched here.
	b, ok, err := d.r.TryNext()
	if err != nil && !errors.Is(err, buffer.ErrClosed) {
		return err
	}
	if ok {
		d.parked = append(d.parked, b)
		return d.dispatch(now)
	}
	return nil
}

// nextJob picks what is to be sent next: what has waited longest comes first.
func (d *driver) nextJob(now time.Time) *job {
	for i, j := range d.retry {
		if !j.due.After(now) && (j.attempts > 0 || d.live < d.pace.slots) {
			d.retry = slices.Delete(d.retry, i, i+1)
			return j
		}
	}
	if d.live < d.pace.slots {
		if j := d.dueItems(now); j != nil {
			return j
		}
	}
	if d.probes == 0 {
		if j := d.dueProbe(now); j != nil {
			return j
		}
	}
	if d.live < d.pace.slots && !now.Before(d.pause) {
		return d.admit()
	}
	return nil
}

// start runs a job's Write in a goroutine of its own.
func (d *driver) start(j *job) error {
	if !d.o.Idempotent {
		if err := d.lease(j.batch); err != nil {
			return err
		}
	}
	d.running++
	if d.gate.closed {
		d.gate.probing = true
	}
	if j.attempts == 0 {
		if j.probe != nil {
			d.probes++
		} else {
			d.live++
		}
	}
	j.attempts++
	j.began, j.batch.Final = time.Now(), d.ended
	d.st.inFlight.Add(int64(j.batch.Len))
	d.st.requests.Add(1)
	go func() {
		if starter, ok := d.out.(Starter); ok && j.batch.Len == 0 {
			d.results <- result{j, starter.Start(d.wctx), true}
			return
		}
		d.results <- result{j, d.out.Write(d.wctx, j.batch), false}
	}()
	return nil
}

// lease makes durable that the batch's items may be sent.
func (d *driver) lease(b *Batch) error {
	top := uint64(0)
	for k := range b.Parts {
		p := &b.Parts[k]
		top = max(top, p.Seq(p.Len()-1)+1)
	}
	if top <= d.leased {
		return nil
	}
	now := time.Now()
	d.ahead = leaseAhead(d.ahead, now.Sub(d.leasedAt), d.o.LeaseAhead)
	if err := d.r.Lease(top + d.ahead); err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	d.leased, d.leasedAt = top+d.ahead, now
	return nil
}

// A lease should last so long that its fsync does not matter, and be so short that a crash leaves little in doubt.
const (
	leaseLasts = 2 * time.Second
	leaseLeast = 4096
)

// leaseAhead is how many items the next lease reaches beyond what is sent now, the last one having lasted so long.
func leaseAhead(last uint64, lasted time.Duration, most uint64) uint64 {
	switch {
	case last == 0:
		return min(leaseLeast, most)
	case lasted < leaseLasts:
		return min(2*last, most)
	case lasted > 4*leaseLasts:
		return min(max(last/2, leaseLeast), most)
	}
	return last
}

// finished tells, with Options.End, whether all there is has been dealt with.
func (d *driver) finished() bool {
	if !d.ended || d.o.End == nil || d.running > 0 || len(d.retry) > 0 || len(d.parked) > 0 {
		return false
	}
	for _, s := range d.streams {
		if s.n > 0 {
			return false
		}
	}
	return true
}

func (d *driver) commitDue(now time.Time) bool {
	if d.dirty == 0 && !d.must {
		return false
	}
	if d.exact && !d.must && (d.dirty >= d.o.CommitItems || d.bytes >= maxSettling) {
		d.must, d.commitAt = true, now // or what waits for it would grow without bound
	}
	return d.dirty >= d.o.CommitItems && !d.must || !now.Before(d.commitAt)
}

// maxSettling bounds the blocks that are kept until the next commit.
const maxSettling = 16 << 20

// commit makes the cursor durable, with the output's state.
func (d *driver) commit() error {
	if d.exact && d.running > 0 {
		return nil // comes again after the result
	}
	for {
		err := d.commitOnce()
		d.commitAt = time.Now().Add(d.o.CommitEvery)
		if err != nil {
			d.trouble.set("commit", &Problem{Text: err.Error(), Remedy: "free space on the disk of data_dir, or check it"})
			return err
		}
		d.trouble.clear("commit")
		d.dirty, d.bytes, d.must = 0, 0, false
		if d.cp == nil {
			return nil
		}
		again, err := d.cp.Committed()
		if err != nil {
			return err
		}
		if !again {
			return nil
		}
		d.must = true
	}
}

func (d *driver) commitOnce() error {
	if d.cp != nil {
		state, err := d.cp.Checkpoint()
		if err != nil {
			return err
		}
		if err := d.r.SetMeta(metaState, state); err != nil {
			return err
		}
	}
	for _, f := range d.settling {
		d.settle(f)
	}
	d.settling = d.settling[:0]
	return d.r.Commit()
}

// settle tells the log that a block is dealt with, and gives it free.
func (d *driver) settle(f *flight) {
	f.settled = true
	d.r.Settle(f.block, f.outstanding)
	d.r.Count(f.delivered, f.filtered, f.dead)
	f.block.Release()
	f.block = nil
}

// wakeAt is when there is something to do even if nothing comes in.
func (d *driver) wakeAt(now time.Time) time.Time {
	at := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if (d.dirty > 0 || d.must) && (!d.exact || d.running == 0) {
		sooner(d.commitAt)
	}
	if d.must || !d.started && d.running > 0 {
		return at
	}
	if d.gate.closed {
		if !d.gate.probing && d.running == 0 {
			sooner(later(d.gate.until, now.Add(10*time.Millisecond)))
		}
		return at
	}
	if d.pause.After(now) {
		sooner(d.pause)
	}
	for _, j := range d.retry {
		if j.attempts > 0 || d.live < d.pace.slots { // it has a slot, or there is one
			sooner(j.due)
		}
	}
	for _, s := range d.streams {
		if t, ok := s.nextDue(); ok && (!s.troubled || d.probes == 0) && (s.troubled || d.live < d.pace.slots) {
			sooner(t)
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// finish waits for the requests in flight, at most Drain, and then ends them.
func (d *driver) finish(cancel context.CancelFunc) {
	timer := time.NewTimer(d.o.Drain)
	defer timer.Stop()
	for d.running > 0 {
		select {
		case res := <-d.results:
			d.take(res)
		case <-timer.C:
			cancel()
		}
	}
}

// drop gives free what will be read again at the next start.
func (d *driver) drop() {
	for _, b := range d.parked {
		b.Release()
	}
	d.parked = nil
	seen := map[*flight]bool{}
	for _, j := range d.retry {
		for k := range j.batch.Parts {
			if f := j.batch.Parts[k].from; f != nil && !f.settled && !seen[f] {
				seen[f] = true
				f.block.Release()
			}
		}
	}
	d.retry = nil
}

// backoff is the wait after so many attempts: doubled from the first to the most, and a quarter up or down so that many
// agents do not come back in one moment.
func (o *Options) backoff(attempts int) time.Duration {
	return jitter(o.RetryFirst, o.RetryMost, attempts)
}

// holdOff is backoff where a person has to act first: some services lock an account that knocks too often.
func (o *Options) holdOff(attempts int) time.Duration {
	return jitter(10*o.RetryFirst, 2*o.RetryMost, attempts)
}

func jitter(first, most time.Duration, attempts int) time.Duration {
	d := most
	if n := attempts - 1; n < 8 {
		d = min(most, first<<max(n, 0))
	}
	return d*3/4 + time.Duration(rand.Int64N(int64(d)/2))
}
