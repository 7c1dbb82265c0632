package event

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

const hex = "0123456789abcdef"

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special tells which of eight bytes cannot stand in a JSON string as they are, or are not ASCII: bit 7 of the lowest such
// byte is the lowest bit that is set. Higher ones may be set for nothing.
func special(x uint64) uint64 {
	q, b := x^(ones*'"'), x^(ones*'\\')
	return (x | (x-ones*0x20)&^x | (q-ones)&^q | (b-ones)&^b) & highs
}

// load reads eight bytes of s; i+8 <= len(s).
func load(s string, i int) uint64 {
	return binary.LittleEndian.Uint64(unsafe.Slice(unsafe.StringData(s), len(s))[i:])
}

// specials is special for one byte.
var specials = func() (t [256]bool) {
	for c := range t {
		t[c] = c < 0x20 || c == '"' || c == '\\' || c >= 0x80
	}
	return t
}()

// clean tells whether s stands in a JSON string as it is.
func clean(s string) bool {
	if len(s) < 8 {
		for i := 0; i < len(s); i++ {
			if specials[s[i]] {
				return false
			}
		}
		return true
	}
	i, found := 0, uint64(0)
	for ; i+8 <= len(s); i += 8 {
		found |= special(load(s, i))
	}
	return found|special(load(s, len(s)-8)) == 0
}

// escapes is what a byte is written as: one or two bytes, the first in the low eight bits, and their number from bit 16 on. 0
// is for what takes more than that.
var escapes = func() (t [256]uint32) {
	for c := range t {
		if c >= 0x20 && c < 0x80 {
			t[c] = uint32(c) | 1<<16
		}
	}
	for c, as := range map[byte]byte{'"': '"', '\\': '\\', '\n': 'n', '\r': 'r', '\t': 't'} {
		t[c] = '\\' | uint32(as)<<8 | 2<<16
	}
	return t
}()

// appendEscaped appends s as it stands between the quotes of a JSON string: eight bytes at a time where they stay as they are,
// else byte by byte without a branch, for quotes in JSON come often and where no processor foresees them.
func appendEscaped(dst []byte, s string) []byte {
	if clean(s) {
		return append(dst, s...)
	}
	dst = slices.Grow(dst, 2*len(s)+8)
	out, n := dst[:cap(dst)], len(dst) // from n on there is room for twice the rest of s, and eight bytes
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			if x := load(s, i); special(x) == 0 {
				binary.LittleEndian.PutUint64(out[n:], x)
				i, n = i+8, n+8
				continue
			}
		}
		stop := min(i+8, len(s))
		for ; i < stop; i++ {
			e := escapes[s[i]]
			if e == 0 {
				break
			}
			binary.LittleEndian.PutUint16(out[n:], uint16(e))
			n += int(e >> 16)
		}
		if i < stop {
			var size int
			dst, size = appendRare(out[:n], s[i:])
			i += size
			dst = slices.Grow(dst, 2*(len(s)-i)+8)
			out, n = dst[:cap(dst)], len(dst)
		}
	}
	return out[:n]
}

// appendRare appends the control character or the rune that s begins with, and returns its length in s. A byte that is not
// UTF-8 becomes U+FFFD.
func appendRare(dst []byte, s string) ([]byte, int) {
	if c := s[0]; c < 0x80 {
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15]), 1
	}
	r, n := decodeRune(s)
	if r == badRune && n == 1 {
		return append(dst, "\ufffd"...), 1
	}
	return append(dst, s[:n]...), n
}
