package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// Reasons that several forms share.
const (
	reasonInvalidUser = "invalid user"
	reasonBadPassword = "bad password"
	reasonTooMany     = "too many authentication failures"
	reasonPreauth     = "closed before authentication"
)

// sshdText recognizes the texts of OpenSSH's server. Accepted and Failed are attempts to log in; all others that tell about
// the same attempt are details of it.
func sshdText(ev *event.Event, s string) bool {
	s, preauth := cutPreauth(s)
	if len(s) < 4 {
		return false
	}
	switch s[0] {
	case 'F':
		if rest, ok := strings.CutPrefix(s, "Failed "); ok {
			return sshdFailed(ev, rest)
		}
	case 'A':
		if rest, ok := strings.CutPrefix(s, "Accepted "); ok && sshdAccepted(ev, rest) {
			return true
		}
	case 'I':
		if len(s) > 13 && (s[:13] == "Invalid user " || s[:13] == "Illegal user ") {
			return sshdInvalidUser(ev, s[13:])
		}
	case 'i':
		if rest, ok := strings.CutPrefix(s, "input_userauth_request: "); ok {
			return sshdInputRequest(ev, rest)
		}
	case 'p', 'P', '(':
		if origin, rest, ok := pamPrefix(s, "sshd"); ok {
			return pamText(ev, origin, rest)
		}
		if s[0] == 'P' && sshdPAM(ev, s) {
			return true
		}
	case 'e':
		if rest, ok := strings.CutPrefix(s, "error: "); ok {
			ev.Log.Level = "error"
			return sshdLevel(ev, rest, preauth, "sshd.error")
		}
	case 'f':
		if rest, ok := strings.CutPrefix(s, "fatal: "); ok {
			ev.Log.Level = "fatal"
			return sshdLevel(ev, rest, preauth, "sshd.fatal")
		}
	case 'd':
		if strings.HasPrefix(s, "debug") {
			ev.Log.Level = "debug"
			return note(ev, "sshd.debug")
		}
	}
	return sshdUser(ev, s) || sshdConnection(ev, s, preauth) || sshdSession(ev, s) || sshdServer(ev, s) || sshdNotice(ev, s)
}

// sshdLevel recognizes the text after "error: " or "fatal: "; whatever it is, that it is an error is known.
func sshdLevel(ev *event.Event, s string, preauth bool, code string) bool {
	if sshdPAM(ev, s) || sshdUser(ev, s) || sshdConnection(ev, s, preauth) || sshdServer(ev, s) {
		return true
	}
	ev.Reason = s
	return note(ev, code)
}

// cutPreauth takes " [preauth]" off: the line comes from the process that serves a client who has not logged in yet.
func cutPreauth(s string) (string, bool) {
	const mark = " [preauth]"
	if n := len(s) - len(mark); n > 0 && s[len(s)-1] == ']' && s[n:] == mark {
		return s[:n], true
	}
	return s, false
}

// sshdAccepted reads "METHOD for USER from ADDRESS port N ssh2[: KEY]".
func sshdAccepted(ev *event.Event, s string) bool {
	method, rest := word(s)
	who, ok := strings.CutPrefix(rest, "for ")
	if !ok {
		return sshdAcceptedKey(ev, s)
	}
	user, tail, ok := sshdFrom(ev, who)
	if !ok {
		return false
	}
	ev.User.Name = user
	ev.Label("auth_method", method)
	sshdDetails(ev, fromAddress(ev, tail))
	ev.Session.Protocol = "ssh"
	return say(ev, "sshd.accepted", event.Login, event.Success)
}

// sshdFrom cuts user and address apart. The name is the client's choice, so the last " from " counts; where the line ends in
// a certificate, whose name is the client's choice too, it is the one before the key. Where both hold such a text nobody
// can tell, and the event says so.
func sshdFrom(ev *event.Event, s string) (user, tail string, ok bool) {
	user, tail, ok = cutLast(s, " from ")
	if !ok {
		if tail, ok = strings.CutPrefix(s, "from "); ok {
			return "", tail, true
		}
		return s, "", false
	}
	if !strings.Contains(tail, " CA ") || !strings.Contains(s, "-CERT ") {
		return user, tail, true
	}
	if i := strings.Index(s, " ssh2: "); i >= 0 {
		if u, _, found := cutLast(s[:i], " from "); found && len(u) < len(user) {
			if strings.Contains(s[i+len(" ssh2: "):], " ssh2: ") {
				ev.Tag("ambiguous-source")
			}
			return u, s[len(u)+len(" from "):], true
		}
	}
	return user, tail, true
}

