package parsers

import (
	"github.com/gatebook/gatebook/event"
)

// wordSet is the words of an event's name that mean something, each a bit. Applications name the same event "login.failed",
// "LOGIN_FAILED", "loginFailed" and "Failed Login": what it means follows from the words, whatever their order and spelling.
type wordSet uint64

// The words; first what it is about, then what became of it.
const (
	saidAuth wordSet = 1 << iota // weak: a group that other subjects stand in ("auth.logout")
	saidLogin
	saidLogout
	saidLog // "log in", "signed out" are two words
	saidIn
	saidOut
	saidMFA
	saidOTP
	saidOne // "one time"
	saidTime
	saidPassword
	saidSession
	saidAccount
	saidRole
	saidConfig
	saidNotice // what alerts are about: new device, unusual location, concurrent, several
	saidNew    // "new device"
	saidDevice
	saidTransaction

	saidSuccess
	saidFailure
	saidAttempt
	saidRequest
	saidReset
	saidChange
	saidSetup
	saidPut // "set up"
	saidUp
	saidEnable
	saidDisable
	saidVerify
	saidStart
	saidEnd
	saidRevoke
	saidExpire
	saidDelete
	saidRestore
	saidLock
	saidUnlock
	saidGrant
	saidRedeem
	saidExport
	saidImport
	saidDownload
	saidUpload
	saidView
)

// words gives each word its bit.
var words = func() map[string]wordSet {
	m := map[string]wordSet{}
	add := func(w wordSet, list ...string) {
		for _, word := range list {
			m[word] |= w
		}
	}
	add(saidAuth, "auth", "authentication", "authenticate", "authenticated", "credential", "credentials", "security")
	add(saidLogin, "login", "logins", "logon", "signin", "loggedin")
	add(saidLogout, "logout", "logoff", "signout", "signoff", "loggedout")
	add(saidLog, "log", "logged", "sign", "signed")
	add(saidIn, "in", "on")
	add(saidOut, "out", "off")
	add(saidMFA, "mfa", "2fa", "tfa", "twofactor", "multifactor", "factor", "factors", "totp", "webauthn", "fido", "fido2", "u2f", "passkey",
		"authenticator", "twostep")
	add(saidOTP, "otp", "otps", "onetime", "passcode")
	add(saidOne, "one")
	add(saidTime, "time")
	add(saidPassword, "password", "passwd", "passwords", "pwd")
	add(saidSession, "session", "sessions")
	add(saidAccount, "account", "accounts", "user", "users")
	add(saidRole, "role", "roles", "permission", "permissions", "privilege", "privileges")
	add(saidConfig, "config", "configuration", "setting", "settings", "policy", "policies")
	add(saidNotice, "geographic", "geo", "anomaly", "concurrent", "simultaneous", "multiple", "unrecognized", "unusual", "suspicious", "impossible")
	add(saidNew, "new", "unknown", "unfamiliar")
	add(saidDevice, "device", "location")
	add(saidTransaction, "transaction", "transactions", "purchase", "purchased", "payment", "points", "stamps", "stamp")

	add(saidSuccess, "success", "succeeded", "successful", "successfully", "ok", "passed", "pass", "accepted", "valid")
	add(saidFailure, "fail", "failed", "failure", "failures", "denied", "rejected", "invalid", "incorrect", "wrong", "error", "blocked",
		"unsuccessful", "refused", "bad", "mismatch")
	add(saidAttempt, "attempt", "attempts", "attempting", "attempted")
	add(saidRequest, "request", "requested", "requests", "sent", "send", "resent", "resend", "issued", "generated", "generate", "challenge",
		"challenged", "prompted", "required", "initiated", "initiate", "requesting")
	add(saidRequest|saidReset, "forgot", "forgotten")
	add(saidReset, "reset", "resets", "recovery", "recover", "recovered")
	add(saidSuccess, "complete", "completed", "completion", "done", "finished", "confirmed")
	add(saidChange, "change", "changed", "changes", "modify", "modified", "modification", "modifications", "update", "updated", "updates", "edit",
		"edited", "replaced", "renamed")
	add(saidSetup, "setup", "enroll", "enrolled", "enrollment", "enrol", "enrolment", "register", "registered", "registration", "add", "added",
		"configured")
	add(saidPut, "set")
	add(saidUp, "up")
	add(saidEnable, "enable", "enabled", "activate", "activated", "activation", "reactivated")
	add(saidDisable, "disable", "disabled", "deactivate", "deactivated", "deactivation", "suspended")
	add(saidVerify, "verify", "verified", "verification", "validate", "validated", "validation", "verifying")
	add(saidStart, "create", "created", "creation", "start", "started", "begin", "began", "open", "opened", "store", "stored")
	add(saidEnd, "end", "ended", "close", "closed", "terminate", "terminated", "termination", "destroy", "destroyed")
	add(saidRevoke, "revoke", "revoked", "revocation", "kill", "killed", "invalidated", "kicked")
	add(saidExpire, "expire", "expired", "expires", "expiry", "expiration", "timeout", "timed", "idle")
	add(saidDelete, "delete", "deleted", "deletion", "remove", "removed", "removal", "trashed")
	add(saidRestore, "restore", "restored")
	add(saidLock, "lock", "locked", "lockout", "lockouts", "locking")
	add(saidUnlock, "unlock", "unlocked", "unlocking")
	add(saidGrant, "grant", "granted", "assign", "assigned")
	add(saidRevoke, "unassigned")
	add(saidRedeem, "redeem", "redeemed", "redemption", "redemptions", "claimed", "claim")
	add(saidExport, "export", "exported", "exports")
	add(saidImport, "import", "imported", "imports")
	add(saidDownload, "download", "downloaded")
	add(saidUpload, "upload", "uploaded")
	add(saidView, "view", "viewed", "accessed", "visited")
	return m
}()

