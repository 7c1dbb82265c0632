package detection

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatebook/gatebook/rules"
)

// sequence translates a rule with steps.
func (t *translator) sequence() (parts []Part, missing []error) {
	s := t.rule.Sequence
	for _, step := range s.Steps {
		t.steps = append(t.steps, step.Name)
	}
	for _, step := range s.Steps {
		var err error
		rules.Walk(step.When, func(e rules.Expr) bool {
			if a, ok := e.(*rules.Aggregate); ok && err == nil {
				if err = t.nodeReason(a); err == nil {
					err = cannotf("step %s asks for %s, and a step of EQL sees its own event only", step.Name, quoted(t.text(a)))
				}
			} else if f, ok := e.(*rules.Field); ok && err == nil && f.From != rules.FromEvent {
				err = t.nodeReason(f)
			}
			return err == nil
		})
		if err != nil {
			return nil, []error{err}
		}
	}
	last := s.Steps[len(s.Steps)-1]
	for i := range t.groupings() {
		var p Part
		var err error
		switch {
		case !last.Without:
			p, err = t.eqlRule(i)
		case len(s.Steps) == 2 && s.Steps[0].Times <= 1 && len(s.Steps[0].By) == 0 && len(last.By) == 0:
			p, err = t.absence(i)
		default:
			err = cannotf("step %s must not come after several others, and EQL would fire before its time is over", last.Name)
		}
		if err != nil {
			missing = append(missing, err)
		} else {
			parts = append(parts, p)
		}
	}
	return parts, missing
}

func (t *translator) eqlRule(grouping int) (Part, error) {
	text, conditions, err := t.eqlSequence(grouping, t.except)
	if err != nil {
		return Part{}, err
	}
	p := t.part(EQL, [][]rules.Expr{t.groupings()[grouping]}, alternative{}, conditions...)
	within, interval := t.rule.Sequence.Within, 5*time.Minute
	p.Rule.Language, p.Rule.Index, p.Rule.Query = "eql", t.index(conditions...), text
	p.Rule.Interval, p.Rule.From = spanText(interval), "now-"+spanText(within+interval)
	for _, step := range t.rule.Sequence.Steps {
		if step.Times > 1 {
			p.differs(Weight, "an event counts as one, whatever its gatebook.count; here a line such as \"message repeated 4 times\" counts as often as it says")
			break
		}
	}
	if t.folding(grouping) {
		p.differs(Letters, "names that differ in letter case only are not joined")
	}
	p.differs(Early, "events that arrive out of order are seen if they are there when the rule runs")
	p.differs(Repeat, t.repeats(p.Rule))
	return p, nil
}

// folding tells that steps are joined by names in which letter case does not matter.
func (t *translator) folding(grouping int) bool {
	lists := [][]rules.Expr{t.groupings()[grouping]}
	for _, step := range t.rule.Sequence.Steps {
		if len(step.By) > 0 {
			lists = append(lists, step.By[grouping])
		}
	}
	for _, terms := range lists {
		for _, term := range terms {
			if f, ok := plainField(term); ok && f.Fold && f.Name() != "gatebook.user.key" {
				return true
			}
		}
	}
	return false
}

// absence is a step that must not come after another one, in ES|QL: EQL would fire before its time is over.
func (t *translator) absence(grouping int) (Part, error) {
	s, by := t.rule.Sequence, t.groupings()[grouping]
	var conditions [2]condition
	for i := range conditions {
		c, err := t.condition(s.Steps[i].When)
		if err != nil {
			return Part{}, err
		}
		conditions[i] = all(c, not(t.except))
	}
	q := newESQL(t, anyIn(conditions[:]...), by)
	began, ended := s.Steps[0].Name, s.Steps[1].Name
	q.line("EVAL %s_at = CASE(%s, @timestamp, null), %s_at = CASE(%s, @timestamp, null)", began, q.condition(conditions[0]), ended, q.condition(conditions[1]))
	q.stats([]string{began + "_at = VALUES(" + began + "_at)", ended + "_at = MAX(" + ended + "_at)"})
	q.line("MV_EXPAND %s_at", began)
	q.line("WHERE %s_at IS NOT NULL AND (%s_at IS NULL OR %s_at > %s_at)", began, ended, began, ended)
	q.stats([]string{began + "_at = MIN(" + began + "_at)"})
	q.line("WHERE %s_at <= NOW() - %s", began, esqlSpan(s.Within))
	p, err := t.esqlPart(q, by, alternative{}, conditions[:]...)
	if err != nil {
		return Part{}, err
	}
	const interval = 5 * time.Minute
	p.Rule.Interval, p.Rule.From = spanText(interval), "now-"+spanText(s.Within+2*interval)
	p.differs(Early, fmt.Sprintf("the time of %s counts from when the rule runs, not from the events that have come", spanText(s.Within)))
	p.differs(Repeat, t.repeats(p.Rule))
	return p, nil
}

// expectation is a rule for what should have come and did not.
func (t *translator) expectation() (parts []Part, missing []error) {
	when, err := t.condition(t.rule.When)
	if err != nil {
		return nil, []error{err}
	}
	c := all(when, not(t.except))
	for _, by := range t.groupings() {
		q := newESQL(t, c, by)
		q.stats([]string{"last_event = MAX(@timestamp)"})
		q.line("WHERE last_event <= NOW() - %s", esqlSpan(t.rule.ExpectEvery))
		p, err := t.esqlPart(q, by, alternative{}, c)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		const interval = 5 * time.Minute
		p.Rule.Interval, p.Rule.From = spanText(interval), "now-"+spanText(t.rule.ExpectEvery+2*interval)
		p.differs(Early, "a rule that does not run in the ten minutes after the time is over misses it")
		p.differs(Repeat, t.repeats(p.Rule))
		parts = append(parts, p)
	}
	return parts, missing
}

// esqlSpan is a length of time as ES|QL has it.
func esqlSpan(d time.Duration) string {
	l := lengthOf(d)
	word := map[string]string{"s": "second", "m": "minute", "h": "hour"}[l.Unit]
	if l.Value != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", l.Value, strings.TrimSpace(word))
}
