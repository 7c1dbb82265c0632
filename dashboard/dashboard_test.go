package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

func TestAll(t *testing.T) {
	b, err := All()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"overview", "authentication", "audit", "users", "jobs", "portal", "geography", "alerts", "health"}
	panels := 0
	for i, p := range b.Pages {
		if i >= len(want) || p.ID != want[i] {
			t.Errorf("page %d is %s, want %q", i, p.ID, want)
		}
		if p.Panels[0].Kind != Links || len(p.Panels) < 8 || len(p.Searches) < 2 || p.About == "" {
			t.Errorf("page %s: %d panels, %d searches, about %q", p.ID, len(p.Panels), len(p.Searches), p.About)
		}
		controls := map[string]bool{}
		for _, c := range p.Controls {
			controls[c.Field.Name()] = true
		}
		if !controls["user.name"] || !controls["source.ip"] || p.ID != "alerts" && (!controls["event.dataset"] || !controls["event.outcome"]) {
			t.Errorf("page %s has controls %v", p.ID, p.Controls)
		}
		cells := map[[2]int]string{}
		for _, panel := range p.Panels {
			panels++
			for x := panel.Place.X; x < panel.Place.X+panel.Place.W; x++ {
				for y := panel.Place.Y; y < panel.Place.Y+panel.Place.H; y++ {
					if other := cells[[2]int{x, y}]; other != "" {
						t.Fatalf("page %s: panels %s and %s are both at %d, %d", p.ID, other, panel.ID, x, y)
					}
					cells[[2]int{x, y}] = panel.ID
				}
			}
			if len(panel.Columns) != len(panel.Ask.By)+len(panel.Ask.Figures) {
				t.Errorf("panel %s has %d titles", panel.ID, len(panel.Columns))
			}
		}
	}
	linked := map[string]bool{}
	for _, p := range b.Pages {
		for _, id := range p.Searches {
			linked[id] = true
		}
	}
	for _, s := range b.Searches {
		if !linked[s.ID] {
			t.Errorf("nothing leads to the search %s", s.ID)
		}
		if len(s.Columns) < 4 {
			t.Errorf("search %s has %d columns", s.ID, len(s.Columns))
		}
	}
	t.Logf("%d pages, %d panels, %d searches", len(b.Pages), panels, len(b.Searches))
}

// What is about events says so, or it would count alerts, which have users and addresses too.
func TestAlertsAreNotCountedAsEvents(t *testing.T) {
	b, err := All()
	if err != nil {
		t.Fatal(err)
	}
	ev := event.Event{Kind: event.KindAlert, Dataset: "gatebook.alert", Tags: []string{"login"}}
	ev.User.Name, ev.Source.IP, ev.UserKey = "u", "192.0.2.1", "h/u"
	ev.NeedAlert().State = "open"
	for _, p := range b.Pages {
		for _, panel := range p.Panels {
			if panel.Kind == Links || panel.Kind == Records || panel.ID == "health-gatebooks" {
				continue
			}
			got := panel.Ask.Where == nil || query.Compile(panel.Ask.Where)(&ev)
			if got && panel.View != Alerts {
				t.Errorf("panel %s counts alerts among events", panel.ID)
			}
			ev.Dataset = "gatebook.linux.auth"
			if panel.View == Alerts && query.Compile(panel.Ask.Where)(&ev) {
				t.Errorf("panel %s of alerts counts events", panel.ID)
			}
			ev.Dataset = "gatebook.alert"
		}
	}
}

func TestBetween(t *testing.T) {
	p := Panel{Ask: query.Aggregate{By: []query.Bucket{{}, {Kind: query.Dates}}}}
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	f := func(span, want time.Duration) {
		t.Helper()
		a := p.Between(from, from.Add(span))
		if a.By[1].Every != want || !a.From.Equal(from) || !a.To.Equal(from.Add(span)) || p.Ask.By[1].Every != 0 {
			t.Errorf("%s: %+v, want buckets of %s", span, a, want)
		}
	}
	f(15*time.Minute, 30*time.Second)
	f(24*time.Hour, 30*time.Minute)
	f(7*24*time.Hour, 3*time.Hour)
	f(30*24*time.Hour, 12*time.Hour)
	f(365*24*time.Hour, 7*24*time.Hour)
	f(12000*24*time.Hour, 200*24*time.Hour)
}

func TestMistakesOfTheDescription(t *testing.T) {
	f := func(want string, p page) {
		t.Helper()
		b := &Book{}
		made, err := p.build(b)
		if err == nil {
			b.Pages = []Page{made}
			err = b.check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	of := func(panels ...panel) page { return page{id: "p", title: "P", rows: []row{{5, panels}}} }
	f(`unknown field "user.nam"`, of(panel{width: 8, kind: Table, title: "T", by: []by{{field: "user.nam"}}}))
	f(`"time" is called`, of(panel{width: 8, kind: Table, title: "T", by: []by{{field: "time"}}}))
	f(`condition "event.action == \"logn\""`, of(panel{width: 8, kind: Metric, title: "T", where: `event.action == "logn"`}))
	f(`condition "event.action =="`, of(panel{width: 8, kind: Metric, title: "T", figures: []figure{{where: `event.action ==`}}}))
	f("from column 40 to 56 of 48", of(panel{width: 40, kind: Metric, title: "T"}, panel{width: 16, kind: Metric, title: "U"}))
	f("two have that id", of(panel{width: 8, kind: Metric, title: "T"}, panel{width: 8, kind: Metric, title: "T"}))
	f("cannot show 1 buckets", of(panel{width: 8, kind: Metric, title: "T", by: []by{{field: "user.name"}}}))
	f("innermost bucket", of(panel{width: 8, kind: Time, title: "T", by: []by{overTime, {field: "user.name"}}}))
	f(`no page "q"`, of(panel{width: 8, kind: Metric, title: "T", to: "q"}))
	f(`search "s"`, of(panel{width: 8, kind: Records, title: "T", search: "s"}))
	f(`no search "s"`, page{id: "p", searches: []string{"s"}})
}
