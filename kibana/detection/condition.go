package detection

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// condition is what one event is asked, lists and defines written out: allOf, anyOf, notOf, asked, inHours or atClock.
type condition interface{ isCondition() }

type (
	allOf []condition
	anyOf []condition
	notOf struct{ of condition }
	// asked is one question that package query answers: no And, Or, Not or != among them.
	asked struct{ query.Expr }
	// inHours holds the time of the event against hours of a time zone.
	inHours struct{ *rules.Hours }
	// atClock holds the hour or the day of the week of the event against a number.
	atClock struct {
		term *rules.Call
		op   query.Op
		n    float64
	}
)

func (allOf) isCondition()   {}
func (anyOf) isCondition()   {}
func (notOf) isCondition()   {}
func (asked) isCondition()   {}
func (inHours) isCondition() {}
func (atClock) isCondition() {}

var (
	always = asked{query.Const{True: true}}
	never  = asked{query.Const{}}
)

func isAlways(c condition) bool { return isConstant(c, true) }
func isNever(c condition) bool  { return isConstant(c, false) }

func isConstant(c condition, truth bool) bool {
	a, ok := c.(asked)
	if !ok {
		return false
	}
	k, ok := a.Expr.(query.Const)
	return ok && k.True == truth
}

// cannot is why something is not exported: a sentence without its full stop, in Markdown, made of the node that cannot be said.
type cannot struct{ why string }

func (c *cannot) Error() string { return c.why }

func cannotf(format string, args ...any) error { return &cannot{fmt.Sprintf(format, args...)} }

// reader makes conditions of rules' expressions.
type reader struct {
	steps  []string // names of a sequence's steps
	longer int      // most values of a list
}

// condition reads what one event is asked.
func (r *reader) condition(e rules.Expr) (condition, error) {
	switch e := e.(type) {
	case nil:
		return always, nil
	case *rules.Defined:
		return r.condition(e.Of)
	case *rules.Match:
		return fromQuery(e.Of), nil
	case *rules.And:
		return r.join(e.Of, func(list []condition) condition { return all(list...) })
	case *rules.Or:
		return r.join(e.Of, func(list []condition) condition { return anyIn(list...) })
	case *rules.Not:
		of, err := r.condition(e.Of)
		return not(of), err
	case *rules.InList:
		return r.inList(e)
	case *rules.Compare:
		return r.compare(e)
	case *rules.Call:
		if e.Hours != nil {
			c := condition(inHours{e.Hours})
			if e.Name == "outside" {
				c = not(c)
			}
			return c, nil
		}
	}
	return nil, r.reason(e)
}

func (r *reader) join(of []rules.Expr, join func([]condition) condition) (condition, error) {
	list := make([]condition, len(of))
	for i, e := range of {
		var err error
		if list[i], err = r.condition(e); err != nil {
			return nil, err
		}
	}
	return join(list), nil
}

// compare reads comparisons that are no question of one field: of the hour, of whether one of several fields is there.
func (r *reader) compare(e *rules.Compare) (condition, error) {
	call, isCall := e.Left.(*rules.Call)
	right, isConst := e.Right.(*rules.Const)
	if !isCall || !isConst {
		return nil, r.reason(e)
	}
	switch n, isNumber := right.Value.(float64); {
	case (call.Name == "hour" || call.Name == "weekday") && isNumber:
		return atClock{call, e.Op, n}, nil
	case call.Name == "coalesce" && right.Value == nil:
		fields, err := r.coalesced(call)
		if err != nil {
			return nil, err
		}
		there := anyThere(fields)
		if e.Op == query.Eq {
			return not(there), nil
		}
		return there, nil
	}
	return nil, r.reason(e)
}

// anyThere asks whether any of the fields has a value.
func anyThere(fields []query.Field) condition {
	var list []condition
	for _, f := range fields {
		list = append(list, there(f))
	}
	return anyIn(list...)
}

func there(f query.Field) condition {
	f.Fold = false
	return asked{query.Exists{Field: f}}
}

