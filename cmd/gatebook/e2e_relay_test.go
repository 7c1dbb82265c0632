package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// freePort is a port of loopback that nobody listens on at the moment. It is none of those that the kernel gives to outgoing connections
// (from 32768 on): one of these could take it before the agent listens, or while it is down.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// central is a Gatebook that others deliver to.
type central struct {
	*site
	port int
	file string
}

func newCentral(t *testing.T) *central {
	t.Helper()
	c := &central{site: newSite(t, ""), port: freePort(t)}
	c.file = filepath.Join(c.dir, "central.ndjson")
	text := fmt.Sprintf(`data_dir = %q
input "bulk" "fleet" {
  listen = "127.0.0.1:%d"
  key "edge" {
    api_key  = "edge-key-0123456789"
    gatebook = true
  }
}
output "file" "copy" { path = %q }
output "store" "local" {}
`, c.data, c.port, c.file)
	if err := os.WriteFile(c.config, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return c
}

const relayOutput = `output "elasticsearch" "central" {
  hosts   = ["%s"]
  api_key = "edge-key-0123456789"
}
`

// One Gatebook delivers to another through a network that loses answers, delays and refuses: in the log of the other each line is there
// once, before any output could have sorted it out, and the record is the one that the first made.
func TestRelay(t *testing.T) {
	c := newCentral(t)
	proxy := testkit.FaultProxy(t, fmt.Sprintf("http://127.0.0.1:%d", c.port))
	edge := newSite(t, "")
	own := filepath.Join(edge.dir, "own.ndjson")
	edge.configure("agent_name = \"edge1\"\n", fmt.Sprintf(relayOutput, proxy.URL())+fmt.Sprintf("output \"file\" \"own\" { path = %q }\n", own))
	proxy.Random(7, testkit.Weighted{Percent: 55, Fault: testkit.FaultPass()}, testkit.Weighted{Percent: 5, Fault: testkit.FaultStatus(503)},
		testkit.Weighted{Percent: 5, Fault: testkit.FaultStatus(429)}, testkit.Weighted{Percent: 5, Fault: testkit.FaultCutBefore()},
		testkit.Weighted{Percent: 20, Fault: testkit.FaultCutAfter()}, testkit.Weighted{Percent: 10, Fault: testkit.FaultHalf()})
	pc := c.start()
	pc.WaitLog(time.Minute, "started")
	f := edge.feed(0, 4000, rotation{})
	pe := edge.start()
	testkit.Eventually(t, 60*time.Second, func() bool { return f.written.Load() > 10000 })
	n := f.end()
	testkit.Eventually(t, 120*time.Second, func() error {
		if got := lineCount(c.file); got < n {
			return fmt.Errorf("%d of %d records at the other end", got, n)
		}
		return nil
	})
	pe.Term(time.Minute)
	pc.Term(time.Minute)
	t.Logf("faults: %v", proxy.Counts())
	seen := newTally()
	countFile(t, c.file, seen)
	seen.expect(t, 1, n)
	compareRelayed(t, own, c.file)
}

// compareRelayed holds the records of both ends against each other: the same but for what says that they were relayed.
func compareRelayed(t *testing.T, own, relayed string) {
	t.Helper()
	read := func(path string, one func(id string, doc map[string]any)) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var doc map[string]any
			if err := json.Unmarshal(lines.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			one(doc["event"].(map[string]any)["id"].(string), doc)
		}
	}
	want := map[string]string{}
	read(own, func(id string, doc map[string]any) {
		b, _ := json.Marshal(doc)
		want[id] = string(b)
	})
	different := 0
	read(relayed, func(id string, doc map[string]any) {
		g := doc["gatebook"].(map[string]any)
		if g["relayed"] != true || g["sender"].(map[string]any)["name"] != "edge" {
			t.Fatalf("not marked as relayed: %v", g)
		}
		delete(g, "relayed")
		delete(g, "sender")
		if b, _ := json.Marshal(doc); string(b) != want[id] {
			if different++; different < 3 {
				t.Errorf("relayed as\n%s\nwhere it was\n%s", b, want[id])
			}
		}
	})
}

