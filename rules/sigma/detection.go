package sigma

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// baseRule is a Sigma rule, translated.
type baseRule struct {
	*document
	records records
	when    clause
	total   *aggregation // of an old condition with | count() ...; else nil
	ok      bool
}

// aggregation is what several events together are asked.
type aggregation struct {
	fire   string
	by     []string
	window string
}

// selection is a named part of detection.
type selection struct {
	name string
	node *node
	made *clause // nil: not yet
}

// detectionReader translates the detection of one rule.
type detectionReader struct {
	*translator
	*document
	records    records
	selections []*selection
}

func (t *translator) readBase(b *baseRule) {
	d := b.document
	records, known := d.readSource()
	n := d.root.at("detection")
	if n == nil || !n.isMap {
		d.refuse(d.root, "detection", "the rule has no detection")
		return
	}
	if !known {
		return // without its records nothing is known of the fields
	}
	b.records = records
	x := &detectionReader{translator: t, document: d, records: records}
	var condition *node
	for i, k := range n.keys {
		switch k.scalar {
		case "condition":
			condition = n.values[i]
		case "timeframe":
		default:
			x.selections = append(x.selections, &selection{name: k.scalar, node: n.values[i]})
		}
	}
	if condition == nil {
		d.refuse(n, "detection.condition", "the rule has no condition")
		return
	}
	detected, total := x.condition(condition, n.at("timeframe"))
	b.total, b.ok = total, !d.dropped
	b.when = detected
	if b.records.when.text != "true" {
		b.when = join(allOf, b.records.when, detected)
	}
}

// clause translates a selection, once.
func (x *detectionReader) clause(s *selection) clause {
	if s.made == nil {
		c := x.group(s.node, "detection."+printable(s.name))
		s.made = &c
	}
	return *s.made
}

// group reads a map (all of it), or a list of maps and words (any of them).
func (x *detectionReader) group(n *node, path string) clause {
	switch {
	case n.isMap:
		var all []clause
		for i, k := range n.keys {
			all = append(all, x.item(k, n.values[i], path))
		}
		if len(all) == 0 {
			x.refuse(n, path, "the selection is empty")
			return clause{}
		}
		return join(allOf, all...)
	case n.isList && len(n.list) > 0:
		var any []clause
		for _, one := range n.list {
			if one.isList {
				x.refuse(one, path, "a list within a list")
				continue
			}
			any = append(any, x.group(one, path))
		}
		return join(anyOf, any...)
	case n.isScalar():
		return x.word(n, modifiers{}, path)
	}
	x.refuse(n, path, "the selection is empty")
	return clause{}
}

// item reads field|modifier: value.
func (x *detectionReader) item(key, value *node, path string) clause {
	path += "." + printable(key.scalar)
	parts := strings.Split(key.scalar, "|")
	m, err := readModifiers(parts[1:])
	if err != nil {
		x.refuse(key, path, err.Error())
		return clause{}
	}
	values := []*node{value}
	if value.isList {
		values = value.list
	}
	if len(values) == 0 {
		x.refuse(key, path, "no value")
		return clause{}
	}
	var made clause
	if parts[0] == "" {
		made = x.words(values, m, path)
	} else if t, err := x.field(x.records.fields, parts[0]); err != nil {
		x.refuse(key, path, err.Error())
	} else {
		made = x.values(t, values, m, path)
	}
	if m.neq {
		return negate(made)
	}
	return made
}

// values reads what a field may be, or has to be together.
func (x *detectionReader) values(t target, values []*node, m modifiers, path string) clause {
	if t.folds() && (m.cased || m.how == "re" && !strings.Contains(m.flags, "i")) {
		x.note(values[0], path, "letter case never matters to "+t.term)
	}
	if m.how == "cidr" && !m.all {
		var list []string
		for _, v := range values {
			list = append(list, v.text())
		}
		c, err := cidrClause(t, list)
		if err != nil {
			x.refuse(values[0], path, err.Error())
		}
		return c
	}
	op := anyOf
	if m.all {
		op = allOf
	}
	var list []clause
	for _, v := range values {
		c, err := x.value(t, v, m)
		if err != nil {
			x.refuse(v, path, err.Error())
			continue
		}
		list = append(list, c)
	}
	if op == anyOf {
		list = together(list)
	}
	return join(op, list...)
}

// together makes in(f, [a, b]) of f == a and f == b, where all are such.
func together(list []clause) []clause {
	var term string
	var values []string
	for i, c := range list {
		t, v, ok := strings.Cut(c.text, " == ")
		if c.op != atom || !ok || i > 0 && t != term || !strings.ContainsAny(v[:1], `"-0123456789`) {
			return list
		}
		term, values = t, append(values, v)
	}
	if len(values) < 2 {
		return list
	}
	return []clause{atomOf("in(", term, ", [", strings.Join(values, ", "), "])")}
}

