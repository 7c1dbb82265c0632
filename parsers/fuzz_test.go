package parsers

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// fuzzConfig has a block of each kind with every feature in use.
const fuzzConfig = auditConfig + `
parser "json" "wild" {
  time     = { field = "t", layouts = ["iso8601", "unix_any", "syslog", "clf", "rfc1123"] }
  fields   = {
    "user.name" = "a", "user.roles" = "b", "source.ip" = "c.d", "gatebook.old" = "o", "gatebook.changes" = "e.0", "event.start" = "s"
    "gatebook.status.code" = "st", "event.outcome" = "oc", "labels.x" = "x.y.z", "source.port" = "p", "source.geo.location" = "g"
  }
  codes    = { "gatebook.status.code" = { "1" = { name = "One", category = "web" } } }
  defaults = { "event.action" = "login", "user.roles" = "r" }
  labels   = ["a", "c", "e"]
  message  = "{a} {b} {c} {e.0}"
  realm    = "a"
}
parser "logfmt" "lf" {
  time   = { field = "t" }
  fields = { "user.name" = "a", "source.ip" = "b", "event.action" = "c", "user.roles" = "d" }
}
parser "csv" "cs" {
  columns = ["t", "a", "", "b"]
  time    = { field = "t", layouts = ["02/01/2006 15:04", "Jan _2 15:04:05 MST"] }
  fields  = { "user.name" = "a", "source.ip" = "b" }
}
parser "ecs" "documents" { parser = "audit" }
parser "ecs" "trusted" { trusted = true }
parser "nginx" "shop" {
  source = "last"
  extra  = ["forwarded_for", "request_time", "a-b"]
}
parser "regex" "re" {
  pattern = "^(?P<t>\\S+)(?: (?P<a>.*))?$"
  time    = { field = "t" }
  fields  = { "user.name" = "a" }
}
`

