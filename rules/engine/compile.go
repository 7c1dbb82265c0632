package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// compileOptions is what programs need beside their rule.
type compileOptions struct {
	Hash hasher
	Zone *time.Location // of hour, weekday, outside and within that name none; nil: UTC
	Now  time.Time      // exceptions that expire before it are left out
}

// maxConditions is how many bits an item has.
const maxConditions = 64

// compiler makes a program of a rule. It numbers conditions on the event alone (bits), captured values (slots) and aggregates, each different
// one once, told apart by rules.Canonical. The order of what state remembers by number does not depend on titles, lists or the day: the title
// comes last, and exceptions that have expired are numbered too.
type compiler struct {
	p     *program
	o     compileOptions
	bits  map[string]int
	slots map[string]int
	aggs  map[string]int

	getters []term       // by slot, of the event itself
	keys    []keyMaker   // by grouping, or by grouping and step
	entries []int        // conditions of which one has to hold
	others  []int        // conditions that are asked after
	filters []int        // conditions that must not hold
	asked   []rules.Expr // what entries ask: for the index
	asking  scene        // of conditions on the event alone
	reading scene        // of fill
	used    map[int]bool // aggregates met since it was set
	needs   map[int]bool // slots that prev is asked for, while it is set
	frozen  bool         // nothing more may be numbered
}

// compile makes a rule ready to run. Its errors are those that loading cannot find.
func compile(r *rules.Rule, o compileOptions) (*program, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	p := &program{rule: r, sessionID: -1, sessionBy: -1}
	if p.number = o.Hash.text("rule", r.ID, r.Meaning).lo; p.number == 0 {
		p.number = 1
	}
	p.hash = o.Hash.under(p.number, 0)
	c := &compiler{p: p, o: o, bits: map[string]int{}, slots: map[string]int{}, aggs: map[string]int{}}
	p.compiler = c
	for _, part := range []func() error{c.entry, c.groupings, c.firing, c.exceptions, c.titled} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	c.order()
	for n := range p.conditions {
		if !slices.Contains(c.entries, n) && !slices.Contains(c.filters, n) {
			c.others = append(c.others, n)
		}
	}
	p.slots = len(c.getters)
	p.enter, p.fill = c.enter, c.fill
	c.frozen = true
	return p, nil
}

func wrongAt(e rules.Expr, format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{e.Range()}, args...)...)
}

// entry compiles what makes an event something to the rule.
func (c *compiler) entry() (err error) {
	r := c.p.rule
	switch {
	case r.Sequence != nil:
		return c.sequence(r.Sequence)
	case r.Session != nil:
		if c.p.when, err = c.asks(r.Session.Open); err != nil {
			return err
		}
		if c.p.closing, err = c.asks(r.Session.Close); err != nil {
			return err
		}
		if r.Session.ID != nil {
			if c.p.sessionID, err = c.slot(r.Session.ID); err != nil {
				return err
			}
		}
		c.p.sessionBy, err = c.slot(&rules.Field{From: rules.FromEvent, Field: query.Field{ID: event.FieldSourceIp}})
		return err
	}
	c.p.when, err = c.asks(r.When)
	return err
}

// asks makes a condition one of those that let an event in. A nil one never holds.
func (c *compiler) asks(e rules.Expr) (bit uint64, err error) {
	if e == nil {
		return 0, nil
	}
	e = ofEvents(e)
	n, err := c.bit(e)
	if err != nil {
		return 0, err
	}
	if !slices.Contains(c.entries, n) {
		c.entries, c.asked = append(c.entries, n), append(c.asked, e)
	}
	return 1 << n, nil
}

// ofEvents adds event.kind == "event" to a condition that does not ask for the kind.
func ofEvents(e rules.Expr) rules.Expr {
	if asksFor(e, event.FieldEventKind) {
		return e
	}
	kind := &rules.Match{At: rules.At{Pos: e.Range()}, Of: query.Compare{Field: query.Field{ID: event.FieldEventKind}, Op: query.Eq,
		Value: query.Value{Kind: event.Str, Str: string(event.KindEvent)}}}
	if and, ok := e.(*rules.And); ok {
		return &rules.And{At: and.At, Of: append(slices.Clip(and.Of), kind)}
	}
	return &rules.And{At: rules.At{Pos: e.Range()}, Of: []rules.Expr{e, kind}}
}

func asksFor(e rules.Expr, id event.FieldID) bool {
	found := false
	rules.Walk(e, func(e rules.Expr) bool {
		switch e := e.(type) {
		case *rules.Match:
			found = found || queryAsksFor(e.Of, id)
		case *rules.Field:
			found = found || e.From == rules.FromEvent && e.Field.ID == id
		}
		return !found
	})
	return found
}

func queryAsksFor(e query.Expr, id event.FieldID) bool {
	any := func(list []query.Expr) bool {
		return slices.ContainsFunc(list, func(e query.Expr) bool { return queryAsksFor(e, id) })
	}
	switch e := e.(type) {
	case query.And:
		return any(e.Of)
	case query.Or:
		return any(e.Of)
	case query.Not:
		return queryAsksFor(e.Of, id)
	case query.Compare:
		return e.Field.ID == id
	case query.In:
		return e.Field.ID == id
	case query.Text:
		return e.Field.ID == id
	case query.CIDR:
		return e.Field.ID == id
	case query.Exists:
		return e.Field.ID == id
	}
	return false
}

