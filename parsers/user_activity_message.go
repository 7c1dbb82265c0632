package parsers

import (
	"github.com/gatebook/gatebook/event"
)

// activityPhrase is how an action stands in a sentence: done, failed, or open how it went.
type activityPhrase struct{ done, failed, open string }

var activityPhrases = map[event.Action]activityPhrase{
	event.Login:                {"logged in", "failed to log in", "tried to log in"},
	event.LoginDetail:          {"had a noteworthy login", "had noteworthy failed logins", "had a noteworthy login"},
	event.Logout:               {"logged out", "failed to log out", "logged out"},
	event.MFAChallenge:         {"was asked for a second factor", "was not asked for a second factor", "was asked for a second factor"},
	event.MFAVerify:            {"passed the second factor", "failed the second factor", "gave a second factor"},
	event.MFAEnroll:            {"set up a second factor", "failed to set up a second factor", "began to set up a second factor"},
	event.MFAEnable:            {"enabled the second factor", "failed to enable the second factor", ""},
	event.MFADisable:           {"disabled the second factor", "failed to disable the second factor", ""},
	event.MFAReset:             {"reset the second factor", "failed to reset the second factor", ""},
	event.MFAChange:            {"changed the second factor", "failed to change the second factor", ""},
	event.OTPRequest:           {"requested a one-time code", "failed to get a one-time code", ""},
	event.OTPVerify:            {"gave the right one-time code", "failed to give the right one-time code", "gave a one-time code"},
	event.PasswordResetRequest: {"requested a password reset", "failed to request a password reset", ""},
	event.PasswordReset:        {"reset the password", "failed to reset the password", ""},
	event.PasswordChange:       {"changed the password", "failed to change the password", ""},
	event.AccountLock:          {"was locked out", "was not locked out", ""},
	event.AccountUnlock:        {"was unlocked", "was not unlocked", ""},
	event.AccountEnable:        {"was enabled", "was not enabled", ""},
	event.AccountDisable:       {"was disabled", "was not disabled", ""},
	event.SessionStart:         {"started a session", "failed to start a session", ""},
	event.SessionEnd:           {"ended a session", "failed to end a session", ""},
	event.SessionExpire:        {"had a session that expired", "", ""},
	event.SessionRevoke:        {"revoked a session", "failed to revoke a session", ""},
	event.UserCreate:           {"created the account", "failed to create the account", ""},
	event.UserUpdate:           {"changed the account", "failed to change the account", ""},
	event.UserDelete:           {"deleted the account", "failed to delete the account", ""},
	event.Transaction:          {"made a transaction", "failed to make a transaction", ""},
	event.Redeem:               {"redeemed a reward", "failed to redeem a reward", ""},
	event.Export:               {"exported data", "failed to export data", ""},
	event.Import:               {"imported data", "failed to import data", ""},
	event.ConfigChange:         {"changed a setting", "failed to change a setting", ""},
	event.RoleGrant:            {"granted a role", "failed to grant a role", ""},
	event.RoleRevoke:           {"revoked a role", "failed to revoke a role", ""},
}

// passive are the actions whose phrase is about the one whom it was done to.
func passive(a event.Action) bool {
	return a == event.AccountLock || a == event.AccountUnlock || a == event.AccountEnable || a == event.AccountDisable
}

// activityMessage writes "bob failed to log in: Invalid password, from 203.0.113.9", "bob was unlocked by carol: identity checked".
func activityMessage(ev *event.Event) string {
	phrase, ok := activityPhrases[ev.Action]
	who, other := personOf(&ev.User), ""
	if ev.UserTarget != nil {
		other = personOf(ev.UserTarget)
	}
	if !ok || who == "" && other == "" {
		return writeSentence(ev, who, ev.Code)
	}
	what := phrase.done
	switch {
	case ev.Action == event.SessionRevoke && other == "": // nobody says by whom
		what = "had a session that was revoked"
	case ev.Outcome == event.Failure && phrase.failed != "":
		what = phrase.failed
	case ev.Outcome == event.Unknown && phrase.open != "":
		what = phrase.open
	}
	link := " of "
	if passive(ev.Action) && other != "" {
		who, other, link = other, who, " by "
	} else if ev.Action == event.RoleGrant {
		link = " to "
	}
	var buf [256]byte
	b := append(buf[:0], who...)
	if who == "" {
		b = append(b, "somebody"...)
	}
	b = append(append(b, ' '), what...)
	if other != "" {
		b = append(append(b, link...), other...)
	}
	return string(appendWhyWhere(b, ev, other != ""))
}

// appendWhyWhere adds the reason and the address; comma parts it from another person's name.
func appendWhyWhere(b []byte, ev *event.Event, comma bool) []byte {
	if ev.Reason != "" {
		b = append(append(b, ": "...), ev.Reason...)
	}
	if ev.Source.IP != "" {
		if comma || ev.Reason != "" {
			b = append(b, ',')
		}
		b = append(append(b, " from "...), ev.Source.IP...)
	}
	return b
}

// personOf is what a person is called.
func personOf(u *event.User) string {
	switch {
	case u.FullName != "":
		return u.FullName
	case u.Name != "":
		return u.Name
	case u.Email != "":
		return u.Email
	}
	return u.ID
}
