package query

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// Compile makes a function that tells whether an event matches. It is safe for concurrent use and allocates nothing on events
// whose names are ASCII.
func Compile(e Expr) func(*event.Event) bool {
	switch e := e.(type) {
	case And:
		return all(compileAll(e.Of))
	case Or:
		return anyOf(compileAll(e.Of))
	case Not:
		f := Compile(e.Of)
		return func(ev *event.Event) bool { return !f(ev) }
	case Const:
		return func(*event.Event) bool { return e.True }
	case Compare:
		return compileCompare(e)
	case In:
		return anyText(e.Field, inTest(e))
	case Text:
		return anyText(e.Field, textTest(e))
	case CIDR:
		return anyText(e.Field, e.holds)
	case Exists:
		return compileExists(e.Field)
	}
	return func(*event.Event) bool { return false }
}

func compileAll(list []Expr) []func(*event.Event) bool {
	out := make([]func(*event.Event) bool, len(list))
	for i, e := range list {
		out[i] = Compile(e)
	}
	return out
}

func all(fs []func(*event.Event) bool) func(*event.Event) bool {
	if len(fs) == 2 {
		a, b := fs[0], fs[1]
		return func(ev *event.Event) bool { return a(ev) && b(ev) }
	}
	return func(ev *event.Event) bool {
		for _, f := range fs {
			if !f(ev) {
				return false
			}
		}
		return true
	}
}

func anyOf(fs []func(*event.Event) bool) func(*event.Event) bool {
	if len(fs) == 2 {
		a, b := fs[0], fs[1]
		return func(ev *event.Event) bool { return a(ev) || b(ev) }
	}
	return func(ev *event.Event) bool {
		for _, f := range fs {
			if f(ev) {
				return true
			}
		}
		return false
	}
}

func compileCompare(c Compare) func(*event.Event) bool {
	if c.Op == Ne {
		c.Op = Eq
		f := compileCompare(c)
		return func(ev *event.Event) bool { return !f(ev) }
	}
	if c.Field.ID == event.FieldEventAction && c.Op == Eq {
		if a, ok := event.ActionByName(c.Value.Str); ok {
			return func(ev *event.Event) bool { return ev.Action == a }
		}
	}
	switch c.Value.Kind {
	case event.JSON:
		return anyText(c.Field, sameAddress(c.Value.IP))
	case event.Str:
		return anyText(c.Field, stringTest(c.Op, c.Value.Str, c.Field.Fold))
	}
	return compileNumber(c)
}

// compileNumber reads numbers, dates and booleans, of which no field has several.
func compileNumber(c Compare) func(*event.Event) bool {
	id, op := c.Field.ID, c.Op
	if c.Value.Kind == event.Int && c.Field.Type() != event.Float32 {
		want := c.Value.Int
		if id == event.FieldTimestamp {
			return func(ev *event.Event) bool { return ev.Time != 0 && ordered(op, int64(ev.Time), want) }
		}
		return func(ev *event.Event) bool {
			v := ev.Get(id)
			return v.Kind != event.None && ordered(op, v.Int, want)
		}
	}
	want := c.Value.Num
	if c.Value.Kind == event.Int {
		want = float64(c.Value.Int)
	}
	return func(ev *event.Event) bool {
		switch v := ev.Get(id); v.Kind {
		case event.None:
			return false
		case event.Num:
			return ordered(op, v.Num, want)
		default:
			return ordered(op, float64(v.Int), want)
		}
	}
}

func ordered[T int64 | float64 | string](op Op, a, b T) bool {
	switch op {
	case Eq:
		return a == b
	case Ne:
		return a != b
	case Lt:
		return a < b
	case Le:
		return a <= b
	case Gt:
		return a > b
	}
	return a >= b
}

func stringTest(op Op, want string, fold bool) func(string) bool {
	switch {
	case !fold && op == Eq:
		return func(s string) bool { return s == want }
	case fold && op == Eq:
		return func(s string) bool { return equalLower(s, want) }
	case fold:
		return func(s string) bool { return ordered(op, strings.ToLower(s), want) }
	}
	return func(s string) bool { return ordered(op, s, want) }
}

func inTest(e In) func(string) bool {
	tests := make([]func(string) bool, len(e.Values))
	for i, v := range e.Values {
		if v.Kind == event.JSON {
			tests[i] = sameAddress(v.IP)
		} else {
			tests[i] = stringTest(Eq, v.Str, e.Field.Fold)
		}
	}
	return func(s string) bool {
		for _, t := range tests {
			if t(s) {
				return true
			}
		}
		return false
	}
}

func sameAddress(want netip.Addr) func(string) bool {
	return func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Unmap() == want
	}
}

func (e CIDR) holds(s string) bool {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	a = a.Unmap()
	for _, n := range e.Networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

func textTest(e Text) func(string) bool {
	want := e.Text
	if e.How == Matches {
		return e.Re.MatchString
	}
	test := strings.Contains
	switch e.How {
	case StartsWith:
		test = strings.HasPrefix
	case EndsWith:
		test = strings.HasSuffix
	}
	if !e.Field.Fold {
		return func(s string) bool { return test(s, want) }
	}
	return func(s string) bool { return test(strings.ToLower(s), want) } // allocates only where s is not lower case
}

// equalLower tells strings.ToLower(s) == lower without making it.
func equalLower(s, lower string) bool {
	if s == lower {
		return true
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return strings.ToLower(s) == lower
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if i >= len(lower) || c != lower[i] {
			return false
		}
	}
	return len(s) == len(lower)
}

// anyText makes a function that tells whether test holds for any value of a field of text or addresses.
func anyText(f Field, test func(string) bool) func(*event.Event) bool {
	if f.Key != "" {
		key := f.Key
		return func(ev *event.Event) bool {
			for i := range ev.Labels {
				if l := &ev.Labels[i]; l.Key == key && test(l.Value) {
					return true
				}
			}
			return false
		}
	}
	if get := TextOf(f.ID); get != nil {
		return func(ev *event.Event) bool {
			s := get(ev)
			return s != "" && test(s)
		}
	}
	switch id := f.ID; id {
	case event.FieldEventType:
		return func(ev *event.Event) bool {
			if ev.Type != "" {
				return test(ev.Type)
			}
			return anyIn(ev.Action.Info().Types, test)
		}
	default:
		return func(ev *event.Event) bool {
			switch v := ev.Get(id); v.Kind {
			case event.Str:
				return test(v.Str)
			case event.List:
				return anyIn(v.List, test)
			}
			return false
		}
	}
}

func anyIn(list []string, test func(string) bool) bool {
	for _, s := range list {
		if test(s) {
			return true
		}
	}
	return false
}

func compileExists(f Field) func(*event.Event) bool {
	id := f.ID
	switch {
	case f.Key != "":
		return anyText(f, func(string) bool { return true })
	case id == event.FieldLabels:
		return func(ev *event.Event) bool { return len(ev.Labels) > 0 }
	case id == event.FieldEventType || TextOf(id) != nil:
		return anyText(f, func(string) bool { return true })
	}
	return func(ev *event.Event) bool { return ev.Get(id).Kind != event.None }
}
