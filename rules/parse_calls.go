package rules

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// function is one line of the table of functions.
type function struct {
	name      string
	min, max  int // arguments; a max of 0 is without bound
	example   string
	aggregate bool
}

var functions = []function{
	{"cidr", 2, 0, `cidr(source.ip, "203.0.113.0/24")`, false},
	{"contains", 2, 2, `contains(list.NAME, FIELD) or contains(FIELD, "part")`, false},
	{"startswith", 2, 2, `startswith(FIELD, "text")`, false},
	{"endswith", 2, 2, `endswith(FIELD, "text")`, false},
	{"matches", 2, 2, `matches(FIELD, "^pattern$")`, false},
	{"exists", 1, 1, `exists(FIELD)`, false},
	{"in", 2, 2, `in(FIELD, ["a", "b"])`, false},
	{"in_list", 2, 2, `in_list(FIELD, list.NAME)`, false},
	{"outside", 1, 2, `outside("mon-fri 07:00-19:00", "Europe/Berlin")`, false},
	{"within", 1, 2, `within("mon-fri 07:00-19:00", "Europe/Berlin")`, false},
	{"lower", 1, 1, `lower(FIELD)`, false},
	{"hour", 0, 1, `hour("Europe/Berlin")`, false},
	{"weekday", 0, 1, `weekday("Europe/Berlin")`, false},
	{"domain_of", 1, 1, `domain_of(user.email)`, false},
	{"coalesce", 2, 0, `coalesce(user.email, user.name)`, false},
	{"duration", 1, 1, `duration("60d")`, false},

	{"count", 0, 1, `count() or count(CONDITION)`, true},
	{"distinct", 1, 0, `distinct(FIELD) or distinct([FIELD, FIELD])`, true},
	{"sum", 1, 1, `sum(FIELD)`, true},
	{"min", 1, 1, `min(FIELD)`, true},
	{"max", 1, 1, `max(FIELD)`, true},
	{"rate", 0, 0, `rate()`, true},
	{"ratio", 1, 1, `ratio(CONDITION)`, true},
	{"first_seen", 2, 2, `first_seen(FIELD, "90d") or first_seen([FIELD, FIELD], "90d")`, true},
	{"rarity", 2, 2, `rarity(FIELD, "60d")`, true},
	{"since", 1, 1, `since(prev)`, true},
	{"baseline", 3, 3, `baseline("hour-of-week", "28d", 0.99)`, true},
	{"gap_km", 1, 1, `gap_km(prev)`, true},
	{"speed_kmh", 1, 1, `speed_kmh(prev)`, true},
	{"active_distinct", 1, 0, `active_distinct(FIELD)`, true},
}

func functionNamed(name string) *function {
	for i := range functions {
		if functions[i].name == name {
			return &functions[i]
		}
	}
	return nil
}

// call reads a function, be it a condition or a term.
func (x *exprReader) call(e *hclsyntax.FunctionCallExpr) Expr {
	fn := functionNamed(e.Name)
	if fn == nil {
		return x.unknownFunction(e)
	}
	if e.ExpandFinal {
		return x.fail(e.Range(), "... is not available", "write "+fn.example)
	}
	unbounded := fn.max == 0 && fn.min > 0
	if n := len(e.Args); n < fn.min || n > fn.max && !unbounded {
		return x.fail(e.Range(), fmt.Sprintf("%s() wants %s, got %d", e.Name, fn.wants(), n), "write "+fn.example)
	}
	if fn.aggregate {
		if !x.aggregates {
			message, remedy := x.notHere(e.Name + "()")
			return x.fail(e.Range(), message, remedy)
		}
		return x.aggregateCall(e, AggregateKind(e.Name))
	}
	switch e.Name {
	case "cidr":
		return x.cidr(e)
	case "contains":
		switch first := bare(e.Args[0]).(type) {
		case *hclsyntax.TupleConsExpr:
			return x.among(e, e.Args[1], first)
		case *hclsyntax.ScopeTraversalExpr:
			if first.Traversal.RootName() == "list" {
				return x.inList(e, e.Args[1], first)
			}
		}
		return x.textual(e)
	case "startswith", "endswith", "matches":
		return x.textual(e)
	case "exists":
		return x.nullComparison(e, query.Ne, bare(e.Args[0]))
	case "in", "in_list":
		second := bare(e.Args[1])
		if values, ok := second.(*hclsyntax.TupleConsExpr); ok {
			return x.among(e, e.Args[0], values)
		}
		if e.Name == "in" {
			return x.fail(second.Range(), "in() wants values in brackets", "write "+fn.example+", or "+functionNamed("in_list").example)
		}
		return x.inList(e, e.Args[0], second)
	case "outside", "within":
		return x.hours(e)
	}
	return x.termCall(e)
}

