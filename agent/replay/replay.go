// Package replay runs rules over log files: through the same parsers, enrichment and engine as the daemon, on event time, as fast as it goes.
//
//	file -> lines -> parse, enrich -> chunk \
//	file -> lines -> parse, enrich -> chunk  > merged by time -> engine -> alerts
//
// Each file is a source and read in its order; among files the one goes on whose next event is the earliest. An event is named by its file and line: the ids of the
// evidence are told by Place.
package replay

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules/engine"
)

// Options say how files are read. Parsers and Engine are needed.
type Options struct {
	Parsers   *parsers.Set
	Parser    string // default auto
	Enrichers []enrich.Enricher
	Host      string // of lines that name none
	Engine    *engine.Engine
	// Event is called with each event before the engine has it, and with its id, and says what to do with it; nil: Add. The event must not be kept.
	Event func(ev *event.Event, id string) Action
	// Progress is called from time to time with what was read so far; nil: nobody is.
	Progress func(Result)
	// Unfinished leaves the engine as it is after the last event, so that it can be given more.
	Unfinished bool
}

// Action is what becomes of an event.
type Action int

// The actions: the engine gets the event; it does not; it does not, nor any after it.
const (
	Add Action = iota
	Skip
	Stop
)

// Result says what was read.
type Result struct {
	Lines, Failed int64 // Failed: no parser knew them
	First, Last   event.Time
	Took          time.Duration
}

