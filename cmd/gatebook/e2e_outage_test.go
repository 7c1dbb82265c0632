package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// outageLength is how long the server is away: $GATEBOOK_OUTAGE ("20m"), 20 s by default. outageRate is how many lines a second each
// agent has to take: $GATEBOOK_OUTAGE_RATE.
func outageLength(t *testing.T) time.Duration {
	text := os.Getenv("GATEBOOK_OUTAGE")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

func outageRate(t *testing.T) int {
	text := os.Getenv("GATEBOOK_OUTAGE_RATE")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// outage is the course of TestOutage: one server, and two agents under load all the time.
type outage struct {
	t      *testing.T
	node   *testkit.Node
	length time.Duration
	rate   int
	agents []*outageAgent
}

// The promise to those who run Elasticsearch: it is killed under load with answers outstanding, and away for long; an agent is
// killed meanwhile; each data stream is rolled over before anything that is in doubt can be sent again; then an index is red, then a
// key ends. With a key that may read each line is there exactly once. With one that may only append none is lost, and no
// more are there twice than the agent counted as possible duplicates. What the operator sees of it is checked, and logged.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("drives the real binary; run without -short")
	}
	o := &outage{t: t, length: outageLength(t), rate: outageRate(t)}
	o.node = testkit.Elasticsearch(t, testkit.Full(), testkit.Security())
	timeout := "15s"
	if o.length > 5*time.Minute {
		timeout = "90s" // the default
	}
	o.agents = []*outageAgent{newOutageAgent(t, o.node, "reads", true, timeout), newOutageAgent(t, o.node, "appends", false, timeout)}
	t.Cleanup(func() {
		for _, a := range o.agents {
			t.Logf("what is seen of agent %s", a.table())
		}
	})
	o.install()
	for _, a := range o.agents {
		a.newKey("")
		a.run()
		a.load = startLoad(t, a.dir, o.rate)
		defer a.load.end()
	}
	o.quiet()
	o.away()
	o.back()
	o.red()
	o.keyEnds()
	o.settle()
	o.judge()
}

// install has Gatebook put its templates there, with a right that agents do not have.
func (o *outage) install() {
	s := newSite(o.t, "")
	s.configure("", fmt.Sprintf("output \"elasticsearch\" \"siem\" {\n  hosts    = [%q]\n  username = %q\n  password = %q\n  ca       = %q\n  setup    = true\n}\n",
		o.node.URL(), o.node.Username(), o.node.Password(), o.node.CAFile()))
	s.write(1, 1)
	if code := s.start("--once").Wait(time.Minute); code != 0 {
		o.t.Fatalf("the templates cannot be installed: exit code %d", code)
	}
}

// loseAnswers lets some answers get lost, so that at any moment some outcomes are unknown.
func (o *outage) loseAnswers() {
	for i, a := range o.agents {
		a.proxy.Random(uint64(20261122+i), testkit.Weighted{Percent: 6, Fault: testkit.FaultCutAfter()}, testkit.Weighted{Percent: 2, Fault: testkit.FaultHalf()})
	}
}

// caughtUp waits until an agent has delivered all but the last seconds.
func (o *outage) caughtUp(a *outageAgent, timeout time.Duration) {
	o.t.Helper()
	testkit.Eventually(o.t, timeout, func() error {
		if m := a.figures(); m["output_waiting"] > float64(2*o.rate) || m["output_problem"] > 0 {
			return fmt.Errorf("%s: %v records wait", a.name, m["output_waiting"])
		}
		return nil
	})
}

// quiet is the time before: deliveries go on, an answer is lost now and then.
func (o *outage) quiet() {
	for _, a := range o.agents {
		a.reached(time.Minute, sources...)
		a.lookWell("load, all is well")
	}
	o.loseAnswers()
	<-time.After(min(o.length/8, time.Minute))
	for _, a := range o.agents {
		testkit.Eventually(o.t, time.Minute, func() bool { return a.proxy.Count("cut-after") > 0 })
		a.look("some answers are lost")
	}
}