// sequence compiles the steps: what a step asks of the event alone is its bit, the rest its guard.
func (c *compiler) sequence(s *rules.Sequence) error {
	for _, one := range s.Steps {
		var alone, rest []rules.Expr
		for _, part := range conjuncts(one.When, nil) {
			if rules.EventAlone(part) {
				alone = append(alone, part)
			} else {
				rest = append(rest, part)
			}
		}
		at := rules.At{Pos: one.When.Range()}
		ask := rules.Expr(&rules.And{At: at, Of: alone})
		if len(alone) == 1 {
			ask = alone[0]
		}
		st := step{Step: one}
		var err error
		if st.bit, err = c.asks(ask); err != nil {
			return err
		}
		if len(rest) > 0 {
			c.used = map[int]bool{}
			if st.guard, err = c.top(&rules.And{At: at, Of: rest}); err != nil {
				return err
			}
			st.aggs, c.used = sortedNumbers(c.used), nil
		}
		c.p.steps = append(c.p.steps, st)
	}
	return nil
}

// conjuncts are the parts that && joins, also those within defines where they are not all of the event alone.
func conjuncts(e rules.Expr, list []rules.Expr) []rules.Expr {
	switch e := e.(type) {
	case *rules.And:
		for _, part := range e.Of {
			list = conjuncts(part, list)
		}
		return list
	case *rules.Defined:
		if !rules.EventAlone(e) {
			return conjuncts(e.Of, list)
		}
	}
	return append(list, e)
}

func sortedNumbers(set map[int]bool) []int {
	var list []int
	for n := range set {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// groupings compiles by, of steps too.
func (c *compiler) groupings() error {
	r := c.p.rule
	c.p.grouping = max(1, len(r.By))
	if r.Sequence != nil {
		for _, s := range r.Sequence.Steps {
			c.p.grouping = max(c.p.grouping, len(s.By))
		}
	}
	for g := range c.p.grouping {
		if r.Sequence == nil {
			if err := c.keyMaker(g, r.By); err != nil {
				return err
			}
			continue
		}
		for _, s := range r.Sequence.Steps {
			by := s.By
			if by == nil {
				by = r.By
			}
			if err := c.keyMaker(g, by); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *compiler) keyMaker(grouping int, by [][]rules.Expr) error {
	m := keyMaker{hash: c.o.Hash.under(c.p.number, uint64(grouping)+1)}
	if grouping < len(by) {
		for _, e := range by[grouping] {
			t, err := c.term(e, true)
			if err != nil {
				return err
			}
			m.terms = append(m.terms, t)
		}
	} else if grouping > 0 {
		m.terms = []term{func(*scene) value { return value{} }} // a grouping that this step does not have: never a key
	}
	c.keys = append(c.keys, m)
	return nil
}

// firing compiles fire, and what is measured of it.
func (c *compiler) firing() (err error) {
	fire := c.p.rule.Fire
	if fire == nil {
		return nil
	}
	c.needs = map[int]bool{}
	if c.p.fire, err = c.top(fire); err != nil {
		return err
	}
	c.p.prevNeeds, c.needs = sortedNumbers(c.needs), nil
	c.p.progress = c.progress(fire)
	return nil
}

// exceptions compiles filters and vetoes. Those that have expired are compiled, so that the others keep their numbers, and left out.
func (c *compiler) exceptions() error {
	for _, x := range c.p.rule.Except {
		expired := !x.Expires.IsZero() && !c.o.Now.IsZero() && !c.o.Now.Before(x.Expires)
		if rules.EventAlone(x.When) {
			n, err := c.bit(x.When)
			if err != nil {
				return err
			}
			if !expired {
				c.p.filters = append(c.p.filters, filter{x.Name, n})
				c.filters = append(c.filters, n)
			}
			continue
		}
		f, err := c.top(x.When)
		if err != nil {
			return err
		}
		if !expired {
			c.p.vetoes = append(c.p.vetoes, veto{x.Name, f})
		}
	}
	return nil
}

// order tells whether the program's events have to wait for the watermark.
func (c *compiler) order() {
	r := c.p.rule
	c.p.ordered = true
	if r.When == nil || r.Sequence != nil || r.Session != nil || r.ExpectEvery > 0 || c.p.usesPrev {
		return
	}
	for _, a := range c.p.aggregates {
		switch a.kind {
		case rules.FirstSeen, rules.Rarity, rules.Baseline: // the title may ask for them
			return
		}
	}
	for _, x := range r.Except { // the expired ones too: state outlives them
		if !rules.EventAlone(x.When) {
			return
		}
	}
	c.p.ordered = r.Fire != nil && !monotone(r.Fire)
}

// enter tells which conditions hold; 0 where the event is nothing to the rule.
func (c *compiler) enter(ev *event.Event) uint64 {
	var bits uint64
	conditions := c.p.conditions
	for _, n := range c.entries {
		if conditions[n](ev) {
			bits |= 1 << n
		}
	}
	if bits == 0 {
		return 0
	}
	for _, n := range c.filters {
		if conditions[n](ev) {
			c.p.excepted++
			return 0
		}
	}
	for _, n := range c.others {
		if conditions[n](ev) {
			bits |= 1 << n
		}
	}
	return bits
}

// fill reads what later conditions need of the event, and its keys. The item's bits have to be there: only steps that the event may make have keys.
func (c *compiler) fill(ev *event.Event, it *item) {
	s := &c.reading
	s.ev, s.scratch = ev, it.scratch[:0]
	it.values = it.values[:0]
	for _, get := range c.getters {
		it.values = append(it.values, get(s))
	}
	it.keys = it.keys[:0]
	steps := len(c.p.steps)
	for i := range c.keys {
		switch {
		case steps > 0 && it.bits&c.p.steps[i%steps].bit == 0:
			it.keys = append(it.keys, key{})
		default:
			it.keys = append(it.keys, c.keys[i].of(s))
		}
	}
	it.scratch = s.scratch
	s.ev, s.scratch = nil, nil
}
