package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

func (p *apacheParser) start(ev *event.Event) {
	ev.Dataset, ev.Parser, ev.Service.Type = apacheErrorDataset, p.access.name, p.access.service
	ev.Category, ev.Type = "web", "info"
}

// error reads the error log:
//
//	[Sun Nov 22 10:00:00 2026] [error] [client 192.0.2.1] text                                                      2.2
//	[Sun Nov 22 10:00:00.123456 2026] [module:error] [pid 1:tid 2] (13)Permission denied: [client 192.0.2.1:5] AH01618: text   2.4
//
// All that a client can choose stands in the text, behind the fields in brackets, so they are read from the left, each once.
func (p *apacheParser) error(s string, received, headed event.Time, hasHeader bool, ev *event.Event) bool {
	field, rest, ok := bracketed(s)
	if !ok {
		return false
	}
	at, timed := p.errorTime(field, received)
	if timed {
		field, rest, ok = bracketed(trimBlanks(rest))
	} else {
		at = headed
	}
	if !ok || !timed && !hasHeader {
		return false
	}
	module, level, ok := strings.Cut(field, ":")
	if !ok {
		module, level = "", field
	}
	if !isLogLevel(level) {
		return false
	}
	p.start(ev)
	if ev.Time = at; at == 0 {
		ev.Tag(tagArrivalTime)
	}
	ev.Log.Level, ev.Type = level, levelType(level)
	ev.Label("module", module)
	rest = trimBlanks(rest)
	if strings.HasPrefix(rest, "[pid ") {
		if field, after, ok := bracketed(rest); ok {
			pid, tid, _ := strings.Cut(field[len("pid "):], ":tid ")
			ev.Process.PID = parseLong(pid)
			ev.Label("tid", tid)
			rest = trimBlanks(after)
		}
	}
	ev.Message = rest
	rest, system := systemError(rest)
	if source := sourceFile(rest); source > 0 {
		rest = rest[source:]
		rest = p.client(rest, ev)
	} else {
		rest = p.client(rest, ev)
		ev.Message = rest
	}
	if system == "" {
		rest, system = systemError(rest)
	}
	apacheText(ev, module, rest)
	if system != "" {
		ev.Label("system_error", system)
	}
	if ev.Action != event.ActionNone && ev.Action != event.Request {
		ev.Category, ev.Type = "", ""
	}
	return true
}

// bracketed cuts "[...]" off; an address of IPv6 may stand in brackets within it.
func bracketed(s string) (field, rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", s, false
	}
	head := s[:min(len(s), 160)]
	end := strings.IndexByte(head, ']')
	if end > 0 && strings.IndexByte(head[1:end], '[') >= 0 {
		if next := strings.IndexByte(head[end+1:], ']'); next >= 0 {
			end += 1 + next
		}
	}
	if end < 0 {
		return "", s, false
	}
	return s[1:end], s[end+1:], true
}

// errorTime reads "Sun Nov 22 10:00:00.123456 2026" in the zone of the config.
func (p *apacheParser) errorTime(s string, received event.Time) (event.Time, bool) {
	if len(s) < 23 || s[3] != ' ' || s[7] != ' ' {
		return 0, false
	}
	month := monthOf(s[4:])
	i := 8
	if s[i] == ' ' {
		i++
	}
	day, i := digits(s, i, 2)
	if month == 0 || day < 1 || i+9 > len(s) || s[i] != ' ' || s[i+3] != ':' || s[i+6] != ':' {
		return 0, false
	}
	hour, minute, second := two(s, i+1), two(s, i+4), two(s, i+7)
	i, nanos := fraction(s, i+9)
	if i+5 != len(s) || s[i] != ' ' || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	year := two(s, i+1)*100 + two(s, i+3)
	if year < 1700 || year > 2200 {
		return 0, false
	}
	base, ok := p.clock.minute(year, month, day, hour, minute, received)
	return event.Time((base+int64(second))*1e9 + nanos), ok
}

// systemError cuts "(13)Permission denied: " off.
func systemError(s string) (rest, text string) {
	if !strings.HasPrefix(s, "(") {
		return s, ""
	}
	n, i := digits(s, 1, 6)
	if n == 0 || i >= len(s) || s[i] != ')' {
		return s, ""
	}
	text, rest, ok := strings.Cut(s[i+1:], ": ")
	if !ok || len(text) > 120 {
		return s, ""
	}
	return rest, text
}

// sourceFile returns the length of "mod_rewrite.c(470): ", as traces begin; 0 where there is none.
func sourceFile(s string) int {
	i := strings.Index(s[:min(len(s), 64)], "): ")
	if i < 0 || strings.IndexByte(s[:i], ' ') >= 0 || !strings.Contains(s[:i], ".c(") {
		return 0
	}
	return i + 3
}

