package inputs

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// raw opens a connection to the input, sends a text, and returns what comes back until the input hangs up.
func (r *rig) raw(text string) (answer string) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	send(r.t, c, text)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if isTimeout(err) {
		r.t.Errorf("the connection stays open after %.40q: %q", text, b)
	}
	return string(b)
}

const authorized = "Authorization: ApiKey " + testSecret + "\r\n"

// Whoever is slow, or never ends, loses the connection.
func TestListenerHangsUpOnSlowSenders(t *testing.T) {
	quick := func(in Input) { in.(*bulkInput).headerTimeout = 50 * time.Millisecond }
	r := startWith(t, "bulk", simpleKey+"\ntimeout = \"1s\"\nmax_request = \"4KiB\"", newTestSink(), Env{}, quick)
	for _, text := range []string{"", "POST /_bulk HTTP/1.1\r\n", "POST /_bulk HTTP/1.1\r\nHost: x\r\nA: b\r\n"} {
		if got := r.raw(text); got != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
	f := func(text, want string) {
		t.Helper()
		if got := r.raw(text); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
			t.Errorf("%.60q: %q, want %s", text, got, want)
		}
	}
	const post = "POST /_bulk HTTP/1.1\r\nHost: x\r\n"
	f(post+authorized+"Content-Length: 1000\r\n\r\n{\"create\":{}}\n", "408")
	f(post+authorized+"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"cre\r\n", "408")
	f(post+authorized+"Transfer-Encoding: chunked\r\n\r\n"+strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 5), "413")
	f(post+"A: "+strings.Repeat("b", 40<<10)+"\r\n\r\n", "431")
	// Without a key the body is not waited for.
	f(post+"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"cre\r\n", "401")
	f(post+"Content-Length: 1000000\r\n\r\n", "401")
	f("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "401")
}

// A client that opens a TLS connection and says nothing does not keep it.
func TestListenerHandshakeTimeout(t *testing.T) {
	ca := newAuthority(t)
	dir := ca.write(t, t.TempDir(), ca.issue(t, "server"))
	r := startWith(t, "bulk", simpleKey+"\n"+tlsBlock(dir, ""), newTestSink(), Env{}, func(in Input) { in.(*bulkInput).headerTimeout = 50 * time.Millisecond })
	if got := r.raw(""); got != "" {
		t.Errorf("%q", got)
	}
	if got := r.raw("\x16\x03\x01"); got != "" {
		t.Errorf("%q", got)
	}
}

// One address cannot have all connections.
func TestListenerConnectionsOfOneAddress(t *testing.T) {
	r := start(t, "bulk", simpleKey+"\nmax_connections = 4\nmax_connections_per_address = 2", newTestSink(), Env{})
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n"+authorized+"\r\n")
		if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	if got := r.raw(""); got != "" || figure(r.input, "bulk_connections_refused_total", "") != 1 {
		t.Errorf("%q, %v refused", got, figure(r.input, "bulk_connections_refused_total", ""))
	}
	held[0].Close()
	testkit.Eventually(t, patience, func() bool { return r.do("GET", "/", "").status == 200 })
}

func TestHoldersOfConnections(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := holderOf(a).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	f("192.0.2.7:1", "192.0.2.7")
	f("[::ffff:192.0.2.7]:1", "192.0.2.7")
	f("[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::")
	if holderOf(&net.UnixAddr{}).IsValid() {
		t.Error("a local process has an address")
	}
}

// Many members of nothing are no way around the bounds.
func TestBulkManyMembers(t *testing.T) {
	r := start(t, "bulk", simpleKey+"\nmax_request = \"1MiB\"", newTestSink(), Env{})
	empty := zipped("")
	r.want(400, "POST", "/_bulk", strings.Repeat(empty, 1<<20/len(empty)), "Content-Encoding", "gzip")
	r.want(413, "POST", "/_bulk", strings.Repeat(empty, 2+1<<20/len(empty)), "Content-Encoding", "gzip")
	one := zipped("{\"create\":{}}\n{\"n\":1}\n")
	if n := len(statuses(t, r.want(200, "POST", "/_bulk", strings.Repeat(one, 1000), "Content-Encoding", "gzip").body)); n != 1000 {
		t.Errorf("%d items", n)
	}
}

// What a sender has chosen comes back as a JSON text and nothing else.
func TestBulkAnswersAreEscaped(t *testing.T) {
	r := start(t, "bulk", simpleKey, newTestSink(), Env{})
	hostile := "\"}},{\"create\":{\"status\":201}}\x00\r\n<script>\u2028"
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf("{\"index\":{\"_index\":%s,\"_id\":%s}}\n{\"n\":1}\n{\"index\":{\"_index\":\"\xff\xfe\",\"_id\":\"\xff\"}}\n{}\n", quoted, quoted)
	for _, path := range []string{"/_bulk", "/%22%0d%0aX:%20y%00/_bulk"} {
		got := r.want(200, "POST", path, body)
		var answer struct {
			Items []map[string]struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			}
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		if len(answer.Items) != 2 || answer.Items[0]["index"].Index != hostile || answer.Items[0]["index"].ID != hostile || answer.Items[1]["index"].ID != "\ufffd" {
			t.Errorf("%+v", answer)
		}
		if len(got.header.Values("X")) > 0 {
			t.Error("a header of the sender's")
		}
	}
}

// Many small items take more memory than their text: that is counted, too. A request that is alone gets through.
func TestItemsAreCharged(t *testing.T) {
	r := start(t, "bulk", simpleKey+"\nmax_request = \"64KiB\"", newTestSink(), Env{})
	small := strings.Repeat("{\"create\":{}}\n{}\n", 3000)
	r.want(200, "POST", "/_bulk", small)
	in := r.input.(*bulkInput)
	in.budget.take(10 << 10) // another request
	r.want(429, "POST", "/_bulk", small)
	in.budget.mu.Lock()
	in.budget.bytes += 10 << 10
	in.budget.mu.Unlock()
	r.want(200, "POST", "/_bulk", small)
	if in.budget.bytes != in.budget.whole {
		t.Errorf("%d of %d left", in.budget.bytes, in.budget.whole)
	}
}

// Without a key nothing is taken from web pages, which could send to any port of loopback.
func TestHTTPWithoutKeyRefusesPages(t *testing.T) {
	sink := newTestSink()
	r := start(t, "http", "", sink, Env{})
	r.want(403, "POST", "/", `{"a":1}`, "Origin", "https://example.com")
	r.want(200, "POST", "/", `{"a":1}`)
	r.stop()
	r = start(t, "http", simpleKey, sink, Env{})
	r.want(200, "POST", "/", `{"a":1}`, "Origin", "https://example.com")
}

// Requests whose signature cannot be checked yet do not keep those with a key out, and what can be no signature is not read.
func TestHTTPStrangersHaveRoomOfTheirOwn(t *testing.T) {
	r := start(t, "http", "max_body = \"64KiB\"\nkey \"signed\" {\npath = \"/s\"\nhmac { secret = \"0123456789abcdef\" }\n}\nkey \"known\" {\npath = \"/k\"\n"+simpleKey+"\n}", newTestSink(), Env{})
	in := r.input.(*hookInput)
	const post = "POST /s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
	if got := r.raw(post + "X-Hub-Signature-256: sha256=00\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 401") {
		t.Errorf("%q", got)
	}
	for range 2 {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		send(t, c, post+"X-Hub-Signature-256: sha256="+strings.Repeat("00", 32)+"\r\n\r\n"+strings.Repeat("x", 59000))
	}
	testkit.Eventually(t, patience, func() bool {
		in.strangers.mu.Lock()
		defer in.strangers.mu.Unlock()
		return in.strangers.bytes < 10<<10
	})
	r.want(200, "POST", "/k", `{"a":"`+strings.Repeat("y", 60000)+`"}`)
	if in.budget.bytes != in.budget.whole {
		t.Errorf("%d of %d left", in.budget.bytes, in.budget.whole)
	}
}
