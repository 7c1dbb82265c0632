package rules

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// exprReader makes trees of the expressions of a rule. What is wrong is noted at its place in file, and the result is nil then.
//
//	hclsyntax -> condition, term, groupings, template
//	               one event field against constants -> package query -> Match
//	               everything else                   -> checked for types -> Compare, Call, Aggregate ...
//
// The members say what may be used: a reader is made for each place that expressions stand in.
type exprReader struct {
	file    *conf.File
	defined func(name string) Expr  // nil where there is no such define, or it is in error
	list    func(name string) *List // nil where there is no such list, or it is in error
	names   func() []string         // of all defines and lists, in error too

	steps      []string // steps[i] is the name of the sequence's step i; "" where it cannot be referred to: without, and this step itself
	prev       bool     // prev may be used
	aggregates bool
	zone       *time.Location // of times and hours that name none; nil is UTC

	aggregate string // name of the aggregate whose arguments are being read
	nodes     int    // of the expression so far, with what its defines stand for
}

// maxNodes bounds an expression, with what its defines stand for: each use of a define counts as if it were written out.
const maxNodes = 2000

// condition reads what is true or false.
func (x *exprReader) condition(e hcl.Expression) Expr {
	x.nodes = 0
	if syntax := x.syntax(e); syntax != nil {
		return x.cond(syntax)
	}
	return nil
}

// term reads what has a value.
func (x *exprReader) term(e hcl.Expression) Expr {
	x.nodes = 0
	if syntax := x.syntax(e); syntax != nil {
		return x.value(syntax)
	}
	return nil
}

func (x *exprReader) syntax(e hcl.Expression) hclsyntax.Expression {
	syntax, ok := e.(hclsyntax.Expression)
	if !ok {
		x.fail(e.Range(), "an expression cannot be read from JSON syntax", "")
		return nil
	}
	return syntax
}

// fail notes an error; it returns nil for callers that return it at once.
func (x *exprReader) fail(at hcl.Range, message, remedy string) Expr {
	x.file.ErrorAt(at, message, remedy)
	return nil
}

// room counts a node.
func (x *exprReader) room(at hcl.Range, nodes int) bool {
	before := x.nodes
	x.nodes += nodes
	if before <= maxNodes && x.nodes > maxNodes {
		x.fail(at, "the expression has more than 2000 parts, its defines written out", "use a list, or several rules")
	}
	return x.nodes <= maxNodes
}

func (x *exprReader) cond(e hclsyntax.Expression) Expr {
	e = bare(e)
	if !x.room(e.Range(), 1) {
		return nil
	}
	switch e := e.(type) {
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpLogicalNot {
			if of := x.cond(e.Val); of != nil {
				return &Not{At{e.Range()}, of}
			}
			return nil
		}
	case *hclsyntax.BinaryOpExpr:
		if e.Op == hclsyntax.OpLogicalAnd || e.Op == hclsyntax.OpLogicalOr {
			return x.joined(e)
		}
		if op, ok := query.OpOf(e.Op); ok {
			return x.comparison(e, op)
		}
	case *hclsyntax.FunctionCallExpr:
		made := x.call(e)
		if made == nil || isCondition(made) {
			return made
		}
		return x.fail(e.Range(), e.Name+"() is "+kindOf(made).String()+", not a condition", "compare it: "+e.Name+"(...) "+exampleOf(kindOf(made)))
	case *hclsyntax.LiteralValueExpr:
		if e.Val.IsKnown() && !e.Val.IsNull() && e.Val.Type() == cty.Bool {
			return &Match{At{e.Range()}, query.Const{True: e.Val.True()}}
		}
	case *hclsyntax.ScopeTraversalExpr:
		return x.nameAsCondition(e)
	}
	return x.noCondition(e)
}

// joined reads a && b && c, or a || b || c, as one list.
func (x *exprReader) joined(e *hclsyntax.BinaryOpExpr) Expr {
	var list []Expr
	ok := true
	for _, operand := range operandsOf(e, e.Op, nil) {
		if one := x.cond(operand); one != nil {
			list = append(list, one)
		} else {
			ok = false
		}
	}
	switch {
	case !ok:
		return nil
	case e.Op == hclsyntax.OpLogicalAnd:
		return &And{At{e.Range()}, list}
	}
	return &Or{At{e.Range()}, list}
}

func operandsOf(e hclsyntax.Expression, op *hclsyntax.Operation, list []hclsyntax.Expression) []hclsyntax.Expression {
	if b, ok := bare(e).(*hclsyntax.BinaryOpExpr); ok && b.Op == op {
		return operandsOf(b.RHS, op, operandsOf(b.LHS, op, list))
	}
	return append(list, e)
}

func bare(e hclsyntax.Expression) hclsyntax.Expression {
	for {
		q, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return e
		}
		e = q.Expression
	}
}

// nameAsCondition reads a define, or a field that is true or false.
func (x *exprReader) nameAsCondition(e *hclsyntax.ScopeTraversalExpr) Expr {
	name := e.Traversal.RootName()
	if len(e.Traversal) == 1 {
		if of := x.definition(name); of != nil {
			return x.use(e, name, of)
		}
	}
	f := x.field(e)
	if f == nil {
		return nil
	}
	if kindOf(f) != boolKind {
		return x.fail(e.Range(), x.show(f)+" alone is no condition", "compare it: "+x.show(f)+" "+exampleOf(kindOf(f)))
	}
	if f.From == FromEvent {
		return &Match{At{e.Range()}, query.Compare{Field: f.Field, Op: query.Eq, Value: query.Value{Kind: event.Int, Int: 1}}}
	}
	return &Compare{At{e.Range()}, query.Eq, f, &Const{At{e.Range()}, true}}
}

