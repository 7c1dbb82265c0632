package parsers

import (
	"math"
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// template writes the message that the config gives.
func (f *filling) template() string {
	var buf [256]byte
	b := buf[:0]
	for _, s := range f.m.message {
		if s.slot < 0 {
			b = append(b, s.text...)
		} else if v := f.slots[s.slot]; v != "" {
			b = append(b, v...)
		} else {
			b = append(b, '-')
		}
	}
	return string(b)
}

// sentence says in plain English what the fields say: "bob: login, Invalid password, from 203.0.113.9". Where they say neither who nor
// what, the line speaks for itself. At most one allocation.
func sentence(ev *event.Event, text string) string {
	who, what := actorOf(ev), ev.Action.String()
	if what == "" {
		what = ev.Code
	}
	if what == "" && ev.Reason == "" {
		return text
	}
	return writeSentence(ev, who, what)
}

func actorOf(ev *event.Event) string {
	u := &ev.User
	switch {
	case u.Name != "":
		return u.Name
	case u.Email != "":
		return u.Email
	}
	return u.ID
}

func writeSentence(ev *event.Event, who, what string) string {
	var buf [256]byte
	b := buf[:0]
	if who != "" {
		b = append(append(b, who...), ": "...)
	}
	if what == "" {
		what = "event"
	}
	if ev.Action == event.ActionNone && ev.Status.Code.Valid {
		b = append(b, "status "...)
	}
	start := len(b)
	b = append(b, what...)
	if ev.Action != event.ActionNone && what == ev.Action.String() {
		for i := start; i < len(b); i++ {
			if b[i] == '-' {
				b[i] = ' '
			}
		}
	}
	switch {
	case ev.Reason == what:
	case ev.Reason != "":
		b = append(append(b, ", "...), ev.Reason...)
	case ev.Outcome != "" && ev.Outcome != event.Unknown:
		b = append(append(b, ", "...), ev.Outcome...)
	}
	if ev.Source.IP != "" {
		b = append(append(b, ", from "...), ev.Source.IP...)
	}
	return string(b)
}

// parseTemplate splits "{user} did {action}": {path} is a value of the source, {{ and }} are braces.
func parseTemplate(s string) (segments []segment, paths []string, problem string) {
	text := func(t string) {
		if n := len(segments); n > 0 && segments[n-1].slot < 0 {
			segments[n-1].text += t
		} else if t != "" {
			segments = append(segments, segment{text: t, slot: -1})
		}
	}
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			text(s)
			break
		}
		text(s[:i])
		switch {
		case i+1 < len(s) && s[i+1] == s[i]:
			text(s[i : i+1])
			s = s[i+2:]
			continue
		case s[i] == '}':
			return nil, nil, "a } without its {; write }} for the character"
		}
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return nil, nil, "a { without its }; write {{ for the character"
		}
		path := s[i+1 : end]
		if path == "" || strings.Contains(path, "{") {
			return nil, nil, "between { and } stands the name of a value of the source, such as {login}"
		}
		slot := -1
		for j, p := range paths {
			if p == path {
				slot = j
			}
		}
		if slot < 0 {
			slot = len(paths)
			paths = append(paths, path)
		}
		segments = append(segments, segment{slot: slot})
		s = s[end+1:]
	}
	if len(paths) > maxSlots {
		return nil, nil, "more than " + strconv.Itoa(maxSlots) + " different values in it"
	}
	return segments, paths, ""
}

// wholeNumber reads a whole number, also one written as 5.0 or 1e3.
func wholeNumber(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 32 || s[0] > '9' {
		return 0, false
	}
	neg := s[0] == '-'
	if neg {
		s = s[1:]
	}
	n, ok := parseDigits(s)
	if !ok {
		if len(s) == 0 || s[0]-'0' > 9 {
			return 0, false
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != math.Trunc(f) || f >= 1<<53 {
			return 0, false
		}
		n = int64(f)
	}
	if neg {
		n = -n
	}
	return n, true
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
