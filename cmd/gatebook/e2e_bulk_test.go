package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// shipper delivers numbered lines to a bulk input as Filebeat does: what is not acknowledged is sent again.
type shipper struct {
	t      *testing.T
	url    string
	key    string
	ids    bool
	client *http.Client

	busy, cut, repeats, taken atomic.Int64 // 429s; requests without a good answer; items answered 409, and 201
}

const shipperKey = "0123456789abcdef0123456789abcdef"

func newShipper(t *testing.T, address string, ids bool) *shipper {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &shipper{t: t, url: "http://" + address + "/_bulk", key: shipperKey, ids: ids, client: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// request is a bulk request of the numbered lines from first to last.
func (s *shipper) request(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		if s.ids {
			fmt.Fprintf(&b, "{\"create\":{\"_index\":\"filebeat\",\"_id\":\"line-%d\"}}\n", n)
		} else {
			b.WriteString("{\"create\":{\"_index\":\"filebeat\"}}\n")
		}
		fmt.Fprintf(&b, "{\"@timestamp\":\"2026-11-22T10:00:00Z\",\"message\":%q,\"host\":{\"name\":\"edge\"}}\n", strings.TrimSuffix(numbered(n), "\n"))
	}
	return b.String()
}

// post sends a request once; nil is an answer that acknowledges every item.
func (s *shipper) post(body string) error {
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "ApiKey "+s.key)
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := s.client.Do(req)
	if err != nil {
		s.cut.Add(1)
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		s.cut.Add(1)
		return err
	case res.StatusCode == http.StatusTooManyRequests:
		s.busy.Add(1)
		return errBusy
	case res.StatusCode != http.StatusOK:
		s.cut.Add(1)
		return fmt.Errorf("status %d: %s", res.StatusCode, b)
	}
	var answer struct {
		Items []map[string]struct{ Status int }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return err
	}
	if want := strings.Count(body, `{"create"`); len(answer.Items) != want {
		return fmt.Errorf("%d answers to %d items", len(answer.Items), want)
	}
	for _, item := range answer.Items {
		switch status := item["create"].Status; status {
		case 201:
			s.taken.Add(1)
		case 409:
			s.repeats.Add(1)
		default:
			return fmt.Errorf("an item has status %d", status)
		}
	}
	return nil
}

var errBusy = errors.New("told to come again")

// deliver sends a request until it is acknowledged.
func (s *shipper) deliver(body string) {
	s.t.Helper()
	testkit.Eventually(s.t, 60*time.Second, func() bool { return s.post(body) == nil })
}

// bulkAddress is an address where nobody listens at present.
func bulkAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort(t))
}

func bulkInput(address, more string) string {
	return fmt.Sprintf("input \"bulk\" \"fleet\" {\n  listen = %q\n  api_key = %q\n%s\n}\n", address, shipperKey, more)
}

// Every request is sent ten times over while the agent is killed at random moments and started again: nothing is lost; with ids nothing
// is doubled, without them what is doubled is counted.
func TestShipperReplaysAndKills(t *testing.T) {
	for _, ids := range []bool{true, false} {
		t.Run(fmt.Sprintf("ids=%v", ids), func(t *testing.T) {
			address := bulkAddress(t)
			s := newSite(t, "")
			out := filepath.Join(s.dir, "out.ndjson")
			s.configure(bulkInput(address, ""), fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))
			ship := newShipper(t, address, ids)
			const size, requests, kills = 100, 60, 12
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range requests {
					body := ship.request(i*size+1, (i+1)*size)
					ship.deliver(body)
					for range 9 { // as a proxy does that does not get the answers; some of these come into a kill, too
						_ = ship.post(body)
					}
				}
			}()
			random := rand.New(rand.NewPCG(3, 4))
			p := s.start()
			for range kills {
				before := ship.taken.Load() + ship.repeats.Load()
				step := int64(size * (1 + random.IntN(40)))
				killed := false
				testkit.Eventually(t, 60*time.Second, func() bool {
					select {
					case <-done:
						return true
					default:
					}
					killed = ship.taken.Load()+ship.repeats.Load() >= before+step
					return killed
				})
				if !killed {
					break
				}
				p.Kill9()
				p = s.start()
			}
			<-done
			c := newTally()
			want := requests * size
			all := want
			if !ids { // each that was acknowledged is a record of its own
				all = max(all, int(ship.taken.Load()))
			}
			testkit.Eventually(t, 60*time.Second, func() bool { return lineCount(out) >= all })
			if code := p.Term(time.Minute); code != 0 {
				t.Errorf("exit code %d after SIGTERM: %s", code, p.Stderr())
			}
			countFile(t, out, c)
			t.Logf("%d requests of %d lines, ten times each: %d items answered 201, %d answered 409, %d requests cut", requests, size, ship.taken.Load(), ship.repeats.Load(), ship.cut.Load())
			if ids {
				c.expect(t, 1, want)
				return
			}
			lost, doubled := 0, 0
			for n := 1; n <= want; n++ {
				if c.seen[n] == 0 {
					lost++
				}
				doubled += max(c.seen[n]-1, 0)
			}
			t.Logf("without ids: %d lines, %d lost, %d more copies", want, lost, doubled)
			if lost > 0 || int64(doubled) < ship.taken.Load()-int64(want) {
				t.Errorf("%d lost, %d more copies of %d answered 201", lost, doubled, ship.taken.Load())
			}
		})
	}
}

