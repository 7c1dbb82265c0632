package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

// Sequences, sessions and what is expected, as they are written: from the text to the alert.
const orderedRules = `
define "ok" {
  when = event.action == "login" && event.outcome == "success"
}
rule "off" {
  title = "off and not back: ${key}"
  by    = [user.name]
  sequence {
    within = "12h"
    step "off" { when = event.action == "mfa-disable" }
    without "back" { when = event.action == "mfa-enable" }
  }
}
rule "moved" {
  title = "from ${change.source.ip} to ${login.source.ip}"
  by    = [user.name]
  sequence {
    within = "24h"
    step "change" { when = event.action == "password-change" }
    step "login" { when = ok && source.ip != change.source.ip }
  }
}
rule "guessed" {
  title = "guessed: ${key}"
  sequence {
    within = "15m"
    step "failed" {
      when  = event.action == "login" && event.outcome == "failure"
      times = 3
      by    = [source.ip]
    }
    step "in" {
      when = ok
      by   = [source.ip]
    }
  }
}
rule "concurrent" {
  title = "two countries: ${key}"
  by    = [user.name]
  session {
    open  = ok
    close = event.action == "logout"
    id    = gatebook.session.id
    idle  = "30m"
  }
  fire = active_distinct(source.geo.country_iso_code) >= 2
}
rule "missing" {
  title        = "no logout by ${key}"
  when         = event.action == "logout"
  by           = [user.name]
  expect_every = "26h"
}
`

func TestOrderedRulesFromText(t *testing.T) {
	set := load(t, orderedRules)
	action := func(d time.Duration, a event.Action, user, ip, country string) *event.Event {
		ev := login(d, "+"+user, ip)
		ev.Action, ev.Source.Geo.CountryISO = a, country
		return ev
	}
	h, m := time.Hour, time.Minute
	for _, one := range []struct {
		name   string
		events []*event.Event
		want   []string
	}{
		{"absence", []*event.Event{action(0, event.MFADisable, "bob", "192.0.2.1", ""), action(h, event.MFADisable, "eve", "192.0.2.1", ""), action(12*h, event.MFAEnable, "eve", "192.0.2.1", "")},
			[]string{"off [bob] +12h0m0s off and not back: bob"}},
		{"reference", []*event.Event{action(0, event.PasswordChange, "bob", "192.0.2.1", ""), action(m, event.Login, "bob", "192.0.2.1", ""), action(2*m, event.Login, "bob", "192.0.2.2", "")},
			[]string{"moved [bob] +2m0s from 192.0.2.1 to 192.0.2.2"}},
		{"steps with their own by", []*event.Event{login(0, "a", "192.0.2.1"), login(m, "b", "192.0.2.1"), login(2*m, "c", "192.0.2.1"), login(3*m, "+d", "192.0.2.2"), login(4*m, "+d", "192.0.2.1")},
			[]string{"guessed [192.0.2.1] +4m0s guessed: 192.0.2.1"}},
		{"two places", []*event.Event{action(0, event.Login, "bob", "192.0.2.1", "SE"), action(30*m, event.Login, "bob", "192.0.2.2", "DE")},
			[]string{"concurrent [bob] +30m0s two countries: bob"}},
		{"idle before the second", []*event.Event{action(0, event.Login, "bob", "192.0.2.1", "SE"), action(31*m, event.Login, "bob", "192.0.2.2", "DE")}, nil},
		{"missing", []*event.Event{action(0, event.Logout, "bob", "192.0.2.1", ""), action(26*h, event.Logout, "bob", "192.0.2.1", "")},
			[]string{"missing [bob] +52h0m0s no logout by bob"}},
	} {
		for restart := range len(one.events) + 1 {
			var got []string
			disk := NewMemoryDisk()
			o := Options{Rules: set, Disk: disk, Alert: func(a *Alert) {
				if a.State == StateClose && (one.name == "missing" || a.Rule.ID != "missing") {
					got = append(got, a.Rule.ID+" ["+strings.Join(a.Key, ",")+"] +"+a.First.Std().Sub(start).String()+" "+a.Title)
				}
			}}
			e := mustNew(t, o)
			for i, ev := range one.events {
				if i == restart {
					if err := e.Snapshot(uint64(i)); err != nil {
						t.Fatal(err)
					}
					e = mustNew(t, o)
				}
				e.Add(ev, testID(i+1))
			}
			e.Finish(at(100 * h))
			if !slices.Equal(got, one.want) {
				t.Errorf("%s, stopped at %d: alerts %q, want %q", one.name, restart, got, one.want)
			}
		}
	}
}
