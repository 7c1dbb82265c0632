package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

func load(t testing.TB, text string) *rules.Set {
	t.Helper()
	set := rules.Load(rules.LoadOptions{}, rules.Source{Name: "test.hcl", Text: []byte(text)})
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	return set
}

var start = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) event.Time { return event.TimeOf(start.Add(d)) }

func testID(n int) string { return fmt.Sprintf("%032x-%d", 1, n) }

// login is an attempt to log in, "+" in front of the user a successful one.
func login(d time.Duration, user, ip string) *event.Event {
	ev := &event.Event{Time: at(d), Action: event.Login, Outcome: event.Failure, Dataset: "gatebook.linux.auth"}
	if name, ok := strings.CutPrefix(user, "+"); ok {
		user, ev.Outcome = name, event.Success
	}
	ev.User.Name, ev.UserKey, ev.Source.IP = user, user, ip
	return ev
}

// recorder keeps what an engine tells, each record once, as the log does.
type recorder struct {
	told    map[string]bool
	records []string
	final   []string // alerts as they closed, by rule, key and time
	merged  int
}

func (r *recorder) alert(a *Alert) {
	if r.told == nil {
		r.told = map[string]bool{}
	}
	if r.told[a.EventID] {
		return
	}
	r.told[a.EventID] = true
	r.records = append(r.records, fmt.Sprintf("%s %s %s %v +%s hits %d count %d: %s", a.State, a.Rule.ID, a.By, a.Key, a.First.Std().Sub(start), a.Hits, a.Count, a.Title))
	switch {
	case a.Merged:
		r.merged++
	case a.State == StateClose:
		r.final = append(r.final, fmt.Sprintf("%s [%s] %v from +%s to +%s, %d hits, count %d, %s, on %s shadow %v", a.Rule.ID, a.By, a.Key, a.First.Std().Sub(start),
			a.Last.Std().Sub(start), a.Hits, a.Count, a.Title, evidence(a), a.Shadow))
	}
}

// evidence lists the ids; that of an alert depends on which of its hits was told first.
func evidence(a *Alert) string {
	list := slices.Clone(a.Evidence)
	for i, id := range list {
		if strings.HasPrefix(id, "alert-") {
			list[i] = "alert"
		}
	}
	return strings.Join(list, " ")
}

func (r *recorder) finals() []string {
	list := slices.Clone(r.final)
	slices.Sort(list)
	return list
}

func mustNew(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const bruteforce = `
define "failed" {
  when = event.action == "login" && event.outcome == "failure"
}
rule "auth.bruteforce" {
  title    = "${count()} failed logins for ${key}"
  when     = failed
  by       = [[user.name], [source.ip], [source.ip, user.name]]
  window   = "15m"
  fire     = count() >= 5
  quiet    = "1h"
}
`

func TestAlertsOpenAtOnceAndFoldRepeats(t *testing.T) {
	var r recorder
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert})
	for i := range 7 {
		if i == 5 && len(r.records) != 3 {
			t.Errorf("after the fifth: %q", r.records)
		}
		e.Add(login(time.Duration(i)*time.Minute, "bob", "203.0.113.9"), testID(i))
	}
	e.Finish(0)
	want := []string{
		"open auth.bruteforce user.name [bob] +4m0s hits 1 count 5: 5 failed logins for bob",
		"open auth.bruteforce source.ip [203.0.113.9] +4m0s hits 1 count 5: 5 failed logins for 203.0.113.9",
		"open auth.bruteforce source.ip, user.name [203.0.113.9 bob] +4m0s hits 1 count 5: 5 failed logins for 203.0.113.9, bob",
		"close auth.bruteforce user.name [bob] +4m0s hits 3 count 7: 7 failed logins for bob",
		"close auth.bruteforce source.ip [203.0.113.9] +4m0s hits 3 count 7: 7 failed logins for 203.0.113.9",
		"close auth.bruteforce source.ip, user.name [203.0.113.9 bob] +4m0s hits 3 count 7: 7 failed logins for 203.0.113.9, bob",
	}
	if diff := cmp.Diff(want, r.records); diff != "" {
		t.Error(diff)
	}
}

// Two alerts that a late event joins are one in the end.
func TestLateEventJoinsAlerts(t *testing.T) {
	text := `
rule "x" {
  when  = event.action == "login"
  by    = [user.name]
  quiet = "20s"
}`
	run := func(order ...time.Duration) *recorder {
		var r recorder
		e := mustNew(t, Options{Rules: load(t, text), Alert: r.alert})
		for _, d := range order {
			e.Add(login(d, "bob", "203.0.113.9"), testID(int(d/time.Second)))
		}
		e.Finish(0)
		return &r
	}
	late := run(0, 30*time.Second, 15*time.Second)
	if diff := cmp.Diff(run(0, 15*time.Second, 30*time.Second).finals(), late.finals()); diff != "" {
		t.Error(diff)
	}
	if late.merged != 1 {
		t.Errorf("%d alerts closed as merged, want 1: %q", late.merged, late.records)
	}
}

