package engine

import "github.com/gatebook/gatebook/event"

// revise works out a hit again with what its window holds by now: events that came late count. A hit whose events are gone stays as it is.
func (m *windowMachine) revise(h *hit) {
	if m.layout.window == 0 || !h.key.ok {
		return
	}
	n := m.table.find(h.key.hash)
	if n < 0 {
		return
	}
	l, w := &m.layout, m.table.state(n).more
	if w == nil {
		return // one event: nothing came late
	}
	i, there := l.place(m.host.ids(), w, h.time, h.id)
	if !there {
		return
	}
	from := i
	for from > 0 && l.time(w, from-1) > h.time-l.window {
		from--
	}
	if m.past == nil {
		m.past = l.newWindow()
	}
	past := m.past
	past.reset()
	for j := from; j <= i; j++ {
		l.insert(past, past.n, l.entry(w, j))
		l.add(past, past.n-1)
	}
	h.count = past.count
	h.evidence = h.evidence[:0]
	for j := max(0, past.n-maxEvidence); j < past.n; j++ {
		h.evidence = append(h.evidence, eventID(l.entry(past, j)[1]))
	}
	if m.p.title == nil {
		return
	}
	e := l.entry(w, i)
	m.again = item{time: event.Time(e[0]), id: eventID(e[1]), weight: int64(e[2] >> 1), bits: m.p.when, values: h.values}
	if l.bits > 0 {
		m.again.bits = e[l.bits]
	}
	h.title = m.p.title(m.look(&h.key, &m.again, past))
}