func (fn *function) wants() string {
	plural := "s"
	if fn.min == 1 {
		plural = ""
	}
	switch {
	case fn.max == 0 && fn.min > 0:
		return fmt.Sprintf("%d or more arguments", fn.min)
	case fn.max == 0:
		return "no argument"
	case fn.max == fn.min:
		return fmt.Sprintf("%d argument%s", fn.min, plural)
	}
	return fmt.Sprintf("%d or %d arguments", fn.min, fn.max)
}

// asked tells that a call looks into a field of the event with constants only, so that package query understands it.
func (x *exprReader) asked(e *hclsyntax.FunctionCallExpr) bool {
	for _, a := range e.Args[1:] {
		if !isLiteral(a) {
			return false
		}
	}
	return x.isEventField(e.Args[0])
}

func (x *exprReader) textual(e *hclsyntax.FunctionCallExpr) Expr {
	if x.asked(e) {
		if x.fieldOrLower(e.Args[0]) == nil {
			return nil
		}
		return x.match(e)
	}
	l, r := x.value(e.Args[0]), x.value(e.Args[1])
	if l == nil || r == nil {
		return nil
	}
	for _, side := range []Expr{l, r} {
		if k := kindOf(side); k != textKind {
			remedy := ""
			if k == addressKind {
				remedy = "use cidr()"
			}
			return x.fail(side.Range(), fmt.Sprintf("%s() wants a text, and %s is %s", e.Name, x.show(side), k), remedy)
		}
	}
	part, constant := constText(r)
	if _, both := constText(l); both {
		return x.fail(e.Range(), e.Name+"() looks into a constant", "the field comes first: "+functionNamed(e.Name).example)
	}
	switch {
	case e.Name == "matches" && !constant:
		return x.fail(r.Range(), "the pattern of matches() has to be a constant", "write "+functionNamed(e.Name).example)
	case e.Name == "matches":
		if _, err := regexp.Compile(part); err != nil {
			return x.fail(r.Range(), fmt.Sprintf("%q is not a regular expression: %v", part, err), "the syntax is RE2's")
		}
	case constant && Folds(l):
		r = &Const{At{r.Range()}, strings.ToLower(part)}
	}
	return &Call{At: At{e.Range()}, Name: e.Name, Args: []Expr{l, r}}
}

func (x *exprReader) cidr(e *hclsyntax.FunctionCallExpr) Expr {
	for _, a := range e.Args[1:] {
		if t, ok := bare(a).(*hclsyntax.ScopeTraversalExpr); ok && t.Traversal.RootName() == "list" {
			return x.fail(a.Range(), "cidr() wants networks in quotes", "for a list of networks write contains(list.NAME, source.ip)")
		}
	}
	if x.asked(e) {
		if x.fieldOrLower(e.Args[0]) == nil {
			return nil
		}
		return x.match(e)
	}
	l := x.value(e.Args[0])
	if l == nil {
		return nil
	}
	if k := kindOf(l); k != addressKind {
		return x.fail(l.Range(), fmt.Sprintf("cidr() wants an address, and %s is %s", x.show(l), k), "")
	}
	made := &Call{At: At{e.Range()}, Name: e.Name, Args: []Expr{l}}
	for _, a := range e.Args[1:] {
		text, ok := x.literalText(a, "cidr() wants a network in quotes here", `write "203.0.113.0/24"`)
		if !ok {
			return nil
		}
		if _, err := query.NewCIDR(query.Field{ID: event.FieldSourceIp}, []string{text}); err != nil {
			return x.tell(a.Range(), err)
		}
		made.Args = append(made.Args, &Const{At{a.Range()}, text})
	}
	return made
}

