package engine

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// refSequence is the meaning of a sequence, written as plainly as it can be: all events again for every answer.
type refSequence struct {
	p       *program
	by      []int
	guards  []int // by step: -1 none, n: otherThan(n), 100: first_seen
	horizon int
	within  int
	wanted  []int
	gaps    [][]int
}

type refChain struct {
	steps [][]happening // events of each step
	part  []happening
}

func (c *refChain) all() (list []happening) {
	for _, s := range c.steps {
		list = append(list, s...)
	}
	return append(list, c.part...)
}

type refKey struct {
	chains map[int]*refChain
	spent  happening // of the first step: this and earlier ones count no more
}

func happenedBefore(a, b happening) bool { return a.at < b.at || a.at == b.at && a.id < b.id }

func weightOf(list []happening) (n int64) {
	for _, h := range list {
		n += max(1, h.weight)
	}
	return n
}

func (r *refSequence) keyOf(h happening, g, step int) string {
	if h.bits&(1<<step) == 0 {
		return ""
	}
	return h.keys[(r.by[step]+g)%2]
}

// passes tells whether the step's guard lets an event pass, earlier being all that came before it.
func (r *refSequence) passes(earlier []happening, h happening, g, step int, c *refChain) bool {
	switch n := r.guards[step]; n {
	case -1:
		return true
	case 100:
		if h.value == "" {
			return false
		}
		for _, e := range earlier {
			for s := range r.p.steps { // fed by the events of every step that asks
				if r.guards[s] == 100 && r.keyOf(e, g, s) == r.keyOf(h, g, step) && e.value == h.value && h.at-e.at <= r.horizon {
					return false
				}
			}
		}
		return true
	default:
		list := c.steps[n]
		v := list[len(list)-1].value
		return v != "" && h.value != "" && v != h.value
	}
}

func (r *refSequence) hits(events []happening, end int) (hits []string) {
	keys := map[[2]string]*refKey{}
	at := func(g int, k string) *refKey {
		n := [2]string{fmt.Sprint(g), k}
		if keys[n] == nil {
			keys[n] = &refKey{chains: map[int]*refChain{}, spent: happening{at: -1000}}
		}
		return keys[n]
	}
	last := len(r.wanted)
	trailing := len(r.gaps[last]) > 0
	over := func(k *refKey, c *refChain) {
		list := c.steps[0]
		if e := list[len(list)-1]; happenedBefore(k.spent, e) {
			k.spent = e
		}
	}
	fire := func(g int, text string, c *refChain, when int, id int) {
		var evidence []eventID
		for _, h := range c.all() {
			evidence = append(evidence, eventID(h.id))
		}
		evidence = evidence[max(0, len(evidence)-maxEvidence):]
		hits = append(hits, hitText(g, text, dayOne+event.Time(when)*second, eventID(id), evidence, weightOf(c.all())))
	}
	pass := func(until int) {
		for {
			var best *refChain
			var bestKey [2]string
			for n, k := range keys {
				c := k.chains[last]
				if c == nil || !trailing || c.all()[0].at+r.within >= until {
					continue
				}
				if best == nil || happenedBefore(c.all()[0], best.all()[0]) || c.all()[0].id == best.all()[0].id && n[0] < bestKey[0] {
					best, bestKey = c, n
				}
			}
			if best == nil {
				return
			}
			list := best.all()
			var g int
			fmt.Sscan(bestKey[0], &g)
			fire(g, bestKey[1], best, list[0].at+r.within, list[len(list)-1].id)
			over(keys[bestKey], best)
			delete(keys[bestKey].chains, last)
		}
	}
	move := func(g int, text string, k *refKey, level int, c *refChain, h happening) {
		switch {
		case level == last && !trailing:
			fire(g, text, c, h.at, h.id)
			over(k, c)
		case level == last && k.chains[level] != nil:
			over(k, c)
		default:
			k.chains[level] = c
		}
	}
	for i, h := range events {
		pass(h.at)
		for g := range r.p.grouping {
			for level := last; level > 0; level-- {
				for _, s := range r.gaps[level] {
					if text := r.keyOf(h, g, s); text != "" {
						k := at(g, text)
						if c := k.chains[level]; c != nil && h.at-c.all()[0].at <= r.within && r.passes(events[:i], h, g, s, c) {
							over(k, c)
							delete(k.chains, level)
						}
					}
				}
				if level == last {
					continue
				}
				s := r.wanted[level]
				text := r.keyOf(h, g, s)
				if text == "" {
					continue
				}
				k := at(g, text)
				c := k.chains[level]
				if c == nil || h.at-c.all()[0].at > r.within || !r.passes(events[:i], h, g, s, c) {
					continue
				}
				c.part = append(c.part, h)
				if weightOf(c.part) >= int64(r.p.steps[s].Times) {
					delete(k.chains, level)
					c.steps, c.part = append(c.steps, c.part), nil
					move(g, text, k, level+1, c, h)
				}
			}
			text := r.keyOf(h, g, r.wanted[0])
			if text == "" || !r.passes(events[:i], h, g, r.wanted[0], nil) {
				continue
			}
			k := at(g, text)
			var list []happening
			for j := i; j >= 0 && weightOf(list) < int64(r.p.steps[r.wanted[0]].Times); j-- {
				e := events[j]
				if r.keyOf(e, g, r.wanted[0]) == text && h.at-e.at <= r.within && happenedBefore(k.spent, e) && r.passes(events[:j], e, g, r.wanted[0], nil) {
					list = append([]happening{e}, list...)
				}
			}
			if weightOf(list) >= int64(r.p.steps[r.wanted[0]].Times) && (!trailing || last != 1 || k.chains[1] == nil) {
				move(g, text, k, 1, &refChain{steps: [][]happening{list}}, h)
			}
		}
	}
	pass(end)
	return hits
}

