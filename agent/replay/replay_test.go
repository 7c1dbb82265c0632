package replay_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/configs"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/library"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newEngine(t *testing.T, set *rules.Set, alert func(*engine.Alert)) *engine.Engine {
	t.Helper()
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	e, err := engine.New(engine.Options{Rules: set, Alert: alert})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func parsersOf(t *testing.T, year int) *parsers.Set {
	t.Helper()
	known, err := parsers.Build(nil, parsers.Options{Year: year})
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// Files are read side by side: the earliest next event goes first, a file's own order stays, and a line without a time stands with the one before it.
func TestFilesAreMergedByTime(t *testing.T) {
	line := func(second int) string {
		return fmt.Sprintf("{\"time\":\"2026-11-22T10:%02d:%02dZ\",\"message\":\"m\"}\n", second/60, second%60)
	}
	var even, odd strings.Builder
	even.WriteString("what is this\n") // has no time
	var want []string
	for i := range 2000 {
		if i%7 < 3 {
			even.WriteString(line(i))
		} else {
			odd.WriteString(line(i))
		}
		want = append(want, fmt.Sprintf("%02d:%02d", i/60, i%60))
	}
	even.WriteString(line(0)) // late, in its own file's order
	files := []string{write(t, odd.String()), write(t, even.String()), write(t, ""), write(t, line(2000))}
	want = append(slices.Insert(want, 1998, "00:00"), "33:20") // the last of its file by time is 1997
	e := newEngine(t, rules.Load(rules.LoadOptions{}), func(*engine.Alert) {})
	var got []string
	timeless := 0
	last := map[int]int64{}
	result, err := replay.Run(context.Background(), replay.Options{Parsers: parsersOf(t, 0), Engine: e, Event: func(ev *event.Event, id string) replay.Action {
		file, n, ok := replay.Place(id)
		if !ok || n != last[file]+1 {
			t.Fatalf("id %q after line %d of file %d", id, last[file], file)
		}
		last[file] = n
		if ev.Time == ev.Created {
			timeless++
			return replay.Skip
		}
		got = append(got, ev.Time.Std().Format("04:05"))
		return replay.Add
	}}, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%d events; the %d. is of %s, want %s", len(got), i+1, got[i], want[i])
			}
		}
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	if timeless != 1 || result.Lines != 2003 || result.Failed != 1 || result.First.Std().Format("04:05") != "00:00" || result.Last.Std().Format("04:05") != "33:20" {
		t.Errorf("%d lines without a time, %+v", timeless, result)
	}
	if s := e.Stats(); s.Events != 2002 {
		t.Errorf("the engine had %d events", s.Events)
	}
}

// Stop leaves out the event and all after it; who wants to add more says so.
func TestStopLeavesTheEngineOpen(t *testing.T) {
	log := write(t, strings.Repeat("{\"time\":\"2026-11-22T10:00:00Z\",\"message\":\"m\"}\n", 40_000))
	closed, told := 0, 0
	e := newEngine(t, rules.Load(rules.LoadOptions{}, rules.Source{Name: "r.hcl", Text: []byte("rule \"all\" {\n  when = exists(message)\n}\n")}), func(a *engine.Alert) {
		if a.State == engine.StateClose {
			closed++
		}
	})
	result, err := replay.Run(context.Background(), replay.Options{Parsers: parsersOf(t, 0), Engine: e, Unfinished: true, Progress: func(replay.Result) { told++ },
		Event: func(_ *event.Event, id string) replay.Action {
			if _, n, _ := replay.Place(id); n == 35_000 {
				return replay.Stop
			}
			return replay.Add
		}}, []string{log}, nil)
	if err != nil || result.Lines != 35_000 || e.Stats().Events != 34_999 || closed != 0 || told != 2 {
		t.Errorf("%v; %+v, the engine had %d events, %d alerts closed, progress was told %d times", err, result, e.Stats().Events, closed, told)
	}
	if e.Finish(0); closed != 1 {
		t.Errorf("%d alerts closed", closed)
	}
}

// foundInSamples are the alerts that the shipped rules find in the sample logs, which hold attacks and ordinary days; those in shadow are not among them.
var foundInSamples = map[string]int{
	"account.locked_at_second_factor": 1, "account.new_address_after_password_change": 1,
	"admin.after_hours": 7, "admin.audit_exported": 1, "admin.audit_touched": 1, "admin.change_after_hours": 3, "admin.guessed": 1,
	"admin.identity_provider_changed": 2, "admin.mfa_policy_weakened": 1, "admin.privilege_granted": 1, "admin.role_granted": 1,
	"admin.secret_changed":  1,
	"auth.account_attacked": 2, "auth.bruteforce": 27, "auth.bruteforce_slow": 2, "auth.bruteforce_success": 3, "auth.disabled_account": 2,
	"auth.failures_then_success": 1, "auth.ip_restriction": 1, "auth.new_device": 1, "auth.spraying": 4, "auth.stuffing": 2,
	"data.critical_delete": 1, "data.delete_after_hours": 1, "data.export_after_mfa_off": 1, "data.mass_delete": 1, "data.unusual_deleter": 1,
	"job.audit_trim_missing": 1, "job.failed": 2, "job.failing_repeatedly": 1,
	"linux.admin_group_member": 1, "linux.new_admin_user": 1,
	"mail.reset_failed": 2, "mail.reset_failed_after_request": 2,
	"mfa.disabled": 2, "mfa.fatigue": 1, "mfa.guessing": 1, "mfa.off_not_restored": 1,
	"session.ip_conflict": 1,
}

func TestSamples(t *testing.T) {
	var files []string
	names, err := fs.Glob(configs.Samples, "samples/*")
	if err != nil || len(names) < 10 {
		t.Fatal(err, names)
	}
	for _, name := range names {
		text, err := configs.Samples.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, write(t, string(text)))
	}
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: f.Name, Text: f.Text, Library: true})
	}
	found := map[string]int{}
	e := newEngine(t, rules.Load(rules.LoadOptions{}, sources...), func(a *engine.Alert) {
		if a.State != engine.StateClose || a.Merged || a.Shadow {
			return
		}
		found[a.Rule.ID]++
		for _, id := range a.Evidence {
			if file, line, ok := replay.Place(id); ok && (file < 0 || file >= len(files) || line < 1) {
				t.Errorf("%s: evidence %q", a.Rule.ID, id)
			}
		}
	})
	result, err := replay.Run(context.Background(), replay.Options{Parsers: parsersOf(t, 2026), Engine: e,
		Enrichers: []enrich.Enricher{enrich.NewUserAgent(), enrich.NewUserKey(nil)}}, files, nil)
	if err != nil || result.Failed > 0 {
		t.Fatalf("%v; %d lines that no parser knows", err, result.Failed)
	}
	if !maps.Equal(found, foundInSamples) {
		for _, id := range slices.Sorted(maps.Keys(found)) {
			t.Logf("%q: %d,", id, found[id])
		}
		for id, n := range foundInSamples {
			if found[id] != n {
				t.Errorf("%s: %d alerts, want %d", id, found[id], n)
			}
		}
		for id, n := range found {
			if _, ok := foundInSamples[id]; !ok {
				t.Errorf("%s: %d alerts, want none", id, n)
			}
		}
	}
}
