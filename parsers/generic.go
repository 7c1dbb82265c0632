package parsers

import (
	"sync"
	"sync/atomic"

	"github.com/gatebook/gatebook/event"
)

// mapping is what a parser block makes of named values, whatever the format they were read from.
//
//	reader of a format -> (path, text) -> mapping.nodes -> targets -> Event
//	                                         \-> none: a label, as `labels` says
//
// It is made once and then only read; the state of one line is a filling.
type mapping struct {
	name    string // gatebook.parser
	dataset string
	nodes   map[string]*node // by path of the source, parts joined by dots
	labels  labelMode
	message []segment
	times   timeReader
	hasTime bool

	defaults     []defaultValue
	defaultLists []defaultValue
	tables       int
	codeTaken    bool // event.code has a source of its own
	reasonTaken  bool
	keys         keyCache
}

// node is what is known about one path.
type node struct {
	targets  []target
	consumed bool // has a field of its own, so it is no label
	descend  bool // something beneath it is mapped
	label    bool // listed in labels: it and all beneath it
}

type targetKind uint8

const (
	toField targetKind = iota
	toDate
	toCoded // gatebook.entry.code, gatebook.status.code
	toAction
	toOutcome
	toJSON
	toLabel
	toTime
	toRealm
	toSlot // of the message template
)

// target is what becomes of one value.
type target struct {
	kind  targetKind
	id    event.FieldID
	list  bool
	key   string // label key: of toLabel, and of a value that does not fit
	slot  int
	table int // of codes
	codes map[string]*code
}

type labelMode uint8

const (
	labelsAll labelMode = iota
	labelsListed
	labelsNone
)

type defaultValue struct {
	id    event.FieldID
	value string
	label string
}

// segment is a piece of a message template: a text, or the slot of a value.
type segment struct {
	text string
	slot int // -1: text
}

const (
	maxLabels = 64 // attributes of one event
	maxSlots  = 8  // values in a message template
)

// filling is the state of one line.
type filling struct {
	m        *mapping
	ev       *event.Event
	received event.Time
	hits     [maxTables]*code
	slots    [maxSlots]string
	number   string // numeric status or entry: event.code where nothing else is
}

func (m *mapping) begin(ev *event.Event, received event.Time) filling {
	for i := range m.defaults {
		m.defaults[i].set(ev)
	}
	return filling{m: m, ev: ev, received: received}
}

func (d *defaultValue) set(ev *event.Event) {
	if d.label != "" {
		ev.Labels = append(ev.Labels, event.Label{Key: d.label, Value: d.value})
		return
	}
	_ = ev.Set(d.id, d.value) // tried when the config was read
}

// put gives a value to all that asked for its path; an empty one is absent.
func (f *filling) put(n *node, text string) {
	if text == "" {
		return
	}
	for i := range n.targets {
		f.set(&n.targets[i], text)
	}
}

func (f *filling) set(t *target, text string) {
	ev := f.ev
	switch t.kind {
	case toTime:
		if ev.Time != 0 {
			return
		}
		at, ok := f.m.times.read(text, f.received)
		if !ok {
			f.reject(t, text)
			return
		}
		ev.Time = at
	case toDate:
		at, ok := f.m.times.read(text, f.received)
		if !ok {
			f.reject(t, text)
			return
		}
		setDate(ev, t.id, at)
	case toRealm:
		ev.Realm = text
	case toSlot:
		f.slots[t.slot] = text
	case toLabel:
		f.label(t.key, text)
	case toCoded, toAction, toOutcome:
		f.coded(t, text)
	case toJSON:
		if !setObject(ev, t.id, text) {
			f.reject(t, text)
		}
	default:
		if c := f.lookup(t, text); c != nil && c.name != "" {
			text = c.name
		}
		if err := ev.Set(t.id, text); err != nil {
			f.setOdd(t, text)
		}
	}
}

// lookup finds what a value means and remembers it for finish.
func (f *filling) lookup(t *target, text string) *code {
	if t.codes == nil {
		return nil
	}
	c := t.codes[text]
	if c == nil {
		f.ev.Tag(tagUnknownCode)
		return nil
	}
	f.hits[t.table] = c
	return c
}

