package detection

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// eqlWriter says conditions in EQL. There a comparison with a field that is missing is null, and what is null is not matched, behind "not" neither: so "not"
// is taken down to single questions, which say themselves what becomes of a field that is missing.
type eqlWriter struct{ err error }

func (w *eqlWriter) fail(format string, args ...any) string {
	if w.err == nil {
		w.err = cannotf(format, args...)
	}
	return ""
}

func (w *eqlWriter) field(f query.Field) string {
	switch {
	case f.Key != "" || f.Type() == event.Flattened:
		return w.fail("%s is of type flattened, which EQL does not read", f.Name())
	case f.Type() == event.Text:
		return w.fail("%s is indexed by its words, which EQL does not read", f.Name())
	case f.Type() == event.Stored:
		return w.fail("%s is stored and not indexed", f.Name())
	case f.Many():
		return w.fail("%s may have several values, which EQL does not support", f.Name())
	}
	return f.Name()
}

func (w *eqlWriter) condition(c condition) string { return w.part(c, false, false) }

// part writes a condition or, where negated is set, its contrary; one that stands beside others, where inner is set, in parentheses.
func (w *eqlWriter) part(c condition, negated, inner bool) string {
	join := func(of []condition, and bool) string {
		parts := make([]string, len(of))
		for i, one := range of {
			parts[i] = w.part(one, negated, true)
		}
		word := " or "
		if and != negated {
			word = " and "
		}
		text := strings.Join(parts, word)
		if inner {
			return "(" + text + ")"
		}
		return text
	}
	switch c := c.(type) {
	case allOf:
		return join(c, true)
	case anyOf:
		return join(c, false)
	case notOf:
		return w.part(c.of, !negated, inner)
	case asked:
		if negated {
			return w.notAsked(c.Expr, inner)
		}
		return w.asked(c.Expr)
	}
	return w.fail("%s asks for the time of day, for which EQL has no function", quoted(conditionText(c)))
}

func (w *eqlWriter) notAsked(e query.Expr, inner bool) string {
	switch e := e.(type) {
	case query.Const:
		return strconv.FormatBool(!e.True)
	case query.Exists:
		return w.field(e.Field) + " == null"
	}
	f, _ := fieldAsked(e)
	text := w.field(f) + " == null or not " + w.asked(e)
	if c, ok := e.(query.Compare); ok {
		text = w.field(f) + " == null or not (" + w.asked(e) + ")"
		if c.Op == query.Eq && !f.Fold && f.Type() != event.IP {
			text = w.field(f) + " == null or " + w.field(f) + " != " + w.literal(f, c.Value)
		}
	}
	if inner {
		return "(" + text + ")"
	}
	return text
}

func (w *eqlWriter) asked(e query.Expr) string {
	switch e := e.(type) {
	case query.Const:
		return strconv.FormatBool(e.True)
	case query.Exists:
		return w.field(e.Field) + " != null"
	case query.Compare:
		return w.compare(e)
	case query.In:
		return w.in(e)
	case query.Text:
		return w.text(e)
	case query.CIDR:
		return apart(e.Networks, " and not ", " or ", func(list []string) string { return w.networks(e.Field, list) })
	}
	return w.fail("%T is not known to EQL", e)
}

func (w *eqlWriter) compare(e query.Compare) string {
	f := e.Field
	switch {
	case f.Type() == event.IP:
		return w.networks(f, []string{e.Value.IP.String() + "/" + strconv.Itoa(e.Value.IP.BitLen())})
	case f.Fold && e.Op != query.Eq:
		return w.fail("%s: EQL has no order in which letter case does not matter", quoted(conditionText(asked{e})))
	case f.Fold && strings.ContainsAny(e.Value.Str, "*?"): // which : takes for wildcards
		return w.field(f) + " in~ (" + eqlText(e.Value.Str) + ")"
	case f.Fold:
		return w.field(f) + " : " + eqlText(e.Value.Str)
	}
	return w.field(f) + " " + esqlOps[e.Op] + " " + w.literal(f, e.Value)
}

