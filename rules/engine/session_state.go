package engine

import (
	"cmp"
	"slices"

	"github.com/gatebook/gatebook/event"
)

// bytes implements machine.
func (m *sessionMachine) bytes() int64 {
	return m.size + m.table.bytes() + m.open.bytes() + m.places.bytes() + m.tuples.bytes() + m.ends.bytes()
}

// keys implements machine.
func (m *sessionMachine) keys() int { return m.table.count }

// expire implements machine. What is idle is closed by due.
func (m *sessionMachine) expire(event.Time) {
	m.table.sweep(m.tidy)
	m.tidyTables()
}

func (m *sessionMachine) tidyTables() {
	m.open.tidy()
	m.places.tidy()
	m.tuples.tidy()
}

// shrink implements machine: keys with the fewest sessions first, then those of which nothing was heard for longest, of a key its oldest sessions.
func (m *sessionMachine) shrink(bytes int64) (keys int) {
	list := make([]*sessionKey, 0, m.table.count)
	m.table.each(func(e *sessionKey) { list = append(list, e) })
	heard := func(e *sessionKey) event.Time {
		if e.latest == nil {
			return e.closed
		}
		return e.latest.last
	}
	slices.SortFunc(list, func(a, b *sessionKey) int {
		return cmp.Or(cmp.Compare(a.count, b.count), cmp.Compare(heard(a), heard(b)), cmp.Compare(a.hash.hi, b.hash.hi), cmp.Compare(a.hash.lo, b.hash.lo))
	})
	goal := m.size - bytes
	for _, e := range list {
		if m.size <= goal {
			break
		}
		keys++
		for e.count > 0 && m.size > goal {
			m.remove(e.oldest)
		}
		if e.count == 0 {
			e.closed = 0
			m.tidy(e)
		}
	}
	m.table.tidy()
	m.tidyTables()
	return keys
}

// eachID implements machine.
func (m *sessionMachine) eachID(f func(eventID)) {
	f(m.lastID)
	m.open.each(func(s *openSession) { f(s.id) })
}

// save implements machine.
func (m *sessionMachine) save(w *writer) {
	w.time(m.now)
	w.time(m.lastTime)
	w.id(m.lastID)
	w.slots(m.distinct)
	w.uint(uint64(m.table.count))
	m.table.each(func(e *sessionKey) {
		w.text(e.text)
		w.hash(e.hash)
		w.uint(uint64(e.grouping))
		w.time(e.closed)
		w.uint(uint64(e.count))
		for s := e.oldest; s != nil; s = s.newer {
			s.save(w)
		}
	})
}

func (s *openSession) save(w *writer) {
	w.hash(s.hash)
	w.time(s.last)
	w.id(s.id)
	w.bool(s.place != nil)
	if s.place != nil {
		w.hash(s.place.hash)
	}
	for _, t := range s.tuples {
		w.bool(t != nil)
		if t != nil {
			w.hash(t.value)
		}
	}
}

// load implements machine.
func (m *sessionMachine) load(r *reader) error {
	m.now, m.lastTime, m.lastID = r.time(), r.time(), r.id()
	written := r.slotList()
	for range r.count() {
		e := &sessionKey{text: r.text(), hash: r.hash(), grouping: int32(r.uint()), closed: r.time()}
		if r.err != nil || m.table.find(e.hash) != nil || e.grouping < 0 || int(e.grouping) >= m.p.grouping {
			r.fail()
			break
		}
		m.addKey(e)
		for range r.count() {
			m.loadSession(r, e, written)
			if r.err != nil {
				break
			}
		}
	}
	if r.err != nil {
		*m = *newSessionMachine(m.p, m.host)
		m.scene.aggregate = m.aggregate
	}
	return r.err
}

func (m *sessionMachine) loadSession(r *reader, e *sessionKey, written []int) {
	h := r.hash()
	if r.err != nil || m.open.find(h) != nil {
		r.fail()
		return
	}
	s := m.addSession(e, h)
	s.last, s.id = r.time(), r.id()
	s.older = e.latest // in the order in which they were
	if e.latest == nil {
		e.oldest = s
	} else {
		e.latest.newer = s
	}
	e.latest = s
	if r.bool() {
		m.setPlace(s, r.hash())
	}
	for _, n := range written {
		if !r.bool() {
			continue
		}
		sum := r.hash()
		if i := slices.Index(m.distinct, n); i >= 0 {
			m.setTuple(s, i, sum)
		}
	}
	if m.idle > 0 {
		m.ends.set(s, s.last+m.idle, s.id, e.grouping)
	}
}
