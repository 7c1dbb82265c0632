// Package pipeline is what happens to a batch between an input and the log.
//
//	Submit: bytes in flight bounded -> sequence range reserved (the batch's place in the log)
//	          |
//	   workers, in parallel:  parse -> enrich (redaction last) -> encode -> compress      one block per batch
//	          |
//	   appended in the order of Submit -> Ticket
//
// What it promises: each line becomes exactly one event, whatever is in it; a line that no parser knows is kept whole with
// the tag parse-failure; nothing reaches the log before redaction; the block of a batch carries its positions. Everything
// that is read is appended, in flight, or counted as dropped by reason.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
)

// Log is the part of buffer.Log that the pipeline writes to.
type Log interface {
	Reserve(n int) (first uint64)
	Append(ctx context.Context, b *buffer.Block) (*buffer.Ticket, error)
}

// Options are how batches are treated; Parser, Enrichers and Encoder come from the config.
type Options struct {
	Log       Log
	Parser    func(envelope, name string) (parsers.Parser, error) // by what lines are wrapped in, and name or label
	Enrichers []enrich.Enricher
	Encoder   event.EncoderOptions
	Codec     buffer.Codec // of blocks from CompressFrom bytes on
	Workers   int          // default: one per processor
	InFlight  int64        // bytes of lines in flight, all inputs together; default 1 MiB
	PerInput  int64        // of one input; default half of InFlight
	// Failed is told, once, that a block could not be appended. Nothing is appended after it: positions of later blocks
	// would pass over it. The lines are read again at the next start.
	Failed func(error)
}

// CompressFrom is the size below which a block stays raw: compressing a few events costs more than it saves.
const CompressFrom = 4 << 10

// Counters are what went through since the start, in lines.
type Counters struct {
	Read, Appended, ParseFailures, Truncated atomic.Uint64
}

// Pipeline is the sink of all inputs. Close it after the inputs have ended.
type Pipeline struct {
	options  Options
	counters Counters
	all      *semaphore.Weighted
	jobs     chan *job
	workers  sync.WaitGroup

	mu       sync.Mutex // orders Reserve and jobs
	next     uint64
	perInput map[string]*semaphore.Weighted
	primed   map[string]*inputs.Source
	closed   bool

	own        sync.Mutex // guards what Event uses
	ownEncoder *event.Encoder
	ownEvent   Normalizer

	appendMu sync.Mutex // orders Append
	broken   error      // of the first block that could not be appended
	turn     uint64
	ready    map[uint64]*job
	ctx      context.Context
	cancel   context.CancelFunc
}

// job is one batch on its way.
type job struct {
	order  uint64
	first  uint64
	batch  *inputs.Batch
	parser parsers.Parser
	block  *buffer.Block
	ticket *buffer.Ticket
	err    error
	done   chan struct{} // closed when the block has been appended or refused
	free   func()
}

// New starts a pipeline.
func New(o Options) *Pipeline {
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.InFlight == 0 {
		o.InFlight = 1 << 20
	}
	if o.PerInput == 0 {
		o.PerInput = o.InFlight / 2
	}
	p := &Pipeline{
		options: o, all: semaphore.NewWeighted(o.InFlight), jobs: make(chan *job, o.Workers),
		perInput: map[string]*semaphore.Weighted{}, primed: map[string]*inputs.Source{}, ready: map[uint64]*job{},
		ownEncoder: event.NewEncoder(o.Encoder), ownEvent: Normalizer{Enrichers: o.Enrichers},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range o.Workers {
		p.workers.Add(1)
		go p.work()
	}
	return p
}

// Counters returns the live counters.
func (p *Pipeline) Counters() *Counters { return &p.counters }

// ErrClosed is returned by Submit after Close.
var ErrClosed = errors.New("pipeline is closed")

// Submit gives the batch its place in the log. It waits while too much is in flight, of all or of this input; those who wait
// are served in turn.
func (p *Pipeline) Submit(ctx context.Context, b *inputs.Batch) (inputs.Ticket, error) {
	parser, err := p.options.Parser(b.Source.Envelope, b.Source.Parser)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", b.Source.Input, err)
	}
	if b.Source.First != "" {
		p.prime(parser, b.Source)
	}
	own := p.input(b.Source.Input)
	size := min(max(int64(b.Size), 1), p.options.PerInput)
	if err := own.Acquire(ctx, size); err != nil {
		return nil, err
	}
	if err := p.all.Acquire(ctx, size); err != nil {
		own.Release(size)
		return nil, err
	}
	j := &job{batch: b, parser: parser, done: make(chan struct{}), free: func() { p.all.Release(size); own.Release(size) }}
	n := uint64(len(b.Lines))
	if err := p.enter(ctx, j, int(n)); err != nil {
		j.free()
		return nil, err
	}
	return j, nil
}

