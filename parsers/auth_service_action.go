package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// svcVerb is what an Action of the audit log does, whatever word it uses for it.
type svcVerb uint8

const (
	verbNone svcVerb = iota
	verbCreate
	verbUpdate
	verbDelete
	verbEnable
	verbDisable
	verbGrant  // to give a role, a permission, a membership
	verbRevoke // to take it, or a session or grant
	verbLock
	verbUnlock
	verbReset
	verbRequest
	verbVerify
	verbExport
	verbImport
	verbSend
	verbImpersonate
	verbCount
)

var svcVerbs = newNames(map[uint8]string{
	uint8(verbCreate):      "create created creates add added new invite invited register registered enroll enrolled upload uploaded generate generated setup",
	uint8(verbUpdate):      "update updated updates change changed edit edited modify modified set rename renamed rotate rotated renew renewed regenerate regenerated save saved",
	uint8(verbDelete):      "delete deleted deletes remove removed destroy destroyed purge purged",
	uint8(verbEnable):      "enable enabled enables activate activated reactivate reactivated",
	uint8(verbDisable):     "disable disabled disables deactivate deactivated suspend suspended",
	uint8(verbGrant):       "grant granted assign assigned give given",
	uint8(verbRevoke):      "revoke revoked unassign unassigned withdraw withdrawn terminate terminated end ended invalidate invalidated expire expired",
	uint8(verbLock):        "lock locked block blocked",
	uint8(verbUnlock):      "unlock unlocked unblock unblocked",
	uint8(verbReset):       "reset resets",
	uint8(verbRequest):     "request requested",
	uint8(verbVerify):      "verify verified",
	uint8(verbExport):      "export exported download downloaded archive archived",
	uint8(verbImport):      "import imported restore restored",
	uint8(verbSend):        "send sent resend resent",
	uint8(verbImpersonate): "impersonate impersonated",
})

