package engine

import "unsafe"

// keyTable holds the states of the keys of one rule, a million of them in some tens of megabytes:
//
//	hash -> slots (open addressing, 8 bytes each) -> number of the key -> states[number], words[number*stride:]
//	                                                                      ^ lists by level, from cold to hot
//
// Keys are numbered without gaps: where one is removed, the last one takes its number. So memory follows what there is, and a number is good only
// until the next removal. A key is known by its hash alone, which nobody can make equal to another's.
type keyTable struct {
	stride int // words of each key, for its first entry
	states [][]keyState
	words  [][]uint64
	count  int
	slots  []uint64 // the hash's lower half above, the number + 1 below; 0 is free
	lists  [keyLevels]keyList
}

// keyState is one key.
type keyState struct {
	hash           hash
	more           *keyWindow // entries and running aggregates, as soon as there are two
	colder, hotter uint32     // neighbours in the list, number + 1; 0 is none
	level          uint8
	returned       bool // was given up before
}

// keyList is the keys of one level in the order of their latest events; number + 1, 0 where it is empty.
type keyList struct{ cold, hot uint32 }

const (
	keyLevels  = 6
	chunkBits  = 10
	chunkKeys  = 1 << chunkBits
	firstChunk = 8
	leastSlots = 16
)

func (t *keyTable) state(n int) *keyState { return &t.states[n>>chunkBits][n&(chunkKeys-1)] }

// first is the room for a key's first entry.
func (t *keyTable) first(n int) []uint64 {
	at := (n & (chunkKeys - 1)) * t.stride
	return t.words[n>>chunkBits][at : at+t.stride : at+t.stride]
}

// find returns the number of a key, -1 where there is none.
func (t *keyTable) find(h hash) int {
	if len(t.slots) == 0 {
		return -1
	}
	tag, mask := uint32(h.lo), uint32(len(t.slots)-1)
	for at := tag & mask; t.slots[at] != 0; at = (at + 1) & mask {
		if s := t.slots[at]; uint32(s>>32) == tag {
			if n := int(uint32(s)) - 1; t.state(n).hash == h {
				return n
			}
		}
	}
	return -1
}

// insert adds a key that is not there, to no list yet.
func (t *keyTable) insert(h hash) int {
	if (t.count+1)*5 > len(t.slots)*4 {
		t.resize(max(leastSlots, 2*len(t.slots)))
	}
	n := t.count
	if n>>chunkBits == len(t.states) {
		size := chunkKeys
		if n == 0 {
			size = firstChunk
		}
		t.states = append(t.states, make([]keyState, size))
		t.words = append(t.words, make([]uint64, size*t.stride))
	} else if n < chunkKeys && n == len(t.states[0]) { // the first chunk grows with what it holds
		states, words := make([]keyState, 2*n), make([]uint64, 2*n*t.stride)
		copy(states, t.states[0])
		copy(words, t.words[0])
		t.states[0], t.words[0] = states, words
	}
	t.count++
	*t.state(n) = keyState{hash: h}
	t.enter(uint32(h.lo), n)
	return n
}

func (t *keyTable) enter(tag uint32, n int) {
	mask := uint32(len(t.slots) - 1)
	at := tag & mask
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = uint64(tag)<<32 | uint64(n+1)
}

// slot finds where a key of the table stands.
func (t *keyTable) slot(n int) uint32 {
	tag, mask := uint32(t.state(n).hash.lo), uint32(len(t.slots)-1)
	at := tag & mask
	for t.slots[at] != uint64(tag)<<32|uint64(n+1) {
		at = (at + 1) & mask
	}
	return at
}

func (t *keyTable) resize(size int) {
	old := t.slots
	t.slots = make([]uint64, size)
	for _, s := range old {
		if s != 0 {
			t.enter(uint32(s>>32), int(uint32(s))-1)
		}
	}
}

// remove takes a key out, of its list too.
func (t *keyTable) remove(n int) {
	t.unlink(n)
	t.erase(t.slot(n))
	last := t.count - 1
	if n != last {
		t.slots[t.slot(last)] = uint64(uint32(t.state(last).hash.lo))<<32 | uint64(n+1)
		*t.state(n) = *t.state(last)
		copy(t.first(n), t.first(last))
		t.relink(n)
	}
	*t.state(last) = keyState{}
	t.count = last
	if chunks := len(t.states); chunks > 1 && last <= (chunks-2)*chunkKeys { // one that is empty is kept
		t.states[chunks-1], t.words[chunks-1] = nil, nil
		t.states, t.words = t.states[:chunks-1], t.words[:chunks-1]
	}
	if len(t.slots) > leastSlots && t.count*8 < len(t.slots) {
		t.resize(len(t.slots) / 2)
	}
}

// erase frees a slot, and moves back what stands behind it only because it was taken.
func (t *keyTable) erase(at uint32) {
	mask := uint32(len(t.slots) - 1)
	for next := (at + 1) & mask; t.slots[next] != 0; next = (next + 1) & mask {
		home := uint32(t.slots[next]>>32) & mask
		if (next-home)&mask >= (next-at)&mask {
			t.slots[at] = t.slots[next]
			at = next
		}
	}
	t.slots[at] = 0
}

// touch makes a key the hottest of a level.
func (t *keyTable) touch(n int, level uint8) {
	s := t.state(n)
	if t.lists[level].hot == uint32(n+1) && s.level == level {
		return
	}
	t.unlink(n)
	l := &t.lists[level]
	s.level, s.colder, s.hotter = level, l.hot, 0
	if l.hot != 0 {
		t.state(int(l.hot - 1)).hotter = uint32(n + 1)
	} else {
		l.cold = uint32(n + 1)
	}
	l.hot = uint32(n + 1)
}

// unlink takes a key out of its list; one that is in none stays so.
func (t *keyTable) unlink(n int) {
	s := t.state(n)
	l := &t.lists[s.level]
	if s.colder == 0 && s.hotter == 0 && l.cold != uint32(n+1) {
		return
	}
	if s.colder != 0 {
		t.state(int(s.colder - 1)).hotter = s.hotter
	} else {
		l.cold = s.hotter
	}
	if s.hotter != 0 {
		t.state(int(s.hotter - 1)).colder = s.colder
	} else {
		l.hot = s.colder
	}
	s.colder, s.hotter = 0, 0
}

// relink tells the neighbours of a key its new number.
func (t *keyTable) relink(n int) {
	s := t.state(n)
	l := &t.lists[s.level]
	if s.colder != 0 {
		t.state(int(s.colder - 1)).hotter = uint32(n + 1)
	} else {
		l.cold = uint32(n + 1)
	}
	if s.hotter != 0 {
		t.state(int(s.hotter - 1)).colder = uint32(n + 1)
	} else {
		l.hot = uint32(n + 1)
	}
}

// bytes is what the table takes, without what more points to.
func (t *keyTable) bytes() int64 {
	n := len(t.slots) * 8
	if chunks := len(t.states); chunks > 0 {
		keys := (chunks-1)*chunkKeys + len(t.states[0])
		n += keys*(int(unsafe.Sizeof(keyState{}))+8*t.stride) + cap(t.states)*48
	}
	return int64(n)
}
