package parsers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
)

func newTestAuthService(t testing.TB) Parser {
	t.Helper()
	p, err := newAuthService("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What an Action does, whatever its words and however they are joined.
func TestAuthServiceActions(t *testing.T) {
	f := func(text string, want event.Action, object string) {
		t.Helper()
		verb, _, got := splitAction(text)
		if a := svcActionOf(verb, kindOfObject(got), got); a != want || got != object {
			t.Errorf("%q: %v of %q, want %v of %q", text, a, got, want, object)
		}
	}
	f("update IdentityProvider", event.Update, "IdentityProvider")
	f("UPDATE_IDENTITY_PROVIDER", event.Update, "IDENTITY_PROVIDER")
	f("updateIdentityProvider", event.Update, "IdentityProvider")
	f("IdentityProvider.updated", event.Update, "IdentityProvider")
	f("user:delete", event.UserDelete, "user")
	f("Created user account", event.UserCreate, "user account")
	f("invite User", event.UserCreate, "User")
	f("suspend User", event.AccountDisable, "User")
	f("reset user password", event.PasswordReset, "user password")
	f("request Password Reset", event.PasswordResetRequest, "Password Reset")
	f("update Password Policy", event.ConfigChange, "Password Policy")
	f("update MFA settings", event.ConfigChange, "MFA settings")
	f("create CustomRole", event.Create, "CustomRole")
	f("create RoleAssignment", event.RoleGrant, "RoleAssignment")
	f("delete RoleAssignment", event.RoleRevoke, "RoleAssignment")
	f("unassign Permission", event.RoleRevoke, "Permission")
	f("assign Group", event.GroupMemberAdd, "Group")
	f("remove user from group", event.GroupMemberRemove, "user from group")
	f("update group membership", event.GroupUpdate, "group membership")
	f("terminate UserSession", event.SessionRevoke, "UserSession")
	f("revoke Grant", event.GrantRevoke, "Grant")
	f("grant.revoked", event.GrantRevoke, "grant")
	f("revoke client consent", event.GrantRevoke, "client consent")
	f("revoke ClientSecret", event.Disable, "ClientSecret")
	f("regenerate client secret", event.Update, "client secret")
	f("impersonate User", event.PrivilegeUse, "User")
	f("import Users", event.UserCreate, "Users")
	f("export audit logs", event.Export, "audit logs")
	f("delete", event.Delete, "")
	f("dance", event.ActionNone, "")
	f("", event.ActionNone, "")
	f("update "+strings.Repeat("x", 500), event.Update, strings.Repeat("x", 500))
}

func TestAuthServicePastTense(t *testing.T) {
	f := func(word, want string) {
		t.Helper()
		if got := string(appendPast([]byte("he "), word)); got != "he "+want {
			t.Errorf("%s: %q", word, got)
		}
	}
	for word := range svcVerbs {
		got := string(appendPast(nil, word))
		if !strings.HasSuffix(got, "ed") && got != "reset" && got != "set" && got != "sent" && got != "resent" && got != "given" &&
			got != "withdrawn" && got != "new" && got != "set up" {
			t.Errorf("%s: %q", word, got)
		}
	}
	f("UPDATE", "updated")
	f("Modify", "modified")
	f("destroy", "destroyed")
	f("creates", "created")
	f("send", "sent")
	f("s", "")
}

// The message never shows a part of a value, which the redactor would not know again, nor the value of what may be a secret.
func TestAuthServiceMessageHidesSecrets(t *testing.T) {
	p := newTestAuthService(t)
	long := strings.Repeat("hunter", 20)
	for _, change := range []string{`"note":"` + long + `"`, `"clientSecret":"hunter1"`, `"api.key":"hunter1"`, `"smtp":{"password":"hunter1"}`,
		`"list":[{"a":"` + long + `"}]`, `"o":{"p":[{"password":"hunter1"}]}`} {
		var ev event.Event
		line := `{"action":"update Client","actor":"jane","target":"x","oldEntity":{"a":1},"newEntity":{"a":1,` + change + `}}`
		if err := p.Parse(Line{Text: line, Received: received}, &ev); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(ev.Message, "hunter") || !strings.Contains(ev.Message, "changed") {
			t.Errorf("%s: %s", change, ev.Message)
		}
	}
}

// Lines made to cost much take time and room in proportion to their length.
func TestAuthServiceHostile(t *testing.T) {
	p := newTestAuthService(t)
	pad := func(s string) string { return strings.Repeat(s, 64<<10/len(s)) }
	wide := func(f string) string {
		b := []byte{'{'}
		for i := range 4000 {
			b = fmt.Appendf(b, `"k%d":`+f+`,`, i)
		}
		return string(append(b, `"z":0}`...))
	}
	audit := func(old, new string) string {
		return `{"action":"update User","actor":"jane","target":"bob","oldEntity":` + old + `,"newEntity":` + new + `}`
	}
	for name, text := range map[string]string{
		"deep":       audit(strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000), strings.Repeat("[", 5000)+strings.Repeat("]", 5000)),
		"wide":       audit(wide("1"), wide("2")),
		"roles":      audit(`{"roles":[`+pad(`"r",`)+`"r"]}`, `{"roles":"`+pad("r,")+`"}`),
		"same keys":  audit(`{`+pad(`"a":1,`)+`"b":2}`, `{`+pad(`"a":2,`)+`"b":2}`),
		"escapes":    audit(`{"a":"`+pad(`\u0061`)+`"}`, `{"a":"`+pad(`\"`)+`"}`),
		"members":    `{"eventType":"login",` + pad(`"email":"x",`) + `"ip":"y"}`,
		"details":    `{"eventType":"login","details":"{` + pad(`\"a\":{\"b\":1},`) + `\"c\":1}"}`,
		"addresses":  `{"recipient":"` + pad("a@b,") + `","subject":"s"}`,
		"action":     `{"action":"` + pad("aB ") + `","actor":"` + pad("j@") + `"}`,
		"event type": `{"eventType":"` + pad("login") + `"}`,
	} {
		var ev event.Event
		if err := p.Parse(Line{Text: text, Received: received}, &ev); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(ev.Labels); n > maxLabels {
			t.Errorf("%s: %d labels", name, n)
		}
		if n := len(ev.Changes); n > maxChangeBytes+3*maxChangeValue {
			t.Errorf("%s: %d bytes of changes", name, n)
		}
	}
}

func authServiceLines(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":%d,"action":"update IdentityProvider","target":"Google IdP","actor":"user%d@example.com","subject":"tenant","clientActor":"Admin Console",`+
			`"timestamp":"2026-11-22T10:%02d:%02d.123Z","oldEntity":{"id":7,"name":"Google IdP","enabled":true,"settings":{"issuer":"https://accounts.example.com","scopes":["openid","email"]}},`+
			`"newEntity":{"id":7,"name":"Google IdP","enabled":false,"settings":{"issuer":"https://accounts.example.com","scopes":["openid","email","profile"]}},`+
			`"diff":{"enabled":{"_old":true,"_new":false},"settings":{"scopes":{"_old":["openid","email"],"_new":["openid","email","profile"]}}},"comments":"ticket %d"}`,
			i, i%500, i/60%60, i%60, i)
	}
	return lines
}

