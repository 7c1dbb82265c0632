package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// alertRecord is what tests look at in a record of an alert.
type alertRecord struct {
	Event struct {
		ID, Kind, Start string
	}
	Message string
	Rule    struct{ ID, Name string }
	User    struct{ Name string }
	Tags    []string
	Agent   struct{ Name string }

	Gatebook struct {
		Alert struct {
			ID, State, Key string
			Count          int
			Events         []string
		}
	}
}

// readAlerts returns the records of alerts in an NDJSON file, and tallies the others.
func readAlerts(t *testing.T, path string, others *tally) (list []alertRecord) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1] // the last line may be on its way
	for line := range bytes.Lines(b) {
		var r alertRecord
		if !bytes.Contains(line, []byte(`"kind":"alert"`)) && others == nil {
			continue
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if r.Event.Kind == "alert" {
			list = append(list, r)
		} else if others != nil {
			others.add(r.User.Name)
		}
	}
	return list
}

// countAlerts counts the records of a rule's alerts in a state; "" is any.
func countAlerts(list []alertRecord, rule, state string) (n int) {
	for _, r := range list {
		if (rule == "" || r.Rule.ID == rule) && (state == "" || r.Gatebook.Alert.State == state) {
			n++
		}
	}
	return n
}

// expectOnce says which records are there more than once.
func expectOnce(t *testing.T, list []alertRecord) {
	t.Helper()
	seen := map[string]int{}
	for _, r := range list {
		if seen[r.Event.ID]++; seen[r.Event.ID] == 2 {
			t.Errorf("record %s of rule %s occurs twice", r.Event.ID, r.Rule.ID)
		}
	}
}

// closed are the alerts that closed, in words, sorted.
func closed(list []alertRecord) []string {
	var words []string
	for _, r := range list {
		if r.Gatebook.Alert.State == "close" && !slices.Contains(r.Tags, "merged") {
			words = append(words, fmt.Sprintf("%s of %s since %s: %d hits", r.Rule.ID, r.Gatebook.Alert.Key, r.Event.Start, r.Gatebook.Alert.Count))
		}
	}
	slices.Sort(words)
	return words
}

// login is a line about a login at a time.
func login(at time.Time, ok bool, user, address string) string {
	result := "Failed"
	if ok {
		result = "Accepted"
	}
	return fmt.Sprintf("%s web01 sshd[%d]: %s password for %s from %s port 40022 ssh2\n", at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), 300+at.Unix()%9000, result, user, address)
}

// say appends lines to the log.
func (s *site) say(lines ...string) {
	s.t.Helper()
	f, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	must(s.t, err)
	_, err = f.WriteString(strings.Join(lines, ""))
	must(s.t, err)
	must(s.t, f.Close())
}

// rules writes a rule file and returns a block that runs it.
func (s *site) rules(text string) (block string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "rules.hcl")
	must(s.t, os.WriteFile(path, []byte(text), 0o600))
	return fmt.Sprintf("rules {\n  library  = false\n  paths    = [%q]\n  lateness = \"1s\"\n  snapshot = \"100ms\"\n}\n", path)
}

const rulesOfEachKind = `
rule "test.many" {
  severity = "high"
  when     = event.action == "login" && event.outcome == "failure"
  by       = [[user.name], [source.ip]]
  window   = "20s"
  fire     = count() >= 5
}

rule "test.guessed" {
  severity = "high"
  by       = [user.name]
  sequence {
    within = "30s"
    step "guess" {
      when  = event.action == "login" && event.outcome == "failure"
      times = 3
    }
    step "in" { when = event.action == "login" && event.outcome == "success" }
  }
  quiet = "10s"
}

rule "test.new_place" {
  when = event.action == "login" && event.outcome == "success"
  by   = [user.name]
  fire = first_seen(source.ip, "90d")
  quiet = "5s"
  learn {
    for        = "0s"
    min_events = 1
  }
}
`

