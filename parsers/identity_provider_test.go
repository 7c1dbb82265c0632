package parsers

import (
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
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

// Long and hostile lines take time in proportion, whatever they are made of.
func TestIdentityHostile(t *testing.T) {
	set, _ := build(t, "")
	for name, lines := range map[string][]string{
		"okta": {
			`{"eventType":"x","published":"2026-11-20T10:00:00Z","target":[` + strings.Repeat(`{"type":"A"},`, 5000) + `{}]}`,
			`{"eventType":"x","published":"2026-11-20T10:00:00Z","request":{"ipChain":[` + strings.Repeat(`{"ip":"203.0.113.9"},`, 3000) + `{}]}}`,
			`{"eventType":"x","published":"2026-11-20T10:00:00Z","a":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat(`}`, 9001),
			strings.Repeat(`{"message":`, 6000) + `1` + strings.Repeat(`}`, 6000),
		},
	} {
		p, err := set.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			var ev event.Event
			_ = p.Parse(Line{Text: line, Received: received}, &ev)
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
