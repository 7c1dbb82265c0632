package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gatebook/gatebook/event"
)

// bytes implements machine.
func (m *sequenceMachine) bytes() int64 { return m.size + m.table.bytes() + m.ends.bytes() }

// keys implements machine.
func (m *sequenceMachine) keys() int { return m.table.count }

// expire implements machine.
func (m *sequenceMachine) expire(watermark event.Time) {
	m.table.sweep(func(e *sequenceKey) {
		for c := e.chains; c != nil; {
			next := c.next
			if c.place == 0 && watermark-c.first > m.within {
				m.drop(c)
			}
			c = next
		}
		if r := e.run; r != nil && watermark-r.events[len(r.events)-1].time > m.within {
			r.events = r.events[:0]
		}
		m.tidy(e)
	})
}

// sequencePart is what shrink may give up: a chain, or the latest events of a first step.
type sequencePart struct {
	of    *sequenceKey
	chain *sequenceChain // nil: the events
	level int32
	part  int64
	first event.Time
}

// shrink implements machine: fewest steps done first, then fewest events of the next step, then the oldest.
func (m *sequenceMachine) shrink(bytes int64) (keys int) {
	var list []sequencePart
	m.table.each(func(e *sequenceKey) {
		if r := e.run; r != nil {
			list = append(list, sequencePart{of: e, part: r.weight, first: r.events[0].time})
		}
		for c := e.chains; c != nil; c = c.next {
			list = append(list, sequencePart{e, c, c.level, c.part, c.first})
		}
	})
	slices.SortFunc(list, func(a, b sequencePart) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.part, b.part), cmp.Compare(a.first, b.first),
			cmp.Compare(a.of.hash.hi, b.of.hash.hi), cmp.Compare(a.of.hash.lo, b.of.hash.lo))
	})
	goal := m.size - bytes
	for _, one := range list {
		if m.size <= goal {
			break
		}
		if !one.of.lost {
			one.of.lost = true
			keys++
		}
		if one.chain != nil {
			m.drop(one.chain)
		} else {
			one.of.run.events = one.of.run.events[:0]
		}
		m.tidy(one.of)
	}
	m.spare, m.spares = nil, 0
	m.table.each(func(e *sequenceKey) { e.lost = false })
	m.table.tidy()
	return keys
}

// eachID implements machine.
func (m *sequenceMachine) eachID(f func(eventID)) {
	f(m.lastID)
	m.table.each(func(e *sequenceKey) {
		if e.run != nil {
			for _, one := range e.run.events {
				f(one.id)
			}
		}
		for c := e.chains; c != nil; c = c.next {
			f(c.id)
			for _, id := range c.ids {
				f(id)
			}
			for i := range c.memos {
				f(c.memos[i].id)
			}
		}
	})
}

// save implements machine.
func (m *sequenceMachine) save(w *writer) {
	w.time(m.lastTime)
	w.id(m.lastID)
	w.slots(m.keeps)
	w.uint(uint64(m.table.count))
	m.table.each(func(e *sequenceKey) {
		w.text(e.text)
		w.hash(e.hash)
		w.uint(uint64(e.grouping))
		if e.run == nil {
			w.uint(0)
		} else {
			w.uint(uint64(len(e.run.events)))
			for _, one := range e.run.events {
				w.time(one.time)
				w.id(one.id)
				w.int(one.weight)
			}
		}
		for c := e.chains; c != nil; c = c.next {
			c.save(w)
		}
		w.uint(0)
	})
}

func (c *sequenceChain) save(w *writer) {
	w.uint(uint64(c.level))
	w.time(c.first)
	w.id(c.id)
	w.int(c.part)
	w.int(c.count)
	w.uint(uint64(len(c.ids)))
	for _, id := range c.ids {
		w.id(id)
	}
	for i := range c.memos {
		w.time(c.memos[i].time)
		w.id(c.memos[i].id)
		w.values(c.memos[i].values)
	}
	w.bool(c.about != nil)
	if c.about != nil {
		w.about(*c.about)
	}
}