// client reads "[client 192.0.2.1:5] " or "[remote ...]"; ModSecurity writes it again.
func (p *apacheParser) client(s string, ev *event.Event) (rest string) {
	for range 2 {
		address, ok := strings.CutPrefix(s, "[client ")
		if !ok {
			if address, ok = strings.CutPrefix(s, "[remote "); !ok {
				return s
			}
		}
		_, after, ok := bracketed(s)
		if !ok || ev.Source.IP != "" && !strings.HasPrefix(after, " ModSecurity: ") {
			return s
		}
		address = address[:len(address)-len(after)-1]
		if ev.Source.IP == "" {
			host, port := hostPort(address)
			if event.ValidIP(host) {
				ev.Source.IP, ev.Source.Port = plainIP(host), port
			} else if isHostName(host) {
				ev.Source.Domain, ev.Source.Port = host, port
			} else {
				ev.Label("client", address)
			}
		}
		s = trimBlanks(after)
	}
	return s
}

// apacheText says what a text means. Apache escapes quotes in what a client sends, so `for "` is the server's.
func apacheText(ev *event.Event, module, s string) bool {
	code := ""
	if isAH(s) {
		code, s = s[:7], s[9:]
	}
	if text, referrer, ok := strings.Cut(s, ", referer: "); ok {
		s = text
		ev.NeedHTTP().Referrer = referrer
	}
	digest := module == "auth_digest"
	if rest, ok := strings.CutPrefix(s, "Digest: "); ok {
		s, digest = rest, true
	}
	known := apacheUser(ev, s) || digest && apacheDigest(ev, s) || apacheAccess(ev, s) || apacheConnection(ev, code, s)
	if code != "" {
		ev.Code = code
	}
	return known
}

// apacheUser is for texts about a user's credentials.
func apacheUser(ev *event.Event, s string) bool {
	rest, ok := strings.CutPrefix(s, "user ")
	if !ok {
		return apacheProvider(ev, s)
	}
	if name, after, ok := strings.Cut(rest, `: authentication failure for "`); ok {
		ev.User.Name = name
		uri, reason, _ := strings.Cut(after, `": `)
		apacheTarget(ev, uri)
		if strings.EqualFold(reason, "password mismatch") {
			return refuse(ev, "password-mismatch", event.Login, "password mismatch")
		}
		return refuse(ev, "authentication-failure", event.Login, orElse(reason, "authentication failure"))
	}
	if name, after, ok := strings.Cut(rest, `: authorization failure for "`); ok {
		ev.User.Name = name
		uri, _, _ := strings.Cut(after, `":`)
		apacheTarget(ev, uri)
		return refuse(ev, "access-denied", event.Request, "authorization failure")
	}
	if strings.HasPrefix(rest, "`") {
		if name, after, ok := strings.Cut(rest[1:], "' in realm `"); ok {
			ev.User.Name = name
			realm, uri, _ := strings.Cut(after, "' not found: ")
			ev.Label("realm", realm)
			apacheTarget(ev, uri)
			return refuse(ev, "user-not-found", event.Login, "user not found")
		}
	}
	if name, uri, ok := strings.Cut(rest, ": password mismatch: "); ok {
		ev.User.Name = name
		apacheTarget(ev, uri)
		return refuse(ev, "password-mismatch", event.Login, "password mismatch")
	}
	name, uri, ok := strings.Cut(rest, " not found: ")
	if !ok {
		name, ok = strings.CutSuffix(rest, " not found")
	}
	if ok {
		ev.User.Name = trimBlanks(name)
		apacheTarget(ev, uri)
		return refuse(ev, "user-not-found", event.Login, "user not found")
	}
	return false
}

// apacheProvider is for what other modules say of credentials: mod_authnz_ldap, mod_authnz_pam, mod_authnz_external.
func apacheProvider(ev *event.Event, s string) bool {
	if i := strings.Index(s[:min(len(s), 48)], "auth_ldap authenticate: user "); i >= 0 {
		name, after, ok := strings.Cut(s[i+len("auth_ldap authenticate: user "):], " authentication failed; URI ")
		if !ok {
			return false
		}
		ev.User.Name = name
		reason := "authentication failed"
		if end := strings.LastIndexByte(after, ']'); end == len(after)-1 && end > 0 {
			reason = after[strings.LastIndexByte(after, '[')+1 : end]
		}
		uri, _, _ := strings.Cut(after, " [")
		apacheTarget(ev, uri)
		return refuse(ev, "authentication-failure", event.Login, reason)
	}
	if rest, ok := strings.CutPrefix(s, "PAM authentication failed for user "); ok {
		i := max(0, strings.LastIndex(rest, ": "))
		if i == 0 {
			ev.User.Name = rest
			return refuse(ev, "pam-failure", event.Login, "authentication failure")
		}
		ev.User.Name = rest[:i]
		return refuse(ev, "pam-failure", event.Login, rest[i+2:])
	}
	if rest, ok := strings.CutPrefix(s, "AuthExtern "); ok {
		if _, name, ok := strings.Cut(rest, ") for user "); ok && strings.Contains(rest, "]: Failed (") {
			ev.User.Name = name
			return refuse(ev, "authentication-failure", event.Login, "authentication failed")
		}
	}
	return false
}

