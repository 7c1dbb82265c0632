package event

import (
	"hash/crc32"
	"strings"
)

// Type is the type of a field in Elasticsearch's words; every Elasticsearch 8 and OpenSearch 2 has them.
type Type string

// The types in use. Stored is kept in the document and not indexed.
const (
	Keyword   Type = "keyword"
	Text      Type = "text"
	Integer   Type = "long"
	Float32   Type = "float"
	DateTime  Type = "date"
	IP        Type = "ip"
	Boolean   Type = "boolean"
	Place     Type = "geo_point"
	Flattened Type = "flattened"
	Stored    Type = "object"
)

// FieldID numbers a field: its index in Fields. The numbers are not stable between versions; TableHash tells.
type FieldID uint16

// Field is one line of the field table.
type Field struct {
	Name    string // ECS name, or in our namespace
	Type    Type
	Go      string // where it stands in Event; "" for what the Encoder itself writes
	Array   bool   // always written as a list
	Search  bool   // people search in its text: a .text sub-field in Elasticsearch
	Column  bool   // a column of its own, indexed, in the embedded store
	Aliases string // what people call it, separated by commas
	Meaning string
}

// Fields is the field table, in the order in which documents are written.
var Fields = []Field{
	{Name: "@timestamp", Type: DateTime, Go: "Time", Column: true, Aliases: "time, timestamp, date, created on, created at", Meaning: "when it happened, as the line says; the time of reading where the line says nothing"},
	{Name: "ecs.version", Type: Keyword, Meaning: "version of the Elastic Common Schema that the document follows"},
	{Name: "data_stream.type", Type: Keyword, Meaning: "always logs"},
	{Name: "data_stream.dataset", Type: Keyword, Meaning: "same as event.dataset"},
	{Name: "data_stream.namespace", Type: Keyword, Meaning: "namespace of the config"},
	{Name: "agent.id", Type: Keyword, Go: "Agent.ID", Meaning: "the Gatebook that read the line: this Gatebook, as long as its data_dir lives"},
	{Name: "agent.name", Type: Keyword, Go: "Agent.Name", Meaning: "host name of that Gatebook"},
	{Name: "agent.type", Type: Keyword, Go: "Agent.Type", Meaning: "gatebook, or the shipper that delivered to one"},
	{Name: "agent.version", Type: Keyword, Go: "Agent.Version", Meaning: "its version"},
	{Name: "agent.ephemeral_id", Type: Keyword, Go: "Agent.EphemeralID", Meaning: "epoch: new at every start"},

	{Name: "message", Type: Text, Go: "Message", Aliases: "description, text", Meaning: "what happened, in plain English"},
	{Name: "tags", Type: Keyword, Go: "Tags", Array: true, Aliases: "tag", Meaning: "marks: parse-failure, line-truncated, label-cut (over 16 KiB), time-from-arrival, ..."},
	{Name: "labels", Type: Flattened, Go: "Labels", Aliases: "attributes", Meaning: "what has no field of its own, by key"},

	{Name: "event.id", Type: Keyword, Go: "ID", Meaning: "<epoch>-<sequence>; also the document's _id"},
	{Name: "event.kind", Type: Keyword, Go: "Kind", Meaning: "event, or alert where a rule made it"},
	{Name: "event.category", Type: Keyword, Go: "Category", Array: true, Meaning: "ECS category, from the action table"},
	{Name: "event.type", Type: Keyword, Go: "Type", Array: true, Meaning: "ECS type, from the action table"},
	{Name: "event.action", Type: Keyword, Go: "Action", Column: true, Aliases: "action, event type, what", Meaning: "what was done: one of the closed list of actions"},
	{Name: "event.outcome", Type: Keyword, Go: "Outcome", Column: true, Aliases: "outcome, result", Meaning: "success, failure or unknown"},
	{Name: "event.code", Type: Keyword, Go: "Code", Aliases: "code", Meaning: "the source's own type or code"},
	{Name: "event.reason", Type: Keyword, Go: "Reason", Aliases: "reason, why", Meaning: "why, as the source says: status name, error"},
	{Name: "event.dataset", Type: Keyword, Go: "Dataset", Column: true, Aliases: "dataset, source", Meaning: "gatebook.<dataset>; questions use the short name"},
	{Name: "event.created", Type: DateTime, Go: "Created", Meaning: "when this Gatebook read the line"},
	{Name: "event.ingested", Type: DateTime, Meaning: "when Elasticsearch took it (set there)"},
	{Name: "event.start", Type: DateTime, Go: "Start", Aliases: "login time", Meaning: "when it began"},
	{Name: "event.end", Type: DateTime, Go: "End", Aliases: "logout time", Meaning: "when it ended"},
	{Name: "event.duration", Type: Integer, Go: "Duration", Aliases: "duration", Meaning: "end less start, nanoseconds"},
	{Name: "event.severity", Type: Integer, Go: "Severity", Aliases: "severity", Meaning: "of an alert: low 21, medium 47, high 73, critical 99"},
	{Name: "event.risk_score", Type: Float32, Go: "Risk", Aliases: "risk", Meaning: "of an alert, 0 to 100"},
	{Name: "event.url", Type: Keyword, Go: "Link", Meaning: "of an alert: where its evidence can be looked at (option kibana of the block rules)"},
	{Name: "event.original", Type: Stored, Go: "Original", Meaning: "the line as it came, after redaction; stored, not indexed"},

	{Name: "host.name", Type: Keyword, Go: "Host.Name", Column: true, Aliases: "host, machine", Meaning: "machine that logged"},
	{Name: "host.hostname", Type: Keyword, Go: "Host.Hostname", Meaning: "its name as the machine itself gives it"},

	{Name: "log.file.path", Type: Keyword, Go: "Log.Path", Aliases: "file, path", Meaning: "file that the line stood in"},
	{Name: "log.offset", Type: Integer, Go: "Log.Offset", Meaning: "byte offset of the line in it (a name of Filebeat's, not of ECS)"},
	{Name: "log.level", Type: Keyword, Go: "Log.Level", Aliases: "level", Meaning: "level as logged"},
	{Name: "log.syslog.priority", Type: Integer, Go: "Syslog.Priority", Meaning: "PRI of RFC 5424 6.2.1"},
	{Name: "log.syslog.facility.code", Type: Integer, Go: "Syslog.FacilityCode", Meaning: "facility number"},
	{Name: "log.syslog.facility.name", Type: Keyword, Go: "Syslog.FacilityName", Meaning: "facility name"},
	{Name: "log.syslog.severity.code", Type: Integer, Go: "Syslog.SeverityCode", Meaning: "severity number"},
	{Name: "log.syslog.severity.name", Type: Keyword, Go: "Syslog.SeverityName", Meaning: "severity name"},
	{Name: "log.syslog.hostname", Type: Keyword, Go: "Syslog.Hostname", Meaning: "host that the message claims"},
	{Name: "log.syslog.appname", Type: Keyword, Go: "Syslog.AppName", Meaning: "program that the message claims"},
	{Name: "log.syslog.procid", Type: Keyword, Go: "Syslog.ProcID", Meaning: "process id that the message claims"},
	{Name: "log.syslog.msgid", Type: Keyword, Go: "Syslog.MsgID", Meaning: "MSGID of RFC 5424"},
	{Name: "log.syslog.version", Type: Keyword, Go: "Syslog.Version", Meaning: "version of RFC 5424"},
	{Name: "log.syslog.structured_data", Type: Flattened, Go: "Syslog.StructuredData", Meaning: "structured data of RFC 5424"},

	{Name: "process.name", Type: Keyword, Go: "Process.Name", Aliases: "program, process", Meaning: "program that logged, or that was run"},
	{Name: "process.pid", Type: Integer, Go: "Process.PID", Aliases: "pid", Meaning: "its process id"},
	{Name: "process.executable", Type: Keyword, Go: "Process.Executable", Meaning: "path of the program that was run"},
	{Name: "process.command_line", Type: Keyword, Go: "Process.CommandLine", Search: true, Aliases: "command", Meaning: "command as it was given"},
	{Name: "process.working_directory", Type: Keyword, Go: "Process.WorkingDirectory", Meaning: "folder that it ran in"},
	{Name: "process.exit_code", Type: Integer, Go: "Process.ExitCode", Meaning: "exit code"},

	{Name: "user.name", Type: Keyword, Go: "User.Name", Column: true, Aliases: "user, username, actor, who, account", Meaning: "who did it, or tried to"},
	{Name: "user.id", Type: Keyword, Go: "User.ID", Aliases: "user id, uid", Meaning: "id of the user"},
	{Name: "user.email", Type: Keyword, Go: "User.Email", Aliases: "email, e-mail, mail", Meaning: "e-mail address of the user"},
	{Name: "user.full_name", Type: Keyword, Go: "User.FullName", Search: true, Aliases: "full name", Meaning: "name of the person"},
	{Name: "user.domain", Type: Keyword, Go: "User.Domain", Meaning: "directory or company of the user"},
	{Name: "user.roles", Type: Keyword, Go: "User.Roles", Array: true, Aliases: "role, roles", Meaning: "roles of the user at that time"},
	{Name: "user.target.name", Type: Keyword, Go: "UserTarget.Name", Aliases: "target user", Meaning: "whom it was done to"},
	{Name: "user.target.id", Type: Keyword, Go: "UserTarget.ID", Meaning: "id of whom it was done to"},
	{Name: "user.target.email", Type: Keyword, Go: "UserTarget.Email", Meaning: "e-mail address of whom it was done to"},
	{Name: "user.target.full_name", Type: Keyword, Go: "UserTarget.FullName", Meaning: "name of whom it was done to"},
	{Name: "user.target.domain", Type: Keyword, Go: "UserTarget.Domain", Meaning: "directory of whom it was done to"},
	{Name: "user.target.roles", Type: Keyword, Go: "UserTarget.Roles", Array: true, Meaning: "roles before the change"},
	{Name: "user.changes.name", Type: Keyword, Go: "UserChanges.Name", Meaning: "new name of a changed user"},
	{Name: "user.changes.id", Type: Keyword, Go: "UserChanges.ID", Meaning: "new id of a changed user"},
	{Name: "user.changes.email", Type: Keyword, Go: "UserChanges.Email", Meaning: "new e-mail address of a changed user"},
	{Name: "user.changes.full_name", Type: Keyword, Go: "UserChanges.FullName", Meaning: "new full name of a changed user"},
	{Name: "user.changes.domain", Type: Keyword, Go: "UserChanges.Domain", Meaning: "new directory of a changed user"},
	{Name: "user.changes.roles", Type: Keyword, Go: "UserChanges.Roles", Array: true, Meaning: "roles after the change"},
	{Name: "user.effective.name", Type: Keyword, Go: "UserEffective.Name", Aliases: "effective user", Meaning: "identity taken on (su, sudo)"},
	{Name: "user.effective.id", Type: Keyword, Go: "UserEffective.ID", Meaning: "id of the identity taken on"},
	{Name: "user.effective.email", Type: Keyword, Go: "UserEffective.Email", Meaning: "e-mail address of the identity taken on"},
	{Name: "user.effective.full_name", Type: Keyword, Go: "UserEffective.FullName", Meaning: "name of the identity taken on"},
	{Name: "user.effective.domain", Type: Keyword, Go: "UserEffective.Domain", Meaning: "directory of the identity taken on"},
	{Name: "user.effective.roles", Type: Keyword, Go: "UserEffective.Roles", Array: true, Meaning: "roles of the identity taken on"},
	{Name: "group.name", Type: Keyword, Go: "Group.Name", Aliases: "group", Meaning: "group that is concerned"},
	{Name: "group.id", Type: Keyword, Go: "Group.ID", Meaning: "id of the group"},
	{Name: "group.domain", Type: Keyword, Go: "Group.Domain", Meaning: "directory of the group"},

	{Name: "source.ip", Type: IP, Go: "Source.IP", Column: true, Aliases: "ip, ip address, address, source ip", Meaning: "client's address, as the line says"},
	{Name: "source.port", Type: Integer, Go: "Source.Port", Aliases: "port", Meaning: "client's port"},
	{Name: "source.domain", Type: Keyword, Go: "Source.Domain", Meaning: "client's host name, where the line gives one"},
	{Name: "source.geo.city_name", Type: Keyword, Go: "Source.Geo.CityName", Aliases: "city", Meaning: "city of the address (GeoIP)"},
	{Name: "source.geo.continent_code", Type: Keyword, Go: "Source.Geo.ContinentCode", Meaning: "continent, two letters"},
	{Name: "source.geo.continent_name", Type: Keyword, Go: "Source.Geo.ContinentName", Aliases: "continent", Meaning: "continent"},
	{Name: "source.geo.country_iso_code", Type: Keyword, Go: "Source.Geo.CountryISO", Column: true, Aliases: "country code", Meaning: "country, ISO 3166-1 alpha-2"},
	{Name: "source.geo.country_name", Type: Keyword, Go: "Source.Geo.CountryName", Aliases: "country", Meaning: "country"},
	{Name: "source.geo.region_iso_code", Type: Keyword, Go: "Source.Geo.RegionISO", Meaning: "region, ISO 3166-2"},
	{Name: "source.geo.region_name", Type: Keyword, Go: "Source.Geo.RegionName", Aliases: "region", Meaning: "region"},
	{Name: "source.geo.postal_code", Type: Keyword, Go: "Source.Geo.PostalCode", Meaning: "postal code"},
	{Name: "source.geo.timezone", Type: Keyword, Go: "Source.Geo.Timezone", Meaning: "time zone, IANA name"},
	{Name: "source.geo.location", Type: Place, Go: "Source.Geo.Location", Meaning: "WGS 84 latitude and longitude, degrees"},
	{Name: "source.as.number", Type: Integer, Go: "Source.AS.Number", Aliases: "asn", Meaning: "number of the autonomous system"},
	{Name: "source.as.organization.name", Type: Keyword, Go: "Source.AS.Organization", Aliases: "network, isp", Meaning: "who runs it"},

	{Name: "user_agent.original", Type: Keyword, Go: "UserAgent.Original", Search: true, Aliases: "user agent, device, browser", Meaning: "client's program as it names itself"},
	{Name: "user_agent.name", Type: Keyword, Go: "UserAgent.Name", Meaning: "name of the browser or client"},
	{Name: "user_agent.version", Type: Keyword, Go: "UserAgent.Version", Meaning: "its version"},
	{Name: "user_agent.os.name", Type: Keyword, Go: "UserAgent.OSName", Aliases: "os", Meaning: "operating system"},
	{Name: "user_agent.os.version", Type: Keyword, Go: "UserAgent.OSVersion", Meaning: "version of the operating system"},
	{Name: "user_agent.device.name", Type: Keyword, Go: "UserAgent.Device", Meaning: "device"},

	{Name: "service.name", Type: Keyword, Go: "Service.Name", Aliases: "service, application", Meaning: "application that logged"},
	{Name: "service.type", Type: Keyword, Go: "Service.Type", Meaning: "kind of application"},
	{Name: "service.id", Type: Keyword, Go: "Service.ID", Meaning: "id of the instance"},
	{Name: "service.version", Type: Keyword, Go: "Service.Version", Meaning: "version of the application"},
	{Name: "organization.id", Type: Keyword, Go: "Organization.ID", Aliases: "tenant id, company id", Meaning: "tenant, merchant or partner: id"},
	{Name: "organization.name", Type: Keyword, Go: "Organization.Name", Aliases: "tenant, company, merchant, partner", Meaning: "tenant, merchant or partner: name"},

	{Name: "url.original", Type: Keyword, Go: "URL.Original", Aliases: "url", Meaning: "address as logged"},
	{Name: "url.full", Type: Keyword, Go: "URL.Full", Meaning: "whole address"},
	{Name: "url.scheme", Type: Keyword, Go: "URL.Scheme", Meaning: "scheme"},
	{Name: "url.domain", Type: Keyword, Go: "URL.Domain", Meaning: "host of the address"},
	{Name: "url.path", Type: Keyword, Go: "URL.Path", Meaning: "path"},
	{Name: "url.query", Type: Keyword, Go: "URL.Query", Meaning: "query, after redaction"},
	{Name: "http.version", Type: Keyword, Go: "HTTP.Version", Meaning: "HTTP version"},
	{Name: "http.request.method", Type: Keyword, Go: "HTTP.Method", Aliases: "method", Meaning: "request method as logged"},
	{Name: "http.request.referrer", Type: Keyword, Go: "HTTP.Referrer", Meaning: "referrer"},
	{Name: "http.response.status_code", Type: Integer, Go: "HTTP.StatusCode", Aliases: "http status", Meaning: "response status"},
	{Name: "http.response.body.bytes", Type: Integer, Go: "HTTP.ResponseBytes", Meaning: "size of the response body, bytes"},

	{Name: "email.subject", Type: Keyword, Go: "Email.Subject", Search: true, Aliases: "email subject", Meaning: "subject of a mail"},
	{Name: "email.message_id", Type: Keyword, Go: "Email.MessageID", Meaning: "Message-ID"},
	{Name: "email.from.address", Type: Keyword, Go: "Email.From", Array: true, Aliases: "from", Meaning: "sender"},
	{Name: "email.to.address", Type: Keyword, Go: "Email.To", Array: true, Aliases: "recipient, to", Meaning: "recipients"},
	{Name: "email.cc.address", Type: Keyword, Go: "Email.CC", Array: true, Aliases: "cc", Meaning: "copy recipients"},
	{Name: "email.bcc.address", Type: Keyword, Go: "Email.BCC", Array: true, Aliases: "bcc", Meaning: "blind copy recipients"},

	{Name: "error.message", Type: Text, Go: "Error.Message", Aliases: "error", Meaning: "error text"},
	{Name: "error.code", Type: Keyword, Go: "Error.Code", Meaning: "error code"},
	{Name: "error.type", Type: Keyword, Go: "Error.Type", Meaning: "kind of error"},
	{Name: "error.stack_trace", Type: Keyword, Go: "Error.StackTrace", Search: true, Aliases: "stacktrace", Meaning: "stack trace"},

	{Name: "rule.id", Type: Keyword, Go: "Rule.ID", Aliases: "rule", Meaning: "rule that made the alert"},
	{Name: "rule.name", Type: Keyword, Go: "Rule.Name", Aliases: "rule name", Meaning: "its title without the particulars of one alert, which message has"},
	{Name: "rule.description", Type: Keyword, Go: "Rule.Description", Meaning: "what it looks for"},
	{Name: "rule.category", Type: Keyword, Go: "Rule.Category", Meaning: "group of rules"},
	{Name: "rule.ruleset", Type: Keyword, Go: "Rule.Ruleset", Meaning: "library or site"},
	{Name: "rule.version", Type: Keyword, Go: "Rule.Version", Meaning: "hash of the rule's meaning"},
	{Name: "rule.reference", Type: Keyword, Go: "Rule.Reference", Meaning: "page about it"},
	{Name: "rule.author", Type: Keyword, Go: "Rule.Author", Array: true, Meaning: "who wrote it"},
	{Name: "threat.framework", Type: Keyword, Go: "Threat.Framework", Meaning: "MITRE ATT&CK"},
	{Name: "threat.tactic.id", Type: Keyword, Go: "Threat.TacticID", Array: true, Meaning: "tactic ids"},
	{Name: "threat.tactic.name", Type: Keyword, Go: "Threat.TacticName", Array: true, Meaning: "tactic names"},
	{Name: "threat.technique.id", Type: Keyword, Go: "Threat.TechniqueID", Array: true, Meaning: "technique ids"},
	{Name: "threat.technique.name", Type: Keyword, Go: "Threat.TechniqueName", Array: true, Meaning: "technique names"},
	{Name: "threat.technique.subtechnique.id", Type: Keyword, Go: "Threat.SubID", Array: true, Meaning: "sub-technique ids"},
	{Name: "threat.technique.subtechnique.name", Type: Keyword, Go: "Threat.SubName", Array: true, Meaning: "sub-technique names"},

	{Name: "related.ip", Type: IP, Go: "Related.IP", Array: true, Meaning: "all addresses of the event"},
	{Name: "related.user", Type: Keyword, Go: "Related.User", Array: true, Meaning: "all user names and e-mail addresses of the event"},
	{Name: "related.hosts", Type: Keyword, Go: "Related.Hosts", Array: true, Meaning: "all host names of the event"},

	{Name: "gatebook.input", Type: Keyword, Go: "Input", Meaning: "label of the input that read it"},
	{Name: "gatebook.parser", Type: Keyword, Go: "Parser", Meaning: "parser that recognized it"},
	{Name: "gatebook.sender.ip", Type: IP, Go: "Sender.IP", Meaning: "address of the socket that the message came from, never a claim"},
	{Name: "gatebook.sender.port", Type: Integer, Go: "Sender.Port", Meaning: "port of that socket"},
	{Name: "gatebook.sender.name", Type: Keyword, Go: "Sender.Name", Meaning: "name in the sender's certificate or of its key"},
	{Name: "gatebook.entry.code", Type: Integer, Go: "Entry.Code", Aliases: "entry, entry type, entry code", Meaning: "entry code as logged"},
	{Name: "gatebook.entry.name", Type: Keyword, Go: "Entry.Name", Aliases: "entry name, entry method", Meaning: "what the entry code means"},
	{Name: "gatebook.status.code", Type: Integer, Go: "Status.Code", Aliases: "status code, status type", Meaning: "status code as logged"},
	{Name: "gatebook.status.name", Type: Keyword, Go: "Status.Name", Aliases: "status, status name", Meaning: "what the status code means"},
	{Name: "gatebook.count", Type: Integer, Go: "Count", Aliases: "repeats", Meaning: "how many occurrences the line stands for (message repeated N times); 1 where absent"},
	{Name: "gatebook.actor.type", Type: Keyword, Go: "Actor", Aliases: "actor type, user type", Meaning: "admin, partner, staff, customer, service"},
	{Name: "gatebook.user.key", Type: Keyword, Go: "UserKey", Column: true, Aliases: "user key", Meaning: "joins what one person does: realm/user, lower case"},
	{Name: "gatebook.mfa.used", Type: Boolean, Go: "MFA.Used", Aliases: "mfa", Meaning: "a second factor was in play"},
	{Name: "gatebook.mfa.method", Type: Keyword, Go: "MFA.Method", Aliases: "mfa method", Meaning: "totp, webauthn, sms ..."},
	{Name: "gatebook.target.type", Type: Keyword, Go: "Target.Type", Aliases: "target type", Meaning: "kind of what was acted on"},
	{Name: "gatebook.target.id", Type: Keyword, Go: "Target.ID", Aliases: "target id", Meaning: "id of what was acted on"},
	{Name: "gatebook.target.name", Type: Keyword, Go: "Target.Name", Aliases: "target", Meaning: "name of what was acted on"},
	{Name: "gatebook.subject.type", Type: Keyword, Go: "Subject.Type", Aliases: "subject type", Meaning: "kind of what else was affected"},
	{Name: "gatebook.subject.id", Type: Keyword, Go: "Subject.ID", Aliases: "subject id", Meaning: "id of what else was affected"},
	{Name: "gatebook.subject.name", Type: Keyword, Go: "Subject.Name", Aliases: "subject", Meaning: "name of what else was affected"},
	{Name: "gatebook.category", Type: Keyword, Go: "Object", Aliases: "category", Meaning: "cards, members, rewards ..."},
	{Name: "gatebook.client.id", Type: Keyword, Go: "Client.ID", Aliases: "client id", Meaning: "application that was used: id"},
	{Name: "gatebook.client.name", Type: Keyword, Go: "Client.Name", Aliases: "client, client name, client actor", Meaning: "application that was used"},
	{Name: "gatebook.provider.id", Type: Keyword, Go: "Provider.ID", Meaning: "identity provider: id"},
	{Name: "gatebook.provider.name", Type: Keyword, Go: "Provider.Name", Aliases: "provider, provider name, identity provider", Meaning: "identity provider, or way of authentication"},
	{Name: "gatebook.session.id", Type: Keyword, Go: "Session.ID", Aliases: "session, session id", Meaning: "session id"},
	{Name: "gatebook.session.protocol", Type: Keyword, Go: "Session.Protocol", Aliases: "protocol", Meaning: "OIDC, SAML, ssh ..."},
	{Name: "gatebook.session.status", Type: Keyword, Go: "Session.Status", Aliases: "session status", Meaning: "active, expired, revoked"},
	{Name: "gatebook.session.scopes", Type: Keyword, Go: "Session.Scopes", Array: true, Aliases: "scopes", Meaning: "scopes of the session"},
	{Name: "gatebook.session.claims", Type: Stored, Go: "Session.Claims", Meaning: "claims of the session; stored, not indexed"},
	{Name: "gatebook.grant.id", Type: Keyword, Go: "Grant.ID", Aliases: "grant id", Meaning: "grant id"},
	{Name: "gatebook.grant.type", Type: Keyword, Go: "Grant.Type", Aliases: "grant type", Meaning: "kind of grant"},
	{Name: "gatebook.grant.status", Type: Keyword, Go: "Grant.Status", Aliases: "grant status", Meaning: "active, expired, revoked"},
	{Name: "gatebook.grant.scopes", Type: Keyword, Go: "Grant.Scopes", Array: true, Meaning: "scopes of the grant"},
	{Name: "gatebook.job.id", Type: Keyword, Go: "Job.ID", Aliases: "job id", Meaning: "job id"},
	{Name: "gatebook.job.name", Type: Keyword, Go: "Job.Name", Aliases: "job, job name", Meaning: "job name"},
	{Name: "gatebook.job.type", Type: Keyword, Go: "Job.Type", Aliases: "job type", Meaning: "kind of job"},
	{Name: "gatebook.job.status", Type: Keyword, Go: "Job.Status", Aliases: "job status, latest status", Meaning: "pending, running, success, failed"},
	{Name: "gatebook.notification.id", Type: Keyword, Go: "Notification.ID", Meaning: "notification id"},
	{Name: "gatebook.notification.status", Type: Keyword, Go: "Notification.Status", Aliases: "delivery status", Meaning: "sent, failed, pending, bounced"},
	{Name: "gatebook.notification.category", Type: Keyword, Go: "Notification.Category", Meaning: "kind of notification"},
	{Name: "gatebook.notification.body", Type: Stored, Go: "Notification.Body", Meaning: "its text after redaction; stored, not indexed"},
	{Name: "gatebook.old", Type: Stored, Go: "Old", Aliases: "old entity, old", Meaning: "state before; stored, not indexed"},
	{Name: "gatebook.new", Type: Stored, Go: "New", Aliases: "new entity, new", Meaning: "state after; stored, not indexed"},
	{Name: "gatebook.changes", Type: Flattened, Go: "Changes", Aliases: "changes, diff", Meaning: "one entry per changed field, with old and new"},
	{Name: "gatebook.comments", Type: Keyword, Go: "Comments", Search: true, Aliases: "comments, comment", Meaning: "justification given"},
	{Name: "gatebook.restored", Type: Boolean, Go: "Restored", Meaning: "came back from an archive"},
	{Name: "gatebook.relayed", Type: Boolean, Go: "Relayed", Meaning: "came through another Gatebook: agent.* names it"},
	{Name: "gatebook.geo.accuracy_km", Type: Integer, Go: "Accuracy", Meaning: "radius around source.geo.location that the address may be in"},
	{Name: "gatebook.alert.id", Type: Keyword, Go: "Alert.ID", Aliases: "alert id", Meaning: "joins the records of one alert"},
	{Name: "gatebook.alert.state", Type: Keyword, Go: "Alert.State", Meaning: "open, update, close"},
	{Name: "gatebook.alert.key", Type: Keyword, Go: "Alert.Key", Meaning: "key that fired"},
	{Name: "gatebook.alert.summary", Type: Text, Go: "Alert.Summary", Meaning: "evidence in words"},
	{Name: "gatebook.alert.revision", Type: Integer, Go: "Alert.Revision", Meaning: "number of the record within the alert"},
	{Name: "gatebook.alert.count", Type: Integer, Go: "Alert.Count", Meaning: "hits so far"},
	{Name: "gatebook.alert.events", Type: Keyword, Go: "Alert.Events", Array: true, Meaning: "ids of the events that are the evidence"},
	{Name: "gatebook.alert.mode", Type: Keyword, Go: "Alert.Mode", Meaning: "shadow (neither notified nor seen by other rules), alert or respond"},
	{Name: "gatebook.alert.by", Type: Keyword, Go: "Alert.By", Meaning: "terms of the grouping, as the rule has them"},
	{Name: "gatebook.alert.event", Type: Keyword, Go: "Alert.Event", Meaning: "id of the event that fired; alerts of one rule with the same one are told together"},
	{Name: "gatebook.alert.respond", Type: Keyword, Go: "Alert.Respond", Array: true, Meaning: "actions that the rule asks for, with ttl and approval"},
	{Name: "gatebook.alert.runbook", Type: Text, Go: "Alert.Runbook", Meaning: "what the rule's author advises to do"},
	{Name: "gatebook.deadletter.output", Type: Keyword, Go: "DeadLetter.Output", Meaning: "output that refused the item"},
	{Name: "gatebook.deadletter.stream", Type: Keyword, Go: "DeadLetter.Stream", Meaning: "data stream that it was meant for"},
	{Name: "gatebook.deadletter.id", Type: Keyword, Go: "DeadLetter.ID", Meaning: "event.id of the refused item"},
	{Name: "gatebook.deadletter.type", Type: Keyword, Go: "DeadLetter.Type", Meaning: "kind of refusal"},
	{Name: "gatebook.deadletter.reason", Type: Keyword, Go: "DeadLetter.Reason", Meaning: "refusal in the output's words"},
	{Name: "gatebook.deadletter.status", Type: Integer, Go: "DeadLetter.Status", Meaning: "HTTP status of the refusal"},
	{Name: "gatebook.health.status", Type: Keyword, Go: "Health.Status", Aliases: "health", Meaning: "ok, or degraded: gatebook.health.problems says why"},
	{Name: "gatebook.health.problems", Type: Keyword, Go: "Health.Problems", Array: true, Meaning: "what is wrong with the Gatebook, as /healthz says it"},
	{Name: "gatebook.health.uptime", Type: Integer, Go: "Health.Uptime", Meaning: "seconds since its start"},
	{Name: "gatebook.health.lines", Type: Integer, Go: "Health.Lines", Meaning: "lines read since the last record of health"},
	{Name: "gatebook.health.events", Type: Integer, Go: "Health.Events", Meaning: "events appended to the buffer since then"},
	{Name: "gatebook.health.parse_failures", Type: Integer, Go: "Health.ParseFailures", Meaning: "lines that no parser knew since then"},
	{Name: "gatebook.health.delivered", Type: Integer, Go: "Health.Delivered", Meaning: "items that outputs took since then, all outputs together"},
	{Name: "gatebook.health.dead_letters", Type: Integer, Go: "Health.DeadLetters", Meaning: "items that outputs refused for good since then"},
	{Name: "gatebook.health.waiting", Type: Integer, Go: "Health.Waiting", Meaning: "items that the output furthest behind has not taken yet"},
	{Name: "gatebook.health.unread_bytes", Type: Integer, Go: "Health.Unread", Meaning: "bytes of files not read yet"},
	{Name: "gatebook.health.buffer_bytes", Type: Integer, Go: "Health.Buffer", Meaning: "bytes of the buffer on disk"},
	{Name: "gatebook.health.buffer_max_bytes", Type: Integer, Go: "Health.BufferMost", Meaning: "most bytes that the buffer may take"},
}

// TableHash changes whenever a field, its number or its type does.
var TableHash = func() uint32 {
	h := crc32.NewIEEE()
	for _, f := range Fields {
		h.Write([]byte(f.Name + "|" + string(f.Type) + "\n"))
	}
	return h.Sum32()
}()

var fieldsByName = func() map[string]FieldID {
	m := make(map[string]FieldID, len(Fields))
	for i, f := range Fields {
		m[f.Name] = FieldID(i)
	}
	return m
}()

// FieldByName finds a field by its name in the table.
func FieldByName(name string) (FieldID, bool) {
	id, ok := fieldsByName[name]
	return id, ok
}

// FieldNames lists the names in table order.
func FieldNames() []string {
	names := make([]string, len(Fields))
	for i, f := range Fields {
		names[i] = f.Name
	}
	return names
}

// Info returns the table's line of the field.
func (id FieldID) Info() *Field { return &Fields[id] }

// Names lists what people call the field.
func (f *Field) Names() []string {
	if f.Aliases == "" {
		return nil
	}
	return strings.Split(f.Aliases, ", ")
}