// An alert that goes on for a day is opened again.
func TestReopensAfterADay(t *testing.T) {
	var r recorder
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert})
	for i := range 5 * 26 {
		e.Add(login(time.Duration(i)*12*time.Minute/5, "bob", "203.0.113.9"), testID(i))
	}
	for i := range 26 * 60 {
		e.Add(login(24*time.Hour+time.Duration(i)*time.Minute, "eve", "203.0.113.8"), testID(1000+i))
	}
	e.Finish(0)
	opened := 0
	for _, s := range r.records {
		if strings.HasPrefix(s, "open auth.bruteforce user.name [eve]") {
			opened++
		}
	}
	if opened != 2 {
		t.Errorf("26 hours of hits opened %d alerts, want 2:\n%s", opened, strings.Join(r.records, "\n"))
	}
}

// What is in shadow, by mode or for the first days, is told as such.
func TestShadow(t *testing.T) {
	text := `
rule "young" {
  when       = event.action == "login"
  by         = [user.name]
  quiet      = "1m"
  shadow_for = "14d"
}`
	var got []bool
	e := mustNew(t, Options{Rules: load(t, text), Alert: func(a *Alert) {
		if a.State == StateOpen {
			got = append(got, a.Shadow)
		}
	}})
	for i, day := range []int{0, 13, 14, 20} {
		e.Add(login(time.Duration(day)*24*time.Hour, "bob", "203.0.113.9"), testID(i))
	}
	e.Finish(0)
	if diff := cmp.Diff([]bool{true, true, false, false}, got); diff != "" {
		t.Error(diff)
	}
}

// Rules over alerts see those of others, but for shadow ones.
func TestRulesOverAlerts(t *testing.T) {
	text := bruteforce + `
rule "quiet.one" {
  mode = "shadow"
  when = event.action == "login"
  by   = [user.name]
}
rule "many" {
  when   = event.kind == "alert" && rule.id == "auth.bruteforce" && gatebook.alert.by == "user.name"
  window = "1h"
  fire   = count() >= 2
}
rule "shadows" {
  when = event.kind == "alert" && rule.id == "quiet.one"
}`
	var r recorder
	e := mustNew(t, Options{Rules: load(t, text), Alert: r.alert})
	for i := range 10 {
		e.Add(login(time.Duration(i)*time.Second, []string{"bob", "eve"}[i%2], fmt.Sprintf("203.0.113.%d", i)), testID(i))
	}
	e.Finish(0)
	got := map[string]int{}
	for _, s := range r.final {
		got[strings.Fields(s)[0]]++
	}
	if diff := cmp.Diff(map[string]int{"auth.bruteforce": 2, "quiet.one": 2, "many": 1}, got); diff != "" {
		t.Error(diff, r.final)
	}
}

// A rule is over alerts however its condition says so.
func TestWaysOfAskingForAlerts(t *testing.T) {
	for _, kind := range []string{`event.kind == "alert"`, `event.kind != "event"`, `!(event.kind == "event")`, `startswith(event.kind, "al")`,
		`matches(event.kind, "^alert$")`, `contains(["alert"], event.kind)`, `contains(list.kinds, event.kind)`} {
		var r recorder
		e := mustNew(t, Options{Alert: r.alert, Rules: load(t, `
list "kinds" { values = ["alert"] }
rule "one" {
  when = event.action == "login"
}
rule "over" {
  when = `+kind+` && rule.id == "one"
}`)})
		e.Add(login(0, "bob", "203.0.113.9"), testID(0))
		e.Finish(0)
		if !slices.ContainsFunc(r.final, func(s string) bool { return strings.HasPrefix(s, "over ") }) {
			t.Errorf("%s: %q", kind, r.final)
		}
	}
}

// A reload keeps the state of rules whose meaning stays, and closes the alerts of those that go.
func TestReload(t *testing.T) {
	var r recorder
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert})
	for i := range 4 {
		e.Add(login(time.Duration(i)*time.Minute, "bob", "203.0.113.9"), testID(i))
	}
	renamed := strings.Replace(bruteforce, "failed logins for", "wrong passwords of", 1)
	if err := e.Reload(load(t, renamed)); err != nil {
		t.Fatal(err)
	}
	e.Add(login(4*time.Minute, "bob", "203.0.113.9"), testID(4))
	if len(r.records) != 3 || !strings.HasSuffix(r.records[0], "5 wrong passwords of bob") {
		t.Fatalf("after a reload: %q", r.records)
	}
	if err := e.Reload(load(t, strings.Replace(renamed, ">= 5", ">= 6", 1))); err != nil {
		t.Fatal(err)
	}
	closed := slices.DeleteFunc(slices.Clone(r.records), func(s string) bool { return !strings.HasPrefix(s, "close") })
	if len(closed) != 3 {
		t.Errorf("the rule is another now, and its alerts stay open: %q", r.records)
	}
	for i := 5; i < 11; i++ {
		e.Add(login(time.Duration(i)*time.Minute, "bob", "203.0.113.9"), testID(i))
	}
	if last := r.records[len(r.records)-1]; !strings.HasSuffix(last, "6 wrong passwords of 203.0.113.9, bob") {
		t.Errorf("another rule begins anew: %q", r.records)
	}
}

