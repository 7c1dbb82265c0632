package sigma

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	maxConditionDepth = 20
	maxConditionWords = 2000
)

// conditionReader reads a condition of Sigma's:
//
//	or:   and ("or" and)*
//	and:  not ("and" not)*
//	not:  "not" not | "(" or ")" | ("1" | "any" | "all") "of" ("them" | pattern) | selection
//	all of it may have behind it: "|" count ["(" [field] ")"] ["by" field ("," field)*] operator number
type conditionReader struct {
	*detectionReader
	at    *node
	words []string
	depth int
	atoms int // of the selections written out so far
	bytes int
	bad   bool
}

var conditionWord = regexp.MustCompile(`[()|,]|[<>=!]=?|[^\s()|,<>=!]+`)

// condition reads one condition, or several of which any is enough.
func (x *detectionReader) condition(n, timeframe *node) (clause, *aggregation) {
	list, ok := n.texts()
	if !ok || len(list) == 0 {
		x.refuse(n, "detection.condition", "want a text here")
		return clause{}, nil
	}
	var any []clause
	for _, one := range list {
		r := &conditionReader{detectionReader: x, at: one, words: conditionWord.FindAllString(one.scalar, maxConditionWords+1)}
		if len(r.words) > maxConditionWords {
			r.fail(fmt.Sprintf("more than %d words", maxConditionWords))
			return clause{}, nil
		}
		c := r.or()
		if !r.bad && len(r.words) > 0 && r.words[0] == "|" {
			if len(list) > 1 {
				r.fail("one of several conditions has an aggregation: make several rules of it")
				return clause{}, nil
			}
			return c, r.aggregation(timeframe)
		}
		if !r.bad && len(r.words) > 0 {
			r.fail(fmt.Sprintf("%q is not expected there", cut(r.words[0])))
		}
		any = append(any, c)
	}
	if timeframe != nil {
		x.refuse(timeframe, "detection.timeframe", "a timeframe without an aggregation has no meaning")
	}
	return join(anyOf, any...), nil
}

func (r *conditionReader) fail(message string) clause {
	if !r.bad {
		r.refuse(r.at, "detection.condition", message)
	}
	r.bad = true
	return clause{}
}

// next tells whether one of the words comes next, and takes it.
func (r *conditionReader) next(words ...string) bool {
	if len(r.words) == 0 {
		return false
	}
	for _, w := range words {
		if strings.EqualFold(r.words[0], w) {
			r.words = r.words[1:]
			return true
		}
	}
	return false
}

func (r *conditionReader) take() string {
	if len(r.words) == 0 {
		return ""
	}
	w := r.words[0]
	r.words = r.words[1:]
	return w
}

func (r *conditionReader) or() clause {
	list := []clause{r.and()}
	for !r.bad && r.next("or") {
		list = append(list, r.and())
	}
	return join(anyOf, list...)
}

func (r *conditionReader) and() clause {
	list := []clause{r.not()}
	for !r.bad && r.next("and") {
		list = append(list, r.not())
	}
	return join(allOf, list...)
}

func (r *conditionReader) not() clause {
	if r.depth++; r.depth > maxConditionDepth {
		return r.fail(fmt.Sprintf("nested more than %d deep", maxConditionDepth))
	}
	defer func() { r.depth-- }()
	switch {
	case r.bad:
		return clause{}
	case r.next("not"):
		return negate(r.not())
	case r.next("("):
		c := r.or()
		if !r.bad && !r.next(")") {
			return r.fail("a parenthesis is not closed")
		}
		return c
	case len(r.words) > 1 && strings.EqualFold(r.words[1], "of"):
		return r.some()
	case len(r.words) == 0:
		return r.fail("it ends where a selection is wanted")
	}
	name := r.take()
	for _, s := range r.selections {
		if s.name == name {
			return r.use(s)
		}
	}
	return r.fail(fmt.Sprintf("there is no selection %q", cut(printable(name))))
}

// use counts what a selection is made of: it may be used many times.
func (r *conditionReader) use(s *selection) clause {
	c := r.clause(s)
	atoms, bytes := c.size()
	r.atoms, r.bytes = r.atoms+atoms, r.bytes+bytes
	if r.atoms > maxAtoms || r.bytes > maxBytes {
		return r.fail(tooLarge)
	}
	return c
}

