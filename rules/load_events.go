package rules

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyfunction "github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// Evaluating an expression of a test has a price: nodes of the expression that are evaluated, elements that are made, and 32 bytes of text count one.
// Loops and functions are charged before they do their work, so that a few lines cannot fill the memory.
const (
	maxTestCost   = 5_000_000
	maxSourceCost = 20_000_000
	maxTestText   = 16 << 10 // bytes of a text that a loop goes on with
	maxTestJoined = 4 << 20
	maxForNesting = 8
)

var errTestTooLarge = errors.New("evaluating this test makes too much: at most 100,000 events, and 5 million values on the way there")

// testReader evaluates the expressions of a test block.
type testReader struct {
	*ruleReader
	body  *conf.Body
	start time.Time
	cost  int // what may still be spent
}

// evaluate works out an attribute; errors are noted.
func (e *testReader) evaluate(name string) (v cty.Value, ok bool) {
	expr, isSyntax := e.body.Expr(name).(hclsyntax.Expression)
	if !isSyntax || !e.guard(expr) {
		return cty.NilVal, false
	}
	v, diags := e.value(expr)
	told := 0
	for _, d := range diags {
		at := expr.Range()
		if d.Subject != nil {
			at = *d.Subject
		}
		message, remedy := d.Summary, d.Detail
		if call, isCall := d.Extra.(hclsyntax.FunctionCallDiagExtra); isCall && call.FunctionCallError() != nil {
			message, remedy = call.CalledFunctionName()+"(): "+call.FunctionCallError().Error(), ""
		}
		e.file.ErrorAt(at, name+": "+message, remedy)
		if told++; told == 5 {
			break // a loop says the same for every element
		}
	}
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	if v.IsNull() || !v.IsWhollyKnown() {
		e.body.Errorf(name, "cannot be evaluated")
		return cty.NilVal, false
	}
	return v, true
}

// value evaluates; the panic of a loop that became too large ends here, as does one of a library function on odd arguments.
func (e *testReader) value(expr hclsyntax.Expression) (v cty.Value, diags hcl.Diagnostics) {
	defer func() {
		if p := recover(); p != nil {
			at, message := expr.Range(), "cannot be evaluated"
			if err, ok := p.(error); ok && errors.Is(err, errTestTooLarge) {
				message = errTestTooLarge.Error()
			}
			v, diags = cty.DynamicVal, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: message, Subject: &at}}
		}
	}()
	return expr.Value(&hcl.EvalContext{Functions: e.functions()})
}

// guard makes the loops of an expression charge for their work, and refuses what could not be bounded. The expression is evaluated nowhere else.
func (e *testReader) guard(expr hclsyntax.Expression) bool {
	ok := true
	refuse := func(at hcl.Range, message, remedy string) {
		e.file.ErrorAt(at, message, remedy)
		ok = false
	}
	var loops []*hclsyntax.ForExpr
	var choices []*hclsyntax.ConditionalExpr
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		switch n := node.(type) {
		case *hclsyntax.ForExpr:
			loops = append(loops, n)
		case *hclsyntax.ConditionalExpr:
			choices = append(choices, n)
		case *hclsyntax.SplatExpr:
			refuse(n.Range(), "[*] is not available", "write [for x in LIST : x.NAME]")
		case *hclsyntax.LiteralValueExpr:
			if n.Val.Type() == cty.Number && !n.Val.IsNull() {
				if _, sane := valueAsText(n.Val); !sane {
					refuse(n.Range(), "the number is out of range", "")
				}
			}
		}
		return nil
	})
	if forNesting(expr) > maxForNesting {
		refuse(expr.Range(), fmt.Sprintf("for within for more than %d deep", maxForNesting), "")
	}
	if !ok {
		return false
	}
	for _, loop := range loops {
		body := 1
		for _, part := range []hclsyntax.Expression{loop.KeyExpr, loop.ValExpr, loop.CondExpr} {
			if part != nil {
				_ = hclsyntax.VisitAll(part, func(hclsyntax.Node) hcl.Diagnostics { body++; return nil })
			}
		}
		if _, done := loop.CollExpr.(*chargedExpr); done {
			continue // evaluated before
		}
		loop.CollExpr = &chargedExpr{loop.CollExpr, e, body, false}
		loop.ValExpr = &chargedExpr{loop.ValExpr, e, 0, false}
	}
	for _, c := range choices {
		if _, done := c.TrueResult.(*chargedExpr); !done {
			c.TrueResult, c.FalseResult = &chargedExpr{c.TrueResult, e, 0, true}, &chargedExpr{c.FalseResult, e, 0, true}
		}
	}
	return true
}

