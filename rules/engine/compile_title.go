package engine

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxTitlePart bounds, in bytes, what one expression puts into a title: events are written by strangers.
const maxTitlePart = 256

// titled compiles the title. It comes last: what only a title asks for has the last numbers.
func (c *compiler) titled() error {
	t := c.p.rule.Title
	if t == nil {
		id := c.p.rule.ID
		c.p.title = func(*scene) string { return id }
		return nil
	}
	type part struct {
		text string
		term term
		key  bool
	}
	parts := make([]part, len(t.Parts))
	for i, one := range t.Parts {
		parts[i] = part{text: one.Text, key: one.Key}
		if one.Expr != nil {
			var err error
			if parts[i].term, err = c.term(one.Expr, false); err != nil {
				return err
			}
		}
	}
	c.p.title = func(s *scene) string {
		s.scratch = s.scratch[:0]
		var b strings.Builder
		for i := range parts {
			switch one := &parts[i]; {
			case one.key:
				b.WriteString(readableKey(s.key))
			case one.term != nil:
				b.WriteString(readable(one.term(s)))
			default:
				b.WriteString(one.text)
			}
		}
		return b.String()
	}
	return nil
}

func readableKey(k key) string {
	if k.text == "" {
		return "-"
	}
	return cutTitle(strings.ReplaceAll(k.text, keySeparator, ", "))
}

// readable is a value as people read it: null as "-", numbers with at most two digits behind the point, or three that count.
func readable(v value) string {
	switch v.kind {
	case null:
		return "-"
	case text:
		return cutTitle(v.text)
	case number:
		n := v.number
		if a := math.Abs(n); a < 1 && n != 0 {
			n, _ = strconv.ParseFloat(strconv.FormatFloat(n, 'g', 3, 64), 64)
		} else if a < 1<<53 {
			n = math.Round(n*100) / 100
		}
		return string(appendNumber(nil, n))
	}
	return string(appendValue(nil, v))
}

func cutTitle(t string) string {
	if len(t) <= maxTitlePart {
		return t
	}
	n := maxTitlePart
	for n > maxTitlePart-utf8.UTFMax && !utf8.RuneStart(t[n]) {
		n--
	}
	return t[:n] + "..."
}
