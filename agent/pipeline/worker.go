package pipeline

import (
	"errors"

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
	} else if ev.Parser == "" {
		ev.Parser = src.Parser
	}
	if ev.Time == 0 {
		ev.Time = received
	}
	if ev.Created == 0 { // but where another Gatebook has read it
		ev.Created = received
	}
	if ev.Original == "" { // but where a document says what the line was
		ev.Original = line.Text
	}
	ev.Input, ev.DocID = src.Input, line.ID
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
	ev.Sender.IP, ev.Sender.Name = src.SenderIP, src.SenderName
	if src.SenderPort != 0 {
		ev.Sender.Port = event.LongOf(int64(src.SenderPort))
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
	if !errors.Is(err, parsers.ErrNoMatch) {
		ev.NeedError().Message = err.Error()
	}
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
		b := buffer.NewBlock()
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
