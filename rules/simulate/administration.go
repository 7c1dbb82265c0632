package simulate

import (
	"fmt"
	"time"

	"github.com/gatebook/gatebook/event"
)

// leaver is somebody whose account is disabled and who tries it once more.
type leaver struct {
	*person
	tries int // day
}

// audit makes a row of the audit trail: an administrator does something, to somebody where whom is not nil.
func (c *Company) audit(by *person, t time.Time, a event.Action, code, kind string, whom *person) *event.Event {
	ev := c.add(t, "auth_service.audit", a, event.Success, code)
	ev.User.Name, ev.User.Email, ev.Actor = by.email, by.email, "admin"
	ev.Target.Type = kind
	if whom != nil {
		target := ev.NeedUserTarget()
		target.Name, target.Email, ev.Target.Name = whom.email, whom.email, whom.email
	}
	ev.Message = by.email + ": " + code + " " + ev.Target.Name
	return ev
}

func (c *Company) anyAdmin() *person { return c.admins[c.random.IntN(len(c.admins))] }

func (c *Company) morning() time.Time {
	return c.local(berlin, 9*time.Hour+time.Duration(c.random.IntN(120))*time.Minute)
}

// welcome makes an account for somebody new, who begins the next working day.
func (c *Company) welcome(p *person) {
	admin, t := c.anyAdmin(), c.morning()
	c.audit(admin, t, event.UserCreate, "create User", "User", p).NeedUserChanges().Roles = []string{"viewer"}
	c.audit(admin, t.Add(time.Minute), event.RoleGrant, "grant Role", "Role", p).Target.Name = "employee"
	c.mail(t.Add(2*time.Minute), p.email, "invitation", "Welcome to example", false)
}

// farewell disables an account. Half of those who leave try once more.
func (c *Company) farewell(p *person) {
	c.audit(c.anyAdmin(), c.morning().Add(7*time.Hour), event.AccountDisable, "disable User", "User", p)
	if c.random.IntN(2) == 0 {
		c.leaving = append(c.leaving, leaver{p, c.day.number + 2 + c.random.IntN(5)})
	}
}

// administer is what administrators do on the day, and what those who left try.
func (c *Company) administer() {
	for _, l := range c.leaving {
		if l.tries == c.day.number {
			ev := c.of(l.person, c.local(berlin, 11*time.Hour), l.atHome(c.day.number), event.Login, event.Failure, "login_failed")
			ev.Reason = "Account disabled"
		}
	}
	for _, p := range c.admins {
		if c.day.weekend || c.day.number < p.ill || p.away[c.day.number] != nil || p.flies[c.day.number] {
			continue
		}
		t := c.local(berlin, 9*time.Hour+p.minutes(0, 480))
		c.routine(p, t)
		if p.chance(8) { // an evening at home, for what may not disturb the day
			late := c.local(berlin, 20*time.Hour+30*time.Minute+p.minutes(0, 100))
			c.signOn(p, late, p.atHome(c.day.number))
			c.routine(p, late.Add(15*time.Minute))
		}
	}
}

// routine is a change or two. Roles, secrets and providers of identity are seldom among them.
func (c *Company) routine(p *person, t time.Time) {
	whom := c.people[p.random.IntN(len(c.people))]
	for i := range p.random.IntN(3) {
		c.audit(p, t.Add(time.Duration(i)*3*time.Minute), event.UserUpdate, "update User", "User", whom)
	}
	switch {
	case p.chance(3):
		c.audit(p, t, event.RoleGrant, "grant Role", "Role", whom).Target.Name = "reports reader"
	case p.chance(0.4):
		c.audit(p, t, event.RoleGrant, "grant Role", "Role", whom).Target.Name = "tenant admin"
	case p.chance(0.6):
		c.audit(p, t, event.Update, "rotate Secret", "Secret", nil).Target.Name = "Portal"
	case p.chance(0.4):
		c.audit(p, t, event.Update, "update IdentityProvider", "IdentityProvider", nil).Target.Name = "Google IdP"
	case p.chance(10):
		ev := c.audit(p, t, event.Update, "update Client", "Client", nil)
		ev.Target.Name, ev.Message = "Reports", p.email+" updated Client \"Reports\": description old -> new"
	case p.chance(3):
		c.audit(p, t, event.ConfigChange, "update TenantSettings", "TenantSettings", nil).Message = p.email + " updated TenantSettings \"example\": sessionMinutes 30 -> 60"
	case p.chance(6):
		ev := p.inOffice().from(c.add(t, "keycloak.event", event.Update, event.Success, "UPDATE_CLIENT"))
		ev.User.ID, ev.Actor, ev.Target = p.id, "admin", event.Thing{Type: "CLIENT", ID: "c1", Name: "git"}
		ev.NeedOrganization().Name, ev.NeedClient().ID = "tools", "security-admin-console"
	case p.chance(1.5):
		c.audit(p, t, event.Delete, "delete EmailTemplate", "EmailTemplate", nil).Target.Name = fmt.Sprintf("Draft %d", p.random.IntN(50))
	}
}
