package main

import (
	"fmt"
	"time"
)

// customers of the identity providers.
var customers = []struct{ name, ip, agent string }{
	{"olga", "192.0.2.90", agents[0]}, {"pablo", "192.0.2.190", agents[2]}, {"quinn", "198.51.100.30", agents[1]}, {"rosa", "198.51.100.160", agents[0]},
}

// keycloak is the server log of a Keycloak with its events in it.
func keycloak() (out []line) {
	say := func(at time.Time, failed bool, text string) {
		level := "DEBUG"
		if failed {
			level = "WARN "
		}
		out = append(out, line{at, fmt.Sprintf("%s,%03d %s [org.keycloak.events] (executor-thread-%d) %s", at.Format(time.DateTime), random.IntN(1000), level, 1+random.IntN(30), text)})
	}
	login := func(at time.Time, name, ip string, wrong string) {
		session, user := id(), fmt.Sprintf("5f0c0000-0000-4000-8000-%012x", len(name)*7919+int(name[0]))
		common := fmt.Sprintf(`realmId="example", realmName="example", clientId="portal", userId="%s"`, user)
		if wrong != "" {
			say(at, true, fmt.Sprintf(`type="LOGIN_ERROR", %s, ipAddress="%s", error="%s", auth_method="openid-connect", auth_type="code", redirect_uri="https://portal.example.com/", code_id="%s", username="%s"`, common, ip, wrong, id(), name))
			return
		}
		say(at, false, fmt.Sprintf(`type="LOGIN", %s, sessionId="%s", ipAddress="%s", auth_method="openid-connect", auth_type="code", redirect_uri="https://portal.example.com/", consent="no_consent_required", code_id="%s", username="%s"`, common, session, ip, session, name))
		say(at.Add(time.Second), false, fmt.Sprintf(`type="CODE_TO_TOKEN", %s, sessionId="%s", ipAddress="%s", grant_type="authorization_code", refresh_token_type="Refresh", scope="openid profile email", client_auth_method="client-secret"`, common, session, ip))
		say(at.Add(time.Duration(20+random.IntN(300))*time.Minute), false, fmt.Sprintf(`type="LOGOUT", %s, sessionId="%s", ipAddress="%s", redirect_uri="https://portal.example.com/"`, common, session, ip))
	}
	for day := range days {
		for _, c := range customers {
			at := within(day, 7, 20)
			if random.IntN(4) == 0 {
				login(at.Add(-30*time.Second), c.name, c.ip, "invalid_user_credentials")
			}
			login(at, c.name, c.ip, "")
		}
	}
	at := first.AddDate(0, 0, 7).Add(4 * time.Hour)
	for i := range 30 {
		login(at.Add(time.Duration(i*6)*time.Second), pick("root", "admin", "olga", "pablo", "test", "quinn"), "203.0.113.99", pick("invalid_user_credentials", "user_not_found"))
	}
	say(at.Add(4*time.Minute), true, `type="USER_DISABLED_BY_TEMPORARY_LOCKOUT", realmId="example", realmName="example", clientId="portal", userId="5f0c0000-0000-4000-8000-000000000001", ipAddress="203.0.113.99", username="olga"`)
	say(first.AddDate(0, 0, 8).Add(9*time.Hour), false, `type="UPDATE_TOTP", realmId="example", realmName="example", clientId="account-console", userId="5f0c0000-0000-4000-8000-000000000001", ipAddress="192.0.2.90", username="olga"`)
	out = append(out, line{first.AddDate(0, 0, 8).Add(11 * time.Hour), first.AddDate(0, 0, 8).Add(11*time.Hour).Format(time.DateTime) +
		`,120 DEBUG [org.keycloak.events] (executor-thread-4) operationType="CREATE", realmId="example", realmName="example", clientId="security-admin-console", userId="5f0c0000-0000-4000-8000-000000000099", ipAddress="192.0.2.80", resourceType="USER", resourcePath="users/5f0c0000-0000-4000-8000-0000000000aa"`})
	return out
}

