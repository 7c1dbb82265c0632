package engine

import (
	"math"
	"slices"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// history is the long memory of the rules: what was seen when, how often, and the preceding event of each key. All times are event times.
//
//	seen, rarity, baseline, learned, prev <-- shelves of records <-- Disk.Get, where a record is not in memory
//	feed, learn, setPrev ----------------->      |
//	                                             +-- dirty --> Disk.Commit, together with the engine's state --> committed
//
// With a disk, what is in memory is a cache: shrink drops what the disk has too. Without one shrink gives up records, the oldest of the owner (program)
// that has the most first, and remembers until when what it gave up would have mattered: what may be missing is unknown, never "new". A record that is
// absent because none of its time is within the horizon is known to be absent.
//
// What is exact: see seen, rarity and baseline. A history is for one goroutine.
type history struct {
	disk Disk // nil: there is none
	ids  *ids
	// unreadable is called with the first error of Disk.Get, and again with the first one after reading worked. nil: nobody is told.
	unreadable func(error)

	seenAt    shelf[seenTimes, *seenTimes]
	counted   shelf[counts, *counts]
	learnings shelf[learning, *learning]
	preceding shelf[before, *before]

	owners  []historyOwner
	byOwner map[uint64]uint16
	now     uint32 // hours since 1970 of the latest event that was fed

	broken  bool // the last Get failed
	skipped int  // looks at unread records since the last try to read one
	key     [24]byte
	ranks   []uint32 // scratch of baseline
}

// historyOwner is a program that records belong to.
type historyOwner struct {
	number  uint64
	givenUp uint32 // latest expires of what was given up
}

// newHistory returns an empty long memory in front of a disk, which may be nil. Events in prev are named by t.
func newHistory(disk Disk, t *ids) *history {
	h := &history{disk: disk, ids: t, owners: make([]historyOwner, 1), byOwner: map[uint64]uint16{}}
	h.seenAt.kind, h.learnings.kind, h.preceding.kind = recordSeen, recordLearn, recordBefore
	h.counted.kind = recordSlots // of any of the three that count
	return h
}

const (
	// keptAnyway is how long learning and preceding events are kept after the last event of the key.
	keptAnyway = 400 * 24 * time.Hour
	// slack is how long records outlive their horizon, for events that come late and hours that are not over.
	slack = 26 * time.Hour
	// baselineLeast is the time since the key's first event that a baseline needs.
	baselineLeast = 14 * 24 * time.Hour
)

// owner finds or gives the index of a program. Index 0 is shared by those that there is no number for any more.
func (h *history) owner(number uint64) uint16 {
	if n, ok := h.byOwner[number]; ok {
		return n
	}
	if len(h.owners) > math.MaxUint16 || number == 0 {
		return 0
	}
	n := uint16(len(h.owners))
	h.owners = append(h.owners, historyOwner{number: number})
	h.byOwner[number] = n
	return n
}

// recordID names a record of a key, or of the rule where k is the zero hash. Both hashes are keyed, so nobody can make two ids the same.
func recordID(kind recordKind, agg int, k, tuple hash) hash {
	return hash{
		hi: mix(k.hi + uint64(kind)*0x9e3779b97f4a7c15 + uint64(agg)*0xbf58476d1ce4e5b9),
		lo: mix(k.lo + tuple.hi*0x94d049bb133111eb + tuple.lo*0xd6e8feb86659fd93 + uint64(agg)<<8 + uint64(kind)),
	}
}

// mix is the finalizer of SplitMix64.
func mix(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// expiry is the hour in which a record expires that matters for so long after t.
func (p *program) expiry(t event.Time, horizon time.Duration) uint32 {
	var window time.Duration
	if p.rule != nil {
		window = p.rule.Window
	}
	return hours(t, addDuration(addDuration(horizon, window), slack))
}

func addDuration(a, b time.Duration) time.Duration {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}

// hours are full hours since 1970 at d after t, at least 1.
func hours(t event.Time, d time.Duration) uint32 {
	return uint32(max(1, floor(int64(t), hour)+int64(d)/hour+1))
}

func (h *history) tick(t event.Time) { h.now = max(h.now, hours(t, 0)) }

// lost tells whether a record of the owner may have been given up that would have expired in that hour or later.
func (h *history) lost(owner uint16, expires uint32) bool {
	o := &h.owners[owner]
	return o.givenUp >= expires || h.disk != nil && h.disk.GivenUp(o.number) >= int64(expires)*3600
}

// seen tells whether the tuple was seen for the key within [since, before); known is false where what would tell was given up.
//
// It is exact where nothing that was fed is as late as before, which is so for events in their order, and wherever no more than three different times
// were fed. Else it answers from the first time, the latest one, and the latest one of an earlier day than that; what these do not tell is unknown.
func (h *history) seen(p *program, agg int, k key, tuple hash, since, before event.Time) (yes, known bool) {
	o := h.owner(p.number)
	e := look(h, &h.seenAt, o, recordID(recordSeen, agg, k.hash, tuple), false)
	sure := true
	if e != nil && e.expires != 0 {
		if yes, sure = e.record.within(since, before); yes {
			return true, true
		}
		if sure && e.record.latest < since && e.flags&flagUnread == 0 {
			return false, true // whatever was given up was earlier still
		}
	}
	if !sure || e != nil && e.flags&flagUnread != 0 {
		return false, false
	}
	return false, !h.lost(o, p.expiry(since, p.aggregates[agg].horizon))
}

// feed notes the tuple for first_seen and rarity, and the event for baseline, of weight occurrences.
func (h *history) feed(p *program, agg int, k key, tuple hash, t event.Time, weight int64) {
	h.tick(t)
	o, a := h.owner(p.number), &p.aggregates[agg]
	switch a.kind {
	case rules.FirstSeen:
		e := look(h, &h.seenAt, o, recordID(recordSeen, agg, k.hash, tuple), true)
		if e.expires == 0 {
			e.record = seenTimes{t, t, t}
		} else if !e.record.add(t) {
			return
		}
		h.seenAt.touch(e, p.expiry(e.record.latest, a.horizon))
	case rules.Rarity:
		h.count(p, a, o, recordID(recordShare, agg, k.hash, tuple), t, weight, day)
		h.count(p, a, o, recordID(recordWhole, agg, k.hash, hash{}), t, weight, day)
	case rules.Baseline:
		h.count(p, a, o, recordID(recordSlots, agg, k.hash, hash{}), t, weight, slotSize(a.slot))
	}
}

// count adds to the counts of a record.
func (h *history) count(p *program, a *aggregate, o uint16, id hash, t event.Time, weight, size int64) {
	e := look(h, &h.counted, o, id, true)
	c := &e.record
	if e.expires == 0 {
		*c = counts{first: t}
		if h.lost(o, p.expiry(t, 0)) {
			c.from = t
		}
	}
	c.first = min(c.first, t)
	if weight > 0 {
		latest := t
		if len(c.cells) > 0 {
			latest = max(t, event.Time(int64(c.cells[len(c.cells)-1].slot)*size))
		}
		oldest := floor(int64(latest)-int64(a.horizon)-int64(slack), size)
		h.counted.extra += c.add(int32(floor(int64(t), size)), int32(oldest), weight)
	}
	h.counted.touch(e, p.expiry(t, a.horizon))
}

// rarity is the share of the key's occurrences in [t-horizon, t) that have the tuple; null where there are none or not all is known.
//
// It is exact to the day (of UTC): all of the day in which the horizon begins counts, and what was fed before of the day of t.
func (h *history) rarity(p *program, agg int, k key, tuple hash, t event.Time) value {
	o, a := h.owner(p.number), &p.aggregates[agg]
	since := t - event.Time(a.horizon)
	from, to := int32(dayOf(since)), int32(dayOf(t))
	whole := look(h, &h.counted, o, recordID(recordWhole, agg, k.hash, hash{}), false)
	if whole == nil || whole.expires == 0 || whole.partial(since) {
		return value{}
	}
	all := whole.record.sum(from, to)
	if all == 0 {
		return value{}
	}
	share := look(h, &h.counted, o, recordID(recordShare, agg, k.hash, tuple), false)
	if share == nil || share.expires == 0 {
		if share != nil && share.flags&flagUnread != 0 || h.lost(o, p.expiry(since, a.horizon)) {
			return value{}
		}
		return value{kind: number}
	}
	if share.partial(since) {
		return value{}
	}
	return value{kind: number, number: min(1, float64(share.record.sum(from, to))/float64(all))}
}

// partial tells whether a record does not know everything since a time.
func (e *slot[R]) partial(since event.Time) bool {
	if e.flags&flagUnread != 0 {
		return true
	}
	c, ok := any(&e.record).(*counts)
	return ok && c.from > since
}

// slotSize is the length of a baseline's slots, slotPeriod after how many of them the same slot comes again.
func slotSize(slot string) int64 {
	if slot == "day-of-week" {
		return day
	}
	return hour
}

func slotPeriod(slot string) int64 {
	switch slot {
	case "hour-of-day":
		return 24
	case "day-of-week":
		return 7
	}
	return 168
}

// baseline is the quantile of the counts of the same slot over the horizon, zeros included, t's own slot excluded; null before 14 days.
//
// The slots are those whose distance to t's own is at most the horizon (28d and hour-of-week: the last four), in UTC, from the one of the key's first
// event on; the quantile is the nearest rank, so always one of the counts. Events that came late count in their slot.
func (h *history) baseline(p *program, agg int, k key, t event.Time) value {
	a := &p.aggregates[agg]
	e := look(h, &h.counted, h.owner(p.number), recordID(recordSlots, agg, k.hash, hash{}), false)
	if e == nil || e.expires == 0 || e.flags&flagUnread != 0 || t-e.record.first < event.Time(baselineLeast) {
		return value{}
	}
	size, period := slotSize(a.slot), slotPeriod(a.slot)
	own, first := floor(int64(t), size), floor(int64(e.record.first), size)
	h.ranks = h.ranks[:0]
	for n := int64(1); n <= int64(a.horizon)/(period*size) && own-n*period >= first; n++ {
		h.ranks = append(h.ranks, e.record.of(int32(own-n*period)))
	}
	if len(h.ranks) == 0 {
		return value{}
	}
	slices.Sort(h.ranks)
	rank := int(math.Ceil(a.quantile * float64(len(h.ranks))))
	return value{kind: number, number: float64(h.ranks[min(max(rank, 1), len(h.ranks))-1])}
}

// learned tells whether rule.Learn is over for the key (or the rule) at t; learn counts an event for it, after learned was asked.
func (h *history) learned(p *program, k key, t event.Time) bool {
	l := &p.rule.Learn
	if l.For <= 0 && l.MinEvents <= 0 {
		return true
	}
	e := look(h, &h.learnings, h.owner(p.number), learnID(p, k), false)
	return e != nil && e.expires != 0 && t-e.record.first >= event.Time(l.For) && e.record.n >= l.MinEvents
}

// learningLeft is how long, and for how many events, it is not learned.
func (h *history) learningLeft(p *program, k key, t event.Time) (wait time.Duration, events int64) {
	l := &p.rule.Learn
	if h.learned(p, k, t) {
		return 0, 0
	}
	if e := look(h, &h.learnings, h.owner(p.number), learnID(p, k), false); e != nil && e.expires != 0 {
		return max(0, l.For-time.Duration(t-e.record.first)), max(0, l.MinEvents-e.record.n)
	}
	return max(0, l.For), max(0, l.MinEvents)
}

func (h *history) learn(p *program, k key, t event.Time, weight int64) {
	h.tick(t)
	least := max(p.rule.Learn.MinEvents, 1)
	e := look(h, &h.learnings, h.owner(p.number), learnID(p, k), true)
	expires, was := p.expiry(t, keptAnyway), e.record
	if e.expires == 0 {
		e.record.first = t
	}
	e.record.first = min(e.record.first, t)
	e.record.n = min(addWeight(e.record.n, weight), least)
	if e.record != was || e.expires+24 <= expires { // what is learned need not be written at each event
		h.learnings.touch(e, expires)
	}
}

func learnID(p *program, k key) hash {
	if p.rule.Learn.OfRule {
		k.hash = hash{p.number, 0}
	}
	return recordID(recordLearn, 0, k.hash, hash{})
}

// prev is the preceding event of the key, nil where none is known. It is not to be changed. setPrev keeps m where it is later than what is kept; m belongs
// to the history then.
func (h *history) prev(p *program, k key) *memo {
	e := look(h, &h.preceding, h.owner(p.number), recordID(recordBefore, 0, k.hash, hash{}), false)
	if e == nil || e.flags&flagUnread != 0 && e.expires == 0 {
		return nil
	}
	return e.record.memo
}

func (h *history) setPrev(p *program, k key, m *memo) {
	h.tick(m.time)
	e := look(h, &h.preceding, h.owner(p.number), recordID(recordBefore, 0, k.hash, hash{}), true)
	if old := e.record.memo; old != nil && !h.ids.before(old.time, old.id, m.time, m.id) {
		return
	}
	h.preceding.extra -= e.record.bytes()
	e.record.memo = m
	h.preceding.extra += e.record.bytes()
	h.preceding.touch(e, p.expiry(m.time, keptAnyway))
}

// eachID calls f for every event id in memory; ids on the disk are texts.
func (h *history) eachID(f func(eventID)) {
	for n := range uint32(h.preceding.count) {
		if m := h.preceding.at(n).record.memo; m != nil {
			f(m.id)
		}
	}
}
