package inputs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/gatebook/gatebook/internal/conf"
)

// testTicket is settled by the test.
type testTicket struct {
	done chan struct{}
	err  error
}

func (t *testTicket) Wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// testSink is a log whose fsync the test controls.
type testSink struct {
	mu        sync.Mutex
	held      bool // tickets wait for release
	fail      error
	lines     []Line
	sources   []*Source
	positions map[string][]byte
	tickets   []*testTicket
	arrived   chan struct{} // one token a batch
}

func newTestSink() *testSink {
	return &testSink{positions: map[string][]byte{}, arrived: make(chan struct{}, 10000)}
}

func (s *testSink) Submit(_ context.Context, b *Batch) (Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &testTicket{done: make(chan struct{}), err: s.fail}
	s.lines = append(s.lines, b.Lines...)
	for range b.Lines {
		s.sources = append(s.sources, b.Source)
	}
	for _, p := range b.Positions {
		if len(p.Value) == 0 {
			delete(s.positions, p.Key)
		} else {
			s.positions[p.Key] = p.Value
		}
	}
	s.tickets = append(s.tickets, t)
	if !s.held {
		close(t.done)
	}
	s.arrived <- struct{}{}
	return t, nil
}

// release settles what is waiting.
func (s *testSink) release(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		select {
		case <-t.done:
		default:
			t.err = err
			close(t.done)
		}
	}
}

func (s *testSink) texts() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		out = append(out, l.Text)
	}
	return out
}

// own are the positions with the input's prefix taken off, as the agent hands them out.
func (s *testSink) own(prefix string) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[string][]byte{}
	for k, v := range s.positions {
		m[strings.TrimPrefix(k, prefix)] = v
	}
	return m
}

// config decodes a block of that kind.
func decodeInput(kind, more string) (Config, conf.Diagnostics) {
	f, _ := conf.Parse("test.hcl", fmt.Appendf(nil, "input %q \"fleet\" {\n%s\n}\n", kind, more))
	blocks := f.Body().Blocks("input", 2)
	c := Registry[kind].Decode("fleet", blocks[0].Body)
	f.Body().Close()
	return c, f.Diagnostics()
}

// rig is a running input.
type rig struct {
	t       testing.TB
	url     string
	address string
	input   Input
	sink    *testSink
	client  *http.Client
	header  http.Header
	stop    func()
}

const testSecret = "0123456789abcdef01234567"

// start runs an input on a free port.
func start(t testing.TB, kind, more string, sink *testSink, env Env) *rig {
	t.Helper()
	return startWith(t, kind, more, sink, env, func(Input) {})
}

// startWith runs an input that has been changed before.
func startWith(t testing.TB, kind, more string, sink *testSink, env Env, change func(Input)) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if env.Sockets == nil {
		env.Sockets = NewSockets()
	}
	env.Sockets.kept["tcp://"+address] = l.(*net.TCPListener) // as after a reload
	c, ds := decodeInput(kind, fmt.Sprintf("listen = %q\n%s", address, more))
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	if env.Logger == nil {
		env.Logger = testLogger()
	}
	r := &rig{t: t, url: "http://" + address, address: address, sink: sink, header: http.Header{}}
	r.header.Set("Authorization", "ApiKey "+testSecret)
	if r.input, err = c.New(env); err != nil {
		t.Fatal(err)
	}
	change(r.input)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.input.Run(ctx, sink) }()
	transport := &http.Transport{}
	r.client = &http.Client{Transport: transport, Timeout: time.Minute}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := env.Sockets.Sweep(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// reply is what came back.
type reply struct {
	status int
	body   string
	header http.Header
	err    error
}

func (r *rig) do(method, path, body string, headers ...string) reply {
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	req.Header = r.header.Clone()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, string(b), res.Header, err}
}

