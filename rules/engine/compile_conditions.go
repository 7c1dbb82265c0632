package engine

import (
	"regexp"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// An expression is compiled for one of two readers. alone: scene.ev is the event itself, at its arrival. Else the event is an item: parts that
// concern the event alone are its bits and values, and prev, steps and aggregates are there.

// bit numbers a condition on the event alone.
func (c *compiler) bit(e rules.Expr) (int, error) {
	text := rules.Canonical(e)
	if n, ok := c.bits[text]; ok {
		return n, nil
	}
	if c.frozen {
		return 0, wrongAt(e, "not among the conditions of the rule")
	}
	n := len(c.p.conditions)
	if n == maxConditions {
		return 0, wrongAt(e, "the rule has more than %d different conditions on one event; join some of them, or use a list", maxConditions)
	}
	f, err := c.ofEvent(e)
	if err != nil {
		return 0, err
	}
	c.p.conditions = append(c.p.conditions, f)
	c.bits[text] = n
	return n, nil
}

// ofEvent compiles a condition on the event alone.
func (c *compiler) ofEvent(e rules.Expr) (func(*event.Event) bool, error) {
	if q, ok := asQuery(e); ok {
		return query.Compile(q), nil
	}
	switch e := e.(type) {
	case *rules.Defined:
		return c.ofEvent(e.Of)
	case *rules.Not:
		f, err := c.ofEvent(e.Of)
		return func(ev *event.Event) bool { return !f(ev) }, err
	case *rules.And:
		fs, err := c.eachOfEvent(e.Of)
		return func(ev *event.Event) bool {
			for _, f := range fs {
				if !f(ev) {
					return false
				}
			}
			return true
		}, err
	case *rules.Or:
		fs, err := c.eachOfEvent(e.Of)
		return func(ev *event.Event) bool {
			for _, f := range fs {
				if f(ev) {
					return true
				}
			}
			return false
		}, err
	}
	f, err := c.condition(e, true)
	s := &c.asking
	return func(ev *event.Event) bool {
		s.ev, s.scratch = ev, s.scratch[:0]
		return f(s)
	}, err
}

func (c *compiler) eachOfEvent(list []rules.Expr) ([]func(*event.Event) bool, error) {
	fs := make([]func(*event.Event) bool, len(list))
	for i, e := range list {
		var err error
		if fs[i], err = c.ofEvent(e); err != nil {
			return nil, err
		}
	}
	return fs, nil
}

// asQuery is a condition as a query, where all of it is one.
func asQuery(e rules.Expr) (query.Expr, bool) {
	each := func(list []rules.Expr) ([]query.Expr, bool) {
		out := make([]query.Expr, len(list))
		for i, e := range list {
			var ok bool
			if out[i], ok = asQuery(e); !ok {
				return nil, false
			}
		}
		return out, true
	}
	switch e := e.(type) {
	case *rules.Match:
		return e.Of, true
	case *rules.Defined:
		return asQuery(e.Of)
	case *rules.Not:
		q, ok := asQuery(e.Of)
		return query.Not{Of: q}, ok
	case *rules.And:
		list, ok := each(e.Of)
		return query.And{Of: list}, ok
	case *rules.Or:
		list, ok := each(e.Of)
		return query.Or{Of: list}, ok
	}
	return nil, false
}

// top compiles a condition that machines ask.
func (c *compiler) top(e rules.Expr) (condition, error) {
	f, err := c.condition(e, false)
	return func(s *scene) bool {
		s.scratch = s.scratch[:0]
		return f(s)
	}, err
}

func (c *compiler) condition(e rules.Expr, alone bool) (condition, error) {
	if constant, ok := e.(*rules.Const); ok {
		yes := constant.Value == true
		return func(*scene) bool { return yes }, nil
	}
	if !alone && rules.EventAlone(e) {
		n, err := c.bit(e)
		mask := uint64(1) << n
		return func(s *scene) bool { return s.now != nil && s.now.bits&mask != 0 }, err
	}
	switch e := e.(type) {
	case *rules.Defined:
		return c.condition(e.Of, alone)
	case *rules.Match:
		f := query.Compile(e.Of)
		return func(s *scene) bool { return f(s.ev) }, nil
	case *rules.Not:
		f, err := c.condition(e.Of, alone)
		return func(s *scene) bool { return !f(s) }, err
	case *rules.And:
		fs, err := c.each(e.Of, alone, func(list []rules.Expr) rules.Expr { return &rules.And{At: e.At, Of: list} })
		return allHold(fs), err
	case *rules.Or:
		fs, err := c.each(e.Of, alone, func(list []rules.Expr) rules.Expr { return &rules.Or{At: e.At, Of: list} })
		return anyHolds(fs), err
	case *rules.Compare:
		return c.comparison(e, alone)
	case *rules.InList:
		return c.inList(e, alone)
	case *rules.Call:
		return c.callCondition(e, alone)
	}
	t, err := c.term(e, alone) // first_seen, a field of true or false
	return func(s *scene) bool {
		v := t(s)
		return v.kind == boolean && v.number != 0
	}, err
}

// each compiles the parts of && or ||; those on the event alone together, as one bit.
func (c *compiler) each(list []rules.Expr, alone bool, join func([]rules.Expr) rules.Expr) ([]condition, error) {
	if !alone {
		list = togetherAlone(list, join)
	}
	fs := make([]condition, len(list))
	for i, e := range list {
		var err error
		if fs[i], err = c.condition(e, alone); err != nil {
			return nil, err
		}
	}
	return fs, nil
}

func togetherAlone(list []rules.Expr, join func([]rules.Expr) rules.Expr) []rules.Expr {
	var mine, others []rules.Expr
	for _, e := range list {
		if rules.EventAlone(e) {
			mine = append(mine, e)
		} else {
			others = append(others, e)
		}
	}
	switch len(mine) {
	case 0:
		return others
	case 1:
		return append(mine, others...)
	}
	return append([]rules.Expr{join(mine)}, others...)
}

func allHold(fs []condition) condition {
	return func(s *scene) bool {
		for _, f := range fs {
			if !f(s) {
				return false
			}
		}
		return true
	}
}

func anyHolds(fs []condition) condition {
	return func(s *scene) bool {
		for _, f := range fs {
			if f(s) {
				return true
			}
		}
		return false
	}
}

func isNull(e rules.Expr) bool {
	constant, ok := e.(*rules.Const)
	return ok && constant.Value == nil
}

func (c *compiler) comparison(e *rules.Compare, alone bool) (condition, error) {
	left, right := e.Left, e.Right
	if isNull(left) {
		left, right = right, left
	}
	if isNull(right) {
		defer c.notNeeded()()
		t, err := c.term(left, alone)
		want := e.Op == query.Eq
		return func(s *scene) bool { return (t(s).kind == null) == want }, err
	}
	a, err := c.term(e.Left, alone)
	if err != nil {
		return nil, err
	}
	b, err := c.term(e.Right, alone)
	op, fold := e.Op, rules.Folds(e.Left) || rules.Folds(e.Right)
	return func(s *scene) bool { return compareValues(op, a(s), b(s), fold) }, err
}

// notNeeded lets terms be asked of prev that it need not have.
func (c *compiler) notNeeded() (end func()) {
	needs := c.needs
	c.needs = nil
	return func() { c.needs = needs }
}

func (c *compiler) inList(e *rules.InList, alone bool) (condition, error) {
	if len(e.List.Values) == 0 { // a list that a site has not filled
		return func(*scene) bool { return false }, nil
	}
	contains := e.List.Contains
	if rules.Folds(e.Term) {
		contains = e.List.ContainsFold
	}
	if f, ok := e.Term.(*rules.Field); ok && alone && severalValues(f.Field) {
		each := everyValue(f.Field)
		return func(s *scene) bool { return each(s, contains) }, nil
	}
	t, err := c.term(e.Term, alone)
	return func(s *scene) bool {
		v := t(s)
		return v.kind != null && contains(s.render(v))
	}, err
}

func (c *compiler) callCondition(e *rules.Call, alone bool) (condition, error) {
	switch e.Name {
	case "outside", "within":
		return c.hours(e)
	case "exists":
		defer c.notNeeded()()
		t, err := c.term(e.Args[0], alone)
		return func(s *scene) bool { return t(s).kind != null }, err
	}
	t, err := c.term(e.Args[0], alone)
	if err != nil {
		return nil, err
	}
	switch e.Name {
	case "cidr":
		return inNetworks(e, t)
	case "matches":
		return matching(e, t)
	case "contains", "startswith", "endswith":
		part, err := c.term(e.Args[1], alone)
		test, fold := textTests[e.Name], rules.Folds(e.Args[0])
		return func(s *scene) bool {
			a, b := t(s), part(s)
			if a.kind == null || b.kind == null {
				return false
			}
			in, what := s.render(a), s.render(b)
			if fold {
				in, what = s.lower(in), s.lower(what)
			}
			return test(in, what)
		}, err
	}
	return nil, wrongAt(e, "%s() is no condition", e.Name)
}

func (c *compiler) hours(e *rules.Call) (condition, error) {
	if e.Hours == nil {
		return nil, wrongAt(e, "%s() has no hours", e.Name)
	}
	hours, want := *e.Hours, e.Name == "within"
	if hours.Zone == nil {
		hours.Zone = c.o.Zone
	}
	return func(s *scene) bool { return s.ev.Time != 0 && hours.Within(s.ev.Time.Std()) == want }, nil
}

func constantText(e rules.Expr) (string, bool) {
	constant, ok := e.(*rules.Const)
	if !ok {
		return "", false
	}
	t, ok := constant.Value.(string)
	return t, ok
}

func inNetworks(e *rules.Call, t term) (condition, error) {
	networks := make([]string, 0, len(e.Args))
	for _, arg := range e.Args[1:] {
		n, ok := constantText(arg)
		if !ok {
			return nil, wrongAt(arg, "cidr() wants networks as texts")
		}
		networks = append(networks, n)
	}
	made, err := query.NewCIDR(query.Field{ID: event.FieldSourceIp}, networks)
	if err != nil {
		return nil, wrongAt(e, "%w", err)
	}
	prefixes := made.(query.CIDR).Networks
	return func(s *scene) bool {
		v := t(s)
		return v.kind == text && inAny(prefixes, v.text)
	}, nil
}

func matching(e *rules.Call, t term) (condition, error) {
	pattern, ok := constantText(e.Args[1])
	if !ok {
		return nil, wrongAt(e, "matches() wants a pattern as a text")
	}
	if rules.Folds(e.Args[0]) {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, wrongAt(e, "read pattern: %w", err)
	}
	return func(s *scene) bool {
		v := t(s)
		return v.kind != null && re.MatchString(s.render(v))
	}, nil
}