// away is the outage: the server is killed with requests in flight whose answers nobody gets, and the agents once in the middle.
func (o *outage) away() {
	for _, a := range o.agents {
		lost := a.proxy.Count("cut-after")
		a.proxy.Random(1, testkit.Weighted{Percent: 100, Fault: testkit.FaultCutAfter()})
		// A request is counted before it is carried out. While they fail they go one by one: with the third the first two are there.
		testkit.Eventually(o.t, time.Minute, func() bool { return a.proxy.Count("cut-after") > lost+3 })
		a.wire.cut()
	}
	o.node.Kill()
	began := time.Now()
	starts := min(o.length/2, 20*time.Second) // so long the server takes to start, about
	half := time.After((o.length - starts) / 2)
	rest := time.After(o.length - starts)
	<-half
	for _, a := range o.agents {
		s := a.look("server away, before kill -9 of the agent")
		a.healthy(s, `output "siem": retrying`)
		o.few(a, s, 2)
		a.kill()
		a.run()
	}
	<-rest
	o.node.Restart()
	for _, a := range o.agents {
		testkit.Eventually(o.t, time.Minute, func() bool { return strings.Contains(a.p.Stderr(), "refused") })
		s := a.look("server away, the agent is a new process")
		a.healthy(s, `output "siem": retrying`)
		a.expect(s, 1, "WARN", "output is in trouble, trying again", "connection refused", "nothing listens there: check hosts, and that the server runs")
		o.few(a, s, 2)
		for _, src := range sources {
			o.node.Must("POST", "/"+a.stream(src)+"/_rollover", "", nil)
		}
	}
	o.t.Logf("the server was away for %s", time.Since(began).Round(time.Second))
}

// few wants few lines of trouble: an attempt is no news.
func (o *outage) few(a *outageAgent, s *sight, most int) {
	o.t.Helper()
	if n := len(s.with("WARN")) + len(s.with("ERROR")); n > most {
		o.t.Errorf("%s, %s: %d lines of trouble, want at most %d:\n%s", a.name, s.stage, n, most, strings.Join(s.logged, "\n"))
	}
}

// back is the moment when the server can be reached again; answers go on to be lost.
func (o *outage) back() {
	o.loseAnswers()
	began, waiting := time.Now(), map[*outageAgent]float64{}
	for _, a := range o.agents {
		waiting[a] = a.figures()["output_waiting"]
		a.wire.open()
	}
	for _, a := range o.agents {
		o.caughtUp(a, o.length+3*time.Minute)
		o.t.Logf("%s: %.0f records waited; caught up %s after the server could be reached again", a.name, waiting[a], time.Since(began).Round(100*time.Millisecond))
	}
	for _, a := range o.agents {
		a.reached(time.Minute, sources...)
		s := a.lookWell("server back, all caught up")
		a.expect(s, 2+int(time.Since(began)/(30*time.Second)), "output works again", "after=") // the outage, and answers that were lost since
		if !a.reads {
			a.expect(s, 1, "the key may not read", "give the key the privilege read on logs-gatebook.*")
		}
	}
}

// red lets the new index of one stream have no place to be; of the agent that may read the one before is closed too, so that
// what is in doubt cannot be looked up. The other streams go on.
func (o *outage) red() {
	src := sources[2]
	began, orders := time.Now(), map[*outageAgent]int64{}
	before, index := map[*outageAgent]string{}, map[*outageAgent]string{}
	for _, a := range o.agents {
		a.proxy.Off() // whatever is seen is of the index
		a.lookWell("before an index is red")
		orders[a] = a.load.written[src.number].Load()
		before[a], index[a] = a.rollOverToNowhere(src)
		if a.reads {
			o.node.Must("POST", "/"+before[a]+"/_close", "", nil)
		}
	}
	for _, a := range o.agents {
		a.p.WaitLog(3*time.Minute, "output cannot write to a stream")
		o.t.Logf("%s: an index was red; told after %s", a.name, time.Since(began).Round(100*time.Millisecond))
	}
	<-time.After(min(o.length/3, time.Minute))
	for _, a := range o.agents {
		// The others have no lag: nothing waits but what is red, and what came in the last second or two.
		testkit.Eventually(o.t, time.Minute, func() error {
			red := a.load.written[src.number].Load() - orders[a]
			if m := a.figures(); m["output_waiting"] > float64(red)+float64(2*o.rate) {
				return fmt.Errorf("%s: %v records wait, %d for the red index", a.name, m["output_waiting"], red)
			}
			return nil
		})
		a.reached(time.Minute, sources[0], sources[1])
		s := a.look("an index is red, the others go on")
		a.healthy(s, `output "siem": retrying`)
		a.expect(s, 1, "output cannot write to a stream", "stream="+a.stream(src), "status=503", "unavailable_shards_exception", "_cluster/allocation/explain")
		o.few(a, s, 1)
		if len(s.with("@timestamp")) > 0 {
			o.t.Errorf("%s: a record is in the message", a.name)
		}
		if s.m["output_waiting"] == 0 {
			o.t.Errorf("%s: nothing waits for the red index", a.name)
		}
		if a.reads {
			o.node.Must("POST", "/"+before[a]+"/_open", "", nil)
		}
		o.node.Must("PUT", "/"+index[a]+"/_settings", `{"index.routing.allocation.require.box":null}`, nil)
	}
	for _, a := range o.agents {
		o.caughtUp(a, 3*time.Minute)
		a.reached(time.Minute, src)
		s := a.lookWell("the index is there, all caught up")
		a.expect(s, 1, "output works again", "stream="+a.stream(src))
	}
	o.loseAnswers()
}

