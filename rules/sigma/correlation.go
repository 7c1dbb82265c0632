package sigma

import (
	"fmt"
	"strings"
)

// maxCorrelated bounds the rules of a correlation.
const maxCorrelated = 10

// correlation is what a correlation document asks of other rules.
type correlation struct {
	kind    string
	refs    []*node
	rules   []*baseRule
	groupBy []*node
	aliases *node
	span    string
	op      string
	number  string
	field   *node // of value_count and value_sum
	at      *node
}

// readCorrelation reads the document and marks the rules that it refers to. It is nil where that cannot be done.
func (t *translator) readCorrelation(d *document) *correlation {
	n := d.root.at("correlation")
	if !n.isMap {
		d.refuse(n, "correlation", "want a map here")
		return nil
	}
	c := &correlation{at: n, aliases: n.at("aliases")}
	generate := false
	for i, k := range n.keys {
		v := n.values[i]
		switch k.scalar {
		case "type":
			c.kind = v.text()
		case "rules":
			var ok bool
			if c.refs, ok = v.texts(); !ok {
				d.refuse(v, "correlation.rules", "want ids or names of rules")
			}
		case "group-by":
			var ok bool
			if c.groupBy, ok = v.texts(); !ok {
				d.refuse(v, "correlation.group-by", "want names of fields")
			}
		case "timespan", "timeframe":
			c.span = d.length(v, "correlation."+k.scalar)
		case "generate":
			generate = v.isTrue()
		case "condition":
			d.readThreshold(c, v)
		case "aliases":
		default:
			d.refuse(k, "correlation."+cut(printable(k.scalar)), "is no attribute of a correlation that is known here")
		}
	}
	if len(c.refs) == 0 || len(c.refs) > maxCorrelated {
		d.refuse(n, "correlation.rules", fmt.Sprintf("want 1 to %d rules", maxCorrelated))
		return c
	}
	for _, ref := range c.refs {
		found := t.byRef[ref.scalar]
		switch {
		case len(found) == 0:
			d.refuse(ref, "correlation.rules", fmt.Sprintf("there is no rule with the id or name %q among those imported together", cut(printable(ref.scalar))))
		case len(found) > 1:
			d.refuse(ref, "correlation.rules", fmt.Sprintf("several rules have the id or name %q", cut(printable(ref.scalar))))
		case found[0].kind != ruleDocument:
			d.refuse(ref, "correlation.rules", fmt.Sprintf("%q is no rule of its own: only rules are correlated", cut(printable(ref.scalar))))
		default:
			found[0].usedBy, found[0].generate = d.called(), found[0].generate || generate || d.root.at("generate").isTrue()
			c.rules = append(c.rules, t.base(found[0]))
		}
	}
	return c
}

var correlationOps = map[string]string{"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=="}

// readThreshold reads the condition: {gte: 10, field: User}.
func (d *document) readThreshold(c *correlation, n *node) {
	if !n.isMap {
		d.refuse(n, "correlation.condition", "conditions over the rules of a correlation are not translated, only numbers: {gte: 10}")
		return
	}
	for i, k := range n.keys {
		v := n.values[i]
		switch op, ok := correlationOps[k.scalar]; {
		case k.scalar == "field":
			if c.field = v; !v.isScalar() {
				d.refuse(v, "correlation.condition.field", "want the name of one field")
			}
		case !ok:
			d.refuse(k, "correlation.condition."+cut(printable(k.scalar)), "is no comparison that the rule language has")
		case c.op != "":
			d.refuse(k, "correlation.condition", "two comparisons: the rule language would fire before the upper one is decided")
		default:
			c.op, c.number = op, v.text()
		}
	}
}

// writeCorrelation makes one rule of the correlation and what it refers to.
func (t *translator) writeCorrelation(d *document) {
	c := d.correlation
	if c == nil || d.dropped {
		return
	}
	whole := true
	for i, b := range c.rules {
		switch {
		case !b.ok:
			d.refuse(c.refs[i], "correlation.rules", fmt.Sprintf("the rule %q is not translated", b.called()))
		case b.total != nil:
			d.refuse(c.refs[i], "correlation.rules", fmt.Sprintf("the rule %q counts events itself", b.called()))
		default:
			continue
		}
		whole = false
	}
	if !whole {
		return
	}
	if c.span == "" && !d.dropped {
		d.refuse(c.at, "correlation.timespan", "the correlation has no timespan, and the rule language counts in windows only")
	}
	if anyRule(c).tooLarge() {
		d.refuse(c.at, "correlation.rules", tooLarge)
	}
	keys := t.keysOf(d, c)
	if d.dropped {
		return
	}
	w := d.head(c.rules)
	switch c.kind {
	case "event_count":
		t.counted(d, c, w, "count()", keys)
	case "value_count":
		t.counted(d, c, w, t.aggregateOf(d, c, "distinct"), keys)
	case "value_sum":
		t.counted(d, c, w, t.aggregateOf(d, c, "sum"), keys)
	case "temporal":
		t.together(d, c, w, keys)
	case "temporal_ordered":
		t.ordered(d, c, w, keys)
	default:
		d.refuse(c.at, "correlation.type", fmt.Sprintf("correlations of type %q are not translated", cut(printable(c.kind))))
	}
	t.write(d, w)
}

