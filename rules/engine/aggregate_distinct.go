package engine

import "unsafe"

// distinctValues counts how often each value, known by its hash, is in the window: open addressing, so that values that come and go cost no
// allocation and their bytes can be told.
type distinctValues struct {
	slots []distinctValue
	count int
}

type distinctValue struct{ hash, times uint64 }

const leastValues = 8

// add counts a value, and returns by how many bytes the set has grown.
func (d *distinctValues) add(h uint64) (grown int64) {
	if (d.count+1)*4 > len(d.slots)*3 {
		grown = d.resize(max(leastValues, 2*len(d.slots)))
	}
	at := d.find(h)
	if d.slots[at].times == 0 {
		d.slots[at].hash = h
		d.count++
	}
	d.slots[at].times++
	return grown
}

// remove takes back one occurrence; a value that is not there is left alone.
func (d *distinctValues) remove(h uint64) (grown int64) {
	if d.count == 0 {
		return 0
	}
	at := d.find(h)
	if times := d.slots[at].times; times != 1 {
		d.slots[at].times -= min(times, 1)
		return 0
	}
	d.count--
	mask := uint64(len(d.slots) - 1)
	for next := (at + 1) & mask; d.slots[next].times != 0; next = (next + 1) & mask {
		home := d.slots[next].hash & mask
		if (next-home)&mask >= (next-at)&mask {
			d.slots[at] = d.slots[next]
			at = next
		}
	}
	d.slots[at] = distinctValue{}
	if len(d.slots) > leastValues && d.count*8 < len(d.slots) {
		return d.resize(len(d.slots) / 2)
	}
	return 0
}

// find is the slot of a value, or a free one.
func (d *distinctValues) find(h uint64) uint64 {
	mask := uint64(len(d.slots) - 1)
	at := h & mask
	for d.slots[at].times != 0 && d.slots[at].hash != h {
		at = (at + 1) & mask
	}
	return at
}

func (d *distinctValues) resize(size int) (grown int64) {
	old := d.slots
	d.slots = make([]distinctValue, size)
	for _, v := range old {
		if v.times != 0 {
			d.slots[d.find(v.hash)] = v
		}
	}
	return int64(size-len(old)) * int64(unsafe.Sizeof(distinctValue{}))
}

func (d *distinctValues) reset() {
	clear(d.slots)
	d.count = 0
}
