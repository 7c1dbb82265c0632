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

const redacted = "[redacted]"

func redactedAt(s string, v int) bool { return strings.HasPrefix(s[v:], redacted) }

// valueAt takes the value that begins at or after v.
func (k *keySet) valueAt(s string, v int, blanks, quoted bool, kind keyKind, percent bool) (span, bool) {
	if n := arrow(s[v:]); n > 0 {
		v, blanks = v+n, true
	}
	at := v
	for at < len(s) && (s[at] == ' ' || s[at] == '\t') {
		at++
	}
	if at == len(s) {
		return span{}, false
	}
	q := at
	for q < len(s) && s[q] == '\\' {
		q++
	}
	if q < len(s) && (s[q] == '"' || s[q] == '\'') {
		return filled(s, span{start: q + 1, end: closing(s, q+1, s[q], q-at), kind: kind, byKey: true})
	}
	if at > v && !blanks {
		return span{}, false
	}
	if redactedAt(s, at) {
		return span{}, false
	}
	var end int
	switch {
	case s[at] == '{' || s[at] == '[':
		end = balanced(s, at)
		if s[at] == '{' && (kind == keyHeader || kind == keyHolder && !k.holdsTexts(s[at:end])) {
			return span{}, false
		}
	case kind == keyCookie:
		end = lineEnd(s, at)
	case kind == keyHeader:
		end = headerEnd(s, at)
	case percent:
		end = percentEnd(s, at)
	default:
		end = tokenEnd(s, at)
	}
	return filled(s, span{start: at, end: end, quote: quoted, kind: kind, byKey: true})
}

// holdsTexts tells whether an object has texts that may be secrets and are not named as such: credentials and tokens are settings
// ({"lifetime": 600}), ids ({"jti": "a1"}), and who it was ({"email": "bob@example.org", "password": "x"}) as well.
func (k *keySet) holdsTexts(object string) bool {
	for at := 0; ; {
		n := strings.IndexByte(object[at:], ':')
		if n < 0 {
			return false
		}
		at += n + 1
		value := strings.TrimLeft(object[at:], ` \\`)
		if value == "" || value[0] != '"' {
			continue
		}
		key := strings.TrimRight(object[max(0, at-longestWord):at-1], ` \\"`)
		switch key = key[strings.LastIndexByte(key, '"')+1:]; key {
		case "jti", "id", "type", "kid", "user", "userLabel", "createdDate", "strategy", "status", "name", "expires", "scope", "email", "username",
			"user_name", "userName", "login", "account", "phone", "ip", "realm", "client_id", "clientId", "connection", "grant_type", "provider":
		default:
			if _, named := k.match(key); !named {
				return true
			}
		}
	}
}

// arrow is the length of what makes => or == of a '=', as it stands or escaped.
func arrow(s string) int {
	switch {
	case s == "":
	case s[0] == '>' || s[0] == '=':
		return 1
	case s[0] == '\\' && (strings.HasPrefix(s, `\u003e`) || strings.HasPrefix(s, `\u003E`)):
		return 6
	case s[0] == '&' && strings.HasPrefix(s, "&gt;"):
		return 4
	}
	return 0
}

// filled refuses values that say that there is none, and those that are redacted already.
func filled(s string, sp span) (span, bool) {
	switch s[sp.start:sp.end] {
	case "", "-", "null", "nil", "none", "None", "(null)", "true", "false", "True", "False", "undefined", "YES", "NO", "yes", "no", "Yes", "No", "0", "1", redacted:
		return span{}, false
	}
	if sp.end-sp.start <= 64 && strings.Trim(s[sp.start:sp.end], "*") == "" {
		return span{}, false // masked already
	}
	return sp, true
}

// closing finds the end of a quoted value; slashes is the number of backslashes before its opening quote, which tells how
// deep it is nested in JSON texts.
func closing(s string, from int, quote byte, slashes int) int {
	run := 0
	for j := from; j < len(s); j++ {
		switch s[j] {
		case '\\':
			run++
			continue
		case quote:
			if quote == '\'' && slashes == 0 && j+1 < len(s) && s[j+1] == '\'' && j > from { // SQL doubles it
				j++
				run = 0
				continue
			}
			if run%(2*(slashes+1)) == slashes {
				return j - slashes
			}
		}
		run = 0
	}
	return len(s)
}

