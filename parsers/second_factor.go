package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// factorNames are the parts of names by which sources call a second factor, and what it is called in gatebook.mfa.method. The first
// that is in a name counts. What is folded has no separators: "Security Key", "SECURITY_KEY" and "securityKey" are one.
var factorNames = []struct{ part, method string }{
	{"push", "push"}, // before the application that it is sent to
	{"totp", "totp"},
	{"authenticator", "totp"},
	{"googleauth", "totp"},
	{"googleotp", "totp"},
	{"softwaretoken", "totp"},
	{"webauthn", "webauthn"},
	{"passkey", "webauthn"},
	{"fido", "webauthn"},
	{"u2f", "webauthn"},
	{"securitykey", "webauthn"},
	{"sms", "sms"},
	{"textmessage", "sms"},
	{"email", "email"},
	{"voice", "voice"},
	{"phonecall", "voice"},
	{"callfactor", "voice"},
	{"recovery", "recovery"},
	{"backupcode", "recovery"},
}

// factorIn finds a second factor in a text that names other things as well, such as the type of an event; "" where it names none.
func factorIn(text string) string {
	var buf [96]byte
	folded := string(foldName(buf[:0], text))
	for i := range factorNames {
		if strings.Contains(folded, factorNames[i].part) {
			return factorNames[i].method
		}
	}
	return ""
}

// setFactor sets gatebook.mfa.method from the source's name of a second factor: totp, webauthn, push, sms, email, voice, recovery, else
// the name in lower case. A name that is not the same word stays as a label.
func setFactor(ev *event.Event, key, name string) {
	if name == "" {
		return
	}
	method := factorIn(name)
	switch {
	case method != "":
	case strings.EqualFold(name, "otp"):
		method = "totp"
	case strings.EqualFold(name, "call"), strings.EqualFold(name, "phone"):
		method = "voice"
	case strings.EqualFold(name, "mail"):
		method = "email"
	default:
		method = strings.ToLower(name)
	}
	ev.MFA.Method = method
	if !strings.EqualFold(method, name) {
		labelCell(ev, key, name)
	}
}

// managesFactor says that an action is about the second factors that a user has. None is in play then: gatebook.mfa.used stays absent.
func managesFactor(a event.Action) bool {
	switch a {
	case event.MFAEnroll, event.MFAEnable, event.MFADisable, event.MFAReset, event.MFAChange:
		return true
	}
	return false
}

// protocolNames are the names of protocols as gatebook.session.protocol has them.
var protocolNames = newNames(map[uint8]string{1: "oidc openidconnect openidconnect10", 2: "saml saml2 saml20 samlv2 samlv20", 3: "ssh ssh2"})

// protocolName spells a protocol as all sources do: OIDC, SAML, ssh; one that is none of these stays as the source says it.
func protocolName(text string) string {
	switch protocolNames.find(text) {
	case 1:
		return "OIDC"
	case 2:
		return "SAML"
	case 3:
		return "ssh"
	}
	return text
}
