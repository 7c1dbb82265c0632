package parsers

import (
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// oktaLine is an event with all that the API gives.
const oktaLine = `{"actor":{"id":"00u1alice","type":"User","alternateId":"alice@example.com","displayName":"Alice Archer","detailEntry":null},` +
	`"client":{"userAgent":{"rawUserAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0","os":"Linux","browser":"FIREFOX"},"zone":"null","device":"Computer","id":null,"ipAddress":"203.0.113.9",` +
	`"geographicalContext":{"city":"Exampleton","state":"Kent","country":"United Kingdom","postalCode":"AB1","geolocation":{"lat":51.5,"lon":0.1}}},` +
	`"authenticationContext":{"authenticationProvider":"FACTOR_PROVIDER","credentialProvider":"OKTA_CREDENTIAL_PROVIDER","credentialType":null,"issuer":null,"interface":null,"authenticationStep":0,"externalSessionId":"102session"},` +
	`"displayMessage":"Authentication of user via MFA","eventType":"user.authentication.auth_via_mfa","outcome":{"result":"SUCCESS","reason":null},"published":"2026-11-20T10:00:00.123Z",` +
	`"securityContext":{"asNumber":64500,"asOrg":"example net","isp":"example isp","domain":"example.net","isProxy":false},"severity":"INFO",` +
	`"debugContext":{"debugData":{"requestId":"Yreq","factor":"OKTA_VERIFY_PUSH","requestUri":"/api/v1/authn","url":"/api/v1/authn?","threatSuspected":"false","deviceFingerprint":"aa11"}},` +
	`"legacyEventType":"core.user.factor.attempt_success","transaction":{"type":"WEB","id":"Y1tx","detail":{}},"uuid":"5f0a7c1e-0000-4000-8000-000000000001","version":"0",` +
	`"request":{"ipChain":[{"ip":"203.0.113.9","version":"V4","source":null,"geographicalContext":null}]},"target":[{"id":"00u1alice","type":"User","alternateId":"alice@example.com","displayName":"Alice Archer","detailEntry":null}]}`

func benchmarkLine(b *testing.B, name, line string) {
	b.Helper()
	set, _ := build(b, "")
	p, err := set.Get(name)
	if err != nil {
		b.Fatal(err)
	}
	var ev event.Event
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		ev.Reset()
		if err := p.Parse(Line{Text: line, Received: received}, &ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOkta(b *testing.B) { benchmarkLine(b, "okta", oktaLine) }

// The name of a user is unique to a realm: the domain of the login, the tenant, the realm of Keycloak.
func TestIdentityRealms(t *testing.T) {
	for _, c := range []struct{ parser, config, line, want string }{
		{"okta", "", oktaLine, "example.com"},
		{"okta", `tenant = "acme"`, strings.ReplaceAll(oktaLine, "alice@example.com", "alice"), "acme"},
		{"okta", `tenant = "acme"`, oktaLine, "example.com"},
		{"okta", "", strings.ReplaceAll(oktaLine, "alice@example.com", "alice"), ""},
		{"okta", "", `{"eventType":"user.lifecycle.create","published":"2026-11-20T10:00:00Z","actor":{"type":"User","alternateId":"a@example.com"},"target":[{"type":"User","alternateId":"b@example.org"}]}`, "example.org"},
		{"okta", "", `{"eventType":"user.session.clear","published":"2026-11-20T10:00:00Z","actor":{"type":"User","alternateId":"a@example.com"},"target":[{"type":"User","alternateId":"b@example.org"}]}`, "example.com"},
		{"auth0", "", auth0Line, "acme"},
		{"auth0", `tenant = "other"`, auth0Line, "acme"},
		{"auth0", `tenant = "other"`, strings.Replace(auth0Line, `"tenant_name":"acme",`, "", 1), "other"},
		{"auth0", "", strings.Replace(auth0Line, `"tenant_name":"acme"`, `"tenant_name":"acme","organization_id":"org_1","organization_name":"shop"`, 1), "acme"},
		{"auth0", "", strings.Replace(auth0Line, `"tenant_name":"acme"`, `"organization_id":"org_1","organization_name":"shop"`, 1), "shop"},
		{"auth0", "", strings.Replace(auth0Line, `"tenant_name":"acme",`, "", 1), ""},
		{"keycloak", "", keycloakLine, "shop"},
		{"keycloak", `tenant = "other"`, keycloakLine, "shop"},
		{"keycloak", `tenant = "other"`, `type="LOGIN", username="alice"`, "other"},
		{"keycloak", "", keycloakJSON, "5a1b"},
		{"keycloak", "", `type="IMPERSONATE", realmId="m", username="alice", impersonator="admin", impersonator_realm="master"`, "master"},
		{"keycloak", "", `{"time":1,"realmId":"r","authDetails":{"realmId":"master"},"operationType":"UPDATE","resourceType":"CLIENT","resourcePath":"clients/c1"}`, "master"},
		{"keycloak", "", `{"time":1,"realmId":"r","authDetails":{"realmId":"master"},"operationType":"UPDATE","resourceType":"USER","resourcePath":"users/u1"}`, "r"},
	} {
		set, ds := build(t, `parser "`+c.parser+`" "mine" { `+c.config+` }`)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		p, err := set.Get("mine")
		if err != nil {
			t.Fatal(err)
		}
		var ev event.Event
		if err := p.Parse(Line{Text: c.line, Received: received}, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Realm != c.want {
			t.Errorf("%s %s: realm %q, want %q", c.parser, c.line, ev.Realm, c.want)
		}
	}
}

// Long and hostile lines take time in proportion, whatever they are made of: those of 1 MiB are read in moments (64 KiB in
// milliseconds), where quadratic work would take minutes.
func TestIdentityHostile(t *testing.T) {
	const scale = 16 // times 64 KiB
	set, _ := build(t, "")
	for name, lines := range map[string][]string{
		"okta": {
			`{"eventType":"x","published":"2026-11-20T10:00:00Z","target":[` + strings.Repeat(`{"type":"A"},`, 5000*scale) + `{}]}`,
			`{"eventType":"x","published":"2026-11-20T10:00:00Z","request":{"ipChain":[` + strings.Repeat(`{"ip":"203.0.113.9"},`, 3000*scale) + `{}]}}`,
			`{"eventType":"x","published":"2026-11-20T10:00:00Z","a":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat(`}`, 9001),
			strings.Repeat(`{"message":`, 6000) + `1` + strings.Repeat(`}`, 6000),
		},
		"auth0": {
			`{"type":"sapi","date":"x","log_id":"1","scope":"` + strings.Repeat("a ", 30000*scale) + `"}`,
			`{"type":"sapi","date":"x","log_id":"1","details":{"request":{"method":"post","path":"` + strings.Repeat("/%41", 16000*scale) + `","body":{` + strings.Repeat(`"a":{},`, 9000*scale) + `"b":1}}}}`,
			`{"type":"s","date":"x","log_id":"1","details":{` + strings.Repeat(`"a":{"b":1},`, 5000*scale) + `"c":1}}`,
		},
		"keycloak": {
			"type=LOGIN" + strings.Repeat(`, a="b`, 10000*scale),
			"type=LOGIN" + strings.Repeat(`, a='b="`, 8000*scale),
			"type=LOGIN" + strings.Repeat(", ", 32000*scale),
			"type=LOGIN, x=" + strings.Repeat(", aaaaaaaaaaaaaaa", 4000*scale),
			"type=UPDATE_PROFILE" + strings.Repeat(", previous_a=1, updated_b=2", 2500*scale),
			`{"time":1,"realmId":"r","operationType":"CREATE","resourceType":"REALM_ROLE_MAPPING","resourcePath":"users/` + strings.Repeat("/a", 8000*scale) + `","representation":"[` + strings.Repeat(`{\"name\":\"a\"},`, 2500*scale) + `1]"}`,
		},
	} {
		p, err := set.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			var ev event.Event
			took := testkit.CPU(t, func() { _ = p.Parse(Line{Text: line, Received: received}, &ev) })
			if took > 2*time.Second { // 200 ms under the race detector
				t.Errorf("%s: %v for %d bytes of %.60s", name, took, len(line), line)
			}
			if len(ev.Labels) > maxLabels {
				t.Errorf("%s: %d labels of %.60s", name, len(ev.Labels), line)
			}
		}
	}
}

// auth0Line is a login as log streams give it.
const auth0Line = `{"log_id":"90020261120100000000000000000000000001","data":{"date":"2026-11-20T10:00:00.123Z","type":"s","connection":"Username-Password-Authentication","connection_id":"con_1",` +
	`"client_id":"AbCdEf","client_name":"Example App","ip":"203.0.113.9","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",` +
	`"details":{"prompts":[{"name":"login","flow":"universal-login","elapsedTime":10076}],"initiatedAt":1795168800000,"completedAt":1795168800100,"elapsedTime":100,"session_id":"sess1","stats":{"loginsCount":4}},` +
	`"hostname":"acme.eu.auth0.com","tenant_name":"acme","user_id":"auth0|61","user_name":"alice@example.com","strategy":"auth0","strategy_type":"database","log_id":"90020261120100000000000000000000000001"}}`

func BenchmarkAuth0(b *testing.B) { benchmarkLine(b, "auth0", auth0Line) }

// What the table of type codes promises: each has a name; what Auth0 calls failed is a failure; what is about an account has a user.target.
func TestAuth0Types(t *testing.T) {
	p, err := newAuth0("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ev event.Event
	for code, typ := range auth0Types {
		ev.Reset()
		line := `{"type":"` + code + `","date":"2026-11-20T10:00:00Z","log_id":"1","user_id":"auth0|61"}`
		if err := p.Parse(Line{Text: line, Received: received}, &ev); err != nil {
			t.Fatal(err)
		}
		if typ.name == "" || ev.Message != typ.name || ev.Code != code || ev.Outcome == "" {
			t.Errorf("%s: message %q, outcome %q", code, ev.Message, ev.Outcome)
		}
		says := strings.HasSuffix(code, "_failed") || strings.HasSuffix(code, "_failure") || strings.HasPrefix(typ.name, "Failed")
		if says != (ev.Outcome == event.Failure) && says {
			t.Errorf("%s: %s has outcome %s", code, typ.name, ev.Outcome)
		}
		if iam := ev.Action.Info().Category == "iam"; iam && ev.UserTarget == nil && typ.flags&(auth0API|auth0Service) == 0 {
			t.Errorf("%s: %s has no user.target", code, ev.Action)
		}
	}
}

// keycloakLine is an event in the server log.
const keycloakLine = `2026-11-20 10:00:00,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="5a1b", realmName="shop", clientId="web", userId="61f0", ipAddress="203.0.113.9", ` +
	`error="invalid_user_credentials", auth_method="openid-connect", auth_type="code", redirect_uri="https://www.example.com/cb", code_id="c0de", username="alice"`

const keycloakJSON = `{"time":1795168800123,"type":"LOGIN","realmId":"5a1b","clientId":"web","userId":"61f0","sessionId":"5e55","ipAddress":"203.0.113.9","error":null,"details":{"auth_method":"openid-connect","redirect_uri":"https://www.example.com/cb","code_id":"c0de","username":"alice"}}`

func BenchmarkKeycloak(b *testing.B) {
	b.Run("log", func(b *testing.B) { benchmarkLine(b, "keycloak", keycloakLine) })
	b.Run("json", func(b *testing.B) { benchmarkLine(b, "keycloak", keycloakJSON) })
}

// A message of syslog has the time of its header.
func TestKeycloakHeaderTime(t *testing.T) {
	p, err := newKeycloak("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := received - 1e9
	var ev event.Event
	if err := p.Parse(Line{Text: `type="LOGIN", realmId="m"`, Received: received, Header: &Header{Time: at}}, &ev); err != nil || ev.Time != at {
		t.Errorf("time %v, want %v: %v", ev.Time, at, err)
	}
	for _, tag := range ev.Tags {
		t.Errorf("tag %s", tag)
	}
}

// Each looks only at lines of its own kind: auto hands a line to the first that may know it.
func TestIdentityLooks(t *testing.T) {
	looks := map[string]func(string) bool{"okta": looksLikeOkta, "auth0": looksLikeAuth0, "keycloak": looksLikeKeycloak}
	for name, lines := range map[string][]string{
		"okta":     {oktaLine},
		"auth0":    {auth0Line},
		"keycloak": {keycloakLine, keycloakJSON, `type="LOGIN", realmId="m"`, `operationType=CREATE, realmId=m`, "2026-11-20 10:00:00,123 INFO  [org.keycloak.services] (main) started"},
		"": {"plain", `{"a":1}`, `{"type":"login","date":"2026-11-20","user":"bob"}`, "type=USER_LOGIN msg=audit(1768039200.123:45): pid=1", "2026-11-20 10:00:00,123 INFO  [com.example] (main) started",
			`{"eventType":"login","user":"bob","published":true}`, "Jan  2 10:00:00 host sshd[1]: Failed password for bob from 203.0.113.9 port 22 ssh2"},
	} {
		for _, line := range lines {
			for parser, f := range looks {
				if f(line) != (parser == name) {
					t.Errorf("%s looks at %.60s: %v", parser, line, f(line))
				}
			}
		}
	}
}

// What the tables of Keycloak and Okta promise: each type has an action, the _ERROR of a type is its failure, and what is about an
// account has a user.target.
func TestKeycloakTypes(t *testing.T) {
	p, err := newKeycloak("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ev event.Event
	for name, action := range keycloakTypes {
		for suffix, outcome := range map[string]event.Outcome{"": event.Success, "_ERROR": event.Failure} {
			ev.Reset()
			if err := p.Parse(Line{Text: "type=" + name + suffix + ", realmId=m, userId=1", Received: received}, &ev); err != nil {
				t.Fatal(err)
			}
			want := action
			if name+suffix == "IDENTITY_PROVIDER_LOGIN_ERROR" {
				want = event.Login
			}
			if ev.Action != want || ev.Action == event.ActionNone || ev.Outcome != outcome || ev.Code != name+suffix {
				t.Errorf("%s%s: action %s, outcome %s", name, suffix, ev.Action, ev.Outcome)
			}
			if ev.Action.Info().Category == "iam" && ev.UserTarget == nil {
				t.Errorf("%s: no user.target", name)
			}
		}
	}
}

func TestOktaTypes(t *testing.T) {
	if len(oktaTypes) < 150 {
		t.Errorf("%d types", len(oktaTypes))
	}
	logins := 0
	for name, typ := range oktaTypes {
		if typ.action == event.ActionNone || !strings.Contains(name, ".") {
			t.Errorf("%s: action %q", name, typ.action)
		}
		if typ.action == event.Login {
			logins++
		}
		if strings.Contains(name, ".mfa.") && typ.action != event.NotificationSend && !typ.mfa {
			t.Errorf("%s: no second factor", name)
		}
	}
	if logins != 3 {
		t.Errorf("%d types are logins: one attempt is one event", logins)
	}
}
