package parsers

import (
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// operation says what an operation of the Management API did, by its method and path: POST /api/v2/users, DELETE
// /api/v2/users/ID/roles. What was acted on is the target; what was asked for are the changes.
func (w *auth0Walk) operation() {
	ev := w.ev
	var parts [4]string
	n := 0
	if ev.URL != nil {
		path, _, _ := strings.Cut(ev.URL.Path, "?")
		path = strings.TrimPrefix(strings.TrimPrefix(path, "/api/v2"), "/api")
		for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			if n == len(parts) {
				break
			}
			if plain, err := url.PathUnescape(part); err == nil {
				part = plain
			}
			parts[n] = part
			n++
		}
	}
	verb := auth0Verb(ev)
	if ev.Action == event.Request && verb != event.ActionNone {
		ev.Action = verb
		if a := auth0Operations[auth0Operation{parts[0], parts[2], verb}]; a != event.ActionNone {
			ev.Action = a
		}
	}
	w.target(parts)
	w.states(verb)
}

// auth0Verb is what a method does to a resource; nothing is said of reading.
func auth0Verb(ev *event.Event) event.Action {
	if ev.HTTP == nil {
		return event.ActionNone
	}
	switch m := ev.HTTP.Method; {
	case strings.EqualFold(m, "post"):
		return event.Create
	case strings.EqualFold(m, "patch"), strings.EqualFold(m, "put"):
		return event.Update
	case strings.EqualFold(m, "delete"):
		return event.Delete
	}
	return event.ActionNone
}

// auth0Operation is a kind of resource, of what belongs to it (users/ID/roles), and what is done to it.
type auth0Operation struct {
	resource, part string
	verb           event.Action
}

var auth0Operations = map[auth0Operation]event.Action{
	{"users", "", event.Create}: event.UserCreate,
	{"users", "", event.Update}: event.UserUpdate,
	{"users", "", event.Delete}: event.UserDelete,

	{"users", "roles", event.Create}:                      event.RoleGrant,
	{"users", "roles", event.Delete}:                      event.RoleRevoke,
	{"users", "permissions", event.Create}:                event.RoleGrant,
	{"users", "permissions", event.Delete}:                event.RoleRevoke,
	{"users", "identities", event.Create}:                 event.UserUpdate,
	{"users", "identities", event.Delete}:                 event.UserUpdate,
	{"users", "multifactor", event.Delete}:                event.MFAReset,
	{"users", "authenticators", event.Delete}:             event.MFAReset,
	{"users", "authentication-methods", event.Create}:     event.MFAEnroll,
	{"users", "authentication-methods", event.Update}:     event.MFAEnroll,
	{"users", "authentication-methods", event.Delete}:     event.MFAReset,
	{"users", "recovery-code-regeneration", event.Create}: event.MFAReset,
	{"users", "sessions", event.Delete}:                   event.SessionRevoke,
	{"users", "refresh-tokens", event.Delete}:             event.GrantRevoke,
	{"users", "revoke-access", event.Create}:              event.GrantRevoke,

	{"roles", "users", event.Create}:       event.RoleGrant,
	{"roles", "permissions", event.Create}: event.RoleGrant,
	{"roles", "permissions", event.Delete}: event.RoleRevoke,

	{"organizations", "", event.Create}:        event.GroupCreate,
	{"organizations", "", event.Update}:        event.GroupUpdate,
	{"organizations", "", event.Delete}:        event.GroupDelete,
	{"organizations", "members", event.Create}: event.GroupMemberAdd,
	{"organizations", "members", event.Delete}: event.GroupMemberRemove,

	{"user-blocks", "", event.Delete}:        event.AccountUnlock,
	{"sessions", "", event.Delete}:           event.SessionRevoke,
	{"sessions", "revoke", event.Create}:     event.SessionRevoke,
	{"grants", "", event.Delete}:             event.GrantRevoke,
	{"client-grants", "", event.Create}:      event.GrantCreate,
	{"client-grants", "", event.Delete}:      event.GrantRevoke,
	{"refresh-tokens", "", event.Delete}:     event.GrantRevoke,
	{"device-credentials", "", event.Create}: event.GrantCreate,
	{"device-credentials", "", event.Delete}: event.GrantRevoke,
	{"jobs", "", event.Create}:               event.JobRun,
}

