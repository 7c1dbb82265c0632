package parsers

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// svcKey numbers the names of the auth service's values.
type svcKey = uint8

const (
	_ svcKey = iota
	svcStream
	svcData
	svcType
	svcID
	svcTimestamp
	svcCreated
	svcUpdated
	svcEnded
	svcTenant
	svcTenantID
	svcStatus
	svcOutcome
	svcSuccess
	svcError
	svcReason
	svcMessage
	svcDetails
	svcAction
	svcTarget
	svcTargetType
	svcTargetID
	svcActor
	svcActorID
	svcActorName
	svcActorType
	svcSubject
	svcSubjectType
	svcSubjectID
	svcClientActor
	svcClientActorID
	svcOld
	svcNew
	svcDiff
	svcComments
	svcEventType
	svcClient
	svcClientID
	svcProvider
	svcProviderID
	svcEmail
	svcUsername
	svcUser
	svcUserID
	svcFullName
	svcIP
	svcUserAgent
	svcMFAMethod
	svcMFA
	svcJobID
	svcJobName
	svcName
	svcJobType
	svcStacktrace
	svcRecipient
	svcCC
	svcBCC
	svcFrom
	svcCategory
	svcBody
	svcMessageID
	svcSessionID
	svcProtocol
	svcClaims
	svcScopes
	svcParameters
	svcGrant
	svcGrantID
	svcGrantType
	svcKeys
)

// svcNames are the names by which the auth service's values are known, folded: "Event Type", eventType and event_type are one.
var svcNames = newNames(map[uint8]string{
	svcStream:        "stream logstream logtype recordtype",
	svcData:          "data record payload row",
	svcType:          "type",
	svcID:            "id uuid logid auditid eventid",
	svcTimestamp:     "timestamp time datetime date occurredat senton sentat",
	svcCreated:       "createdon createdat created creationtime startedat",
	svcUpdated:       "updatedat updatedon updated lastupdated lastupdatedat lastmodified",
	svcEnded:         "endedat revokedat expiredat completedat finishedat",
	svcTenant:        "tenant tenantname organization organisation organizationname",
	svcTenantID:      "tenantid organizationid organisationid",
	svcStatus:        "lateststatus status state",
	svcOutcome:       "outcome result",
	svcSuccess:       "success successful succeeded",
	svcError:         "error errormessage errordetails",
	svcReason:        "reason failurereason",
	svcMessage:       "message",
	svcDetails:       "details detail",
	svcAction:        "action",
	svcTarget:        "target targetname",
	svcTargetType:    "targettype",
	svcTargetID:      "targetid",
	svcActor:         "actor actoremail admin adminuser performedby",
	svcActorID:       "actorid",
	svcActorName:     "actorname actorusername",
	svcActorType:     "actortype usertype",
	svcSubject:       "subject subjectname emailsubject subjectline",
	svcSubjectType:   "subjecttype",
	svcSubjectID:     "subjectid",
	svcClientActor:   "clientactor clientactorname",
	svcClientActorID: "clientactorid",
	svcOld:           "oldentity old oldvalue oldvalues before",
	svcNew:           "newentity new newvalue newvalues after",
	svcDiff:          "diff changes",
	svcComments:      "comments comment justification",
	svcEventType:     "eventtype",
	svcClient:        "client clientname application applicationname",
	svcClientID:      "clientid applicationid",
	svcProvider:      "provider providername identityprovider idp idpname",
	svcProviderID:    "providerid idpid identityproviderid",
	svcEmail:         "email useremail emailaddress",
	svcUsername:      "username login",
	svcUser:          "user",
	svcUserID:        "userid",
	svcFullName:      "fullname displayname",
	svcIP:            "ip ipaddress clientip sourceip remoteaddress remoteip",
	svcUserAgent:     "useragent browser",
	svcMFAMethod:     "mfamethod mfatype secondfactor authmethod",
	svcMFA:           "mfa mfaused",
	svcJobID:         "jobid",
	svcJobName:       "jobname",
	svcName:          "name",
	svcJobType:       "jobtype",
	svcStacktrace:    "stacktrace stack",
	svcRecipient:     "recipient recipients to toaddress",
	svcCC:            "cc",
	svcBCC:           "bcc",
	svcFrom:          "from sender fromaddress",
	svcCategory:      "category",
	svcBody:          "body emailbody",
	svcMessageID:     "messageid",
	svcSessionID:     "sessionid session",
	svcProtocol:      "protocol",
	svcClaims:        "tokenclaims claims",
	svcScopes:        "scopes scope scopesgranted grantedscopes",
	svcParameters:    "sessionparameters sessionparams parameters params",
	svcGrant:         "grantinformation grantinfo grants grant",
	svcGrantID:       "grantid",
	svcGrantType:     "granttype",
})