// keyEnds lets the keys of the agents end, one by its expiration and one by hand; a new one and SIGHUP mend it.
func (o *outage) keyEnds() {
	for _, a := range o.agents {
		a.proxy.Off() // whatever is seen is of the key
		if a.reads {
			a.newKey("3s")
			a.reload()
		} else {
			o.node.Must("DELETE", "/_security/api_key", fmt.Sprintf(`{"ids":[%q]}`, a.keyID), nil)
		}
	}
	had := map[*outageAgent]float64{}
	for _, a := range o.agents {
		a.p.WaitLog(time.Minute, "output holds until this is mended")
	}
	<-time.After(min(o.length/8, time.Minute))
	for _, a := range o.agents {
		had[a] = a.figures()["output_delivered_total"] // what was under way has been answered by now
	}
	<-time.After(min(o.length/8, time.Minute))
	for _, a := range o.agents {
		s := a.look("the key has ended")
		a.healthy(s, `output "siem": held`)
		a.expect(s, 1, "ERROR", "output holds until this is mended", "status=401", "check api_key")
		o.few(a, s, 3)
		if s.m["output_waiting"] == 0 || s.m["output_delivered_total"] != had[a] {
			o.t.Errorf("%s: it does not hold: %v", a.name, s.m)
		}
		if key, err := os.ReadFile(filepath.Join(a.dir, "api.key")); err != nil || strings.Contains(a.p.Stderr(), strings.TrimSpace(string(key))) {
			o.t.Errorf("%s: the key is in the messages, or %v", a.name, err)
		}
		a.newKey("")
		a.reload()
	}
	o.loseAnswers()
	for _, a := range o.agents {
		o.caughtUp(a, 3*time.Minute)
		a.reached(time.Minute, sources...)
		a.lookWell("a new key, all caught up")
	}
}

// settle ends the load and waits until nothing is on its way any more; then the agents' own accounts must come out even.
func (o *outage) settle() {
	for _, a := range o.agents {
		a.load.end()
	}
	for _, a := range o.agents {
		a.proxy.Off()
		written := a.load.total()
		// Whatever the figures say, what is in Elasticsearch is to be counted: no end of the test here.
		for end := time.Now().Add(3 * time.Minute); time.Now().Before(end) && (a.all("output_delivered_total") < written || a.figures()["output_waiting"] > 0); {
			<-time.After(50 * time.Millisecond)
		}
		s := a.look("the end")
		if n := a.all("output_delivered_total"); n != written {
			o.t.Errorf("%s: %d delivered of %d lines", a.name, n, written)
		}
		m := s.m
		if m["lines_read_total"] != m["events_appended_total"] {
			o.t.Errorf("%s: %v read, %v appended", a.name, m["lines_read_total"], m["events_appended_total"])
		}
		for _, never := range []string{"output_dead_letters_total", "output_skipped_total", "output_filtered_total", "output_collisions_total", "buffer_dropped_items_total", "parse_failures_total"} {
			if n := a.all(never); n != 0 {
				o.t.Errorf("%s: %s is %d", a.name, never, n)
			}
		}
	}
}

// judge counts what is in Elasticsearch.
func (o *outage) judge() {
	for _, a := range o.agents {
		possible, lookups := a.all("output_possible_duplicates_total"), a.all("output_lookups_total")
		if code := a.p.Term(time.Minute); code != 0 {
			o.t.Errorf("%s: exit code %d", a.name, code)
		}
		r := a.tallyAll()
		o.t.Logf("%s: %d lines, %d documents, %d lost, %d there twice, %d possible duplicates counted, %d ids looked up, faults %v\n%s",
			a.name, a.load.total(), r.documents, r.lost, r.twice, possible, lookups, a.proxy.Counts(), r.indices())
		if r.lost > 0 || r.wrong > 0 {
			o.t.Errorf("%s: %d lost, %d wrong, such as %q", a.name, r.lost, r.wrong, r.examples)
		}
		switch {
		case a.reads && (r.twice > 0 || possible > 0):
			o.t.Errorf("%s: %d there twice, %d possible duplicates counted, with a key that may read", a.name, r.twice, possible)
		case a.reads && lookups == 0:
			o.t.Errorf("%s: nothing was in doubt", a.name)
		case !a.reads && r.twice > possible:
			o.t.Errorf("%s: %d there twice, but %d possible duplicates counted", a.name, r.twice, possible)
		case !a.reads && r.twice == 0:
			o.t.Errorf("%s: nothing was in doubt", a.name)
		}
	}
}
