package parsers

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// vocabularies are the values of the fields that have the same ones whatever the source, so that one question finds them all.
var vocabularies = map[string]string{
	"gatebook.actor.type":          "admin partner staff customer service",
	"gatebook.mfa.method":          "totp webauthn push sms email voice recovery",
	"gatebook.session.protocol":    "OIDC SAML ssh imap pop3 smtp ftp mysql mongodb sip ami iax2 http dns openvpn gdm-password", // the last is a service of PAM
	"gatebook.session.status":      "active closing closed ended expired revoked",
	"gatebook.grant.status":        "active expired revoked",
	"gatebook.job.status":          "pending running success failed",
	"gatebook.notification.status": "pending sent failed bounced",
	"event.kind":                   "event",
	"event.outcome":                "success failure unknown",
}

// The generic parsers and trusted documents hold what a site's config or another Gatebook says; states that auth_service does not know
// stay as its rows have them.
func TestGoldenVocabularies(t *testing.T) {
	own := []string{"frozen", "paused", "deferred"}
	generic := []string{"json", "logfmt", "csv", "regex", "raw", "ecs"}
	met := map[string]bool{}
	for _, name := range types() {
		if slices.Contains(generic, name) {
			continue
		}
		paths, err := filepath.Glob(filepath.Join("testdata", name, "*.txtar"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no golden cases: %v", name, err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(testkit.File(txtar.Parse(src), "want")) {
				if line[0] != '{' {
					continue
				}
				doc := gjson.ParseBytes(line)
				for field, words := range vocabularies {
					v := doc.Get(field)
					if v.Exists() && !slices.Contains(strings.Fields(words), v.Str) && !slices.Contains(own, v.Str) {
						t.Errorf("%s: %s is %q, want one of: %s", path, field, v.Raw, words)
					}
					met[field] = met[field] || v.Exists()
				}
				for _, problem := range contradictions(doc) {
					t.Errorf("%s: %s: %s", path, problem, line)
				}
			}
		}
	}
	for field := range vocabularies {
		if !met[field] {
			t.Errorf("no golden case has %s", field)
		}
	}
}

// contradictions is what one field of a document says against another.
func contradictions(doc gjson.Result) (list []string) {
	action, outcome, types := doc.Get("event.action").Str, doc.Get("event.outcome").Str, doc.Get("event.type").String()
	managed := strings.HasPrefix(action, "mfa-") && action != "mfa-verify" && action != "mfa-challenge"
	parser := doc.Get("gatebook.parser").Str
	switch {
	case managed && doc.Get("gatebook.mfa.used").Bool():
		list = append(list, "managing a second factor is not using it")
	case (action == "mfa-verify" || action == "mfa-challenge") && parser != "activity_log" && !doc.Get("gatebook.mfa.used").Bool():
		list = append(list, "a second factor was asked for or given, and mfa.used is not true")
	case action == "account-lock" && outcome == "failure" && parser != "payment_portal": // its table says so of status 20
		list = append(list, "a lock that failed")
	case action == "job-run" && types != `["start"]` && types != `["end"]` && types != `["info"]`:
		list = append(list, "event.type of a job")
	case action == "job-run" && outcome == "failure" && types != `["end"]`:
		list = append(list, "a job that failed has ended")
	}
	if outcome == "" {
		list = append(list, "no outcome")
	}
	if mail := doc.Get("user.email").Str; mail != "" && (strings.IndexByte(mail, '@') <= 0 || doc.Get("user.name").Str == "") {
		list = append(list, "user.email is no address, or has no user.name beside it")
	}
	return list
}

// Sources call the same factor and the same protocol by many names.
func TestFactorsAndProtocols(t *testing.T) {
	for name, want := range map[string]string{"OKTA_VERIFY_PUSH": "push", "GOOGLE_OTP": "totp", "otp": "totp", "Authenticator App": "totp", "TOTP": "totp",
		"FIDO_WEBAUTHN": "webauthn", "webauthn-passwordless": "webauthn", "Security Key": "webauthn", "SMS_FACTOR": "sms", "text message": "sms",
		"EMAIL_FACTOR": "email", "CALL_FACTOR": "voice", "call": "voice", "recovery-authn-codes": "recovery", "Backup Codes": "recovery", "DUO": "duo"} {
		ev := &event.Event{}
		setFactor(ev, "factor", name)
		if ev.MFA.Method != want {
			t.Errorf("%s is called %q, want %q", name, ev.MFA.Method, want)
		}
		if kept := len(ev.Labels) == 1 && ev.Labels[0].Value == name; kept == strings.EqualFold(name, want) {
			t.Errorf("%s: labels %v", name, ev.Labels)
		}
	}
	for name, want := range map[string]string{"openid-connect": "OIDC", "OpenID Connect": "OIDC", "oidc": "OIDC", "saml": "SAML", "SAML 2.0": "SAML", "SSH": "ssh", "ldap": "ldap", "": ""} {
		if got := protocolName(name); got != want {
			t.Errorf("protocol %q is called %q, want %q", name, got, want)
		}
	}
}
