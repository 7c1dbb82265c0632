package library_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// company makes the events of an ordinary month: 500 people in two towns, office hours, shared addresses of the offices, typos and forgotten passwords, phones, journeys by
// aeroplane, new devices, single sign-on into applications, second factors, a few administrators, jobs, mails, and the background of the internet at a bastion. Three
// weeks come before it, so that what learns has learned.
type company struct {
	random *rand.Rand
	events []*event.Event
	people []*employee
}

type employee struct {
	name         string
	office, home place
	ip           string // at home
	agent        device
	away         map[int]place // by day
	admin        bool
}

type place struct {
	country, region, office string
	network                 int64
	lat, lon                float64
}

type device struct{ name, system string }

var (
	berlin  = place{"DE", "DE-BE", "198.51.100.7", 64496, 52.52, 13.40}
	lisbon  = place{"PT", "PT-11", "198.51.100.8", 64497, 38.72, -9.14}
	abroad  = []place{{"CA", "CA-ON", "203.0.113.20", 64498, 43.65, -79.38}, {"KE", "KE-30", "203.0.113.21", 64499, -1.29, 36.82}, {"JP", "JP-27", "203.0.113.22", 64500, 34.69, 135.5}}
	devices = []device{{"Chrome", "Windows"}, {"Firefox", "Windows"}, {"Safari", "macOS"}, {"Chrome", "macOS"}, {"Edge", "Windows"}}
	phones  = []device{{"Safari", "iOS"}, {"Chrome", "Android"}}
)

const (
	companyPeople = 500
	companyWeeks  = 7 // the last four are the month
)

var companyStart = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

func (c *company) chance(percent float64) bool { return c.random.Float64()*100 < percent }

func (c *company) add(t time.Time, a event.Action, o event.Outcome, dataset string) *event.Event {
	ev := &event.Event{Time: event.TimeOf(t), Action: a, Outcome: o, Dataset: "gatebook." + dataset}
	c.events = append(c.events, ev)
	return ev
}

func (c *company) of(p *employee, t time.Time, a event.Action, o event.Outcome, at place, ip string, d device) *event.Event {
	ev := c.add(t, a, o, "auth_service.event")
	ev.User.Name, ev.UserKey = p.name, "example/"+p.name
	ev.Source.IP = ip
	ev.Source.Geo.CountryISO, ev.Source.Geo.RegionISO, ev.Source.AS.Number = at.country, at.region, event.LongOf(at.network)
	ev.Source.Geo.Location, ev.Accuracy = event.GeoPoint{Lat: at.lat, Lon: at.lon, Valid: true}, event.LongOf(20)
	ev.UserAgent.Original, ev.UserAgent.Name, ev.UserAgent.OSName = "Mozilla/5.0 "+d.name, d.name, d.system
	if p.admin {
		ev.Actor = "admin"
	}
	return ev
}

func (c *company) hire() {
	for i := range companyPeople {
		p := &employee{name: fmt.Sprintf("u%03d", i), office: berlin, ip: fmt.Sprintf("192.0.2.%d", i%250+1), agent: devices[c.random.IntN(len(devices))], away: map[int]place{}, admin: i < 6}
		if i%5 == 0 {
			p.office = lisbon
		}
		if i%4 == 0 {
			p.ip = fmt.Sprintf("2001:db8::%x", i)
		}
		p.home = p.office
		p.home.network += 100
		if c.chance(12) && !p.admin { // a journey of four days
			first := 16 + c.random.IntN(companyWeeks*7-22)
			for day := first; day < first+4; day++ {
				p.away[day] = abroad[i%len(abroad)]
			}
		}
		c.people = append(c.people, p)
	}
}

