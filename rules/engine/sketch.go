package engine

import (
	"math/bits"

	"github.com/gatebook/gatebook/event"
)

// sketch remembers which keys were given up, in few bits of each: it never denies one of the last window, and mistakes some others for one. It has two
// generations, so that what is long ago is forgotten.
type sketch struct {
	current, former []uint64
	added           int        // to current
	began           event.Time // of current
}

const (
	leastSketch = 128 // words of a generation
	mostSketch  = 1 << 20
	sketchLoad  = 16 // keys to a word; with more, too many others would be mistaken
)

// place is the word of a key and its bits in there.
func (s *sketch) place(words []uint64, h hash) (*uint64, uint64) {
	n, _ := bits.Mul64(h.hi, uint64(len(words)))
	return &words[n], 1<<(h.lo>>58) | 1<<(h.lo>>52&63)
}

// has tells whether the key was given up, as far as that is known.
func (s *sketch) has(h hash) bool {
	for _, words := range [...][]uint64{s.current, s.former} {
		if len(words) > 0 {
			if w, b := s.place(words, h); *w&b == b {
				return true
			}
		}
	}
	return false
}

func (s *sketch) add(h hash) {
	if len(s.current) == 0 {
		return
	}
	w, b := s.place(s.current, h)
	*w |= b
	s.added++
}

// fit makes the sketch take no more than so many bytes, and begins a generation where the current one is full or older than the window.
func (s *sketch) fit(limit int64, now, window event.Time) {
	size := int(min(limit/16, mostSketch))
	if size < leastSketch {
		*s = sketch{}
		return
	}
	if s.bytes() > limit {
		s.former = nil
	}
	if len(s.current) > size {
		s.current, s.began = nil, now
	}
	if len(s.current) > 0 && now-s.began <= window && s.added < sketchLoad*len(s.current) && len(s.current) >= size/2 {
		return
	}
	next := s.former
	if s.former = s.current; len(next) == size {
		clear(next)
	} else {
		next = make([]uint64, size)
	}
	s.current, s.added, s.began = next, 0, now
}

func (s *sketch) bytes() int64 { return int64(len(s.current)+len(s.former)) * 8 }

func (s *sketch) save(w *writer) {
	w.int(int64(s.added))
	w.time(s.began)
	for _, words := range [...][]uint64{s.current, s.former} {
		w.uint(uint64(len(words)))
		for _, n := range words {
			w.fixed(n)
		}
	}
}

func (s *sketch) load(r *reader) {
	s.added, s.began = int(r.int()), r.time()
	for _, words := range [...]*[]uint64{&s.current, &s.former} {
		n := r.count()
		if n > len(r.b)/8 {
			r.fail()
			return
		}
		*words = nil
		if n > 0 {
			*words = make([]uint64, n)
		}
		for i := range *words {
			(*words)[i] = r.fixed()
		}
	}
}
