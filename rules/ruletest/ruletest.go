// Package ruletest runs the test blocks of rules.
//
//	test block -> events (Options.Events: real parsers for raw lines) -> engine with the one rule -> alerts as they closed, held against expect
//	                |
//	                '-> again: shuffled within the lateness, doubled, with a restart at every event -> the same alerts
//
// What it promises: a test passes only where its alerts are exactly those expected, in each of these runs; every run of a test is the same whenever it
// is made.
package ruletest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// Options say how tests are run. Events is needed.
type Options struct {
	// Events makes the events of a test, in the order of its block, and says what its times count from. It is called by several goroutines.
	Events func(*rules.Test) (events []*event.Event, start time.Time, err error)
	Zone   *time.Location
	// Match tells which tests are run, by rule and name; nil: all.
	Match func(rule, test string) bool
}

// Result is what became of the tests of one rule.
type Result struct {
	Rule  *rules.Rule
	Tests []TestResult
	Took  time.Duration
}

// TestResult is what became of one test.
type TestResult struct {
	Test     *rules.Test
	Failures []string // none: it passed
	Took     time.Duration
}

// Failed tells whether any test failed.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Tests, func(t TestResult) bool { return len(t.Failures) > 0 })
}

// Run runs the tests of all rules of the set that have some, on all processors, and returns the results in the order of the rules; some
// only where ctx ends before.
func Run(ctx context.Context, set *rules.Set, o Options) []Result {
	var jobs []int
	results := make([]Result, len(set.Rules))
	for i, r := range set.Rules {
		results[i].Rule = r
		if r.Enabled && len(r.Tests) > 0 {
			jobs = append(jobs, i)
		}
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				results[i] = runRule(ctx, set, set.Rules[i], o)
			}
		})
	}
	for _, i := range jobs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return slices.DeleteFunc(results, func(r Result) bool { return len(r.Tests) == 0 })
}

func runRule(ctx context.Context, set *rules.Set, r *rules.Rule, o Options) Result {
	result := Result{Rule: r}
	start := time.Now()
	for _, t := range r.Tests {
		if ctx.Err() != nil {
			break
		}
		if o.Match != nil && !o.Match(r.ID, t.Name) {
			continue
		}
		began := time.Now()
		result.Tests = append(result.Tests, TestResult{Test: t, Failures: runTest(set, r, t, o), Took: time.Since(began)})
	}
	result.Took = time.Since(start)
	return result
}

// runTest runs a test in all ways, and says what is wrong.
func runTest(set *rules.Set, r *rules.Rule, t *rules.Test, o Options) []string {
	events, start, err := o.Events(t)
	if err != nil {
		return []string{err.Error()}
	}
	b := bench{rule: r, set: only(set, r, start), zone: o.Zone, start: start, until: start.Add(t.Until)}
	in := make([]arrival, len(events))
	for i, ev := range events {
		in[i] = arrival{ev, i}
	}
	plain, err := b.run(in, false)
	if err != nil {
		return []string{err.Error()}
	}
	if failures := compare(t, plain, func(want *rules.TestAlert) string { return b.lacked(in, want) }); len(failures) > 0 {
		return failures
	}
	var failures []string
	for _, again := range others(in, r.ID+t.Name) {
		got, err := b.run(again.events, again.restart)
		if err != nil {
			failures = append(failures, again.name+": "+err.Error())
			continue
		}
		for _, d := range differences(plain, got) {
			failures = append(failures, again.name+": "+d)
		}
	}
	return failures
}

// only is the rule alone or, where it is about alerts, with all the others. Exceptions are those of the test's time, so that a test has the same outcome
// after the day on which one expires.
func only(set *rules.Set, r *rules.Rule, start time.Time) *rules.Set {
	one := *set
	one.Rules = []*rules.Rule{r}
	if r.OverAlerts {
		one.Rules = slices.Clone(set.Rules)
	}
	for i, r := range one.Rules {
		if slices.ContainsFunc(r.Except, func(e *rules.Except) bool { return !e.Expires.IsZero() }) {
			one.Rules[i] = asOf(start, r)
		}
	}
	return &one
}

