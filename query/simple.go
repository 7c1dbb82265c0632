package query

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// SyntaxError points at the word of a question that cannot be understood.
type SyntaxError struct {
	Question       string
	Offset, Length int // bytes
	Message        string
	Remedy         string // may be empty
}

func (e *SyntaxError) Error() string {
	text := fmt.Sprintf("column %d: %s", len([]rune(e.Question[:e.Offset]))+1, e.Message)
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Caret is the question with carets under the word.
func (e *SyntaxError) Caret() string {
	before := len([]rune(e.Question[:e.Offset]))
	word := len([]rune(e.Question[e.Offset : e.Offset+e.Length]))
	return e.Question + "\n" + strings.Repeat(" ", before) + strings.Repeat("^", max(1, word))
}

// ParseSimple reads a question of the form
//
//	user.name=root event.outcome=failure source.ip!=203.0.113.0/24 message~"two words" since=-24h until=2026-11-22
//
// that is, fields (also by what people call them: user, ip, outcome) with =, !=, <, <=, >, >= or ~ (contains) and a value, all of which
// have to hold. The value null asks for absence. since= (after=) and until= (before=) bound the time: a time, a date, now, or
// a length before now such as -24h, -7d. An empty question is true of all events. Errors are *SyntaxError.
func ParseSimple(question string, now time.Time, loc *time.Location) (Expr, error) {
	if loc == nil {
		loc = time.UTC
	}
	p := simpleParser{text: question, now: now, loc: loc}
	var and And
	for {
		p.blanks()
		if p.at == len(p.text) {
			break
		}
		e, err := p.term()
		if err != nil {
			return nil, err
		}
		and.Of = append(and.Of, e)
	}
	if len(and.Of) == 1 {
		return and.Of[0], nil
	}
	return and, nil
}

type simpleParser struct {
	text string
	at   int
	now  time.Time
	loc  *time.Location
}

func (p *simpleParser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n,", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *simpleParser) errorAt(start, end int, message, remedy string) error {
	return &SyntaxError{Question: p.text, Offset: start, Length: end - start, Message: message, Remedy: remedy}
}

func (p *simpleParser) tell(start, end int, err error) error {
	var f *FieldError
	if errors.As(err, &f) {
		return p.errorAt(start, end, f.Message, f.Remedy)
	}
	return p.errorAt(start, end, err.Error(), "")
}

func (p *simpleParser) term() (Expr, error) {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("=!<>~ \t\r\n,\"'", p.text[p.at]) < 0 {
		p.at++
	}
	name, nameEnd := p.text[start:p.at], p.at
	op, ok := p.operator()
	if !ok || name == "" {
		end := max(nameEnd, min(start+1, len(p.text)))
		return nil, p.errorAt(start, end, "want FIELD=VALUE here", "write user.name=root, or outcome=failure, or since=-24h")
	}
	valueStart := p.at
	value, quoted, err := p.value()
	if err != nil {
		return nil, err
	}
	switch squeeze(name) {
	case "since", "after", "until", "before":
		return p.bound(name, op, start, nameEnd, valueStart, value)
	}
	f, err := p.field(name, start, nameEnd)
	if err != nil {
		return nil, err
	}
	if value == "" && !quoted {
		return nil, p.errorAt(start, p.at, "the value is missing", `write `+name+`=VALUE, or `+name+`=null for events without it`)
	}
	e, err := p.compare(f, op, value, quoted)
	if err != nil {
		return nil, p.tell(valueStart, p.at, err)
	}
	return e, nil
}

// operator reads =, ==, !=, <, <=, >, >= or ~.
func (p *simpleParser) operator() (string, bool) {
	for _, op := range []string{"==", "!=", "<=", ">=", "=", "<", ">", "~"} {
		if strings.HasPrefix(p.text[p.at:], op) {
			p.at += len(op)
			return op, true
		}
	}
	return "", false
}

// value reads up to a blank, or a value in quotes, within which a backslash stands before a quote or a backslash.
func (p *simpleParser) value() (text string, quoted bool, err error) {
	start := p.at
	if start < len(p.text) && (p.text[start] == '"' || p.text[start] == '\'') {
		quote := p.text[start]
		var b strings.Builder
		for i := start + 1; i < len(p.text); i++ {
			switch c := p.text[i]; {
			case c == '\\' && i+1 < len(p.text) && (p.text[i+1] == quote || p.text[i+1] == '\\'):
				i++
				b.WriteByte(p.text[i])
			case c == quote:
				p.at = i + 1
				return b.String(), true, nil
			default:
				b.WriteByte(c)
			}
		}
		return "", true, p.errorAt(start, len(p.text), "the quote is not closed", "")
	}
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) < 0 {
		p.at++
	}
	return strings.TrimSuffix(p.text[start:p.at], ","), false, nil
}

