package main

import (
	"fmt"
	"time"
)

// authService is what an authentication service exports: audit, events, jobs, notifications, sessions and grants, a row a line.
func authService() (out []line) {
	const layout = "2006-01-02T15:04:05.000Z"
	add := func(at time.Time, pairs ...any) { out = append(out, line{at, string(object(pairs...))}) }
	type account struct {
		id                       int
		email, name, ip, browser string
	}
	admin := account{7, "ivy.admin@example.com", "ivy", "192.0.2.80", agents[1]}
	second := account{8, "jan.admin@example.com", "jan", "192.0.2.81", agents[0]}
	users := []account{
		{101, "kate@example.com", "kate", "192.0.2.82", agents[0]}, {102, "liam@example.com", "liam", "192.0.2.182", agents[2]},
		{103, "mona@example.com", "mona", "192.0.2.83", agents[1]}, {104, "nils@example.com", "nils", "192.0.2.84", agents[0]},
	}
	audit := func(at time.Time, who account, action, target, subject, comments string, older, newer any) {
		var s, c any
		if subject != "" {
			s = subject
		}
		if comments != "" {
			c = comments
		}
		add(at, "id", id(), "action", action, "target", target, "subject", s, "actor", who.email, "clientActor", "Admin UI", "tenant", "example",
			"timestamp", at.Format(layout), "oldEntity", older, "newEntity", newer, "comments", c)
	}
	event := func(at time.Time, kind, client, provider string, u account, ip, browser string, details any) {
		add(at, "eventType", kind, "clientName", client, "providerName", provider, "createdOn", at.Format(layout), "email", u.email, "username", u.name, "ipAddress", ip,
			"userAgent", browser, "tenant", "example", "details", details)
	}
	session := func(at, created time.Time, sid string, u account, status string) {
		add(at, "sessionId", sid, "protocol", pickOf(u.id, "OIDC", "SAML"), "clientId", "app-portal", "userId", u.id, "tenant", "example", "createdAt", created.Format(layout),
			"updatedAt", at.Format(layout), "status", status, "scopes", []string{"openid", "profile"})
	}
	job := func(at time.Time, name, kind, status, message, trace string, created time.Time) {
		var t any
		if trace != "" {
			t = trace
		}
		add(at, "jobId", fmt.Sprintf("job-%d", created.Unix()%1000000), "jobName", name, "jobType", kind, "latestStatus", status, "message", message, "stacktrace", t,
			"tenant", "example", "createdAt", created.Format(layout), "updatedAt", at.Format(layout))
	}
	mail := func(at time.Time, subject, recipient, category, status string) {
		add(at, "subject", subject, "recipient", recipient, "timestamp", at.Format(layout), "status", status, "category", category, "tenant", "example",
			"body", "Hello,\n\nplease see the portal.\n")
	}
	stay := func(at time.Time, u account, ip, browser, provider string, end string) {
		sid := id()
		event(at, "login", pick("Auth UI", "Portal", "Reports"), provider, u, ip, browser, object("sessionId", sid, "mfa", true, "mfaMethod", "totp"))
		session(at.Add(time.Second), at.Add(time.Second), sid, u, "active")
		if random.IntN(3) == 0 {
			add(at.Add(2*time.Second), "grantId", id(), "email", u.email, "provider", provider, "client", "Reports", "sessionId", sid, "tenant", "example",
				"createdAt", at.Add(2*time.Second).Format(layout), "status", "active")
		}
		over := at.Add(time.Duration(30+random.IntN(420)) * time.Minute)
		if end == "expired" || end == "revoked" {
			session(over, at.Add(time.Second), sid, u, end)
		} else {
			event(over, "logout", "Auth UI", provider, u, ip, browser, object("sessionId", sid))
		}
	}
	for day := range days {
		at := first.AddDate(0, 0, day).Add(2 * time.Hour)
		status, message, trace := "success", fmt.Sprintf("removed %d rows", 100+random.IntN(900)), ""
		if day == 5 || day == 6 {
			status, message, trace = "failed", "deadlock detected", "Error: deadlock detected\n    at trim (/srv/auth/jobs/trim.js:88:11)"
		}
		job(at, "audit log trim", "trim", "running", "", "", at)
		job(at.Add(4*time.Minute), "audit log trim", "trim", status, message, trace, at)
		job(at.Add(30*time.Minute), "directory sync", "sync", "success", "42 users read", "", at.Add(25*time.Minute))
		for i, u := range users {
			if weekend(day) && i > 0 {
				continue
			}
			at := within(day, 7.5, 11)
			if random.IntN(4) == 0 {
				event(at.Add(-time.Minute), "login_failed", "Auth UI", "Local", u, u.ip, u.browser, object("error", "invalid credentials"))
			}
			stay(at, u, u.ip, u.browser, pick("Google", "Azure AD", "Local"), pick("logout", "logout", "expired"))
		}
		if weekend(day) {
			continue
		}
		who := pick(admin, second)
		at = within(day, 9, 16)
		stay(at.Add(-5*time.Minute), who, who.ip, who.browser, "Local", "logout")
		switch day % 5 {
		case 0:
			audit(at, who, "update IdentityProvider", "Google", "", "new domain", object("name", "Google", "enabled", true, "domains", []string{"example.com"}),
				object("name", "Google", "enabled", true, "domains", []string{"example.com", "example.org"}))
		case 1:
			audit(at, who, "create User", fmt.Sprintf("new%02d@example.com", day), "", "joins the team", nil, object("email", fmt.Sprintf("new%02d@example.com", day), "roles", []string{"user"}))
			mail(at.Add(time.Second), "Welcome to Example", fmt.Sprintf("new%02d@example.com", day), "welcome", pick("sent", "sent", "bounced"))
		case 2:
			audit(at, who, "update Client", "Reports", "", "", object("name", "Reports", "redirectUris", []string{"https://reports.example.com/cb"}),
				object("name", "Reports", "redirectUris", []string{"https://reports.example.com/cb", "https://reports.example.org/cb"}))
		case 3:
			audit(at, who, "add Group Member", "Engineering", "mona@example.com", "", nil, nil)
			mail(at.Add(time.Second), "Group invitation", "mona@example.com", "invitation", "sent")
		case 4:
			audit(at, who, "update Template", "password reset mail", "", "wording", object("subject", "Reset"), object("subject", "Reset your password"))
		}
	}
	for i, u := range users {
		at := first.AddDate(0, 0, 2+i).Add(10*time.Hour + time.Duration(i)*time.Minute)
		event(at, "password_reset", "Auth UI", "Local", u, u.ip, u.browser, object("step", "requested"))
		mail(at.Add(2*time.Second), "Reset your password", u.email, "password_reset", pick("sent", "failed"))
	}
	// Guessing at one account, until it is locked; then an administrator's account from far away switches the guard off.
	at := first.AddDate(0, 0, 9).Add(23 * time.Hour)
	for i := range 12 {
		event(at.Add(time.Duration(i*15)*time.Second), "login_failed", "Auth UI", "Local", users[0], "203.0.113.18", "python-requests/2.32", object("error", "invalid credentials"))
	}
	event(at.Add(190*time.Second), "account_locked", "Auth UI", "Local", users[0], "203.0.113.18", "python-requests/2.32", object("reason", "too many failed attempts"))
	at = first.AddDate(0, 0, 10).Add(1 * time.Hour)
	sid := id()
	event(at, "login", "Admin UI", "Local", second, "203.0.113.210", agents[0], object("sessionId", sid))
	session(at.Add(time.Second), at.Add(time.Second), sid, second, "active")
	audit(at.Add(2*time.Minute), second, "update TenantSettings", "example", "", "", object("mfaRequired", true, "auditRetentionDays", 2555), object("mfaRequired", false, "auditRetentionDays", 30))
	audit(at.Add(3*time.Minute), second, "grant Role", "support@example.org", "super admin", "", object("roles", []string{"user"}), object("roles", []string{"user", "super admin"}))
	audit(at.Add(4*time.Minute), second, "update Secret", "Portal client secret", "", "", nil, nil)
	add(at.Add(6*time.Minute), "jobId", "job-900001", "jobName", "audit log export", "jobType", "export", "latestStatus", "success", "message", "250000 rows", "tenant", "example",
		"createdAt", at.Add(5*time.Minute).Format(layout), "updatedAt", at.Add(6*time.Minute).Format(layout))
	session(at.Add(7*time.Hour), at.Add(time.Second), sid, second, "revoked")
	return out
}

// pickOf picks by a number: the same for the same user.
func pickOf(n int, list ...string) string { return list[n%len(list)] }
