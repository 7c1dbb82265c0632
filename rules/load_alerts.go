package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// Rules over alerts: when implies event.kind == "event" unless it names event.kind, and rules that name it must not see their own alerts,
// over other rules either.

// withKind puts event.kind == "event" before a condition that does not name event.kind.
func withKind(e Expr) Expr {
	if e == nil || namesField(e, event.FieldEventKind) {
		return e
	}
	at := At{emptyRange(e.Range())}
	kind := &Match{at, query.Compare{Field: query.Field{ID: event.FieldEventKind}, Op: query.Eq,
		Value: query.Value{Kind: event.Str, Str: string(event.KindEvent)}}}
	if and, ok := e.(*And); ok {
		return &And{and.At, append([]Expr{kind}, and.Of...)}
	}
	return &And{At{e.Range()}, []Expr{kind, e}}
}

func namesField(e Expr, id event.FieldID) bool {
	found := false
	Walk(e, func(e Expr) bool {
		fieldsOf(e, func(f query.Field) { found = found || f.ID == id })
		return !found
	})
	return found
}

// fieldsOf calls f for the fields that a node itself names.
func fieldsOf(e Expr, f func(query.Field)) {
	switch e := e.(type) {
	case *Match:
		queryFields(e.Of, f)
	case *Field:
		f(e.Field)
	}
}

func queryFields(e query.Expr, f func(query.Field)) {
	switch e := e.(type) {
	case query.And:
		for _, one := range e.Of {
			queryFields(one, f)
		}
	case query.Or:
		for _, one := range e.Of {
			queryFields(one, f)
		}
	case query.Not:
		queryFields(e.Of, f)
	case query.Compare:
		f(e.Field)
	case query.In:
		f(e.Field)
	case query.Text:
		f(e.Field)
	case query.CIDR:
		f(e.Field)
	case query.Exists:
		f(e.Field)
	}
}

// truth is what can be said of a condition where only the kind of an event and its rule are known.
type truth int8

const (
	no truth = iota - 1
	maybe
	yes
)

// truthOf makes ready to ask whether a condition can be true for an alert of a rule.
func truthOf(e Expr) func(*event.Event) truth {
	switch e := e.(type) {
	case *And:
		return truthOfAll(e.Of, no)
	case *Or:
		return truthOfAll(e.Of, yes)
	case *Not:
		of := truthOf(e.Of)
		return func(ev *event.Event) truth { return -of(ev) }
	case *Defined:
		return truthOf(e.Of)
	case *Match:
		known := true
		queryFields(e.Of, func(f query.Field) {
			known = known && (f.ID == event.FieldEventKind || f.ID == event.FieldRuleId)
		})
		if known {
			holds := query.Compile(e.Of)
			return func(ev *event.Event) truth { return truthIf(holds(ev)) }
		}
	case *InList:
		if f, ok := e.Term.(*Field); ok && f.Field.Key == "" && (f.Field.ID == event.FieldRuleId || f.Field.ID == event.FieldEventKind) {
			return func(ev *event.Event) truth {
				v := ev.Get(f.Field.ID)
				return truthIf(e.List.Contains(v.Text()))
			}
		}
	}
	return func(*event.Event) truth { return maybe }
}

func truthIf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// truthOfAll is decided by one part that is as given, and unknown where any other part is.
func truthOfAll(parts []Expr, decides truth) func(*event.Event) truth {
	each := make([]func(*event.Event) truth, len(parts))
	for i, p := range parts {
		each[i] = truthOf(p)
	}
	return func(ev *event.Event) truth {
		result := -decides
		for _, one := range each {
			switch t := one(ev); t {
			case decides:
				return decides
			case maybe:
				result = maybe
			}
		}
		return result
	}
}

// filters are the conditions that let events into the rule.
func (r *Rule) filters() []Expr {
	var all []Expr
	if r.When != nil {
		all = append(all, r.When)
	}
	if r.Sequence != nil {
		for _, s := range r.Sequence.Steps {
			if s.When != nil {
				all = append(all, s.When)
			}
		}
	}
	if r.Session != nil {
		for _, e := range []Expr{r.Session.Open, r.Session.Close} {
			if e != nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// checkAlertRules marks the rules that see alerts of others, and finds circles of such.
func (l *loader) checkAlertRules() {
	rules := l.set.Rules
	sees := make([][]int, len(rules)) // by rule: those whose alerts it may take
	alert := event.Event{Kind: event.KindAlert}
	id := &alert.NeedRule().ID
	for i, r := range rules {
		if !r.Enabled {
			continue
		}
		for _, filter := range r.filters() {
			if !namesField(filter, event.FieldEventKind) {
				continue
			}
			may := truthOf(filter)
			for k, from := range rules {
				if !from.Enabled || slices.Contains(sees[i], k) {
					continue
				}
				*id = from.ID
				if may(&alert) != no {
					sees[i], r.OverAlerts = append(sees[i], k), true
				}
			}
		}
	}
	done := make([]bool, len(rules))
	for i := range rules {
		if circle := findCircle(sees, i, nil, done); circle != nil {
			l.tellCircle(circle)
			return // the others may be parts of the same
		}
	}
}

// findCircle goes from rule to rule; done are those from which no circle is reached.
func findCircle(sees [][]int, at int, way []int, done []bool) []int {
	if i := slices.Index(way, at); i >= 0 {
		return way[i:]
	}
	if done[at] {
		return nil
	}
	way = append(way, at)
	for _, next := range sees[at] {
		if circle := findCircle(sees, next, way, done); circle != nil {
			return circle
		}
	}
	done[at] = true
	return nil
}

func (l *loader) tellCircle(circle []int) {
	r := l.set.Rules[circle[0]]
	message := fmt.Sprintf("rule %q takes alerts of its own", r.ID)
	if len(circle) > 1 {
		ids := make([]string, 0, len(circle)+1)
		for _, i := range append(circle, circle[0]) {
			ids = append(ids, l.set.Rules[i].ID)
		}
		message = "rules take each other's alerts in a circle: " + strings.Join(ids, " -> ")
	}
	for _, s := range l.opened {
		if s.Name == r.File {
			s.file.ErrorAt(r.Range, message, `say whose alerts it takes: event.kind == "alert" && rule.id == "..."`)
			return
		}
	}
}
