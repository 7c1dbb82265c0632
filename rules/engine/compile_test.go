package engine

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// Trees are made by hand here: what the language makes of texts is package rules' business.

func askNode(t testing.TB, src string) *rules.Match {
	t.Helper()
	x, diags := hclsyntax.ParseExpression([]byte(src), "q", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	e, diags := query.FromHCL(x)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return &rules.Match{Of: e}
}

func fieldOf(t testing.TB, from rules.From, name string) *rules.Field {
	t.Helper()
	f, err := query.FieldNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return &rules.Field{From: from, Field: f}
}

func ownField(t testing.TB, name string) *rules.Field  { return fieldOf(t, rules.FromEvent, name) }
func prevField(t testing.TB, name string) *rules.Field { return fieldOf(t, rules.FromPrev, name) }
func constNode(v rules.Value) *rules.Const             { return &rules.Const{Value: v} }
func andNode(of ...rules.Expr) rules.Expr              { return &rules.And{Of: of} }
func orNode(of ...rules.Expr) rules.Expr               { return &rules.Or{Of: of} }
func notNode(e rules.Expr) rules.Expr                  { return &rules.Not{Of: e} }

func noValue() rules.Expr { return constNode(nil) }

func compareNode(a rules.Expr, op query.Op, b rules.Expr) rules.Expr {
	return &rules.Compare{Op: op, Left: a, Right: b}
}

func callNode(name string, args ...rules.Expr) rules.Expr { return &rules.Call{Name: name, Args: args} }

func aggregateNode(kind rules.AggregateKind, terms ...rules.Expr) *rules.Aggregate {
	return &rules.Aggregate{Kind: kind, Terms: terms}
}

func failedNode(t testing.TB) rules.Expr {
	return &rules.Defined{Name: "failed", Of: andNode(askNode(t, `event.action == "login"`), askNode(t, `event.outcome == "failure"`))}
}

func compiledRule(t testing.TB, r *rules.Rule) *program {
	t.Helper()
	p, err := compile(r, compileOptions{Hash: newHasher("here"), Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// loginEvent is a failed login of Bob.
func failedLogin() *event.Event {
	e := &event.Event{Time: event.TimeOf(time.Date(2026, 11, 22, 10, 15, 32, 0, time.UTC)), Action: event.Login, Outcome: event.Failure,
		Dataset: "gatebook.linux.auth", UserKey: "web1\\bob", Accuracy: event.LongOf(50)}
	e.User.Name, e.User.Email, e.User.Roles = "Bob", "bob@Example.com", []string{"admin", "staff"}
	e.Source.IP, e.Source.Port, e.Host.Name = "2001:DB8:0::1", event.LongOf(22), "Web1.example.org"
	e.Source.AS.Number = event.LongOf(13335)
	e.Source.Geo.Location = event.GeoPoint{Lat: 59.3293, Lon: 18.0686, Valid: true} // Stockholm
	e.Label("shop", "north")
	e.Label("shop", "south")
	return e
}

func enteredItem(t testing.TB, p *program, ev *event.Event) *item {
	t.Helper()
	it := &item{time: ev.Time, bits: p.enter(ev)}
	if it.bits == 0 {
		t.Fatal("the event is nothing to the rule")
	}
	p.fill(ev, it)
	return it
}

func memoOfItem(it *item) *memo { return &memo{time: it.time, values: it.values} }

func TestEnter(t *testing.T) {
	p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t),
		Fire: andNode(askNode(t, `source.port == 22`), compareNode(aggregateNode(rules.Count), query.Ge, constNode(5.0))),
		Except: []*rules.Except{{Name: "scanner", When: askNode(t, `cidr(source.ip, "10.9.0.0/16")`)},
			{Name: "old", When: askNode(t, `user.name == "bob"`), Expires: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}}})
	f := func(name string, change func(*event.Event), entered, port bool) {
		t.Helper()
		ev := failedLogin()
		change(ev)
		bits := p.enter(ev)
		if (bits&p.when != 0) != entered || (bits != 0) != entered {
			t.Errorf("%s: entered is %v", name, !entered)
		}
		s := &scene{now: &item{bits: bits}, aggregate: func(int) value { return value{kind: number, number: 5} }}
		if entered && p.fire(s) != port {
			t.Errorf("%s: fires is %v", name, !port)
		}
	}
	f("as it is", func(*event.Event) {}, true, true)
	f("another port", func(ev *event.Event) { ev.Source.Port = event.LongOf(23) }, true, false)
	f("success", func(ev *event.Event) { ev.Outcome = event.Success }, false, false)
	f("an alert", func(ev *event.Event) { ev.Kind = event.KindAlert }, false, false)
	f("another action", func(ev *event.Event) { ev.Action = event.Logout }, false, false)
	f("the scanner", func(ev *event.Event) { ev.Source.IP = "10.9.1.1" }, false, false)
	if p.excepted != 1 || len(p.filters) != 1 || p.filters[0].name != "scanner" {
		t.Errorf("excepted %d by %v", p.excepted, p.filters)
	}

	alerts := compiledRule(t, &rules.Rule{ID: "a", When: askNode(t, `event.kind == "alert" && event.severity >= 73`)})
	ev := &event.Event{Kind: event.KindAlert, Severity: event.LongOf(73)}
	if alerts.enter(ev) == 0 {
		t.Error("a rule over alerts does not take them")
	}
}

func TestTooManyConditions(t *testing.T) {
	var parts []rules.Expr
	for i := range 70 {
		parts = append(parts, orNode(askNode(t, fmt.Sprintf(`source.port == %d`, i)), compareNode(aggregateNode(rules.Count), query.Ge, constNode(float64(i)))))
	}
	_, err := compile(&rules.Rule{ID: "r", When: failedNode(t), Fire: andNode(parts...)}, compileOptions{})
	if err == nil || !strings.Contains(err.Error(), "more than 64 different conditions") {
		t.Errorf("got %v", err)
	}
}

func TestKeys(t *testing.T) {
	term := func(e rules.Expr) []rules.Expr { return []rules.Expr{e} }
	p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), By: [][]rules.Expr{
		term(ownField(t, "user.name")), term(ownField(t, "source.ip")), {ownField(t, "source.as.number"), ownField(t, "host.name")}, term(ownField(t, "user.id")),
		term(callNode("domain_of", ownField(t, "user.email"))), term(ownField(t, "user.name"))}})
	if p.grouping != 6 {
		t.Fatalf("%d groupings", p.grouping)
	}
	ev := failedLogin()
	it := enteredItem(t, p, ev)
	want := []string{"bob", "2001:db8::1", "13335\x1fWeb1.example.org", "", "example.com", "bob"}
	for i, k := range it.keys {
		if k.text != want[i] || k.ok != (want[i] != "") || k.ok != (k.hash != hash{}) {
			t.Errorf("grouping %d: got %q, %v", i, k.text, k)
		}
	}
	if it.keys[0].hash == it.keys[5].hash {
		t.Error("two groupings have the same key")
	}
	ev.Source.IP = "::ffff:192.0.2.7"
	if k := enteredItem(t, p, ev).keys[1]; k.text != "192.0.2.7" {
		t.Errorf("got %q", k.text)
	}
	if k := enteredItem(t, compiledRule(t, &rules.Rule{ID: "r", Meaning: "other", When: failedNode(t), By: [][]rules.Expr{term(ownField(t, "user.name"))}}), ev).keys[0]; k.hash == it.keys[0].hash {
		t.Error("two rules have the same key")
	}
	if k := enteredItem(t, compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t)}), ev).keys; len(k) != 1 || !k[0].ok || k[0].text != "" || k[0].hash == (hash{}) {
		t.Errorf("without by: %v", k)
	}
}