// want posts and checks the status.
func (r *rig) want(status int, method, path, body string, headers ...string) reply {
	r.t.Helper()
	got := r.do(method, path, body, headers...)
	if got.err != nil || got.status != status {
		r.t.Fatalf("%s %s: %d %v, want %d: %s", method, path, got.status, got.err, status, got.body)
	}
	return got
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// figure returns the sum of the figures of that name and label value.
func figure(in Input, name, label string) (sum float64) {
	for _, f := range in.(Measured).Figures() {
		has := label == ""
		for _, l := range f.Labels {
			has = has || l.Value == label
		}
		if f.Name == name && has {
			sum += f.Value
		}
	}
	return sum
}

// All ways to show a key, and none that is not one.
func TestAuthentication(t *testing.T) {
	sink := newTestSink()
	r := start(t, "bulk", `
api_key = "id:`+testSecret+`"
key "edge" { api_key = "another-secret-of-some-length" }
key "old" {
  username = "ship"
  password = "wreck"
}`, sink, Env{})
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	f := func(header, sender string) {
		t.Helper()
		if sender == "" {
			got := r.want(401, "POST", "/_bulk", bulkOf("a"), "Authorization", header)
			if got.header.Get("WWW-Authenticate") == "" || !strings.Contains(got.body, `"security_exception"`) {
				t.Errorf("%s: %v %s", header, got.header, got.body)
			}
			return
		}
		r.want(200, "POST", "/_bulk", bulkOf(""), "Authorization", header)
		if got := sink.sources[len(sink.sources)-1].SenderName; got != sender {
			t.Errorf("%s: key %q", header, got)
		}
	}
	f("ApiKey "+b64("id:"+testSecret), "default")
	f("apikey id:"+testSecret, "default")
	f("Bearer id:"+testSecret, "default")
	f("ApiKey "+b64("edge:another-secret-of-some-length"), "edge")
	f("ApiKey "+b64("another-secret-of-some-length"), "edge")
	f("ApiKey another-secret-of-some-length", "edge")
	f("Basic "+b64("ship:wreck"), "old")
	f("", "")
	f("ApiKey", "")
	f("ApiKey "+b64("old:another-secret-of-some-length"), "")
	f("ApiKey "+b64("x:"+testSecret), "")
	f("ApiKey "+testSecret, "")
	f("Basic "+b64("ship:"), "")
	f("Basic "+b64("default:"+testSecret), "")
	f("Basic x", "")
	f("Digest "+b64("ship:wreck"), "")
	r.want(401, "GET", "/", "", "Authorization", "")
	if n := figure(r.input, "bulk_unauthorized_total", ""); n != 10 {
		t.Errorf("%v unauthorized counted", n)
	}
}

// A body is bounded in size, compressed and not, and in what it may unpack to.
func TestBodies(t *testing.T) {
	sink := newTestSink()
	r := start(t, "bulk", `api_key = "`+testSecret+`"
max_request = "4MiB"
max_line    = "2KiB"
timeout     = "20s"`, sink, Env{})
	r.want(200, "POST", "/_bulk", zipped(bulkOf("z")), "Content-Encoding", "gzip")
	r.want(200, "POST", "/_bulk", zipped(bulkOf("y")[:40])+zipped(bulkOf("y")[40:]), "Content-Encoding", "gzip") // members
	r.want(413, "POST", "/_bulk", zipped(bulkOf("a")+strings.Repeat("\n", 3<<20)), "Content-Encoding", "gzip")
	r.want(413, "POST", "/_bulk", zipped(strings.Repeat(bulkOf("abcdefghijklmnopqrst"), 60000)), "Content-Encoding", "gzip")
	r.want(413, "POST", "/_bulk", strings.Repeat(bulkOf("abcdefghijklmnopqrst"), 60000))
	noise := make([]byte, 3<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	r.want(413, "POST", "/_bulk", zipped(hex.EncodeToString(noise)), "Content-Encoding", "gzip")
	unknown, err := http.NewRequest("POST", r.url+"/_bulk", io.MultiReader(strings.NewReader(hex.EncodeToString(noise)))) // of no length
	if err != nil {
		t.Fatal(err)
	}
	unknown.Header = r.header
	if res, err := r.client.Do(unknown); err == nil { // or cut off while sending
		res.Body.Close()
		if res.StatusCode != 413 {
			t.Errorf("a long body of no length: %d", res.StatusCode)
		}
	}
	r.want(400, "POST", "/_bulk", "no gzip at all", "Content-Encoding", "gzip")
	r.want(400, "POST", "/_bulk", zipped(bulkOf("x"))[:30], "Content-Encoding", "gzip")
	r.want(415, "POST", "/_bulk", "x", "Content-Encoding", "br")
	half := "POST /_bulk HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey " + testSecret + "\r\nContent-Length: 1000\r\n\r\n" + bulkOf("h")
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, half); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400") {
		t.Errorf("half a body: %v %s", err, b)
	}
	if n := len(sink.texts()); n != 2 {
		t.Errorf("%d lines", n)
	}
	in := r.input.(*bulkInput)
	if in.budget.bytes != 2*in.config.maxBody || in.budget.requests != in.config.maxConnections {
		t.Errorf("budget of %d bytes and %d requests is left", in.budget.bytes, in.budget.requests)
	}
}