// among reads a term and the values that it may have.
func (x *exprReader) among(e *hclsyntax.FunctionCallExpr, term hclsyntax.Expression, values *hclsyntax.TupleConsExpr) Expr {
	if len(values.Exprs) == 0 {
		return x.fail(values.Range(), "there is nothing between the brackets", "write "+functionNamed("in").example)
	}
	literals := true
	for _, v := range values.Exprs {
		literals = literals && isLiteral(v)
	}
	if literals && x.isEventField(term) {
		if x.fieldOrLower(term) == nil {
			return nil
		}
		in := *e
		in.Name, in.Args = "in", []hclsyntax.Expression{term, values}
		return x.match(&in)
	}
	l := x.value(term)
	if l == nil {
		return nil
	}
	or := &Or{At: At{e.Range()}}
	for _, v := range values.Exprs {
		c, ok := x.value(v).(*Const)
		if !ok {
			return x.fail(v.Range(), "only constants may stand between the brackets", "compare with fields by == and join by ||")
		}
		fitted := x.fit(l, c)
		if fitted == nil {
			return nil
		}
		or.Of = append(or.Of, &Compare{At{v.Range()}, query.Eq, l, fitted})
	}
	return or
}

// inList reads a term and the list that it may be in: list.NAME or "NAME".
func (x *exprReader) inList(e *hclsyntax.FunctionCallExpr, term, ref hclsyntax.Expression) Expr {
	list := x.listAt(ref)
	var l Expr
	if x.isEventField(term) { // may have several values
		f := x.fieldOrLower(term)
		if f == nil || !x.comparable(term.Range(), f) {
			return nil
		}
		l = f
	} else if l = x.value(term); l == nil {
		return nil
	}
	if list == nil {
		return nil
	}
	kind := kindOf(l)
	switch {
	case isConst(l):
		return x.fail(l.Range(), "a constant is always or never in a list", "write "+functionNamed("in_list").example)
	case kind == timeKind || kind == boolKind:
		return x.fail(l.Range(), x.show(l)+" is "+kind.String()+", which is in no list", "")
	case list.Kind == ListCIDR && kind != addressKind && kind != textKind:
		return x.fail(l.Range(), fmt.Sprintf("list.%s holds networks, and %s is %s", list.Name, x.show(l), kind), "ask it for an address")
	}
	return &InList{At{e.Range()}, l, list}
}

func isConst(e Expr) bool {
	_, ok := e.(*Const)
	return ok
}

func (x *exprReader) listAt(e hclsyntax.Expression) *List {
	name, ok := "", false
	if t, isName := bare(e).(*hclsyntax.ScopeTraversalExpr); isName {
		if t.Traversal.RootName() == "list" && len(t.Traversal) == 2 {
			switch step := t.Traversal[1].(type) {
			case hcl.TraverseAttr:
				name, ok = step.Name, true
			case hcl.TraverseIndex:
				if step.Key.Type() == cty.String {
					name, ok = step.Key.AsString(), true
				}
			}
		}
	} else if text, typ, isText := query.Literal(e); isText && typ == cty.String {
		name, ok = text, true
	}
	if !ok {
		x.fail(e.Range(), "want a list here", "write list.NAME")
		return nil
	}
	if l := x.listNamed(name); l != nil {
		return l
	}
	x.unknownList(e.Range(), name)
	return nil
}

func (x *exprReader) hours(e *hclsyntax.FunctionCallExpr) Expr {
	text, ok := x.literalText(e.Args[0], e.Name+"() wants hours in quotes", "write "+functionNamed(e.Name).example)
	if !ok {
		return nil
	}
	zone, ok := x.zoneAt(e, 1)
	if !ok {
		return nil
	}
	hours, err := parseHours(text, zone)
	if err != nil {
		return x.tell(e.Args[0].Range(), err)
	}
	return &Call{At: At{e.Range()}, Name: e.Name, Hours: hours}
}