// keysOf finds the terms that each rule is grouped by.
func (t *translator) keysOf(d *document, c *correlation) [][]string {
	keys := make([][]string, len(c.rules))
	for _, g := range c.groupBy {
		for i, b := range c.rules {
			term, err := t.aliased(c, g, i, b)
			if err = orSeveral(term, err); err != nil {
				d.refuse(g, "correlation.group-by", fmt.Sprintf("in the rule %q: %v", b.called(), err))
				continue
			}
			keys[i] = append(keys[i], term.term)
		}
	}
	return keys
}

// aliased finds a field of one of the rules, which an alias may call something else there.
func (t *translator) aliased(c *correlation, name *node, i int, b *baseRule) (target, error) {
	field := name.scalar
	if alias := c.aliases.at(field); alias != nil {
		named := alias.at(c.refs[i].scalar)
		if named == nil {
			named = alias.at(b.name)
		}
		if !named.isScalar() {
			return target{}, fmt.Errorf("the alias %q names no field of it", cut(printable(field)))
		}
		field = named.scalar
	}
	return t.field(b.records.fields, field)
}

// same refuses rules whose groupings are different fields: a window has one.
func same(d *document, c *correlation, keys [][]string) []string {
	for _, k := range keys[1:] {
		if strings.Join(k, ",") != strings.Join(keys[0], ",") {
			d.refuse(c.at, "correlation.group-by", "the rules are grouped by different fields of the record, which only temporal_ordered can do here")
			return nil
		}
	}
	return keys[0]
}

// aggregateOf is distinct(field) or sum(field).
func (t *translator) aggregateOf(d *document, c *correlation, name string) string {
	if c.field == nil {
		d.refuse(c.at, "correlation.condition.field", "the correlation names no field")
		return ""
	}
	term := ""
	for i, b := range c.rules {
		f, err := t.aliased(c, c.field, i, b)
		if err = orSeveral(f, err); err == nil && name == "sum" && !f.isNumber() {
			err = fmt.Errorf("%s is of type %s, and a number is wanted", f.term, f.field.Type())
		}
		if err == nil && i > 0 && f.term != term {
			err = fmt.Errorf("it is %s there, and %s in another rule", f.term, term)
		}
		if err != nil {
			d.refuse(c.field, "correlation.condition.field", fmt.Sprintf("in the rule %q: %v", b.called(), err))
			return ""
		}
		term = f.term
	}
	return name + "(" + term + ")"
}

// counted fires on a number over all events of the rules.
func (t *translator) counted(d *document, c *correlation, w *ruleText, what string, keys [][]string) {
	by := same(d, c, keys)
	if d.dropped {
		return
	}
	fire, err := threshold(what, c.op, c.number)
	if err != nil {
		d.refuse(c.at, "correlation.condition", err.Error())
		return
	}
	if c.op == "==" {
		d.note(c.at, "correlation.condition", equalNote)
	}
	w.when, w.by, w.window, w.fire = anyRule(c), by, c.span, atomOf(fire)
}

func anyRule(c *correlation) clause {
	var list []clause
	for _, b := range c.rules {
		list = append(list, b.when)
	}
	return join(anyOf, list...)
}

// together fires where each rule has an event in the window, in any order.
func (t *translator) together(d *document, c *correlation, w *ruleText, keys [][]string) {
	by := same(d, c, keys)
	if c.op != "" && (c.op != ">=" || c.number != fmt.Sprint(len(c.rules))) {
		d.refuse(c.at, "correlation.condition", "some of the rules, but not all, is not translated")
	}
	var each []clause
	for _, b := range c.rules {
		each = append(each, atomOf("count(", b.when.line(atom), ") >= 1"))
	}
	w.when, w.by, w.window, w.fire = anyRule(c), by, c.span, join(allOf, each...)
}

// ordered makes each rule a step of a sequence.
func (t *translator) ordered(d *document, c *correlation, w *ruleText, keys [][]string) {
	if c.op != "" && (c.op != ">=" || c.number != fmt.Sprint(len(c.rules))) {
		d.refuse(c.at, "correlation.condition", "some of the rules, but not all, is not translated")
	}
	alike := true
	for _, k := range keys {
		alike = alike && strings.Join(k, ",") == strings.Join(keys[0], ",")
	}
	if alike {
		w.by, keys = keys[0], nil
	}
	w.keyed, w.window = len(c.groupBy) > 0, c.span
	for i, b := range c.rules {
		s := stepText{when: b.when}
		if keys != nil {
			s.by = keys[i]
		}
		w.steps = append(w.steps, s)
	}
}
