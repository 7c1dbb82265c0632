package parsers

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// oktaParser reads the events of Okta's System Log as its API gives them: one JSON object a line, bare or in what a shipper, an
// event hook or an event bus puts around it.
//
//	line -> unwrap -> members of the event -> Event (actor, client, targets) -> table of event types
type oktaParser struct{ identityProvider }

const oktaDataset = "okta.system"

func newOkta(label string, body *conf.Body, o Options) (Parser, error) {
	return &oktaParser{newIdentityProvider("okta", oktaDataset, label, body, o)}, nil
}

// oktaKeys are the members that an event may stand in: of Filebeat, Fluent Bit and Vector; of an event bus (detail); of an event
// hook ({"data":{"events":[...]}}).
var oktaKeys = []string{"message", "log", "json", "event", "okta", "detail", "data", "events", "original"}

// isOkta wants the two members that no event of the System Log is without.
func isOkta(o gjson.Result) bool {
	typ, published := false, false
	o.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "eventType":
			typ = v.Type == gjson.String
		case "published":
			published = true
		}
		return !typ || !published
	})
	return typ && published
}

// looksLikeOkta is for lines that may hold the event as escaped text.
func looksLikeOkta(text string) bool {
	return looksLikeJSON(text) && strings.Contains(text, `eventType`) && strings.Contains(text, `published`) &&
		(strings.Contains(text, `legacyEventType`) || strings.Contains(text, `displayMessage`))
}

func (p *oktaParser) Parse(line Line, ev *event.Event) error {
	root, err := unwrap(ev, line.Text, oktaKeys, isOkta)
	if err != nil {
		return err
	}
	organize(ev, "", oktaHook(ev))
	w := oktaWalk{oktaParser: p, ev: ev, received: line.Received}
	root.ForEach(func(k, v gjson.Result) bool {
		w.member(k.Str, v)
		return true
	})
	w.finish()
	return nil
}

// oktaHook is the tenant that an event hook names as its source: acme.okta.com.
func oktaHook(ev *event.Event) string {
	for i := range ev.Labels {
		if l := &ev.Labels[i]; l.Key == "envelope_source" {
			if rest, ok := strings.CutPrefix(l.Value, "https://"); ok {
				host, _, _ := strings.Cut(rest, "/")
				return host
			}
		}
	}
	return ""
}

// oktaWalk is the state of one event.
type oktaWalk struct {
	*oktaParser
	ev       *event.Event
	received event.Time
	result   string // outcome.result
	actor    string // actor.type
	granted  string // privileges given or taken
	factor   string
	chain    string // first address of the request's chain
	targets  int
	old, new string
}

func (w *oktaWalk) member(key string, v gjson.Result) {
	ev := w.ev
	switch key {
	case "eventType":
		ev.Code = v.Str
	case "published":
		w.time(ev, key, textOf(v), w.received)
	case "displayMessage":
		ev.Message = textOf(v)
	case "severity":
		ev.Log.Level = textOf(v)
	case "actor":
		w.setActor(v)
	case "client":
		w.client(v)
	case "outcome":
		w.outcome(v)
	case "target":
		w.setTargets(v)
	case "authenticationContext":
		w.authentication(v)
	case "securityContext":
		w.security(v)
	case "debugContext":
		w.debug(v)
	case "request":
		w.request(v)
	default:
		labelRest(ev, key, v)
	}
}

// oktaThing is an actor or a target.
type oktaThing struct{ typ, id, login, name string }

// thing reads one; "unknown" stands for nothing. What else it has becomes labels beneath the key.
func (w *oktaWalk) thing(key string, v gjson.Result) (t oktaThing) {
	v.ForEach(func(k, v gjson.Result) bool {
		text := textOf(v)
		if text == "unknown" {
			text = ""
		}
		switch k.Str {
		case "type":
			t.typ = text
		case "id":
			t.id = text
		case "alternateId":
			t.login = text
		case "displayName":
			t.name = text
		case "changeDetails":
			w.changes(v)
		default:
			w.rest(w.ev, key, k.Str, v)
		}
		return true
	})
	return t
}

// user is the person behind a login such as alice@example.com: name, directory and address.
func (t *oktaThing) user() event.User {
	u := event.User{ID: t.id, FullName: t.name}
	u.Name, u.Domain = localPart(t.login)
	if u.Domain != "" {
		u.Email = t.login
	}
	return u
}

