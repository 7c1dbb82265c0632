package engine

import "github.com/gatebook/gatebook/event"

// deadlines is a heap of what time alone brings about, by deadline, then the event from which it counts, then grouping. Who moves a deadline
// only ever to later may leave it where it is and set it when it comes up.
type deadlines[T any, P timed[T]] struct {
	names *ids
	heap  []deadline[P]
}

// timed is what has at most one deadline in a heap.
type timed[T any] interface {
	*T
	// timer is where the heap keeps the deadline's index + 1; 0: there is none.
	timer() *int32
}

type deadline[P any] struct {
	at    event.Time
	id    eventID // of the event from which it counts
	group int32
	of    P
}

const deadlineBytes = 32

// set puts the deadline of something, or moves it.
func (d *deadlines[T, P]) set(of P, at event.Time, id eventID, group int32) {
	i := int(*of.timer()) - 1
	if i < 0 {
		i = len(d.heap)
		d.heap = append(d.heap, deadline[P]{})
	}
	d.put(i, deadline[P]{at, id, group, of})
	d.settle(i)
}

// drop takes the deadline of something away, if it has one.
func (d *deadlines[T, P]) drop(of P) {
	i := int(*of.timer()) - 1
	if i < 0 {
		return
	}
	*of.timer() = 0
	last := len(d.heap) - 1
	moved := d.heap[last]
	d.heap[last] = deadline[P]{}
	d.heap = d.heap[:last]
	if i < last {
		d.put(i, moved)
		d.settle(i)
	}
	if cap(d.heap) > 1024 && len(d.heap) < cap(d.heap)/4 {
		d.heap = append(make([]deadline[P], 0, 2*len(d.heap)), d.heap...)
	}
}

// next is the first deadline; 0: none.
func (d *deadlines[T, P]) next() event.Time {
	if len(d.heap) == 0 {
		return 0
	}
	return d.heap[0].at
}

// before tells whether there is a deadline before t.
func (d *deadlines[T, P]) before(t event.Time) bool { return len(d.heap) > 0 && d.heap[0].at < t }

// bytes is what the heap takes.
func (d *deadlines[T, P]) bytes() int64 { return deadlineBytes * int64(cap(d.heap)) }

func (d *deadlines[T, P]) put(i int, e deadline[P]) {
	d.heap[i] = e
	*e.of.timer() = int32(i) + 1
}

func (d *deadlines[T, P]) less(a, b *deadline[P]) bool {
	switch {
	case a.at != b.at:
		return a.at < b.at
	case a.id != b.id:
		return d.names.less(a.id, b.id)
	}
	return a.group < b.group
}

// settle moves the deadline at i up or down to where it belongs.
func (d *deadlines[T, P]) settle(i int) {
	e := d.heap[i]
	for i > 0 && d.less(&e, &d.heap[(i-1)/2]) {
		d.put(i, d.heap[(i-1)/2])
		i = (i - 1) / 2
	}
	for {
		child := 2*i + 1
		if child+1 < len(d.heap) && d.less(&d.heap[child+1], &d.heap[child]) {
			child++
		}
		if child >= len(d.heap) || !d.less(&d.heap[child], &e) {
			break
		}
		d.put(i, d.heap[child])
		i = child
	}
	d.put(i, e)
}
