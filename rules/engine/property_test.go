package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// manyKinds has a rule of every kind that the language knows, with times short enough that an hour of events makes all of them fire.
const manyKinds = `
define "failed" {
  when = event.action == "login" && event.outcome == "failure"
}
define "ok" {
  when = event.action == "login" && event.outcome == "success"
}
list "ours" {
  values = ["198.51.100.0/25"]
}
rule "threshold" {
  title  = "${count()} failed logins for ${key}"
  when   = failed
  by     = [[user.name], [source.ip], [source.ip, user.name]]
  window = "2m"
  fire   = count() >= 5
}
rule "spray" {
  title  = "${distinct(user.name)} users from ${key}"
  when   = failed
  by     = [source.ip]
  window = "5m"
  fire   = distinct(user.name) >= 4
  quiet  = "20s"
}
rule "bytes" {
  when   = event.action == "download"
  by     = [user.name]
  window = "3m"
  fire   = sum(http.response.body.bytes) > 4000 || max(http.response.body.bytes) >= 990
  quiet  = "90s"
}
rule "each" {
  when  = event.action == "mfa-disable"
  by    = [user.name]
  quiet = "10s"
  except "ours" {
    when   = contains(list.ours, source.ip)
    reason = "our own"
  }
}
rule "stuffing" {
  when   = failed || ok
  by     = [source.ip]
  window = "4m"
  fire   = count() >= 6 && ratio(failed) > 0.7
  quiet  = "1m"
}
rule "rate" {
  when   = failed
  window = "2m"
  fire   = rate() > 9 || count() > 2 * min(source.port)
}
rule "new_address" {
  when = ok
  by   = [user.name]
  fire = first_seen(source.ip, "10m")
  learn {
    for        = "2m"
    min_events = 2
  }
}
rule "new_in_window" {
  when   = ok || failed
  by     = [user.name]
  window = "1m"
  fire   = count() >= 3 && first_seen(event.outcome, "6m")
  learn {
    for        = "1m"
    min_events = 1
  }
}
rule "rare" {
  when = ok
  by   = [user.name]
  fire = rarity(source.ip, "20d") < 0.15
  learn {
    for        = "1m"
    min_events = 4
  }
}
rule "travel" {
  when = ok
  by   = [user.name]
  fire = gap_km(prev) > 300 && speed_kmh(prev) > 900
  except "same" {
    when   = prev.source.ip == source.ip
    reason = "test"
  }
}
rule "dormant" {
  when = ok
  by   = [user.name]
  fire = since(prev) > duration("4m")
}
rule "failures_then_success" {
  by = [user.name]
  sequence {
    within = "5m"
    step "guess" {
      when  = failed
      times = 3
    }
    step "in" { when = ok && source.ip == guess.source.ip }
  }
}
rule "not_restored" {
  by = [user.name]
  sequence {
    within = "3m"
    step "off" { when = event.action == "mfa-disable" }
    without "back" { when = event.action == "mfa-enable" }
  }
}
rule "change_then_new" {
  by = [user.name]
  sequence {
    within = "8m"
    step "change" { when = event.action == "password-change" }
    without "undo" { when = event.action == "mfa-enable" }
    step "login" { when = ok && source.ip != change.source.ip && first_seen(source.ip, "5m") }
  }
  learn {
    for        = "1m"
    min_events = 1
  }
}
rule "concurrent" {
  by = [user.name]
  session {
    open  = ok
    close = event.action == "logout"
    idle  = "3m"
  }
  fire = active_distinct(source.ip) >= 3
}
rule "missing" {
  when         = event.action == "job-run"
  expect_every = "4m"
}
rule "meta" {
  when   = event.kind == "alert" && rule.id == "threshold" && gatebook.alert.by == "user.name"
  window = "10m"
  fire   = count() >= 2
}
`

// busyHour makes events of about an hour, in order, some at the same time.
func busyHour(seed uint64, n int) []*event.Event {
	r := rand.New(rand.NewPCG(seed, 1))
	places := []event.GeoPoint{{Lat: 59.3, Lon: 18, Valid: true}, {Lat: -23.5, Lon: -46.6, Valid: true}, {}}
	d := time.Duration(0)
	list := make([]*event.Event, n)
	for i := range list {
		if r.IntN(4) > 0 {
			d += time.Duration(r.ExpFloat64() * float64(time.Hour) / float64(n))
		}
		user := fmt.Sprintf("u%d", r.IntN(6))
		if r.IntN(3) == 0 {
			user = "+" + user
		}
		ev := login(d.Truncate(time.Second), user, fmt.Sprintf("198.51.100.%d", 120+r.IntN(12)))
		switch r.IntN(12) {
		case 0:
			ev.Action = event.MFADisable
		case 1:
			ev.Action = event.MFAEnable
		case 2:
			ev.Action = event.PasswordChange
		case 3:
			ev.Action = event.Logout
		case 4, 5:
			ev.Action = event.Download
			ev.NeedHTTP().ResponseBytes = event.LongOf(int64(r.IntN(1000)))
		case 6:
			if r.IntN(3) == 0 {
				ev.Action = event.JobRun
			}
		}
		ev.Source.Port = event.LongOf(int64(3 + r.IntN(50)))
		ev.Source.Geo.Location = places[int(ev.Source.IP[len(ev.Source.IP)-1])%len(places)]
		ev.Accuracy = event.LongOf(20)
		if r.IntN(20) == 0 {
			ev.Count = event.LongOf(3)
		}
		list[i] = ev
	}
	return list
}

