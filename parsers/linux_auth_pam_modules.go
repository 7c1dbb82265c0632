package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// pamModule reads what single modules write besides failures and sessions.
func pamModule(ev *event.Event, o *pamOrigin, s string) bool {
	switch o.module {
	case "pam_faillock", "pam_tally", "pam_tally2":
		return pamTally(ev, s)
	case "pam_google_auth", "pam_google_authenticator", "pam_oath", "pam_duo", "pam_yubico", "pam_u2f", "pam_radius_auth":
		return pamSecondFactor(ev, o.module, s)
	case "pam_succeed_if":
		return pamRequirement(ev, s)
	case "pam_access", "pam_listfile", "pam_securetty", "pam_nologin", "pam_time", "pam_shells":
		return pamRefused(ev, s)
	case "pam_winbind", "pam_sss", "pam_ldap", "pam_krb5":
		return pamDirectory(ev, o, s)
	case "pam_systemd", "pam_env", "pam_limits", "pam_lastlog", "pam_mail", "pam_motd", "pam_loginuid", "pam_selinux", "pam_umask":
		return note(ev, "pam.notice")
	}
	return pamPassword(ev, o, s) || pamAccount(ev, o, s)
}

func pamPassword(ev *event.Event, o *pamOrigin, s string) bool {
	if user, ok := strings.CutPrefix(s, "password changed for "); ok {
		ev.NeedUserTarget().Name = user
		return say(ev, "pam.password_changed", event.PasswordChange, event.Success)
	}
	if o.kind != "chauthtok" {
		return false
	}
	if strings.HasPrefix(s, "new password not acceptable") || strings.HasPrefix(s, "bad password") ||
		strings.Contains(s, "password unchanged") || strings.Contains(s, "BAD PASSWORD") {
		return refuse(ev, "pam.password_refused", event.PasswordChange, s)
	}
	return false
}

// pamAccount reads pam_unix's texts about accounts.
func pamAccount(ev *event.Event, o *pamOrigin, s string) bool {
	if rest, ok := strings.CutPrefix(s, "account "); ok {
		if user, reason, found := cutLast(rest, " has "); found {
			ev.User.Name = user
			return refuse(ev, "pam.account_refused", event.LoginDetail, reason)
		}
	}
	if rest, ok := strings.CutPrefix(s, "expired password for user "); ok {
		user, reason, _ := cutLast(rest, " (")
		if i := strings.LastIndex(rest, " ("); i >= 0 {
			user, reason = rest[:i], strings.TrimSuffix(rest[i+2:], ")")
		}
		ev.User.Name = user
		ev.Label("detail", reason)
		return refuse(ev, "pam.password_expired", event.LoginDetail, "password expired")
	}
	for _, p := range [...]string{"could not identify user (from getpwnam(", "bad username [", "auth could not identify password for [",
		"could not identify password for ["} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			end := strings.LastIndexAny(rest, ")]")
			if end < 0 {
				end = len(rest)
			}
			ev.User.Name = strings.TrimSuffix(rest[:end], ")")
			reason := reasonInvalidUser
			if strings.Contains(p, "password") {
				reason = "no password given"
			}
			return refuse(ev, "pam.unidentified", event.LoginDetail, reason)
		}
	}
	if rest, ok := strings.CutPrefix(s, "user ["); ok {
		user, tail, found := strings.Cut(rest, "] has blank password")
		if found {
			ev.User.Name = user
			ev.Label("detail", tail)
			return say(ev, "pam.blank_password", event.LoginDetail, event.Success)
		}
	}
	if user, ok := strings.CutPrefix(s, "user \""); ok && o.kind == "chauthtok" {
		ev.NeedUserTarget().Name, _, _ = strings.Cut(user, "\"")
		return refuse(ev, "pam.password_refused", event.PasswordChange, "no such user")
	}
	if strings.HasPrefix(s, "conversation failed") || strings.HasPrefix(s, "Authentication failure") || s == "authentication failure" {
		return refuse(ev, "pam.conversation_failed", event.LoginDetail, "no password given")
	}
	return false
}

// pamTally reads the lock-out modules.
func pamTally(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "Consecutive login failures for user "); ok {
		user, _, found := cutLast(rest, " account ")
		if !found {
			user = rest
		}
		ev.NeedUserTarget().Name = user
		ev.Reason = "consecutive login failures"
		return say(ev, "pam.account_locked", event.AccountLock, event.Success)
	}
	rest, ok := strings.CutPrefix(s, "user ")
	if !ok {
		return false
	}
	for _, sep := range [...]string{" tally ", " has time limit "} {
		if who, detail, found := cutLast(rest, sep); found {
			user, id := who, ""
			if i := strings.LastIndex(who, " ("); i >= 0 {
				user, id = who[:i], strings.TrimSuffix(who[i+2:], ")")
			}
			ev.User.Name, ev.User.ID = user, id
			ev.Label("detail", detail)
			return refuse(ev, "pam.account_is_locked", event.LoginDetail, "account locked")
		}
	}
	return false
}

