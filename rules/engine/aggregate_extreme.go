package engine

import "unsafe"

// extremes finds the least (or, with sign -1, the greatest) number of a window that moves forward: a queue of those numbers that have no smaller one
// behind them, by the place of their entry.
type extremes struct {
	queue []extreme
	head  int
}

type extreme struct {
	place  int64
	number float64
}

// push adds the number of the last entry, and returns by how many bytes the queue has grown.
func (x *extremes) push(place int64, f float64) (grown int64) {
	for len(x.queue) > x.head && x.queue[len(x.queue)-1].number >= f {
		x.queue = x.queue[:len(x.queue)-1]
	}
	if len(x.queue) == cap(x.queue) && x.head > len(x.queue)/2 {
		x.queue = x.queue[:copy(x.queue, x.queue[x.head:])]
		x.head = 0
	}
	before := cap(x.queue)
	x.queue = append(x.queue, extreme{place, f})
	return int64(cap(x.queue)-before) * int64(unsafe.Sizeof(extreme{}))
}

// leave tells that the first entry of the window, at this place, has left it.
func (x *extremes) leave(place int64) {
	if x.head < len(x.queue) && x.queue[x.head].place == place {
		if x.head++; x.head == len(x.queue) {
			x.reset()
		}
	}
}

func (x *extremes) least() (f float64, ok bool) {
	if x.head == len(x.queue) {
		return 0, false
	}
	return x.queue[x.head].number, true
}

func (x *extremes) reset() { x.queue, x.head = x.queue[:0], 0 }
