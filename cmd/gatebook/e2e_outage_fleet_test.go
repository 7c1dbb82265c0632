package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// What TestOutage is made of: the way to the server, the load, an agent with what was seen of it, and the count at the end.

// wire is the way from an agent to the proxy in front of its server. Cut, it refuses connections, as a machine does on which
// nothing listens.
type wire struct {
	t    *testing.T
	port int
	to   string

	mu sync.Mutex
	l  net.Listener
	on map[net.Conn]bool
}

func newWire(t *testing.T, to string) *wire {
	w := &wire{t: t, port: freePort(t), to: strings.TrimPrefix(to, "http://"), on: map[net.Conn]bool{}}
	w.open()
	t.Cleanup(w.cut)
	return w
}

func (w *wire) url() string { return fmt.Sprintf("http://127.0.0.1:%d", w.port) }

func (w *wire) open() {
	w.t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", w.port))
	must(w.t, err)
	w.mu.Lock()
	w.l = l
	w.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
}

func (w *wire) carry(c net.Conn) {
	s, err := net.Dial("tcp", w.to)
	if err != nil {
		c.Close()
		return
	}
	w.mu.Lock()
	w.on[c], w.on[s] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			c.Close()
			s.Close()
		})
	}
	both.Wait()
	w.mu.Lock()
	delete(w.on, c)
	delete(w.on, s)
	w.mu.Unlock()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.l != nil {
		w.l.Close()
	}
	for c := range w.on {
		c.Close()
	}
}

// source is a log of one dataset: each of its lines names a user of its own, the source's letter and the number of the line.
type source struct {
	number                         int
	label, letter, dataset, parser string
	share                          float64 // of all lines
	line                           func(b []byte, n int) []byte
}

// sources are what every agent of the outage follows. The orders are few: theirs is the index that will be red, and what of a
// red index waits beside the others is bounded (4096 records).
var sources = []*source{
	{0, "auth", "a", "linux.auth", "linux_auth", 0.60, func(b []byte, n int) []byte {
		return fmt.Appendf(b, "Nov 22 10:%02d:%02d web01 sshd[%d]: Accepted password for a%d from 203.0.113.%d port %d ssh2\n", n/60%60, n%60, 300+n%9000, n, 1+n%250, 1024+n%60000)
	}},
	{1, "billing", "b", "billing.login", "billing", 0.34, func(b []byte, n int) []byte {
		return fmt.Appendf(b, `{"created_at":"2026-11-22T10:%02d:%02dZ","login":"b%d","ip":"198.51.100.%d","state":1,"plan":"plan-%d"}`+"\n", n/60%60, n%60, n, 1+n%250, n%7)
	}},
	{2, "orders", "c", "shop.order", "orders", 0.06, func(b []byte, n int) []byte {
		return fmt.Appendf(b, `{"created_at":"2026-11-22T10:%02d:%02dZ","customer":"c%d","ip":"192.0.2.%d","amount":%d}`+"\n", n/60%60, n%60, n, 1+n%250, n%997)
	}},
}

const outageInputs = `
input "file" "%[1]s" {
  paths  = ["%[2]s/logs/%[1]s.log"]
  parser = "%[3]s"
  poll   = "50ms"
}
`

const outageParsers = `
parser "json" "billing" {
  dataset = "billing.login"
  time    = { field = "created_at", layouts = ["rfc3339"] }
  fields  = { "user.name" = "login", "source.ip" = "ip", "gatebook.status.code" = "state" }
  codes = {
    "gatebook.status.code" = { "1" = { name = "Active", action = "login", outcome = "success" } }
  }
}
parser "json" "orders" {
  dataset = "shop.order"
  time    = { field = "created_at", layouts = ["rfc3339"] }
  fields  = { "user.name" = "customer", "source.ip" = "ip" }
}
`

// load writes the sources of an agent at a rate until it is stopped.
type load struct {
	written [3]atomic.Int64 // by source
	stop    chan struct{}
	end     func() // may be called more than once
}

