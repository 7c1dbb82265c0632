package replay_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/library"
)

// attempt is a failed login as the parser gives it.
type attempt struct {
	time   event.Time
	weight int64
	keys   map[string]string // by grouping of the rule, as it writes it
}

const (
	byUser    = "gatebook.user.key"
	byAddress = "source.ip"
	byBoth    = "source.ip, gatebook.user.key"
)

// reached are the keys of a grouping that had 5 failures within 15 minutes, by counting anew for each of them, and the time of each key's first.
func reached(attempts []attempt, grouping string) map[string]event.Time {
	found := map[string]event.Time{}
	for i, last := range attempts {
		key := last.keys[grouping]
		if key == "" || found[key] != 0 {
			continue
		}
		count := int64(0)
		for _, a := range attempts[:i+1] {
			if a.keys[grouping] == key && a.time > last.time-event.Time(15*time.Minute) {
				count += a.weight
			}
		}
		if count >= 5 {
			found[key] = last.time
		}
	}
	return found
}

// TestFailedLoginsOfOpenSSH runs the shipped rule for failed logins over a real log, through the real parser: it tells of the keys that had five
// failures within 15 minutes, of these at the fifth, and of no others. Lines that stand for several count as many.
func TestFailedLoginsOfOpenSSH(t *testing.T) {
	log := testkit.Shared(t, "corpora/loghub/OpenSSH/OpenSSH_2k.log")
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: "library/" + f.Name, Text: f.Text, Library: true})
	}
	set := rules.Load(rules.LoadOptions{}, sources...)
	if len(set.Problems) > 0 {
		t.Fatalf("load the library:\n%v", set.Problems)
	}
	const rule = "auth.bruteforce"
	got := map[string]map[string]event.Time{byUser: {}, byAddress: {}, byBoth: {}}
	open, merged := 0, 0
	e, err := engine.New(engine.Options{Rules: set, Alert: func(a *engine.Alert) {
		switch {
		case a.Rule.ID != rule:
		case a.Merged:
			merged++
		case a.State == engine.StateOpen:
			open++
			if got[a.By] == nil {
				t.Fatalf("grouping %q", a.By)
			}
			key := strings.Join(a.Key, " ")
			if first, had := got[a.By][key]; !had || a.First < first {
				got[a.By][key] = a.First
			}
			if a.Count < 5 || len(a.Evidence) == 0 {
				t.Errorf("%s %v stands on %d attempts, evidence %v", a.By, a.Key, a.Count, a.Evidence)
			}
			for _, id := range a.Evidence {
				if file, line, ok := replay.Place(id); !ok || file != 0 || line < 1 || line > 2000 {
					t.Errorf("evidence %q is line %d of file %d", id, line, file)
				}
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	known, err := parsers.Build(nil, parsers.Options{Year: 2025})
	if err != nil {
		t.Fatal(err)
	}
	var attempts []attempt
	lines, counted := 0, int64(0)
	result, err := replay.Run(context.Background(), replay.Options{Parsers: known, Parser: "linux_auth", Enrichers: []enrich.Enricher{enrich.NewUserKey(nil)}, Engine: e,
		Event: func(ev *event.Event, _ string) replay.Action {
			lines++
			if ev.Action != event.Login || ev.Outcome != event.Failure {
				return replay.Add
			}
			a := attempt{ev.Time, max(1, ev.Count.N), map[string]string{byUser: strings.Clone(ev.UserKey), byAddress: strings.Clone(ev.Source.IP)}}
			if ev.UserKey != "" && ev.Source.IP != "" {
				a.keys[byBoth] = ev.Source.IP + " " + ev.UserKey
			}
			counted += a.weight
			attempts = append(attempts, a)
			return replay.Add
		}}, []string{log}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lines != 2000 || result.Lines != 2000 || result.Failed != 0 || len(attempts) != 524 || counted != 532 {
		t.Errorf("%d lines, %d of them unknown; %d attempts that count %d", lines, result.Failed, len(attempts), counted)
	}
	for _, c := range []struct {
		grouping string
		keys     int
	}{{byAddress, 11}, {byUser, 2}, {byBoth, 11}} {
		want := reached(attempts, c.grouping)
		if len(want) != c.keys {
			t.Errorf("%s: counted by hand %d keys, want %d: %v", c.grouping, len(want), c.keys, slices.Sorted(maps.Keys(want)))
		}
		if !maps.Equal(got[c.grouping], want) {
			t.Errorf("%s: alerts of\n%v, want\n%v", c.grouping, got[c.grouping], want)
		}
	}
	t.Logf("%d alerts, %d of them merged, of %d failed logins", open, merged, counted)
}
