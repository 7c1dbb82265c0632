package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// The tests in this file and its neighbours e2e_*_test.go drive the real binary. Each line that they write carries its number as
// the user's name, so that loss and doubling are counted by line number in the place where the records end up, not by
// the agent's own figures.

// numbered is the line with number n.
func numbered(n int) string {
	return fmt.Sprintf("Nov 22 10:%02d:%02d web01 sshd[%d]: Failed password for invalid user u%d from 203.0.113.%d port 40022 ssh2\n",
		n/60%60, n%60, 300+n%9000, n, 1+n%250)
}

// site is one machine with an agent: a log folder, a data_dir, a config.
type site struct {
	t      *testing.T
	dir    string
	log    string // the file that is followed
	data   string // data_dir
	config string
	binary string
}

func newSite(t *testing.T, outputs string) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("drives the real binary; run without -short")
	}
	dir := t.TempDir()
	s := &site{t: t, dir: dir, log: filepath.Join(dir, "logs", "auth.log"), data: filepath.Join(dir, "data"), config: filepath.Join(dir, "gatebook.hcl"), binary: testkit.Gatebook(t)}
	if err := os.MkdirAll(filepath.Dir(s.log), 0o755); err != nil {
		t.Fatal(err)
	}
	s.configure("", outputs)
	return s
}

// configure writes the config: more is put before the outputs.
func (s *site) configure(more, outputs string) {
	s.t.Helper()
	text := fmt.Sprintf(`data_dir = %q
timezone = "UTC"
input "file" "auth" {
  paths  = ["%s/logs/auth.log", "%s/logs/auth.log.1"]
  parser = "linux_auth"
  poll   = "20ms"
  rescan = "50ms"
}
`, s.data, s.dir, s.dir) + more + outputs
	if err := os.WriteFile(s.config, []byte(text), 0o640); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) start(args ...string) *testkit.Process {
	s.t.Helper()
	p := testkit.Start(s.t, s.binary, append([]string{"run", "--config", s.config}, args...)...)
	s.t.Cleanup(func() {
		if strings.Contains(p.Stderr(), "accounts do not add up") {
			s.t.Errorf("accounts do not add up:\n%s", p.Stderr())
		}
	})
	return p
}

// write appends the numbered lines from first to last, both included.
func (s *site) write(first, last int) {
	s.t.Helper()
	var b strings.Builder
	for n := first; n <= last; n++ {
		b.WriteString(numbered(n))
	}
	f, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(b.String()); err != nil {
		s.t.Fatal(err)
	}
}

// feeder writes numbered lines at a rate until it is stopped, and rotates by renaming every few thousand.
type feeder struct {
	s       *site
	stop    chan struct{}
	done    sync.WaitGroup
	written atomic.Int64

	rotations atomic.Int64
}

// rotation says when a feeder rotates. A rotation removes the file of the one before, and no reader can promise anything of a file
// that is gone before it had the time to look: on a busy machine the feeder goes on without a rotation until the agent had it.
type rotation struct {
	every int                        // lines between rotations; 0 for none
	may   func(first, last int) bool // may the file with these lines be removed
}

// opened is a rotation that removes files which the agent has opened: it goes on reading them.
func opened(every int, out string) rotation {
	return rotation{every, func(first, _ int) bool { return inFile(out, first) }}
}

// delivered is a rotation that removes files which were read to their end: an agent that is killed does not find them again.
func delivered(every int, out string) rotation {
	return rotation{every, func(_, last int) bool { return inFile(out, last) }}
}

// inFile says whether the record of line n is in an NDJSON file.
func inFile(path string, n int) bool {
	b, _ := os.ReadFile(path)
	return bytes.Contains(b, fmt.Appendf(nil, `"name":"u%d"`, n))
}

// feed starts to write after line number after.
func (s *site) feed(after, perSecond int, r rotation) *feeder {
	f := &feeder{s: s, stop: make(chan struct{})}
	f.written.Store(int64(after))
	f.done.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		per := max(perSecond/100, 1)
		begun, before := after+1, 0 // the first lines of this file and of the one before
		for {
			select {
			case <-f.stop:
				return
			case <-tick.C:
			}
			n := int(f.written.Load())
			s.write(n+1, n+per)
			f.written.Store(int64(n + per))
			if since := n + per + 1 - begun; r.every > 0 && since >= r.every && since%(10*per) < per && (before == 0 || r.may(before, begun-1)) {
				before, begun = begun, n+per+1
				if err := os.Rename(s.log, s.log+".1"); err != nil {
					s.t.Error(err)
				}
				f.rotations.Add(1)
			}
		}
	})
	return f
}

