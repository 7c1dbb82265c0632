package ruletest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatebook/gatebook/event"
)

// way is one of the other runs of a test.
type way struct {
	name    string
	events  []arrival
	restart bool
}

const (
	lateness = 30 * time.Second
	shuffles = 4
)

// others lists the ways in which events may come that must not matter.
func others(in []arrival, name string) []way {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	ways := []way{
		{"with every event twice", doubled(r, in), false},
		{"shuffled and doubled", shuffled(r, doubled(r, in)), false},
		{"with a restart at every event", in, true},
		{"shuffled, with a restart at every event", shuffled(r, in), true},
	}
	for i := range shuffles {
		ways = append(ways, way{fmt.Sprintf("shuffled within the lateness (%d)", i+1), shuffled(r, in), false})
	}
	return ways
}

// doubled has every event come a second time, some of them after the next.
func doubled(r *rand.Rand, in []arrival) []arrival {
	out := make([]arrival, 0, 3*len(in))
	for i, a := range in {
		out = append(out, a)
		if again := in[max(0, i-r.IntN(2))]; a.Time-again.Time < event.Time(lateness) && a.Time >= again.Time && !again.timeless() {
			out = append(out, again)
		}
		out = append(out, a)
	}
	return out
}

// timeless tells whether an event has the time of its arrival only: it counts with the time of what came before it.
func (a arrival) timeless() bool { return a.Created != 0 && a.Time == a.Created }

// shuffled has each event arrive up to the lateness after its time. What the test itself has come too late, or without a time, keeps its place: it counts as it
// does because of what came before.
func shuffled(r *rand.Rand, in []arrival) []arrival {
	out := make([]arrival, 0, len(in))
	var latest event.Time
	begin := 0
	for i, a := range in {
		if a.Time < latest-event.Time(lateness) || a.timeless() {
			out = append(append(out, shuffledPart(r, in[begin:i])...), a)
			begin = i + 1
		}
		latest = max(latest, a.Time)
	}
	return append(out, shuffledPart(r, in[begin:])...)
}

func shuffledPart(r *rand.Rand, in []arrival) []arrival {
	type due struct {
		arrival
		at event.Time
	}
	list := make([]due, len(in))
	for i, a := range in {
		list[i] = due{a, a.Time + event.Time(r.Int64N(int64(lateness)-1e9))}
	}
	slices.SortStableFunc(list, func(a, b due) int { return int(min(max(a.at-b.at, -1), 1)) })
	out := make([]arrival, len(in))
	for i := range list {
		out[i] = list[i].arrival
	}
	return out
}
