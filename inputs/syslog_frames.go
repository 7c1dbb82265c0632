package inputs

import "bytes"

// framing is how messages of a stream are told apart (RFC 6587 3.4).
type framing uint8

const (
	framingAuto    framing = iota // by the first message of a connection
	framingOctet                  // "LENGTH message", 3.4.1
	framingNewline                // a line each, 3.4.2
	framingNull                   // NUL behind each, 3.4.2
)

var framings = map[string]framing{"auto": framingAuto, "octet": framingOctet, "newline": framingNewline, "null": framingNull}

// maxCount is the most digits of an octet count.
const maxCount = 7

// span is one message in a buffer.
type span struct {
	start, end int
	cut        bool // it was longer than the limit
}

// framer finds the messages in the bytes of one connection. What it keeps between two calls is small and plain, so that a connection
// can be handed over with it.
//
//	buffer: | message | message | part of a message |   -> spans, and how far they go; the rest stays for the next call
//
// It promises: every byte that is no framing lands in a span, but what goes beyond the limit of a message, which is flagged; a count
// that is wrong costs the messages up to the next newline their borders, not their text; no byte is looked at more than a few times.
type framer struct {
	mode   framing
	limit  int // most bytes of a message
	seen   int // bytes of the buffer's rest in which there is no delimiter
	skip   int // bytes of a message that was cut, still to come (octet counts)
	toEnd  bool
	broken bool  // no count where one should be: goes on at the next newline
	resync int64 // how often that happened
}

// frames appends the messages in buf to spans and returns them, and how many bytes are done with.
func (f *framer) frames(buf []byte, spans []span) ([]span, int) {
	at := 0
	for at < len(buf) {
		if f.mode == framingAuto && !f.detect(buf[at:]) {
			break
		}
		var n int
		if f.mode == framingOctet && !f.broken {
			spans, n = f.octet(buf, at, spans)
		} else {
			spans, n = f.line(buf, at, spans)
		}
		if n == 0 {
			break
		}
		at += n
	}
	return spans, at
}

// detect decides by the first message: a count, a blank and '<' is octet counting; else the first newline or NUL tells.
func (f *framer) detect(buf []byte) bool {
	n := 0
	for n < len(buf) && n <= maxCount && buf[n]-'0' <= 9 {
		n++
	}
	if n > 0 && n <= maxCount {
		switch rest := buf[n:]; {
		case len(rest) == 0 || len(rest) == 1 && rest[0] == ' ':
			return false
		case rest[0] == ' ' && rest[1] == '<':
			f.mode = framingOctet
			return true
		}
	}
	// Only a first message within the limit tells, however much of the rest has come with it.
	window := buf[:min(len(buf), f.limit+1)]
	i := bytes.IndexAny(window[min(f.seen, len(window)):], "\n\x00")
	if i < 0 {
		if f.seen = len(buf); len(buf) <= f.limit {
			return false
		}
		f.seen, f.mode = 0, framingNewline
		return true
	}
	f.mode = framingNewline
	if buf[f.seen+i] == 0 {
		f.mode = framingNull
	}
	f.seen = 0
	return true
}

// octet reads one counted message at buf[at:]; n is 0 where more is needed.
func (f *framer) octet(buf []byte, at int, spans []span) (_ []span, n int) {
	rest := buf[at:]
	if f.skip > 0 {
		n = min(f.skip, len(rest))
		f.skip -= n
		return spans, n
	}
	if c := rest[0]; c == '\n' || c == '\r' || c == 0 { // some senders add an end of line to the count
		return spans, 1
	}
	count, digits := 0, 0
	for digits < len(rest) && digits <= maxCount && rest[digits]-'0' <= 9 {
		count = count*10 + int(rest[digits]-'0')
		digits++
	}
	if digits == len(rest) && digits <= maxCount {
		return spans, 0
	}
	if digits == 0 || digits > maxCount || rest[digits] != ' ' {
		f.broken = true
		f.resync++
		return f.line(buf, at, spans)
	}
	start := digits + 1
	if count > f.limit {
		if len(rest)-start < f.limit {
			return spans, 0
		}
		f.skip = count - f.limit
		return append(spans, span{at + start, at + start + f.limit, true}), start + f.limit
	}
	if len(rest)-start < count {
		return spans, 0
	}
	return addSpan(spans, buf, at+start, at+start+count), start + count
}

// line reads one message up to its delimiter.
func (f *framer) line(buf []byte, at int, spans []span) (_ []span, n int) {
	delimiter := byte('\n')
	if f.mode == framingNull {
		delimiter = 0
	}
	rest := buf[at:]
	i := bytes.IndexByte(rest[min(f.seen, len(rest)):], delimiter)
	if i >= 0 {
		i += min(f.seen, len(rest))
		f.seen, f.broken = 0, false
		switch {
		case f.toEnd: // of a message that was cut
			f.toEnd = false
		case i > f.limit:
			spans = append(spans, span{at, at + f.limit, true})
		default:
			spans = addSpan(spans, buf, at, at+i)
		}
		return spans, i + 1
	}
	if f.toEnd {
		f.seen = 0
		return spans, len(rest)
	}
	if len(rest) > f.limit {
		f.seen, f.toEnd = 0, true
		return append(spans, span{at, at + f.limit, true}), len(rest)
	}
	f.seen = len(rest)
	return spans, 0
}

// addSpan adds a message without the line end that belongs to it; an empty one is none.
func addSpan(spans []span, buf []byte, start, end int) []span {
	for end > start && (buf[end-1] == '\n' || buf[end-1] == '\r' || buf[end-1] == 0) {
		end--
	}
	if start == end {
		return spans
	}
	return append(spans, span{start, end, false})
}

// last returns what is left when the connection ends: a line without its end is whole, a counted message is not.
func (f *framer) last(buf []byte, spans []span) []span {
	if len(buf) == 0 || f.toEnd || f.skip > 0 {
		return spans
	}
	if f.mode != framingOctet || f.broken {
		return addSpan(spans, buf, 0, len(buf))
	}
	start := 0
	for start < len(buf) && buf[start]-'0' <= 9 {
		start++
	}
	if start < len(buf) && buf[start] == ' ' {
		start++
	}
	n := len(spans)
	if spans = addSpan(spans, buf, start, len(buf)); len(spans) > n {
		spans[n].cut = true
	}
	return spans
}
