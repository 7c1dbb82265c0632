package elastic

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Answer is what a bulk request came to. It is reused: what it holds is valid until the next request with it.
type Answer struct {
	Items  int       // how many items the server speaks of
	Took   int       // milliseconds that it worked on them, by its own word; 0: it did not say
	Failed []Failure // items with another status than 200 or 201, in their order
	Runs   []Run     // which index took which items, in their order

	body []byte // the bytes that everything above points into
}

// Failure is an item that was not created.
type Failure struct {
	Item   int
	Status int
	Index  []byte // as the server names it
	typ    []byte // JSON text with its quotes
	reason []byte
	cause  []byte // of the innermost caused_by
}

// Type is the server's name for the error.
func (f *Failure) Type() string { return unquote(f.typ) }

// Reason is the server's explanation, with the innermost cause.
func (f *Failure) Reason() string {
	r, c := unquote(f.reason), unquote(f.cause)
	if c != "" && c != r {
		return r + ": " + c
	}
	return r
}

// Run says that the items before End, from where the run before it ended, have to do with one index.
type Run struct {
	End   int
	Index []byte
}

// IndexOf is the index that item i was put in.
func (a *Answer) IndexOf(i int) []byte {
	for _, r := range a.Runs {
		if i < r.End {
			return r.Index
		}
	}
	return nil
}

var errAnswer = errors.New("not the answer of a bulk request")

const maxDepth = 64

// Scan reads the answer in body, which it keeps. Whatever body holds, it returns an error or a well-formed Answer.
func (a *Answer) Scan(body []byte) error {
	a.Items, a.Took, a.Failed, a.Runs, a.body = 0, 0, a.Failed[:0], a.Runs[:0], body
	s := scanner{b: body}
	found := false
	err := s.object(func(key []byte) error {
		switch string(key) {
		case `"items"`:
		case `"took"`:
			s.space()
			start := s.i
			err := s.skip(0)
			// Whatever it is: nothing of the answer hangs on it.
			if n, bad := strconv.Atoi(string(body[start:s.i])); err == nil && bad == nil && n > 0 {
				a.Took = n
			}
			return err
		default:
			return s.skip(0)
		}
		if found {
			return errAnswer
		}
		found = true
		return a.items(&s)
	})
	if err == nil {
		if s.space(); s.i != len(body) {
			err = errAnswer
		}
	}
	if err == nil && !found {
		err = errAnswer
	}
	if err != nil {
		return fmt.Errorf("read answer at byte %d of %d: %w", s.i, len(body), err)
	}
	return nil
}

// items reads the list of items. Most items read like the one before, to the byte: then nothing else needs a look.
func (a *Answer) items(s *scanner) error {
	if err := s.expect('['); err != nil {
		return err
	}
	if s.space(); s.peek() == ']' {
		s.i++
		return nil
	}
	var same []byte // text of the last good item
	for {
		s.space()
		if n := len(same); n > 0 && len(s.b)-s.i > n && bytes.Equal(s.b[s.i:s.i+n], same) {
			s.i += n
			a.Items++
			a.Runs[len(a.Runs)-1].End = a.Items
		} else {
			start := s.i
			good, err := a.item(s)
			if err != nil {
				return err
			}
			if same = nil; good {
				same = s.b[start:s.i]
			}
		}
		s.space()
		switch s.peek() {
		case ',':
			s.i++
		case ']':
			s.i++
			return nil
		default:
			return errAnswer
		}
	}
}

// item reads {"create":{...}} and tells whether it says that the item was created.
func (a *Answer) item(s *scanner) (good bool, err error) {
	f := Failure{Item: a.Items}
	n := 0
	err = s.object(func([]byte) error {
		n++
		return s.object(func(key []byte) error { return f.field(s, key) })
	})
	if err != nil || n != 1 || f.Status < 100 || f.Status > 599 {
		if err == nil {
			err = errAnswer
		}
		return false, err
	}
	a.Items++
	if k := len(a.Runs); k > 0 && bytes.Equal(a.Runs[k-1].Index, f.Index) {
		a.Runs[k-1].End = a.Items
	} else {
		a.Runs = append(a.Runs, Run{a.Items, f.Index})
	}
	if f.Status == 200 || f.Status == 201 {
		return true, nil
	}
	a.Failed = append(a.Failed, f)
	return false, nil
}

