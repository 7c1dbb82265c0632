package event

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ECSVersion is the version of the Elastic Common Schema that documents follow.
const ECSVersion = "8.17.0"

// DatasetPrefix stands before every short dataset name in event.dataset.
const DatasetPrefix = "gatebook."

// AgentInfo is agent.*: which Gatebook wrote the document.
type AgentInfo struct{ ID, Name, Version, EphemeralID string }

// EncoderOptions are what does not change from event to event.
type EncoderOptions struct {
	Namespace string // data_stream.namespace
	Epoch     string // first half of every id: 32 hexadecimal digits, new at every start of the process
	Agent     AgentInfo
	Original  bool // write event.original
	Plain     bool // without event.id and event.created, as `gatebook parse` shows records
	Typed     bool // write the typed index, for readers that want events back
}

// Encoder appends events as Elasticsearch's bulk API takes them. It is not safe for concurrent use: one per worker.
type Encoder struct {
	options EncoderOptions
	times   [3]timeCache

	dataset string // the dataset that action, head and event stand for
	action  []byte // `{"create":{"_index":"...","_id":"`
	head    []byte // `"ecs":{...},"data_stream":{...},`
	agent   []byte // `"agent":{...},`
	id      []byte // `<epoch>-`

	quotedDataset  []byte // `"dataset":"...",`
	datasetEscaped bool

	number [20]byte // the sequence in decimal
	digits int

	logFile constant // `"file":{"path":"..."},`
	origin  constant // `"input":"...","parser":"...",`

	typed []byte // typed index of the item at hand
	item  int    // where the item begins in dst
	prev  int    // end of the last marked value
}

// NewEncoder returns an encoder.
func NewEncoder(o EncoderOptions) *Encoder {
	w := &Encoder{options: o}
	w.id = append([]byte(o.Epoch), '-')
	w.setDataset("")
	return w
}

// epochDigits is the length of an epoch: 128 bits in hexadecimal.
const epochDigits = 32

// SplitID takes an id of a log's own form, <epoch>-<sequence>, apart. Others are a sender's: who gave the same id twice means the same
// record.
func SplitID(id string) (epoch string, sequence uint64, ok bool) {
	if len(id) < epochDigits+2 || id[epochDigits] != '-' {
		return "", 0, false
	}
	for _, c := range []byte(id[:epochDigits]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", 0, false
		}
	}
	sequence, err := strconv.ParseUint(id[epochDigits+1:], 10, 64)
	return id[:epochDigits], sequence, err == nil
}

// OwnID says whether an _id is of that form.
func OwnID(id []byte) bool {
	_, _, ok := SplitID(textOf(id))
	return ok
}

// StreamName is the data stream of a dataset ("gatebook.<name>") in a namespace.
func StreamName(dataset, namespace string) string { return "logs-" + dataset + "-" + namespace }

func (w *Encoder) setDataset(dataset string) {
	o := &w.options
	full := dataset
	if full == "" {
		full = DatasetPrefix + "raw"
	}
	w.dataset = strings.Clone(dataset)
	w.quotedDataset = append(appendQuoted(append(w.quotedDataset[:0], `"dataset":`...), dataset), ',')
	w.datasetEscaped = len(w.quotedDataset) != len(`"dataset":"",`)+len(dataset)
	w.action = append(w.action[:0], `{"create":{"_index":`...)
	w.action = append(appendQuoted(w.action, StreamName(full, o.Namespace)), `,"_id":"`...)
	h := append(w.head[:0], `"ecs":{"version":"`+ECSVersion+`"},"data_stream":{"type":"logs","dataset":`...)
	h = append(appendQuoted(h, full), `,"namespace":`...)
	w.head = append(appendQuoted(h, o.Namespace), `},`...)
	h = append(w.agent[:0], `"agent":{"name":`...)
	h = append(appendQuoted(h, o.Agent.Name), `,"type":"gatebook","version":`...)
	h = appendQuoted(h, o.Agent.Version)
	if o.Agent.ID != "" {
		h = appendQuoted(append(h, `,"id":`...), o.Agent.ID)
	}
	if o.Agent.EphemeralID != "" {
		h = appendQuoted(append(h, `,"ephemeral_id":`...), o.Agent.EphemeralID)
	}
	w.agent = append(h, `},`...)
}

