package simulate

import (
	"fmt"
	"time"

	"github.com/gatebook/gatebook/event"
)

// work makes what everybody does on the day.
func (c *Company) work() {
	for _, p := range c.people {
		switch d := c.day.number; {
		case d == p.first && d > 0:
			c.welcome(p)
		case d == p.last:
			c.farewell(p)
		}
		if c.day.number < p.first || c.day.number >= p.last || c.day.number < p.ill {
			continue
		}
		p.fingers++
		if c.day.weekend && p.away[c.day.number] == nil && !p.flies[c.day.number] {
			if p.chance(4) {
				c.signOn(p, c.local(p.home, 10*time.Hour+p.minutes(0, 600)), p.atHome(c.day.number))
			}
			continue
		}
		if p.chance(1.5) {
			p.ill = c.day.number + 1 + p.random.IntN(5)
			continue
		}
		c.workday(p)
	}
}

// local is a time of the day where somebody is; far in the east, where the day has begun before, that of the next one.
func (c *Company) local(s *site, t time.Duration) time.Time {
	if t < s.hours {
		t += 24 * time.Hour
	}
	return c.day.date.Add(t - s.hours)
}

// workday is the day of one person.
func (c *Company) workday(p *person) {
	d := c.day.number
	here, place := p.inOffice(), p.office
	switch to := p.away[d]; {
	case p.flies[d] && to != nil: // in the morning at home, in the evening there
		c.signOn(p, c.local(p.home, 6*time.Hour+p.minutes(0, 60)), p.atHome(d))
		p.landed = c.local(p.home, 8*time.Hour).Add(flight(p.home, to) + p.minutes(60, 180))
		c.signOn(p, p.landed, p.abroad(to))
		return
	case p.flies[d]:
		from := p.away[d-1]
		left := c.local(from, 7*time.Hour+p.minutes(0, 60))
		c.signOn(p, left, p.abroad(from))
		p.landed = left.Add(time.Hour + flight(from, p.home) + p.minutes(90, 240))
		c.signOn(p, p.landed, p.underway())
		return
	case to != nil:
		here, place = p.abroad(to), to
	case p.dayAtHome&(1<<c.day.date.Weekday()) != 0:
		here = p.atHome(d)
	}
	start := c.local(place, 7*time.Hour+30*time.Minute+p.late+p.minutes(0, 40))
	if start.Before(p.landed) {
		start = p.landed.Add(p.minutes(90, 240))
	}
	if p.away[d] == nil && p.chance(20) {
		c.signOn(p, start.Add(-p.minutes(25, 60)), p.underway())
	}
	c.signOn(p, start, here)
	if p.chance(45) {
		c.signOn(p, start.Add(4*time.Hour+p.minutes(0, 90)), here)
	}
	c.applications(p, start, here)
	c.change(p, start.Add(p.minutes(120, 420)), here)
	if p.away[d] == nil && p.chance(6) {
		c.signOn(p, c.local(place, 19*time.Hour+p.minutes(0, 180)), p.atHome(d))
	}
}

// flight is how long an aeroplane takes, boarding aside.
func flight(a, b *site) time.Duration {
	return time.Duration(kilometres(a.lat, a.lon, b.lat, b.lon) / 850 * float64(time.Hour))
}

// of makes an event of the single sign-on.
func (c *Company) of(p *person, t time.Time, s spot, a event.Action, o event.Outcome, code string) *event.Event {
	ev := s.from(c.add(t, "auth_service.event", a, o, code))
	ev.User.Name, ev.User.Email, ev.User.ID = p.email, p.email, p.id
	ev.Message = p.email + ": " + a.String()
	ev.NeedOrganization().Name = "example"
	return ev
}

// signOn is somebody's way through the single sign-on: password, second factor, session, applications, and the end of it.
func (c *Company) signOn(p *person, t time.Time, s spot) {
	if t.Before(p.landed) {
		return // in the aeroplane
	}
	t = c.mistype(t, p, func(t time.Time) {
		ev := c.of(p, t, s, event.Login, event.Failure, "login_failed")
		ev.Reason = "Invalid credentials"
		ev.NeedError().Message = ev.Reason
		ev.NeedClient().Name, ev.NeedProvider().Name = "Portal", "Local"
	})
	if t.IsZero() {
		t = c.lockedOut(p, s)
	}
	if ok, at := c.secondFactor(p, t, s); !ok {
		return
	} else {
		t = at
	}
	session := c.session()
	ev := c.of(p, t, s, event.Login, event.Success, "login")
	ev.NeedClient().Name, ev.NeedProvider().Name, ev.Session.ID = "Portal", "Local", session
	row := c.add(t.Add(300*time.Millisecond), "auth_service.session", event.SessionStart, event.Success, "active")
	row.User.ID, row.Session = p.id, event.Session{ID: session, Protocol: "OIDC", Status: "active"}
	row.NeedClient().ID = "c-1"
	for range p.random.IntN(3) {
		app := applications[(p.number+p.random.IntN(4))%len(applications)]
		c.of(p, t.Add(p.minutes(1, 90)), s, event.TokenIssue, event.Success, "token_issued").NeedClient().Name = app
	}
	if length := p.minutes(40, 260); p.chance(55) {
		end := c.of(p, t.Add(length), s, event.Logout, event.Success, "logout")
		end.NeedClient().Name, end.Session.ID = "Portal", session
	} else {
		end := c.add(t.Add(8*time.Hour), "auth_service.session", event.SessionExpire, event.Success, "expired")
		end.User.ID, end.Session = p.id, event.Session{ID: session, Protocol: "OIDC", Status: "expired"}
		end.NeedClient().ID, end.Duration = "c-1", event.LongOf(int64(8*time.Hour))
	}
}

