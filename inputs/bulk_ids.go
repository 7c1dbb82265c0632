package inputs

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// idHash stands for an id: 96 bits of SHA-256 over the name of its key and the id.
type idHash [12]byte

func hashID(id string) (h idHash) {
	sum := sha256.Sum256([]byte(id))
	copy(h[:], sum[:])
	return h
}

const (
	slotIDs    = 128 // ids of one slot
	slotHeader = 8   // its place in time
	slotPrefix = "ids/"
)

// idMemory is the ids taken last, a bounded number of them, in memory and in the log.
//
//	ids/0 ids/1 ids/2 ... ids/n-1     positions in the log: the place in time of the slot, then up to 128 hashes
//	              ^ filling           the next one is the oldest: its ids are forgotten when it is begun anew
//
// The slots that a batch fills are written as positions with the batch: its ids are as safe as its documents. Slots are planned and
// committed by one goroutine at a time (flights.turn); lookup is safe at any time.
type idMemory struct {
	prefix string // of the positions' keys
	stale  []string

	mu      sync.Mutex
	cells   []uint32           // where each id is, plus one: slot and place in it, found by the hash (open addressing, linear)
	known   int                // cells in use, at most half of them
	pending map[idHash]*flight // of ids that are not yet safe
	slots   [][]byte           // values as in the log; never changed, only replaced
	at      int                // slot that is filling
	seq     uint64             // its place in time
}

// idSlot is a slot as it will be.
type idSlot struct {
	number int
	fresh  bool // begun anew: what was in it is forgotten
	value  []byte
	from   int // the first new id
}

// newIDMemory makes the memory of so many ids, with what the positions of an earlier run say.
func newIDMemory(prefix string, remember int, positions map[string][]byte) *idMemory {
	n := (remember + slotIDs - 1) / slotIDs
	m := &idMemory{prefix: prefix, pending: map[idHash]*flight{}, slots: make([][]byte, n)}
	if n > 0 {
		m.cells = make([]uint32, 1<<bits.Len(uint(2*n*slotIDs)))
	}
	for key, value := range positions {
		text, ok := strings.CutPrefix(key, slotPrefix)
		number, err := strconv.Atoi(text)
		if !ok {
			continue
		}
		if err != nil || number < 0 || number >= n || len(value) < slotHeader || (len(value)-slotHeader)%len(idHash{}) != 0 {
			m.stale = append(m.stale, key)
			continue
		}
		m.slots[number] = slices.Clone(value)
		if seq := binary.BigEndian.Uint64(value); seq >= m.seq {
			m.seq, m.at = seq, number
		}
	}
	slices.Sort(m.stale)
	for number, value := range m.slots {
		m.insert(number, 0, value)
	}
	return m
}

// idsOf is the number of ids in a slot's value.
func idsOf(value []byte) int { return max(len(value)-slotHeader, 0) / len(idHash{}) }

// idAt is the i-th id of a slot's value.
func idAt(value []byte, i int) idHash { return idHash(value[slotHeader+i*len(idHash{}):]) }

// home is the cell where the search for an id begins.
func (m *idMemory) home(h idHash) int {
	return int(binary.LittleEndian.Uint64(h[:])) & (len(m.cells) - 1)
}

// idOf is the id that a used cell stands for.
func (m *idMemory) idOf(cell int) idHash {
	at := int(m.cells[cell] - 1)
	return idAt(m.slots[at/slotIDs], at%slotIDs)
}

// find returns the cell of an id, or the free one where it would be.
func (m *idMemory) find(h idHash) (cell int, ok bool) {
	for cell = m.home(h); m.cells[cell] != 0; cell = (cell + 1) & (len(m.cells) - 1) {
		if m.idOf(cell) == h {
			return cell, true
		}
	}
	return cell, false
}

// insert makes the ids of a slot from the i-th on known.
func (m *idMemory) insert(number, i int, value []byte) {
	for ; i < idsOf(value); i++ {
		cell, known := m.find(idAt(value, i))
		if !known {
			m.known++
		}
		m.cells[cell] = uint32(number*slotIDs+i) + 1
	}
}

// forget removes the ids of a slot that is begun anew.
func (m *idMemory) forget(number int) {
	value := m.slots[number]
	for i := range idsOf(value) {
		if cell, known := m.find(idAt(value, i)); known && m.cells[cell] == uint32(number*slotIDs+i)+1 {
			m.free(cell)
			m.known--
		}
	}
}

// free empties a cell. What was put further on because it was taken moves up, so that searches find it.
func (m *idMemory) free(cell int) {
	mask := len(m.cells) - 1
	for next := (cell + 1) & mask; m.cells[next] != 0; next = (next + 1) & mask {
		if home := m.home(m.idOf(next)); (next-home)&mask >= (next-cell)&mask {
			m.cells[cell] = m.cells[next]
			cell = next
		}
	}
	m.cells[cell] = 0
}

// lookup says whether an id was taken, and with what flight where that is not over.
func (m *idMemory) lookup(h idHash) (known bool, on *flight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.cells) == 0 {
		return false, nil
	}
	_, known = m.find(h)
	return known, m.pending[h]
}

// plan says what becomes of the slots with these ids. Nothing is changed before commit.
func (m *idMemory) plan(list []idHash) []idSlot {
	if len(m.slots) == 0 || len(list) == 0 {
		return nil
	}
	var plan []idSlot
	at, seq := m.at, m.seq
	value := m.slots[at]
	for len(list) > 0 {
		room := slotIDs - idsOf(value)
		if room == 0 {
			at, value = (at+1)%len(m.slots), nil
			continue
		}
		fresh := value == nil
		if fresh {
			seq++
			value = binary.BigEndian.AppendUint64(nil, seq)
		}
		n := min(room, len(list))
		next := make([]byte, len(value), len(value)+n*len(idHash{}))
		copy(next, value)
		for _, h := range list[:n] {
			next = append(next, h[:]...)
		}
		plan = append(plan, idSlot{number: at, fresh: fresh, value: next, from: idsOf(value)})
		value, list = next, list[n:]
	}
	return plan
}

// positions appends the planned slots to those of a batch.
func (m *idMemory) positions(dst []Position, plan []idSlot) []Position {
	if len(plan) > 0 {
		for _, key := range m.stale {
			dst = append(dst, Position{Key: m.prefix + key}) // an empty value forgets the key
		}
		m.stale = nil
	}
	for i := range plan {
		dst = append(dst, Position{Key: m.prefix + slotPrefix + strconv.Itoa(plan[i].number), Value: plan[i].value})
	}
	return dst
}

// commit notes that the batch with the planned ids has its place in the log.
func (m *idMemory) commit(plan []idSlot, fl *flight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range plan {
		s := &plan[i]
		if s.fresh {
			m.forget(s.number)
			m.seq++
		}
		m.slots[s.number], m.at = s.value, s.number
		m.insert(s.number, s.from, s.value)
		for j := s.from; j < idsOf(s.value); j++ {
			m.pending[idAt(s.value, j)] = fl
		}
	}
}

// settled notes that the ids of a flight are safe.
func (m *idMemory) settled(list []idHash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range list {
		delete(m.pending, h)
	}
}

// size is the number of ids remembered.
func (m *idMemory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known
}