// usualItem is room for most items, their lines aside.
const usualItem = 2 << 10

// AppendItem appends the action line and the document of e, each ended by a newline, and returns the grown dst and typed.
// typed gets the index of the item's values where Typed is set (format: decode.go). e is not retained.
func (w *Encoder) AppendItem(dst, typed []byte, e *Event, seq uint64) (doc, index []byte) {
	if e.Dataset != w.dataset {
		w.setDataset(e.Dataset)
	}
	w.item = len(dst)
	w.digits = len(strconv.AppendUint(w.number[:0], seq, 10))
	if cap(dst)-len(dst) < usualItem+len(e.Original)+len(e.Message) {
		dst = slices.Grow(dst, usualItem+len(e.Original)+len(e.Message))
	}
	dst = append(dst, w.action...)
	if e.DocID != "" {
		dst = appendEscaped(dst, e.DocID)
	} else {
		dst = append(append(dst, w.id...), w.number[:w.digits]...)
	}
	dst = append(dst, '"', '}', '}', '\n')
	w.typed, w.prev = w.typed[:0], len(dst)
	dst = append(w.appendDocument(dst, e), '\n')
	if w.options.Typed {
		typed = binary.AppendUvarint(typed, uint64(len(w.typed)))
		typed = append(typed, w.typed...)
	}
	return dst, typed
}

// AppendDocument appends the document alone, without a newline.
func (w *Encoder) AppendDocument(dst []byte, e *Event) []byte {
	if e.Dataset != w.dataset {
		w.setDataset(e.Dataset)
	}
	w.item, w.prev, w.typed = len(dst), len(dst), w.typed[:0]
	w.digits = copy(w.number[:], "0")
	return w.appendDocument(dst, e)
}

func (w *Encoder) appendDocument(dst []byte, e *Event) []byte {
	dst = w.appendTime(append(dst, `{"@timestamp":"`...), FieldTimestamp, e.Time)
	dst = append(dst, w.head...)
	if e.Agent == nil {
		dst = append(dst, w.agent...)
	}
	dst = w.appendFields(dst, e)
	dst[len(dst)-1] = '}'
	return dst
}

// appendEventHead appends the fields of the event group that every document has.
func (w *Encoder) appendEventHead(dst []byte, e *Event) []byte {
	if !w.options.Plain {
		if id := cmp.Or(e.ID, e.DocID); id != "" {
			dst = w.appendString(dst, FieldEventId, `"id":"`, id)
		} else {
			dst = append(dst, `"id":"`...)
			start := len(dst)
			dst = append(append(dst, w.id...), w.number[:w.digits]...)
			w.mark(FieldEventId, start, len(dst), false)
			dst = append(dst, '"', ',')
		}
	}
	dst = w.appendAction(dst, e)
	if e.Dataset != "" {
		at := len(dst) + len(`"dataset":"`)
		dst = append(dst, w.quotedDataset...)
		w.mark(FieldEventDataset, at, len(dst)-2, w.datasetEscaped)
	}
	if e.Created != 0 && !w.options.Plain {
		dst = w.appendTime(append(dst, `"created":"`...), FieldEventCreated, e.Created)
	}
	return dst
}

