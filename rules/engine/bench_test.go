package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/library"
	"github.com/gatebook/gatebook/rules/simulate"
)

// benchEvents are a week of the simulated company, which is heard again and again, each time a week later.
func benchEvents(b *testing.B) []*event.Event {
	b.Helper()
	return slices.Collect(simulate.New(1, simulate.Options{Days: 7}).Events())
}

func benchSet(b *testing.B, sources ...rules.Source) *rules.Set {
	b.Helper()
	set := rules.Load(rules.LoadOptions{}, sources...)
	if len(set.Problems) > 0 {
		b.Fatalf("load the rules:\n%v", set.Problems)
	}
	return set
}

func librarySources() (sources []rules.Source) {
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: "library/" + f.Name, Text: f.Text, Library: true})
	}
	return sources
}

// benchmarkRules adds events to an engine that knows them since two weeks.
func benchmarkRules(b *testing.B, set *rules.Set, events []*event.Event) {
	alerts := 0
	e, err := engine.New(engine.Options{Rules: set, Installation: "bench", Alert: func(*engine.Alert) { alerts++ }})
	if err != nil {
		b.Fatal(err)
	}
	sequence := 0
	add := func() {
		ev := events[sequence%len(events)]
		if sequence >= len(events) {
			ev.Time += event.Time(7 * 24 * time.Hour)
		}
		sequence++
		e.AddOwn(ev, "bench", uint64(sequence))
	}
	for range 2 * len(events) {
		add()
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := testkit.CPU(b, func() {
		for range b.N {
			add()
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/cpu.Seconds(), "events/cpu-s")
	taken := uint64(0)
	for _, r := range e.RuleStats() {
		taken += r.Events
	}
	b.ReportMetric(float64(taken)/float64(e.Stats().Events), "taken/event") // by how many rules
}

// BenchmarkLibrary is the shipped rules over what a company does; 500,000 events/s on one core are the aim.
func BenchmarkLibrary(b *testing.B) {
	benchmarkRules(b, benchSet(b, librarySources()...), benchEvents(b))
}

// BenchmarkRules is rules of a site in growing number: most of them look for something definite, as rules do, and few of them at what is frequent.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			set := benchSet(b, rules.Source{Name: "site.hcl", Text: []byte(siteRules(n))})
			if len(set.Rules) != n {
				b.Fatalf("%d rules", len(set.Rules))
			}
			benchmarkRules(b, set, benchEvents(b))
		})
	}
}

// siteRules writes n rules. Of a hundred, three are about all failed logins, whatever n, at most nine in all; the others about a type of event, a user, an application, a
// host or a command.
func siteRules(n int) string {
	var b strings.Builder
	datasets := []string{"auth_service.event", "payment_portal.login", "activity_log.activity", "user_activity.event", "keycloak.event", "linux.auth"}
	actions := []string{"delete", "export", "role-grant", "mfa-disable", "password-reset", "account-lock", "config-change", "user-delete"}
	for i := range n {
		var when string
		fire := "count() >= 5"
		switch {
		case i%10 == 3 && i < 30:
			when, fire = `event.action == "login" && event.outcome == "failure"`, fmt.Sprintf("count() >= %d", 20+i)
		case i%10 < 3:
			when = fmt.Sprintf(`event.code == "CUSTOM_%d"`, i)
		case i%10 == 3:
			when = fmt.Sprintf(`event.dataset == %q && event.action == %q && gatebook.target.name == "resource %d"`, datasets[i%len(datasets)], actions[i%len(actions)], i)
		case i%10 < 6:
			when, fire = fmt.Sprintf(`event.action == "login" && user.name == "account%d"`, i), `distinct(source.ip) >= 3`
		case i%10 == 6:
			when = fmt.Sprintf(`event.action == "login" && contains(["first%d", "second%d", "third%d"], user.name)`, i, i, i)
		case i%10 == 7:
			when = fmt.Sprintf(`event.outcome == "failure" && source.ip == "203.0.113.%d"`, i%250)
		case i%10 == 8:
			when = fmt.Sprintf(`host.name == "host%d" && matches(process.command_line, "(?i)curl .*%d")`, i, i)
		default:
			fmt.Fprintf(&b, "rule \"site.r%d\" {\n  severity = \"low\"\n  by = [gatebook.user.key]\n  sequence {\n    within = \"1h\"\n    step \"a\" { when = event.code == \"FIRST_%d\" }\n    step \"b\" { when = event.code == \"SECOND_%d\" }\n  }\n}\n", i, i, i)
			continue
		}
		fmt.Fprintf(&b, "rule \"site.r%d\" {\n  severity = \"low\"\n  when = %s\n  by = [[gatebook.user.key], [source.ip]]\n  window = \"15m\"\n  fire = %s\n}\n", i, when, fire)
	}
	return b.String()
}
