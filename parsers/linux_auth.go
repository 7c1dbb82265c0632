package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// linuxAuth reads what Linux writes about access: sshd, PAM, sudo, su, login, the account tools, systemd-logind, cron and
// their kin, from syslog files of either time format and from RFC 5424 lines.
//
//	line -> header (syslog_line.go) -> program -> text -> event
//	                                   sshd        linux_auth_sshd.go, linux_auth_ssh_connection.go
//	                                   pam_*(...)  linux_auth_pam.go, of any program
//	                                   sudo, su    linux_auth_privilege.go
//	                                   useradd ... linux_auth_accounts.go
//	                                   login, ftpd linux_auth_login.go
//	                                   logind      linux_auth_session.go
//	                                   cron        linux_auth_cron.go
//	                                   dovecot ... linux_auth_daemons.go and its kin
//
// What it promises: each line with a syslog header is exactly one event; nothing is allocated per line; names that an
// attacker chose ("x from 192.0.2.1 port 1") move no field, because texts are read from the side that the server writes.
// docs/parsers/linux_auth.md lists every form with its action, outcome and fields.
type linuxAuth struct {
	clock *syslogClock
}

const linuxAuthDataset = event.DatasetPrefix + "linux.auth"

func newLinuxAuth(_ string, body *conf.Body, o Options) (Parser, error) {
	if body != nil {
		body.Close()
	}
	return &linuxAuth{clock: newSyslogClock(o)}, nil
}

func (p *linuxAuth) Dataset() string { return linuxAuthDataset }

// Parse implements Parser.
func (p *linuxAuth) Parse(line Line, ev *event.Event) error { return p.parse(line, ev, false) }

// parse declines, where it is told to, messages of programs that are none of this parser's.
func (p *linuxAuth) parse(line Line, ev *event.Event, decline bool) error {
	var l syslogLine
	if h := line.Header; h != nil {
		l = syslogLine{host: h.Hostname, program: h.Program, module: h.Module, pid: h.PID, message: line.Text, untagged: h.Program == ""}
		ev.Time, ev.Host.Name, ev.Process.Name, ev.Process.PID, ev.Message = h.Time, l.host, l.program, l.pid, l.message
	} else if !p.clock.split(line.Text, line.Received, &l) {
		return ErrNoMatch
	} else {
		l.fill(ev, line.Received)
	}
	ev.Dataset, ev.Parser = linuxAuthDataset, "linux_auth"
	ev.Realm = l.host
	text := l.message
	if l.untagged {
		untaggedLine(ev, text)
		if decline && ev.Code == "" {
			return ErrNoMatch
		}
		return nil
	}
	if rest, ok := strings.CutPrefix(text, "message repeated "); ok {
		text = repeated(ev, text, rest)
	}
	switch v := authText(ev, &l, text); {
	case v == unknownText:
		ev.Tag("unrecognized-message")
	case v == notCovered && decline:
		return ErrNoMatch
	}
	return nil
}

// looksLikeLinuxAuth says whether the text has a syslog header. It is what auto asks first: cheap, and safe to be asked
// about any text.
func looksLikeLinuxAuth(text string) bool {
	var l syslogLine
	return looksClock.split(text, 0, &l)
}

// looksClock has a year of its own, so that no line of a leap day is taken for another kind.
var looksClock = newSyslogClock(Options{Year: 2000})

// repeated unwraps "message repeated 3 times: [ text]" (rsyslog).
func repeated(ev *event.Event, text, rest string) string {
	n, i := digits(rest, 0, 9)
	inner, ok := strings.CutPrefix(rest[i:], " times: [")
	if !ok || n == 0 {
		return text
	}
	ev.Count = event.LongOf(int64(n))
	inner = strings.TrimSuffix(inner, "]")
	return trimBlanks(inner)
}

// untaggedLine is for the lines that syslogd itself writes.
func untaggedLine(ev *event.Event, text string) {
	if rest, ok := strings.CutPrefix(text, "last message repeated "); ok {
		// What was repeated stands in the line before, which is not known here.
		n, _, _ := strings.Cut(rest, " ")
		ev.Code = "syslog.last_message_repeated"
		ev.Label("repeats", n)
	} else if text == "-- MARK --" {
		ev.Code = "syslog.mark"
	}
}

// verdict is what became of a text.
type verdict uint8

const (
	notCovered  verdict = iota // the program is none of ours
	unknownText                // the program is, the text is not known
	recognized
)

func known(ok bool) verdict {
	if ok {
		return recognized
	}
	return unknownText
}

// authText recognizes the text of a program.
func authText(ev *event.Event, l *syslogLine, text string) verdict {
	program := l.program
	if l.module == dashTag {
		return known(loginTag(ev, program, text))
	}
	if strings.HasPrefix(l.module, "pam") {
		return known(pamText(ev, pamOrigin{module: l.module, service: program, old: true}, text))
	}
	switch program {
	case "sshd", "sshd-session", "sshd-auth":
		return known(sshdText(ev, text))
	}
	if origin, rest, ok := pamPrefix(text, program); ok {
		return known(pamText(ev, origin, rest))
	}
	switch program {
	case "sudo":
		return known(sudoText(ev, text))
	case "CRON", "cron", "crond", "CROND", "crontab", "anacron", "atd", "run-parts":
		ev.Process.WorkingDirectory = l.module // run-parts(/etc/cron.hourly)
		return known(cronText(ev, program, text))
	case "systemd-logind":
		return known(logindText(ev, text))
	case "systemd":
		return systemdText(ev, text)
	case "su", "su-l", "runuser":
		return known(suText(ev, text))
	case "login", "remote":
		return known(loginText(ev, text))
	case "useradd", "usermod", "userdel", "adduser", "deluser", "newusers",
		"groupadd", "groupmod", "groupdel", "addgroup", "delgroup", "gpasswd", "groupmems", "passwd", "chpasswd", "chgpasswd",
		"chage", "chfn", "chsh", "vipw", "shadow":
		return known(accountText(ev, program, text))
	case "polkitd", "pkexec", "polkit-agent-helper-1":
		return known(polkitText(ev, text))
	case "doas":
		return known(doasText(ev, text))
	case "unix_chkpwd":
		return known(chkpwdText(ev, text))
	case "sftp-server", "internal-sftp":
		return known(sftpText(ev, text))
	case "dropbear":
		return known(dropbearText(ev, text))
	case "ftpd", "vsftpd", "klogind", "rlogind", "rshd", "telnetd", "in.telnetd", "in.ftpd", "xinetd", "gdm-binary":
		return known(serviceText(ev, program, text))
	case "gdm", "gdm-password", "gdm-launch-environment", "gdm-session-worker", "gdm-autologin", "lightdm", "sddm", "sddm-helper":
		return displayManagerText(ev, text)
	}
	if strings.HasPrefix(text, "authentication failure; ") {
		return known(pamText(ev, pamOrigin{service: program}, text))
	}
	return daemonText(ev, l, text)
}

// say sets what the form of a text means and returns true, so that a form is one line of code.
func say(ev *event.Event, code string, action event.Action, outcome event.Outcome) bool {
	ev.Code, ev.Action, ev.Outcome = code, action, outcome
	return true
}

// refuse is say for a failure with its reason.
func refuse(ev *event.Event, code string, action event.Action, reason string) bool {
	ev.Code, ev.Action, ev.Outcome, ev.Reason = code, action, event.Failure, reason
	return true
}

// note is say for a text that is known and about nothing that is counted.
func note(ev *event.Event, code string) bool {
	ev.Code = code
	return true
}
