package simulate

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gatebook/gatebook/event"
)

// machines is what goes on by itself: jobs by night, deployments by day, mails.
func (c *Company) machines() {
	for i, job := range nightly {
		if job.weekly && c.day.date.Weekday() != time.Sunday {
			continue
		}
		start := c.day.date.Add(time.Duration(60+i*20)*time.Minute + time.Duration(c.random.IntN(120))*time.Second)
		c.job(start, job.name, job.kind, i > 0 && c.random.IntN(150) == 0)
	}
	for _, host := range []string{"web01", "db01", "dev01", "dev02"} {
		backup := spot{berlin, "192.0.2.30", berlin.network, 5, device{}}
		c.ssh("backup", host, c.day.date.Add(2*time.Hour+time.Duration(c.random.IntN(600))*time.Second), backup, event.Success, "publickey")
		c.sudo("backup", host, c.day.date.Add(2*time.Hour+11*time.Minute), "/usr/local/bin/dump")
		for hour := range 24 {
			ev := c.add(c.day.date.Add(time.Duration(hour)*time.Hour+17*time.Minute), "linux.auth", event.JobRun, event.Success, "cron.command")
			ev.User.Name, ev.Host.Name, ev.Realm, ev.Process.Name = "root", host, host, "CRON"
			ev.Process.CommandLine, ev.Message = "run-parts --report /etc/cron.hourly", "(root) CMD (run-parts --report /etc/cron.hourly)"
		}
	}
	c.expireVouchers()
	mails := 25
	if !c.day.weekend {
		mails = 90
		c.deploy()
	}
	for range mails {
		p := c.people[c.random.IntN(len(c.people))]
		t := c.day.date.Add(6*time.Hour + time.Duration(c.random.IntN(14*3600))*time.Second)
		c.mail(t, p.email, "digest", "What happened in your projects", c.random.IntN(70) == 0)
	}
}

var nightly = []struct {
	name, kind string
	weekly     bool
}{{"audit log trim", "cleanup", false}, {"directory sync", "sync", false}, {"expired sessions", "cleanup", false}, {"digest mails", "email", false}, {"user export", "export", true}}

// job is a run that begins and ends; one that failed runs again within the hour.
func (c *Company) job(start time.Time, name, kind string, fails bool) {
	row := func(t time.Time, o event.Outcome, status, id string) *event.Event {
		ev := c.add(t, "auth_service.job", event.JobRun, o, kind)
		ev.Job = &event.Job{ID: id, Name: name, Type: kind, Status: status}
		ev.Status.Name, ev.Start, ev.Message = status, event.TimeOf(start), "job \""+name+"\" "+status
		return ev
	}
	id := "j-" + strconv.Itoa(c.day.number) + "-" + name[:3]
	row(start, event.Unknown, "running", id)
	end := start.Add(time.Duration(1+c.random.IntN(14)) * time.Minute)
	if fails {
		row(end, event.Failure, "failed", id).Reason = "connection refused"
		c.job(end.Add(25*time.Minute), name, kind, false)
		return
	}
	row(end, event.Success, "success", id)
}

// expireVouchers is a program of the shop that deletes what has run out, each night.
func (c *Company) expireVouchers() {
	for i := range 20 + c.random.IntN(60) {
		ev := c.add(c.day.date.Add(3*time.Hour+time.Duration(i)*time.Second), "activity_log.activity", event.Delete, event.Success, "deleted")
		ev.User.Name, ev.Actor, ev.Object = "voucher expiry", "service", "vouchers"
		ev.Target = event.Thing{Type: "voucher", ID: fmt.Sprint(c.random.IntN(100000))}
		ev.Message = "voucher expiry deleted voucher " + ev.Target.ID
	}
}

// deploy is the program that builds and brings out: many logins in a row, from one address.
func (c *Company) deploy() {
	builder := spot{berlin, "192.0.2.29", berlin.network, 5, device{}}
	for range 3 + c.random.IntN(8) {
		t := c.local(berlin, 9*time.Hour+time.Duration(c.random.IntN(8*3600))*time.Second)
		for i := range 12 {
			c.ssh("deploy", []string{"web01", "web02", "db01"}[i%3], t.Add(time.Duration(i*3)*time.Second), builder, event.Success, "publickey")
		}
		c.sudo("deploy", "web01", t.Add(40*time.Second), "/usr/bin/systemctl restart shop")
	}
}

func (c *Company) mail(t time.Time, to, category, subject string, bounces bool) {
	ev := c.add(t, "auth_service.notification", event.NotificationSend, event.Success, category)
	ev.NeedUserTarget().Email = to
	mail := ev.NeedEmail()
	mail.Subject, mail.To = subject, []string{to}
	ev.Notification, ev.Object, ev.Status.Name = &event.Notification{Status: "sent", Category: category}, category, "sent"
	if bounces {
		ev.Outcome, ev.Reason, ev.Notification.Status, ev.Status.Name = event.Failure, "mailbox full", "bounced", "bounced"
	}
	ev.Message = "mail \"" + subject + "\" to " + to + " " + ev.Notification.Status
}

// kilometres is the distance of two places, by the haversine formula.
func kilometres(lat1, lon1, lat2, lon2 float64) float64 {
	rad := math.Pi / 180
	a := math.Pow(math.Sin((lat2-lat1)*rad/2), 2) + math.Cos(lat1*rad)*math.Cos(lat2*rad)*math.Pow(math.Sin((lon2-lon1)*rad/2), 2)
	return 2 * 6371 * math.Asin(math.Sqrt(a))
}
