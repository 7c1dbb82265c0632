package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/internal/conf"
)

const (
	maxTestEvents = 100_000
	maxTestLog    = 4 << 20
	testYear      = 2026 // of lines without a year, unless the test says another
)

// testStart is a Monday: what the times of a test's events count from.
var testStart = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// tests decodes the test blocks.
func (x *ruleReader) tests() {
	for _, b := range x.body.Blocks("test", 1) {
		if x.options.Tests {
			x.rule.Tests = append(x.rule.Tests, x.test(b))
		}
	}
}

func (x *ruleReader) test(b *conf.Block) *Test {
	t := &Test{Name: b.Labels[0], Range: b.Range, Start: testStart, Year: testYear}
	body := b.Body
	defer body.Close()
	if text := body.String("start", ""); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			body.Errorf("start", `want a time such as "2026-01-05T12:00:00Z"`)
		} else {
			t.Start = at
		}
	}
	t.Parser = body.String("parser", "")
	t.Year = body.Int("year", testYear, 1971, 2200)
	if text := body.String("until", ""); text != "" {
		d, err := signedDuration(text)
		if err != nil || d < 0 {
			body.Errorf("until", `want a length of time such as "+13h"`)
		}
		t.Until = d
	}
	e := &testReader{ruleReader: x, body: body, start: t.Start, cost: min(maxTestCost, x.source.cost)}
	left := e.cost
	switch {
	case body.Has("events") && body.Has("log"):
		body.Errorf("log", "a test has events or a log, not both")
	case body.Has("log"):
		t.Log = e.log()
		body.Require("parser", `"linux_auth"`)
		if body.Has("start") {
			body.Errorf("start", "a log has its own times; start is for events")
		}
	case body.Require("events", `[login_failed("+0m", "bob", "203.0.113.9")]`):
		t.Events = e.events()
		if body.Has("parser") {
			body.Errorf("parser", "is for a log, and the test has events")
		}
	}
	if body.Require("expect", "[]") {
		t.Expect = e.expect(body.Has("log"))
		t.Negative = len(t.Expect) == 0
	}
	x.source.cost -= left - e.cost
	return t
}

func (e *testReader) log() string {
	v, ok := e.evaluate("log")
	if !ok {
		return ""
	}
	var lines []string
	for one := range leaves(v) {
		if one.IsNull() || one.Type() != cty.String {
			e.body.Errorf("log", "want lines as a text or a list of texts")
			return ""
		}
		lines = append(lines, one.AsString())
	}
	log := strings.Join(lines, "\n")
	if len(log) > maxTestLog {
		e.body.Errorf("log", "longer than %s", conf.FormatSize(maxTestLog))
		return ""
	}
	return log
}

func (e *testReader) events() []TestEvent {
	v, ok := e.evaluate("events")
	if !ok {
		return nil
	}
	if !v.Type().IsTupleType() && !v.Type().IsListType() {
		e.body.Errorf("events", `want a list: [login_failed("+0m", "bob", "203.0.113.9"), ...]`)
		return nil
	}
	var events []TestEvent
	at := e.body.Range("events")
	for one := range leaves(v) {
		if one.IsNull() || !one.Type().Equals(eventType) {
			e.body.Errorf("events", "holds something that is no event: write login_ok(...), login_failed(...) or event(...)")
			return nil
		}
		if len(events) == maxTestEvents {
			e.body.Errorf("events", "more than %d events", maxTestEvents)
			return nil
		}
		ev := *one.EncapsulatedValue().(*TestEvent)
		ev.Range = at
		events = append(events, ev)
	}
	if len(events) == 0 {
		e.body.Errorf("events", "is empty: a test of nothing proves nothing")
	}
	return events
}

func (e *testReader) expect(ofLog bool) []TestAlert {
	v, ok := e.evaluate("expect")
	if !ok {
		return nil
	}
	if !v.Type().IsTupleType() && !v.Type().IsListType() {
		e.body.Errorf("expect", `want a list: [{ at = "+4m", key = ["bob"] }], or [] for none`)
		return nil
	}
	alerts := []TestAlert{}
	for one := range leaves(v) {
		a, wrong := e.alert(one, ofLog)
		if wrong != "" {
			e.body.Errorf("expect", "%s", wrong)
			return nil
		}
		alerts = append(alerts, a)
	}
	return alerts
}

// alert reads { at = "+4m", key = ["bob"], count = 5 }.
func (e *testReader) alert(v cty.Value, ofLog bool) (a TestAlert, wrong string) {
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return a, `want objects such as { at = "+4m", key = ["bob"] }`
	}
	hasAt := false
	for it := v.ElementIterator(); it.Next(); {
		name, value := it.Element()
		switch name.AsString() {
		case "at":
			hasAt = true
			text, ok := valueAsText(value)
			if !ok || value.Type() != cty.String {
				return a, `at: want a time such as "+4m"`
			}
			var err error
			if a.At, err = signedDuration(text); err == nil {
				continue
			}
			at, err := time.Parse(time.RFC3339, text)
			if err != nil || ofLog {
				return a, fmt.Sprintf(`at: %q is no time after the first event; write "+4m"`, cutText(text))
			}
			a.At = at.Sub(e.start)
		case "key":
			if value.IsNull() || !value.Type().IsTupleType() && !value.Type().IsListType() {
				return a, `key: want a list such as ["bob"]`
			}
			for it := value.ElementIterator(); it.Next(); {
				_, part := it.Element()
				text, ok := valueAsText(part)
				if !ok {
					return a, `key: want texts, as in ["bob"]`
				}
				a.Key = append(a.Key, text)
			}
		case "count":
			text, ok := valueAsText(value)
			if _, err := fmt.Sscan(text, &a.Count); !ok || err != nil || a.Count < 1 || value.Type() != cty.Number {
				return a, "count: want a whole number, how many hits the alert folds"
			}
		default:
			known := []string{"at", "key", "count"}
			remedy := "known are at, key and count"
			if near := conf.Suggest(name.AsString(), known); near != "" {
				remedy = fmt.Sprintf("did you mean %q?", near)
			}
			return a, fmt.Sprintf("unknown key %q; %s", cutText(name.AsString()), remedy)
		}
	}
	if !hasAt {
		return a, `at is missing: { at = "+4m", key = ["bob"] }`
	}
	return a, e.keyFits(a.Key)
}

// keyFits says what is wrong with a key that no grouping of the rule can have.
func (e *testReader) keyFits(key []string) string {
	by := e.rule.By
	if len(by) == 0 {
		if len(key) > 0 && !e.body.Has("by") && !e.ruleReader.body.Has("by") {
			return "the rule has no by: its alerts have no key"
		}
		return ""
	}
	for _, terms := range by {
		if len(terms) == len(key) {
			return ""
		}
	}
	return fmt.Sprintf("a key of %d values fits no grouping of the rule: by %s", len(key), strings.Join(e.rule.ByText, " / "))
}

// signedDuration reads "+4m", "-1d" or "4m".
func signedDuration(text string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(text, "-")
	if !negative {
		rest = strings.TrimPrefix(text, "+")
	}
	d, err := conf.ParseDuration(rest)
	if negative {
		d = -d
	}
	return d, err
}
