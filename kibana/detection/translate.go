package detection

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// translator makes the rules of Kibana of one rule.
type translator struct {
	reader
	rule    *rules.Rule
	options Options
	except  condition // what is known to be harmless
}

// mostKeys is how many fields a threshold rule counts by, and a new terms rule combines.
const mostKeys = 3

// groupings are those of the rule; one without terms where it has none.
func (t *translator) groupings() [][]rules.Expr {
	if len(t.rule.By) == 0 {
		if s := t.rule.Sequence; s != nil && len(s.Steps[0].By) > 0 {
			return s.Steps[0].By
		}
		return [][]rules.Expr{nil}
	}
	return t.rule.By
}

func (t *translator) translate() Result {
	result := Result{Rule: t.rule}
	missing := func(errs ...error) {
		for _, err := range errs {
			if err != nil && !slices.Contains(result.Missing, err.Error()) {
				result.Missing = append(result.Missing, err.Error())
			}
		}
	}
	if !t.rule.Enabled {
		missing(cannotf("the rule is switched off (enabled = false)"))
		return result
	}
	var parts []Part
	var errs []error
	exceptErr := t.readExceptions()
	switch {
	case t.rule.Session != nil:
		errs = []error{t.reason(t.rule.Fire)}
	case t.rule.Sequence != nil:
		parts, errs = t.sequence()
	case t.rule.ExpectEvery > 0:
		parts, errs = t.expectation()
	default:
		parts, errs = t.filter()
	}
	missing(errs...)
	if exceptErr != nil {
		missing(exceptErr)
		parts = nil
	}
	result.Parts = parts
	return result
}

// readExceptions reads the exceptions that are in force. One that cannot be said leaves the rule unexported: it would tell of what is known to be harmless.
func (t *translator) readExceptions() error {
	t.except = never
	for _, e := range t.rule.Except {
		if !e.Expires.IsZero() && !t.options.Now.IsZero() && !t.options.Now.Before(e.Expires) {
			continue
		}
		if !rules.EventAlone(e.When) {
			if err := t.reason(e.When); !strings.Contains(err.Error(), "no counterpart") {
				return fmt.Errorf("its exception %s: %w", e.Name, err)
			}
			return cannotf("its exception %s looks at more than one event", e.Name)
		}
		c, err := t.condition(e.When)
		if err != nil {
			return fmt.Errorf("its exception %s: %w", e.Name, err)
		}
		t.except = anyIn(t.except, c)
	}
	return nil
}

// filter translates a rule with when: for each alternative of fire, and each grouping.
func (t *translator) filter() (parts []Part, missing []error) {
	when, err := t.condition(t.rule.When)
	if err != nil {
		return nil, []error{err}
	}
	base := all(when, not(t.except))
	list, missing := t.alternatives(t.rule.Fire)
	byQuery := make([]esqlAlternatives, len(t.groupings())) // what is left to ES|QL, together for each grouping
	add := func(p Part, err error) {
		if err != nil {
			missing = append(missing, err)
		} else {
			parts = append(parts, p)
		}
	}
	for _, a := range list {
		if len(a.counts) == 0 && len(a.first) == 0 {
			add(t.query(all(base, a.event), a))
			continue
		}
		for i, by := range t.groupings() {
			if len(a.first) > 0 {
				more, err := t.newTerms(base, a, by)
				parts = append(parts, more...)
				if err != nil {
					missing = append(missing, err)
				}
				continue
			}
			if p, err := t.threshold(base, a, by); err == nil {
				parts = append(parts, p)
			} else {
				byQuery[i] = append(byQuery[i], a)
			}
		}
	}
	for i, of := range byQuery {
		if len(of) > 0 {
			add(t.figures(base, of, t.groupings()[i]))
		}
	}
	return parts, missing
}

// query is a rule that fires on each event that matches, whichever grouping it belongs to: events that lack the keys of all groupings are nothing to it.
func (t *translator) query(c condition, a alternative) (Part, error) {
	var anyKey []condition
	var suppressed []query.Field
	for _, by := range t.groupings() {
		var keys []condition
		for _, term := range by {
			c, err := t.hasTerm(term)
			if err != nil {
				return Part{}, err
			}
			keys = append(keys, c)
		}
		anyKey = append(anyKey, all(keys...))
		if fields, ok := countable(by); ok && len(suppressed) == 0 && len(fields) <= mostKeys {
			suppressed = fields
		}
	}
	c = all(c, anyIn(anyKey...))
	text, filters, err := splitQuery(c)
	if err != nil {
		return t.plainESQL(c, a, err)
	}
	p := t.part(Query, t.groupings(), a, c)
	p.Rule.Language, p.Rule.Index, p.Rule.Query, p.Rule.Filters = "kuery", t.index(c), text, filters
	t.everyFiveMinutes(p.Rule)
	if len(suppressed) > 0 && t.rule.Quiet > 0 && !t.options.NoSuppression {
		p.Rule.Suppression = &suppression{GroupBy: names(suppressed), Duration: lengthOf(t.rule.Quiet), Missing: "doNotSuppress"}
	}
	p.differs(Repeat, t.repeats(p.Rule))
	return p, nil
}

