package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// postfixText reads postfix' smtpd and postscreen, under whatever name of service (postfix/submission/smtpd, postfix-in/smtpd). The other
// processes of postfix say nothing about clients.
func postfixText(ev *event.Event, program, s string) verdict {
	smtpd := strings.HasSuffix(program, "/smtpd")
	if !smtpd && !strings.HasSuffix(program, "/postscreen") {
		return notCovered
	}
	ev.Service.Name, ev.Session.Protocol = "postfix", "smtp"
	if rest, ok := strings.CutPrefix(s, "warning: "); ok {
		return known(postfixWarning(ev, rest) || note(ev, "postfix.message"))
	}
	if id, rest, ok := strings.Cut(s, ": "); ok && isQueueID(id) {
		if id != "NOQUEUE" {
			ev.Label("queue_id", id)
		}
		return known(postfixQueue(ev, rest) || postfixConnection(ev, rest) || note(ev, "postfix.message"))
	}
	if !smtpd {
		return known(postscreenText(ev, s) || note(ev, "postfix.message"))
	}
	return known(postfixConnection(ev, s) || note(ev, "postfix.message"))
}

// isQueueID accepts "NOQUEUE", "00ADB3C0899" and the long ids "44JCRG5tYPzCqt2".
func isQueueID(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return len(s) >= 6 && len(s) <= 24
}

// postfixWarning reads "NAME[A]: SASL METHOD authentication failed: REASON[, sasl_username=U]", "X limit exceeded: N from NAME[A] for service
// S" and "hostname NAME does not resolve to address A".
func postfixWarning(ev *event.Event, s string) bool {
	if name, tail, ok := strings.Cut(s, " limit exceeded: "); ok && len(name) < 64 && strings.IndexByte(name, '[') < 0 {
		_, from, _ := strings.Cut(tail, " from ")
		peerAddress(ev, from)
		ev.Label("limit", name)
		switch {
		case strings.HasPrefix(name, "AUTH "):
			return refuse(ev, "postfix.limited", event.LoginDetail, reasonTooMany)
		case strings.HasPrefix(name, "Connection "), strings.HasPrefix(name, "New TLS "):
			return refuse(ev, "postfix.limited", event.ConnectionOpen, "limit exceeded")
		}
		mailRequest(ev)
		return refuse(ev, "postfix.limited", event.Request, "limit exceeded")
	}
	if rest, ok := strings.CutPrefix(s, "hostname "); ok {
		name, tail := word(rest)
		if a, found := strings.CutPrefix(tail, "does not resolve to address "); found {
			a, why, _ := strings.Cut(a, ": ")
			address(ev, a)
			if isHostName(name) {
				ev.Source.Domain = name
			}
			ev.Reason = why
			return say(ev, "postfix.reverse_mapping", event.LoginDetail, event.Unknown)
		}
		return false
	}
	i := strings.Index(s, "]")
	if i < 0 || !strings.Contains(s, ": SASL ") {
		return false
	}
	rest, ok := peerAddress(ev, s)
	if !ok {
		return false
	}
	rest, ok = strings.CutPrefix(rest, ": SASL ")
	if !ok {
		return false
	}
	method, rest := word(rest)
	rest, ok = strings.CutPrefix(rest, "authentication failed:")
	if !ok {
		return false
	}
	reason, user, found := strings.Cut(rest, ", sasl_username=")
	if found {
		ev.User.Name = user
	}
	ev.Label("auth_method", method)
	reason = trimBlanks(reason)
	switch {
	case reason == "Connection lost to authentication server", strings.HasPrefix(reason, "Temporary authentication failure"):
		// The server's own trouble: nobody's password was looked at.
		ev.Reason = reason
		return say(ev, "postfix.sasl_unavailable", event.LoginDetail, event.Unknown)
	case reason == "Invalid authentication mechanism":
		return refuse(ev, "postfix.sasl_failed", event.Login, reason)
	}
	// The rest is the mechanism's last challenge, in base64, or nothing.
	return refuse(ev, "postfix.sasl_failed", event.Login, "authentication failure")
}