// Nobody can write a user name that looks like two terms.
func TestKeysAreOneToOne(t *testing.T) {
	p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), By: [][]rules.Expr{{ownField(t, "user.id"), ownField(t, "host.name")}, {ownField(t, "user.id")}}})
	seen := map[string]string{}
	for _, pair := range [][2]string{{"a", "b\x1fc"}, {"a\x1fb", "c"}, {"a\x1e1b", "c"}, {"a\x1e", "1b\x1fc"}, {"a\x1e0b", "c"}, {"a\x1eb", "c"}} {
		ev := failedLogin()
		ev.User.ID, ev.Host.Name = pair[0], pair[1]
		it := enteredItem(t, p, ev)
		if other, ok := seen[it.keys[0].text]; ok {
			t.Errorf("%q and %q have the same key", pair, other)
		}
		seen[it.keys[0].text] = fmt.Sprintf("%q", pair)
		if strings.Count(it.keys[0].text, keySeparator) != 1 || strings.Contains(it.keys[1].text, keySeparator) {
			t.Errorf("%q: the separator stands in a term", pair)
		}
	}
}

// TestConditions holds conditions against an event, the one before it, and aggregates.
func TestConditions(t *testing.T) {
	n := func(f float64) rules.Expr { return constNode(f) }
	count, baseline := aggregateNode(rules.Count), &rules.Aggregate{Kind: rules.Baseline, Slot: "hour-of-week"}
	minus := func(a, b rules.Expr) rules.Expr { return &rules.Arith{Op: '-', Left: a, Right: b} }
	times := func(a, b rules.Expr) rules.Expr { return &rules.Arith{Op: '*', Left: a, Right: b} }
	before := failedLogin()
	before.Time -= event.Time(time.Hour)
	before.User.Name, before.Source.IP, before.Source.Port = "BOB", "2001:db8::1", event.Long{}
	before.Source.Geo.Location = event.GeoPoint{Lat: 48.8566, Lon: 2.3522, Valid: true} // Paris
	f := func(name string, e rules.Expr, want bool) {
		t.Helper()
		p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), Fire: andNode(e, orNode(askNode(t, "source.port == 22"), compareNode(count, query.Ge, n(0))))})
		now := enteredItem(t, p, failedLogin())
		s := &scene{now: now, prev: memoOfItem(enteredItem(t, p, before)), aggregate: func(i int) value {
			switch p.aggregates[i].kind {
			case rules.Count:
				return value{kind: number, number: 10}
			case rules.FirstSeen:
				return truth(true)
			}
			return value{}
		}}
		if got := p.fire(s); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	f("names fold", compareNode(ownField(t, "user.name"), query.Eq, prevField(t, "user.name")), true)
	f("names fold !=", compareNode(ownField(t, "user.name"), query.Ne, prevField(t, "user.name")), false)
	f("addresses in shortest form", compareNode(ownField(t, "source.ip"), query.Eq, prevField(t, "source.ip")), true)
	f("null ==", compareNode(ownField(t, "source.port"), query.Eq, prevField(t, "source.port")), false)
	f("null !=", compareNode(ownField(t, "source.port"), query.Ne, prevField(t, "source.port")), true)
	f("null <", compareNode(prevField(t, "source.port"), query.Lt, ownField(t, "source.port")), false)
	f("null + 1", compareNode(minus(prevField(t, "source.port"), n(1)), query.Ne, n(5)), true)
	f("== null", compareNode(prevField(t, "source.port"), query.Eq, noValue()), true)
	f("!= null", compareNode(prevField(t, "source.port"), query.Ne, noValue()), false)
	f("own == null", compareNode(minus(count, ownField(t, "source.port")), query.Eq, noValue()), false)
	f("count", compareNode(count, query.Ge, n(10)), true)
	f("count >", compareNode(count, query.Gt, n(10)), false)
	f("turned", compareNode(n(10), query.Le, count), true)
	f("baseline unknown", compareNode(count, query.Gt, times(n(3), baseline)), false)
	f("not of unknown", notNode(compareNode(count, query.Gt, times(n(3), baseline))), true)
	f("count and own number", compareNode(minus(ownField(t, "source.port"), count), query.Eq, n(12)), true)
	f("first seen", aggregateNode(rules.FirstSeen, ownField(t, "source.ip")), true)
	f("since", compareNode(aggregateNode(rules.Since), query.Eq, n(3600)), true)
	f("gap", andNode(compareNode(aggregateNode(rules.GapKM), query.Gt, n(1440)), compareNode(aggregateNode(rules.GapKM), query.Lt, n(1450))), true)
	f("speed", andNode(compareNode(aggregateNode(rules.SpeedKMH), query.Gt, n(1440)), compareNode(aggregateNode(rules.SpeedKMH), query.Lt, n(1450))), true)
	f("lower", compareNode(callNode("lower", prevField(t, "host.name")), query.Eq, callNode("lower", ownField(t, "host.name"))), true)
	f("coalesce", compareNode(callNode("coalesce", prevField(t, "source.port"), n(7)), query.Eq, n(7)), true)
	f("cidr of prev", callNode("cidr", prevField(t, "source.ip"), constNode("2001:db8::/32")), true)
	f("contains of prev", callNode("contains", prevField(t, "host.name"), constNode("example")), true)
	f("contains folds", callNode("contains", prevField(t, "user.name"), constNode("OB")), true)
	f("startswith", callNode("startswith", prevField(t, "host.name"), constNode("web1")), false)
	f("endswith null", callNode("endswith", prevField(t, "user.id"), constNode("")), false)
	f("matches", callNode("matches", prevField(t, "host.name"), constNode("^Web[0-9]")), true)
	f("matches folds", callNode("matches", prevField(t, "user.name"), constNode("^B.B$")), true)
	f("exists", callNode("exists", prevField(t, "source.port")), false)
	f("label", compareNode(prevField(t, "labels.shop"), query.Eq, constNode("north")), true)
	f("time", compareNode(minus(ownField(t, "@timestamp"), prevField(t, "@timestamp")), query.Eq, n(3600)), true)
	f("hour", compareNode(&rules.Call{Name: "hour"}, query.Eq, n(10)), true)
	f("hour of a zone", compareNode(&rules.Call{Name: "hour", Zone: time.FixedZone("x", 7200)}, query.Eq, n(12)), true)
	f("weekday", compareNode(&rules.Call{Name: "weekday"}, query.Eq, n(0)), true)
	f("division by nothing", compareNode(&rules.Arith{Op: '/', Left: count, Right: n(0)}, query.Gt, n(0)), false)
	f("remainder", compareNode(&rules.Arith{Op: '%', Left: count, Right: n(4)}, query.Eq, n(2)), true)
}

