package parsers

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// finish makes the event of what was read.
func (w *keycloakWalk) finish() {
	ev := w.ev
	tenant := w.realmName
	if tenant == "" && w.realmID == "" {
		tenant = w.tenant
	}
	organize(ev, w.realmID, tenant)
	switch {
	case w.plain:
	case w.operation != "":
		w.administration()
	default:
		w.userEvent()
	}
	w.identityProvider.finish(ev)
}

// userEvent is what a user did, or somebody in his name.
func (w *keycloakWalk) userEvent() {
	ev := w.ev
	ev.Code = w.typ
	base, failure := strings.CutSuffix(w.typ, "_ERROR")
	action, known := keycloakTypes[base]
	ev.Action = action
	w.outcome(failure, known)
	if ev.Session.ID == "" && ev.Outcome == event.Success {
		ev.Session.ID = w.codeID // it is the id of the session that the login leads to
	} else {
		labelCell(ev, "code_id", w.codeID)
	}
	u := &ev.User
	u.Name, u.Email = w.username, w.email
	if _, domain := localPart(w.username); domain != "" && u.Email == "" {
		u.Email = w.username
	}
	if u.Name == "" {
		u.Name = w.email
	}
	switch base {
	case "CLIENT_LOGIN":
		ev.Actor = "service"
	case "IDENTITY_PROVIDER_LOGIN":
		if failure { // no LOGIN_ERROR follows
			ev.Action = event.Login
		}
	case "UPDATE_CREDENTIAL", "REMOVE_CREDENTIAL":
		if a := keycloakCredential(w.credential, base == "REMOVE_CREDENTIAL"); a != event.ActionNone {
			ev.Action = a
		}
	case "IMPERSONATE":
		*ev.NeedUserEffective() = *u
		*u = event.User{Name: w.impersonator}
		if w.impersonatorRealm != "" {
			ev.Realm = w.impersonatorRealm
		}
		w.impersonator = ""
		ev.Actor = "admin"
	}
	labelCell(ev, "impersonator_realm", w.impersonatorRealm)
	labelCell(ev, "impersonator", w.impersonator)
	w.secondFactor()
	if ev.Action.Info().Category == "iam" {
		*ev.NeedUserTarget() = *u
	}
	w.changed()
	w.message(keycloakWords(base))
}

func (w *keycloakWalk) outcome(failure, known bool) {
	ev := w.ev
	switch {
	case failure || w.failure != "":
		ev.Outcome = event.Failure
	case known:
		ev.Outcome = event.Success
	}
	ev.Reason = w.failure
	if w.failure != "" || w.reason != "" {
		e := ev.NeedError()
		e.Code, e.Message = w.failure, w.reason
	}
}

// secondFactor says which one was in play.
func (w *keycloakWalk) secondFactor() {
	ev := w.ev
	switch {
	case w.credential != "" && w.credential != "password":
		ev.MFA.Used = event.True
		setFactor(ev, "credential_type", w.credential)
	case ev.Code != "" && strings.Contains(ev.Code, "TOTP"):
		ev.MFA.Used, ev.MFA.Method = event.True, "totp"
	default:
		labelCell(ev, "credential_type", w.credential)
	}
}

// changed gives what a user changed about his account.
func (w *keycloakWalk) changed() {
	if len(w.previous)+len(w.updated) == 0 {
		return
	}
	w.ev.Changes = changesOf(keycloakState(w.previous), keycloakState(w.updated))
	for _, c := range w.updated {
		switch c.field {
		case "email":
			w.ev.NeedUserChanges().Email = c.value
		case "username":
			w.ev.NeedUserChanges().Name = c.value
		}
	}
}

func keycloakState(list []keycloakChange) string {
	m := make(map[string]string, len(list))
	for _, c := range list {
		m[strings.ToValidUTF8(c.field, "\uFFFD")] = c.value
	}
	text, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	return string(text)
}

// message writes "alice: login failed, invalid_user_credentials, client account, from 203.0.113.9".
func (w *keycloakWalk) message(words string) {
	ev := w.ev
	var buf [256]byte
	b := buf[:0]
	who := ev.User.Name
	if who == "" {
		who = ev.User.ID
	}
	if who != "" {
		b = append(append(b, who...), ": "...)
	}
	b = append(b, words...)
	if ev.Outcome == event.Failure {
		b = append(b, " failed"...)
	}
	part := func(head, text string) {
		if text != "" {
			b = append(append(append(b, ", "...), head...), text...)
		}
	}
	part("", ev.Reason)
	if ev.Client != nil && w.operation == "" {
		part("client ", ev.Client.ID)
	}
	part("from ", ev.Source.IP)
	ev.Message = string(b)
}

