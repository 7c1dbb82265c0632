package sigma

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// modifiers are what stands behind the name of a field.
type modifiers struct {
	how                    string // "", contains, startswith, endswith, re, cidr, exists, gt, gte, lt, lte
	all, cased, neq, field bool
	flags                  string // of re
}

const maxPattern = 4096

// noCounterpart are the modifiers that are Sigma's, and why there is nothing like them.
var noCounterpart = map[string]string{
	"base64": "values that are encoded", "base64offset": "values that are encoded", "utf16": "values that are encoded", "utf16le": "values that are encoded",
	"utf16be": "values that are encoded", "wide": "values that are encoded", "windash": "the dashes of Windows' command lines", "expand": "placeholders: write the values out",
	"minute": "parts of a time", "hour": "parts of a time", "day": "parts of a time", "week": "parts of a time", "month": "parts of a time", "year": "parts of a time",
}

func readModifiers(list []string) (m modifiers, err error) {
	for _, one := range list {
		switch one {
		case "contains", "startswith", "endswith", "re", "cidr", "exists", "gt", "gte", "lt", "lte":
			if m.how != "" {
				return m, fmt.Errorf("the modifiers %s and %s do not go together", m.how, one)
			}
			m.how = one
		case "all":
			m.all = true
		case "cased":
			m.cased = true
		case "neq":
			m.neq = true
		case "fieldref":
			m.field = true
		case "i", "ignorecase", "m", "multiline", "s", "dotall":
			if m.how != "re" {
				return m, fmt.Errorf("the modifier %s belongs behind re", one)
			}
			if flag := map[string]string{"ignorecase": "i", "multiline": "m", "dotall": "s"}[one]; flag != "" {
				one = flag
			}
			if !strings.Contains(m.flags, one) {
				m.flags += one
			}
		default:
			if why := noCounterpart[one]; why != "" {
				return m, fmt.Errorf("the modifier %s has no counterpart in the rule language (%s)", one, why)
			}
			return m, fmt.Errorf("the modifier %q is not known", cut(printable(one)))
		}
	}
	switch m.how {
	case "", "contains", "startswith", "endswith":
	default:
		if m.field || m.cased {
			return m, fmt.Errorf("the modifier %s does not go together with cased or fieldref", m.how)
		}
	}
	return m, nil
}

// wild is a value of Sigma's: texts with a wildcard, star or any, between each two.
type wild struct {
	texts []string
	gaps  []byte // '*' or '?', one less than texts
}

// wildcards reads * and ?, which a backslash makes plain; a backslash before anything but them and itself is one.
func wildcards(s string) wild {
	var w wild
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		case c == '*' || c == '?':
			w.texts, w.gaps = append(w.texts, b.String()), append(w.gaps, c)
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	w.texts = append(w.texts, b.String())
	return w.merged()
}

// wrap adds a star before and behind, where asked.
func (w wild) wrap(before, behind bool) wild {
	if before {
		w.texts, w.gaps = append([]string{""}, w.texts...), append([]byte{'*'}, w.gaps...)
	}
	if behind {
		w.texts, w.gaps = append(w.texts, ""), append(w.gaps, '*')
	}
	return w.merged()
}

// merged makes one star of several in a row.
func (w wild) merged() wild {
	out := wild{texts: w.texts[:1:1]}
	for i, g := range w.gaps {
		if n := len(out.gaps); g == '*' && n > 0 && out.gaps[n-1] == '*' && out.texts[n] == "" {
			out.texts[n] = w.texts[i+1]
			continue
		}
		out.texts, out.gaps = append(out.texts, w.texts[i+1]), append(out.gaps, g)
	}
	return out
}

// pattern is the value as a regular expression of the whole text.
func (w wild) pattern() string {
	var b strings.Builder
	b.WriteString("(?s)")
	gaps := string(w.gaps)
	first, last := 0, len(w.texts)
	anchorEnd := true
	if strings.HasPrefix(gaps, "*") && w.texts[0] == "" {
		first = 1
	} else {
		b.WriteByte('^')
	}
	if strings.HasSuffix(gaps, "*") && w.texts[last-1] == "" && last-1 > first {
		last, anchorEnd = last-1, false
	}
	for i := first; i < last; i++ {
		if i > first {
			b.WriteString(map[byte]string{'*': ".*", '?': "."}[w.gaps[i-1]])
		}
		b.WriteString(regexp.QuoteMeta(w.texts[i]))
	}
	if anchorEnd {
		b.WriteByte('$')
	}
	return b.String()
}