func startLoad(t *testing.T, dir string, perSecond int) *load {
	var writers sync.WaitGroup
	l := &load{stop: make(chan struct{})}
	l.end = sync.OnceFunc(func() {
		close(l.stop)
		writers.Wait()
	})
	began := time.Now()
	for _, src := range sources {
		f, err := os.OpenFile(filepath.Join(dir, "logs", src.label+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		writers.Go(func() {
			defer f.Close()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			var b []byte
			for n := 0; ; {
				select {
				case <-l.stop:
					return
				case <-tick.C:
				}
				due := int(time.Since(began).Seconds() * float64(perSecond) * src.share)
				for b = b[:0]; n < due; {
					n++
					b = src.line(b, n)
				}
				if _, err := f.Write(b); err != nil {
					t.Error(err)
					return
				}
				l.written[src.number].Store(int64(n))
			}
		})
	}
	return l
}

// total is how many lines there are, of all sources.
func (l *load) total() (n int) {
	for i := range l.written {
		n += int(l.written[i].Load())
	}
	return n
}

// sight is what an operator sees of an agent at one moment: what it logged since the last look, its metrics, its health.
type sight struct {
	at     time.Duration
	stage  string
	logged []string
	health string
	m      figures
}

// figures are the agent's metrics by name, the output's without its label.
type figures map[string]float64

// outageAgent is an agent on a machine of its own, with its own proxy before the server that all share.
type outageAgent struct {
	*site
	name  string // and namespace
	reads bool   // its key may read
	node  *testkit.Node
	proxy *testkit.Proxy
	wire  *wire
	port  int // of its metrics
	keyID string
	began time.Time

	p      *testkit.Process
	looked int // bytes of its standard error
	sights []sight
	before []figures // the last of each generation: counters begin anew at a start and at a reload
	load   *load
}

func newOutageAgent(t *testing.T, node *testkit.Node, name string, reads bool, timeout string) *outageAgent {
	t.Helper()
	a := &outageAgent{site: newSite(t, ""), name: name, reads: reads, node: node, port: freePort(t), began: time.Now()}
	a.proxy = testkit.FaultProxy(t, node.URL(), testkit.BackendTLS(node.TLS()))
	a.wire = newWire(t, a.proxy.URL())
	var c strings.Builder
	fmt.Fprintf(&c, "data_dir  = %q\nnamespace = %q\ntimezone  = \"UTC\"\nhealth    = \"0s\" // its records would be in the accounts of lines\nmetrics {\n  listen = \"127.0.0.1:%d\"\n}\n", a.data, name, a.port)
	for _, src := range sources {
		fmt.Fprintf(&c, outageInputs, src.label, a.dir, src.parser)
	}
	c.WriteString(outageParsers)
	fmt.Fprintf(&c, "output \"elasticsearch\" \"siem\" {\n  hosts   = [%q]\n  api_key = file(\"api.key\")\n  timeout = %q\n}\n", a.wire.url(), timeout)
	must(t, os.WriteFile(a.config, []byte(c.String()), 0o600))
	return a
}

// newKey has the server make an API key for the agent, and puts it where its config looks for it.
func (a *outageAgent) newKey(expiration string) {
	a.t.Helper()
	privileges := `"auto_configure","create_doc"`
	if a.reads {
		privileges += `,"read"`
	}
	if expiration != "" {
		expiration = fmt.Sprintf(`"expiration":%q,`, expiration)
	}
	var key struct{ ID, Encoded string }
	a.node.Must("POST", "/_security/api_key", fmt.Sprintf(`{"name":%q,%s"role_descriptors":{"agent":{"index":[{"names":["logs-gatebook.*"],"privileges":[%s]}]}}}`,
		a.name, expiration, privileges), &key)
	must(a.t, os.WriteFile(filepath.Join(a.dir, "api.key"), []byte(key.Encoded+"\n"), 0o600))
	a.keyID = key.ID
}

func (a *outageAgent) run() {
	a.t.Helper()
	a.p, a.looked = a.start(), 0
	a.p.WaitLog(time.Minute, "started")
}

// kill ends the agent as a power cut does.
func (a *outageAgent) kill() {
	a.before = append(a.before, a.figures())
	a.p.Kill9()
}

// reload has the agent read its config, and the key, again.
func (a *outageAgent) reload() {
	a.t.Helper()
	m := a.figures()
	n := strings.Count(a.p.Stderr(), "msg=reloaded")
	a.p.Signal(syscall.SIGHUP)
	testkit.Eventually(a.t, time.Minute, func() bool { return strings.Count(a.p.Stderr(), "msg=reloaded") > n })
	// What was delivered since the figures were read is in the last words of the generation that ended.
	all := lastWords.FindAllStringSubmatch(a.p.Stderr(), -1)
	if len(all) == 0 {
		a.t.Fatalf("%s: nothing is said of what was delivered before the reload", a.name)
	}
	v, err := strconv.ParseFloat(all[len(all)-1][1], 64)
	must(a.t, err)
	m["output_delivered_total"] = v
	a.before = append(a.before, m)
}

var lastWords = regexp.MustCompile(`msg=output output=siem delivered=(\d+)`)

func (a *outageAgent) get(path string) (string, int) {
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", a.port, path))
	if err != nil {
		return err.Error(), 0
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error(), 0
	}
	return string(b), res.StatusCode
}

func (a *outageAgent) figures() figures {
	a.t.Helper()
	text, status := a.get("/metrics")
	if status != http.StatusOK {
		a.t.Fatalf("%s: no metrics: %s", a.name, text)
	}
	m := figures{}
	for l := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(l), " ")
		if name, label, is := strings.Cut(name, "{"); ok && strings.HasPrefix(name, "gatebook_") && (!is || strings.HasPrefix(label, `output="elasticsearch.siem"`)) {
			v, err := strconv.ParseFloat(value, 64)
			must(a.t, err)
			m[strings.TrimPrefix(name, "gatebook_")] = v
		}
	}
	return m
}