// hasTerm asks whether an event has what it is grouped by.
func (t *translator) hasTerm(term rules.Expr) (condition, error) {
	if f, ok := plainField(term); ok {
		return there(f), nil
	}
	if call, ok := term.(*rules.Call); ok {
		switch call.Name {
		case "hour", "weekday":
			return always, nil
		case "lower", "domain_of":
			if f, ok := plainField(call.Args[0]); ok && call.Name == "lower" {
				return there(f), nil
			}
		case "coalesce":
			fields, err := t.coalesced(call)
			return anyThere(fields), err
		}
	}
	return nil, t.reason(term)
}

// everyFiveMinutes is how rules over single events run; a minute more is looked at, so that what was on its way is not lost.
func (t *translator) everyFiveMinutes(r *Rule) {
	r.Interval, r.From = "5m", "now-6m"
}

// repeats says how alerts fold.
func (t *translator) repeats(r *Rule) string {
	switch {
	case t.rule.Quiet == 0:
		return ""
	case r.Suppression != nil:
		of := r.Suppression.GroupBy
		if r.Threshold != nil {
			of = r.Threshold.Field
		}
		who := ""
		if len(of) > 0 {
			who = " of one " + code(strings.Join(of, ", "))
		}
		return fmt.Sprintf("repeats%s fold for %s from the first alert on, if the licence of Kibana has alert suppression; Gatebook folds as long as the hits follow each other by no more than that", who, spanText(t.rule.Quiet))
	}
	return fmt.Sprintf("each hit is an alert of its own; Gatebook folds those that follow each other by no more than %s", spanText(t.rule.Quiet))
}

// threshold is a rule that counts events, or different values of a field.
func (t *translator) threshold(base condition, a alternative, by []rules.Expr) (Part, error) {
	fields, ok := countable(by)
	if !ok || len(fields) > mostKeys {
		return Part{}, cannotf("counted by %s", quoted(t.termsText(by)))
	}
	c := base
	if !isAlways(a.event) {
		for _, f := range fieldsOf(a.event) {
			if !slices.Contains(names(fields), f.Name()) {
				return Part{}, cannotf("asks the event that fires")
			}
		}
		c = all(c, a.event)
	}
	th := threshold{Field: names(fields), Value: 1, Cardinality: []cardinality{}}
	counts := false
	for _, part := range a.counts {
		of, n, ok := least(part)
		switch {
		case !ok:
			return Part{}, cannotf("%s is no threshold", quoted(t.text(part)))
		case of.Kind == rules.Count && (of.Cond == nil || len(a.counts) == 1):
			cond, err := t.condition(of.Cond)
			if err != nil {
				return Part{}, err
			}
			c, counts = all(c, cond), true
			th.Value = max(th.Value, n)
		case of.Kind == rules.Distinct && len(of.Terms) == 1 && len(th.Cardinality) == 0:
			f, ok := plainField(of.Terms[0])
			if !ok || f.Key != "" {
				return Part{}, cannotf("%s is of no field", quoted(t.text(part)))
			}
			fields = append(fields, f)
			th.Cardinality = append(th.Cardinality, cardinality{f.Name(), max(n, 1)})
		default:
			return Part{}, cannotf("%s is no threshold", quoted(t.text(part)))
		}
	}
	text, filters, err := splitQuery(c)
	if err != nil {
		return Part{}, err
	}
	p := t.part(Threshold, [][]rules.Expr{by}, a, c)
	p.Rule.Language, p.Rule.Index, p.Rule.Query, p.Rule.Filters, p.Rule.Threshold = "kuery", t.index(c), text, filters, &th
	t.overWindow(&p)
	if t.rule.Quiet > 0 && !t.options.NoSuppression {
		p.Rule.Suppression = &suppression{Duration: lengthOf(t.rule.Quiet)}
	}
	if counts {
		p.differs(Weight, "an event counts as one, whatever its gatebook.count; here a line such as \"message repeated 4 times\" counts as often as it says")
	}
	if slices.ContainsFunc(fields, func(f query.Field) bool { return f.Fold && f.ID != event.FieldGatebookUserKey }) {
		p.differs(Letters, "names that differ in letter case only are counted apart")
	}
	if len(th.Cardinality) > 0 {
		p.differs(About, "different values are counted approximately, by a few percent above some thousands")
	}
	p.differs(Repeat, t.repeats(p.Rule))
	return p, nil
}

// overWindow sets how often a rule over a window runs, and what it looks at.
func (t *translator) overWindow(p *Part) {
	window, interval := t.rule.Window, intervalOf(t.rule.Window)
	p.window = window
	p.Rule.Interval, p.Rule.From = spanText(interval), "now-"+spanText(window+interval)
	p.differs(Window, fmt.Sprintf("the window is the last %s, looked at every %s; Gatebook looks at the %s up to each event, so that Kibana may count together what is a little further apart",
		spanText(window+interval), spanText(interval), spanText(window)))
}