// asOf is a rule without the exceptions that have expired at a time; the others never do.
func asOf(at time.Time, r *rules.Rule) *rules.Rule {
	out := *r
	out.Except = nil
	for _, e := range r.Except {
		if e.Expires.IsZero() || at.Before(e.Expires) {
			lasting := *e
			lasting.Expires = time.Time{}
			out.Except = append(out.Except, &lasting)
		}
	}
	return &out
}

// arrival is an event and its number.
type arrival struct {
	*event.Event
	number int
}

// bench runs events of one test.
type bench struct {
	rule         *rules.Rule
	set          *rules.Set
	zone         *time.Location
	start, until time.Time
}

// found is an alert as it closed.
type found struct {
	at          time.Duration
	key         []string
	hits, count int64
	title       string
}

func (f *found) String() string {
	return fmt.Sprintf("+%v key %q, %d hits: %s", f.at, f.key, f.hits, f.title)
}

// most is how many restarts a run has; they are spread over longer ones.
const most = 300

// run gives the events to an engine, and returns the rule's alerts by time and key.
func (b *bench) run(events []arrival, restart bool) ([]found, error) {
	var list []found
	told := map[string]bool{}
	alert := func(a *engine.Alert) {
		if told[a.EventID] || a.Rule.ID != b.rule.ID {
			return
		}
		told[a.EventID] = true
		if a.State == engine.StateClose && !a.Merged {
			list = append(list, found{a.First.Std().Sub(b.start), slices.Clone(a.Key), a.Hits, a.Count, a.Title})
		}
	}
	o := engine.Options{Rules: b.set, Installation: "ruletest", Zone: b.zone, Alert: alert, Lateness: lateness, Fleet: true}
	if restart {
		o.Disk = engine.NewMemoryDisk()
	}
	e, err := engine.New(o)
	if err != nil {
		return nil, err
	}
	every := len(events)/most + 1
	for i, a := range events {
		e.AddOwn(a.Event, "00000000000000000000000000000001", uint64(a.number+1))
		if restart && i%every == 0 {
			if err := e.Snapshot(uint64(i)); err != nil {
				return nil, err
			}
			if e, err = engine.New(o); err != nil {
				return nil, err
			}
		}
	}
	e.Finish(event.TimeOf(b.until))
	slices.SortFunc(list, func(x, y found) int {
		if x.at != y.at {
			return int(min(max(x.at-y.at, -1), 1))
		}
		return slices.Compare(x.key, y.key)
	})
	return list, nil
}

// compare holds alerts against what the test expects; lacked says what the rule made of a key that has no alert.
func compare(t *rules.Test, got []found, lacked func(*rules.TestAlert) string) (failures []string) {
	rest := slices.Clone(got)
	for i := range t.Expect {
		want := &t.Expect[i]
		at := slices.IndexFunc(rest, func(f found) bool {
			return f.at == want.At && slices.Equal(f.key, want.Key) && (want.Count == 0 || want.Count == f.hits)
		})
		if at >= 0 {
			rest = slices.Delete(rest, at, at+1)
			continue
		}
		text := fmt.Sprintf("no alert at +%v for key %q", want.At, want.Key)
		if want.Count > 0 {
			text += fmt.Sprintf(" of %d hits", want.Count)
		}
		if !slices.ContainsFunc(got, func(f found) bool { return slices.Equal(f.key, want.Key) }) {
			if why := lacked(want); why != "" {
				text += ": " + why
			}
		}
		failures = append(failures, text)
	}
	for i := range rest {
		failures = append(failures, "not expected: "+rest[i].String())
	}
	return failures
}

// differences tells what another run found more or less.
func differences(plain, got []found) (out []string) {
	text := func(list []found) []string {
		lines := make([]string, len(list))
		for i := range list {
			lines[i] = list[i].String()
		}
		return lines
	}
	a, b := text(plain), text(got)
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, "missing: "+s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			out = append(out, "only then: "+s)
		}
	}
	if len(out) == 0 && len(a) != len(b) {
		out = append(out, fmt.Sprintf("%d alerts in place of %d", len(b), len(a)))
	}
	return out
}

// Place is where a test stands.
func Place(t *rules.Test) string {
	return fmt.Sprintf("%s:%d", t.Range.Filename, t.Range.Start.Line)
}

// Title is a test's name on one line.
func Title(t *rules.Test) string { return strings.Join(strings.Fields(t.Name), " ") }