// An event of the far future takes the time of its arrival, and holds nothing up.
func TestEventAheadOfItsArrival(t *testing.T) {
	now := start
	var r recorder
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert, Now: func() time.Time { return now }})
	for i := range 5 {
		ev := login(time.Duration(i)*365*24*time.Hour, "bob", "203.0.113.9")
		ev.Created = at(time.Duration(i) * time.Minute)
		e.Add(ev, testID(i))
	}
	if len(r.records) != 3 || e.Stats().Ahead != 4 {
		t.Errorf("records %q, ahead %d", r.records, e.Stats().Ahead)
	}
}

// A source that is silent moves with the clock, so that deadlines pass and alerts close.
func TestSilentSource(t *testing.T) {
	now := start
	var r recorder
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert, Now: func() time.Time { return now }})
	for i := range 5 {
		ev := login(time.Duration(i)*time.Second, "bob", "203.0.113.9")
		ev.Created = ev.Time + 1
		e.Add(ev, testID(i))
	}
	for range 70 * 60 {
		now = now.Add(time.Second)
		e.Tick()
	}
	if len(r.final) != 3 {
		t.Errorf("an hour later: %q", r.records)
	}
}

// Lists of user names ignore case, as the field does.
func TestListOfUsersIgnoresCase(t *testing.T) {
	text := `
list "admins" {
  values = ["Bob"]
}
rule "x" {
  when = event.action == "login" && contains(list.admins, user.name)
  by   = [user.name]
}`
	var r recorder
	e := mustNew(t, Options{Rules: load(t, text), Alert: r.alert})
	for i, user := range []string{"bob", "BOB", "eve"} {
		e.Add(login(time.Duration(i)*2*time.Hour, user, "203.0.113.9"), testID(i))
	}
	e.Finish(0)
	if len(r.final) != 2 {
		t.Errorf("want two alerts: %q", r.records)
	}
}

// A line without a time, read long after it was written, makes nothing late.
func TestArrivalTimeMovesNothing(t *testing.T) {
	text := bruteforce + `
rule "stuffing" {
  when   = failed
  by     = [source.ip]
  window = "10m"
  fire   = count() >= 3 && ratio(failed) > 0.5
}`
	var r recorder
	e := mustNew(t, Options{Rules: load(t, text), Alert: r.alert})
	header := &event.Event{Time: at(1000 * time.Hour), Created: at(1000 * time.Hour), Tags: []string{"header"}}
	e.Add(header, testID(100))
	for i := range 4 {
		e.Add(login(time.Duration(i)*time.Minute, "bob", "203.0.113.9"), testID(i))
	}
	unknown := login(1000*time.Hour, "bob", "203.0.113.9")
	unknown.Created, unknown.Tags = at(1000*time.Hour), []string{tagArrivalTime}
	e.Add(unknown, testID(5))
	e.Finish(0)
	got := map[string]int{}
	for _, s := range r.final {
		got[strings.Fields(s)[0]]++
	}
	if diff := cmp.Diff(map[string]int{"auth.bruteforce": 3, "stuffing": 1}, got); diff != "" || e.Stats().Late != 0 {
		t.Error(diff, r.final, e.Stats().Late)
	}
}

// A snapshot of another version, or one that is damaged, is told, and the rules start anew.
func TestUnreadableSnapshot(t *testing.T) {
	var r recorder
	disk := NewMemoryDisk()
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert, Disk: disk})
	for i := range 4 {
		e.Add(login(time.Duration(i)*time.Minute, "bob", "203.0.113.9"), testID(i))
	}
	if err := e.Snapshot(4); err != nil {
		t.Fatal(err)
	}
	_, blobs, err := disk.Load()
	if err != nil {
		t.Fatal(err)
	}
	good := blobs[engineBlob]
	for name, blob := range map[string][]byte{"cut": good[:len(good)/2], "another version": append([]byte{99}, good[1:]...), "sound": good} {
		if err := disk.Commit(Commit{Cursor: 4, Blobs: map[string][]byte{engineBlob: blob}}); err != nil {
			t.Fatal(err)
		}
		var notices []string
		var told recorder
		e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: told.alert, Disk: disk, Tell: func(n Notice) { notices = append(notices, n.Kind) }})
		if name == "sound" {
			e.Add(login(4*time.Minute, "bob", "203.0.113.9"), testID(4))
			if len(told.records) != 3 || notices != nil {
				t.Errorf("sound: %q %q", told.records, notices)
			}
			continue
		}
		for i := 10; i < 15; i++ {
			e.Add(login(time.Duration(i)*time.Minute, "eve", "203.0.113.8"), testID(i))
		}
		if len(told.records) != 3 || !slices.Equal(notices, []string{"state-unreadable"}) {
			t.Errorf("%s: %q %q", name, told.records, notices)
		}
	}
}