// A listener that others can reach wants TLS, and every key a secret; the places of mistakes are told.
func TestListenerConfigErrors(t *testing.T) {
	f := func(kind, more string, want ...string) {
		t.Helper()
		_, ds := decodeInput(kind, more)
		got := ds.Error()
		if len(want) == 0 && ds.HasErrors() {
			t.Errorf("%s: %s", more, got)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: got %q, want %q", more, got, w)
			}
		}
	}
	key := "\napi_key = \"" + testSecret + "\"\n"
	f("bulk", "", "any user of this machine could write records")
	f("bulk", key)
	f("bulk", `listen = "0.0.0.0:9299"`+key, "can be reached from other machines", "add tls")
	f("bulk", `listen = ":9299"`+key, "add tls")
	f("bulk", `listen = "[::1]:9299"`+key)
	f("bulk", `listen = "gate.example.com:1"`+key, "is not an IP address")
	f("bulk", `listen = "9299"`+key, "is not an address and a port")
	f("bulk", key+"username = \"u\"\npassword = \"p\"", "a key has one secret")
	f("bulk", `username = "u"`, "go together")
	f("bulk", `api_key = ""`, "is empty")
	f("bulk", `api_key = "short"`, "short enough to be guessed")
	f("bulk", "username = \"u\"\npassword = \"short\"", "password", "short enough to be guessed")
	f("http", "hmac {\nsecret = \"short\"\n}", "short enough to be guessed")
	f("bulk", "key \"a\" {}", `has no secret`)
	f("bulk", key+"key \"default\" { api_key = \"some-other-long-secret\" }", `"default" is the name of the key that the block itself has`)
	f("bulk", key+"key \"a b\" { api_key = \"some-other-long-secret\" }", `is no name`)
	f("bulk", key+"key \"b\" {"+key+"}", "nobody could tell them apart")
	f("bulk", "key \"b\" {"+key+"datasets = [\"[\"]\nhosts = []\n}", "is not a pattern", "allows nothing")
	f("bulk", "key \"b\" {"+key+"path = \"/x\"\n}", `for input "http" only`)
	f("bulk", key+`version = "8"`, "is no version")
	f("bulk", key+"tls { cert = \"a\" }", "key")
	f("bulk", key+"tls {\ncert = \"a\"\nkey = \"b\"\nclient_cert = \"optional\"\n}", "without client_ca")
	f("http", "")
	f("http", `listen = "0.0.0.0:1"`, "whoever reaches", "add tls")
	f("http", `path = "x"`, "does not begin with /")
	f("http", "hmac {}", "secret")
	f("http", "hmac {\nsecret = \"x\"\ntimestamp = \"X-T\"\n}", "lacks {timestamp}")
	f("http", "hmac {\nsecret = \"x\"\ncontent = \"v0:{timestamp}\"\n}", "lacks {body}")
	f("http", "hmac {\nsecret = \"x\"\ncontent = \"{timestamp}{body}\"\n}", "name the header")
	f("http", key+"hmac { secret = \"x\" }", "a key has one secret")
	f("http", "key \"a\" {\ngatebook = true"+key+"}", "unknown attribute")
	c, _ := decodeInput("bulk", key+"parser = \"p\"\nkey \"a\" {\napi_key = \"some-other-long-secret\"\nparser = \"q\"\n}")
	if got := fmt.Sprint(c.(interface{ ParserNames() []string }).ParserNames()); got != "[p p q]" {
		t.Error(got)
	}
}

var errDisk = errors.New("disk")

func testLogger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// discardSink takes everything at once.
type discardSink struct{}

func (discardSink) Submit(_ context.Context, b *Batch) (Ticket, error) {
	b.Release()
	return nil, nil
}

type discardWriter struct {
	header http.Header
	status int
}

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) WriteHeader(s int)           { w.status = s }
func (w *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
