package testkit

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands between the code under test and a real server, and misbehaves as told:
//
//	client -> decide: Next queue, else Rule, else Random -> forward (less refused items) -> backend
//	client <- (cut | half | slow | changed) <--------------------------------- answer ----/
//
// Requests and answers are held in memory whole. Rules and random faults touch bulk requests only unless a Rule says
// otherwise. Its methods may be called at any time, from any goroutine.
type Proxy struct {
	backend string
	client  *http.Client
	server  *http.Server
	addr    string
	stop    chan struct{} // closed at the end: nothing is waited for any more
	fail    func(format string, args ...any)

	mu     sync.Mutex
	queue  []Fault
	rule   func(*http.Request) Fault
	random []Weighted
	rng    *rand.Rand
	counts map[string]int
}

// ProxyOption changes how the proxy is started.
type ProxyOption func(*Proxy)

// BackendTLS is for a backend with https: Node.TLS.
func BackendTLS(c *tls.Config) ProxyOption {
	return func(p *Proxy) { p.client.Transport.(*http.Transport).TLSClientConfig = c }
}

// FaultProxy starts a proxy on a free loopback port, http to the client. It ends with the test.
func FaultProxy(t testing.TB, backend string, opts ...ProxyOption) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start fault proxy: %v", err)
	}
	p := &Proxy{
		backend: strings.TrimSuffix(backend, "/"),
		client:  &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}},
		addr:    l.Addr().String(),
		stop:    make(chan struct{}),
		fail:    t.Errorf,
		counts:  map[string]int{},
	}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, o := range opts {
		o(p)
	}
	p.server = &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() { defer close(served); _ = p.server.Serve(l) }()
	t.Cleanup(func() {
		close(p.stop)
		p.server.Close()
		p.client.CloseIdleConnections()
		<-served
	})
	return p
}

// URL is where the client is to connect.
func (p *Proxy) URL() string { return "http://" + p.addr }

// Rule sets what is asked for every request, bulk or not. The rule may read the request's body, which is whole in memory.
// It is called by one goroutine at a time and must not call the proxy. nil ends it.
func (p *Proxy) Rule(f func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = f
}

// Next sets the faults of the next bulk requests, one each; they come before every rule.
func (p *Proxy) Next(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, faults...)
}

// Random lets each bulk request meet one of the faults with its percentage; what is left to 100 passes. The same seed gives
// the same row of faults.
func (p *Proxy) Random(seed uint64, faults ...Weighted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.random, p.rng = faults, rand.New(rand.NewPCG(seed, 0))
}

// Off ends all faults; what is under way goes on.
func (p *Proxy) Off() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.rule, p.random = nil, nil, nil
}

// Count is how often a fault of that name was met ("503", "cut-after" ...; "pass" for none).
func (p *Proxy) Count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[name]
}

// Counts are all counters by name.
func (p *Proxy) Counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

func isBulk(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/_bulk")
}

func (p *Proxy) decide(r *http.Request, body []byte) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := FaultPass()
	switch {
	case isBulk(r) && len(p.queue) > 0:
		f, p.queue = p.queue[0], p.queue[1:]
	case p.rule != nil:
		r.Body = io.NopCloser(bytes.NewReader(body))
		f = p.rule(r)
	case isBulk(r) && p.random != nil:
		x := p.rng.Float64() * 100
		for _, w := range p.random {
			if x -= w.Percent; x < 0 {
				f = w.Fault
				break
			}
		}
	}
	if f.Name == "" {
		f.Name = "pass"
	}
	p.counts[f.Name]++
	return f
}

// ServeHTTP handles one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	f := p.decide(r, body)
	p.wait(f.Before)
	switch {
	case f.Cut == CutBefore:
		cut(w)
		return
	case f.Status != 0:
		if f.Body == "" {
			f.Body = errorBody(f.Status)
		}
		a := &answer{status: f.Status, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(f.Body)}
		if f.Status != http.StatusUnauthorized { // as the real one does
			a.header.Set("X-Elastic-Product", "Elasticsearch")
		}
		p.reply(w, a, f)
		return
	}
	var a *answer
	if isBulk(r) && (f.Items != nil || f.ItemDelta != 0) {
		a, err = p.forwardItems(r, body, f)
	} else {
		a, err = p.forward(r, body)
	}
	if err != nil { // the backend is not there: to the client it looks like a dead server
		p.mu.Lock()
		p.counts["backend-error"]++
		p.mu.Unlock()
		cut(w)
		return
	}
	p.wait(f.After)
	if f.Cut == CutAfter {
		cut(w)
		return
	}
	p.reply(w, a, f)
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// hop names headers that belong to one connection; Content-Length is set from the body.
var hop = []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length"}

// forward sends the request to the backend, also if the client has gone by now.
func (p *Proxy) forward(r *http.Request, body []byte) (*answer, error) {
	req, err := http.NewRequest(r.Method, p.backend+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("forward request: %w", err)
	}
	req.Header = r.Header.Clone()
	for _, h := range hop {
		req.Header.Del(h)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{status: res.StatusCode, header: res.Header.Clone()}
	for _, h := range hop {
		a.header.Del(h)
	}
	a.body, err = io.ReadAll(res.Body)
	return a, err
}

func (p *Proxy) reply(w http.ResponseWriter, a *answer, f Fault) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	body := a.body
	if f.Cut == CutHalf {
		write(w, body[:len(body)/2])
		cut(w)
		return
	}
	if f.DripBytes > 0 {
		for len(body) > f.DripBytes {
			write(w, body[:f.DripBytes])
			body = body[f.DripBytes:]
			p.wait(f.DripEvery)
		}
	}
	write(w, body)
}

// write sends a part of the answer at once. A client that has gone is none of the proxy's business.
func write(w http.ResponseWriter, b []byte) {
	if _, err := w.Write(b); err == nil {
		_ = http.NewResponseController(w).Flush()
	}
}

// cut closes the connection; with nothing written yet the client sees a reset.
func cut(w http.ResponseWriter) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = buf.Flush()
	conn.Close()
}

func (p *Proxy) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.stop:
	}
}
