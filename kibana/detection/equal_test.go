package detection

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent/replay/replaytest"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// TestServed runs the exported rules with a query, a threshold or new terms over the sample logs and over the events of the rules' own tests, in a
// real Elasticsearch, at the times at which the detection engine would have found something new; and the local engine over the same. The keys for which
// both fire are equal, or the difference is one that the exporter has named, and goes away where the local engine is made to do the same.
func TestServed(t *testing.T) {
	n := testkit.Elasticsearch(t, testkit.Full())
	t.Run("conditions", func(t *testing.T) { conditionsByQuery(t, n) })
	t.Run("rules", func(t *testing.T) { compareServed(t, n, Query, Threshold, NewTerms) })
}

// TestServedESQL does so with the rules in ES|QL.
func TestServedESQL(t *testing.T) {
	n := testkit.Elasticsearch(t, testkit.ESQL())
	t.Run("conditions", func(t *testing.T) { conditionsByESQL(t, n) })
	t.Run("rules", func(t *testing.T) { compareServed(t, n, ESQL) })
}

func compareServed(t *testing.T, node *testkit.Node, kinds ...Kind) {
	began := time.Now()
	set := replaytest.Library(t)
	_, report, err := Export(set, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newServed(t, node, scenesOf(t, set))
	t.Logf("indexed after %v", time.Since(began))
	n := tally{reasons: map[Why]int{}, of: map[*rules.Rule]*verdict{}}
	for i := range report {
		for _, parts := range together(report[i].Parts) {
			if slices.Contains(kinds, parts[0].Kind) {
				n.parts += len(parts)
				s.compare(set, report[i].Rule, parts, &n)
			}
		}
	}
	n.log(t, s)
}

// together puts the parts beside each other that stand for the same alternative and the same grouping.
func together(list []Part) (out [][]*Part) {
	for i := range list {
		p := &list[i]
		at := slices.IndexFunc(out, func(had []*Part) bool {
			return had[0].Kind == p.Kind && had[0].firing == p.firing && len(had[0].By) == len(p.By) && len(p.By) == 1 && termsName(had[0].By[0]) == termsName(p.By[0])
		})
		if at >= 0 && p.firing != nil {
			out[at] = append(out[at], p)
		} else {
			out = append(out, []*Part{p})
		}
	}
	return out
}

// verdict is what was found of a rule.
type verdict struct {
	fired   bool
	reasons map[Why]bool
}

type tally struct {
	parts, compared, equal, fired int
	reasons                       map[Why]int // of scenes that differ
	of                            map[*rules.Rule]*verdict
}

func (s *served) compare(set *rules.Set, r *rules.Rule, parts []*Part, n *tally) {
	p := parts[0]
	v := n.of[r]
	if v == nil {
		v = &verdict{reasons: map[Why]bool{}}
		n.of[r] = v
	}
	for i := range s.scenes {
		at := &s.scenes[i]
		if at.rule != "" && at.rule != r.ID {
			continue
		}
		n.compared++
		here := local(s.t, set, r, p, at, change{})
		there := found{}
		for _, p := range parts {
			maps.Copy(there, s.run(p, at))
		}
		v.fired = v.fired || len(there) > 0
		if len(there) > 0 {
			n.fired++
		}
		if len(here.without(there)) == 0 && len(there.without(here)) == 0 {
			n.equal++
			continue
		}
		for why := range s.explain(set, r, p, at, here, there) {
			n.reasons[why]++
			v.reasons[why] = true
		}
	}
}

// explain finds which of the named differences a difference comes of.
func (s *served) explain(set *rules.Set, r *rules.Rule, p *Part, at *scene, here, there found) map[Why]bool {
	reasons := map[Why]bool{}
	named := map[Why]bool{}
	for _, d := range p.Differences {
		named[d.Why] = true
	}
	less, more := here.without(there), there.without(here)
	if named[Weight] && len(less) > 0 {
		unweighted := local(s.t, set, r, p, at, change{noWeight: true})
		had := len(less)
		less = slices.DeleteFunc(less, func(key string) bool { return !unweighted.has(key) })
		reasons[Weight] = len(less) < had
	}
	if named[Window] && len(less) > 0 { // what asks for little, or for a share, may find too much in a longer window
		longer := local(s.t, set, r, p, at, change{window: true})
		had := len(less)
		less = slices.DeleteFunc(less, func(key string) bool { return !longer.has(key) })
		reasons[Window] = len(less) < had
	}
	if named[Window] && p.Kind == ESQL { // or held for a moment between two runs: the exported rule finds it at the time of the event, over the window itself
		less = slices.DeleteFunc(less, func(key string) bool {
			then := found{}
			s.esqlAt(p, at, here[strings.ReplaceAll(key, " | ", "\n")], p.window, then)
			reasons[Window] = reasons[Window] || then.has(key)
			return then.has(key)
		})
	}
	for _, c := range []change{{noLearning: true}, {window: true}, {window: true, noLearning: true}} {
		if len(more) == 0 || c.noLearning && !named[Learn] || c.window && !named[Window] {
			continue
		}
		other := local(s.t, set, r, p, at, c)
		had := len(more)
		more = slices.DeleteFunc(more, other.has)
		if len(more) < had {
			reasons[Learn] = reasons[Learn] || c.noLearning
			reasons[Window] = reasons[Window] || c.window
		}
	}
	if len(less) > 0 || len(more) > 0 {
		name := at.name
		if at.test != nil {
			name += " (" + at.test.Name + ")"
		}
		s.t.Errorf("%s, %s: only the local engine fires for %q, only the exported rule for %q\n%s", p.Rule.RuleID, name, less, more, p.Rule.Query)
	}
	maps.DeleteFunc(reasons, func(_ Why, is bool) bool { return !is })
	return reasons
}

func (f found) has(key string) bool {
	_, ok := f[strings.ReplaceAll(key, " | ", "\n")]
	return ok
}

func (n *tally) log(t *testing.T, s *served) {
	t.Helper()
	var same, differ []string
	fired := 0
	for r, v := range n.of {
		if v.fired {
			fired++
		} else {
			t.Errorf("%s fired for nothing", r.ID)
		}
		if len(v.reasons) == 0 {
			same = append(same, r.ID)
		} else {
			differ = append(differ, fmt.Sprint(r.ID, slices.Sorted(maps.Keys(v.reasons))))
		}
	}
	slices.Sort(differ)
	t.Logf("%d rules (%d rules of Kibana), run %d times; %d comparisons, in %d of which the exported rule fires; %d equal, %v differ and why (scenes)", len(n.of), n.parts, s.asked, n.compared, n.fired, n.equal, n.reasons)
	t.Logf("%d rules equal in all, %d not: %s", len(same), len(differ), strings.Join(differ, "; "))
}

// change is what is done to a rule or its events before the local engine runs it, so as to find out what a difference comes of.
type change struct {
	window, noWeight, noLearning bool
}

// local runs what a part stands for through the local engine: the same alternative of fire, the same groupings, each hit an alert of its own.
func local(t *testing.T, set *rules.Set, r *rules.Rule, p *Part, s *scene, c change) found {
	t.Helper()
	one := *r
	if p.firing != nil {
		one.Fire = p.firing
	}
	if len(one.By) > 0 {
		one.By, one.ByText = p.By, nil
		for _, by := range p.By {
			one.ByText = append(one.ByText, termsName(by))
		}
	}
	one.Quiet, one.Mode, one.ShadowFor = 0, rules.ModeAlert, 0
	if c.window && p.window > 0 {
		one.Window = p.window + intervalOf(p.window)
	}
	if c.noLearning {
		one.Learn = rules.Learn{}
	}
	only := *set
	only.Rules = []*rules.Rule{&one}
	out := found{}
	e, err := engine.New(engine.Options{Rules: &only, Installation: "detection", Zone: time.UTC, Fleet: true, Alert: func(a *engine.Alert) {
		if a.State == engine.StateOpen {
			out.add(a.By, a.Key, a.First.Std())
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range s.events {
		if c.noWeight && ev.Count.N > 1 {
			copied := *ev
			copied.Count.N = 1
			ev = &copied
		}
		e.AddOwn(ev, strings.Repeat("0", 31)+"1", uint64(i+1))
	}
	e.Finish(event.TimeOf(s.until))
	return out
}
