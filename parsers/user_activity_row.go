package parsers

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// What a value of a line means. The first ones name the event; the most telling one comes first.
const (
	actEvent column = iota + 1
	actEventType
	actAction
	actType
	actCategory
	actStatus
	actSuccess
	actTime
	actUser
	actUserID
	actEmail
	actFullName
	actBy
	actByID
	actByEmail
	actTarget
	actTargetID
	actTargetEmail
	actIP
	actUserAgent
	actDevice
	actNewDevice
	actReason
	actTrigger
	actError
	actErrorCode
	actDetails
	actMessage
	actSession
	actMFA
	actMFAMethod
	actMethod
	actRole
	actUserType
	actTenant
	actTenantID
	actClient
	actClientID
	actProvider
	actOld
	actNew
	actOldMethod
	actNewMethod
	actStart
	actEnd
	activityColumns
)

// eventColumns are the values that may name the event.
var eventColumns = [...]column{actEvent, actEventType, actType, actAction}

// activityOrder is the order of the columns of an export without a header.
var activityOrder = []string{"time", "user", "event", "status", "ip", "details"}

// activityKeys is the label of a value that found no field.
var activityKeys = [activityColumns]string{actEvent: "event", actEventType: "event_type", actAction: "action", actType: "type",
	actCategory: "category", actStatus: "status", actSuccess: "success", actTime: "time", actUser: "user", actUserID: "user_id", actEmail: "email",
	actFullName: "full_name", actBy: "by", actByID: "by_id", actByEmail: "by_email", actTarget: "target_user", actTargetID: "target_user_id",
	actTargetEmail: "target_email", actIP: "ip", actUserAgent: "user_agent", actDevice: "device", actNewDevice: "new_device",
	actReason: "reason", actTrigger: "trigger", actError: "error", actErrorCode: "error_code", actDetails: "details", actMessage: "message",
	actSession: "session_id", actMFA: "mfa", actMFAMethod: "mfa_method", actMethod: "method", actRole: "role", actUserType: "user_type",
	actTenant: "tenant", actTenantID: "tenant_id", actClient: "client", actClientID: "client_id", actProvider: "provider", actOld: "old",
	actNew: "new", actOldMethod: "old_method", actNewMethod: "new_method", actStart: "start", actEnd: "end"}

var activityNames = newNames(map[uint8]string{
	uint8(actEvent):       "event eventname eventaction activity activityname eventcode",
	uint8(actEventType):   "eventtype activitytype eventkind",
	uint8(actAction):      "action actiontype operation verb",
	uint8(actType):        "type",
	uint8(actCategory):    "category eventcategory",
	uint8(actStatus):      "status result outcome eventoutcome eventstatus loginstatus",
	uint8(actSuccess):     "success successful issuccess succeeded",
	uint8(actTime):        "timestamp time datetime date createdat occurredat eventtime loggedat ts when eventtimestamp",
	uint8(actUser):        "user username login loginname userlogin principal",
	uint8(actUserID):      "userid uid useruid useruuid useruserid",
	uint8(actEmail):       "email useremail mail emailaddress useremailaddress",
	uint8(actFullName):    "fullname displayname userfullname userdisplayname",
	uint8(actBy):          "by performedby actor actorname actorusername initiator initiatedby changedby terminatedby revokedby unlockedby lockedby resetby admin adminuser requestedby",
	uint8(actByID):        "actorid actoruserid performedbyid byid adminid",
	uint8(actByEmail):     "actoremail performedbyemail byemail adminemail",
	uint8(actTarget):      "targetuser targetusername targetname target affecteduser affectedaccount targetaccount",
	uint8(actTargetID):    "targetuserid targetid affecteduserid",
	uint8(actTargetEmail): "targetemail targetuseremail affecteduseremail",
	uint8(actIP):          "ip ipaddress ipaddr clientip clientipaddress sourceip sourceipaddress remoteip remoteaddr remoteaddress srcip requestip userip",
	uint8(actUserAgent):   "useragent ua browser clientuseragent requestuseragent",
	uint8(actDevice):      "device devicename deviceid devicedescription",
	uint8(actNewDevice):   "newdevice isnewdevice unrecognizeddevice unknowndevice devicenew deviceisnew",
	uint8(actReason):      "reason failurereason lockreason lockoutreason errorreason cause terminationreason why statusreason",
	uint8(actTrigger):     "trigger triggerreason lockouttrigger triggeredby locktrigger",
	uint8(actError):       "error errormessage errordescription failure exception",
	uint8(actErrorCode):   "errorcode",
	uint8(actDetails):     "details detail note notes comment comments",
	uint8(actMessage):     "message msg description summary",
	uint8(actSession):     "session sessionid sid sessionuuid",
	uint8(actMFA):         "mfa mfaused mfaverified mfapassed twofactor 2fa",
	uint8(actMFAMethod):   "mfamethod mfatype mfafactor factor factortype mfafactortype authenticator authenticatortype factorname secondfactor",
	uint8(actMethod):      "method authmethod authenticationmethod loginmethod",
	uint8(actRole):        "role roles userrole userroles actorrole",
	uint8(actUserType):    "usertype actortype accounttype",
	uint8(actTenant):      "tenant tenantname company companyname organization organisation org organizationname orgname account accountname workspace workspacename merchant",
	uint8(actTenantID):    "tenantid companyid organizationid organisationid orgid accountid workspaceid merchantid",
	uint8(actClient):      "client clientname app application appname applicationname",
	uint8(actClientID):    "clientid appid applicationid",
	uint8(actProvider):    "provider providername identityprovider idp connection",
	uint8(actOld):         "old oldvalue oldvalues before previous previousvalue oldstate",
	uint8(actNew):         "new newvalue newvalues after newstate",
	uint8(actOldMethod):   "oldmethod previousmethod oldmfamethod previousmfamethod mfaoldmethod oldfactor previousfactor",
	uint8(actNewMethod):   "newmethod newmfamethod mfanewmethod newfactor",
	uint8(actStart):       "starttime startedat start sessionstart sessionstartedat sessionstarted sessioncreatedat",
	uint8(actEnd):         "endtime endedat end sessionend sessionendedat sessionended",
})

