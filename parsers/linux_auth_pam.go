package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// pamOrigin is who speaks: module pam_unix of service sshd, of type auth, account, session or chauthtok ("password changed").
type pamOrigin struct {
	module, service, kind string
	old                   bool // "su(pam_unix)[7]:", before Linux-PAM 0.99.2: programs of that time write few lines of their own
}

// pamPrefix takes the prefix off: "pam_unix(sshd:auth): ", "pam_unix(auth): ", "pam_unix: ", "(pam_unix) ", and "PAM 2 more ...",
// "PAM service(sshd) ...", whose text begins with PAM.
func pamPrefix(s, program string) (o pamOrigin, rest string, ok bool) {
	o.service = program
	if len(s) < 8 {
		return o, s, false
	}
	switch {
	case s[:4] == "pam_":
		i := 4
		for i < len(s) && (isDigit(s[i]) || s[i] == '_' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z') {
			i++
		}
		if i >= len(s)-1 {
			return o, s, false
		}
		o.module = s[:i]
		if s[i] == ':' {
			return o, trimBlanks(s[i+1:]), true
		}
		end := strings.IndexByte(s, ')')
		if s[i] != '(' || end < 0 || end+1 >= len(s) || s[end+1] != ':' {
			return o, s, false
		}
		if in := s[i+1 : end]; strings.IndexByte(in, ':') >= 0 {
			o.service, o.kind, _ = strings.Cut(in, ":")
		} else {
			o.kind = in
		}
		return o, trimBlanks(s[end+2:]), true
	case s[:5] == "(pam_":
		end := strings.IndexByte(s, ')')
		if end < 0 {
			return o, s, false
		}
		o.module = s[1:end]
		return o, trimBlanks(strings.TrimPrefix(s[end+1:], ":")), true
	case s[:4] == "PAM " && (isDigit(s[4]) || strings.HasPrefix(s[4:], "service(")):
		o.module = "pam"
		return o, s[4:], true
	}
	return o, s, false
}

// role is what a service's PAM lines stand for.
type role uint8

const (
	roleLogin   role = iota // the PAM failure is the service's only line about an attempt
	roleServer              // sshd, login: the service writes lines of its own about attempts; its sessions are people's
	roleOwnLine             // su, sudo, passwd ...: the service writes lines of its own, and its sessions are no logins
)

func roleOf(service string) role {
	switch service {
	case "sshd", "login", "remote", "dovecot", "proftpd", "pure-ftpd":
		return roleServer
	case "sudo", "sudo-i", "su", "su-l", "runuser", "runuser-l", "doas", "pkexec", "polkit-1", "cron", "crond", "crontab", "atd",
		"systemd-user", "passwd", "chpasswd", "chfn", "chsh", "chage", "useradd", "usermod", "userdel", "groupadd", "groupmod",
		"groupdel", "newusers", "gdm-launch-environment", "lightdm-greeter", "sddm-greeter", "xscreensaver", "gnome-screensaver",
		"kscreensaver", "kde", "i3lock", "swaylock", "xlock", "vlock", "systemd-run0":
		return roleOwnLine
	}
	return roleLogin
}

// failedAction is what a failed authentication of the service is. Where several modules report one attempt, pam_unix counts.
func (o *pamOrigin) failedAction() event.Action {
	switch r := roleOf(o.service); {
	case r == roleLogin && (o.module == "pam_unix" || o.module == "pam_unix2" || o.module == ""):
		return event.Login
	case o.old && (o.service == "su" || o.service == "sudo"):
		return event.PrivilegeUse
	}
	return event.LoginDetail
}

// pamText recognizes what PAM modules write. A module's text that is none of these is known to be PAM's and no more.
func pamText(ev *event.Event, o pamOrigin, s string) bool {
	ev.Labels = append(ev.Labels, event.Label{Key: "pam_service", Value: o.service})
	if o.module != "" {
		ev.Labels = append(ev.Labels, event.Label{Key: "pam_module", Value: o.module})
	}
	if s == "" {
		return note(ev, "pam.message")
	}
	switch s[0] {
	case 's':
		if rest, ok := strings.CutPrefix(s, "session opened for user "); ok {
			return pamOpened(ev, &o, rest)
		}
		if rest, ok := strings.CutPrefix(s, "session closed for user "); ok {
			return pamClosed(ev, &o, rest)
		}
	case 'a':
		if rest, ok := strings.CutPrefix(s, "authentication failure; "); ok {
			pamAttempt(ev, &o, rest)
			return refuse(ev, "pam.auth_failure", o.failedAction(), "authentication failure")
		}
		if rest, ok := strings.CutPrefix(s, "authentication success; "); ok {
			pamAttempt(ev, &o, rest)
			return say(ev, "pam.auth_success", event.LoginDetail, event.Success)
		}
	case 'c':
		if s == "check pass; user unknown" {
			return refuse(ev, "pam.check_pass", event.LoginDetail, reasonInvalidUser)
		}
	}
	if isDigit(s[0]) {
		n, i := digits(s, 0, 6)
		if rest, ok := strings.CutPrefix(s[i:], " more authentication failure"); ok {
			rest = strings.TrimPrefix(rest, "s")
			pamAttempt(ev, &o, strings.TrimPrefix(rest, "; "))
			ev.Count = event.LongOf(int64(max(n, 1)))
			return refuse(ev, "pam.more_failures", event.LoginDetail, "authentication failure")
		}
	}
	if strings.HasPrefix(s, "service(") {
		service, _ := between(s, "(", ")")
		ev.Labels[0].Value = service
		return refuse(ev, "pam.max_retries", event.LoginDetail, reasonTooMany)
	}
	return pamModule(ev, &o, s) || note(ev, "pam.message")
}

