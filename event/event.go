// Package event is the one record that every line becomes: a typed struct that mirrors the groups of the Elastic Common
// Schema 8.17, the table of all its fields, the closed list of actions, the code tables, and the encoding to ECS JSON.
//
//	parser fills Event -> enrichers add to it -> Encoder appends the bulk item -> buffer
//	                                             Decoder reads it back by the typed index, without parsing JSON
//
// The field table (fields.go) is the single source: encoder, getters, setters, the Elasticsearch mapping, the columns of
// the embedded store and docs/fields.md are generated from it (go generate ./event).
//
// What it promises: an Event is reused for many lines and takes no allocation per line; every document that the encoder
// writes is valid JSON whatever the bytes in the fields; a document has only fields that are in the table.
package event

import "unicode/utf8"

//go:generate go run ./gen

// Kind is event.kind; the empty string is written as "event".
type Kind string

// The kinds in use (ECS 8.17, event.kind).
const (
	KindEvent Kind = "event"
	KindAlert Kind = "alert"
	KindState Kind = "state"
)

// Outcome is event.outcome; the empty string is written as "unknown".
type Outcome string

// The outcomes of ECS 8.17.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Unknown Outcome = "unknown"
)

// Event is one record. Zero values are absent. Strings may be substrings of a chunk that was read; whoever keeps one
// beyond the batch clones it. An Event is not safe for concurrent use.
//
// Groups behind a pointer are rare: NeedX returns the group, made empty on first use, and Reset takes it away again.
type Event struct {
	Time    Time     // @timestamp
	Message string   // message, plain English
	Tags    []string // tags
	Labels  []Label  // labels.*: what has no field of its own, in the order found

	Kind     Kind
	Action   Action  // event.action; category and type follow from it
	Type     string  // event.type in place of the action's own (job-run: info, start, end); one value
	Outcome  Outcome // event.outcome
	Code     string  // event.code: the source's own type or code
	Reason   string  // event.reason
	Dataset  string  // event.dataset and data_stream.dataset, "gatebook.<short name>"
	Created  Time    // event.created: when we read it
	Original string  // event.original: the line as it came
	Link     string  // event.url: of an alert, where its evidence can be looked at
	Start    Time    // event.start
	End      Time    // event.end
	Duration Long    // event.duration, nanoseconds
	Severity Long    // event.severity
	Risk     Float   // event.risk_score
	ID       string  // event.id where it is not the log's own (set by Decoder, or by another Gatebook)
	DocID    string  // _id where it is not the log's own: the sender's, after the name of its key; not written in the document
	Category string  // event.category in place of the action's own; one value

	Host      Host
	Log       Log
	Process   Process
	User      User
	Source    Source
	UserAgent UserAgent
	Service   Service
	Related   Related // filled by Finish

	Entry    Coded // gatebook.entry
	Status   Coded // gatebook.status
	Count    Long  // gatebook.count: how many occurrences the line stands for
	UserKey  string
	Actor    string // gatebook.actor.type: admin, partner, staff, customer, service
	MFA      MFA
	Sender   Sender
	Session  Session
	Target   Thing  // gatebook.target
	Subject  Thing  // gatebook.subject
	Object   string // gatebook.category: cards, members, rewards ...
	Old, New Raw    // gatebook.old, gatebook.new: stored, not indexed
	Changes  Raw    // gatebook.changes: one entry per changed field, with old and new
	Comments string
	Input    string // gatebook.input: label of the input that read it
	Parser   string // gatebook.parser: parser that recognized it
	Restored Bool
	Relayed  Bool   // gatebook.relayed: Agent is another Gatebook
	Realm    string // not written: who the user's name is unique to (host, company); becomes part of gatebook.user.key
	Accuracy Long   // gatebook.geo.accuracy_km of the address' place

	Agent         *Agent // agent.* where it is not this Gatebook
	Syslog        *Syslog
	UserTarget    *User
	UserChanges   *User
	UserEffective *User
	Group         *Group
	URL           *URL
	HTTP          *HTTP
	Email         *Email
	Error         *Error
	Organization  *Named
	Rule          *Rule
	Threat        *Threat
	Client        *Named
	Provider      *Named
	Grant         *Grant
	Job           *Job
	Notification  *Notification
	Alert         *Alert
	DeadLetter    *DeadLetter
	Health        *Health

	rare rare
}

// Label is one attribute under labels.
type Label struct{ Key, Value string }

// Agent is the program that read the line, where it was another one (agent.*).
type Agent struct{ ID, Name, Type, Version, EphemeralID string }

// Host is the machine that logged (host.*).
type Host struct{ Name, Hostname string }

// Log is where the line stood (log.*). Offset is written where Path is known.
type Log struct {
	Path   string
	Offset Long
	Level  string
}

// Syslog is the envelope of a syslog message (log.syslog.*), claims included.
type Syslog struct {
	Hostname, AppName, ProcID, MsgID, Version string
	Priority, FacilityCode, SeverityCode      Long
	FacilityName, SeverityName                string
	StructuredData                            Raw
}

// Process is the program that logged, or the command that ran (process.*).
type Process struct {
	Name, CommandLine, Executable, WorkingDirectory string
	PID, ExitCode                                   Long
}

// User is a person or account (user.*, user.target.*, user.changes.*, user.effective.*).
type User struct {
	Name, ID, Email, FullName, Domain string
	Roles                             []string
}

