package simulate_test

import (
	"fmt"
	"hash/fnv"
	"iter"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/simulate"
)

// sum is a hash of what rules can see of all events.
func sum(events iter.Seq[*event.Event]) (n int, hash uint64) {
	h := fnv.New64a()
	for ev := range events {
		n++
		fmt.Fprintln(h, ev.Time, ev.Dataset, ev.Action, ev.Outcome, ev.Code, ev.Reason, ev.UserKey, ev.Source, ev.UserAgent, ev.Session.ID, ev.Message)
	}
	return n, h.Sum64()
}

func TestSameSeedSameEvents(t *testing.T) {
	o := simulate.Options{People: 60, Days: 14}
	n, first := sum(simulate.New(7, o).Events())
	if again, second := sum(simulate.New(7, o).Events()); again != n || first != second {
		t.Errorf("%d events with hash %x, then %d with %x", n, first, again, second)
	}
	if _, other := sum(simulate.New(8, o).Events()); other == first {
		t.Error("another seed gives the same events")
	}
}

// TestEvents holds each event against what is promised of all.
func TestEvents(t *testing.T) {
	c := simulate.New(3, simulate.Options{People: 120, Days: 40})
	documentation := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	begin, end := event.TimeOf(c.Start()), event.TimeOf(c.End())
	last := begin
	datasets, actions := map[string]int{}, map[event.Action]int{}
	failed, weekend := 0, 0
	for ev := range c.Events() {
		if ev.Time < last || ev.Time >= end {
			t.Fatalf("%s %s: after %s, before %s", ev.Time, ev.Message, last, end)
		}
		last = ev.Time
		datasets[ev.Dataset]++
		actions[ev.Action]++
		if ip := ev.Source.IP; ip != "" {
			a, err := netip.ParseAddr(ip)
			if err != nil || !slices.ContainsFunc(documentation, func(p netip.Prefix) bool { return p.Contains(a) }) || a.String() != ip {
				t.Fatalf("address %q", ip)
			}
			if !ev.Source.Geo.Location.Valid || ev.Source.Geo.CountryISO == "" || !ev.Source.AS.Number.Valid {
				t.Fatalf("%s has no place: %s", ip, ev.Message)
			}
		}
		if ev.Action == event.Login {
			if ev.UserKey == "" || ev.Source.IP == "" {
				t.Fatalf("nobody logs in: %+v", ev)
			}
			if ev.Outcome == event.Failure {
				failed++
			}
			if day := ev.Time.Std().Weekday(); day == time.Saturday || day == time.Sunday {
				weekend++
			}
		}
	}
	for _, name := range []string{"linux.auth", "payment_portal.login", "auth_service.event", "auth_service.job", "auth_service.notification", "auth_service.session", "auth_service.audit",
		"activity_log.activity", "user_activity.event", "keycloak.event", "nginx.access"} {
		if datasets["gatebook."+name] == 0 {
			t.Errorf("nothing of %s", name)
		}
	}
	if len(datasets) != 11 {
		t.Errorf("data sets are %v", datasets)
	}
	for _, a := range []event.Action{event.MFAChallenge, event.MFAVerify, event.MFADisable, event.MFAEnroll, event.PasswordChange, event.PasswordResetRequest, event.PasswordReset, event.AccountDisable, event.UserCreate,
		event.RoleGrant, event.SessionExpire, event.Delete, event.Export, event.Download, event.CommandRun, event.JobRun, event.NotificationSend, event.Request, event.AccountLock} {
		if actions[a] == 0 {
			t.Errorf("nothing of %s", a)
		}
	}
	if share := float64(failed) / float64(actions[event.Login]); share < 0.02 || share > 0.15 {
		t.Errorf("%.3f of the logins fail", share)
	}
	if share := float64(weekend) / float64(actions[event.Login]); share > 0.08 {
		t.Errorf("%.3f of the logins are on weekends, which are quiet", share)
	}
}

// TestStops shows that a reader may stop early.
func TestStops(t *testing.T) {
	c := simulate.New(3, simulate.Options{People: 20, Days: 3})
	n := 0
	for range simulate.Merge(c.Events(), c.Spraying(simulate.Attack{Start: c.Start()})) {
		if n++; n == 100 {
			break
		}
	}
	if n != 100 {
		t.Errorf("%d events", n)
	}
}

// TestAttacksAreFound puts each attack into the third week of a small company: the rule that is meant for it tells of it, and of nobody else.
func TestAttacksAreFound(t *testing.T) {
	f := func(rule string, key string, attack func(c *simulate.Company, a simulate.Attack) iter.Seq[*event.Event]) {
		t.Helper()
		c := simulate.New(5, simulate.Options{People: 80, Days: 21})
		var found []string
		e, err := engine.New(engine.Options{Rules: shipped(t, c), Zone: simulate.Zone, Alert: func(a *engine.Alert) {
			if a.State == engine.StateOpen && a.Rule.ID == rule {
				found = append(found, fmt.Sprint(a.Key))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		n, last := uint64(0), event.Time(0)
		for ev := range simulate.Merge(c.Events(), attack(c, simulate.Attack{Start: c.Start().AddDate(0, 0, 16).Add(3 * time.Hour), Seed: 9})) {
			if n++; ev.Time < last {
				t.Fatalf("%s after %s", ev.Time, last)
			}
			last = ev.Time
			e.AddOwn(ev, "simulated", n)
		}
		e.Finish(0)
		if !slices.Contains(found, key) || len(found) > 2 { // a journey of the night is another day to the slow one
			t.Errorf("%s told of %v, want %s", rule, found, key)
		}
	}
	user := "[example/ada.adler@example.com]"
	f("auth.bruteforce_slow", user, func(c *simulate.Company, a simulate.Attack) iter.Seq[*event.Event] { return c.SlowBruteForce(a, 0) })
	f("auth.distributed", user, func(c *simulate.Company, a simulate.Attack) iter.Seq[*event.Event] { return c.Distributed(a, 0) })
	f("auth.spraying", "[203.0.113.252]", func(c *simulate.Company, a simulate.Attack) iter.Seq[*event.Event] { return c.Spraying(a) })
	f("auth.stuffing", "[203.0.113.253]", func(c *simulate.Company, a simulate.Attack) iter.Seq[*event.Event] { return c.Stuffing(a) })
	f("auth.bruteforce_success", user, func(c *simulate.Company, a simulate.Attack) iter.Seq[*event.Event] {
		a.Enters = true
		return c.Distributed(a, 0)
	})
}