// A flood of keys never passes the budget, is told of, and hides no slow attack.
func TestFloodStaysWithinTheBudget(t *testing.T) {
	const budget = 4 << 20
	keys := 400_000
	if testing.Short() {
		keys = 120_000
	}
	var r recorder
	evicted := int64(0)
	e := mustNew(t, Options{Rules: load(t, bruteforce), Alert: r.alert, Budget: budget, Tell: func(n Notice) {
		if n.Kind == "state-evicted" {
			evicted += n.Count
		}
	}})
	most := int64(0)
	for i := range keys {
		d := time.Duration(i) * 14 * time.Minute / time.Duration(keys)
		e.Add(login(d, fmt.Sprintf("u%d", i), fmt.Sprintf("2001:db8::%x:%x", i>>16, i&0xffff)), testID(2*i))
		if i%(keys/10) == keys/20 { // ten in all
			e.Add(login(d, "victim", "203.0.113.9"), testID(2*i+1))
		}
		most = max(most, e.bytes())
	}
	e.Finish(0)
	if most > budget {
		t.Errorf("the state took %d bytes, the budget is %d", most, budget)
	}
	if evicted == 0 || e.Stats().EvictedKeys == 0 {
		t.Error("nothing was told of what was given up")
	}
	found := 0
	for _, s := range r.final {
		if strings.Contains(s, "victim") || strings.Contains(s, "[203.0.113.9]") {
			found++
		}
	}
	if found != 3 || len(r.final) != 3 {
		t.Errorf("alerts: %q, want the three of the slow attack", r.final)
	}
}

// Explain says what each condition came to, what is missing, and what stopped a firing.
func TestExplain(t *testing.T) {
	text := `
rule "x" {
  title  = "${count()} failed"
  when   = event.action == "login" && event.outcome == "failure"
  by     = [user.name]
  window = "15m"
  fire   = count() >= 3
  except "lab" {
    when   = source.ip == "198.51.100.9"
    reason = "test"
  }
}
rule "ordered" {
  when   = event.action == "login"
  by     = [user.name]
  window = "15m"
  fire   = count() >= 2 && ratio(event.outcome == "failure") > 0.9
}`
	e := mustNew(t, Options{Rules: load(t, text), Alert: func(*Alert) {}})
	part := func(parts []Part, text string) string {
		for _, p := range parts {
			if p.Text == text {
				if p.True != nil {
					return fmt.Sprint(*p.True)
				}
				return p.Value
			}
		}
		return "no such part"
	}
	e.Add(login(0, "bob", "203.0.113.9"), testID(0))
	got := e.Explain("x", login(time.Minute, "bob", "203.0.113.9"), testID(1))
	g := got.Groups[0]
	if !got.Takes || g.Fired || part(g.Parts, "count()") != "2" || part(g.Parts, "count() >= 3") != "false" || len(g.Before) == 0 || g.After[0] == g.Before[0] {
		t.Errorf("the second: %+v", got)
	}
	if got := e.Explain("ordered", login(2*time.Minute, "bob", "203.0.113.9"), testID(2)); !got.Groups[0].Fired || part(got.Groups[0].Parts, `count() >= 2`) != "true" {
		t.Errorf("an ordered rule: %+v", got)
	}
	if got := e.Explain("x", login(3*time.Minute, "bob", "203.0.113.9"), testID(3)); !got.Groups[0].Fired || got.Groups[0].Title != "4 failed" {
		t.Errorf("the fourth: %+v", got)
	}
	if got := e.Explain("x", login(4*time.Minute, "+bob", "203.0.113.9"), testID(4)); got.Takes || part(got.Event, `event.outcome == "failure"`) != "false" {
		t.Errorf("a success: %+v", got)
	}
	if got := e.Explain("x", login(5*time.Minute, "bob", "198.51.100.9"), testID(5)); got.Takes || got.Excepted != "lab" {
		t.Errorf("an exception: %+v", got)
	}
	if got := e.Explain("x", login(6*time.Minute, "", "203.0.113.9"), testID(6)); !got.Groups[0].NoKey {
		t.Errorf("no key: %+v", got)
	}
}
