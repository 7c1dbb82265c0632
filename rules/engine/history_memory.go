package engine

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/gatebook/gatebook/event"
)

// look finds a record. Where it is not in memory it is read from the disk; that there is none is remembered too, as a slot whose expires is 0. Where
// there is neither, nil, or with make an empty slot.
func look[R any, P shelved[R]](h *history, s *shelf[R, P], owner uint16, id hash, make bool) *slot[R] {
	e := s.find(id)
	if e != nil {
		if e.flags&flagUnread != 0 {
			h.retry(func() bool { return read(h, s, e) })
		}
		return e
	}
	if h.disk == nil {
		if !make {
			return nil
		}
		return s.add(id, owner)
	}
	e = s.add(id, owner)
	e.flags = flagUnread
	read(h, s, e)
	return e
}

// retry tries to read again, but seldom while the disk does not work.
func (h *history) retry(try func() bool) {
	if h.skipped++; !h.broken || h.skipped >= 1000 {
		h.skipped = 0
		try()
	}
}

// read reads an unread record from the disk and puts it together with what came since. It returns false, and leaves the record unread, where the disk
// cannot be read.
func read[R any, P shelved[R]](h *history, s *shelf[R, P], e *slot[R]) bool {
	b, ok, err := h.disk.Get(rowKey(h.key[:0], h.owners[e.owner].number, e.id))
	if err != nil {
		h.tell(fmt.Errorf("read the rules' memory: %w", err))
		h.broken = true
		return false
	}
	h.broken = false
	e.flags &^= flagUnread
	if !ok {
		return true
	}
	var old R
	expires, err := decodeRecord[R, P](b, s.kind, &old, h.ids)
	if err != nil {
		h.tell(fmt.Errorf("read the rules' memory: %w", err))
		// What it said is unknown for as long as it could have mattered.
		o := &h.owners[e.owner]
		o.givenUp = max(o.givenUp, h.now+uint32(keptAnyway.Hours()))
		return true
	}
	s.extra -= P(&e.record).bytes()
	if e.expires == 0 {
		e.record = old
	} else {
		P(&e.record).merge(&old, h.ids)
	}
	s.extra += P(&e.record).bytes()
	e.expires = max(e.expires, expires)
	return true
}

// tell reports the first of errors that follow each other.
func (h *history) tell(err error) {
	if !h.broken && h.unreadable != nil {
		h.unreadable(err)
	}
}

// A row's value: kind, hour of expiry, then the record.
func encodeRecord[R any, P shelved[R]](w *writer, kind recordKind, e *slot[R], t *ids) {
	w.b = append(w.b, byte(kind))
	w.uint(uint64(e.expires))
	P(&e.record).encode(w, t)
}

func decodeRecord[R any, P shelved[R]](b []byte, kind recordKind, to *R, t *ids) (expires uint32, err error) {
	r := reader{b: b}
	if k := recordKind(r.byte()); k != kind {
		return 0, fmt.Errorf("a record is of kind %d, not %d: %w", k, kind, errSnapshot)
	}
	expires = uint32(r.uint())
	P(to).decode(&r, t)
	if r.err == nil && len(r.b) > 0 {
		r.fail()
	}
	return max(1, expires), r.err
}

// bytes is what the memory takes; records is how many there are in it.
func (h *history) bytes() int64 {
	return size(&h.seenAt) + size(&h.counted) + size(&h.learnings) + size(&h.preceding) + int64(len(h.owners))*64
}

func (h *history) records() int {
	return h.seenAt.count + h.counted.count + h.learnings.count + h.preceding.count
}

func size[R any, P shelved[R]](s *shelf[R, P]) int64 {
	return int64(len(s.chunks))*chunkSlots*slotBytes[R]() + int64(len(s.index))*4 + int64(cap(s.dirty)+cap(s.flight))*4 + s.extra
}

func slotBytes[R any]() int64 { return int64(unsafe.Sizeof(slot[R]{})) }

// expire drops what tells nothing any more at the watermark.
func (h *history) expire(watermark event.Time) {
	now := hours(watermark, 0)
	expireShelf(&h.seenAt, now)
	expireShelf(&h.counted, now)
	expireShelf(&h.learnings, now)
	expireShelf(&h.preceding, now)
}

// expireShelf drops records that expired before an hour; the disk deletes its rows of itself.
func expireShelf[R any, P shelved[R]](s *shelf[R, P], now uint32) {
	s.sweep(func(e *slot[R]) bool { return e.expires < now && e.flags&flagInFlight == 0 })
}

// shrink makes room of about so many bytes: first what has expired; then, with a disk, what is on it too, longest unused first; without one records are
// given up, those that expire first of the owner that has the most. It returns how many records it gave up. With a disk, what has yet to be written stays:
// where shrink does not free enough, it is time for a commit.
func (h *history) shrink(bytes int64) (keys int) {
	goal := h.bytes() - bytes
	h.expire(event.Time(int64(h.now) * hour))
	for h.bytes() > goal {
		least, owner := h.bytes()-goal, -1
		if h.disk == nil {
			owner = h.largest()
		}
		n := h.drop(owner, least)
		if n == 0 {
			break
		}
		if h.disk == nil {
			keys += n
		}
	}
	return keys
}

