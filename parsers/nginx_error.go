package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// error reads "2026/11/22 10:00:00 [error] 123#0: *5 text, client: 192.0.2.1, server: ..., request: "...", host: "..."".
func (p *nginxParser) error(s string, received event.Time, ev *event.Event) bool {
	at, s, ok := p.errorTime(s, received)
	if !ok || len(s) < 4 || s[0] != ' ' || s[1] != '[' {
		return false
	}
	end := strings.IndexByte(s[:min(len(s), 16)], ']')
	if end < 0 || !isLogLevel(s[2:end]) {
		return false
	}
	ev.Dataset, ev.Parser, ev.Service.Type = nginxErrorDataset, p.access.name, "nginx"
	ev.Time, ev.Log.Level = at, s[2:end]
	ev.Category, ev.Type = "web", levelType(ev.Log.Level)
	text := trimBlanks(s[end+1:])
	if i := strings.Index(text[:min(len(text), 48)], ": "); i > 0 {
		if pid, tid, ok := strings.Cut(text[:i], "#"); ok {
			if ev.Process.PID = parseLong(pid); ev.Process.PID.Valid {
				ev.Label("tid", tid)
				text = text[i+2:]
			}
		}
	}
	if strings.HasPrefix(text, "*") {
		if n, rest := word(text[1:]); parseLong(n).Valid {
			ev.Label("connection", n)
			text = rest
		}
	}
	ev.Message = text
	said := nginxContext(text, ev)
	nginxText(ev, said)
	if ev.Action != event.ActionNone && ev.Action != event.Request {
		ev.Category, ev.Type = "", ""
	}
	return true
}

// errorTime reads "2026/11/22 10:00:00" in the zone of the config.
func (p *nginxParser) errorTime(s string, received event.Time) (event.Time, string, bool) {
	if s[4] != '/' || s[7] != '/' || s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return 0, s, false
	}
	year, month, day := two(s, 0)*100+two(s, 2), two(s, 5), two(s, 8)
	hour, minute, second := two(s, 11), two(s, 14), two(s, 17)
	if year < 1700 || year > 2200 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60 {
		return 0, s, false
	}
	base, ok := p.clock.minute(year, month, day, hour, minute, received)
	i, nanos := fraction(s, 19)
	return event.Time((base+int64(second))*1e9 + nanos), s[i:], ok
}

// isLogLevel says whether a word is a level of nginx or Apache.
func isLogLevel(s string) bool {
	switch s {
	case "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
		"trace1", "trace2", "trace3", "trace4", "trace5", "trace6", "trace7", "trace8":
		return true
	}
	return false
}

// levelType is event.type of a line about which nothing else is known.
func levelType(level string) string {
	switch level {
	case "emerg", "alert", "crit", "error", "warn":
		return "error"
	}
	return "info"
}

const (
	clientMark = ", client: "
	// maxContexts is how many ", client: " a line is searched for; one that has more was made to confuse.
	maxContexts = 16
	// tagAmbiguousClient marks a line in which client data looks like the server's own words in such a way that nobody can tell
	// which address is the client's. The addresses are kept as labels.
	tagAmbiguousClient = "ambiguous-client"
)