const (
	maxNameBytes = 160 // of an event's name that are looked at
	maxWordBytes = 16
)

// wordsIn returns the words of a name and how many there are, known or not. A word ends at a character that is no letter or
// digit, and where capitals begin or end: "MFASetup" is "mfa setup".
func wordsIn(name string) (set wordSet, n int) {
	var buf [maxWordBytes]byte
	word, long := buf[:0], false
	end := func() {
		if len(word) > 0 {
			n++
			if !long {
				set |= words[string(word)]
			}
		}
		word, long = buf[:0], false
	}
	if len(name) > maxNameBytes {
		name = name[:maxNameBytes]
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		upper := isCapital(c)
		switch {
		case !upper && !isLetterOrDigit(c):
			end()
			continue
		case upper && i > 0 && (isSmall(name[i-1]) || isCapital(name[i-1]) && i+1 < len(name) && isSmall(name[i+1])):
			end()
		}
		if upper {
			c += 'a' - 'A'
		}
		if len(word) == maxWordBytes {
			long = true
			continue
		}
		word = append(word, c)
	}
	end()
	return set.joined(), n
}

func isCapital(c byte) bool { return c >= 'A' && c <= 'Z' }

func isSmall(c byte) bool { return c >= 'a' && c <= 'z' }

func isLetterOrDigit(c byte) bool { return isSmall(c) || isCapital(c) || isDigit(c) || c >= 0x80 }

// joined adds what two words mean together.
func (w wordSet) joined() wordSet {
	if w.all(saidLog | saidIn) {
		w |= saidLogin
	}
	if w.all(saidLog | saidOut) {
		w |= saidLogout
	}
	if w.all(saidOne | saidTime) {
		w |= saidOTP
		w &^= saidPassword // a one-time password is a code
	}
	if w.all(saidPut | saidUp) {
		w |= saidSetup
	}
	if w.all(saidNew | saidDevice) {
		w |= saidNotice
	}
	return w
}

func (w wordSet) all(x wordSet) bool { return w&x == x }

func (w wordSet) any(x wordSet) bool { return w&x != 0 }

// outcome is what the words say of it; empty where nothing.
func (w wordSet) outcome() event.Outcome {
	switch {
	case w.any(saidFailure):
		return event.Failure
	case w.any(saidSuccess):
		return event.Success
	}
	return ""
}

// done is the outcome of what is only logged when it has happened.
func (w wordSet) done() event.Outcome {
	if w.any(saidFailure) {
		return event.Failure
	}
	return event.Success
}

// access says what happened to logins, second factors, passwords, sessions and locks; ActionNone where the words are about nothing of
// the kind. An outcome is empty where the words leave it open.
func (w wordSet) access() (event.Action, event.Outcome) {
	switch {
	case w.any(saidUnlock):
		return event.AccountUnlock, w.done()
	case w.any(saidLock) && !w.any(saidSession):
		return event.AccountLock, event.Success // "failed attempts" may be why
	case w.any(saidOTP) && !w.any(saidSetup|saidEnable|saidDisable|saidDelete|saidChange|saidReset):
		return w.otp()
	case w.any(saidMFA|saidOTP) && !w.all(saidLogin|saidFailure) && !w.all(saidLogin|saidSuccess):
		return w.mfa()
	case w.any(saidPassword):
		return w.password()
	case w.any(saidSession) && !w.any(saidLogin):
		return w.session()
	case w.any(saidLogout):
		return event.Logout, w.done()
	case w.any(saidLogin) && w.any(saidNotice) || w.all(saidNew|saidDevice): // an alert about logins, not one more of them
		return event.LoginDetail, w.outcome()
	case w.any(saidLogin):
		return event.Login, w.outcome()
	case w.any(saidAuth) && w.any(saidFailure|saidSuccess):
		return event.Login, w.outcome()
	case w.any(saidRole) && w.any(saidGrant|saidSetup):
		return event.RoleGrant, w.done()
	case w.any(saidRole) && w.any(saidRevoke|saidDelete):
		return event.RoleRevoke, w.done()
	}
	return event.ActionNone, ""
}

