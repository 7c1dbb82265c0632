package replay

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
)

// TestEvents makes the events of rules' test blocks: from fields, or from raw lines through the parsers. It is safe for concurrent use.
type TestEvents struct {
	Zone *time.Location
	// Parsers makes those of the config, with times without a year taken for those of one; nil: the built-in ones.
	Parsers func(year int) (*parsers.Set, error)

	mu     sync.Mutex
	byYear map[int]*parsers.Set
}

// Make makes the events of a test, and says what its times count from: the test's start or, of lines, the first event.
func (m *TestEvents) Make(t *rules.Test) ([]*event.Event, time.Time, error) {
	enrichers := []enrich.Enricher{enrich.NewUserAgent(), enrich.NewUserKey(nil)}
	if t.Parser != "" {
		return m.fromLines(t, enrichers)
	}
	events := make([]*event.Event, 0, len(t.Events))
	for _, e := range t.Events {
		ev := &event.Event{Time: event.TimeOf(e.At)}
		for _, f := range e.Fields {
			if err := setField(ev, f); err != nil {
				return nil, time.Time{}, fmt.Errorf("%s:%d: %w", e.Range.Filename, e.Range.Start.Line, err)
			}
		}
		for _, one := range enrichers {
			one.Enrich(ev)
		}
		ev.Finish()
		events = append(events, ev)
	}
	return events, t.Start, nil
}

func setField(ev *event.Event, f rules.TestField) error {
	if key, ok := strings.CutPrefix(f.Name, "labels."); ok {
		for _, v := range f.Values {
			ev.Label(key, v)
		}
		return nil
	}
	id, ok := event.FieldByName(f.Name)
	if !ok {
		return fmt.Errorf("there is no field %q", f.Name)
	}
	for _, v := range f.Values {
		if id == event.FieldEventDataset && !strings.HasPrefix(v, event.DatasetPrefix) {
			v = event.DatasetPrefix + v
		}
		if err := ev.Set(id, v); err != nil {
			return fmt.Errorf("set %s to %q: %w", f.Name, v, err)
		}
	}
	return nil
}

func (m *TestEvents) fromLines(t *rules.Test, enrichers []enrich.Enricher) ([]*event.Event, time.Time, error) {
	set, err := m.parsers(t.Year)
	if err != nil {
		return nil, time.Time{}, err
	}
	p, err := set.Get(t.Parser)
	if err != nil {
		return nil, time.Time{}, err
	}
	src := &inputs.Source{Input: "test", Parser: t.Parser, Host: "gate", Key: "test", Path: "/test.log"}
	var events []*event.Event
	received := event.TimeOf(t.Start)
	for line := range strings.Lines(t.Log) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		n := &pipeline.Normalizer{Enrichers: enrichers} // one for each line: the events are kept
		if n.Line(p, src, inputs.Line{Text: line}, received); n.Failed {
			return nil, time.Time{}, fmt.Errorf("parser %s does not know the line %q", t.Parser, line)
		}
		events = append(events, &n.Event)
	}
	if len(events) == 0 {
		return nil, time.Time{}, fmt.Errorf("the log has no lines")
	}
	start := t.Start
	for _, ev := range events {
		if ev.Time != ev.Created { // of a line with a time of its own
			start = ev.Time.Std()
			break
		}
	}
	return events, start, nil
}

// parsers are those that take times without a year for those of a year.
func (m *TestEvents) parsers(year int) (*parsers.Set, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if set := m.byYear[year]; set != nil {
		return set, nil
	}
	var set *parsers.Set
	var err error
	if m.Parsers != nil {
		set, err = m.Parsers(year)
	} else {
		set, err = parsers.Build(nil, parsers.Options{Location: m.Zone, Year: year})
	}
	if err != nil {
		return nil, err
	}
	if m.byYear == nil {
		m.byYear = map[int]*parsers.Set{}
	}
	m.byYear[year] = set
	return set, nil
}
