package parsers

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// auth0Parser reads the log events of an Auth0 tenant: one JSON object a line, with or without the {"log_id":...,"data":{...}} that
// log streams put around it.
//
//	line -> unwrap -> members of the event and of its details -> Event -> table of type codes; method and path of the API
type auth0Parser struct{ identityProvider }

const auth0Dataset = "auth0.log"

func newAuth0(label string, body *conf.Body, o Options) (Parser, error) {
	return &auth0Parser{newIdentityProvider("auth0", auth0Dataset, label, body, o)}, nil
}

// auth0Keys are the members that an event may stand in: of log streams (data) and event buses (detail), of Filebeat, Fluent Bit and Vector.
var auth0Keys = []string{"data", "message", "log", "json", "event", "auth0", "detail", "original"}

// isAuth0 wants a type and a date, and one of the members that tell them from anybody else's.
func isAuth0(o gjson.Result) bool {
	typ, date, own := false, false, false
	o.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "type":
			typ = v.Type == gjson.String
		case "date":
			date = true
		case "log_id", "_id", "client_id", "tenant_name":
			own = true
		}
		return !typ || !date || !own
	})
	return typ && date && own
}

// looksLikeAuth0 is for lines that may hold the event as escaped text.
func looksLikeAuth0(text string) bool {
	return looksLikeJSON(text) && strings.Contains(text, `log_id`) && strings.Contains(text, `type`) && strings.Contains(text, `date`)
}

func (p *auth0Parser) Parse(line Line, ev *event.Event) error {
	root, err := unwrap(ev, line.Text, auth0Keys, isAuth0)
	if err != nil {
		return err
	}
	w := auth0Walk{auth0Parser: p, ev: ev, received: line.Received}
	root.ForEach(func(k, v gjson.Result) bool {
		w.member(k.Str, v)
		return true
	})
	w.finish()
	dropEnvelopeID(ev)
	return nil
}

// dropEnvelopeID leaves out the id on the wrapper of log streams where the event repeats it.
func dropEnvelopeID(ev *event.Event) {
	outer := slices.IndexFunc(ev.Labels, func(l event.Label) bool { return l.Key == "envelope_log_id" })
	if outer >= 0 && slices.Contains(ev.Labels, event.Label{Key: "log_id", Value: ev.Labels[outer].Value}) {
		ev.Labels = slices.Delete(ev.Labels, outer, outer+1)
	}
}

// auth0Walk is the state of one event.
type auth0Walk struct {
	*auth0Parser
	ev          *event.Event
	received    event.Time
	description string
	tenant      string
	company     event.Named // organization of Auth0: a customer of the tenant
	asked, got  gjson.Result
	admin       event.User // who used the Management API
}

func (w *auth0Walk) member(key string, v gjson.Result) {
	ev, text := w.ev, textOf(v)
	if text == "" {
		return
	}
	switch key {
	case "type":
		ev.Code = text
	case "date":
		w.time(ev, key, text, w.received)
	case "description":
		w.description = text
	case "connection":
		ev.NeedProvider().Name = text
	case "connection_id":
		ev.NeedProvider().ID = text
	case "client_id":
		ev.NeedClient().ID = text
	case "client_name":
		ev.NeedClient().Name = text
	case "ip":
		setAddress(ev, key, text)
	case "user_agent":
		ev.UserAgent.Original = text
	case "user_id":
		ev.User.ID = text
	case "user_name":
		ev.User.Name = text
	case "tenant_name":
		w.tenant = text
	case "organization_id":
		w.company.ID = text
	case "organization_name":
		w.company.Name = text
	case "session_id":
		ev.Session.ID = text
	case "scope":
		ev.Session.Scopes = appendScopes(ev.Session.Scopes, v)
	case "details":
		w.details(v)
	default:
		labelRest(ev, key, v)
	}
}

// appendScopes reads "openid profile" and ["openid","profile"].
func appendScopes(list []string, v gjson.Result) []string {
	if v.IsArray() {
		v.ForEach(func(_, e gjson.Result) bool {
			list = append(list, textOf(e))
			return len(list) < maxLabels
		})
		return list
	}
	for scope := range strings.FieldsSeq(textOf(v)) {
		if len(list) == maxLabels {
			break
		}
		list = append(list, scope)
	}
	return list
}

func (w *auth0Walk) details(v gjson.Result) {
	ev := w.ev
	if !v.IsObject() {
		labelRest(ev, "details", v)
		return
	}
	v.ForEach(func(k, v gjson.Result) bool {
		text := textOf(v)
		switch {
		case text == "" || text == "{}" || text == "[]":
		case k.Str == "error":
			w.failure(v)
		case k.Str == "session_id":
			ev.Session.ID = text
		case k.Str == "request" && v.IsObject():
			w.request(v)
		case k.Str == "response" && v.IsObject():
			w.response(v)
		case k.Str == "to" && v.Type == gjson.String:
			m := ev.NeedEmail()
			m.To = append(m.To[:0], text)
		default:
			w.rest(ev, "details", k.Str, v)
		}
		return true
	})
}

