package sessions

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

var day = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

// at is a time of that day: "9:30" or "9:30:05".
func at(text string) event.Time {
	if strings.Count(text, ":") == 1 {
		text += ":00"
	}
	t, err := time.Parse("2006-01-02 15:04:05", day.Format("2006-01-02 ")+fmt.Sprintf("%08s", text))
	if err != nil {
		panic(err)
	}
	return event.TimeOf(t)
}

type change func(*event.Event)

func made(when string, action event.Action, changes ...change) *event.Event {
	ev := &event.Event{Time: at(when), Action: action, Outcome: event.Success, Dataset: "gatebook.shop.login"}
	for _, c := range changes {
		c(ev)
	}
	return ev
}

func user(key string) change {
	return func(ev *event.Event) { ev.UserKey = key; _, ev.User.Name, _ = strings.Cut(key, "/") }
}
func from(ip string) change    { return func(ev *event.Event) { ev.Source.IP = ip } }
func session(id string) change { return func(ev *event.Event) { ev.Session.ID = id } }
func failed(ev *event.Event)   { ev.Outcome = event.Failure }
func status(name string) change {
	return func(ev *event.Event) { ev.Status.Name, ev.Reason = name, name }
}
func began(text string) change    { return func(ev *event.Event) { ev.Start = at(text) } }
func over(text string) change     { return func(ev *event.Event) { ev.End = at(text) } }
func entry(name string) change    { return func(ev *event.Event) { ev.Entry.Name = name } }
func state(text string) change    { return func(ev *event.Event) { ev.Session.Status = text } }
func protocol(text string) change { return func(ev *event.Event) { ev.Session.Protocol = text } }
func linux(pid int64) change {
	return func(ev *event.Event) {
		ev.Dataset, ev.Host.Name, ev.Process.PID = "gatebook.linux.auth", "web1", event.LongOf(pid)
	}
}

