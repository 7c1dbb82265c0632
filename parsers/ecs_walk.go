package parsers

import (
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
)

type ecsMode uint8

const (
	ecsScan ecsMode = iota // what kind of document is it?
	ecsAll                 // its fields are the event's
	ecsFill                // they fill what the line left out
)

// ecsWalk goes over a valid JSON document. It is in place, not pointed to, so that all of it stays on the stack.
type ecsWalk struct {
	p        *ecsParser
	ev       *event.Event
	s        string
	received event.Time
	trusted  bool
	mode     ecsMode
	labels   int // most labels
	said     bool
	cut      bool // a label had no room

	// Found by ecsScan:
	own  bool // an action or a dataset of ours
	time event.Time
	raws [7]string
	head Header
	hint bool

	// Judged when all fields are known:
	action, category, types string // the latter as JSON

	depth int
	n     int // length of the path
	path  [maxPath + 56]byte
}

func (w *ecsWalk) walk(i int) { w.n, w.depth = 0, 0; w.object(i) }

// all takes every field.
func (w *ecsWalk) all(i int) {
	w.mode = ecsAll
	if w.trusted {
		w.labels = 2 * maxLabels // the sender's bound, and the labels of its config
	}
	w.walk(i)
	ev := w.ev
	switch {
	case w.action == "":
	case ev.Code == "":
		ev.Code = w.action
	default:
		w.keep("event_action", w.action)
	}
	w.derived()
	if ev.Dataset == "" {
		ev.Dataset = ecsDataset
	}
	if ev.Parser == "" && (!w.trusted || ev.Agent == nil) { // records that another Gatebook makes itself name none
		ev.Parser = w.p.name
	}
	if ev.Message == "" && !w.trusted {
		ev.Message = sentence(ev, w.s)
	}
}

// original says what the line was: event.original of the document, the raw line in it, or all of it, also where it said more than
// an event holds.
func (w *ecsWalk) original(text, raw string) {
	w.ev.Original = raw
	if raw == "" || w.cut {
		w.ev.Original = text
	}
}

// raw is the line in the document (without the newline that containers keep): the first place that has one.
func (w *ecsWalk) raw() string {
	for _, raw := range w.raws {
		if raw != "" {
			return raw
		}
	}
	return ""
}

// header is what the document says as a syslog header would; nil where it names no program, or where the line is whole.
func (w *ecsWalk) header() *Header {
	if !w.hint || w.head.Program == "" || w.raws[0] != "" {
		return nil
	}
	h := w.head
	h.AppName, h.Time = h.Program, w.time
	return &h
}

// object visits the members of the object at s[i] and returns the index after it.
func (w *ecsWalk) object(i int) int {
	prefix := w.n
	i = skipSpace(w.s, i+1)
	for w.s[i] != '}' {
		end, escaped := stringEnd(w.s, i)
		key := w.s[i+1 : end-1]
		if escaped {
			key = unescape(w.s[i:end])
		}
		if prefix > 0 {
			w.n += copy(w.path[w.n:], ".")
		}
		w.n += copy(w.path[w.n:], key)
		i = skipSpace(w.s, end)
		i = w.member(skipSpace(w.s, i+1)) // after the colon
		w.n = prefix
		i = afterComma(w.s, i)
	}
	return i + 1
}

// member handles the value at s[i], whose path is w.path.
func (w *ecsWalk) member(i int) int {
	f := ecsFields[string(w.path[:w.n])]
	if w.s[i] == '{' && !f.whole && w.depth < maxDepth && w.n < maxPath {
		w.depth++
		i = w.object(i)
		w.depth--
		return i
	}
	if w.s[i] == '[' {
		end := valueEnd(w.s, i)
		w.list(&f, i, end)
		return end
	}
	if w.s[i] == '{' {
		end := valueEnd(w.s, i)
		w.leaf(&f, w.s[i:end])
		return end
	}
	end, text := scalar(w.s, i)
	w.leaf(&f, text)
	return end
}

// list gives the values of a list to a field that is one, a single one to any field.
func (w *ecsWalk) list(f *ecsField, i, end int) {
	switch f.id {
	case event.FieldEventCategory, event.FieldEventType:
		if f.known {
			w.leaf(f, w.s[i:end])
			return
		}
	}
	count, plain := 0, true
	for j := skipSpace(w.s, i+1); w.s[j] != ']'; count++ {
		plain = plain && w.s[j] != '{' && w.s[j] != '['
		j = afterComma(w.s, valueEnd(w.s, j))
	}
	if !plain || f.known && count > 1 && !f.id.Info().Array {
		if w.mode != ecsScan {
			if f.known && !f.skip {
				w.ev.Tag(tagValueRejected)
			}
			w.label(w.s[i:end])
		}
		return
	}
	for j := skipSpace(w.s, i+1); w.s[j] != ']'; {
		next, text := scalar(w.s, j)
		w.leaf(f, text)
		j = afterComma(w.s, next)
	}
}

