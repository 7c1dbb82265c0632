package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// daemonText recognizes the text of a network daemon that authenticates its clients, or refuses them. The same readers serve the
// daemons' own log files (daemons.go).
//
//	program, text -> dovecot                 linux_auth_daemons_dovecot.go
//	                 postfix/*/smtpd         linux_auth_daemons_postfix.go
//	                 exim                    linux_auth_daemons_exim.go
//	                 cyrus, courier          linux_auth_daemons_mail.go
//	                 proftpd, pure-ftpd      linux_auth_daemons_ftp.go
//	                 mysqld, mongod          linux_auth_daemons_database.go
//	                 asterisk                linux_auth_daemons_asterisk.go
//	                 openvpn, named, webmin  linux_auth_daemons_network.go
//	                 fail2ban                linux_auth_daemons_fail2ban.go
//	                 auditd                  linux_auth_daemons_audit.go
//
// Such daemons write much that is not about access: a text that says nothing of it gets the code NAME.message, without action and
// without a tag.
func daemonText(ev *event.Event, l *syslogLine, s string) verdict {
	program := l.program
	switch program {
	case "dovecot":
		return known(dovecotText(ev, s))
	case "imap-login", "pop3-login", "submission-login", "managesieve-login", "auth-worker", "dovecot-auth":
		return known(dovecotProcess(ev, program, "", s))
	case "exim", "exim4":
		return known(eximText(ev, cutOwnTime(s)))
	case "imap", "imaps", "pop3", "pop3s", "imapd", "pop3d", "imapd-ssl", "pop3d-ssl", "courierpop3login", "courierpop3d", "timsieved",
		"lmtpd", "nntpd":
		return mailboxText(ev, program, s)
	case "proftpd":
		return known(proftpdText(ev, s))
	case "pure-ftpd":
		return known(pureftpdText(ev, s))
	case "mysqld", "mariadbd", "mysqld_safe":
		return known(mysqldText(ev, cutOwnTime(s)))
	case "mongod", "mongos":
		return known(mongodText(ev, s))
	case "asterisk":
		return known(asteriskText(ev, s))
	case "named":
		return known(namedText(ev, s))
	case "webmin", "usermin":
		return known(webminText(ev, program, s))
	case "fail2ban", "fail2ban-server", "fail2ban.actions", "fail2ban.filter":
		return known(fail2banText(ev, s))
	case "audispd", "audisp-syslog":
		return known(auditdText(ev, s))
	}
	switch {
	case strings.HasPrefix(program, "postfix"):
		return postfixText(ev, program, s)
	case strings.HasPrefix(program, "cyrus/"):
		return mailboxText(ev, program[len("cyrus/"):], s)
	case strings.HasPrefix(program, "openvpn"), strings.HasPrefix(program, "ovpn-"):
		return known(openvpnText(ev, s))
	case strings.HasPrefix(program, "mongod."):
		return known(mongodText(ev, s))
	}
	return notCovered
}

// mailRequest makes a request one of e-mail: the daemon refused a command, not a login.
func mailRequest(ev *event.Event) { ev.Category, ev.Type = "email", "info" }

// peerAddress reads "NAME[ADDRESS][:PORT]", which the server writes before anything that the client said.
func peerAddress(ev *event.Event, s string) (rest string, ok bool) {
	open := strings.IndexByte(s, '[')
	if open < 0 || open > 255 {
		return s, false
	}
	end := strings.IndexByte(s[open:], ']')
	if end < 0 {
		return s, false
	}
	address(ev, s[open+1:open+end])
	if name := trimBlanks(s[:open]); ev.Source.IP != "" && name != "unknown" && isHostName(name) && name != ev.Source.IP && !isIPv4(name) {
		ev.Source.Domain = name
	}
	rest = s[open+end+1:]
	if len(rest) > 1 && rest[0] == ':' && isDigit(rest[1]) {
		rest = port(ev, rest[1:])
	}
	return rest, true
}

// isAddress says whether s is an IPv4 or IPv6 address.
func isAddress(s string) bool { return isIPv4(s) || strings.IndexByte(s, ':') >= 0 && isIPv6(s) }

// cutLevel takes "Info: ", "NOTICE " and the like off.
func cutLevel(ev *event.Event, s string) string {
	for _, level := range [...]string{"info", "notice", "warning", "error", "debug", "critical", "fatal", "panic"} {
		if n := len(level); len(s) > n && (s[n] == ':' || s[n] == ' ') && strings.EqualFold(s[:n], level) {
			ev.Log.Level = level
			return trimBlanks(s[n+1:])
		}
	}
	return s
}