// load implements machine.
func (m *sequenceMachine) load(r *reader) error {
	m.lastTime, m.lastID = r.time(), r.id()
	from := r.slots(m.keeps)
	for range r.count() {
		e := &sequenceKey{text: r.text(), hash: r.hash(), grouping: int32(r.uint())}
		if r.err != nil || m.table.find(e.hash) != nil || e.grouping < 0 || int(e.grouping) >= m.p.grouping {
			r.fail()
			break
		}
		m.table.add(e)
		m.size += sequenceKeyBytes + int64(len(e.text))
		m.loadRun(r, e)
		for level := r.uint(); level != 0 && r.err == nil; level = r.uint() {
			m.loadChain(r, e, level, from)
		}
		if r.err == nil && e.chains == nil && e.run == nil {
			r.fail()
		}
		if r.err != nil {
			break
		}
	}
	if r.err != nil {
		*m = *newSequenceMachine(m.p, m.host)
	}
	return r.err
}

func (m *sequenceMachine) loadRun(r *reader, e *sequenceKey) {
	n := r.count()
	if n == 0 {
		return
	}
	e.run = &sequenceRun{events: make([]countedEvent, n)}
	for i := range e.run.events {
		one := &e.run.events[i]
		one.time, one.id, one.weight = r.time(), r.id(), r.int()
		e.run.weight += one.weight
	}
	m.size += e.run.bytes()
}

func (m *sequenceMachine) loadChain(r *reader, e *sequenceKey, level uint64, from []int) {
	last := level == uint64(len(m.wanted))
	if level > uint64(len(m.wanted)) || last && !m.trailing || e.at(int32(level)) != nil {
		r.fail()
		return
	}
	c := &sequenceChain{of: e, level: int32(level), first: r.time(), id: r.id(), part: r.int(), count: r.int()}
	n := r.count()
	if n > maxEvidence {
		r.fail()
		return
	}
	c.ids = make([]eventID, n)
	for i := range c.ids {
		c.ids[i] = r.id()
	}
	c.memos = make([]stepMemo, level)
	for i := range c.memos {
		c.memos[i].time, c.memos[i].id = r.time(), r.id()
		c.memos[i].values = keepValues(nil, from, r.values())
	}
	if r.bool() {
		a := r.about()
		c.about = &a
	}
	if r.err != nil {
		return
	}
	e.link(c)
	if last {
		m.ends.set(c, c.first+m.within, c.id, e.grouping)
	}
	m.charge(c)
}

// slots writes which slots packed values are of; an edited title may ask for others.
func (w *writer) slots(list []int) {
	w.uint(uint64(len(list)))
	for _, n := range list {
		w.uint(uint64(n))
	}
}

// slots reads them, and tells where in what was written the slots are that are wanted now; one beyond its end: nowhere.
func (r *reader) slots(want []int) (from []int) {
	were := r.slotList()
	for _, n := range want {
		i := slices.Index(were, n)
		if i < 0 {
			i = len(were)
		}
		from = append(from, i)
	}
	return from
}

func (r *reader) slotList() []int {
	list := make([]int, r.count())
	for i := range list {
		list[i] = int(r.uint())
	}
	return list
}

// describe implements machine.
func (m *sequenceMachine) describe(grouping int, k key) (list []string) {
	e := m.table.find(k.hash)
	if e == nil || int(e.grouping) != grouping {
		return nil
	}
	total := len(m.wanted)
	for c := e.chains; c != nil; c = c.next {
		done := m.p.steps[m.wanted[c.level-1]].Name
		text := fmt.Sprintf("step %d of %d, %q, done at %s", c.level, total, done, c.memos[c.level-1].time)
		until := c.first + m.within
		if int(c.level) == total {
			text += fmt.Sprintf("; fires after %s unless %s comes", until, m.names(m.gaps[c.level]))
		} else {
			next := &m.p.steps[m.wanted[c.level]]
			text += fmt.Sprintf(", waiting for step %q until %s", next.Name, until)
			if next.Times > 1 {
				text += fmt.Sprintf(" (%d of %d events)", c.part, next.Times)
			}
			if gap := m.gaps[c.level]; len(gap) > 0 {
				text += fmt.Sprintf("; %s would end it", m.names(gap))
			}
		}
		list = append(list, text)
	}
	if r := e.run; r != nil {
		s := &m.p.steps[m.wanted[0]]
		list = append(list, fmt.Sprintf("%d of %d events of step %q since %s", r.weight, s.Times, s.Name, r.events[0].time))
	}
	return list
}

func (m *sequenceMachine) names(steps []int) (text string) {
	for i, s := range steps {
		if i > 0 {
			text += " or "
		}
		text += fmt.Sprintf("%q", m.p.steps[s].Name)
	}
	return text
}
