package parsers

import (
	"net/http"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// requestLine reads "GET /path?query HTTP/1.1" (RFC 9112 3). What is no request line is kept as labels.request_line.
func requestLine(ev *event.Event, s string) {
	if absent(s) {
		return
	}
	method, rest, _ := strings.Cut(s, " ")
	target, version := rest, ""
	if i := strings.LastIndexByte(s, ' '); i >= 0 {
		if v, ok := strings.CutPrefix(s[i+1:], "HTTP/"); ok && isVersion(v) {
			version = v
			target = s[min(len(method)+1, i):i]
		}
	}
	if version != "" {
		ev.NeedHTTP().Version = version
	}
	named := isMethod(method)
	if !named && method != "-" || version == "" && (target == "" || target[0] != '/') {
		ev.Tag(tagMalformedRequest)
		ev.Label("request_line", s)
		if version == "" {
			return
		}
	}
	if named {
		ev.NeedHTTP().Method = method
	} else {
		method = ""
	}
	if !absent(target) {
		setTarget(ev, method, target)
	}
}

// isMethod wants a word of letters, as all registered methods are; "geti" is one that nobody registered.
func isMethod(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (s[i] != '-' && s[i] != '_' || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func isVersion(s string) bool {
	return len(s) > 0 && len(s) <= 3 && isDigit(s[0]) && (len(s) == 1 || len(s) == 3 && s[1] == '.' && isDigit(s[2]))
}

// setTarget reads the request target in its four forms (RFC 9112 3.2). The path is decoded, the query is not.
func setTarget(ev *event.Event, method, target string) {
	u := ev.NeedURL()
	u.Original = target
	rest := target
	if rest[0] != '/' {
		scheme := strings.Index(rest, "://")
		switch {
		case rest == "*":
			return
		case method == "CONNECT":
			u.Domain, _ = hostPort(rest)
			return
		case scheme > 0 && scheme < 16 && isMethod(rest[:scheme]):
			u.Full, u.Scheme = target, rest[:scheme]
			rest = rest[scheme+3:]
			end := strings.IndexAny(rest, "/?#")
			if end < 0 {
				end = len(rest)
			}
			host := rest[strings.LastIndexByte(rest[:end], '@')+1 : end]
			u.Domain, _ = hostPort(host)
			rest = rest[end:]
		}
	}
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest, u.Query = rest[:i], rest[i+1:]
	}
	u.Path = decodePath(rest)
}

// decodePath decodes %41; a path that has none, or is not rightly encoded, stays as it is.
func decodePath(s string) string {
	first := strings.IndexByte(s, '%')
	if first < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:first]...)
	for i := first; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return s
		}
		high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
		if high > 15 || low > 15 {
			return s
		}
		b = append(b, high<<4|low)
		i += 2
	}
	return string(b)
}

func hexDigit(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}

// statusReason says what a status of refusal means; nginx has some of its own.
func statusReason(status int) string {
	switch status {
	case 444:
		return "Connection closed without response"
	case 494:
		return "Request header too large"
	case 495:
		return "Client certificate error"
	case 496:
		return "No client certificate"
	case 497:
		return "HTTP request sent to HTTPS port"
	case 499:
		return "Client closed the request"
	}
	return http.StatusText(status)
}
