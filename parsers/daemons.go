package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// daemons reads the login lines of daemons that keep logs of their own, which have no syslog header: dovecot, exim, proftpd, vsftpd, mysqld, mongod,
// asterisk, squid, named, openvpn, fail2ban, auditd; and syslog files without the host's name.
//
//	line -> time in the daemon's own form (daemons_time.go) -> whose line it is (daemons_route.go) -> text -> event
//	                                                           the texts are read by what linux_auth reads them with
//
// What it promises: what linux_auth promises of texts; one line is one event, and a line whose daemon it cannot tell is ErrNoMatch.
// docs/parsers/daemons.md lists every form with its dataset, action, outcome and fields.
type daemons struct {
	clock *syslogClock
}

func newDaemons(_ string, body *conf.Body, o Options) (Parser, error) {
	if body != nil {
		body.Close()
	}
	return &daemons{clock: newSyslogClock(o)}, nil
}

// Dataset is that of lines that it does not recognize.
func (p *daemons) Dataset() string { return event.DatasetPrefix + "daemon.message" }

// Parse implements Parser.
func (p *daemons) Parse(line Line, ev *event.Event) error {
	var d daemonLine
	if !d.split(p.clock, line.Text, line.Received) {
		return ErrNoMatch
	}
	ev.Parser, ev.Dataset = "daemons", daemonDatasets[d.kind]
	ev.Time, ev.Message = d.time, d.text
	ev.Process.Name, ev.Process.PID = d.program, d.pid
	ev.Host.Name, ev.Realm = d.host, d.host
	if d.timeText != "" {
		ev.Time = line.Received
		ev.Tag("time-from-arrival")
		ev.Label("logged_time", d.timeText)
	}
	if err := d.read(ev); err != nil {
		return err
	}
	if ev.Process.Name == "" {
		ev.Process.Name = ev.Service.Name
	}
	return nil
}

// daemonKind is whose line it is.
type daemonKind uint8

const (
	daemonNone daemonKind = iota
	daemonDovecot
	daemonExim
	daemonProftpd
	daemonVsftpd
	daemonMysqld
	daemonMongod
	daemonMongodJSON
	daemonAsterisk
	daemonSquid
	daemonNamed
	daemonOpenvpn
	daemonFail2ban
	daemonAudit
	daemonMailTag  // a program of mail in a file without the host's name
	daemonOtherTag // another of the programs that linux_auth knows, in a file without the host's name
	daemonKinds
)

// daemonDatasets are event.dataset by kind.
var daemonDatasets = [daemonKinds]string{
	daemonDovecot:    event.DatasetPrefix + "mail.auth",
	daemonExim:       event.DatasetPrefix + "mail.auth",
	daemonMailTag:    event.DatasetPrefix + "mail.auth",
	daemonProftpd:    event.DatasetPrefix + "ftp.auth",
	daemonVsftpd:     event.DatasetPrefix + "ftp.auth",
	daemonMysqld:     event.DatasetPrefix + "database.auth",
	daemonMongod:     event.DatasetPrefix + "database.auth",
	daemonMongodJSON: event.DatasetPrefix + "database.auth",
	daemonAsterisk:   event.DatasetPrefix + "voip.auth",
	daemonSquid:      event.DatasetPrefix + "proxy.access",
	daemonNamed:      event.DatasetPrefix + "dns.query",
	daemonOpenvpn:    event.DatasetPrefix + "vpn.auth",
	daemonFail2ban:   event.DatasetPrefix + "fail2ban.action",
	daemonAudit:      event.DatasetPrefix + "linux.audit",
	daemonOtherTag:   linuxAuthDataset,
}

// daemonLine is one line, taken apart. All strings are substrings of the line.
type daemonLine struct {
	kind     daemonKind
	time     event.Time
	timeText string // the time as it stands, where it is no time
	host     string
	program  string
	pid      event.Long
	text     string // what follows the time, and host and program where it has them
	tag      syslogLine
}

// read hands the text to its daemon's reader.
func (d *daemonLine) read(ev *event.Event) error {
	switch d.kind {
	case daemonDovecot:
		if origin, rest, ok := pamPrefix(dovecotPAM(d.text), "dovecot"); ok {
			pamText(ev, origin, rest)
			return nil
		}
		dovecotText(ev, d.text)
	case daemonExim:
		eximText(ev, d.text)
	case daemonProftpd:
		proftpdText(ev, d.text)
	case daemonVsftpd:
		vsftpdText(ev, d.text)
		if ev.Code == "vsftpd.failed" { // here PAM's line is not beside it
			ev.Action = event.Login
		}
		ev.Service.Name, ev.Session.Protocol = "vsftpd", "ftp"
	case daemonMysqld:
		mysqldText(ev, d.text)
	case daemonMongod:
		mongodText(ev, d.text)
	case daemonMongodJSON:
		return mongodJSON(ev, d.text)
	case daemonAsterisk:
		asteriskText(ev, d.text)
	case daemonSquid:
		if !squidText(ev, d.text) {
			return ErrNoMatch
		}
	case daemonNamed:
		namedText(ev, d.text)
	case daemonOpenvpn:
		openvpnText(ev, d.text)
	case daemonFail2ban:
		fail2banText(ev, d.text)
	case daemonAudit:
		auditdText(ev, d.text)
	case daemonMailTag, daemonOtherTag:
		switch authText(ev, &d.tag, d.text) {
		case notCovered:
			return ErrNoMatch
		case unknownText:
			ev.Tag("unrecognized-message")
		}
	}
	return nil
}

// looksLikeDaemons says whether the line is one of a daemon's own log. It is cheap: most lines of other kinds fail at their first byte or at the time.
func looksLikeDaemons(text string) bool {
	var d daemonLine
	return d.split(looksClock, text, 0)
}

// dovecotPAM returns what PAM wrote in dovecot's name; "" where it did not.
func dovecotPAM(s string) string {
	_, rest, ok := strings.Cut(s, ": ")
	if !ok || !strings.HasPrefix(rest, "pam_") {
		return ""
	}
	return rest
}
