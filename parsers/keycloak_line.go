package parsers

import "strings"

// keycloakHeader is what the server writes before a message: "2026-11-22 10:00:00,123 WARN  [org.keycloak.events] (executor-thread-1) ".
// Its level is empty where there is none.
type keycloakHeader struct{ time, level, logger, thread string }

func readKeycloakHeader(text string) (h keycloakHeader, message string) {
	n := clockEnd(text)
	if n == 0 {
		return h, text
	}
	rest := strings.TrimLeft(text[n:], " ")
	level := rest[:wordEnd(rest)]
	if !isServerLevel(level) {
		return h, text
	}
	rest = strings.TrimLeft(rest[len(level):], " ")
	if !strings.HasPrefix(rest, "[") {
		return h, text
	}
	logger, rest, ok := strings.Cut(rest[1:], "]")
	if !ok {
		return h, text
	}
	rest = strings.TrimLeft(rest, " ")
	thread := ""
	if strings.HasPrefix(rest, "(") {
		if inner, after, ok := strings.Cut(rest[1:], ") "); ok {
			thread, rest = inner, after
		}
	}
	return keycloakHeader{time: text[:n], level: level, logger: logger, thread: thread}, rest
}

// clockEnd returns the length of "2026-11-22 10:00:00,123", "2026-11-22T10:00:00.123Z" or "10:00:00,123" at the start, 0 for anything else.
func clockEnd(text string) int {
	n := 0
	if len(text) > 11 && text[4] == '-' && text[7] == '-' && (text[10] == ' ' || text[10] == 'T') {
		n = 11
	}
	if len(text) < n+9 || text[n+2] != ':' || text[n+5] != ':' || !isDigit(text[n]) {
		return 0
	}
	return n + wordEnd(text[n:])
}

func isServerLevel(s string) bool {
	switch s {
	case "TRACE", "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "SEVERE":
		return true
	}
	return false
}

// keycloakPairs goes over what the log listener writes: key="value", key='value' or key=value, separated by a comma and a space. A value
// without quotes ends where ", key=" follows, or with the text.
type keycloakPairs struct {
	rest       string
	key, value string
	open       string // quotes that do not close in what is left
}

func (s *keycloakPairs) next() bool {
	s.rest = strings.TrimLeft(s.rest, ", ")
	n := pairKeyEnd(s.rest)
	if n == 0 {
		if s.rest == "" {
			return false
		}
		s.key, s.value, s.rest = "rest", s.rest, ""
		return true
	}
	s.key, s.rest = s.rest[:n], s.rest[n+1:]
	if s.quoted() {
		return true
	}
	end := 0
	for {
		i := strings.Index(s.rest[end:], ", ")
		if i < 0 {
			s.value, s.rest = s.rest, ""
			return true
		}
		end += i
		if pairKeyEnd(s.rest[end+2:]) > 0 {
			s.value, s.rest = s.rest[:end], s.rest[end+2:]
			return true
		}
		end += 2
	}
}

// quoted takes a value in quotes that close before a comma or the end.
func (s *keycloakPairs) quoted() bool {
	if s.rest == "" || s.rest[0] != '"' && s.rest[0] != '\'' || strings.IndexByte(s.open, s.rest[0]) >= 0 {
		return false
	}
	quote := s.rest[0]
	escaped := false
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '\\' && i+1 < len(s.rest) && s.rest[i+1] == quote:
			escaped = true
			i++
		case c == quote && (i+1 == len(s.rest) || s.rest[i+1] == ','):
			s.value, s.rest = s.rest[1:i], s.rest[i+1:]
			if escaped {
				s.value = strings.ReplaceAll(s.value, `\`+string(quote), string(quote))
			}
			return true
		}
	}
	s.open += string(quote) // looked for once: a line of open quotes takes no longer than any other
	return false
}

// pairKeyEnd returns the length of the key at the start of s, 0 where no key with its "=" stands there.
func pairKeyEnd(s string) int {
	const longest = 64
	for i := 0; i < len(s) && i <= longest; i++ {
		c := s[i]
		if c == '=' {
			return i
		}
		named := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == ':'
		if !named {
			return 0
		}
	}
	return 0
}
