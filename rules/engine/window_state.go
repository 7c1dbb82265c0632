package engine

import (
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// save writes the layout, then the keys of each level from cold to hot, so that load has them in the same order.
func (m *windowMachine) save(w *writer) {
	l := &m.layout
	w.bool(l.bits > 0)
	w.uint(uint64(len(l.aggs)))
	for n := range l.aggs {
		w.text(string(l.aggs[n].kind))
		w.uint(uint64(l.aggs[n].words))
	}
	w.time(m.mark)
	w.time(m.newest)
	m.gone.save(w)
	w.uint(uint64(m.table.count))
	for level := range m.table.lists {
		for at := m.table.lists[level].cold; at != 0; at = m.table.state(int(at - 1)).hotter {
			w.uint(uint64(level))
			m.saveKey(w, int(at-1))
		}
	}
}

func (m *windowMachine) saveKey(w *writer, n int) {
	s, l := m.table.state(n), &m.layout
	w.hash(s.hash)
	w.bool(s.returned)
	if s.more == nil {
		w.uint(1)
		l.saveEntry(w, m.table.first(n), 0)
		return
	}
	w.uint(uint64(s.more.n))
	var last event.Time
	for i := range s.more.n {
		e := l.entry(s.more, i)
		l.saveEntry(w, e, last)
		last = event.Time(e[0])
	}
}

func (l *windowLayout) saveEntry(w *writer, e []uint64, last event.Time) {
	w.time(event.Time(e[0]) - last)
	w.id(eventID(e[1]))
	w.uint(e[2])
	if l.bits > 0 {
		w.uint(e[l.bits])
	}
	for n := range l.aggs {
		for i := range l.aggs[n].words {
			w.fixed(e[l.aggs[n].word+i])
		}
	}
}

// savedLayout is the layout of the machine that wrote: aggregates that only its title had may be others.
type savedLayout struct {
	bits bool
	aggs []savedAggregate
}

type savedAggregate struct {
	kind  string
	words int
	word  int // of our entry; 0: it is not kept
}

func (m *windowMachine) load(r *reader) error {
	m.empty()
	saved := m.loadLayout(r)
	m.mark, m.newest = r.time(), r.time()
	m.gone.load(r)
	for range r.count() {
		if !m.loadKey(r, &saved) {
			r.fail()
		}
		if r.err != nil {
			break
		}
	}
	if r.err != nil {
		m.empty()
	}
	return r.err
}

func (m *windowMachine) loadLayout(r *reader) (saved savedLayout) {
	saved.bits = r.bool()
	for n := range r.count() {
		a := savedAggregate{kind: r.text(), words: int(r.uint())}
		if a.words < 0 || a.words > 2 {
			r.fail()
		}
		if n < len(m.layout.aggs) {
			if own := &m.layout.aggs[n]; a.kind == string(own.kind) && a.words == own.words {
				a.word = own.word
			}
		}
		saved.aggs = append(saved.aggs, a)
	}
	return saved
}

// loadKey reads a key, and tells whether it is sound.
func (m *windowMachine) loadKey(r *reader, saved *savedLayout) bool {
	level, h, returned, n := r.uint(), r.hash(), r.bool(), r.count()
	if r.err != nil || m.layout.window == 0 || level >= keyLevels || n == 0 || m.table.find(h) >= 0 {
		return false
	}
	at := m.table.insert(h)
	m.table.touch(at, uint8(level))
	s, l := m.table.state(at), &m.layout
	s.returned = returned
	first := m.table.first(at)
	m.loadEntry(r, saved, first, 0)
	if n == 1 {
		return r.err == nil
	}
	s.more = l.newWindow()
	m.heap += s.more.bytes() + l.insert(s.more, 0, first)
	for i := 1; i < n && r.err == nil; i++ {
		last := l.time(s.more, i-1)
		m.loadEntry(r, saved, m.entry, last)
		if event.Time(m.entry[0]) < last {
			return false
		}
		m.heap += l.insert(s.more, i, m.entry)
	}
	w := s.more
	for newest := l.time(w, w.n-1); w.open < w.n-1 && l.time(w, w.open) <= newest-l.window; {
		w.open++
	}
	for i := w.open; i < w.n; i++ {
		m.heap += l.add(w, i)
	}
	return r.err == nil
}

func (m *windowMachine) loadEntry(r *reader, saved *savedLayout, e []uint64, last event.Time) {
	clear(e)
	e[0], e[1], e[2] = uint64(last+r.time()), uint64(r.id()), min(r.uint(), mostWeight<<1|1)
	bits := m.p.when
	if saved.bits {
		bits = r.uint()
	}
	if m.layout.bits > 0 {
		e[m.layout.bits] = bits
	}
	for _, a := range saved.aggs {
		for i := range a.words {
			if word := r.fixed(); a.word > 0 {
				e[a.word+i] = word
			}
		}
	}
}

func (m *windowMachine) eachID(f func(eventID)) {
	for n := range m.table.count {
		w := m.table.state(n).more
		if w == nil {
			f(eventID(m.table.first(n)[1]))
			continue
		}
		for i := range w.n {
			f(eventID(m.layout.entry(w, i)[1]))
		}
	}
}

// describe tells what is in the window of the key's latest event.
func (m *windowMachine) describe(_ int, k key) []string {
	n := -1
	if k.ok {
		n = m.table.find(k.hash)
	}
	if n < 0 {
		if k.ok && m.gone.has(k.hash) {
			return []string{"nothing is known: the key may have been given up to keep the state within its limit"}
		}
		return nil
	}
	l, w := &m.layout, m.table.state(n).more
	if w == nil {
		w = m.one
		w.reset()
		l.insert(w, 0, m.table.first(n))
		l.add(w, 0)
	}
	m.at = w
	var b strings.Builder
	in := w.n - w.open
	fmt.Fprintf(&b, "%d event%s in the window since %s: count %d", in, plural(in), l.time(w, w.open).Std().Format("15:04:05"), w.count)
	for i := range l.aggs {
		a := &l.aggs[i]
		if a.kind == rules.Count && a.bit == 0 || a.kind == rules.FirstSeen || a.kind == rules.Rarity || a.kind == rules.Baseline {
			continue
		}
		name := string(a.kind)
		if a.kind == rules.Count {
			name = "count of those that match"
		}
		if v := m.aggregate(i); v.kind != null {
			fmt.Fprintf(&b, ", %s %s", name, appendValue(nil, v))
		}
	}
	lines := []string{b.String()}
	for i := w.n - 1; i >= w.open; i-- {
		if e := l.entry(w, i); e[2]&1 != 0 {
			lines = append(lines, "fired by the event at "+event.Time(e[0]).Std().Format("15:04:05"))
			break
		}
	}
	if m.table.state(n).returned {
		lines = append(lines, "the key was given up before, or mistaken for one that was: what it did until then does not count")
	}
	return lines
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
