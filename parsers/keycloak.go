package parsers

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// keycloakParser reads what Keycloak says of logins and of administration: events in the server log, as text or as JSON of the
// console, and events as listeners and exports write them. Other lines of the server log become plain records.
//
//	2026-11-22 10:00:00,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="..."
//	{"timestamp":...,"loggerName":"org.keycloak.events","message":"type=\"LOGIN_ERROR\", ..."}
//	{"time":1795168800123,"type":"LOGIN_ERROR","realmId":...,"details":{...}}
//	  -> pairs or members -> keycloakWalk -> tables of event types and of operations -> Event
type keycloakParser struct{ identityProvider }

const keycloakDataset = "keycloak.event"

func newKeycloak(label string, body *conf.Body, o Options) (Parser, error) {
	return &keycloakParser{newIdentityProvider("keycloak", keycloakDataset, label, body, o)}, nil
}

// keycloakKeys are the members that an event, or a line of the console, may stand in.
var keycloakKeys = []string{"message", "log", "json", "event", "keycloak", "detail", "data", "original"}

// isKeycloak says that an object is an event or a line of the console.
func isKeycloak(o gjson.Result) bool {
	typ, realm, logger, message := false, false, false, false
	o.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "type", "operationType":
			typ = v.Type == gjson.String
		case "realmId":
			realm = true
		case "loggerName", "log.logger":
			logger = true
		case "message":
			message = true
		}
		return (!typ || !realm) && (!logger || !message)
	})
	return typ && realm || logger && message
}

func looksLikeKeycloak(text string) bool {
	if looksLikeJSON(text) {
		return strings.Contains(text, "org.keycloak") ||
			strings.Contains(text, "realmId") && (strings.Contains(text, "type") || strings.Contains(text, "operationType"))
	}
	if isKeycloakText(text) {
		return strings.Contains(text, "realmId=")
	}
	h, rest := readKeycloakHeader(text)
	return h.level != "" && (strings.Contains(h.logger, "keycloak") || isKeycloakText(rest))
}

// isKeycloakText says that a message begins as the log listener writes an event.
func isKeycloakText(message string) bool {
	return strings.HasPrefix(message, "type=") || strings.HasPrefix(message, "operationType=")
}

func (p *keycloakParser) Parse(line Line, ev *event.Event) error {
	w := keycloakWalk{keycloakParser: p, ev: ev, received: line.Received}
	if looksLikeJSON(line.Text) {
		root, err := unwrap(ev, line.Text, keycloakKeys, isKeycloak)
		switch {
		case err == nil:
			w.object(root)
		case !errors.Is(err, ErrNoMatch) || !w.container(root):
			return err
		}
	} else if !w.text(strings.TrimRight(line.Text, "\r\n")) {
		return ErrNoMatch
	}
	if ev.Time == 0 && line.Header != nil {
		ev.Time = line.Header.Time
	}
	w.finish()
	return nil
}

// keycloakWalk is the state of one event.
type keycloakWalk struct {
	*keycloakParser
	ev       *event.Event
	received event.Time

	typ, failure, reason            string
	realmID, realmName              string
	codeID                          string
	username, email                 string
	impersonator, impersonatorRealm string
	credential                      string
	operation, resource, path       string
	representation                  string
	authRealm                       string // realm of the administrator, where it is told apart
	previous, updated               []keycloakChange
	plain                           bool // a line of the log that is no event
}

// keycloakChange is one previous_X or updated_X.
type keycloakChange struct{ field, value string }

// text reads a line of the server log.
func (w *keycloakWalk) text(text string) bool {
	h, message := readKeycloakHeader(text)
	switch {
	case h.level != "":
		w.clock(h.time)
		w.ev.Log.Level = h.level
	case isKeycloakText(text):
		message = text
	case isStackTrace(text):
		w.plain, w.ev.Message = true, text
		return true
	default:
		return false
	}
	w.logged(h.logger, h.thread, message)
	return true
}

