package query

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// FromHCL builds the tree of an HCL expression, without evaluating any of it:
//
//	event.kind == "alert" && event.severity >= 73
//	!(user.name == "root" || source.ip == null) && cidr(source.ip, "203.0.113.0/24", "2001:db8::/32")
//	contains(message, "x"), startswith(f, "x"), endswith(f, "x"), matches(f, "^a+$"), in(f, ["a", "b"]), exists(f), lower(f) == "x"
//
// The diagnostics name every error with its place. The file has to have passed the check of nesting depth that package conf makes.
func FromHCL(expr hcl.Expression) (Expr, hcl.Diagnostics) { return FromHCLIn(expr, nil) }

// FromHCLIn is FromHCL with the zone of times that name none; nil is UTC.
func FromHCLIn(expr hcl.Expression, zone *time.Location) (Expr, hcl.Diagnostics) {
	p := hclParser{zone: zone}
	syntax, ok := expr.(hclsyntax.Expression)
	if !ok {
		at := expr.Range()
		return Const{}, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "a condition cannot be read from JSON syntax", Subject: &at}}
	}
	e := p.expr(syntax)
	return e, p.diags
}

type hclParser struct {
	zone  *time.Location
	diags hcl.Diagnostics
}

func (p *hclParser) errorAt(at hcl.Range, summary, detail string) Expr {
	p.diags = append(p.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
	return Const{}
}

// tell notes what the constructors of the tree say.
func (p *hclParser) tell(at hcl.Range, err error) Expr {
	var f *FieldError
	if errors.As(err, &f) {
		return p.errorAt(at, f.Message, f.Remedy)
	}
	return p.errorAt(at, err.Error(), "")
}

func (p *hclParser) made(at hcl.Range, e Expr, err error) Expr {
	if err != nil {
		return p.tell(at, err)
	}
	return e
}

func (p *hclParser) expr(e hclsyntax.Expression) Expr {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return p.expr(e.Expression)
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpLogicalNot {
			return Not{p.expr(e.Val)}
		}
	case *hclsyntax.BinaryOpExpr:
		return p.binary(e)
	case *hclsyntax.FunctionCallExpr:
		return p.call(e)
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.Bool && !e.Val.IsNull() {
			return Const{e.Val.True()}
		}
	case *hclsyntax.ScopeTraversalExpr:
		f, ok := p.field(e)
		if !ok {
			return Const{}
		}
		if f.Type() == event.Boolean {
			return Compare{f, Eq, Value{Kind: event.Int, Int: 1}}
		}
		return p.errorAt(e.Range(), f.Name()+" alone is no condition", "compare it: "+f.Name()+` == "..."`)
	}
	return p.errorAt(e.Range(), "this is no condition", `write FIELD == "value", joined by && and ||`)
}

var hclOps = map[*hclsyntax.Operation]Op{hclsyntax.OpEqual: Eq, hclsyntax.OpNotEqual: Ne, hclsyntax.OpLessThan: Lt,
	hclsyntax.OpLessThanOrEqual: Le, hclsyntax.OpGreaterThan: Gt, hclsyntax.OpGreaterThanOrEqual: Ge}

// OpOf is the comparison that an operator of HCL stands for; ok is false for other operators.
func OpOf(o *hclsyntax.Operation) (op Op, ok bool) {
	op, ok = hclOps[o]
	return op, ok
}

func (p *hclParser) binary(e *hclsyntax.BinaryOpExpr) Expr {
	switch e.Op {
	case hclsyntax.OpLogicalAnd:
		return And{p.operands(e, e.Op, nil)}
	case hclsyntax.OpLogicalOr:
		return Or{p.operands(e, e.Op, nil)}
	}
	op, ok := OpOf(e.Op)
	if !ok {
		return p.errorAt(e.Range(), "arithmetic is not available here", "a name with a dash needs labels[\"a-b\"]")
	}
	left, right := bare(e.LHS), bare(e.RHS)
	if !isField(left) && isField(right) {
		left, right, op = right, left, op.Mirrored()
	}
	f, ok := p.operand(left)
	if !ok {
		return Const{}
	}
	if isField(right) {
		return p.errorAt(right.Range(), "a field can only be compared with a value", "texts stand in quotes")
	}
	if l, ok := right.(*hclsyntax.LiteralValueExpr); ok && l.Val.IsNull() {
		switch op {
		case Eq:
			return Not{Exists{f}}
		case Ne:
			return Exists{f}
		}
		return p.errorAt(e.Range(), "null can only be asked for by == and !=", "")
	}
	v, ok := p.value(f, right)
	if !ok {
		return Const{}
	}
	made, err := NewCompare(f, op, v)
	return p.made(e.Range(), made, err)
}

