package detection

import (
	"slices"
	"strings"

	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// alternative is one way in which a rule fires: all of its parts hold. The alternatives of a rule are joined by "or".
type alternative struct {
	of     rules.Expr
	event  condition    // asked of the event that fires
	counts []rules.Expr // comparisons of what is worked out over the window
	first  []*rules.Aggregate
}

const mostAlternatives = 16

// alternatives takes fire apart.
func (t *translator) alternatives(fire rules.Expr) (list []alternative, missing []error) {
	if fire == nil {
		return []alternative{{event: always}}, nil
	}
	split := disjuncts(fire, false)
	if len(split) > mostAlternatives {
		return nil, []error{cannotf("fire has more than %d alternatives", mostAlternatives)}
	}
	split = slices.DeleteFunc(split, func(parts []rules.Expr) bool { return t.neverTrue(parts) })
	for i, parts := range split {
		if t.implied(split, i) {
			continue
		}
		a := alternative{of: &rules.And{Of: parts}, event: always}
		var err error
		for _, p := range parts {
			if err = t.add(&a, p); err != nil {
				break
			}
		}
		switch {
		case err != nil:
		case len(a.first) > 0 && len(a.counts) > 0:
			err = cannotf("%s is to hold together with %s, and a new terms rule counts nothing", quoted(t.text(a.first[0])), quoted(t.text(a.counts[0])))
		case len(a.first) > 1:
			err = cannotf("%s is to hold together with %s, and a new terms rule looks for one new value", quoted(t.text(a.first[0])), quoted(t.text(a.first[1])))
		}
		if err != nil {
			missing = append(missing, err)
		} else {
			list = append(list, a)
		}
	}
	return list, missing
}

// neverTrue tells of what is false by the contents of lists alone.
func (t *translator) neverTrue(parts []rules.Expr) bool {
	return slices.ContainsFunc(parts, func(e rules.Expr) bool {
		c, err := t.eventCondition(e)
		return err == nil && isNever(c)
	})
}

func (t *translator) eventCondition(e rules.Expr) (condition, error) {
	if !rules.EventAlone(e) {
		return nil, cannotf("%s is not of one event", quoted(t.text(e)))
	}
	return t.condition(e)
}

// implied tells that another alternative asks for less: each of its parts is among those of this one. Of equal ones the first stays.
func (t *translator) implied(list [][]rules.Expr, i int) bool {
	telling := func(parts []rules.Expr) (texts []string) {
		for _, p := range parts {
			if c, err := t.eventCondition(p); err != nil || !isAlways(c) {
				texts = append(texts, rules.Canonical(p))
			}
		}
		return texts
	}
	mine := telling(list[i])
	for j := range list {
		other := telling(list[j])
		if i != j && (len(other) < len(mine) || len(other) == len(mine) && j < i) &&
			!slices.ContainsFunc(other, func(p string) bool { return !slices.Contains(mine, p) }) {
			return true
		}
	}
	return false
}

// disjuncts is a condition as alternatives of parts. What asks one event alone stays in one piece.
func disjuncts(e rules.Expr, negated bool) [][]rules.Expr {
	if rules.EventAlone(e) {
		if negated {
			e = &rules.Not{Of: e}
		}
		return [][]rules.Expr{{e}}
	}
	switch of := e.(type) {
	case *rules.Defined:
		return disjuncts(of.Of, negated)
	case *rules.Not:
		return disjuncts(of.Of, !negated)
	case *rules.And:
		if negated {
			return either(of.Of, negated)
		}
		return both(of.Of, negated)
	case *rules.Or:
		if negated {
			return both(of.Of, negated)
		}
		return either(of.Of, negated)
	}
	if negated {
		e = &rules.Not{Of: e}
	}
	return [][]rules.Expr{{e}}
}

func either(of []rules.Expr, negated bool) (list [][]rules.Expr) {
	for _, one := range of {
		list = append(list, disjuncts(one, negated)...)
	}
	return list
}

func both(of []rules.Expr, negated bool) [][]rules.Expr {
	list := [][]rules.Expr{nil}
	for _, one := range of {
		var longer [][]rules.Expr
		for _, parts := range disjuncts(one, negated) {
			for _, had := range list {
				longer = append(longer, slices.Concat(had, parts))
			}
		}
		if list = longer; len(list) > mostAlternatives {
			return list
		}
	}
	return list
}

// add sorts one part of an alternative.
func (t *translator) add(a *alternative, e rules.Expr) error {
	if rules.EventAlone(e) {
		c, err := t.condition(e)
		if err == nil {
			a.event = all(a.event, c)
		}
		return err
	}
	if first, ok := e.(*rules.Aggregate); ok && first.Kind == rules.FirstSeen {
		a.first = append(a.first, first)
		return nil
	}
	if n, ok := e.(*rules.Not); ok {
		if first, ok := n.Of.(*rules.Aggregate); ok && first.Kind == rules.FirstSeen {
			return cannotf("%s asks that something is not new, and a new terms rule knows only what is", quoted(t.text(e)))
		}
	}
	var err error
	aggregates := 0
	rules.Walk(e, func(node rules.Expr) bool {
		switch node := node.(type) {
		case *rules.Aggregate:
			if err == nil && aggregateReasons[node.Kind] != "" {
				err = t.nodeReason(node)
			}
			aggregates++
			return false
		case *rules.Field:
			if err == nil {
				if err = t.nodeReason(node); err == nil {
					err = cannotf("%s holds a figure over the window against %s of the event", quoted(t.text(e)), node.Field.Name())
				}
			}
		}
		return true
	})
	if err == nil && aggregates == 0 {
		err = t.reason(e)
	}
	a.counts = append(a.counts, e)
	return err
}

// least reads a comparison that asks an aggregate for at least a whole number.
func least(e rules.Expr) (a *rules.Aggregate, n int64, ok bool) {
	c, isCompare := e.(*rules.Compare)
	if !isCompare {
		return nil, 0, false
	}
	left, right, op := c.Left, c.Right, c.Op
	if _, swapped := left.(*rules.Const); swapped {
		left, right, op = right, left, op.Mirrored()
	}
	a, isAggregate := left.(*rules.Aggregate)
	k, isConst := right.(*rules.Const)
	if !isAggregate || !isConst || op != query.Ge && op != query.Gt {
		return nil, 0, false
	}
	f, isNumber := k.Value.(float64)
	if !isNumber || f < 0 || f > 1e15 {
		return nil, 0, false
	}
	n = int64(f)
	if op == query.Gt || float64(n) < f {
		n++
	}
	return a, n, true
}

func (t *translator) termsText(terms []rules.Expr) string {
	var list []string
	for _, e := range terms {
		list = append(list, t.text(e))
	}
	return strings.Join(list, ", ")
}
