package engine

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// ruleIndex finds the programs that an event can be something to, without asking each. A program whose conditions all demand that a field has one of
// some values stands under these values of one field; the others are asked for every event.
//
//	event.action -> array by action \
//	user.name    -> map by value     > candidates
//	always       ------------------ /
type ruleIndex struct {
	always  []*program
	actions [256][]*program // by event.Action
	texts   []textIndex
	ips     []addressIndex
	reading scene // its scratch
}

type textIndex struct {
	get    func(*event.Event) string
	fold   bool
	values map[string][]*program
}

type addressIndex struct {
	get    func(*event.Event) string
	values map[netip.Addr][]*program
}

// newRuleIndex puts each program under the field whose values it shares with the fewest others.
func newRuleIndex(ps []*program) *ruleIndex {
	demands := make([]demand, len(ps))
	shared := map[query.Field]map[string]int{}
	for i, p := range ps {
		demands[i] = p.compiler.demand()
		for f, values := range demands[i] {
			if shared[f] == nil {
				shared[f] = map[string]int{}
			}
			for v := range values {
				shared[f][v]++
			}
		}
	}
	x := &ruleIndex{}
	byField := map[query.Field]map[string][]*program{}
	for i, p := range ps {
		f, ok := demands[i].best(shared)
		if !ok {
			x.always = append(x.always, p)
			continue
		}
		if byField[f] == nil {
			byField[f] = map[string][]*program{}
		}
		for v := range demands[i][f] {
			byField[f][v] = append(byField[f][v], p)
		}
	}
	for _, f := range slices.SortedFunc(maps.Keys(byField), compareFields) {
		x.add(f, byField[f])
	}
	return x
}

func (x *ruleIndex) add(f query.Field, values map[string][]*program) {
	get := textOf(f.ID)
	switch {
	case isAction(f):
		for v, ps := range values {
			a, _ := event.ActionByName(v) // "" is ActionNone; names that are no action's are under it too, which loses nothing
			x.actions[a] = append(x.actions[a], ps...)
		}
	case event.Fields[f.ID].Type == event.IP:
		m := make(map[netip.Addr][]*program, len(values))
		for v, ps := range values {
			if a, err := netip.ParseAddr(v); err == nil { // what is no address is equal to none
				m[a.Unmap()] = append(m[a.Unmap()], ps...)
			}
		}
		x.ips = append(x.ips, addressIndex{get, m})
	default:
		x.texts = append(x.texts, textIndex{get, f.Fold, values})
	}
}

func isAction(f query.Field) bool { return f.ID == event.FieldEventAction && !f.Fold }

// candidates appends to buf the programs that the event may be something to, each once.
func (x *ruleIndex) candidates(ev *event.Event, buf []*program) []*program {
	x.reading.scratch = x.reading.scratch[:0]
	buf = append(buf, x.actions[ev.Action]...)
	for i := range x.texts {
		t := &x.texts[i]
		v := t.get(ev)
		if v == "" {
			continue
		}
		if t.fold {
			v = x.reading.lower(v)
		}
		buf = append(buf, t.values[v]...)
	}
	for i := range x.ips {
		t := &x.ips[i]
		if v := t.get(ev); v != "" {
			if a, err := netip.ParseAddr(v); err == nil {
				buf = append(buf, t.values[a.Unmap()]...)
			}
		}
	}
	return append(buf, x.always...)
}

// textOf reads a field of text that has one value.
func textOf(id event.FieldID) func(*event.Event) string {
	if get := query.TextOf(id); get != nil {
		return get
	}
	return func(ev *event.Event) string { return ev.Get(id).Str }
}

// demand is what a condition cannot do without: the field has one of the values.
type demand map[query.Field]map[string]bool

// indexable tells which fields can be demanded: texts and addresses of one value.
func indexable(f query.Field) bool {
	if f.Key != "" || severalValues(f) {
		return false
	}
	t := event.Fields[f.ID].Type
	return t == event.Keyword || t == event.IP
}

// maxIndexed bounds the values under which one program stands.
const maxIndexed = 1024