var applications = []string{"Mail", "Wiki", "Tickets", "Reports", "Travel", "Payroll", "Calendar"}

// mistype makes the failures before a login and returns when that comes; the zero time where the account is locked.
func (c *Company) mistype(t time.Time, p *person, fail func(time.Time)) time.Time {
	clumsy := p.clumsy
	if p.fingers < 4 {
		clumsy *= 5 // the old password
	}
	wrong := 0
	switch {
	case p.chance(0.03):
		wrong = 5
	case p.chance(0.25):
		wrong = 4
	case p.chance(clumsy):
		wrong = 1 + min(p.random.IntN(3), p.random.IntN(3))
	}
	for range wrong {
		fail(t)
		t = t.Add(time.Duration(8+p.random.IntN(50)) * time.Second)
	}
	if wrong == 5 {
		return time.Time{}
	}
	return t
}

// lockedOut is what follows on the fifth wrong password: the account is locked, an administrator is called and unlocks it.
func (c *Company) lockedOut(p *person, s spot) time.Time {
	t := c.pending[len(c.pending)-1].Time.Std()
	lock := c.of(p, t.Add(time.Second), s, event.AccountLock, event.Success, "account_locked")
	lock.Reason = "Too many failed attempts"
	t = t.Add(p.minutes(16, 50))
	c.audit(c.admins[p.random.IntN(len(c.admins))], t, event.AccountUnlock, "unlock User", "User", p)
	c.audit(c.admins[p.random.IntN(len(c.admins))], t.Add(20*time.Second), event.PasswordReset, "reset Password", "Password", p)
	return t.Add(p.minutes(2, 6))
}

// secondFactor asks for it. A few are refused or run out; then most try again, and some give up.
func (c *Company) secondFactor(p *person, t time.Time, s spot) (ok bool, at time.Time) {
	for range 3 {
		t = t.Add(2 * time.Second)
		c.of(p, t, s, event.MFAChallenge, event.Unknown, "mfa_challenge").MFA.Used = event.True
		t = t.Add(time.Duration(4+p.random.IntN(25)) * time.Second)
		verdict := c.of(p, t, s, event.MFAVerify, event.Success, "totp_verification")
		verdict.MFA = event.MFA{Used: event.True, Method: "totp"}
		if !p.chance(2.5) {
			return true, t.Add(time.Second)
		}
		verdict.Outcome, verdict.Code, verdict.Reason = event.Failure, "mfa_failed", "Invalid code"
		switch {
		case p.chance(20):
			verdict.Reason = "Rejected by user"
		case p.chance(40):
			verdict.Reason = "Code expired"
		}
		if p.chance(10) {
			return false, t
		}
		t = t.Add(time.Duration(10+p.random.IntN(40)) * time.Second)
	}
	return false, t
}

// change is what does not happen every day: passwords, devices.
func (c *Company) change(p *person, t time.Time, s spot) {
	switch {
	case p.chance(1.1): // every 90 days or so
		c.of(p, t, s, event.PasswordChange, event.Success, "passwordChange")
		p.fingers = 0
		if p.chance(15) { // the phone does not know
			phone := p.underway()
			for i := range 3 + p.random.IntN(8) {
				ev := c.of(p, t.Add(time.Duration(20+i*12)*time.Minute), phone, event.Login, event.Failure, "login_failed")
				ev.Reason, ev.NeedClient().Name = "Invalid credentials", "Mail"
			}
		}
	case p.chance(0.25):
		c.forget(p, t, s)
	case p.chance(0.12): // a new computer
		p.computer = computers[p.random.IntN(len(computers))]
	case p.chance(0.12): // a new phone: its codes are set up anew by its owner, or after a call
		p.phone = phones[p.random.IntN(len(phones))]
		if p.chance(75) {
			c.of(p, t, s, event.MFADisable, event.Success, "mfa_disabled").MFA.Method = "totp"
			c.of(p, t.Add(p.minutes(2, 20)), s, event.MFAEnroll, event.Success, "mfa_enrolled").MFA.Method = "totp"
			break
		}
		c.audit(c.admins[p.random.IntN(len(c.admins))], t, event.MFAReset, "reset MFA", "MFA", p)
		c.of(p, t.Add(p.minutes(3, 10)), s, event.MFAEnroll, event.Success, "mfa_enrolled").MFA.Method = "totp"
		c.signOn(p, t.Add(p.minutes(11, 20)), s)
	}
}

