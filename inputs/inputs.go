// Package inputs brings lines in: one file per kind of input, one line in Registry.
//
//	file, syslog, bulk ... -> Batch (lines and the position after them) -> Sink -> the log
//
// An input knows no parser and no event. What it promises: every line is submitted once, in the order of its source, with
// the position that a restart goes on from.
package inputs

import (
	"context"
	"sync"
	"time"
)

// Sink takes batches. It is safe for concurrent use.
type Sink interface {
	// Submit returns once the batch has its place in the log; it waits while the log is full (backpressure) and gives up
	// only when ctx ends. The batch belongs to the sink from then on, also on error.
	Submit(ctx context.Context, b *Batch) (Ticket, error)
}

// Ticket stands for the durability of a batch.
type Ticket interface {
	// Wait returns nil after the checked fsync of the block that holds the batch. A file need not wait: its block carries
	// its position. Senders that want an acknowledgement do.
	Wait(ctx context.Context) error
}

// Batch is some lines of one source, in order, with the positions reached after them.
type Batch struct {
	Source    *Source
	Received  time.Time
	Lines     []Line
	Positions []Position
	Size      int // bytes of memory that the lines take, for the bounds on what is in flight
}

// Line is one raw line.
type Line struct {
	Text      string
	Offset    int64  // byte offset of its beginning in the source's stream
	Truncated bool   // it was longer than the limit and is cut
	ID        string // that the sender gave it, with the name of the sender's key before it; "" where the log gives one
}

// Position is how far a source has been read: opaque to all but the input.
type Position struct {
	Key   string // input and source
	Value []byte
}

// Source is where lines come from. It does not change once a batch has been submitted with it.
type Source struct {
	Input  string // label of the input
	Key    string // stable within the input: a file's identity, a sender's address
	Path   string // file, where it is one
	Parser string // parser's name or label as configured
	Realm  string // realm of user keys, where the config names one
	Host   string // host.name of lines that name none
	// Sender is the socket's or the certificate's own statement, never a claim.
	SenderIP   string
	SenderPort int
	SenderName string
	Labels     []Label // fixed attributes from the config
	// Envelope is what each line is wrapped in, by its name in parsers.Envelopes: "syslog", "journald", "ecs"; "" is nothing.
	Envelope string
	// Trusted says that the sender is another Gatebook: alerts, rule.* and gatebook.* in its documents hold.
	Trusted bool
	// Datasets and Hosts are the patterns (path.Match) that event.dataset, in its short form, and host.name of its events are
	// limited to; empty is any. What does not fit is kept as unparsed, with the reason.
	Datasets, Hosts []string
	// First is the first line of a file whose reading goes on in the middle: a header row, maybe.
	First string
}

// Label is a fixed attribute.
type Label struct{ Key, Value string }

// Input brings lines in until its context ends. It is run once.
type Input interface {
	// Run returns nil when ctx ended or, with Once, when everything there was has been submitted; any other error ends the
	// agent. What is wrong with one source (unreadable file) is reported and retried, not returned.
	Run(ctx context.Context, sink Sink) error
}

// refreshEvery is how often the positions of sources that are still there are submitted again. The log forgets positions of sources
// that are not heard of for 30 days; one that is merely silent is not one of them.
const refreshEvery = 24 * time.Hour

// refresh submits positions once a day until ctx ends or they are not taken: then the sink is closing, and the next start goes on from
// the positions in the log.
func refresh(ctx context.Context, submit func() error) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if submit() != nil {
			return
		}
	}
}

var batches = sync.Pool{New: func() any { return new(Batch) }}

// NewBatch returns an empty batch, possibly with memory of an earlier one.
func NewBatch() *Batch { return batches.Get().(*Batch) }

// Release gives the batch's memory back; only the sink calls it, when nothing refers to the batch any more.
func (b *Batch) Release() {
	clear(b.Lines)
	clear(b.Positions)
	*b = Batch{Lines: b.Lines[:0], Positions: b.Positions[:0]}
	batches.Put(b)
}