type numbered struct {
	*event.Event
	id string
}

func inOrder(events []*event.Event) []numbered {
	list := make([]numbered, len(events))
	for i, ev := range events {
		list[i] = numbered{ev, testID(i)}
	}
	return list
}

// shuffled moves each event by less than the lateness of its source: its time of arrival is up to most later than its own.
func shuffled(r *rand.Rand, in []numbered, most time.Duration) []numbered {
	type arrival struct {
		numbered
		at event.Time
	}
	list := make([]arrival, len(in))
	for i, n := range in {
		list[i] = arrival{n, n.Time + event.Time(r.Int64N(int64(most)))}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return int(min(max(a.at-b.at, -1), 1)) })
	out := make([]numbered, len(in))
	for i, a := range list {
		out[i] = a.numbered
	}
	return out
}

// doubled has some events come a second time, before they are late.
func doubled(r *rand.Rand, in []numbered) []numbered {
	var out []numbered
	var latest event.Time
	for i := range in {
		out = append(out, in[i])
		latest = max(latest, in[i].Time)
		if again := in[max(0, i-r.IntN(3))]; r.IntN(3) == 0 && latest-again.Time < event.Time(29*time.Second) {
			out = append(out, again)
		}
	}
	return out
}

func finalsOf(t testing.TB, set *rules.Set, events []numbered) *recorder {
	var r recorder
	e := mustNew(t, Options{Rules: set, Alert: r.alert})
	for _, ev := range events {
		e.Add(ev.Event, ev.id)
	}
	e.Finish(0)
	return &r
}

// The alerts that close are a function of the events: not of their order within the lateness, nor of how often they come.
func TestFinalAlertsAreAFunctionOfTheEvents(t *testing.T) {
	set := load(t, manyKinds)
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	fired := map[string]int{}
	merged := 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 2))
		sorted := inOrder(busyHour(seed, 400))
		reference := finalsOf(t, set, sorted)
		for _, s := range reference.final {
			var id string
			fmt.Sscan(s, &id)
			fired[id]++
		}
		for name, events := range map[string][]numbered{
			"shuffled":              shuffled(r, sorted, 29*time.Second),
			"doubled":               doubled(r, sorted),
			"shuffled and doubled":  shuffled(r, doubled(r, sorted), 29*time.Second),
			"shuffled a little":     shuffled(r, sorted, 3*time.Second),
			"doubled after shuffle": doubled(r, shuffled(r, sorted, 20*time.Second)),
		} {
			got := finalsOf(t, set, events)
			merged += got.merged
			if diff := cmp.Diff(reference.finals(), got.finals()); diff != "" {
				t.Fatalf("seed %d, %s (-in order +%s):\n%s", seed, name, name, diff)
			}
		}
	}
	for _, r := range set.Rules {
		if fired[r.ID] == 0 {
			t.Errorf("rule %s never fired: the test says nothing of it", r.ID)
		}
	}
	t.Logf("alerts by rule: %v; %d merged", fired, merged)
}

// Killed at each of 1,000 points and started again from its last snapshot, the engine tells what it would have told, each record once.
func TestKilledAtEachOf1000Points(t *testing.T) {
	set := load(t, manyKinds)
	r := rand.New(rand.NewPCG(7, 3))
	events := shuffled(r, inOrder(busyHour(3, 1000)), 25*time.Second)
	reference := finalsOf(t, set, events)
	step := 1
	if testing.Short() {
		step = 25
	}
	for killed := 1; killed <= len(events); killed += step {
		var told recorder
		disk := NewMemoryDisk()
		e := mustNew(t, Options{Rules: set, Alert: told.alert, Disk: disk})
		cursor := max(0, killed-1-r.IntN(60))
		for i, ev := range events[:killed] {
			e.Add(ev.Event, ev.id)
			if i+1 == cursor || r.IntN(100) == 0 && i < cursor {
				if err := e.Snapshot(uint64(i + 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		e = mustNew(t, Options{Rules: set, Alert: told.alert, Disk: disk})
		for _, ev := range events[e.Cursor():] {
			e.Add(ev.Event, ev.id)
		}
		e.Finish(0)
		if diff := cmp.Diff(reference.records, told.records); diff != "" {
			t.Fatalf("killed after %d events, from the snapshot after %d (-never +killed):\n%s", killed, cursor, diff)
		}
	}
}
