// Package outputs takes what is in the log to where it is wanted: Elasticsearch, the embedded store, files.
//
// An Output sends one batch and says what became of it; everything that takes patience is done here, once, for all of them:
//
//	log -> Reader -> fetch -> admit (when, deferred streams) -> job -> Output.Write   one goroutine per request in flight
//	         ^                                                   ^            |
//	         |                                                   |            v
//	         |  Settle, SettleItems, Commit                      +--- wait --- results: taken, again, refused for good
//	         +--------------------------------------------------------------------+              |
//	                                                                                     dead letters (kept, then told)
//
// It promises: every item of the log is taken once by an output that tells of each item what became of it, is filtered, or
// is in the dead letters; a cursor never passes an item before that; one stream or one item that is refused stops nothing
// else (docs/outputs.md has the bounds); a person who looks at the log of this program sees each trouble once, with its
// remedy, and once that it is over.
package outputs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Output takes batches. Write may be called from several goroutines at once, up to Params.Workers; Close is called when no
// Write is running.
type Output interface {
	// Write sends a batch and returns when it is known what became of it: nil means that all items are taken, a
	// *PartialError that all are except those it names, a *RequestError that none is (or that nobody knows). Any other error
	// counts as a RequestError of unknown outcome. The batch and its bytes must not be kept.
	Write(ctx context.Context, b *Batch) error
	Close() error
}

// Checkpointer is an Output with state that has to agree with the cursor. The state is a short text, stored in the same
// step as the cursor.
type Checkpointer interface {
	// Restore is called once before the first Write, with "" where nothing was stored.
	Restore(state string) error
	// Checkpoint returns the state to store. Where Params.Workers is 1 no Write is running meanwhile.
	Checkpoint() (string, error)
	// Urgent asks for a commit before anything else is written.
	Urgent() bool
	// Committed is called after state and cursor are durable; true asks for another commit at once.
	Committed() (again bool, err error)
}

// Starter is an Output with something to do before the first Write, such as installing templates. Its errors are treated as
// those of Write, and it is called again until it returns nil.
type Starter interface {
	Start(ctx context.Context) error
}

// Verdict says what is to be done with an item that was not taken.
type Verdict uint8

// The verdicts.
const (
	Again     Verdict = iota // send it again later
	AgainSoon                // send it again at once: what stood in the way is out of it
	Refuse                   // never send it again: dead letter
	Later                    // nothing is wrong with it: it comes again at ItemError.Until, kept beside the cursor
)

// ItemError is an item that was not taken.
type ItemError struct {
	Index   int // within the batch
	Verdict Verdict
	Unknown bool // it may have been taken all the same
	Stream  string
	ID      string
	Status  int
	Type    string
	Reason  string
	Remedy  string    // set where a person has to act
	Until   time.Time // with Later
}

// PartialError names the items of a batch that were not taken, by index, ascending.
type PartialError struct {
	Host  string
	Items []ItemError
}

func (e *PartialError) Error() string {
	if len(e.Items) == 0 {
		return "no item refused"
	}
	i := &e.Items[0]
	return fmt.Sprintf("%d items not taken, the first: status %d: %s: %s", len(e.Items), i.Status, i.Type, i.Reason)
}

// RequestError is a batch of which nothing is known to be taken.
type RequestError struct {
	Host     string // without credentials
	Status   int
	Unknown  bool // some or all of it may have been taken
	Hold     bool // it is of no use to try often: a person has to act
	TooLarge bool // a smaller batch may be taken
	// Elsewhere says that another host is there, to which the next attempt goes: there is no need to wait.
	Elsewhere bool
	Suspect   bool // the server objects to the request as a whole; one item may be the cause
	Remedy    string
	Err       error
}

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// Env is what outputs get from the agent.
type Env struct {
	DataDir   string
	Namespace string
	Version   string // of this program
	Logger    *slog.Logger
	// Compile turns a `when` into a match function; errors are noted where the expression stands. The event is valid during
	// the call only.
	Compile func(body *conf.Body, expr hcl.Expression) func(*event.Event) bool
	// Stdout is where path = "-" writes; nil is os.Stdout.
	Stdout interface{ Write([]byte) (int, error) }
	// Tell appends one event to the log; fill sets what is ours of it, the dataset too. It must not wait for an output. nil
	// tells nobody.
	Tell func(ctx context.Context, fill func(*event.Event)) error
}