// Source is the client as found in the line (source.*).
type Source struct {
	IP, Domain string
	Port       Long
	Geo        Geo
	AS         AS
}

// Geo is where an address is (source.geo.*).
type Geo struct {
	CityName, ContinentCode, ContinentName, CountryISO, CountryName string
	RegionISO, RegionName, PostalCode, Timezone                     string
	Location                                                        GeoPoint
}

// AS is the autonomous system of an address (source.as.*).
type AS struct {
	Number       Long
	Organization string
}

// UserAgent is the client's program (user_agent.*).
type UserAgent struct{ Original, Name, Version, OSName, OSVersion, Device string }

// Service is the application that logged (service.*).
type Service struct{ Name, Type, ID, Version string }

// Related lists what an analyst pivots on (related.*).
type Related struct{ IP, User, Hosts []string }

// Coded is a source's number and its name.
type Coded struct {
	Code Long
	Name string
}

// MFA is gatebook.mfa.
type MFA struct {
	Used   Bool
	Method string
}

// Sender is the socket or certificate a message came from, never a claim (gatebook.sender).
type Sender struct {
	IP, Name string
	Port     Long
}

// Session is gatebook.session.
type Session struct {
	ID, Protocol, Status string
	Scopes               []string
	Claims               Raw
}

// Thing is a resource: what was acted on, or what else was affected.
type Thing struct{ Type, ID, Name string }

// Named is an organization, client or provider.
type Named struct{ ID, Name string }

// Group is group.*.
type Group struct{ ID, Name, Domain string }

// URL is url.*.
type URL struct{ Original, Full, Scheme, Domain, Path, Query string }

// HTTP is http.*.
type HTTP struct {
	Version, Method, Referrer string
	StatusCode, ResponseBytes Long
}

// Email is email.*.
type Email struct {
	Subject, MessageID string
	From, To, CC, BCC  []string
}

// Error is error.*.
type Error struct{ Message, Code, Type, StackTrace string }

// Rule is rule.*.
type Rule struct {
	ID, Name, Description, Category, Ruleset, Version, Reference string
	Author                                                       []string
}

// Threat is threat.*.
type Threat struct {
	Framework                                                        string
	TacticID, TacticName, TechniqueID, TechniqueName, SubID, SubName []string
}

// Grant is gatebook.grant.
type Grant struct {
	ID, Type, Status string
	Scopes           []string
}

// Job is gatebook.job.
type Job struct{ ID, Name, Type, Status string }

// Notification is gatebook.notification; Body is stored, not indexed.
type Notification struct{ ID, Status, Category, Body string }

// Alert is gatebook.alert.
type Alert struct {
	ID, State, Key, Summary  string
	Mode, By, Event, Runbook string
	Revision, Count          Long
	Events, Respond          []string
}

// DeadLetter is gatebook.deadletter: an item that an output refused for good.
type DeadLetter struct {
	Output, Stream, ID, Reason, Type string
	Status                           Long
}

// Health is gatebook.health: how a Gatebook itself does.
type Health struct {
	Status                              string
	Problems                            []string
	Uptime                              Long
	Lines, Events, ParseFailures        Long
	Delivered, DeadLetters              Long
	Waiting, Unread, Buffer, BufferMost Long
}

// Label adds an attribute. A key is folded to the characters that may stand in a field name.
func (e *Event) Label(key, value string) {
	if value != "" {
		e.Labels = append(e.Labels, Label{LabelKey(key), value})
	}
}

// Tag adds a tag once.
func (e *Event) Tag(tag string) {
	for _, t := range e.Tags {
		if t == tag {
			return
		}
	}
	e.Tags = append(e.Tags, tag)
}

// maxLabel bounds the value of a label, in bytes: OpenSearch refuses a document with one of more than 32,766. event.original has all of it.
const maxLabel = 16 << 10

// Finish fills what follows from the rest, related.*, and cuts labels that no index would take. It runs after redaction.
func (e *Event) Finish() {
	for i := range e.Labels {
		if l := &e.Labels[i]; len(l.Value) > maxLabel {
			end := maxLabel
			for end > 0 && !utf8.RuneStart(l.Value[end]) {
				end--
			}
			l.Value = l.Value[:end]
			e.Tag("label-cut")
		}
	}
	r := &e.Related
	r.IP = add(r.IP[:0], e.Source.IP)
	r.User = add(add(r.User[:0], e.User.Name), e.User.Email)
	r.Hosts = add(add(r.Hosts[:0], e.Host.Name), e.Source.Domain)
	for _, u := range [...]*User{e.UserTarget, e.UserChanges, e.UserEffective} {
		if u != nil {
			r.User = add(add(r.User, u.Name), u.Email)
		}
	}
}

func add(list []string, s string) []string {
	if s == "" {
		return list
	}
	for _, x := range list {
		if x == s {
			return list
		}
	}
	return append(list, s)
}

// LabelKey folds a key to letters, digits, '_' and '-', at most 64 bytes, so that no key of a hostile line becomes a path
// of objects. A clean key is returned as it is.
func LabelKey(key string) string {
	ok := len(key) <= 64 && key != ""
	for i := 0; ok && i < len(key); i++ {
		ok = labelByte(key[i])
	}
	if ok {
		return key
	}
	if key == "" {
		return "_"
	}
	b := []byte(key[:min(len(key), 64)])
	for i, c := range b {
		if !labelByte(c) {
			b[i] = '_'
		}
	}
	return string(b)
}

func labelByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