// login is an attempt or some, then a second factor, applications, and the end of the session.
func (c *company) login(p *employee, t time.Time, at place, ip string, d device) {
	wrong := 0
	switch {
	case c.chance(0.15):
		wrong = 4 + c.random.IntN(4) // forgotten
	case c.chance(8):
		wrong = 1 + c.random.IntN(2)
	}
	for i := range wrong {
		c.of(p, t.Add(time.Duration(i-wrong)*25*time.Second), event.Login, event.Failure, at, ip, d).Reason = "invalid credentials"
	}
	if wrong > 5 && c.chance(50) {
		c.of(p, t.Add(5*time.Second), event.AccountLock, event.Success, at, ip, d)
		c.of(p, t.Add(20*time.Minute), event.PasswordReset, event.Success, at, ip, d)
		t = t.Add(21 * time.Minute)
	}
	session := fmt.Sprintf("s%d", len(c.events))
	if c.chance(4) {
		c.of(p, t.Add(-15*time.Second), event.MFAVerify, event.Failure, at, ip, d).MFA.Used = event.True
	}
	c.of(p, t.Add(-20*time.Second), event.MFAChallenge, event.Unknown, at, ip, d).MFA.Used = event.True
	ev := c.of(p, t, event.Login, event.Success, at, ip, d)
	ev.MFA.Used, ev.Session.ID, ev.Client = event.True, session, &event.Named{Name: "Mail"}
	for range c.random.IntN(4) {
		use := c.of(p, t.Add(time.Duration(1+c.random.IntN(120))*time.Minute), event.TokenIssue, event.Success, at, ip, d)
		use.Client = &event.Named{Name: []string{"Mail", "Wiki", "Reports", "Tickets", "Travel"}[c.random.IntN(5)]}
	}
	if c.chance(70) {
		c.of(p, t.Add(time.Duration(60+c.random.IntN(180))*time.Minute), event.Logout, event.Success, at, ip, d).Session.ID = session
	}
}

// day is what one person does.
func (c *company) day(p *employee, day int, date time.Time) {
	at, ip := p.office, p.office.office
	if place, ok := p.away[day]; ok {
		at, ip = place, place.office
	} else if c.chance(30) {
		at, ip = p.home, p.ip
	}
	_, wasAway := p.away[day-1]
	_, isAway := p.away[day]
	if wasAway != isAway {
		return // in the aeroplane
	}
	morning := date.Add(7*time.Hour + time.Duration(c.random.NormFloat64()*2400+5400)*time.Second)
	c.login(p, morning, at, ip, p.agent)
	if c.chance(60) {
		c.login(p, morning.Add(4*time.Hour+time.Duration(c.random.IntN(7200))*time.Second), at, ip, p.agent)
	}
	if c.chance(25) {
		c.login(p, date.Add(18*time.Hour+time.Duration(c.random.IntN(10800))*time.Second), at, ip, phones[len(p.name)%2])
	}
	switch noon := date.Add(12*time.Hour + time.Duration(c.random.IntN(7200))*time.Second); {
	case c.chance(0.3): // a new computer
		p.agent = devices[c.random.IntN(len(devices))]
	case c.chance(0.1): // a new phone for codes
		c.of(p, noon, event.MFADisable, event.Success, at, ip, p.agent)
		c.of(p, noon.Add(15*time.Minute), event.MFAEnroll, event.Success, at, ip, p.agent)
	case c.chance(0.2):
		c.of(p, noon, event.PasswordChange, event.Success, at, ip, p.agent)
	case c.chance(3):
		for i := range 1 + c.random.IntN(6) {
			c.of(p, noon.Add(time.Duration(i)*3*time.Minute), event.Download, event.Success, at, ip, p.agent)
		}
	}
	if p.admin {
		c.administer(p, date)
	}
}

func (c *company) administer(p *employee, date time.Time) {
	ev := c.add(date.Add(10*time.Hour+time.Duration(c.random.IntN(18000))*time.Second), []event.Action{event.Update, event.UserUpdate, event.UserCreate, event.RoleGrant}[c.random.IntN(4)], event.Success, "auth_service.audit")
	ev.User.Name, ev.Actor, ev.UserTarget, ev.UserKey = p.name, "admin", &event.User{Name: "u100"}, "example/u100"
	ev.Target = event.Thing{Type: "Client", Name: "Portal"}
	sudo := c.add(date.Add(11*time.Hour+time.Duration(c.random.IntN(18000))*time.Second), event.CommandRun, event.Success, "linux.auth")
	sudo.User.Name, sudo.UserKey, sudo.UserEffective, sudo.Host.Name = p.name, "web01/"+p.name, &event.User{Name: "root"}, "web01"
	sudo.Process.CommandLine = "/usr/bin/systemctl restart nginx"
	if c.chance(15) { // members who leave
		for i := range 1 + c.random.IntN(6) {
			del := c.add(date.Add(14*time.Hour+time.Duration(i)*time.Minute), event.UserDelete, event.Success, "activity_log.activity")
			del.User.Name, del.Actor, del.Object = p.name, "staff", "members"
		}
	}
}

