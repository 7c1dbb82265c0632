package engine

import (
	"math"
	"slices"
	"time"

	"github.com/gatebook/gatebook/event"
)

// recordKind is the first byte of a record's row, and part of its id.
type recordKind byte

const (
	recordSeen   recordKind = iota + 1 // when a tuple was seen
	recordShare                        // of rarity: a tuple's occurrences by day
	recordWhole                        // of rarity: the key's occurrences by day
	recordSlots                        // of baseline: the key's occurrences by hour or day
	recordLearn                        // how far learning is
	recordBefore                       // the preceding event of the key
)

// seenTimes are up to three of the times at which a tuple was seen: the first, the latest, and between them the latest of an earlier day than the
// latest's. Fewer different times than three are all there are.
type seenTimes struct{ first, middle, latest event.Time }

const (
	day  = int64(24 * time.Hour)
	hour = int64(time.Hour)
)

// floor divides, down also below zero.
func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

func dayOf(t event.Time) int64 { return floor(int64(t), day) }

// add notes a time and tells whether that changed anything.
func (s *seenTimes) add(t event.Time) bool {
	switch {
	case t == s.latest || t == s.first || t == s.middle:
		return false
	case t > s.latest:
		if s.middle == s.first || dayOf(s.latest) < dayOf(t) {
			s.middle = s.latest
		}
		// Else the middle stays: it is of an earlier day, or as good as the old latest.
		s.latest = t
	case t < s.first:
		if s.middle == s.first && s.first != s.latest {
			s.middle = s.first // two times become three
		} else if s.first == s.latest {
			s.middle = t
		}
		s.first = t
	case s.middle == s.first: // the third time
		s.middle = t
	case t > s.middle && (dayOf(t) < dayOf(s.latest) || dayOf(s.middle) == dayOf(s.latest)):
		s.middle = t
	default:
		return false
	}
	return true
}

// within tells whether a time in [since, before) was seen; sure is false where the times that are kept do not tell.
func (s *seenTimes) within(since, before event.Time) (yes, sure bool) {
	for _, t := range [...]event.Time{s.latest, s.middle, s.first} {
		if since <= t && t < before {
			return true, true
		}
	}
	all := s.middle == s.first || s.middle == s.latest
	return false, all || s.latest < since || before <= s.first
}

func (s *seenTimes) bytes() int64 { return 0 }

func (s *seenTimes) encode(w *writer, _ *ids) {
	w.time(s.latest)
	w.uint(uint64(s.latest - s.middle))
	w.uint(uint64(s.latest - s.first))
}

func (s *seenTimes) decode(r *reader, _ *ids) {
	s.latest = r.time()
	s.middle = s.latest - event.Time(r.uint())
	s.first = s.latest - event.Time(r.uint())
	if s.first > s.middle || s.middle > s.latest {
		r.fail()
	}
}

func (s *seenTimes) merge(older *seenTimes, _ *ids) {
	s.add(older.first)
	s.add(older.middle)
	s.add(older.latest)
}

// counts are occurrences by slot of time: days for rarity, hours or days for baseline.
type counts struct {
	first event.Time // the first event of the key
	from  event.Time // what came before is not known; 0: all is
	cells []cell     // in the order of time, without empty ones
}

// cell is how often something came in a slot, which is numbered since 1970.
type cell struct {
	slot int32
	n    uint32 // no more than fits
}

// add counts n in a slot, drops slots before oldest, and tells by how many bytes the record grew.
func (c *counts) add(number, oldest int32, n int64) int64 {
	if number < oldest {
		return 0
	}
	i := len(c.cells)
	for i > 0 && c.cells[i-1].slot > number {
		i--
	}
	if i > 0 && c.cells[i-1].slot == number {
		c.cells[i-1].n = saturate(int64(c.cells[i-1].n) + n)
		return 0
	}
	had := c.bytes()
	if i == len(c.cells) && i == cap(c.cells) { // a new latest slot, and no room: make some of what is too old
		old := 0
		for old < i && c.cells[old].slot < oldest {
			old++
		}
		c.cells = c.cells[:copy(c.cells, c.cells[old:])]
		i -= old
	}
	if len(c.cells) == cap(c.cells) { // by half, not twice: there are many of these
		c.cells = append(make([]cell, 0, max(2, len(c.cells)+len(c.cells)/2)), c.cells...)
	}
	c.cells = slices.Insert(c.cells, i, cell{number, saturate(n)})
	return c.bytes() - had
}

