package rules

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// termKind is the type of a term.
type termKind uint8

const (
	nullKind termKind = iota
	textKind
	numberKind
	boolKind
	addressKind
	timeKind
	placeKind
	objectKind
)

var kindNames = [...]string{"null", "a text", "a number", "true or false", "an address", "a time", "a place", "an object"}

func (k termKind) String() string { return kindNames[k] }

// exampleOf shows how a term of the kind is compared.
func exampleOf(k termKind) string {
	switch k {
	case numberKind:
		return ">= 5"
	case boolKind:
		return "== true"
	case addressKind:
		return `== "203.0.113.9", or use cidr()`
	case timeKind:
		return `>= "2026-11-22"`
	case placeKind, objectKind:
		return "!= null"
	}
	return `== "..."`
}

func kindOf(e Expr) termKind {
	switch e := e.(type) {
	case *Field:
		switch e.Field.Type() {
		case event.Integer, event.Float32:
			return numberKind
		case event.Boolean:
			return boolKind
		case event.IP:
			return addressKind
		case event.DateTime:
			return timeKind
		case event.Place:
			return placeKind
		case event.Flattened, event.Stored:
			return objectKind
		}
		return textKind
	case *Const:
		switch e.Value.(type) {
		case string:
			return textKind
		case float64:
			return numberKind
		case bool:
			return boolKind
		}
		return nullKind
	case *Arith:
		if (kindOf(e.Left) == timeKind) != (kindOf(e.Right) == timeKind) {
			return timeKind
		}
		return numberKind
	case *Aggregate:
		return numberKind
	case *Call:
		switch e.Name {
		case "hour", "weekday":
			return numberKind
		case "coalesce":
			return kindOf(e.Args[0])
		}
		return textKind
	}
	return boolKind
}

func isNull(e hclsyntax.Expression) bool {
	l, ok := e.(*hclsyntax.LiteralValueExpr)
	return ok && l.Val.IsNull()
}

func isLiteral(e hclsyntax.Expression) bool {
	_, _, ok := query.Literal(e)
	return ok
}

// value reads a term.
func (x *exprReader) value(e hclsyntax.Expression) Expr {
	e = bare(e)
	if !x.room(e.Range(), 1) {
		return nil
	}
	if text, typ, ok := query.Literal(e); ok {
		return constant(e.Range(), text, typ)
	}
	switch e := e.(type) {
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpNegate {
			if of := x.value(e.Val); of != nil {
				return x.arith(e, '-', &Const{At{e.Range()}, 0.0}, of)
			}
			return nil
		}
	case *hclsyntax.BinaryOpExpr:
		if op, ok := arithmetic[e.Op]; ok {
			l, r := x.value(e.LHS), x.value(e.RHS)
			if l == nil || r == nil {
				return nil
			}
			return x.arith(e, op, l, r)
		}
	case *hclsyntax.FunctionCallExpr:
		made := x.call(e)
		if made == nil || !isCondition(made) {
			return made
		}
		return x.fail(e.Range(), e.Name+"() is a condition, and a value is wanted here", "write it alone, joined by && and ||; ! before it turns it around")
	case *hclsyntax.ScopeTraversalExpr:
		if x.isDefine(e) {
			name := e.Traversal.RootName()
			return x.fail(e.Range(), name+" is a define, a condition, and a value is wanted here", "write it alone, joined by && and ||; !"+name+" turns it around")
		}
		if f := x.field(e); f != nil && x.comparable(e.Range(), f) && x.single(e.Range(), f) {
			return f
		}
		return nil
	}
	return x.noTerm(e)
}

func constant(at hcl.Range, text string, typ cty.Type) Expr {
	c := &Const{At{at}, text}
	switch typ {
	case cty.Bool:
		c.Value = text == "true"
	case cty.Number:
		c.Value, _ = strconv.ParseFloat(text, 64) // Literal has written it
	}
	return c
}

var arithmetic = map[*hclsyntax.Operation]byte{hclsyntax.OpAdd: '+', hclsyntax.OpSubtract: '-', hclsyntax.OpMultiply: '*',
	hclsyntax.OpDivide: '/', hclsyntax.OpModulo: '%'}

