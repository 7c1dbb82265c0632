package simulate

import (
	"fmt"
	"time"

	"github.com/gatebook/gatebook/event"
)

// portal is a visit to the payment portal, with reports at the end of the month.
func (c *Company) portal(p *person, t time.Time, s spot) {
	row := func(t time.Time, entry, status int64, a event.Action) *event.Event {
		code := event.PortalStatuses[0]
		for _, known := range event.PortalStatuses {
			if known.Code == status {
				code = known
			}
		}
		ev := s.from(c.add(t, "payment_portal.login", a, code.Outcome, fmt.Sprint(status)))
		ev.UserAgent = event.UserAgent{} // the portal does not log it
		ev.Reason, ev.User.Name, ev.NeedOrganization().Name = code.Name, p.name, "Example"
		ev.Entry, ev.Status = event.Coded{Code: event.LongOf(entry), Name: event.PortalEntries[entry-1].Name}, event.Coded{Code: event.LongOf(status), Name: code.Name}
		ev.Message = p.name + ": " + ev.Entry.Name + ", " + code.Name + ", from " + s.ip
		if code.MFA {
			ev.MFA.Used = event.True
		}
		return ev
	}
	if t = c.mistype(t, p, func(t time.Time) { row(t, 1, 5, event.Login) }); t.IsZero() {
		return
	}
	for range 3 {
		row(t, 1, 25, event.MFAChallenge)
		t = t.Add(time.Duration(5+p.random.IntN(25)) * time.Second)
		if !p.chance(3) {
			break
		}
		row(t, 1, []int64{22, 23}[p.random.IntN(2)], event.Login)
		t = t.Add(20 * time.Second)
	}
	row(t, 1, 21, event.Login)
	for range p.random.IntN(5) {
		row(t.Add(p.minutes(1, 25)), 6, 1, event.Request)
	}
	if p.chance(1) {
		row(t.Add(26*time.Minute), 6, 9, event.Request)
	}
	reports := 0
	switch {
	case c.day.closing:
		reports = 2 + p.random.IntN(6)
		if p.chance(10) {
			reports = 12 + p.random.IntN(6)
		}
	case p.chance(8):
		reports = 1
	}
	for i := range reports {
		row(t.Add(time.Duration(1+i*2)*time.Minute), 2, 1, event.Download)
	}
	end := int64(2)
	if p.chance(30) {
		end = 6
	}
	row(t.Add(45*time.Minute), 1, end, map[int64]event.Action{2: event.SessionEnd, 6: event.SessionExpire}[end]).Duration = event.LongOf(int64(45 * time.Minute))
}

// record makes a row of the shop's activity log.
func (c *Company) record(p *person, t time.Time, a event.Action, code, kind string) *event.Event {
	ev := c.add(t, "activity_log.activity", a, event.Success, code)
	ev.User.Name, ev.User.ID, ev.User.Email, ev.User.FullName = p.email, p.id, p.email, p.full
	if ev.Actor = "staff"; p.admin {
		ev.Actor = "admin"
	}
	ev.Object = kind + "s"
	if kind != "" {
		ev.Target = event.Thing{Type: kind, ID: fmt.Sprint(p.random.IntN(100000))}
		ev.Subject = ev.Target
	}
	ev.Message = p.full + " " + code + " " + kind + " " + ev.Target.ID
	return ev
}

