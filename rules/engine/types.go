package engine

import (
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// eventID names an event within the engine: ids orders and writes it. 0 is none.
type eventID uint64

// valueKind tells what a value is.
type valueKind uint8

const (
	null valueKind = iota
	text
	number
	boolean // number is 0 or 1
	position
)

// value is a value of an expression while a rule runs.
type value struct {
	kind   valueKind
	text   string // addresses in their shortest form, IPv4 within IPv6 as IPv4; folded to lower case where the field folds
	number float64
	place  place
}

// place is where an event came from: degrees, and the radius in km within which it may be.
type place struct{ lat, lon, radius float64 }

// item is what one rule keeps of an event from its arrival to its turn. It is reused after that: a machine copies what it keeps, texts
// too (strings.Clone), which are part of the event's chunk or of a scratch buffer.
type item struct {
	time    event.Time // the event's, or its arrival where that is more than 5 minutes ahead
	id      eventID
	weight  int64   // gatebook.count, 1 where there is none
	bits    uint64  // conditions on the event alone that hold, by their number in program.conditions
	values  []value // what later conditions need of the event, by slot
	keys    []key   // by grouping; of sequences: by grouping and step, keys[grouping*len(steps)+step]
	about   about   // only of ordered programs; the engine completes the hits of the others
	scratch []byte  // what texts of keys and values may point into
}

// key is the value of a grouping's terms for one event.
type key struct {
	text string // the terms joined by keySeparator; "" for no terms
	hash hash   // of program, grouping and text; never 0
	ok   bool   // false: a term is missing, the event is nothing to this grouping
}

const keySeparator = "\x1f"

// hash is a keyed hash (SipHash-2-4, 128 bits, the key is the installation's), so that nobody can make two keys collide.
type hash struct{ hi, lo uint64 }

// about is what an alert tells of the event that fired it.
type about struct {
	user, userKey, userTarget, address, host, dataset, country, action string
}

// memo is what is kept of an event for later: the preceding one of a key, or a step's.
type memo struct {
	time   event.Time
	id     eventID
	values []value // by slot, those that program.remembered marks; others are null
	about  about
}

// scene is what a compiled expression looks at.
type scene struct {
	now   *item // the event; nil where time alone fires (values are null then)
	prev  *memo // nil: none is known
	steps []*memo
	key   key
	// aggregate works out program.aggregates[n] for the key; null where not enough is known. nil: nothing is.
	aggregate func(n int) value

	ev      *event.Event // while the event itself is read: enter and fill
	scratch []byte       // what texts made on the way may point into
}

type (
	condition func(*scene) bool
	term      func(*scene) value
)

// program is a rule made ready to run (compile.go).
type program struct {
	rule     *rules.Rule
	run      *run   // that runs it
	number   uint64 // identifies the rule's meaning: the same after a restart, and in keys of the history
	ordered  bool   // its events wait for the watermark; else it is monotone and fires at once
	grouping int    // number of groupings, at least 1

	conditions []func(*event.Event) bool // on the event alone, by bit
	enter      func(*event.Event) uint64 // bits of the conditions that hold; 0: the event is nothing to the rule
	fill       func(*event.Event, *item) // sets values and keys; bits have to be there
	slots      int
	remembered []bool // slots that prev or a step is asked for: what a memo keeps

	when     uint64 // bit of rule.When, or of Session.Open
	closing  uint64 // bit of Session.Close
	steps    []step
	filters  []filter             // exceptions that concern the event alone: applied by enter, here to be counted and explained
	vetoes   []veto               // exceptions that look at prev or aggregates: they stop a firing
	fire     condition            // nil: always
	progress func(*scene) float64 // 0 to 1: how near the key is to firing; nil where nothing can be said
	title    func(*scene) string
	watch    func(s *scene, of string) // told each scene before fire, or the guard of a step, is asked; nil but in Explain

	aggregates []aggregate
	usesPrev   bool  // fire, a veto or the title asks for prev: the history keeps the preceding event
	prevNeeds  []int // slots that must not be null for an event to be somebody's prev
	sessionID  int   // slot of Session.ID, -1 where there is none
	sessionBy  int   // of sessions: slot of source.ip, which tells where no id does; else -1

	excepted uint64    // events that a filter took, counted by enter
	vetoed   uint64    // firings that a veto stopped, counted by the machine
	hash     hasher    // of this program: tuple
	compiler *compiler // knows the rule's expressions by their text: inspect
}

// step is a compiled step of a sequence.
type step struct {
	*rules.Step
	bit   uint64    // of what its condition asks of the event alone
	guard condition // the rest, nil where there is none
	aggs  []int     // numbers of the aggregates in guard
}

// filter and veto are compiled exceptions; one that has expired is not among them.
type filter struct {
	name string
	bit  int // number of its condition
}

type veto struct {
	name string
	when condition
}

// aggregate is one aggregate of a rule, each different one once.
type aggregate struct {
	kind     rules.AggregateKind
	terms    []int  // slots of the tuple
	bit      uint64 // of the condition of ratio and count; 0: none
	horizon  time.Duration
	slot     string
	quantile float64
	number   int
}

// machine keeps the state of one rule, all groupings and keys.
type machine interface {
	// take treats an item in its turn: of an ordered program in the order of time and id, of another as it arrives. An id that comes again changes
	// nothing.
	take(it *item)
	// late treats an item of an ordered program whose turn is over: it still counts in windows, history and as a session, and fires nothing.
	late(it *item)
	// due does what time brings about before the watermark (deadlines that are less than it), in their order, and returns the next deadline that it
	// knows of; 0: none. The engine calls it before take whenever that deadline is less than the item's time.
	due(watermark event.Time) event.Time
	// expire gives up keys that can have no more influence at the watermark; some of them at each call, so that it costs little.
	expire(watermark event.Time)
	// shrink gives up state of about so many bytes, least progress towards firing first, and returns how many keys it gave up.
	shrink(bytes int64) (keys int)
	// bytes is what the state takes, and keys how many there are.
	bytes() int64
	keys() int
	// save writes the state, load reads it into an empty machine. An error of load leaves the machine empty.
	save(w *writer)
	load(r *reader) error
	// eachID calls f for every event id in the state.
	eachID(f func(eventID))
	// describe tells the state of a key in words, for explain; nil where there is none.
	describe(grouping int, k key) []string
}

// host is what the engine gives to machines.
type host interface {
	// hit says that the rule fires for a key.
	hit(p *program, h *hit)
	// history is the long memory.
	history() *history
	// ids writes and orders event ids.
	ids() *ids
}

// hit is one firing: of an event, or of a deadline.
type hit struct {
	grouping int
	key      key
	time     event.Time
	id       eventID   // of the event that fired; of a deadline: of the last event before it, 0 where there is none
	evidence []eventID // of the window or the steps, oldest first, at most maxEvidence: the latest
	count    int64     // what the window or the steps hold
	title    string
	about    about
	values   []value // of the event, for its title to be made again
}

const maxEvidence = 20
