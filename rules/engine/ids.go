package engine

import (
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// ids gives events short names. Ids of the log, <epoch>-<sequence>, are an index of the epoch and the sequence; others are kept as text until no state
// holds them any more.
type ids struct {
	epochs  []string // index 0 is unused
	byEpoch map[string]int
	foreign map[eventID]string
	number  map[string]eventID
	next    uint64
	size    int64 // bytes of foreign ids
	swept   int64 // size after keep
}

const (
	sequenceBits = 48
	foreignEpoch = 1<<16 - 1
	maxEpochs    = 1 << 15
)

func newIDs() *ids {
	return &ids{epochs: []string{""}, byEpoch: map[string]int{}, foreign: map[eventID]string{}, number: map[string]eventID{}}
}

// own names an event of the log.
func (t *ids) own(epoch string, sequence uint64) eventID {
	if sequence < 1<<sequenceBits {
		if n, ok := t.byEpoch[epoch]; ok {
			return eventID(uint64(n)<<sequenceBits | sequence)
		}
		if len(t.epochs) < maxEpochs {
			epoch = strings.Clone(epoch)
			t.byEpoch[epoch] = len(t.epochs)
			t.epochs = append(t.epochs, epoch)
			return t.own(epoch, sequence)
		}
	}
	return t.other(epoch + "-" + strconv.FormatUint(sequence, 10))
}

// of names an event by its id.
func (t *ids) of(id string) eventID {
	if epoch, sequence, ok := event.SplitID(id); ok {
		return t.own(epoch, sequence)
	}
	return t.other(id)
}

func (t *ids) other(id string) eventID {
	if n, ok := t.number[id]; ok {
		return n
	}
	t.next++
	n := eventID(foreignEpoch<<sequenceBits | t.next&(1<<sequenceBits-1))
	id = strings.Clone(id)
	t.foreign[n], t.number[id] = id, n
	t.size += foreignBytes(id)
	return n
}

// text writes an id as event.id has it; "" where it is no longer known.
func (t *ids) text(id eventID) string {
	switch n := int(id >> sequenceBits); {
	case n == foreignEpoch:
		return t.foreign[id]
	case n > 0 && n < len(t.epochs):
		return t.epochs[n] + "-" + strconv.FormatUint(uint64(id)&(1<<sequenceBits-1), 10)
	}
	return ""
}

// less orders ids: within an epoch by sequence, else by text.
func (t *ids) less(a, b eventID) bool {
	if a>>sequenceBits == b>>sequenceBits && a>>sequenceBits != foreignEpoch {
		return a < b
	}
	return t.text(a) < t.text(b)
}

// before orders events: by time, then by id.
func (t *ids) before(at event.Time, a eventID, bt event.Time, b eventID) bool {
	if at != bt {
		return at < bt
	}
	return a != b && t.less(a, b)
}

// keep forgets the foreign ids that used does not tell of.
func (t *ids) keep(used map[eventID]struct{}) {
	for n, id := range t.foreign {
		if _, ok := used[n]; !ok {
			delete(t.foreign, n)
			delete(t.number, id)
			t.size -= foreignBytes(id)
		}
	}
}

func foreignBytes(id string) int64 { return int64(len(id)) + 120 }
