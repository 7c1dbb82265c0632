package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// Small scanners over the texts of linux_auth. They return substrings and do not allocate.

func trimBlanks(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] <= ' ') {
		s = s[:len(s)-1]
	}
	return s
}

// parseLong reads a whole number of at most 18 digits; absent where s is anything else.
func parseLong(s string) event.Long {
	if s == "" || len(s) > 18 {
		return event.Long{}
	}
	n := int64(0)
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return event.Long{}
		}
		n = n*10 + int64(s[i]-'0')
	}
	return event.LongOf(n)
}

// cutLast cuts around the last sep: what stands before it may be chosen by the client, what follows was written by the
// server. sep begins and ends with a blank.
func cutLast(s, sep string) (before, after string, found bool) {
	second := sep[1]
	for i := len(s) - len(sep); i >= 0; i-- {
		if s[i+1] == second && s[i] == ' ' && s[i:i+len(sep)] == sep {
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}

// between returns the text between the first open and the next end after it.
func between(s, open, end string) (string, bool) {
	i := strings.Index(s, open)
	if i < 0 {
		return "", false
	}
	s = s[i+len(open):]
	if j := strings.Index(s, end); j >= 0 {
		return s[:j], true
	}
	return "", false
}

// word cuts the first word off.
func word(s string) (first, rest string) {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// unquote takes '...', "..." or `...' off.
func unquote(s string) string {
	if n := len(s); n >= 2 && (s[0] == '\'' || s[0] == '`' || s[0] == '"') && (s[n-1] == '\'' || s[n-1] == '"') {
		return s[1 : n-1]
	}
	return s
}

// address sets source.ip where s is an address, else source.domain where it may be a host's name. An IPv4 address in IPv6
// form (::ffff:192.0.2.1) is the IPv4 address, so that both count as one. "UNKNOWN" and the like stay a label.
func address(ev *event.Event, s string) bool {
	if len(s) > 1 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	if isIPv4(s) {
		ev.Source.IP = s
		return true
	}
	if strings.IndexByte(s, ':') >= 0 {
		ip, zone, _ := strings.Cut(s, "%")
		if len(ip) > 7 && strings.EqualFold(ip[:7], "::ffff:") && isIPv4(ip[7:]) {
			ev.Source.IP = ip[7:]
			return true
		}
		if isIPv6(ip) {
			ev.Source.IP = ip
			ev.Label("source_zone", zone)
			return true
		}
	}
	switch {
	case s == "" || s == "?" || s == "-":
		return false
	case isHostName(s) && s != "UNKNOWN" && s != "unknown":
		ev.Source.Domain = s
	default:
		ev.Label("source", s)
	}
	return true
}

// fromAddress reads "ADDRESS[ port N][rest]" and sets the source.
func fromAddress(ev *event.Event, s string) (rest string) {
	a, rest := word(s)
	if n := len(a) - 1; n > 0 && (a[n] == ':' || a[n] == ',' || a[n] == ';') {
		a = a[:n]
	}
	address(ev, a)
	if p, ok := strings.CutPrefix(rest, "port "); ok {
		return port(ev, p)
	}
	return rest
}

// port reads a port and sets source.port.
func port(ev *event.Event, s string) (rest string) {
	n, i := digits(s, 0, 6)
	if i > 0 && n <= 65535 {
		ev.Source.Port = event.LongOf(int64(n))
	}
	return s[i:]
}

// lastAddress reads "NAME ADDRESS port N[rest]" from the right, sets the source, and returns the name.
func lastAddress(ev *event.Event, s string) (name, rest string, ok bool) {
	before, after, found := cutLast(s, " port ")
	if !found {
		return s, "", false
	}
	rest = port(ev, after)
	i := strings.LastIndexByte(before, ' ')
	address(ev, before[i+1:])
	if i < 0 {
		return "", rest, true
	}
	return before[:i], rest, true
}

func isIPv4(s string) bool {
	if len(s) < 7 || len(s) > 15 {
		return false
	}
	dots, value, n := 0, 0, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '.' {
			if n == 0 {
				return false
			}
			dots, value, n = dots+1, 0, 0
			continue
		}
		if !isDigit(c) || n > 0 && value == 0 {
			return false
		}
		value = value*10 + int(c-'0')
		if n++; value > 255 {
			return false
		}
	}
	return dots == 3 && n > 0
}

// isIPv6 holds s against RFC 4291 2.2, without zone.
func isIPv6(s string) bool {
	if len(s) < 2 || len(s) > 45 {
		return false
	}
	groups, gap := 0, false
	if s[0] == ':' {
		if s[1] != ':' {
			return false
		}
		gap, s = true, s[2:]
	}
	for s != "" {
		n := 0
		for n < len(s) && n < 5 && isHex(s[n]) {
			n++
		}
		if n < len(s) && s[n] == '.' {
			groups += 2
			return isIPv4(s) && (gap && groups < 8 || !gap && groups == 8)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		if s = s[n:]; s == "" {
			break
		}
		if s[0] != ':' || len(s) == 1 {
			return false
		}
		if s = s[1:]; s[0] == ':' {
			if gap {
				return false
			}
			gap, s = true, s[1:]
		}
		if groups > 8 {
			return false
		}
	}
	return gap && groups < 8 || !gap && groups == 8
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isHostName accepts what may be a host's name in a log: letters, digits, dots, hyphens and underscores.
func isHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}
