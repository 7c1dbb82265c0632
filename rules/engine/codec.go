package engine

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/gatebook/gatebook/event"
)

// writer and reader are the snapshot's format: varints, texts with their length, in the order of the code that writes them. There is one version for
// all of it; a snapshot of another version is not read.
type writer struct{ b []byte }

func (w *writer) uint(n uint64)     { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)       { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) time(t event.Time) { w.int(int64(t)) }
func (w *writer) id(id eventID)     { w.uint(uint64(id)) }
func (w *writer) float(f float64)   { w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(f)) }
func (w *writer) fixed(n uint64)    { w.b = binary.LittleEndian.AppendUint64(w.b, n) }
func (w *writer) hash(h hash)       { w.fixed(h.hi); w.fixed(h.lo) }
func (w *writer) text(s string)     { w.uint(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) bool(v bool)       { w.b = append(w.b, boolByte(v)) }
func (w *writer) key(k key)         { w.text(k.text); w.hash(k.hash); w.bool(k.ok) }

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func (w *writer) value(v value) {
	w.b = append(w.b, byte(v.kind))
	switch v.kind {
	case text:
		w.text(v.text)
	case number, boolean:
		w.float(v.number)
	case position:
		w.float(v.place.lat)
		w.float(v.place.lon)
		w.float(v.place.radius)
	}
}

func (w *writer) values(list []value) {
	w.uint(uint64(len(list)))
	for _, v := range list {
		w.value(v)
	}
}

func (w *writer) about(a about) {
	for _, s := range [...]string{a.user, a.userKey, a.userTarget, a.address, a.host, a.dataset, a.country, a.action} {
		w.text(s)
	}
}

// errSnapshot says that the bytes are not what writer wrote.
var errSnapshot = errors.New("snapshot is damaged")

// reader reads what writer wrote. After an error it returns zeros; err tells at the end.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.b, r.err = nil, errSnapshot }

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads a number of things of at least one byte each.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) fixed() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	n := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return n
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) time() event.Time { return event.Time(r.int()) }
func (r *reader) id() eventID      { return eventID(r.uint()) }
func (r *reader) float() float64   { return math.Float64frombits(r.fixed()) }
func (r *reader) hash() hash       { return hash{r.fixed(), r.fixed()} }
func (r *reader) bool() bool       { return r.byte() == 1 }
func (r *reader) key() key         { return key{text: r.text(), hash: r.hash(), ok: r.bool()} }

func (r *reader) value() value {
	v := value{kind: valueKind(r.byte())}
	switch v.kind {
	case text:
		v.text = r.text()
	case number, boolean:
		v.number = r.float()
	case position:
		v.place = place{r.float(), r.float(), r.float()}
	case null:
	default:
		r.fail()
	}
	return v
}

func (r *reader) values() []value {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]value, n)
	for i := range list {
		list[i] = r.value()
	}
	return list
}

func (r *reader) about() (a about) {
	for _, s := range [...]*string{&a.user, &a.userKey, &a.userTarget, &a.address, &a.host, &a.dataset, &a.country, &a.action} {
		*s = r.text()
	}
	return a
}
