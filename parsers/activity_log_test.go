package parsers

import (
	"fmt"
	"testing"

	"github.com/gatebook/gatebook/event"
)

// auto knows these lines as this parser's and leaves those of others alone.
func TestActivityLogLooks(t *testing.T) {
	f := func(want bool, lines ...string) {
		t.Helper()
		for _, l := range lines {
			if got := looksLikeActivityLog(l); got != want {
				t.Errorf("%s: %v", l, got)
			}
		}
	}
	f(true, `{"id":1,"log_name":"cards","description":"updated","properties":[]}`, `{"event":"updated","causerType":"X","subjectType":"Y"}`,
		`{"Description":"x","User":"bob","User Type":"Admin","Subject":"Gold","Event Type":"Updated"}`, "Description,User,User Type,Subject,Event Type",
		`1,cards,updated,App\Models\Card,updated,9,App\Models\Admin,1,{},NULL,2026-01-10 10:00:00,2026-01-10 10:00:00`)
	f(false, "", "{", `{"`, `{"log_name":"x"}`, `{"event":"login","user":"bob","description":"x"}`, `{"eventType":"login","actor":"bob","subject":"x","description":"y"}`,
		"Date/Time,User,Event,Status,IP Address,Details", "time,user,entry,status,ip", "1,2,3,4,5,6,7,8,9,10,11,12")
}

// The names of classes, logs and screens are one kind.
func TestModelOf(t *testing.T) {
	f := func(kind, category string, names ...string) {
		t.Helper()
		for _, n := range names {
			if m := modelOf(n); m.kind != kind || m.category != category {
				t.Errorf("%q: %q in %q", n, m.kind, m.category)
			}
		}
	}
	f("stamp_card", "stamp_cards", `App\Models\StampCard`, "stamp_cards", "Stamp Cards", "stampCard", "stamp-card")
	f("staff", "staff", `App\Models\Staff`, "Staff Members", "employee")
	f("tier_level", "tier_level", `App\Models\TierLevel`, "tier level", "Tier-Level")
	f("", "", "", `\`)
}

// Values of changes that are no objects stay text.
func TestPairedChanges(t *testing.T) {
	f := func(list, before, after string, ok bool) {
		t.Helper()
		b, a, got := pairedChanges(list)
		if b != before || a != after || got != ok {
			t.Errorf("%s: %s %s %v", list, b, a, got)
		}
	}
	f(`{"name":{"old":"a","new":"b"},"x":{"new":1}}`, `{"name":"a"}`, `{"name":"b","x":1}`, true)
	f(`{"attributes":{"name":"b"},"old":{"name":"a"}}`, `{"name":"a"}`, `{"name":"b"}`, true)
	f(`[{"field":"name","old":"a","new":"b","label":"Name"}]`, `{"name":"a"}`, `{"name":"b"}`, true)
	f(`{"old":"a","new":"b"}`, "", "", false)
	f(`{"name":"a"}`, "", "", false)
	f(`[{"old":"a"}]`, "", "", false)
	f(`[1]`, "", "", false)
	f(`[]`, "", "", false)
	f(`{}`, "", "", false)
}

func activityLogLines() []string {
	var lines []string
	for i := range 1000 {
		e := []string{"created", "updated", "deleted", "login", "updated"}[i%5]
		lines = append(lines, fmt.Sprintf(`{"id":%d,"log_name":"cards","description":"Jonas Weiss changed card Gold","event":%q,"subject_type":"App\\Models\\Card","subject_id":%d,`+
			`"causer_type":"App\\Models\\Staff","causer_id":11,"causer_name":"Jonas Weiss","properties":{"attributes":{"points_per_euro":2,"active":true},`+
			`"old":{"points_per_euro":1,"active":true}},"batch_uuid":null,"created_at":"2026-01-10T10:00:00.000000Z","ip_address":"203.0.113.%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}`,
			i, e, i, i%256))
	}
	return lines
}

func BenchmarkActivityLog(b *testing.B) { benchmarkParser(b, "", "activity_log", activityLogLines()) }

func BenchmarkActivityLogAuto(b *testing.B) { benchmarkParser(b, "", "auto", activityLogLines()) }

// An event that is about access never has changes; one that is about things never has the attempt's attributes.
func TestActivityLogAttributes(t *testing.T) {
	p, err := newActivityLog("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(name string, changed bool) {
		t.Helper()
		var ev event.Event
		if err := p.Parse(Line{Text: `{"log_name":"x","event":"` + name + `","properties":{"attributes":{"email":"a@example.com"}}}`}, &ev); err != nil {
			t.Fatal(err)
		}
		if changed != (ev.Changes != "") || changed == (len(ev.Labels) > 0) {
			t.Errorf("%s: changes %s, labels %v", name, ev.Changes, ev.Labels)
		}
	}
	f("login_failed", false)
	f("session.created", false)
	f("created", true)
	f("points_credited", true)
}
