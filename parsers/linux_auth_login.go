package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// loginTag reads the lines that login writes under the tag " -- NAME[pid]:".
func loginTag(ev *event.Event, user, s string) bool {
	ev.Process.Name = "login"
	ev.User.Name = user
	return loginText(ev, s)
}

// loginText reads login(1) of util-linux and of shadow. Its own lines are the attempts, its PAM lines details.
func loginText(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "FAILED LOGIN "):
		return loginFailed(ev, s)
	case strings.HasPrefix(s, "ROOT LOGIN "):
		ev.User.Name = "root"
		loginOn(ev, trimBlanks(s[len("ROOT LOGIN "):]))
		return say(ev, "login.root", event.Login, event.Success)
	case strings.HasPrefix(s, "LOGIN ON "):
		loginOn(ev, s[len("LOGIN "):])
		return say(ev, "login.succeeded", event.Login, event.Success)
	case strings.HasPrefix(s, "DIALUP AT "):
		tty, user, _ := strings.Cut(s[len("DIALUP AT "):], " BY ")
		ev.User.Name = user
		ev.Label("tty", tty)
		return say(ev, "login.succeeded", event.LoginDetail, event.Success)
	case strings.HasPrefix(s, "invalid password for "), strings.HasPrefix(s, "invalid login "):
		name, rest := cutQuoted(strings.TrimPrefix(strings.TrimPrefix(s, "invalid login "), "invalid password for "))
		ev.User.Name = name
		loginOn(ev, trimBlanks(rest))
		return refuse(ev, "login.failed", event.Login, reasonBadPassword)
	case strings.HasPrefix(s, "TOO MANY LOGIN TRIES"):
		_, rest, _ := strings.Cut(s, ") ")
		loginFor(ev, rest)
		return refuse(ev, "login.max_attempts", event.LoginDetail, reasonTooMany)
	case strings.HasPrefix(s, "LOGIN FAILURE FROM "), strings.HasPrefix(s, "LOGIN FAILURE ON "):
		rest := strings.TrimPrefix(strings.TrimPrefix(s, "LOGIN FAILURE "), "FROM ")
		place, user, _ := cutLast2(rest, ", ")
		ev.User.Name = user
		if tty, ok := strings.CutPrefix(place, "ON "); ok {
			ev.Label("tty", tty)
		} else {
			address(ev, place)
		}
		return refuse(ev, "login.failed", event.Login, reasonBadPassword)
	case strings.HasPrefix(s, "REPEATED LOGIN FAILURES "):
		return refuse(ev, "login.max_attempts", event.LoginDetail, reasonTooMany)
	case strings.HasPrefix(s, "ILLEGAL ROOT LOGIN "):
		ev.User.Name = "root"
		loginOn(ev, s[len("ILLEGAL ROOT LOGIN "):])
		return refuse(ev, "login.failed", event.Login, "root may not log in")
	case strings.HasPrefix(s, "Authentication failure"), strings.HasPrefix(s, "Authentication service"), strings.HasPrefix(s, "unable to "),
		strings.HasPrefix(s, "error "), strings.HasPrefix(s, "no LOGNAME"), strings.HasPrefix(s, "timed out"), strings.HasPrefix(s, "exec"):
		return note(ev, "login.message")
	}
	return false
}

// loginFailed reads "FAILED LOGIN (1) on '/dev/tty1' FOR 'root', REASON", "FAILED LOGIN 1 FROM tty1 FOR root, REASON",
// "FAILED LOGIN SESSION FROM host FOR root, REASON". The name is the client's: REASON follows the last comma.
func loginFailed(ev *event.Event, s string) bool {
	rest := s[len("FAILED LOGIN "):]
	if strings.HasPrefix(rest, "SESSION ") {
		rest = rest[len("SESSION "):]
	} else {
		_, rest = word(rest)
	}
	reason := loginFor(ev, rest)
	if reason == "" {
		reason = reasonBadPassword
	}
	return refuse(ev, "login.failed", event.Login, reason)
}

