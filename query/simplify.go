package query

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// asText is a condition as HCL writes it, for messages.
func asText(e Expr) string {
	value := func(f Field, v Value) string {
		switch {
		case v.Kind == event.JSON:
			return v.IP.String()
		case v.Kind == event.Str:
			return strconv.Quote(v.Str)
		case f.Type() == event.DateTime:
			return strconv.Quote(event.Time(v.Int).String())
		case v.Kind == event.Num:
			return strconv.FormatFloat(v.Num, 'g', -1, 64)
		}
		return strconv.FormatInt(v.Int, 10)
	}
	switch e := e.(type) {
	case Compare:
		return e.Field.Name() + " " + e.Op.String() + " " + value(e.Field, e.Value)
	case Text:
		return fmt.Sprintf("%s(%s, %q)", e.How, e.Field.Name(), e.Text)
	case CIDR:
		return fmt.Sprintf("cidr(%s, %q)", e.Field.Name(), e.Networks)
	case In:
		var list []string
		for _, v := range e.Values {
			list = append(list, value(e.Field, v))
		}
		return "in(" + e.Field.Name() + ", [" + strings.Join(list, ", ") + "])"
	case Exists:
		return "exists(" + e.Field.Name() + ")"
	}
	return fmt.Sprintf("%T", e)
}

// simplify takes constants, != and needless nesting out of a tree.
func simplify(e Expr) Expr {
	switch e := e.(type) {
	case And:
		list, done := simplifyList(e.Of, false, func(e Expr) ([]Expr, bool) { and, ok := e.(And); return and.Of, ok })
		if done {
			return Const{false}
		}
		return joined(list, true, func() Expr { return And{list} })
	case Or:
		list, done := simplifyList(e.Of, true, func(e Expr) ([]Expr, bool) { or, ok := e.(Or); return or.Of, ok })
		if done {
			return Const{true}
		}
		return joined(list, false, func() Expr { return Or{list} })
	case Not:
		switch of := simplify(e.Of).(type) {
		case Const:
			return Const{!of.True}
		case Not:
			return of.Of
		default:
			return Not{of}
		}
	case Compare:
		if e.Op == Ne {
			e.Op = Eq
			return Not{e}
		}
	case In:
		if len(e.Values) == 0 {
			return Const{false}
		}
	case CIDR:
		if len(e.Networks) == 0 {
			return Const{false}
		}
	}
	return e
}

// simplifyList simplifies the parts; a part that is the constant decides, the other is left out, a part of the same kind gives its own parts.
func simplifyList(of []Expr, decides bool, same func(Expr) ([]Expr, bool)) (list []Expr, decided bool) {
	for _, part := range of {
		part = simplify(part)
		if c, ok := part.(Const); ok {
			if c.True == decides {
				return nil, true
			}
		} else if parts, ok := same(part); ok {
			list = append(list, parts...)
		} else {
			list = append(list, part)
		}
	}
	return list, false
}

func joined(list []Expr, empty bool, join func() Expr) Expr {
	switch len(list) {
	case 0:
		return Const{empty}
	case 1:
		return list[0]
	}
	return join()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