// machines is what goes on by itself.
func (c *company) machines(date time.Time) {
	for i, name := range []string{"audit log trim", "directory sync", "digest mails"} {
		at := date.Add(time.Duration(2+i) * time.Hour)
		run, end := c.add(at, event.JobRun, event.Unknown, "auth_service.job"), c.add(at.Add(4*time.Minute), event.JobRun, event.Success, "auth_service.job")
		id := fmt.Sprintf("j%d-%d", date.Unix(), i)
		run.Job, end.Job = &event.Job{ID: id, Name: name, Status: "running"}, &event.Job{ID: id, Name: name, Status: "success"}
		if i > 0 && c.chance(2) {
			end.Outcome, end.Job.Status = event.Failure, "failed"
		}
	}
	for i := range 400 { // names that everybody is asked for, and others
		ev := c.add(date.Add(time.Duration(c.random.IntN(86400))*time.Second), event.Login, event.Failure, "linux.auth")
		ev.User.Name = []string{"root", "admin", "test", "oracle", fmt.Sprintf("name%d", c.random.IntN(500))}[i%5]
		if ev.Reason = "bad password"; i%5 > 0 {
			ev.Reason = "invalid user"
		}
		ev.UserKey, ev.Host.Name, ev.Process.PID = "bastion/"+ev.User.Name, "bastion", event.LongOf(int64(1000+i))
		ev.Source.IP = fmt.Sprintf("203.0.113.%d", 30+c.random.IntN(200))
		ev.Source.Geo.CountryISO = "IS"
	}
	for range 40 {
		mail := c.add(date.Add(8*time.Hour+time.Duration(c.random.IntN(36000))*time.Second), event.NotificationSend, event.Success, "auth_service.notification")
		mail.Notification, mail.UserTarget = &event.Notification{Status: "sent", Category: "alert"}, &event.User{Email: "u@example.com"}
		if c.chance(3) {
			mail.Outcome, mail.Notification.Status = event.Failure, "bounced"
		}
	}
}

func makeCompany(seed uint64) []*event.Event {
	c := &company{random: rand.New(rand.NewPCG(seed, 5))}
	c.hire()
	for day := range companyWeeks * 7 {
		date := companyStart.AddDate(0, 0, day)
		c.machines(date)
		if day%7 >= 5 {
			continue
		}
		for _, p := range c.people {
			if c.chance(94) { // others are on holiday or ill
				c.day(p, day, date)
			}
		}
	}
	slices.SortStableFunc(c.events, func(a, b *event.Event) int { return cmp.Compare(a.Time, b.Time) })
	return c.events
}

// TestBenignMonth lets the library hear an ordinary company. Nothing may be high or critical, shadow or not, and what is medium has to be few enough to look at.
func TestBenignMonth(t *testing.T) {
	set := load(t)
	severity := map[string]rules.Severity{}
	for _, r := range set.Rules {
		severity[r.ID] = r.Severity
	}
	month := event.TimeOf(companyStart.AddDate(0, 0, (companyWeeks-4)*7))
	alerts := map[string]int{}
	e, err := engine.New(engine.Options{Rules: set, Installation: "benign", Alert: func(a *engine.Alert) {
		if severity[a.Rule.ID].Number() >= rules.High.Number() && a.State == engine.StateOpen {
			t.Errorf("%s: %s %v: %s", time.Unix(0, int64(a.First)).UTC().Format(time.DateTime), a.Rule.ID, a.Key, a.Title)
		}
		if a.State == engine.StateOpen && a.First >= month && !a.Shadow {
			alerts[a.Rule.ID]++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	events := makeCompany(1)
	for i, ev := range events {
		e.AddOwn(ev, "benign", uint64(i+1))
	}
	e.Finish(0)
	total := map[rules.Severity]int{}
	var lines []string
	for id, n := range alerts {
		total[severity[id]] += n
		lines = append(lines, fmt.Sprintf("%6d %-8s %s", n, severity[id], id))
	}
	slices.Sort(lines)
	t.Logf("%d events; in the month: %d low, %d medium\n%s", len(events), total[rules.Low], total[rules.Medium], strings.Join(lines, "\n"))
	if total[rules.Medium] > 150 || total[rules.Low] > 1500 {
		t.Errorf("%d medium and %d low alerts in a month without an attack are too many", total[rules.Medium], total[rules.Low])
	}
	if total[rules.Low] == 0 {
		t.Error("not even a forgotten password shows: nothing was detected at all")
	}
}