func forNesting(expr hclsyntax.Expression) int {
	w := &forWalker{}
	_ = hclsyntax.Walk(expr, w)
	return w.most
}

type forWalker struct{ depth, most int }

func (w *forWalker) Enter(node hclsyntax.Node) hcl.Diagnostics {
	if _, ok := node.(*hclsyntax.ForExpr); ok {
		w.depth++
		w.most = max(w.most, w.depth)
	}
	return nil
}

func (w *forWalker) Exit(node hclsyntax.Node) hcl.Diagnostics {
	if _, ok := node.(*hclsyntax.ForExpr); ok {
		w.depth--
	}
	return nil
}

// chargedExpr is what a loop goes over, or makes of each element: it charges for its value, and for a body that is evaluated for each element.
type chargedExpr struct {
	hclsyntax.Expression
	reader *testReader
	body   int
	square bool // what is made of the value takes time by the square of its length: a choice finds one type for both of its sides
}

// Value panics with errTestTooLarge: an error would be noted for every element, and the loop go on.
func (c *chargedExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := c.Expression.Value(ctx)
	ok := c.reader.charge(v)
	if ok && v.IsKnown() && !v.IsNull() && v.CanIterateElements() {
		n := v.LengthInt()
		ok = c.reader.spend(c.body * n)
		if c.square {
			ok = ok && c.reader.spend(n*n/64)
		}
	}
	if !ok {
		panic(errTestTooLarge)
	}
	return v, diags
}

func (e *testReader) spend(n int) bool {
	if n < 0 || n > e.cost {
		e.cost = 0
		return false
	}
	e.cost -= n
	return true
}

// charge counts a value with all that is in it.
func (e *testReader) charge(v cty.Value) bool {
	if !e.spend(1) {
		return false
	}
	if v.IsNull() || !v.IsKnown() {
		return true
	}
	switch t := v.Type(); {
	case t == cty.String:
		n := len(v.AsString())
		return n <= maxTestText && e.spend(n/32)
	case t == cty.Number:
		_, sane := valueAsText(v)
		return sane
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			if _, one := it.Element(); !e.charge(one) {
				return false
			}
		}
	}
	return true
}

// leaves yields a value that is no list, or what a list holds, lists in it taken apart.
func leaves(v cty.Value) iter.Seq[cty.Value] {
	return func(yield func(cty.Value) bool) { eachLeaf(v, yield) }
}

func eachLeaf(v cty.Value, yield func(cty.Value) bool) bool {
	if v.IsNull() || !v.Type().IsTupleType() && !v.Type().IsListType() {
		return yield(v)
	}
	for it := v.ElementIterator(); it.Next(); {
		if _, one := it.Element(); !eachLeaf(one, yield) {
			return false
		}
	}
	return true
}

// functions are what tests may call.
func (e *testReader) functions() map[string]ctyfunction.Function {
	fs := map[string]ctyfunction.Function{"range": e.rangeFunction(), "login_ok": e.loginFunction(event.Success),
		"login_failed": e.loginFunction(event.Failure), "event": e.eventFunction()}
	for name, f := range map[string]ctyfunction.Function{"concat": stdlib.ConcatFunc, "format": stdlib.FormatFunc, "join": joinFunction,
		"lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc, "length": stdlib.LengthFunc, "min": stdlib.MinFunc, "max": stdlib.MaxFunc,
		"flatten": stdlib.FlattenFunc} {
		fs[name] = e.charged(name, f)
	}
	return fs
}

var wideFormat = regexp.MustCompile(`%[^a-zA-Z%]*(?:[0-9]{4}|\*)`)

