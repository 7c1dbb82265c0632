package engine

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

func TestIndexChooses(t *testing.T) {
	list := &rules.List{Kind: rules.ListExact, Values: []string{"Root", "toor"}}
	f := func(name string, when rules.Expr, want string) {
		t.Helper()
		p := compiledRule(t, &rules.Rule{ID: "r", When: when})
		many := make([]*program, 0, 10)
		for i := range 9 {
			many = append(many, compiledRule(t, &rules.Rule{ID: fmt.Sprint(i), When: failedNode(t)}))
		}
		x := newRuleIndex(append(many, p))
		got := "?"
		for a, ps := range x.actions {
			if slices.Contains(ps, p) {
				got = "event.action=" + event.Action(a).String()
			}
		}
		for i := range x.texts {
			for _, v := range slices.Sorted(maps.Keys(x.texts[i].values)) {
				if slices.Contains(x.texts[i].values[v], p) {
					got = fmt.Sprint(len(x.texts[i].values), " ", v, " ", x.texts[i].fold)
				}
			}
		}
		for i := range x.ips {
			for v, ps := range x.ips[i].values {
				if slices.Contains(ps, p) {
					got = v.String()
				}
			}
		}
		if slices.Contains(x.always, p) {
			got = "always"
		}
		if got != want {
			t.Errorf("%s: got %s", name, got)
		}
	}
	f("action", failedNode(t), "event.action=login")
	f("a user before the action", andNode(failedNode(t), askNode(t, `user.name == "Root"`)), "1 root true")
	f("an address", andNode(failedNode(t), askNode(t, `source.ip == "::ffff:192.0.2.1"`)), "192.0.2.1")
	f("the action before outcome and kind", askNode(t, `event.outcome == "failure" && event.action == "login"`), "event.action=login")
	f("the action before an outcome that is asked for less", askNode(t, `event.outcome == "success" && event.action == "login"`), "event.action=login")
	f("outcome where there is no more", askNode(t, `event.outcome == "failure"`), "1 failure false")
	f("a code", andNode(failedNode(t), askNode(t, `event.code == "17"`)), "1 17 false")
	f("either user", orNode(askNode(t, `event.action == "login" && user.name == "a"`), askNode(t, `user.name == "a" && event.code == "1"`)), "1 a true")
	f("a label is not indexed", askNode(t, `labels.a == "b"`), "1 event false")
	f("nothing but kind", askNode(t, `user.name != "b"`), "1 event false")
	f("nothing", orNode(askNode(t, `event.kind == "alert"`), askNode(t, `user.name == "b"`)), "always")
	f("a list", andNode(failedNode(t), &rules.InList{Term: ownField(t, "user.name"), List: list}), "2 toor true")
	f("a list of texts with case", &rules.InList{Term: ownField(t, "event.code"), List: list}, "2 toor true")
	f("a list of networks", andNode(failedNode(t), &rules.InList{Term: ownField(t, "source.ip"), List: &rules.List{Kind: rules.ListCIDR, Values: []string{"192.0.2.0"}}}), "event.action=login")
	f("not", andNode(askNode(t, `event.action == "logout"`), notNode(askNode(t, `user.name == "a"`))), "event.action=logout")
}

// The values that random rules ask for and random events have.
var (
	drawnActions = []event.Action{event.ActionNone, event.Login, event.Logout, event.Delete, event.MFADisable}
	drawnNames   = []string{"", "bob", "BOB", "root", "\u00c9va", "\u00e9va"}
	drawnIPs     = []string{"", "192.0.2.1", "::ffff:192.0.2.1", "2001:DB8::1", "2001:db8:0::1"}
	drawnCodes   = []string{"", "a", "A", "b"}
	drawnKinds   = []event.Kind{"", event.KindEvent, event.KindAlert}
)

func drawEvent(t *rapid.T) *event.Event {
	pick := func(list []string, name string) string { return rapid.SampledFrom(list).Draw(t, name) }
	ev := &event.Event{Time: event.TimeOf(time.Unix(1e9, 0)), Action: rapid.SampledFrom(drawnActions).Draw(t, "action"),
		Kind: rapid.SampledFrom(drawnKinds).Draw(t, "kind"), Outcome: rapid.SampledFrom([]event.Outcome{"", event.Failure, event.Success}).Draw(t, "outcome"),
		Code: pick(drawnCodes, "code"), Dataset: pick([]string{"", "gatebook.a", "gatebook.b"}, "dataset")}
	ev.User.Name, ev.Source.IP, ev.Host.Name = pick(drawnNames, "user"), pick(drawnIPs, "ip"), pick(drawnNames, "host")
	if rapid.Bool().Draw(t, "job") {
		ev.NeedJob().Name = pick(drawnCodes, "jobname")
	}
	ev.Label("k", pick(drawnCodes, "label"))
	return ev
}

