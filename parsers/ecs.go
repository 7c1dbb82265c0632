package parsers

import (
	"errors"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// ecsParser reads documents of the Elastic Common Schema, as shippers send them to Elasticsearch or write them to files, a
// document a line.
//
//	document -> another Gatebook's (trusted): every field as it stands
//	         -> an action or dataset of ours in it: its fields
//	         -> a raw line in it (event.original, message, log ...): the inner parser reads that; host, agent, file and time of
//	            the document fill what the line leaves out
//	         -> neither: the inner parser may know the document itself, else its fields
//
// What has no field becomes a label. What only a Gatebook may say (alerts, rule.*, threat.*, gatebook.*, event.id ...) is no field
// in other senders' documents: it is kept under labels, with the tag refused-fields.
type ecsParser struct {
	name, dataset string
	inner         Parser
	trusted       bool
	times         timeReader
	keys          keyCache

	body   *conf.Body // of its block; nil without
	choice string     // parser of raw lines, as its block names it
	lookup func(string) (Parser, error)
}

const (
	ecsDataset      = event.DatasetPrefix + "ecs"
	tagRefused      = "refused-fields" // what only another Gatebook may say: kept under labels
	tagParseFailure = "parse-failure"  // of a raw line in a document; the document's own fields are read
)

// openECS makes the parser of documents in the envelope "ecs".
func openECS(inner Parser, o Options) Parser {
	return &ecsParser{name: "ecs", dataset: inner.Dataset(), inner: inner, times: newTimeReader(nil, o)}
}

func newECS(label string, body *conf.Body, o Options) (Parser, error) {
	p := &ecsParser{name: "ecs", dataset: ecsDataset, times: newTimeReader(nil, o), body: body, choice: "auto", lookup: o.Lookup}
	if body != nil {
		p.name, p.trusted, p.choice = label, body.Bool("trusted", false), body.String("parser", "auto")
		body.Close()
	}
	return p, nil
}

// resolve finds the inner parser, when all blocks are known.
func (p *ecsParser) resolve() error {
	if p.inner != nil || p.lookup == nil {
		return nil
	}
	inner, err := p.lookup(p.choice)
	_, same := inner.(*ecsParser)
	switch {
	case same:
		p.body.Errorf("parser", "%q reads documents; name the parser of the lines in them", p.choice)
	case err != nil && p.body != nil:
		p.body.Errorf("parser", "%v", err)
	case err != nil:
		return err
	default:
		p.inner = inner
	}
	return nil
}

// looksLikeECS wants a time as Elasticsearch needs it and one of the marks that shippers leave.
func looksLikeECS(text string) bool {
	return looksLikeJSON(text) && strings.Contains(text, `"@timestamp"`) &&
		(strings.Contains(text, `"ecs":{`) || strings.Contains(text, `"ecs.version"`) || strings.Contains(text, `"agent":{`))
}

func (p *ecsParser) Dataset() string { return p.dataset }

func (p *ecsParser) Parse(line Line, ev *event.Event) error {
	i := skipSpace(line.Text, 0)
	if i == len(line.Text) || line.Text[i] != '{' {
		return ErrNoMatch
	}
	if err := event.CheckJSON(line.Text); err != nil {
		return err
	}
	w := ecsWalk{p: p, ev: ev, s: line.Text, received: line.Received, trusted: line.Trusted || p.trusted, mode: ecsScan, labels: maxLabels}
	if w.trusted {
		w.all(i)
		if ev.Agent != nil {
			ev.Relayed = event.True
		}
		return nil
	}
	w.walk(i)
	if w.time == 0 {
		w.time = line.Received
	}
	raw := w.raw()
	switch {
	case w.own:
		raw = w.raws[0] // the message of a record is a sentence about it
		w.all(i)
	case raw != "":
		p.line(line, raw, &w, i)
	case p.document(line, ev):
		w.mode = ecsFill
		w.labels = 0 // the parser has kept what it has no field for
		w.walk(i)
		w.cut = false
	default:
		ev.Reset()
		w.all(i)
	}
	w.original(line.Text, raw)
	return nil
}

// line has the inner parser read the raw line in a document.
func (p *ecsParser) line(line Line, raw string, w *ecsWalk, i int) {
	ev, err := w.ev, ErrNoMatch
	if p.inner != nil {
		// Times without a year or of no line go by the document's time; the line is one of many in its file.
		err = p.inner.Parse(Line{Text: raw, Received: w.time, Source: line.Source, Offset: max(line.Offset, 1), Header: w.header()}, ev)
	}
	if err == nil {
		w.mode = ecsFill
		w.walk(i)
		return
	}
	ev.Reset()
	w.all(i)
	if w.said { // the document itself says what happened
		return
	}
	ev.Dataset, ev.Outcome = p.dataset, event.Unknown
	ev.Tag(tagParseFailure)
	if !errors.Is(err, ErrNoMatch) && ev.Error == nil {
		ev.NeedError().Message = err.Error()
	}
}

// document tries the inner parser on a document without a raw line, in which nothing of ours was found. A parser that takes any
// object is not asked: it knows less of the document's fields than we do.
func (p *ecsParser) document(line Line, ev *event.Event) bool {
	auto, ok := p.inner.(*autoParser)
	if !ok {
		if _, raw := p.inner.(rawParser); raw || p.inner == nil {
			return false
		}
		return p.inner.Parse(line, ev) == nil
	}
	for i := range auto.candidates {
		c := &auto.candidates[i]
		if _, same := c.parser.(*ecsParser); same || c.generic || !c.looks(line.Text) {
			continue
		}
		if c.parser.Parse(line, ev) == nil {
			return true
		}
		ev.Reset()
	}
	return false
}
