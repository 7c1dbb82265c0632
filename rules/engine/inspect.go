package engine

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// Part is a part of a rule's expressions and what became of it.
type Part struct {
	Of     string // what it is part of: when, fire, step "a", session.open, session.close, except "lab"
	Depth  int    // 0: the whole
	Range  hcl.Range
	Text   string // as it stands in the file; in short where that is another file than the rule's
	Value  string // of a term; "null" where it has none
	True   *bool  // of a condition; nil: of a term, or it cannot be told
	Actual string // in words, what the event has in the field that a condition asks for
}

const partFire = "fire"

func partStep(s *rules.Step) string { return "step " + strconv.Quote(s.Name) }

func partExcept(e *rules.Except) string { return "except " + strconv.Quote(e.Name) }

// inspect tells what became of each part of the rule's conditions, the whole before its parts: of what lets an event in, of fire, of the exceptions.
// ev may be nil, where time alone fired, and s, where there is no state; what would need them has neither Value nor True.
func (p *program) inspect(ev *event.Event, s *scene) []Part {
	x := inspection{c: p.compiler, ev: ev, s: s, shown: map[rules.Expr]bool{}}
	r := p.rule
	x.walk("when", r.When)
	if r.Sequence != nil {
		for _, one := range r.Sequence.Steps {
			x.walk(partStep(one), one.When)
		}
	}
	if r.Session != nil {
		x.walk("session.open", r.Session.Open)
		x.walk("session.close", r.Session.Close)
	}
	x.walk(partFire, r.Fire)
	for _, one := range r.Except {
		x.walk(partExcept(one), one.When)
	}
	return x.parts
}

type inspection struct {
	c     *compiler
	ev    *event.Event
	s     *scene
	parts []Part
	shown map[rules.Expr]bool // what defines stand for is told where it is used first
}

func (x *inspection) walk(of string, e rules.Expr) {
	if e != nil {
		x.descend(of, 0, e, hcl.Range{})
	}
}

func (x *inspection) descend(of string, depth int, e rules.Expr, whole hcl.Range) {
	if _, constant := e.(*rules.Const); constant {
		return
	}
	below := depth
	if part, ok := x.part(e); ok && part.Range != whole { // the loader's && with event.kind has the range of what it stands before
		part.Of, part.Depth = of, depth
		x.parts = append(x.parts, part)
		whole = part.Range
		below++
	}
	if d, ok := e.(*rules.Defined); ok {
		if x.shown[d.Of] {
			return
		}
		x.shown[d.Of] = true
	}
	rules.Walk(e, func(child rules.Expr) bool {
		if child != e {
			x.descend(of, below, child, whole)
		}
		return child == e
	})
}

func (x *inspection) part(e rules.Expr) (Part, bool) {
	at := e.Range()
	source := x.c.p.rule.Source
	p := Part{Range: at}
	switch {
	case at.Start.Byte == at.End.Byte: // put there by the loader: event.kind == "event"
		if !isCondition(e) {
			return Part{}, false
		}
		if yes := x.truth(e); yes == nil || *yes {
			return Part{}, false
		}
		p.Text = rules.Canonical(e)
	case at.Filename != x.c.p.rule.Range.Filename: // of a define
		p.Text = rules.Canonical(e)
	case at.Start.Byte < 0 || at.End.Byte > len(source) || at.Start.Byte > at.End.Byte:
		return Part{}, false
	default:
		p.Text = string(source[at.Start.Byte:at.End.Byte])
	}
	if isCondition(e) {
		p.True = x.truth(e)
		if m, ok := e.(*rules.Match); ok && x.ev != nil {
			p.Actual = actual(x.ev, m.Of)
		}
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

// actual is what an event has in the field that a query asks for.
func actual(ev *event.Event, q query.Expr) string {
	var f query.Field
	switch q := q.(type) {
	case query.Compare:
		f = q.Field
	case query.In:
		f = q.Field
	case query.Text:
		f = q.Field
	case query.CIDR:
		f = q.Field
	case query.Exists:
		f = q.Field
	default:
		return ""
	}
	name := f.Name()
	var text string
	if f.Key != "" {
		var values []string
		for _, l := range ev.Labels {
			if l.Key == f.Key {
				values = append(values, l.Value)
			}
		}
		text = strings.Join(values, ", ")
	} else {
		text = ev.Get(f.ID).Text()
	}
	if text == "" {
		return name + " has no value"
	}
	return name + " is " + strconv.Quote(text)
}

// missing says in words what keeps a condition from being true, part by part.
func (x *inspection) missing(e rules.Expr) (list []string) {
	if e == nil {
		return nil
	}
	if yes := x.truth(e); yes != nil && *yes {
		return nil
	}
	switch e := e.(type) {
	case *rules.Defined:
		return x.missing(e.Of)
	case *rules.And:
		for _, one := range e.Of {
			list = append(list, x.missing(one)...)
		}
		return list
	case *rules.Or:
		for _, one := range e.Of {
			list = append(list, strings.Join(x.missing(one), " and "))
		}
		return []string{strings.Join(list, ", or ")}
	case *rules.Compare:
		if value, needs, ok := x.against(e); ok {
			return []string{value + ", needs " + needs}
		}
	case *rules.Match:
		if x.ev != nil {
			if is := actual(x.ev, e.Of); is != "" {
				return []string{is + ", needs " + x.words(e)}
			}
		}
	}
	return []string{x.words(e) + " is not true"}
}

// against says of a comparison with a constant what the other side is, and what it should be.
func (x *inspection) against(e *rules.Compare) (value, needs string, ok bool) {
	term, limit, op := e.Left, e.Right, e.Op
	if _, constant := term.(*rules.Const); constant {
		term, limit, op = e.Right, e.Left, e.Op.Mirrored()
	}
	if _, constant := limit.(*rules.Const); !constant {
		return "", "", false
	}
	is := x.value(term)
	if is == "" {
		return "", "", false
	}
	return x.words(term) + " is " + is, op.String() + " " + rules.Canonical(limit), true
}

func (x *inspection) words(e rules.Expr) string {
	if p, ok := x.part(e); ok {
		return strings.Join(strings.Fields(p.Text), " ")
	}
	return rules.Canonical(e)
}