// fuzzParser holds what every parser promises: no panic; a document that is valid JSON; memory within bounds of the line's length; the same
// answer when asked again.
func fuzzParser(f *testing.F, names []string, seeds ...string) {
	set, ds := build(f, fuzzConfig)
	if len(ds) > 0 {
		f.Fatal(ds)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range names {
			p, err := set.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			var first string
			for range 2 {
				var ev event.Event
				if err := p.Parse(Line{Text: text, Received: received, Source: "s", Offset: 7}, &ev); err != nil {
					first += err.Error()
					continue
				}
				doc := enc.AppendDocument(nil, &ev)
				if !gjson.ValidBytes(doc) {
					t.Fatalf("%s: %q gives invalid JSON: %s", name, text, doc)
				}
				if !strings.HasPrefix(ev.Dataset, event.DatasetPrefix) || ev.Parser == "" && ev.Dataset != linuxAuthDataset && ev.Relayed != event.True {
					t.Fatalf("%s: %q: dataset %q, parser %q", name, text, ev.Dataset, ev.Parser)
				}
				if n := len(ev.Labels); n > maxLabels+1 {
					t.Fatalf("%s: %q: %d labels", name, text, n)
				}
				// A value stands in the document at most as often as it is asked for, escaped at worst six to one.
				if len(doc) > 4096+64*len(text) {
					t.Fatalf("%s: %d bytes of line give %d bytes", name, len(text), len(doc))
				}
				if first == "" {
					first = string(doc)
				} else if first != string(doc) && name != "payment_portal" && name != "auto" {
					t.Fatalf("%s: %q is read in two ways", name, text)
				}
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	fuzzParser(f, []string{"json", "audit", "wild"}, auditLines(1)[0], `{"a":[{"b":[1,null]}],"a.b":"\ud800","c":{"d":"::1"},"e":[{"x":1}],"o":{}}`,
		`{"t":1768039200,"a":["x"],"b":[["y"]],"st":"1","g":{"lat":1,"lon":2},"p":1e3}`, ` {} `, `{"":{"":""}}`)
}

func FuzzLogfmt(f *testing.F) {
	fuzzParser(f, []string{"logfmt", "lf"}, `t=2026-01-10 a="b \"c\"" d= e`, `=`, `a="`, `a=\`, "a=b,c;d=e")
}

func FuzzCSV(f *testing.F) {
	fuzzParser(f, []string{"cs"}, `10/01/2026 10:00,bob,x,::1`, `"a""b",,`, `"`, "t,a,,b", "Jan  2 10:00:00 UTC,a,b,c,d,e")
}

func FuzzRegex(f *testing.F) {
	fuzzParser(f, []string{"re"}, "2026-01-10T10:00:00Z bob", "", "x\xff y")
}

func FuzzPaymentPortal(f *testing.F) {
	fuzzParser(f, []string{"payment_portal", "auto"}, "2026-01-10 10:00:00,bob,1,5,203.0.113.9", "time,user,entry,status,ip", "user=bob entry=Membership login status=5",
		`{"user":"bob","entry":{"code":1},"status":"Active","time":1768039200}`, "a,b,c,d\n", "user=,entry=;status")
}

func FuzzECS(f *testing.F) {
	fuzzParser(f, []string{"ecs", "documents", "trusted"},
		`{"@timestamp":"2026-01-10T10:00:00Z","event":{"action":"login","category":["authentication"],"type":["start"]},"user.name":"bob","gatebook":{"alert":{"id":"x"}}}`,
		`{"@timestamp":1768039200123,"message":"Jan 10 10:00:00 gate sshd[7]: Accepted password for bob from 203.0.113.9 port 22 ssh2","host":{"name":"gate"},"agent":{"type":"filebeat"}}`,
		`{"log":"time=2026-01-10T10:00:00Z a=b","kubernetes":{"labels":{"a.b/c":"d"}},"tags":"x","labels":{"a":["b","c"]},"":{"":[]}}`,
		`{"event":{"dataset":"gatebook.alert","kind":["alert"],"type":[],"category":"x"},"source":{"ip":"x","geo":{"location":[1,2]}},"process":{"pid":1e2}}`,
		`{"message":"{\"message\":\"{}\"}","type":"LOGIN","gatebook.relayed":true}`,
		`{"event":{"action":"login","type":"[{","category":"["}}`)
}

func FuzzOkta(f *testing.F) {
	fuzzParser(f, []string{"okta", "auto"}, oktaLine, `{"eventType":"user.session.start","published":"2026-11-20T10:00:00Z","target":[{"type":"User"},{}],"client":[]}`,
		`{"data":{"events":[{"message":"{\\"eventType\\":\\"x\\",\\"published\\":1}"}]}}`, `{"eventType":"a","published":null,"request":{"ipChain":[{"ip":"::1"},1]},"debugContext":{"debugData":{"factor":{}}}}`)
}

func FuzzWeb(f *testing.F) {
	lines := append(append(accessLines(2), webErrorLines(true)...), webErrorLines(false)...)
	fuzzParser(f, []string{"nginx", "apache", "shop"}, append(lines,
		`"10.0.0.2, 203.0.113.9" 10.2.1.185 - - [22/Nov/2026:10:00:00 +0100] "\\x16\\x03" 400 1 2 "-" "-" "-" a=b c="d" [e] f, g`,
		`www.example.com:443 [2001:db8::1]:80 x "" [2026-11-22T10:00:00Z] "GET http://a@b:1/%41%zz?q#f HTTP/1.1" 000 -`,
		`192.0.2.1 - - [22/Nov/2026:10:00:00 +0100] "GET / HTTP/1.1" 200 1 "-" "-" 1 0.001 [a] [] b 1 0.1 200 c`,
		`[22/Nov/2026:10:00:00 +0100] 192.0.2.1 TLSv1.3 X "GET / HTTP/1.1" 1`, `gate nginx[7]: gate nginx: 2026/11/22 10:00:00 [info] x`,
		`2026/11/22 10:00:00 [error] 1#0: *3 user "t": password mismatch, client: 192.0.2.1, server: a, request: "GET / HTTP/1.1", host: "a", referrer: "x": password mismatch, client: 198.51.100.9, server: b`,
		`Nov 22 10:00:00 gate httpd[7]: [:error] [pid 7] (13)Permission denied: [client [::1]:5] [client ::1] ModSecurity: Access denied with code 403 [id "1"] [msg "x"], referer: y`)...)
}

func FuzzAuth0(f *testing.F) {
	fuzzParser(f, []string{"auth0", "auto"}, auth0Line, `{"log_id":"1","data":{"type":"s","date":"x","details":{"error":[],"request":{"auth":1}}}}`,
		`{"data":{"type":"sapi","date":1768039200,"details":{"request":{"method":"delete","path":"/api/v2/users/x/y"},"response":{"statusCode":"a"}}}}`)
}

func FuzzUserActivity(f *testing.F) {
	fuzzParser(f, []string{"user_activity", "auto"}, `{"event":"mfa","action":"verify","status":"failed","user":{"id":7,"email":"bob@example.com"},"details":{"ip":"203.0.113.9","old":{"a":1}},"roles":["admin"]}`,
		"timestamp=2026-01-10T10:00:00Z event=login.failed user=bob role=[x old={ ip=203.0.113.9 reason=Invalid password", "Date/Time,User,Event,Status,IP Address,Details",
		"2026-01-10 10:00:00,bob,Login Failed,Failure,203.0.113.9,Invalid password", `{"event":"","user":"\u0000"}`)
}

func FuzzKeycloak(f *testing.F) {
	fuzzParser(f, []string{"keycloak", "auto"}, keycloakLine, `type=LOGIN_ERROR, realmId=a, error=b, x='y\'`, `{"loggerName":"org.keycloak.events","message":"type=\"LOGIN\""}`,
		`{"time":1768039200000,"type":"LOGIN","realmId":"r","details":{"a":[1]}}`, "2026-11-22 10:00:00,123 WARN  [org.keycloak.events] (executor-thread-1) type=\"",
		`{"time":1,"operationType":"CREATE","resourceType":"USER","resourcePath":"users/","representation":"{\"a\":{}}","authDetails":{}}`)
}

func FuzzActivityLog(f *testing.F) {
	fuzzParser(f, []string{"activity_log", "auto"}, `{"id":1,"log_name":"cards","description":"updated","event":"updated","subject_type":"App\\Models\\Card","subject_id":3,"causer_type":"App\\Models\\Admin","causer_id":1,"properties":"{\"attributes\":{\"name\":\"Gold\"},\"old\":{\"name\":\"Red\"}}","created_at":"2026-01-10T10:00:00.000000Z"}`,
		`{"Description":"Login Failed","User":"bob","User Type":"Partner","Subject":"Card: Gold","Event Type":"Login Failed","Changes":{"a":{"old":1,"new":[2]}},"IP Address":"203.0.113.9"}`,
		`{"log_name":"auth","event":"login","properties":{"credentials":{"email":"a@example.com"},"attributes":[],"old":1},"causer":{"id":1},"subject":[]}`,
		"Timestamp,Description,User,User Type,Event Type,IP Address")
}

func FuzzTimes(f *testing.F) {
	f.Add("2026-01-10T10:00:00.123+02:00", "2006-01-02 15:04:05")
	f.Add("Feb 29 10:00:00", "syslog")
	f.Add("1768039200.5", "unix")
	f.Fuzz(func(t *testing.T, text, layout string) {
		l, problem := newTimeLayout(layout)
		if problem != "" {
			return
		}
		r := newTimeReader([]timeLayout{l}, Options{})
		if at, ok := r.read(text, received); ok && at.Std().Year() > 2300 {
			t.Fatalf("%q by %q: %v", text, layout, at)
		}
	})
}

func FuzzDaemons(f *testing.F) {
	fuzzParser(f, []string{"daemons", "linux_auth"}, daemonSeeds...)
}
