package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// eximText reads exim's main log, without its time: "[pid] MESSAGE-ID TEXT", the first two optional.
//
// Of the client exim writes "NAME (HELO) [ADDRESS]:PORT I=[LOCAL]:PORT"; a HELO has no blanks, so that ") [" ends it. What else the client
// said stands behind that, or in quotes before " H=".
func eximText(ev *event.Event, s string) bool {
	ev.Service.Name, ev.Session.Protocol = "exim", "smtp"
	s = eximHead(ev, s)
	return eximLogin(ev, s) || eximRefusal(ev, s) || eximConnection(ev, s) || note(ev, "exim.message")
}

// eximHead takes "[pid] " and the message id off.
func eximHead(ev *event.Event, s string) string {
	if len(s) > 2 && s[0] == '[' && isDigit(s[1]) {
		if end := strings.IndexByte(s[:min(len(s), 16)], ']'); end > 0 {
			ev.Process.PID = parseLong(s[1:end])
			s = trimBlanks(s[end+1:])
		}
	}
	if n := eximID(s); n > 0 {
		ev.Label("queue_id", s[:n])
		s = s[n+1:]
	}
	return s
}

// eximID returns the length of a message id (1akDqs-0005aQ-9b, or 6-11-4 since 4.97) that a blank follows; 0 is none.
func eximID(s string) int {
	for _, form := range [...][3]int{{6, 13, 16}, {6, 18, 23}} {
		n := form[2]
		if len(s) <= n || s[n] != ' ' || s[form[0]] != '-' || s[form[1]] != '-' {
			continue
		}
		ok := true
		for i := 0; i < n && ok; i++ {
			c := s[i]
			ok = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || i == form[0] || i == form[1]
		}
		if ok {
			return n
		}
	}
	return 0
}

// eximHost reads "[NAME ][(HELO) ][ADDRESS][:PORT]".
func eximHost(ev *event.Event, s string) (rest string, ok bool) {
	name := ""
	if s != "" && s[0] != '[' && s[0] != '(' {
		name, s = word(s)
	}
	helo := ""
	if strings.HasPrefix(s, "(") {
		end := strings.Index(s, ") [")
		if end < 0 {
			return s, false
		}
		helo, s = s[1:end], s[end+2:]
	}
	end := strings.IndexByte(s, ']')
	if end < 0 || s[0] != '[' || !address(ev, s[1:end]) {
		return s, false
	}
	if name != "" && isHostName(name) && ev.Source.IP != "" {
		ev.Source.Domain = name
	}
	ev.Label("helo", helo)
	rest = s[end+1:]
	if len(rest) > 1 && rest[0] == ':' && isDigit(rest[1]) {
		rest = port(ev, rest[1:])
	}
	return rest, true
}

// eximLogin reads "NAME authenticator failed for HOST: 535 TEXT (set_id=U)", and of an accepted message "<= SENDER H=HOST P=esmtpsa
// A=NAME:U", which is all that exim says of a login.
func eximLogin(ev *event.Event, s string) bool {
	if i := strings.Index(s, " authenticator failed for "); i > 0 && i < 64 && strings.IndexByte(s[:i], ' ') < 0 {
		rest, ok := eximHost(ev, s[i+len(" authenticator failed for "):])
		if !ok {
			return false
		}
		if j := strings.Index(rest, " (set_id="); j >= 0 {
			ev.User.Name = rest[j+len(" (set_id="):]
			if end := strings.LastIndexByte(ev.User.Name, ')'); end >= 0 {
				ev.User.Name = ev.User.Name[:end]
			}
		}
		ev.Label("auth_method", s[:i])
		return refuse(ev, "exim.auth_failed", event.Login, "authentication failure")
	}
	rest, ok := strings.CutPrefix(s, "<= ")
	if !ok {
		return false
	}
	_, rest, _ = strings.Cut(rest, " H=")
	if rest, ok = eximHost(ev, rest); !ok {
		return false
	}
	if _, a, found := strings.Cut(rest, " A="); found && strings.Contains(rest, " P=esmtp") {
		method, user, _ := strings.Cut(a, ":")
		user, _ = word(user)
		ev.User.Name = user
		ev.Label("auth_method", method)
		return say(ev, "exim.auth_succeeded", event.Login, event.Success)
	}
	return note(ev, "exim.received")
}