// What stands on the event alone is the same at its arrival, whoever compiles it.
func TestConditionsOnTheEventAlone(t *testing.T) {
	hours := &rules.Hours{Zone: time.UTC}
	hours.Week[time.Sunday] = []rules.Span{{From: 7 * 60, To: 19 * 60}}
	f := func(name string, e rules.Expr, want bool) {
		t.Helper()
		p := compiledRule(t, &rules.Rule{ID: "r", When: e})
		if got := p.enter(failedLogin()) != 0; got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	f("field to field", compareNode(ownField(t, "user.name"), query.Eq, callNode("lower", constNode("BOB"))), true)
	f("folds", compareNode(ownField(t, "user.name"), query.Eq, ownField(t, "user.email")), false)
	f("domain", compareNode(callNode("domain_of", ownField(t, "user.email")), query.Eq, constNode("example.com")), true)
	f("domain of host", compareNode(callNode("domain_of", ownField(t, "host.name")), query.Eq, constNode("example.org")), true)
	f("domain of nothing", compareNode(callNode("domain_of", ownField(t, "user.id")), query.Eq, noValue()), true)
	f("within", &rules.Call{Name: "within", Hours: hours}, true)
	f("outside", andNode(failedNode(t), &rules.Call{Name: "outside", Hours: hours}), false)
	f("not outside", andNode(failedNode(t), notNode(&rules.Call{Name: "outside", Hours: hours})), true)
	f("list", &rules.InList{Term: ownField(t, "user.name"), List: &rules.List{}}, false)
	f("or", orNode(compareNode(ownField(t, "source.port"), query.Gt, constNode(1000.0)), failedNode(t)), true)
}

func TestTravel(t *testing.T) {
	p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), Fire: andNode(compareNode(aggregateNode(rules.GapKM), query.Gt, constNode(300.0)), compareNode(aggregateNode(rules.SpeedKMH), query.Gt, constNode(900.0))),
		Except: []*rules.Except{{Name: "vpn", When: compareNode(prevField(t, "source.as.number"), query.Eq, constNode(13335.0))}}})
	slot := p.compiler.slots["place"]
	if !p.ordered || !p.usesPrev || len(p.prevNeeds) != 1 || p.prevNeeds[0] != slot || !p.remembered[slot] || len(p.vetoes) != 1 || len(p.aggregates) != 0 {
		t.Fatalf("%+v", p)
	}
	at := func(lat, lon float64, accuracy int64, after time.Duration) *item {
		ev := failedLogin()
		ev.Time += event.Time(after)
		ev.Source.Geo.Location, ev.Accuracy = event.GeoPoint{Lat: lat, Lon: lon, Valid: true}, event.LongOf(accuracy)
		return enteredItem(t, p, ev)
	}
	f := func(name string, a, b *item, gap, speed float64) {
		t.Helper()
		s := &scene{now: b, prev: memoOfItem(a)}
		if got := travel(s, slot, false).number; math.Abs(got-gap) > 1 {
			t.Errorf("%s: gap %v", name, got)
		}
		if got := travel(s, slot, true).number; got != speed && !(math.Abs(got-speed) <= 1) {
			t.Errorf("%s: speed %v", name, got)
		}
	}
	f("half the equator", at(0, 0, 0, 0), at(0, 180, 0, 2*time.Hour), 20015, 10007)
	f("the date line", at(0, 179, 0, 0), at(0, -179, 0, time.Hour), 222, 222)
	f("radii", at(0, 0, 60, 0), at(0, 1, 40, time.Hour), 11, 11)
	f("within the radii", at(0, 0, 100, 0), at(0, 1, 40, 0), 0, 0)
	f("at once", at(0, 0, 0, 0), at(0, 1, 0, 0), 111, math.Inf(1))
	f("poles", at(90, 10, 0, 0), at(-90, 50, 0, time.Hour), 20015, 20015)
	if v := travel(&scene{now: at(0, 0, 0, 0)}, slot, false); v.kind != null {
		t.Errorf("without prev: %v", v)
	}
	if p.fire(&scene{now: at(0, 0, 0, 0)}) {
		t.Error("fires without prev")
	}
	if !p.vetoes[0].when(&scene{prev: memoOfItem(at(0, 0, 0, 0))}) {
		t.Error("the veto does not hold")
	}
}