// coalesced are the fields of coalesce().
func (r *reader) coalesced(call *rules.Call) ([]query.Field, error) {
	var fields []query.Field
	for _, a := range call.Args {
		f, ok := plainField(a)
		if !ok {
			return nil, r.reason(call)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// plainField is the field of this event that a term is.
func plainField(e rules.Expr) (query.Field, bool) {
	f, ok := e.(*rules.Field)
	if !ok || f.From != rules.FromEvent {
		return query.Field{}, false
	}
	return f.Field, true
}

// inList writes the list out.
func (r *reader) inList(e *rules.InList) (condition, error) {
	f, ok := plainField(e.Term)
	if call, isCall := e.Term.(*rules.Call); isCall && call.Name == "lower" {
		f, ok = plainField(call.Args[0])
		f.Fold = true
	}
	if !ok {
		return nil, cannotf("%s looks up in a list what is worked out of the event", quoted(r.text(e)))
	}
	l := e.List
	if len(l.Values) > r.longer {
		return nil, cannotf("list %s has %d values, and a rule of Kibana is to hold %d at most", l.Name, len(l.Values), r.longer)
	}
	switch l.Kind {
	case rules.ListCIDR:
		if len(l.Values) == 0 {
			return never, nil
		}
		c, err := query.NewCIDR(f, l.Values)
		if err != nil {
			return nil, cannotf("%s: %s", quoted(r.text(e)), escape(err.Error()))
		}
		return asked{c}, nil
	case rules.ListRegex:
		var list []condition
		for _, v := range l.Values {
			if f.Fold {
				v = "(?i)" + v
			}
			re, err := regexp.Compile(v)
			if err != nil {
				return nil, cannotf("%s: %s", quoted(r.text(e)), escape(err.Error()))
			}
			list = append(list, asked{query.Text{Field: f, How: query.Matches, Text: v, Re: re}})
		}
		return anyIn(list...), nil
	}
	in := query.In{Field: f}
	for _, v := range l.Values {
		if f.Type() == event.Keyword || f.Type() == event.Text {
			if f.Fold {
				v = strings.ToLower(v)
			}
			in.Values = append(in.Values, query.Value{Kind: event.Str, Str: v})
		} else if value, err := query.ValueFor(f, v, nil); err == nil { // no other value can be equal
			in.Values = append(in.Values, value)
		}
	}
	return fromQuery(in), nil
}

// fromQuery takes a tree of package query apart.
func fromQuery(e query.Expr) condition {
	list := func(of []query.Expr) (list []condition) {
		for _, one := range of {
			list = append(list, fromQuery(one))
		}
		return list
	}
	switch e := e.(type) {
	case query.And:
		return all(list(e.Of)...)
	case query.Or:
		return anyIn(list(e.Of)...)
	case query.Not:
		return not(fromQuery(e.Of))
	case query.Compare:
		if e.Op == query.Ne {
			e.Op = query.Eq
			return not(asked{e})
		}
	case query.In:
		if len(e.Values) == 0 {
			return never
		}
	case query.CIDR:
		if len(e.Networks) == 0 {
			return never
		}
	}
	return asked{e}
}

// toQuery puts it together again; ok is false where there are hours in it.
func toQuery(c condition) (e query.Expr, ok bool) {
	list := func(of []condition) (list []query.Expr, ok bool) {
		for _, one := range of {
			e, ok := toQuery(one)
			if !ok {
				return nil, false
			}
			list = append(list, e)
		}
		return list, true
	}
	switch c := c.(type) {
	case allOf:
		of, ok := list(c)
		return query.And{Of: of}, ok
	case anyOf:
		of, ok := list(c)
		return query.Or{Of: of}, ok
	case notOf:
		of, ok := toQuery(c.of)
		return query.Not{Of: of}, ok
	case asked:
		return c.Expr, true
	}
	return nil, false
}

// all, anyIn and not leave constants and needless nesting out.
func all(list ...condition) condition {
	var out allOf
	for _, c := range list {
		switch {
		case isNever(c):
			return never
		case isAlways(c):
		default:
			parts, nested := c.(allOf)
			if !nested {
				parts = allOf{c}
			}
			for _, p := range parts {
				if !slices.ContainsFunc(out, func(had condition) bool { return sameCondition(had, p) }) {
					out = append(out, p)
				}
			}
		}
	}
	switch len(out) {
	case 0:
		return always
	case 1:
		return out[0]
	}
	return out
}

func anyIn(list ...condition) condition {
	var out anyOf
	for _, c := range list {
		switch {
		case isAlways(c):
			return always
		case isNever(c):
		default:
			if parts, nested := c.(anyOf); nested {
				out = append(out, parts...)
			} else {
				out = append(out, c)
			}
		}
	}
	switch len(out) {
	case 0:
		return never
	case 1:
		return out[0]
	}
	return out
}

func not(c condition) condition {
	switch of := c.(type) {
	case nil:
		return nil
	case notOf:
		return of.of
	default:
		if isAlways(c) {
			return never
		}
		if isNever(c) {
			return always
		}
	}
	return notOf{c}
}

// sameCondition compares by text.
func sameCondition(a, b condition) bool { return conditionText(a) == conditionText(b) }

// conditionText is a condition as a rule file has it.
func conditionText(c condition) string {
	list := func(of []condition, word string) string {
		parts := make([]string, len(of))
		for i, one := range of {
			parts[i] = conditionText(one)
		}
		return "(" + strings.Join(parts, word) + ")"
	}
	switch c := c.(type) {
	case allOf:
		return list(c, " && ")
	case anyOf:
		return list(c, " || ")
	case notOf:
		return "!" + conditionText(c.of)
	case asked:
		return rules.Canonical(&rules.Match{Of: c.Expr})
	case inHours:
		return rules.Canonical(&rules.Call{Name: "within", Hours: c.Hours})
	case atClock:
		return rules.Canonical(&rules.Compare{Op: c.op, Left: c.term, Right: &rules.Const{Value: c.n}})
	}
	return ""
}

// fieldsOf lists the fields that a condition asks for.
func fieldsOf(c condition) (fields []query.Field) {
	switch c := c.(type) {
	case allOf:
		for _, one := range c {
			fields = append(fields, fieldsOf(one)...)
		}
	case anyOf:
		for _, one := range c {
			fields = append(fields, fieldsOf(one)...)
		}
	case notOf:
		return fieldsOf(c.of)
	case asked:
		if f, ok := fieldAsked(c.Expr); ok {
			return []query.Field{f}
		}
	case inHours, atClock:
		return []query.Field{{ID: event.FieldTimestamp}}
	}
	return fields
}

func fieldAsked(e query.Expr) (query.Field, bool) {
	switch e := e.(type) {
	case query.Compare:
		return e.Field, true
	case query.In:
		return e.Field, true
	case query.Text:
		return e.Field, true
	case query.CIDR:
		return e.Field, true
	case query.Exists:
		return e.Field, true
	}
	return query.Field{}, false
}