// appendAction appends kind, category, type, action and outcome, which nearly always are a text made beforehand.
func (w *Encoder) appendAction(dst []byte, e *Event) []byte {
	a := e.Action
	if a >= actionCount {
		a = ActionNone
	}
	if o := outcomeIndex(e.Outcome); o >= 0 && e.Kind == "" && e.Category == "" && e.Type == "" {
		t := &actionTexts[a][o]
		at := len(dst)
		dst = append(dst, t.text...)
		if w.options.Typed {
			for _, m := range t.marks[:t.n] {
				w.markTyped(m.id, at+m.start, at+m.end, false)
			}
		}
		return dst
	}
	dst = w.appendString(dst, FieldEventKind, `"kind":"`, e.kind())
	if v := e.category(); v.Kind == List {
		dst = w.appendStrings(append(dst, `"category":`...), FieldEventCategory, v.List)
	}
	if v := e.types(); v.Kind == List {
		dst = w.appendStrings(append(dst, `"type":`...), FieldEventType, v.List)
	}
	if a != ActionNone {
		dst = w.appendString(dst, FieldEventAction, `"action":"`, actions[a].Name)
	}
	return w.appendString(dst, FieldEventOutcome, `"outcome":"`, e.outcome())
}

func (e *Event) kind() string {
	if e.Kind == "" {
		return string(KindEvent)
	}
	return string(e.Kind)
}

func (e *Event) outcome() string {
	if e.Outcome == "" {
		return string(Unknown)
	}
	return string(e.Outcome)
}

func (e *Event) category() Value {
	c := e.Category
	if c == "" {
		c = e.Action.Info().Category
	}
	if c == "" {
		return Value{}
	}
	return Value{Kind: List, List: []string{c}}
}

func (e *Event) types() Value {
	if e.Type != "" {
		return Value{Kind: List, List: []string{e.Type}}
	}
	if t := e.Action.Info().Types; len(t) > 0 {
		return Value{Kind: List, List: t}
	}
	return Value{}
}

// The append methods below write one value after its key, then a comma, and mark it in the typed index.

// appendString also writes the key: one growth for both.
func (w *Encoder) appendString(dst []byte, id FieldID, key, s string) []byte {
	n := len(dst)
	start := n + len(key)
	end := start + len(s)
	if cap(dst) < end+2 {
		dst = slices.Grow(dst, end+2-n)
	}
	dst = dst[:end+2]
	copy(dst[n:], key)
	if !clean(s) {
		dst = appendEscaped(dst[:start], s)
		w.mark(id, start, len(dst), len(dst)-start != len(s))
		return append(dst, '"', ',')
	}
	copy(dst[start:], s)
	dst[end], dst[end+1] = '"', ','
	w.mark(id, start, end, false)
	return dst
}