// arith checks types, and works out what is constant.
func (x *exprReader) arith(e hclsyntax.Expression, op byte, l, r Expr) Expr {
	kl, kr := kindOf(l), kindOf(r)
	times := 0
	for i, k := range []termKind{kl, kr} {
		switch k {
		case numberKind:
		case timeKind:
			times++
			if i == 1 && kl == numberKind && op == '-' {
				return x.fail(e.Range(), "a time cannot be taken from a number", "")
			}
		default:
			side := []Expr{l, r}[i]
			remedy := "arithmetic is for numbers and times"
			if s, ok := constText(side); ok {
				remedy = durationRemedy(s, remedy)
			}
			return x.fail(side.Range(), x.show(side)+" is "+k.String()+", not a number", remedy)
		}
	}
	if times > 0 && op != '-' && (op != '+' || times == 2) {
		return x.fail(e.Range(), "times cannot be calculated with in this way", "a time less a time is a number of seconds; seconds can be added to a time")
	}
	a, aok := constNumber(l)
	b, bok := constNumber(r)
	if bok && b == 0 && (op == '/' || op == '%') {
		return x.fail(e.Range(), "this divides by 0", "")
	}
	if !aok || !bok {
		return &Arith{At{e.Range()}, op, l, r}
	}
	n := calculate(op, a, b)
	if math.IsInf(n, 0) || math.IsNaN(n) {
		return x.fail(e.Range(), "the number is out of range", "")
	}
	return &Const{At{e.Range()}, n}
}

// calculate works out what is constant; what has no result is NaN or infinite.
func calculate(op byte, a, b float64) float64 {
	switch op {
	case '+':
		return a + b
	case '-':
		return a - b
	case '*':
		return a * b
	case '/':
		return a / b
	}
	return math.Mod(a, b)
}

func constNumber(e Expr) (float64, bool) {
	c, ok := e.(*Const)
	if !ok {
		return 0, false
	}
	n, ok := c.Value.(float64)
	return n, ok
}

func constText(e Expr) (string, bool) {
	c, ok := e.(*Const)
	if !ok {
		return "", false
	}
	s, ok := c.Value.(string)
	return s, ok
}

// durationRemedy knows that "60d" was meant as a number of seconds.
func durationRemedy(text, otherwise string) string {
	if _, err := conf.ParseDuration(text); err == nil {
		return fmt.Sprintf("a length of time is duration(%q)", text)
	}
	return otherwise
}

// fit brings a constant into the form of the term that it is held against.
func (x *exprReader) fit(l Expr, c *Const) Expr {
	kind, given := kindOf(l), kindOf(c)
	text, isText := c.Value.(string)
	switch {
	case kind == given && !isText:
		return c
	case !isText || kind == numberKind || kind == boolKind:
		remedy := ""
		switch {
		case kind == numberKind && isText:
			remedy = durationRemedy(text, "numbers stand without quotes")
			if _, err := strconv.ParseFloat(text, 64); err != nil && isCall(l, "weekday") {
				remedy = "weekday() is 0 for Sunday, 1 for Monday, to 6 for Saturday"
			}
		case kind == timeKind:
			remedy = `write "2026-11-22T10:15:32Z" or "2026-11-22"`
		case kind == textKind || kind == addressKind:
			remedy = "texts stand in quotes"
		case kind == boolKind:
			remedy = "write true or false, without quotes"
		}
		return x.fail(c.Range(), x.show(l)+" is "+kind.String()+", and this is "+given.String(), remedy)
	case kind == addressKind:
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return x.fail(c.Range(), fmt.Sprintf("%s is an address, and %q is none", x.show(l), text), "for a network use cidr()")
		}
		return &Const{c.At, a.Unmap().String()}
	}
	f, isField := l.(*Field)
	switch {
	case isField:
		v, err := query.ValueFor(f.Field, text, x.zone)
		if err != nil {
			return x.tell(c.Range(), err)
		}
		if kind == timeKind {
			return &Const{c.At, float64(v.Int) / float64(time.Second)}
		}
		return &Const{c.At, v.Str}
	case kind == timeKind:
		v, err := query.ValueFor(query.Field{ID: event.FieldTimestamp}, text, x.zone)
		if err != nil {
			return x.tell(c.Range(), err)
		}
		return &Const{c.At, float64(v.Int) / float64(time.Second)}
	case Folds(l):
		return &Const{c.At, strings.ToLower(text)}
	}
	return c
}

func isCall(e Expr, name string) bool {
	c, ok := e.(*Call)
	return ok && c.Name == name
}

// ordered refuses < and its like for what has no useful order.
func (x *exprReader) ordered(at hcl.Range, op query.Op, l Expr) bool {
	if op == query.Eq || op == query.Ne {
		return true
	}
	remedy := ""
	switch kindOf(l) {
	case numberKind, timeKind:
		return true
	case textKind:
		remedy = `"10" would come before "9"; use == or matches()`
	case addressKind:
		remedy = "use cidr()"
	}
	x.fail(at, fmt.Sprintf("%s is %s, which has no order that %s could ask for", x.show(l), kindOf(l), op), remedy)
	return false
}

