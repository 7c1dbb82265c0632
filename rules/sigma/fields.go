package sigma

import (
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// fieldTable maps names of Sigma's to terms of the rule language. A name is looked for as it stands, then in small letters.
type fieldTable struct {
	names map[string]string
	also  *fieldTable
}

// commonFields are what people call the same thing in rules for any source.
var commonFields = &fieldTable{names: map[string]string{
	"user": "user.name", "username": "user.name", "user_name": "user.name", "targetusername": "user.name", "account": "user.name",
	"accountname": "user.name", "userid": "user.id", "user_id": "user.id", "email": "user.email", "domain": "user.domain",
	"src_ip": "source.ip", "srcip": "source.ip", "sourceip": "source.ip", "source_ip": "source.ip", "c-ip": "source.ip", "clientip": "source.ip",
	"client_ip": "source.ip", "ipaddress": "source.ip", "ip_address": "source.ip", "remote_ip": "source.ip", "sourceaddress": "source.ip", "src": "source.ip", "ip": "source.ip",
	"src_port": "source.port", "sourceport": "source.port", "c-port": "source.port", "src_host": "source.domain", "sourcehostname": "source.domain",
	"host": "host.name", "hostname": "host.name", "computer": "host.name", "computername": "host.name",
	"process": "process.name", "processname": "process.name", "program": "process.name", "pid": "process.pid", "processid": "process.pid",
	"image": "process.executable", "commandline": "process.command_line", "command": "process.command_line", "cmdline": "process.command_line",
	"currentdirectory": "process.working_directory",
	"useragent":        "user_agent.original", "user_agent": "user_agent.original",
	"message": "message", "msg": "message", "facility": "log.syslog.facility.name", "severity": "log.level", "level": "log.level",
	"sessionid": "gatebook.session.id", "session_id": "gatebook.session.id",
}}

var linuxFields = &fieldTable{also: commonFields, names: map[string]string{
	"auth_method": "labels.auth_method", "tty": "labels.tty", "ruser": "labels.ruser", "rhost": "source.ip", "group": "group.name",
}}

// sudoFields are those of programs that run something for somebody else: their USER is the other one.
var sudoFields = &fieldTable{also: linuxFields, names: map[string]string{
	"USER": "user.effective.name", "target_user": "user.effective.name", "targetusername": "user.effective.name",
	"COMMAND": "process.command_line", "PWD": "process.working_directory", "TTY": "labels.tty", "GROUP": "group.name",
}}

var auditFields = &fieldTable{names: map[string]string{
	"type": "event.code", "acct": "user.name", "exe": "process.executable", "addr": "source.ip", "terminal": "labels.tty", "op": "labels.operation",
	"uid": "labels.uid", "pid": "process.pid", "host": "host.name", "node": "host.name",
}}

var webFields = &fieldTable{also: commonFields, names: map[string]string{
	"c-ip": "source.ip", "cs-username": "user.name", "cs-method": "http.request.method", "method": "http.request.method",
	"cs-uri-stem": "url.path", "c-uri-stem": "url.path", "c-uri-path": "url.path", "c-uri": "url.original", "cs-uri": "url.original", "uri": "url.original", "url": "url.original",
	"cs-uri-query": "url.query", "c-uri-query": "url.query", "cs-host": "url.domain", "r-dns": "url.domain", "cs-version": "http.version",
	"sc-status": "http.response.status_code", "status": "http.response.status_code", "sc-bytes": "http.response.body.bytes",
	"cs-user-agent": "user_agent.original", "c-useragent": "user_agent.original", "cs-useragent": "user_agent.original", "cs(user-agent)": "user_agent.original",
	"cs-referer": "http.request.referrer", "cs-referrer": "http.request.referrer", "cs(referer)": "http.request.referrer", "referer": "http.request.referrer", "referrer": "http.request.referrer",
}}

// oktaFields: alternateId is an e-mail address for people, and a name without @ for some services.
var oktaFields = &fieldTable{names: map[string]string{
	"eventtype": "event.code", "displaymessage": "message", "severity": "log.level", "outcome.result": "gatebook.status.name", "outcome.reason": "event.reason",
	"actor.alternateid": "coalesce(user.email, user.name)", "actor.id": "user.id", "actor.displayname": "user.full_name",
	"client.ipaddress": "source.ip", "src_ip": "source.ip", "client.useragent.rawuseragent": "user_agent.original",
	"client.device": "labels.client_device", "client.zone": "labels.client_zone", "client.useragent.os": "labels.client_os", "client.useragent.browser": "labels.client_browser",
	"client.geographicalcontext.country": "labels.client_geographicalContext_country", "client.geographicalcontext.city": "labels.client_geographicalContext_city",
	"securitycontext.isproxy": "labels.security_isProxy", "securitycontext.asnumber": "source.as.number", "securitycontext.asorg": "source.as.organization.name",
	"securitycontext.domain":                       "source.domain",
	"authenticationcontext.externalsessionid":      "gatebook.session.id",
	"debugcontext.debugdata.threatsuspected":       "labels.debug_threatSuspected",
	"debugcontext.debugdata.risk":                  "labels.debug_risk",
	"debugcontext.debugdata.factor":                "labels.debug_factor",
	"debugcontext.debugdata.url":                   "url.original",
	"debugcontext.debugdata.requesturi":            "url.path",
	"debugcontext.debugdata.privilegegranted":      "labels.debug_privilegeGranted",
	"debugcontext.debugdata.privilegerevoked":      "labels.debug_privilegeRevoked",
	"transaction.id":                               "labels.transaction_id",
	"transaction.type":                             "labels.transaction_type",
	"authenticationcontext.authenticationprovider": "gatebook.provider.name",
	"client.id":                                  "gatebook.client.id",
	"client.geographicalcontext.state":           "labels.client_geographicalContext_state",
	"client.geographicalcontext.postalcode":      "labels.client_geographicalContext_postalCode",
	"debugcontext.debugdata.devicefingerprint":   "labels.debug_deviceFingerprint",
	"debugcontext.debugdata.requestid":           "labels.debug_requestId",
	"client.geographicalcontext.geolocation.lat": "labels.client_geographicalContext_geolocation_lat",
	"client.geographicalcontext.geolocation.lon": "labels.client_geographicalContext_geolocation_lon",
}}

var auth0Fields = &fieldTable{names: map[string]string{
	"type": "event.code", "data.type": "event.code", "ip": "source.ip", "data.ip": "source.ip", "src_ip": "source.ip", "user_name": "user.name", "data.user_name": "user.name",
	"user_id": "user.id", "data.user_id": "user.id", "user_agent": "user_agent.original", "data.user_agent": "user_agent.original",
	"client_id": "gatebook.client.id", "data.client_id": "gatebook.client.id", "client_name": "gatebook.client.name", "data.client_name": "gatebook.client.name",
	"connection": "gatebook.provider.name", "data.connection": "gatebook.provider.name", "session_id": "gatebook.session.id", "data.session_id": "gatebook.session.id",
}}

var keycloakFields = &fieldTable{names: map[string]string{
	"type": "event.code", "error": "error.code", "realmid": "organization.id", "realmname": "organization.name", "userid": "user.id", "username": "user.name",
	"details.username": "user.name", "email": "user.email", "clientid": "gatebook.client.id", "ipaddress": "source.ip", "src_ip": "source.ip", "sessionid": "gatebook.session.id",
	"auth_type": "labels.auth_type", "details.auth_type": "labels.auth_type", "redirect_uri": "labels.redirect_uri", "details.redirect_uri": "labels.redirect_uri",
	"identity_provider": "gatebook.provider.name", "details.identity_provider": "gatebook.provider.name", "resourcepath": "labels.resourcePath",
}}

// target is what a field of Sigma's is in the rule language.
type target struct {
	term  string      // as it is written
	field query.Field // what decides on its type; of coalesce() the first one
	many  bool        // may have several values, and is no term
}

const maxFieldName = 128

// field finds what a name stands for.
func (t *translator) field(table *fieldTable, name string) (target, error) {
	if len(name) > maxFieldName {
		return target{}, fmt.Errorf("the name of the field has more than %d characters", maxFieldName)
	}
	term, ok := t.options.Fields[name]
	for one := table; !ok && one != nil; one = one.also {
		if term, ok = one.names[name]; !ok {
			term, ok = one.names[strings.ToLower(name)]
		}
	}
	if !ok {
		term = name // the record's own name
	}
	first := term
	if inner, isCall := strings.CutPrefix(term, "coalesce("); isCall {
		first, _, _ = strings.Cut(inner, ",")
	}
	f, err := query.FieldNamed(first)
	if err != nil {
		if ok {
			return target{}, err
		}
		return target{}, fmt.Errorf("the field %q has no counterpart in the record; an option can name one", printable(name))
	}
	if first == term {
		term = fieldText(f)
	}
	switch f.Type() {
	case event.Keyword, event.Text, event.Integer, event.Float32, event.IP, event.Boolean:
	default:
		return target{}, fmt.Errorf("%s is of type %s, which cannot be compared with values of Sigma's", f.Name(), f.Type())
	}
	return target{term: term, field: f, many: f.Key == "" && f.Many()}, nil
}

func (t target) isText() bool { k := t.field.Type(); return k == event.Keyword || k == event.Text }

func (t target) isNumber() bool {
	k := t.field.Type()
	return k == event.Integer || k == event.Float32
}

// lowered is the term such that letter case does not matter: some fields hold words of Gatebook's own, which have none.
func (t target) lowered() string {
	switch t.term {
	case "event.action", "event.outcome", "event.kind", "event.category", "event.type", "gatebook.actor.type":
		return t.term
	}
	if t.folds() {
		return t.term
	}
	return "lower(" + t.term + ")"
}

// folds tells that the record ignores the letter case of the field.
func (t target) folds() bool { return t.field.Fold }