// all is the sum of a counter over the generations.
func (a *outageAgent) all(name string) (n int) {
	for _, m := range append(slices.Clone(a.before), a.figures()) {
		n += int(m[name])
	}
	return n
}

// look notes what is seen now.
func (a *outageAgent) look(stage string) *sight {
	a.t.Helper()
	text := a.p.Stderr()
	s := sight{at: time.Since(a.began), stage: stage, m: a.figures()}
	s.health, _ = a.get("/healthz")
	s.health = strings.Join(strings.Fields(s.health), " ")
	end := strings.LastIndexByte(text, '\n') + 1
	for l := range strings.Lines(text[a.looked:end]) {
		if _, rest, ok := strings.Cut(l, " level="); ok && strings.HasPrefix(l, "time=") {
			l = rest
		}
		s.logged = append(s.logged, strings.TrimSpace(l))
	}
	a.looked = end
	a.sights = append(a.sights, s)
	return &a.sights[len(a.sights)-1]
}

// lookWell is look once the agent says that all is well.
func (a *outageAgent) lookWell(stage string) *sight {
	a.t.Helper()
	testkit.Eventually(a.t, time.Minute, func() error {
		if text, status := a.get("/healthz"); status != http.StatusOK {
			return fmt.Errorf("%s, %s: %s", a.name, stage, text)
		}
		return nil
	})
	return a.look(stage)
}

// with are the lines that hold all the words.
func (s *sight) with(words ...string) (lines []string) {
	for _, l := range s.logged {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) }) {
			lines = append(lines, l)
		}
	}
	return lines
}

// expect wants between one and most lines with all the words.
func (a *outageAgent) expect(s *sight, most int, words ...string) {
	a.t.Helper()
	if n := len(s.with(words...)); n < 1 || n > most {
		a.t.Errorf("%s, %s: %d lines with %q, want 1 to %d, in\n%s", a.name, s.stage, n, words, most, strings.Join(s.logged, "\n"))
	}
}

// healthy wants an answer of /healthz that begins with the text.
func (a *outageAgent) healthy(s *sight, want string) {
	a.t.Helper()
	if !strings.HasPrefix(s.health, want) {
		a.t.Errorf("%s, %s: health %q, want %q", a.name, s.stage, s.health, want)
	}
}

// stream is the data stream of a source.
func (a *outageAgent) stream(src *source) string {
	return "logs-gatebook." + src.dataset + "-" + a.name
}