// reachable refuses a constant that a term with bounds never comes to.
func (x *exprReader) reachable(at hcl.Range, l Expr, c *Const) bool {
	n, ok := c.Value.(float64)
	if !ok {
		return true
	}
	most, remedy := math.Inf(1), ""
	switch l := l.(type) {
	case *Aggregate:
		if l.Kind == Ratio || l.Kind == Rarity {
			most, remedy = 1, "write 0.8 for 80 percent"
		}
	case *Call:
		switch l.Name {
		case "hour":
			most = 23
		case "weekday":
			most, remedy = 6, "0 is Sunday, 6 is Saturday"
		}
	}
	if math.IsInf(most, 1) || n >= 0 && n <= most {
		return true
	}
	x.fail(c.Range(), fmt.Sprintf("%s is between 0 and %g", x.show(l), most), remedy)
	return false
}

// isEventField tells, by its form alone, a field of the event, or lower() of one.
func (x *exprReader) isEventField(e hclsyntax.Expression) bool {
	switch e := bare(e).(type) {
	case *hclsyntax.ScopeTraversalExpr:
		switch root := e.Traversal.RootName(); root {
		case "prev", "list", "key":
			return false
		default:
			return !x.isDefine(e) && !slices.Contains(x.steps, root)
		}
	case *hclsyntax.FunctionCallExpr:
		return e.Name == "lower" && len(e.Args) == 1 && x.isEventField(e.Args[0])
	}
	return false
}

// fieldOrLower reads what isEventField has found.
func (x *exprReader) fieldOrLower(e hclsyntax.Expression) *Field {
	switch e := bare(e).(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return x.field(e)
	case *hclsyntax.FunctionCallExpr:
		if f := x.fieldOrLower(e.Args[0]); f != nil {
			folded := *f
			folded.Field.Fold = true
			return &folded
		}
	}
	return nil
}

// field reads a field of this event, the preceding one or a step's; whether a value of it can stand here is not checked.
func (x *exprReader) field(e *hclsyntax.ScopeTraversalExpr) *Field {
	root, rest := e.Traversal.RootName(), e.Traversal[1:]
	var from From
	switch step := slices.Index(x.steps, root); {
	case root == "key":
		x.fail(e.Range(), "key can only stand in texts", `write "... ${key}"; in conditions name the fields of by`)
		return nil
	case root == "list":
		x.fail(e.Range(), "a list is no value", "write contains(list.NAME, FIELD)")
		return nil
	case root == "prev":
		if !x.prev {
			message, remedy := x.notHere("prev")
			x.fail(e.Range(), message, remedy)
			return nil
		}
		from = FromPrev
	case step >= 0:
		from = From(step)
	default:
		f, err := query.FieldAt(e.Traversal)
		if err != nil {
			x.unknown(e, err)
			return nil
		}
		return &Field{At{e.Range()}, FromEvent, f}
	}
	if len(rest) == 0 {
		x.fail(e.Range(), root+" alone is no value", "write "+root+".FIELD, such as "+root+".source.ip")
		return nil
	}
	f, err := query.FieldAt(rest)
	if err != nil {
		var fe *query.FieldError
		if errors.As(err, &fe) {
			x.fail(e.Range(), root+": "+fe.Message, fe.Remedy)
		}
		return nil
	}
	return &Field{At{e.Range()}, from, f}
}

// comparable refuses fields whose values are no terms.
func (x *exprReader) comparable(at hcl.Range, f *Field) bool {
	switch kindOf(f) {
	case placeKind:
		x.fail(at, x.show(f)+" is a place, which cannot be compared", "gap_km(prev) and speed_kmh(prev) tell how far it is from the preceding one; != null asks whether it is there")
		return false
	case objectKind:
		remedy := "!= null asks whether it is there"
		if f.Field.ID == event.FieldLabels {
			remedy = "write labels.NAME"
		}
		x.fail(at, x.show(f)+" is an object, which cannot be compared", remedy)
		return false
	}
	return true
}

// single refuses fields with several values.
func (x *exprReader) single(at hcl.Range, f *Field) bool {
	if f.Field.Key != "" || !f.Field.Many() {
		return true
	}
	x.fail(at, x.show(f)+" has several values, and one is wanted here",
		"compare it with a constant, which looks at all values, or use a field with one value")
	return false
}

func (x *exprReader) definition(name string) Expr {
	if x.defined == nil {
		return nil
	}
	return x.defined(name)
}

func (x *exprReader) isDefine(e *hclsyntax.ScopeTraversalExpr) bool {
	return len(e.Traversal) == 1 && x.definition(e.Traversal.RootName()) != nil
}

func (x *exprReader) listNamed(name string) *List {
	if x.list == nil {
		return nil
	}
	return x.list(name)
}

func (x *exprReader) allNames() []string {
	if x.names == nil {
		return nil
	}
	return x.names()
}

// show is a term as its author would write it.
func (x *exprReader) show(e Expr) string { return printer{steps: x.steps}.text(e) }