// pamOpened reads "NAME[(uid=N)] by [NAME](uid=N)".
func pamOpened(ev *event.Event, o *pamOrigin, s string) bool {
	user, by, _ := cutLast(s, " by ")
	name, id := cutUID(user)
	actor, actorID := cutUID(by)
	switch o.service {
	case "su", "su-l", "runuser", "runuser-l", "sudo", "sudo-i", "doas", "pkexec", "polkit-1":
		ev.User.Name, ev.User.ID = actor, actorID
		to := ev.NeedUserEffective()
		to.Name, to.ID = name, id
		if o.old {
			return say(ev, "pam.session_opened", event.PrivilegeUse, event.Success)
		}
	default:
		ev.User.Name, ev.User.ID = name, id
		ev.Label("by", actor)
	}
	if roleOf(o.service) == roleOwnLine {
		return say(ev, "pam.session_opened", event.LoginDetail, event.Success)
	}
	ev.Session.Protocol = protocolOf(o.service)
	return say(ev, "pam.session_opened", event.SessionStart, event.Success)
}

func pamClosed(ev *event.Event, o *pamOrigin, s string) bool {
	name, id := cutUID(s)
	switch o.service {
	case "su", "su-l", "runuser", "runuser-l", "sudo", "sudo-i", "doas", "pkexec", "polkit-1":
		to := ev.NeedUserEffective()
		to.Name, to.ID = name, id
	default:
		ev.User.Name, ev.User.ID = name, id
	}
	if roleOf(o.service) == roleOwnLine {
		return say(ev, "pam.session_closed", event.LoginDetail, event.Success)
	}
	ev.Session.Protocol = protocolOf(o.service)
	return say(ev, "pam.session_closed", event.SessionEnd, event.Success)
}

func protocolOf(service string) string {
	if service == "sshd" {
		return "ssh"
	}
	return service
}

// cutUID cuts "alice(uid=1000)"; what follows the parenthesis is not the name's.
func cutUID(s string) (name, id string) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '(' && strings.HasPrefix(s[i:], "(uid=") {
			end := i + 5
			for end < len(s) && (isDigit(s[end]) || s[end] == '-') {
				end++
			}
			return s[:i], s[i+5 : end]
		}
	}
	return s, ""
}

// pamAttempt reads "logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=NAME". ruser and user may be the client's choice.
func pamAttempt(ev *event.Event, o *pamOrigin, s string) {
	head, ruser, rhost, user := pamFields(s)
	for head != "" {
		var field string
		field, head = word(head)
		key, value, ok := strings.Cut(field, "=")
		if !ok || value == "" {
			continue
		}
		switch key {
		case "logname", "uid", "euid", "tty":
			ev.Labels = append(ev.Labels, event.Label{Key: key, Value: value})
		}
	}
	if ruser != "" {
		ev.Labels = append(ev.Labels, event.Label{Key: "ruser", Value: ruser})
	}
	if rhost != "" {
		address(ev, rhost)
	}
	if user == "" {
		user = ruser
	}
	ev.User.Name = user
	if strings.HasPrefix(o.service, "su") && roleOf(o.service) == roleOwnLine && !strings.HasPrefix(o.service, "sudo") {
		ev.User.Name = ruser
		ev.NeedUserEffective().Name = user
	}
}

// pamFields cuts the fields apart. Of several places that could be rhost it takes the one that is followed by the end or by
// user=, and where ruser and user are both given, by the one that makes them the same name: the client can write
// " rhost=192.0.2.1 user=x" into either, but not make it fit both.
func pamFields(s string) (head, ruser, rhost, user string) {
	head, rest, ok := strings.Cut(s, "ruser=")
	if !ok {
		head, rest = "", s
	}
	const key = "rhost="
	found := false
	for from := 0; ; {
		i := strings.Index(rest[from:], key)
		if i < 0 {
			break
		}
		i += from
		from = i + len(key)
		if i == 0 && ok || i > 0 && rest[i-1] != ' ' {
			continue
		}
		host, tail := word(rest[from:])
		tail = trimBlanks(tail)
		u, isUser := strings.CutPrefix(tail, "user=")
		if tail != "" && !isUser {
			continue
		}
		r := trimBlanks(rest[:i])
		fits := u == "" || r == "" || u == r
		if !found || fits {
			ruser, rhost, user, found = r, host, u, true
		}
		if fits {
			break
		}
	}
	if !found {
		ruser = trimBlanks(rest)
	}
	if !ok {
		head, ruser = ruser, ""
	}
	return trimBlanks(head), ruser, rhost, user
}