// sshdDetails reads what follows the port: " ssh2: RSA SHA256:..." or " ssh2: RSA-CERT SHA256:... ID name (serial 7) CA
// RSA SHA256:...", or what a method adds.
func sshdDetails(ev *event.Event, s string) {
	s = strings.TrimPrefix(s, " ")
	if s = strings.TrimPrefix(s, "ssh2"); !strings.HasPrefix(s, ": ") {
		return
	}
	keyType, rest := word(s[2:])
	print, rest := word(rest)
	print = strings.TrimSuffix(print, ",") // hostbased: RSA SHA256:..., client user "alice", client host "h"
	if !isFingerprint(print) {
		ev.Label("auth_info", s[2:])
		return
	}
	ev.Labels = append(ev.Labels, event.Label{Key: "key_type", Value: keyType}, event.Label{Key: "key_fingerprint", Value: print})
	if id, ok := strings.CutPrefix(rest, "ID "); ok {
		certificate(ev, id, " CA ")
	}
}

// certificate reads "NAME (serial N)<by>TYPE FINGERPRINT".
func certificate(ev *event.Event, s, by string) {
	name, rest, ok := cutLast(s, by)
	if !ok {
		return
	}
	caType, rest := word(rest)
	caPrint, _ := word(strings.TrimPrefix(rest, "CA "))
	if i := strings.LastIndex(name, " (serial "); i >= 0 {
		serial, _, _ := strings.Cut(name[i+len(" (serial "):], ")")
		ev.Label("key_serial", serial)
		name = name[:i]
	}
	ev.Label("key_id", unquote(name))
	ev.Label("ca_type", caType)
	ev.Label("ca_fingerprint", caPrint)
}

// isFingerprint accepts SHA256:base64 and the colon form of MD5.
func isFingerprint(s string) bool {
	if len(s) > 7 && s[:7] == "SHA256:" || len(s) > 4 && s[:4] == "MD5:" {
		return true
	}
	return len(s) == 47 && s[2] == ':' && s[5] == ':' && s[44] == ':'
}

// sshdAcceptedKey reads the forms that say which key or certificate was found, before the login itself.
func sshdAcceptedKey(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "certificate ID "); ok {
		certificate(ev, rest, " signed by ")
		return say(ev, "sshd.accepted_certificate", event.LoginDetail, event.Success)
	}
	if rest, ok := strings.CutPrefix(s, "key "); ok {
		keyType, rest := word(rest)
		print, where := word(rest)
		ev.Label("key_type", keyType)
		ev.Label("key_fingerprint", print)
		ev.Label("key_file", strings.TrimPrefix(where, "found at "))
		return say(ev, "sshd.accepted_key", event.LoginDetail, event.Success)
	}
	return false
}

// sshdFailed reads "METHOD for [invalid user ]USER from ADDRESS port N ssh2[: KEY]".
func sshdFailed(ev *event.Event, s string) bool {
	method, rest := word(s)
	who, ok := strings.CutPrefix(rest, "for ")
	if !ok {
		return note(ev, "sshd.error") // Failed to ...
	}
	user, tail, ok := sshdFrom(ev, who)
	if !ok {
		return false
	}
	reason := failedReason(method)
	user, invalid := cutInvalid(user)
	if invalid {
		reason = reasonInvalidUser
	}
	ev.User.Name = user
	ev.Label("auth_method", method)
	sshdDetails(ev, fromAddress(ev, tail))
	return refuse(ev, "sshd.failed", event.Login, reason)
}

// cutInvalid takes "invalid user " off. It may be all there is: the empty name.
func cutInvalid(s string) (string, bool) {
	if len(s) >= 12 && (s[:12] == "invalid user" || s[:12] == "illegal user") {
		if len(s) == 12 {
			return "", true
		}
		if s[12] == ' ' {
			return s[13:], true
		}
	}
	return s, false
}

func failedReason(method string) string {
	switch method {
	case "password", "keyboard-interactive", "keyboard-interactive/pam", "challenge-response":
		return reasonBadPassword
	case "publickey":
		return "key refused"
	case "none":
		return "no credentials"
	case "hostbased":
		return "host refused"
	case "gssapi-with-mic", "gssapi-keyex":
		return "ticket refused"
	}
	return "refused"
}

// sshdInvalidUser reads "NAME from ADDRESS[ port N]"; the name may be empty.
func sshdInvalidUser(ev *event.Event, s string) bool {
	user, tail, ok := cutLast(s, " from ")
	if !ok {
		if tail, ok = strings.CutPrefix(s, "from "); !ok {
			ev.User.Name = s
			return refuse(ev, "sshd.invalid_user", event.LoginDetail, reasonInvalidUser)
		}
		user = ""
	}
	ev.User.Name = user
	fromAddress(ev, tail)
	return refuse(ev, "sshd.invalid_user", event.LoginDetail, reasonInvalidUser)
}

func sshdInputRequest(ev *event.Event, s string) bool {
	if user, ok := cutInvalid(s); ok {
		ev.User.Name = user
		return refuse(ev, "sshd.input_userauth_request", event.LoginDetail, reasonInvalidUser)
	}
	return note(ev, "sshd.notice")
}