// loginFor reads "on '/dev/tty1' [from 'host' ]FOR 'root', REASON" and returns the reason.
func loginFor(ev *event.Event, s string) (reason string) {
	place, who, ok := strings.Cut(s, " FOR ")
	if !ok {
		return ""
	}
	name, reason, found := cutLast2(who, ", ")
	if !found {
		name = who
	}
	ev.User.Name = strings.TrimSuffix(strings.TrimPrefix(name, "'"), "'")
	if name == "(unknown)" || name == "UNKNOWN" || name == "'UNKNOWN'" {
		ev.User.Name = ""
	}
	loginOn(ev, place)
	return reason
}

// loginOn reads "ON tty1 [BY alice] [FROM host]", in either case and with quotes or without.
func loginOn(ev *event.Event, s string) {
	for s != "" {
		var key, value string
		key, s = word(s)
		value, s = cutQuoted(s)
		s = trimBlanks(s)
		switch key {
		case "ON", "on":
			ev.Label("tty", value)
		case "BY", "by":
			ev.User.Name = value
		case "FROM", "from":
			if strings.HasPrefix(value, "tty") || strings.HasPrefix(value, "/dev/") {
				ev.Label("tty", value)
			} else {
				address(ev, value)
			}
		}
	}
}

// serviceText reads the older network services and gdm's own lines.
func serviceText(ev *event.Event, program, s string) bool {
	switch program {
	case "ftpd", "in.ftpd":
		return ftpdText(ev, s)
	case "vsftpd":
		return vsftpdText(ev, s)
	case "klogind", "rlogind", "rshd":
		return klogindText(ev, program, s)
	case "xinetd", "telnetd", "in.telnetd":
		return xinetdText(ev, s)
	case "gdm-binary":
		if strings.HasPrefix(s, "Couldn't authenticate user") {
			return refuse(ev, "gdm.failed", event.LoginDetail, "authentication failure")
		}
		return note(ev, "gdm.message")
	}
	return false
}

func ftpdText(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "connection from "):
		a, rest := word(s[len("connection from "):])
		address(ev, a)
		if host, ok := between(rest, "(", ")"); ok && isHostName(host) && host != ev.Source.IP {
			ev.Source.Domain = host
		}
		return say(ev, "ftpd.connection", event.ConnectionOpen, event.Success)
	case strings.HasPrefix(s, "ANONYMOUS FTP LOGIN FROM "):
		a, rest := word(s[len("ANONYMOUS FTP LOGIN FROM "):])
		ftpAddress(ev, a)
		ev.User.Name = "anonymous"
		ev.Label("anonymous_name", trimBlanks(rest))
		return say(ev, "ftpd.anonymous", event.Login, event.Success)
	case strings.HasPrefix(s, "FTP LOGIN FROM "):
		a, user, ok := strings.Cut(s[len("FTP LOGIN FROM "):], " as ")
		if !ok {
			a, user, _ = strings.Cut(s[len("FTP LOGIN FROM "):], ", ")
		}
		a, _ = word(a)
		ftpAddress(ev, a)
		ev.User.Name, _, _ = strings.Cut(user, " (class")
		return say(ev, "ftpd.succeeded", event.Login, event.Success)
	case strings.HasPrefix(s, "FTP LOGIN FAILED FROM "):
		a, user, _ := strings.Cut(s[len("FTP LOGIN FAILED FROM "):], ", ")
		ftpAddress(ev, a)
		ev.User.Name = user
		return refuse(ev, "ftpd.failed", event.LoginDetail, reasonBadPassword)
	case strings.HasPrefix(s, "failed login from "):
		refusedConnect(ev, "", s[len("failed login from "):])
		return refuse(ev, "ftpd.failed", event.LoginDetail, reasonBadPassword)
	case strings.HasPrefix(s, "User "):
		if user, _, ok := strings.Cut(s[len("User "):], " timed out after "); ok {
			if user != "unknown" {
				ev.User.Name = user
			}
			return refuse(ev, "ftpd.timeout", event.ConnectionClose, "timed out")
		}
	case strings.HasPrefix(s, "FTP session closed"):
		return say(ev, "ftpd.closed", event.ConnectionClose, event.Success)
	case strings.HasPrefix(s, "getpeername"), strings.HasPrefix(s, "lost connection"), strings.HasPrefix(s, "wu-ftpd"),
		strings.HasPrefix(s, "USER "), strings.HasPrefix(s, "PASS "), strings.HasPrefix(s, "exiting"):
		return note(ev, "ftpd.message")
	}
	return false
}