// end stops writing and returns how many lines there are.
func (f *feeder) end() int {
	close(f.stop)
	f.done.Wait()
	return int(f.written.Load())
}

// tally counts numbers 1..n and says which are missing or doubled.
type tally struct{ seen map[int]int }

func newTally() *tally { return &tally{map[int]int{}} }

func (c *tally) add(user string) {
	if n, err := strconv.Atoi(strings.TrimPrefix(user, "u")); err == nil {
		c.seen[n]++
	}
}

func (c *tally) expect(t *testing.T, first, last int) {
	t.Helper()
	lost, doubled, strange := 0, 0, 0
	var examples []int
	for n := first; n <= last; n++ {
		switch c.seen[n] {
		case 1:
		case 0:
			if lost++; lost <= 5 {
				examples = append(examples, n)
			}
		default:
			if doubled++; doubled <= 5 {
				examples = append(examples, n)
			}
		}
	}
	for n := range c.seen {
		if n < first || n > last {
			strange++
		}
	}
	t.Logf("lines %d to %d: %d lost, %d doubled, %d strange", first, last, lost, doubled, strange)
	if lost+doubled+strange > 0 {
		t.Errorf("%d lost, %d doubled, %d strange, such as %v", lost, doubled, strange, examples)
	}
}

type numberedDoc struct {
	User struct {
		Name string `json:"name"`
	} `json:"user"`
}

// countFile tallies an NDJSON file.
func countFile(t *testing.T, path string, c *tally) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var d numberedDoc
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatalf("%v in %q", err, lines.Text())
		}
		c.add(d.User.Name)
	}
}

// countIndex tallies the documents in Elasticsearch.
func countIndex(t *testing.T, node *testkit.Node, index string, c *tally) {
	t.Helper()
	node.Each(index, []string{"user.name"}, func(h testkit.Hit) {
		var d numberedDoc
		if err := json.Unmarshal(h.Source, &d); err != nil {
			t.Fatal(err)
		}
		c.add(d.User.Name)
	})
}

const elasticOutput = `output "elasticsearch" "siem" {
  hosts = ["%s"]
  setup = %v
}
`

// The promise of the whole: 100 times kill -9 at random moments, through a proxy that refuses, cuts, delays and halves answers,
// while the log grows and is rotated: in Elasticsearch each line is there exactly once.
func TestHundredKills(t *testing.T) {
	node := testkit.SharedElasticsearch(t)
	proxy := testkit.FaultProxy(t, node.URL())
	s := newSite(t, "")
	s.configure("namespace = \"kills\"\n", fmt.Sprintf(elasticOutput, proxy.URL(), true))
	p := s.start() // a first, undisturbed start sets up the templates
	s.write(1, 1)
	testkit.Eventually(t, 60*time.Second, func() bool { return node.Count("logs-gatebook.linux.auth-kills") == 1 })
	p.Kill9()
	proxy.Random(20261122,
		testkit.Weighted{Percent: 60, Fault: testkit.FaultPass()}, testkit.Weighted{Percent: 6, Fault: testkit.FaultStatus(503)},
		testkit.Weighted{Percent: 6, Fault: testkit.FaultStatus(429)}, testkit.Weighted{Percent: 3, Fault: testkit.FaultStatus(413)},
		testkit.Weighted{Percent: 6, Fault: testkit.FaultCutBefore()}, testkit.Weighted{Percent: 10, Fault: testkit.FaultCutAfter()},
		testkit.Weighted{Percent: 5, Fault: testkit.FaultHalf()}, testkit.Weighted{Percent: 4, Fault: testkit.FaultSlow(0, 80*time.Millisecond)})
	random := rand.New(rand.NewPCG(1, 2))
	f := s.feed(1, 1500, rotation{4000, func(_, last int) bool {
		var found struct{ Count int }
		node.Must("POST", "/logs-gatebook.linux.auth-kills/_count", fmt.Sprintf(`{"query":{"term":{"user.name":"u%d"}}}`, last), &found)
		return found.Count > 0
	}})
	for i := range 100 {
		p := s.start()
		if i%2 == 0 { // half the kills come into a start, however slow the machine is; the others into its work
			p.WaitLog(time.Minute, "started")
		}
		select {
		case <-p.Done():
			t.Fatalf("the agent ended by itself: %s", p.Stderr())
		case <-time.After(time.Duration(80+random.IntN(420)) * time.Millisecond):
		}
		if written := int(f.written.Load()); i%10 == 0 { // and on a slow one it gets something done
			testkit.Eventually(t, 2*time.Minute, func() bool { return node.Count("logs-gatebook.linux.auth-kills") >= written })
		}
		p.Kill9()
	}
	n := f.end()
	proxy.Off()
	p = s.start()
	testkit.Eventually(t, 120*time.Second, func() error {
		if got := node.Count("logs-gatebook.linux.auth-kills"); got < n {
			return fmt.Errorf("%d of %d documents", got, n)
		}
		return nil
	})
	p.Term(time.Minute)
	t.Logf("%d rotations, faults: %v", f.rotations.Load(), proxy.Counts())
	c := newTally()
	countIndex(t, node, "logs-gatebook.linux.auth-kills", c)
	c.expect(t, 1, n)
}