func (p *simpleParser) field(name string, start, end int) (Field, error) {
	f, err := FieldNamed(name)
	if err == nil {
		return f, nil
	}
	if id, ok := alias(name); ok {
		if f, err = FieldNamed(event.Fields[id].Name); err == nil {
			return f, nil
		}
		return Field{}, p.tell(start, end, err)
	}
	var unknown *FieldError
	if errors.As(err, &unknown) && !strings.HasPrefix(unknown.Remedy, "did you mean") {
		known := make([]string, 0, len(aliases))
		for i := range event.Fields {
			known = append(known, event.Fields[i].Names()...)
		}
		if near := conf.Suggest(name, append(known, "since", "until", "after", "before")); near != "" {
			err = wrong(fmt.Sprintf("did you mean %q?", near), "unknown field %q", name)
		}
	}
	return Field{}, p.tell(start, end, err)
}

var simpleOps = map[string]Op{"=": Eq, "==": Eq, "!=": Ne, "<": Lt, "<=": Le, ">": Gt, ">=": Ge}

func (p *simpleParser) compare(f Field, op, value string, quoted bool) (Expr, error) {
	if op == "~" {
		return NewText(f, Contains, value)
	}
	o := simpleOps[op]
	if value == "null" && !quoted {
		switch o {
		case Eq:
			return Not{Exists{f}}, nil
		case Ne:
			return Exists{f}, nil
		}
		return nil, wrong("", "null can only be asked for by = and !=")
	}
	if f.Type() == event.IP && strings.Contains(value, "/") && o <= Ne {
		e, err := NewCIDR(f, []string{value})
		if err == nil && o == Ne {
			return Not{e}, nil
		}
		return e, err
	}
	if f.Type() == event.DateTime {
		t, err := p.time(value)
		if err != nil {
			return nil, err
		}
		return NewCompare(f, o, Value{Kind: event.Int, Int: t.UnixNano()})
	}
	v, err := ValueFor(f, value, p.loc)
	if err != nil {
		return nil, err
	}
	return NewCompare(f, o, v)
}

func (p *simpleParser) bound(name, op string, start, nameEnd, valueStart int, value string) (Expr, error) {
	if op != "=" && op != "==" {
		return nil, p.errorAt(start, valueStart, name+" takes = only", "")
	}
	t, err := p.time(value)
	if err != nil {
		return nil, p.tell(valueStart, max(p.at, valueStart), err)
	}
	o := Ge
	if s := squeeze(name); s == "until" || s == "before" {
		o = Lt
	}
	return Compare{Field{ID: event.FieldTimestamp}, o, Value{Kind: event.Int, Int: t.UnixNano()}}, nil
}

// time reads a time, a date, now, or a length before now.
func (p *simpleParser) time(text string) (time.Time, error) {
	if text == "now" {
		return p.now, nil
	}
	if back, ok := strings.CutPrefix(text, "-"); ok {
		if d, err := conf.ParseDuration(back); err == nil {
			return p.now.Add(-d), nil
		}
	}
	t, err := parseTime(text, p.loc)
	if err != nil {
		return t, wrong(`write "2026-11-22T10:15:32Z", 2026-11-22, now, or a length before now such as -24h or -7d`, "%q is no time", text)
	}
	return t, nil
}
