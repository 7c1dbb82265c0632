package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// split finds out whose line it is. It allocates nothing, and is also what auto asks: it takes no line on the strength of its time alone.
func (d *daemonLine) split(c *syslogClock, s string, received event.Time) bool {
	d.kind = daemonNone
	if len(s) < 20 {
		return false
	}
	switch s[0] {
	case '[':
		return d.bracketed(c, s, received)
	case '{':
		return d.json(s)
	case 't', 'n':
		if strings.HasPrefix(s, "type=") || strings.HasPrefix(s, "node=") {
			return d.audit(s)
		}
		return false
	}
	form, n := d.daemonTime(c, s, received)
	if form == stampNone {
		return false
	}
	d.text = trimBlanks(s[n:])
	if d.text == "" {
		return false
	}
	switch form {
	case stampTAI:
		return d.is(dovecotLike(d.text), daemonDovecot)
	case stampShort:
		return d.is(strings.HasPrefix(d.text, "["), daemonMysqld)
	case stampNamed:
		return d.is(namedLike(d.text), daemonNamed)
	case stampEpoch:
		return d.is(squidLike(d.text), daemonSquid)
	case stampCtime:
		return d.is(strings.HasPrefix(d.text, "[pid "), daemonVsftpd) || d.is(openvpnLike(d.text), daemonOpenvpn)
	case stampISO:
		return d.is(mysqldLike(d.text), daemonMysqld) || d.is(mongodLike(d.text), daemonMongod)
	case stampDate:
		return d.dated()
	case stampBSD:
		return d.tagged()
	}
	return false
}

func (d *daemonLine) is(yes bool, kind daemonKind) bool {
	if yes {
		d.kind = kind
	}
	return yes
}

// dated is for the times that most daemons write.
func (d *daemonLine) dated() bool {
	switch {
	case strings.HasPrefix(d.text, "fail2ban."):
		return d.is(true, daemonFail2ban)
	case mysqldLike(d.text):
		return d.is(true, daemonMysqld)
	case dovecotLike(d.text):
		return d.is(true, daemonDovecot)
	case looksExim(d.text):
		return d.is(true, daemonExim)
	case openvpnLike(d.text):
		return d.is(true, daemonOpenvpn)
	}
	// "HOST proftpd[7] ...", "HOST exim[7]: ..."
	host, rest := word(d.text)
	program, text, ok := strings.Cut(rest, "[")
	if !ok || program != "proftpd" && program != "exim" || !isHostName(host) {
		return false
	}
	pid, text, ok := strings.Cut(text, "]")
	if !ok || len(pid) > 10 {
		return false
	}
	if host != "info" && host != "notice" && host != "warning" && host != "err" { // syslog-ng's level may stand there
		d.host = host
	}
	d.program, d.pid = program, parseLong(pid)
	d.text = trimBlanks(strings.TrimPrefix(text, ":"))
	return d.is(program == "proftpd", daemonProftpd) || d.is(true, daemonExim)
}

// tagged is for syslog files without the host's name: "Nov 22 12:00:00 dropbear[7]: text". Only programs that are known count.
func (d *daemonLine) tagged() bool {
	first, _ := word(d.text)
	if !strings.HasSuffix(first, ":") {
		return false
	}
	if dovecotLike(d.text) {
		return d.is(true, daemonDovecot)
	}
	if namedLike(d.text) {
		return d.is(true, daemonNamed)
	}
	d.tag = syslogLine{}
	d.tag.splitTag(d.text)
	if d.tag.untagged {
		return false
	}
	d.program, d.pid, d.text = d.tag.program, d.tag.pid, d.tag.message
	switch p := d.program; {
	case strings.HasPrefix(p, "openvpn"), strings.HasPrefix(p, "ovpn-"):
		return d.is(true, daemonOpenvpn)
	case p == "exim", strings.HasPrefix(p, "postfix"), strings.HasPrefix(p, "cyrus/"):
		return d.is(true, daemonMailTag)
	case p == "dropbear", p == "sshd", p == "proftpd", p == "pure-ftpd", p == "vsftpd", p == "xinetd", p == "webmin":
		return d.is(true, daemonOtherTag)
	case p == "imapd", p == "pop3d", p == "imapd-ssl", p == "pop3d-ssl", p == "imap", p == "pop3", p == "imaps", p == "pop3s":
		return d.is(mailboxLike(d.text), daemonMailTag)
	}
	return false
}

func mailboxLike(s string) bool {
	return strings.HasPrefix(s, "badlogin: ") || strings.HasPrefix(s, "login: ") || strings.HasPrefix(s, "LOGIN")
}

// bracketed is asterisk's "[2026-11-22 12:00:00] LEVEL[7]..." or "[Nov 22 12:00:00] ...".
func (d *daemonLine) bracketed(c *syslogClock, s string, received event.Time) bool {
	end := strings.IndexByte(s[:min(len(s), 40)], ']')
	if end < 16 || end+2 >= len(s) || s[end+1] != ' ' {
		return false
	}
	text := s[end+2:]
	if !asteriskLike(text) {
		return false
	}
	// daemonTime wants a blank behind the time.
	var ok bool
	switch stamp := s[1:end]; {
	case isDigit(stamp[0]) && len(stamp) >= 19 && stamp[4] == '-':
		_, ok = d.dateTime(c, stamp)
	case !isDigit(stamp[0]):
		if len(stamp) > 15 && stamp[15] != '.' {
			return false
		}
		_, ok = d.monthTime(c, s[1:], received, stampBSD)
	}
	if !ok {
		return false
	}
	d.program, d.text = "asterisk", text
	return d.is(true, daemonAsterisk)
}

