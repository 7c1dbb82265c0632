package elastic

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testPool is a pool of hosts a, b, c with a clock that is stepped.
type testPool struct {
	*pool
	t     *testing.T
	clock time.Time
	told  []string
}

func newTestPool(t *testing.T, hosts string) *testPool {
	p := &testPool{t: t, clock: time.Unix(0, 0)}
	var list []string
	for _, h := range hosts {
		list = append(list, "http://"+string(h))
	}
	urls, err := ParseHosts(list)
	if err != nil {
		t.Fatal(err)
	}
	p.pool = newPool(urls, func() time.Time { return p.clock }, func(host string, err error) {
		word := " works"
		if err != nil {
			word = " fails"
		}
		p.told = append(p.told, host+word)
	})
	return p
}

func host1(name string) *url.URL { return &url.URL{Scheme: "http", Host: name} }

// open begins a request and says at which host.
func (p *testPool) open() string { c, _ := p.Next(); return c.URL.Host }

// want sends requests one after the other.
func (p *testPool) want(hosts string) {
	p.t.Helper()
	got := ""
	for range hosts {
		h := p.open()
		p.done(host1(h))
		got += h
	}
	if got != hosts {
		p.t.Errorf("got %s, want %s", got, hosts)
	}
}

func TestPool(t *testing.T) {
	p := newTestPool(t, "abc")
	why := errors.New("refused")
	p.want("abcabc")
	if !p.rest(host1("b"), why) {
		t.Error("nobody is there in place of b")
	}
	p.rest(host1("b"), why) // a second request that was under way: the same failure
	p.want("acacac")
	p.clock = p.clock.Add(restFirst)
	p.want("abc")
	p.rest(host1("b"), why) // the second failure in a row: twice as long
	p.clock = p.clock.Add(restFirst)
	p.want("acac")
	p.clock = p.clock.Add(restFirst)
	p.want("abc")
	p.works(host1("b"))
	if got := strings.Join(p.told, ", "); got != "http://b fails, http://b works" {
		t.Errorf("told: %s", got)
	}
	elsewhere := ""
	for _, h := range []string{"a", "b", "c"} {
		if p.rest(host1(h), why) {
			elsewhere += h
		}
		p.clock = p.clock.Add(time.Millisecond)
	}
	if elsewhere != "ab" {
		t.Errorf("others are there after the failure of %s", elsewhere)
	}
	p.want("a") // all rest: the one whose rest ends first
}

// The host with the fewest requests is next.
func TestPoolByRequestsInFlight(t *testing.T) {
	p := newTestPool(t, "abc")
	if got := p.open() + p.open() + p.open() + p.open(); got != "abca" {
		t.Errorf("got %s", got)
	}
	p.done(host1("c"))
	if got := p.open() + p.open(); got != "cb" { // a has two
		t.Errorf("got %s", got)
	}
}

// A host that turns a whole request away has no room for a moment; it has not failed.
func TestPoolBreathes(t *testing.T) {
	p := newTestPool(t, "ab")
	for range 5 {
		if !p.breathe(host1("a")) {
			t.Error("b is not there")
		}
		p.want("bb")
		p.clock = p.clock.Add(restFirst)
	}
	p.want("ab")
	if len(p.told) > 0 {
		t.Errorf("told: %v", p.told)
	}
}

