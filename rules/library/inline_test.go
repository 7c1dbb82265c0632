package library_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// TestInline runs the tests of each rule, each for the rule alone, once as it stands and once with every event twice.
func TestInline(t *testing.T) {
	set := load(t)
	known, err := parsers.Build(nil, parsers.Options{Location: time.UTC, Year: 2026})
	if err != nil {
		t.Fatal(err)
	}
	enrichers := []enrich.Enricher{enrich.NewUserAgent(), enrich.NewUserKey(nil)}
	for _, r := range set.Rules {
		for _, test := range r.Tests {
			events, start := inlineEvents(t, test, known, enrichers)
			if !slices.IsSortedFunc(events, func(a, b *event.Event) int { return int(a.Time - b.Time) }) {
				t.Errorf("%s %q: events are not in the order of time", r.ID, test.Name)
			}
			var want []string
			for _, e := range test.Expect {
				want = append(want, fmt.Sprintf("%v %q", e.At, e.Key))
			}
			slices.Sort(want)
			for times := 1; times <= 2; times++ {
				if got := inlineAlerts(t, set, r, events, times, start, start.Add(test.Until)); !slices.Equal(got, want) {
					t.Errorf("%s %q, events %d times:\n got %v\nwant %v", r.ID, test.Name, times, got, want)
				}
			}
		}
	}
}

// inlineEvents are the events of a test, and what the times of its alerts count from.
func inlineEvents(t *testing.T, test *rules.Test, known *parsers.Set, enrichers []enrich.Enricher) (events []*event.Event, start time.Time) {
	t.Helper()
	if test.Parser == "" {
		for _, e := range test.Events {
			ev := &event.Event{Time: event.TimeOf(e.At)}
			for _, f := range e.Fields {
				setField(t, ev, f)
			}
			for _, one := range enrichers {
				one.Enrich(ev)
			}
			events = append(events, ev)
		}
		return events, test.Start
	}
	p, err := known.Get(test.Parser)
	if err != nil {
		t.Fatal(err)
	}
	src := &inputs.Source{Input: "test", Parser: test.Parser, Host: "gate", Key: "test", Path: "/test.log"}
	for line := range strings.Lines(test.Log) {
		n := &pipeline.Normalizer{Enrichers: enrichers} // one for each line: the events are kept
		if n.Line(p, src, inputs.Line{Text: strings.TrimSuffix(line, "\n")}, event.TimeOf(test.Start)); n.Failed {
			t.Errorf("test %q: %s does not know the line %q", test.Name, test.Parser, line)
		}
		events = append(events, &n.Event)
	}
	return events, time.Unix(0, int64(events[0].Time)).UTC()
}

func setField(t *testing.T, ev *event.Event, f rules.TestField) {
	t.Helper()
	if key, ok := strings.CutPrefix(f.Name, "labels."); ok {
		ev.Label(key, f.Values[0])
		return
	}
	id, ok := event.FieldByName(f.Name)
	if !ok {
		t.Fatalf("there is no field %q", f.Name)
	}
	for _, v := range f.Values {
		if id == event.FieldEventDataset && !strings.HasPrefix(v, event.DatasetPrefix) {
			v = event.DatasetPrefix + v
		}
		if err := ev.Set(id, v); err != nil {
			t.Fatalf("set %s to %q: %v", f.Name, v, err)
		}
	}
}

// inlineAlerts runs one rule and lists its alerts: when each began, and its key.
func inlineAlerts(t *testing.T, set *rules.Set, r *rules.Rule, events []*event.Event, times int, start, until time.Time) (got []string) {
	t.Helper()
	one := *set
	one.Rules = []*rules.Rule{r}
	e, err := engine.New(engine.Options{Rules: &one, Installation: "inline", Alert: func(a *engine.Alert) {
		if a.State == engine.StateClose && !a.Merged {
			got = append(got, fmt.Sprintf("%v %q", time.Unix(0, int64(a.First)).Sub(start), a.Key))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range events {
		for range times {
			e.AddOwn(ev, "inline", uint64(i+1))
		}
	}
	e.Finish(event.TimeOf(until))
	slices.Sort(got)
	return got
}
