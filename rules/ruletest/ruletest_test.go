package ruletest

import (
	"bytes"
	"context"
	"encoding/xml"
	"math/rand/v2"
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
	f(`[{ at = "+2m", key = ["eve"] }]`, `key ["eve"]: by then the rule had taken no event of this key`, "not expected")
	f(`[{ at = "+1m", key = ["bob"] }, { at = "+1m", key = ["eve"] }]`, `no alert at +1m0s for key ["bob"]`, `key ["eve"]`, "not expected: +2m0s")
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

// passes runs the tests of rules, which all have to pass.
func passes(t *testing.T, text string, tests int) {
	t.Helper()
	n := 0
	for _, r := range run(t, text) {
		for _, one := range r.Tests {
			n++
			if len(one.Failures) > 0 {
				t.Errorf("%s %q: %q", r.Rule.ID, one.Test.Name, one.Failures)
			}
		}
	}
	if n != tests {
		t.Errorf("%d tests were run, want %d", n, tests)
	}
}

// A missing alert says what the key had and what it lacked.
func TestLacked(t *testing.T) {
	f := func(key, want string) {
		t.Helper()
		results := run(t, `
rule "guessing" {
  when   = event.action == "login" && event.outcome == "failure"
  by     = [user.name]
  window = "5m"
  fire   = count() >= 3
  except "lab" {
    when   = source.ip == "203.0.113.7"
    reason = "a laboratory"
  }
  test "t" {
    events = [login_failed("+0m", "bob", "203.0.113.9"), login_failed("+1m", "bob", "203.0.113.9"), login_failed("+1m", "eve", "203.0.113.7")]
    expect = [{ at = "+2m", key = ["`+key+`"] }]
  }
}`)
		if got := strings.Join(results[0].Tests[0].Failures, "\n"); !strings.Contains(got, want) {
			t.Errorf("key %s: %q, want %q", key, got, want)
		}
	}
	f("bob", "taken 2 events of this key, the last at +1m0s")
	f("bob", "count() is 2")
	f("eve", `the exception "lab" took some out`)
	f("ann", "taken no event of this key")
}

// A rule over alerts has the rules that it needs, where a step of a sequence asks for alerts too.
func TestOverAlerts(t *testing.T) {
	passes(t, strings.Replace(guessing, "EXPECT", `[{ at = "+2m", key = ["bob"] }]`, 1)+`
rule "over" {
  by = [source.ip]
  sequence {
    within = "1h"
    step "guess" { when = event.kind == "alert" && rule.id == "guessing" }
    step "leave" { when = event.action == "logout" }
  }
  test "fires" {
    events = concat([for i in range(4) : login_failed("+${i}m", "bob", "203.0.113.9")],
      [event("+9m", { "event.action" = "logout", "source.ip" = "203.0.113.9" })])
    expect = [{ at = "+9m", key = ["203.0.113.9"] }]
  }
  test "too few" {
    events = concat([for i in range(2) : login_failed("+${i}m", "bob", "203.0.113.9")],
      [event("+9m", { "event.action" = "logout", "source.ip" = "203.0.113.9" })])
    expect = []
  }
}`, 3)
}

// An exception holds by the time of the test, not that of the day on which it is run; a rule for the fleet is tested as others are.
func TestExpiryAndScope(t *testing.T) {
	passes(t, `
rule "guessing" {
  scope  = "fleet"
  when   = event.action == "login" && event.outcome == "failure"
  by     = [user.name]
  window = "5m"
  fire   = count() >= 3
  except "lab" {
    when    = source.ip == "203.0.113.7"
    reason  = "a laboratory"
    expires = "2026-02-01"
  }
  test "held" {
    events = [for i in range(4) : login_failed("+${i}m", "bob", "203.0.113.7")]
    expect = []
  }
  test "expired" {
    start  = "2026-02-02T12:00:00Z"
    events = [for i in range(4) : login_failed("+${i}m", "bob", "203.0.113.7")]
    expect = [{ at = "+2m", key = ["bob"] }]
  }
}`, 2)
}

// What a test itself has come too late stays too late when it is shuffled.
func TestTooLate(t *testing.T) {
	passes(t, `
rule "after" {
  by = [user.name]
  sequence {
    within = "1h"
    step "fail" { when = event.action == "login" && event.outcome == "failure" }
    step "come" { when = event.action == "login" && event.outcome == "success" }
  }
  test "the failure came too late" {
    events = [login_ok("+9m", "eve", "203.0.113.9"), login_ok("+10m", "bob", "203.0.113.9"), login_failed("+1m", "bob", "203.0.113.9"), login_ok("+20m", "eve", "203.0.113.9")]
    expect = []
  }
  test "in time" {
    events = [login_ok("+600s", "bob", "203.0.113.9"), login_failed("+580s", "bob", "203.0.113.9")]
    expect = [{ at = "+600s", key = ["bob"] }]
  }
}`, 2)
}

// Shuffled events are all there, and none comes more than the lateness after another that is later.
func TestShuffled(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	moved := false
	for range 200 {
		var in []arrival
		at := event.Time(0)
		for i := range 1 + r.IntN(30) {
			at += event.Time(r.Int64N(int64(10 * time.Second)))
			in = append(in, arrival{&event.Event{Time: at}, i})
		}
		seen := map[int]int{}
		var latest event.Time
		for i, a := range shuffled(r, doubled(r, in)) {
			seen[a.number]++
			if a.Time <= latest-event.Time(lateness) {
				t.Fatalf("event %d of %v comes when %v was there", a.number, a.Time, latest)
			}
			latest = max(latest, a.Time)
			moved = moved || i > 0 && a.Time < latest
		}
		for i := range in {
			if seen[i] < 2 {
				t.Fatalf("event %d comes %d times", i, seen[i])
			}
		}
	}
	if !moved {
		t.Error("nothing was shuffled")
	}
}

// What ends before has no results, rather than good ones.
func TestCancelled(t *testing.T) {
	set := rules.Load(rules.LoadOptions{Tests: true}, rules.Source{Name: "r.hcl", Text: []byte(strings.Replace(guessing, "EXPECT", "[]", 1))})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if results := Run(ctx, set, Options{Events: fieldEvents}); len(results) != 0 {
		t.Errorf("results %+v", results)
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