// leaf handles one value.
func (w *ecsWalk) leaf(f *ecsField, text string) {
	if text == "" {
		return
	}
	if w.mode == ecsScan {
		w.scan(f, text)
		return
	}
	if !f.known {
		w.unknown(text)
		return
	}
	switch {
	case w.trusted:
		if !f.skip {
			w.set(f, text)
		} else if f.id == event.FieldDataStreamDataset && w.ev.Dataset == "" && ownDataset(text) {
			w.ev.Dataset = text
		}
	case f.id == event.FieldEcsVersion:
	case f.ours || !w.may(f, text):
		w.ev.Tag(tagRefused)
		w.label(text)
	case w.mode == ecsFill:
		w.fill(f, text)
	default:
		w.set(f, text)
	}
}

// may says whether a sender that is no Gatebook may say this in that field.
func (w *ecsWalk) may(f *ecsField, text string) bool {
	switch f.id {
	case event.FieldEventKind:
		return text != "alert" && text != "signal"
	case event.FieldEventDataset:
		return ownDataset(text) && !reservedDataset(text)
	case event.FieldAgentType:
		return text != "gatebook"
	}
	return true
}

// scan looks for what decides how the document is read.
func (w *ecsWalk) scan(f *ecsField, text string) {
	if f.known {
		switch f.id {
		case event.FieldEventAction:
			a, ok := event.ActionByName(text)
			w.own = w.own || ok && a != event.ActionNone
		case event.FieldEventDataset:
			w.own = w.own || w.may(f, text)
		}
	}
	path := w.path[:w.n]
	if place, ok := ecsRaw[string(path)]; ok {
		w.raws[place] = strings.TrimRight(text, "\r\n")
	}
	switch ecsHints[string(path)] {
	case hintTime:
		w.time, _ = w.p.times.read(text, w.received)
	case hintProgram:
		w.head.Program, w.hint = text, true
	case hintPID:
		if n, ok := wholeNumber(text); ok {
			w.head.PID = event.LongOf(n)
		}
	case hintHost:
		w.head.Hostname = text
	}
}

// unknown keeps what the table has no field for.
func (w *ecsWalk) unknown(text string) {
	path := w.path[:w.n]
	if name, ok := ecsAliases[string(path)]; ok && !w.trusted {
		if f := ecsFields[name]; w.ev.Get(f.id).Kind == event.None {
			w.set(&f, text)
			return
		}
	}
	if _, ok := ecsRaw[string(path)]; ok && !w.trusted && w.raw() == strings.TrimRight(text, "\r\n") {
		// The line itself: it is kept as event.original.
		if w.mode == ecsAll && w.ev.Message == "" {
			w.ev.Message = text
		}
		return
	}
	if !w.trusted && oursOnly(string(path)) {
		w.ev.Tag(tagRefused)
	}
	w.label(text)
}

// fill gives a field to an event that a line has made.
func (w *ecsWalk) fill(f *ecsField, text string) {
	ev := w.ev
	switch f.id {
	case event.FieldTimestamp:
		if ev.Time == 0 {
			ev.Time = w.time
		} else if ev.Time != w.time {
			w.keep("document_time", text)
		}
		return
	case event.FieldMessage, event.FieldEventOriginal:
		if strings.TrimRight(text, "\r\n") != w.raw() && text != ev.Message {
			w.label(text)
		}
		return
	case event.FieldTags:
		w.set(f, text)
		return
	case event.FieldEventKind:
		if text == string(event.KindEvent) {
			return
		}
	}
	switch v := ev.Get(f.id); {
	case f.fill && v.Kind == event.None:
		w.set(f, text)
	case v.Kind == event.None || v.Text() != text && (v.Kind != event.List || !slices.Contains(v.List, text)):
		w.label(text)
	}
}

