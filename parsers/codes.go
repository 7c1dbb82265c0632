package parsers

import (
	"fmt"
	"slices"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Tags of values that do not fit; the value itself is always kept.
const (
	tagUnknownCode   = "unknown-code"      // not in the code table
	tagValueRejected = "value-rejected"    // does not fit its field: kept as a label
	tagArrivalTime   = "time-from-arrival" // the line gives no time that can be read
	tagLabelsCut     = "labels-cut"        // more attributes than maxLabels
	tagHeader        = "header"            // the line names the columns, nothing happened
)

// code is what one value of a source means.
type code struct {
	name     string
	action   event.Action
	outcome  event.Outcome
	category string
	reason   string
	mfa      event.Bool
}

func (c *code) apply(ev *event.Event) {
	if c.action != event.ActionNone {
		ev.Action = c.action
	}
	if c.outcome != "" {
		ev.Outcome = c.outcome
	}
	if c.category != "" {
		ev.Category = c.category
	}
	if c.reason != "" {
		ev.Reason = c.reason
	}
	if c.mfa != event.Absent {
		ev.MFA.Used = c.mfa
	}
}

// codeTable is codes["field"] of a block: what the values of the field's source mean.
type codeTable struct {
	field  string
	key    conf.Key
	object *conf.Object
	byText map[string]*code
}

// maxTables is how many code tables a block may have.
const maxTables = 8

// readCodes reads codes = { "field" = { "value" = { name, action, outcome, category, reason, mfa } } } in the order of the file.
func readCodes(body *conf.Body) []codeTable {
	all := body.Object("codes")
	if all == nil {
		return nil
	}
	var tables []codeTable
	for _, k := range all.Keys() {
		o := all.Object(k.Name)
		if o == nil {
			continue
		}
		if len(tables) == maxTables {
			all.Errorf(k.Name, "more than %d code tables", maxTables)
			break
		}
		t := codeTable{field: k.Name, key: k, object: o, byText: map[string]*code{}}
		for _, v := range o.Keys() {
			if entry := o.Object(v.Name); entry != nil {
				t.byText[v.Name] = readCode(entry)
			}
		}
		tables = append(tables, t)
	}
	return tables
}

// readEventCodes reads what a site says of event.code.
func readEventCodes(body *conf.Body) map[string]*code {
	var codes map[string]*code
	for _, t := range readCodes(body) {
		if t.field != "event.code" {
			body.Object("codes").Errorf(t.field, "%s", unknownName("code table of this parser", t.field, []string{"event.code"}))
			continue
		}
		codes = t.byText
	}
	return codes
}

func readCode(o *conf.Object) *code {
	c := &code{name: o.String("name", ""), reason: o.String("reason", "")}
	if name := o.String("action", ""); name != "" {
		var ok bool
		if c.action, ok = event.ActionByName(name); !ok {
			o.Errorf("action", "%s", unknownAction(name))
		}
	}
	c.outcome = event.Outcome(o.Enum("outcome", "", string(event.Success), string(event.Failure), string(event.Unknown)))
	if name := o.String("category", ""); name != "" {
		if _, ok := categoryTypes[name]; ok {
			c.category = name
		} else {
			o.Errorf("category", "%s", unknownName("category of ECS", name, categoryNames))
		}
	}
	if o.Has("mfa") {
		c.mfa = event.BoolOf(o.Bool("mfa", false))
	}
	return c
}

func unknownAction(name string) string {
	var names []string
	for _, a := range event.Actions() {
		names = append(names, a.String())
	}
	return unknownName("action", name, names)
}

// unknownName says that a name is not in a list, and which one may have been meant.
func unknownName(what, name string, known []string) string {
	if near := conf.Suggest(name, known); near != "" {
		return fmt.Sprintf("there is no %s %q; did you mean %q?", what, name, near)
	}
	if len(known) <= 24 {
		return fmt.Sprintf("there is no %s %q; known here: %s", what, name, quoteNames(known))
	}
	return fmt.Sprintf("there is no %s %q; docs/fields.md lists them", what, name)
}

func quoteNames(names []string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%q", n)
	}
	return s
}

// categoryTypes is event.category of ECS 8.17 with the values of event.type that each expects; the first is taken where an
// action's own do not fit.
var categoryTypes = map[string][]string{
	"api":                 {"info", "access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "start", "user"},
	"authentication":      {"info", "start", "end"},
	"configuration":       {"info", "access", "change", "creation", "deletion"},
	"database":            {"info", "access", "change", "error"},
	"driver":              {"info", "change", "end", "start"},
	"email":               {"info"},
	"file":                {"info", "access", "change", "creation", "deletion"},
	"host":                {"info", "access", "change", "end", "start"},
	"iam":                 {"info", "admin", "change", "creation", "deletion", "group", "user"},
	"intrusion_detection": {"info", "allowed", "denied"},
	"library":             {"start"},
	"malware":             {"info"},
	"network":             {"info", "access", "allowed", "connection", "denied", "end", "protocol", "start"},
	"package":             {"info", "access", "change", "deletion", "installation", "start"},
	"process":             {"info", "access", "change", "end", "start"},
	"registry":            {"access", "change", "creation", "deletion"},
	"session":             {"info", "start", "end"},
	"threat":              {"indicator"},
	"vulnerability":       {"info"},
	"web":                 {"info", "access", "error"},
}

var categoryNames = []string{"api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam",
	"intrusion_detection", "library", "malware", "network", "package", "process", "registry", "session", "threat", "vulnerability", "web"}

// fitType makes event.type one that the category expects, where the category is not the action's own.
func fitType(ev *event.Event) {
	if ev.Category == "" {
		return
	}
	expected := categoryTypes[ev.Category]
	if len(expected) == 0 || ev.Type != "" && slices.Contains(expected, ev.Type) {
		return
	}
	ev.Type = ""
	own := ev.Action.Info().Types
	for _, t := range own {
		if !slices.Contains(expected, t) {
			own = nil
			break
		}
	}
	if len(own) == 0 {
		ev.Type = expected[0]
	}
}

// outcomeOf reads what sources call success and failure.
func outcomeOf(text string) (event.Outcome, bool) {
	var buf [16]byte
	switch string(foldName(buf[:0], text)) {
	case "success", "successful", "succeeded", "ok", "true", "pass", "passed", "allow", "allowed", "granted", "accepted":
		return event.Success, true
	case "failure", "failed", "fail", "false", "error", "deny", "denied", "rejected", "refused":
		return event.Failure, true
	case "unknown":
		return event.Unknown, true
	}
	return "", false
}

// foldName appends the letters and digits of a name in lower case, so that "User Name", "user_name" and "userName" are one.
// What does not fit dst's capacity makes it a name that nothing is called.
func foldName(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 0x80:
		default:
			continue
		}
		if len(dst) == cap(dst) {
			return dst[:0]
		}
		dst = append(dst, c)
	}
	return dst
}
