package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// dovecotText reads "PROCESS: TEXT", "PROCESS(ID): TEXT", "PROCESS(USER,ADDRESS,MECHANISM)<SESSION>: TEXT". Only its login processes write about
// every attempt: their line is the attempt, and what auth says in verbose mode, or PAM, are details.
func dovecotText(ev *event.Event, s string) bool {
	s = strings.TrimPrefix(s, "dovecot: ")
	i := strings.IndexAny(s, "(:<")
	if i <= 0 {
		ev.Service.Name = "dovecot"
		return note(ev, "dovecot.message")
	}
	process, inside, rest := s[:i], "", s[i:]
	if rest[0] == '(' {
		end := strings.Index(rest, "): ")
		if e := strings.Index(rest, ")<"); e >= 0 && (end < 0 || e < end) {
			end = e
		}
		if end < 0 {
			ev.Service.Name = "dovecot"
			return note(ev, "dovecot.message")
		}
		inside, rest = rest[1:end], rest[end+1:]
	}
	_, text, _ := strings.Cut(rest, ": ")
	return dovecotProcess(ev, process, inside, text)
}

// isDovecot says whether the name is one of dovecot's processes, as its own log begins with.
func isDovecot(name string) bool {
	switch name {
	case "imap-login", "pop3-login", "submission-login", "managesieve-login", "auth", "auth-worker", "dovecot-auth", "imap", "pop3", "lmtp",
		"submission", "managesieve", "master", "config", "anvil", "dovecot":
		return true
	}
	return false
}

func dovecotProcess(ev *event.Event, process, inside, s string) bool {
	ev.Service.Name = "dovecot"
	s = cutLevel(ev, s)
	if protocol, ok := strings.CutSuffix(process, "-login"); ok {
		ev.Session.Protocol = protocol
		return dovecotLogin(ev, s) || note(ev, "dovecot.message")
	}
	switch process {
	case "auth", "auth-worker", "dovecot-auth":
		return dovecotAuth(ev, inside, s) || note(ev, "dovecot.message")
	case "imap", "pop3", "submission", "managesieve":
		ev.Session.Protocol = process
		for _, end := range [...]string{"Logged out", "Disconnected", "Connection closed"} {
			if strings.HasPrefix(s, end) && inside != "" {
				ev.User.Name, ev.Reason = inside, end
				return say(ev, "dovecot.session_closed", event.SessionEnd, event.Success)
			}
		}
	}
	return note(ev, "dovecot.message")
}

// dovecotLogin reads "WHAT (WHY): user=<U>, method=M, rip=A, lip=B, TLS, session=<S>". What stands before the fields is dovecot's own.
func dovecotLogin(ev *event.Event, s string) bool {
	at := len(s)
	for _, first := range [...]string{": user=<", ": method=", ": rip="} {
		if i := strings.Index(s[:at], first); i >= 0 {
			at = i
		}
	}
	if at == len(s) {
		return false
	}
	what := s[:at]
	dovecotFields(ev, s[at+2:])
	switch {
	case what == "Login" || what == "Logged in":
		return say(ev, "dovecot.succeeded", event.Login, event.Success)
	case strings.Contains(what, "(auth failed, "):
		_, n, _ := strings.Cut(what, "(auth failed, ")
		if count, end := digits(n, 0, 6); end > 0 && count > 1 {
			ev.Count = event.LongOf(int64(count))
		}
		return refuse(ev, "dovecot.failed", event.Login, "authentication failure")
	case strings.Contains(what, "(tried to use dis"):
		return refuse(ev, "dovecot.failed", event.Login, "authentication method not allowed")
	case strings.Contains(what, "(proxy dest auth failed"):
		return refuse(ev, "dovecot.failed", event.Login, "refused by the server behind the proxy")
	case strings.HasPrefix(what, "Maximum number of connections"):
		return refuse(ev, "dovecot.failed", event.Login, "too many connections")
	case strings.Contains(what, "(no auth attempts"):
		return refuse(ev, "dovecot.no_attempt", event.ConnectionClose, "no login was tried")
	case strings.Contains(what, "(client didn't finish SASL auth"), strings.Contains(what, "before auth was ready"),
		strings.Contains(what, "during TLS handshake"):
		return refuse(ev, "dovecot.no_attempt", event.ConnectionClose, reasonPreauth)
	case strings.HasPrefix(what, "Disconnected"), strings.HasPrefix(what, "Aborted login"), strings.HasPrefix(what, "Login aborted"):
		return refuse(ev, "dovecot.no_attempt", event.ConnectionClose, what)
	}
	return false
}