// target names what was acted on: the user, or a resource by kind, id and name.
func (w *auth0Walk) target(parts [4]string) {
	ev := w.ev
	name := func() string {
		for _, key := range [...]string{"name", "display_name", "client_id", "email"} {
			for _, body := range [...]string{w.got.Raw, w.asked.Raw} {
				if text := textMember(body, key); text != "" {
					return text
				}
			}
		}
		return ""
	}
	id := parts[1]
	for _, key := range [...]string{"user_id", "id", "client_id"} {
		if id == "" {
			id = textMember(w.got.Raw, key)
		}
	}
	switch parts[0] {
	case "":
		return
	case "users", "user-blocks":
		u := ev.NeedUserTarget()
		u.ID = id
		for _, body := range [...]string{w.got.Raw, w.asked.Raw} {
			if u.Email == "" {
				u.Email = textMember(body, "email")
			}
			if u.FullName == "" {
				u.FullName = textMember(body, "name")
			}
		}
		u.Name = u.Email
		if parts[2] != "" {
			ev.Target = event.Thing{Type: parts[2], ID: parts[3]}
		}
		w.accountOperation(parts)
	case "organizations":
		g := ev.NeedGroup()
		g.ID, g.Name = id, name()
		if parts[2] != "" {
			ev.Target = event.Thing{Type: parts[2], ID: parts[3]}
		}
	case "jobs", "tickets":
		// The second part is what kind: jobs/users-exports, tickets/password-change.
		ev.Target = event.Thing{Type: strings.TrimSuffix(parts[0], "s"), Name: parts[1], ID: textMember(w.got.Raw, "id")}
		w.ticketOperation(parts[1])
	default:
		ev.Target = event.Thing{Type: parts[0], ID: id, Name: name()}
	}
}

// accountOperation tells apart what an update of an account changes.
func (w *auth0Walk) accountOperation(parts [4]string) {
	ev := w.ev
	if ev.Action != event.UserUpdate || parts[2] != "" || !w.asked.Exists() {
		return
	}
	if blocked := memberOf(w.asked, "blocked"); blocked.Exists() {
		ev.Action = event.AccountEnable
		if blocked.Bool() {
			ev.Action = event.AccountDisable
		}
		return
	}
	if memberOf(w.asked, "password").Exists() {
		ev.Action = event.PasswordChange
	}
}

func (w *auth0Walk) ticketOperation(kind string) {
	switch kind {
	case "users-exports":
		w.ev.Action = event.Export
	case "users-imports":
		w.ev.Action = event.Import
	case "verification-email", "email-verification":
		w.ev.Action = event.NotificationSend
	case "password-change":
		w.ev.Action = event.PasswordResetRequest
	}
}

// textMember is a member of a JSON object that is a text.
func textMember(object, key string) string {
	text := memberOf(gjson.Result{Type: gjson.JSON, Raw: object}, key).Str
	if strings.Trim(text, "*") == "" {
		return ""
	}
	return text
}

// states keeps the state after as gatebook.new, and what was asked for as the changes.
func (w *auth0Walk) states(verb event.Action) {
	ev := w.ev
	switch {
	case w.got.Exists():
		ev.New = storedObject(w.got.Raw)
	case w.asked.Exists() && verb != event.Delete:
		ev.New = storedObject(w.asked.Raw)
	}
	switch {
	case !w.asked.Exists():
	case verb == event.Delete: // what was asked for is gone: the roles in DELETE /users/ID/roles
		ev.Changes = changesOf(w.asked.Raw, "")
	case verb != event.ActionNone:
		ev.Changes = changesOf("", w.asked.Raw)
	case w.got.Exists():
		labelBody(ev, "request_body", w.asked)
	}
}