// appendRaw appends a JSON text. Between its values it may have line ends, which would break the bulk item in two, and within its texts
// bytes that are no UTF-8, which Elasticsearch refuses.
func (w *Encoder) appendRaw(dst []byte, id FieldID, s string) []byte {
	if strings.ContainsAny(s, "\n\r") {
		s = strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	start := len(dst)
	dst = append(dst, s...)
	w.mark(id, start, len(dst), false)
	return append(dst, ',')
}

func (w *Encoder) appendTime(dst []byte, id FieldID, t Time) []byte {
	start := len(dst)
	cache := &w.times[2]
	switch id { // lines that are neighbours share the second; each of the two that all documents have gets a cache of its own
	case FieldTimestamp:
		cache = &w.times[0]
	case FieldEventCreated:
		cache = &w.times[1]
	}
	dst = cache.append(dst, t)
	w.mark(id, start, len(dst), false)
	return append(dst, '"', ',')
}

func (w *Encoder) appendLong(dst []byte, id FieldID, n int64) []byte {
	start := len(dst)
	dst = strconv.AppendInt(dst, n, 10)
	w.mark(id, start, len(dst), false)
	return append(dst, ',')
}

func (w *Encoder) appendFloat(dst []byte, id FieldID, f float64) []byte {
	start := len(dst)
	dst = appendNumber(dst, f)
	w.mark(id, start, len(dst), false)
	return append(dst, ',')
}

func (w *Encoder) appendBool(dst []byte, id FieldID, b bool) []byte {
	start := len(dst)
	dst = strconv.AppendBool(dst, b)
	w.mark(id, start, len(dst), false)
	return append(dst, ',')
}

func (w *Encoder) appendPlace(dst []byte, id FieldID, g GeoPoint) []byte {
	start := len(dst)
	dst = appendPlace(dst, g)
	w.mark(id, start, len(dst), false)
	return append(dst, ',')
}

func (w *Encoder) appendStrings(dst []byte, id FieldID, list []string) []byte {
	start := len(dst)
	dst = appendList(dst, list)
	w.mark(id, start, len(dst), false)
	return append(dst, ',')
}

func (w *Encoder) appendLabels(dst []byte, labels []Label) []byte {
	start := len(dst)
	dst = appendLabels(dst, labels)
	w.mark(FieldLabels, start, len(dst), false)
	return append(dst, ',')
}

// mark appends one entry of the typed index: number of the field and whether the text is escaped, distance from the end of
// the value before, length.
func (w *Encoder) mark(id FieldID, start, end int, escaped bool) {
	if w.options.Typed {
		w.markTyped(id, start, end, escaped)
	}
}

func (w *Encoder) markTyped(id FieldID, start, end int, escaped bool) {
	k := uint64(id) << 1
	if escaped {
		k |= 1
	}
	w.typed = binary.AppendUvarint(w.typed, k)
	w.typed = binary.AppendUvarint(w.typed, uint64(start-w.prev))
	w.typed = binary.AppendUvarint(w.typed, uint64(end-start))
	w.prev = end
}

// timeCache keeps the text of the last time, and of its whole second.
type timeCache struct {
	time   Time
	second int64
	text   [30]byte // 2006-01-02T15:04:05.000000000Z
	n      int      // length of the text, 0 before the first
}

const wholeSecond = len("2006-01-02T15:04:05")

func (e *timeCache) append(dst []byte, t Time) []byte {
	if t == e.time && e.n > 0 {
		return append(dst, e.text[:e.n]...)
	}
	sec, ns := int64(t)/1e9, int64(t)%1e9
	if ns < 0 {
		sec, ns = sec-1, ns+1e9
	}
	if e.second != sec || e.n == 0 {
		e.n = 0
		b := time.Unix(sec, 0).UTC().AppendFormat(e.text[:0], "2006-01-02T15:04:05")
		if len(b) != wholeSecond { // a year beyond four digits
			return t.Append(dst)
		}
		e.second = sec
	}
	e.time, e.n = t, wholeSecond+5
	n := ns / 1e6
	if ns%1e6 != 0 {
		e.n, n = wholeSecond+11, ns
	}
	e.text[wholeSecond], e.text[e.n-1] = '.', 'Z'
	for i := e.n - 2; i > wholeSecond; i-- {
		e.text[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, e.text[:e.n]...)
}

func appendList(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, s)
	}
	return append(dst, ']')
}

// appendLabels writes one object; of a key that comes twice the values become a list.
func appendLabels(dst []byte, labels []Label) []byte {
	dst = append(dst, '{')
	open := len(dst)
next:
	for i, l := range labels {
		twice := false
		for j, o := range labels {
			if o.Key == l.Key && j != i {
				if j < i {
					continue next
				}
				twice = true
			}
		}
		if len(dst) > open {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, l.Key), ':')
		if !twice {
			dst = appendQuoted(dst, l.Value)
			continue
		}
		dst = append(dst, '[')
		for j, o := range labels[i:] {
			if o.Key == l.Key {
				if j > 0 {
					dst = append(dst, ',')
				}
				dst = appendQuoted(dst, o.Value)
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendPlace(dst []byte, g GeoPoint) []byte {
	dst = appendNumber(append(dst, `{"lat":`...), g.Lat)
	dst = appendNumber(append(dst, `,"lon":`...), g.Lon)
	return append(dst, '}')
}

func appendNumber(dst []byte, f float64) []byte {
	if f != f || f > 1e300 || f < -1e300 {
		return append(dst, '0')
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func appendQuoted(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// AppendQuoted appends s as a JSON string (RFC 8259 7); bytes that are not UTF-8 become U+FFFD.
func AppendQuoted(dst []byte, s string) []byte { return appendQuoted(dst, s) }
