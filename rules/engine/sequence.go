package engine

import (
	"github.com/gatebook/gatebook/event"
)

// sequenceMachine follows ordered steps on one key.
//
//	             +--- first step again: the latest counts ---+
//	             v                                           |
//	event --> level 0 --> level 1 --> ... --> level n --> hit (or: a trailing without waits at level n for its deadline)
//	          latest events  a chain: so many steps are done; a without of its gap ends it
//	          of the first
//	          step
//
// A key has at most one chain at each level. An event is tried on the deepest level first, so that it is used once for each chain. What a chain counted
// of the first step ends with it: that counts in no chain that begins later.
type sequenceMachine struct {
	p      *program
	host   host
	within event.Time

	wanted   []int    // steps that must come, by level
	gaps     [][]int  // steps that must not come, by level: in the gap behind so many steps
	asked    []uint64 // bits that concern a level
	trailing bool     // the last step must not come
	keeps    []int    // slots that memos keep
	feeds    [][]int  // by step: aggregates of the long memory that its events feed

	table hashTable[sequenceKey, *sequenceKey]
	ends  deadlines[sequenceChain, *sequenceChain]
	size  int64 // of keys and chains

	lastTime event.Time // of the latest item: it may come twice
	lastID   eventID

	spare  *sequenceChain // to be used again
	spares int
	scene  scene
	recall *recall
	memos  []memo  // what scene.steps points to
	steps  []*memo // by step
}

// sequenceKey is the state of a key.
type sequenceKey struct {
	text     string
	hash     hash
	grouping int32
	lost     bool           // shrink took something of it
	chains   *sequenceChain // deepest first
	run      *sequenceRun   // of a first step with times; nil: nothing
}

// sequenceRun holds the latest events of the first step, no more than it takes.
type sequenceRun struct {
	events []countedEvent // oldest first
	weight int64
}

type countedEvent struct {
	time   event.Time
	id     eventID
	weight int64
}

// sequenceChain is a sequence on its way.
type sequenceChain struct {
	next  *sequenceChain
	of    *sequenceKey
	first event.Time // of the first event that counts
	id    eventID
	level int32      // steps done
	place int32      // in the heap of deadlines
	part  int64      // weight of the events of the next step, which takes more than one
	count int64      // weight of all events
	ids   []eventID  // the latest of them
	memos []stepMemo // of the steps done: of each its latest event
	about *about     // of the last of these, where time fires
	cost  int64
}

// stepMemo is a memo with the values of some slots only.
type stepMemo struct {
	time   event.Time
	id     eventID
	values []value
}

const (
	sequenceKeyBytes   = 64
	sequenceChainBytes = 128
	sequenceRunBytes   = 32
	countedBytes       = 24
	stepMemoBytes      = 48
	maxSpares          = 64
)

func (k *sequenceKey) hashOf() hash    { return k.hash }
func (c *sequenceChain) timer() *int32 { return &c.place }

func newSequenceMachine(p *program, h host) *sequenceMachine {
	m := &sequenceMachine{p: p, host: h, within: event.Time(p.rule.Sequence.Within), keeps: p.keptSlots()}
	m.gaps, m.asked = [][]int{nil}, []uint64{0}
	var all []int
	for i := range p.aggregates {
		all = append(all, i)
	}
	for i := range p.steps {
		s, level := &p.steps[i], len(m.wanted)
		m.asked[level] |= s.bit
		m.trailing = s.Without
		m.feeds = append(m.feeds, p.memoryOf(s.aggs))
		all = notAmong(all, s.aggs)
		if s.Without {
			m.gaps[level] = append(m.gaps[level], i)
			continue
		}
		m.wanted = append(m.wanted, i)
		m.gaps, m.asked = append(m.gaps, nil), append(m.asked, 0)
	}
	// What only fire, an exception or the title asks for is asked of the last step's event.
	final := m.wanted[len(m.wanted)-1]
	m.feeds[final] = append(m.feeds[final], p.memoryOf(all)...)
	m.ends.names = h.ids()
	m.memos, m.steps = make([]memo, len(p.steps)), make([]*memo, len(p.steps))
	for i := range m.memos {
		m.memos[i].values = make([]value, p.slots)
	}
	m.recall = &recall{host: h, p: p}
	m.scene.aggregate = m.recall.aggregate
	return m
}