// pamSecondFactor reads modules that check one-time codes.
func pamSecondFactor(ev *event.Event, module, s string) bool {
	ev.MFA.Used = event.True
	ev.MFA.Method = firstText(factorIn(module), module[len("pam_"):])
	if strings.HasPrefix(s, "Accepted ") || strings.HasPrefix(s, "Successful ") {
		if _, user, ok := cutLast(s, " for "); ok {
			ev.User.Name = user
		}
		return say(ev, "pam.mfa", event.MFAVerify, event.Success)
	}
	if user, ok := strings.CutPrefix(s, "Invalid verification code for "); ok {
		ev.User.Name = user
		return refuse(ev, "pam.mfa", event.MFAVerify, "invalid code")
	}
	switch {
	case strings.HasPrefix(s, "Invalid verification code"):
		return refuse(ev, "pam.mfa", event.MFAVerify, "invalid code")
	case strings.HasPrefix(s, "Did not receive verification code"):
		return refuse(ev, "pam.mfa", event.MFAVerify, "no code given")
	case strings.HasPrefix(s, "Trying to reuse"):
		return refuse(ev, "pam.mfa", event.MFAVerify, "code used before")
	case strings.HasPrefix(s, "Too many concurrent login attempts"):
		return refuse(ev, "pam.mfa", event.MFAVerify, "too many attempts")
	}
	return note(ev, "pam.mfa_notice")
}

// pamRequirement reads `requirement "uid >= 1000" not met by user "root"`.
func pamRequirement(ev *event.Event, s string) bool {
	rest, ok := strings.CutPrefix(s, `requirement "`)
	if !ok {
		return false
	}
	rule, user, found := strings.Cut(rest, `" not met by user "`)
	if !found {
		rule, user, found = strings.Cut(rest, `" was met by user "`)
		if found {
			ev.Label("requirement", rule)
			ev.User.Name = strings.TrimSuffix(user, `"`)
			return say(ev, "pam.requirement", event.LoginDetail, event.Success)
		}
		return false
	}
	ev.Label("requirement", rule)
	ev.User.Name = strings.TrimSuffix(user, `"`)
	return refuse(ev, "pam.requirement", event.LoginDetail, "requirement not met")
}

// pamRefused reads modules that keep users out.
func pamRefused(ev *event.Event, s string) bool {
	if rest, ok := strings.CutPrefix(s, "access denied for user "); ok {
		user, from, found := cutLast(rest, " from ")
		if found {
			from = unquote(from)
			if strings.HasPrefix(from, "/dev/") || strings.HasPrefix(from, "tty") {
				ev.Label("tty", from)
			} else {
				address(ev, from)
			}
		}
		ev.User.Name = unquote(user)
		return refuse(ev, "pam.access_denied", event.LoginDetail, "access denied")
	}
	if rest, ok := strings.CutPrefix(s, "Refused user "); ok {
		ev.User.Name, _, _ = cutLast(rest, " for ")
		return refuse(ev, "pam.access_denied", event.LoginDetail, "access denied")
	}
	if strings.HasPrefix(s, "access denied: ") {
		return refuse(ev, "pam.access_denied", event.LoginDetail, s[len("access denied: "):])
	}
	return false
}

// pamDirectory reads the modules of directories (SSSD, Active Directory, LDAP, Kerberos).
func pamDirectory(ev *event.Event, o *pamOrigin, s string) bool {
	if rest, ok := strings.CutPrefix(s, "received for user "); ok {
		ev.User.Name, ev.Reason, _ = cutLast2(rest, ": ")
		return say(ev, "pam.directory", event.LoginDetail, event.Failure)
	}
	if rest, ok := strings.CutPrefix(s, "Access denied for user "); ok {
		ev.User.Name, ev.Reason, _ = cutLast2(rest, ": ")
		return say(ev, "pam.access_denied", event.LoginDetail, event.Failure)
	}
	if rest, ok := strings.CutPrefix(s, "user '"); ok {
		if user, found := strings.CutSuffix(rest, "' granted access"); found {
			ev.User.Name = user
			return say(ev, "pam.auth_success", event.LoginDetail, event.Success)
		}
		if user, detail, found := strings.Cut(rest, "' denied access"); found {
			ev.User.Name = user
			ev.Label("detail", trimBlanks(detail))
			return refuse(ev, "pam.access_denied", event.LoginDetail, "access denied")
		}
	}
	if strings.HasPrefix(s, "request ") && strings.Contains(s, "failed: ") {
		reason, ok := between(s, "NTSTATUS: ", ",")
		if !ok {
			reason = s
		}
		return refuse(ev, "pam.directory", event.LoginDetail, reason)
	}
	return pamPassword(ev, o, s)
}

// chkpwdText reads pam_unix's helper: "password check failed for user (alice)".
func chkpwdText(ev *event.Event, s string) bool {
	if user, ok := strings.CutPrefix(s, "password check failed for user ("); ok {
		ev.User.Name = strings.TrimSuffix(user, ")")
		return refuse(ev, "pam.check_pass", event.LoginDetail, reasonBadPassword)
	}
	if user, ok := strings.CutPrefix(s, "could not obtain user info ("); ok {
		ev.User.Name = strings.TrimSuffix(user, ")")
		return refuse(ev, "pam.check_pass", event.LoginDetail, reasonInvalidUser)
	}
	if s == "check pass; user unknown" {
		return refuse(ev, "pam.check_pass", event.LoginDetail, reasonInvalidUser)
	}
	return note(ev, "pam.message")
}

// cutLast2 is strings.Cut around the last sep.
func cutLast2(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
