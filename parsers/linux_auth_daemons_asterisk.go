package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// asteriskText reads "LEVEL[THREAD][CALL]: FILE[:LINE][ in][ FUNCTION]: TEXT". A NOTICE is the attempt; where the security log is on, its SecurityEvent
// tells of the same attempt once more, and is the only one to tell of those that succeeded.
func asteriskText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "asterisk", "sip"
	if strings.HasPrefix(s, "[") { // a time of its own within that of syslog
		if _, rest, ok := strings.Cut(s, "] "); ok {
			s = trimBlanks(rest)
		}
	}
	i := strings.IndexAny(s, "[: ")
	if i <= 0 {
		return note(ev, "asterisk.message")
	}
	ev.Log.Level, s = s[:i], trimBlanks(s[i:])
	for strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return note(ev, "asterisk.message")
		}
		s = s[end+1:]
	}
	s = trimBlanks(strings.TrimPrefix(s, ":"))
	file, text, ok := strings.Cut(s, ": ")
	if !ok {
		return note(ev, "asterisk.message")
	}
	if strings.HasPrefix(file, "Ext. ") { // the extension is the caller's; the text behind it the dial plan's
		return asteriskDialplan(ev, s) || note(ev, "asterisk.message")
	}
	text = trimBlanks(text)
	if strings.HasPrefix(text, "SecurityEvent=") {
		return asteriskSecurity(ev, text) || note(ev, "asterisk.message")
	}
	if strings.HasPrefix(file, "manager.c") {
		ev.Session.Protocol = "ami"
	} else if strings.HasPrefix(file, "chan_iax2.c") {
		ev.Session.Protocol = "iax2"
	}
	return asteriskRegister(ev, text) || asteriskPeer(ev, text) || asteriskCall(ev, text) || note(ev, "asterisk.message")
}

func asteriskDialplan(ev *event.Event, s string) bool {
	i := strings.LastIndex(s, `"Rejecting unknown SIP connection from `)
	if i < 0 {
		return false
	}
	socketAddress(ev, strings.TrimSuffix(s[i+len(`"Rejecting unknown SIP connection from `):], `"`))
	return refuse(ev, "asterisk.refused", event.ConnectionOpen, "unknown client")
}

// asteriskRegister reads "Registration from 'WHO' failed for 'A[:P]' - REASON" and "Request ['METHOD' ]from 'WHO' failed for 'A:P' (callid: ID) - REASON".
// WHO may hold anything; a call's id has no blanks.
func asteriskRegister(ev *event.Event, s string) bool {
	request := strings.HasPrefix(s, "Request ")
	if !request && !strings.HasPrefix(s, "Registration from ") {
		return false
	}
	i := strings.LastIndex(s, "' failed for '")
	if i < 0 {
		return false
	}
	a, rest, ok := strings.Cut(s[i+len("' failed for '"):], "'")
	if !ok {
		return false
	}
	socketAddress(ev, a)
	if _, who, found := strings.Cut(s[:i], "from '"); found {
		ev.User.Name = sipUser(who)
	}
	_, reason, _ := cutLast2(rest, " - ")
	if request {
		return refuse(ev, "asterisk.request_failed", event.Login, reason)
	}
	return refuse(ev, "asterisk.register_failed", event.Login, reason)
}

// sipUser returns the user of the last "sip:USER@" in the text.
func sipUser(s string) string {
	i := strings.LastIndex(s, "sip:")
	if i < 0 {
		return unquote(s)
	}
	s = s[i+4:]
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		return s[:at]
	}
	return strings.TrimSuffix(s, ">")
}

// asteriskPeer reads IAX2's and the manager's lines: "Host A failed to authenticate as 'U'", "A tried to authenticate with nonexistent user 'U'", "No
// registration for peer 'U' (from A)", "Registered SIP 'U' at A:P", "Manager 'U' logged on from A".
func asteriskPeer(ev *event.Event, s string) bool {
	a, rest := word(strings.TrimPrefix(s, "Host "))
	if isAddress(a) {
		var reason string
		switch {
		case strings.HasPrefix(rest, "failed to authenticate as '"), strings.HasPrefix(rest, "failed MD5 authentication for '"):
			reason = "authentication failure"
		case strings.HasPrefix(rest, "tried to authenticate with nonexistent user '"):
			reason = reasonInvalidUser
		case strings.HasPrefix(rest, "failed to pass IP ACL as '"):
			reason = "address refused"
		default:
			return false
		}
		address(ev, a)
		_, user, _ := strings.Cut(rest, " '")
		if i := strings.LastIndex(user, "' ("); i >= 0 {
			user = user[:i]
		}
		ev.User.Name = strings.TrimSuffix(user, "'")
		return refuse(ev, "asterisk.auth_failed", event.Login, reason)
	}
	switch {
	case strings.HasPrefix(s, "No registration for peer '"):
		i := strings.LastIndex(s, "' (from ")
		if i < 0 {
			return false
		}
		ev.User.Name = s[len("No registration for peer '"):i]
		socketAddress(ev, strings.TrimSuffix(s[i+len("' (from "):], ")"))
		return refuse(ev, "asterisk.register_failed", event.Login, reasonInvalidUser)
	case strings.HasPrefix(s, "hacking attempt detected '"):
		socketAddress(ev, strings.TrimSuffix(s[len("hacking attempt detected '"):], "'"))
		return refuse(ev, "asterisk.refused", event.ConnectionOpen, "hacking attempt detected")
	case strings.HasPrefix(s, "Registered SIP '"), strings.HasPrefix(s, "Registered IAX2 '"):
		_, rest, _ := strings.Cut(s, " '")
		i := strings.LastIndex(rest, "' at ")
		if i < 0 {
			return false
		}
		ev.User.Name = rest[:i]
		socketAddress(ev, rest[i+len("' at "):])
		return say(ev, "asterisk.registered", event.Login, event.Success)
	case strings.HasPrefix(s, "Manager '"):
		for _, what := range [...]string{"' logged on from ", "' logged off from "} {
			i := strings.LastIndex(s, what)
			if i < 0 {
				continue
			}
			ev.User.Name = s[len("Manager '"):i]
			socketAddress(ev, s[i+len(what):])
			if what == "' logged on from " {
				return say(ev, "asterisk.manager_login", event.Login, event.Success)
			}
			return say(ev, "asterisk.manager_logout", event.Logout, event.Success)
		}
	}
	return false
}