// zoneAt reads an argument that may be left out.
func (x *exprReader) zoneAt(e *hclsyntax.FunctionCallExpr, n int) (*time.Location, bool) {
	if len(e.Args) <= n {
		if x.zone == nil {
			return time.UTC, true
		}
		return x.zone, true
	}
	name, ok := x.literalText(e.Args[n], e.Name+"() wants a time zone in quotes", `write "Europe/Berlin"`)
	if !ok {
		return nil, false
	}
	zone, err := zoneNamed(name)
	if err != nil {
		x.tell(e.Args[n].Range(), err)
		return nil, false
	}
	return zone, true
}

func (x *exprReader) termCall(e *hclsyntax.FunctionCallExpr) Expr {
	at := At{e.Range()}
	switch e.Name {
	case "duration":
		text, ok := x.literalText(e.Args[0], "duration() wants a text in quotes", `write duration("60d")`)
		if !ok {
			return nil
		}
		d, err := conf.ParseDuration(text)
		if err != nil {
			return x.fail(e.Args[0].Range(), fmt.Sprintf("%q is no length of time: %v", text, err), `write "90s", "15m", "24h" or "60d"`)
		}
		return &Const{at, d.Seconds()}
	case "hour", "weekday":
		zone, ok := x.zoneAt(e, 0)
		if !ok {
			return nil
		}
		return &Call{At: at, Name: e.Name, Zone: zone}
	case "coalesce":
		return x.coalesce(e)
	}
	l := x.value(e.Args[0])
	if l == nil {
		return nil
	}
	if k := kindOf(l); k != textKind || isConst(l) {
		if isConst(l) {
			return x.fail(l.Range(), e.Name+"() of a constant", "write "+functionNamed(e.Name).example)
		}
		return x.fail(l.Range(), fmt.Sprintf("%s() wants a text, and %s is %s", e.Name, x.show(l), k), "")
	}
	if e.Name == "lower" {
		if f, ok := l.(*Field); ok {
			folded := *f
			folded.At, folded.Field.Fold = at, true
			return &folded
		}
		if Folds(l) {
			return l
		}
	}
	return &Call{At: at, Name: e.Name, Args: []Expr{l}}
}

func (x *exprReader) coalesce(e *hclsyntax.FunctionCallExpr) Expr {
	made := &Call{At: At{e.Range()}, Name: e.Name}
	for i, a := range e.Args {
		one := x.value(a)
		if one == nil {
			return nil
		}
		c, constant := one.(*Const)
		switch {
		case constant && i == 0:
			return x.fail(a.Range(), "coalesce() begins with a constant, which is never null", "write "+functionNamed(e.Name).example)
		case constant && i < len(e.Args)-1:
			return x.fail(a.Range(), "what stands behind a constant is never reached", "the constant comes last")
		case constant:
			if one = x.fit(made.Args[0], c); one == nil {
				return nil
			}
		case i > 0 && kindOf(one) != kindOf(made.Args[0]):
			return x.fail(a.Range(), fmt.Sprintf("%s is %s, and %s is %s", x.show(made.Args[0]), kindOf(made.Args[0]), x.show(one), kindOf(one)),
				"all have to be of one type")
		}
		made.Args = append(made.Args, one)
	}
	return made
}

// literalText reads an argument that has to be a text as it stands.
func (x *exprReader) literalText(e hclsyntax.Expression, message, remedy string) (string, bool) {
	text, typ, ok := query.Literal(e)
	if !ok || typ != cty.String {
		switch t := bare(e).(type) {
		case *hclsyntax.TemplateExpr, *hclsyntax.TemplateWrapExpr:
			x.noTerm(t)
		default:
			x.fail(e.Range(), message, remedy)
		}
		return "", false
	}
	return text, true
}
