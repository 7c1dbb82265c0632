package inputs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tidwall/gjson"
)

const (
	journalBatch = 64 << 10 // bytes of entries after which a batch is submitted, however many more are waiting
	journalLines = 512
)

// read takes the entries of one run of journalctl and submits them: at once when no further one is waiting, else in batches.
func (j *Journald) read(ctx context.Context, sink Sink, out io.Reader, r reading) error {
	in := bufio.NewReaderSize(out, 64<<10)
	var text []byte   // of the batch
	var ends []int    // of its entries
	var cut []bool    // which of them are cut
	var lines []Line  // reused
	var cursor string // after the batch
	first := r.expect != ""
	flush := func() error {
		if len(ends) == 0 && cursor == "" {
			return nil
		}
		all, at := string(text), 0
		lines = lines[:0]
		for i, end := range ends {
			// No entry is at offset 0, where a file would have its header.
			lines = append(lines, Line{Text: all[at:end], Offset: 1, Truncated: cut[i]})
			at = end
		}
		err := j.submit(ctx, sink, lines, len(all), cursor)
		text, ends, cut, cursor = text[:0], ends[:0], cut[:0], ""
		return err
	}
	shortener := entryShortener{limit: j.config.maxLine}
	for {
		entry, truncated, err := readEntry(in, &shortener)
		if err != nil {
			if flushErr := flush(); flushErr != nil {
				return flushErr
			}
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				return fmt.Errorf("read what journalctl writes: %w", err)
			}
			return nil
		}
		if len(entry) == 0 || entry[0] != '{' { // "-- No entries --"
			continue
		}
		j.well()
		c := gjson.GetBytes(entry, "__CURSOR").String()
		skip := r.skipAll
		if first {
			first = false
			if skip = c == r.expect; !skip {
				j.log.Warn("the journal no longer has the entry that was read last, or the filter has changed; reading goes on from the next entry there is",
					"cursor", r.expect)
			}
		}
		if c != "" {
			cursor = c
		}
		if !skip {
			text = append(text, entry...)
			ends, cut = append(ends, len(text)), append(cut, truncated)
		}
		if len(text) >= journalBatch || len(ends) >= journalLines || !entryWaiting(in) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// entryWaiting tells that the next entry is there in whole.
func entryWaiting(in *bufio.Reader) bool {
	b, err := in.Peek(in.Buffered())
	return err == nil && bytes.IndexByte(b, '\n') >= 0
}

// readEntry returns the next line without its end. A line longer than the limit comes as the shortener leaves it. What stands
// before the end of the stream without a newline is not an entry: journalctl was killed while it wrote.
func readEntry(in *bufio.Reader, s *entryShortener) (entry []byte, truncated bool, err error) {
	piece, err := in.ReadSlice('\n')
	if err == nil && len(piece)-1 <= s.limit {
		return piece[:len(piece)-1], false, nil
	}
	s.begin()
	for {
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, false, err
		}
		s.write(bytes.TrimSuffix(piece, []byte{'\n'}))
		if err == nil {
			entry, truncated = s.end()
			return entry, truncated, nil
		}
		piece, err = in.ReadSlice('\n')
	}
}

// entryShortener writes an entry anew with long values cut, so that it stays within the limit and stays JSON. It looks at each byte
// once and keeps no more than the limit: an entry may hold a core dump. Because the members come in no fixed order the message
// gets half of the room and each other value a little, as long as there is any.
type entryShortener struct {
	limit int
	out   []byte
	whole []byte // the entry as it is, up to the limit: it may not need cutting
	long  bool
	spare int // bytes that members other than the message may still take

	depth  int
	quoted bool
	escape int // bytes of an escape to come
	member int // where the member's key begins in out
	value  int // where its value begins in out; 0: in the key
	room   int // bytes that the value may take
	last   int // where in out the value can be cut
	full   bool
}

const (
	longestField = 256     // of a field's name; the journal allows 64
	smallValue   = 1 << 10 // what each value other than the message may take
)

func (s *entryShortener) begin() {
	*s = entryShortener{limit: s.limit, out: s.out[:0], whole: s.whole[:0], spare: s.limit / 2}
}

func (s *entryShortener) write(p []byte) {
	s.long = s.long || len(s.whole)+len(p) > s.limit
	s.whole = append(s.whole, p[:min(s.limit-len(s.whole), len(p))]...)
	for _, c := range p {
		s.next(c)
	}
}

// end returns the entry and whether it was cut. What is no JSON object is cut bluntly: its parser will say so.
func (s *entryShortener) end() ([]byte, bool) {
	if !s.long || !gjson.ValidBytes(s.out) {
		return s.whole, s.long
	}
	return s.out, true
}

func (s *entryShortener) next(c byte) {
	if s.quoted {
		s.inString(c)
		return
	}
	switch c {
	case '"':
		s.quoted = true
		if s.depth == 1 && s.value == 0 {
			s.member = len(s.out)
		}
	case '{', '[':
		s.depth++
	case '}', ']':
		if s.depth--; s.depth == 0 {
			s.endMember()
		}
	case ',':
		switch {
		case s.depth == 1:
			s.endMember()
			if n := len(s.out); n > 0 && s.out[n-1] == '{' {
				return // the member before it is gone
			}
		case s.depth == 2 && !s.full:
			s.last = len(s.out)
		}
	}
	s.keep(c)
	if c == ':' && s.depth == 1 && s.value == 0 {
		s.beginValue()
	}
}

// inString follows one byte of a string. It can be cut before any byte that begins a letter.
func (s *entryShortener) inString(c byte) {
	if s.escape == 0 && s.depth == 1 && s.value > 0 && !s.full && c&0xC0 != 0x80 {
		s.last = len(s.out)
	}
	s.keep(c)
	switch {
	case s.escape > 1 || s.escape == 1 && c != 'u':
		s.escape--
	case s.escape == 1: // four digits follow
		s.escape = 4
	case c == '\\':
		s.escape = 1
	case c == '"':
		s.quoted = false
	}
}

// keep appends a byte of a key or a value, as long as there is room for it.
func (s *entryShortener) keep(c byte) {
	if s.value == 0 {
		s.full = len(s.out)-s.member > longestField
	} else {
		s.full = s.full || len(s.out)-s.value >= s.room
	}
	if !s.full {
		s.out = append(s.out, c)
	}
}

func (s *entryShortener) beginValue() {
	s.value, s.last = len(s.out), len(s.out)
	switch s.name() {
	case "MESSAGE":
		s.room = s.limit / 2
	case "__CURSOR":
		s.room = smallValue
	default:
		s.room = min(smallValue, s.spare-longestField)
	}
	if s.full { // no field of the journal has so long a name
		s.room = 0
	}
	s.full = false
}

func (s *entryShortener) name() string {
	key := s.out[s.member:]
	if end := bytes.LastIndexByte(key, '"'); end > 0 {
		return string(key[1:end])
	}
	return ""
}

// endMember closes a value that was cut, and takes away a member for which there was no room.
func (s *entryShortener) endMember() {
	if s.value == 0 {
		return
	}
	switch {
	case s.room <= 0:
		s.out = bytes.TrimSuffix(s.out[:s.member], []byte{','})
	case s.full && s.last > s.value && s.out[s.value] == '"':
		s.out = append(s.out[:s.last], '"')
	case s.full && s.last > s.value && s.out[s.value] == '[':
		s.out = append(s.out[:s.last], ']')
	case s.full:
		s.out = append(s.out[:s.value], "null"...)
	}
	if s.room <= smallValue {
		s.spare -= len(s.out) - s.member
	}
	s.value, s.member, s.full = 0, len(s.out), false
}
