package sigma

import (
	"fmt"
	"strings"
)

// records is what a log source of Sigma is in Gatebook.
type records struct {
	when     clause      // which records
	fields   *fieldTable // names of its fields
	keywords []string    // where words without a field are looked for
	by       string      // term that alerts of single events are kept apart by: every record of the source has it; "": none
}

// perUser is there for every record: most sources name a user or a host, and all a dataset.
const perUser = "coalesce(gatebook.user.key, host.name, event.dataset)"

// readSource finds the records that logsource names.
func (d *document) readSource() (records, bool) {
	n := d.root.at("logsource")
	if n == nil || !n.isMap {
		d.refuse(d.root, "logsource", "the rule names no log source")
		return records{}, false
	}
	part := map[string]string{}
	for i, k := range n.keys {
		switch k.scalar {
		case "product", "category", "service":
			part[k.scalar] = strings.ToLower(n.values[i].text())
			if part[k.scalar] == "" && !n.values[i].isNull() {
				d.refuse(n.values[i], "logsource."+k.scalar, "is no text")
				return records{}, false
			}
		case "definition":
			d.note(k, "logsource.definition", "is meant for people: see that the source logs what it asks for")
		default:
			d.refuse(k, "logsource."+cut(k.scalar), "is no attribute of Sigma's log sources")
			return records{}, false
		}
	}
	r, why := recordsOf(part["product"], part["category"], part["service"])
	if why != "" {
		d.refuse(n, "logsource", why)
		return records{}, false
	}
	return r, true
}

// recordsOf is the table of log sources; why says why there is no counterpart.
func recordsOf(product, category, service string) (r records, why string) {
	switch {
	case category == "webserver" || product == "apache" || product == "nginx":
		return webRecords(product, category, service)
	case product == "linux":
		return linuxRecords(category, service)
	case product == "okta" && category == "" && (service == "" || service == "okta"):
		return one("okta.system", oktaFields), ""
	case product == "auth0" && category == "" && service == "":
		return one("auth0.log", auth0Fields), ""
	case product == "keycloak" && category == "" && service == "":
		return one("keycloak.event", keycloakFields), ""
	case product == "" && service == "" && category == "proxy":
		r := one("proxy.access", webFields)
		r.keywords, r.by = append(r.keywords, "url.original"), ""
		return r, ""
	case product == "" && service == "" && category == "authentication":
		return records{when: atomOf(`event.category == "authentication"`), fields: commonFields, keywords: []string{"message"}, by: perUser}, ""
	case product == "gatebook" && category == "":
		if service == "" {
			return records{when: atomOf("true"), fields: commonFields, keywords: []string{"message"}, by: perUser}, ""
		}
		return one(strings.TrimPrefix(service, "gatebook."), commonFields), ""
	}
	return r, fmt.Sprintf("Gatebook has no records of %s", sourceText(product, category, service))
}

func one(dataset string, fields *fieldTable) records {
	return records{when: datasetIs(dataset), fields: fields, keywords: []string{"message"}, by: perUser}
}

func datasetIs(list ...string) clause {
	if len(list) == 1 {
		return atomOf("event.dataset == ", quoted(list[0]))
	}
	return atomOf("in(event.dataset, ", quotedList(list), ")")
}

func webRecords(product, category, service string) (r records, why string) {
	r = records{fields: webFields, keywords: []string{"message", "user_agent.original", "http.request.referrer"}}
	kind := "access"
	if service == "error" || service == "access" {
		kind = service
	} else if service != "" && service != product {
		return r, fmt.Sprintf("Gatebook has no records of %s", sourceText(product, category, service))
	}
	if kind == "error" {
		r.keywords = []string{"message"}
	}
	switch product {
	case "apache", "nginx":
		r.when = datasetIs(product + "." + kind)
	case "":
		r.when = datasetIs("apache."+kind, "nginx."+kind)
	default:
		return r, fmt.Sprintf("Gatebook has no records of %s", sourceText(product, category, service))
	}
	return r, ""
}

// linuxPrograms are the services of product linux that are told apart by the program that logged.
var linuxPrograms = map[string][]string{
	"sshd":   {"sshd", "sshd-session", "sshd-auth"},
	"sudo":   {"sudo"},
	"su":     {"su"},
	"cron":   {"cron", "crond", "CRON"},
	"pkexec": {"pkexec"},
	"doas":   {"doas"},
	"login":  {"login"},
	"vsftpd": {"vsftpd"},
}

func linuxRecords(category, service string) (r records, why string) {
	if category != "" {
		return r, fmt.Sprintf("Gatebook sees no %s of the kernel or of an agent on the host, only what programs log about access", category)
	}
	r = one("linux.auth", linuxFields)
	programs, ok := linuxPrograms[service]
	switch {
	case service == "auth":
	case service == "auditd":
		r.when, r.fields = datasetIs("linux.audit"), auditFields
	case service == "syslog" || service == "":
		r.when = datasetIs("linux.auth", "syslog")
	case !ok:
		return r, fmt.Sprintf("Gatebook has no records of %s", sourceText("linux", "", service))
	case service == "vsftpd":
		r.when = join(anyOf, join(allOf, r.when, programIs(programs)), datasetIs("ftp.auth"))
	default:
		r.when = join(allOf, r.when, programIs(programs))
		if service != "sshd" && service != "vsftpd" {
			r.fields = sudoFields
		}
	}
	return r, ""
}

func programIs(list []string) clause {
	if len(list) == 1 {
		return atomOf("process.name == ", quoted(list[0]))
	}
	return atomOf("in(process.name, ", quotedList(list), ")")
}

func sourceText(product, category, service string) string {
	var parts []string
	for _, p := range [][2]string{{"product", product}, {"category", category}, {"service", service}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+cut(p[1]))
		}
	}
	if len(parts) == 0 {
		return "a log source without a name"
	}
	return strings.Join(parts, ", ")
}
