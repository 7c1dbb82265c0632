package engine

// hashTable finds states by a hash that nobody can aim at: open addressing, a power of two of places, at most three quarters full. It holds a place
// for pointers only; a Go map would take twice the room.
type hashTable[T any, P hashed[T]] struct {
	places []hashPlace[P]
	count  int
	cursor int // where the next sweep goes on
	added  int // since the last sweep
}

// hashed is a state that knows its own hash.
type hashed[T any] interface {
	*T
	hashOf() hash
}

type hashPlace[P any] struct {
	tag   uint64 // hash.hi, so that the states of others need not be looked at
	state P      // nil: the place is free
}

const (
	hashPlaceBytes = 16
	leastPlaces    = 16
	sweepLeast     = 2
)

// bytes is what the table takes, without the states.
func (t *hashTable[T, P]) bytes() int64 { return hashPlaceBytes * int64(cap(t.places)) }

// find returns the state of a hash, nil where there is none.
func (t *hashTable[T, P]) find(h hash) P {
	if t.count == 0 {
		return nil
	}
	mask := len(t.places) - 1
	for i := int(h.lo) & mask; ; i = (i + 1) & mask {
		p := &t.places[i]
		if p.state == nil || p.tag == h.hi && p.state.hashOf() == h {
			return p.state
		}
	}
}

// add takes in a state whose hash is not there yet.
func (t *hashTable[T, P]) add(s P) {
	if 4*(t.count+1) > 3*len(t.places) {
		t.resize(max(leastPlaces, 2*len(t.places)))
	}
	t.enter(s)
	t.count++
	t.added++
}

func (t *hashTable[T, P]) enter(s P) {
	h, mask := s.hashOf(), len(t.places)-1
	i := int(h.lo) & mask
	for t.places[i].state != nil {
		i = (i + 1) & mask
	}
	t.places[i] = hashPlace[P]{h.hi, s}
}

func (t *hashTable[T, P]) resize(n int) {
	old := t.places
	t.places = make([]hashPlace[P], n)
	for _, p := range old {
		if p.state != nil {
			t.enter(p.state)
		}
	}
}

// remove takes a state out, if it is there, and moves those behind it up.
func (t *hashTable[T, P]) remove(s P) bool {
	if t.count == 0 {
		return false
	}
	h, mask := s.hashOf(), len(t.places)-1
	i := int(h.lo) & mask
	for t.places[i].state != s {
		if t.places[i].state == nil {
			return false
		}
		i = (i + 1) & mask
	}
	t.count--
	for j := i; ; {
		t.places[i] = hashPlace[P]{}
		for {
			j = (j + 1) & mask
			if t.places[j].state == nil {
				return true
			}
			if home := int(t.places[j].state.hashOf().lo) & mask; (j-home)&mask >= (j-i)&mask {
				break
			}
		}
		t.places[i] = t.places[j]
		i = j
	}
}

// sweep calls f, which may remove the state it is given, for some of the states: enough that all have had their turn before as many again were added.
func (t *hashTable[T, P]) sweep(f func(P)) {
	n := min(len(t.places), sweepLeast+4*t.added)
	t.added = 0
	for range n {
		if t.cursor >= len(t.places) {
			t.cursor = 0
		}
		s := t.places[t.cursor].state
		if s != nil {
			f(s)
		}
		if t.places[t.cursor].state == s {
			t.cursor++
		}
	}
	t.tidy()
}

// tidy gives back places that are no longer needed.
func (t *hashTable[T, P]) tidy() {
	if n := len(t.places); n > leastPlaces && 8*t.count < n {
		for n > leastPlaces && 4*t.count < n {
			n /= 2
		}
		t.resize(n)
	}
}

// each calls f, which must not change the table, for every state, in no order that means something.
func (t *hashTable[T, P]) each(f func(P)) {
	for i := range t.places {
		if s := t.places[i].state; s != nil {
			f(s)
		}
	}
}
