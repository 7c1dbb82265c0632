package enrich

import "strings"

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
		value := strings.TrimLeft(object[at:], ` \`)
		if value == "" || value[0] != '"' {
			continue
		}
		key := strings.TrimRight(object[max(0, at-longestWord):at-1], ` \"`)
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
