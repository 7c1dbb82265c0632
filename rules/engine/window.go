package engine

import (
	"math"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// windowMachine runs rules that ask something of the events of a key within a time, or of one event and the history.
//
//	item, for each grouping: key -> its entries, sorted by time and id -> running values of (t-w, t] -> fire, vetoes -> hit
//	                                   |                                                                  |
//	                                   '-- what leaves the window -> history (first_seen)                 '-> history (learn, rarity, baseline, prev)
//
// An event that comes after later ones is put in its place: the running values go back to it, and forward again over the events behind it, each
// of which is asked once more. So which events hit is a function of the events, not of their order. Going back costs as many steps as there are
// events behind it (with min or max as many as are in the window). Entries are kept until the time that expire tells, less the window: an event that comes later
// than that counts with what is left.
type windowMachine struct {
	p      *program
	host   host
	layout windowLayout
	table  keyTable
	gone   sketch // keys that were given up
	mark   event.Time
	newest event.Time
	heap   int64 // bytes of the windows that keys and pool have
	pool   []*keyWindow
	hand   int // number of the key that is looked at next by expire

	entry    []uint64   // of the item at hand
	one      *keyWindow // window of a key that has one entry
	scene    scene
	again    item       // stands for an event that is asked once more
	at       *keyWindow // the window that aggregates look at
	past     *keyWindow // of revise
	learned  int8       // of the key of the scene: 1 yes, -1 no, 0 not asked yet
	hit      hit
	evidence [maxEvidence]eventID
}

func newWindowMachine(p *program, h host) *windowMachine {
	m := &windowMachine{p: p, host: h, layout: newWindowLayout(p)}
	m.entry = make([]uint64, m.layout.stride)
	m.one = m.layout.newWindow()
	m.scene.aggregate = m.aggregate
	m.empty()
	return m
}

func (m *windowMachine) empty() {
	m.table = keyTable{stride: m.layout.stride}
	m.gone, m.pool, m.heap, m.hand = sketch{}, nil, 0, 0
	m.mark, m.newest = math.MinInt64/2, math.MinInt64/2
}

func (m *windowMachine) take(it *item) { m.treat(it, false) }
func (m *windowMachine) late(it *item) { m.treat(it, true) }

// due has nothing to do: no window fires by itself.
func (m *windowMachine) due(event.Time) event.Time { return 0 }

func (m *windowMachine) treat(it *item, late bool) {
	if it.bits&m.p.when == 0 {
		return
	}
	m.layout.fill(m.p, m.entry, it)
	for g := range it.keys {
		switch k := &it.keys[g]; {
		case !k.ok:
		case m.layout.window > 0:
			m.enter(g, k, it, late)
		default:
			m.single(g, k, it, late)
		}
	}
}

// single treats an event of a rule without a window.
func (m *windowMachine) single(g int, k *key, it *item, late bool) {
	if !late {
		m.one.reset()
		m.layout.insert(m.one, 0, m.entry)
		m.layout.add(m.one, 0)
		m.ask(g, k, it, m.one, 0, 0)
	}
	m.remember(k, it)
}

// enter treats an event of a rule with a window, for one of its keys.
func (m *windowMachine) enter(g int, k *key, it *item, late bool) {
	m.newest = max(m.newest, it.time)
	n := m.table.find(k.hash)
	if n < 0 {
		m.dropExpired(2)
		n = m.table.insert(k.hash)
		m.table.state(n).returned = m.gone.has(k.hash)
		m.one.reset()
	} else if s := m.table.state(n); s.more == nil && !m.open(n, s) {
		return // it is there
	}
	s := m.table.state(n)
	w := s.more
	if w == nil {
		w = m.one
	}
	before := m.heap
	i, there := m.layout.place(m.host.ids(), w, it.time, it.id)
	if there {
		return
	}
	switch {
	case i == w.n:
		m.append(g, k, it, w, late)
	case late:
		m.insertLate(k, w, i)
	default:
		m.insertBefore(g, k, it, w, i)
	}
	m.remember(k, it)
	m.table.touch(n, m.level(s, w, it, k))
	if w == m.one {
		copy(m.table.first(n), m.layout.entry(w, 0))
		m.heap = before // bytes counts the window for one entry apart
	}
}

// open gives a key of one entry a window of its own, as it gets its second, unless the first one is over. It returns false where the second is the first.
func (m *windowMachine) open(n int, s *keyState) bool {
	first := m.table.first(n)
	if first[0] == m.entry[0] && first[1] == m.entry[1] {
		return false
	}
	if event.Time(first[0]) <= m.mark-m.layout.window {
		m.leave(s.hash, first)
		m.one.reset()
		return true
	}
	if last := len(m.pool) - 1; last >= 0 {
		s.more, m.pool = m.pool[last], m.pool[:last]
	} else {
		s.more = m.layout.newWindow()
		m.heap += s.more.bytes()
	}
	m.heap += m.layout.insert(s.more, 0, first)
	m.heap += m.layout.add(s.more, 0)
	return true
}

// append treats an event that is the latest of its key.
func (m *windowMachine) append(g int, k *key, it *item, w *keyWindow, late bool) {
	l := &m.layout
	m.slide(w, it.time, k.hash, l.leaves)
	l.drop(w, m.mark-l.window)
	m.heap += l.insert(w, w.n, m.entry)
	m.heap += l.add(w, w.n-1)
	if !late {
		m.ask(g, k, it, w, w.open, w.n-1)
	}
}

// slide moves the beginning of the window to where it is for an event at t; what leaves may be history from then on.
func (m *windowMachine) slide(w *keyWindow, t event.Time, h hash, leave bool) {
	l := &m.layout
	for w.open < w.n && l.time(w, w.open) <= t-l.window {
		if leave {
			m.leave(h, l.entry(w, w.open))
		}
		m.heap += l.remove(w, w.open)
		w.open++
	}
}

// leave tells the history of an entry that is in no window any more.
func (m *windowMachine) leave(h hash, e []uint64) {
	if !m.layout.leaves {
		return
	}
	for n := range m.layout.aggs {
		a := &m.layout.aggs[n]
		if a.kind != rules.FirstSeen {
			continue
		}
		if tuple := (hash{e[a.word], e[a.word+1]}); tuple != (hash{}) {
			m.host.history().feed(m.p, n, key{hash: h, ok: true}, tuple, event.Time(e[0]), int64(e[2]>>1))
		}
	}
}

// insertLate puts an event that fires nothing before others.
func (m *windowMachine) insertLate(k *key, w *keyWindow, i int) {
	l := &m.layout
	m.heap += l.insert(w, i, m.entry)
	if l.time(w, i) <= l.time(w, w.n-1)-l.window { // it is in no window that is to come
		w.open++
		m.leave(k.hash, m.entry)
		m.heap += l.requeue(w, w.open, w.n)
		return
	}
	w.open = min(w.open, i)
	m.heap += l.add(w, i)
	m.heap += l.requeue(w, w.open, w.n)
}

// insertBefore puts an event before others and asks all whose windows have it, but not what has hit. Those of an ordered rule, which meets such an event only where
// turns were forced, are not asked again.
func (m *windowMachine) insertBefore(g int, k *key, it *item, w *keyWindow, i int) {
	l := &m.layout
	for j := w.n - 1; j >= max(i, w.open); j-- {
		m.heap += l.remove(w, j)
	}
	w.open = min(w.open, i)
	for w.open > 0 && l.time(w, w.open-1) > it.time-l.window {
		w.open--
		m.heap += l.add(w, w.open)
	}
	m.heap += l.insert(w, i, m.entry)
	m.heap += l.add(w, i)
	m.heap += l.requeue(w, w.open, i+1)
	m.ask(g, k, it, w, w.open, i)
	for j := i + 1; j < w.n; j++ {
		e := l.entry(w, j)
		m.slide(w, event.Time(e[0]), k.hash, false)
		m.heap += l.add(w, j)
		if m.p.ordered || e[2]&1 != 0 || event.Time(e[0])-l.window >= it.time {
			continue
		}
		m.again = item{time: event.Time(e[0]), id: eventID(e[1]), weight: int64(e[2] >> 1), bits: m.p.when}
		if l.bits > 0 {
			m.again.bits = e[l.bits]
		}
		m.ask(g, k, &m.again, w, w.open, j)
	}
	if i < w.open {
		m.leave(k.hash, m.entry)
	}
}

// look sets the scene for an event of a key, the running values of w being those of its window.
func (m *windowMachine) look(k *key, it *item, w *keyWindow) *scene {
	m.at, m.learned = w, 0
	s := &m.scene
	s.now, s.key, s.prev, s.scratch = it, *k, nil, s.scratch[:0]
	return s
}

// ask tells the host where the rule fires for the event of entry i, whose window is [from, i].
func (m *windowMachine) ask(g int, k *key, it *item, w *keyWindow, from, i int) {
	s := m.look(k, it, w)
	if m.p.usesPrev {
		s.prev = m.host.history().prev(m.p, *k)
	}
	if m.p.watch != nil {
		m.p.watch(s, partFire)
	}
	if m.p.fire != nil && !m.p.fire(s) {
		return
	}
	for n := range m.p.vetoes {
		if m.p.vetoes[n].when(s) {
			m.p.vetoed++
			return
		}
	}
	l := &m.layout
	l.entry(w, i)[2] |= 1
	evidence := m.evidence[:0]
	for j := max(from, i+1-maxEvidence); j <= i; j++ {
		evidence = append(evidence, eventID(l.entry(w, j)[1]))
	}
	m.hit = hit{grouping: g, key: *k, time: it.time, id: it.id, evidence: evidence, count: w.count, about: it.about, values: it.values}
	if m.p.title != nil {
		m.hit.title = m.p.title(s)
	}
	m.host.hit(m.p, &m.hit)
}

// remember gives an event to the history, after it was asked about.
func (m *windowMachine) remember(k *key, it *item) {
	if m.layout.learns {
		m.feed(k, it)
	}
	if m.p.usesPrev {
		if o := m.memo(it); o != nil {
			m.host.history().setPrev(m.p, *k, o)
		}
	}
}

func (m *windowMachine) feed(k *key, it *item) {
	h := m.host.history()
	weight := max(it.weight, 1)
	for n := range m.layout.aggs {
		switch a := &m.layout.aggs[n]; {
		case a.kind == rules.Rarity, a.kind == rules.FirstSeen && m.layout.window == 0:
			if tuple, ok := m.p.tuple(it.values, a.terms); ok {
				h.feed(m.p, n, *k, tuple, it.time, weight)
			}
		case a.kind == rules.Baseline:
			h.feed(m.p, n, *k, hash{}, it.time, weight)
		}
	}
	h.learn(m.p, *k, it.time, weight)
}

// level is where a key stands among those that may be given up: by its progress towards firing, and one higher if it was given up before.
func (m *windowMachine) level(s *keyState, w *keyWindow, it *item, k *key) uint8 {
	n := 0
	if m.p.progress != nil {
		n = int(min(max(m.p.progress(m.look(k, it, w)), 0), 1) * (keyLevels - 2)) // NaN is none
	} else {
		for in := w.n - w.open; in > 1 && n < keyLevels-2; in >>= 1 {
			n++
		}
	}
	if s.returned {
		n++
	}
	return uint8(min(max(n, 0), keyLevels-1))
}