// eximRefusal reads what ACLs refuse: "H=HOST F=<F> rejected RCPT <T>: REASON", "H=HOST sender verify fail for <F>: REASON", "H=HOST dropped by
// 'connect' ACL: REASON", "SMTP protocol error in "COMMAND" H=HOST REASON".
func eximRefusal(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "H="); ok {
		if rest, ok = eximHost(ev, rest); !ok {
			return false
		}
		_, reason, _ := cutLast2(rest, ": ")
		switch {
		case strings.Contains(rest, " rejected connection"), strings.HasPrefix(rest, " dropped by "):
			return refuse(ev, "exim.refused", event.ConnectionOpen, reason)
		case strings.Contains(rest, " rejected "), strings.HasPrefix(rest, " sender verify fail "):
			mailRequest(ev)
			return refuse(ev, "exim.rejected", event.Request, reason)
		}
		return false
	}
	rest, ok := strings.CutPrefix(s, `SMTP protocol error in "`)
	if !ok {
		return false
	}
	// The command is the client's and may look like all of this; what follows the last H= is exim's.
	i := strings.LastIndex(rest, `" H=`)
	if i < 0 {
		return false
	}
	tail, ok := eximHost(ev, rest[i+4:])
	if !ok {
		return false
	}
	ev.Label("command", rest[:i])
	if j := strings.Index(tail, "AUTH command used"); j >= 0 {
		return refuse(ev, "exim.auth_refused", event.Login, tail[j:])
	}
	if j := strings.Index(tail, "authentication mechanism"); j >= 0 {
		return refuse(ev, "exim.auth_refused", event.Login, "authentication mechanism not supported")
	}
	mailRequest(ev)
	return refuse(ev, "exim.protocol_error", event.Request, trimBlanks(tail))
}

// eximConnection reads what exim says of connections that came to nothing.
func eximConnection(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "SMTP protocol synchronization error ("):
		_, rest, _ := strings.Cut(s, "): rejected ")
		_, host, ok := strings.Cut(rest, " H=")
		if ok && strings.Contains(host, `" H=`) {
			ev.Tag("ambiguous-source") // the client's command, or its input, holds such a text too
		}
		if _, ok = eximHost(ev, host); ok {
			mailRequest(ev)
			return refuse(ev, "exim.protocol_error", event.Request, "spoke before its turn")
		}
	case strings.HasPrefix(s, "SMTP call from "):
		if rest, ok := eximHost(ev, s[len("SMTP call from "):]); ok {
			if _, reason, found := strings.Cut(rest, "dropped: "); found {
				reason, _, _ = strings.Cut(reason, " (last ")
				mailRequest(ev)
				return refuse(ev, "exim.dropped", event.Request, reason)
			}
		}
	case strings.HasPrefix(s, "no MAIL in SMTP connection from "):
		if _, ok := eximHost(ev, s[len("no MAIL in SMTP connection from "):]); ok {
			return refuse(ev, "exim.no_mail", event.ConnectionClose, "no mail was sent")
		}
	case strings.HasPrefix(s, "SMTP connection from "):
		rest, ok := eximHost(ev, s[len("SMTP connection from "):])
		if ok && strings.Contains(rest, "closed by DROP in ACL") {
			return refuse(ev, "exim.refused", event.ConnectionOpen, "closed by DROP in ACL")
		}
		if ok && strings.Contains(rest, "closed by QUIT") {
			return say(ev, "exim.closed", event.ConnectionClose, event.Success)
		}
	case strings.HasPrefix(s, "no host name found for IP address "):
		a, _ := word(s[len("no host name found for IP address "):])
		address(ev, a)
		return say(ev, "exim.reverse_mapping", event.LoginDetail, event.Unknown)
	case strings.HasPrefix(s, "no IP address found for host "):
		name, rest := word(s[len("no IP address found for host "):])
		if tail, ok := strings.CutPrefix(rest, "(during SMTP connection from "); ok {
			eximHost(ev, tail)
		}
		if isHostName(name) {
			ev.Source.Domain = name
		}
		return say(ev, "exim.reverse_mapping", event.LoginDetail, event.Unknown)
	}
	return false
}

// looksExim says whether a line without program, of a file, is exim's.
func looksExim(s string) bool {
	if len(s) > 2 && s[0] == '[' && isDigit(s[1]) { // the process, where log_selector asks for it
		_, s, _ = strings.Cut(s, "] ")
	}
	if eximID(s) > 0 {
		return true
	}
	for _, p := range [...]string{"H=", "SMTP ", "no MAIL in SMTP ", "no host name found for IP address ", "no IP address found for host ",
		"exim 4.", "Start queue run: ", "End queue run: "} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	_, rest := word(s)
	return strings.HasPrefix(rest, "authenticator failed for ")
}
