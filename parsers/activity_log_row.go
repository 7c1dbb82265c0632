package parsers

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// What a column or key of the activity log means.
const (
	logID column = iota + 1
	logName
	logCategory
	logDescription
	logEvent
	logKind
	logSubjectType
	logSubjectID
	logSubject
	logSubjectEmail
	logCauserType
	logCauserID
	logCauser
	logCauserEmail
	logUserType
	logRole
	logProperties
	logOld
	logNew
	logChanges
	logBatch
	logCreated
	logUpdated
	logIP
	logUserAgent
	logSession
	logReason
	logOutcome
	logAttempt
	logGuard
	logPartner
	logPartnerID
	logClub
	logClubID
	logNetwork
	logNetworkID
	logCredentials
	logColumns
)

// logOrder is the order of the table's columns.
var logOrder = []string{"id", "log_name", "description", "subject_type", "event", "subject_id", "causer_type", "causer_id", "properties",
	"batch_uuid", "created_at", "updated_at"}

// logKeys is the label of a value that found no field.
var logKeys = [logColumns]string{logID: "id", logName: "log_name", logCategory: "category", logDescription: "description", logEvent: "event",
	logKind: "type", logSubjectType: "subject_type", logSubjectID: "subject_id", logSubject: "subject", logSubjectEmail: "subject_email",
	logCauserType: "causer_type", logCauserID: "causer_id", logCauser: "causer", logCauserEmail: "causer_email", logUserType: "user_type",
	logRole: "role", logProperties: "properties", logOld: "old", logNew: "attributes", logChanges: "changes", logBatch: "batch_uuid",
	logCreated: "created_at", logUpdated: "updated_at", logIP: "ip", logUserAgent: "user_agent", logSession: "session_id", logReason: "reason",
	logOutcome: "outcome", logAttempt: "attempted_login", logGuard: "guard", logPartner: "partner", logPartnerID: "partner_id", logClub: "club",
	logClubID: "club_id", logNetwork: "network", logNetworkID: "network_id", logCredentials: "credentials"}

var logNames = newNames(map[uint8]string{
	uint8(logID):           "id activityid logid",
	uint8(logName):         "logname log channel",
	uint8(logCategory):     "category",
	uint8(logDescription):  "description message summary",
	uint8(logEvent):        "event eventtype eventname action",
	uint8(logKind):         "type transactiontype",
	uint8(logSubjectType):  "subjecttype resourcetype affectedresource",
	uint8(logSubjectID):    "subjectid resourceid",
	uint8(logSubject):      "subject subjectname subjecttitle resource resourcename",
	uint8(logSubjectEmail): "subjectemail",
	uint8(logCauserType):   "causertype",
	uint8(logCauserID):     "causerid userid actorid causeruserid",
	uint8(logCauser):       "causer causername user username actor actorname causerdisplayname performedby",
	uint8(logCauserEmail):  "causeremail useremail actoremail",
	uint8(logUserType):     "usertype actortype",
	uint8(logRole):         "causerrole userrole role",
	uint8(logProperties):   "properties props",
	uint8(logOld):          "old oldvalues oldvalue before",
	uint8(logNew):          "attributes new newvalues newvalue after",
	uint8(logChanges):      "changes diff attributechanges",
	uint8(logBatch):        "batchuuid batch batchid",
	uint8(logCreated):      "createdat timestamp datetime date time when dateandtime",
	uint8(logUpdated):      "updatedat",
	uint8(logIP):           "ip ipaddress ipaddr clientip sourceip remoteaddr remoteip requestip",
	uint8(logUserAgent):    "useragent ua browser requestuseragent",
	uint8(logSession):      "sessionid session",
	uint8(logReason):       "reason failurereason error errormessage",
	uint8(logOutcome):      "outcome result success",
	uint8(logGuard):        "guard guardname",
	uint8(logPartner):      "partner partnername",
	uint8(logPartnerID):    "partnerid partneruuid",
	uint8(logClub):         "club clubname",
	uint8(logClubID):       "clubid",
	uint8(logNetwork):      "network networkname",
	uint8(logNetworkID):    "networkid",
})

// logPropertyNames are the properties that say who, where from and why. Others are what the application noted.
var logPropertyNames = func() names {
	n := newNames(map[uint8]string{
		uint8(logAttempt):     "email username login identifier attemptedemail attemptedusername attempteduser useridentifier phone phonenumber",
		uint8(logCredentials): "credentials input",
	})
	for name, c := range logNames {
		switch column(c) {
		case logOld, logNew, logChanges, logIP, logUserAgent, logSession, logReason, logOutcome, logGuard, logPartner, logPartnerID, logClub, logClubID,
			logNetwork, logNetworkID, logCauserEmail, logCauserType:
			n[name] = c
		}
	}
	n["causername"] = uint8(logCauser)
	return n
}()

func logColumn(name string) column { return column(logNames.find(name)) }

// isLogHeader says that a line names columns of the activity log: the description, and what was affected or by what kind of user.
func isLogHeader(cells []string) bool {
	if len(cells) < 3 || startsWithDigit(cells) {
		return false
	}
	h := newHeader(cells, logColumn)
	return h.known >= 3 && 2*h.known >= len(cells) && h.has(logDescription) &&
		(h.has(logSubject) || h.has(logSubjectType) || h.has(logCauserType) || h.has(logUserType))
}

// logRow is the text of each value of one row: of objects their JSON. What has no meaning goes to the labels at once.
type logRow struct {
	ev      *event.Event
	text    [logColumns]string
	log     string // log name, or category
	subject logSubjectValue
	self    bool // the subject did it
	known   int
}

