package enrich

import "strings"

// cardClass marks the bytes that a card number is made of; the other bits are those of sees.
const cardClass = 0x80

// What only quiet knows: a backslash or '&' may begin an escape that hides what the scan looks for.
const (
	seesEscape = seesScheme + 1
	seesEntity = seesScheme + 2
)

// classes tells in one look-up what a byte can begin.
var classes = func() (t [256]uint8) {
	for c := range t {
		t[c] = sees[c]
		if cardByte(byte(c)) {
			t[c] |= cardClass
		}
	}
	t['\\'], t['&'] = seesEscape, seesEntity
	return t
}()

// quiet tells that a text holds no secret that find or findCard would find, and no escape that could hide one. It is what
// nearly every line is asked and all that is asked of most, so it looks at each byte once, eight at a time, and leaves the
// rest to those that a secret can stand beside.
//
// A card number has 13 bytes, so it fills two neighbours of the groups of four that the text is cut into.
func (k *keySet) quiet(s string) bool {
	cards, before := uint8(0), uint8(0) // before: the class that the four bytes before this group share
	later := uint8(0)                   // what has to be looked for in all of the text, once
	i := 0
	for ; i+8 <= len(s); i += 8 {
		b := s[i : i+8]
		c0, c1, c2, c3 := classes[b[0]], classes[b[1]], classes[b[2]], classes[b[3]]
		c4, c5, c6, c7 := classes[b[4]], classes[b[5]], classes[b[6]], classes[b[7]]
		first, second := c0&c1&c2&c3, c4&c5&c6&c7
		cards |= before&first | first&second
		before = second
		if (c0|c1|c2|c3|c4|c5|c6|c7)&^cardClass == 0 {
			continue
		}
		for j := i; j < i+8; j++ {
			if c := classes[s[j]] &^ cardClass; c != seesNothing && !k.quietAt(s, j, c, &later) {
				return false
			}
		}
	}
	if i+4 <= len(s) {
		cards |= before & classes[s[i]] & classes[s[i+1]] & classes[s[i+2]] & classes[s[i+3]]
	}
	for ; i < len(s); i++ {
		if c := classes[s[i]] &^ cardClass; c != seesNothing && !k.quietAt(s, i, c, &later) {
			return false
		}
	}
	if later&sawEscape != 0 && !k.quietEncoded(s) || later&sawName != 0 && len(k.namedSpans(s)) > 0 {
		return false
	}
	if cards&cardClass == 0 {
		return true
	}
	_, _, card := findCard(s, 0)
	return !card
}

const (
	sawEscape = 1 << iota
	sawName
)

// quietAt looks at one byte of a class. It asks what find asks, after a check that most bytes fail.
func (k *keySet) quietAt(s string, i int, class uint8, later *uint8) bool {
	prev, next := byte(' '), byte(' ')
	if i > 0 {
		prev = s[i-1]
	}
	if i+1 < len(s) {
		next = s[i+1]
	}
	ok := false
	switch class {
	case seesSeparator:
		if next == '/' || k.mayName(s[:i]) {
			_, ok = k.atSeparator(s, i, i+1, 0)
		}
		if !ok && (prev == '"' || prev == '\'' || prev == ' ' || s[i] == '=') {
			if _, named := k.namingAt(s, i); named {
				*later |= sawName
			}
		}
	case seesPercent:
		if next == '3' && i+2 < len(s) && (s[i+2]|32 == 'd' || s[i+2]|32 == 'a') {
			_, ok = k.atSeparator(s, i, i+3, 0)
		}
		if hides(s, i) {
			*later |= sawEscape
		}
	case seesTag:
		_, ok = k.atTag(s, i)
	case seesDash:
		if next == '-' || !isTokenByte(prev) || prev == 't' || i > 1 && s[i-2] == 'x' {
			_, ok = k.atDash(s, i)
		}
	case seesJWT:
		if prev == 'y' {
			_, ok = atJWT(s, i)
		}
	case seesAWS:
		if prev == 'K' || prev == 'S' || prev == 'A' {
			_, ok = atAWS(s, i)
		}
	case seesUnderscore:
		switch prev {
		case 'p', 'o', 'u', 's', 'r', 't', 'e', 'm', 'c', '1': // ghp_, github_pat_, sk_live_, npm_, whsec_, dop_v1_
			_, ok = atUnderscore(s, i)
		}
	case seesScheme:
		if next |= 32; next == 'e' || next == 'a' {
			_, ok = atScheme(s, i)
		}
	case seesEscape:
		ok = next == 'u' && strings.HasPrefix(s[i:], `\u00`)
		if next == 'x' {
			*later |= sawEscape
		}
	case seesEntity:
		if (next == '#' || next == 'q' || next == 'l' || next == 'a' || next == 'g') && hides(s, i) {
			*later |= sawEscape
		}
	}
	return !ok
}

// mayName tells whether the name of a secret may end where s does, blanks and quotes aside.
func (k *keySet) mayName(s string) bool {
	for n := len(s); n > 0; n-- {
		switch s[n-1] {
		case ' ', ']', '\\', '"', '\'':
		default:
			return k.mayEnd(s[:n], true)
		}
	}
	return false
}