func ftpAddress(ev *event.Event, s string) { address(ev, strings.TrimSuffix(s, ",")) }

// vsftpdText reads `[NAME] FAIL LOGIN: Client "ADDRESS"`, `[NAME] OK LOGIN: Client "ADDRESS"` and `CONNECT: Client "ADDRESS"`. They
// usually go to a file of their own, where PAM's line is all that syslog sees: the failure is PAM's to count.
func vsftpdText(ev *event.Event, s string) bool {
	rest := s
	if strings.HasPrefix(s, "[pid ") {
		_, rest, _ = strings.Cut(s, "] ")
	}
	if strings.HasPrefix(rest, "[") {
		if i := strings.LastIndex(rest, "] "); i > 0 {
			ev.User.Name, rest = rest[1:i], rest[i+2:]
		}
	}
	what, client, ok := strings.Cut(rest, `: Client "`)
	if !ok {
		if strings.HasPrefix(s, "authentication failure; ") {
			return pamText(ev, pamOrigin{service: "vsftpd"}, s)
		}
		return note(ev, "vsftpd.message")
	}
	a, rest, _ := strings.Cut(client, `"`)
	address(ev, a)
	switch what {
	case "FAIL LOGIN":
		reason := reasonBadPassword
		if why, said := strings.CutPrefix(rest, `, "`); said {
			reason = strings.TrimSuffix(why, `"`)
		}
		return refuse(ev, "vsftpd.failed", event.LoginDetail, reason)
	case "OK LOGIN":
		return say(ev, "vsftpd.succeeded", event.Login, event.Success)
	case "CONNECT":
		return say(ev, "vsftpd.connection", event.ConnectionOpen, event.Success)
	case "OK DOWNLOAD", "OK UPLOAD", "OK DELETE", "OK MKDIR", "OK RMDIR", "OK RENAME":
		return note(ev, "vsftpd.message")
	}
	return note(ev, "vsftpd.message")
}

// klogindText reads "Authentication failed from HOST (ADDRESS): REASON".
func klogindText(ev *event.Event, program, s string) bool {
	if rest, ok := strings.CutPrefix(s, "Authentication failed from "); ok {
		name, rest := word(rest)
		address(ev, strings.TrimSuffix(name, ":"))
		ip, ok := between(rest, "(", ")")
		if ok {
			address(ev, ip)
		}
		if ev.Source.Domain == ev.Source.IP {
			ev.Source.Domain = ""
		}
		_, reason, _ := strings.Cut(rest, ": ")
		return refuse(ev, "klogind.failed", event.Login, reason)
	}
	switch {
	case strings.HasPrefix(s, "Kerberos authentication failed"):
		return refuse(ev, "klogind.kerberos", event.LoginDetail, "authentication failure")
	case strings.HasPrefix(s, "Connection from "), strings.HasPrefix(s, "connect from "):
		_, a, _ := strings.Cut(s, "from ")
		a, _ = word(a)
		address(ev, a)
		return say(ev, "klogind.connection", event.ConnectionOpen, event.Success)
	}
	return false
}

