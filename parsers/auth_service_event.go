package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// event reads a row of the event log: somebody logged in, or tried to.
func (p *authService) event(r *svcRow) {
	ev := r.ev
	k := svcEventType
	if !r.keys.has(k) {
		k = svcType
	}
	ev.Code = r.scalar(k)
	r.client(svcClient, svcClientID)
	r.provider()
	r.address()
	r.details()
	r.user()
	r.errors()
	if ev.Session.ID == "" {
		ev.Session.ID = r.scalar(svcSessionID)
	}
	action, outcome, method := eventTypeOf(ev.Code)
	ev.Action = action
	if said := r.said(); said != "" {
		if outcome != event.Failure { // a failure that the type names stays one
			outcome = said
		}
	}
	ev.Outcome = outcome
	r.factor(method)
	ev.Status.Name = r.scalar(svcStatus)
	if _, plain := outcomeOf(ev.Status.Name); ev.Reason == "" && ev.Outcome == event.Failure && !plain {
		ev.Reason = ev.Status.Name
	}
	p.site(ev)
	ev.Message = eventMessage(ev)
}

// factor sets gatebook.mfa.
func (r *svcRow) factor(method string) {
	ev := r.ev
	setFactor(ev, "mfa_method", firstText(r.scalar(svcMFAMethod), method))
	switch text := r.scalar(svcMFA); strings.ToLower(text) {
	case "":
		if ev.Action == event.MFAVerify || ev.Action == event.MFAChallenge || ev.Action == event.Login && (ev.MFA.Method != "" || namesFactor(ev.Code)) {
			ev.MFA.Used = event.True
		}
	case "true", "yes", "1":
		ev.MFA.Used = event.True
	case "false", "no", "0":
		ev.MFA.Used = event.False
	default:
		if !managesFactor(ev.Action) {
			ev.MFA.Used = event.True
		}
		if ev.MFA.Method == "" {
			setFactor(ev, "mfa", text)
		} else {
			r.labelText("mfa", text)
		}
	}
}

// details takes the full context of an event, an object or a text that holds one: what the row itself does not say is taken from
// there, the rest becomes labels.
func (r *svcRow) details() {
	const key = "details"
	doc, text := r.document(svcDetails)
	r.labelText(key, text)
	if doc == "" {
		return
	}
	if doc[0] != '{' {
		r.label(key, doc)
		return
	}
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], doc) {
		if m.value == "null" || m.value == `""` {
			continue
		}
		k := svcNames.find(m.key)
		if k == svcMessage {
			k = svcReason
		}
		if k == 0 && strings.EqualFold(m.key, "method") {
			k = svcMFAMethod
		}
		if r.wantsDetail(k) {
			r.cells[k] = svcCell{key + "_" + m.key, m.value}
			r.keys.add(k)
		} else {
			r.label(key+"_"+m.key, m.value)
		}
	}
}

// wantsDetail says that a value of the details may stand for one that the row lacks.
func (r *svcRow) wantsDetail(k svcKey) bool {
	switch k {
	case svcError, svcReason, svcMFAMethod, svcMFA, svcSessionID, svcSuccess, svcOutcome, svcStatus, svcIP, svcUserAgent, svcEmail, svcUsername,
		svcUserID, svcFullName, svcClaims, svcScopes, svcParameters, svcGrant, svcGrantID, svcGrantType:
		return !r.keys.has(k)
	}
	return false
}

// namesFactor says that a type of login speaks of a second factor: "login_mfa", "2faLogin".
func namesFactor(s string) bool {
	var buf [64]byte
	folded := string(foldName(buf[:0], s))
	return strings.Contains(folded, "mfa") || strings.Contains(folded, "2fa") || strings.Contains(folded, "otp") || strings.Contains(folded, "twofactor")
}

// loginFactor is the second factor that a type of login speaks of. Who logs in by e-mail or voice need not have one.
func loginFactor(s string) string {
	method := factorIn(s)
	if (method == "email" || method == "voice") && !namesFactor(s) {
		return ""
	}
	return method
}