// asteriskCall reads "Call from 'U' (A:P) to extension 'E' rejected because REASON" and "U: Call (UDP:A:P) to extension 'E' rejected because REASON". Both
// names are the caller's; more than one place that fits is tagged.
func asteriskCall(ev *event.Event, s string) bool {
	const to = ") to extension '"
	i := strings.Index(s, to)
	if i < 0 {
		return false
	}
	open := strings.LastIndex(s[:i], " (")
	if open < 0 {
		return false
	}
	if strings.Contains(s[i+1:], to) {
		ev.Tag("ambiguous-source")
	}
	who, quoted := strings.CutPrefix(s[:open], "Call from '")
	if quoted {
		who = strings.TrimSuffix(who, "'")
	} else if who, quoted = strings.CutSuffix(who, ": Call"); !quoted {
		return false
	}
	a := s[open+2 : i]
	if transport, rest, ok := strings.Cut(a, ":"); ok && (transport == "UDP" || transport == "TCP" || transport == "TLS" || transport == "WS" || transport == "WSS") {
		a = rest
	}
	socketAddress(ev, a)
	ev.User.Name = who
	extension, reason, _ := cutLast(s[i+len(to):], " rejected because ")
	ev.Label("extension", strings.TrimSuffix(extension, "'"))
	ev.Category, ev.Type = "network", "denied"
	return refuse(ev, "asterisk.call_rejected", event.Request, strings.TrimSuffix(reason, "."))
}

// socketAddress reads "A", "A:P", "[A]:P", and IPv6 without a port as it stands.
func socketAddress(ev *event.Event, s string) {
	if strings.HasPrefix(s, "[") {
		if a, p, ok := strings.Cut(s[1:], "]"); ok {
			address(ev, a)
			port(ev, strings.TrimPrefix(p, ":"))
			return
		}
	}
	if isAddress(s) {
		address(ev, s)
		return
	}
	colonAddress(ev, s)
}

// asteriskSecurity reads SecurityEvent="E",...,AccountID="U",SessionID="...",LocalAddress="...",RemoteAddress="IPV4/UDP/A/P",... Values are not escaped:
// account and session are the client's and stand before the address, so that the last address is asterisk's.
func asteriskSecurity(ev *event.Event, s string) bool {
	name, ok := between(s, `SecurityEvent="`, `"`)
	if !ok {
		return false
	}
	const remote = `,RemoteAddress="`
	if i := strings.LastIndex(s, remote); i >= 0 {
		a, _, _ := strings.Cut(s[i+len(remote):], `"`)
		_, a, _ = strings.Cut(a, "/")
		_, a, _ = strings.Cut(a, "/")
		if j := strings.LastIndexByte(a, '/'); j >= 0 {
			address(ev, a[:j])
			port(ev, a[j+1:])
		}
		if strings.Contains(s[:i], remote) {
			ev.Tag("ambiguous-source")
		}
	}
	if service, found := between(s, `,Service="`, `"`); found {
		switch service {
		case "AMI":
			ev.Session.Protocol = "ami"
		case "IAX2":
			ev.Session.Protocol = "iax2"
		}
	}
	if user, found := between(s, `,AccountID="`, `",SessionID="`); found && user != "<unknown>" {
		ev.User.Name = user
	}
	ev.Label("security_event", name)
	switch name {
	case "SuccessfulAuth":
		return say(ev, "asterisk.security", event.Login, event.Success)
	case "ChallengeSent":
		return say(ev, "asterisk.security", event.LoginDetail, event.Unknown)
	case "InvalidAccountID":
		return refuse(ev, "asterisk.security", event.LoginDetail, reasonInvalidUser)
	case "InvalidPassword", "ChallengeResponseFailed":
		return refuse(ev, "asterisk.security", event.LoginDetail, reasonBadPassword)
	}
	return refuse(ev, "asterisk.security", event.LoginDetail, name) // FailedACL, UnexpectedAddress, SessionLimit ...
}
