package sigma_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/sigma"
)

// fired imports rules, runs them over lines that real parsers read, and returns "rule key" of each alert.
func fired(t *testing.T, yaml, parser, lines string) []string {
	t.Helper()
	r, err := sigma.Import("rules.yml", []byte(yaml), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rules) == 0 {
		t.Fatalf("nothing was imported: %v", r.Reports)
	}
	var alerts []string
	e, err := engine.New(engine.Options{Rules: loads(t, r), Alert: func(a *engine.Alert) {
		if a.State == engine.StateClose && !a.Merged {
			alerts = append(alerts, strings.TrimPrefix(a.Rule.ID, "sigma.")+" "+strings.Join(a.Key, ","))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := parsers.Build(nil, parsers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get(parser)
	if err != nil {
		t.Fatal(err)
	}
	users := enrich.NewUserKey(nil)
	received := event.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	for n, text := range strings.Split(strings.TrimSpace(lines), "\n") {
		ev := &event.Event{}
		if err := p.Parse(parsers.Line{Text: strings.TrimSpace(text), Received: received, Source: "test"}, ev); err != nil {
			t.Fatalf("parse %q: %v", text, err)
		}
		users.Enrich(ev)
		ev.Finish()
		e.Add(ev, fmt.Sprintf("%032x-%d", 1, n))
	}
	e.Finish(0)
	slices.Sort(alerts)
	return alerts
}

// head begins a rule; logsource and detection follow.
func head(title string) string { return "title: " + title + "\nstatus: stable\nlevel: high\n" }

func TestImportedRulesFire(t *testing.T) {
	f := func(name, yaml, parser, lines string, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			if got := fired(t, yaml, parser, lines); !slices.Equal(got, want) {
				t.Errorf("fired %q, want %q", got, want)
			}
		})
	}
	f("sshd", head("Root")+`
logsource: {product: linux, service: sshd}
detection:
  selection: {user: ROOT, message|contains: 'accepted PASSWORD'}
  filter: {src_ip|cidr: 192.0.2.0/24}
  condition: selection and not filter`, "linux_auth", `
2026-11-20T10:00:00Z web01 sshd[7]: Accepted password for root from 203.0.113.9 port 4711 ssh2
2026-11-20T10:00:01Z web02 sshd[7]: Accepted password for root from 192.0.2.7 port 4711 ssh2
2026-11-20T10:00:02Z web03 sshd[7]: Accepted publickey for root from 203.0.113.9 port 4711 ssh2: RSA SHA256:x
2026-11-20T10:00:03Z web04 sshd[7]: Accepted password for bob from 203.0.113.9 port 4711 ssh2
2026-11-20T10:00:04Z web05 su[7]: Accepted password for root from 203.0.113.9 port 4711 ssh2`,
		"root web01/root")
	f("sudo", head("Sudo")+`
logsource: {product: linux, service: sudo}
detection:
  selection: {USER: root, CommandLine|re: '/(ba|z)?sh$'}
  condition: selection`, "linux_auth", `
2026-11-20T10:00:00Z web01 sudo:      bob : TTY=pts/1 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/bash
2026-11-20T10:00:01Z web01 sudo:      eve : TTY=pts/1 ; PWD=/home/eve ; USER=www-data ; COMMAND=/bin/bash
2026-11-20T10:00:02Z web01 sudo:     root : TTY=pts/1 ; PWD=/root ; USER=root ; COMMAND=/bin/ls`,
		"sudo web01/bob")
	f("auditd", head("Audit")+`
logsource: {product: linux, service: auditd}
detection:
  selection: {type: USER_LOGIN, exe|endswith: /sshd}
  condition: selection`, "daemons", `
type=USER_LOGIN msg=audit(1795345201.415:77): pid=7 uid=0 auid=1000 ses=3 msg='op=login acct="bob" exe="/usr/sbin/sshd" hostname=203.0.113.9 addr=203.0.113.9 terminal=ssh res=success'
type=USER_LOGIN msg=audit(1795345202.415:78): pid=7 uid=0 auid=1000 ses=3 msg='op=login acct="eve" exe="/usr/bin/login" hostname=? addr=? terminal=tty1 res=success'
type=SYSCALL msg=audit(1795345203.415:79): arch=c000003e syscall=59 success=yes exit=0 pid=9 uid=0 exe="/usr/sbin/sshd"`,
		"audit bob")
	f("web", head("Web")+`
logsource: {category: webserver}
detection:
  path: {cs-method: POST, cs-uri-stem|endswith: /login.php, sc-status: [200, 302]}
  attack: {cs-uri-query|contains: ['union select', 'union+select']}
  words: ['${jndi:']
  condition: path or 1 of attack* or words`, "nginx", `
203.0.113.1 - - [20/Nov/2026:10:00:00 +0000] "POST /a/Login.php HTTP/1.1" 302 5 "-" "x"
203.0.113.2 - - [20/Nov/2026:12:00:00 +0000] "GET /a?q=UNION+SELECT HTTP/1.1" 404 5 "-" "x"
203.0.113.3 - - [20/Nov/2026:14:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "${jndi:ldap://x}"
203.0.113.4 - - [20/Nov/2026:16:00:00 +0000] "GET /a/Login.php HTTP/1.1" 200 5 "-" "x"
203.0.113.5 - - [20/Nov/2026:18:00:00 +0000] "POST /a/Login.php HTTP/1.1" 401 5 "-" "x"`,
		"web ", "web ", "web ")
	f("okta", head("Okta")+`
logsource: {product: okta, service: okta}
detection:
  selection: {eventtype: user.session.start, outcome.result: FAILURE, actor.alternateid|startswith: 'Alice@'}
  proxy: {securityContext.isProxy: true}
  condition: selection and proxy`, "okta", `
{"eventType":"user.session.start","published":"2026-11-20T10:00:00.000Z","actor":{"id":"1","type":"User","alternateId":"alice@example.com"},"outcome":{"result":"FAILURE"},"securityContext":{"isProxy":true}}
{"eventType":"user.session.start","published":"2026-11-20T10:00:01.000Z","actor":{"id":"2","type":"User","alternateId":"alice@example.org"},"outcome":{"result":"FAILURE"},"securityContext":{"isProxy":false}}
{"eventType":"user.session.start","published":"2026-11-20T10:00:02.000Z","actor":{"id":"3","type":"User","alternateId":"alice@example.net"},"outcome":{"result":"SUCCESS"},"securityContext":{"isProxy":true}}
{"eventType":"user.session.end","published":"2026-11-20T10:00:03.000Z","actor":{"id":"4","type":"User","alternateId":"alice@example.edu"},"outcome":{"result":"FAILURE"},"securityContext":{"isProxy":true}}`,
		"okta example.com/alice")
	f("okta service without an address", head("Okta")+`
logsource: {product: okta}
detection: {selection: {actor.alternateId: Robot}, condition: selection}`, "okta", `
{"eventType":"user.session.start","published":"2026-11-20T10:00:00.000Z","actor":{"id":"1","type":"SystemPrincipal","alternateId":"robot"},"outcome":{"result":"SUCCESS"}}
{"eventType":"user.session.start","published":"2026-11-20T10:00:00.000Z","actor":{"id":"2","type":"User","alternateId":"robot@example.com"},"outcome":{"result":"SUCCESS"}}`,
		"okta robot")
	f("auth0", head("Auth0")+`
logsource: {product: auth0}
detection: {selection: {data.type: [fp, fu], data.ip: 203.0.113.9}, condition: selection}`, "auth0", `
{"log_id":"1","date":"2026-11-20T10:00:00.123Z","type":"fp","user_name":"alice@example.com","ip":"203.0.113.9"}
{"log_id":"2","date":"2026-11-20T10:00:01.123Z","type":"s","user_name":"bob@example.com","ip":"203.0.113.9"}
{"log_id":"3","date":"2026-11-20T10:00:02.123Z","type":"fp","user_name":"eve@example.com","ip":"203.0.113.8"}`,
		"auth0 alice@example.com")
	f("keycloak", head("Keycloak")+`
logsource: {product: keycloak}
detection: {selection: {type: LOGIN_ERROR, error: user_not_found, clientId: web}, condition: selection}`, "keycloak", `
{"time":1795168800123,"type":"LOGIN_ERROR","realmId":"5a1b","clientId":"web","ipAddress":"203.0.113.9","error":"user_not_found","details":{"username":"alice"}}
{"time":1795168801123,"type":"LOGIN_ERROR","realmId":"5a1b","clientId":"web","ipAddress":"203.0.113.9","error":"invalid_user_credentials","details":{"username":"bob"}}
{"time":1795168802123,"type":"LOGIN","realmId":"5a1b","clientId":"web","ipAddress":"203.0.113.9","details":{"username":"eve"}}`,
		"keycloak 5a1b/alice")
	f("keywords", head("Words")+`
logsource: {product: linux, service: auth}
detection: {keywords: ['maximum*exceeded', 'Possible Break-In'], condition: keywords}`, "linux_auth", `
2026-11-20T10:00:00Z web01 sshd[7]: error: maximum authentication attempts exceeded for bob from 203.0.113.9 port 4711 ssh2 [preauth]
2026-11-20T10:00:00Z web02 sshd[7]: reverse mapping checking getaddrinfo for h.example.com [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!
2026-11-20T10:00:00Z web03 sshd[7]: maximum was not reached`,
		"words web01/bob", "words web02")
}

const attempts = `
title: Failed
name: failed
logsource: {product: linux, service: sshd}
detection: {selection: {event.code: sshd.failed}, condition: selection}
---
title: Accepted
name: accepted
logsource: {product: linux, service: sshd}
detection: {selection: {event.code: sshd.accepted}, condition: selection}
---
`

func TestImportedCorrelationsFire(t *testing.T) {
	failed := func(minute int, user, ip string) string {
		return fmt.Sprintf("2026-11-20T10:%02d:00Z web01 sshd[7]: Failed password for %s from %s port 4711 ssh2\n", minute, user, ip)
	}
	accepted := func(minute int, user, ip string) string {
		return strings.Replace(failed(minute, user, ip), "Failed", "Accepted", 1)
	}
	const a, b = "203.0.113.1", "203.0.113.2"
	f := func(name, yaml, lines string, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			inTime := strings.Split(strings.TrimSpace(lines), "\n")
			slices.Sort(inTime) // they begin with their time
			if got := fired(t, attempts+head("X")+yaml, "linux_auth", strings.Join(inTime, "\n")); !slices.Equal(got, want) {
				t.Errorf("fired %q, want %q", got, want)
			}
		})
	}
	f("event_count", `
correlation: {type: event_count, rules: [failed], group-by: [src_ip], timespan: 5m, condition: {gte: 3}}`,
		failed(0, "x", a)+failed(0, "x", b)+failed(2, "y", a)+failed(3, "x", b)+accepted(4, "x", b)+failed(4, "z", a)+failed(6, "x", b), "accepted web01/x", "x "+a)
	f("value_count", `
correlation: {type: value_count, rules: failed, group-by: [src_ip], timespan: 10m, condition: {gt: 2, field: user}}`,
		failed(0, "x", a)+failed(0, "x", b)+failed(2, "y", a)+failed(3, "X", b)+failed(4, "z", a)+failed(6, "y", b), "x "+a)
	f("temporal", `
correlation: {type: temporal, rules: [failed, accepted], group-by: [user], timespan: 5m}`,
		accepted(0, "x", a)+failed(4, "x", b)+accepted(0, "y", a)+failed(6, "y", a)+failed(0, "z", a)+failed(1, "z", a), "x x")
	f("temporal_ordered", `
correlation: {type: temporal_ordered, rules: [failed, accepted], group-by: [user], timespan: 5m}`,
		accepted(0, "x", a)+failed(4, "x", b)+failed(0, "y", a)+accepted(3, "y", a)+failed(0, "z", a)+accepted(6, "z", a), "x y")
	f("aggregation of Sigma 1", `
logsource: {product: linux, service: sshd}
detection: {selection: {event.code: sshd.failed}, timeframe: 5m, condition: selection | count(user) by src_ip >= 2}`,
		failed(0, "x", a)+failed(0, "x", b)+failed(2, "y", a)+failed(3, "x", b), "failed web01/x", "failed web01/y", "x "+a)
}
