package rules

import (
	"fmt"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// maxTuple bounds the terms of a tuple or grouping.
const maxTuple = 8

var slotNames = []string{"hour-of-day", "hour-of-week", "day-of-week"}

// aggregateCall reads what is worked out over several events; how many arguments there are is checked already.
func (x *exprReader) aggregateCall(e *hclsyntax.FunctionCallExpr, kind AggregateKind) Expr {
	a := &Aggregate{At: At{e.Range()}, Kind: kind}
	ok := true
	switch kind {
	case Count, Ratio:
		if len(e.Args) == 1 {
			x.alone(e.Name, func() { a.Cond = x.cond(e.Args[0]) })
			ok = a.Cond != nil
		}
	case Distinct, ActiveDistinct:
		a.Terms = x.tuple(e.Name, e.Args)
		ok = a.Terms != nil
	case Sum, Min, Max:
		a.Terms = x.tuple(e.Name, e.Args)
		if ok = a.Terms != nil; ok && kindOf(a.Terms[0]) != numberKind {
			return x.fail(e.Args[0].Range(), fmt.Sprintf("%s() wants a number, and %s is %s", e.Name, x.show(a.Terms[0]), kindOf(a.Terms[0])), "")
		}
	case FirstSeen, Rarity:
		a.Terms = x.tuple(e.Name, e.Args[:1])
		a.Horizon, ok = x.horizon(e.Args[1])
		ok = ok && a.Terms != nil
	case Since, GapKM, SpeedKMH:
		ok = x.previous(e)
	case Baseline:
		ok = x.baseline(e, a)
	}
	if !ok {
		return nil
	}
	return a
}

// alone reads the arguments of an aggregate, which concern one event each.
func (x *exprReader) alone(name string, read func()) {
	before := *x
	x.aggregate, x.prev, x.aggregates, x.steps = name, false, false, nil
	read()
	nodes := x.nodes
	*x = before
	x.nodes = nodes
}

// tuple reads f(x, y) or f([x, y]); nil after an error.
func (x *exprReader) tuple(name string, args []hclsyntax.Expression) (terms []Expr) {
	if len(args) == 1 {
		if list, ok := bare(args[0]).(*hclsyntax.TupleConsExpr); ok {
			if args = list.Exprs; len(args) == 0 {
				x.fail(list.Range(), "there is nothing between the brackets", "write "+functionNamed(name).example)
				return nil
			}
			if name == "sum" || name == "min" || name == "max" {
				x.fail(list.Range(), name+"() wants one number", "write "+functionNamed(name).example)
				return nil
			}
		}
	}
	x.alone(name, func() { terms = x.keyTerms(args) })
	return terms
}

// keyTerms reads terms that identify something together: of the event alone, one value each.
func (x *exprReader) keyTerms(list []hclsyntax.Expression) []Expr {
	if len(list) > maxTuple {
		x.fail(list[maxTuple].Range(), fmt.Sprintf("more than %d terms belong together here", maxTuple), "")
		return nil
	}
	terms, seen := make([]Expr, 0, len(list)), map[string]bool{}
	ok := true
	for _, e := range list {
		t := x.value(e)
		switch {
		case t == nil:
			ok = false
		case isConst(t):
			ok = false
			x.fail(e.Range(), "a constant is the same for all events", "want a field or a function of one here; fields stand without quotes")
		case seen[canonical(t)]:
			ok = false
			x.fail(e.Range(), x.show(t)+" stands here twice", "")
		default:
			seen[canonical(t)] = true
			terms = append(terms, t)
		}
	}
	if !ok {
		return nil
	}
	return terms
}

// horizon reads how far back something looks.
func (x *exprReader) horizon(e hclsyntax.Expression) (time.Duration, bool) {
	text, ok := x.literalText(e, "want a length of time in quotes here", `write "90d"`)
	if !ok {
		return 0, false
	}
	d, err := conf.ParseDuration(text)
	switch {
	case err != nil:
		x.fail(e.Range(), fmt.Sprintf("%q is no length of time: %v", text, err), `write "90d"`)
	case d < time.Second:
		x.fail(e.Range(), "the length of time is less than a second", `write "90d"`)
	default:
		return d, true
	}
	return 0, false
}

// previous reads (prev).
func (x *exprReader) previous(e *hclsyntax.FunctionCallExpr) bool {
	t, ok := bare(e.Args[0]).(*hclsyntax.ScopeTraversalExpr)
	if !ok || t.Traversal.RootName() != "prev" || len(t.Traversal) > 1 {
		x.fail(e.Args[0].Range(), e.Name+"() looks from the preceding event to this one", "write "+e.Name+"(prev)")
		return false
	}
	if !x.prev {
		message, remedy := x.notHere("prev")
		x.fail(t.Range(), message, remedy)
	}
	return x.prev
}

func (x *exprReader) baseline(e *hclsyntax.FunctionCallExpr, a *Aggregate) bool {
	slot, ok := x.literalText(e.Args[0], "baseline() wants a slot in quotes first", "write "+functionNamed("baseline").example)
	if !ok {
		return false
	}
	for _, s := range slotNames {
		if s == slot {
			a.Slot = s
		}
	}
	if a.Slot == "" {
		remedy := "the slots are hour-of-day, hour-of-week and day-of-week"
		if near := conf.Suggest(slot, slotNames); near != "" {
			remedy = fmt.Sprintf("did you mean %q?", near)
		}
		x.fail(e.Args[0].Range(), fmt.Sprintf("unknown slot %q", slot), remedy)
		return false
	}
	if a.Horizon, ok = x.horizon(e.Args[1]); !ok {
		return false
	}
	text, typ, ok := query.Literal(e.Args[2])
	if ok && typ == cty.Number {
		a.Quantile, _ = constNumber(constant(e.Args[2].Range(), text, typ))
	}
	if a.Quantile <= 0 || a.Quantile > 1 {
		x.fail(e.Args[2].Range(), "baseline() wants a quantile above 0 and up to 1", "write 0.99")
		return false
	}
	return true
}
