package outputs

import (
	"sync/atomic"
	"time"
)

// pace says how large the requests of one output are, and how many are in flight, by what became of those before. Only the
// goroutine of Run touches it; the fetcher reads what is shown.
//
//	answered well below the target, and full     larger by a quarter, up to Params.BatchBytes
//	answered later than the target               smaller by a third, down to minRequest; unless that does not help
//	items mostly, or all, turned away (429)      half
//	413                                          half, down to minCeiling, and never again as large, until raiseAfter has passed
//	the network has them longer than the server  more in flight, up to Params.MostWorkers
//
// A request below the target and above half of it changes nothing: that is what keeps it from swinging. Of requests that
// were under way when the size changed nothing is learned.
type pace struct {
	target      time.Duration // 0: nothing adapts
	floor, most int64
	limit       int64     // the block that passes it is the last of its request
	changed     time.Time // limit was

	ceiling int64 // no request is larger; 0: as far as is known they may be
	proven  int64 // the largest that was taken since ceiling is set
	raiseAt time.Time

	// Where latency does not come of the size, smaller requests only take more time in all.
	markSize    int64
	markLatency time.Duration
	keepUntil   time.Time

	slots, fewest, widest int
	share                 float64 // smoothed: latency by what the server says it worked

	// For the fetcher: size, and ceiling.
	shown, bound *atomic.Int64
}

const (
	// minRequest is as small as latency makes requests; only 413 makes them smaller.
	minRequest = 256 << 10
	// minCeiling is as small as the memory of a 413 makes them. A smaller bound is met by halving each time: what answers 413 for other reasons than size must
	// not lead to requests of one record, of which the next 413 would make a dead letter.
	minCeiling = 64 << 10
	// raiseAfter is how long the memory of a 413 lasts before a larger request is tried: a proxy's config may have changed.
	raiseAfter = 10 * time.Minute
	// keepSize is how long the size stays after it was seen that smaller requests are not answered sooner.
	keepSize = time.Minute
)

func (p *pace) init(o *Options) {
	p.target, p.most, p.limit = o.Latency, o.BatchBytes, o.BatchBytes
	p.slots, p.fewest, p.widest = o.Workers, o.Workers, o.MostWorkers
	p.floor = min(minRequest, p.most)
	p.shown, p.bound = &o.Stats.requestBytes, new(atomic.Int64)
	p.show()
}

// show publishes the size.
func (p *pace) show() {
	p.shown.Store(p.size())
	p.bound.Store(p.ceiling)
}

// size is what a request should come to.
func (p *pace) size() int64 {
	if p.ceiling > 0 {
		return min(p.limit, p.ceiling)
	}
	return p.limit
}

// largest is what no request of more than one item may be above; blocks are cut then, which takes away that they are forwarded
// as they lie. 0 is no bound.
func (p *pace) largest() int64 {
	switch {
	case p.target == 0:
		return 0
	case p.ceiling > 0:
		return min(p.ceiling, 2*p.limit)
	case p.limit < p.most:
		return 2 * p.limit
	}
	return 0
}

// fits tells whether a request of so many bytes may have so many more. The fetcher asks it, too.
func (p *pace) fits(have, more int64) bool {
	bound := p.bound.Load()
	return bound == 0 || have+more <= bound
}

func (p *pace) set(now time.Time, limit int64) {
	p.limit, p.changed = min(max(limit, p.floor), p.most), now
	p.show()
}

// answered notes a request that the server has taken care of. full says that there was more to send.
func (p *pace) answered(now, began time.Time, size int64, full bool, took time.Duration) {
	if p.target == 0 {
		return
	}
	latency := now.Sub(began)
	if p.ceiling > 0 && size <= p.ceiling {
		p.proven = max(p.proven, size)
	}
	p.widen(latency, took, full)
	if began.Before(p.changed) {
		return
	}
	switch {
	case latency > p.target:
		p.slower(now, size, latency)
		return
	case latency < p.target/2 && full && p.limit < p.most:
		p.set(now, p.limit+p.limit/4)
	}
	p.markSize = 0
}

// slower makes requests smaller, where that helps.
func (p *pace) slower(now time.Time, size int64, latency time.Duration) {
	if now.Before(p.keepUntil) || p.limit <= p.floor && p.markSize == 0 {
		return
	}
	switch {
	case p.markSize == 0 || size > p.markSize:
		p.markSize, p.markLatency = size, latency
	case size <= p.markSize/2 && latency > p.markLatency*3/4:
		// Half the size and hardly sooner: it is not the size.
		p.keepUntil = now.Add(keepSize)
		p.set(now, p.markSize)
		p.markSize = 0
		return
	case size <= p.markSize/2:
		p.markSize, p.markLatency = size, latency
	}
	p.set(now, p.limit*2/3)
}

// pressed notes that a server turned most of a request away for want of room.
func (p *pace) pressed(now, began time.Time) {
	if p.target == 0 || began.Before(p.changed) {
		return
	}
	p.slots = p.fewest
	p.set(now, p.limit/2)
}

// late notes a request without an answer that took longer than the target all the same.
func (p *pace) late(now, began time.Time) {
	if p.target > 0 && now.Sub(began) > p.target {
		p.pressed(now, began)
	}
}

// refused notes that a request was too large.
func (p *pace) refused(now time.Time, size int64) {
	if p.target == 0 || p.ceiling > 0 && size > p.ceiling {
		return // it was under way
	}
	if size <= p.proven {
		p.proven = 0 // what counts is its size on the wire, and this was harder to compress; or the bound has changed
	}
	p.ceiling, p.raiseAt, p.changed = max(size/2, p.proven, min(minCeiling, p.most)), now.Add(raiseAfter), now
	p.show()
}

// raise tries a little more from time to time.
func (p *pace) raise(now time.Time) {
	if p.ceiling == 0 || now.Before(p.raiseAt) {
		return
	}
	p.ceiling, p.raiseAt = p.ceiling+max(p.ceiling/4, 1), now.Add(raiseAfter)
	if p.ceiling >= 4*p.most {
		p.ceiling, p.proven = 0, 0
	}
	p.show()
}

// widen says how many requests may be in flight: so many that the server always has as many as it is to have, though it has
// each of them for a part of its time only.
func (p *pace) widen(latency, took time.Duration, full bool) {
	if p.widest <= p.fewest || took <= 0 {
		return
	}
	if !full { // nothing waits: what comes in meanwhile is better sent together
		p.slots, p.share = p.fewest, 0
		return
	}
	share := min(float64(latency)/float64(took), 8)
	if p.share == 0 {
		p.share = share
	}
	p.share += (share - p.share) / 4
	// One less is wanted only when it is clearly enough.
	want := func(s float64) int { return min(max(int(float64(p.fewest)*s), p.fewest), p.widest) }
	if n := want(p.share); n > p.slots {
		p.slots++
	} else if want(p.share+0.3) < p.slots {
		p.slots--
	}
}
