package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// openvpnText reads the server's lines about a client: "[NAME/]A:P TEXT", and what it says before there is one. "VERIFY ERROR" and "TLS Auth Error" are
// the attempts; that the handshake failed follows from them.
func openvpnText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "openvpn", "openvpn"
	who, text := word(s)
	name := ""
	if i := strings.LastIndexByte(who, '/'); i >= 0 {
		name, who = who[:i], who[i+1:]
	}
	if i := strings.LastIndexByte(who, ':'); i > 0 && i < len(who)-1 && isAddress(who[:i]) {
		colonAddress(ev, who)
		ev.User.Name = name
	} else {
		name, text = "", s
	}
	return openvpnClient(ev, name, text) || note(ev, "openvpn.message")
}

func openvpnClient(ev *event.Event, name, s string) bool {
	switch {
	case strings.HasPrefix(s, "TLS Auth Error: "):
		return refuse(ev, "openvpn.auth_failed", event.Login, s[len("TLS Auth Error: "):])
	case strings.HasPrefix(s, "VERIFY ERROR: "):
		reason := s[len("VERIFY ERROR: "):]
		if _, cause, ok := strings.Cut(reason, "error="); ok {
			reason, _, _ = strings.Cut(cause, ": ")
		}
		return refuse(ev, "openvpn.auth_failed", event.Login, reason)
	case strings.HasPrefix(s, "TLS Error: "), strings.HasPrefix(s, "Authenticate/Decrypt packet error: "):
		_, reason, _ := strings.Cut(s, ": ")
		if cause, a, ok := cutLast(reason, " from "); ok && strings.HasPrefix(a, "[AF_INET") {
			openvpnSocket(ev, a)
			reason = cause
		}
		return refuse(ev, "openvpn.tls_error", event.LoginDetail, reason)
	case strings.HasPrefix(s, "SIGUSR1[soft,"), strings.HasPrefix(s, "SIGTERM[soft,"):
		ev.Reason, _, _ = strings.Cut(s[len("SIGUSR1[soft,"):], "]")
		if name == "" { // it never told who it is
			return say(ev, "openvpn.closed", event.LoginDetail, event.Failure)
		}
		return say(ev, "openvpn.closed", event.ConnectionClose, event.Success)
	case strings.HasPrefix(s, "TCP connection established with "):
		openvpnSocket(ev, s[len("TCP connection established with "):])
		return say(ev, "openvpn.connection", event.ConnectionOpen, event.Success)
	case strings.HasPrefix(s, "["):
		if who, a, ok := cutLast(s, " Peer Connection Initiated with "); ok {
			ev.User.Name = strings.TrimSuffix(who[1:], "]")
			openvpnSocket(ev, a)
			return say(ev, "openvpn.succeeded", event.Login, event.Success)
		}
	case strings.HasPrefix(s, "TLS: Username/Password authentication succeeded for username '"):
		user, _, _ := cutLast2(s[len("TLS: Username/Password authentication succeeded for username '"):], "'")
		ev.User.Name = user
		return say(ev, "openvpn.password_accepted", event.LoginDetail, event.Success)
	}
	return false
}

// openvpnSocket reads "[AF_INET]A:P", "[AF_INET6]A:P (via ...)".
func openvpnSocket(ev *event.Event, s string) {
	if _, a, ok := strings.Cut(s, "]"); ok {
		a, _ = word(a)
		colonAddress(ev, a)
	}
}

// namedText reads what BIND refuses: "[CATEGORY: ][LEVEL: ]client [@0x7f ]A#P[ (NAME)]: [view V: ]query (cache) 'N/T/C' denied".
func namedText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "named", "dns"
	for n := 0; n < 2; n++ {
		if first, rest, ok := strings.Cut(s, ": "); ok && len(first) < 24 && strings.IndexByte(first, ' ') < 0 {
			s = trimBlanks(rest)
		}
	}
	s = cutLevel(ev, s)
	rest, ok := strings.CutPrefix(s, "client ")
	if !ok {
		return note(ev, "named.message")
	}
	if strings.HasPrefix(rest, "@") {
		_, rest = word(rest)
	}
	a, text := word(rest)
	a, p, ok := strings.Cut(strings.TrimSuffix(a, ":"), "#")
	if !ok || !isAddress(a) {
		return note(ev, "named.message")
	}
	address(ev, a)
	port(ev, p)
	if strings.HasPrefix(text, "(") { // the name that was asked for; BIND writes its parentheses as \(
		if i := strings.Index(text, "): "); i >= 0 {
			text = text[i+3:]
		}
	}
	if v, after, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(v, "view ") {
		ev.Label("view", v[len("view "):])
		text = after
	}
	what, quoted, ok := strings.Cut(text, " '")
	if i := strings.LastIndexByte(quoted, '\''); ok && i >= 0 {
		ev.Label("query", quoted[:i])
		end := quoted[i+1:]
		ev.Category = "network"
		switch {
		case strings.HasPrefix(end, " denied"), strings.HasPrefix(what, "bad zone transfer request"):
			ev.Type = "denied"
			reason := namedDenied(what)
			if _, why, found := strings.Cut(end, ": "); found {
				reason = why
			}
			return refuse(ev, "named.denied", event.Request, reason)
		}
		ev.Category = ""
	}
	return note(ev, "named.message")
}

func namedDenied(what string) string {
	switch {
	case strings.HasPrefix(what, "query"):
		return "query denied"
	case strings.HasPrefix(what, "zone transfer"):
		return "zone transfer denied"
	case strings.HasPrefix(what, "update"):
		return "update denied"
	}
	return "denied"
}

// webminText reads "Invalid login as U from A", "Non-existent login as U from A", "Successful login as U from A", "Logout by U from A".
func webminText(ev *event.Event, program, s string) bool {
	ev.Service.Name, ev.Session.Protocol = program, "http"
	what, a, ok := cutLast(s, " from ")
	if !ok {
		return note(ev, "webmin.message")
	}
	a, _ = word(a)
	for _, f := range [...]struct {
		prefix, reason string
		action         event.Action
		outcome        event.Outcome
		code           string
	}{
		{"Invalid login as ", reasonBadPassword, event.Login, event.Failure, "webmin.failed"},
		{"Non-existent login as ", reasonInvalidUser, event.Login, event.Failure, "webmin.failed"},
		{"Successful login as ", "", event.Login, event.Success, "webmin.succeeded"},
		{"Logout by ", "", event.Logout, event.Success, "webmin.logout"},
	} {
		if user, found := strings.CutPrefix(what, f.prefix); found {
			ev.User.Name, ev.Reason = user, f.reason
			address(ev, a)
			return say(ev, f.code, f.action, f.outcome)
		}
	}
	return note(ev, "webmin.message")
}