// svcRow is one row: the value of each key that has a meaning, as JSON text. What a stream takes is gone from the row; what is
// left in the end becomes labels, so that nothing is lost.
type svcRow struct {
	ev    *event.Event
	cells [svcKeys]svcCell
	keys  svcSet // which are there
}

type svcCell struct{ key, value string }

// svcSet is a set of keys.
type svcSet [2]uint64

func (s *svcSet) add(k svcKey)      { s[k>>6] |= 1 << (k & 63) }
func (s *svcSet) remove(k svcKey)   { s[k>>6] &^= 1 << (k & 63) }
func (s *svcSet) has(k svcKey) bool { return s[k>>6]>>(k&63)&1 != 0 }
func (s *svcSet) any(list ...svcKey) bool {
	for _, k := range list {
		if s.has(k) {
			return true
		}
	}
	return false
}
func (s *svcSet) all(list ...svcKey) bool {
	for _, k := range list {
		if !s.has(k) {
			return false
		}
	}
	return true
}

// read takes up the members of a checked object. The first of two names for the same thing counts; the other is a label.
func (r *svcRow) read(s string) {
	for i := skipSpace(s, 1); s[i] != '}'; {
		end, escaped := stringEnd(s, i)
		key := s[i+1 : end-1]
		if escaped {
			key = unescape(s[i:end])
		}
		i = skipSpace(s, skipSpace(s, end)+1)
		end = valueEnd(s, i)
		value := s[i:end]
		i = afterComma(s, end)
		if value == "null" || value == `""` {
			continue
		}
		if k := svcNames.find(key); k != 0 && !r.keys.has(k) {
			r.cells[k] = svcCell{key, value}
			r.keys.add(k)
		} else {
			r.label(key, value)
		}
	}
}

// take returns a value as JSON text, "" where there is none.
func (r *svcRow) take(k svcKey) string {
	if !r.keys.has(k) {
		return ""
	}
	r.keys.remove(k)
	return r.cells[k].value
}

// text takes a value as text.
func (r *svcRow) text(k svcKey) string { return plainJSON(r.take(k)) }

// scalar takes a value that is no object or list as text; those are left for the labels.
func (r *svcRow) scalar(k svcKey) string {
	if v := r.cells[k].value; !r.keys.has(k) || v[0] == '{' || v[0] == '[' {
		return ""
	}
	return r.text(k)
}

// plainJSON is the text of a JSON value: of a string its content, of null nothing, of anything else the JSON.
func plainJSON(s string) string {
	if s == "" || s[0] != '"' {
		return presentJSON(s)
	}
	if strings.IndexByte(s, '\\') >= 0 {
		s = unescape(s)
	} else {
		s = s[1 : len(s)-1]
	}
	return strings.TrimSpace(s)
}

// label keeps a value that has no field of its own.
func (r *svcRow) label(key, value string) {
	if value != "" {
		labelRest(r.ev, key, gjson.Parse(value))
	}
}

// rest makes labels of what nobody took.
func (r *svcRow) rest() {
	for k := range svcKeys {
		if r.keys.has(k) {
			r.label(r.cells[k].key, r.cells[k].value)
		}
	}
}

// document takes a value that is JSON, or a string that holds JSON; text is set where the string is something else.
func (r *svcRow) document(k svcKey) (doc, text string) {
	v := r.take(k)
	if v == "" || v[0] != '"' {
		return v, ""
	}
	text = plainJSON(v)
	if text != "" && (text[0] == '{' || text[0] == '[') && event.CheckJSON(text) == nil {
		return text, ""
	}
	return "", text
}

// svcThing is what an object or a text says of a user, an application or any other thing.
type svcThing struct{ id, name, email, username, full, typ, roles string }

const (
	_ uint8 = iota
	partID
	partName
	partEmail
	partUsername
	partFull
	partType
	partRoles
)

