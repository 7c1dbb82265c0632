package elastic

import (
	"net/url"
	"sync"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// How long a failed host rests: doubled with each failure in a row.
const (
	restFirst = time.Second
	restMost  = time.Minute
)

// pool gives the hosts in turn. One that failed rests; where all rest, the one whose rest ends first is tried, for the
// caller has a backoff of its own.
type pool struct {
	now func() time.Time

	mu    sync.Mutex
	hosts []*host
	next  int
}

type host struct {
	conn     *elastictransport.Connection
	failures int
	until    time.Time
}

func newPool(urls []*url.URL, now func() time.Time) *pool {
	p := &pool{now: now}
	for _, u := range urls {
		p.hosts = append(p.hosts, &host{conn: &elastictransport.Connection{URL: u}})
	}
	return p
}

// ConcurrentSafe tells the transport that it needs no lock around the pool.
func (p *pool) ConcurrentSafe() {}

// Next returns the host to send to.
func (p *pool) Next() (*elastictransport.Connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	best := -1
	for i := range p.hosts {
		k := (p.next + i) % len(p.hosts)
		h := p.hosts[k]
		if !h.until.After(now) {
			best = k
			break
		}
		if best < 0 || h.until.Before(p.hosts[best].until) {
			best = k
		}
	}
	p.next = (best + 1) % len(p.hosts)
	return p.hosts[best].conn, nil
}

// OnSuccess ends a host's rest.
func (p *pool) OnSuccess(c *elastictransport.Connection) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.find(c.URL); h != nil {
		h.failures, h.until = 0, time.Time{}
	}
	return nil
}

// OnFailure lets a host rest.
func (p *pool) OnFailure(c *elastictransport.Connection) error {
	p.rest(c.URL)
	return nil
}

// rest lets the host of a request's URL rest.
func (p *pool) rest(u *url.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.find(u)
	if h == nil {
		return
	}
	h.failures++
	d := restMost
	if h.failures < 7 {
		d = min(restMost, restFirst<<(h.failures-1))
	}
	h.until = p.now().Add(d)
}

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
