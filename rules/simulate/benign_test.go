package simulate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/library"
	"github.com/gatebook/gatebook/rules/simulate"
)

// shipped is the library, and the lists as the company would fill them.
func shipped(t testing.TB, c *simulate.Company) *rules.Set {
	t.Helper()
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: "library/" + f.Name, Text: f.Text, Library: true})
	}
	var site strings.Builder
	list := func(name, kind string, values []string) {
		fmt.Fprintf(&site, "list %q {\n  kind = %q\n  values = [", name, kind)
		for _, v := range values {
			fmt.Fprintf(&site, "%q, ", v)
		}
		site.WriteString("]\n}\n")
	}
	list("admins", "exact", c.Admins())
	list("service_accounts", "exact", c.ServiceAccounts())
	list("office_networks", "cidr", c.Offices())
	sources = append(sources, rules.Source{Name: "rules.d/lists.hcl", Text: []byte(site.String())})
	set := rules.Load(rules.LoadOptions{Zone: simulate.Zone}, sources...)
	if len(set.Problems) > 0 {
		t.Fatalf("load the library:\n%v", set.Problems)
	}
	return set
}

// month runs the library over two months of learning and a month, and counts the alerts that open in the last one; high ones in all of them.
func month(t *testing.T, c *simulate.Company) (events int, open map[*rules.Rule][]engine.Alert) {
	t.Helper()
	open = map[*rules.Rule][]engine.Alert{}
	from := event.TimeOf(c.Start().AddDate(0, 0, 60))
	e, err := engine.New(engine.Options{Rules: shipped(t, c), Zone: simulate.Zone, Installation: "simulated", Alert: func(a *engine.Alert) {
		if a.State == engine.StateOpen && (a.First >= from || a.Rule.Severity.Number() >= rules.High.Number()) {
			open[a.Rule] = append(open[a.Rule], *a)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for ev := range c.Events() {
		events++
		e.AddOwn(ev, "simulated", uint64(events))
	}
	e.Finish(0)
	if s := e.Stats(); s.EvictedKeys > 0 || s.Late > 0 {
		t.Errorf("%d keys were evicted, %d events were late", s.EvictedKeys, s.Late)
	}
	return events, open
}

// TestBenignMonth lets the shipped rules hear a month in which nobody attacks: nothing is high or critical, and what is less is little enough to be looked at.
func TestBenignMonth(t *testing.T) {
	f := func(name string, seed uint64, o simulate.Options, low, medium int) {
		t.Helper()
		events, open := month(t, simulate.New(seed, o))
		var lines []string
		visible := map[rules.Severity]int{}
		for r, alerts := range open {
			shadow := 0
			for _, a := range alerts {
				if a.Shadow {
					shadow++
				}
				if r.Severity.Number() >= rules.High.Number() {
					t.Errorf("%s: %s alert of %s %v at %s: %s", name, r.Severity, r.ID, a.Key, a.First, a.Title)
				}
			}
			visible[r.Severity] += len(alerts) - shadow
			lines = append(lines, fmt.Sprintf("%4d %-8s %s, %d more in shadow; such as %s", len(alerts)-shadow, r.Severity, r.ID, shadow, alerts[0].Title))
		}
		slices.Sort(lines)
		slices.Reverse(lines)
		t.Logf("%s: %d events; alerts of the month: %d low, %d medium\n%s", name, events, visible[rules.Low], visible[rules.Medium], strings.Join(lines, "\n"))
		if visible[rules.Low] > low || visible[rules.Medium] > medium {
			t.Errorf("%s: %d low and %d medium alerts in a month without an attack, at most %d and %d were to be", name, visible[rules.Low], visible[rules.Medium], low, medium)
		}
		if visible[rules.Low] == 0 {
			t.Errorf("%s: nothing at all was detected", name)
		}
	}
	if testing.Short() {
		f("a small company", 1, simulate.Options{People: 60}, 30, 12)
		return
	}
	// Six a day, of which one is medium; most are journeys, told once for each source, new devices and hours of few. With a table of aliases they are fewer.
	f("accounts of each source", 1, simulate.Options{}, 165, 40)
	f("accounts joined", 2, simulate.Options{Aliases: true, People: 250}, 80, 25)
}