// postfixQueue reads what follows a queue id: "client=NAME[A], sasl_method=M, sasl_username=U" and "reject: COMMAND from NAME[A]: CODE TEXT;
// from=<F> to=<T> proto=P helo=<H>".
func postfixQueue(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "client="); ok {
		if rest, ok = peerAddress(ev, rest); !ok {
			return false
		}
		fields, user, found := strings.Cut(rest, ", sasl_username=")
		if !found {
			return note(ev, "postfix.client")
		}
		ev.User.Name, _, _ = strings.Cut(user, ", sasl_sender=")
		if method, ok := strings.CutPrefix(fields, ", sasl_method="); ok {
			ev.Label("auth_method", method)
		}
		return say(ev, "postfix.sasl_succeeded", event.Login, event.Success)
	}
	what, rest, ok := strings.Cut(s, ": ")
	if !ok || what != "reject" && what != "milter-reject" {
		return false
	}
	command, from, ok := strings.Cut(rest, " from ")
	if !ok || len(command) > 32 {
		return false
	}
	text, ok := peerAddress(ev, from)
	if !ok {
		return false
	}
	text = strings.TrimPrefix(text, ": ")
	reason, details, _ := strings.Cut(text, "; from=")
	if details == "" {
		reason, _, _ = strings.Cut(text, "; proto=")
	}
	ev.Label("command", command)
	mailRequest(ev)
	return refuse(ev, "postfix.reject", event.Request, reason)
}

// postfixConnection reads "connect from", "disconnect from NAME[A] ehlo=1 auth=0/1 quit=1", "lost connection after COMMAND from NAME[A]",
// "too many errors after ...", "improper command pipelining after ...", "timeout after ...".
func postfixConnection(ev *event.Event, s string) bool {
	what, from, ok := strings.Cut(s, " from ")
	if !ok || len(what) > 96 {
		return false
	}
	if what == "connect" || what == "disconnect" || strings.Contains(what, " after ") || what == "SSL_accept error" {
		from, ok = peerAddress(ev, from)
	} else {
		ok = false
	}
	if !ok {
		return false
	}
	switch what {
	case "connect":
		return say(ev, "postfix.connect", event.ConnectionOpen, event.Success)
	case "disconnect":
		if failed, found := between(from, " auth=", " "); found && strings.IndexByte(failed, '/') >= 0 {
			good, all, _ := strings.Cut(failed, "/")
			ev.Label("auth_attempts", all)
			if good != all {
				return refuse(ev, "postfix.disconnect", event.LoginDetail, "authentication failure")
			}
		}
		return say(ev, "postfix.disconnect", event.ConnectionClose, event.Success)
	case "SSL_accept error":
		return refuse(ev, "postfix.tls_failed", event.ConnectionClose, what)
	}
	kind, command, _ := strings.Cut(what, " after ")
	command, _ = word(command)
	ev.Label("command", command)
	switch kind {
	case "too many errors", "improper command pipelining":
		mailRequest(ev)
		return refuse(ev, "postfix.protocol_error", event.Request, kind)
	case "lost connection", "timeout":
		ev.Reason = kind
		outcome := event.Failure // a probe: it went before it had said anything
		switch command {
		case "AUTH": // the line of the failed attempt and "disconnect" tell of it
			outcome = event.Unknown
		case "MAIL", "RCPT", "DATA", "BDAT", "END-OF-MESSAGE", "RSET", "QUIT", "XCLIENT", "XFORWARD":
			outcome = event.Unknown // in the middle of mail: networks do that
		}
		return say(ev, "postfix.lost_connection", event.ConnectionClose, outcome)
	}
	return false
}

// postscreenText reads "PREGREET 14 after 0.08 from [A]:P: TEXT", "HANGUP after 16 from [A]:P in tests ...", "COMMAND TIME LIMIT from [A]:P
// after CONNECT", "CONNECT from [A]:P to [B]:25", "DNSBL rank 5 for [A]:P".
func postscreenText(ev *event.Event, s string) bool {
	what, from, ok := strings.Cut(s, " from ")
	if !ok {
		if rest, isRank := strings.CutPrefix(s, "DNSBL rank "); isRank {
			if _, who, found := strings.Cut(rest, " for "); found {
				peerAddress(ev, who)
				return refuse(ev, "postscreen.listed", event.ConnectionOpen, "listed as a bad client")
			}
		}
		return false
	}
	if len(what) > 64 || !strings.HasPrefix(from, "[") {
		return false
	}
	peerAddress(ev, from)
	kind, _, _ := strings.Cut(what, " after ")
	switch {
	case kind == "CONNECT":
		return say(ev, "postscreen.connect", event.ConnectionOpen, event.Success)
	case kind == "HANGUP":
		return refuse(ev, "postscreen.hangup", event.ConnectionClose, "hung up during the tests")
	case strings.HasPrefix(kind, "PREGREET"):
		mailRequest(ev)
		return refuse(ev, "postscreen.violation", event.Request, "spoke before the greeting")
	case kind == "COMMAND TIME LIMIT", kind == "COMMAND COUNT LIMIT", kind == "COMMAND LENGTH LIMIT", kind == "COMMAND PIPELINING",
		kind == "NON-SMTP COMMAND", kind == "BARE NEWLINE":
		mailRequest(ev)
		return refuse(ev, "postscreen.violation", event.Request, kind)
	}
	return false
}
