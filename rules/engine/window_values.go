package engine

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// aggregate works out an aggregate for the window at hand.
func (m *windowMachine) aggregate(n int) value {
	if m.at == nil || n >= len(m.layout.aggs) {
		return value{}
	}
	w, a := m.at, &m.layout.aggs[n]
	switch a.kind {
	case rules.Count:
		if a.kept < 0 {
			return amount(float64(w.count))
		}
		return amount(float64(w.kept[a.kept].n))
	case rules.Distinct:
		return amount(float64(w.kept[a.kept].values.count))
	case rules.Sum:
		if v := &w.kept[a.kept]; v.n > 0 {
			return amount(v.sum.float())
		}
	case rules.Min:
		if f, ok := w.kept[a.kept].queue.least(); ok {
			return amount(f)
		}
	case rules.Max:
		if f, ok := w.kept[a.kept].queue.least(); ok {
			return amount(-f)
		}
	case rules.Rate:
		if m.layout.window > 0 {
			return amount(float64(w.count) / m.p.rule.Window.Minutes())
		}
	case rules.Ratio:
		switch {
		case w.count == 0:
		case a.kept < 0:
			return amount(1)
		default:
			return amount(float64(w.kept[a.kept].n) / float64(w.count))
		}
	case rules.FirstSeen:
		return truth(m.firstSeen(n, a))
	case rules.Rarity, rules.Baseline:
		return m.remembered(n, a)
	}
	return value{}
}

func amount(f float64) value { return value{kind: number, number: f} }

// firstSeen tells whether the tuple is known to be new: not seen within the horizon before the window opened. The history has been fed what left
// the window, and nothing that comes after the event.
func (m *windowMachine) firstSeen(n int, a *windowAggregate) bool {
	it := m.scene.now
	tuple, ok := m.p.tuple(it.values, a.terms)
	if !ok || !m.hasLearned() {
		return false
	}
	opened := it.time - m.layout.window
	yes, known := m.host.history().seen(m.p, n, m.scene.key, tuple, opened-event.Time(a.horizon), opened+1)
	return known && !yes
}

func (m *windowMachine) remembered(n int, a *windowAggregate) value {
	it, h := m.scene.now, m.host.history()
	if !m.hasLearned() {
		return value{}
	}
	if a.kind == rules.Baseline {
		return h.baseline(m.p, n, m.scene.key, it.time)
	}
	if tuple, ok := m.p.tuple(it.values, a.terms); ok {
		return h.rarity(m.p, n, m.scene.key, tuple, it.time)
	}
	return value{}
}

func (m *windowMachine) hasLearned() bool {
	if m.learned == 0 {
		m.learned = -1
		if m.host.history().learned(m.p, m.scene.key, m.scene.now.time) {
			m.learned = 1
		}
	}
	return m.learned > 0
}

// memo is what the next event of the key may ask of this one; nil where it lacks a value that prev is asked for.
func (m *windowMachine) memo(it *item) *memo {
	for _, n := range m.p.prevNeeds {
		if it.slot(n).kind == null {
			return nil
		}
	}
	o := &memo{time: it.time, id: it.id, about: it.about, values: make([]value, len(it.values))}
	o.about.eachText(func(s *string) { *s = strings.Clone(*s) })
	for n, v := range it.values {
		if n < len(m.p.remembered) && m.p.remembered[n] {
			v.text = strings.Clone(v.text)
			o.values[n] = v
		}
	}
	return o
}