func (w *oktaWalk) setActor(v gjson.Result) {
	t := w.thing("actor", v)
	w.actor = t.typ
	w.ev.User = t.user()
	if t.typ != "" && t.typ != "User" {
		w.ev.Actor = "service"
		w.ev.Label("actor_type", t.typ)
		if t.typ == "PublicClientApp" {
			c := w.ev.NeedClient()
			c.ID, c.Name = t.id, t.name
		}
	}
}

func (w *oktaWalk) client(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "ipAddress":
			setAddress(ev, "client_ipAddress", textOf(v))
		case "id":
			if id := textOf(v); id != "" {
				ev.NeedClient().ID = id
			}
		case "userAgent":
			v.ForEach(func(k, v gjson.Result) bool {
				if k.Str == "rawUserAgent" {
					ev.UserAgent.Original = textOf(v)
				} else {
					w.rest(ev, "client", k.Str, v)
				}
				return true
			})
		default:
			w.rest(ev, "client", k.Str, v)
		}
		return true
	})
}

func (w *oktaWalk) outcome(v gjson.Result) {
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "result":
			w.result = textOf(v)
		case "reason":
			w.ev.Reason = textOf(v)
		default:
			w.rest(w.ev, "outcome", k.Str, v)
		}
		return true
	})
}

// setTargets: users and groups have fields of their own; of all else the first is the target, the second the subject. An
// application is the client as well.
func (w *oktaWalk) setTargets(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(_, v gjson.Result) bool {
		w.targets++
		key := oktaTarget(w.targets)
		t := w.thing(key, v)
		switch {
		case t.typ == "User" && ev.UserTarget == nil:
			*ev.NeedUserTarget() = t.user()
			return true
		case t.typ == "UserGroup" && ev.Group == nil:
			g := ev.NeedGroup()
			g.ID, g.Name = t.id, t.name
			t.id, t.name, t.typ = "", "", ""
		case ev.Target == (event.Thing{}):
			ev.Target = event.Thing{Type: t.typ, ID: t.id, Name: t.name}
			if t.typ == "AppInstance" {
				c := ev.NeedClient()
				c.ID, c.Name = t.id, t.name
			}
			t.id, t.name, t.typ = "", "", ""
		case t.typ == "AppInstance" && ev.Client == nil:
			c := ev.NeedClient()
			c.ID, c.Name = t.id, t.name
			if ev.Subject == (event.Thing{}) {
				ev.Subject = event.Thing{Type: t.typ, ID: t.id, Name: t.name}
			}
			t.id, t.name, t.typ = "", "", ""
		case ev.Subject == (event.Thing{}):
			ev.Subject = event.Thing{Type: t.typ, ID: t.id, Name: t.name}
			t.id, t.name, t.typ = "", "", ""
		}
		w.label(ev, key, "type", t.typ)
		w.label(ev, key, "id", t.id)
		w.label(ev, key, "displayName", t.name)
		w.label(ev, key, "alternateId", t.login)
		return true
	})
}

// oktaTarget is the group of labels of a target: target_1, target_2 and so on.
func oktaTarget(n int) string {
	names := [...]string{"target_1", "target_2", "target_3", "target_4", "target_5", "target_6"}
	if n <= len(names) {
		return names[n-1]
	}
	var digits [20]byte
	return "target_" + string(appendInt(digits[:0], int64(n)))
}

// changes reads {"from":{...},"to":{...}} of a target.
func (w *oktaWalk) changes(v gjson.Result) {
	from, to := memberOf(v, "from"), memberOf(v, "to")
	if hasMembers(from) {
		w.old = from.Raw
	}
	if hasMembers(to) {
		w.new = to.Raw
	}
}

func (w *oktaWalk) authentication(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "externalSessionId":
			if id := textOf(v); id != "unknown" {
				ev.Session.ID = id
			}
		case "authenticationProvider":
			if name := textOf(v); name != "" {
				ev.NeedProvider().Name = name
			}
		case "issuer":
			v.ForEach(func(k, v gjson.Result) bool {
				if id := textOf(v); k.Str == "id" && id != "" {
					ev.NeedProvider().ID = id
				} else {
					w.rest(ev, "issuer", k.Str, v)
				}
				return true
			})
		default:
			w.rest(ev, "authentication", k.Str, v)
		}
		return true
	})
}

func (w *oktaWalk) security(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(k, v gjson.Result) bool {
		switch text := textOf(v); k.Str {
		case "asNumber":
			if n, ok := wholeNumber(text); ok && n > 0 {
				ev.Source.AS.Number = event.LongOf(n)
			}
		case "asOrg":
			ev.Source.AS.Organization = text
		case "domain":
			if text != "." {
				ev.Source.Domain = text
			}
		default:
			w.rest(ev, "security", k.Str, v)
		}
		return true
	})
}