// take implements machine.
func (m *sequenceMachine) take(it *item) {
	if it.id == m.lastID && it.time == m.lastTime {
		return
	}
	m.lastTime, m.lastID = it.time, it.id
	for g := range m.p.grouping {
		for level := len(m.wanted); level > 0; level-- {
			if it.bits&m.asked[level] == 0 {
				continue
			}
			m.cancel(g, level, it)
			if level < len(m.wanted) {
				m.advance(g, level, it)
			}
		}
		m.begin(g, it)
	}
	m.remember(it)
}

// late implements machine: the order is over, the long memory learns of it.
func (m *sequenceMachine) late(it *item) { m.remember(it) }

// due implements machine.
func (m *sequenceMachine) due(watermark event.Time) event.Time {
	for m.ends.before(watermark) {
		at, c := m.ends.heap[0].at, m.ends.heap[0].of
		m.fire(c, nil, at)
		m.end(c)
	}
	return m.ends.next()
}

// key is an item's key for a step; nil where it is nothing to the step.
func (m *sequenceMachine) key(g, step int, it *item) *key {
	if it.bits&m.p.steps[step].bit == 0 {
		return nil
	}
	if k := &it.keys[g*len(m.p.steps)+step]; k.ok {
		return k
	}
	return nil
}

// at finds the chain of a key at a level that is still on its way.
func (m *sequenceMachine) at(k *key, level int, now event.Time) *sequenceChain {
	e := m.table.find(k.hash)
	if e == nil {
		return nil
	}
	c := e.at(int32(level))
	if c == nil || now-c.first <= m.within {
		return c
	}
	if c.place == 0 {
		m.drop(c)
		m.tidy(e)
	}
	return nil
}

func (k *sequenceKey) at(level int32) *sequenceChain {
	for c := k.chains; c != nil && c.level >= level; c = c.next {
		if c.level == level {
			return c
		}
	}
	return nil
}

// cancel ends the chain at a level where the event is one that must not come there.
func (m *sequenceMachine) cancel(g, level int, it *item) {
	for _, s := range m.gaps[level] {
		k := m.key(g, s, it)
		if k == nil {
			continue
		}
		if c := m.at(k, level, it.time); c != nil && m.holds(s, c, it, *k) {
			m.end(c)
		}
	}
}

// advance counts the event for the next step of the chain at a level.
func (m *sequenceMachine) advance(g, level int, it *item) {
	s := m.wanted[level]
	k := m.key(g, s, it)
	if k == nil {
		return
	}
	c := m.at(k, level, it.time)
	if c == nil || !m.holds(s, c, it, *k) {
		return
	}
	c.part += it.weight
	c.count += it.weight
	c.ids = addEvidence(c.ids, it.id)
	if c.part < int64(m.p.steps[s].Times) {
		m.charge(c)
		return
	}
	c.of.unlink(c)
	m.done(c, it)
}

// begin counts the event for the first step.
func (m *sequenceMachine) begin(g int, it *item) {
	s := m.wanted[0]
	k := m.key(g, s, it)
	if k == nil || !m.holds(s, nil, it, *k) {
		return
	}
	e := m.table.find(k.hash)
	if e == nil {
		e = &sequenceKey{text: keepText("", k.text), hash: k.hash, grouping: int32(g)}
		m.table.add(e)
		m.size += sequenceKeyBytes + int64(len(e.text))
	}
	if m.p.steps[s].Times > 1 && !m.slide(e, it) {
		return
	}
	waiting := m.trailing && len(m.wanted) == 1 && e.at(1) != nil
	if !waiting {
		m.start(e, it)
	}
	m.tidy(e)
}