func drawSequence(t *rapid.T) *refSequence {
	r := &refSequence{within: rapid.IntRange(1, 12).Draw(t, "within"), horizon: rapid.IntRange(1, 20).Draw(t, "horizon"), gaps: [][]int{nil}}
	var steps []step
	add := func(s step, without bool) {
		n := len(steps)
		guards := []int{-1, -1, 100}
		if n > 0 {
			guards = append(guards, r.wanted[rapid.IntRange(0, len(r.wanted)-1).Draw(t, "reference")])
		}
		guard := rapid.SampledFrom(guards).Draw(t, "guard")
		switch guard {
		case -1:
		case 100:
			s.guard, s.aggs = func(s *scene) bool { return s.aggregate(0).number == 1 }, []int{0}
		default:
			s.guard = otherThan(guard)
			for level, w := range r.wanted { // the reference counts levels, not steps
				if w == guard {
					guard = level
					break
				}
			}
		}
		r.guards, r.by = append(r.guards, guard), append(r.by, rapid.IntRange(0, 1).Draw(t, "by"))
		steps = append(steps, s)
		if without {
			r.gaps[len(r.wanted)] = append(r.gaps[len(r.wanted)], n)
		} else {
			r.wanted, r.gaps = append(r.wanted, n), append(r.gaps, nil)
		}
	}
	for range rapid.IntRange(1, 3).Draw(t, "steps") {
		add(stepNamed("s", rapid.IntRange(1, 3).Draw(t, "times")), false)
		for range rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "withouts") {
			add(absence("w"), true)
		}
	}
	r.p = sequenceOf(time.Duration(r.within)*time.Second, steps...)
	r.p.grouping = rapid.IntRange(1, 2).Draw(t, "groupings")
	r.p.aggregates = []aggregate{{kind: rules.FirstSeen, terms: []int{0}, horizon: time.Duration(r.horizon) * time.Second}}
	return r
}

func drawHappenings(t *rapid.T, bits uint64) []happening {
	return rapid.Custom(func(t *rapid.T) []happening {
		at := 0
		n := rapid.IntRange(0, 30).Draw(t, "events")
		list := make([]happening, n)
		for i := range list {
			at += rapid.SampledFrom([]int{0, 0, 1, 1, 2, 5}).Draw(t, "later")
			list[i] = happening{at: at, id: i + 1, bits: rapid.Uint64Range(1, bits).Draw(t, "bits"), weight: rapid.SampledFrom([]int64{1, 1, 1, 2}).Draw(t, "weight"),
				value: rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "value")}
			for j := range list[i].keys {
				list[i].keys[j] = rapid.SampledFrom([]string{"", "x", "x", "y"}).Draw(t, "key")
			}
		}
		return list
	}).Draw(t, "happenings")
}

// For any sequence and any events the hits are those of the plain meaning, though the machine is stopped and restored at every event, every event
// comes twice, and what is over is swept away in between.
func TestSequenceMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := drawSequence(rt)
		events := drawHappenings(rt, 1<<len(r.p.steps)-1)
		s := newStage()
		m := newSequenceMachine(r.p, s)
		end := 0
		for _, h := range events {
			it := h.item(s, r.p, r.by)
			inTurn(m, it)
			m = restored(t, m, newSequenceMachine(r.p, s))
			m.take(it)
			m.expire(it.time)
			end = h.at
		}
		end += 100
		m.due(dayOne + event.Time(end)*second)
		want := r.hits(events, end)
		if !reflect.DeepEqual(s.hits, want) {
			rt.Fatalf("hits %q\nwant %q", s.hits, want)
		}
		for range 100 {
			m.expire(dayOne + event.Time(end)*second)
		}
		if m.keys() != 0 || m.size != 0 || m.ends.next() != 0 {
			rt.Fatalf("%d keys, %d bytes are left", m.keys(), m.size)
		}
	})
}
