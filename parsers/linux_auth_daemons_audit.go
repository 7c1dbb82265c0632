package parsers

import (
	"encoding/hex"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// auditdText reads a record of the Linux audit log: "[node=H ]type=T msg=audit(SECONDS:SERIAL): ... msg='op=O acct="U" exe="/usr/sbin/sshd" hostname=H addr=A
// terminal=T res=failed'". A name with anything but plain letters is written in hexadecimal, so that none can look like a field.
//
// USER_LOGIN is the attempt of the services that write it (sshd, login, display managers); the rest is detail. Of other services the failed
// USER_AUTH is all there is.
func auditdText(ev *event.Event, s string) bool {
	ev.Service.Name = "auditd"
	var r auditdRecord
	r.read(s)
	if r.kind == "" {
		return note(ev, "auditd.message")
	}
	ev.Code = r.kind
	if r.node != "" {
		ev.Host.Name, ev.Realm = r.node, r.node
	}
	if r.exe != "" {
		ev.Process.Executable = r.exe
		ev.Process.Name = r.exe[strings.LastIndexByte(r.exe, '/')+1:]
	}
	ev.Process.PID = parseLong(r.pid)
	if r.session != "4294967295" {
		ev.Session.ID = r.session
	}
	ev.Label("operation", r.operation)
	ev.Label("uid", r.uid)
	if r.auid != "4294967295" {
		ev.Label("auid", r.auid)
	}
	ev.Label("serial", r.serial)
	if r.terminal != "?" {
		ev.Label("tty", r.terminal)
	}
	invalid := auditdUser(ev, r.account)
	ev.User.ID = r.id
	if !address(ev, r.address) {
		address(ev, r.host)
	}
	switch r.result {
	case "failed", "0":
		ev.Outcome = event.Failure
		ev.Reason = "authentication failure"
		if invalid {
			ev.Reason = reasonInvalidUser
		}
	case "success", "1":
		ev.Outcome = event.Success
	}
	ev.Action = auditdAction(r.kind, ev.Process.Name, ev.Outcome)
	return true
}

// auditdAction is what a type of record is about; none where it is not about access.
func auditdAction(kind, program string, outcome event.Outcome) event.Action {
	role := roleOf(program)
	own := role == roleServer || strings.HasPrefix(program, "gdm") || program == "sshd-session" || program == "sshd-auth"
	switch kind {
	case "USER_LOGIN":
		return event.Login
	case "USER_LOGOUT":
		return event.Logout
	case "USER_AUTH":
		if role == roleLogin && !own && outcome == event.Failure {
			return event.Login
		}
		return event.LoginDetail
	case "USER_ERR", "USER_ACCT":
		return event.LoginDetail
	case "USER_START":
		if role != roleOwnLine {
			return event.SessionStart
		}
		return event.LoginDetail
	case "USER_END":
		if role != roleOwnLine {
			return event.SessionEnd
		}
		return event.LoginDetail
	case "USER_CHAUTHTOK":
		return event.PasswordChange
	case "ANOM_LOGIN_FAILURES", "RESP_ACCT_LOCK":
		return event.AccountLock
	}
	return event.ActionNone
}

// auditdUser sets user.name, and says whether the account is none of the system's.
func auditdUser(ev *event.Event, account string) (invalid bool) {
	if len(account) > 1 && account[0] == '"' {
		account = account[1 : len(account)-1]
	} else if len(account) > 1 && len(account)%2 == 0 {
		if name, err := hex.DecodeString(account); err == nil {
			account = string(name)
		}
	}
	switch account {
	case "(unknown user)", "(invalid user)", "(unknown)":
		return true
	case "?", "":
		return false
	}
	ev.User.Name = account
	return false
}

type auditdRecord struct {
	node, kind, serial, pid, id, uid, auid, session                   string
	operation, account, exe, host, address, terminal, result, seconds string
}

// read takes the record's pairs apart; of keys that come twice the first counts.
func (r *auditdRecord) read(s string) {
	for n := 0; s != "" && n < 64; n++ {
		var pair string
		pair, s = auditdPair(trimBlanks(s))
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		if key == "msg" {
			if stamp, isStamp := strings.CutPrefix(value, "audit("); isStamp {
				stamp, _, _ = strings.Cut(stamp, ")")
				r.seconds, r.serial, _ = strings.Cut(stamp, ":")
				continue
			}
			key, value, _ = strings.Cut(strings.TrimPrefix(value, "'"), "=")
		}
		if end := strings.IndexByte(value, '\''); end >= 0 {
			value = value[:end]
		}
		if f := r.field(key); f != nil && *f == "" {
			*f = value
		}
	}
	r.exe = unquote(r.exe)
}

func (r *auditdRecord) field(key string) *string {
	switch key {
	case "node":
		return &r.node
	case "type":
		return &r.kind
	case "pid":
		return &r.pid
	case "id":
		return &r.id
	case "uid":
		return &r.uid
	case "auid":
		return &r.auid
	case "ses":
		return &r.session
	case "op":
		return &r.operation
	case "acct":
		return &r.account
	case "exe":
		return &r.exe
	case "hostname":
		return &r.host
	case "addr":
		return &r.address
	case "terminal":
		return &r.terminal
	case "res":
		return &r.result
	}
	return nil
}

// auditdPair cuts the first pair off; blanks within "..." belong to it.
func auditdPair(s string) (pair, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ' ':
			if !quoted {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}