func asteriskLike(s string) bool {
	for _, level := range [...]string{"NOTICE", "WARNING", "SECURITY", "VERBOSE", "ERROR", "DEBUG", "DTMF"} {
		if rest, ok := strings.CutPrefix(s, level); ok {
			rest = trimBlanks(rest)
			return len(rest) > 1 && rest[0] == '[' && isDigit(rest[1])
		}
	}
	return false
}

// audit is a record of auditd: its time stands in msg=audit(SECONDS.MILLIS:SERIAL).
func (d *daemonLine) audit(s string) bool {
	i := strings.Index(s[:min(len(s), 320)], " msg=audit(")
	if i < 0 || !strings.Contains(s[:i], "type=") {
		return false
	}
	if _, ok := d.epochTime(s[i+len(" msg=audit("):]); !ok {
		return false
	}
	d.text = s
	return d.is(true, daemonAudit)
}

// json is mongod's log since 4.4, which always begins with the time.
func (d *daemonLine) json(s string) bool {
	rest, ok := strings.CutPrefix(s, `{"t":{"$date":"`)
	if !ok || len(rest) < 20 || !strings.Contains(rest[:min(len(rest), 160)], `"ctx":"`) {
		return false
	}
	if _, ok = looksClock.isoTime(rest, &d.time); !ok {
		return false
	}
	d.text, d.program = s, "mongod"
	return d.is(true, daemonMongodJSON)
}

// dovecotLike wants one of dovecot's processes and what follows it.
func dovecotLike(s string) bool {
	i := strings.IndexAny(s[:min(len(s), 24)], "(:<")
	return i > 0 && isDovecot(s[:i]) && strings.Contains(s[i:], ": ")
}

// namedLike wants "client [@0x.. ]ADDRESS#", behind "CATEGORY: " and "LEVEL: " or not.
func namedLike(s string) bool {
	for n := 0; n < 2; n++ {
		if first, rest, ok := strings.Cut(s, ": "); ok && len(first) < 24 && strings.IndexByte(first, ' ') < 0 {
			s = trimBlanks(rest)
		}
	}
	rest, ok := strings.CutPrefix(s, "client ")
	if !ok {
		return false
	}
	if strings.HasPrefix(rest, "@") {
		_, rest = word(rest)
	}
	a, _, ok := strings.Cut(rest[:min(len(rest), 64)], "#")
	return ok && isAddress(a)
}

// mysqldLike wants "THREAD [Level] ".
func mysqldLike(s string) bool {
	_, i := digits(s, 0, 18)
	if i == 0 || i >= len(s) || s[i] != ' ' {
		return false
	}
	s = trimBlanks(s[i:])
	for _, level := range [...]string{"[Warning] ", "[Note] ", "[ERROR] ", "[System] ", "[Entry] "} {
		if strings.HasPrefix(s, level) {
			return true
		}
	}
	return false
}

// mongodLike wants "[context] " or "LEVEL COMPONENT [context] ".
func mongodLike(s string) bool {
	if len(s) > 2 && s[1] == ' ' && strings.IndexByte("FEWID", s[0]) >= 0 {
		component, rest := word(trimBlanks(s[2:]))
		for i := 0; i < len(component); i++ {
			if c := component[i]; (c < 'A' || c > 'Z') && c != '_' && c != '-' {
				return false
			}
		}
		s = trimBlanks(rest)
	}
	for _, context := range [...]string{"[conn", "[initandlisten] ", "[listener] ", "[thread"} {
		if strings.HasPrefix(s, context) {
			return strings.Contains(s[:min(len(s), 40)], "] ")
		}
	}
	return false
}

// openvpnLike wants "[NAME/]ADDRESS:PORT " or one of the texts that openvpn begins with, behind "us=N " or not.
func openvpnLike(s string) bool {
	who, rest := word(s)
	if strings.HasPrefix(who, "us=") {
		who, rest = word(rest)
	}
	if strings.HasPrefix(who, "TLS") && strings.HasPrefix(rest, "Error: ") || strings.HasPrefix(s, "TCP connection established with [AF_INET") {
		return true
	}
	if i := strings.LastIndexByte(who, '/'); i >= 0 {
		who = who[i+1:]
	}
	i := strings.LastIndexByte(who, ':')
	if i <= 0 || !isAddress(who[:i]) {
		return false
	}
	for _, text := range [...]string{"TLS", "VERIFY ", "SIG", "[", "Connection reset", "WARNING: ", "Control Channel", "peer info: ", "MULTI", "PUSH", "SENT "} {
		if strings.HasPrefix(rest, text) {
			return true
		}
	}
	return false
}
