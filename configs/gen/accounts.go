package main

import (
	"fmt"
	"time"
)

// accounts is the activity log of the users of a web application, as key=value.
func accounts() (out []line) {
	type account struct {
		user, email, role, ip, agent, device string
	}
	users := []account{
		{"epetrova", "e.petrova@example.com", "admin", "192.0.2.70", agents[0], "dev-4711"},
		{"fnovak", "f.novak@example.com", "user", "192.0.2.71", agents[1], "dev-4712"},
		{"gsilva", "g.silva@example.com", "user", "192.0.2.171", agents[2], "dev-4713"},
		{"hdubois", "h.dubois@example.com", "analyst", "192.0.2.172", agents[0], "dev-4714"},
	}
	say := func(at time.Time, event string, u account, ip, agent, rest string) {
		text := fmt.Sprintf("timestamp=%s event=%s user=%s email=%s role=%s tenant=example ip=%s user_agent=%q", at.Format(time.RFC3339), event, u.user, u.email, u.role, ip, agent)
		if rest != "" {
			text += " " + rest
		}
		out = append(out, line{at, text})
	}
	session := 70000
	for day := range days {
		for i, u := range users {
			if weekend(day) && i != 0 {
				continue
			}
			at := within(day, 7, 11)
			session++
			id := fmt.Sprintf("session_id=us-%d device=%s", session, u.device)
			if random.IntN(5) == 0 {
				say(at.Add(-time.Minute), "login.failed", u, u.ip, u.agent, `reason="wrong password"`)
			}
			say(at, "login.success", u, u.ip, u.agent, id)
			say(at.Add(8*time.Second), "mfa.verified", u, u.ip, u.agent, "mfa_method=totp "+id)
			say(at.Add(9*time.Second), "session.created", u, u.ip, u.agent, id)
			end := at.Add(time.Duration(40+random.IntN(400)) * time.Minute)
			say(end, pick("session.terminated", "session.terminated", "session.expired"), u, u.ip, u.agent, id)
		}
	}
	u := users[1]
	at := first.AddDate(0, 0, 3).Add(10 * time.Hour)
	say(at, "password.reset.requested", u, u.ip, u.agent, "")
	say(at.Add(3*time.Minute), "password.reset.completed", u, u.ip, u.agent, "")
	u = users[2]
	at = first.AddDate(0, 0, 4).Add(9 * time.Hour)
	say(at, "mfa.setup", u, u.ip, u.agent, "mfa_method=webauthn")
	say(at.Add(time.Hour), "mfa.modified", u, u.ip, u.agent, "mfa_method=totp")
	// Guessing locks an account; its owner has it unlocked.
	u = users[3]
	at = first.AddDate(0, 0, 8).Add(4*time.Hour + 30*time.Minute)
	for i := range 5 {
		say(at.Add(time.Duration(i)*40*time.Second), "login.failed", u, "203.0.113.33", "curl/8.9.1", `reason="wrong password"`)
	}
	say(at.Add(201*time.Second), "account.locked", u, "203.0.113.33", "curl/8.9.1", `reason="5 failed attempts in 15 minutes"`)
	say(at.Add(4*time.Hour), "account.unlocked", u, u.ip, u.agent, "by=epetrova")
	// The administrator's session is used from two places at once.
	u = users[0]
	at = first.AddDate(0, 0, 12).Add(9 * time.Hour)
	say(at, "login.success", u, u.ip, u.agent, "session_id=us-80001 device="+u.device)
	say(at.Add(time.Second), "session.created", u, u.ip, u.agent, "session_id=us-80001 device="+u.device)
	say(at.Add(12*time.Minute), "login.success", u, "198.51.100.180", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "session_id=us-80002 device=dev-9999 new_device=true")
	say(at.Add(12*time.Minute), "session.created", u, "198.51.100.180", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "session_id=us-80002 device=dev-9999")
	return out
}