// slide adds an event to the latest ones of the first step, and tells whether they make it.
func (m *sequenceMachine) slide(e *sequenceKey, it *item) bool {
	r := e.run
	if r == nil {
		r = &sequenceRun{}
		e.run = r
		m.size += sequenceRunBytes
	}
	before := cap(r.events)
	times := int64(m.p.steps[m.wanted[0]].Times)
	over := 0
	for over < len(r.events) && (it.time-r.events[over].time > m.within || r.weight-r.events[over].weight+it.weight >= times) {
		r.weight -= r.events[over].weight
		over++
	}
	r.events = append(r.events[:copy(r.events, r.events[over:])], countedEvent{it.time, it.id, it.weight})
	r.weight += it.weight
	m.size += countedBytes * int64(cap(r.events)-before)
	return r.weight >= times
}

// start makes a chain of which the first step is done.
func (m *sequenceMachine) start(e *sequenceKey, it *item) {
	if old := e.at(1); old != nil && len(m.wanted) > 1 {
		m.drop(old) // its room is used at once
	}
	c := m.fresh()
	c.of, c.first, c.id = e, it.time, it.id
	if e.run == nil {
		c.ids, c.count = append(c.ids, it.id), it.weight
	} else {
		c.first, c.id, c.count = e.run.events[0].time, e.run.events[0].id, e.run.weight
		for _, one := range e.run.events[max(0, len(e.run.events)-maxEvidence):] {
			c.ids = append(c.ids, one.id)
		}
	}
	m.done(c, it)
}

// done moves a chain, which is at no level now, to the next one: the item made its step.
func (m *sequenceMachine) done(c *sequenceChain, it *item) {
	c.part = 0
	c.level++
	c.note(it, m.keeps)
	last := int(c.level) == len(m.wanted)
	if last && !m.trailing {
		m.fire(c, it, it.time)
		m.end(c)
		return
	}
	if old := c.of.at(c.level); old != nil {
		if last { // the earliest counts before a trailing without
			m.end(c)
			return
		}
		m.drop(old)
	}
	if last {
		c.about = keepAbout(it.about)
		m.ends.set(c, c.first+m.within, c.id, c.of.grouping)
	}
	c.of.link(c)
	m.charge(c)
}

// note keeps what later steps may ask of the event.
func (c *sequenceChain) note(it *item, slots []int) {
	n := len(c.memos)
	if n < cap(c.memos) {
		c.memos = c.memos[:n+1]
	} else {
		c.memos = append(c.memos, stepMemo{})
	}
	s := &c.memos[n]
	s.time, s.id, s.values = it.time, it.id, keepValues(s.values, slots, it.values)
}

// end gives up a chain that has fired, was cancelled or came to nothing, with the events of the first step that it counted.
func (m *sequenceMachine) end(c *sequenceChain) {
	e := c.of
	if r := e.run; r != nil {
		until, over := &c.memos[0], 0
		for over < len(r.events) && !m.ends.names.before(until.time, until.id, r.events[over].time, r.events[over].id) {
			r.weight -= r.events[over].weight
			over++
		}
		r.events = r.events[:copy(r.events, r.events[over:])]
	}
	m.drop(c)
	m.tidy(e)
}

// holds tells whether a step's guard lets the event pass.
func (m *sequenceMachine) holds(step int, c *sequenceChain, it *item, k key) bool {
	guard := m.p.steps[step].guard
	if guard == nil {
		return true
	}
	s := m.look(c, it, k)
	if m.p.watch != nil {
		m.p.watch(s, partStep(m.p.steps[step].Step))
	}
	return guard(s)
}

