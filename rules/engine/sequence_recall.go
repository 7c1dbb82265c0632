package engine

import (
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// recall answers what only the long memory knows of an event and a key: first_seen, rarity and baseline. Where nothing is known first_seen is
// false and the others are null.
type recall struct {
	host host
	p    *program
	now  *item // nil: time alone fires
	key  key
}

// aggregate is scene.aggregate.
func (r *recall) aggregate(n int) value {
	a := &r.p.aggregates[n]
	if !a.ofMemory() || r.now == nil {
		return value{}
	}
	no := value{}
	if a.kind == rules.FirstSeen {
		no.kind = boolean
	}
	h, t := r.host.history(), r.now.time
	if !h.learned(r.p, r.key, t) {
		return no
	}
	tuple, ok := r.p.tuple(r.now.values, a.terms)
	switch {
	case a.kind == rules.Baseline:
		return h.baseline(r.p, n, r.key, t)
	case !ok:
		return no
	case a.kind == rules.Rarity:
		return h.rarity(r.p, n, r.key, tuple, t)
	}
	// What was fed so far lies before the event, by id where it has the same time.
	if seen, known := h.seen(r.p, n, r.key, tuple, t-event.Time(a.horizon), t+1); known && !seen {
		no.number = 1
	}
	return no
}

// feed lets the long memory know of the event: the aggregates of those numbers, and of an event that is learned from.
func (r *recall) feed(numbers []int, learn bool) {
	h, it := r.host.history(), r.now
	for _, n := range numbers {
		a := &r.p.aggregates[n]
		if tuple, ok := r.p.tuple(it.values, a.terms); ok || a.kind == rules.Baseline {
			h.feed(r.p, n, r.key, tuple, it.time, it.weight)
		}
	}
	if learn {
		h.learn(r.p, r.key, it.time, it.weight)
	}
}

// memoryOf are those of some aggregates that the long memory answers.
func (p *program) memoryOf(numbers []int) (list []int) {
	for _, n := range numbers {
		if p.aggregates[n].ofMemory() {
			list = append(list, n)
		}
	}
	return list
}

// ofMemory tells whether the long memory answers the aggregate.
func (a *aggregate) ofMemory() bool {
	return a.kind == rules.FirstSeen || a.kind == rules.Rarity || a.kind == rules.Baseline
}

// allows tells whether the rule may fire: its vetoes are counted.
func (p *program) allows(s *scene) bool {
	if p.watch != nil {
		p.watch(s, partFire)
	}
	if p.fire != nil && !p.fire(s) {
		return false
	}
	for i := range p.vetoes {
		if p.vetoes[i].when(s) {
			p.vetoed++
			return false
		}
	}
	return true
}

// keptSlots are the slots that memos keep.
func (p *program) keptSlots() (slots []int) {
	for n, keep := range p.remembered {
		if keep {
			slots = append(slots, n)
		}
	}
	return slots
}

const valueBytes = 64

// keepValues copies the values of some slots one behind the other; texts that did not change stay where they are.
func keepValues(dst []value, slots []int, values []value) []value {
	if len(slots) == 0 {
		return nil
	}
	if cap(dst) < len(slots) {
		dst = make([]value, len(slots))
	}
	dst = dst[:len(slots)]
	for i, n := range slots {
		v := value{}
		if n < len(values) {
			v = values[n]
		}
		v.text = keepText(dst[i].text, v.text)
		dst[i] = v
	}
	return dst
}

// keepText is a copy of a text, or the one that is kept already if it says the same.
func keepText(old, now string) string {
	if old == now {
		return old
	}
	return strings.Clone(now)
}

// keepAbout copies what an alert would tell, into one text.
func keepAbout(a about) *about {
	length := 0
	a.eachText(func(s *string) { length += len(*s) })
	var b strings.Builder
	b.Grow(length)
	a.eachText(func(s *string) {
		start := b.Len()
		b.WriteString(*s)
		*s = b.String()[start:]
	})
	return &a
}

func (a *about) bytes() int64 {
	if a == nil {
		return 0
	}
	n := int64(aboutBytes)
	a.eachText(func(s *string) { n += int64(len(*s)) })
	return n
}

const aboutBytes = 144

// spreadValues puts values that keepValues has copied back into their slots.
func spreadValues(dst []value, slots []int, values []value) {
	for i, n := range slots {
		if i < len(values) {
			dst[n] = values[i]
		} else {
			dst[n] = value{}
		}
	}
}

// addEvidence keeps the last of a list of ids, as many as evidence holds.
func addEvidence(list []eventID, id eventID) []eventID {
	if len(list) < maxEvidence {
		return append(list, id)
	}
	copy(list, list[1:])
	list[len(list)-1] = id
	return list
}

// notAmong returns the numbers of the first list that are not in the second.
func notAmong(list, those []int) (rest []int) {
	for _, n := range list {
		if !slices.Contains(those, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

// mayPrecede tells whether an event has what prev is asked for.
func (p *program) mayPrecede(it *item) bool {
	for _, n := range p.prevNeeds {
		if it.slot(n).kind == null {
			return false
		}
	}
	return true
}

// precedingMemo is what the long memory keeps of an event as somebody's prev.
func (p *program) precedingMemo(it *item) *memo {
	m := &memo{time: it.time, id: it.id}
	for n, keep := range p.remembered {
		if !keep {
			continue
		}
		for len(m.values) <= n {
			m.values = append(m.values, value{})
		}
		v := it.slot(n)
		v.text = strings.Clone(v.text)
		m.values[n] = v
	}
	return m
}
