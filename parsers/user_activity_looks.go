package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// looksLikeUserActivity wants an event about access, by its words, and somebody whom it is about.
func looksLikeUserActivity(text string) bool {
	text = trimBOM(strings.TrimSpace(text))
	var m activityMarks
	switch shapeOf(text) {
	case shapeJSON:
		for i, n := 0, 0; i >= 0 && n < 64 && !m.found(); n++ {
			var key, value string
			if key, value, i = nextMember(text, i); i >= 0 {
				m.add(activityColumn(key), value)
			}
		}
		return m.found()
	case shapePairs:
		s := pairScanner{text: text, joined: true}
		for n := 0; n < 32 && !m.found() && s.next(); n++ {
			if !s.bare {
				m.add(activityColumn(s.key), s.value)
			}
		}
		return m.found()
	}
	var space [32]string
	cells, err := csvFormat{',', '"'}.split(space[:0], text)
	return err == nil && len(cells) >= 3 && (isActivityHeader(cells) || activityLike(cells))
}

func (p *userActivityParser) looks(text string) bool {
	if looksLikeUserActivity(text) {
		return true
	}
	var space [32]string
	cells, err := p.format.split(space[:0], trimBOM(strings.TrimSpace(text)))
	return err == nil && (isActivityHeader(cells) || p.fixed && len(cells) == len(p.order.columns))
}

// activityMarks is what was seen of a line.
type activityMarks struct {
	said wordSet
	who  bool
}

func (m *activityMarks) add(c column, value string) {
	switch c {
	case actEvent, actEventType, actAction, actType:
		set, _ := wordsIn(value)
		m.said |= set
	case actUser, actUserID, actEmail, actTarget, actSession:
		m.who = true
	}
}

func (m *activityMarks) found() bool {
	if !m.who || m.said == 0 {
		return false
	}
	action, _ := m.said.joined().access()
	return action != event.ActionNone
}

// nextMember returns the next key that stands before a colon in any text that may be JSON, its value where that is a string, and where
// to go on; -1 at the end.
func nextMember(s string, i int) (key, value string, next int) {
	for {
		start := strings.IndexByte(s[i:], '"')
		if start < 0 {
			return "", "", -1
		}
		start += i
		end := closingQuote(s, start)
		if end < 0 {
			return "", "", -1
		}
		i = end + 1
		colon := skipSpace(s, i)
		if colon == len(s) || s[colon] != ':' {
			continue
		}
		key, i = s[start+1:end], colon+1
		if v := skipSpace(s, i); v < len(s) && s[v] == '"' {
			if end = closingQuote(s, v); end < 0 {
				return key, "", len(s)
			}
			return key, s[v+1 : end], end + 1
		}
		return key, "", i
	}
}

// closingQuote returns where the string at s[i] ends; -1 where it does not.
func closingQuote(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// activityLike says that cells could be a row of an export: a time, and an event about access in few words.
func activityLike(cells []string) bool {
	times := newTimeReader(nil, Options{})
	hasTime, hasEvent := false, false
	for i, c := range cells {
		c = strings.TrimSpace(c)
		if i == 10 || len(c) < 4 {
			continue
		}
		if !hasTime && len(c) >= 10 {
			if _, hasTime = times.read(c, 0); hasTime {
				continue
			}
		}
		if !hasEvent && len(c) < 48 {
			set, n := wordsIn(c)
			action, _ := set.access()
			hasEvent = action != event.ActionNone && n <= 4
		}
	}
	return hasTime && hasEvent
}
