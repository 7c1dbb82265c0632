package elastic

import (
	"net/url"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// How long a failed host rests: doubled with each failure in a row. One that turned a whole request away for want of room
// (429) rests the first of it.
const (
	restFirst = time.Second
	restMost  = time.Minute
)

// A host that takes slowFactor times as long as another, and longer than slowFloor, is left out for slowRest times as long
// as its request took: that is the share of a request's place that it can hold.
const (
	slowFactor   = 3
	slowFloor    = 200 * time.Millisecond
	slowRest     = 10
	slowRestMin  = 15 * time.Second
	slowRestMost = 2 * time.Minute
	paceFor      = time.Minute // as long what is known of a host's speed is believed
)

// pool gives the hosts: of those that work the one with the fewest requests, in turn where they have as many. One that failed
// rests, and one that is much slower than another is left out for a while. Where all rest, the one whose rest ends first
// is tried, for the caller has a backoff of its own.
type pool struct {
	now  func() time.Time
	told func(host string, err error)

	mu    sync.Mutex
	hosts []*host
	next  int
}

type host struct {
	conn     *elastictransport.Connection
	inFlight int
	failures int // in a row
	until    time.Time
	down     bool // and that was told

	slowUntil time.Time
	pace      float64 // seconds per MiB, smoothed
	paceAt    time.Time
}

func newPool(urls []*url.URL, now func() time.Time, told func(string, error)) *pool {
	p := &pool{now: now, told: told}
	if told == nil {
		p.told = func(string, error) {}
	}
	for _, u := range urls {
		p.hosts = append(p.hosts, &host{conn: &elastictransport.Connection{URL: u}})
	}
	return p
}

// ConcurrentSafe tells the transport that it needs no lock around the pool.
func (p *pool) ConcurrentSafe() {}

// Next returns the host to send to. The caller says with done that the request has ended.
func (p *pool) Next() (*elastictransport.Connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	best := p.next
	for i := 1; i < len(p.hosts); i++ {
		if k := (p.next + i) % len(p.hosts); p.hosts[k].before(p.hosts[best], now) {
			best = k
		}
	}
	p.next = (best + 1) % len(p.hosts)
	p.hosts[best].inFlight++
	return p.hosts[best].conn, nil
}

// before tells whether h is to be preferred to o.
func (h *host) before(o *host, now time.Time) bool {
	a, b := h.rank(now), o.rank(now)
	switch {
	case a != b:
		return a < b
	case a == failed:
		return h.until.Before(o.until)
	}
	return h.inFlight < o.inFlight
}

// rank is what a host is good for at present.
func (h *host) rank(now time.Time) rank {
	switch {
	case h.until.After(now):
		return failed
	case h.slowUntil.After(now):
		return slow
	}
	return good
}

type rank int

const (
	good rank = iota
	slow
	failed
)

// OnSuccess has nothing to say: a gateway's 503 is a success to the transport.
func (p *pool) OnSuccess(*elastictransport.Connection) error { return nil }

// OnFailure has nothing to say: whoever sent the request says what became of it.
func (p *pool) OnFailure(*elastictransport.Connection) error { return nil }

// done takes a request out of its host's accounts.
func (p *pool) done(u *url.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.find(u); h != nil && h.inFlight > 0 {
		h.inFlight--
	}
}

// works ends the rest of the host of a request's URL.
func (p *pool) works(u *url.URL) {
	p.mu.Lock()
	h := p.find(u)
	told := h != nil && h.down
	if h != nil {
		h.failures, h.until, h.down = 0, time.Time{}, false
	}
	p.mu.Unlock()
	if told {
		p.told(name(u), nil)
	}
}

// took notes how long a host took for a request of so many bytes, and leaves it out where another is much faster.
func (p *pool) took(u *url.URL, size int64, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.find(u)
	if h == nil || len(p.hosts) == 1 {
		return
	}
	now := p.now()
	const small = 256 << 10 // what a request takes whatever its size
	pace := d.Seconds() / (float64(size+small) / (1 << 20))
	if now.Sub(h.paceAt) < paceFor {
		pace = h.pace + (pace-h.pace)/2
	}
	h.pace, h.paceAt = pace, now
	if d < slowFloor {
		return
	}
	for _, o := range p.hosts {
		if o != h && o.rank(now) == good && now.Sub(o.paceAt) < paceFor && h.pace > slowFactor*o.pace {
			h.slowUntil = now.Add(min(max(slowRest*d, slowRestMin), slowRestMost))
			h.paceAt = time.Time{} // what comes after it is judged for itself
			return
		}
	}
}

// rest lets the host of a request's URL rest, and tells whether another is there.
func (p *pool) rest(u *url.URL, why error) (elsewhere bool) {
	p.mu.Lock()
	h := p.find(u)
	if h == nil {
		p.mu.Unlock()
		return false
	}
	now := p.now()
	// Requests that were under way together fail together.
	if !h.until.After(now) {
		h.failures++
		d := restMost
		if h.failures < 7 {
			d = min(restMost, restFirst<<(h.failures-1))
		}
		h.until = now.Add(d)
	}
	elsewhere = p.another(now)
	tell := elsewhere && !h.down
	h.down = h.down || elsewhere
	p.mu.Unlock()
	if tell {
		p.told(name(u), why)
	}
	return elsewhere
}

// breathe lets a host rest that works and has no room, and tells whether another is there.
func (p *pool) breathe(u *url.URL) (elsewhere bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if h := p.find(u); h != nil {
		h.failures, h.until = 0, now.Add(restFirst)
	}
	return p.another(now)
}

// another tells whether a host does not rest. Called with mu held.
func (p *pool) another(now time.Time) bool {
	for _, h := range p.hosts {
		if h.rank(now) != failed {
			return true
		}
	}
	return false
}

func name(u *url.URL) string { return u.Scheme + "://" + u.Host }

func (p *pool) find(u *url.URL) *host {
	for _, h := range p.hosts {
		if h.conn.URL.Scheme == u.Scheme && h.conn.URL.Host == u.Host {
			return h
		}
	}
	return nil
}

// URLs returns all hosts.
func (p *pool) URLs() []*url.URL {
	urls := make([]*url.URL, len(p.hosts))
	for i, h := range p.hosts {
		urls[i] = h.conn.URL
	}
	return urls
}
