package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"
)

// The typed index of a block lets a reader have events back without parsing JSON. It begins with TableHash, four bytes,
// little endian; then, item by item, the length of the item's entries (uvarint) and the entries: number of the field times
// two, plus one where the text is escaped; distance from the end of the value before (the first: from the end of the action
// line); length of the value (all uvarint).

// ErrTyped says that a typed index is absent, of another version of the table, or broken; the JSON is then read instead.
var ErrTyped = errors.New("typed index unusable")

// AppendTypedHeader begins the typed index of a block.
func AppendTypedHeader(typed []byte) []byte {
	return binary.LittleEndian.AppendUint32(typed, TableHash)
}

// Decoder reads the events of one block, item by item, in order.
type Decoder struct {
	rest []byte
	ok   bool
}

// Reset begins a block with the given typed index.
func (d *Decoder) Reset(typed []byte) {
	d.ok = len(typed) >= 4 && binary.LittleEndian.Uint32(typed) == TableHash
	if d.ok {
		d.rest = typed[4:]
	}
}

// Next reads the next item (action line and document) into e, which is reset first. The strings of e are substrings of item:
// they live as long as it does.
func (d *Decoder) Next(item []byte, e *Event) error {
	doc := Document(item)
	if d.ok {
		n, k := binary.Uvarint(d.rest)
		if k > 0 && n <= uint64(len(d.rest)-k) {
			entries := d.rest[k : k+int(n)]
			d.rest = d.rest[k+int(n):]
			if err := decodeTyped(entries, doc, e); err == nil {
				return nil
			}
		} else {
			d.ok = false
		}
	}
	if err := FromJSON(doc, e); err != nil {
		return err
	}
	if e.Agent != nil && e.Agent.Type == ownAgent && e.Relayed != True {
		e.Agent = nil // this Gatebook, as where the index is used
	}
	return nil
}

// ownAgent is agent.type of every Gatebook.
const ownAgent = "gatebook"

// Document returns the document of an item: what follows the action line, without the newline.
func Document(item []byte) []byte {
	for i, c := range item {
		if c == '\n' {
			item = item[i+1:]
			break
		}
	}
	if n := len(item); n > 0 && item[n-1] == '\n' {
		item = item[:n-1]
	}
	return item
}

func decodeTyped(entries, doc []byte, e *Event) error {
	e.Reset()
	at := 0
	for len(entries) > 0 {
		var v [3]uint64
		for i := range v {
			n, k := binary.Uvarint(entries)
			if k <= 0 {
				return ErrTyped
			}
			v[i], entries = n, entries[k:]
		}
		if v[0]>>1 >= FieldCount || v[1] > uint64(len(doc)-at) || v[2] > uint64(len(doc)-at)-v[1] {
			return ErrTyped
		}
		start := at + int(v[1])
		at = start + int(v[2])
		if err := e.setEncoded(FieldID(v[0]>>1), textOf(doc[start:at]), v[0]&1 == 1); err != nil {
			return err
		}
	}
	return nil
}

func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// setEncoded sets a field from its text in a document.
func (e *Event) setEncoded(id FieldID, text string, escaped bool) error {
	f := &Fields[id]
	switch {
	case id == FieldEventCategory, id == FieldEventType:
		return e.setDerived(id, text)
	case id == FieldLabels:
		gjson.Parse(text).ForEach(func(k, v gjson.Result) bool {
			v.ForEach(func(_, one gjson.Result) bool {
				e.Labels = append(e.Labels, Label{k.String(), one.String()})
				return true
			})
			return true
		})
		return nil
	case f.Array:
		var err error
		gjson.Parse(text).ForEach(func(_, v gjson.Result) bool { err = e.Set(id, v.String()); return err == nil })
		return err
	case escaped:
		text = gjson.Parse(`"` + text + `"`).String()
	}
	return e.Set(id, text)
}

// setDerived keeps category and type only where they are not what the action says.
func (e *Event) setDerived(id FieldID, text string) error {
	list := gjson.Parse(text).Array()
	if len(list) != 1 {
		return nil
	}
	if id == FieldEventCategory {
		e.Category = list[0].String()
	} else {
		e.Type = list[0].String()
	}
	return nil
}

// FromJSON reads a document back. Fields that are not in the table are passed over.
func FromJSON(doc []byte, e *Event) error {
	e.Reset()
	text := textOf(doc)
	if err := CheckJSON(text); err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	var path [128]byte
	return fromObject(gjson.Parse(text), path[:0], e)
}

func fromObject(v gjson.Result, path []byte, e *Event) error {
	var err error
	v.ForEach(func(k, v gjson.Result) bool {
		p := path
		if len(p) > 0 {
			p = append(p, '.')
		}
		p = append(p, k.String()...)
		id, known := fieldsByName[string(p)]
		switch {
		case known && Fields[id].Go == "":
		case known && (Fields[id].Array || v.IsObject() || v.IsArray()):
			err = e.setEncoded(id, v.Raw, false)
		case known:
			err = e.Set(id, v.String())
		case v.IsObject():
			err = fromObject(v, p, e)
		}
		return err == nil
	})
	return err
}

// ValidIP tells whether s is an address as Elasticsearch's type ip takes it.
func ValidIP(s string) bool {
	if len(s) > 45 {
		return false
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

func badValue(id FieldID, text string) error {
	return &ValueError{Field: Fields[id].Name, Type: Fields[id].Type, Text: text}
}

func unknownField(id FieldID) error {
	if int(id) < len(Fields) {
		return fmt.Errorf("%s: %w", Fields[id].Name, ErrUnknownField)
	}
	return ErrUnknownField
}

func parseKind(s string) (Kind, bool) {
	switch k := Kind(s); k {
	case KindEvent, KindAlert, KindState:
		return k, true
	}
	return "", false
}

func parseOutcome(s string) (Outcome, bool) {
	switch o := Outcome(s); o {
	case Success, Failure, Unknown:
		return o, true
	}
	return "", false
}

func parseTime(s string) (Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return TimeOf(t), err == nil
}

func parseFloat(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

func parsePlace(s string) (GeoPoint, bool) {
	v := gjson.Parse(s)
	lat, lon := v.Get("lat"), v.Get("lon")
	ok := lat.Type == gjson.Number && lon.Type == gjson.Number && math.Abs(lat.Num) <= 90 && math.Abs(lon.Num) <= 180
	return GeoPoint{lat.Num, lon.Num, ok}, ok
}

func validJSON(s string) bool { return CheckJSON(s) == nil }

const badRune = utf8.RuneError

func decodeRune(s string) (rune, int) { return utf8.DecodeRuneInString(s) }