func (w wordSet) otp() (event.Action, event.Outcome) {
	switch {
	case w.any(saidVerify | saidExpire):
		return event.OTPVerify, w.verified()
	case w.any(saidRequest | saidStart):
		return event.OTPRequest, w.done()
	case w.any(saidFailure | saidSuccess):
		return event.OTPVerify, w.outcome()
	}
	return event.ActionNone, ""
}

// verified is the outcome of a check: "verified" says that it was passed.
func (w wordSet) verified() event.Outcome {
	switch {
	case w.any(saidFailure | saidExpire):
		return event.Failure
	case w.any(saidRequest | saidAttempt):
		return w.outcome()
	}
	return event.Success
}

func (w wordSet) mfa() (event.Action, event.Outcome) {
	switch {
	case w.any(saidReset):
		return event.MFAReset, w.done()
	case w.any(saidDisable | saidDelete | saidRevoke):
		return event.MFADisable, w.done()
	case w.any(saidEnable):
		return event.MFAEnable, w.done()
	case w.all(saidSetup|saidStart) || w.all(saidSetup|saidRequest):
		return event.MFAEnroll, w.outcome() // begun, not yet done
	case w.any(saidSetup | saidStart):
		return event.MFAEnroll, w.done()
	case w.any(saidChange):
		return event.MFAChange, w.done()
	case w.any(saidRequest) && !w.any(saidVerify):
		return event.MFAChallenge, w.outcome()
	case w.any(saidVerify | saidFailure | saidSuccess | saidExpire | saidAttempt | saidLogin):
		return event.MFAVerify, w.verified()
	}
	return event.ActionNone, ""
}

func (w wordSet) password() (event.Action, event.Outcome) {
	switch {
	case w.any(saidReset) && w.any(saidRequest|saidStart):
		return event.PasswordResetRequest, w.done()
	case w.any(saidReset) && w.any(saidExpire):
		return event.PasswordReset, event.Failure
	case w.any(saidReset):
		return event.PasswordReset, w.done()
	case w.any(saidChange | saidPut):
		return event.PasswordChange, w.done()
	case w.any(saidFailure):
		return event.Login, event.Failure // "invalid password"
	case w.any(saidLogin):
		return event.Login, w.outcome()
	}
	return event.ActionNone, ""
}

func (w wordSet) session() (event.Action, event.Outcome) {
	switch {
	case w.any(saidExpire):
		return event.SessionExpire, event.Success
	case w.any(saidRevoke):
		return event.SessionRevoke, w.done()
	case w.any(saidEnd | saidDelete | saidLogout):
		return event.SessionEnd, w.done()
	case w.any(saidNotice):
		return event.LoginDetail, w.outcome()
	case w.any(saidStart):
		return event.SessionStart, w.done()
	}
	return event.ActionNone, ""
}

// other says what happened that has nothing to do with access.
func (w wordSet) other() event.Action {
	if w.any(saidAccount) {
		if a := w.account(); a != event.ActionNone {
			return a
		}
	}
	return w.thing()
}

// account says what was done to an account.
func (w wordSet) account() event.Action {
	switch {
	case w.any(saidEnable):
		return event.AccountEnable
	case w.any(saidDisable):
		return event.AccountDisable
	case w.any(saidDelete):
		return event.UserDelete
	case w.any(saidChange | saidRestore | saidVerify):
		return event.UserUpdate
	case w.any(saidStart | saidSetup):
		return event.UserCreate
	}
	return event.ActionNone
}

// thing says what was done to anything else.
func (w wordSet) thing() event.Action {
	switch {
	case w.any(saidRedeem):
		return event.Redeem
	case w.any(saidExport):
		return event.Export
	case w.any(saidImport):
		return event.Import
	case w.any(saidDownload):
		return event.Download
	case w.any(saidUpload):
		return event.Upload
	case w.any(saidDelete):
		return event.Delete
	case w.any(saidConfig) && w.any(saidChange):
		return event.ConfigChange
	case w.any(saidChange | saidRestore):
		return event.Update
	case w.any(saidEnable):
		return event.Enable
	case w.any(saidDisable):
		return event.Disable
	case w.any(saidStart | saidSetup):
		return event.Create
	case w.any(saidTransaction):
		return event.Transaction
	case w.any(saidView):
		return event.Request
	}
	return event.ActionNone
}
