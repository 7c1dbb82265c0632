package engine

import (
	"math"
	"sort"
	"unsafe"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// windowLayout says what an entry, one event of a key, is made of. All entries of a rule are of the same number of words:
//
//	time | id | weight<<1 + hit | bits, if the rule has more than one condition | words of the aggregates
type windowLayout struct {
	window event.Time
	stride int
	bits   int // word of the bits; 0: none
	aggs   []windowAggregate
	kept   int  // number of aggregates with a running value
	queues bool // some are min or max
	leaves bool // some are first_seen: what leaves the window is history
	learns bool // some ask the history whether it has learned
}

// windowAggregate is an aggregate of the rule as the window machine keeps it.
type windowAggregate struct {
	*aggregate
	word  int // of an entry, 0: none
	words int
	kept  int // number of its running value, -1: none
}

func newWindowLayout(p *program) windowLayout {
	l := windowLayout{window: event.Time(p.rule.Window), stride: 3}
	if len(p.conditions) > 1 {
		l.bits = l.stride
		l.stride++
	}
	for n := range p.aggregates {
		a := windowAggregate{aggregate: &p.aggregates[n], kept: -1}
		switch a.kind {
		case rules.Count, rules.Ratio:
			if a.bit != 0 {
				a.kept = l.kept
			}
		case rules.Distinct, rules.Sum, rules.Min, rules.Max:
			a.kept, a.words = l.kept, 1
			l.queues = l.queues || a.kind == rules.Min || a.kind == rules.Max
		case rules.FirstSeen:
			if l.learns = true; l.window > 0 {
				a.words, l.leaves = 2, true
			}
		case rules.Rarity, rules.Baseline:
			l.learns = true
		}
		if a.kept >= 0 {
			l.kept++
		}
		if a.words > 0 {
			a.word = l.stride
			l.stride += a.words
		}
		l.aggs = append(l.aggs, a)
	}
	return l
}

// Words of numbers are turned so that 0 is no number.
var noNumber = math.Float64bits(math.NaN())

func numberWord(f float64) uint64 { return math.Float64bits(f) ^ noNumber }
func wordNumber(w uint64) float64 { return math.Float64frombits(w ^ noNumber) }

const mostWeight = 1 << 38 // of one event: sums of them cannot overflow

// fill makes the words of an item's entry.
func (l *windowLayout) fill(p *program, e []uint64, it *item) {
	clear(e)
	e[0], e[1], e[2] = uint64(it.time), uint64(it.id), uint64(min(max(it.weight, 1), mostWeight))<<1
	if l.bits > 0 {
		e[l.bits] = it.bits
	}
	for n := range l.aggs {
		a := &l.aggs[n]
		switch {
		case a.words == 0:
		case a.kind == rules.Distinct:
			if h, ok := p.tuple(it.values, a.terms); ok {
				e[a.word] = max(h.lo, 1)
			}
		case a.kind == rules.FirstSeen:
			if h, ok := p.tuple(it.values, a.terms); ok {
				e[a.word], e[a.word+1] = h.hi, h.lo
			}
		default:
			if v := it.slot(a.terms[0]); v.kind == number && !math.IsNaN(v.number) {
				e[a.word] = numberWord(v.number)
			}
		}
	}
}

// keyWindow is the events of one key, in the order of time and id. Those from open on are in the window of the last one, and in the running values;
// those before are kept for events that come late.
type keyWindow struct {
	words []uint64
	head  int // entries before the first one
	n     int
	open  int
	base  int64 // how many entries were dropped in front
	count int64 // weights from open on
	kept  []windowValue
}

// windowValue is the running value of an aggregate.
type windowValue struct {
	n      int64 // weights that match (count, ratio), numbers (sum)
	sum    exactSum
	values *distinctValues
	queue  *extremes
}

const (
	keyWindowBytes   = int64(unsafe.Sizeof(keyWindow{}))
	windowValueBytes = int64(unsafe.Sizeof(windowValue{}))
	leastEntries     = 4
)

func (l *windowLayout) newWindow() *keyWindow {
	w := &keyWindow{}
	if l.kept > 0 {
		w.kept = make([]windowValue, l.kept)
	}
	for n := range l.aggs {
		switch a := &l.aggs[n]; a.kind {
		case rules.Distinct:
			w.kept[a.kept].values = &distinctValues{}
		case rules.Min, rules.Max:
			w.kept[a.kept].queue = &extremes{}
		}
	}
	return w
}

// bytes is what a window takes; what it grows by is told by add and reserve.
func (w *keyWindow) bytes() int64 {
	n := keyWindowBytes + int64(cap(w.words))*8 + int64(cap(w.kept))*windowValueBytes
	for i := range w.kept {
		if v := w.kept[i].values; v != nil {
			n += int64(unsafe.Sizeof(*v)) + int64(len(v.slots))*int64(unsafe.Sizeof(distinctValue{}))
		}
		if q := w.kept[i].queue; q != nil {
			n += int64(unsafe.Sizeof(*q)) + int64(cap(q.queue))*int64(unsafe.Sizeof(extreme{}))
		}
	}
	return n
}

// reset empties a window and keeps its room.
func (w *keyWindow) reset() {
	w.head, w.n, w.open, w.base, w.count = 0, 0, 0, 0, 0
	for i := range w.kept {
		v := &w.kept[i]
		v.n, v.sum = 0, exactSum{}
		if v.values != nil {
			v.values.reset()
		}
		if v.queue != nil {
			v.queue.reset()
		}
	}
}

func (l *windowLayout) entry(w *keyWindow, i int) []uint64 {
	at := (w.head + i) * l.stride
	return w.words[at : at+l.stride : at+l.stride]
}

func (l *windowLayout) time(w *keyWindow, i int) event.Time {
	return event.Time(w.words[(w.head+i)*l.stride])
}

// add takes entry i into the running values; it is the last one of the window, or queues are made anew after that. It returns by how many bytes
// they grew.
func (l *windowLayout) add(w *keyWindow, i int) (grown int64) {
	e := l.entry(w, i)
	weight := int64(e[2] >> 1)
	w.count += weight
	if l.kept == 0 {
		return 0
	}
	for n := range l.aggs {
		a := &l.aggs[n]
		if a.kept < 0 {
			continue
		}
		v := &w.kept[a.kept]
		switch {
		case a.words == 0:
			if l.bits > 0 && e[l.bits]&a.bit != 0 {
				v.n += weight
			}
		case e[a.word] == 0:
		case a.kind == rules.Distinct:
			grown += v.values.add(e[a.word])
		case a.kind == rules.Sum:
			v.n++
			v.sum.add(millionths(wordNumber(e[a.word])))
		case a.kind == rules.Min:
			grown += v.queue.push(w.base+int64(i), wordNumber(e[a.word]))
		case a.kind == rules.Max:
			grown += v.queue.push(w.base+int64(i), -wordNumber(e[a.word]))
		}
	}
	return grown
}

// remove takes entry i out of the running values.
func (l *windowLayout) remove(w *keyWindow, i int) (grown int64) {
	e := l.entry(w, i)
	weight := int64(e[2] >> 1)
	w.count -= weight
	if l.kept == 0 {
		return 0
	}
	for n := range l.aggs {
		a := &l.aggs[n]
		if a.kept < 0 {
			continue
		}
		v := &w.kept[a.kept]
		switch {
		case a.words == 0:
			if l.bits > 0 && e[l.bits]&a.bit != 0 {
				v.n -= weight
			}
		case e[a.word] == 0:
		case a.kind == rules.Distinct:
			grown += v.values.remove(e[a.word])
		case a.kind == rules.Sum:
			v.n--
			v.sum.add(millionths(wordNumber(e[a.word])).negative())
		case v.queue != nil:
			v.queue.leave(w.base + int64(i))
		}
	}
	return grown
}

// requeue makes the queues of min and max anew, of the entries in [from, to).
func (l *windowLayout) requeue(w *keyWindow, from, to int) (grown int64) {
	if !l.queues {
		return 0
	}
	for n := range l.aggs {
		a := &l.aggs[n]
		if a.kind != rules.Min && a.kind != rules.Max {
			continue
		}
		q := w.kept[a.kept].queue
		q.reset()
		for i := from; i < to; i++ {
			word := l.entry(w, i)[a.word]
			switch {
			case word == 0:
			case a.kind == rules.Min:
				grown += q.push(w.base+int64(i), wordNumber(word))
			default:
				grown += q.push(w.base+int64(i), -wordNumber(word))
			}
		}
	}
	return grown
}

// insert puts an entry at i, into no running value.
func (l *windowLayout) insert(w *keyWindow, i int, e []uint64) (grown int64) {
	grown = l.reserve(w)
	w.n++
	at, end := (w.head+i)*l.stride, (w.head+w.n)*l.stride
	copy(w.words[at+l.stride:end], w.words[at:end-l.stride])
	copy(w.words[at:], e)
	return grown
}

// reserve makes room for one entry at the end.
func (l *windowLayout) reserve(w *keyWindow) (grown int64) {
	size, before := len(w.words)/l.stride, cap(w.words)
	if w.head+w.n < size {
		return 0
	}
	from := w.words[w.head*l.stride : (w.head+w.n)*l.stride]
	switch {
	case w.head > size/4 && (w.n*8 >= size || size <= 64):
		copy(w.words, from)
	default:
		more := max(leastEntries, 2*w.n)
		if w.n > 4096 {
			more = w.n + w.n/2
		}
		w.words = make([]uint64, more*l.stride)
		copy(w.words, from)
	}
	w.head = 0
	return int64(cap(w.words)-before) * 8
}

// drop forgets entries in front of the window that are no later than a time.
func (l *windowLayout) drop(w *keyWindow, until event.Time) {
	for w.open > 0 && l.time(w, 0) <= until {
		w.head++
		w.n--
		w.open--
		w.base++
	}
}

// place is where an entry of this time and id belongs; there tells that it is there already.
func (l *windowLayout) place(names *ids, w *keyWindow, t event.Time, id eventID) (i int, there bool) {
	if w.n == 0 {
		return 0, false
	}
	last := l.entry(w, w.n-1)
	if names.before(event.Time(last[0]), eventID(last[1]), t, id) {
		return w.n, false
	}
	i = sort.Search(w.n, func(i int) bool {
		e := l.entry(w, i)
		return !names.before(event.Time(e[0]), eventID(e[1]), t, id)
	})
	if i < w.n {
		e := l.entry(w, i)
		there = event.Time(e[0]) == t && eventID(e[1]) == id
	}
	return i, there
}
