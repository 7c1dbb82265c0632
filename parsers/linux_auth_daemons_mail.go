package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// mailboxText reads the mailbox servers that share names of programs (imapd, pop3d): cyrus and courier. What is neither's is not ours.
func mailboxText(ev *event.Event, program, s string) verdict {
	if cyrusText(ev, s) || courierText(ev, s) {
		protocol := "imap"
		if strings.Contains(program, "pop3") {
			protocol = "pop3"
		} else if program == "timsieved" || program == "lmtpd" || program == "nntpd" {
			protocol = strings.TrimPrefix(strings.TrimSuffix(program, "d"), "tim")
		}
		ev.Session.Protocol = protocol
		return recognized
	}
	return notCovered
}

// cyrusText reads "badlogin: NAME [A] METHOD [U ]SASL(-13): REASON", the last in brackets or not, and "login: NAME [A] U METHOD[+TLS] User logged in".
func cyrusText(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "badlogin: "); ok {
		if rest, ok = peerAddress(ev, rest); !ok {
			return false
		}
		ev.Service.Name = "cyrus"
		method, rest := word(trimBlanks(rest))
		ev.Label("auth_method", method)
		reason := trimBlanks(rest)
		if i := strings.LastIndex(rest, "SASL("); i > 0 && rest[i-1] == ' ' {
			ev.User.Name, reason = trimBlanks(rest[:i]), rest[i:]
		}
		if strings.HasPrefix(reason, "[") {
			reason = strings.TrimSuffix(reason[1:], "]")
		}
		if strings.HasPrefix(reason, "SASL(") {
			_, reason, _ = strings.Cut(reason, ": ")
		}
		return refuse(ev, "cyrus.failed", event.Login, reason)
	}
	rest, ok := strings.CutPrefix(s, "login: ")
	if !ok {
		return false
	}
	i := strings.LastIndex(rest, " User logged in")
	if i < 0 {
		return false
	}
	who, ok := peerAddress(ev, rest[:i])
	if !ok {
		return false
	}
	ev.Service.Name = "cyrus"
	user, method, found := cutLast(trimBlanks(who), "  ")
	if !found {
		user = trimBlanks(who)
		if j := strings.LastIndexByte(user, ' '); j >= 0 {
			user, method = user[:j], user[j+1:]
		}
	}
	ev.User.Name = user
	ev.Label("auth_method", method)
	if id, ok := between(rest[i:], "SESSIONID=<", ">"); ok {
		ev.Session.ID = id
	}
	return say(ev, "cyrus.succeeded", event.Login, event.Success)
}

// courierText reads "LOGIN FAILED, user=U, ip=[A], port=[P]", "LOGIN, user=U, ip=[A], ...", "LOGOUT, user=U, ip=[A], ...", "Connection, ip=[A]". The name
// is the client's: the last ip= is the server's.
func courierText(ev *event.Event, s string) bool {
	what, fields, ok := strings.Cut(s, ", ")
	if !ok {
		return false
	}
	switch what {
	case "LOGIN FAILED", "LOGIN", "LOGOUT", "DISCONNECTED", "TIMEOUT", "Connection":
	default:
		return false
	}
	i := strings.LastIndex(fields, "ip=[")
	if i < 0 {
		return false
	}
	a, tail, _ := strings.Cut(fields[i+4:], "]")
	address(ev, a)
	if p, found := strings.CutPrefix(tail, ", port=["); found {
		port(ev, p)
	}
	ev.Service.Name = "courier"
	who := strings.TrimSuffix(fields[:i], ", ")
	user, named := strings.CutPrefix(who, "user=")
	if named {
		ev.User.Name = user
	} else if method, found := strings.CutPrefix(who, "method="); found {
		ev.Label("auth_method", method)
	}
	switch {
	case what == "LOGIN FAILED":
		return refuse(ev, "courier.failed", event.Login, "authentication failure")
	case what == "LOGIN":
		return say(ev, "courier.succeeded", event.Login, event.Success)
	case what == "Connection":
		return say(ev, "courier.connection", event.ConnectionOpen, event.Success)
	case named:
		ev.Reason = what
		return say(ev, "courier.session_closed", event.SessionEnd, event.Success)
	}
	return say(ev, "courier.closed", event.ConnectionClose, event.Success)
}
