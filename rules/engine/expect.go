package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// expectMachine fires for a key when nothing came for longer than the rule allows. The first event of a key arms it; once it has fired, the next one does.
type expectMachine struct {
	p      *program
	host   host
	every  event.Time
	keeps  []int // slots that memos keep
	memory []int // aggregates that the long memory answers

	table hashTable[expectKey, *expectKey]
	ends  deadlines[expectKey, *expectKey]
	size  int64
	now   event.Time // of the latest item or deadline

	recall *recall
	scene  scene
	prev   memo
}

// expectKey is a key that is armed.
type expectKey struct {
	text          string
	hash          hash
	grouping      int32
	timerPosition int32
	last          event.Time
	id            eventID // of the last event
	values        []value
	about         *about
	cost          int64
}

const expectKeyBytes = 112

func (k *expectKey) hashOf() hash  { return k.hash }
func (k *expectKey) timer() *int32 { return &k.timerPosition }

func newExpectMachine(p *program, h host) *expectMachine {
	m := &expectMachine{p: p, host: h, every: event.Time(p.rule.ExpectEvery), keeps: p.keptSlots(), recall: &recall{host: h, p: p}}
	for n := range p.aggregates {
		if p.aggregates[n].ofMemory() {
			m.memory = append(m.memory, n)
		}
	}
	m.ends.names = h.ids()
	m.prev.values = make([]value, p.slots)
	return m
}

// take implements machine.
func (m *expectMachine) take(it *item) {
	m.now = max(m.now, it.time)
	m.see(it)
}

// late implements machine: the key waits from then, unless time has passed that already.
func (m *expectMachine) late(it *item) { m.see(it) }

func (m *expectMachine) see(it *item) {
	for g := range it.keys {
		k := &it.keys[g]
		if !k.ok {
			continue
		}
		e := m.table.find(k.hash)
		switch {
		case e == nil && it.time+m.every < m.now:
		case e == nil:
			e = &expectKey{text: strings.Clone(k.text), hash: k.hash, grouping: int32(g)}
			m.note(e, it)
			m.add(e)
		case m.ends.names.before(e.last, e.id, it.time, it.id):
			m.note(e, it)
		default:
			continue // it was there already, or something later was
		}
		if len(m.memory) > 0 {
			m.recall.now, m.recall.key = it, *k
			m.recall.feed(m.memory, true)
		}
	}
}

// note keeps what is told when nothing else comes. The deadline is moved when it comes up.
func (m *expectMachine) note(e *expectKey, it *item) {
	e.last, e.id = it.time, it.id
	e.values = keepValues(e.values, m.keeps, it.values)
	if e.about == nil || *e.about != it.about {
		e.about = keepAbout(it.about)
	}
	m.charge(e)
}

func (m *expectMachine) add(e *expectKey) {
	m.table.add(e)
	m.ends.set(e, e.last+m.every, e.id, e.grouping)
}

func (m *expectMachine) charge(e *expectKey) {
	n := expectKeyBytes + int64(len(e.text)) + valueBytes*int64(cap(e.values)) + e.about.bytes()
	for i := range e.values {
		n += int64(len(e.values[i].text))
	}
	m.size += n - e.cost
	e.cost = n
}

func (m *expectMachine) remove(e *expectKey) {
	m.ends.drop(e)
	m.table.remove(e)
	m.size -= e.cost
}

// due implements machine.
func (m *expectMachine) due(watermark event.Time) event.Time {
	m.now = max(m.now, watermark)
	for m.ends.before(watermark) {
		top := m.ends.heap[0]
		if at := top.of.last + m.every; at > top.at || top.id != top.of.id {
			m.ends.set(top.of, at, top.of.id, top.of.grouping)
			continue
		}
		m.fire(top.of, top.at)
		m.remove(top.of)
	}
	return m.ends.next()
}

func (m *expectMachine) fire(e *expectKey, at event.Time) {
	k := key{text: e.text, hash: e.hash, ok: true}
	m.recall.now, m.recall.key = nil, k
	m.prev.time, m.prev.id = e.last, e.id
	spreadValues(m.prev.values, m.keeps, e.values)
	s := &m.scene
	s.key, s.prev, s.scratch, s.aggregate = k, &m.prev, s.scratch[:0], m.recall.aggregate
	if !m.p.allows(s) {
		return
	}
	h := hit{grouping: int(e.grouping), key: k, time: at, id: e.id, evidence: []eventID{e.id}, about: *e.about}
	if m.p.title != nil {
		h.title = m.p.title(s)
	}
	m.host.hit(m.p, &h)
}

// expire implements machine: a key that is armed has influence until it fires.
func (m *expectMachine) expire(event.Time) {}

// shrink implements machine: those that were heard of last are furthest from firing, and the soonest to be armed again.
func (m *expectMachine) shrink(bytes int64) (keys int) {
	list := make([]*expectKey, 0, m.table.count)
	m.table.each(func(e *expectKey) { list = append(list, e) })
	slices.SortFunc(list, func(a, b *expectKey) int {
		return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.hash.hi, b.hash.hi), cmp.Compare(a.hash.lo, b.hash.lo))
	})
	for goal := m.size - bytes; keys < len(list) && m.size > goal; keys++ {
		m.remove(list[keys])
	}
	m.table.tidy()
	return keys
}

// bytes implements machine.
func (m *expectMachine) bytes() int64 { return m.size + m.table.bytes() + m.ends.bytes() }

// keys implements machine.
func (m *expectMachine) keys() int { return m.table.count }

// eachID implements machine.
func (m *expectMachine) eachID(f func(eventID)) {
	m.table.each(func(e *expectKey) { f(e.id) })
}

// save implements machine.
func (m *expectMachine) save(w *writer) {
	w.time(m.now)
	w.slots(m.keeps)
	w.uint(uint64(m.table.count))
	m.table.each(func(e *expectKey) {
		w.text(e.text)
		w.hash(e.hash)
		w.uint(uint64(e.grouping))
		w.time(e.last)
		w.id(e.id)
		w.values(e.values)
		w.about(*e.about)
	})
}

// load implements machine.
func (m *expectMachine) load(r *reader) error {
	m.now = r.time()
	from := r.slots(m.keeps)
	for range r.count() {
		e := &expectKey{text: r.text(), hash: r.hash(), grouping: int32(r.uint()), last: r.time(), id: r.id()}
		e.values = keepValues(nil, from, r.values())
		a := r.about()
		e.about = &a
		if r.err != nil || m.table.find(e.hash) != nil || e.grouping < 0 || int(e.grouping) >= m.p.grouping {
			r.fail()
			break
		}
		m.add(e)
		m.charge(e)
	}
	if r.err != nil {
		*m = *newExpectMachine(m.p, m.host)
	}
	return r.err
}

// describe implements machine.
func (m *expectMachine) describe(grouping int, k key) []string {
	e := m.table.find(k.hash)
	if e == nil || int(e.grouping) != grouping {
		return nil
	}
	return []string{fmt.Sprintf("last came at %s; fires after %s unless another comes", e.last, e.last+m.every)}
}
