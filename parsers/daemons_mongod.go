package parsers

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// mongodJSON reads mongod's log since 4.4: {"t":{"$date":T},"s":LEVEL,"c":COMPONENT,"id":N,"ctx":"connN","msg":TEXT,"attr":{...}}.
func mongodJSON(ev *event.Event, text string) error {
	root, err := objectOf(text)
	if err != nil {
		return err
	}
	ev.Service.Name, ev.Session.Protocol = "mongod", "mongodb"
	ev.Log.Level = root.Get("s").String()
	ev.Message = root.Get("msg").String()
	ev.Label("component", root.Get("c").String())
	ev.Label("connection", root.Get("ctx").String())
	ev.Label("log_id", root.Get("id").Raw)
	attr := root.Get("attr")
	mongodAttributes(ev, attr)
	switch ev.Message {
	case "Authentication failed", "Failed to authenticate":
		refuse(ev, "mongod.failed", event.Login, mongodResult(attr))
	case "Authentication succeeded", "Successfully authenticated", "Successful authentication":
		say(ev, "mongod.succeeded", event.Login, event.Success)
	case "Connection accepted":
		say(ev, "mongod.connection", event.ConnectionOpen, event.Success)
	case "Connection ended":
		say(ev, "mongod.closed", event.ConnectionClose, event.Success)
	default:
		note(ev, "mongod.message")
	}
	return nil
}

func mongodAttributes(ev *event.Event, attr gjson.Result) {
	attr.ForEach(func(k, v gjson.Result) bool {
		s := textOf(v)
		switch k.Str {
		case "user", "principalName", "principal":
			if s != "" {
				ev.User.Name = s
			}
		case "client", "remote":
			if strings.IndexByte(s, ':') >= 0 {
				socketAddress(ev, s)
			} else {
				address(ev, s)
			}
		case "mechanism":
			ev.Label("auth_method", s)
		case "db", "authenticationDatabase":
			ev.Label("database", s)
		default:
			labelRest(ev, k.Str, v)
		}
		return true
	})
}

func mongodResult(attr gjson.Result) string {
	for _, key := range [...]string{"error", "result"} {
		if s := textOf(attr.Get(key)); s != "" {
			return mongodReason(s)
		}
	}
	return "authentication failure"
}