// forget is a password forgotten: a request, a mail, a new one, in.
func (c *Company) forget(p *person, t time.Time, s spot) {
	c.of(p, t, s, event.PasswordResetRequest, event.Success, "password_reset_requested")
	c.mail(t.Add(2*time.Second), p.email, "password reset", "Reset your password", p.chance(1))
	c.of(p, t.Add(p.minutes(2, 9)), s, event.PasswordReset, event.Success, "password_reset")
	p.fingers = 0
	c.signOn(p, t.Add(p.minutes(9, 12)), s)
}

// applications are the sources beside the single sign-on.
func (c *Company) applications(p *person, start time.Time, s spot) {
	if p.uses.portal && p.chance(60) {
		c.portal(p, start.Add(p.minutes(10, 240)), s)
	}
	if p.uses.shop {
		c.shop(p, start.Add(p.minutes(5, 60)), s)
	}
	if p.uses.machines {
		c.machineWork(p, start.Add(p.minutes(15, 120)), s)
	}
	if p.uses.tools && p.chance(70) {
		t := c.mistype(start.Add(p.minutes(10, 300)), p, func(t time.Time) {
			c.tool(p, t, s, event.Failure, "LOGIN_ERROR").Reason = "invalid_user_credentials"
		})
		if !t.IsZero() {
			c.tool(p, t, s, event.Success, "LOGIN").Session.ID = c.session()
		}
	}
	if p.uses.intranet && p.chance(70) {
		c.intranet(p, start.Add(p.minutes(5, 400)), s)
	}
	for range p.random.IntN(4) {
		c.web(p, start.Add(p.minutes(1, 500)), s)
	}
}

// tool is a login at Keycloak.
func (c *Company) tool(p *person, t time.Time, s spot, o event.Outcome, code string) *event.Event {
	ev := s.from(c.add(t, "keycloak.event", event.Login, o, code))
	ev.UserAgent = event.UserAgent{} // Keycloak does not log it
	ev.User.Name, ev.User.ID = p.name, p.id
	ev.Message = p.name + ": " + code + ", client " + toolClients[p.number%len(toolClients)]
	ev.NeedOrganization().Name, ev.NeedClient().ID = "tools", toolClients[p.number%len(toolClients)]
	return ev
}

var toolClients = []string{"git", "builds", "dashboards"}

// intranet is user_activity: a session with or without an end.
func (c *Company) intranet(p *person, t time.Time, s spot) {
	row := func(t time.Time, a event.Action, o event.Outcome, code string) *event.Event {
		ev := s.from(c.add(t, "user_activity.event", a, o, code))
		ev.User.Name, ev.User.ID, ev.Message = p.name, p.id, p.name+" "+code+" from "+s.ip
		return ev
	}
	if t = c.mistype(t, p, func(t time.Time) { row(t, event.Login, event.Failure, "login.failed").Reason = "Invalid password" }); t.IsZero() {
		return
	}
	session := c.session()
	row(t, event.Login, event.Success, "login.success").Session.ID = session
	row(t.Add(time.Second), event.SessionStart, event.Success, "session.created").Session.ID = session
	row(t.Add(30*time.Minute), event.SessionExpire, event.Success, "session.expired").Session.ID = session
}

// web is a request as nginx logs it: nobody's name in it, and now and then one that is refused.
func (c *Company) web(p *person, t time.Time, s spot) {
	status, outcome := int64(200), event.Success
	switch {
	case p.chance(3):
		status, outcome = 401, event.Failure
	case p.chance(2):
		status, outcome = 403, event.Failure
	case p.chance(2):
		status, outcome = 404, event.Failure
	}
	ev := s.from(c.add(t, "nginx.access", event.Request, outcome, fmt.Sprint(status)))
	ev.Service.Type = "nginx"
	url, http := ev.NeedURL(), ev.NeedHTTP()
	url.Path = "/" + applications[p.random.IntN(len(applications))]
	url.Original = url.Path
	http.Method, http.Version, http.StatusCode, http.ResponseBytes = "GET", "1.1", event.LongOf(status), event.LongOf(int64(p.random.IntN(20000)))
	ev.Message = fmt.Sprintf("\"GET %s HTTP/1.1\" %d", url.Path, status)
}