// A slow host holds a place for a tenth of the time at most, and takes part again when it has become fast.
func TestPoolSlowHost(t *testing.T) {
	p := newTestPool(t, "ab")
	took := map[string]time.Duration{"a": 50 * time.Millisecond, "b": 5 * time.Second}
	// Two requests are always in flight.
	type request struct {
		host string
		end  time.Time
	}
	var flying []request
	held := map[string]time.Duration{}
	served := map[string]int{}
	step := func() {
		for len(flying) < 2 {
			h := p.open()
			flying = append(flying, request{h, p.clock.Add(took[h])})
		}
		i := 0
		if flying[1].end.Before(flying[0].end) {
			i = 1
		}
		r := flying[i]
		flying = append(flying[:i], flying[i+1:]...)
		p.clock = r.end
		p.done(host1(r.host))
		p.works(host1(r.host))
		p.took(host1(r.host), 1<<20, took[r.host])
		held[r.host] += took[r.host]
		served[r.host]++
	}
	for end := p.clock.Add(10 * time.Minute); p.clock.Before(end); {
		step()
	}
	if share := held["b"].Seconds() / (held["a"] + held["b"]).Seconds(); share > 0.1 {
		t.Errorf("the slow host held %.0f %% of the places; requests: %v", 100*share, served)
	}
	if served["b"] < 5 {
		t.Errorf("the slow host was tried %d times in ten minutes", served["b"])
	}
	took["b"] = took["a"]
	end := p.clock.Add(2 * time.Minute)
	for p.clock.Before(end) {
		step()
	}
	clear(served)
	for range 1000 {
		step()
	}
	if served["b"] < 400 {
		t.Errorf("the host that is fast again serves %d of 1000", served["b"])
	}
}

// Where the others have failed a slow host is better than none.
func TestPoolSlowBeforeFailed(t *testing.T) {
	p := newTestPool(t, "ab")
	p.took(host1("a"), 1<<20, 50*time.Millisecond)
	p.took(host1("b"), 1<<20, 5*time.Second)
	p.want("aaa")
	p.rest(host1("a"), errors.New("refused"))
	p.want("bbb")
}

// Three hosts, one of them dead and one slow: requests go to the third, and what fails says that it can go elsewhere.
func TestHostsDeadAndSlow(t *testing.T) {
	const answer = `{"took":1,"errors":false,"items":[{"create":{"_index":"x","status":201}}]}`
	var bad atomic.Int64 // status of the first host
	bad.Store(503)
	served := make([]atomic.Int64, 3)
	release, asked := make(chan struct{}), make(chan struct{}, 1)
	var hosts []string
	for i := range 3 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			served[i].Add(1)
			if i == 0 && bad.Load() != 200 {
				w.WriteHeader(int(bad.Load()))
				return
			}
			if i == 1 {
				select {
				case asked <- struct{}{}:
				default:
				}
				<-release
			}
			io.WriteString(w, answer)
		}))
		defer s.Close()
		hosts = append(hosts, s.URL)
	}
	var clock atomic.Int64
	var mu sync.Mutex
	var told []string
	c, err := New(Config{Hosts: hosts, Now: func() time.Time { return time.Unix(0, clock.Load()) }, OnHost: func(host string, err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, host+map[bool]string{true: " works", false: " fails"}[err == nil])
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func() error {
		var a Answer
		return c.Bulk(context.Background(), []Part{{Data: []byte("{}\n{}\n")}}, 1, 0, &a)
	}
	var re *RequestError
	if err := send(); !errors.As(err, &re) || !re.Elsewhere || re.Status != 503 {
		t.Fatalf("error %v", err)
	}
	slow := make(chan error, 1)
	go func() { slow <- send() }() // holds the second host
	<-asked
	for range 20 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if n := served[2].Load(); n != 20 {
		t.Errorf("the host that works served %d of 20", n)
	}
	clock.Add(int64(30 * time.Second)) // how long the slow one took, and the rest of the first is over
	close(release)
	if err := <-slow; err != nil {
		t.Fatal(err)
	}
	for _, status := range []int64{502, 504, 429} {
		bad.Store(status)
		before := served[0].Load()
		failed := 0
		for range 6 {
			if err := send(); errors.As(err, &re) && err != nil {
				failed++
				if !re.Elsewhere || re.Status != int(status) || re.Unknown != (status != 429) {
					t.Errorf("%d: %+v", status, re)
				}
			}
		}
		if n := served[0].Load() - before; n != 1 || failed != 1 {
			t.Errorf("%d: asked %d times, failed %d times", status, n, failed)
		}
		clock.Add(int64(10 * time.Second))
	}
	bad.Store(200)
	before := served[0].Load()
	for range 10 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if served[0].Load() == before {
		t.Error("the host that is back is not asked")
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(told, ", "); got != hosts[0]+" fails, "+hosts[0]+" works" {
		t.Errorf("told: %s", got)
	}
}