// operands flattens a && b && c into one list.
func (p *hclParser) operands(e hclsyntax.Expression, op *hclsyntax.Operation, list []Expr) []Expr {
	if b, ok := bare(e).(*hclsyntax.BinaryOpExpr); ok && b.Op == op {
		return p.operands(b.RHS, op, p.operands(b.LHS, op, list))
	}
	return append(list, p.expr(e))
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

func isField(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return true
	case *hclsyntax.FunctionCallExpr:
		return e.Name == "lower"
	}
	return false
}

// operand reads a field, or lower(field).
func (p *hclParser) operand(e hclsyntax.Expression) (Field, bool) {
	if c, ok := e.(*hclsyntax.FunctionCallExpr); ok && c.Name == "lower" {
		if len(c.Args) != 1 {
			p.errorAt(c.Range(), "lower() wants one field", "")
			return Field{}, false
		}
		f, ok := p.operand(bare(c.Args[0]))
		if t := f.Type(); ok && t != event.Keyword && t != event.Text {
			p.errorAt(c.Range(), fmt.Sprintf("lower() wants a text, and %s is of type %s", f.Name(), t), "")
			return Field{}, false
		}
		f.Fold = true
		return f, ok
	}
	t, ok := e.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		p.errorAt(e.Range(), "want a field here", `write FIELD == "value"`)
		return Field{}, false
	}
	return p.field(t)
}

func (p *hclParser) field(t *hclsyntax.ScopeTraversalExpr) (Field, bool) {
	f, err := FieldAt(t.Traversal)
	if err != nil {
		p.tell(t.Range(), err)
		return Field{}, false
	}
	return f, true
}

// FieldAt is FieldNamed for a name as HCL reads it: user.name, labels["a b"]. The error is a *FieldError.
func FieldAt(t hcl.Traversal) (Field, error) {
	name := ""
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			name += "." + s.Name
		case hcl.TraverseAttr:
			name += "." + s.Name
		case hcl.TraverseIndex:
			if s.Key.Type() != cty.String {
				return Field{}, wrong("a comparison looks at all values of a field", "fields have no elements")
			}
			name += "." + s.Key.AsString()
		default:
			return Field{}, wrong("a comparison looks at all values of a field", "fields have no elements")
		}
	}
	return FieldNamed(strings.TrimPrefix(name, "."))
}

// Literal reads a constant as text: a text in quotes, a number, true or false; ok is false for everything else, null too.
func Literal(e hclsyntax.Expression) (text string, typ cty.Type, ok bool) {
	negative := false
	if u, isUnary := bare(e).(*hclsyntax.UnaryOpExpr); isUnary && u.Op == hclsyntax.OpNegate {
		negative, e = true, u.Val
	}
	var v cty.Value
	switch e := bare(e).(type) {
	case *hclsyntax.LiteralValueExpr:
		v = e.Val
	case *hclsyntax.TemplateExpr:
		if len(e.Parts) == 0 {
			return "", cty.String, !negative
		}
		if !e.IsStringLiteral() {
			return "", cty.NilType, false
		}
		v, _ = e.Value(nil)
	default:
		return "", cty.NilType, false
	}
	switch {
	case v.IsNull() || !v.IsKnown():
		return "", cty.NilType, false
	case v.Type() == cty.String:
		return v.AsString(), cty.String, !negative
	case v.Type() == cty.Bool:
		return strconv.FormatBool(v.True()), cty.Bool, !negative
	case v.Type() == cty.Number:
		n := v.AsBigFloat()
		if exp := n.MantExp(nil); exp > 1024 || exp < -1100 { // writing one of very many digits takes very long
			return "", cty.NilType, false
		}
		text = n.Text('g', 40)
		if n.IsInt() {
			text = n.Text('f', 0)
		}
		if negative {
			text = "-" + text
		}
		return text, cty.Number, true
	}
	return "", cty.NilType, false
}

