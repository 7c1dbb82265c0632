package enrich

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

// A scan finds secrets in text, from left to right, in one pass over the bytes that can begin or end the name of one:
//
//	'=' ':' '>' %3D %3A   the word before is the name of a secret; "://" has a password before its '@'
//	'-'                   --password VALUE, mysql -pVALUE, PEM blocks, xoxb-..., glpat-...
//	'J' 'I' '_'           eyJ... (JWT), AKIA... (AWS), ghp_... (GitHub), sk_live_...
//	'b' 'B'               Bearer and Basic credentials
//
// Card numbers are found by findCard.

// span is a secret in a text.
type span struct {
	start, end int
	quote      bool // the replacement wants quotes: an unquoted value of a JSON text
	kind       keyKind
	byKey      bool
}

const (
	seesNothing = iota
	seesSeparator
	seesPercent
	seesTag
	seesDash
	seesJWT
	seesAWS
	seesUnderscore
	seesScheme
)

var sees = func() (t [256]uint8) {
	t['='], t[':'], t['%'], t['>'], t['-'] = seesSeparator, seesSeparator, seesPercent, seesTag, seesDash
	t['J'], t['I'], t['_'], t['b'], t['B'] = seesJWT, seesAWS, seesUnderscore, seesScheme, seesScheme
	return t
}()