// Rules that are killed at random moments find what rules find that run undisturbed, and no record is in the log twice.
func TestRulesKilled(t *testing.T) {
	s := newSite(t, "")
	block := s.rules(rulesOfEachKind)
	out := filepath.Join(s.dir, "out.ndjson")
	s.configure(block, fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))

	random, moments := rand.New(rand.NewPCG(3, 5)), rand.New(rand.NewPCG(7, 9))
	at, n := time.Now().Add(-3*time.Hour).Truncate(time.Millisecond), 0
	write := func() { // some seconds of the machine's life
		var b strings.Builder
		for range 1 + random.IntN(8) {
			n++
			at = at.Add(time.Duration(100+random.IntN(1400)) * time.Millisecond)
			if random.IntN(40) == 0 {
				at = at.Add(time.Minute) // what is open ends
			}
			b.WriteString(login(at, random.IntN(4) == 0, fmt.Sprintf("user%d", random.IntN(6)), fmt.Sprintf("203.0.113.%d", n/60+random.IntN(4))))
		}
		s.say(b.String())
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				write()
			}
		}
	}()
	for i := range 15 {
		p := s.start()
		had := readAlerts(t, out, nil)
		if i%5 == 4 { // some runs get as far as time that moves: alerts close
			testkit.Eventually(t, time.Minute, func() bool { return countAlerts(readAlerts(t, out, nil), "", "close") > countAlerts(had, "", "close") })
		} else if i%2 == 0 {
			testkit.Eventually(t, time.Minute, func() bool { return len(readAlerts(t, out, nil)) > len(had) })
		}
		select {
		case <-p.Done():
			t.Fatalf("the agent ended by itself: %s", p.Stderr())
		case <-time.After(time.Duration(moments.Uint64N(300)) * time.Millisecond): // a random moment is the point of this test
		}
		p.Kill9()
	}
	close(stop)
	<-stopped
	if code := s.start("--once").Wait(time.Minute); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	killed := readAlerts(t, out, nil)

	s.data = filepath.Join(s.dir, "undisturbed")
	reference := filepath.Join(s.dir, "reference.ndjson")
	s.configure(block, fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", reference))
	if code := s.start("--once").Wait(time.Minute); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	undisturbed := readAlerts(t, reference, nil)
	expectOnce(t, killed)
	expectOnce(t, undisturbed)
	got, want := closed(killed), closed(undisturbed)
	t.Logf("%d lines, %d records of %d alerts", n, len(killed), len(got))
	for _, rule := range []string{"test.many", "test.guessed", "test.new_place"} {
		if countAlerts(undisturbed, rule, "close") < 5 {
			t.Errorf("only %d alerts of %s: this shows nothing", countAlerts(undisturbed, rule, "close"), rule)
		}
	}
	if opened := countAlerts(killed, "", "open"); opened != countAlerts(killed, "", "close") {
		t.Errorf("%d opened, %d closed", opened, countAlerts(killed, "", "close"))
	}
	expectSame(t, got, want)
}

// expectSame says what is in one sorted list and not in the other.
func expectSame(t *testing.T, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for _, w := range got {
		if i := slices.Index(want, w); i < 0 {
			t.Errorf("too much: %s", w)
		} else {
			want = slices.Delete(slices.Clone(want), i, i+1)
		}
	}
	for _, w := range want {
		t.Errorf("missing: %s", w)
	}
}

const (
	countedRule = `
rule "test.counted" {
  title  = "%s: ${count()} failures of ${key}"
  when   = event.action == "login" && event.outcome == "failure"
  by     = [user.name]
  window = "1h"
  fire   = count() >= 5
}
`
	eachRule = `
rule "test.%s" {
  when  = event.action == "login" && user.name == "%s"
  by    = [user.name]
  quiet = "1h"
}
`
)