// value reads a constant and holds its type against the field's.
func (p *hclParser) value(f Field, e hclsyntax.Expression) (Value, bool) {
	text, typ, ok := Literal(e)
	if !ok {
		p.errorAt(e.Range(), "want a value here: a text in quotes, a number, true, false or null", "")
		return Value{}, false
	}
	want := cty.String
	switch f.Type() {
	case event.Integer, event.Float32:
		want = cty.Number
	case event.Boolean:
		want = cty.Bool
	}
	if typ != want {
		remedy := ""
		switch want {
		case cty.String:
			remedy = fmt.Sprintf("write %q", text)
		case cty.Number:
			remedy = "numbers stand without quotes"
		case cty.Bool:
			remedy = "write true or false, without quotes"
		}
		p.errorAt(e.Range(), fmt.Sprintf("%s is of type %s, and this is %s", f.Name(), f.Type(), typeName(typ)), remedy)
		return Value{}, false
	}
	v, err := ValueFor(f, text, p.zone)
	if err != nil {
		p.tell(e.Range(), err)
		return Value{}, false
	}
	return v, true
}

func typeName(t cty.Type) string {
	switch t {
	case cty.String:
		return "a text"
	case cty.Number:
		return "a number"
	}
	return "true or false"
}

var hclFunctions = []string{"cidr", "contains", "startswith", "endswith", "matches", "in", "exists", "lower"}

func (p *hclParser) call(c *hclsyntax.FunctionCallExpr) Expr {
	name, args := c.Name, c.Args
	want := 2
	switch name {
	case "exists":
		want = 1
	case "cidr":
		want = max(2, len(args))
	case "contains", "startswith", "endswith", "matches", "in":
	case "lower":
		return p.errorAt(c.Range(), "lower() is no condition", `compare it: lower(FIELD) == "value"`)
	default:
		remedy := "the functions are " + strings.Join(hclFunctions, ", ")
		if near := conf.Suggest(name, hclFunctions); near != "" {
			remedy = fmt.Sprintf("did you mean %s()?", near)
		}
		return p.errorAt(c.NameRange, fmt.Sprintf("unknown function %s()", name), remedy)
	}
	if len(args) != want {
		return p.errorAt(c.Range(), fmt.Sprintf("%s() wants %d arguments, got %d", name, want, len(args)), "the field comes first")
	}
	if list, ok := bare(args[0]).(*hclsyntax.TupleConsExpr); ok && name == "contains" { // contains(["a", "b"], FIELD), as HCL's own
		return p.in(args[1], list)
	}
	if name == "in" {
		list, ok := bare(args[1]).(*hclsyntax.TupleConsExpr)
		if !ok {
			return p.errorAt(args[1].Range(), "in() wants a list of values", `write in(FIELD, ["a", "b"])`)
		}
		return p.in(args[0], list)
	}
	f, ok := p.operand(bare(args[0]))
	if !ok {
		return Const{}
	}
	if name == "exists" {
		return Exists{f}
	}
	texts := make([]string, 0, len(args))
	for _, a := range args[1:] {
		text, typ, ok := Literal(a)
		if !ok || typ != cty.String {
			return p.errorAt(a.Range(), fmt.Sprintf("%s() wants a text in quotes here", name), "")
		}
		texts = append(texts, text)
	}
	if name == "cidr" {
		e, err := NewCIDR(f, texts)
		return p.made(c.Range(), e, err)
	}
	how := map[string]How{"contains": Contains, "startswith": StartsWith, "endswith": EndsWith, "matches": Matches}[name]
	e, err := NewText(f, how, texts[0])
	return p.made(c.Range(), e, err)
}

func (p *hclParser) in(field hclsyntax.Expression, list *hclsyntax.TupleConsExpr) Expr {
	f, ok := p.operand(bare(field))
	if !ok {
		return Const{}
	}
	values, numbers := make([]Value, 0, len(list.Exprs)), false
	for _, one := range list.Exprs {
		v, ok := p.value(f, one)
		if !ok {
			return Const{}
		}
		numbers = numbers || v.Kind == event.Int || v.Kind == event.Num
		values = append(values, v)
	}
	if !numbers {
		return In{f, values}
	}
	var or Or
	for _, v := range values {
		or.Of = append(or.Of, Compare{f, Eq, v})
	}
	return or
}