// rollOverToNowhere rolls a stream over to an index that may be on no node.
func (a *outageAgent) rollOverToNowhere(src *source) (before, now string) {
	a.t.Helper()
	a.node.Must("PUT", "/_index_template/nowhere", fmt.Sprintf(`{"index_patterns":[%q],"data_stream":{},"priority":900,"composed_of":["gatebook-mappings"],
		"template":{"settings":{"index":{"number_of_replicas":0,"routing.allocation.require.box":"nowhere"}}}}`, a.stream(src)), nil)
	var rolled struct {
		Old string `json:"old_index"`
		New string `json:"new_index"`
	}
	a.node.Must("POST", "/"+a.stream(src)+"/_rollover?wait_for_active_shards=0", "", &rolled)
	a.node.Must("DELETE", "/_index_template/nowhere", "", nil)
	return rolled.Old, rolled.New
}

// reached waits until the line of each source that is the last one now is in Elasticsearch.
func (a *outageAgent) reached(timeout time.Duration, which ...*source) {
	a.t.Helper()
	for _, src := range which {
		last := a.load.written[src.number].Load()
		testkit.Eventually(a.t, timeout, func() error {
			var found struct{ Count int }
			a.node.Refresh(a.stream(src))
			a.node.Must("POST", "/"+a.stream(src)+"/_count?ignore_unavailable=true", fmt.Sprintf(`{"query":{"term":{"user.name":"%s%d"}}}`, src.letter, last), &found)
			if found.Count == 0 {
				return fmt.Errorf("%s: line %d of %s is not there", a.name, last, src.label)
			}
			return nil
		})
	}
}

// tallied is what is in Elasticsearch of one agent in the end.
type tallied struct {
	documents, lost, twice, wrong int
	byIndex                       map[string]int
	examples                      []string
}

// tallyAll counts every line over all backing indices. Twice is what a resend across a rollover makes: the same id in two indices. Any
// other doubling is wrong.
func (a *outageAgent) tallyAll() tallied {
	a.t.Helper()
	r := tallied{byIndex: map[string]int{}}
	type place struct{ index, id string }
	for i, src := range sources {
		names := map[string]string{} // one string for each index
		have := map[int]place{}
		r.documents += a.node.Each(a.stream(src), []string{"user.name"}, func(h testkit.Hit) {
			if _, ok := names[h.Index]; !ok {
				names[h.Index] = h.Index
			}
			r.byIndex[h.Index]++
			var d numberedDoc
			must(a.t, json.Unmarshal(h.Source, &d))
			_, text, ok := strings.Cut(d.User.Name, src.letter)
			n, err := strconv.Atoi(text)
			was, again := have[n]
			switch {
			case !ok || err != nil || n < 1 || n > int(a.load.written[i].Load()):
				r.wrong++
				r.examples = append(r.examples, fmt.Sprintf("strange user %q", d.User.Name))
			case !again:
				have[n] = place{names[h.Index], h.ID}
			case was.id == h.ID && was.index != h.Index:
				r.twice++
			default:
				r.wrong++
				r.examples = append(r.examples, fmt.Sprintf("%s is there as %v and as %s in %s", d.User.Name, was, h.ID, h.Index))
			}
		})
		for n := range int(a.load.written[i].Load()) {
			if _, ok := have[n+1]; !ok {
				r.lost++
				r.examples = append(r.examples, fmt.Sprintf("%s%d is lost", src.letter, n+1))
			}
		}
	}
	r.examples = r.examples[:min(len(r.examples), 8)]
	return r
}

// table prints what was seen.
func (a *outageAgent) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%8s  %-34s %9s %9s %8s %8s %8s %8s  %s\n", a.name, "at", "stage", "delivered", "waiting", "retried", "lookups", "possible", "buffer", "health")
	for _, s := range a.sights {
		fmt.Fprintf(&b, "%8s  %-34s %9.0f %9.0f %8.0f %8.0f %8.0f %7.1fM  %s\n", s.at.Round(100*time.Millisecond), s.stage, s.m["output_delivered_total"], s.m["output_waiting"],
			s.m["output_retried_total"], s.m["output_lookups_total"], s.m["output_possible_duplicates_total"], s.m["buffer_bytes"]/1e6, s.health)
		for _, l := range s.logged {
			fmt.Fprintf(&b, "            | %s\n", l)
		}
	}
	return b.String()
}

// indices prints a count by index.
func (r *tallied) indices() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.byIndex)) {
		fmt.Fprintf(&b, "  %-60s %9d\n", name, r.byIndex[name])
	}
	return b.String()
}
