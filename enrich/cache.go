package enrich

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
)

// cache is a bounded map from two texts to a value, without locks: a hit reads at most four pointers. It forgets at random
// within a set when full. Values are shared between callers and never change.
//
//	hash(a, b) -> set of 4 slots -> *entry{a, b, value}
type cache[V any] struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cached[V]]
	mask  uint64 // sets - 1
	turn  atomic.Uint32
}

type cached[V any] struct {
	a, b  string
	value V
}

const ways = 4

// newCache returns a cache of about n entries, at least 64.
func newCache[V any](n int) *cache[V] {
	sets := 1 << bits.Len(uint(max(n, 64)/ways-1))
	return &cache[V]{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cached[V]], sets*ways), mask: uint64(sets - 1)}
}

func (c *cache[V]) set(a, b string) []atomic.Pointer[cached[V]] {
	h := maphash.String(c.seed, a)
	if b != "" {
		h = bits.RotateLeft64(h, 21) ^ maphash.String(c.seed, b)
	}
	at := (h & c.mask) * ways
	return c.slots[at : at+ways]
}

func (c *cache[V]) get(a, b string) (value V, ok bool) {
	set := c.set(a, b)
	for i := range set {
		if e := set[i].Load(); e != nil && e.a == a && e.b == b {
			return e.value, true
		}
	}
	return value, false
}

// put keeps copies of the texts, so that they do not hold on to the chunk that they are substrings of.
func (c *cache[V]) put(a, b string, value V) {
	set := c.set(a, b)
	e := &cached[V]{strings.Clone(a), strings.Clone(b), value}
	for i := range set {
		if set[i].CompareAndSwap(nil, e) {
			return
		}
	}
	set[c.turn.Add(1)%ways].Store(e)
}
