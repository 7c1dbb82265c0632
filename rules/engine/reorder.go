package engine

import (
	"github.com/gatebook/gatebook/event"
)

// reorder holds the items of ordered rules until the watermark has passed them, and gives them out by time and id, each once.
type reorder struct {
	names     *ids
	watermark event.Time
	heap      []*waiting
	size      int64 // bytes of what is in heap
	pool      []*waiting

	// The last one given out: what equals it came twice.
	released   event.Time
	releasedID eventID
	releasedTo *run
}

// waiting is an item with all its texts, which are in one piece.
type waiting struct {
	item
	run  *run
	size int64
}

const maxPool = 4096

// over tells that the turn of items of this time has passed.
func (o *reorder) over(t event.Time) bool { return t < o.watermark }

// push keeps a copy of the item.
func (o *reorder) push(x *run, it *item) {
	var w *waiting
	if n := len(o.pool); n > 0 {
		w, o.pool = o.pool[n-1], o.pool[:n-1]
	} else {
		w = &waiting{}
	}
	w.run = x
	w.copyOf(it)
	o.enter(w)
}

func (o *reorder) enter(w *waiting) {
	o.size += w.size
	o.heap = append(o.heap, w)
	for i := len(o.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !o.before(o.heap[i], o.heap[up]) {
			break
		}
		o.heap[i], o.heap[up] = o.heap[up], o.heap[i]
		i = up
	}
}

func (o *reorder) before(a, b *waiting) bool {
	switch {
	case a.time != b.time:
		return a.time < b.time
	case a.id != b.id:
		return o.names.less(a.id, b.id)
	}
	return a.run.number < b.run.number
}

// pop gives out the first item that is before the watermark, nil where there is none. The caller gives it to free.
func (o *reorder) pop() *waiting {
	for len(o.heap) > 0 && o.heap[0].time < o.watermark {
		w := o.first()
		if w.time == o.released && w.id == o.releasedID && w.run == o.releasedTo {
			o.free(w)
			continue
		}
		o.released, o.releasedID, o.releasedTo = w.time, w.id, w.run
		return w
	}
	return nil
}

// first takes the first item out of the heap.
func (o *reorder) first() *waiting {
	w, last := o.heap[0], len(o.heap)-1
	o.heap[0], o.heap[last] = o.heap[last], nil
	o.heap = o.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if o.before(o.heap[child], o.heap[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		o.heap[i], o.heap[least] = o.heap[least], o.heap[i]
		i = least
	}
	o.size -= w.size
	return w
}

func (o *reorder) free(w *waiting) {
	w.run, w.about = nil, about{}
	if len(o.pool) < maxPool {
		o.pool = append(o.pool, w)
	}
}

// copyOf copies an item, and its texts into one buffer. That is used again once the item is free: machines and episodes clone what they keep.
func (w *waiting) copyOf(it *item) {
	values, keys, texts := append(w.values[:0], it.values...), append(w.keys[:0], it.keys...), w.scratch[:0]
	w.item = *it
	w.values, w.keys = values, keys
	if length := w.measure(); length > cap(texts) {
		texts = make([]byte, 0, length+length/4)
	}
	for i := range values {
		texts = waitingText(texts, &values[i].text)
	}
	for i := range keys {
		texts = waitingText(texts, &keys[i].text)
	}
	for _, s := range w.about.texts() {
		texts = waitingText(texts, s)
	}
	w.scratch = texts
}

// waitingText appends a text, and lets it be there. There is room: what was appended before does not move.
func waitingText(texts []byte, s *string) []byte {
	if *s == "" {
		return texts
	}
	at := len(texts)
	texts = append(texts, *s...)
	*s = textSince(texts, at)
	return texts
}

// measure sets size, and returns the length of all texts.
func (w *waiting) measure() (length int) {
	for i := range w.values {
		length += len(w.values[i].text)
	}
	for i := range w.keys {
		length += len(w.keys[i].text)
	}
	for _, s := range w.about.texts() {
		length += len(*s)
	}
	w.size = int64(waitingBytes + 64*cap(w.values) + 48*cap(w.keys) + length)
	return length
}

const waitingBytes = 336 // of the struct and its place in the heap

func (a *about) eachText(f func(*string)) {
	for _, s := range a.texts() {
		f(s)
	}
}

func (a *about) texts() [8]*string {
	return [...]*string{&a.user, &a.userKey, &a.userTarget, &a.address, &a.host, &a.dataset, &a.country, &a.action}
}
