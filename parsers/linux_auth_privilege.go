package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// sudoText reads "alice : [REFUSAL ; ]TTY=pts/0 ; PWD=/home/alice ; USER=root ; [GROUP=g ; ][ENV=... ; ]COMMAND=/bin/ls".
// user is who called sudo, user.effective whom the command ran as. Fields are taken in the order in which sudo writes them, each
// at its first place: the rest of the line is the command, whatever it contains.
func sudoText(ev *event.Event, s string) bool {
	user, rest, ok := strings.Cut(s, " : ")
	if !ok {
		return sudoOther(ev, s)
	}
	ev.User.Name = user
	if text, more := strings.CutPrefix(rest, "(command continued) "); more {
		ev.Process.CommandLine = text
		return note(ev, "sudo.continued")
	}
	command := ""
	if i := strings.Index(rest, "COMMAND="); i == 0 || i > 0 && rest[i-1] == ' ' {
		command, rest = rest[i+len("COMMAND="):], rest[:i]
		setCommand(ev, command)
	}
	refusal := ""
	for first := true; rest != ""; first = false {
		var field string
		field, rest, _ = strings.Cut(rest, " ; ")
		field = trimBlanks(field)
		if !sudoField(ev, field) && first {
			refusal = field
		}
	}
	if command == "" && strings.HasPrefix(refusal, "unable to ") || strings.HasPrefix(refusal, "problem with ") {
		ev.Reason = refusal
		return note(ev, "sudo.message")
	}
	if refusal != "" {
		return refuse(ev, "sudo.refused", event.CommandRun, sudoReason(refusal))
	}
	if command == "" {
		return note(ev, "sudo.message")
	}
	return say(ev, "sudo.command", event.CommandRun, event.Success)
}

func sudoField(ev *event.Event, field string) bool {
	key, value, ok := strings.Cut(field, "=")
	if !ok {
		return field == ""
	}
	switch key {
	case "TTY":
		ev.Label("tty", value)
	case "PWD", "CWD":
		ev.Process.WorkingDirectory = value
	case "USER":
		ev.NeedUserEffective().Name = value
	case "GROUP":
		ev.NeedGroup().Name = value
	case "ENV":
		ev.Label("env", value)
	case "TSID":
		ev.Label("tsid", value)
	case "CHROOT":
		ev.Label("chroot", value)
	case "HOST":
		ev.Label("sudo_host", value)
	default:
		return false
	}
	return true
}

func sudoReason(s string) string {
	if isDigit(s[0]) && strings.Contains(s, "incorrect password attempt") {
		return reasonBadPassword
	}
	if strings.HasPrefix(s, "user NOT in sudoers") {
		return "not in sudoers"
	}
	return s
}

// sudoOther reads the few texts without a user before them.
func sudoOther(ev *event.Event, s string) bool {
	for _, p := range [...]string{"unable to ", "parse error", "/etc/sudo", "problem with", "pam_", "account validation", "error ",
		"no valid sudoers", "auth", "PAM ", "gkr-pam", ">>>", "timestamp", "unknown ", "ldap", "a password is required", "sudo: "} {
		if strings.HasPrefix(s, p) {
			return note(ev, "sudo.message")
		}
	}
	return false
}

// setCommand sets command line and executable.
func setCommand(ev *event.Event, command string) {
	ev.Process.CommandLine = command
	ev.Process.Executable, _ = word(command)
}

// doasText reads "alice ran command apt update as root from /home/alice", "command not permitted for alice: apt update" and
// "failed auth for alice".
func doasText(ev *event.Event, s string) bool {
	if user, rest, ok := strings.Cut(s, " ran command "); ok {
		ev.User.Name = user
		command, folder, _ := cutLast(rest, " from ")
		command, to, found := cutLast(command, " as ")
		if found {
			ev.NeedUserEffective().Name = to
		}
		ev.Process.WorkingDirectory = folder
		setCommand(ev, command)
		return say(ev, "doas.command", event.CommandRun, event.Success)
	}
	if rest, ok := strings.CutPrefix(s, "command not permitted for "); ok {
		user, command, _ := strings.Cut(rest, ": ")
		ev.User.Name = user
		setCommand(ev, command)
		return refuse(ev, "doas.refused", event.CommandRun, "command not allowed")
	}
	if user, ok := strings.CutPrefix(s, "failed auth for "); ok {
		ev.User.Name = user
		return refuse(ev, "doas.refused", event.CommandRun, reasonBadPassword)
	}
	return false
}