// logSubjectValue is what was acted on.
type logSubjectValue struct {
	model           model
	id, name, email string
}

func (r *logRow) set(c column, text string) {
	switch text {
	case "", "-", "NULL", "null", `\N`:
		return
	}
	if r.text[c] != "" {
		if r.text[c] != text {
			labelCell(r.ev, logKeys[c], text)
		}
		return
	}
	r.text[c] = text
	r.known++
}

func (r *logRow) take(c column) string {
	text := r.text[c]
	r.text[c] = ""
	return text
}

// raw returns a value that is an object, "" where it is none.
func (r *logRow) raw(c column) string {
	if strings.HasPrefix(r.text[c], "{") {
		return r.text[c]
	}
	return ""
}

// rest keeps the values that found no place.
func (r *logRow) rest() {
	for c, text := range r.text {
		if text != "" {
			labelCell(r.ev, logKeys[c], text)
		}
	}
}

// complete says whether a row is of this source at all.
func (r *logRow) complete() bool {
	what := r.text[logDescription] != "" || r.text[logEvent] != ""
	whose := false
	for _, c := range [...]column{logName, logCategory, logSubjectType, logSubject, logCauserType, logCauserID, logCauser, logUserType, logBatch} {
		whose = whose || r.text[c] != ""
	}
	return what && whose && r.known >= 3
}

// members reads the members of a checked object; prefix is the name of the object that it stands in (causer, subject, partner ...).
func (r *logRow) members(object, prefix string) {
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], object) {
		key := m.key
		if prefix != "" {
			key = prefix + "_" + key
		}
		r.member(key, m.value, logColumn(key), prefix == "")
	}
}

func (r *logRow) member(key, value string, c column, top bool) {
	if c == colOther {
		labelRest(r.ev, key, gjson.Parse(value))
		return
	}
	if c == logSubjectType || c == logCauserType {
		r.set(c, className(value))
		return
	}
	_, text := scalarOrJSON(value)
	switch c {
	case logProperties:
		r.object(text, r.properties, c)
	case logOld, logNew, logChanges:
		if isContainer(text) {
			if len(text) > 2 { // PHP writes an empty object as []
				r.set(c, text)
			}
		} else if !absent(text) {
			labelCell(r.ev, event.LabelKey(key), text)
		}
	default:
		switch {
		case value[0] == '{' && top:
			r.members(value, key)
		case value[0] == '{' || value[0] == '[':
			labelRest(r.ev, key, gjson.Parse(value))
		default:
			r.set(c, strings.TrimSpace(text))
		}
	}
}

// className is the text of a value that names a class. Its backslashes stay doubled where nothing else is escaped: only what stands after
// the last one counts.
func className(value string) string {
	if value[0] == '"' && !strings.Contains(value, `\u`) {
		return value[1 : len(value)-1]
	}
	_, text := scalarOrJSON(value)
	return text
}

// object hands an object to read; what is none is kept as it stands.
func (r *logRow) object(text string, read func(object string), c column) {
	switch {
	case text == "" || text == "[]" || text == "null":
	case text[0] == '{' && isContainer(text):
		r.known++
		read(text)
	default:
		r.set(c, text)
	}
}

// inner reads the columns of a CSV row that hold JSON.
func (r *logRow) inner() {
	r.object(r.take(logProperties), r.properties, logProperties)
	for _, c := range [...]column{logOld, logNew, logChanges} {
		if text := r.text[c]; isContainer(text) && len(text) <= 2 {
			r.text[c] = ""
		} else if !isContainer(text) && c != logChanges {
			labelCell(r.ev, logKeys[c], r.take(c))
		}
	}
}

// isContainer says that a text is a JSON object or list. What comes out of a string is checked here.
func isContainer(s string) bool {
	return s != "" && (s[0] == '{' || s[0] == '[') && event.CheckJSON(s) == nil
}

// scalarOrJSON returns the text of a value: of an object or list its JSON, which may stand in a string.
func scalarOrJSON(value string) (end int, text string) {
	if value[0] == '{' || value[0] == '[' {
		return len(value), value
	}
	return scalar(value, 0)
}

// properties reads the members of properties.
func (r *logRow) properties(object string) {
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], object) {
		c := column(logPropertyNames.find(m.key))
		switch kind := m.value[0]; {
		case c == logCredentials && kind == '{':
			r.credentials(m.value)
		case (c == logPartner || c == logClub || c == logNetwork) && kind == '{':
			r.members(m.value, m.key)
		case c == logOld || c == logNew || c == logChanges:
			r.member(m.key, m.value, c, false)
		case c == colOther, c == logCredentials, kind == '{', kind == '[':
			labelRest(r.ev, "properties_"+m.key, gjson.Parse(m.value))
		default:
			_, text := scalar(m.value, 0)
			r.set(c, strings.TrimSpace(text))
		}
	}
}

// credentials reads with what somebody tried to come in; the redactor takes the secrets out.
func (r *logRow) credentials(object string) {
	var space [8]jsonMember
	for _, m := range membersOf(space[:0], object) {
		if c := column(logPropertyNames.find(m.key)); c == logAttempt && m.value[0] == '"' {
			_, text := scalar(m.value, 0)
			r.set(c, strings.TrimSpace(text))
		} else {
			labelRest(r.ev, "properties_credentials_"+m.key, gjson.Parse(m.value))
		}
	}
}