// set sets a field, or keeps what does not fit as a label.
func (w *ecsWalk) set(f *ecsField, text string) {
	ev := w.ev
	switch f.id.Info().Type {
	case event.DateTime:
		if !w.setTime(f.id, text) {
			w.reject(text)
		}
		return
	case event.Integer:
		if n, ok := wholeNumber(text); ok && ev.Set(f.id, text) != nil {
			var buf [24]byte
			text = string(appendInt(buf[:0], n))
		}
	}
	switch f.id {
	case event.FieldEventAction:
		if a, ok := event.ActionByName(text); ok {
			ev.Action, w.said = a, true
		} else {
			w.action = text
		}
		return
	case event.FieldEventCategory:
		w.category, w.said = text, true
		return
	case event.FieldEventType:
		w.types = text
		return
	case event.FieldEventOutcome:
		if o, ok := outcomeOf(text); ok {
			ev.Outcome, w.said = o, true
			return
		}
	case event.FieldTags:
		if len(ev.Tags) < maxLabels {
			ev.Tag(text)
		} else {
			w.label(text)
		}
		return
	case event.FieldEventDataset:
		if !ownDataset(text) {
			w.reject(text)
			return
		}
	}
	if typ := f.id.Info().Type; takesJSON(f.id) && typ != event.Place && f.id != event.FieldEventOriginal {
		if setObject(ev, f.id, text) {
			w.said = true
		} else {
			w.reject(text)
		}
	} else if ev.Set(f.id, text) != nil {
		w.reject(text)
	} else if !f.fill && f.id != event.FieldMessage && f.id != event.FieldEventOriginal && f.id != event.FieldEventKind {
		w.said = true
	}
}

func (w *ecsWalk) setTime(id event.FieldID, text string) bool {
	at, ok := w.p.times.read(text, w.received)
	if !ok {
		return false
	}
	switch id {
	case event.FieldTimestamp:
		w.ev.Time = at
	case event.FieldEventCreated:
		if !w.trusted { // ours to say
			w.label(text)
			return true
		}
		w.ev.Created = at
	case event.FieldEventStart:
		w.ev.Start = at
	case event.FieldEventEnd:
		w.ev.End = at
	default:
		return false
	}
	return true
}

func (w *ecsWalk) reject(text string) {
	w.ev.Tag(tagValueRejected)
	w.label(text)
}

// label keeps a value under its path; members of the document's labels keep their names.
func (w *ecsWalk) label(text string) {
	const own = "labels."
	path := w.path[:w.n]
	if len(path) > len(own) && string(path[:len(own)]) == own {
		path = path[len(own):]
	}
	w.keep(w.p.keys.key(path), text)
}

func (w *ecsWalk) keep(key, text string) {
	if w.labels == 0 {
		return
	}
	if len(w.ev.Labels) >= w.labels {
		w.ev.Tag(tagLabelsCut)
		w.cut = true
		return
	}
	w.ev.Labels = append(w.ev.Labels, event.Label{Key: key, Value: text})
}

// derived sets category and type where they are not what the action says.
func (w *ecsWalk) derived() {
	ev, own := w.ev, w.ev.Action.Info()
	if list := textList(w.category); len(list) > 1 || len(list) == 1 && list[0] != own.Category {
		i := slices.IndexFunc(list, func(s string) bool { return categoryTypes[s] != nil })
		switch {
		case w.trusted && len(list) == 1:
			ev.Category = list[0]
		case i < 0:
			ev.Tag(tagValueRejected)
		case list[i] != own.Category:
			ev.Category = list[i]
		}
		if len(list) > 1 || i < 0 && !w.trusted {
			w.keep("event_category", w.category)
		}
	}
	list := textList(w.types)
	if len(list) == 0 || slices.Equal(list, own.Types) {
		list = nil
	}
	if w.trusted {
		if len(list) == 1 {
			ev.Type = list[0]
		}
		return
	}
	category := ev.Category
	if category == "" {
		category = own.Category
	}
	i := slices.IndexFunc(list, func(s string) bool { return slices.Contains(categoryTypes[category], s) })
	if i >= 0 {
		ev.Type = list[i]
	}
	if len(list) > 1 || len(list) == 1 && i < 0 {
		w.keep("event_type", w.types)
	}
	fitType(ev)
}

// textList is the texts of a JSON list, at most eight, or the text itself: a string may begin as a list does and be none.
func textList(s string) []string {
	switch {
	case s == "":
		return nil
	case s[0] != '[' || event.CheckJSON(s) != nil:
		return []string{s}
	}
	var out []string
	for j := skipSpace(s, 1); s[j] != ']' && len(out) < 8; {
		end := valueEnd(s, j)
		if s[j] == '"' {
			_, text := scalar(s, j)
			out = append(out, text)
		}
		j = afterComma(s, end)
	}
	return out
}