func lineEnd(s string, at int) int {
	for j := at; j < len(s); j++ {
		if c := s[j]; c == '\n' || c == '\r' || c == '"' || c == '\'' || c == '\\' {
			return j
		}
	}
	return len(s)
}

// headerEnd takes a scheme and its credentials; Digest and AWS have many parts.
func headerEnd(s string, at int) int {
	word := strings.IndexByte(s[at:], ' ')
	if word < 0 {
		return tokenEnd(s, at)
	}
	switch scheme := strings.ToLower(s[at : at+word]); {
	case scheme == "digest" || strings.HasPrefix(scheme, "aws4-"):
		return parametersEnd(s, at+word)
	case scheme == "basic" || scheme == "bearer" || scheme == "negotiate" || scheme == "ntlm" || scheme == "token" || scheme == "apikey":
		next := at + word + 1
		for next < len(s) && s[next] == ' ' {
			next++
		}
		return tokenEnd(s, next)
	}
	return tokenEnd(s, at)
}

// parametersEnd takes name=value and name="value", separated by commas.
func parametersEnd(s string, at int) int {
	for {
		for at < len(s) && (s[at] == ' ' || s[at] == ',') {
			at++
		}
		eq := at
		for eq < len(s) && (isTokenByte(s[eq]) || s[eq] == '-' || s[eq] == '_') {
			eq++
		}
		if eq == at || eq+1 >= len(s) || s[eq] != '=' {
			return at
		}
		q := eq + 1
		for q < len(s) && s[q] == '\\' {
			q++
		}
		if q < len(s) && s[q] == '"' {
			at = min(closing(s, q+1, '"', q-eq-1)+q-eq, len(s))
		} else {
			for at = eq + 1; at < len(s) && s[at] > ' ' && s[at] != ',' && s[at] != '"' && s[at] != '\''; at++ {
			}
		}
		if at >= len(s) || s[at] != ',' {
			return at
		}
	}
}

// balanced takes a JSON list or object, to the end of the text where it has none.
func balanced(s string, at int) int {
	depth, quote := 0, false
	for j := at; j < len(s); j++ {
		switch c := s[j]; {
		case c == '\\' && j+1 < len(s) && s[j+1] != '"':
			j++
		case c == '"':
			quote = !quote
		case quote:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return j + 1
			}
		}
	}
	return len(s)
}

// tokenEnd takes an unquoted value: up to white space or a quote, and up to a separator where the next key or the end follows.
func tokenEnd(s string, at int) int {
	for j := at; j < len(s); j++ {
		switch c := s[j]; c {
		case ' ', '\t', '\n', '\r', '"', '<':
			return j
		case '\'', ')', ']', '}':
			if j+1 == len(s) || strings.IndexByte(" \t\n\r,;&)]}\"'", s[j+1]) >= 0 {
				return j
			}
		case '&', ';', ',':
			if keyFollows(s, j+1) {
				return j
			}
		case '\\': // the end of a text within a JSON text
			if j+1 < len(s) && (s[j+1] == '"' || s[j+1] == 'n' || s[j+1] == 'r' || s[j+1] == 't') {
				return j
			}
		}
	}
	return len(s)
}

func keyFollows(s string, j int) bool {
	for j < len(s) && (s[j] == ' ' || s[j] == '"' || s[j] == '\\') {
		j++
	}
	start := j
	for j < len(s) && isWord(s[j]) {
		j++
	}
	return j == len(s) || j > start && (s[j] == '=' || s[j] == ':' || s[j] == '[' || s[j] == '"' || s[j] == '\\') ||
		s[j] == '\n' || j == start && s[start-1] == ' '
}

// percentEnd takes a value in a percent-encoded query.
func percentEnd(s string, at int) int {
	end := tokenEnd(s, at)
	for j := at; j < end; j++ {
		if s[j] == '&' || s[j] == '%' && j+2 < end && (s[j+1:j+3] == "26" || s[j+1:j+3] == "20" || s[j+1:j+3] == "22" || strings.EqualFold(s[j+1:j+3], "0a")) {
			return j
		}
	}
	return end
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
