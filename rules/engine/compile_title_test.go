package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

func TestOrdered(t *testing.T) {
	five := constNode(5.0)
	f := func(name string, r rules.Rule, want bool) {
		t.Helper()
		r.ID = "r"
		if r.When == nil && r.Session == nil {
			r.When = failedNode(t)
		}
		if p := compiledRule(t, &r); p.ordered != want {
			t.Errorf("%s: ordered is %v", name, p.ordered)
		}
	}
	count, ip := aggregateNode(rules.Count), ownField(t, "source.ip")
	many := compareNode(count, query.Ge, five)
	port := ownField(t, "source.port")
	f("every event", rules.Rule{}, false)
	f("count", rules.Rule{Fire: many}, false)
	f("5 <= count", rules.Rule{Fire: compareNode(five, query.Le, count)}, false)
	f("count to 2 * 5", rules.Rule{Fire: compareNode(count, query.Ge, &rules.Arith{Op: '*', Left: five, Right: five})}, false)
	f("count and distinct or max", rules.Rule{Fire: orNode(andNode(many, compareNode(aggregateNode(rules.Distinct, ip), query.Gt, five)), compareNode(aggregateNode(rules.Max, port), query.Gt, five))}, false)
	f("min", rules.Rule{Fire: compareNode(aggregateNode(rules.Min, port), query.Lt, five)}, false)
	f("with a define and a filter", rules.Rule{Fire: andNode(many, &rules.Defined{Of: many}, notNode(askNode(t, `source.port == 1`))),
		Except: []*rules.Except{{When: askNode(t, `source.port == 7`)}}}, false)
	f("count <", rules.Rule{Fire: compareNode(count, query.Lt, five)}, true)
	f("count ==", rules.Rule{Fire: compareNode(count, query.Eq, five)}, true)
	f("min >", rules.Rule{Fire: compareNode(aggregateNode(rules.Min, port), query.Gt, five)}, true)
	f("not count", rules.Rule{Fire: notNode(many)}, true)
	f("ratio", rules.Rule{Fire: andNode(many, compareNode(&rules.Aggregate{Kind: rules.Ratio, Cond: failedNode(t)}, query.Gt, constNode(0.5)))}, true)
	f("rate", rules.Rule{Fire: compareNode(aggregateNode(rules.Rate), query.Gt, five)}, true)
	f("first seen", rules.Rule{Fire: aggregateNode(rules.FirstSeen, ip)}, true)
	f("count to another", rules.Rule{Fire: compareNode(count, query.Ge, aggregateNode(rules.Distinct, ip))}, true)
	f("count to a field", rules.Rule{Fire: compareNode(count, query.Ge, port)}, true)
	f("prev", rules.Rule{Fire: compareNode(ip, query.Ne, prevField(t, "source.ip"))}, true)
	f("since", rules.Rule{Fire: compareNode(aggregateNode(rules.Since), query.Gt, five)}, true)
	f("veto", rules.Rule{Fire: many, Except: []*rules.Except{{When: compareNode(count, query.Gt, five)}}}, true)
	f("veto that expired", rules.Rule{Fire: many, Except: []*rules.Except{{When: compareNode(count, query.Gt, five), Expires: time.Unix(0, 0)}}}, true)
	f("prev in the title", rules.Rule{Title: &rules.Template{Parts: []rules.TemplatePart{{Expr: prevField(t, "source.ip")}}}}, true)
	f("expect", rules.Rule{ExpectEvery: time.Hour}, true)
	f("session", rules.Rule{Session: &rules.Session{Open: failedNode(t)}, Fire: compareNode(aggregateNode(rules.ActiveDistinct, ip), query.Ge, five)}, true)
}

func TestProgress(t *testing.T) {
	count, distinct := aggregateNode(rules.Count), aggregateNode(rules.Distinct, ownField(t, "source.ip"))
	atLeast := func(a rules.Expr, n float64) rules.Expr { return compareNode(a, query.Ge, constNode(n)) }
	f := func(name string, fire rules.Expr, want float64) {
		t.Helper()
		p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), Fire: fire})
		if p.progress == nil {
			if want >= 0 {
				t.Errorf("%s: nothing", name)
			}
			return
		}
		got := p.progress(&scene{aggregate: func(n int) value {
			if p.aggregates[n].kind == rules.Count {
				return value{kind: number, number: 5}
			}
			return value{kind: number, number: 1}
		}})
		if got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	f("half", atLeast(count, 10), 0.5)
	f("more than all", atLeast(count, 2), 1)
	f("and", andNode(atLeast(count, 10), atLeast(distinct, 4), askNode(t, `source.port == 1`)), 0.25)
	f("or", orNode(atLeast(count, 10), atLeast(distinct, 4)), 0.5)
	f("define", &rules.Defined{Of: atLeast(count, 10)}, 0.5)
	f("none", aggregateNode(rules.FirstSeen, ownField(t, "source.ip")), -1)
	f("less", compareNode(count, query.Lt, constNode(3.0)), -1)
}

func TestTitle(t *testing.T) {
	part := func(e rules.Expr) rules.TemplatePart { return rules.TemplatePart{Expr: e} }
	words := func(s string) rules.TemplatePart { return rules.TemplatePart{Text: s} }
	ratio := &rules.Aggregate{Kind: rules.Ratio, Cond: failedNode(t)}
	p := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t), By: [][]rules.Expr{{ownField(t, "user.name"), ownField(t, "source.port")}},
		Title: &rules.Template{Parts: []rules.TemplatePart{part(aggregateNode(rules.Count)), words(" of "), {Key: true}, words(", id "), part(ownField(t, "user.id")),
			words(", from "), part(ownField(t, "source.ip")), words(", roles "), part(ownField(t, "user.roles")), words(", ratio "), part(ratio)}}})
	it := enteredItem(t, p, failedLogin())
	s := &scene{now: it, key: it.keys[0], aggregate: func(n int) value {
		return value{kind: number, number: []float64{1200, 2.0 / 3}[n]}
	}}
	want := "1200 of bob, 22, id -, from 2001:db8::1, roles admin, staff, ratio 0.667"
	if got := p.title(s); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := p.title(&scene{}); got != "- of -, id -, from -, roles -, ratio -" {
		t.Errorf("of nothing: %s", got)
	}
	if got := compiledRule(t, &rules.Rule{ID: "r", When: failedNode(t)}).title(s); got != "r" {
		t.Errorf("without a title: %s", got)
	}
	if got := readable(value{kind: text, text: strings.Repeat("\u00e9", 300)}); len(got) > maxTitlePart+3 || !strings.HasSuffix(got, "\u00e9...") {
		t.Errorf("a long value: %q", got)
	}
}