// Other rules take the place of those that run; what rules know that did not change stays.
func TestRulesReload(t *testing.T) {
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	output := fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out)
	block := s.rules(fmt.Sprintf(countedRule, "before") + fmt.Sprintf(eachRule, "eve", "eve"))
	s.configure(block, output)
	at := time.Now().Add(-10 * time.Minute)
	fail := func(users ...string) {
		for _, user := range users {
			at = at.Add(time.Second)
			s.say(login(at, false, user, "203.0.113.9"))
		}
	}
	until := func(rule, state string, n int) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, func() error {
			if got := countAlerts(readAlerts(t, out, nil), rule, state); got != n {
				return fmt.Errorf("%d records %q of %s, want %d", got, state, rule, n)
			}
			return nil
		})
	}
	p := s.start()
	reload := func(said string, times int) {
		t.Helper()
		p.Signal(syscall.SIGHUP)
		testkit.Eventually(t, 30*time.Second, func() bool { return strings.Count(p.Stderr(), said) >= times })
	}
	fail("bob", "bob", "bob", "eve")
	until("test.eve", "open", 1)

	// A rule is gone, one is new, one has another title.
	s.rules(fmt.Sprintf(countedRule, "after") + fmt.Sprintf(eachRule, "mallory", "mallory"))
	reload("msg=reloaded", 1)
	until("test.eve", "close", 1)
	fail("bob", "eve", "mallory")
	until("test.mallory", "open", 1)

	// A mistake is told with its place, and changes nothing.
	s.rules(fmt.Sprintf(countedRule, "wrong") + "\nrule \"test.wrong\" {\n  when = user.nmae == \"x\"\n}\n")
	reload("reload refused", 1)
	if !strings.Contains(p.Stderr(), "rules.hcl:11") {
		t.Errorf("the place of the mistake is not named:\n%s", p.Stderr())
	}

	// Other settings than rules; the state goes on with them.
	block = s.rules(fmt.Sprintf(countedRule, "after") + fmt.Sprintf(eachRule, "mallory", "mallory"))
	s.configure(strings.Replace(block, `lateness = "1s"`, "lateness = \"2s\"\n  state = \"8MiB\"", 1), output)
	reload("msg=reloaded", 2)
	fail("mallory") // before bob: once bob's alert is there, hers would be
	fail("bob")
	until("test.counted", "open", 1)
	if code := p.Term(30 * time.Second); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	list := readAlerts(t, out, nil)
	expectOnce(t, list)
	for _, r := range list {
		if r.Rule.ID == "test.counted" && (r.Message != "after: 5 failures of bob" || len(r.Gatebook.Alert.Events) != 5) {
			t.Errorf("title %q, %d events", r.Message, len(r.Gatebook.Alert.Events))
		}
	}
	if n := countAlerts(list, "test.eve", ""); n != 2 {
		t.Errorf("%d records of the rule that is gone", n)
	}
	if n := countAlerts(list, "test.mallory", ""); n != 1 {
		t.Errorf("%d records of the rule that is new", n)
	}
}

// The buffer is full because an output does not answer: inputs wait, the rules do not, and what they find gets into the log.
func TestRulesInAFullBuffer(t *testing.T) {
	c := newCentral(t)
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	const lines = 30000
	outputs := fmt.Sprintf(relayOutput, fmt.Sprintf("http://127.0.0.1:%d", c.port)) + fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out)
	buffer := "buffer {\n  max_bytes = \"16MiB\"\n  segment = \"1MiB\"\n  reserve = \"2MiB\"\n}\n"
	s.configure(buffer, outputs)
	s.write(1, lines)
	p := s.start()
	p.WaitLog(time.Minute, "buffer full")
	p.Kill9()
	if n := lineCount(out); n >= lines {
		t.Fatalf("all %d lines were taken: the buffer was not full", n)
	}

	// Now with rules, over what is in the full log.
	s.configure(buffer+s.rules(`
rule "test.flood" {
  severity = "high"
  when     = event.action == "login" && event.outcome == "failure"
  by       = [source.ip]
  window   = "10m"
  fire     = count() >= 2
}
`), outputs)
	p = s.start()
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := countAlerts(readAlerts(t, out, nil), "test.flood", "open"); n != 250 {
			return fmt.Errorf("%d alerts were opened\n%s", n, p.Stderr())
		}
		return nil
	})
	p.WaitLog(time.Minute, "buffer full")
	if n := lineCount(out); n >= lines {
		t.Fatalf("%d records: the buffer was not full", n)
	}
	if code := p.Term(time.Minute); code != 0 { // it ends although the buffer is full
		t.Fatalf("exit code %d", code)
	}

	// The other side is there again.
	c.start().WaitLog(time.Minute, "started")
	p = s.start()
	testkit.Eventually(t, time.Minute, func() error {
		if n := lineCount(c.file); n < lines+500 {
			return fmt.Errorf("%d of %d records\n%s", n, lines+500, p.Stderr())
		}
		return nil
	})
	testkit.Eventually(t, time.Minute, func() bool { return lineCount(out) >= lines+500 })
	if code := p.Term(time.Minute); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, path := range []string{out, c.file} {
		lineTally := newTally()
		list := readAlerts(t, path, lineTally)
		lineTally.expect(t, 1, lines)
		expectOnce(t, list)
		if n := countAlerts(list, "test.flood", "open"); n != 250 {
			t.Errorf("%d alerts were opened", n)
		}
	}
}