// State outlives edits of titles and the days on which exceptions expire: numbers must not move.
func TestNumbersStay(t *testing.T) {
	rule := func(title *rules.Template, expires time.Time) *program {
		return compiledRule(t, &rules.Rule{ID: "r", Meaning: "m", When: failedNode(t), Title: title,
			Fire: andNode(askNode(t, "source.port == 22"), compareNode(prevField(t, "user.name"), query.Ne, ownField(t, "user.name")), aggregateNode(rules.FirstSeen, ownField(t, "host.name"))),
			Except: []*rules.Except{{Name: "a", When: compareNode(prevField(t, "source.ip"), query.Ne, ownField(t, "source.ip")), Expires: expires},
				{Name: "b", When: compareNode(prevField(t, "user.id"), query.Ne, ownField(t, "user.id"))}}})
	}
	title := &rules.Template{Parts: []rules.TemplatePart{{Expr: ownField(t, "event.code")}, {Expr: prevField(t, "event.reason")}, {Expr: aggregateNode(rules.Count)}}}
	a, b, c := rule(nil, time.Time{}), rule(title, time.Time{}), rule(title, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if len(a.vetoes) != 2 || len(c.vetoes) != 1 || c.vetoes[0].name != "b" {
		t.Errorf("vetoes: %v, %v", a.vetoes, c.vetoes)
	}
	if a.number != b.number || b.number != c.number {
		t.Error("the rule's number moves")
	}
	for name, n := range a.compiler.slots {
		if b.compiler.slots[name] != n || c.compiler.slots[name] != n {
			t.Errorf("slot %s moves", name)
		}
	}
	for name, n := range a.compiler.aggs {
		if c.compiler.aggs[name] != n {
			t.Errorf("aggregate %s moves", name)
		}
	}
	if b.slots != a.slots+2 || b.slots != c.slots {
		t.Errorf("slots: %d, %d, %d", a.slots, b.slots, c.slots)
	}
	it := enteredItem(t, a, failedLogin()) // of the state that a left
	if got := b.title(&scene{now: it, prev: memoOfItem(it)}); got != "---" {
		t.Errorf("got %q", got)
	}
}

func TestSequenceCompiles(t *testing.T) {
	change := askNode(t, `event.action == "password-change"`)
	ok := &rules.Defined{Of: andNode(askNode(t, `event.action == "login"`), askNode(t, `event.outcome == "failure"`))}
	steps := []*rules.Step{{Name: "change", When: change, Times: 1},
		{Name: "login", Times: 1, When: andNode(ok, compareNode(ownField(t, "source.ip"), query.Ne, fieldOf(t, 0, "source.ip")), aggregateNode(rules.FirstSeen, ownField(t, "source.ip"))),
			By: [][]rules.Expr{{ownField(t, "user.email")}}}}
	p := compiledRule(t, &rules.Rule{ID: "r", By: [][]rules.Expr{{ownField(t, "user.name")}}, Sequence: &rules.Sequence{Within: time.Hour, Steps: steps}})
	if !p.ordered || p.when != 0 || len(p.steps) != 2 || p.steps[0].guard != nil || len(p.steps[0].aggs) != 0 || p.steps[1].guard == nil || len(p.steps[1].aggs) != 1 {
		t.Fatalf("%+v", p)
	}
	ev := failedLogin()
	it := enteredItem(t, p, ev)
	if it.bits != p.steps[1].bit || len(it.keys) != 2 || it.keys[0].ok || it.keys[1].text != "bob@example.com" {
		t.Errorf("%b %v", it.bits, it.keys)
	}
	seen := func(int) value { return truth(true) }
	first := failedLogin()
	first.Action, first.Source.IP = event.PasswordChange, "192.0.2.1"
	took := enteredItem(t, p, first)
	if took.bits != p.steps[0].bit || took.keys[0].text != "bob" || took.keys[1].ok {
		t.Errorf("%b %v", took.bits, took.keys)
	}
	if s := (&scene{now: it, steps: []*memo{memoOfItem(took), nil}, aggregate: seen}); !p.steps[1].guard(s) {
		t.Error("the guard does not hold")
	}
	first.Source.IP = "2001:db8::1"
	if s := (&scene{now: it, steps: []*memo{memoOfItem(enteredItem(t, p, first)), nil}, aggregate: seen}); p.steps[1].guard(s) {
		t.Error("the guard holds for the same address")
	}
	if it := enteredItem(t, p, ev); !p.remembered[p.compiler.slots["source.ip"]] || p.usesPrev {
		t.Errorf("%v", it)
	}
}

func TestSessionCompiles(t *testing.T) {
	r := &rules.Rule{ID: "r", Session: &rules.Session{Open: askNode(t, `event.action == "login"`), Close: askNode(t, `event.action == "logout"`), ID: ownField(t, "gatebook.session.id")},
		Fire: compareNode(aggregateNode(rules.ActiveDistinct, ownField(t, "source.geo.country_iso_code")), query.Ge, constNode(2.0))}
	p := compiledRule(t, r)
	ev := failedLogin()
	ev.Session.ID = "s1"
	if it := enteredItem(t, p, ev); it.bits != p.when || it.slot(p.sessionID).text != "s1" || it.slot(p.sessionBy).text != "2001:db8::1" {
		t.Errorf("%b %+v", it.bits, it.values)
	}
	ev.Action = event.Logout
	if it := enteredItem(t, p, ev); it.bits != p.closing {
		t.Errorf("%b", it.bits)
	}
	r.Session.ID = nil
	if p := compiledRule(t, r); p.sessionID != -1 || p.sessionBy < 0 {
		t.Errorf("%d %d", p.sessionID, p.sessionBy)
	}
}

func TestPrevNeeds(t *testing.T) {
	f := func(name string, fire rules.Expr, want ...string) {
		t.Helper()
		p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), Fire: fire})
		if len(p.prevNeeds) != len(want) || !p.usesPrev {
			t.Errorf("%s: needs %v, usesPrev %v", name, p.prevNeeds, p.usesPrev)
			return
		}
		for i, field := range want {
			if p.prevNeeds[i] != p.compiler.slots[field] {
				t.Errorf("%s: %v", name, p.prevNeeds)
			}
		}
	}
	ip, host := prevField(t, "source.ip"), prevField(t, "host.name")
	other := compareNode(ownField(t, "source.ip"), query.Ne, ip)
	f("a field", other, "source.ip")
	f("or", orNode(other, compareNode(host, query.Eq, constNode("a"))), "source.ip", "host.name")
	f("asked for null", andNode(other, compareNode(host, query.Ne, noValue())), "source.ip")
	f("exists and coalesce", orNode(callNode("exists", host), compareNode(callNode("coalesce", ip, constNode("")), query.Eq, constNode("x"))))
	f("since", compareNode(aggregateNode(rules.Since), query.Gt, constNode(1.0)))
}