// use checks that a define may stand here.
func (x *exprReader) use(e hclsyntax.Expression, name string, of Expr) Expr {
	size, what := 0, ""
	Walk(of, func(e Expr) bool {
		size++
		switch e := e.(type) {
		case *Aggregate:
			if !x.aggregates {
				what = string(e.Kind) + "()"
			}
		case *Field:
			if e.From == FromPrev && !x.prev {
				what = "prev"
			}
		}
		return size <= maxNodes
	})
	if what != "" {
		message, remedy := x.notHere(what)
		return x.fail(e.Range(), name+" asks for "+what+": "+message, remedy)
	}
	if !x.room(e.Range(), size) {
		return nil
	}
	return &Defined{At{e.Range()}, name, of}
}

// comparison reads left op right. A constant goes to the right.
func (x *exprReader) comparison(e *hclsyntax.BinaryOpExpr, op query.Op) Expr {
	left, right := bare(e.LHS), bare(e.RHS)
	if isNull(left) || isLiteral(left) && !isNull(right) && !isLiteral(right) {
		left, right, op = right, left, op.Mirrored()
	}
	if isNull(right) {
		return x.nullComparison(e, op, left)
	}
	if x.isEventField(left) && isLiteral(right) {
		f := x.fieldOrLower(left)
		if f == nil || !x.ordered(e.Range(), op, f) {
			return nil
		}
		return x.match(e)
	}
	l, r := x.value(left), x.value(right)
	if l == nil || r == nil {
		return nil
	}
	if _, ok := l.(*Const); ok {
		l, r, op = r, l, op.Mirrored()
	}
	if c, ok := r.(*Const); ok {
		if _, ok := l.(*Const); ok {
			return x.fail(e.Range(), "both sides are constants", "one side has to be a field or a function of the event")
		}
		if r = x.fit(l, c); r == nil || !x.reachable(e.Range(), l, c) {
			return nil
		}
	} else if kl, kr := kindOf(l), kindOf(r); kl != kr {
		return x.fail(e.Range(), x.show(l)+" is "+kl.String()+", and "+x.show(r)+" is "+kr.String(), "both sides have to be of one type")
	}
	if !x.ordered(e.Range(), op, l) {
		return nil
	}
	if f, ok := l.(*Field); ok && f.From == FromEvent {
		if c, ok := r.(*Const); ok {
			return x.computed(e, f, op, c)
		}
	}
	return &Compare{At{e.Range()}, op, l, r}
}

// computed makes a question of a field of the event against a constant that was worked out, such as duration("60d").
func (x *exprReader) computed(e hclsyntax.Expression, f *Field, op query.Op, c *Const) Expr {
	n, ok := c.Value.(float64)
	if !ok || kindOf(f) == timeKind { // no function of constants gives a time that query could hold exactly
		return &Compare{At{e.Range()}, op, f, c}
	}
	made, err := query.NewCompare(f.Field, op, query.Value{Kind: event.Num, Num: n})
	if err != nil {
		return x.tell(e.Range(), err)
	}
	return &Match{At{e.Range()}, made}
}

func (x *exprReader) nullComparison(e hclsyntax.Expression, op query.Op, left hclsyntax.Expression) Expr {
	if op != query.Eq && op != query.Ne {
		return x.fail(e.Range(), "null can only be asked for by == and !=", "a comparison with what is missing is false anyway")
	}
	if x.isEventField(left) { // of any type, with several values too
		f := x.fieldOrLower(left)
		if f == nil {
			return nil
		}
		return &Match{At{e.Range()}, existence(f.Field, op == query.Ne)}
	}
	var l Expr
	if name, ok := left.(*hclsyntax.ScopeTraversalExpr); ok && !x.isDefine(name) {
		f := x.field(name)
		if f == nil || !x.single(name.Range(), f) {
			return nil
		}
		l = f
	} else if l = x.value(left); l == nil {
		return nil
	}
	if isConst(l) {
		return x.fail(e.Range(), "a constant is never null", "ask a field: FIELD == null")
	}
	return &Compare{At{e.Range()}, op, l, &Const{At: At{e.Range()}}}
}

func existence(f query.Field, there bool) query.Expr {
	f.Fold = false // lower(FIELD) is there where FIELD is
	if there {
		return query.Exists{Field: f}
	}
	return query.Not{Of: query.Exists{Field: f}}
}

// match lets package query read what concerns one field of the event and constants.
func (x *exprReader) match(e hclsyntax.Expression) Expr {
	of, diags := query.FromHCLIn(e, x.zone)
	for _, d := range diags {
		x.fail(*d.Subject, d.Summary, d.Detail)
	}
	if len(diags) > 0 {
		return nil
	}
	return &Match{At{e.Range()}, of}
}

// isCondition tells conditions from terms.
func isCondition(e Expr) bool {
	switch e := e.(type) {
	case *Field, *Const, *Arith:
		return false
	case *Aggregate:
		return e.Kind == FirstSeen
	case *Call:
		switch e.Name {
		case "lower", "hour", "weekday", "domain_of", "coalesce":
			return false
		}
	}
	return true
}
