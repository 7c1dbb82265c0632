package ruletest

import (
	"bytes"
	"context"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// fieldEvents makes events from the fields of a test.
func fieldEvents(t *rules.Test) ([]*event.Event, time.Time, error) {
	var events []*event.Event
	for _, e := range t.Events {
		ev := &event.Event{Time: event.TimeOf(e.At)}
		for _, f := range e.Fields {
			id, _ := event.FieldByName(f.Name)
			for _, v := range f.Values {
				if err := ev.Set(id, v); err != nil {
					return nil, t.Start, err
				}
			}
		}
		events = append(events, ev)
	}
	return events, t.Start, nil
}

func run(t *testing.T, text string) []Result {
	t.Helper()
	set := rules.Load(rules.LoadOptions{Tests: true}, rules.Source{Name: "r.hcl", Text: []byte(text)})
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	return Run(context.Background(), set, Options{Events: fieldEvents})
}

const guessing = `
rule "guessing" {
  title  = "${count()} failed"
  when   = event.action == "login" && event.outcome == "failure"
  by     = [user.name]
  window = "5m"
  fire   = count() >= 3
  test "t" {
    events = [for i in range(4) : login_failed("+${i}m", "bob", "203.0.113.9")]
    expect = EXPECT
  }
}`

func TestExpectations(t *testing.T) {
	f := func(expect string, want ...string) {
		t.Helper()
		results := run(t, strings.Replace(guessing, "EXPECT", expect, 1))
		if len(results) != 1 || len(results[0].Tests) != 1 {
			t.Fatalf("results %+v", results)
		}
		got := results[0].Tests[0].Failures
		if len(got) != len(want) {
			t.Errorf("expect %s: failures %q, want %q", expect, got, want)
			return
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("expect %s: failure %q, want %q", expect, got[i], want[i])
			}
		}
	}
	f(`[{ at = "+2m", key = ["bob"] }]`)
	f(`[{ at = "+2m", key = ["bob"], count = 2 }]`)
	f(`[{ at = "+2m", key = ["bob"], count = 3 }]`, `no alert at +2m0s for key ["bob"] of 3 hits`, "not expected: +2m0s")
	f(`[{ at = "+3m", key = ["bob"] }]`, "no alert at +3m0s", "not expected: +2m0s")
	f(`[{ at = "+2m", key = ["eve"] }]`, `key ["eve"]`, "not expected")
	f(`[]`, `not expected: +2m0s key ["bob"], 2 hits: 4 failed`)
	f(`[{ at = "+2m", key = ["bob"] }, { at = "+9m", key = ["bob"] }]`, "no alert at +9m0s")
}

// The sum of numbers below zero depends on the order in which they come: the other runs of the test say so.
func TestOrderMatters(t *testing.T) {
	results := run(t, `
rule "sum" {
  when   = event.action == "download"
  by     = [user.name]
  window = "1h"
  fire   = sum(http.response.body.bytes) >= 10
  test "t" {
    events = concat(
      [for i in range(20) : event("+${i}s", { "event.action" = "download", "user.name" = "u${i}", "http.response.body.bytes" = -5 })],
      [for i in range(20) : event("+${i + 20}s", { "event.action" = "download", "user.name" = "u${i}", "http.response.body.bytes" = 12 })],
    )
    expect = []
  }
}`)
	if got := results[0].Tests[0].Failures; len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), "shuffled") {
		t.Errorf("failures %q", got)
	}
}

func TestJUnit(t *testing.T) {
	results := run(t, strings.Replace(guessing, "EXPECT", "[]", 1))
	var b bytes.Buffer
	if err := JUnit(&b, results); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	if doc.Failures != 1 || doc.Suites[0].Name != "guessing" || !strings.Contains(doc.Suites[0].Cases[0].Failure, `key ["bob"]`) {
		t.Errorf("%+v in %s", doc, b.String())
	}
}