// Event appends one event that Gatebook itself makes: fill sets it. It may use the log's reserve and goes ahead of batches that
// wait for room, so that a full buffer does not hold it up.
func (p *Pipeline) Event(ctx context.Context, fill func(*event.Event)) (inputs.Ticket, error) {
	p.own.Lock()
	defer p.own.Unlock()
	b := buffer.NewSmallBlock()
	b.UseReserve = true
	b.First = p.options.Log.Reserve(1)
	if p.options.Encoder.Typed {
		b.Typed = event.AppendTypedHeader(b.Typed)
	}
	n := &p.ownEvent
	n.Event.Reset()
	fill(&n.Event)
	if n.Event.Kind == event.KindAlert {
		n.Event.Finish() // what it says of others was enriched and redacted before
	} else {
		n.finish()
	}
	appendEvent(b, p.ownEncoder, &n.Event)
	b.Count, b.RawSize = 1, len(b.Docs)
	p.counters.Read.Add(1)
	t, err := p.options.Log.Append(ctx, b)
	if err != nil {
		return nil, err
	}
	p.counters.Appended.Add(1)
	return t, nil
}

// enter reserves the sequence range and hands the job to the workers, in one order for all.
func (p *Pipeline) enter(ctx context.Context, j *job, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	j.order, j.first = p.next, p.options.Log.Reserve(n)
	select {
	case p.jobs <- j:
		p.next++
		p.counters.Read.Add(uint64(n))
		return nil
	case <-ctx.Done(): // the reserved range stays unused: gaps are legal
		return ctx.Err()
	}
}

// prime tells the parser the first line of a source, once.
func (p *Pipeline) prime(parser parsers.Parser, src *inputs.Source) {
	p.mu.Lock()
	told := p.primed[src.Key] == src
	if !told {
		if len(p.primed) > 1000 { // telling again does no harm
			clear(p.primed)
		}
		p.primed[src.Key] = src
	}
	p.mu.Unlock()
	if primer, ok := parser.(parsers.Primer); ok && !told {
		primer.Prime(src.Key, src.First)
	}
}

func (p *Pipeline) input(label string) *semaphore.Weighted {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.perInput[label]
	if s == nil {
		s = semaphore.NewWeighted(p.options.PerInput)
		p.perInput[label] = s
	}
	return s
}

// Wait returns when the batch's block has been fsynced.
func (j *job) Wait(ctx context.Context) error {
	select {
	case <-j.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if j.err != nil {
		return j.err
	}
	return j.ticket.Wait(ctx)
}

// Close lets everything that was submitted reach the log and ends the workers. Where the log is full it waits until ctx ends;
// what is then still in flight was never acknowledged and is read again at the next start.
func (p *Pipeline) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.workers.Wait(); close(done) }()
	select {
	case <-done:
		p.cancel()
		return nil
	case <-ctx.Done():
		p.cancel()
		<-done
		return fmt.Errorf("drain: %w", ctx.Err())
	}
}

// append hands finished blocks to the log in the order of Submit. Whoever finishes the next one in turn appends it and all
// that wait behind it.
func (p *Pipeline) append(j *job) {
	p.appendMu.Lock()
	defer p.appendMu.Unlock()
	p.ready[j.order] = j
	for {
		j := p.ready[p.turn]
		if j == nil {
			return
		}
		delete(p.ready, p.turn)
		p.turn++
		p.appendOne(j)
		j.free()
		close(j.done)
	}
}

func (p *Pipeline) appendOne(j *job) {
	b := j.block
	j.block = nil
	if p.broken != nil {
		j.err = p.broken
		b.Release()
		return
	}
	n := uint64(b.Count)
	if j.ticket, j.err = p.options.Log.Append(p.ctx, b); j.err == nil {
		p.counters.Appended.Add(n)
		return
	}
	p.broken = fmt.Errorf("append to the buffer: %w", j.err)
	if p.ctx.Err() == nil && p.options.Failed != nil {
		p.options.Failed(p.broken)
	}
}