// textClause asks a field of text for a value.
func textClause(t target, w wild, cased bool) (clause, error) {
	term, fix := t.term, func(s string) string { return s }
	if !cased || t.folds() {
		term, fix = t.lowered(), strings.ToLower
	}
	call := func(name, text string) clause { return atomOf(name, "(", term, ", ", quoted(fix(text)), ")") }
	n := len(w.gaps)
	switch stars := string(w.gaps); {
	case n == 0 && w.texts[0] == "":
		return atomOf(t.term, " == null"), nil
	case n == 0:
		return atomOf(term, " == ", quoted(fix(w.texts[0]))), t.allows(w.texts[0], cased)
	case stars == "*" && w.texts[0] == "" && w.texts[1] == "":
		return atomOf("exists(", t.term, ")"), nil
	case stars == "*" && w.texts[0] == "":
		return call("endswith", w.texts[1]), nil
	case stars == "*" && w.texts[1] == "":
		return call("startswith", w.texts[0]), nil
	case stars == "**" && w.texts[0] == "" && w.texts[2] == "":
		return call("contains", w.texts[1]), nil
	}
	p := w.pattern()
	if len(p) > maxPattern {
		return clause{}, fmt.Errorf("the value makes a pattern of more than %d characters", maxPattern)
	}
	if _, err := regexp.Compile(p); err != nil {
		return clause{}, fmt.Errorf("the value makes no pattern of RE2: %w", err)
	}
	return atomOf("matches(", term, ", ", quoted(p), ")"), nil
}

// allows checks a value of a field that has fixed ones.
func (t target) allows(text string, cased bool) error {
	f := t.field
	f.Fold = f.Fold || !cased
	_, err := query.ValueFor(f, text, nil)
	return err
}

func regexClause(t target, pattern, flags string) (clause, error) {
	if len(pattern) > maxPattern {
		return clause{}, fmt.Errorf("a pattern of more than %d characters", maxPattern)
	}
	if flags != "" {
		pattern = "(?" + flags + ")" + pattern
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return clause{}, fmt.Errorf("RE2 does not take the pattern: %w", err)
	}
	return atomOf("matches(", t.term, ", ", quoted(pattern), ")"), nil
}

// numberClause compares with a number.
func numberClause(t target, op, text string) (clause, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n || n > 1e18 || n < -1e18 || strings.ContainsAny(text, "xXpP_") {
		return clause{}, fmt.Errorf("%s is a number, and %q is none", t.term, cut(printable(text)))
	}
	return atomOf(t.term, op, numberText(n)), nil
}

// addressClause takes an address, or the beginning of an IPv4 address up to a dot.
func addressClause(t target, w wild) (clause, error) {
	if len(w.gaps) == 0 {
		if w.texts[0] == "" {
			return atomOf(t.term, " == null"), nil
		}
		a, err := netip.ParseAddr(w.texts[0])
		if err != nil || a.Zone() != "" {
			return clause{}, fmt.Errorf("%s is an address, and %q is none", t.term, cut(printable(w.texts[0])))
		}
		return atomOf(t.term, " == ", quoted(a.String())), nil
	}
	if string(w.gaps) == "*" && w.texts[1] == "" {
		if w.texts[0] == "" {
			return atomOf("exists(", t.term, ")"), nil
		}
		dots := strings.Count(w.texts[0], ".")
		a, err := netip.ParseAddr(w.texts[0] + []string{"", "0.0.0", "0.0", "0"}[min(dots, 3)])
		if err == nil && a.Is4() && dots > 0 && strings.HasSuffix(w.texts[0], ".") {
			return atomOf("cidr(", t.term, ", ", quoted(fmt.Sprintf("%s/%d", a, 8*dots)), ")"), nil
		}
	}
	return clause{}, fmt.Errorf("%s is an address, which is no text to look into; Sigma has the modifier cidr", t.term)
}

func cidrClause(t target, list []string) (clause, error) {
	if t.field.Type() != event.IP {
		return clause{}, fmt.Errorf("cidr wants an address, and %s is of type %s", t.term, t.field.Type())
	}
	if _, err := query.NewCIDR(t.field, list); err != nil {
		return clause{}, err
	}
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = quoted(s)
	}
	return atomOf("cidr(", t.term, ", ", strings.Join(parts, ", "), ")"), nil
}

// otherField compares two fields of the record.
func otherField(t, o target, m modifiers) (clause, error) {
	if t.many || o.many {
		return clause{}, fmt.Errorf("%s and %s: one has several values, and the rule language compares single ones", t.term, o.term)
	}
	if t.isText() != o.isText() || t.isNumber() != o.isNumber() || t.field.Type() == event.IP && o.field.Type() != event.IP {
		return clause{}, fmt.Errorf("%s is of type %s, and %s of type %s", t.term, t.field.Type(), o.term, o.field.Type())
	}
	a, b := t.term, o.term
	if t.isText() && !m.cased {
		a, b = t.lowered(), o.lowered()
	}
	if m.how == "" {
		return atomOf(a, " == ", b), nil
	}
	if !t.isText() {
		return clause{}, fmt.Errorf("%s looks into texts, and %s is of type %s", m.how, t.term, t.field.Type())
	}
	return atomOf(m.how, "(", a, ", ", b, ")"), nil
}