// some reads 1 of x*, all of them.
func (r *conditionReader) some() clause {
	quantity, _, pattern := r.take(), r.take(), r.take()
	op := anyOf
	switch strings.ToLower(quantity) {
	case "1", "any":
	case "all":
		op = allOf
	default:
		return r.fail(fmt.Sprintf("%q of them is not known: want 1 or all", cut(printable(quantity))))
	}
	var list []clause
	for _, s := range r.selections {
		if strings.EqualFold(pattern, "them") && !strings.HasPrefix(s.name, "_") || matchesName(pattern, s.name) {
			if list = append(list, r.use(s)); r.bad {
				return clause{}
			}
		}
	}
	if len(list) == 0 {
		return r.fail(fmt.Sprintf("there is no selection %q", cut(printable(pattern))))
	}
	return join(op, list...)
}

// matchesName tells whether a name fits a pattern with stars.
func matchesName(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// aggregation reads what stands behind the |, as rules had it before there were correlations.
func (r *conditionReader) aggregation(timeframe *node) *aggregation {
	r.take()
	function := strings.ToLower(r.take())
	a := &aggregation{}
	argument := ""
	if r.next("(") && !r.next(")") {
		argument = r.take()
		if !r.next(")") {
			r.fail("a parenthesis is not closed")
			return nil
		}
	}
	what := r.function(function, argument)
	if r.bad {
		return nil
	}
	for again := r.next("by"); again; again = r.next(",") {
		t, err := r.field(r.records.fields, r.take())
		if err != nil || t.many {
			r.fail(fmt.Sprintf("by: %v", orSeveral(t, err)))
			return nil
		}
		a.by = append(a.by, t.term)
	}
	op, number := r.take(), r.take()
	fire, err := threshold(what, op, number)
	switch {
	case len(r.words) > 0:
		r.fail(fmt.Sprintf("%q is not expected there", cut(printable(r.words[0]))))
	case err != nil:
		r.fail(err.Error())
	case timeframe == nil:
		r.fail("the aggregation has no timeframe, and the rule language counts in windows only")
	default:
		if op == "==" || op == "=" {
			r.note(r.at, "detection.condition", equalNote)
		}
		a.fire, a.window = fire, r.length(timeframe, "detection.timeframe")
	}
	return a
}

func orSeveral(t target, err error) error {
	if err == nil && t.many {
		return fmt.Errorf("%s has several values", t.term)
	}
	return err
}

// function is the aggregate of the rule language.
func (r *conditionReader) function(name, argument string) string {
	if name == "count" && argument == "" {
		return "count()"
	}
	ours := map[string]string{"count": "distinct", "sum": "sum", "min": "min", "max": "max"}[name]
	if ours == "" {
		r.fail(fmt.Sprintf("the aggregation %q has no counterpart in the rule language", cut(printable(name))))
		return ""
	}
	t, err := r.field(r.records.fields, argument)
	if err = orSeveral(t, err); err == nil && ours != "distinct" && !t.isNumber() {
		err = fmt.Errorf("%s() wants a number, and %s is of type %s", name, t.term, t.field.Type())
	}
	if err != nil {
		r.fail(err.Error())
		return ""
	}
	return ours + "(" + t.term + ")"
}

const equalNote = "fires when the number is reached, before it is known whether there will be more"

// threshold compares an aggregate with a number.
func threshold(what, op, number string) (string, error) {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return "", fmt.Errorf("want a whole number, not %q", cut(printable(number)))
	}
	switch op {
	case ">", ">=":
	case "=", "==":
		op = "=="
	case "<", "<=":
		return "", fmt.Errorf("fewer than so many would fire on the first event: the rule language asks with expect_every for what does not come")
	default:
		return "", fmt.Errorf("want a comparison, not %q", cut(printable(op)))
	}
	return fmt.Sprintf("%s %s %d", what, op, n), nil
}

var lengthOfTime = regexp.MustCompile(`^[0-9]{1,9}[smhdwMy]$`)

// length reads a length of time: 30s, 5m, 1h, 7d, 2w, 1M (30 days), 1y.
func (d *document) length(n *node, path string) string {
	text := n.text()
	if !lengthOfTime.MatchString(text) {
		d.refuse(n, path, fmt.Sprintf("%q is no length of time such as 15m", cut(printable(text))))
		return ""
	}
	if months, ok := strings.CutSuffix(text, "M"); ok {
		v, _ := strconv.Atoi(months)
		return strconv.Itoa(v*30) + "d"
	}
	return text
}