// nginxContext reads what nginx writes after its message and returns the message.
//
//	, client: A, server: S, request: "R", subrequest: "R", upstream: "U", host: "H", referrer: "F"
//
// nginx escapes nothing in its error log. What a client sends can stand in the message (user name, path) and in the quoted values, so
// neither the first nor the last ", client: " is surely the server's. A place is taken for it only if all that follows, to the end
// of the line, has this form; a host and a request line that nginx has accepted have no blanks. Where two places fit, a
// referrer holds one of them or a user name the other, and no address is taken.
func nginxContext(s string, ev *event.Event) (message string) {
	first := strings.Index(s, clientMark)
	if first < 0 {
		return s
	}
	var found nginxFields
	at := -1
	// No quote before it: the message holds nothing of the client's, and the values may be anything.
	if !strings.ContainsAny(s[:first], "\"'") {
		if found.read(s[first:], false) {
			at = first
		}
	} else {
		for i, n := first, 0; i >= 0 && n < maxContexts; n++ {
			var f nginxFields
			if complete(s[:i]) && f.read(s[i:], true) {
				if at >= 0 && f.client != found.client {
					ev.Tag(tagAmbiguousClient)
					ev.Label("client_1", found.client)
					ev.Label("client_2", f.client)
					return s[:at]
				}
				if at < 0 {
					found, at = f, i
				}
			}
			next := strings.Index(s[i+1:], clientMark)
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	if at < 0 {
		return s
	}
	found.fill(ev)
	return s[:at]
}

// complete says that a message could end here: one that quotes a user's or a file's name goes on behind the quote.
func complete(message string) bool {
	switch {
	case strings.HasPrefix(message, `user "`):
		return strings.HasSuffix(message, `": password mismatch`) || strings.HasSuffix(message, `"`) && strings.Contains(message, ` was not found in "`)
	case strings.HasPrefix(message, `open() "`):
		return strings.HasSuffix(message, ")")
	}
	return true
}

// nginxFields are the values after the message.
type nginxFields struct {
	client, server, request, upstream, host, referrer, login string
}

// read reads the values; strict refuses blanks where a request that was accepted has none. False: the text has another form.
func (f *nginxFields) read(s string, strict bool) bool {
	s = s[len(clientMark):]
	end := strings.IndexByte(s, ',')
	if end < 0 {
		end = len(s)
	}
	f.client, s = s[:end], s[end:]
	if strings.IndexByte(f.client, ' ') >= 0 {
		return false
	}
	for s != "" {
		key, rest, ok := strings.Cut(s, ": ")
		if !ok || len(key) > 40 {
			return false
		}
		if !strings.HasPrefix(rest, `"`) {
			if key != ", server" && key != ", upstream" {
				return key == ", bytes from/to client" // stream module: numbers to the end
			}
			if end = strings.IndexByte(rest, ','); end < 0 {
				end = len(rest)
			}
			if strings.IndexByte(rest[:end], ' ') >= 0 {
				return false
			}
			f.set(key, rest[:end])
			s = rest[end:]
			continue
		}
		value, after, ok := nginxValue(rest[1:])
		if !ok || strict && !plausible(key, value) {
			return false
		}
		if !f.set(key, value) {
			return false
		}
		s = after
	}
	return true
}

// nginxValue reads up to the quote behind which the line ends or another value begins.
func nginxValue(s string) (value, rest string, ok bool) {
	for i := 0; i < len(s); {
		q := strings.IndexByte(s[i:], '"')
		if q < 0 {
			return "", "", false
		}
		q += i
		rest = s[q+1:]
		if rest == "" || strings.HasPrefix(rest, ", ") && (strings.HasPrefix(rest, `, subrequest: "`) || strings.HasPrefix(rest, `, upstream: "`) ||
			strings.HasPrefix(rest, `, host: "`) || strings.HasPrefix(rest, `, referrer: "`) || strings.HasPrefix(rest, ", bytes from/to ")) {
			return s[:q], rest, true
		}
		i = q + 1
	}
	return "", "", false
}

// plausible says that nginx could have accepted the value of a request.
func plausible(key, value string) bool {
	switch key {
	case ", request":
		return strings.Count(value, " ") <= 2
	case ", host", ", upstream", ", subrequest":
		return strings.IndexByte(value, ' ') < 0
	}
	return true
}

func (f *nginxFields) set(key, value string) bool {
	switch key {
	case ", server":
		f.server = value
	case ", request":
		f.request = value
	case ", upstream":
		f.upstream = value
	case ", host":
		f.host = value
	case ", referrer":
		f.referrer = value
	case ", login":
		f.login = value
	case ", subrequest":
	default:
		return false
	}
	return true
}

func (f *nginxFields) fill(ev *event.Event) {
	host, port := hostPort(f.client)
	if event.ValidIP(host) {
		ev.Source.IP, ev.Source.Port = plainIP(host), port
	} else {
		ev.Label("client", f.client)
	}
	ev.Label("server", f.server)
	ev.Label("upstream", f.upstream)
	requestLine(ev, f.request)
	if f.host != "" {
		domain, _ := hostPort(f.host)
		if u := ev.NeedURL(); u.Domain == "" {
			u.Domain = domain
		}
	}
	if !absent(f.referrer) {
		ev.NeedHTTP().Referrer = f.referrer
	}
	if f.login != "" {
		ev.User.Name = f.login
	}
}

// nginxText says what a message means. User names are taken from the side that the server writes.
func nginxText(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, `user "`); ok {
		if name, ok := strings.CutSuffix(rest, `": password mismatch`); ok {
			ev.User.Name = name
			return refuse(ev, "password-mismatch", event.Login, "password mismatch")
		}
		if i := strings.LastIndex(rest, ` was not found in "`); i >= 0 {
			ev.User.Name = strings.TrimSuffix(strings.TrimSuffix(rest[:i], ":"), `"`)
			return refuse(ev, "user-not-found", event.Login, "user not found")
		}
		return false
	}
	if rest, ok := strings.CutPrefix(s, "PAM: user '"); ok {
		if i := strings.LastIndex(rest, "' - not authenticated: "); i >= 0 {
			ev.User.Name = rest[:i]
			return refuse(ev, "pam-failure", event.Login, rest[i+len("' - not authenticated: "):])
		}
		return false
	}
	switch {
	case strings.HasPrefix(s, "client login failed: "):
		return refuse(ev, "client-login-failed", event.Login, nginxQuoted(s[len("client login failed: "):]))
	case strings.HasPrefix(s, "no user/password was provided for basic authentication"):
		return note(ev, "no-credentials") // the question, not an attempt
	case strings.HasPrefix(s, "access forbidden by rule"):
		return refuse(ev, "access-forbidden", event.Request, "access forbidden by rule")
	case strings.HasPrefix(s, "limiting requests, "), strings.HasPrefix(s, "delaying request, "), strings.HasPrefix(s, "limiting connections by zone"):
		return nginxLimit(ev, s)
	case strings.HasPrefix(s, "directory index of ") && strings.HasSuffix(s, " is forbidden"):
		return refuse(ev, "index-forbidden", event.Request, "directory index is forbidden")
	case strings.HasPrefix(s, "client sent "), strings.HasPrefix(s, "client intended to send too large "):
		reason, _, _ := strings.Cut(s, ": ")
		return refuse(ev, "bad-request", event.Request, reason)
	case (strings.HasPrefix(s, "SSL_do_handshake() failed ") || strings.HasPrefix(s, "SSL_read() failed ")) &&
		(strings.HasSuffix(s, " while SSL handshaking") || strings.HasSuffix(s, " while waiting for request")):
		return refuse(ev, "tls-handshake", event.ConnectionOpen, tlsReason(s))
	case strings.HasPrefix(s, "ModSecurity: Access denied with code "),
		strings.HasPrefix(s, "[client ") && strings.Contains(s, "] ModSecurity: Access denied with code "):
		return modSecurity(ev, s)
	}
	if i := strings.LastIndex(s, " while "); i >= 0 && (strings.HasPrefix(s, "connect() failed (") || strings.HasPrefix(s, "upstream ") ||
		strings.HasPrefix(s, "no live upstreams") || strings.HasPrefix(s, "recv() failed (") || strings.HasPrefix(s, "SSL_do_handshake() failed (")) {
		ev.Outcome, ev.Code, ev.Reason = event.Failure, "upstream", s
		return true
	}
	return false
}

// nginxLimit: what was refused, or only held back (delaying; or a dry run).
func nginxLimit(ev *event.Event, s string) bool {
	if zone, ok := between(s, `zone "`, `"`); ok {
		ev.Label("zone", zone)
	}
	if strings.HasPrefix(s, "delaying") || strings.Contains(s, ", dry run") {
		return note(ev, "rate-limit")
	}
	return refuse(ev, "rate-limit", event.Request, "too many requests or connections")
}

func nginxQuoted(s string) string {
	if q, ok := between(s, `"`, `"`); ok {
		return q
	}
	return s
}

// tlsReason is the text between the last colon and the closing parenthesis: "(SSL: error:1408F0C6:SSL routines:f:packet length too long)".
func tlsReason(s string) string {
	if end := strings.LastIndexByte(s, ')'); end > 0 {
		inner := s[:end]
		if i := strings.LastIndex(inner, "(SSL: "); i >= 0 {
			inner = inner[i+6:]
			return trimBlanks(inner[strings.LastIndexByte(inner, ':')+1:])
		}
	}
	return s
}

// modSecurity reads the refusal of ModSecurity, whose fields both servers write: [id "942100"] [msg "..."] [uri "..."].
func modSecurity(ev *event.Event, s string) bool {
	reason := "refused by ModSecurity"
	for _, f := range [...]struct{ key, open string }{{"modsec_id", `[id "`}, {"modsec_msg", `[msg "`}, {"modsec_severity", `[severity "`}} {
		if v, ok := between(s, f.open, `"]`); ok {
			ev.Label(f.key, v)
			if f.key == "modsec_msg" {
				reason = v
			}
		}
	}
	if uri, ok := between(s, `[uri "`, `"]`); ok && ev.URL == nil && uri != "" {
		setTarget(ev, "", uri)
	}
	if host, ok := between(s, `[hostname "`, `"]`); ok {
		ev.NeedURL().Domain = host
	}
	return refuse(ev, "modsecurity", event.Request, reason)
}