func (f *Failure) field(s *scanner, key []byte) error {
	switch string(key) {
	case `"status"`:
		n, err := s.number()
		if err != nil {
			return err
		}
		f.Status = n
		return nil
	case `"_index"`:
		text, err := s.text()
		if err != nil {
			return err
		}
		// A name with an escape is none that a server has.
		if len(text) > 0 && bytes.IndexByte(text, '\\') < 0 {
			f.Index = text[1 : len(text)-1]
		}
		return nil
	case `"error"`:
		return f.failure(s, 0)
	}
	return s.skip(0)
}

// failure reads an error object, or the text that older servers send in its place.
func (f *Failure) failure(s *scanner, depth int) error {
	if depth > maxDepth {
		return errAnswer
	}
	switch s.space(); s.peek() {
	case '"':
		text, err := s.text()
		f.reason = text
		return err
	case '{':
	default:
		return s.skip(0)
	}
	return s.object(func(key []byte) error {
		switch string(key) {
		case `"type"`, `"reason"`:
			if s.space(); s.peek() != '"' {
				return s.skip(0)
			}
			text, err := s.text()
			switch {
			case err != nil:
				return err
			case string(key) == `"reason"` && depth > 0:
				f.cause = text
			case string(key) == `"reason"`:
				f.reason = text
			case depth == 0:
				f.typ = text
			}
			return nil
		case `"caused_by"`:
			return f.failure(s, depth+1)
		}
		return s.skip(0)
	})
}

// scanner walks JSON text. It is strict about structure, which is what a truncated answer lacks, and lax about the rest.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.space(); s.peek() != c {
		return errAnswer
	}
	s.i++
	return nil
}

// text reads a string and returns it with its quotes.
func (s *scanner) text() ([]byte, error) {
	if err := s.expect('"'); err != nil {
		return nil, err
	}
	start := s.i - 1
	for {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			return nil, errAnswer
		}
		s.i += n + 1
		slashes := 0
		for k := s.i - 2; k > start && s.b[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			return s.b[start:s.i], nil
		}
	}
}

func (s *scanner) number() (int, error) {
	s.space()
	n, digits := 0, 0
	for ; s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' && digits < 9; digits++ {
		n = n*10 + int(s.b[s.i]-'0')
		s.i++
	}
	if digits == 0 {
		return 0, errAnswer
	}
	return n, nil
}

// object calls field for every key (with its quotes); field reads the value.
func (s *scanner) object(field func(key []byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	if s.space(); s.peek() == '}' {
		s.i++
		return nil
	}
	for {
		s.space()
		key, err := s.text()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.i++
		case '}':
			s.i++
			return nil
		default:
			return errAnswer
		}
	}
}

// skip passes over any value.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return errAnswer
	}
	switch s.space(); s.peek() {
	case '"':
		_, err := s.text()
		return err
	case '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		s.i++
		if s.space(); s.peek() == ']' {
			s.i++
			return nil
		}
		for {
			if err := s.skip(depth + 1); err != nil {
				return err
			}
			s.space()
			switch s.peek() {
			case ',':
				s.i++
			case ']':
				s.i++
				return nil
			default:
				return errAnswer
			}
		}
	}
	start := s.i
	for s.i < len(s.b) && s.b[s.i] > ' ' && s.b[s.i] != ',' && s.b[s.i] != '}' && s.b[s.i] != ']' && s.b[s.i] != '"' {
		s.i++
	}
	if s.i == start {
		return errAnswer
	}
	return nil
}

// maxReason bounds what of a server's words is kept.
const maxReason = 2000

// unquote turns JSON text into a string, cut at maxReason.
func unquote(b []byte) string {
	if len(b) < 2 {
		return ""
	}
	b = b[1 : len(b)-1]
	out := make([]byte, 0, min(len(b), maxReason+4))
	for i := 0; i < len(b) && len(out) < maxReason; i++ {
		c := b[i]
		if c != '\\' || i+1 == len(b) {
			out = append(out, c)
			continue
		}
		i++
		switch b[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'u':
			if i+4 < len(b) {
				if r, err := strconv.ParseUint(string(b[i+1:i+5]), 16, 16); err == nil {
					out = utf8.AppendRune(out, rune(r))
					i += 4
				}
			}
		default:
			out = append(out, b[i])
		}
	}
	return string(bytes.ToValidUTF8(out, []byte("?")))
}