func drawCondition(t *rapid.T, tt testing.TB, depth int) rules.Expr {
	kinds := 5
	if depth <= 0 {
		kinds = 1
	}
	list := func() []rules.Expr {
		of := make([]rules.Expr, rapid.IntRange(1, 3).Draw(t, "parts"))
		for i := range of {
			of[i] = drawCondition(t, tt, depth-1)
		}
		return of
	}
	switch rapid.IntRange(0, kinds).Draw(t, "node") {
	case 2:
		return &rules.And{Of: list()}
	case 3:
		return &rules.Or{Of: list()}
	case 4:
		return &rules.Not{Of: drawCondition(t, tt, depth-1)}
	case 5:
		return &rules.Defined{Name: "d", Of: drawCondition(t, tt, depth-1)}
	}
	src := rapid.SampledFrom([]string{`event.action == "login"`, `event.action == "delete"`, `event.action != "login"`, `event.kind == "alert"`, `event.kind != "alert"`,
		`in(event.action, ["login", "logout"])`, `event.action == null`, `user.name == "bob"`, `user.name == "\u00e9VA"`, `in(user.name, ["root", "BOB"])`,
		`user.name != "bob"`, `source.ip == "192.0.2.1"`, `source.ip == "2001:db8::1"`, `in(source.ip, ["192.0.2.1", "2001:db8::1"])`, `cidr(source.ip, "192.0.2.0/24")`,
		`event.code == "a"`, `lower(event.code) == "A"`, `host.name == "BOB"`, `lower(host.name) == "bob"`, `event.outcome == "failure"`, `event.outcome == "unknown"`,
		`event.dataset == "a"`, `gatebook.job.name == "a" && event.code == "b"`, `gatebook.job.name == "b" || gatebook.job.name == "a"`, `labels.k == "a"`,
		`!(event.code == "a")`, `event.category == "authentication"`, `user.name == ""`, `tags == "x" || event.code == "b"`, `contains(user.name, "o")`}).Draw(t, "ask")
	return askNode(tt, src)
}

func drawRule(t *rapid.T, tt testing.TB, id string) *rules.Rule {
	r := &rules.Rule{ID: id}
	switch rapid.IntRange(0, 3).Draw(t, "form") {
	case 0:
		r.Session = &rules.Session{Open: drawCondition(t, tt, 2), Close: drawCondition(t, tt, 2)}
	case 1:
		r.Sequence = &rules.Sequence{Within: time.Hour}
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			r.Sequence.Steps = append(r.Sequence.Steps, &rules.Step{Times: 1, When: drawCondition(t, tt, 2)})
		}
	default:
		r.When = drawCondition(t, tt, 3)
	}
	return r
}

// TestIndexMissesNothing: whatever the rules and the event, every program that the event is something to is a candidate, and none is one twice.
func TestIndexMissesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ps := make([]*program, rapid.IntRange(1, 8).Draw(rt, "rules"))
		for i := range ps {
			ps[i] = compiledRule(t, drawRule(rt, t, fmt.Sprint(i)))
		}
		x := newRuleIndex(ps)
		for range 20 {
			ev := drawEvent(rt)
			found := x.candidates(ev, nil)
			for i, p := range ps {
				n := 0
				for _, c := range found {
					if c == p {
						n++
					}
				}
				if n > 1 || n == 0 && p.enter(ev) != 0 {
					rt.Fatalf("rule %d is a candidate %d times, and enters: %v", i, n, p.enter(ev) != 0)
				}
			}
		}
	})
}

func BenchmarkCandidates(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		var ps []*program
		actions := event.Actions()
		for i := range n {
			when := []rules.Expr{askNode(b, fmt.Sprintf(`event.action == %q`, actions[i%len(actions)])), askNode(b, `event.outcome == "failure"`)}
			switch i % 5 {
			case 1:
				when = append(when, askNode(b, fmt.Sprintf(`user.name == "user%d"`, i)))
			case 2:
				when = append(when, askNode(b, fmt.Sprintf(`event.code == "%d"`, i)))
			case 3:
				when = append(when, askNode(b, fmt.Sprintf(`event.dataset == "d%d"`, i%10)))
			}
			ps = append(ps, compiledRule(b, &rules.Rule{ID: fmt.Sprint(i), When: andNode(when...), Fire: compareNode(aggregateNode(rules.Count), query.Ge, constNode(5.0))}))
		}
		x, ev := newRuleIndex(ps), failedLogin()
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var found []*program
			for b.Loop() {
				found = x.candidates(ev, found[:0])
			}
			b.ReportMetric(float64(len(found)), "candidates")
		})
	}
}
