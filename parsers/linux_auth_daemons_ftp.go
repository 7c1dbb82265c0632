package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// proftpdText reads "SERVER (NAME[A]): TEXT" or "SERVER (NAME[A]) - TEXT". The address at the head is the server's word; the one in "no such user found
// from" stands behind a name that the client chose.
func proftpdText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "proftpd", "ftp"
	_, rest, ok := strings.Cut(s, " (")
	if !ok {
		return note(ev, "proftpd.message")
	}
	if rest, ok = peerAddress(ev, rest); !ok || !strings.HasPrefix(rest, ")") {
		return note(ev, "proftpd.message")
	}
	rest = trimBlanks(rest[1:])
	rest = trimBlanks(strings.TrimPrefix(strings.TrimPrefix(rest, ":"), "- "))
	return proftpdUser(ev, rest) || proftpdSession(ev, rest) || note(ev, "proftpd.message")
}

// proftpdUser reads "USER U (Login failed): REASON", "USER U: no such user found from NAME [A] to B:21", "USER U: Login successful.".
func proftpdUser(ev *event.Event, s string) bool {
	for _, prefix := range [...]string{"USER ", "ANON "} {
		rest, ok := strings.CutPrefix(s, prefix)
		if !ok {
			continue
		}
		if i := strings.LastIndex(rest, ": no such user found from "); i >= 0 {
			ev.User.Name = rest[:i]
			return refuse(ev, "proftpd.failed", event.Login, reasonInvalidUser)
		}
		if i := strings.LastIndex(rest, " (Login failed)"); i >= 0 {
			ev.User.Name = rest[:i]
			reason := trimBlanks(strings.TrimPrefix(rest[i+len(" (Login failed)"):], ":"))
			if reason == "" || strings.HasPrefix(reason, "Incorrect password") {
				reason = reasonBadPassword
			} else if strings.HasPrefix(reason, "No such user") {
				reason = reasonInvalidUser
			}
			return refuse(ev, "proftpd.failed", event.Login, reason)
		}
		if user, ok := strings.CutSuffix(strings.TrimSuffix(rest, "."), ": Login successful"); ok {
			ev.User.Name = user
			return say(ev, "proftpd.succeeded", event.Login, event.Success)
		}
	}
	return false
}

func proftpdSession(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "SECURITY VIOLATION: "):
		user, _, ok := strings.Cut(s[len("SECURITY VIOLATION: "):], " login attempted")
		if ok {
			ev.User.Name = user
			return refuse(ev, "proftpd.failed", event.Login, "root may not log in")
		}
	case strings.HasPrefix(s, "Maximum login attempts ("):
		return refuse(ev, "proftpd.max_attempts", event.LoginDetail, reasonTooMany)
	case s == "FTP session opened.", s == "SSH2 session opened.":
		return say(ev, "proftpd.connection", event.ConnectionOpen, event.Success)
	case s == "FTP session closed.", s == "SSH2 session closed.":
		return say(ev, "proftpd.closed", event.ConnectionClose, event.Success)
	case strings.HasPrefix(s, "FTP login timed out"):
		return refuse(ev, "proftpd.timeout", event.ConnectionClose, "timed out")
	case strings.HasPrefix(s, "Connection from ") && strings.HasSuffix(s, "denied"):
		return refuse(ev, "proftpd.refused", event.ConnectionOpen, "connection refused")
	}
	return false
}

// pureftpdText reads "(WHO@A) [LEVEL] TEXT"; WHO is "?" before the login.
func pureftpdText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "pure-ftpd", "ftp"
	who, rest, ok := strings.Cut(s, ") [")
	if !ok || !strings.HasPrefix(who, "(") {
		return note(ev, "pureftpd.message")
	}
	_, text, ok := strings.Cut(rest, "] ")
	i := strings.LastIndexByte(who, '@')
	if !ok || i < 0 {
		return note(ev, "pureftpd.message")
	}
	address(ev, who[i+1:])
	if who = who[1:i]; who != "?" {
		ev.User.Name = who
	}
	switch {
	case strings.HasPrefix(text, "Authentication failed for user ["):
		ev.User.Name = strings.TrimSuffix(text[len("Authentication failed for user ["):], "]")
		return refuse(ev, "pureftpd.failed", event.Login, "authentication failure")
	case strings.HasSuffix(text, " is now logged in"):
		ev.User.Name = strings.TrimSuffix(text, " is now logged in")
		return say(ev, "pureftpd.succeeded", event.Login, event.Success)
	case strings.HasPrefix(text, "New connection from "):
		return say(ev, "pureftpd.connection", event.ConnectionOpen, event.Success)
	case text == "Logout.":
		return say(ev, "pureftpd.closed", event.ConnectionClose, event.Success)
	}
	return note(ev, "pureftpd.message")
}
