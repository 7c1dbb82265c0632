package engine

import "unsafe"

// keyTable holds the states of the keys of one rule, a million of them in some tens of megabytes:
//
//	hash -> shard, slots (open addressing, 8 bytes each) -> number of the key -> states[number], words[number*stride:]
//	                                                                      ^ lists by level, from cold to hot
//
// Keys are numbered without gaps: where one is removed, the last one takes its number. So memory follows what there is, and a number is good only
// until the next removal. A key is known by its hash alone, which nobody can make equal to another's.
type keyTable struct {
	stride int // words of each key, for its first entry
	states [][]keyState
	words  [][]uint64
	count  int
	shards [keyShards]keyShard
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
	leastSlots = 4
	shardBits  = 5
	keyShards  = 1 << shardBits // so that no single step of growth is large
)

func (t *keyTable) state(n int) *keyState { return &t.states[n>>chunkBits][n&(chunkKeys-1)] }

// first is the room for a key's first entry.
func (t *keyTable) first(n int) []uint64 {
	at := (n & (chunkKeys - 1)) * t.stride
	return t.words[n>>chunkBits][at : at+t.stride : at+t.stride]
}

// find returns the number of a key, -1 where there is none.
func (t *keyTable) find(h hash) int {
	x := t.shard(h)
	if x.count == 0 {
		return -1
	}
	tag := uint32(h.lo)
	for at := x.home(tag); x.slots[at] != 0; at = x.next(at) {
		if s := x.slots[at]; uint32(s>>32) == tag {
			if n := int(uint32(s)) - 1; t.state(n).hash == h {
				return n
			}
		}
	}
	return -1
}

// insert adds a key that is not there, to no list yet.
func (t *keyTable) insert(h hash) int {
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
	t.shard(h).enter(uint32(h.lo), n)
	return n
}

// remove takes a key out, of its list too.
func (t *keyTable) remove(n int) {
	t.unlink(n)
	h := t.state(n).hash
	t.shard(h).erase(uint32(h.lo), n)
	last := t.count - 1
	if n != last {
		h = t.state(last).hash
		x := t.shard(h)
		x.slots[x.find(uint32(h.lo), last)] = keySlot(uint32(h.lo), n)
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
	n := 0
	for i := range t.shards {
		n += len(t.shards[i].slots) * 8
	}
	if chunks := len(t.states); chunks > 0 {
		keys := (chunks-1)*chunkKeys + len(t.states[0])
		n += keys*(int(unsafe.Sizeof(keyState{}))+8*t.stride) + cap(t.states)*48
	}
	return int64(n)
}

// keyShard finds the numbers of a part of the keys. A slot is the lower half of the hash's lower word above, the number + 1 below; 0 is free.
type keyShard struct {
	slots []uint64
	count int
}

func (t *keyTable) shard(h hash) *keyShard { return &t.shards[h.hi>>(64-shardBits)] }

func keySlot(tag uint32, n int) uint64 { return uint64(tag)<<32 | uint64(n+1) }

// home is where a key would stand if nothing else did.
func (x *keyShard) home(tag uint32) int { return int(uint64(tag) * uint64(len(x.slots)) >> 32) }

func (x *keyShard) next(at int) int {
	if at++; at == len(x.slots) {
		return 0
	}
	return at
}

// distance is how far a slot is behind another one.
func (x *keyShard) distance(from, to int) int {
	if to < from {
		return to + len(x.slots) - from
	}
	return to - from
}

func (x *keyShard) enter(tag uint32, n int) {
	if (x.count+1)*5 > len(x.slots)*4 {
		x.resize(leastSlots + len(x.slots) + len(x.slots)/4)
	}
	x.put(keySlot(tag, n))
	x.count++
}

func (x *keyShard) put(s uint64) {
	at := x.home(uint32(s >> 32))
	for x.slots[at] != 0 {
		at = x.next(at)
	}
	x.slots[at] = s
}

func (x *keyShard) resize(size int) {
	old := x.slots
	x.slots = make([]uint64, size)
	for _, s := range old {
		if s != 0 {
			x.put(s)
		}
	}
}

// find is where a number that is there stands.
func (x *keyShard) find(tag uint32, n int) int {
	at := x.home(tag)
	for s := keySlot(tag, n); x.slots[at] != s; {
		at = x.next(at)
	}
	return at
}

// erase frees the slot of a number, and moves back what stands behind it only because it was taken.
func (x *keyShard) erase(tag uint32, n int) {
	at := x.find(tag, n)
	for next := x.next(at); x.slots[next] != 0; next = x.next(next) {
		home := x.home(uint32(x.slots[next] >> 32))
		if x.distance(home, next) >= x.distance(at, next) {
			x.slots[at] = x.slots[next]
			at = next
		}
	}
	x.slots[at] = 0
	if x.count--; len(x.slots) > 4*leastSlots && x.count*3 < len(x.slots) {
		x.resize(len(x.slots) / 2)
	}
}
