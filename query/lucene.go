package query

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
)

// lucenePattern translates a pattern of RE2, which may match anywhere in a text, to a regular expression of Lucene for the whole text (its optional
// operators switched off: flags NONE). What Lucene lacks is an error: anchors of lines or within the pattern, word boundaries.
func lucenePattern(pattern string) (string, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", err
	}
	return luceneAround(re, true, true)
}

var errAnchor = errors.New("regular expressions of Lucene have ^ and $ at the ends of the pattern only")

// luceneAround renders a pattern, with any text before and after it, as far as it is not anchored there.
func luceneAround(re *syntax.Regexp, before, after bool) (string, error) {
	if !anchored(re) {
		body, err := luceneBody(re)
		return around(before) + body + around(after), err
	}
	switch re.Op {
	case syntax.OpBeginText:
		if !before {
			return "", errAnchor
		}
		return around(after), nil
	case syntax.OpEndText:
		if !after {
			return "", errAnchor
		}
		return around(before), nil
	case syntax.OpCapture:
		return luceneAround(re.Sub[0], before, after)
	case syntax.OpQuest:
		return luceneEither([]*syntax.Regexp{re.Sub[0], {Op: syntax.OpEmptyMatch}}, before, after)
	case syntax.OpAlternate:
		return luceneEither(re.Sub, before, after)
	case syntax.OpConcat:
		return luceneConcat(re.Sub, before, after)
	}
	return "", errAnchor
}

// around is any text, where it is wanted.
func around(yes bool) string {
	if yes {
		return ".*"
	}
	return ""
}

func luceneEither(list []*syntax.Regexp, before, after bool) (string, error) {
	parts := make([]string, len(list))
	for i, re := range list {
		var err error
		if parts[i], err = luceneAround(re, before, after); err != nil {
			return "", err
		}
		if parts[i] == "" {
			parts[i] = "()"
		}
	}
	return "(" + strings.Join(parts, "|") + ")", nil
}

func luceneConcat(list []*syntax.Regexp, before, after bool) (string, error) {
	for before && len(list) > 0 && list[0].Op == syntax.OpBeginText {
		for len(list) > 0 && list[0].Op == syntax.OpBeginText {
			list = list[1:]
		}
		before = false
	}
	for after && len(list) > 0 && list[len(list)-1].Op == syntax.OpEndText {
		for len(list) > 0 && list[len(list)-1].Op == syntax.OpEndText {
			list = list[:len(list)-1]
		}
		after = false
	}
	if len(list) == 0 {
		return around(before || after), nil
	}
	var b strings.Builder
	for i, re := range list {
		part, err := luceneAround(re, before && i == 0, after && i == len(list)-1)
		if err != nil {
			return "", err
		}
		b.WriteString(part)
	}
	return b.String(), nil
}

// anchored tells that there is an anchor in the pattern.
func anchored(re *syntax.Regexp) bool {
	if re.Op == syntax.OpBeginText || re.Op == syntax.OpEndText {
		return true
	}
	for _, sub := range re.Sub {
		if anchored(sub) {
			return true
		}
	}
	return false
}

// luceneBody renders a pattern without anchors.
func luceneBody(re *syntax.Regexp) (string, error) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return "()", nil
	case syntax.OpLiteral:
		var b strings.Builder
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 {
				b.WriteString(luceneClass(orbit(r)))
			} else {
				luceneRune(&b, r)
			}
		}
		if len(re.Rune) == 0 {
			return "()", nil
		}
		return b.String(), nil
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return "", errors.New("a class without characters matches nothing")
		}
		return luceneClass(re.Rune), nil
	case syntax.OpAnyChar:
		return ".", nil
	case syntax.OpAnyCharNotNL:
		return "[^\n]", nil
	case syntax.OpCapture:
		return luceneBody(re.Sub[0])
	case syntax.OpStar:
		return luceneTimes(re.Sub[0], "*")
	case syntax.OpPlus:
		return luceneTimes(re.Sub[0], "+")
	case syntax.OpQuest:
		return luceneTimes(re.Sub[0], "?")
	case syntax.OpRepeat:
		times := "{" + strconv.Itoa(re.Min) + ","
		if re.Max >= 0 {
			times += strconv.Itoa(re.Max)
		}
		return luceneTimes(re.Sub[0], times+"}")
	case syntax.OpConcat:
		return luceneConcat(re.Sub, false, false)
	case syntax.OpAlternate:
		return luceneEither(re.Sub, false, false)
	case syntax.OpBeginLine, syntax.OpEndLine:
		return "", errors.New("regular expressions of Lucene know no lines: (?m) cannot be said")
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return "", errors.New(`regular expressions of Lucene have no word boundaries: \b and \B cannot be said`)
	}
	return "", fmt.Errorf("regular expressions of Lucene do not have %v", re.Op)
}

func luceneTimes(re *syntax.Regexp, times string) (string, error) {
	body, err := luceneBody(re)
	return "(" + body + ")" + times, err
}

// luceneRune writes a character that stands for itself.
func luceneRune(b *strings.Builder, r rune) {
	word := r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_'
	if r > ' ' && r < 0x7f && !word {
		b.WriteByte('\\')
	}
	b.WriteRune(r)
}

// luceneClass writes the characters of ranges: pairs of first and last.
func luceneClass(ranges []rune) string {
	var b strings.Builder
	if len(ranges) == 2 && ranges[0] == ranges[1] {
		luceneRune(&b, ranges[0])
		return b.String()
	}
	if len(ranges) == 2 && ranges[0] == 0 && ranges[1] == unicode.MaxRune {
		return "."
	}
	b.WriteByte('[')
	if last := len(ranges) - 1; ranges[0] == 0 && ranges[last] == unicode.MaxRune { // all but these
		b.WriteByte('^')
		var gaps []rune
		for i := 1; i < last; i += 2 {
			gaps = append(gaps, ranges[i]+1, ranges[i+1]-1)
		}
		ranges = gaps
	}
	for i := 0; i < len(ranges); i += 2 {
		luceneRune(&b, ranges[i])
		if ranges[i+1] > ranges[i] {
			b.WriteByte('-')
			luceneRune(&b, ranges[i+1])
		}
	}
	b.WriteByte(']')
	return b.String()
}

// orbit lists the characters that are r but for letter case, as RE2 sees it.
func orbit(r rune) []rune {
	ranges := []rune{r, r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		ranges = append(ranges, f, f)
	}
	return ranges
}

// foldedPattern is the pattern of the texts of which strings.ToLower makes this one, which is in lower case.
func foldedPattern(lower string) string {
	var b strings.Builder
	for _, r := range lower {
		b.WriteString(luceneClass(upperOf(r)))
	}
	return b.String()
}

// upperOf lists the characters whose lower case is r.
func upperOf(r rune) []rune {
	ranges := []rune{r, r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if unicode.ToLower(f) == r {
			ranges = append(ranges, f, f)
		}
	}
	if r == 'i' { // its other capital is in no orbit
		ranges = append(ranges, 'İ', 'İ')
	}
	return ranges
}
