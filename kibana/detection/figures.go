package detection

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// esqlQuery is a query of ES|QL that grows line by line.
type esqlQuery struct {
	esqlWriter
	t     *translator
	lines []string
	keys  []string // columns of the grouping
}

// newESQL begins with the events that match and have the keys of a grouping.
func newESQL(t *translator, c condition, by []rules.Expr) *esqlQuery {
	q := &esqlQuery{t: t}
	var made []string
	where := []condition{c}
	for i, term := range by {
		has, err := t.hasTerm(term)
		if err != nil {
			q.fail("%v", err)
			return q
		}
		where = append(where, has)
		f, plain := plainField(term)
		column := f.Name()
		if !plain {
			column = "gatebook_key_" + itoa(i+1)
		}
		if text := q.term(&t.reader, term); text != column {
			made = append(made, column+" = "+text)
		}
		q.keys = append(q.keys, column)
	}
	q.lines = []string{"FROM " + strings.Join(t.index(c), ", ")}
	q.line("WHERE %s", q.condition(all(where...)))
	if len(made) > 0 {
		q.line("EVAL %s", strings.Join(made, ", "))
	}
	return q
}

func (q *esqlQuery) line(format string, args ...any) {
	q.lines = append(q.lines, "| "+fmt.Sprintf(format, args...))
}

func (q *esqlQuery) stats(columns []string) {
	text := "STATS " + strings.Join(columns, ", ")
	if len(q.keys) > 0 {
		text += " BY " + strings.Join(q.keys, ", ")
	}
	q.line("%s", text)
}

// esqlPart is a rule of the query.
func (t *translator) esqlPart(q *esqlQuery, by []rules.Expr, a alternative, conditions ...condition) (Part, error) {
	if q.err != nil {
		return Part{}, q.err
	}
	p := t.part(ESQL, [][]rules.Expr{by}, a, conditions...)
	p.Rule.Language, p.Rule.Query = "esql", strings.Join(q.lines, "\n")
	if len(q.keys) > 0 && len(q.keys) <= mostKeys && t.rule.Quiet > 0 && !t.options.NoSuppression {
		p.Rule.Suppression = &suppression{GroupBy: q.keys, Duration: lengthOf(t.rule.Quiet), Missing: "doNotSuppress"}
	}
	return p, nil
}

// plainESQL is a rule that fires on each event that matches, in ES|QL, as a query could not say it.
func (t *translator) plainESQL(c condition, a alternative, why error) (Part, error) {
	q := &esqlQuery{t: t}
	q.lines = []string{"FROM " + strings.Join(t.index(c), ", ") + " METADATA _id, _index, _version"}
	q.line("WHERE %s", q.condition(c))
	if q.err != nil {
		return Part{}, why
	}
	for i, by := range t.groupings() {
		if fields, ok := countable(by); ok && i == 0 {
			q.keys = names(fields)
		}
	}
	p, err := t.esqlPart(q, nil, a, c)
	if err != nil {
		return Part{}, err
	}
	p.By = t.groupings()
	t.everyFiveMinutes(p.Rule)
	p.differs(Repeat, t.repeats(p.Rule))
	return p, nil
}

type esqlAlternatives []alternative

// figureWriter collects the columns that conditions over a window need.
type figureWriter struct {
	*esqlQuery
	evals, columns []string
	named          map[string]string // column by what it is worked out of
	weight         bool
	about          bool
}

// figures is a rule over figures of a window, in ES|QL.
func (t *translator) figures(base condition, list esqlAlternatives, by []rules.Expr) (Part, error) {
	q := newESQL(t, base, by)
	w := &figureWriter{esqlQuery: q, named: map[string]string{}}
	var either []string
	conditions := []condition{base}
	ordered := false
	for _, a := range list {
		var both []string
		if !isAlways(a.event) {
			both = append(both, w.column("fires", "CASE("+w.condition(a.event)+", 1, 0)", "MAX")+" == 1")
			conditions, ordered = append(conditions, a.event), true
		}
		for _, e := range a.counts {
			both = append(both, w.truth(e))
			rules.Walk(e, func(e rules.Expr) bool {
				if a, ok := e.(*rules.Aggregate); ok && a.Cond != nil {
					if c, err := t.condition(a.Cond); err == nil {
						conditions = append(conditions, c)
					}
				}
				return true
			})
		}
		either = append(either, strings.Join(both, " AND "))
	}
	if len(either) > 1 {
		for i := range either {
			either[i] = "(" + either[i] + ")"
		}
	}
	if w.weight {
		w.evals = append([]string{"weight = COALESCE(gatebook.count, TO_LONG(1))"}, w.evals...)
	}
	if len(w.evals) > 0 {
		q.line("EVAL %s", strings.Join(w.evals, ", "))
	}
	q.stats(append(w.columns, "first_event = MIN(@timestamp)", "last_event = MAX(@timestamp)"))
	q.line("WHERE %s", strings.Join(either, " OR "))
	p, err := t.esqlPart(q, by, alternative{of: t.rule.Fire}, conditions...)
	if err != nil {
		return Part{}, err
	}
	t.overWindow(&p)
	if slices.ContainsFunc(list, func(a alternative) bool { return !growing(a) }) {
		p.differs(Window, "what holds for a moment only, as a share or a number that must not be exceeded may, is not seen between two runs")
	}
	if ordered {
		p.differs(Order, "what fire asks of the event that fires, any event of the window may fulfil: what came after it counts too")
	}
	if w.about {
		p.differs(About, "different values are counted approximately where there are more than 40,000")
	}
	p.differs(Repeat, "the rule fires again at each run as long as the window holds what it asks for; "+t.repeats(p.Rule))
	return p, nil
}

