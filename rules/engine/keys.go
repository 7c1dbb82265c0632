package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/dchest/siphash"
)

// hasher makes the hashes of one installation: SipHash-2-4 of 128 bits under its key, so that a stranger cannot make two texts collide.
type hasher struct{ k0, k1 uint64 }

// newHasher makes the key of a text that only this installation has.
func newHasher(installation string) hasher {
	sum := sha256.Sum256([]byte("gatebook rules\x00" + installation))
	return hasher{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// bytes hashes b. The hash is never zero.
func (h hasher) bytes(b []byte) hash {
	hi, lo := siphash.Hash128(h.k0, h.k1, b)
	if hi == 0 && lo == 0 {
		lo = 1
	}
	return hash{hi, lo}
}

// text hashes texts one behind the other, each under the hash of those before, so that it matters where one ends.
func (h hasher) text(parts ...string) hash {
	var sum hash
	for i, s := range parts {
		if i > 0 {
			h = hasher{sum.hi, sum.lo}
		}
		sum = h.bytes(textBytes(s))
	}
	return sum
}

// under is the hasher of a part of a program, such as a grouping.
func (h hasher) under(number, part uint64) hasher {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], number)
	binary.LittleEndian.PutUint64(b[8:], part)
	sum := h.bytes(b[:])
	return hasher{sum.hi, sum.lo}
}

// tuple hashes the values of an aggregate's terms. ok is false where all of them are null: such an event has no tuple. A null among others is a
// value of its own: a device whose system nobody knows is still another device.
func (p *program) tuple(values []value, slots []int) (sum hash, ok bool) {
	h := p.hash
	var number [40]byte
	for i, n := range slots {
		if i > 0 {
			h = hasher{sum.hi, sum.lo}
		}
		if n >= len(values) || values[n].kind == null {
			sum = h.bytes([]byte{0xff}) // in no text that is UTF-8
			continue
		}
		ok = true
		if v := &values[n]; v.kind == text {
			sum = h.bytes(textBytes(v.text))
		} else {
			sum = h.bytes(appendValue(number[:0], *v))
		}
	}
	return sum, ok
}

func textBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// textSince is what was appended to b behind its first start bytes.
func textSince(b []byte, start int) string {
	if len(b) <= start {
		return ""
	}
	return unsafe.String(&b[start], len(b)-start)
}

// appendValue appends a value as text: numbers as short as they can be read back; null is nothing.
func appendValue(dst []byte, v value) []byte {
	switch v.kind {
	case text:
		return append(dst, v.text...)
	case number:
		return appendNumber(dst, v.number)
	case boolean:
		return strconv.AppendBool(dst, v.number != 0)
	case position:
		return appendNumber(append(appendNumber(dst, v.place.lat), ','), v.place.lon)
	}
	return dst
}

func appendNumber(dst []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// render is a value as text; what has to be made stands in the scene's scratch.
func (s *scene) render(v value) string {
	if v.kind == text {
		return v.text
	}
	start := len(s.scratch)
	s.scratch = appendValue(s.scratch, v)
	return textSince(s.scratch, start)
}

// lower is strings.ToLower that puts what it makes into the scratch, where t is ASCII.
func (s *scene) lower(t string) string {
	i := 0
	for i < len(t) && t[i]-'A' >= 26 && t[i] < utf8.RuneSelf {
		i++
	}
	if i == len(t) {
		return t
	}
	for ; i < len(t); i++ {
		if t[i] >= utf8.RuneSelf {
			return strings.ToLower(t)
		}
	}
	start := len(s.scratch)
	for i := 0; i < len(t); i++ {
		c := t[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		s.scratch = append(s.scratch, c)
	}
	return textSince(s.scratch, start)
}

// address is the shortest form of an address, of IPv4 within IPv6 the IPv4. IPv4 has one form only.
func (s *scene) address(t string) string {
	if strings.IndexByte(t, ':') < 0 {
		return t
	}
	a, err := netip.ParseAddr(t)
	if err != nil {
		return t
	}
	start := len(s.scratch)
	s.scratch = a.Unmap().AppendTo(s.scratch)
	if made := textSince(s.scratch, start); made != t {
		return made
	}
	s.scratch = s.scratch[:start]
	return t
}

// keyMaker makes the key of one grouping, or of one grouping of a step.
type keyMaker struct {
	terms []term
	hash  hasher
}

// of reads the key of the scene's event. A key of one term is the event's own text, if it can be.
func (m *keyMaker) of(s *scene) key {
	switch len(m.terms) {
	case 0:
		return key{hash: m.hash.bytes(nil), ok: true}
	case 1:
		v := m.terms[0](s)
		if v.kind == null {
			return key{}
		}
		return m.key(s.keyPart(s.render(v)))
	}
	var room [4]string
	parts := room[:0]
	for _, t := range m.terms {
		v := t(s)
		if v.kind == null {
			return key{}
		}
		parts = append(parts, s.keyPart(s.render(v)))
	}
	start := len(s.scratch)
	for i, part := range parts {
		if i > 0 {
			s.scratch = append(s.scratch, keySeparator...)
		}
		s.scratch = append(s.scratch, part...)
	}
	return m.key(textSince(s.scratch, start))
}

func (m *keyMaker) key(t string) key { return key{text: t, hash: m.hash.bytes(textBytes(t)), ok: true} }

// keyPart takes the separator out of a text in a way that no two texts become the same.
func (s *scene) keyPart(t string) string {
	if strings.IndexByte(t, keySeparator[0]) < 0 && strings.IndexByte(t, keyEscape) < 0 {
		return t
	}
	start := len(s.scratch)
	for i := 0; i < len(t); i++ {
		switch t[i] {
		case keySeparator[0]:
			s.scratch = append(s.scratch, keyEscape, '1')
		case keyEscape:
			s.scratch = append(s.scratch, keyEscape, '0')
		default:
			s.scratch = append(s.scratch, t[i])
		}
	}
	return textSince(s.scratch, start)
}

const keyEscape = '\x1e'
