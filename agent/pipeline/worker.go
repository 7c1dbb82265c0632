package pipeline

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
)

// Tags that the pipeline sets.
const (
	TagParseFailure = "parse-failure"
	TagTruncated    = "line-truncated"
	TagParserPanic  = "parser-panic"
	TagSourceLimits = "source-limits" // its dataset or host is not among those of its source
)

// Normalizer turns lines into finished events: the one way in which the agent, `gatebook parse` and tests do it. It is for one
// goroutine.
type Normalizer struct {
	Enrichers []enrich.Enricher
	Event     event.Event // the last line's
	Failed    bool        // no parser knew the last line
}

// Line fills n.Event from one line of a source.
func (n *Normalizer) Line(p parsers.Parser, src *inputs.Source, line inputs.Line, received event.Time) {
	ev := &n.Event
	ev.Reset()
	n.Failed = false
	if err := parse(p, parsers.Line{Text: line.Text, Received: received, Source: src.Key, Offset: line.Offset, Trusted: src.Trusted}, ev); err != nil {
		n.Failed = true
		unparsed(p, err, line.Text, ev)
	} else if err := limits(src, ev); err != nil {
		n.Failed = true
		unparsed(p, err, line.Text, ev)
	} else {
		n.Failed = slices.Contains(ev.Tags, TagParseFailure) // said by an envelope that keeps what stood around the text
		if ev.Parser == "" && ev.Relayed != event.True {
			ev.Parser = src.Parser
		}
	}
	if ev.Time == 0 {
		ev.Time = received
	}
	if ev.Created == 0 { // but where another Gatebook has read it
		ev.Created = received
	}
	if ev.Original == "" && ev.Relayed != event.True { // but where a document says what the line was
		ev.Original = line.Text
	}
	if ev.Relayed != event.True || ev.Input == "" {
		ev.Input = src.Input
	}
	ev.DocID = line.ID
	if src.Path != "" {
		ev.Log.Path, ev.Log.Offset = src.Path, event.LongOf(line.Offset)
	}
	if line.Truncated {
		ev.Tag(TagTruncated)
	}
	if ev.Host.Name == "" {
		ev.Host.Name = src.Host
	}
	if src.Realm != "" {
		ev.Realm = src.Realm
	}
	if ev.Relayed != event.True || ev.Sender.IP == "" { // else it is whom the other Gatebook had it from
		ev.Sender.IP, ev.Sender.Name = src.SenderIP, src.SenderName
		if src.SenderPort != 0 {
			ev.Sender.Port = event.LongOf(int64(src.SenderPort))
		}
	}
	for _, l := range src.Labels {
		ev.Label(l.Key, l.Value)
	}
	n.finish()
}

func (n *Normalizer) finish() {
	for _, e := range n.Enrichers {
		e.Enrich(&n.Event)
	}
	n.Event.Finish()
}

// unparsed makes the event of a line that no parser knew, or that its parser refused.
func unparsed(p parsers.Parser, err error, text string, ev *event.Event) {
	ev.Reset()
	ev.Dataset, ev.Message, ev.Outcome = p.Dataset(), text, event.Unknown
	ev.Tag(TagParseFailure)
	if errors.Is(err, errPanic) {
		ev.Tag(TagParserPanic)
	}
	if errors.Is(err, errLimits) {
		ev.Tag(TagSourceLimits)
	}
	if !errors.Is(err, parsers.ErrNoMatch) {
		ev.NeedError().Message = err.Error()
	}
}

var errLimits = errors.New("not among what the key may deliver")

// limits says what of an event is beyond what its source may say.
func limits(src *inputs.Source, ev *event.Event) error {
	if dataset := strings.TrimPrefix(ev.Dataset, event.DatasetPrefix); !fits(src.Datasets, dataset) {
		return fmt.Errorf("event.dataset %.100q: %w", dataset, errLimits)
	}
	if len(src.Hosts) > 0 && !fits(src.Hosts, strings.ToLower(ev.Host.Name)) {
		return fmt.Errorf("host.name %.100q: %w", ev.Host.Name, errLimits)
	}
	return nil
}

// fits tells whether one of the patterns matches; no patterns match everything. A host goes by small letters.
func fits(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return len(patterns) == 0
}

var errPanic = errors.New("the parser crashed on this line; please report it")

// parse guards against a crash of a parser: the line is kept, the agent goes on.
func parse(p parsers.Parser, line parsers.Line, ev *event.Event) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return p.Parse(line, ev)
}

// work turns batches into blocks.
func (p *Pipeline) work() {
	defer p.workers.Done()
	encoder := event.NewEncoder(p.options.Encoder)
	n := &Normalizer{Enrichers: p.options.Enrichers}
	for j := range p.jobs {
		b := newBlock(j.batch.Size)
		b.First = j.first
		if p.options.Encoder.Typed {
			b.Typed = event.AppendTypedHeader(b.Typed)
		}
		p.lines(j, b, encoder, n)
		b.Count, b.RawSize = len(b.Ends), len(b.Docs)
		if p.options.Codec != buffer.Raw && b.RawSize >= CompressFrom {
			// A block that cannot be compressed stays raw: nothing is lost by it.
			_ = b.Compress(p.options.Codec)
		}
		j.block = b
		p.append(j)
	}
}

// newBlock returns a block for so many bytes of lines, whose documents take some times as much.
func newBlock(lines int) *buffer.Block {
	const few = 2 << 10
	if lines <= few {
		return buffer.NewSmallBlock()
	}
	return buffer.NewBlock()
}

func (p *Pipeline) lines(j *job, b *buffer.Block, encoder *event.Encoder, n *Normalizer) {
	batch := j.batch
	received := event.TimeOf(batch.Received)
	for _, line := range batch.Lines {
		n.Line(j.parser, batch.Source, line, received)
		if n.Failed {
			p.counters.ParseFailures.Add(1)
		}
		if line.Truncated {
			p.counters.Truncated.Add(1)
		}
		appendEvent(b, encoder, &n.Event)
	}
	for _, pos := range batch.Positions {
		b.Positions = append(b.Positions, buffer.Position{Key: pos.Key, Value: pos.Value})
	}
	j.batch = nil
	batch.Release()
}

func appendEvent(b *buffer.Block, encoder *event.Encoder, ev *event.Event) {
	b.Docs, b.Typed = encoder.AppendItem(b.Docs, b.Typed, ev, b.First+uint64(len(b.Ends)))
	b.Ends = append(b.Ends, uint32(len(b.Docs)))
}
