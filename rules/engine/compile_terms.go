package engine

import (
	"slices"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// slot numbers a term of the event alone.
func (c *compiler) slot(e rules.Expr) (int, error) {
	return c.slotOf(rules.Canonical(e), e, func() (term, error) { return c.term(e, true) })
}

func (c *compiler) slotOf(name string, e rules.Expr, make func() (term, error)) (int, error) {
	if n, ok := c.slots[name]; ok {
		return n, nil
	}
	if c.frozen {
		return 0, wrongAt(e, "not among the terms of the rule")
	}
	t, err := make()
	if err != nil {
		return 0, err
	}
	n := len(c.getters)
	c.getters, c.p.remembered = append(c.getters, t), append(c.p.remembered, false)
	c.slots[name] = n
	return n, nil
}

func (c *compiler) term(e rules.Expr, alone bool) (term, error) {
	if constant, ok := e.(*rules.Const); ok {
		v, err := constantValue(constant)
		return func(*scene) value { return v }, err
	}
	if n, ok := constantNumber(e); ok {
		return func(*scene) value { return value{kind: number, number: n} }, nil
	}
	if !alone && rules.EventAlone(e) {
		n, err := c.slot(e)
		return func(s *scene) value { return s.now.slot(n) }, err
	}
	switch e := e.(type) {
	case *rules.Defined:
		return c.term(e.Of, alone)
	case *rules.Field:
		if e.From == rules.FromEvent {
			return fieldTerm(e.Field), nil
		}
		return c.remembered(e)
	case *rules.Arith:
		a, err := c.term(e.Left, alone)
		if err != nil {
			return nil, err
		}
		b, err := c.term(e.Right, alone)
		op := e.Op
		return func(s *scene) value { return arithmetic(op, a(s), b(s)) }, err
	case *rules.Aggregate:
		return c.aggregate(e)
	case *rules.Call:
		if !isConditionCall(e.Name) {
			return c.callTerm(e, alone)
		}
	}
	f, err := c.condition(e, alone)
	return func(s *scene) value { return truth(f(s)) }, err
}

func isConditionCall(name string) bool {
	return slices.Contains([]string{"cidr", "contains", "startswith", "endswith", "matches", "exists", "outside", "within"}, name)
}

func constantValue(e *rules.Const) (value, error) {
	switch v := e.Value.(type) {
	case nil:
		return value{}, nil
	case string:
		return value{kind: text, text: v}, nil
	case float64:
		return value{kind: number, number: v}, nil
	case bool:
		return truth(v), nil
	}
	return value{}, wrongAt(e, "a value of type %T", e.Value)
}

// remembered reads a field of the preceding event or of a step.
func (c *compiler) remembered(e *rules.Field) (term, error) {
	n, err := c.slot(&rules.Field{At: e.At, From: rules.FromEvent, Field: e.Field})
	if err != nil {
		return nil, err
	}
	c.p.remembered[n] = true
	if e.From == rules.FromPrev {
		c.needsPrev(n)
		return func(s *scene) value { return s.prev.slot(n) }, nil
	}
	step := int(e.From)
	return func(s *scene) value {
		if step >= len(s.steps) {
			return value{}
		}
		return s.steps[step].slot(n)
	}, nil
}

func (c *compiler) needsPrev(slot int) {
	c.p.usesPrev = true
	if c.needs != nil {
		c.needs[slot] = true
	}
}

func (c *compiler) callTerm(e *rules.Call, alone bool) (term, error) {
	switch e.Name {
	case "hour", "weekday":
		zone, hour := e.Zone, e.Name == "hour"
		if zone == nil {
			zone = c.o.Zone
		}
		return func(s *scene) value { return clockValue(s.ev.Time, zone, hour) }, nil
	case "coalesce":
		defer c.notNeeded()()
	}
	ts := make([]term, len(e.Args))
	for i, arg := range e.Args {
		var err error
		if ts[i], err = c.term(arg, alone); err != nil {
			return nil, err
		}
	}
	switch e.Name {
	case "coalesce":
		return func(s *scene) value {
			for _, t := range ts {
				if v := t(s); v.kind != null {
					return v
				}
			}
			return value{}
		}, nil
	case "lower":
		t := ts[0]
		return func(s *scene) value {
			v := t(s)
			v.text = s.lower(v.text)
			return v
		}, nil
	case "domain_of":
		t := ts[0]
		return func(s *scene) value { return s.domainOf(t(s)) }, nil
	}
	return nil, wrongAt(e, "%s() is no term", e.Name)
}

func clockValue(at event.Time, zone *time.Location, hour bool) value {
	if at == 0 {
		return value{}
	}
	t := at.Std().In(zone)
	if hour {
		return value{kind: number, number: float64(t.Hour())}
	}
	return value{kind: number, number: float64(t.Weekday())}
}

// aggregate numbers an aggregate; those of prev alone are worked out here.
func (c *compiler) aggregate(e *rules.Aggregate) (term, error) {
	switch e.Kind {
	case rules.Since:
		c.p.usesPrev = true
		return func(s *scene) value {
			if s.now == nil || s.prev == nil {
				return value{}
			}
			return value{kind: number, number: float64(s.now.time-s.prev.time) / 1e9}
		}, nil
	case rules.GapKM, rules.SpeedKMH:
		n, err := c.slotOf("place", e, func() (term, error) { return placeOf, nil })
		if err != nil {
			return nil, err
		}
		c.p.remembered[n] = true
		c.needsPrev(n)
		speed := e.Kind == rules.SpeedKMH
		return func(s *scene) value { return travel(s, n, speed) }, nil
	}
	n, err := c.numberOf(e)
	if c.used != nil {
		c.used[n] = true
	}
	return func(s *scene) value {
		if s.aggregate == nil {
			return value{}
		}
		return s.aggregate(n)
	}, err
}

func (c *compiler) numberOf(e *rules.Aggregate) (int, error) {
	text := rules.Canonical(e)
	if n, ok := c.aggs[text]; ok {
		return n, nil
	}
	if c.frozen {
		return 0, wrongAt(e, "not among the aggregates of the rule")
	}
	a := aggregate{kind: e.Kind, horizon: e.Horizon, slot: e.Slot, quantile: e.Quantile, number: len(c.p.aggregates)}
	for _, t := range e.Terms {
		n, err := c.slot(t)
		if err != nil {
			return 0, err
		}
		a.terms = append(a.terms, n)
	}
	if e.Cond != nil {
		n, err := c.bit(e.Cond)
		if err != nil {
			return 0, err
		}
		a.bit = 1 << n
	}
	c.p.aggregates = append(c.p.aggregates, a)
	c.aggs[text] = a.number
	return a.number, nil
}