// apacheDigest is for what mod_auth_digest refuses before it looks at a password.
func apacheDigest(ev *event.Event, s string) bool {
	var reason string
	switch {
	case strings.HasPrefix(s, "invalid nonce "):
		i := strings.LastIndex(s, " received - ")
		if i < 0 || strings.HasPrefix(s[i+len(" received - "):], "hash is not ") {
			// Every browser does this after the server has been started again.
			return note(ev, "foreign-nonce")
		}
		reason = "invalid nonce: " + s[i+len(" received - "):]
	case strings.HasPrefix(s, "invalid qop `"):
		reason = "invalid qop"
	case strings.HasPrefix(s, "realm mismatch - got `"):
		reason = "realm mismatch"
	case strings.HasPrefix(s, "unknown algorithm `"):
		reason = "unknown algorithm"
	case strings.HasPrefix(s, "uri mismatch - "):
		reason = "URI mismatch"
	default:
		return false
	}
	return refuse(ev, "digest", event.Login, reason)
}

// apacheAccess is for requests that were refused.
func apacheAccess(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "client denied by server configuration: "); ok {
		ev.Label("path", rest)
		return refuse(ev, "access-denied", event.Request, "client denied by server configuration")
	}
	if rest, ok := strings.CutPrefix(s, "client used wrong authentication scheme: "); ok {
		apacheTarget(ev, rest)
		return refuse(ev, "wrong-scheme", event.Login, "wrong authentication scheme")
	}
	if rest, ok := strings.CutPrefix(s, "Authorization of user "); ok {
		name, after, ok := strings.Cut(rest, " to access ")
		if i := strings.LastIndex(after, " failed, reason: "); ok && i >= 0 {
			ev.User.Name = name
			apacheTarget(ev, after[:i])
			return refuse(ev, "access-denied", event.Request, strings.TrimSuffix(after[i+len(" failed, reason: "):], "."))
		}
		return false
	}
	if rest, ok := strings.CutPrefix(s, "access to "); ok {
		if i := strings.LastIndex(rest, " failed, reason: "); i >= 0 {
			reason := rest[i+len(" failed, reason: "):]
			uri, _, _ := strings.Cut(rest[:i], " failed for ")
			apacheTarget(ev, uri)
			if name, ok := strings.CutPrefix(reason, "user "); ok {
				if name, ok = strings.CutSuffix(name, " not allowed access"); ok {
					ev.User.Name = name
				}
			}
			return refuse(ev, "access-denied", event.Request, reason)
		}
		if uri, _, ok := strings.Cut(rest, " denied"); ok {
			apacheTarget(ev, uri)
			return refuse(ev, "access-denied", event.Request, "access denied")
		}
		return false
	}
	switch {
	case strings.HasPrefix(s, "ModSecurity: Access denied with code "):
		return modSecurity(ev, s)
	case strings.HasPrefix(s, "ModSecurity: "):
		modSecurity(ev, s)
		ev.Action, ev.Outcome = event.ActionNone, ""
		return true
	case strings.HasPrefix(s, "Directory index forbidden by "), strings.HasSuffix(s, "server-generated directory index forbidden by Options directive"):
		return refuse(ev, "index-forbidden", event.Request, "directory index is forbidden")
	case strings.HasPrefix(s, "Invalid URI in request "), strings.HasPrefix(s, "Invalid method in request "):
		i := strings.Index(s, " request ")
		requestLine(ev, s[i+len(" request "):])
		return refuse(ev, "bad-request", event.Request, s[:i+len(" request")])
	case strings.HasPrefix(s, "request failed: "):
		return refuse(ev, "bad-request", event.Request, s[len("request failed: "):])
	}
	return false
}

// apacheConnection is for TLS: names that do not fit, and handshakes and certificates that fail.
func apacheConnection(ev *event.Event, code, s string) bool {
	switch {
	case strings.HasPrefix(s, "Hostname ") && (strings.HasSuffix(s, " provided via SNI, but no hostname provided in HTTP request") ||
		strings.Contains(s, " provided via SNI and hostname ")),
		s == "No hostname was provided via SNI for a name based virtual host":
		return refuse(ev, "sni", event.Request, "host name does not fit that of the TLS handshake")
	case code == "AH02008", code == "AH02039", code == "AH02261":
		return refuse(ev, code, event.ConnectionOpen, s)
	}
	return false
}

func apacheTarget(ev *event.Event, uri string) {
	if strings.HasPrefix(uri, "/") {
		setDecodedPath(ev, uri)
	}
}

// setDecodedPath is for error logs, where the path has been decoded and has no query.
func setDecodedPath(ev *event.Event, path string) {
	u := ev.NeedURL()
	u.Original, u.Path = path, path
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