// growing tells that an alternative stays true as more events come.
func growing(a alternative) bool {
	return !slices.ContainsFunc(a.counts, func(e rules.Expr) bool {
		of, _, ok := least(e)
		return !ok || of.Kind != rules.Count && of.Kind != rules.Distinct && of.Kind != rules.Rate
	})
}

// column names a column of STATS; equal ones are one.
func (w *figureWriter) column(name, value, function string) string {
	text := function + " " + value
	if had := w.named[text]; had != "" {
		return had
	}
	for i := 1; ; i++ {
		candidate := name
		if i > 1 {
			candidate += "_" + itoa(i)
		}
		if slices.ContainsFunc(w.columns, func(c string) bool { return strings.HasPrefix(c, candidate+" = ") }) {
			continue
		}
		w.named[text] = candidate
		if strings.HasPrefix(value, "CASE(") {
			w.evals = append(w.evals, candidate+" = "+value)
			value = candidate
		}
		if function == "COUNT_DISTINCT" {
			value += ", 40000"
		}
		w.columns = append(w.columns, candidate+" = "+function+"("+value+")")
		return candidate
	}
}

// truth is a comparison of figures.
func (w *figureWriter) truth(e rules.Expr) string {
	switch e := e.(type) {
	case *rules.Compare:
		right, isConst := e.Right.(*rules.Const)
		if isConst && right.Value == nil {
			if e.Op == query.Eq {
				return w.number(e.Left) + " IS NULL"
			}
			return w.number(e.Left) + " IS NOT NULL"
		}
		return w.number(e.Left) + " " + esqlOps[e.Op] + " " + w.number(e.Right)
	case *rules.Not:
		return "NOT COALESCE(" + w.truth(e.Of) + ", false)"
	}
	return w.fail("%v", w.t.reason(e))
}

func (w *figureWriter) number(e rules.Expr) string {
	switch e := e.(type) {
	case *rules.Const:
		if f, ok := e.Value.(float64); ok {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
	case *rules.Arith:
		left := w.number(e.Left)
		if e.Op == '/' {
			left = "TO_DOUBLE(" + left + ")"
		}
		return "(" + left + " " + string(rune(e.Op)) + " " + w.number(e.Right) + ")"
	case *rules.Aggregate:
		return w.aggregate(e)
	}
	return w.fail("%v", w.t.reason(e))
}

func (w *figureWriter) aggregate(a *rules.Aggregate) string {
	counted := func(e rules.Expr) string {
		w.weight = true
		if e == nil {
			return w.column("events", "weight", "SUM")
		}
		c, err := w.t.condition(e)
		if err != nil {
			return w.fail("%v", err)
		}
		return w.column("matching", "CASE("+w.condition(c)+", weight, TO_LONG(0))", "SUM")
	}
	of := func(function string) string {
		return w.column(strings.ToLower(function)+"_of_"+columnName(a.Terms), w.term(&w.t.reader, a.Terms[0]), function)
	}
	switch a.Kind {
	case rules.Count:
		return counted(a.Cond)
	case rules.Ratio:
		return "TO_DOUBLE(" + counted(a.Cond) + ") / " + counted(nil)
	case rules.Rate:
		return "TO_DOUBLE(" + counted(nil) + ") / " + strconv.FormatFloat(w.t.rule.Window.Minutes(), 'f', -1, 64)
	case rules.Distinct:
		w.about = true
		return w.column("different_"+columnName(a.Terms), w.tuple(&w.t.reader, a.Terms), "COUNT_DISTINCT")
	case rules.Sum:
		return of("SUM")
	case rules.Min:
		return of("MIN")
	case rules.Max:
		return of("MAX")
	}
	return w.fail("%v", w.t.reason(a))
}

// columnName makes a word of terms.
func columnName(terms []rules.Expr) string {
	var words []string
	for _, t := range terms {
		if f, ok := plainField(t); ok {
			words = append(words, strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
					return r
				}
				return '_'
			}, f.Name()))
		} else if call, ok := t.(*rules.Call); ok {
			words = append(words, call.Name)
		}
	}
	return strings.Join(words, "_and_")
}
