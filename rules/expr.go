package rules

import (
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/query"
)

// Expr is a node of a rule's expression. Trees are not changed once built. Conditions are Match, And, Or, Not, Compare, InList and Call
// of a function that answers yes or no; terms are Field, Const, Arith, Aggregate and the other Calls. Every node is a pointer (*Match,
// *And ...), so that a node can be the key of a map; the same define is the same node in all places.
//
// A missing value is null: comparisons with null are false, except != (true) and == null; arithmetic and functions of null are null, a
// condition that is a function of null is false. A time is a number of seconds since 1970.
type Expr interface{ Range() hcl.Range }

// At is the place of an expression in its file.
type At struct{ Pos hcl.Range }

// Range is where the expression stands.
func (a At) Range() hcl.Range { return a.Pos }

// Match asks one event a question that package query answers. Neighbouring ones joined by && are kept apart, so that each can be explained.
type Match struct {
	At
	Of query.Expr
}

// And is true where all of its parts are.
type And struct {
	At
	Of []Expr
}

// Or is true where any of its parts is.
type Or struct {
	At
	Of []Expr
}

// Not is true where its part is false.
type Not struct {
	At
	Of Expr
}

// Defined is the use of a define by its name.
type Defined struct {
	At
	Name string
	Of   Expr
}

// Compare holds two terms of one type against each other; what query can answer is a Match instead. Texts and truth values have no order:
// Op is Eq or Ne. == null has a Const of nil as its Right. Letter case does not matter where Folds holds for either side; a Const is in
// lower case then.
type Compare struct {
	At
	Op          query.Op
	Left, Right Expr
}

// InList tells whether a term is in a list; of a Field with several values, which is always FromEvent, whether any of them is.
type InList struct {
	At
	Term Expr
	List *List
}

// From says which event a field is read of.
type From int

// The events: this one, the preceding one of the key, or (0 and up) the one that a step of the sequence took; of a step with times the latest.
const (
	FromEvent From = -1
	FromPrev  From = -2
)

// Field is a field of an event as a term. Addresses are compared as such, texts as query does. It has one value, except in InList and in
// templates; of several labels with one key it is the first.
type Field struct {
	At
	From  From
	Field query.Field
}

// Const is a value as written.
type Const struct {
	At
	Value Value
}

// Arith is Left Op Right, Op one of + - * / %, of numbers; durations are numbers of seconds.
type Arith struct {
	At
	Op          byte
	Left, Right Expr
}

// Call is a function of terms:
//
//	cidr(address, net...) contains(text, part) startswith endswith matches(text, pattern) exists(term)      conditions
//	                                     net and pattern are Consts that were checked
//	outside("mon-fri 07:00-19:00", "Europe/Berlin") within(...)   of the time of the event                   conditions
//	lower(text) hour("zone") weekday("zone") domain_of(text) coalesce(term...)                                terms
//
// hour is 0 to 23, weekday 0 (Sunday) to 6, of the time of the event; the zone may be left out and is the config's then. domain_of is what stands
// behind the last '@', else the host's name less its first label, in lower case. Where Folds holds for the first argument letter case does
// not matter to contains, startswith, endswith and matches either; a Const as the part is in lower case then.
type Call struct {
	At
	Name  string
	Args  []Expr
	Hours *Hours // of outside and within
	Zone  *time.Location
}

// AggregateKind names what is worked out over several events.
type AggregateKind string

// The aggregates.
const (
	Count          AggregateKind = "count"           // events in the window, by gatebook.count; with a condition: of those that match it
	Distinct       AggregateKind = "distinct"        // different values of the tuple Terms in the window
	Sum            AggregateKind = "sum"             // of a number over the window
	Min            AggregateKind = "min"             //
	Max            AggregateKind = "max"             //
	Rate           AggregateKind = "rate"            // count per minute of the window
	Ratio          AggregateKind = "ratio"           // of the events in the window that match Cond, 0 to 1
	FirstSeen      AggregateKind = "first_seen"      // condition: the tuple Terms was not seen for Horizon before
	Rarity         AggregateKind = "rarity"          // share of the key's events of Horizon that have this tuple, 0 to 1
	Since          AggregateKind = "since"           // seconds since the preceding event
	Baseline       AggregateKind = "baseline"        // quantile Quantile of the counts of the same Slot over Horizon
	GapKM          AggregateKind = "gap_km"          // kilometres to the preceding event, less both radii of accuracy
	SpeedKMH       AggregateKind = "speed_kmh"       // that gap by the time between them
	ActiveDistinct AggregateKind = "active_distinct" // different values of the tuple Terms among the open sessions
)

// Aggregate is worked out over several events of the key. FirstSeen is a condition, the others are numbers.
type Aggregate struct {
	At
	Kind     AggregateKind
	Terms    []Expr // of the event alone
	Cond     Expr   // of Ratio and Count; of the event alone
	Horizon  time.Duration
	Slot     string // of Baseline: hour-of-day, hour-of-week or day-of-week
	Quantile float64
}

// Value is a value of an expression: nil for null, else string (an address in its shortest form too), float64 or bool.
type Value any

// Walk calls f for a node and what it is made of, the node first: conditions, terms, what defines stand for. Where f returns false it does not
// descend. A nil e is nothing.
func Walk(e Expr, f func(Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	switch e := e.(type) {
	case *And:
		walkAll(e.Of, f)
	case *Or:
		walkAll(e.Of, f)
	case *Not:
		Walk(e.Of, f)
	case *Defined:
		Walk(e.Of, f)
	case *Compare:
		Walk(e.Left, f)
		Walk(e.Right, f)
	case *InList:
		Walk(e.Term, f)
	case *Arith:
		Walk(e.Left, f)
		Walk(e.Right, f)
	case *Call:
		walkAll(e.Args, f)
	case *Aggregate:
		walkAll(e.Terms, f)
		Walk(e.Cond, f)
	}
}

func walkAll(list []Expr, f func(Expr) bool) {
	for _, e := range list {
		Walk(e, f)
	}
}

// EventAlone tells whether one event answers the expression: it refers to no preceding event, no step and no aggregate.
func EventAlone(e Expr) bool {
	alone := true
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *Aggregate:
			alone = false
		case *Field:
			alone = alone && e.From == FromEvent
		}
		return alone
	})
	return alone
}

// Folds tells whether letter case does not matter to a term: user names and e-mail addresses, lower(), domain_of(), and coalesce() of such.
func Folds(e Expr) bool {
	switch e := e.(type) {
	case *Field:
		return e.Field.Fold
	case *Call:
		switch e.Name {
		case "lower", "domain_of":
			return true
		case "coalesce":
			return slices.ContainsFunc(e.Args, Folds)
		}
	}
	return false
}