// table shows the sessions, oldest first.
func table(t *Tracker, now string) string {
	list := t.Sessions()
	slices.Reverse(list)
	var b strings.Builder
	clock := func(t event.Time) string {
		if t == 0 {
			return "-"
		}
		return strings.TrimSuffix(t.Std().Format("15:04:05"), ":00")
	}
	for _, s := range list {
		fmt.Fprintf(&b, "%s %s %s-%s %s", s.Key, dash(s.ID), clock(s.Started), clock(s.Ended), t.StatusAt(s, at(now)))
		if s.Address != "" {
			fmt.Fprintf(&b, " from %s", s.Address)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func TestSessions(t *testing.T) {
	f := func(name string, want string, events ...*event.Event) {
		t.Helper()
		tr := New(Options{})
		for _, ev := range events {
			tr.Add(ev)
		}
		if got := table(tr, "18:00"); got != want {
			t.Errorf("%s:\n%s want:\n%s", name, got, want)
		}
		for _, ev := range events { // the same again: nothing is told twice
			tr.Add(ev)
		}
		again := New(Options{})
		for _, ev := range events {
			again.Add(ev)
			again.Add(ev)
		}
		if got := table(again, "18:00"); got != want {
			t.Errorf("%s, every event twice:\n%s want:\n%s", name, got, want)
		}
	}
	ana, ip := user("shop/ana"), from("192.0.2.1")
	f("login and logout by id", "shop/ana s1 09:00-10:00 ended from 192.0.2.1\n",
		made("9:00", event.Login, ana, ip, session("s1")), made("10:00", event.Logout, ana, session("s1")))
	f("login without end", "shop/ana - 09:00-- active from 192.0.2.1\n", made("9:00", event.Login, ana, ip))
	f("a failure opens nothing", "", made("9:00", event.Login, ana, ip, failed))
	f("not heard of for long", "shop/ana - 05:00-- active, not heard of from 192.0.2.1\n", made("5:00", event.Login, ana, ip))
	f("an event keeps it alive", "shop/ana - 05:00-- active from 192.0.2.1\n",
		made("5:00", event.Login, ana, ip), made("7:00", event.Update, ana, ip))
	f("expired and revoked", "shop/ana s1 09:00-11:00 expired\nshop/ana s2 09:30-12:00 revoked\n",
		made("9:00", event.SessionStart, ana, session("s1")), made("9:30", event.SessionStart, ana, session("s2")),
		made("11:00", event.SessionExpire, session("s1")), made("12:00", event.SessionRevoke, session("s2")))
	f("a logout without id ends those from its address", "shop/ana - 09:00-10:00 ended from 192.0.2.1\nshop/ana - 09:10-- active from 192.0.2.2\n",
		made("9:00", event.Login, ana, ip), made("9:10", event.Login, ana, from("192.0.2.2")), made("10:00", event.Logout, ana, ip))
	f("a logout without id and address ends all", "shop/ana - 09:00-10:00 ended from 192.0.2.1\nshop/ana - 09:10-10:00 ended from 192.0.2.2\n",
		made("9:00", event.Login, ana, ip), made("9:10", event.Login, ana, from("192.0.2.2")), made("10:00", event.Logout, ana))
	f("a row that tells both ends", "shop/ana - 09:00-10:00 ended from 192.0.2.1\n",
		made("10:00", event.SessionEnd, ana, ip, began("9:00"), over("10:00"), status("Completed session")))
	f("an active row, then the completed one", "shop/ana - 09:00-10:00 ended from 192.0.2.1\n",
		made("9:00", event.Login, ana, ip, began("9:00"), status("Active")),
		made("10:00", event.SessionEnd, ana, ip, began("9:00"), over("10:00"), status("Completed session")))
	f("ended by a new login", "shop/ana - 09:00-09:20 ended by new login from 192.0.2.1\nshop/ana - 09:20-- active from 192.0.2.7\n",
		made("9:00", event.Login, ana, ip, began("9:00")), made("9:20", event.Login, ana, from("192.0.2.7"), began("9:20")),
		made("9:20", event.SessionEnd, ana, ip, began("9:00"), over("9:20"), status("Session ended by new login")))
	f("a login, then the row of its session", "shop/ana s1 09:00-- active from 192.0.2.1\n",
		made("9:00", event.Login, ana, ip), made("9:00:02", event.SessionStart, ana, session("s1")))
	f("two logins are not two halves", "shop/ana s1 09:00-- active from 192.0.2.1\nshop/ana s2 09:00:02-- active from 192.0.2.1\n",
		made("9:00", event.Login, ana, ip, session("s1")), made("9:00:02", event.Login, ana, ip, session("s2")))
	f("a state that comes late does not open it again", "shop/ana s1 09:00-10:00 revoked\n",
		made("9:00", event.SessionStart, ana, session("s1")), made("10:00", event.SessionRevoke, session("s1")),
		made("10:30", event.SessionStart, ana, session("s1"), began("9:00")))
	f("ids of another tenant are others", "a/ana 1 09:00-- active\nb/ana 1 09:01-10:00 ended\n",
		made("9:00", event.SessionStart, user("a/ana"), session("1"), tenant("a")), made("9:01", event.SessionStart, user("b/ana"), session("1"), tenant("b")),
		made("10:00", event.SessionEnd, session("1"), tenant("b")))

	root := user("web1/root")
	f("sshd, PAM and logind tell of one session", "web1/root 5 09:00-10:00 ended from 192.0.2.1\n",
		made("9:00", event.Login, root, ip, linux(100)), made("9:00", event.SessionStart, root, linux(100), protocol("ssh")),
		made("9:00:01", event.LoginDetail, root, linux(1), session("5"), state("active")),
		made("10:00", event.SessionEnd, root, linux(100), protocol("ssh")), made("10:00", event.LoginDetail, linux(1), session("5"), state("closed")))
	f("two processes from one address are two", "web1/root - 09:00-09:10 ended from 192.0.2.1\nweb1/root - 09:00:01-- active from 192.0.2.1\n",
		made("9:00", event.Login, root, ip, linux(100)), made("9:00:01", event.Login, root, ip, linux(101)),
		made("9:10", event.SessionEnd, root, linux(100), protocol("ssh")))
	f("cron and sudo are nobody's coming in", "",
		made("9:00", event.SessionStart, root, linux(100), protocol("cron")), made("9:01", event.SessionStart, root, linux(101), protocol("sudo")))
	f("a start of the system ends what ran there", "web1/root - 09:00-12:00 ended from 192.0.2.1\n",
		made("9:00", event.Login, root, ip, linux(100)), made("12:00", event.SystemStart, linux(1)))
}

func tenant(name string) change { return func(ev *event.Event) { ev.NeedOrganization().Name = name } }

func TestUsers(t *testing.T) {
	tr := New(Options{})
	ana, ip := user("shop/ana"), from("192.0.2.1")
	for _, ev := range []*event.Event{
		made("8:00", event.Login, ana, ip, failed, status("Invalid password"), entry("Membership login")),
		made("9:00", event.Login, ana, ip, status("Active"), entry("Membership login")),
		made("11:00", event.Logout, ana, ip),
		made("12:00", event.Login, ana, from("192.0.2.9"), status("Active"), entry("Mobile login")),
		made("12:30", event.Login, ana, from("203.0.113.9"), failed, status("Invalid password"), entry("Membership login")),
		made("12:31", event.Login, ana, from("203.0.113.9"), failed, status("Invalid password"), entry("Membership login")),
	} {
		tr.Add(ev)
	}
	u := tr.Find("ANA")[0]
	if u.LastLogin != at("12:00") || u.LastLogout != at("11:00") || u.LastFailure != at("12:31") || u.Entry != "Membership login" ||
		u.Status != "Invalid password" || u.Address != "192.0.2.9" || u.Logins != 5 || u.Failures != 3 || u.FailuresSince != 2 {
		t.Errorf("%+v", u)
	}
	if open := tr.LoggedIn("shop/ana", at("13:00")); len(open) != 1 || open[0].Address != "192.0.2.9" {
		t.Errorf("%+v", open)
	}
	if open := tr.LoggedIn("shop/ana", at("13:00")+event.Time(24*time.Hour)); len(open) != 0 {
		t.Errorf("a day later: %+v", open)
	}
	if h := tr.History("shop/ana"); len(h) != 2 || h[0].Entry != "Mobile login" || h[1].Ended != at("11:00") {
		t.Errorf("%+v", h)
	}
	// A logout by id alone, of a session that began with a name, is that user's.
	begin, over := made("14:00", event.Login, user("shop/bob"), ip, session("s9")), made("15:00", event.Logout, session("s9"))
	over.UserKey, over.User.ID = "shop/1007", "1007"
	tr.Add(begin)
	tr.Add(over)
	if u := tr.Find("bob")[0]; u.LastLogout != at("15:00") || u.ID != "1007" || len(tr.Users()) != 2 || tr.Find("1007")[0] != u {
		t.Errorf("%+v of %d users", u, len(tr.Users()))
	}
	if len(tr.Find("nobody")) != 0 || len(tr.History("nobody")) != 0 {
		t.Error("a user who was never there")
	}
}

// However events are mixed, the tracker stays within its bound and its indexes hold only sessions that it has.
func TestBoundedAndConsistent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tr := New(Options{MaxSessions: 100})
	actions := append(slices.Clone(Actions), event.Update)
	for i := range 20000 {
		ev := &event.Event{Time: at("9:00") + event.Time(i)*event.Time(time.Second), Action: actions[rng.IntN(len(actions))], Dataset: "gatebook.x.y"}
		ev.Outcome = []event.Outcome{event.Success, event.Success, event.Failure}[rng.IntN(3)]
		if rng.IntN(5) > 0 {
			ev.UserKey = fmt.Sprint("u", rng.IntN(30))
		}
		if rng.IntN(2) > 0 {
			ev.Session.ID = fmt.Sprint(rng.IntN(500))
		}
		if rng.IntN(2) > 0 {
			ev.Source.IP = fmt.Sprint("192.0.2.", rng.IntN(50))
		}
		if rng.IntN(4) == 0 {
			linux(rng.Int64N(50))(ev)
		}
		if rng.IntN(6) == 0 {
			ev.Start = ev.Time - event.Time(rng.IntN(3600))*event.Time(time.Second)
		}
		ev.Session.Status = []string{"", "active", "closed"}[rng.IntN(3)]
		tr.Add(ev)
		if len(tr.sessions) > 100 {
			t.Fatalf("%d sessions", len(tr.sessions))
		}
	}
	have := map[*Session]bool{}
	for _, s := range tr.sessions {
		have[s] = true
		if (s.Status == Active) != (s.Ended == 0) || s.Ended != 0 && s.Ended < s.Started {
			t.Errorf("%+v", s)
		}
	}
	for key, list := range tr.open {
		for _, s := range list {
			if !have[s] || s.Status != Active || s.Key != key {
				t.Errorf("open under %s: %+v", key, s)
			}
		}
	}
	for _, index := range []map[string]*Session{tr.byID, tr.byProcess, tr.byStart} {
		for key, s := range index {
			if !have[s] {
				t.Errorf("%s leads to a forgotten session", key)
			}
		}
	}
	if tr.Forgotten() == 0 {
		t.Error("nothing was forgotten: the test tells nothing")
	}
}
