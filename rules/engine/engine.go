// Package engine runs rules over events.
//
//	event -> index by equality terms -> enter: conditions on the event alone -> item (time, id, keys, captured values)
//	             |                                                                  |
//	             | monotone rules: at once                                          | others: in order, behind the watermark
//	             v                                                                  v
//	          machine (window, sequence, session, expect) <-> history (long memory: first_seen, baseline, prev)
//	             |
//	           hits -> episodes (quiet, 24 h) -> Alert: open, update, close
//
// What it promises: the alerts that close are a function of the set of events alone, whatever their order within the lateness, whether some
// come twice, and wherever the process was stopped and restored from its snapshot; memory is bounded in bytes; what was given up is told and is
// unknown, never "new". An Engine is for one goroutine.
package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// Options configure an engine. Only Rules and Alert are needed.
type Options struct {
	Rules *rules.Set
	// Alert is told each record of an alert. It must not keep it.
	Alert func(*Alert)
	// Tell is told what operators should know of the engine itself, such as state that was given up; nil: nobody.
	Tell func(Notice)
	// Budget bounds the state in memory, in bytes; default 64 MiB.
	Budget int64
	// Lateness is how much later than others of its source an event may come and still count in its turn; default 30 s.
	Lateness time.Duration
	// Zone is where hour, weekday and outside look at the clock, unless they name another; default UTC.
	Zone *time.Location
	// Installation makes alert ids and hashes those of one Gatebook.
	Installation string
	// Now is the clock of a live engine: silent sources move with it. nil: a replay, where only events move time.
	Now func() time.Time
	// Fleet lets rules of scope "fleet" run: this Gatebook hears of events from others.
	Fleet bool
	// Disk keeps the state over restarts; nil: nothing is kept.
	Disk Disk
}

const (
	defaultBudget   = 64 << 20
	defaultLateness = 30 * time.Second
	maxAhead        = 5 * time.Minute // an event further ahead of its arrival takes its arrival's time
	silent          = time.Minute     // after it a source moves with the clock
	settling        = 5 * time.Second // of the clock: sources that begin together are heard before time moves; less where no new ones come
)

// Engine is the state of all rules.
type Engine struct {
	options Options
	hash    hasher
	names   *ids
	memory  *history
	ready
	clock    clock
	order    reorder
	episodes episodes

	found   []*program
	scratch item
	now     *event.Event // the one being added
	nowID   eventID
	nextDue event.Time // of all machines; 0: none
	fed     []fedAlert // alerts that rules over alerts have yet to see
	turn    int        // of the run that is asked to expire next
	added   uint64
	stats   Stats
	noticed map[noticeKey]noticeState
	cursor  uint64
	stale   []string // blobs of rules that are gone

	watchHit func(*run, *hit) // nil but in Explain
}

// ready is a set of rules that was made ready to run.
type ready struct {
	runs       []*run
	byNumber   map[uint64]*run
	index      *ruleIndex
	overAlerts bool // there are rules over alerts
}

// run is one rule with its state.
type run struct {
	*program
	machine machine
	timed   bool       // has deadlines
	began   event.Time // earliest event: ShadowFor counts from it
	dirty   bool       // the machine's state changed since the last snapshot
	stats   RuleStats
	recent  recentIDs // of a monotone rule without a window, whose machine knows no event again
}

// Stats are figures since the start.
type Stats struct {
	Events, Matched   uint64 // added; something to at least one rule
	Late              uint64 // items whose turn was over
	Forced            uint64 // items that had their turn early, because too much was waiting
	Ahead             uint64 // events that took the time of their arrival
	Alerts            uint64 // records told
	EvictedKeys       uint64
	StateBytes        int64
	Keys              int
	Waiting           int // items that wait for the watermark
	OpenAlerts        int
	HistoryUnreadable uint64
}

// RuleStats are figures of one rule since the start.
type RuleStats struct {
	ID                            string
	Events, Hits, Alerts          uint64
	MissingKeys, Excepted, Vetoed uint64
	Late, EvictedKeys             uint64
	Keys                          int
	Bytes                         int64
}

// Notice is something that operators should know.
type Notice struct {
	Time    event.Time // of the events, not of the clock
	Kind    string     // "state-evicted", "history-unreadable"
	Rule    string     // empty: of no single rule
	Message string
	Count   int64
}