func saturate(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

// sum is how often something came in the slots from a to b.
func (c *counts) sum(a, b int32) (n int64) {
	for i := len(c.cells) - 1; i >= 0 && c.cells[i].slot >= a; i-- {
		if c.cells[i].slot <= b {
			n += int64(c.cells[i].n)
		}
	}
	return n
}

// of is how often something came in one slot.
func (c *counts) of(number int32) uint32 {
	last := len(c.cells) - 1
	if last < 0 || number > c.cells[last].slot {
		return 0
	}
	// Where no slot is empty it is right here, else further on.
	least := max(0, last-int(c.cells[last].slot)+int(number))
	if c.cells[least].slot == number {
		return c.cells[least].n
	}
	i, ok := slices.BinarySearchFunc(c.cells[least:], number, func(c cell, n int32) int { return int(c.slot) - int(n) })
	if !ok {
		return 0
	}
	return c.cells[least+i].n
}

func (c *counts) bytes() int64 { return int64(cap(c.cells)) * 8 }

func (c *counts) encode(w *writer, _ *ids) {
	w.time(c.first)
	w.time(c.from)
	w.uint(uint64(len(c.cells)))
	last := int32(0)
	for _, x := range c.cells {
		w.int(int64(x.slot) - int64(last))
		w.uint(uint64(x.n))
		last = x.slot
	}
}

func (c *counts) decode(r *reader, _ *ids) {
	c.first, c.from = r.time(), r.time()
	n := r.count()
	c.cells = make([]cell, n)
	at := int64(0)
	for i := range c.cells {
		step, n := r.int(), r.uint()
		at += step
		if at != int64(int32(at)) || n > math.MaxUint32 || i > 0 && step <= 0 {
			r.fail()
			return
		}
		c.cells[i] = cell{int32(at), uint32(n)}
	}
}

func (c *counts) merge(older *counts, _ *ids) {
	c.first = min(c.first, older.first)
	c.from = older.from
	for _, x := range older.cells {
		c.add(x.slot, math.MinInt32, int64(x.n))
	}
}

// learning is how far a key, or a rule, is learned.
type learning struct {
	first event.Time
	n     int64 // events, no further than is asked for
}

func (l *learning) bytes() int64 { return 0 }

func (l *learning) encode(w *writer, _ *ids) {
	w.time(l.first)
	w.int(l.n)
}

func (l *learning) decode(r *reader, _ *ids) { l.first, l.n = r.time(), r.int() }

func (l *learning) merge(older *learning, _ *ids) {
	l.first = min(l.first, older.first)
	l.n = addWeight(l.n, older.n)
}

// addWeight adds a number that a sender gave, without passing over the end.
func addWeight(n, weight int64) int64 {
	if weight > math.MaxInt64-n {
		return math.MaxInt64
	}
	return n + max(weight, 0)
}

// before is the preceding event of a key.
type before struct{ memo *memo }

func (b *before) bytes() int64 {
	if b.memo == nil {
		return 0
	}
	a := &b.memo.about
	n := 224 + 72*cap(b.memo.values) + len(a.user) + len(a.userKey) + len(a.userTarget) + len(a.address) + len(a.host) + len(a.dataset) +
		len(a.country) + len(a.action)
	for i := range b.memo.values {
		n += len(b.memo.values[i].text)
	}
	return int64(n)
}

// encode writes the event's id as text: the numbers of ids last as long as the process.
func (b *before) encode(w *writer, t *ids) {
	w.time(b.memo.time)
	w.text(t.text(b.memo.id))
	w.values(b.memo.values)
	w.about(b.memo.about)
}

func (b *before) decode(r *reader, t *ids) {
	m := &memo{time: r.time()}
	id := r.text()
	m.values, m.about = r.values(), r.about()
	if r.err == nil {
		m.id = t.of(id)
		b.memo = m
	}
}

func (b *before) merge(older *before, t *ids) {
	if b.memo == nil || t.before(b.memo.time, b.memo.id, older.memo.time, older.memo.id) {
		b.memo = older.memo
	}
}
