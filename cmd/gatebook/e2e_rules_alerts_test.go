package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// pager is the service that webhooks tell. It answers as its next fault says.
type pager struct {
	*httptest.Server
	mu       sync.Mutex
	next     func(n int) string // of the n-th request: "yes", "refuse", "cut" before it is read, "hang up" after
	requests int
	said     map[string]int // how many were answered yes, by rule, key and state
	heard    map[string]int // read, and not answered
	ids      map[string]int // answered yes, by the id of the notification
}

func newPager(t *testing.T) *pager {
	p := &pager{next: always("yes"), said: map[string]int{}, heard: map[string]int{}, ids: map[string]int{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func always(fault string) func(int) string { return func(int) string { return fault } }

func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault := p.next(p.requests)
	p.requests++
	if fault == "cut" {
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var n struct {
		ID, State string
		Rule      struct{ ID string }
		Alerts    []struct{ ID, Key string }
	}
	if json.Unmarshal(body, &n) != nil || err != nil {
		w.WriteHeader(http.StatusBadRequest) // a dead letter, which the test would miss
		return
	}
	for _, a := range n.Alerts {
		what := fmt.Sprintf("%s of %s, %s (%s)", n.Rule.ID, a.Key, n.State, a.ID)
		switch fault {
		case "yes":
			p.said[what]++
		case "hang up":
			p.heard[what]++
		}
	}
	switch fault {
	case "yes":
		p.ids[n.ID]++
	case "hang up":
		panic(http.ErrAbortHandler)
	case "refuse":
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// answer sets how requests are answered from now on.
func (p *pager) answer(next func(n int) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.requests = next, 0
}

// count waits until so many requests came.
func (p *pager) count(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.requests < n {
			return fmt.Errorf("%d of %d requests", p.requests, n)
		}
		return nil
	})
}

// told are what was answered yes, sorted.
func (p *pager) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for what, times := range p.said {
		for range times {
			list = append(list, what)
		}
	}
	slices.Sort(list)
	return list
}

func (p *pager) output() string {
	return fmt.Sprintf("output \"webhook\" \"pager\" {\n  url   = %q\n  allow = [\"127.0.0.0/8\"]\n  rate  = \"0\"\n}\n", p.URL)
}

// wanted are the alerts of a file that people are to be told of, as told says it.
func wanted(list []alertRecord, rules ...string) []string {
	var what []string
	for _, r := range list {
		if a := &r.Gatebook.Alert; slices.Contains(rules, r.Rule.ID) && a.State != "update" && !slices.Contains(r.Tags, "backfill") {
			what = append(what, fmt.Sprintf("%s of %s, %s (%s)", r.Rule.ID, a.Key, a.State, a.ID))
		}
	}
	slices.Sort(what)
	return what
}

// Each alert is told once: over a service that refuses, cuts connections and hangs up, and over kill -9. What is old or of little weight is not told.
func TestAlertsAreTold(t *testing.T) {
	s := newSite(t, "")
	pager := newPager(t)
	out := filepath.Join(s.dir, "out.ndjson")
	s.configure(s.rules(`
rule "test.high" {
  severity = "high"
  when     = event.action == "login" && event.outcome == "failure"
  by       = [user.name]
  quiet    = "1h"
}
rule "test.medium" {
  when  = event.action == "login" && event.outcome == "failure"
  by    = [source.ip]
  quiet = "1h"
}
`), fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out)+pager.output())
	for i := range 3 {
		s.say(login(time.Now().Add(-2*time.Hour), false, fmt.Sprintf("old%d", i), "203.0.113.9"))
	}
	for i := range 4 {
		s.say(login(time.Now().Add(-time.Minute), false, fmt.Sprintf("new%d", i), fmt.Sprintf("203.0.113.1%d", i)))
	}

	// Nobody says yes; the agent is killed.
	faults := []string{"refuse", "hang up", "cut"}
	pager.answer(func(n int) string { return faults[n%3] })
	p := s.start()
	pager.count(t, 4)
	p.Kill9()

	// Now and then somebody says yes; once all have been told, it is killed again.
	now := func(n int) string {
		if n%2 == 1 {
			return "yes"
		}
		return faults[n/2%3]
	}
	pager.answer(now)
	p = s.start()
	testkit.Eventually(t, time.Minute, func() error {
		list := slices.Compact(pager.told())
		if len(list) != 4 {
			return fmt.Errorf("told: %v\n%s", list, p.Stderr())
		}
		return nil
	})
	once := pager.told()
	p.Kill9()

	if len(once) != 4 {
		t.Errorf("told more than once: %v", once)
	}
	pager.answer(now)
	if code := s.start("--once").Wait(time.Minute); code != 0 { // closes the alerts
		t.Fatalf("exit code %d", code)
	}
	list := readAlerts(t, out, nil)
	expectOnce(t, list)
	if n := countAlerts(list, "test.high", ""); n != 14 {
		t.Errorf("%d records of the rule", n)
	}
	want := wanted(list, "test.high")
	told := pager.told()
	if len(want) != 8 || !slices.Equal(slices.Compact(slices.Clone(told)), want) {
		t.Errorf("told %s\nwant %s", strings.Join(told, "\n     "), strings.Join(want, "\n     "))
	}
	pager.mu.Lock()
	defer pager.mu.Unlock()
	for what, times := range pager.said {
		// What was said just before a kill may be said again, under the same id.
		if most := 1 + strings.Count(what, ", open"); times > most {
			t.Errorf("told %d times: %s", times, what)
		}
	}
	t.Logf("%d told, %d heard and not answered, %d requests in the end", len(told), len(pager.heard), pager.requests)
}

// Rules run where their scope says: at a machine, or where machines come together. What a machine finds is an alert at the centre, and is told there.
func TestRulesBehindRules(t *testing.T) {
	pager := newPager(t)
	c, edge := newCentral(t), newSite(t, "")
	var rules strings.Builder
	for _, scope := range []string{"host", "fleet", "both"} {
		fmt.Fprintf(&rules, `
rule "test.%s" {
  severity = "high"
  scope    = %q
  when     = event.action == "login" && event.outcome == "failure"
  by       = [user.name]
  quiet    = "1h"
}
`, scope, scope)
	}
	config, err := os.ReadFile(c.config)
	must(t, err)
	must(t, os.WriteFile(c.config, []byte("agent_name = \"centre\"\n"+string(config)+c.rules(rules.String())+pager.output()), 0o640))
	own := filepath.Join(edge.dir, "own.ndjson")
	edge.configure("agent_name = \"edge\"\n"+edge.rules(rules.String()),
		fmt.Sprintf(relayOutput, fmt.Sprintf("http://127.0.0.1:%d", c.port))+fmt.Sprintf("output \"file\" \"own\" { path = %q }\n", own))
	edge.say(login(time.Now().Add(-time.Minute), false, "bob", "203.0.113.9"))

	pc := c.start()
	pc.WaitLog(time.Minute, "started")
	if code := edge.start("--once").Wait(time.Minute); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	// found lists the records of alerts: who told which rule's, in which state.
	found := func(path string) (words []string) {
		for _, r := range readAlerts(t, path, nil) {
			words = append(words, r.Agent.Name+" "+r.Rule.ID+" "+r.Gatebook.Alert.State)
		}
		slices.Sort(words)
		return words
	}
	if got, want := found(own), []string{"edge test.both close", "edge test.both open", "edge test.host close", "edge test.host open"}; !slices.Equal(got, want) {
		t.Errorf("at the machine: %q, want %q", got, want)
	}
	want := []string{"centre test.both open", "centre test.fleet open", "edge test.both close", "edge test.both open", "edge test.host close", "edge test.host open"}
	testkit.Eventually(t, 30*time.Second, func() error {
		if got := found(c.file); !slices.Equal(got, want) {
			return fmt.Errorf("at the centre: %q, want %q", got, want)
		}
		return nil
	})
	testkit.Eventually(t, 30*time.Second, func() error {
		if list := pager.told(); len(list) < 5 {
			return fmt.Errorf("told: %q\n%s", list, pc.Stderr())
		}
		return nil
	})
	if code := pc.Term(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var told []string
	for _, what := range pager.told() {
		what, _, _ = strings.Cut(what, " (") // which of the two alerts of test.both comes first, and whether the other is told with it, is open
		told = append(told, what)
	}
	if all := pager.told(); len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("told more than once: %q", all)
	}
	told = slices.Compact(told)
	if want := []string{"test.both of bob, close", "test.both of bob, open", "test.fleet of bob, open", "test.host of bob, close", "test.host of bob, open"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
