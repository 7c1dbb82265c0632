package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// people tells who did it from whom it was done to: "by" and the user are two, unless they are the same.
func (p *userActivityParser) people(row *activityRow) {
	ev := row.ev
	user := event.User{Name: row.take(actUser), ID: row.take(actUserID), Email: row.take(actEmail), FullName: row.take(actFullName)}
	login(&user)
	by := event.User{Name: row.take(actBy), ID: row.take(actByID), Email: row.take(actByEmail)}
	login(&by)
	target := event.User{Name: row.take(actTarget), ID: row.take(actTargetID), Email: row.take(actTargetEmail)}
	login(&target)
	switch strings.ToLower(by.Name) {
	case "system", "self", "automatic", "auto", "policy":
		labelCell(ev, "by", by.Name)
		by = event.User{}
	}
	switch {
	case by.Name == "" && by.ID == "":
		ev.User = user
	case user.Name == "" && user.ID == "" || sameUser(&by, &user):
		ev.User = mergeUser(by, user)
	case target.Name == "" && target.ID == "":
		ev.User, target = by, user
	default:
		ev.User = by
		labelCell(ev, "user", user.Name)
		labelCell(ev, "user_id", user.ID)
	}
	if target.Name != "" || target.ID != "" {
		if !sameUser(&target, &ev.User) {
			*ev.NeedUserTarget() = target
			ev.Target = event.Thing{Type: "user", ID: target.ID, Name: target.Name}
			if ev.Action == event.SessionEnd {
				ev.Action = event.SessionRevoke // somebody else ended it
			}
		}
	}
	p.roles(row)
}

// login lets an e-mail address stand in for the name of a user.
func login(u *event.User) {
	if u.Name == "" {
		u.Name = u.Email
	} else if u.Email == "" && strings.IndexByte(u.Name, '@') > 0 {
		u.Email = u.Name
	}
}

func sameUser(a, b *event.User) bool {
	switch {
	case a.ID != "" && b.ID != "":
		return a.ID == b.ID
	case a.Email != "" && b.Email != "":
		return strings.EqualFold(a.Email, b.Email)
	}
	return strings.EqualFold(a.Name, b.Name)
}

// mergeUser completes a user with what another mention of the same one says.
func mergeUser(a, b event.User) event.User {
	if b.Name != "" {
		a.Name = b.Name
	}
	if a.ID == "" {
		a.ID = b.ID
	}
	if a.Email == "" {
		a.Email = b.Email
	}
	if a.FullName == "" {
		a.FullName = b.FullName
	}
	return a
}

// roles sets the actor's roles and type.
func (p *userActivityParser) roles(row *activityRow) {
	ev := row.ev
	role := row.take(actRole)
	switch {
	case strings.HasPrefix(role, "[") && event.CheckJSON(role) == nil:
		for i := skipSpace(role, 1); role[i] != ']'; {
			end := valueEnd(role, i)
			if role[i] == '"' {
				_, text := scalar(role, i)
				ev.User.Roles = append(ev.User.Roles, text)
			} else {
				labelCell(ev, "role", role[i:end])
			}
			i = afterComma(role, end)
		}
	case role != "":
		ev.User.Roles = append(ev.User.Roles, role)
	}
	kind := row.text[actUserType]
	if kind == "" && len(ev.User.Roles) > 0 {
		kind = ev.User.Roles[0]
	}
	if ev.Actor = actorTypeOf(kind); ev.Actor != "" && strings.EqualFold(ev.Actor, row.text[actUserType]) {
		row.text[actUserType] = ""
	}
}

var actorTypes = newNames(map[uint8]string{
	1: "admin administrator superadmin superadministrator sysadmin owner root globaladmin securityadmin",
	2: "partner business reseller",
	3: "staff staffmember employee cashier operator agent analyst supportagent manager",
	4: "customer member client consumer guest",
	5: "service system api bot machine job console serviceaccount apiclient apikey",
})

var actorTypeNames = [...]string{"", "admin", "partner", "staff", "customer", "service"}

// actorTypeOf is gatebook.actor.type of what a source calls a kind of user; "" where it is none of them.
func actorTypeOf(kind string) string { return actorTypeNames[actorTypes.find(kind)] }

// fillActivityChanges keeps what a value was and what it is now.
func fillActivityChanges(row *activityRow) {
	ev := row.ev
	before, after := row.take(actOld), row.take(actNew)
	if before != "" || after != "" {
		if isJSONObject(before) || isJSONObject(after) {
			before, after = orObject(before), orObject(after)
			ev.Old, ev.New = storedObject(before), storedObject(after)
			ev.Changes = changesOf(before, after)
		} else {
			ev.Changes = textChange("value", before, after)
		}
		return
	}
	before, after = row.take(actOldMethod), row.take(actNewMethod)
	if before != "" || after != "" {
		ev.Changes = textChange("mfa_method", before, after)
		if ev.MFA.Method == "" {
			setFactor(ev, activityKeys[actNewMethod], after)
		}
	}
}

// isJSONObject says that a value is an object: members sets objects as they stand, and no text that begins so comes from elsewhere unchecked.
func isJSONObject(s string) bool { return strings.HasPrefix(s, "{") && event.CheckJSON(s) == nil }

// orObject makes an object of what is none.
func orObject(s string) string {
	if s == "" || isJSONObject(s) {
		return s
	}
	return string(append(event.AppendQuoted([]byte(`{"value":`), s), '}'))
}

// textChange is a change of one value.
func textChange(field, before, after string) event.Raw {
	object := func(s string) string {
		if s == "" {
			return ""
		}
		b := append(event.AppendQuoted([]byte{'{'}, field), ':')
		return string(append(event.AppendQuoted(b, s), '}'))
	}
	return changesOf(object(before), object(after))
}