func (w *eqlWriter) networks(f query.Field, list []string) string {
	for i, n := range list {
		list[i] = eqlText(n)
	}
	return "cidrMatch(" + w.field(f) + ", " + strings.Join(list, ", ") + ")"
}

func (w *eqlWriter) in(e query.In) string {
	var list []string
	for _, v := range e.Values {
		if e.Field.Type() == event.IP {
			list = append(list, v.IP.String()+"/"+strconv.Itoa(v.IP.BitLen()))
		} else {
			list = append(list, w.literal(e.Field, v))
		}
	}
	if e.Field.Type() == event.IP {
		return w.networks(e.Field, list)
	}
	word := " in ("
	if e.Field.Fold {
		word = " in~ ("
	}
	return w.field(e.Field) + word + strings.Join(list, ", ") + ")"
}

func (w *eqlWriter) text(e query.Text) string {
	f := e.Field
	if e.How != query.Matches && e.Text == "" {
		return w.field(f) + " != null"
	}
	if e.How == query.Matches {
		pattern, err := lucenePattern(e)
		if err != nil {
			return w.fail("%v", err)
		}
		return w.field(f) + " regex " + eqlText(pattern) // the pattern itself says whether letter case matters
	}
	function := map[query.How]string{query.Contains: "stringContains", query.StartsWith: "startsWith", query.EndsWith: "endsWith"}[e.How]
	if f.Fold {
		function += "~"
	}
	return function + "(" + w.field(f) + ", " + eqlText(e.Text) + ")"
}

func (w *eqlWriter) literal(f query.Field, v query.Value) string {
	switch f.Type() {
	case event.DateTime:
		return w.fail("%s is a time, which EQL does not compare with a text", f.Name())
	case event.Boolean:
		return strconv.FormatBool(v.Int != 0)
	case event.Integer, event.Float32:
		if v.Kind == event.Num {
			return decimal(v.Num)
		}
		return strconv.FormatInt(v.Int, 10)
	}
	return eqlText(v.Str)
}

func eqlText(s string) string { return esqlText(s) } // both escape alike

// eqlSequence writes the steps, each without what is known to be harmless.
func (t *translator) eqlSequence(grouping int, harmless condition) (text string, conditions []condition, err error) {
	s := t.rule.Sequence
	var w eqlWriter
	keys := func(terms []rules.Expr) string {
		fields, ok := countable(terms)
		if !ok {
			w.fail("the steps are joined by %s, and EQL joins them by fields", quoted(t.termsText(terms)))
		}
		return strings.Join(names(fields), ", ")
	}
	own := false
	for _, step := range s.Steps {
		own = own || len(step.By) > 0
	}
	var b strings.Builder
	b.WriteString("sequence")
	if !own && len(t.groupings()[grouping]) > 0 {
		b.WriteString(" by " + keys(t.groupings()[grouping]))
	}
	fmt.Fprintf(&b, " with maxspan=%s", eqlSpan(s.Within))
	for _, step := range s.Steps {
		c, err := t.condition(step.When)
		if err != nil {
			return "", nil, err
		}
		c = all(c, not(harmless))
		conditions = append(conditions, c)
		b.WriteString("\n  ")
		if step.Without {
			b.WriteString("!")
		}
		b.WriteString("[any where " + w.condition(c) + "]")
		if own {
			by := t.groupings()[grouping]
			if len(step.By) > 0 {
				by = step.By[grouping]
			}
			b.WriteString(" by " + keys(by))
		}
		if step.Times > 1 {
			const mostRuns = 100
			if step.Times > mostRuns {
				w.fail("step %s takes %d events, and EQL counts to %d", step.Name, step.Times, mostRuns)
			}
			fmt.Fprintf(&b, " with runs=%d", step.Times)
		}
	}
	return b.String(), conditions, w.err
}

// eqlSpan writes a length of time as maxspan has it.
func eqlSpan(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	return spanText(d)
}