var encoded = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// value reads one value of a field.
func (x *detectionReader) value(t target, v *node, m modifiers) (clause, error) {
	switch {
	case v.isMap || v.isList:
		return clause{}, fmt.Errorf("a value is wanted here, not a map or list")
	case m.how == "exists":
		switch strings.ToLower(v.text()) {
		case "true", "yes":
			return atomOf("exists(", t.term, ")"), nil
		case "false", "no":
			return negate(atomOf("exists(", t.term, ")")), nil
		}
		return clause{}, fmt.Errorf("exists wants true or false")
	case v.isNull():
		if m.how != "" || m.field {
			return clause{}, fmt.Errorf("null has no text to look into")
		}
		return atomOf(t.term, " == null"), nil
	case m.field:
		other, err := x.field(x.records.fields, v.scalar)
		if err != nil {
			return clause{}, err
		}
		return otherField(t, other, m)
	}
	switch m.how {
	case "gt", "gte", "lt", "lte":
		if !t.isNumber() {
			return clause{}, fmt.Errorf("%s is no number, and has no order that %s could ask for", t.term, m.how)
		}
		return numberClause(t, map[string]string{"gt": " > ", "gte": " >= ", "lt": " < ", "lte": " <= "}[m.how], v.scalar)
	case "cidr":
		return cidrClause(t, []string{v.scalar})
	case "re":
		if !t.isText() {
			return clause{}, fmt.Errorf("%s is of type %s, which is no text to look into", t.term, t.field.Type())
		}
		return regexClause(t, v.scalar, m.flags)
	}
	return x.plain(t, v, m)
}

// plain reads a value with wildcards.
func (x *detectionReader) plain(t target, v *node, m modifiers) (clause, error) {
	w := wildcards(v.scalar).wrap(m.how == "contains" || m.how == "endswith", m.how == "contains" || m.how == "startswith")
	switch {
	case t.isText():
		if t.field.ID == event.FieldUrlPath && t.field.Key == "" && encoded.MatchString(v.scalar) {
			return clause{}, fmt.Errorf("url.path is decoded, so %q is never in it; c-uri is the address as logged", cut(printable(v.scalar)))
		}
		return textClause(t, w, m.cased)
	case t.field.Type() == event.IP:
		return addressClause(t, w)
	case m.how != "" || len(w.gaps) > 0:
		return clause{}, fmt.Errorf("%s is of type %s, which is no text to look into", t.term, t.field.Type())
	case t.isNumber():
		return numberClause(t, " == ", v.scalar)
	}
	switch strings.ToLower(v.scalar) {
	case "true", "false":
		return atomOf(t.term, " == ", strings.ToLower(v.scalar)), nil
	}
	return clause{}, fmt.Errorf("%s is true or false, not %q", t.term, cut(printable(v.scalar)))
}

// words reads values without a field.
func (x *detectionReader) words(values []*node, m modifiers, path string) clause {
	op := anyOf
	if m.all {
		op = allOf
	}
	var list []clause
	for _, v := range values {
		list = append(list, x.word(v, m, path))
	}
	return join(op, list...)
}

// word looks for a text without a field: in the texts that the record keeps of the line, because the line itself is not searched.
func (x *detectionReader) word(v *node, m modifiers, path string) clause {
	if !v.isScalar() || v.scalar == "" {
		x.refuse(v, path, "want a word here")
		return clause{}
	}
	if m.field || m.neq || m.how != "" && m.how != "contains" && m.how != "re" {
		x.refuse(v, path, "words without a field go together with all, contains, re and cased only")
		return clause{}
	}
	x.wordNote(v, path)
	var list []clause
	for _, name := range x.records.keywords {
		t, err := x.field(nil, name)
		var c clause
		if err == nil && m.how == "re" {
			c, err = regexClause(t, v.scalar, m.flags)
		} else if err == nil {
			c, err = textClause(t, wildcards(v.scalar).wrap(true, true), m.cased)
		}
		if err != nil {
			x.refuse(v, path, err.Error())
			return clause{}
		}
		list = append(list, c)
	}
	return join(anyOf, list...)
}

// wordNote tells once where words are looked for.
func (x *detectionReader) wordNote(v *node, path string) {
	message := "words without a field are looked for in " + strings.Join(x.records.keywords, ", ") + ", not in the whole line"
	for _, r := range x.reports {
		if r.Message == message {
			return
		}
	}
	x.note(v, path, message)
}