// container reads what a container engine writes of a line of the console: {"log":"...\n","stream":"stdout","time":"..."}.
func (w *keycloakWalk) container(o gjson.Result) bool {
	log := memberOf(o, "log")
	if log.Type != gjson.String || !w.text(strings.TrimRight(log.Str, "\r\n")) {
		return false
	}
	o.ForEach(func(k, v gjson.Result) bool {
		switch {
		case k.Str == "log":
		case k.Str == "time" && w.ev.Time == 0:
			w.time(w.ev, "time", textOf(v), w.received)
		default:
			w.rest(w.ev, "envelope", k.Str, v)
		}
		return true
	})
	return true
}

// isStackTrace recognizes the lines that follow an exception.
func isStackTrace(text string) bool {
	return strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "Caused by: ") || strings.HasPrefix(strings.TrimLeft(text, " "), "at ") && text[0] == ' '
}

// logged reads a message of the log: an event, or anything else.
func (w *keycloakWalk) logged(logger, thread, message string) {
	ev := w.ev
	if isKeycloakText(message) {
		s := keycloakPairs{rest: message}
		for s.next() {
			w.pair(s.key, s.value)
		}
	} else if inner, err := objectOf(message); err == nil && isKeycloak(inner) {
		w.members(inner)
	}
	if w.typ == "" && w.operation == "" {
		w.plain = true
		first, rest, _ := strings.Cut(message, "\n")
		ev.Message = first
		if rest != "" {
			ev.NeedError().StackTrace = rest
		}
	}
	if w.plain || logger != "org.keycloak.events" {
		labelCell(ev, "logger", logger)
	}
	labelCell(ev, "thread", thread)
}

// object reads an event, or a line of the console as JSON.
func (w *keycloakWalk) object(o gjson.Result) {
	if !hasKeycloakLogger(o) {
		w.members(o)
		return
	}
	ev := w.ev
	var logger, thread, message string
	o.ForEach(func(k, v gjson.Result) bool {
		text := textOf(v)
		switch k.Str {
		case "timestamp", "@timestamp":
			w.time(ev, "timestamp", text, w.received)
		case "level", "log.level":
			ev.Log.Level = text
		case "loggerName", "log.logger":
			logger = text
		case "threadName", "process.thread.name":
			thread = text
		case "message":
			message = text
		case "hostName", "host.name":
			ev.Host.Name = text
		case "processName", "process.name":
			ev.Process.Name = text
		case "processId", "process.pid":
			if n, ok := wholeNumber(text); ok {
				ev.Process.PID = event.LongOf(n)
			}
		case "stackTrace", "error.stack_trace":
			ev.NeedError().StackTrace = text
		case "exception":
			w.exception(v)
		default:
			if text != "{}" {
				labelRest(ev, k.Str, v)
			}
		}
		return true
	})
	w.logged(logger, thread, message)
}

func hasKeycloakLogger(o gjson.Result) bool {
	return memberOf(o, "loggerName").Exists() || memberOf(o, "log.logger").Exists()
}

func (w *keycloakWalk) exception(v gjson.Result) {
	e := w.ev.NeedError()
	e.Type, e.Message = textOf(memberOf(v, "exceptionType")), textOf(memberOf(v, "message"))
	if frames := memberOf(v, "frames"); frames.Exists() {
		e.StackTrace = frames.Raw
	}
}

// members reads an event as an object: its own members first, then the details.
func (w *keycloakWalk) members(o gjson.Result) {
	var details gjson.Result
	o.ForEach(func(k, v gjson.Result) bool {
		switch {
		case k.Str == "details" && v.IsObject():
			details = v
		case k.Str == "authDetails" && v.IsObject():
			v.ForEach(func(k, v gjson.Result) bool {
				if k.Str == "realmId" {
					w.authRealm = textOf(v)
				} else {
					w.pair(k.Str, textOf(v))
				}
				return true
			})
		case k.Str == "time", k.Str == "@timestamp":
			w.time(w.ev, "time", textOf(v), w.received)
		case v.IsObject() && k.Str != "representation":
			labelRest(w.ev, k.Str, v)
		default:
			w.pair(k.Str, textOf(v))
		}
		return true
	})
	details.ForEach(func(k, v gjson.Result) bool {
		w.pair(k.Str, textOf(v))
		return true
	})
}