// largest is the owner whose records take the most; -1 where there are none.
func (h *history) largest() int {
	sizes := make([]int64, len(h.owners))
	weigh(&h.seenAt, sizes)
	weigh(&h.counted, sizes)
	weigh(&h.learnings, sizes)
	weigh(&h.preceding, sizes)
	best := -1
	for n, size := range sizes {
		if size > 0 && (best < 0 || size > sizes[best]) {
			best = n
		}
	}
	return best
}

func weigh[R any, P shelved[R]](s *shelf[R, P], sizes []int64) {
	for n := range uint32(s.count) {
		e := s.at(n)
		sizes[e.owner] += slotBytes[R]() + P(&e.record).bytes()
	}
}

// drop takes away records of an owner (-1: of all) of at least so many bytes, or all that can go; those that expire first.
func (h *history) drop(owner int, bytes int64) (dropped int) {
	var list []uint64 // expires, then size
	list = candidates(h, &h.seenAt, owner, list)
	list = candidates(h, &h.counted, owner, list)
	list = candidates(h, &h.learnings, owner, list)
	list = candidates(h, &h.preceding, owner, list)
	slices.Sort(list)
	limit := uint32(0)
	for left := bytes; len(list) > 0 && left > 0; list = list[1:] {
		limit = uint32(list[0] >> 32)
		left -= int64(uint32(list[0]))
	}
	d := dropping{h: h, owner: owner, limit: limit, left: bytes}
	// Those before the last hour go in any case; they come first so that the last hour's make up what is missing.
	for _, d.last = range [...]bool{false, true} {
		dropFrom(&d, &h.seenAt)
		dropFrom(&d, &h.counted)
		dropFrom(&d, &h.learnings)
		dropFrom(&d, &h.preceding)
	}
	return d.dropped
}

// droppable: with a disk only what it has too.
func droppable[R any](h *history, e *slot[R], owner int) bool {
	if h.disk != nil {
		return e.flags == 0 || e.flags == flagUnread && e.expires == 0
	}
	return int(e.owner) == owner
}

func candidates[R any, P shelved[R]](h *history, s *shelf[R, P], owner int, list []uint64) []uint64 {
	for n := range uint32(s.count) {
		if e := s.at(n); droppable(h, e, owner) {
			list = append(list, uint64(e.expires)<<32|uint64(slotBytes[R]()+P(&e.record).bytes()))
		}
	}
	return list
}

type dropping struct {
	h       *history
	owner   int
	limit   uint32
	last    bool // those of the hour limit, else those before it
	left    int64
	dropped int
}

func dropFrom[R any, P shelved[R]](d *dropping, s *shelf[R, P]) {
	s.sweep(func(e *slot[R]) bool {
		if e.expires > d.limit || (e.expires == d.limit) != d.last || d.left <= 0 || !droppable(d.h, e, d.owner) {
			return false
		}
		d.left -= slotBytes[R]() + P(&e.record).bytes()
		d.dropped++
		if d.h.disk == nil {
			o := &d.h.owners[e.owner]
			o.givenUp = max(o.givenUp, e.expires)
		}
		return true
	})
}

// dirty returns the rows that changed since the last commit, for the next one, in the order of their keys. Once they are on the disk comes committed; where
// dirty comes again instead they were not written, and are among the new ones. Meanwhile the history goes on, so that another goroutine may write the rows.
func (h *history) dirty() []Row {
	if h.disk == nil {
		return nil
	}
	h.settle(true)
	rows := make([]Row, 0, h.unwritten())
	rows = collect(h, &h.seenAt, rows)
	rows = collect(h, &h.counted, rows)
	rows = collect(h, &h.learnings, rows)
	rows = collect(h, &h.preceding, rows)
	sortRows(rows)
	return rows
}

// unwritten is how many records wait for a commit.
func (h *history) unwritten() int {
	return len(h.seenAt.dirty) + len(h.counted.dirty) + len(h.learnings.dirty) + len(h.preceding.dirty)
}

func collect[R any, P shelved[R]](h *history, s *shelf[R, P], rows []Row) []Row {
	left := s.dirty[:0]
	var w writer
	for _, n := range s.dirty {
		e := s.at(n)
		if e.flags&flagUnread != 0 && !read(h, s, e) {
			left = append(left, n) // to write it would overwrite what is there
			continue
		}
		e.flags = e.flags&^flagDirty | flagInFlight
		s.flight = append(s.flight, n)
		from := len(w.b)
		w.b = rowKey(w.b, h.owners[e.owner].number, e.id)
		to := len(w.b)
		encodeRecord[R, P](&w, s.kind, e, h.ids)
		rows = append(rows, Row{Key: w.b[from:to:to], Value: w.b[to:len(w.b):len(w.b)], Expires: int64(e.expires) * 3600})
		if len(w.b) > 48<<10 {
			w.b = make([]byte, 0, 64<<10)
		}
	}
	s.dirty = left
	return rows
}

// committed says that the rows of the last dirty are on the disk.
func (h *history) committed() { h.settle(false) }

func (h *history) settle(again bool) {
	settleShelf(&h.seenAt, again)
	settleShelf(&h.counted, again)
	settleShelf(&h.learnings, again)
	settleShelf(&h.preceding, again)
}

func settleShelf[R any, P shelved[R]](s *shelf[R, P], again bool) {
	for _, n := range s.flight {
		e := s.at(n)
		e.flags &^= flagInFlight
		if again && e.flags&flagDirty == 0 {
			e.flags |= flagDirty
			s.dirty = append(s.dirty, n)
		}
	}
	s.flight = s.flight[:0]
}