// Both ends are killed again and again: nothing is lost, nothing doubled.
func TestRelayKills(t *testing.T) {
	c := newCentral(t)
	edge := newSite(t, "")
	edge.configure("", fmt.Sprintf(relayOutput, fmt.Sprintf("http://127.0.0.1:%d", c.port)))
	random := rand.New(rand.NewPCG(5, 6))
	f := edge.feed(0, 2000, delivered(4000, c.file))
	pc, pe := c.start(), edge.start()
	for i := range 30 {
		<-time.After(time.Duration(80+random.IntN(300)) * time.Millisecond)
		if i%3 == 0 {
			pe.Kill9()
			pe = edge.start()
		} else {
			pc.Kill9()
			pc = c.start()
		}
	}
	n := f.end()
	testkit.Eventually(t, 120*time.Second, func() error {
		if got := lineCount(c.file); got < n {
			return fmt.Errorf("%d of %d records at the other end", got, n)
		}
		return nil
	})
	pe.Term(time.Minute)
	pc.Term(time.Minute)
	seen := newTally()
	countFile(t, c.file, seen) // the output "file" is exactly once: what is there twice is in the log twice
	seen.expect(t, 1, n)
}

// syslogMessage is the numbered line as a syslog message.
func syslogMessage(n int) string {
	return fmt.Sprintf("<38>1 2026-11-22T10:%02d:%02dZ web01 sshd %d - - Failed password for invalid user u%d from 203.0.113.%d port 40022 ssh2\n",
		n/60%60, n%60, 300+n%9000, n, 1+n%250)
}

// Syslog over TCP from several connections, while the config is reloaded again and again: connections stay, nothing is lost.
func TestSyslogReload(t *testing.T) {
	s := newSite(t, "")
	port := freePort(t)
	out := filepath.Join(s.dir, "out.ndjson")
	config := func(name string) {
		text := fmt.Sprintf("data_dir = %q\nagent_name = %q\ninput \"syslog\" \"edge\" {\n  listen = [\"tcp://127.0.0.1:%d\"]\n}\noutput \"file\" \"copy\" { path = %q }\n", s.data, name, port, out)
		if err := os.WriteFile(s.config, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	config("n")
	p := s.start()
	p.WaitLog(time.Minute, "started")
	const connections = 8
	var number atomic.Int64
	stop, ended := make(chan struct{}), make(chan error, connections)
	for range connections {
		go func() { ended <- sendUntil(stop, port, &number) }()
	}
	for i := range 10 {
		testkit.Eventually(t, time.Minute, func() bool { return number.Load() > int64(i)*1500 })
		config(fmt.Sprint("n", i))
		p.Signal(syscall.SIGHUP)
		testkit.Eventually(t, time.Minute, func() bool { return strings.Count(p.Stderr(), "reloaded") > i })
	}
	close(stop)
	for range connections {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	n := int(number.Load())
	testkit.Eventually(t, 60*time.Second, func() error {
		if got := lineCount(out); got < n {
			return fmt.Errorf("%d of %d messages", got, n)
		}
		return nil
	})
	if code := p.Term(time.Minute); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	seen := newTally()
	countFile(t, out, seen)
	seen.expect(t, 1, n)
}

// sendUntil sends numbered messages over one connection, in pieces that end anywhere, until it is told to stop.
func sendUntil(stop <-chan struct{}, port int, number *atomic.Int64) error {
	var conn net.Conn
	var err error
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); conn == nil; <-tick.C { // it listens a moment after it has said that it started
		if conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil && time.Since(began) > time.Minute {
			return err
		}
	}
	w := bufio.NewWriterSize(conn, 700)
	for {
		select {
		case <-stop:
			return errors.Join(w.Flush(), conn.Close())
		case <-tick.C:
		}
		for range 4 {
			if _, err := w.WriteString(syslogMessage(int(number.Add(1)))); err != nil {
				return err
			}
		}
	}
}