// xinetdText reads "START: telnet pid=7 from=ADDRESS", "EXIT: telnet status=0 pid=7 duration=1(sec)", "FAIL: telnet address
// from=ADDRESS".
func xinetdText(ev *event.Event, s string) bool {
	what, rest, ok := strings.Cut(s, ": ")
	if !ok {
		return strings.Contains(s, "ervice") && note(ev, "xinetd.message")
	}
	service, fields := word(rest)
	if _, from, found := cutLast2(fields, "from="); found {
		from, _ = word(from)
		address(ev, from)
	}
	switch what {
	case "START":
		ev.Service.Name = service
		return say(ev, "xinetd.start", event.ConnectionOpen, event.Success)
	case "EXIT":
		ev.Service.Name = service
		return say(ev, "xinetd.exit", event.ConnectionClose, event.Success)
	case "FAIL":
		ev.Service.Name = service
		reason, _ := word(fields)
		return refuse(ev, "xinetd.refused", event.ConnectionOpen, reason)
	}
	if rest, ok := strings.CutPrefix(s, "connect from "); ok {
		address(ev, rest)
		return say(ev, "telnetd.connection", event.ConnectionOpen, event.Success)
	}
	return note(ev, "xinetd.message")
}

// dropbearText reads dropbear, the small SSH server. A port follows the address after a colon.
func dropbearText(ev *event.Event, s string) bool {
	if strings.HasPrefix(s, "[") { // "[825] Jul 10 23:53:52 text": its own log line within syslog's
		if i := strings.Index(s, "] "); i > 0 && len(s) > i+18 && monthOf(s[i+2:]) > 0 {
			s = s[i+18:]
		}
	}
	if len(s) < 4 {
		return false
	}
	switch s[1:4] {
	case "ad ": // Bad password attempt for 'root' from ADDRESS:PORT; Bad PAM password attempt
		who, tail, ok := cutLast(s, " from ")
		if _, user, found := strings.Cut(who, " for "); ok && found {
			ev.User.Name = unquote(user)
			colonAddress(ev, tail)
			ev.Label("auth_method", "password")
			return refuse(ev, "dropbear.failed", event.Login, reasonBadPassword)
		}
	case "ogi": // Login attempt for nonexistent user ['x'] from ADDRESS:PORT
		who, tail, ok := cutLast(s, " from ")
		if _, user, found := strings.Cut(who, " user"); ok && found {
			ev.User.Name = unquote(trimBlanks(user))
			colonAddress(ev, tail)
			return refuse(ev, "dropbear.failed", event.Login, reasonInvalidUser)
		}
	case "ass", "ubk": // Password auth succeeded for 'root' from A:P; Pubkey auth succeeded for 'root' with key sha1!! .. from A:P
		who, tail, ok := cutLast(s, " from ")
		_, user, found := strings.Cut(who, " succeeded for ")
		if ok && found {
			user, key, _ := strings.Cut(user, " with ")
			ev.User.Name = unquote(user)
			ev.Label("key", key)
			colonAddress(ev, tail)
			return say(ev, "dropbear.accepted", event.Login, event.Success)
		}
	case "xit":
		return dropbearExit(ev, s)
	case "hil": // Child connection from ADDRESS:PORT
		if _, tail, ok := cutLast(s, " from "); ok {
			colonAddress(ev, tail)
			return say(ev, "dropbear.connection", event.ConnectionOpen, event.Success)
		}
	}
	return note(ev, "dropbear.message")
}

// dropbearExit reads "Exit before auth[ from <ADDRESS:PORT>][: (user 'root', 10 fails)]: REASON" and "Exit (root): REASON".
func dropbearExit(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s[1:], "xit before auth"); ok {
		if a, found := between(rest, "from <", ">"); found {
			colonAddress(ev, a)
		} else if _, a, found := cutLast(rest, " from "); found {
			colonAddress(ev, a)
		}
		user, found := between(rest, "(user '", "'")
		if !found {
			user, _ = between(rest, "user '", "'")
		}
		ev.User.Name = user
		if strings.Contains(rest, "Max auth tries") {
			return refuse(ev, "dropbear.max_attempts", event.LoginDetail, reasonTooMany)
		}
		return refuse(ev, "dropbear.exit", event.LoginDetail, reasonPreauth)
	}
	if user, found := between(s, "xit (", ")"); found {
		ev.User.Name = user
	}
	return say(ev, "dropbear.exit", event.ConnectionClose, event.Success)
}

// colonAddress reads "ADDRESS:PORT".
func colonAddress(ev *event.Event, s string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		address(ev, s)
		return
	}
	address(ev, s[:i])
	port(ev, s[i+1:])
}
