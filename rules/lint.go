package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// Lint tells what is allowed and probably not meant, as warnings: exceptions that have expired, rules without a description or without tests
// of both kinds (where Load decoded tests), fields that no input of the config fills (yields tells; nil: not looked at), lists that are used
// and empty, lists and defines that nothing uses (except the library's), windows without effect, and rules that can never fire. What Load
// itself warns of is in the Set's Problems.
func Lint(s *Set, now time.Time, yields func(field string) bool) conf.Diagnostics {
	l := &linter{set: s, seen: map[string]bool{}}
	for _, r := range s.Rules {
		l.rule(r, now)
		r.expressions(func(e Expr) {
			Walk(e, func(e Expr) bool {
				l.node(e, yields)
				return true
			})
		})
	}
	for _, n := range s.names {
		if !n.used && !n.library {
			l.warn(n.at, fmt.Sprintf("nothing uses the %s %q", n.kind, n.name), "")
		}
	}
	l.found.Sort()
	return l.found
}

type linter struct {
	set   *Set
	found conf.Diagnostics
	seen  map[string]bool
}

// warn notes a warning once: a define is looked at in every rule that uses it.
func (l *linter) warn(at hcl.Range, message, remedy string) {
	d := conf.Diagnostic{Severity: conf.Warning, Range: at, Message: message, Remedy: remedy}.WithSource(l.set.sources[at.Filename])
	if text := d.String(); !l.seen[text] {
		l.seen[text] = true
		l.found = append(l.found, d)
	}
}

func (l *linter) rule(r *Rule, now time.Time) {
	name := fmt.Sprintf("rule %q", r.ID)
	if r.Description == "" {
		l.warn(r.Range, name+" has no description", "say what it means when it fires")
	}
	if l.set.tests {
		positive := slices.ContainsFunc(r.Tests, func(t *Test) bool { return !t.Negative })
		negative := slices.ContainsFunc(r.Tests, func(t *Test) bool { return t.Negative })
		if !positive {
			l.warn(r.Range, name+" has no test that expects an alert", "")
		}
		if !negative {
			l.warn(r.Range, name+" has no test that expects none", `write expect = []`)
		}
	}
	for _, e := range r.Except {
		if !e.Expires.IsZero() && !now.Before(e.Expires) {
			l.warn(e.Range, fmt.Sprintf("the exception %q has expired on %s and has no effect any more", e.Name, e.Expires.Format(time.DateOnly)), "remove it, or renew it with its reason")
		}
	}
	if r.Window > 0 && !slices.ContainsFunc([]AggregateKind{Count, Distinct, Sum, Min, Max, Rate, Ratio, FirstSeen}, r.uses) {
		l.warn(r.Range, name+": its window has no effect but on quiet: fire asks for nothing in it", "")
	}
	var needed []Expr // all of them have to be true some time
	if r.Sequence != nil {
		for _, step := range r.Sequence.Steps {
			if !step.Without {
				needed = append(needed, step.When)
			}
		}
	} else {
		needed = append(needed, r.When, r.Fire)
		if r.Session != nil {
			needed = append(needed, r.Session.Open)
		}
	}
	for _, e := range needed {
		if e != nil && neverTrue(e) {
			l.warn(e.Range(), name+" can never fire: this is never true", "")
		}
	}
}

// uses tells whether any expression of the rule asks for the aggregate.
func (r *Rule) uses(kind AggregateKind) bool {
	found := false
	r.expressions(func(e Expr) { found = found || e != nil && usesAggregate(e, kind) })
	return found
}

func (l *linter) node(e Expr, yields func(field string) bool) {
	if in, ok := e.(*InList); ok && len(in.List.Values) == 0 {
		l.warn(e.Range(), fmt.Sprintf("the list %q is empty: nothing is in it", in.List.Name), "")
	}
	if yields == nil {
		return
	}
	fieldsOf(e, func(f query.Field) {
		if name := f.Name(); !yields(name) {
			l.warn(e.Range(), fmt.Sprintf("no input of the config gives %s", name), "")
		}
	})
}

// neverTrue finds the easy cases: false as written, and two different values of one field at once.
func neverTrue(e Expr) bool {
	switch e := e.(type) {
	case *And:
		return slices.ContainsFunc(e.Of, neverTrue) || contradiction(equalities(e, nil))
	case *Or:
		return !slices.ContainsFunc(e.Of, func(e Expr) bool { return !neverTrue(e) })
	case *Not:
		m, ok := e.Of.(*Match)
		return ok && m.Of == query.Expr(query.Const{True: true})
	case *Defined:
		return neverTrue(e.Of)
	case *Match:
		c, ok := e.Of.(query.Const)
		return ok && !c.True
	}
	return false
}

// equalities collects what FIELD == value has to hold for an event to get through.
func equalities(e Expr, list []query.Compare) []query.Compare {
	switch e := e.(type) {
	case *And:
		for _, one := range e.Of {
			list = equalities(one, list)
		}
	case *Defined:
		return equalities(e.Of, list)
	case *Match:
		if c, ok := e.Of.(query.Compare); ok && c.Op == query.Eq && c.Field.Key == "" && !event.Fields[c.Field.ID].Array {
			list = append(list, c)
		}
	}
	return list
}

func contradiction(list []query.Compare) bool {
	values := map[query.Field]query.Value{}
	for _, c := range list {
		if v, ok := values[c.Field]; ok && v != c.Value && v.Kind == c.Value.Kind {
			return true
		}
		values[c.Field] = c.Value
	}
	return false
}