// look sets up what expressions see.
func (m *sequenceMachine) look(c *sequenceChain, it *item, k key) *scene {
	m.recall.now, m.recall.key = it, k
	s := &m.scene
	s.now, s.key, s.steps, s.scratch = it, k, m.steps, s.scratch[:0]
	clear(m.steps)
	if c != nil {
		for i := range c.memos {
			n := m.wanted[i]
			to := &m.memos[n]
			to.time, to.id = c.memos[i].time, c.memos[i].id
			spreadValues(to.values, m.keeps, c.memos[i].values)
			m.steps[n] = to
		}
	}
	return s
}

// fire tells the host that all steps are done, unless the rest of the rule is against it. it is nil where time fires.
func (m *sequenceMachine) fire(c *sequenceChain, it *item, at event.Time) {
	k := key{text: c.of.text, hash: c.of.hash, ok: true}
	s := m.look(c, it, k)
	if !m.p.allows(s) {
		return
	}
	h := hit{grouping: int(c.of.grouping), key: k, time: at, id: c.memos[len(c.memos)-1].id, evidence: c.ids, count: c.count}
	if it != nil {
		h.about = it.about
	} else if c.about != nil {
		h.about = *c.about
	}
	if m.p.title != nil {
		h.title = m.p.title(s)
	}
	m.host.hit(m.p, &h)
}

// remember feeds the long memory: each aggregate once for each key.
func (m *sequenceMachine) remember(it *item) {
	n := len(m.p.steps)
	for s, numbers := range m.feeds {
		if len(numbers) == 0 || it.bits&m.p.steps[s].bit == 0 {
			continue
		}
		for g := range m.p.grouping {
			k := m.key(g, s, it)
			if k == nil {
				continue
			}
			rest, learns := numbers, true
			for before := range s {
				if other := m.key(g, before, it); other != nil && other.hash == k.hash && len(m.feeds[before]) > 0 {
					rest, learns = notAmong(rest, m.feeds[before]), false
				}
			}
			m.recall.now, m.recall.key = it, it.keys[g*n+s]
			m.recall.feed(rest, learns)
		}
	}
}

func (m *sequenceMachine) fresh() *sequenceChain {
	c := m.spare
	if c == nil {
		return &sequenceChain{}
	}
	m.spare, c.next = c.next, nil
	m.spares--
	return c
}

// drop takes a chain away. The key stays: tidy.
func (m *sequenceMachine) drop(c *sequenceChain) {
	m.ends.drop(c)
	c.of.unlink(c)
	m.size -= c.cost
	if m.spares >= maxSpares {
		return
	}
	*c = sequenceChain{ids: c.ids[:0], memos: c.memos[:0], next: m.spare}
	m.spare = c
	m.spares++
}

func (k *sequenceKey) link(c *sequenceChain) {
	at := &k.chains
	for *at != nil && (*at).level > c.level {
		at = &(*at).next
	}
	c.next, *at = *at, c
}

func (k *sequenceKey) unlink(c *sequenceChain) {
	for at := &k.chains; *at != nil; at = &(*at).next {
		if *at == c {
			*at, c.next = c.next, nil
			return
		}
	}
}

// tidy takes a key away that has nothing.
func (m *sequenceMachine) tidy(e *sequenceKey) {
	if e.run != nil && len(e.run.events) == 0 {
		m.size -= e.run.bytes()
		e.run = nil
	}
	if e.chains == nil && e.run == nil && m.table.remove(e) {
		m.size -= sequenceKeyBytes + int64(len(e.text))
	}
}

func (r *sequenceRun) bytes() int64 { return sequenceRunBytes + countedBytes*int64(cap(r.events)) }

// charge counts what a chain takes.
func (m *sequenceMachine) charge(c *sequenceChain) {
	n := sequenceChainBytes + 8*int64(cap(c.ids)) + stepMemoBytes*int64(cap(c.memos)) + c.about.bytes()
	for i := range c.memos[:cap(c.memos)] {
		s := &c.memos[:cap(c.memos)][i]
		n += valueBytes * int64(cap(s.values))
		for j := range s.values {
			n += int64(len(s.values[j].text))
		}
	}
	m.size += n - c.cost
	c.cost = n
}