func activityColumn(name string) column { return column(activityNames.find(name)) }

// transparent are objects that hold more of the same: their members are named without them.
var transparent = newNames(map[uint8]string{1: "details detail metadata meta data context properties payload attributes extra request " +
	"eventdata eventdetails additionaldata info"})

func hasEvent(h *header) bool {
	return h.has(actEvent) || h.has(actEventType) || h.has(actAction) || h.has(actType)
}

// isActivityHeader says that a line names columns: most are known, the event and the user or the time among them.
func isActivityHeader(cells []string) bool {
	if len(cells) < 3 || startsWithDigit(cells) {
		return false
	}
	h := newHeader(cells, activityColumn)
	return h.known >= 3 && 2*h.known >= len(cells) && hasEvent(h) && (h.has(actUser) || h.has(actTime) || h.has(actEmail))
}

// activityRow is the text of each value of one line. What has no meaning goes to the labels at once.
type activityRow struct {
	ev    *event.Event
	text  [activityColumns]string
	known int
}

func (r *activityRow) set(c column, text string) {
	if absent(text) {
		return
	}
	if r.text[c] != "" {
		if r.text[c] != text {
			labelCell(r.ev, activityKeys[c], text)
		}
		return
	}
	r.text[c] = text
	r.known++
}

// take returns a value that finds its place.
func (r *activityRow) take(c column) string {
	text := r.text[c]
	r.text[c] = ""
	return text
}

// rest keeps the values that found none.
func (r *activityRow) rest() {
	for c, text := range r.text {
		if text != "" {
			labelCell(r.ev, activityKeys[c], text)
		}
	}
}

// complete says whether a line is of this source at all: it names an event, and says who or where from or when.
func (r *activityRow) complete() bool {
	named := false
	for _, c := range eventColumns {
		named = named || r.text[c] != ""
	}
	who := r.text[actUser] != "" || r.text[actUserID] != "" || r.text[actEmail] != "" || r.text[actTarget] != "" || r.text[actBy] != ""
	return named && r.known >= 3 && (who || r.text[actIP] != "" || r.text[actSession] != "")
}

// members reads the members of a checked object. Objects within it give names such as "user id"; key is the object's own name for the labels.
func (r *activityRow) members(object, prefix, key string, depth int) {
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], object) {
		name, label := m.key, m.key
		if prefix != "" {
			name = prefix + "_" + m.key
		}
		if key != "" {
			label = key + "_" + m.key
		}
		c := activityColumn(name)
		switch m.value[0] {
		case '{':
			switch {
			case c == actOld || c == actNew:
				r.set(c, m.value)
			case depth == restDepth || len(label) > 48:
				labelRest(r.ev, label, gjson.Parse(m.value))
			case transparent.find(m.key) != 0:
				r.members(m.value, "", label, depth+1)
			default:
				r.members(m.value, name, label, depth+1)
			}
		case '[':
			if c == actRole || c == actOld || c == actNew {
				r.set(c, m.value)
			} else {
				labelCell(r.ev, event.LabelKey(label), m.value)
			}
		default:
			_, text := scalar(m.value, 0)
			r.value(c, label, strings.TrimSpace(text))
		}
	}
}

func (r *activityRow) value(c column, label, text string) {
	if c == colOther {
		labelCell(r.ev, event.LabelKey(label), text)
	} else {
		r.set(c, text)
	}
}

// pairs reads key=value; a value may hold spaces without being quoted.
func (r *activityRow) pairs(text string) {
	for s := (pairScanner{text: text, joined: true}); s.next(); {
		if !s.bare {
			r.value(activityColumn(s.key), s.key, strings.TrimSpace(s.value))
		}
	}
}
