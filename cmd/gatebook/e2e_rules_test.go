package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/internal/testkit"
)

// alertRecord is a record of an alert, as an output has it.
type alertRecord struct {
	Time  time.Time `json:"@timestamp"`
	Event struct {
		ID, Kind   string
		Start, End time.Time
	}
	Rule     struct{ ID, Name string }
	Gatebook struct {
		Alert struct {
			ID, State, Key, Mode string
			Count                int64
		}
	}
	Tags []string
}

// alertsIn reads the records of alerts in an output's file.
func alertsIn(t *testing.T, path string) (list []alertRecord) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a alertRecord
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		if a.Event.Kind == "alert" {
			list = append(list, a)
		}
	}
	return list
}

// closed lists alerts as they closed, in words that do not depend on the installation.
func closed(list []alertRecord) []string {
	var out []string
	for _, a := range list {
		if a.Gatebook.Alert.State == "close" && !slices.Contains(a.Tags, "merged") {
			out = append(out, fmt.Sprintf("%s %s from %s to %s, %d hits, %s", a.Rule.ID, a.Gatebook.Alert.Key, a.Event.Start.Format(time.TimeOnly), a.Event.End.Format(time.TimeOnly),
				a.Gatebook.Alert.Count, a.Rule.Name))
		}
	}
	slices.Sort(out)
	return out
}

const e2eRules = `
define "failed" {
  when = event.action == "login" && event.outcome == "failure"
}
rule "test.threshold" {
  title    = "${count()} failed logins from ${key}"
  severity = "high"
  when     = failed
  by       = [source.ip]
  window   = "15m"
  fire     = count() >= 3
  quiet    = "10m"
}
rule "test.sequence" {
  by = [source.ip]
  sequence {
    within = "20m"
    step "twice" {
      when  = failed
      times = 2
    }
    step "other" { when = failed && user.name != twice.user.name }
  }
}
rule "test.first_seen" {
  when  = failed
  by    = [source.ip]
  fire  = first_seen(user.name, "1d")
  quiet = "2m"
  learn {
    for        = "0s"
    min_events = 2
  }
}
`

// newRulesSite is a site with rules, and an output that has everything.
func newRulesSite(t *testing.T, rules, more string) (s *site, out, rulesFile string) {
	t.Helper()
	s = newSite(t, "")
	out, rulesFile = filepath.Join(s.dir, "out.ndjson"), filepath.Join(s.dir, "rules.hcl")
	if err := os.WriteFile(rulesFile, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	s.configure(fmt.Sprintf("rules {\n  library  = false\n  paths    = [%q]\n  lateness = \"1s\"\n  snapshot = \"100ms\"\n}\n", rulesFile),
		fmt.Sprintf("output \"file\" \"out\" { path = %q }\n", out)+more)
	return s, out, rulesFile
}

// Killed again and again, an agent tells of the same alerts as one that was left alone, each record once.
func TestRulesOverKills(t *testing.T) {
	const rounds, each = 12, 250
	s, out, _ := newRulesSite(t, e2eRules, "")
	for i := range rounds {
		p := s.start()
		s.write(i*each+1, (i+1)*each)
		wait := time.NewTimer(time.Duration(100+rand.IntN(500)) * time.Millisecond)
		select {
		case <-wait.C:
		case <-p.Done():
			t.Fatalf("ended by itself: %s", p.Stderr())
		}
		p.Kill9()
	}
	if code := s.start("--once").Wait(60 * time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	got := alertsIn(t, out)
	ids := map[string]int{}
	for _, a := range got {
		if ids[a.Event.ID]++; ids[a.Event.ID] > 1 {
			t.Errorf("the record %s is there %d times", a.Event.ID, ids[a.Event.ID])
		}
	}

	alone, aloneOut, _ := newRulesSite(t, e2eRules, "")
	alone.write(1, rounds*each)
	if code := alone.start("--once").Wait(60 * time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	want := closed(alertsIn(t, aloneOut))
	if diff := cmp.Diff(want, closed(got)); diff != "" {
		t.Errorf("alerts (-alone +killed):\n%s", diff)
	}
	for _, rule := range []string{"test.threshold", "test.sequence", "test.first_seen"} {
		if !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, rule) }) {
			t.Errorf("%s found nothing: the test says nothing of it", rule)
		}
	}
}