// suText reads what su itself writes; what PAM writes under its name is a detail of it.
func suText(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "(to "):
		return suTo(ev, s, true)
	case strings.HasPrefix(s, "FAILED SU (to "):
		return suTo(ev, s[len("FAILED SU "):], false)
	case strings.HasPrefix(s, "FAILED RUNUSER (to "):
		return suTo(ev, s[len("FAILED RUNUSER "):], false)
	case strings.HasPrefix(s, "Successful su for "):
		return suFor(ev, s[len("Successful su for "):], true)
	case strings.HasPrefix(s, "FAILED su for "):
		return suFor(ev, s[len("FAILED su for "):], false)
	case strings.HasPrefix(s, "BAD SU "):
		from, rest, _ := strings.Cut(s[len("BAD SU "):], " to ")
		ev.User.Name = from
		to, tty, _ := cutLast(rest, " on ")
		ev.NeedUserEffective().Name = to
		ev.Label("tty", tty)
		return refuse(ev, "su.failed", event.PrivilegeUse, reasonBadPassword)
	case len(s) > 4 && (s[0] == '+' || s[0] == '-') && s[1] == ' ':
		tty, users := word(s[2:])
		from, to, ok := strings.Cut(users, ":")
		if !ok {
			return false
		}
		ev.Label("tty", tty)
		ev.User.Name, ev.NeedUserEffective().Name = from, to
		if s[0] == '-' {
			return refuse(ev, "su.tty", event.LoginDetail, reasonBadPassword)
		}
		return say(ev, "su.tty", event.LoginDetail, event.Success)
	case strings.HasPrefix(s, "'su "):
		to, rest, ok := strings.Cut(s[len("'su "):], "' ")
		from, tty, on := cutLast(rest, " on ")
		result, from, is := strings.Cut(from, " for ")
		if !ok || !on || !is {
			return false
		}
		ev.User.Name, ev.NeedUserEffective().Name = from, to
		ev.Label("tty", tty)
		if result == "succeeded" {
			return say(ev, "su.succeeded", event.PrivilegeUse, event.Success)
		}
		return refuse(ev, "su.failed", event.PrivilegeUse, reasonBadPassword)
	case strings.HasPrefix(s, "pam_authenticate: "):
		return refuse(ev, "su.pam", event.LoginDetail, s[len("pam_authenticate: "):])
	case strings.HasPrefix(s, "No passwd entry for user "):
		ev.NeedUserEffective().Name = unquote(s[len("No passwd entry for user "):])
		return refuse(ev, "su.unknown_user", event.LoginDetail, reasonInvalidUser)
	case strings.HasPrefix(s, "pam_acct_mgmt"), strings.HasPrefix(s, "pam_open_session"), strings.HasPrefix(s, "gkr-pam"),
		strings.HasPrefix(s, "adding "), strings.HasPrefix(s, "no controlling tty"):
		return note(ev, "su.message")
	}
	return false
}

// suTo reads "(to root) alice on pts/0".
func suTo(ev *event.Event, s string, granted bool) bool {
	to, rest, ok := strings.Cut(s[len("(to "):], ") ")
	if !ok {
		return false
	}
	from, tty, on := cutLast(rest, " on ")
	if !on {
		from = rest
	}
	ev.User.Name, ev.NeedUserEffective().Name = from, to
	if tty != "none" {
		ev.Label("tty", tty)
	}
	return suResult(ev, granted)
}

// suFor reads "root by alice".
func suFor(ev *event.Event, s string, granted bool) bool {
	to, from, ok := cutLast(s, " by ")
	if !ok {
		return false
	}
	ev.User.Name, ev.NeedUserEffective().Name = from, to
	return suResult(ev, granted)
}

func suResult(ev *event.Event, granted bool) bool {
	if granted {
		return say(ev, "su.succeeded", event.PrivilegeUse, event.Success)
	}
	return refuse(ev, "su.failed", event.PrivilegeUse, reasonBadPassword)
}

// polkitText reads polkitd and pkexec.
func polkitText(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "Operator of "):
		return polkitOperator(ev, s)
	case strings.HasPrefix(s, "Registered Authentication Agent"), strings.HasPrefix(s, "Unregistered Authentication Agent"):
		return note(ev, "polkit.agent")
	case strings.HasPrefix(s, "Loading "), strings.HasPrefix(s, "Finished "), strings.HasPrefix(s, "Acquired "), strings.HasPrefix(s, "Started "),
		strings.HasPrefix(s, "Lost "), strings.HasPrefix(s, "Reloading "), strings.HasPrefix(s, "Collecting "), strings.HasPrefix(s, "Error "),
		strings.HasPrefix(s, "<no filename>"), strings.HasPrefix(s, "/"):
		return note(ev, "polkit.message")
	}
	user, rest, ok := strings.Cut(s, ": ")
	if !ok || !strings.HasSuffix(s, "]") {
		return false
	}
	text, fields, ok := strings.Cut(rest, " [USER=")
	if !ok {
		return false
	}
	ev.User.Name = user
	to, fields, _ := strings.Cut(fields, "] [TTY=")
	tty, fields, _ := strings.Cut(fields, "] [CWD=")
	folder, command, _ := strings.Cut(fields, "] [COMMAND=")
	ev.NeedUserEffective().Name = to
	ev.Label("tty", tty)
	ev.Process.WorkingDirectory = folder
	setCommand(ev, strings.TrimSuffix(command, "]"))
	if text == "Executing command" {
		return say(ev, "pkexec.command", event.CommandRun, event.Success)
	}
	return refuse(ev, "pkexec.refused", event.CommandRun, text)
}

// polkitOperator reads "Operator of unix-session:2 [successfully authenticated|FAILED to authenticate] as unix-user:root to
// gain [TEMPORARY|ONE-SHOT] authorization for action X for Y [command] (owned by unix-user:alice)".
func polkitOperator(ev *event.Event, s string) bool {
	rest := s[len("Operator of "):]
	subject, rest := word(rest)
	if id, ok := strings.CutPrefix(subject, "unix-session:"); ok {
		ev.Session.ID = id
	}
	granted := strings.HasPrefix(rest, "successfully authenticated")
	if as, ok := between(rest, " as unix-user:", " "); ok {
		ev.NeedUserEffective().Name = unquote(as)
	}
	if owner, ok := between(rest, "(owned by unix-user:", ")"); ok {
		ev.User.Name = unquote(owner)
	}
	if action, ok := between(rest, "authorization for action ", " "); ok {
		ev.Label("polkit_action", action)
	}
	if command, ok := between(rest, " [", "] ("); ok {
		setCommand(ev, command)
	}
	if granted {
		return say(ev, "polkit.authorized", event.PrivilegeUse, event.Success)
	}
	return refuse(ev, "polkit.refused", event.PrivilegeUse, "not authenticated")
}