func (w *oktaWalk) debug(v gjson.Result) {
	ev := w.ev
	v.ForEach(func(k, v gjson.Result) bool {
		if k.Str != "debugData" {
			w.rest(ev, "debug", k.Str, v)
			return true
		}
		v.ForEach(func(k, v gjson.Result) bool {
			switch text := textOf(v); {
			case text == "":
			case k.Str == "url":
				ev.NeedURL().Original = text
			case k.Str == "requestUri":
				ev.NeedURL().Path = text
			case k.Str == "factor":
				w.factor = text
			case k.Str == "privilegeGranted", k.Str == "privilegeRevoked":
				w.granted = text
				w.rest(ev, "debug", k.Str, v)
			default:
				w.rest(ev, "debug", k.Str, v)
			}
			return true
		})
		return true
	})
}

// request keeps the addresses of the chain in their order; the first is the client's.
func (w *oktaWalk) request(v gjson.Result) {
	v.ForEach(func(k, v gjson.Result) bool {
		if k.Str != "ipChain" {
			w.rest(w.ev, "request", k.Str, v)
			return true
		}
		list := ""
		v.ForEach(func(_, hop gjson.Result) bool {
			ip := textOf(memberOf(hop, "ip"))
			switch {
			case w.chain == "":
				w.chain, list = ip, ip
			case len(list) < 1024 && ip != "":
				list += ", " + ip
			}
			return true
		})
		labelCell(w.ev, "request_ipChain", list)
		return true
	})
}

// finish fills what follows from several members.
func (w *oktaWalk) finish() {
	ev := w.ev
	if ev.Source.IP == "" && event.ValidIP(w.chain) {
		ev.Source.IP = w.chain
	}
	t := oktaTypeOf(ev.Code)
	ev.Action, ev.Outcome = t.action, oktaOutcome(w.result)
	if t.failure {
		ev.Outcome = event.Failure
	}
	ev.Status.Name = w.result
	if t.mfa || w.factor != "" {
		ev.MFA.Used = event.True
		ev.MFA.Method = factorIn(ev.Code) // deny_push, system.sms.send_factor_verify_message
		setFactor(ev, "debug_factor", w.factor)
	}
	if ev.Code == "policy.evaluate_sign_on" && w.result == "CHALLENGE" {
		ev.Action, ev.MFA.Used = event.MFAChallenge, event.True
	}
	if w.old != "" || w.new != "" {
		ev.Old, ev.New = storedObject(w.old), storedObject(w.new)
		ev.Changes = changesOf(w.old, w.new)
	}
	w.privileges()
	if w.tenant != "" {
		organize(ev, "", w.tenant)
	}
	w.whose(t.admin)
	if ev.Message == "" {
		ev.Message = ev.Code
	}
	w.identityProvider.finish(ev)
}

// privileges are the new roles of whom they were given to, or what was taken: "Super administrator, Group administrator".
func (w *oktaWalk) privileges() {
	if w.granted == "" || w.ev.UserTarget == nil || w.ev.Action != event.RoleGrant {
		return
	}
	roles := w.ev.NeedUserChanges()
	for role := range strings.SplitSeq(w.granted, ",") {
		if role = strings.Trim(role, " []"); role != "" {
			roles.Roles = append(roles.Roles, role)
		}
	}
}

// whose says in which realm the name is that the event is about, and whether the actor administers others. A name of Okta is
// unique with its domain only.
func (w *oktaWalk) whose(admin bool) {
	ev := w.ev
	who := &ev.User
	if t := ev.UserTarget; t != nil && ev.Action.Info().Category == "iam" {
		who = t
	}
	if who.Domain != "" {
		ev.Realm = who.Domain
	}
	self := ev.UserTarget != nil && ev.UserTarget.ID == ev.User.ID && ev.UserTarget.Name == ev.User.Name
	if admin && !self && w.actor == "User" {
		ev.Actor = "admin"
	}
}

// oktaOutcome reads outcome.result. A challenge and a skipped step say neither.
func oktaOutcome(result string) event.Outcome {
	switch result {
	case "SUCCESS", "ALLOW":
		return event.Success
	case "FAILURE", "DENY", "RATE_LIMIT":
		return event.Failure
	}
	return event.Unknown
}