// Params are what every output block may say, and what the output itself needs of the driver.
type Params struct {
	Match    func(*event.Event) bool // nil: all; what a Maker sets here is asked before `when`
	Required bool
	MaxLag   int64 // bytes; 0 where Required

	Workers    int   // requests in flight
	BatchBytes int64 // of one request, before compression
	BatchItems int
	// Latency is what an answer may take: requests become smaller, down from BatchBytes, where it takes longer. 0: their size
	// does not adapt.
	Latency time.Duration
	// MostWorkers is how many requests may be in flight where the network has them longer than the server; 0: Workers.
	MostWorkers int
	// Events asks for whole blocks with their typed index (Part.Typed).
	Typed bool
	// Idempotent says that what becomes of a batch is never in doubt, even after a crash: no lease is needed.
	Idempotent bool
}

// Maker checks a block of the config and makes the output. It notes errors at the body, returning nil then; it opens
// nothing that could fail for another reason than the config.
type Maker func(label string, body *conf.Body, env Env) (Output, Params)

// Registry holds the kinds of outputs.
var Registry = map[string]Maker{
	"elasticsearch": newElasticsearch,
	"email":         newEmail,
	"file":          newFile,
	"store":         newStore,
	"webhook":       newWebhook,
}

// New makes the output of a config block `output "kind" "label" { ... }`. Errors are noted in the block's file.
func New(kind, label string, body *conf.Body, env Env) (Output, Params) {
	if env.Logger == nil {
		env.Logger = slog.Default()
	}
	mk := Registry[kind]
	if mk == nil {
		body.Errorf("", "no output of kind %q", kind)
		return nil, Params{}
	}
	out, p := mk(label, body, env)
	if e := body.Expr("when"); e != nil && env.Compile != nil {
		p.Match = both(p.Match, env.Compile(body, e))
	}
	p.Required = body.Bool("required", !body.Has("max_lag"))
	p.MaxLag = body.Size("max_lag", 0, 1<<20, 0)
	switch {
	case p.Required && p.MaxLag > 0:
		body.Errorf("max_lag", "an output with max_lag skips what is older: it is not required; leave out one of them")
	case !p.Required && p.MaxLag == 0:
		body.Errorf("required", `required = false wants max_lag = "1GiB" or another size, past which the output skips`)
	}
	body.Close()
	return out, p
}

// both asks a, then b; either may be nil.
func both(a, b func(*event.Event) bool) func(*event.Event) bool {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return func(e *event.Event) bool { return a(e) && b(e) }
}

// Options are for Run.
type Options struct {
	Kind, Label string
	Params
	Logger *slog.Logger
	Stats  *Stats // filled as it goes; may be nil
	// DeadLetters keeps what is refused for good; nil counts it only.
	DeadLetters *DeadLetters
	// End, if not nil, is closed when nothing more will be appended: Run then returns once all is settled.
	End <-chan struct{}

	Drain       time.Duration // how long after the end of ctx requests in flight may take; 0 is 10 s
	CommitEvery time.Duration // 0 is 1 s
	CommitItems int           // 0 is 100,000
	LeaseAhead  uint64        // most items that a lease reaches ahead; 0 is 131,072
	RetryFirst  time.Duration // wait after the first failure, doubled with each; 0 is 500 ms
	RetryMost   time.Duration // 0 is 30 s
	// StreamOutstanding is how many items of one stream may wait while others go on; 0 is a quarter of MaxOutstanding.
	StreamOutstanding int
}

// MaxOutstanding is what the driver needs of buffer.ReaderOptions.
const MaxOutstanding = 16384

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	if o.Workers <= 0 {
		o.Workers = 1
	}
	o.MostWorkers = max(o.MostWorkers, o.Workers)
	if o.BatchBytes <= 0 {
		o.BatchBytes = 2 << 20
	}
	if o.BatchItems <= 0 {
		o.BatchItems = 10000
	}
	if o.Drain <= 0 {
		o.Drain = 10 * time.Second
	}
	if o.CommitEvery <= 0 {
		o.CommitEvery = time.Second
	}
	if o.CommitItems <= 0 {
		o.CommitItems = 100_000
	}
	if o.RetryFirst <= 0 {
		o.RetryFirst = 500 * time.Millisecond
	}
	if o.RetryMost <= 0 {
		o.RetryMost = 30 * time.Second
	}
	if o.LeaseAhead == 0 {
		o.LeaseAhead = 1 << 17
	}
	if o.StreamOutstanding <= 0 {
		o.StreamOutstanding = MaxOutstanding / 4
	}
}
