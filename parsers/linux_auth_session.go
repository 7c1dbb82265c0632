package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// logindText reads systemd-logind. Its sessions carry the id but not always the user, and PAM has written a line about each of
// them already: so they are details, joined by gatebook.session.id, and PAM's lines are the begin and end that count.
func logindText(ev *event.Event, s string) bool {
	switch {
	case strings.HasPrefix(s, "New session "):
		id, rest := cutQuoted(s[len("New session "):])
		rest, ok := strings.CutPrefix(rest, " of user ")
		if !ok {
			return false
		}
		user, rest := cutQuoted(rest)
		ev.Session.ID, ev.Session.Status = id, "active"
		ev.User.Name = strings.TrimSuffix(user, ".")
		if kind, found := between(rest, "class '", "'"); found {
			ev.Label("session_class", kind)
		}
		if kind, found := between(rest, "type '", "'"); found {
			ev.Label("session_type", kind)
		}
		return say(ev, "logind.new_session", event.LoginDetail, event.Success)
	case strings.HasPrefix(s, "Session "):
		id, rest := cutQuoted(s[len("Session "):])
		if !strings.HasPrefix(rest, " logged out") {
			return false
		}
		ev.Session.ID, ev.Session.Status = id, "closing"
		return say(ev, "logind.logged_out", event.LoginDetail, event.Success)
	case strings.HasPrefix(s, "Removed session "):
		id, _ := cutQuoted(strings.TrimSuffix(s[len("Removed session "):], "."))
		ev.Session.ID, ev.Session.Status = id, "closed"
		return say(ev, "logind.removed_session", event.LoginDetail, event.Success)
	case strings.HasPrefix(s, "System is "), strings.HasPrefix(s, "The system will "), strings.HasPrefix(s, "Powering "),
		strings.HasPrefix(s, "Rebooting"):
		return say(ev, "logind.shutdown", event.SystemStop, event.Success)
	case strings.HasPrefix(s, "Power key"), strings.HasPrefix(s, "Lid "), strings.HasPrefix(s, "Suspend"), strings.HasPrefix(s, "Reboot key"),
		strings.HasPrefix(s, "Hibernat"), strings.HasPrefix(s, "Operation "):
		return say(ev, "logind.state", event.StateChange, event.Success)
	case strings.HasPrefix(s, "User "): // User alice logged out. / User of session ...
		user, rest := word(s[len("User "):])
		if strings.HasPrefix(rest, "logged ") || strings.HasPrefix(rest, "is ") {
			ev.User.Name = user
			return say(ev, "logind.user", event.LoginDetail, event.Success)
		}
	}
	for _, p := range [...]string{"New seat ", "Removed seat ", "Watching system buttons", "Failed to ", "Got ", "Existing logind", "Unit ",
		"Delay lock", "Inhibitor", "Assertion", "Received ", "Creating", "Scheduled ", "Shutdown ", "Sessions "} {
		if strings.HasPrefix(s, p) {
			return note(ev, "logind.message")
		}
	}
	return false
}

// systemdText reads what systemd says about user sessions; all the rest of its lines is not about access.
func systemdText(ev *event.Event, s string) verdict {
	text := s
	if i := strings.Index(s, ".scope - "); i > 0 {
		if _, rest, ok := strings.Cut(s, ".scope - "); ok {
			text = rest
		}
	}
	text = strings.TrimPrefix(text, "Started ")
	if rest, ok := strings.CutPrefix(text, "Session "); ok {
		id, rest := word(rest)
		if user, found := cutFold(rest, "of user "); found {
			ev.Session.ID, ev.Session.Status = id, "active"
			ev.User.Name = strings.TrimSuffix(user, ".")
			return known(say(ev, "systemd.session", event.LoginDetail, event.Success))
		}
	}
	if strings.HasPrefix(s, "Startup finished in ") {
		return known(say(ev, "systemd.startup", event.SystemStart, event.Success))
	}
	return notCovered
}

// cutFold cuts a prefix off whatever its letters' case.
func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// displayManagerText reads the display managers' lines besides PAM's, which are the attempts.
func displayManagerText(ev *event.Event, s string) verdict {
	if strings.HasPrefix(s, "gkr-pam: ") {
		return known(note(ev, "gdm.keyring"))
	}
	if strings.HasPrefix(s, "Couldn't authenticate user") {
		return known(refuse(ev, "gdm.failed", event.LoginDetail, "authentication failure"))
	}
	return notCovered
}