// shop is a day at the loyalty platform: sales, changes, seldom a deletion; lists at the end of the month.
func (c *Company) shop(p *person, t time.Time, s spot) {
	if t = c.mistype(t, p, func(t time.Time) {
		ev := s.from(c.record(p, t, event.Login, "login_failed", ""))
		ev.Outcome, ev.Reason, ev.Object = event.Failure, "Invalid password", "auth"
	}); t.IsZero() {
		return
	}
	in := s.from(c.record(p, t, event.Login, "login", ""))
	in.Object = "auth"
	for range 4 + p.random.IntN(10) {
		c.record(p, t.Add(p.minutes(2, 450)), event.Transaction, "created", "transaction")
	}
	for range p.random.IntN(4) {
		c.record(p, t.Add(p.minutes(2, 450)), event.Update, "updated", []string{"voucher", "club", "partner"}[p.random.IntN(3)])
	}
	if p.chance(15) {
		member := c.record(p, t.Add(p.minutes(2, 450)), event.UserCreate, "created", "member")
		member.NeedUserTarget().Email = fmt.Sprintf("m%d@example.org", p.random.IntN(100000))
	}
	if p.number%20 == 3 && p.chance(35) { // those whose work it is
		for i := range 1 + p.random.IntN(4) {
			c.record(p, t.Add(time.Duration(60+i*3)*time.Minute), event.Delete, "deleted", "voucher")
		}
	}
	if c.day.closing && p.chance(40) {
		for i := range 1 + p.random.IntN(3) {
			c.record(p, t.Add(time.Duration(100+i*4)*time.Minute), event.Export, "exported", "transaction")
		}
	}
	if p == c.manager && c.cleanUpDay() {
		for i := range 60 { // by hand, one after the other
			c.record(p, t.Add(2*time.Hour+time.Duration(i*16+p.random.IntN(8))*time.Second), event.Delete, "deleted", "voucher")
		}
	}
}

// cleanUpDay is the first working day from the tenth of the month on.
func (c *Company) cleanUpDay() bool {
	tenth := c.day.date.AddDate(0, 0, 10-c.day.date.Day())
	for tenth.Weekday() == time.Saturday || tenth.Weekday() == time.Sunday {
		tenth = tenth.AddDate(0, 0, 1)
	}
	return tenth.Equal(c.day.date)
}

// machineWork is a developer's: keys at the machines, and sudo where the person is an administrator.
func (c *Company) machineWork(p *person, t time.Time, s spot) {
	host := []string{"dev01", "dev02", "web01", "db01"}[p.number%4]
	for range 1 + p.random.IntN(4) {
		t = t.Add(p.minutes(5, 120))
		if p.chance(3) {
			c.ssh(p.name, host, t.Add(-20*time.Second), s, event.Failure, "password")
		}
		c.ssh(p.name, host, t, s, event.Success, "publickey")
		if p.admin && p.chance(50) {
			c.sudo(p.name, host, t.Add(p.minutes(1, 20)), []string{"/usr/bin/systemctl restart nginx", "/usr/bin/apt-get upgrade", "/usr/bin/journalctl -u nginx", "/usr/bin/tail /var/log/nginx/error.log"}[p.random.IntN(4)])
		}
	}
}

func (c *Company) ssh(user, host string, t time.Time, s spot, o event.Outcome, method string) *event.Event {
	ev := s.from(c.add(t, "linux.auth", event.Login, o, "sshd.accepted"))
	ev.UserAgent = event.UserAgent{}
	ev.User.Name, ev.Host.Name, ev.Realm, ev.Session.Protocol = user, host, host, "ssh"
	c.sessions++
	ev.Process.Name, ev.Process.PID, ev.Source.Port = "sshd", event.LongOf(int64(1000+c.sessions%60000)), event.LongOf(int64(40000+c.sessions%20000))
	ev.Label("auth_method", method)
	ev.Message = "Accepted " + method + " for " + user + " from " + s.ip
	if o == event.Failure {
		ev.Code, ev.Reason, ev.Message = "sshd.failed", "bad password", "Failed "+method+" for "+user+" from "+s.ip
	}
	return ev
}

func (c *Company) sudo(user, host string, t time.Time, command string) {
	ev := c.add(t, "linux.auth", event.CommandRun, event.Success, "sudo.command")
	ev.User.Name, ev.Host.Name, ev.Realm = user, host, host
	ev.NeedUserEffective().Name = "root"
	ev.Process.Name, ev.Process.CommandLine, ev.Process.WorkingDirectory = "sudo", command, "/home/"+user
	ev.Message = user + " : TTY=pts/0 ; PWD=/home/" + user + " ; USER=root ; COMMAND=" + command
}