// Run reads the files to their ends and finishes the engine. "-" is stdin; names that end in .gz are unpacked.
func Run(ctx context.Context, o Options, files []string, stdin io.Reader) (Result, error) {
	if o.Parser == "" {
		o.Parser = "auto"
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	start := time.Now()
	list := make([]*file, 0, len(files))
	for i, name := range files {
		f := &file{name: name, epoch: epochOf(i), chunks: make(chan *chunk, 1), free: make(chan *chunk, 3)}
		p, err := o.Parsers.Get(o.Parser)
		if err != nil {
			return Result{}, err
		}
		in, err := open(name, stdin)
		if err != nil {
			return Result{}, err
		}
		size := min(chunkEvents, max(1, maxAhead/len(files)/cap(f.free)))
		for range cap(f.free) {
			f.free <- &chunk{made: make([]pipeline.Normalizer, size), lines: make([]int64, size)}
		}
		running.Go(func() {
			defer in.Close()
			f.read(ctx, in, p, o)
		})
		list = append(list, f)
	}
	var result Result
	for {
		next, until, err := earliest(ctx, list)
		if err != nil {
			return result, err
		}
		if next == nil || !next.give(&result, &o, until) {
			break
		}
	}
	if !o.Unfinished {
		o.Engine.Finish(0)
	}
	result.Took = time.Since(start)
	return result, ctx.Err()
}

// epochOf is what stands for the i-th file in ids.
func epochOf(i int) string { return fmt.Sprintf("%032x", i+1) }

// Place tells which file (by its index) and line an id of this package stands for.
func Place(id string) (file int, line int64, ok bool) {
	epoch, sequence, ok := event.SplitID(id)
	if !ok {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(epoch, 16, 31)
	return int(n) - 1, int64(sequence), err == nil && n > 0
}

// open opens a file, unpacked where it is gzip.
func open(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(f, 256<<10)
	if magic, _ := r.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b { // what cannot be read is told by who reads
		return closing{r, f}, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	return closing{z, f}, nil
}

type closing struct {
	io.Reader
	io.Closer
}

const (
	chunkEvents  = 256     // of a file at a time, at most
	maxAhead     = 1 << 14 // events of all files that are held at once, about
	progressEach = 1 << 14 // lines
)

// chunk is some events of a file, made by the goroutine that reads it. Events point into themselves: each is made where it stays.
type chunk struct {
	made  []pipeline.Normalizer
	lines []int64
	n, at int
	err   error // after these events
}

// file is one file being read.
type file struct {
	name   string
	epoch  string
	chunks chan *chunk // closed at the end
	free   chan *chunk
	now    *chunk
	ended  bool
	id     []byte
}

// read parses the whole file.
func (f *file) read(ctx context.Context, in io.Reader, p parsers.Parser, o Options) {
	defer close(f.chunks)
	src := &inputs.Source{Input: "replay", Parser: o.Parser, Host: o.Host, Key: f.name, Path: f.name}
	lines := pipeline.NewLineReader(in)
	received := event.TimeOf(time.Now())
	for {
		var c *chunk
		select {
		case c = <-f.free:
		case <-ctx.Done():
			return
		}
		c.n, c.at, c.err = 0, 0, nil
		for c.n < len(c.made) && c.err == nil {
			line, err := lines.Next()
			if err != nil {
				c.err = err
				break
			}
			n := &c.made[c.n]
			n.Enrichers = o.Enrichers
			n.Line(p, src, line, received)
			c.lines[c.n] = lines.Number
			c.n++
		}
		if errors.Is(c.err, io.EOF) {
			c.err = nil
			if c.n > 0 {
				f.send(ctx, c)
			}
			return
		}
		if !f.send(ctx, c) || c.err != nil {
			return
		}
	}
}

func (f *file) send(ctx context.Context, c *chunk) bool {
	select {
	case f.chunks <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// head makes sure that there is a next event, or that the file has ended.
func (f *file) head(ctx context.Context) error {
	for !f.ended && (f.now == nil || f.now.at == f.now.n) {
		if c := f.now; c != nil {
			if c.err != nil {
				return fmt.Errorf("read %s: %w", f.name, c.err)
			}
			f.now = nil
			f.free <- c
		}
		select {
		case c, ok := <-f.chunks:
			f.now, f.ended = c, !ok
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// earliest returns the file whose next event is the earliest, and up to when it stays that; nil where all have ended.
func earliest(ctx context.Context, list []*file) (best *file, until event.Time, err error) {
	until = math.MaxInt64
	for _, f := range list {
		if err := f.head(ctx); err != nil {
			return nil, 0, err
		}
		switch {
		case f.ended:
		case f.timeless():
			return f, 0, nil
		case best == nil:
			best = f
		case f.next().Time < best.next().Time:
			best, until = f, best.next().Time
		default:
			until = min(until, f.next().Time)
		}
	}
	return best, until, nil
}

func (f *file) next() *event.Event { return &f.now.made[f.now.at].Event }

// timeless tells that the next line has no time of its own, such as a header: it is of the time of the one before.
func (f *file) timeless() bool { return f.next().Time == f.next().Created }

// give gives the next event, and those after it that are at hand and earlier than until, to the engine. False: no more are wanted.
func (f *file) give(r *Result, o *Options, until event.Time) bool {
	for c := f.now; ; {
		made, line := &c.made[c.at], c.lines[c.at]
		c.at++
		r.count(made)
		if o.Progress != nil && r.Lines%progressEach == 0 {
			o.Progress(*r)
		}
		action := Add
		if o.Event != nil {
			f.id = append(append(f.id[:0], f.epoch...), '-')
			f.id = strconv.AppendInt(f.id, line, 10)
			action = o.Event(&made.Event, string(f.id))
		}
		switch action {
		case Stop:
			return false
		case Add:
			o.Engine.AddOwn(&made.Event, f.epoch, uint64(line))
		}
		if c.at == c.n || f.next().Time >= until && !f.timeless() {
			return true
		}
	}
}

func (r *Result) count(made *pipeline.Normalizer) {
	r.Lines++
	if made.Failed {
		r.Failed++
	}
	ev := &made.Event
	if ev.Time == ev.Created { // when it was read says nothing of the log
		return
	}
	if r.First == 0 || ev.Time < r.First {
		r.First = ev.Time
	}
	r.Last = max(r.Last, ev.Time)
}