// sshdPAM reads what sshd itself says about PAM, with "error: " before it or not.
func sshdPAM(ev *event.Event, s string) bool {
	rest, ok := strings.CutPrefix(s, "PAM: ")
	if !ok {
		return false
	}
	i := strings.Index(rest, " for ")
	if i < 0 {
		ev.Reason = rest
		return say(ev, "sshd.pam", event.LoginDetail, event.Failure)
	}
	user, tail, found := cutLast(rest[i+len(" for "):], " from ")
	user, invalid := cutInvalid(user)
	ev.User.Name = user
	if found {
		fromAddress(ev, tail)
	}
	if invalid {
		return refuse(ev, "sshd.pam", event.LoginDetail, reasonInvalidUser)
	}
	return refuse(ev, "sshd.pam", event.LoginDetail, rest[:i])
}

// sshdUser reads the other texts that name a user before the login.
func sshdUser(ev *event.Event, s string) bool {
	switch s[0] {
	case 'U':
		rest, ok := strings.CutPrefix(s, "User ")
		if !ok || strings.HasPrefix(rest, "child is ") {
			return false
		}
		return sshdNotAllowed(ev, rest)
	case 'm', 'M':
		if _, rest, ok := strings.Cut(s, "aximum authentication attempts exceeded for "); ok {
			user, tail, found := cutLast(rest, " from ")
			ev.User.Name, _ = cutInvalid(user)
			if found {
				fromAddress(ev, tail)
			}
			return refuse(ev, "sshd.max_attempts", event.LoginDetail, reasonTooMany)
		}
	case 'T':
		if rest, ok := strings.CutPrefix(s, "Too many authentication failures for "); ok {
			user, tail, found := cutLast(rest, " from ")
			ev.User.Name, _ = cutInvalid(user)
			if found {
				fromAddress(ev, tail)
			}
			return refuse(ev, "sshd.max_attempts", event.LoginDetail, reasonTooMany)
		}
	case 'P':
		return sshdPartial(ev, s)
	case 'A':
		return sshdAuthentication(ev, s)
	case 'R':
		if rest, ok := strings.CutPrefix(s, "ROOT LOGIN REFUSED FROM "); ok {
			ev.User.Name = "root"
			fromAddress(ev, rest)
			return refuse(ev, "sshd.root_refused", event.LoginDetail, "root may not log in")
		}
	case 'L', 'l':
		if rest, ok := strings.CutPrefix(s, "Login restricted for "); ok {
			ev.User.Name, ev.Reason, _ = strings.Cut(rest, ": ")
			return say(ev, "sshd.not_allowed", event.LoginDetail, event.Failure)
		}
	}
	return false
}

// sshdNotAllowed reads "NAME from ADDRESS not allowed because REASON" and "NAME not allowed because REASON".
func sshdNotAllowed(ev *event.Event, s string) bool {
	who, reason, ok := cutLast(s, " not allowed because ")
	if !ok {
		if user, rest, found := cutLast(s, " password has expired "); found {
			ev.User.Name, ev.Reason = user, "password expired"
			ev.Label("detail", rest)
			return say(ev, "sshd.password_expired", event.LoginDetail, event.Failure)
		}
		return false
	}
	if user, tail, found := cutLast(who, " from "); found {
		who = user
		fromAddress(ev, tail)
	}
	ev.User.Name = who
	return refuse(ev, "sshd.not_allowed", event.LoginDetail, reason)
}

// sshdPartial reads "Postponed METHOD for ..." and "Partial METHOD for ...": the attempt goes on.
func sshdPartial(ev *event.Event, s string) bool {
	code := "sshd.postponed"
	rest, ok := strings.CutPrefix(s, "Postponed ")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "Partial "); !ok {
			return false
		}
		code = "sshd.partial"
	}
	method, rest := word(rest)
	user, tail, found := sshdFrom(ev, strings.TrimPrefix(rest, "for "))
	if !found {
		return false
	}
	ev.User.Name, _ = cutInvalid(user)
	ev.Label("auth_method", method)
	sshdDetails(ev, fromAddress(ev, tail))
	return say(ev, code, event.LoginDetail, event.Unknown)
}

func sshdAuthentication(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "Authentication refused: "); ok {
		return refuse(ev, "sshd.authentication_refused", event.LoginDetail, rest)
	}
	if rest, ok := strings.CutPrefix(s, "Authentication tried for "); ok {
		user, tail, _ := cutLast(rest, " with ")
		ev.User.Name = user
		if host, found := between(tail, "host=", ","); found {
			address(ev, host)
		}
		if ip, found := between(tail, "ip=", ")"); found {
			address(ev, ip)
			if ev.Source.IP == ev.Source.Domain {
				ev.Source.Domain = ""
			}
		}
		return refuse(ev, "sshd.not_from_permitted_host", event.LoginDetail, "not from a permitted host")
	}
	if rest, ok := strings.CutPrefix(s, "Authentication key "); ok {
		keyType, rest := word(rest)
		print, _ := word(rest)
		ev.Label("key_type", keyType)
		ev.Label("key_fingerprint", print)
		return refuse(ev, "sshd.key_revoked", event.LoginDetail, "key revoked")
	}
	return false
}