// failure reads an error: a text, or an object with message, code and type.
func (w *auth0Walk) failure(v gjson.Result) {
	e := w.ev.NeedError()
	if !v.IsObject() {
		e.Message = textOf(v)
		return
	}
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "message":
			e.Message = textOf(v)
		case "type":
			e.Type = textOf(v)
		case "code":
			e.Code = textOf(v)
		default:
			w.rest(w.ev, "details_error", k.Str, v)
		}
		return true
	})
}

// request reads an operation of the Management API: what was asked for, and by whom.
func (w *auth0Walk) request(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(k, v gjson.Result) bool {
		text := textOf(v)
		switch {
		case text == "" || text == "{}" || text == "[]":
		case k.Str == "method":
			ev.NeedHTTP().Method = text
		case k.Str == "path":
			ev.NeedURL().Path = text
		case k.Str == "body" && hasMembers(v):
			w.asked = v
		case k.Str == "auth" && v.IsObject():
			w.auth(v)
		case k.Str == "ip" && event.ValidIP(text) && (ev.Source.IP == "" || ev.Source.IP == text):
			ev.Source.IP = text
		case k.Str == "userAgent" && (ev.UserAgent.Original == "" || ev.UserAgent.Original == text):
			ev.UserAgent.Original = text
		default:
			w.rest(ev, "request", k.Str, v)
		}
		return true
	})
}

func (w *auth0Walk) auth(v gjson.Result) {
	v.ForEach(func(k, v gjson.Result) bool {
		if k.Str != "user" || !v.IsObject() {
			w.rest(w.ev, "request_auth", k.Str, v)
			return true
		}
		v.ForEach(func(k, v gjson.Result) bool {
			switch text := textOf(v); k.Str {
			case "user_id":
				w.admin.ID = text
			case "name":
				w.admin.Name = text
			case "email":
				w.admin.Email = text
			default:
				w.rest(w.ev, "request_auth_user", k.Str, v)
			}
			return true
		})
		return true
	})
}

func (w *auth0Walk) response(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(k, v gjson.Result) bool {
		switch {
		case k.Str == "statusCode":
			if n, ok := wholeNumber(textOf(v)); ok {
				ev.NeedHTTP().StatusCode = event.LongOf(n)
			} else {
				rejectValue(ev, "response_statusCode", textOf(v))
			}
		case k.Str == "body" && v.IsObject():
			if hasMembers(v) {
				w.got = v
			}
		default:
			w.rest(ev, "response", k.Str, v)
		}
		return true
	})
}

// finish fills what follows from several members.
func (w *auth0Walk) finish() {
	ev := w.ev
	t, known := auth0Types[ev.Code]
	ev.Action, ev.Outcome = t.action, t.outcome
	w.actor(t)
	if t.flags&auth0MFA != 0 {
		ev.MFA.Used = event.True
		if strings.HasPrefix(ev.Code, "gd_") {
			ev.MFA.Method = factorIn(t.name) // "Second factor sent by push"
		}
	}
	if t.flags&auth0API != 0 {
		w.operation()
	} else {
		labelBody(ev, "details_request_body", w.asked)
		labelBody(ev, "details_response_body", w.got)
	}
	if t.flags&auth0Self != 0 {
		*ev.NeedUserTarget() = ev.User
	}
	w.organization()
	if !known {
		t.name = ev.Code
	}
	ev.Message = t.name
	if w.description != "" {
		ev.Message = t.name + ": " + w.description
	}
	if ev.Outcome == failed {
		ev.Reason = w.description
		if ev.Error != nil && ev.Error.Message != "" {
			ev.Reason = ev.Error.Message
		}
	}
	w.identityProvider.finish(ev)
}

func labelBody(ev *event.Event, key string, v gjson.Result) {
	if v.Exists() {
		labelRest(ev, key, v)
	}
}

// actor completes who it was: the administrator behind an API operation, or an application on its own.
func (w *auth0Walk) actor(t auth0Type) {
	ev := w.ev
	u := &ev.User
	if w.admin.ID != "" && (u.ID == "" || u.ID == w.admin.ID) {
		u.ID = w.admin.ID
		if u.Name == "" {
			u.Name = w.admin.Name
		}
		u.Email = w.admin.Email
	} else if w.admin.ID != "" {
		w.ev.Label("request_auth_user_id", w.admin.ID)
	}
	if _, domain := localPart(u.Name); u.Email == "" && domain != "" {
		u.Email = u.Name
	}
	switch {
	case t.flags&auth0Service != 0:
		ev.Actor = "service"
	case t.flags&auth0API != 0 && u.ID != "":
		ev.Actor = "admin"
	case t.flags&auth0API != 0:
		ev.Actor = "service"
	}
}

// organization: the customer that the user belongs to, where the tenant has such; else the tenant, which user names are unique to.
func (w *auth0Walk) organization() {
	ev, tenant := w.ev, w.tenant
	if tenant == "" {
		tenant = w.identityProvider.tenant
	}
	if w.company == (event.Named{}) {
		organize(ev, "", tenant)
		return
	}
	*ev.NeedOrganization() = w.company
	labelCell(ev, "tenant_name", tenant)
	if ev.Realm = tenant; tenant == "" {
		organize(ev, w.company.ID, w.company.Name)
	}
}