// An edge whose buffer fills up, because the central Gatebook is down, says 429 and takes nothing of such a request; when the central
// one is there everything arrives, once, and is what the edge made of it.
func TestFullEdgeAndCentral(t *testing.T) {
	edgeAddress, centralAddress := bulkAddress(t), bulkAddress(t)
	edge := newSite(t, "")
	edge.configure(bulkInput(edgeAddress, "max_line = \"64KiB\"\ntimeout = \"2s\"")+"agent_name = \"edge\"\nbuffer { max_bytes = \"16MiB\" }\n",
		fmt.Sprintf("output \"elasticsearch\" \"central\" {\n  hosts = [\"http://%s\"]\n  api_key = %q\n  gzip = false\n}\n", centralAddress, shipperKey))
	ship := newShipper(t, edgeAddress, true)
	pe := edge.start()
	const size = 500
	n := size
	ship.deliver(ship.request(1, n)) // as soon as somebody listens
	ship.cut.Store(0)
	for ship.busy.Load() == 0 {
		if n > 200_000 {
			t.Fatal("the buffer does not fill up")
		}
		// The request that fills the buffer up is not acknowledged (503); it is sent again, then and below.
		if err := ship.post(ship.request(n+1, n+size)); err == nil {
			n += size
		} else if !errors.Is(err, errBusy) && !strings.Contains(err.Error(), "status 503") && ship.cut.Load() > 20 { // a connection may break
			t.Fatal(err)
		}
	}
	t.Logf("busy after %d lines, %d requests without an acknowledgement", n, ship.cut.Load())
	central := newSite(t, "")
	out := filepath.Join(central.dir, "out.ndjson")
	central.configure(fmt.Sprintf("input \"bulk\" \"edges\" {\n  listen = %q\n  key \"edge\" {\n    api_key  = %q\n    gatebook = true\n  }\n}\nagent_name = \"central\"\n", centralAddress, shipperKey),
		fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))
	pc := central.start()
	for range 20 {
		ship.deliver(ship.request(n+1, n+size))
		n += size
	}
	testkit.Eventually(t, 120*time.Second, func() error {
		if got := lineCount(out); got < n {
			return fmt.Errorf("%d of %d lines", got, n)
		}
		return nil
	})
	for name, p := range map[string]*testkit.Process{"edge": pe, "central": pc} {
		if code := p.Term(time.Minute); code != 0 {
			t.Errorf("%s: exit code %d after SIGTERM: %s", name, code, p.Stderr())
		}
		if strings.Contains(p.Stderr(), "collision") {
			t.Errorf("%s: %s", name, p.Stderr())
		}
	}
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, n)
	b := fileStart(t, out)
	for _, want := range []string{`"agent":{"id":`, `"name":"edge"`, `"relayed":true`, `"id":"default:line-1"`, `"input":"fleet"`, `"action":"login"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
}

// fileStart is the first line of a file.
func fileStart(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// The config is reloaded again and again while shippers open a connection for each request: none is refused or cut, each line arrives
// once. A config whose address somebody else has is refused, and the old one goes on.
func TestBulkReload(t *testing.T) {
	address := bulkAddress(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newSite(t, "")
	out := filepath.Join(s.dir, "out.ndjson")
	configure := func(address, name string) {
		s.configure(bulkInput(address, "")+fmt.Sprintf("agent_name = %q\n", name), fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))
	}
	configure(address, "first")
	p := s.start()
	p.WaitLog(20*time.Second, "started")
	ship := newShipper(t, address, true)
	ship.client.Transport.(*http.Transport).DisableKeepAlives = true
	var number atomic.Int64
	var shippers sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		shippers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := int(number.Add(1))
				if err := ship.post(ship.request(n, n)); err != nil {
					t.Errorf("line %d: %v", n, err)
					return
				}
			}
		})
	}
	for i := range 5 {
		testkit.Eventually(t, 30*time.Second, func() bool { return t.Failed() || ship.taken.Load() > int64(30*i) })
		configure(address, fmt.Sprint("reload-", i))
		p.Signal(syscall.SIGHUP)
		testkit.Eventually(t, 30*time.Second, func() bool { return strings.Count(p.Stderr(), "reloaded") > i })
	}
	configure(taken.Addr().String(), "never")
	p.Signal(syscall.SIGHUP)
	p.WaitLog(30*time.Second, "reload failed; the old config goes on")
	if !strings.Contains(p.Stderr(), "another program has the port") {
		t.Errorf("no remedy: %s", p.Stderr())
	}
	before := ship.taken.Load()
	testkit.Eventually(t, 30*time.Second, func() bool { return t.Failed() || ship.taken.Load() > before+30 })
	close(stop)
	shippers.Wait()
	if code := p.Term(time.Minute); code != 0 {
		t.Errorf("exit code %d after SIGTERM: %s", code, p.Stderr())
	}
	if n := ship.cut.Load(); n > 0 {
		t.Errorf("%d requests cut", n)
	}
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, int(number.Load()))
}
