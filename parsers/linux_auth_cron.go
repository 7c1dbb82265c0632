package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// cronText reads cron, crontab, anacron, atd and run-parts. A command that cron starts is a job-run; the PAM session around it is
// a detail.
func cronText(ev *event.Event, program, s string) bool {
	switch program {
	case "anacron":
		return anacronText(ev, s)
	case "atd":
		return atdText(ev, s)
	case "run-parts":
		return runPartsText(ev, s)
	}
	if !strings.HasPrefix(s, "(") {
		return cronNotice(ev, s)
	}
	user, rest, ok := strings.Cut(s[1:], ") ")
	if !ok {
		return false
	}
	verb, text, _ := strings.Cut(rest, "(")
	verb, text = trimBlanks(verb), trimBlanks(strings.TrimSuffix(text, ")"))
	if user != "CRON" && user != "*system*" && user != "system" {
		ev.User.Name = user
	}
	switch verb {
	case "CMD":
		setCommand(ev, text)
		ev.Type = "start"
		return say(ev, "cron.command", event.JobRun, event.Success)
	case "CMDEND":
		setCommand(ev, text)
		ev.Type = "end"
		return say(ev, "cron.command_end", event.JobRun, event.Success)
	case "REPLACE", "DELETE":
		ev.NeedUserTarget().Name = text
		return say(ev, "cron.crontab_changed", event.ConfigChange, event.Success)
	case "AUTH":
		return refuse(ev, "cron.refused", event.ConfigChange, text)
	case "STARTUP":
		return say(ev, "cron.startup", event.ServiceStart, event.Success)
	case "DEATH":
		return refuse(ev, "cron.death", event.ServiceStop, text)
	case "PAM ERROR", "FAILED", "error", "ERROR", "ORPHAN", "BAD FILE MODE", "WRONG FILE OWNER", "bad user", "CAN'T OPEN":
		ev.Reason = text
		return say(ev, "cron.error", event.ActionNone, event.Failure)
	}
	return note(ev, "cron.message")
}

func cronNotice(ev *event.Event, s string) bool {
	for _, p := range [...]string{"Authentication ", "Module is unknown", "Permission denied", "User account has expired", "System error",
		"pam_", "PAM ", "error", "Error", "crond ", "cron ", "startup", "shutdown", "Error:", "can't ", "unable to ", "gkr-pam", "no "} {
		if strings.HasPrefix(s, p) {
			return note(ev, "cron.message")
		}
	}
	return false
}

// anacronText reads "Job `cron.daily' started", "Job `cron.daily' terminated (exit status: 1)".
func anacronText(ev *event.Event, s string) bool {
	rest, ok := strings.CutPrefix(s, "Job ")
	if !ok {
		return note(ev, "anacron.message")
	}
	name, rest := cutQuoted(rest)
	ev.NeedJob().Name = name
	switch {
	case strings.HasPrefix(rest, " started"):
		ev.Type = "start"
		return say(ev, "anacron.started", event.JobRun, event.Success)
	case strings.HasPrefix(rest, " terminated"):
		ev.Type = "end"
		if status, found := between(rest, "exit status: ", ")"); found && status != "0" {
			ev.Process.ExitCode = parseLong(status)
			return refuse(ev, "anacron.terminated", event.JobRun, "exit status not zero")
		}
		return say(ev, "anacron.terminated", event.JobRun, event.Success)
	}
	return note(ev, "anacron.message")
}

// atdText reads "Starting job 5 (a0000501a) for user 'bob' (1000)".
func atdText(ev *event.Event, s string) bool {
	rest, ok := strings.CutPrefix(s, "Starting job ")
	if !ok {
		return note(ev, "atd.message")
	}
	id, rest := word(rest)
	ev.NeedJob().ID = id
	if _, who, found := strings.Cut(rest, "for user "); found {
		name, rest := cutQuoted(who)
		ev.User.Name = name
		if uid, is := between(rest, "(", ")"); is {
			ev.User.ID = uid
		}
	}
	ev.Type = "start"
	return say(ev, "atd.started", event.JobRun, event.Success)
}

// runPartsText reads "starting 0anacron" and "finished 0anacron"; the folder stands in the tag or before the text.
func runPartsText(ev *event.Event, s string) bool {
	for _, f := range [...]struct{ verb, code, kind string }{
		{"starting ", "run_parts.started", "start"},
		{"finished ", "run_parts.finished", "end"},
	} {
		before, name, ok := strings.Cut(s, f.verb)
		if !ok {
			continue
		}
		if folder, found := between(before, "(", ")"); found {
			ev.Process.WorkingDirectory = folder
		}
		ev.NeedJob().Name = name
		ev.Type = f.kind
		return say(ev, f.code, event.JobRun, event.Success)
	}
	return note(ev, "run_parts.message")
}