// New makes the rules ready. Where there is a Disk it goes on from what that has kept. The error names every rule that cannot be run.
func New(o Options) (*Engine, error) {
	if o.Budget == 0 {
		o.Budget = defaultBudget
	}
	if o.Lateness == 0 {
		o.Lateness = defaultLateness
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Tell == nil {
		o.Tell = func(Notice) {}
	}
	e := &Engine{options: o, hash: newHasher(o.Installation), names: newIDs(), noticed: map[noticeKey]noticeState{}}
	e.clock.init(o)
	e.order.names = e.names
	e.episodes.init(e)
	e.memory = newHistory(o.Disk, e.names)
	e.memory.unreadable = e.historyUnreadable
	var err error
	if e.ready, err = e.build(o.Rules); err != nil {
		return nil, err
	}
	if o.Disk != nil {
		if err := e.restore(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// build compiles the enabled rules. The engine goes on with what it has.
func (e *Engine) build(set *rules.Set) (ready, error) {
	var errs []error
	var programs []*program
	b := ready{byNumber: map[uint64]*run{}}
	for _, r := range set.Rules {
		if !r.Enabled || r.Scope == rules.ScopeFleet && !e.options.Fleet {
			continue
		}
		p, err := compile(r, compileOptions{Hash: e.hash, Zone: e.options.Zone, Now: e.wallClock()})
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", r.ID, err))
			continue
		}
		x := &run{program: p, stats: RuleStats{ID: r.ID}}
		x.machine, x.timed = e.newMachine(p)
		p.run = x
		b.runs, b.byNumber[p.number] = append(b.runs, x), x
		b.overAlerts = b.overAlerts || r.OverAlerts
		programs = append(programs, p)
	}
	b.index = newRuleIndex(programs)
	return b, errors.Join(errs...)
}

func (e *Engine) newMachine(p *program) (m machine, timed bool) {
	switch {
	case p.rule.Sequence != nil:
		return newSequenceMachine(p, e), true
	case p.rule.Session != nil:
		return newSessionMachine(p, e), true
	case p.rule.ExpectEvery > 0:
		return newExpectMachine(p, e), true
	}
	return newWindowMachine(p, e), false
}

func (e *Engine) wallClock() time.Time {
	if e.options.Now != nil {
		return e.options.Now()
	}
	return time.Now()
}

// Add treats one event, id being its event.id. The event is not kept, nor any of its texts.
func (e *Engine) Add(ev *event.Event, id string) {
	e.add(ev, e.names.of(id), true)
}

// AddOwn is Add for an event of the log, whose id is <epoch>-<sequence>.
func (e *Engine) AddOwn(ev *event.Event, epoch string, sequence uint64) {
	e.add(ev, e.names.own(epoch, sequence), true)
}

func (e *Engine) add(ev *event.Event, id eventID, outside bool) {
	e.stats.Events++
	t := ev.Time
	if outside {
		if e.options.Now != nil && ev.Created != 0 && t > ev.Created+event.Time(maxAhead) {
			t = ev.Created
			e.stats.Ahead++
		}
		t = e.clock.hear(ev, t)
	}
	e.found = e.index.candidates(ev, e.found[:0])
	matched := false
	for _, p := range e.found {
		matched = e.offer(p, ev, t, id) || matched
	}
	if matched {
		e.stats.Matched++
	}
	if outside {
		e.advance()
	}
}

// offer gives an event to a rule, and tells whether it was something to it.
func (e *Engine) offer(p *program, ev *event.Event, t event.Time, id eventID) bool {
	x := p.run
	if ev.Relayed == event.True && p.rule.Scope == rules.ScopeHost {
		return false
	}
	bits := p.enter(ev)
	if bits == 0 {
		return false
	}
	it := &e.scratch
	it.time, it.id, it.bits, it.weight = t, id, bits, 1
	if ev.Count.Valid && ev.Count.N > 1 {
		it.weight = ev.Count.N
	}
	p.fill(ev, it)
	some := false
	for i := range it.keys {
		some = some || it.keys[i].ok
	}
	if !some {
		x.stats.MissingKeys++
		return false
	}
	x.stats.Events += uint64(it.weight)
	x.dirty = true
	if x.began == 0 || t < x.began {
		x.began = t
	}
	if !p.ordered {
		if p.rule.Window == 0 && x.recent.again(t, id) {
			return true
		}
		e.now, e.nowID = ev, id
		x.machine.take(it)
		e.now = nil
		return true
	}
	it.about = aboutOf(ev)
	if t < e.order.released || e.order.over(t) && ev.Kind != event.KindAlert {
		e.late(x, it)
		return true
	}
	e.order.push(x, it)
	return true
}

func (e *Engine) late(x *run, it *item) {
	e.stats.Late++
	x.stats.Late++
	x.machine.late(it)
}

// advance lets time go on as far as the sources allow: items have their turn, deadlines pass, alerts close.
func (e *Engine) advance() {
	if w := e.clock.watermark(); w > e.order.watermark {
		e.moveTo(w)
	}
	e.added++
	if len(e.runs) > 0 {
		e.turn = (e.turn + 1) % len(e.runs)
		e.runs[e.turn].machine.expire(e.order.watermark - event.Time(e.options.Lateness) - stretchLength) // folding looks back so far
	}
	if e.added%budgetEvery == 0 {
		e.keepBudget()
	}
}

// moveTo moves the watermark: what lies before it happens in the order of time. Deadlines and episodes that end before an item's time come before it.
func (e *Engine) moveTo(w event.Time) {
	e.order.watermark = w
	for {
		t := w
		if len(e.order.heap) > 0 {
			t = min(t, e.order.heap[0].time)
		}
		e.timeTo(t)
		if len(e.order.heap) == 0 || e.order.heap[0].time >= w {
			return // what alerts bring about is in the heap by now
		}
		if e.order.heap[0].time > t {
			continue
		}
		if it := e.order.pop(); it != nil {
			e.turnOf(it.run, &it.item)
			e.order.free(it)
		}
	}
}

// timeTo lets deadlines before t pass, and episodes end.
func (e *Engine) timeTo(t event.Time) {
	if e.nextDue != 0 && e.nextDue < t {
		e.nextDue = 0
		for _, x := range e.runs {
			if x.timed {
				x.dirty = true
				e.sooner(x.machine.due(t))
			}
		}
	}
	e.episodes.advance(t)
	for len(e.fed) > 0 {
		fed := e.fed[0]
		e.fed = e.fed[1:]
		e.add(fed.event, fed.id, false)
	}
}

// turnOf gives an item its turn.
func (e *Engine) turnOf(x *run, it *item) {
	if x.timed {
		x.machine.due(it.time)
	}
	x.dirty = true
	x.machine.take(it)
	if x.timed {
		e.sooner(x.machine.due(0))
	}
}

func (e *Engine) sooner(t event.Time) {
	if t != 0 && (e.nextDue == 0 || t < e.nextDue) {
		e.nextDue = t
	}
}

// Tick lets the clock move the sources that are silent. A live engine calls it every second or so.
func (e *Engine) Tick() {
	if e.options.Now != nil {
		e.clock.tick(e.options.Now())
		e.advance()
		e.keepBudget()
	}
}

// Finish ends the input: every event has its turn, and time goes on to until, if that is later than the last event. All alerts are closed.
func (e *Engine) Finish(until event.Time) {
	w := max(e.clock.farthest, until) + 1
	e.moveTo(max(w, e.order.watermark))
	e.episodes.closeAll(func(*episode) bool { return true })
	e.timeTo(e.order.watermark)
	e.episodes.closeAll(func(*episode) bool { return true }) // those of rules over alerts
}

// Watermark is the time up to which all events are taken to have come; 0 before the first.
func (e *Engine) Watermark() event.Time { return e.order.watermark }

// Stats returns the figures.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.StateBytes, s.Waiting, s.OpenAlerts = e.bytes(), len(e.order.heap), len(e.episodes.open)
	for _, x := range e.runs {
		s.Keys += x.machine.keys()
	}
	return s
}

// RuleStats returns the figures of each rule that runs.
func (e *Engine) RuleStats() []RuleStats {
	list := make([]RuleStats, len(e.runs))
	for i, x := range e.runs {
		list[i] = x.stats
		list[i].Keys, list[i].Bytes = x.machine.keys(), x.machine.bytes()
		list[i].Excepted, list[i].Vetoed = x.excepted, x.vetoed
	}
	return list
}

func (e *Engine) history() *history { return e.memory }
func (e *Engine) ids() *ids         { return e.names }

func (e *Engine) historyUnreadable(err error) {
	if e.stats.HistoryUnreadable++; e.stats.HistoryUnreadable == 1 {
		e.options.Tell(Notice{Time: e.order.watermark, Kind: "history-unreadable", Message: "the history of the rules cannot be read: " + err.Error()})
	}
}