// eventTypeOf reads an Event Type: login, login_failed, "failed", mfa, totp_verification, passwordReset, account_lockout,
// session_created and so on. Types are told by the words in them, because each version of the service adds some.
func eventTypeOf(text string) (action event.Action, outcome event.Outcome, method string) {
	var buf [64]byte
	s := string(foldName(buf[:0], text))
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(s, w) {
				return true
			}
		}
		return false
	}
	outcome = event.Success
	failed := has("fail", "error", "invalid", "denied", "reject", "incorrect", "wrong", "unsuccessful", "expiredcode")
	if failed {
		outcome = event.Failure
	}
	switch {
	case s == "":
		return event.ActionNone, event.Unknown, ""
	case has("unlock"):
		return event.AccountUnlock, outcome, ""
	case has("lockout", "locked", "accountlock", "userlock"):
		return event.AccountLock, event.Success, ""
	case has("password"):
		return passwordEvent(failed, has), outcome, ""
	case has("mfa", "totp", "webauthn", "otp", "twofactor", "2fa", "secondfactor", "passkey", "fido") && !has("login", "signin"):
		action = factorEvent(has)
		if action == event.MFAChallenge && !failed {
			outcome = event.Unknown
		}
		return action, outcome, factorIn(text)
	case has("logout", "signout", "logoff"):
		return event.Logout, outcome, ""
	case has("grant", "consent"):
		return lifeEvent(has, event.GrantCreate, event.GrantExpire, event.GrantRevoke, event.GrantRevoke), outcome, ""
	case has("session"):
		return lifeEvent(has, event.SessionStart, event.SessionExpire, event.SessionRevoke, event.SessionEnd), outcome, ""
	case has("login", "signin", "logon", "authenticat") || s == "failed" || s == "failure" || s == "invalidcredentials":
		return event.Login, outcome, loginFactor(text)
	case has("accountdisable", "userdisable"):
		return event.AccountDisable, outcome, ""
	case has("signup", "registration", "usercreat"):
		return event.UserCreate, outcome, ""
	case failed:
		return event.ActionNone, event.Failure, ""
	}
	return event.ActionNone, event.Unknown, ""
}

func passwordEvent(failed bool, has func(...string) bool) event.Action {
	switch {
	case has("forgot", "request", "resetsent", "resetemail", "resetlink"):
		return event.PasswordResetRequest
	case has("reset"):
		return event.PasswordReset
	case has("change", "update"):
		return event.PasswordChange
	case failed: // "invalid_password"
		return event.Login
	}
	return event.PasswordChange
}

func factorEvent(has func(...string) bool) event.Action {
	switch {
	case has("enrol", "setup", "regist"):
		return event.MFAEnroll
	case has("enable"):
		return event.MFAEnable
	case has("disable", "remove", "delete"):
		return event.MFADisable
	case has("reset"):
		return event.MFAReset
	case has("challenge", "required", "request", "prompt"):
		return event.MFAChallenge
	}
	return event.MFAVerify
}

func lifeEvent(has func(...string) bool, start, expire, revoke, end event.Action) event.Action {
	switch {
	case has("expir", "timeout"):
		return expire
	case has("revo", "terminat"):
		return revoke
	case has("end", "clos", "destroy", "delet"):
		return end
	}
	return start
}

// eventMessage writes "jane@example.com: login to Portal with Google, Invalid credentials, from 203.0.113.9".
func eventMessage(ev *event.Event) string {
	var buf [320]byte
	b := buf[:0]
	if who := firstText(ev.User.Name, ev.User.Email, ev.User.ID); who != "" {
		b = append(appendShort(b, who), ": "...)
	}
	what := ev.Action.String()
	if what == "" {
		what = firstText(ev.Code, "event")
	}
	start := len(b)
	b = appendShort(b, what)
	for i := start; i < len(b) && ev.Action != event.ActionNone; i++ {
		if b[i] == '-' {
			b[i] = ' '
		}
	}
	if ev.Action == event.MFAVerify && ev.MFA.Method != "" {
		b = append(append(append(b, " ("...), ev.MFA.Method...), ')')
	}
	if ev.Client != nil {
		preposition := " at "
		if ev.Action == event.Login {
			preposition = " to "
		}
		b = appendShort(append(b, preposition...), firstText(ev.Client.Name, ev.Client.ID))
	}
	if ev.Provider != nil {
		b = appendShort(append(b, " with "...), firstText(ev.Provider.Name, ev.Provider.ID))
	}
	switch {
	case ev.Reason != "":
		b = appendShort(append(b, ", "...), ev.Reason)
	case ev.Outcome != event.Unknown && ev.Outcome != "":
		b = append(append(b, ", "...), ev.Outcome...)
	}
	if ev.Source.IP != "" {
		b = append(append(b, ", from "...), ev.Source.IP...)
	}
	return string(b)
}