// dovecotFields reads the fields. The name is the client's choice and comes first: the last rip= is dovecot's own.
func dovecotFields(ev *event.Event, s string) {
	before, tail := s, ""
	if i := strings.LastIndex(s, ", rip="); i >= 0 {
		before, tail = s[:i], s[i+len(", rip="):]
	} else if rest, ok := strings.CutPrefix(s, "rip="); ok {
		before, tail = "", rest
	}
	if tail != "" {
		a, rest, _ := strings.Cut(tail, ",")
		address(ev, trimBlanks(a))
		if p, ok := between(rest, " rport=", ","); ok {
			port(ev, p)
		}
		if id, ok := between(rest, "session=<", ">"); ok {
			ev.Session.ID = id
		}
	}
	if user, ok := strings.CutPrefix(before, "user=<"); ok {
		method := ""
		if i := strings.LastIndex(user, ">, method="); i >= 0 {
			user, method = user[:i], user[i+len(">, method="):]
		} else {
			user = strings.TrimSuffix(user, ">")
		}
		ev.User.Name = user
		ev.Label("auth_method", method)
	} else if method, ok := strings.CutPrefix(before, "method="); ok {
		ev.Label("auth_method", method)
	}
}

// dovecotAuth reads "DRIVER(USER,ADDRESS[,<SESSION>]): TEXT", behind "conn unix:auth-worker (...): auth-worker<N>: " or not, and of version
// 2.4 "DRIVER: TEXT" with the rest in the process' parentheses.
func dovecotAuth(ev *event.Event, inside, s string) bool {
	if strings.HasPrefix(s, "conn ") {
		if _, rest, ok := strings.Cut(s, ">: "); ok {
			s = rest
		}
	}
	open := strings.IndexAny(s, "(: ")
	if open <= 0 {
		return false
	}
	driver, who := s[:open], inside
	var text string
	switch s[open] {
	case '(':
		end := strings.Index(s, "): ")
		if end < open {
			return false
		}
		who, text = s[open+1:end], s[end+3:]
		if moved(text) { // a name or a logged password that looks like the end of this
			ev.Tag("ambiguous-source")
		}
	case ':':
		text = trimBlanks(s[open+1:])
		if i := strings.LastIndexByte(who, ','); i >= 0 && !isAddress(who[i+1:]) {
			who = who[:i] // the mechanism
		}
	default:
		return false
	}
	reason := dovecotReason(text)
	if reason == "" {
		return false
	}
	if i := strings.LastIndex(who, ",<"); i >= 0 {
		ev.Session.ID, who = strings.TrimSuffix(who[i+2:], ">"), who[:i]
	}
	who = strings.TrimSuffix(who, ",")
	if i := strings.LastIndexByte(who, ','); i >= 0 {
		address(ev, who[i+1:])
		who = who[:i]
	}
	ev.User.Name = who
	ev.Label("auth_driver", driver)
	return refuse(ev, "dovecot.auth_failed", event.LoginDetail, reason)
}

// moved says whether a second end of the parentheses follows, with an address before it.
func moved(text string) bool {
	for {
		i := strings.Index(text, "): ")
		if i < 0 {
			return false
		}
		who := text[:i]
		if j := strings.LastIndex(who, ",<"); j >= 0 {
			who = who[:j]
		}
		if j := strings.LastIndexByte(who, ','); j >= 0 && isAddress(who[j+1:]) {
			return true
		}
		text = text[i+3:]
	}
}

func dovecotReason(text string) string {
	switch {
	case strings.HasPrefix(text, "unknown user"), strings.HasPrefix(text, "user not found"), strings.HasPrefix(text, "User not found"):
		return reasonInvalidUser
	case strings.HasPrefix(text, "Password mismatch"), strings.HasPrefix(text, "password mismatch"), strings.HasPrefix(text, "invalid credentials"),
		strings.HasPrefix(text, "Invalid password"):
		return reasonBadPassword
	case strings.HasPrefix(text, "pam_authenticate() failed: "):
		return text[len("pam_authenticate() failed: "):]
	case strings.HasPrefix(text, "pam_acct_mgmt() failed: "):
		return text[len("pam_acct_mgmt() failed: "):]
	}
	return ""
}