// find returns the first secret at or after from.
func (k *keySet) find(s string, from int) (sp span, ok bool) {
	for i, stop := from, from; i < len(s); i++ {
		if i >= stop { // eight bytes at a time where nothing begins: most of most lines
			for i+8 <= len(s) {
				b := s[i : i+8]
				if sees[b[0]]|sees[b[1]]|sees[b[2]]|sees[b[3]]|sees[b[4]]|sees[b[5]]|sees[b[6]]|sees[b[7]] != 0 {
					break
				}
				i += 8
			}
			if stop = min(i+8, len(s)); i == stop {
				break
			}
		}
		c := sees[s[i]]
		if c == seesNothing {
			continue
		}
		switch c {
		case seesSeparator:
			sp, ok = k.atSeparator(s, i, i+1, from)
		case seesPercent:
			if i+2 < len(s) && s[i+1] == '3' && (s[i+2]|32 == 'd' || s[i+2]|32 == 'a') {
				sp, ok = k.atSeparator(s, i, i+3, from)
			}
		case seesTag:
			sp, ok = k.atTag(s, i)
		case seesDash:
			sp, ok = k.atDash(s, i)
		case seesJWT:
			sp, ok = atJWT(s, i)
		case seesAWS:
			sp, ok = atAWS(s, i)
		case seesUnderscore:
			sp, ok = atUnderscore(s, i)
		case seesScheme:
			sp, ok = atScheme(s, i)
		}
		if ok && sp.start >= from && sp.end > sp.start {
			return sp, true
		}
	}
	return span{}, false
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80 || c == '%'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// atSeparator looks at what stands before a '=' or ':' at i and takes what follows from v on.
func (k *keySet) atSeparator(s string, i, v, from int) (span, bool) {
	if s[i] == ':' && strings.HasPrefix(s[v:], "//") {
		return userinfo(s, v+2)
	}
	e, quoted := i, false
back:
	for e > from {
		switch s[e-1] {
		case ' ', ']', '\\':
		case '"', '\'':
			quoted = true
		default:
			break back
		}
		e--
	}
	if !k.mayEnd(s[from:e], true) {
		return span{}, false
	}
	b := e
	for b > 0 && e-b < 2*longestWord && (isWord(s[b-1]) || s[b-1] == '\\' && s[b] == 'u') {
		b--
	}
	kind, ok := k.match(plainWord(s[b:e]))
	if !ok {
		kind, ok = k.phrase(s, b, e)
	}
	if !ok || !quoted && notAKey(s, b, e, i, v) {
		return span{}, false
	}
	return k.valueAt(s, v, i > e && s[i-1] == ' ' || s[i] == ':', quoted, kind, s[i] == '%')
}

// phrase is for keys of two words, "API Key" and "Recovery Codes"; the second one begins at b.
func (k *keySet) phrase(s string, b, e int) (keyKind, bool) {
	first := b - 1
	for first > 0 && b-first < longestWord && isWord(s[first-1]) {
		first--
	}
	if b == e || first < 0 || first == b-1 || s[b-1] != ' ' {
		return 0, false
	}
	return k.match(s[first:e])
}

// plainWord takes away what a key may be encoded with.
func plainWord(w string) string {
	if strings.IndexByte(w, '%') >= 0 {
		if u, err := url.QueryUnescape(w); err == nil {
			w = u
		}
	}
	if strings.IndexByte(w, '\\') >= 0 {
		if u, err := strconv.Unquote(`"` + w + `"`); err == nil {
			w = u
		}
	}
	return w
}

// notAKey knows the words that look like the name of a secret and are none: the working directory of sudo, PAM's
// "(passwd:chauthtok)", and passwd as the program that logs.
func notAKey(s string, b, e, i, v int) bool {
	word, rest := s[b:e], s[v:]
	switch {
	case word == "PWD" || word == "OLDPWD":
		rest = strings.TrimLeft(rest, " ")
		return rest == "" || rest[0] == '/' || rest[0] == '~' || strings.HasPrefix(rest, "unknown") || strings.HasPrefix(rest, "(unknown)")
	case s[i] != ':':
		return false
	case b > 0 && s[b-1] == '(':
		n := 0
		for n < len(rest) && (rest[n] >= 'a' && rest[n] <= 'z' || rest[n] == '_' || rest[n] == '-') {
			n++
		}
		return n > 0 && n < len(rest) && rest[n] == ')'
	}
	rest = strings.TrimLeft(rest, " ")
	return strings.HasPrefix(rest, "pam_") || strings.HasPrefix(rest, "password ")
}

// userinfo finds the password of scheme://user:password@host, whose authority begins at v.
func userinfo(s string, v int) (span, bool) {
	colon, at := -1, -1
	for j := v; j < len(s); j++ {
		switch s[j] {
		case ':':
			if colon < 0 {
				colon = j
			}
			continue
		case '@':
			at = j
			continue
		case '/', '?', '#', ' ', '\t', '\n', '"', '\'', '<', '>', '\\':
		default:
			continue
		}
		break
	}
	if colon < 0 || at < colon || at == colon+1 || redactedAt(s, colon+1) {
		return span{}, false
	}
	return span{start: colon + 1, end: at, byKey: true}, true
}

// atTag takes <password>VALUE</password>.
func (k *keySet) atTag(s string, i int) (span, bool) {
	before := s[max(0, i-2*longestWord):i]
	open := strings.LastIndexByte(before, '<')
	if open < 0 {
		return span{}, false
	}
	name := before[open+1:]
	if blank := strings.IndexByte(name, ' '); blank > 0 {
		name = name[:blank]
	}
	kind, ok := k.match(name)
	if !ok || name[0] == '/' || s[i-1] == '/' {
		return span{}, false
	}
	return content(s, i, kind)
}

// commandFlags are options that carry a password, by the commands that have them.
var commandFlags = []struct {
	flag     byte
	commands []string
	joined   bool // -pVALUE; otherwise -p VALUE
}{
	{'p', []string{"mysql", "mariadb"}, true},
	{'p', []string{"sshpass"}, true},
	{'p', []string{"sshpass", "useradd", "usermod", "mongo"}, false},
	{'a', []string{"redis-cli"}, false},
	{'k', []string{"openssl"}, false},
	{'w', []string{"ldap"}, false},
	{'u', []string{"curl"}, false},
}

// atDash takes --password VALUE, -pVALUE of some commands, PEM blocks and tokens with a dash.
func (k *keySet) atDash(s string, i int) (span, bool) {
	rest := s[i:]
	switch {
	case strings.HasPrefix(rest, "-----BEGIN"):
		return pem(s, i)
	case i >= 4 && s[i-4:i-1] == "xox":
		return tokenAt(s, i-4, i+1, 10, "-")
	case i >= 5 && s[i-5:i] == "glpat":
		return tokenAt(s, i-5, i+1, 16, "-_")
	case i > 0 && s[i-1] != ' ' && s[i-1] != '"' && s[i-1] != '\'' || len(rest) < 3:
		return span{}, false
	case rest[1] == '-':
		j := 2
		for j < len(rest) && isWord(rest[j]) {
			j++
		}
		if j+1 >= len(rest) || rest[j] != ' ' || rest[j+1] == '-' || rest[j+1] == ' ' {
			return span{}, false
		}
		if rest[2:j] == "user" && strings.Contains(s[max(0, i-longestCommand):i], "curl") {
			return afterColon(s, i+j+1)
		}
		if kind, ok := k.match(rest[2:j]); ok {
			return k.valueAt(s, i+j, true, false, kind, false)
		}
		return span{}, false
	}
	for _, f := range commandFlags {
		if rest[1] != f.flag || f.joined == (rest[2] == ' ') || !ofCommand(s[:i], rest[:2], f.commands) {
			continue
		}
		switch {
		case f.flag == 'u':
			return afterColon(s, i+3)
		case !f.joined && rest[2] == ' ' && len(rest) > 3 && rest[3] != '-':
			return k.valueAt(s, i+3, true, false, keyPlain, false)
		case f.joined:
			return k.valueAt(s, i+2, false, false, keyPlain, false)
		}
	}
	return span{}, false
}

const longestCommand = 256 // between a command and its option

// ofCommand tells that one of the commands stands before and has not had this option yet.
func ofCommand(before, option string, commands []string) bool {
	before = before[max(0, len(before)-longestCommand):]
	for _, c := range commands {
		if at := strings.LastIndex(before, c); at >= 0 && !strings.Contains(before[at:], " "+option) {
			return true
		}
	}
	return false
}

// afterColon takes the password of user:password.
func afterColon(s string, at int) (span, bool) {
	end := tokenEnd(s, at)
	colon := strings.IndexByte(s[at:end], ':')
	if colon < 0 || redactedAt(s, at+colon+1) {
		return span{}, false
	}
	return filled(s, span{start: at + colon + 1, end: end, byKey: true})
}

// pem takes a private key; in a URL its blanks are '+' or %20.
func pem(s string, i int) (span, bool) {
	head := s[i+len("-----BEGIN"):]
	dash := strings.Index(head[:min(len(head), 80)], "-----")
	if dash < 0 {
		return span{}, false
	}
	label := strings.ReplaceAll(strings.ReplaceAll(head[:dash], "%20", " "), "+", " ")
	if !strings.HasSuffix(label, "PRIVATE KEY") && !strings.HasSuffix(label, "PRIVATE KEY BLOCK") {
		return span{}, false
	}
	end := len(s)
	if j := strings.Index(head, "-----END"); j >= 0 {
		if k := strings.Index(head[j+8:], "-----"); k >= 0 {
			end = len(s) - len(head) + j + 8 + k + 5
		}
	}
	return span{start: i, end: end}, true
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// tokenAt takes letters, digits and the bytes of more from body on; at least want of them.
func tokenAt(s string, start, body, want int, more string) (span, bool) {
	if start > 0 && isTokenByte(s[start-1]) {
		return span{}, false
	}
	j := body
	for j < len(s) && (isTokenByte(s[j]) || strings.IndexByte(more, s[j]) >= 0) {
		j++
	}
	return span{start: start, end: j}, j-body >= want
}

func atJWT(s string, i int) (span, bool) {
	if i < 2 || s[i-1] != 'y' || s[i-2] != 'e' {
		return span{}, false
	}
	head, ok := tokenAt(s, i-2, i+1, 8, "_-")
	if !ok || head.end >= len(s) || s[head.end] != '.' {
		return span{}, false
	}
	body, ok := tokenAt(s, i-2, head.end+1, 2, "_-.")
	return body, ok
}

func atAWS(s string, i int) (span, bool) {
	if strings.HasPrefix(s[i:], "Iza") && i > 0 && s[i-1] == 'A' { // Google
		return tokenAt(s, i-1, i+3, 30, "-_")
	}
	if i < 2 || s[i-2] != 'A' || s[i-1] != 'K' && s[i-1] != 'S' || i+1 >= len(s) || s[i+1] != 'A' {
		return span{}, false
	}
	return tokenAt(s, i-2, i+2, 16, "")
}

func atUnderscore(s string, i int) (span, bool) {
	switch before := s[max(0, i-10):i]; {
	case len(before) >= 3 && before[len(before)-3:len(before)-1] == "gh" && strings.IndexByte("pousr", before[len(before)-1]) >= 0:
		return tokenAt(s, i-3, i+1, 20, "")
	case strings.HasSuffix(before, "github_pat"):
		return tokenAt(s, i-10, i+1, 20, "_")
	case strings.HasSuffix(before, "sk_live"), strings.HasSuffix(before, "rk_live"), strings.HasSuffix(before, "sk_test"), strings.HasSuffix(before, "rk_test"):
		return tokenAt(s, i-7, i+1, 10, "")
	case strings.HasSuffix(before, "npm"):
		return tokenAt(s, i-3, i+1, 30, "")
	case strings.HasSuffix(before, "whsec"), strings.HasSuffix(before, "shpat"), strings.HasSuffix(before, "shpss"):
		return tokenAt(s, i-5, i+1, 24, "+/=")
	case strings.HasSuffix(before, "dop_v1"):
		return tokenAt(s, i-6, i+1, 40, "")
	}
	return span{}, false
}

// atScheme takes the credentials of "Bearer TOKEN" and "Basic BASE64", and leaves "basic authentication" alone.
func atScheme(s string, i int) (span, bool) {
	rest := s[i:]
	switch {
	case len(rest) > 7 && strings.EqualFold(rest[:7], "bearer "):
		sp, ok := tokenAt(s, i+7, i+7, 8, "._~+/-")
		if ok && (sp.end-sp.start >= 20 || strings.ContainsAny(s[sp.start:sp.end], "0123456789")) {
			for sp.end < len(s) && s[sp.end] == '=' {
				sp.end++
			}
			return sp, true
		}
	case len(rest) > 6 && strings.EqualFold(rest[:6], "basic "):
		sp, ok := tokenAt(s, i+6, i+6, 4, "+/=-_")
		if ok && basicPassword(s[sp.start:sp.end]) != "" {
			return sp, true
		}
	}
	return span{}, false
}

// basicPassword is the password in the credentials of RFC 7617, empty where they are none.
func basicPassword(text string) string {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return ""
	}
	_, password, ok := strings.Cut(string(b), ":")
	if !ok {
		return ""
	}
	return password
}
