package engine

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// Part is a part of a rule's expressions and what became of it.
type Part struct {
	Range hcl.Range
	Text  string // as it stands in the file
	Value string // of a term; "null" where it has none
	True  *bool  // of a condition; nil: of a term, or it cannot be told
}

// inspect tells what became of each part of the rule's conditions, the whole before its parts: of what lets an event in, of fire, of the exceptions.
// ev may be nil, where time alone fired, and s, where there is no state; what would need them has neither Value nor True.
func (p *program) inspect(ev *event.Event, s *scene) []Part {
	x := inspection{c: p.compiler, ev: ev, s: s}
	r := p.rule
	x.walk(r.When)
	if r.Sequence != nil {
		for _, one := range r.Sequence.Steps {
			x.walk(one.When)
		}
	}
	if r.Session != nil {
		x.walk(r.Session.Open)
		x.walk(r.Session.Close)
	}
	x.walk(r.Fire)
	for _, one := range r.Except {
		x.walk(one.When)
	}
	return x.parts
}

type inspection struct {
	c     *compiler
	ev    *event.Event
	s     *scene
	parts []Part
}

func (x *inspection) walk(e rules.Expr) {
	rules.Walk(e, func(e rules.Expr) bool {
		if _, constant := e.(*rules.Const); !constant {
			if part, ok := x.part(e); ok {
				x.parts = append(x.parts, part)
			}
		}
		return true
	})
}

func (x *inspection) part(e rules.Expr) (Part, bool) {
	at := e.Range()
	source := x.c.p.rule.Source
	if at.Start.Byte < 0 || at.End.Byte > len(source) || at.Start.Byte >= at.End.Byte {
		return Part{}, false
	}
	p := Part{Range: at, Text: string(source[at.Start.Byte:at.End.Byte])}
	if isCondition(e) {
		p.True = x.truth(e)
	} else {
		p.Value = x.value(e)
	}
	return p, true
}

// truth is nil where it cannot be told.
func (x *inspection) truth(e rules.Expr) *bool {
	if !rules.EventAlone(e) {
		switch e := e.(type) {
		case *rules.Defined:
			return x.truth(e.Of)
		case *rules.Not:
			yes := x.truth(e.Of)
			if yes != nil {
				*yes = !*yes
			}
			return yes
		case *rules.And:
			return x.joined(e.Of, false)
		case *rules.Or:
			return x.joined(e.Of, true)
		}
	}
	s, alone := x.scene(e)
	if s == nil {
		return nil
	}
	f, err := x.c.condition(e, alone)
	if err != nil {
		return nil
	}
	yes := f(s)
	return &yes
}

// joined is decided by any part that is what decides, else only where all parts are known.
func (x *inspection) joined(list []rules.Expr, decides bool) *bool {
	known := true
	for _, e := range list {
		yes := x.truth(e)
		if yes != nil && *yes == decides {
			return yes
		}
		known = known && yes != nil
	}
	if !known {
		return nil
	}
	other := !decides
	return &other
}

func (x *inspection) value(e rules.Expr) string {
	s, alone := x.scene(e)
	if s == nil {
		return ""
	}
	t, err := x.c.term(e, alone)
	if err != nil {
		return ""
	}
	v := t(s)
	if v.kind == null {
		return "null"
	}
	return string(appendValue(nil, v))
}

// scene is what an expression is asked of: the event itself where that is enough, else the state; nil where it is not there.
func (x *inspection) scene(e rules.Expr) (s *scene, alone bool) {
	if !rules.EventAlone(e) {
		return x.s, false
	}
	if x.ev == nil {
		return nil, true
	}
	return &scene{ev: x.ev}, true
}

// isCondition tells conditions from terms.
func isCondition(e rules.Expr) bool {
	switch e := e.(type) {
	case *rules.Match, *rules.And, *rules.Or, *rules.Not, *rules.Compare, *rules.InList:
		return true
	case *rules.Defined:
		return isCondition(e.Of)
	case *rules.Call:
		return isConditionCall(e.Name)
	case *rules.Aggregate:
		return e.Kind == rules.FirstSeen
	}
	return false
}
