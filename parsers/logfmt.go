package parsers

import (
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// logfmtParser reads key=value pairs separated by spaces; values with spaces stand in double quotes.
type logfmtParser struct {
	m     *mapping
	marks []string
}

func newLogfmt(label string, body *conf.Body, o Options) (Parser, error) {
	p := &logfmtParser{m: newMapping("logfmt", label, body, o, nil)}
	p.marks = p.m.marks("", "=")
	if body != nil {
		body.Close()
	}
	return p, nil
}

func (p *logfmtParser) Dataset() string { return p.m.dataset }

func (p *logfmtParser) Parse(line Line, ev *event.Event) error {
	s := pairScanner{text: line.Text}
	if !s.next() {
		return ErrNoMatch
	}
	f := p.m.begin(ev, line.Received)
	pairs := 0
	for ok := true; ok; ok = s.next() {
		if s.bare {
			// A word alone is a flag that is set, where the config knows it; else it is prose.
			if n := p.m.nodes[s.key]; n != nil {
				f.named(s.key, "true")
			}
			continue
		}
		pairs++
		f.named(s.key, s.value)
	}
	if pairs == 0 {
		return ErrNoMatch
	}
	f.finish(line.Text)
	return nil
}

// pairScanner goes over key=value pairs.
type pairScanner struct {
	text       string
	joined     bool // words without "=" belong to the value before them: status=Invalid password ip=...
	key, value string
	bare       bool // a word without "="; it stands in key
}

// next moves to the next pair or bare word.
func (s *pairScanner) next() bool {
	s.text = strings.TrimLeft(s.text, " \t\r\n,;")
	if s.text == "" {
		return false
	}
	end := strings.IndexAny(s.text, "= \t\r\n")
	if end < 0 || s.text[end] != '=' || end == 0 {
		if end <= 0 {
			end = max(wordEnd(s.text), 1)
		}
		s.key, s.value, s.bare, s.text = s.text[:end], "", true, s.text[end:]
		return true
	}
	s.key, s.bare = s.text[:end], false
	rest := s.text[end+1:]
	if strings.HasPrefix(rest, `"`) {
		if n, escaped := quotedEnd(rest); n > 0 {
			s.value, s.text = rest[1:n-1], rest[n:]
			if escaped {
				s.value = unquoteValue(rest[:n])
			}
			return true
		}
	}
	n := wordEnd(rest)
	if s.joined {
		n = joinedEnd(rest, n)
	}
	s.value, s.text = rest[:n], rest[n:]
	if s.joined {
		s.value = strings.TrimRight(s.value, ",;")
	}
	return true
}

func wordEnd(s string) int {
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return i
	}
	return len(s)
}

// joinedEnd extends a value that ends at n over the words that follow and hold no "=".
func joinedEnd(s string, n int) int {
	for n > 0 && s[n-1] != ',' && s[n-1] != ';' {
		start := n
		for start < len(s) && s[start] == ' ' {
			start++
		}
		end := start + wordEnd(s[start:])
		if end == start || strings.IndexByte(s[start:end], '=') >= 0 {
			break
		}
		n = end
	}
	return n
}

// quotedEnd returns the length of the quoted value at the start of s, 0 where the quote never closes.
func quotedEnd(s string) (n int, escaped bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return 0, false
}

func unquoteValue(quoted string) string {
	if s, err := strconv.Unquote(quoted); err == nil {
		return s
	}
	return quoted[1 : len(quoted)-1]
}
