package engine

// shelf keeps the records of one kind: slots in chunks that do not move, and an open-addressed index of their numbers. Records are taken off in bulk
// only (sweep), which moves the others together, so there are no holes and no tombstones. A slot of seenTimes takes 48 bytes and 5 to 11 in the index.
type shelf[R any, P shelved[R]] struct {
	kind   recordKind
	index  []uint32 // number of the slot + 1; 0 is free; a power of two long, at most three quarters full
	chunks []*[chunkSlots]slot[R]
	count  int
	recent uint32   // number of the slot that find found or add made last: what is asked about is fed next
	extra  int64    // bytes that records hold beside their slot
	dirty  []uint32 // numbers of slots with flagDirty
	flight []uint32 // and with flagInFlight
}

const chunkSlots = 256

// shelved is what a record can do.
type shelved[R any] interface {
	*R
	// encode writes the record, decode reads it into an empty one.
	encode(w *writer, t *ids)
	decode(r *reader, t *ids)
	// merge takes in what an older record knew.
	merge(older *R, t *ids)
	// bytes is what the record holds beside its slot.
	bytes() int64
}

// slot is the place of a record.
type slot[R any] struct {
	id      hash
	expires uint32 // hours since 1970 after which the record tells nothing; 0: there is no record, which is known
	owner   uint16 // index of history.owners
	flags   uint8
	record  R
}

const (
	flagDirty    = 1 << iota // differs from the disk and from what is being written
	flagInFlight             // is being written
	flagUnread               // the disk could not be read: it may know more
)

// find returns the slot of an id, nil where there is none.
func (s *shelf[R, P]) find(id hash) *slot[R] {
	if s.count == 0 {
		return nil
	}
	if e := s.at(s.recent); e.id == id {
		return e
	}
	mask := uint64(len(s.index) - 1)
	for i := id.lo & mask; ; i = (i + 1) & mask {
		n := s.index[i]
		if n == 0 {
			return nil
		}
		if e := s.at(n - 1); e.id == id {
			s.recent = n - 1
			return e
		}
	}
}

func (s *shelf[R, P]) at(n uint32) *slot[R] { return &s.chunks[n/chunkSlots][n%chunkSlots] }

// add makes a slot for an id that has none. The pointer holds until the next sweep.
func (s *shelf[R, P]) add(id hash, owner uint16) *slot[R] {
	if s.count == len(s.chunks)*chunkSlots {
		s.chunks = append(s.chunks, new([chunkSlots]slot[R]))
	}
	n := uint32(s.count)
	s.count++
	s.recent = n
	e := s.at(n)
	*e = slot[R]{id: id, owner: owner}
	if s.count*4 > len(s.index)*3 {
		s.reindex()
	} else {
		s.enter(n)
	}
	return e
}

// enter puts the number of a slot into the index and returns its place.
func (s *shelf[R, P]) enter(n uint32) {
	mask := uint64(len(s.index) - 1)
	i := s.at(n).id.lo & mask
	for s.index[i] != 0 {
		i = (i + 1) & mask
	}
	s.index[i] = n + 1
}

// number is the number of a slot that is there.
func (s *shelf[R, P]) number(e *slot[R]) uint32 {
	if s.at(s.recent) != e {
		s.find(e.id)
	}
	return s.recent
}

// reindex makes the index anew, of the size that fits.
func (s *shelf[R, P]) reindex() {
	size := 256
	for s.count*4 > size*3 {
		size *= 2
	}
	if size == len(s.index) {
		clear(s.index)
	} else {
		s.index = make([]uint32, size)
	}
	for n := range uint32(s.count) {
		s.enter(n)
	}
}

// touch notes that a record changed, and until when it matters.
func (s *shelf[R, P]) touch(e *slot[R], expires uint32) {
	e.expires = max(e.expires, expires)
	if e.flags&flagDirty == 0 {
		e.flags |= flagDirty
		s.dirty = append(s.dirty, s.number(e))
	}
}

// sweep takes off every record that drop says, in the order of their numbers.
func (s *shelf[R, P]) sweep(drop func(*slot[R]) bool) {
	kept := uint32(0)
	for n := range uint32(s.count) {
		e := s.at(n)
		if drop(e) {
			s.extra -= P(&e.record).bytes()
			continue
		}
		if kept != n {
			*s.at(kept) = *e
		}
		kept++
	}
	if int(kept) == s.count {
		return
	}
	for n := kept; n < uint32(s.count); n++ {
		*s.at(n) = slot[R]{}
	}
	s.count, s.recent = int(kept), 0
	chunks := (s.count + chunkSlots - 1) / chunkSlots
	clear(s.chunks[chunks:])
	s.chunks = s.chunks[:chunks]
	s.reindex()
	s.dirty, s.flight = s.dirty[:0], s.flight[:0]
	for n := range uint32(s.count) {
		flags := s.at(n).flags
		if flags&flagDirty != 0 {
			s.dirty = append(s.dirty, n)
		}
		if flags&flagInFlight != 0 {
			s.flight = append(s.flight, n)
		}
	}
}