// charged makes a function charge for its arguments, and check what it would make of them, before it sees them.
func (e *testReader) charged(name string, f ctyfunction.Function) ctyfunction.Function {
	return ctyfunction.New(&ctyfunction.Spec{Params: f.Params(), VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			for _, a := range args {
				if !e.charge(a) {
					return cty.NilType, errTestTooLarge
				}
			}
			if err := tooWide(name, args); err != nil {
				return cty.NilType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

func tooWide(name string, args []cty.Value) error {
	if len(args) == 0 || !args[0].IsKnown() || args[0].IsNull() || args[0].Type() != cty.String {
		return nil
	}
	first := args[0].AsString()
	switch name {
	case "format":
		if wideFormat.MatchString(first) {
			return errors.New("a width or precision of more than three digits")
		}
	case "join":
		n := 0
		for _, list := range args[1:] {
			if list.IsKnown() && !list.IsNull() && list.CanIterateElements() {
				n += list.LengthInt()
			}
		}
		if n*len(first) > maxTestJoined {
			return errTestTooLarge
		}
	}
	return nil
}

// joinFunction takes its lists as they are: to make a list of a long tuple first, as stdlib's wants, takes time by the square of its length.
var joinFunction = ctyfunction.New(&ctyfunction.Spec{Params: []ctyfunction.Parameter{textParameter("separator")},
	VarParam: &ctyfunction.Parameter{Name: "lists", Type: cty.DynamicPseudoType},
	Type:     ctyfunction.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		var parts []string
		for _, list := range args[1:] {
			for one := range leaves(list) {
				text, ok := valueAsText(one)
				if !ok {
					return cty.NilVal, errors.New("joins texts and numbers")
				}
				parts = append(parts, text)
			}
		}
		return cty.StringVal(strings.Join(parts, args[0].AsString())), nil
	},
})

func (e *testReader) rangeFunction() ctyfunction.Function {
	number := ctyfunction.Parameter{Name: "n", Type: cty.Number}
	return ctyfunction.New(&ctyfunction.Spec{Params: []ctyfunction.Parameter{number}, VarParam: &number,
		Type: ctyfunction.StaticReturnType(cty.List(cty.Number)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			bounds := make([]int, len(args))
			for i, a := range args {
				n, _ := a.AsBigFloat().Int64()
				if !a.AsBigFloat().IsInt() || n > 1_000_000_000 || n < -1_000_000_000 {
					return cty.NilVal, errors.New("wants whole numbers")
				}
				bounds[i] = int(n)
			}
			from, to := 0, bounds[0]
			switch len(bounds) {
			case 1:
			case 2:
				from, to = bounds[0], bounds[1]
			default:
				return cty.NilVal, errors.New("write range(10), or range(5, 10) for 5 to 9")
			}
			if to-from > maxTestEvents || !e.spend(max(0, to-from)) {
				return cty.NilVal, errTestTooLarge
			}
			if from >= to {
				return cty.ListValEmpty(cty.Number), nil
			}
			values := make([]cty.Value, 0, to-from)
			for i := from; i < to; i++ {
				values = append(values, cty.NumberIntVal(int64(i)))
			}
			return cty.ListVal(values), nil
		},
	})
}

// eventType is what login_ok and the like return.
var eventType = cty.Capsule("event", reflect.TypeFor[TestEvent]())

func textParameter(name string) ctyfunction.Parameter {
	return ctyfunction.Parameter{Name: name, Type: cty.String}
}

func (e *testReader) loginFunction(outcome event.Outcome) ctyfunction.Function {
	return ctyfunction.New(&ctyfunction.Spec{Params: []ctyfunction.Parameter{textParameter("at"), textParameter("user"), textParameter("ip")},
		Type: ctyfunction.StaticReturnType(eventType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return e.newEvent(args[0].AsString(), []TestField{{"event.action", []string{event.Login.String()}},
				{"event.outcome", []string{string(outcome)}}, {"user.name", []string{args[1].AsString()}}, {"source.ip", []string{args[2].AsString()}}})
		},
	})
}

func (e *testReader) eventFunction() ctyfunction.Function {
	return ctyfunction.New(&ctyfunction.Spec{Params: []ctyfunction.Parameter{textParameter("at"), {Name: "fields", Type: cty.DynamicPseudoType}},
		Type: ctyfunction.StaticReturnType(eventType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if t := args[1].Type(); !t.IsObjectType() && !t.IsMapType() {
				return cty.NilVal, errors.New(`wants fields in braces: event("+1m", { "user.name" = "bob" })`)
			}
			fields := make([]TestField, 0, args[1].LengthInt())
			for it := args[1].ElementIterator(); it.Next(); {
				name, v := it.Element()
				if v.IsNull() {
					continue
				}
				f, err := testField(name.AsString(), v)
				if err != nil {
					return cty.NilVal, err
				}
				fields = append(fields, f)
			}
			return e.newEvent(args[0].AsString(), fields)
		},
	})
}

// testField renders a value as Event.Set takes it: places may be written "52.52,13.405", objects of changes and the like as objects.
func testField(name string, v cty.Value) (TestField, error) {
	f := TestField{Name: name}
	id, _ := event.FieldByName(name)
	if t := v.Type(); (t.IsObjectType() || t.IsMapType()) && name == id.Info().Name {
		text, err := ctyjson.Marshal(v, t)
		f.Values = []string{string(text)}
		return f, err
	}
	for one := range leaves(v) {
		text, ok := valueAsText(one)
		if !ok {
			return f, fmt.Errorf("%s: want a text, a number, true, false, or a list of these", cutText(name))
		}
		if lat, lon, isPlace := strings.Cut(text, ","); isPlace && id.Info().Type == event.Place {
			text = fmt.Sprintf(`{"lat":%s,"lon":%s}`, strings.TrimSpace(lat), strings.TrimSpace(lon))
		}
		f.Values = append(f.Values, text)
	}
	return f, nil
}

// newEvent checks the time and the fields.
func (e *testReader) newEvent(at string, fields []TestField) (cty.Value, error) {
	ev := &TestEvent{Fields: fields}
	if d, err := signedDuration(at); err == nil {
		ev.At = e.start.Add(d)
	} else if ev.At, err = time.Parse(time.RFC3339, at); err != nil {
		return cty.NilVal, fmt.Errorf(`%q is no time; write "+4m", "-1d" or "2026-01-05T22:00:00Z"`, cutText(at))
	}
	if y := ev.At.Year(); y < 1971 || y > 2200 {
		return cty.NilVal, fmt.Errorf("the year %d is out of range", y)
	}
	var scratch event.Event
	for _, f := range fields {
		if err := checkTestField(&scratch, f); err != nil {
			return cty.NilVal, err
		}
	}
	return cty.CapsuleVal(eventType, ev), nil
}

func checkTestField(scratch *event.Event, f TestField) error {
	if key, ok := cutLabel(f.Name); ok {
		if event.LabelKey(key) != key {
			return fmt.Errorf("labels have keys of letters, digits and '_': write %q", "labels."+event.LabelKey(key))
		}
		return nil
	}
	id, ok := event.FieldByName(f.Name)
	switch {
	case !ok:
		remedy := "the fields are listed in docs/fields.md"
		if near := conf.Suggest(f.Name, event.FieldNames()); near != "" {
			remedy = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Errorf("unknown field %q; %s", cutText(f.Name), remedy)
	case id == event.FieldTimestamp:
		return errors.New("the time of an event is its first argument")
	case len(f.Values) > 1 && !id.Info().Array:
		return fmt.Errorf("%s has one value", f.Name)
	}
	for _, text := range f.Values {
		switch err := scratch.Set(id, text); {
		case errors.Is(err, event.ErrUnknownField):
			return fmt.Errorf("%s is set by Gatebook itself", f.Name)
		case err != nil:
			if q, unknown := query.FieldNamed(f.Name); unknown == nil {
				if _, better := query.ValueFor(q, text, nil); better != nil {
					return better
				}
			}
			return err
		}
	}
	return nil
}

func cutLabel(name string) (key string, ok bool) {
	const prefix = "labels."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}
