package inputs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// framed feeds pieces to a framer as a connection does, and returns the messages; a cut one ends in "…".
func framed(t testing.TB, mode framing, limit int, pieces ...string) ([]string, *framer) {
	t.Helper()
	f := &framer{mode: mode, limit: limit}
	var buf []byte
	var out []string
	take := func(spans []span) {
		for _, s := range spans {
			text := string(buf[s.start:s.end])
			if s.cut {
				text += "…"
			}
			out = append(out, text)
		}
	}
	for _, p := range pieces {
		for len(p) > 0 { // a connection reads no more than its buffer holds
			n := min(len(p), limit+maxCount+2-len(buf))
			if n <= 0 {
				t.Fatalf("buffer of %d bytes is full: %q", len(buf), buf)
			}
			buf = append(buf, p[:n]...)
			p = p[n:]
			spans, used := f.frames(buf, nil)
			take(spans)
			buf = buf[used:]
		}
	}
	take(f.last(buf, nil))
	return out, f
}

func TestFraming(t *testing.T) {
	check := func(name string, mode framing, limit int, input string, want ...string) {
		t.Helper()
		whole, _ := framed(t, mode, limit, input)
		if !slices.Equal(whole, want) {
			t.Errorf("%s: %q, want %q", name, whole, want)
		}
		bytewise, _ := framed(t, mode, limit, strings.Split(input, "")...)
		if !slices.Equal(bytewise, want) {
			t.Errorf("%s, byte by byte: %q, want %q", name, bytewise, want)
		}
	}
	check("lines", framingAuto, 100, "<1>a\n<1>bc\r\n\n<1>d\n", "<1>a", "<1>bc", "<1>d")
	check("last line without its end", framingAuto, 100, "<1>a\n<1>b", "<1>a", "<1>b")
	check("NUL", framingAuto, 100, "<1>a\x00<1>b\nc\x00", "<1>a", "<1>b\nc")
	check("counted", framingAuto, 100, "4 <1>a5 <1>bc", "<1>a", "<1>bc")
	check("counted, with a newline inside", framingAuto, 100, "6 <1>a\nb4 <1>c", "<1>a\nb", "<1>c")
	check("counted, with an end of line that is not counted", framingAuto, 100, "4 <1>a\n4 <1>b\n", "<1>a", "<1>b")
	check("counted, with an end of line that is counted", framingAuto, 100, "5 <1>a\n5 <1>b\n", "<1>a", "<1>b")
	check("a text that begins with a number", framingAuto, 100, "12 monkeys\n7up\n2026\n", "12 monkeys", "7up", "2026")
	check("told: lines", framingNewline, 100, "4 <1>a\n4 <1>b\n", "4 <1>a", "4 <1>b")
	check("told: counted", framingOctet, 100, "4 text3 abc", "text", "abc")
	check("told: NUL", framingNull, 100, "a\nb\x00c", "a\nb", "c")
	check("too long, lines", framingNewline, 4, "123456789\nab\n12345", "1234…", "ab", "1234…")
	check("just long enough", framingNewline, 4, "1234\nab\n", "1234", "ab")
	check("too long, counted", framingOctet, 4, "9 1234567892 ab", "1234…", "ab")
	check("too long before it is known how it is framed", framingAuto, 4, "<1>abcdef\n<1>\n", "<1>a…", "<1>")
	check("count too small: the next newline brings order", framingOctet, 100, "3 <1>a\n4 <1>b", "<1>", "a", "<1>b")
	check("count too large: the next newline brings order", framingOctet, 100, "6 <1>a4 <1>b\n4 <1>c", "<1>a4 ", "<1>b", "<1>c")
	check("count of too many digits", framingOctet, 100, "123456789 <1>a\n4 <1>b", "123456789 <1>a", "<1>b")
	check("a counted message that does not end", framingOctet, 100, "9 <1>a", "<1>a…")
	check("nothing", framingAuto, 100, "")
	check("ends of lines only", framingAuto, 100, "\n\r\n\n")
}

// A broken count is counted.
func TestFramingCountsBrokenCounts(t *testing.T) {
	if _, f := framed(t, framingOctet, 100, "3 <1>a\n4 <1>b"); f.resync != 1 {
		t.Errorf("%d", f.resync)
	}
}

// However the bytes are cut into reads, the messages are the same, none is longer than the limit, and what is not cut is all there.
func FuzzFraming(f *testing.F) {
	f.Add("<1>a\n<1>b\n", uint8(0), uint8(1))
	f.Add("4 <1>a5 <1>bc", uint8(0), uint8(3))
	f.Add("3 <1>a\n4 <1>b", uint8(1), uint8(2))
	f.Add("a\x00b\x00", uint8(3), uint8(2))
	f.Add("99999999 x\n1 2 3", uint8(1), uint8(7))
	f.Add("0000000000000000000000000000000000\x000", uint8(0), uint8(1)) // the first message is longer than the limit
	f.Fuzz(func(t *testing.T, input string, mode, size uint8) {
		const limit = 32
		m := framing(mode % 4)
		whole, _ := framed(t, m, limit, input)
		var pieces []string
		for rest := input; rest != ""; {
			n := min(int(size)%7+1, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		split, _ := framed(t, m, limit, pieces...)
		if !slices.Equal(whole, split) {
			t.Fatalf("%q in mode %d: %q at once, %q in pieces of %d", input, m, whole, split, size%7+1)
		}
		kept, cut := 0, false
		for _, s := range whole {
			text, wasCut := strings.CutSuffix(s, "…")
			cut = cut || wasCut
			if kept += len(text); len(text) > limit {
				t.Fatalf("%q: %q is longer than %d", input, text, limit)
			}
		}
		if framing := strings.Count(input, "\n") + strings.Count(input, "\r") + strings.Count(input, "\x00"); m == framingNewline && !cut && kept+framing < len(input) {
			t.Fatalf("%q: %d bytes of %d are left", input, kept, len(input))
		}
	})
}

func BenchmarkFraming(b *testing.B) {
	const message = "<86>1 2026-11-22T11:00:00.123456Z web01 sshd 4711 - - Failed password for invalid user admin from 203.0.113.9 port 51234 ssh2"
	for name, one := range map[string]string{"newline": message + "\n", "octet": fmt.Sprint(strconv.Itoa(len(message)), " ", message)} {
		b.Run(name, func(b *testing.B) {
			buf := []byte(strings.Repeat(one, 400))
			var spans []span
			b.SetBytes(int64(len(one)))
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += 400 {
				f := framer{mode: framingAuto, limit: 64 << 10}
				spans, _ = f.frames(buf, spans[:0])
			}
		})
	}
}
