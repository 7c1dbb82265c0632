package conf

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// String returns a string, def where it is absent or wrong.
func (r *reader) String(name, def string) string {
	s, ok := r.text(name, `a string such as "..."`)
	if !ok {
		return def
	}
	return s
}

// RequiredString returns a string that has to be there and not be empty.
func (r *reader) RequiredString(name string) string {
	if !r.Require(name, `"..."`) {
		return ""
	}
	s, ok := r.text(name, `a string such as "..."`)
	if ok && s == "" {
		r.errorAt(r.Range(name), name, "is empty", "")
	}
	return s
}

// text is a string, with what stands in the error where it is none.
func (r *reader) text(name, what string) (string, bool) {
	a := r.get(name)
	if a == nil {
		return "", false
	}
	if a.value.Type() != cty.String {
		remedy := ""
		if !a.hidden && (a.value.Type() == cty.Number || a.value.Type() == cty.Bool) && what == `a string such as "..."` {
			remedy = fmt.Sprintf("write %s = %q", asKey(name), cut(string(a.expr.Range().SliceBytes(r.file.src))))
		}
		r.want(a, what, remedy)
		return "", false
	}
	return a.value.AsString(), true
}

// Bool returns true or false; from env() also "true" and "false".
func (r *reader) Bool(name string, def bool) bool {
	a := r.get(name)
	if a == nil {
		return def
	}
	switch {
	case a.value.Type() == cty.Bool:
		return a.value.True()
	case a.hidden && a.value.Type() == cty.String && slices.Contains([]string{"true", "false"}, a.value.AsString()):
		return a.value.AsString() == "true"
	}
	remedy := ""
	if !a.hidden && a.value.Type() == cty.String {
		remedy = fmt.Sprintf("write %s = true or %s = false, without quotes", asKey(name), asKey(name))
	}
	r.want(a, "true or false", remedy)
	return def
}

// Int returns a whole number within [min, max]; a max of 0 means no upper bound. From env() digits in a string do as well.
func (r *reader) Int(name string, def, min, max int) int {
	n, ok := r.number(name, "a whole number such as "+strconv.Itoa(example(def, min)))
	if !ok {
		return def
	}
	if n != math.Trunc(n) || math.Abs(n) >= 1<<53 { // beyond that a float64 has gaps
		r.errorAt(r.Range(name), name, "want a whole number", "")
		return def
	}
	value := int(n)
	if !r.within(name, value < min, max != 0 && value > max, strconv.Itoa(min), strconv.Itoa(max)) {
		return def
	}
	return value
}

func example(def, min int) int {
	if def != 0 {
		return def
	}
	return max(min, 1)
}

// Float returns a number within [min, max]; a max of 0 means no upper bound.
func (r *reader) Float(name string, def, min, max float64) float64 {
	n, ok := r.number(name, "a number")
	if !ok || !r.within(name, n < min, max != 0 && n > max, fmt.Sprint(min), fmt.Sprint(max)) {
		return def
	}
	return n
}

func (r *reader) number(name, what string) (float64, bool) {
	a := r.get(name)
	if a == nil {
		return 0, false
	}
	if a.hidden && a.value.Type() == cty.String {
		if n, err := strconv.ParseFloat(strings.TrimSpace(a.value.AsString()), 64); err == nil && n == n {
			return n, true
		}
	}
	if a.value.Type() != cty.Number {
		remedy := ""
		if !a.hidden && a.value.Type() == cty.String {
			remedy = "numbers stand without quotes"
		}
		r.want(a, what, remedy)
		return 0, false
	}
	n, _ := a.value.AsBigFloat().Float64()
	return n, true
}

func (r *reader) within(name string, below, above bool, min, max string) bool {
	switch {
	case below:
		r.errorAt(r.Range(name), name, "want at least "+min, "")
	case above:
		r.errorAt(r.Range(name), name, "want at most "+max, "")
	}
	return !below && !above
}

// Duration returns a length of time within [min, max], written as ParseDuration reads it; a max of 0 means no upper bound.
func (r *reader) Duration(name string, def, min, max time.Duration) time.Duration {
	what := `a duration such as "15m", "1h30m" or "30d"`
	n, ok := quantity(r, name, what, "s", ParseDuration)
	if !ok || !r.within(name, n < min, max != 0 && n > max, strconv.Quote(FormatDuration(min)), strconv.Quote(FormatDuration(max))) {
		return def
	}
	return n
}

// Size returns a number of bytes within [min, max], written as ParseSize reads it; a max of 0 means no upper bound.
func (r *reader) Size(name string, def, min, max int64) int64 {
	n, ok := quantity(r, name, `a size such as "64KiB" or "2GiB"`, "B", ParseSize)
	if !ok || !r.within(name, n < min, max != 0 && n > max, strconv.Quote(FormatSize(min)), strconv.Quote(FormatSize(max))) {
		return def
	}
	return n
}