func TestTuple(t *testing.T) {
	p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t)})
	a, b, none := value{kind: text, text: "a"}, value{kind: text, text: "b"}, value{}
	sum := func(vs ...value) hash {
		h, ok := p.tuple(vs, []int{0, 1})
		if !ok {
			t.Errorf("%v is no tuple", vs)
		}
		return h
	}
	all := []hash{sum(a, b), sum(b, a), sum(a, none), sum(none, a), sum(a, a), sum(value{kind: text, text: "ab"}, none), sum(a, value{kind: number, number: 1})}
	for i := range all {
		for k := range i {
			if all[i] == all[k] {
				t.Errorf("tuples %d and %d are the same", i, k)
			}
		}
	}
	if _, ok := p.tuple([]value{none, none}, []int{0, 1}); ok {
		t.Error("nulls are a tuple")
	}
	if newHasher("a").text("x") == newHasher("b").text("x") || newHasher("a").text("x", "y") == newHasher("a").text("xy") {
		t.Error("hashes do not depend on what they should")
	}
}

// typicalRules are five rules that a failed login concerns.
func typicalRules(t testing.TB) []*program {
	count := aggregateNode(rules.Count)
	return []*program{
		compiledRule(t, &rules.Rule{ID: "bruteforce", When: failedNode(t), Fire: compareNode(count, query.Ge, constNode(5.0)),
			By:     [][]rules.Expr{{ownField(t, "gatebook.user.key")}, {ownField(t, "source.ip")}, {ownField(t, "source.ip"), ownField(t, "gatebook.user.key")}},
			Except: []*rules.Except{{Name: "scanner", When: askNode(t, `cidr(source.ip, "10.9.0.0/16")`)}}}),
		compiledRule(t, &rules.Rule{ID: "stuffing", When: orNode(failedNode(t), andNode(askNode(t, `event.action == "login"`), askNode(t, `event.outcome == "success"`))),
			By: [][]rules.Expr{{ownField(t, "source.ip")}}, Fire: andNode(compareNode(aggregateNode(rules.Distinct, ownField(t, "user.name")), query.Ge, constNode(10.0)),
				compareNode(&rules.Aggregate{Kind: rules.Ratio, Cond: failedNode(t)}, query.Gt, constNode(0.8)))}),
		compiledRule(t, &rules.Rule{ID: "spike", When: failedNode(t), By: [][]rules.Expr{{ownField(t, "event.dataset")}}, Fire: compareNode(count, query.Gt, aggregateNode(rules.Baseline))}),
		compiledRule(t, &rules.Rule{ID: "root", When: andNode(failedNode(t), askNode(t, `user.name == "root"`)), By: [][]rules.Expr{{ownField(t, "host.name")}}}),
		compiledRule(t, &rules.Rule{ID: "spray", When: failedNode(t), By: [][]rules.Expr{{ownField(t, "source.ip")}},
			Fire: compareNode(aggregateNode(rules.Distinct, ownField(t, "gatebook.user.key")), query.Ge, constNode(20.0))}),
	}
}

func TestEnterAndFillAllocateNothing(t *testing.T) {
	ps, ev := typicalRules(t), failedLogin()
	var it item
	if n := testing.AllocsPerRun(100, func() { enterAndFill(ps, ev, &it) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func enterAndFill(ps []*program, ev *event.Event, it *item) (entered int) {
	for _, p := range ps {
		if it.bits = p.enter(ev); it.bits != 0 {
			p.fill(ev, it)
			entered++
		}
	}
	return entered
}

func BenchmarkEnterAndFill(b *testing.B) {
	ps := typicalRules(b)
	run := func(name string, ev *event.Event, want int) {
		b.Run(name, func(b *testing.B) {
			var it item
			b.ReportAllocs()
			for b.Loop() {
				if n := enterAndFill(ps, ev, &it); n != want {
					b.Fatal(n)
				}
			}
		})
	}
	ev := failedLogin()
	ev.Source.IP = "203.0.113.9"
	run("login failure", ev, 4)
	other := *ev
	other.Action = event.Request
	run("other event", &other, 0)
}