// coded sets fields that hold a source's code, or whose source is one.
func (f *filling) coded(t *target, text string) {
	ev, c := f.ev, f.lookup(t, text)
	switch t.kind {
	case toAction:
		if a, ok := event.ActionByName(text); ok && c == nil {
			ev.Action = a
			return
		} else if c == nil && t.codes == nil {
			f.reject(t, text)
			return
		}
		f.ownCode(t, text)
	case toOutcome:
		if o, ok := outcomeOf(text); ok && c == nil {
			ev.Outcome = o
			return
		} else if c == nil && t.codes == nil {
			f.reject(t, text)
			return
		}
		f.label(t.key, text)
	default:
		to := &ev.Status
		if t.id == event.FieldGatebookEntryCode {
			to = &ev.Entry
		}
		n, numeric := wholeNumber(text)
		switch {
		case numeric:
			to.Code = event.LongOf(n)
			if to == &ev.Status || f.number == "" {
				f.number = text
			}
		default:
			to.Name = text
			f.ownCode(t, text)
		}
		if c != nil && c.name != "" {
			to.Name = c.name
		}
		if to == &ev.Status && to.Name != "" && !f.m.reasonTaken {
			ev.Reason = to.Name
		}
	}
}

// ownCode keeps the source's own word for what it says.
func (f *filling) ownCode(t *target, text string) {
	if f.ev.Code == "" && !f.m.codeTaken {
		f.ev.Code = text
		return
	}
	f.label(t.key, text)
}

// setOdd is for what Set refused: a whole number written as a fraction fits, all else becomes a label.
func (f *filling) setOdd(t *target, text string) {
	if t.id.Info().Type == event.Integer {
		if n, ok := wholeNumber(text); ok {
			var buf [24]byte
			if f.ev.Set(t.id, string(appendInt(buf[:0], n))) == nil {
				return
			}
		}
	}
	f.reject(t, text)
}

func (f *filling) reject(t *target, text string) {
	f.ev.Tag(tagValueRejected)
	f.label(t.key, text)
}

func (f *filling) label(key, text string) {
	if text == "" {
		return
	}
	if len(f.ev.Labels) >= maxLabels {
		f.ev.Tag(tagLabelsCut)
		return
	}
	f.ev.Labels = append(f.ev.Labels, event.Label{Key: key, Value: text})
}

// named handles one value of a flat format.
func (f *filling) named(path, text string) {
	n := f.m.nodes[path]
	if n != nil {
		f.put(n, text)
	}
	if n == nil || !n.consumed {
		if f.m.labels == labelsAll || n != nil && n.label {
			f.label(event.LabelKey(path), text)
		}
	}
}

// finish fills what follows from the rest. text is the line: its message where nothing better is known.
func (f *filling) finish(text string) {
	ev, m := f.ev, f.m
	for i := range m.tables {
		if c := f.hits[i]; c != nil {
			c.apply(ev)
		}
	}
	for i := range m.defaultLists {
		m.defaultLists[i].set(ev)
	}
	if ev.Code == "" && !m.codeTaken {
		ev.Code = f.number
	}
	fitType(ev)
	if ev.Time == 0 && m.hasTime {
		ev.Tag(tagArrivalTime)
	}
	if ev.Start != 0 && ev.End >= ev.Start && !ev.Duration.Valid {
		ev.Duration = event.LongOf(int64(ev.End - ev.Start))
	}
	ev.Dataset, ev.Parser = m.dataset, m.name
	switch {
	case m.message != nil:
		ev.Message = f.template()
	case ev.Message == "":
		ev.Message = sentence(ev, text)
	}
}

func setDate(ev *event.Event, id event.FieldID, t event.Time) {
	if id == event.FieldEventStart {
		ev.Start = t
	} else {
		ev.End = t
	}
}

// keyCache keeps the label keys of nested paths, so that a path that comes on every line costs nothing.
type keyCache struct {
	mu   sync.Mutex
	keys atomic.Pointer[map[string]string] // replaced, never changed
}

// maxKeys bounds the cache: a hostile source has new keys on every line.
const maxKeys = 256

func (c *keyCache) key(path []byte) string {
	if m := c.keys.Load(); m != nil {
		if k, ok := (*m)[string(path)]; ok {
			return k
		}
	}
	text := string(path)
	folded := event.LabelKey(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[string]string{}
	if m := c.keys.Load(); m != nil {
		if len(*m) >= maxKeys {
			return folded
		}
		for k, v := range *m {
			next[k] = v
		}
	}
	if len(path) <= 256 {
		next[text] = folded
		c.keys.Store(&next)
	}
	return folded
}