func BenchmarkAuthServiceAudit(b *testing.B) {
	benchmarkParser(b, "", "auth_service", authServiceLines(1000))
}

func BenchmarkAuthServiceEvent(b *testing.B) {
	lines := make([]string, 1000)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"eventType":"login_failed","clientName":"Portal","providerName":"Local","createdOn":"2026-11-22T10:%02d:%02dZ","email":"user%d@example.com",`+
			`"username":"user%d","ipAddress":"203.0.113.%d","userAgent":"Mozilla/5.0 (X11; Linux x86_64)","details":{"error":"Invalid credentials","attempt":%d}}`,
			i/60%60, i%60, i%500, i%500, i%256, i%5)
	}
	benchmarkParser(b, "", "auth_service", lines)
}

// A line is taken for the auth service's only by the keys of a whole row.
func TestLooksLikeAuthService(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := looksLikeAuthService(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	f(authServiceLines(1)[0], true)
	f(`{"Event Type":"login","Client Name":"Portal","Created On":"x","Email":"bob@example.com"}`, true)
	f(`{"jobId":1,"jobName":"trim","latestStatus":"running"}`, true)
	f(`{"Subject":"Hello","Recipient":"bob@example.com","Status":"sent"}`, true)
	f(`{"sessionId":"s","protocol":"SAML","userId":1,"status":"active"}`, true)
	f(`{"grant_id":"g","email":"x","client":{"name":"Portal","a":[1]},"status":"active"}`, true)
	f(`{"type":"audit_log","data":{"action":"update User","actor":"a","target":"b","diff":{}}}`, true)
	f(`{"data":{"action":"update User","actor":"a","target":"b","diff":{}}}`, false)
	f(`{"action":"update","user":"bob","target":"x"}`, false)
	f(`{"eventType":"user.session.start","published":"x","actor":{"email":"x"},"client":{"ip":"x"}}`, false)
	f(`{"event_type":"login","email":"x","created_at":"x","ip_address":"x"}`, false)
	f(`{"log_name":"members","description":"updated","subject_type":"Member","subject_id":1,"causer_id":2}`, false)
	f(`{"nested":{"sessionId":"s","protocol":"SAML","userId":1,"status":"active"}}`, false)
	f(`{"values":"sessionId protocol userId status","list":["sessionId","protocol","userId","status"]}`, false)
	f(`{"sessionId":"s","protocol":"SAML`, false)
	f(`{"\`, false)
	f(`{`, false)
	f(`login`, false)
}

func FuzzAuthService(f *testing.F) {
	fuzzParser(f, []string{"auth_service", "auto"}, append(authServiceLines(1),
		`{"Event Type":"login_failed","Client Name":{"id":1,"name":[]},"Created On":"2026-01-10","Email":"a@b","Details":"{\"error\":{\"message\":1}}"}`,
		`{"type":"audit_log","tenant":{"id":1},"data":{"action":"update UserRoles","actor":{"roles":"a,b"},"target":"a@b","oldEntity":"{\"roles\":[{}]}","newEntity":{"roles":["x",1]},"diff":[["+",1]]}}`,
		`{"jobId":1,"jobName":"a","latestStatus":"failed","stacktrace":["x"],"createdAt":1,"updatedAt":2e9,"details":"x"}`,
		`{"recipient":["a@b",null,{"email":"c@d"}],"cc":"A <a@b>;","subject":"s","status":"bounced","error":true}`,
		`{"sessionId":"s","protocol":"SAML","userId":1,"status":"revoked","claims":{"sub":"\ud800","name":7},"scopes":"a b","grant":{"id":{}}}`,
		`{"grantId":"g","email":"x","client":1,"status":"active","a":{"a":1,"a":[{}]},"action":"\\"}`)...)
}