// auth0 is the log of an Auth0 tenant, as its log streams write it.
func auth0() (out []line) {
	n := 0
	row := func(at time.Time, kind, description, name, ip, agent string, details any) {
		n++
		out = append(out, line{at, string(object("log_id", fmt.Sprintf("9002026%013d", n), "data", object("date", at.Format("2006-01-02T15:04:05.000Z"), "type", kind, "description", description,
			"connection", "Username-Password-Authentication", "connection_id", "con_Example00000001", "client_id", "aI61p8I8aFjmYRliLWgvM9ev97kCCNDB", "client_name", "Storefront",
			"ip", ip, "user_agent", agent, "details", details, "hostname", "example.eu.auth0.com", "user_id", fmt.Sprintf("auth0|%024x", len(name)*104729), "user_name", name+"@example.com",
			"strategy", "auth0", "strategy_type", "database", "log_id", fmt.Sprintf("9002026%013d", n), "tenant_name", "example")))})
	}
	for day := range days {
		for _, c := range customers {
			at := within(day, 7, 21)
			if random.IntN(5) == 0 {
				row(at.Add(-20*time.Second), "fp", "Wrong email or password.", c.name, c.ip, c.agent, object("error", object("message", "Wrong email or password.")))
			}
			row(at, "s", "", c.name, c.ip, c.agent, object("session_id", id()))
			row(at.Add(2*time.Second), "seacft", "", c.name, c.ip, c.agent, nil)
			if random.IntN(2) == 0 {
				row(at.Add(time.Hour), "slo", "", c.name, c.ip, c.agent, nil)
			}
		}
	}
	at := first.AddDate(0, 0, 10).Add(5 * time.Hour)
	for i := range 35 {
		row(at.Add(time.Duration(i*4)*time.Second), "fu", "Wrong email or password.", fmt.Sprintf("shopper%02d", i), "203.0.113.205", "Go-http-client/2.0", object("error", object("message", "Wrong email or password.")))
	}
	row(at.Add(3*time.Minute), "limit_mu", "An IP address is blocked because it reached the maximum failed login attempts into a single account.", "shopper07", "203.0.113.205", "Go-http-client/2.0", nil)
	row(at.Add(26*time.Hour), "scp", "", "rosa", "198.51.100.160", agents[0], nil)
	return out
}

// okta is the system log of an Okta organization, as its API gives it.
func okta() (out []line) {
	row := func(at time.Time, kind, message, result, reason, name, ip, agent string, session string, target any) {
		var why any
		if reason != "" {
			why = reason
		}
		out = append(out, line{at, string(object("uuid", id(), "published", at.Format("2006-01-02T15:04:05.000Z"), "eventType", kind, "version", "0", "severity", "INFO", "legacyEventType", nil,
			"displayMessage", message, "actor", object("id", fmt.Sprintf("00u%017d", len(name)*7), "type", "User", "alternateId", name+"@example.com", "displayName", name),
			"client", object("userAgent", object("rawUserAgent", agent), "zone", "null", "device", "Computer", "id", nil, "ipAddress", ip),
			"outcome", object("result", result, "reason", why), "target", target,
			"transaction", object("type", "WEB", "id", id()), "authenticationContext", object("authenticationStep", 0, "externalSessionId", session),
			"securityContext", object("isProxy", false), "debugContext", object("debugData", object("requestUri", "/api/v1/authn")),
			"request", object("ipChain", []any{object("ip", ip, "version", "V4")})))})
	}
	for day := range days {
		if weekend(day) {
			continue
		}
		for _, c := range customers {
			at, session := within(day, 7, 18), id()
			if random.IntN(5) == 0 {
				row(at.Add(-30*time.Second), "user.session.start", "User login to Okta", "FAILURE", "INVALID_CREDENTIALS", c.name, c.ip, c.agent, "unknown", nil)
			}
			row(at, "user.session.start", "User login to Okta", "SUCCESS", "", c.name, c.ip, c.agent, session, nil)
			row(at.Add(2*time.Second), "user.authentication.auth_via_mfa", "Authentication of user via MFA", "SUCCESS", "", c.name, c.ip, c.agent, session, nil)
			row(at.Add(9*time.Second), "user.authentication.sso", "User single sign on to app", "SUCCESS", "", c.name, c.ip, c.agent, session,
				[]any{object("id", "0oa1", "type", "AppInstance", "alternateId", "Wiki", "displayName", "Wiki")})
			row(at.Add(time.Duration(60+random.IntN(300))*time.Minute), "user.session.end", "User logout from Okta", "SUCCESS", "", c.name, c.ip, c.agent, session, nil)
		}
	}
	// A second factor that is asked for again and again, until somebody says yes; then it is taken away.
	at := first.AddDate(0, 0, 11).Add(22 * time.Hour)
	for i := range 9 {
		row(at.Add(time.Duration(i*25)*time.Second), "user.authentication.auth_via_mfa", "Authentication of user via MFA", "FAILURE", "User rejected Okta push verify", "quinn", "203.0.113.77", agents[0], "unknown", nil)
	}
	session := id()
	row(at.Add(5*time.Minute), "user.authentication.auth_via_mfa", "Authentication of user via MFA", "SUCCESS", "", "quinn", "203.0.113.77", agents[0], session, nil)
	row(at.Add(5*time.Minute+time.Second), "user.session.start", "User login to Okta", "SUCCESS", "", "quinn", "203.0.113.77", agents[0], session, nil)
	row(at.Add(7*time.Minute), "user.mfa.factor.deactivate", "Reset factor for user", "SUCCESS", "", "quinn", "203.0.113.77", agents[0], session,
		[]any{object("id", "00u00000000000000035", "type", "User", "alternateId", "quinn@example.com", "displayName", "quinn")})
	return out
}