// pair takes one value, whatever it was read from. Details stand beside the members of the event itself in the log.
func (w *keycloakWalk) pair(key, text string) {
	ev := w.ev
	if text == "" || text == "null" {
		return
	}
	switch key {
	case "type":
		w.first(&w.typ, key, strings.TrimPrefix(text, "access."))
	case "realmId":
		w.first(&w.realmID, key, text)
	case "realmName":
		w.first(&w.realmName, key, text)
	case "clientId":
		w.first(&ev.NeedClient().ID, key, text)
	case "userId":
		w.first(&ev.User.ID, key, text)
	case "sessionId":
		w.first(&ev.Session.ID, key, text)
	case "ipAddress":
		if ev.Source.IP == "" {
			setAddress(ev, key, text)
		} else {
			labelCell(ev, key, text)
		}
	case "error":
		w.first(&w.failure, key, text)
	case "reason":
		w.first(&w.reason, key, text)
	case "username":
		w.first(&w.username, key, text)
	case "email":
		w.first(&w.email, key, text)
	case "code_id":
		w.first(&w.codeID, key, text)
	case "auth_method":
		w.first(&ev.Session.Protocol, key, protocolName(text))
	case "grant_type":
		w.first(&ev.NeedGrant().Type, key, text)
	case "scope":
		ev.Session.Scopes = appendScopes(ev.Session.Scopes, gjson.Result{Type: gjson.String, Str: text})
	case "identity_provider":
		w.first(&ev.NeedProvider().Name, key, text)
	case "credential_type":
		w.first(&w.credential, key, text)
	case "impersonator":
		w.first(&w.impersonator, key, text)
	case "impersonator_realm":
		w.first(&w.impersonatorRealm, key, text)
	case "user_agent", "userAgent":
		w.first(&ev.UserAgent.Original, key, text)
	case "operationType":
		w.first(&w.operation, key, text)
	case "resourceType":
		w.first(&w.resource, key, text)
	case "resourcePath":
		w.first(&w.path, key, text)
	case "representation":
		w.first(&w.representation, key, text)
	default:
		w.change(key, text)
		labelCell(ev, event.LabelKey(key), text)
	}
}

// first sets a value once. What the event is stands before what users typed in, such as a name with ", type=LOGIN" in it; a second
// value is a label.
func (w *keycloakWalk) first(to *string, key, text string) {
	if *to == "" {
		*to = text
		return
	}
	labelCell(w.ev, key, text)
}

// change remembers previous_email and updated_email, which are one change.
func (w *keycloakWalk) change(key, text string) {
	const most = 32
	if field, ok := strings.CutPrefix(key, "previous_"); ok && len(w.previous) < most {
		w.previous = append(w.previous, keycloakChange{field, text})
	}
	if field, ok := strings.CutPrefix(key, "updated_"); ok && len(w.updated) < most {
		w.updated = append(w.updated, keycloakChange{field, text})
	}
}

// clock reads the time of a line; WildFly writes the time of day alone, which is the last one before the time of reading.
func (w *keycloakWalk) clock(text string) {
	if len(text) > 2 && text[2] == ':' {
		day := w.received.Std().In(w.times.location)
		at, ok := w.times.read(day.Format("2006-01-02 ")+text, w.received)
		const ahead = event.Time(5 * 60 * 1e9)
		if ok && at > w.received+ahead {
			at, ok = w.times.read(day.AddDate(0, 0, -1).Format("2006-01-02 ")+text, w.received)
		}
		if ok {
			w.ev.Time = at
			return
		}
	}
	w.time(w.ev, "time", text, w.received)
}