func quantity[T any](r *reader, name, what, unit string, parse func(string) (T, error)) (value T, ok bool) {
	a := r.get(name)
	if a == nil {
		return value, false
	}
	if a.value.Type() != cty.String {
		remedy := ""
		if _, literal := a.expr.(*hclsyntax.LiteralValueExpr); literal && a.value.Type() == cty.Number {
			remedy = fmt.Sprintf("with its unit, in quotes: %s = \"%s%s\"", asKey(name), a.expr.Range().SliceBytes(r.file.src), unit)
		}
		r.want(a, what, remedy)
		return value, false
	}
	value, err := parse(a.value.AsString())
	if err != nil {
		r.errorAt(a.expr.Range(), name, fmt.Sprintf("want %s, got %s: %v", what, a.show(a.value.AsString()), err), "")
		return value, false
	}
	return value, true
}

// Enum returns one of allowed, def where it is absent or wrong.
func (r *reader) Enum(name, def string, allowed ...string) string {
	s, ok := r.text(name, "one of "+quoteAll(allowed))
	if !ok {
		return def
	}
	if slices.Contains(allowed, s) {
		return s
	}
	a, remedy := r.get(name), ""
	if near := Suggest(s, allowed); near != "" && !a.hidden {
		remedy = fmt.Sprintf("did you mean %q?", near)
	}
	r.errorAt(a.expr.Range(), name, fmt.Sprintf("%s is not one of %s", a.show(s), quoteAll(allowed)), remedy)
	return def
}

func quoteAll(ss []string) string {
	quoted := make([]string, len(ss))
	for i, s := range ss {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}

// Regexp returns a compiled RE2 expression, nil where it is absent or wrong.
func (r *reader) Regexp(name string) *regexp.Regexp {
	s, ok := r.text(name, "a regular expression in quotes")
	if !ok {
		return nil
	}
	re, err := regexp.Compile(s)
	if err == nil {
		return re
	}
	a, why := r.get(name), "not a regular expression"
	var se *syntax.Error
	if errors.As(err, &se) {
		why += ": " + se.Code.String()
		if !a.hidden && se.Expr != "" {
			why += " in " + strconv.Quote(cut(se.Expr))
		}
	}
	r.errorAt(a.expr.Range(), name, why, "the syntax is RE2's")
	return nil
}

// Location returns a time zone by its IANA name, def where it is absent or wrong.
func (r *reader) Location(name string, def *time.Location) *time.Location {
	s, ok := r.text(name, `a time zone such as "Europe/Berlin"`)
	if !ok {
		return def
	}
	loc, err := time.LoadLocation(s)
	if err != nil || s == "" {
		r.errorAt(r.Range(name), name, "no such time zone: "+r.get(name).show(s), `want an IANA name such as "Europe/Berlin" or "UTC"`)
		return def
	}
	return loc
}

// Strings returns a list of strings, nil where it is absent or wrong. One string is not taken for a list of one.
func (r *reader) Strings(name string) []string {
	a := r.get(name)
	if a == nil {
		return nil
	}
	t := a.value.Type()
	if !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		remedy := ""
		if t == cty.String {
			remedy = fmt.Sprintf("write %s = [%s]", asKey(name), cut(string(a.expr.Range().SliceBytes(r.file.src))))
		}
		r.want(a, "a list of strings", remedy)
		return nil
	}
	out, places, wrong := make([]string, 0, a.value.LengthInt()), elements(a.expr), false
	for it := a.value.ElementIterator(); it.Next(); {
		_, v := it.Element()
		if v.IsNull() || v.Type() != cty.String {
			at := a.expr.Range()
			if i := len(out); i < len(places) {
				at = places[i].Range()
			}
			r.errorAt(at, name, "want a list of strings, got "+describe(v)+" in it", "")
			wrong = true
			out = append(out, "")
			continue
		}
		out = append(out, v.AsString())
	}
	if wrong {
		return nil
	}
	return out
}

// elements are the element expressions where a list is written out, nil where it is computed.
func elements(expr hclsyntax.Expression) []hclsyntax.Expression {
	if t, ok := unwrap(expr).(*hclsyntax.TupleConsExpr); ok {
		return t.Exprs
	}
	return nil
}

func unwrap(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		p, ok := expr.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return expr
		}
		expr = p.Expression
	}
}

// Expr returns the expression as written, for a component with a language of its own; nil where it is absent.
func (r *reader) Expr(name string) hcl.Expression {
	a := r.written(name)
	if a == nil {
		return nil
	}
	return a.expr
}

// Value returns the evaluated value of any type without marks, cty.NilVal where it is absent, null or wrong. Ask Sensitive before
// showing it.
func (r *reader) Value(name string) cty.Value {
	a := r.get(name)
	if a == nil {
		return cty.NilVal
	}
	return a.value
}
