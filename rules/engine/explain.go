package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// Explanation says what a rule made of one event.
type Explanation struct {
	Rule     *rules.Rule
	Event    []Part   // what the event alone says of the rule's conditions
	Takes    bool     // the event is something to the rule
	Missing  []string // what of the event keeps the rule from taking it, for each way in: when, or each step; nil where it takes it
	Excepted string   // exception that took it out before the state
	Relayed  bool     // another Gatebook's event, which is nothing to a rule of the host
	Groups   []Group
	Shadow   bool // an alert now would be in shadow
	Late     bool // its turn was over, so that it fires nothing
}

// Group is one grouping of the rule, for the key of the event.
type Group struct {
	By            string
	Key           []string
	NoKey         bool     // the event lacks a term: the grouping passes over it
	Asked         bool     // the rule came to asking whether it fires
	Parts         []Part   // all conditions, with the state where the rule asked them
	Missing       []string // what of fire was not true
	Before, After []string
	Learning      *Learning // first_seen, rarity and baseline say nothing yet; nil: they do
	Fired         bool
	Title         string
	VetoedBy      string // fire held, and this exception stopped it
}

// Learning is what a rule has yet to see before it fires for a key.
type Learning struct {
	For    time.Duration
	Events int64
}

// Explain adds an event, and says what a rule made of it. What comes before it has its turn first, itself too, as if all sources had come that far. It returns
// nil where no rule of that id runs.
func (e *Engine) Explain(ruleID string, ev *event.Event, id string) *Explanation {
	at := slices.IndexFunc(e.runs, func(x *run) bool { return x.rule.ID == ruleID })
	if at < 0 {
		return nil
	}
	x := e.runs[at]
	p := x.program
	if ev.Time > e.order.watermark {
		e.moveTo(ev.Time)
	}
	out := &Explanation{Rule: p.rule, Event: p.inspect(ev, nil), Late: p.ordered && ev.Time < e.order.watermark,
		Relayed: ev.Relayed == event.True && p.rule.Scope == rules.ScopeHost,
		Shadow:  p.rule.Mode == rules.ModeShadow || x.began != 0 && ev.Time < x.began+event.Time(p.rule.ShadowFor)}
	it := item{time: ev.Time, bits: p.enter(ev)}
	if out.Relayed || it.bits == 0 {
		out.refused(p, ev)
		e.Add(ev, id)
		return out
	}
	out.Takes = true
	p.fill(ev, &it)
	keys := x.groupKeys(&it)
	for g, k := range keys {
		group := Group{By: byText(p.rule, g), NoKey: !k.ok, Key: strings.Split(k.text, keySeparator), Parts: slices.Clone(out.Event)}
		if k.ok {
			group.Before = x.machine.describe(g, k)
			if wait, n := e.memory.learningLeft(p, k, ev.Time); wait > 0 || n > 0 {
				group.Learning = &Learning{wait, n}
			}
		}
		out.Groups = append(out.Groups, group)
	}
	e.watch(x, ev, e.names.of(id), keys, out.Groups)
	e.Add(ev, id)
	e.moveTo(max(e.order.watermark, ev.Time+1))
	p.watch, e.watchHit = nil, nil
	for g, k := range keys {
		if k.ok {
			out.Groups[g].After = x.machine.describe(g, k)
		}
	}
	return out
}

// refused says why the event is nothing to the rule.
func (x *Explanation) refused(p *program, ev *event.Event) {
	look := inspection{c: p.compiler, ev: ev}
	type way struct {
		name string
		when rules.Expr
	}
	ways := []way{{"", p.rule.When}}
	if s := p.rule.Session; s != nil {
		ways = append(ways, way{"session.open: ", s.Open}, way{"session.close: ", s.Close})
	}
	if s := p.rule.Sequence; s != nil {
		for _, step := range s.Steps {
			ways = append(ways, way{partStep(step) + ": ", step.When})
		}
	}
	for _, one := range ways {
		if one.when == nil {
			continue
		}
		if list := look.missing(one.when); len(list) > 0 {
			x.Missing = append(x.Missing, one.name+strings.Join(list, "; "))
		} else {
			for _, f := range p.filters {
				if x.Excepted == "" && p.conditions[f.bit](ev) {
					x.Excepted = f.name
				}
			}
		}
	}
}

// watch notes in groups what the rule sees as it treats the event.
func (e *Engine) watch(x *run, ev *event.Event, id eventID, keys []key, groups []Group) {
	p := x.program
	p.watch = func(s *scene, of string) {
		if s.now == nil || s.now.time != ev.Time || s.now.id != id {
			return // time alone, or another event that is asked once more
		}
		for n, k := range keys {
			if !k.ok || k.hash != s.key.hash {
				continue
			}
			g := &groups[n]
			for i, part := range p.inspect(ev, s) {
				if part.Of == of || of == partFire && strings.HasPrefix(part.Of, "except ") {
					g.Parts[i] = part
				}
			}
			if of != partFire {
				continue
			}
			g.Asked = true
			g.Missing = (&inspection{c: p.compiler, ev: ev, s: s}).missing(p.rule.Fire)
			if p.fire == nil || p.fire(s) {
				if i := slices.IndexFunc(p.vetoes, func(v veto) bool { return v.when(s) }); i >= 0 {
					g.VetoedBy = p.vetoes[i].name
				}
			}
		}
	}
	e.watchHit = func(of *run, h *hit) {
		if of == x && h.id == id && h.grouping < len(groups) && keys[h.grouping].hash == h.key.hash {
			groups[h.grouping].Fired, groups[h.grouping].Title = true, strings.Clone(h.title)
		}
	}
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

// ShadowUntil is when a rule leaves the shadow in which it is for its first time; zero where it is in none.
func (e *Engine) ShadowUntil(ruleID string) time.Time {
	for _, x := range e.runs {
		if x.rule.ID == ruleID && x.rule.ShadowFor > 0 && x.began != 0 {
			return (x.began + event.Time(x.rule.ShadowFor)).Std()
		}
	}
	return time.Time{}
}
