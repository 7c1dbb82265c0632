package engine

import (
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// threshold reads a comparison of an aggregate with a number: Aggregate Op number.
func threshold(e *rules.Compare) (a *rules.Aggregate, op query.Op, n float64, ok bool) {
	op = e.Op
	left, right := e.Left, e.Right
	if _, is := left.(*rules.Aggregate); !is {
		left, right, op = right, left, turned[op]
	}
	if a, ok = left.(*rules.Aggregate); !ok {
		return nil, op, 0, false
	}
	n, ok = constantNumber(right)
	return a, op, n, ok
}

var turned = [...]query.Op{query.Eq: query.Eq, query.Ne: query.Ne, query.Lt: query.Gt, query.Le: query.Ge, query.Gt: query.Lt, query.Ge: query.Le}

// constantNumber works out what is written with numbers alone.
func constantNumber(e rules.Expr) (float64, bool) {
	switch e := e.(type) {
	case *rules.Const:
		n, ok := e.Value.(float64)
		return n, ok
	case *rules.Arith:
		a, ok := constantNumber(e.Left)
		b, ok2 := constantNumber(e.Right)
		v := arithmetic(e.Op, value{kind: number, number: a}, value{kind: number, number: b})
		return v.number, ok && ok2 && v.kind == number
	}
	return 0, false
}

// monotone tells whether a firing can only become true by more events, never false: such a rule fires at once.
func monotone(e rules.Expr) bool {
	if rules.EventAlone(e) {
		return true
	}
	switch e := e.(type) {
	case *rules.Defined:
		return monotone(e.Of)
	case *rules.And:
		return allOf(e.Of, monotone)
	case *rules.Or:
		return allOf(e.Of, monotone)
	case *rules.Compare:
		a, op, _, ok := threshold(e)
		if !ok {
			return false
		}
		switch a.Kind {
		case rules.Count, rules.Distinct, rules.Sum, rules.Max:
			return op == query.Gt || op == query.Ge
		case rules.Min:
			return op == query.Lt || op == query.Le
		}
	}
	return false
}

func allOf(list []rules.Expr, f func(rules.Expr) bool) bool {
	for _, e := range list {
		if !f(e) {
			return false
		}
	}
	return true
}

// progress measures how near fire is: aggregates by their thresholds, the least of what && joins, the most of what || joins; nil where
// nothing can be said.
func (c *compiler) progress(e rules.Expr) func(*scene) float64 {
	switch e := e.(type) {
	case *rules.Defined:
		return c.progress(e.Of)
	case *rules.And:
		return leastOf(c.eachProgress(e.Of))
	case *rules.Or:
		return mostOf(c.eachProgress(e.Of))
	case *rules.Compare:
		a, op, n, ok := threshold(e)
		if !ok || n <= 0 || op != query.Ge && op != query.Gt && op != query.Eq {
			return nil
		}
		switch a.Kind {
		case rules.Count, rules.Distinct, rules.Sum, rules.Max, rules.ActiveDistinct:
			t, err := c.aggregate(a)
			if err != nil {
				return nil
			}
			return func(s *scene) float64 { return min(1, max(0, t(s).number/n)) }
		}
	}
	return nil
}

func (c *compiler) eachProgress(list []rules.Expr) []func(*scene) float64 {
	var fs []func(*scene) float64
	for _, e := range list {
		if f := c.progress(e); f != nil {
			fs = append(fs, f)
		}
	}
	return fs
}

func leastOf(fs []func(*scene) float64) func(*scene) float64 {
	if len(fs) < 2 {
		return onlyProgress(fs)
	}
	return func(s *scene) float64 {
		least := fs[0](s)
		for _, f := range fs[1:] {
			least = min(least, f(s))
		}
		return least
	}
}

func mostOf(fs []func(*scene) float64) func(*scene) float64 {
	if len(fs) < 2 {
		return onlyProgress(fs)
	}
	return func(s *scene) float64 {
		most := fs[0](s)
		for _, f := range fs[1:] {
			most = max(most, f(s))
		}
		return most
	}
}

func onlyProgress(fs []func(*scene) float64) func(*scene) float64 {
	if len(fs) == 0 {
		return nil
	}
	return fs[0]
}