// demand is what all conditions that let an event in cannot do without.
func (c *compiler) demand() demand { return eitherOf(c.asked, demandOf) }

func demandOf(e rules.Expr) demand {
	switch e := e.(type) {
	case *rules.Match:
		return queryDemand(e.Of)
	case *rules.Defined:
		return demandOf(e.Of)
	case *rules.And:
		return everyOf(e.Of, demandOf)
	case *rules.Or:
		return eitherOf(e.Of, demandOf)
	case *rules.InList:
		return listDemand(e)
	}
	return nil
}

func queryDemand(e query.Expr) demand {
	switch e := e.(type) {
	case query.And:
		return everyOf(e.Of, queryDemand)
	case query.Or:
		return eitherOf(e.Of, queryDemand)
	case query.Compare:
		if e.Op == query.Eq {
			return oneOf(e.Field, []query.Value{e.Value})
		}
	case query.In:
		return oneOf(e.Field, e.Values)
	}
	return nil
}

func oneOf(f query.Field, values []query.Value) demand {
	if !indexable(f) {
		return nil
	}
	set := map[string]bool{}
	for _, v := range values {
		switch v.Kind {
		case event.Str:
			set[v.Str] = true
		case event.JSON:
			set[v.IP.String()] = true
		default:
			return nil
		}
	}
	return demand{f: set}
}

// listDemand reads a list whose values are compared as they are, in lower case: whether case matters to it is not the index's business. Lists change
// only together with the rules.
func listDemand(e *rules.InList) demand {
	f, ok := e.Term.(*rules.Field)
	if !ok || f.From != rules.FromEvent || e.List.Kind != rules.ListExact || !indexable(f.Field) || len(e.List.Values) > maxIndexed {
		return nil
	}
	set := map[string]bool{}
	field := f.Field
	field.Fold = true
	for _, v := range e.List.Values {
		set[strings.ToLower(v)] = true
	}
	return demand{field: set}
}

// everyOf joins what all parts of && demand: of a field that several name the fewest values.
func everyOf[E any](list []E, of func(E) demand) demand {
	all := demand{}
	for _, e := range list {
		for f, values := range of(e) {
			if had, ok := all[f]; !ok || len(values) < len(had) {
				all[f] = values
			}
		}
	}
	return all
}

// eitherOf keeps the fields that each part of || demands, with the values of all.
func eitherOf[E any](list []E, of func(E) demand) demand {
	var all demand
	for i, e := range list {
		one := of(e)
		if i == 0 {
			all = maps.Clone(one)
			continue
		}
		for f, values := range all {
			if other, ok := one[f]; ok && len(values)+len(other) <= maxIndexed {
				union := maps.Clone(values)
				maps.Copy(union, other)
				all[f] = union
			} else {
				delete(all, f)
			}
		}
	}
	return all
}

// best chooses the field whose values the fewest programs ask for: the sum over the values. Kind and outcome have few values, of which each is that of
// many events: they are chosen only where there is nothing else.
func (d demand) best(shared map[query.Field]map[string]int) (query.Field, bool) {
	type choice struct {
		field query.Field
		cost  int
	}
	var found []choice
	for f, values := range d {
		c := choice{field: f}
		for v := range values {
			c.cost += shared[f][v]
		}
		switch f.ID {
		case event.FieldEventKind:
			c.cost += 1 << 30
		case event.FieldEventOutcome:
			c.cost += 1 << 20
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return query.Field{}, false
	}
	least := slices.MinFunc(found, func(a, b choice) int {
		if a.cost != b.cost {
			return a.cost - b.cost
		}
		return compareFields(a.field, b.field)
	})
	return least.field, true
}

// compareFields orders fields: event.action first, whose look-up costs least, then as in the table.
func compareFields(a, b query.Field) int {
	rank := func(f query.Field) int {
		n := 2 * int(f.ID)
		if f.Fold {
			n++
		}
		if isAction(f) {
			n = -1
		}
		return n
	}
	return rank(a) - rank(b)
}