var svcParts = newNames(map[uint8]string{
	partID:       "id uuid clientid userid applicationid providerid tenantid groupid",
	partName:     "name clientname providername title label tenantname groupname",
	partEmail:    "email useremail emailaddress mail",
	partUsername: "username login",
	partFull:     "fullname displayname",
	partType:     "type kind entitytype resourcetype",
	partRoles:    "roles role",
})

// thing takes a value that may be an object such as {"id":7,"email":"jane@example.com"}, a number (an id) or a text (a name; an
// e-mail address where it looks like one). Other members of the object become labels.
func (r *svcRow) thing(k svcKey) (t svcThing) {
	key := r.cells[k].key
	v := r.take(k)
	switch {
	case v == "":
	case v[0] == '{':
		t.read(v, func(name, value string) { r.label(key+"_"+name, value) })
	case v[0] == '"':
		if text := plainJSON(v); isMailAddress(text) {
			t.email = text
		} else if isNumber(text) {
			t.id = text
		} else {
			t.name = text
		}
	case v[0] == '[':
		r.label(key, v)
	default:
		t.id = v
	}
	return t
}

// read takes up the members of an object; other gets those that mean nothing here.
func (t *svcThing) read(s string, other func(key, value string)) {
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], s) {
		to := t.part(svcParts.find(m.key))
		switch {
		case to == nil || *to != "":
			if other != nil {
				other(m.key, m.value)
			}
		case to == &t.roles:
			*to = presentJSON(m.value)
		case m.value[0] == '{' || m.value[0] == '[':
			if other != nil {
				other(m.key, m.value)
			}
		default:
			*to = plainJSON(m.value)
		}
	}
}

func (t *svcThing) part(number uint8) *string {
	switch number {
	case partID:
		return &t.id
	case partName:
		return &t.name
	case partEmail:
		return &t.email
	case partUsername:
		return &t.username
	case partFull:
		return &t.full
	case partType:
		return &t.typ
	case partRoles:
		return &t.roles
	}
	return nil
}

// toUser fills a user. Who has no user name goes by the e-mail address.
func (t *svcThing) toUser(u *event.User) {
	u.ID, u.Email, u.FullName = t.id, t.email, t.full
	switch {
	case t.username != "":
		u.Name = t.username
		if u.FullName == "" && t.name != t.username {
			u.FullName = t.name
		}
	case t.email != "":
		u.Name = t.email
		if u.FullName == "" && t.name != t.email {
			u.FullName = t.name
		}
	default:
		u.Name = t.name
	}
	u.Roles = appendNames(u.Roles, t.roles)
}

func (t *svcThing) empty() bool { return *t == svcThing{} }

// call is how a thing is called in a sentence.
func (t *svcThing) call() string {
	switch {
	case t.email != "":
		return t.email
	case t.username != "":
		return t.username
	case t.name != "":
		return t.name
	case t.full != "":
		return t.full
	}
	return t.id
}

// maxNames bounds lists of roles, scopes and addresses; what is beyond stays in event.original.
const maxNames = 100

// appendNames appends the texts of a list, or of one text with several in it: names of roles may be objects with a name.
func appendNames(list []string, s string) []string {
	switch {
	case s == "":
		return list
	case s[0] == '{':
		var t svcThing
		if t.read(s, nil); t.call() != "" {
			list = append(list, t.call())
		}
		return list
	case s[0] != '[':
		return appendWords(list, plainJSON(s), ",")
	}
	for i := skipSpace(s, 1); s[i] != ']' && len(list) < maxNames; {
		end := valueEnd(s, i)
		var text string
		if s[i] == '{' {
			var t svcThing
			t.read(s[i:end], nil)
			text = t.call()
		} else {
			text = plainJSON(s[i:end])
		}
		if text != "" {
			list = append(list, text)
		}
		i = afterComma(s, end)
	}
	return list
}

// appendWords appends the parts of a text between any of the separators.
func appendWords(list []string, text, separators string) []string {
	for text != "" && len(list) < maxNames {
		word := text
		if i := strings.IndexAny(text, separators); i >= 0 {
			word, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	return list
}

// isMailAddress is a cheap look, not a proof.
func isMailAddress(s string) bool {
	i := strings.IndexByte(s, '@')
	return i > 0 && i < len(s)-1 && !strings.ContainsAny(s, " \t,<>\"")
}

func isNumber(s string) bool {
	_, ok := parseDigits(s)
	return ok
}
