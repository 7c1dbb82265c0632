package engine

import (
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// Explanation says what a rule made of one event.
type Explanation struct {
	Rule     *rules.Rule
	Event    []Part // what the event alone says of the rule's conditions
	Takes    bool   // the event is something to the rule
	Excepted string // exception that took it out before the state
	Groups   []Group
	Shadow   bool // an alert now would be in shadow
	Late     bool // its turn was over
}

// Group is one grouping of the rule, for the key of the event.
type Group struct {
	By            string
	Key           []string
	Missing       bool   // the event lacks a term: the grouping passes over it
	Parts         []Part // all conditions, with the state; empty where the rule has not come to asking
	Before, After []string
	Learning      bool // first_seen, rarity and baseline say nothing yet
	Fired         bool
	Title         string
	Vetoed        bool // fire held, and an exception stopped it
}

// Explain adds an event, and says what a rule made of it. What comes before it has its turn first, itself too, as if all sources had come that far. It returns
// nil where no rule of that id runs.
func (e *Engine) Explain(ruleID string, ev *event.Event, id string) *Explanation {
	var x *run
	for _, one := range e.runs {
		if one.rule.ID == ruleID {
			x = one
		}
	}
	if x == nil {
		return nil
	}
	if ev.Time > e.order.watermark {
		e.moveTo(ev.Time)
	}
	p := x.program
	out := &Explanation{Rule: p.rule, Event: ownParts(p, p.inspect(ev, nil)), Late: ev.Time < e.order.watermark,
		Shadow: p.rule.Mode == rules.ModeShadow || x.began != 0 && ev.Time < x.began+event.Time(p.rule.ShadowFor)}
	if p.enter(ev) == 0 {
		for _, f := range p.filters {
			if p.conditions[f.bit](ev) {
				out.Excepted = f.name
			}
		}
		e.Add(ev, id)
		return out
	}
	out.Takes = true
	it := item{time: ev.Time, bits: p.enter(ev)}
	p.fill(ev, &it)
	keys := x.groupKeys(&it)
	learns := p.rule.Learn.For > 0 || p.rule.Learn.MinEvents > 0
	for g, k := range keys {
		group := Group{By: byText(p.rule, g), Missing: !k.ok, Key: strings.Split(strings.Clone(k.text), keySeparator)}
		if k.ok {
			group.Before = x.machine.describe(g, k)
			group.Learning = learns && !e.memory.learned(p, k, ev.Time)
		}
		out.Groups = append(out.Groups, group)
	}
	vetoed := p.vetoed
	p.watch = func(s *scene) {
		if s.now.time != ev.Time {
			return // another event that is asked once more
		}
		for g, k := range keys {
			if k.hash == s.key.hash {
				out.Groups[g].Parts = ownParts(p, p.inspect(ev, s))
			}
		}
	}
	e.watchHit = func(of *run, h *hit) {
		if of == x && h.grouping < len(out.Groups) && keys[h.grouping].hash == h.key.hash {
			out.Groups[h.grouping].Fired, out.Groups[h.grouping].Title = true, strings.Clone(h.title)
		}
	}
	e.Add(ev, id)
	e.moveTo(max(e.order.watermark, ev.Time+1))
	p.watch, e.watchHit = nil, nil
	for g, k := range keys {
		if k.ok {
			out.Groups[g].After = x.machine.describe(g, k)
			out.Groups[g].Vetoed = p.vetoed > vetoed && !out.Groups[g].Fired
		}
	}
	return out
}

// groupKeys are an item's keys by grouping, with texts of their own; of a sequence those of the first step that has one.
func (x *run) groupKeys(it *item) []key {
	steps := max(1, len(x.steps))
	keys := make([]key, 0, len(it.keys)/steps)
	for at := 0; at+steps <= len(it.keys); at += steps {
		k := it.keys[at]
		for _, other := range it.keys[at : at+steps] {
			if !k.ok {
				k = other
			}
		}
		k.text = strings.Clone(k.text)
		keys = append(keys, k)
	}
	return keys
}

// ownParts are the parts that stand in the rule's own file: what a define of another file is made of has its place there.
func ownParts(p *program, parts []Part) []Part {
	own := parts[:0]
	for _, part := range parts {
		again := len(own) > 0 && own[len(own)-1].Range == part.Range // a define, and what it stands for
		if !again && part.Range.Filename == p.rule.Range.Filename {
			own = append(own, part)
		}
	}
	return own
}

// ShadowUntil is when a rule leaves the shadow in which it is for its first time; zero where it is in none.
func (e *Engine) ShadowUntil(ruleID string) time.Time {
	for _, x := range e.runs {
		if x.rule.ID == ruleID && x.rule.ShadowFor > 0 && x.began != 0 {
			return (x.began + event.Time(x.rule.ShadowFor)).Std()
		}
	}
	return time.Time{}
}