// SIGHUP while lines come in loses and doubles none.
func TestReloadLosesNothing(t *testing.T) {
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	output := fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out)
	s.configure("", output)
	f := s.feed(0, 2000, opened(1500, out))
	p := s.start()
	p.WaitLog(time.Minute, "started")
	for i := range 20 {
		testkit.Eventually(t, time.Minute, func() bool { return f.written.Load() > int64(i)*400 })
		s.configure(fmt.Sprintf("agent_name = \"n%d\"\n", i), output)
		p.Signal(syscall.SIGHUP)
		testkit.Eventually(t, time.Minute, func() bool { return strings.Count(p.Stderr(), "reloaded") > i })
	}
	n := f.end()
	testkit.Eventually(t, time.Minute, func() bool { return lineCount(out) >= n })
	if code := p.Term(time.Minute); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, n)
}

func lineCount(path string) int {
	b, _ := os.ReadFile(path)
	return strings.Count(string(b), "\n")
}

// A machine that is cloned after a run, data_dir and all, sends on beside the first: nothing of either is discarded.
func TestClonedMachine(t *testing.T) {
	node := testkit.SharedElasticsearch(t)
	s := newSite(t, "")
	output := fmt.Sprintf(elasticOutput, node.URL(), true)
	once := func(data string) {
		t.Helper()
		s.data = filepath.Join(s.dir, data)
		s.configure("namespace = \"clones\"\n", output)
		if code := s.start("--once").Wait(60 * time.Second); code != 0 {
			t.Fatalf("exit code %d", code)
		}
	}
	s.write(1, 500)
	once("data")
	if err := os.CopyFS(filepath.Join(s.dir, "clone"), os.DirFS(filepath.Join(s.dir, "data"))); err != nil {
		t.Fatal(err)
	}
	at, err := os.Stat(s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.write(501, 800)
	once("data")
	// The clone's disk is the same up to the moment of cloning (same inode, same beginning), then has lines of its own.
	if err := os.Truncate(s.log, at.Size()); err != nil {
		t.Fatal(err)
	}
	s.write(801, 1100)
	once("clone")
	c := newTally()
	countIndex(t, node, "logs-gatebook.linux.auth-clones", c)
	c.expect(t, 1, 1100)
}

// An output that is down for long does not stop the others; with max_lag it skips, and says how much.
func TestAReaderThatIsDownStopsNobody(t *testing.T) {
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	s.configure("buffer {\n  max_bytes = \"16MiB\"\n  segment = \"1MiB\"\n}\n", fmt.Sprintf(`output "file" "copy" { path = %q }
output "elasticsearch" "gone" {
  hosts   = ["http://127.0.0.1:9"]
  max_lag = "2MiB"
}
`, out))
	p := s.start()
	for n := 0; n < 40000; n += 2000 { // about 40 MB of records: more than the buffer holds
		s.write(n+1, n+2000)
	}
	testkit.Eventually(t, 60*time.Second, func() bool { return lineCount(out) >= 40000 })
	p.Term(time.Minute)
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, 40000)
	if !strings.Contains(p.Stderr(), "127.0.0.1:9") {
		t.Errorf("the unreachable host is not named:\n%s", p.Stderr())
	}
}