// administration is what an administrator did, through the console or the API.
func (w *keycloakWalk) administration() {
	ev := w.ev
	ev.Code = w.operation + "_" + w.resource
	if w.resource == "" {
		ev.Code = w.operation
	}
	ev.Actor = "admin"
	ev.User.Name, ev.User.Email = w.username, w.email
	parts := strings.SplitN(strings.Trim(w.path, "/"), "/", 5)
	ev.Action = keycloakOperations[[2]string{w.operation, w.resource}]
	if ev.Action == event.ActionNone {
		ev.Action = keycloakVerbs[w.operation]
	}
	if w.operation == "ACTION" && len(parts) > 0 {
		w.named(parts)
	}
	w.outcome(false, ev.Action != event.ActionNone)
	w.target(parts)
	if w.authRealm != w.realmID {
		labelCell(ev, "auth_realmId", w.authRealm)
		if about := ev.UserTarget != nil && ev.Action.Info().Category == "iam"; !about && w.authRealm != "" {
			ev.Realm = w.authRealm // the administrator's own
		}
	}
	w.state()
	labelCell(ev, "resourcePath", w.path)
	labelCell(ev, "code_id", w.codeID)
	labelCell(ev, "impersonator", w.impersonator)
	labelCell(ev, "impersonator_realm", w.impersonatorRealm)
	labelCell(ev, "credential_type", w.credential)
	verb := map[string]string{"CREATE": "created ", "UPDATE": "updated ", "DELETE": "deleted ", "ACTION": "acted on "}[w.operation]
	if verb == "" {
		verb = keycloakWords(w.operation) + " "
	}
	w.message(strings.TrimRight(verb+keycloakWords(w.resource)+" "+w.path, " "))
}

// named finds the action by the word in its path: users/ID/logout, users/ID/credentials/CID, logout-all.
func (w *keycloakWalk) named(parts []string) {
	word := parts[0]
	if len(parts) > 2 {
		word = parts[2]
	}
	if a := keycloakActions[word]; a != event.ActionNone {
		w.ev.Action = a
		return
	}
	if a := keycloakActions[parts[len(parts)-1]]; a != event.ActionNone {
		w.ev.Action = a
	}
}

// target names what was acted on, by the path and what is known of its state: users/ID/groups/GID.
func (w *keycloakWalk) target(parts []string) {
	ev := w.ev
	at := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	name := func(keys ...string) string {
		for _, key := range keys {
			if text := textMember(w.representation, key); text != "" {
				return text
			}
		}
		return ""
	}
	if !hasObject(w.representation) {
		name = func(...string) string { return "" }
	}
	kind, id := at(0), at(1)
	if kind == "attack-detection" { // attack-detection/brute-force/users/ID
		kind, id = at(2), at(3)
	}
	switch kind {
	case "users":
		u := ev.NeedUserTarget()
		u.ID = id
		if w.resource == "USER" {
			u.Name, u.Email = name("username"), name("email")
		}
		if at(2) == "groups" {
			g := ev.NeedGroup()
			g.ID, g.Name = at(3), name("name")
		}
	case "sessions":
		ev.Session.ID = id
	case "groups", "organizations":
		g := ev.NeedGroup()
		g.ID = id
		if w.resource == "GROUP" || w.resource == "ORGANIZATION" {
			g.Name = name("name")
		}
		if at(2) == "members" && at(3) != "" {
			ev.NeedUserTarget().ID = at(3)
		}
	}
	if w.resource != "USER" && w.resource != "GROUP" {
		last := w.path[strings.LastIndexByte(w.path, '/')+1:]
		if len(parts) < 2 || strings.HasSuffix(w.resource, "_ROLE_MAPPING") {
			last = "" // logout-all; users/ID/role-mappings/realm
		}
		ev.Target = event.Thing{Type: w.resource, ID: last, Name: name("name", "clientId", "alias", "displayName")}
	}
}

func hasObject(text string) bool { return looksLikeJSON(text) && event.CheckJSON(text) == nil }

// state keeps the representation: what was made, or what is gone. Lists of roles are the roles given or taken.
func (w *keycloakWalk) state() {
	ev := w.ev
	text := strings.TrimSpace(w.representation)
	switch {
	case text == "":
	case hasObject(text) && hasMembers(gjson.Parse(text)):
		if w.operation == "DELETE" {
			ev.Old = storedObject(text)
		} else {
			ev.New = storedObject(text)
		}
	case strings.HasPrefix(text, "[") && event.CheckJSON(text) == nil && (ev.Action == event.RoleGrant || ev.Action == event.RoleRevoke):
		w.roles(gjson.Parse(text))
	default:
		labelCell(ev, "representation", text)
	}
}

func (w *keycloakWalk) roles(list gjson.Result) {
	ev := w.ev
	var names []string
	list.ForEach(func(_, v gjson.Result) bool {
		if name := textOf(memberOf(v, "name")); name != "" {
			names = append(names, name)
		}
		return len(names) < maxLabels
	})
	if len(names) > 0 {
		ev.Target.Name = strings.Join(names, ", ")
	}
	if ev.Action == event.RoleGrant && ev.UserTarget != nil {
		ev.NeedUserChanges().Roles = names
	}
	labelCell(ev, "representation", list.Raw)
}
