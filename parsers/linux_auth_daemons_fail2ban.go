package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// fail2banText reads "[MODULE [PID]: LEVEL ][JAIL] Ban A", Unban, Found, with as many blanks as there are. A ban refuses all further connections of an
// address; what was found is told by the daemon's own line too.
func fail2banText(ev *event.Event, s string) bool {
	ev.Service.Name = "fail2ban"
	if strings.HasPrefix(s, "fail2ban.") {
		_, rest, ok := strings.Cut(s, ": ")
		if !ok {
			return note(ev, "fail2ban.message")
		}
		s = trimBlanks(rest)
	}
	s = cutLevel(ev, s)
	jail, rest, ok := strings.Cut(s, "] ")
	if !ok || !strings.HasPrefix(jail, "[") {
		return note(ev, "fail2ban.message")
	}
	verb, a := word(trimBlanks(rest))
	if verb == "Restore" || verb == "Increase" {
		verb, a = word(a)
	}
	a, _ = word(trimBlanks(a))
	if !isAddress(a) {
		return note(ev, "fail2ban.message")
	}
	jail = jail[1:]
	switch verb {
	case "Ban":
		address(ev, a)
		ev.Label("jail", jail)
		ev.Category, ev.Type = "intrusion_detection", "denied"
		return refuse(ev, "fail2ban.ban", event.ConnectionOpen, "banned")
	case "Unban":
		address(ev, a)
		ev.Label("jail", jail)
		return say(ev, "fail2ban.unban", event.ActionNone, event.Success)
	case "Found":
		address(ev, a)
		ev.Label("jail", jail)
		return refuse(ev, "fail2ban.found", event.LoginDetail, "found by fail2ban")
	}
	return note(ev, "fail2ban.message")
}
