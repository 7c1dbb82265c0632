package engine

import (
	"unsafe"

	"github.com/gatebook/gatebook/event"
)

const (
	expireAtOnce = 64
	mostPooled   = 64
	pooledBytes  = 4096 // larger windows are left to the garbage collector
)

func (m *windowMachine) keys() int { return m.table.count }

func (m *windowMachine) bytes() int64 {
	n := int64(unsafe.Sizeof(*m)) + m.one.bytes() + m.table.bytes() + m.heap + m.gone.bytes()
	if m.past != nil {
		n += m.past.bytes()
	}
	return n
}

// latest is the time of a key's latest event.
func (m *windowMachine) latest(n int) event.Time {
	if w := m.table.state(n).more; w != nil {
		return m.layout.time(w, w.n-1)
	}
	return event.Time(m.table.first(n)[0])
}

func (m *windowMachine) expired(n int) bool { return m.latest(n) <= m.mark-m.layout.window }

func (m *windowMachine) expire(watermark event.Time) {
	m.mark = max(m.mark, watermark)
	m.dropExpired(expireAtOnce)
	// A key whose clock is ahead holds up those behind it in its list: the hand goes over all of them in turn.
	if m.table.count > 0 {
		if m.hand = m.hand + 1; m.hand >= m.table.count {
			m.hand = 0
		}
		if m.expired(m.hand) {
			m.drop(m.hand)
		}
	}
}

// dropExpired drops the coldest keys of each level, so many at most, as far as they are expired.
func (m *windowMachine) dropExpired(most int) {
	for level := range m.table.lists {
		for l := &m.table.lists[level]; most > 0 && l.cold != 0 && m.expired(int(l.cold-1)); most-- {
			m.drop(int(l.cold - 1))
		}
	}
}

// drop forgets a key. What is in its window becomes history.
func (m *windowMachine) drop(n int) {
	s := m.table.state(n)
	if w := s.more; w == nil {
		m.leave(s.hash, m.table.first(n))
	} else {
		for i := w.open; i < w.n && m.layout.leaves; i++ {
			m.leave(s.hash, m.layout.entry(w, i))
		}
		if size := w.bytes(); len(m.pool) < mostPooled && size <= pooledBytes {
			w.reset()
			m.pool = append(m.pool, w)
		} else {
			m.heap -= size
		}
	}
	m.table.remove(n)
}

// shrink gives up what is expired, then keys of the lowest level, those first that had no event for the longest time.
func (m *windowMachine) shrink(bytes int64) (keys int) {
	goal := m.bytes() - bytes
	m.past = nil
	m.dropExpired(m.table.count)
	m.gone.fit(goal/8, m.newest, m.layout.window)
	for level := 0; level < keyLevels && m.bytes() > goal; {
		l := &m.table.lists[level]
		if l.cold == 0 {
			level++
			continue
		}
		n := int(l.cold - 1)
		m.gone.add(m.table.state(n).hash)
		m.drop(n)
		keys++
	}
	if m.table.count == 0 {
		for _, w := range m.pool {
			m.heap -= w.bytes()
		}
		m.pool = nil
	}
	return keys
}