// newTerms are rules for a value that the key did not have before: one, or for coalesce() one for each of its fields.
func (t *translator) newTerms(base condition, a alternative, by []rules.Expr) (parts []Part, err error) {
	first := a.first[0]
	variants := []newTermsOf{{c: all(base, a.event)}}
	for _, term := range slices.Concat(by, first.Terms) {
		if variants, err = t.variants(variants, term); err != nil {
			return nil, err
		}
	}
	for _, v := range variants {
		if len(v.fields) > mostKeys {
			return nil, cannotf("%s for %s combines %d fields, and a new terms rule takes %d", quoted(t.text(first)), quoted(t.termsText(by)), len(v.fields), mostKeys)
		}
		for _, f := range v.fields {
			if f.Key != "" || f.Type() == event.Text {
				return nil, cannotf("%s: a new terms rule takes no field of type %s (%s)", quoted(t.text(first)), event.Fields[f.ID].Type, f.Name())
			}
		}
		text, filters, err := splitQuery(v.c)
		if err != nil {
			return nil, err
		}
		p := t.part(NewTerms, [][]rules.Expr{by}, a, v.c)
		p.Rule.Language, p.Rule.Index, p.Rule.Query, p.Rule.Filters = "kuery", t.index(v.c), text, filters
		p.Rule.NewTermsFields, p.Rule.HistoryStart = names(v.fields), "now-"+spanText(first.Horizon)
		if t.rule.Window > 0 {
			t.overWindow(&p)
		} else {
			t.everyFiveMinutes(p.Rule)
		}
		l := t.rule.Learn
		if l.For > 0 || l.MinEvents > 0 {
			p.differs(Learn, fmt.Sprintf("Kibana does not learn: the first value of a key that is itself new is an alert, where Gatebook keeps quiet for %s and %d events", days(l.For), l.MinEvents))
		}
		if slices.ContainsFunc(v.fields, func(f query.Field) bool { return f.Fold && f.ID != event.FieldGatebookUserKey }) {
			p.differs(Letters, "names that differ in letter case only are different values")
		}
		if !isAlways(a.event) {
			p.differs(Order, "only events that fulfil "+quoted(conditionText(a.event))+" make a value known, where Gatebook remembers those of all events of the rule")
		}
		p.differs(Repeat, t.repeats(p.Rule))
		parts = append(parts, p)
	}
	return parts, nil
}

type newTermsOf struct {
	c      condition
	fields []query.Field
}

// variants adds a term: a field to each, and of coalesce() its fields in turn, each where those before it are missing.
func (t *translator) variants(list []newTermsOf, term rules.Expr) (out []newTermsOf, err error) {
	fields := []query.Field{{}}
	call, isCall := term.(*rules.Call)
	if f, ok := plainField(term); ok {
		fields[0] = f
	} else if isCall && call.Name == "coalesce" {
		if fields, err = t.coalesced(call); err != nil {
			return nil, err
		}
	} else {
		return nil, cannotf("%s is worked out of the event, and a new terms rule takes fields", quoted(t.text(term)))
	}
	for _, v := range list {
		c := v.c
		for _, f := range fields {
			one := newTermsOf{c: c, fields: slices.Clone(v.fields)}
			if !slices.ContainsFunc(v.fields, func(had query.Field) bool { return had.Name() == f.Name() }) {
				one.fields = append(one.fields, f)
			}
			if len(fields) > 1 {
				one.c = all(c, there(f))
				c = all(c, not(there(f)))
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// part begins a rule of Kibana.
func (t *translator) part(kind Kind, by [][]rules.Expr, a alternative, conditions ...condition) Part {
	return Part{Kind: kind, Rule: &Rule{Type: string(kind)}, By: by, firing: a.of, conditions: conditions}
}

func (p *Part) differs(why Why, text string) {
	if text != "" {
		p.Differences = append(p.Differences, Difference{why, text})
	}
}

// index are the data streams that a rule reads: those of the events, and those of Gatebook's own alerts where the rule is about them.
func (t *translator) index(conditions ...condition) []string {
	namespace := t.options.Namespace
	if namespace == "" {
		namespace = "*"
	} else {
		namespace = "*-" + namespace
	}
	events := "logs-" + event.DatasetPrefix + namespace
	if t.rule.OverAlerts {
		alerts := "logs-gatebook.alert-" + strings.TrimPrefix(namespace, "*-")
		if !slices.ContainsFunc(conditions, func(c condition) bool { return !aboutAlerts(c) }) {
			return []string{alerts}
		}
		return []string{events}
	}
	return []string{events, "-logs-gatebook.alert-*", "-logs-gatebook.deadletter-*", "-logs-gatebook.agent-*"}
}

// aboutAlerts tells that a condition asks for alerts only.
func aboutAlerts(c condition) bool {
	parts, ok := c.(allOf)
	if !ok {
		parts = allOf{c}
	}
	return slices.ContainsFunc(parts, func(c condition) bool {
		a, _ := c.(asked)
		k, ok := a.Expr.(query.Compare)
		return ok && k.Field.ID == event.FieldEventKind && k.Op == query.Eq && k.Value.Str == string(event.KindAlert)
	})
}

func days(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return spanText(d)
}
