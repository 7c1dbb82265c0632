package engine

import (
	"fmt"

	"github.com/gatebook/gatebook/event"
)

const (
	budgetEvery = 1024      // events after which the bytes are counted
	spare       = 512 << 10 // bytes that so many events may take
	notifyEvery = event.Time(60e9)
	idsSpare    = 1 << 20 // bytes of foreign ids from which unused ones are looked for
)

// bytes is what the state takes.
func (e *Engine) bytes() int64 {
	n := e.memory.bytes() + e.order.size + e.episodes.size + e.names.size
	for _, x := range e.runs {
		n += x.machine.bytes() + x.recent.bytes()
	}
	return n
}

// keepBudget gives up state where it takes more than the budget: foreign ids that nobody needs, then items that wait have their turn early, then each part in
// turn, the largest first, gives up keys that are furthest from firing.
func (e *Engine) keepBudget() {
	if e.names.size > idsSpare && e.names.size > 2*e.names.swept {
		e.sweepIDs()
	}
	total := e.bytes()
	allowed := e.options.Budget - min(e.options.Budget/4, max(e.options.Budget/64, spare)) // what comes until it is counted again has room
	if total <= allowed {
		return
	}
	goal := total - allowed + e.options.Budget/16
	if e.order.size > e.options.Budget/4 && !e.clock.settled { // so many events that nothing is gained by waiting for more sources
		e.clock.settled = true
		e.moveTo(max(e.clock.watermark(), e.order.watermark))
	}
	if e.order.size > e.options.Budget/4 {
		goal -= e.force(e.options.Budget / 8)
	}
	for range 8 {
		if goal <= 0 || e.bytes() <= allowed-e.options.Budget/16 {
			return
		}
		before := e.bytes()
		e.shrinkLargest(goal)
		goal -= before - e.bytes()
	}
}

// force gives the earliest items their turn until the rest takes no more than so many bytes.
func (e *Engine) force(rest int64) int64 {
	before := e.order.size
	w := e.order.watermark
	for e.order.size > rest && len(e.order.heap) > 0 {
		t := e.order.heap[0].time + 1
		e.stats.Forced++
		if t > w {
			w = t
			e.clock.mark = max(e.clock.mark, w)
			e.moveTo(w)
		}
	}
	e.notice(Notice{Kind: "turns-forced", Message: "more events wait for their turn than the state may hold: some rules see them out of order", Count: int64(e.stats.Forced)})
	return before - e.order.size
}

// shrinkLargest lets the largest part give up state.
func (e *Engine) shrinkLargest(n int64) {
	var largest *run
	for _, x := range e.runs {
		if largest == nil || x.machine.bytes() > largest.machine.bytes() {
			largest = x
		}
	}
	if before := e.memory.bytes(); largest == nil || before > largest.machine.bytes() {
		keys := e.memory.shrink(n)
		e.evicted("", keys)
		if largest == nil || e.memory.bytes() < before {
			return
		} // else all of it has yet to be written: see Unwritten
	}
	largest.dirty = true
	keys := largest.machine.shrink(min(n, largest.machine.bytes()/2+1))
	largest.stats.EvictedKeys += uint64(keys)
	e.evicted(largest.rule.ID, keys)
}

// Unwritten is how many records of the history wait for a Snapshot: they can be given up in memory only after it.
func (e *Engine) Unwritten() int { return e.memory.unwritten() }

func (e *Engine) evicted(rule string, keys int) {
	if keys == 0 {
		return
	}
	e.stats.EvictedKeys += uint64(keys)
	message := fmt.Sprintf("the state of %d keys of rule %s was given up: the rules' state is at its limit of %d bytes", keys, rule, e.options.Budget)
	if rule == "" {
		message = fmt.Sprintf("%d records of the rules' history were given up: the rules' state is at its limit of %d bytes", keys, e.options.Budget)
	}
	e.notice(Notice{Kind: "state-evicted", Rule: rule, Message: message, Count: int64(keys)})
}

// notice tells of each kind and rule once a minute of event time; counts of what was not told are added up.
func (e *Engine) notice(n Notice) {
	n.Time = max(e.clock.latest, 1)
	k := noticeKey{n.Kind, n.Rule}
	last := e.noticed[k]
	if last.time != 0 && n.Time-last.time < notifyEvery {
		last.count += n.Count
		e.noticed[k] = last
		return
	}
	n.Count += last.count
	e.noticed[k] = noticeState{time: n.Time}
	e.options.Tell(n)
}

type noticeKey struct{ kind, rule string }

type noticeState struct {
	time  event.Time
	count int64
}

// sweepIDs forgets the foreign ids that no state holds.
func (e *Engine) sweepIDs() {
	used := map[eventID]struct{}{}
	see := func(id eventID) { used[id] = struct{}{} }
	for _, x := range e.runs {
		x.machine.eachID(see)
		x.recent.eachID(see)
	}
	for _, w := range e.order.heap {
		see(w.id)
	}
	e.memory.eachID(see)
	e.episodes.eachID(see)
	e.names.keep(used)
	e.names.swept = e.names.size
}

func (s *episodes) eachID(see func(eventID)) {
	one := func(h *hit) {
		see(h.id)
		for _, id := range h.evidence {
			see(id)
		}
	}
	for _, ep := range s.open {
		one(&ep.latest)
		for i := range ep.ahead {
			one(&ep.ahead[i].latest)
		}
	}
}