// A reload keeps the state of a rule whose title changed, closes the alert of one that is gone, and refuses rules with a mistake.
func TestRulesReload(t *testing.T) {
	line := func(user string) string {
		return fmt.Sprintf("%s web01 sshd[7]: Failed password for %s from 203.0.113.9 port 40022 ssh2\n", time.Now().UTC().Format(time.RFC3339), user)
	}
	text := `
rule "test.threshold" {
  title  = "TITLE"
  when   = event.action == "login"
  by     = [source.ip]
  window = "15m"
  fire   = count() >= 3
}
`
	gone := `
rule "test.gone" {
  when = event.action == "login"
}
`
	s, out, rulesFile := newRulesSite(t, text+gone, "")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(rulesFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := s.start()
	feed := func(user string) {
		t.Helper()
		f, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(line(user)); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(what string, is func([]alertRecord) bool) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, func() error {
			if _, err := os.Stat(out); err != nil {
				return err
			}
			if list := alertsIn(t, out); !is(list) {
				return fmt.Errorf("%s: %+v\n%s", what, list, p.Stderr())
			}
			return nil
		})
	}
	has := func(rule, state, title string) func([]alertRecord) bool {
		return func(list []alertRecord) bool {
			return slices.ContainsFunc(list, func(a alertRecord) bool {
				return a.Rule.ID == rule && a.Gatebook.Alert.State == state && (title == "" || a.Rule.Name == title)
			})
		}
	}
	feed("a")
	feed("b")
	wait("the rule that will go opens", has("test.gone", "open", ""))

	put("rule \"test.threshold\" {\n  when = event.actoin == \"login\"\n}\n")
	p.Signal(syscall.SIGHUP)
	p.WaitLog(30*time.Second, "reload refused")
	if log := p.Stderr(); !strings.Contains(log, "rules.hcl:2:10") || !strings.Contains(log, "did you mean") {
		t.Errorf("the mistake is not told with its place: %s", log)
	}
	put(strings.Replace(text, "TITLE", "After the reload", 1))
	p.Signal(syscall.SIGHUP)
	p.WaitLog(30*time.Second, "reloaded")
	wait("the alert of the rule that is gone closes", has("test.gone", "close", ""))
	feed("c")
	wait("the third event fires, with the new title", has("test.threshold", "open", "After the reload"))
	if code := p.Term(20 * time.Second); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Stderr())
	}
}

// A pager that refuses and hangs up is told of each alert in the end, over a kill -9; each once, but where it hung up after it had heard.
func TestWebhookOverTrouble(t *testing.T) {
	var mu sync.Mutex
	calls, heard, hungUp := 0, map[string]int{}, map[string]bool{}
	pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		mu.Lock()
		defer mu.Unlock()
		calls++
		if calls <= 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var m struct {
			Alerts []struct{ ID, State string }
			State  string
		}
		if err := json.Unmarshal(body, &m); err != nil || len(m.Alerts) == 0 {
			t.Errorf("body %s: %v", body, err)
		}
		for _, a := range m.Alerts {
			heard[a.ID+" "+m.State]++
			if calls == 5 {
				hungUp[a.ID+" "+m.State] = true
			}
		}
		if calls == 5 {
			panic(http.ErrAbortHandler)
		}
	}))
	defer pager.Close()
	s, out, _ := newRulesSite(t, e2eRules, fmt.Sprintf("output \"webhook\" \"pager\" {\n  url = %q\n  allow = [\"127.0.0.0/8\"]\n  states = [\"open\"]\n}\n", pager.URL))
	p := s.start()
	write := func(from, to int) {
		t.Helper()
		f, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for n := from; n < to; n++ {
			for range 3 {
				fmt.Fprintf(f, "%s web01 sshd[7]: Failed password for u%d from 203.0.113.%d port 40022 ssh2\n", time.Now().UTC().Format(time.RFC3339), n, n)
			}
		}
	}
	write(1, 10)
	testkit.Eventually(t, 60*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < 3 {
			return fmt.Errorf("%d calls, heard %v\n%s", calls, heard, p.Stderr())
		}
		return nil
	})
	write(10, 20)
	p.Kill9()
	p = s.start()
	testkit.Eventually(t, 60*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < 19 {
			return fmt.Errorf("%d calls, heard %d\n%s", calls, len(heard), p.Stderr())
		}
		return nil
	})
	if code := p.Term(20 * time.Second); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Stderr())
	}
	mu.Lock()
	defer mu.Unlock()
	opened := map[string]bool{}
	for _, a := range alertsIn(t, out) {
		if a.Rule.ID == "test.threshold" && a.Gatebook.Alert.State == "open" {
			opened[a.Gatebook.Alert.ID+" open"] = true
		}
	}
	twice := 0
	for key, n := range heard {
		if !opened[key] {
			t.Errorf("%s was told and is no alert", key)
		}
		if n > 1 && !hungUp[key] {
			twice++
		}
	}
	if len(opened) != 19 || len(heard) != 19 {
		t.Errorf("%d alerts, %d told", len(opened), len(heard))
	}
	if twice > 3 { // what was in flight at the kill may come again
		t.Errorf("%d alerts were told twice", twice)
	}
}