// appendPast appends the past tense of a verb as it stands in an Action: "update", "Updates" and "UPDATED" are "updated".
func appendPast(b []byte, word string) []byte {
	start := len(b)
	for i := 0; i < len(word); i++ {
		c := word[i]
		if isUpper(c) {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	w := b[start:]
	switch string(w) {
	case "reset", "set", "sent", "given", "withdrawn", "new":
		return b
	case "send", "resend":
		b[len(b)-1] = 't'
		return b
	case "give":
		return append(b, 'n')
	case "setup":
		return append(b[:start], "set up"...)
	}
	n := len(b)
	switch {
	case n == start:
	case n-start > 2 && b[n-2] == 'e' && b[n-1] == 'd':
	case b[n-1] == 's':
		return appendPast(b[:start], string(w[:len(w)-1]))
	case b[n-1] == 'e':
		b = append(b, 'd')
	case b[n-1] == 'y' && n-start > 1 && b[n-2] == 'f':
		b = append(b[:n-1], "ied"...)
	default:
		b = append(b, "ed"...)
	}
	return b
}

// splitAction takes "update IdentityProvider", "IdentityProvider.update", "update_identity_provider" or "updateIdentityProvider"
// apart: the verb, its word, and the rest as it is written.
func splitAction(s string) (verb svcVerb, word, object string) {
	word, rest := firstWord(s)
	if v := svcVerb(svcVerbs.find(word)); v != verbNone {
		if w := svcVerb(svcVerbs.find(rest)); v == verbGrant && w != verbNone {
			return w, rest, word // "Grant.revoke"
		}
		return v, word, rest
	}
	last, before := lastWord(s)
	if v := svcVerb(svcVerbs.find(last)); v != verbNone {
		return v, last, before
	}
	return verbNone, "", rest
}

const wordBreaks = " \t_.:-/"

// firstWord cuts the first word off; a capital letter after a small one begins a word too.
func firstWord(s string) (word, rest string) {
	for i := 1; i < len(s); i++ {
		switch {
		case strings.IndexByte(wordBreaks, s[i]) >= 0:
			return s[:i], strings.Trim(s[i:], wordBreaks)
		case isUpper(s[i]) && !isUpper(s[i-1]):
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func lastWord(s string) (word, before string) {
	for i := len(s) - 1; i > 0; i-- {
		switch {
		case strings.IndexByte(wordBreaks, s[i]) >= 0:
			return s[i+1:], strings.Trim(s[:i], wordBreaks)
		case isUpper(s[i]) && !isUpper(s[i-1]):
			return s[i:], s[:i]
		}
	}
	return s, ""
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// svcKind is the kind of what an Action is about.
type svcKind uint8

const (
	kindOther svcKind = iota
	kindUser
	kindGroup
	kindMember
	kindRole
	kindMFA
	kindPassword
	kindSession
	kindGrant
	kindSetting
	kindKey
	kindCount
)

// kindOfObject reads "IdentityProvider", "User", "group member", "tenant settings".
func kindOfObject(object string) svcKind {
	var buf [64]byte
	s := string(foldName(buf[:0], object))
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(s, w) {
				return true
			}
		}
		return false
	}
	switch {
	case s == "":
		return kindOther
	case has("setting", "config", "policy", "policies", "preference") || s == "tenant":
		return kindSetting
	case has("session"):
		return kindSession
	case has("secret", "certificate", "apikey", "signingkey", "token") && !has("grant"):
		return kindKey
	case has("template", "provider", "client", "application", "auditlog", "eventlog") && !has("grant", "consent", "role", "permission"):
		return kindOther
	case has("member") || has("user") && has("group"):
		return kindMember
	case has("role", "permission"):
		return kindRole
	case has("mfa", "totp", "webauthn", "twofactor", "2fa", "secondfactor", "authenticator", "passkey"):
		return kindMFA
	case has("password"):
		return kindPassword
	case has("grant", "consent"):
		return kindGrant
	case has("group"):
		return kindGroup
	case has("user", "account") || s == "admin":
		return kindUser
	}
	return kindOther
}

// generalActions is what verbs do to things of no kind of their own.
var generalActions = [verbCount]event.Action{verbCreate: event.Create, verbUpdate: event.Update, verbDelete: event.Delete,
	verbEnable: event.Enable, verbDisable: event.Disable, verbGrant: event.RoleGrant, verbRevoke: event.RoleRevoke, verbLock: event.Disable,
	verbUnlock: event.Enable, verbReset: event.Update, verbRequest: event.Request, verbExport: event.Export, verbImport: event.Import,
	verbSend: event.NotificationSend, verbImpersonate: event.PrivilegeUse}

// kindActions is what verbs do to things of a kind, where that has an action of its own.
var kindActions = [kindCount][verbCount]event.Action{
	kindUser: {verbCreate: event.UserCreate, verbUpdate: event.UserUpdate, verbDelete: event.UserDelete, verbEnable: event.AccountEnable,
		verbDisable: event.AccountDisable, verbLock: event.AccountLock, verbUnlock: event.AccountUnlock, verbReset: event.UserUpdate,
		verbImport: event.UserCreate},
	kindGroup: {verbCreate: event.GroupCreate, verbUpdate: event.GroupUpdate, verbDelete: event.GroupDelete, verbEnable: event.GroupUpdate,
		verbDisable: event.GroupUpdate, verbImport: event.GroupCreate, verbGrant: event.GroupMemberAdd, verbRevoke: event.GroupMemberRemove},
	kindMember: {verbCreate: event.GroupMemberAdd, verbGrant: event.GroupMemberAdd, verbDelete: event.GroupMemberRemove,
		verbRevoke: event.GroupMemberRemove, verbUpdate: event.GroupUpdate},
	kindMFA: {verbCreate: event.MFAEnroll, verbUpdate: event.MFAEnroll, verbDelete: event.MFADisable, verbRevoke: event.MFADisable,
		verbEnable: event.MFAEnable, verbDisable: event.MFADisable, verbReset: event.MFAReset, verbVerify: event.MFAVerify},
	kindPassword: {verbCreate: event.PasswordChange, verbUpdate: event.PasswordChange, verbReset: event.PasswordReset,
		verbRequest: event.PasswordResetRequest, verbSend: event.PasswordResetRequest},
	kindSession: {verbCreate: event.SessionStart, verbDelete: event.SessionRevoke, verbRevoke: event.SessionRevoke},
	kindGrant:   {verbCreate: event.GrantCreate, verbDelete: event.GrantRevoke, verbRevoke: event.GrantRevoke},
	kindSetting: {verbCreate: event.ConfigChange, verbUpdate: event.ConfigChange, verbDelete: event.ConfigChange, verbEnable: event.ConfigChange,
		verbDisable: event.ConfigChange, verbReset: event.ConfigChange, verbGrant: event.ConfigChange, verbRevoke: event.ConfigChange},
	kindKey: {verbRevoke: event.Disable, verbLock: event.Disable, verbGrant: event.Create},
}

// svcActionOf is event.action of a verb and the kind of its object.
func svcActionOf(verb svcVerb, kind svcKind, object string) event.Action {
	if kind == kindRole {
		return roleAction(verb, object)
	}
	if a := kindActions[kind][verb]; a != event.ActionNone {
		return a
	}
	return generalActions[verb]
}

// roleAction tells giving a role from making one: "create Role" makes it, "add UserRole" and "assign Role" give it.
func roleAction(verb svcVerb, object string) event.Action {
	var buf [64]byte
	s := string(foldName(buf[:0], object))
	given := strings.Contains(s, "user") || strings.Contains(s, "assignment") || strings.Contains(s, "group")
	switch {
	case verb == verbGrant, given && verb == verbCreate:
		return event.RoleGrant
	case verb == verbRevoke, given && verb == verbDelete:
		return event.RoleRevoke
	}
	return generalActions[verb]
}
