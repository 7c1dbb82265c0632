package detection

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// esqlWriter says conditions and terms in ES|QL. There a comparison with a field that is missing is null: in WHERE, CASE, AND and OR that is as good as
// false, and behind NOT it is made false. A field with several values is null to every function: such a field is asked as one text, its values on lines.
type esqlWriter struct{ err error }

func (w *esqlWriter) fail(format string, args ...any) string {
	if w.err == nil {
		w.err = cannotf(format, args...)
	}
	return ""
}

func (w *esqlWriter) field(f query.Field) string {
	switch {
	case f.Key != "" || f.Type() == event.Flattened:
		return w.fail("%s is of type flattened, which ES|QL does not read", f.Name())
	case f.Type() == event.Stored:
		return w.fail("%s is stored and not indexed", f.Name())
	}
	return f.Name()
}

// value is the field as texts are compared: in small letters where letter case does not matter.
func (w *esqlWriter) value(f query.Field) string {
	name := w.field(f)
	if f.Fold {
		return "TO_LOWER(" + name + ")"
	}
	return name
}

func (w *esqlWriter) condition(c condition) string { return w.part(c, false) }

// part writes a condition that stands beside others, where inner is set, in parentheses.
func (w *esqlWriter) part(c condition, inner bool) string {
	join := func(of []condition, word string) string {
		parts := make([]string, len(of))
		for i, one := range of {
			parts[i] = w.part(one, true)
		}
		text := strings.Join(parts, word)
		if inner {
			return "(" + text + ")"
		}
		return text
	}
	switch c := c.(type) {
	case allOf:
		return join(c, " AND ")
	case anyOf:
		return join(c, " OR ")
	case notOf:
		if leaf, ok := c.of.(asked); ok {
			return w.notAsked(leaf.Expr, inner)
		}
		return "NOT COALESCE(" + w.part(c.of, false) + ", false)"
	case asked:
		return w.asked(c.Expr)
	case inHours:
		return w.hours(c.Hours, inner)
	case atClock:
		return w.clock(c.term) + " " + esqlOps[c.op] + " " + strconv.FormatFloat(c.n, 'f', -1, 64)
	}
	return w.fail("%s is not known to ES|QL", quoted(conditionText(c)))
}

func (w *esqlWriter) notAsked(e query.Expr, inner bool) string {
	switch e := e.(type) {
	case query.Const:
		return strconv.FormatBool(!e.True)
	case query.Exists:
		return w.field(e.Field) + " IS NULL"
	case query.Compare:
		if e.Op == query.Eq && !e.Field.Many() && e.Field.Type() != event.IP {
			text := w.field(e.Field) + " IS NULL OR " + w.value(e.Field) + " != " + w.literal(e.Field, e.Value)
			if inner {
				return "(" + text + ")"
			}
			return text
		}
	}
	return "NOT COALESCE(" + w.asked(e) + ", false)"
}

var esqlOps = [...]string{query.Eq: "==", query.Ne: "!=", query.Lt: "<", query.Le: "<=", query.Gt: ">", query.Ge: ">="}

func (w *esqlWriter) asked(e query.Expr) string {
	switch e := e.(type) {
	case query.Const:
		return strconv.FormatBool(e.True)
	case query.Exists:
		return w.field(e.Field) + " IS NOT NULL"
	case query.Compare:
		switch {
		case e.Field.Type() == event.IP:
			return w.networks(e.Field, []string{e.Value.IP.String() + "/" + strconv.Itoa(e.Value.IP.BitLen())})
		case e.Field.Many():
			return w.anyValue(e.Field, e.Op, query.StartsWith, e.Value.Str, true)
		}
		return w.value(e.Field) + " " + esqlOps[e.Op] + " " + w.literal(e.Field, e.Value)
	case query.In:
		return w.in(e)
	case query.Text:
		return w.text(e)
	case query.CIDR:
		return apart(e.Networks, " AND NOT ", " OR ", func(list []string) string { return w.networks(e.Field, list) })
	}
	return w.fail("%T is not known to ES|QL", e)
}

var mappedIPv4 = netip.MustParseAddr("::ffff:0:0")

// apart asks networks of IPv6 that hold the addresses which IPv4 has in the index, ::ffff:0:0/96, apart from the others and without those.
func apart(networks []netip.Prefix, without, or string, ask func([]string) string) string {
	var plain, wide []string
	for _, n := range networks {
		if n.Addr().Is6() && n.Contains(mappedIPv4) {
			wide = append(wide, n.String())
		} else {
			plain = append(plain, n.String())
		}
	}
	if len(wide) == 0 {
		return ask(plain)
	}
	text := "(" + ask(wide) + without + ask([]string{"0.0.0.0/0"}) + ")"
	if len(plain) > 0 {
		text = "(" + text + or + ask(plain) + ")"
	}
	return text
}

func (w *esqlWriter) networks(f query.Field, list []string) string {
	if f.Many() {
		return w.fail("%s may have several values, which ES|QL does not hold against networks", f.Name())
	}
	for i, n := range list {
		list[i] = esqlText(n)
	}
	return "CIDR_MATCH(" + w.field(f) + ", " + strings.Join(list, ", ") + ")"
}

func (w *esqlWriter) in(e query.In) string {
	f := e.Field
	if f.Type() == event.IP {
		var list []string
		for _, v := range e.Values {
			list = append(list, v.IP.String()+"/"+strconv.Itoa(v.IP.BitLen()))
		}
		return w.networks(f, list)
	}
	var list []string
	for _, v := range e.Values {
		if f.Many() {
			list = append(list, w.anyValue(f, query.Eq, query.StartsWith, v.Str, true))
		} else {
			list = append(list, w.literal(f, v))
		}
	}
	if f.Many() {
		return "(" + strings.Join(list, " OR ") + ")"
	}
	return w.value(f) + " IN (" + strings.Join(list, ", ") + ")"
}

// anyValue asks a field that may have several values as one text: each value on a line, line feeds before and after.
func (w *esqlWriter) anyValue(f query.Field, op query.Op, how query.How, text string, whole bool) string {
	if op != query.Eq || f.Type() != event.Keyword && f.Type() != event.Text || strings.Contains(text, "\n") {
		return w.fail("%s may have several values, of which ES|QL does not compare each", f.Name())
	}
	pattern := esqlWildcards.Replace(text)
	if whole || how == query.StartsWith {
		pattern = "\n" + pattern
	}
	if whole || how == query.EndsWith {
		pattern += "\n"
	}
	value := `CONCAT("\n", MV_CONCAT(` + w.field(f) + `, "\n"), "\n")`
	if f.Fold {
		value = "TO_LOWER(" + value + ")"
	}
	return value + " LIKE " + esqlText("*"+pattern+"*")
}

var esqlWildcards = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func (w *esqlWriter) text(e query.Text) string {
	f := e.Field
	if e.How != query.Matches && e.Text == "" {
		return w.field(f) + " IS NOT NULL"
	}
	switch {
	case e.How == query.Matches && f.Many():
		return w.fail("%s may have several values, of which ES|QL does not hold each against a pattern", f.Name())
	case e.How == query.Matches:
		pattern, err := lucenePattern(e)
		if err != nil {
			return w.fail("%v", err)
		}
		return w.field(f) + " RLIKE " + esqlText(pattern) // the pattern itself says whether letter case matters
	case f.Many():
		return w.anyValue(f, query.Eq, e.How, e.Text, false)
	case e.How == query.StartsWith:
		return "STARTS_WITH(" + w.value(f) + ", " + esqlText(e.Text) + ")"
	case e.How == query.EndsWith:
		return "ENDS_WITH(" + w.value(f) + ", " + esqlText(e.Text) + ")"
	}
	return w.value(f) + " LIKE " + esqlText("*"+esqlWildcards.Replace(e.Text)+"*")
}

// lucenePattern is the regular expression as Lucene has it, for the whole of a value: the one that package query writes, which is asked as if of a keyword.
func lucenePattern(e query.Text) (string, error) {
	e.Field = query.Field{ID: event.FieldEventReason}
	dsl, err := query.DSL(e)
	if err != nil {
		return "", err
	}
	var made struct {
		Regexp map[string]struct{ Value string }
	}
	if err := json.Unmarshal(dsl, &made); err != nil {
		return "", err
	}
	return made.Regexp[e.Field.Name()].Value, nil
}

func (w *esqlWriter) literal(f query.Field, v query.Value) string {
	switch f.Type() {
	case event.DateTime:
		return "TO_DATETIME(" + esqlText(time.Unix(0, v.Int).UTC().Format("2006-01-02T15:04:05.000Z")) + ")"
	case event.Boolean:
		return strconv.FormatBool(v.Int != 0)
	case event.Integer, event.Float32:
		if v.Kind == event.Num {
			return decimal(v.Num)
		}
		return strconv.FormatInt(v.Int, 10)
	}
	return esqlText(v.Str)
}

// decimal writes a number that is no whole one to ES|QL and EQL, whose whole numbers have other bounds.
func decimal(n float64) string {
	text := strconv.FormatFloat(min(max(n, -math.MaxFloat64), math.MaxFloat64), 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

func esqlText(s string) string {
	return `"` + esqlEscaper.Replace(strings.ToValidUTF8(s, "\uFFFD")) + `"`
}

var esqlEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// clock is hour() or weekday(); ES|QL knows UTC.
func (w *esqlWriter) clock(c *rules.Call) string {
	w.utc(c.Zone)
	if c.Name == "weekday" {
		return `DATE_EXTRACT("day_of_week", @timestamp) % 7`
	}
	return `DATE_EXTRACT("hour_of_day", @timestamp)`
}

func (w *esqlWriter) utc(zone *time.Location) {
	if zone != nil && zone != time.UTC && zone.String() != "UTC" {
		w.fail("hours of %s: ES|QL takes times apart in UTC only", zone)
	}
}

// hours asks day by day; days with the same hours together.
func (w *esqlWriter) hours(h *rules.Hours, inner bool) string {
	w.utc(h.Zone)
	const minute = `(DATE_EXTRACT("hour_of_day", @timestamp) * 60 + DATE_EXTRACT("minute_of_hour", @timestamp))`
	days := map[string][]string{}
	var order []string
	for i := range 7 {
		day := (i + 1) % 7
		var spans []string
		for _, s := range h.Week[day] {
			spans = append(spans, fmt.Sprintf("%s >= %d AND %s < %d", minute, s.From, minute, s.To))
		}
		if len(spans) == 0 {
			continue
		}
		text := strings.Join(spans, " OR ")
		if len(spans) > 1 {
			text = "(" + text + ")"
		}
		if days[text] == nil {
			order = append(order, text)
		}
		days[text] = append(days[text], strconv.Itoa(i+1)) // Monday is 1
	}
	var parts []string
	for _, text := range order {
		parts = append(parts, `DATE_EXTRACT("day_of_week", @timestamp) IN (`+strings.Join(days[text], ", ")+") AND "+text)
	}
	text := strings.Join(parts, " OR ")
	if len(parts) > 1 || inner {
		return "(" + text + ")"
	}
	return text
}

// term is a value of the event to count different ones of, or to group by.
func (w *esqlWriter) term(r *reader, e rules.Expr) string {
	switch e := e.(type) {
	case *rules.Field:
		if e.From != rules.FromEvent {
			break
		}
		if e.Field.Many() {
			return w.fail("%s may have several values, of which ES|QL takes each for one of its own", e.Field.Name())
		}
		return w.value(e.Field)
	case *rules.Call:
		switch e.Name {
		case "hour", "weekday":
			return w.clock(e)
		case "lower":
			return "TO_LOWER(" + w.term(r, e.Args[0]) + ")"
		case "coalesce":
			var args []string
			for _, a := range e.Args {
				args = append(args, w.term(r, a))
			}
			text := "COALESCE(" + strings.Join(args, ", ") + ")"
			if rules.Folds(e) {
				text = "TO_LOWER(" + text + ")"
			}
			return text
		}
	}
	return w.fail("%v", r.reason(e))
}

// tuple is one value made of several.
func (w *esqlWriter) tuple(r *reader, terms []rules.Expr) string {
	if len(terms) == 1 {
		return w.term(r, terms[0])
	}
	var args []string
	for i, t := range terms {
		if i > 0 {
			args = append(args, `"\n"`)
		}
		text := w.term(r, t)
		if f, ok := plainField(t); !ok || f.Type() != event.Keyword {
			text = "TO_STRING(" + text + ")"
		}
		args = append(args, text)
	}
	return "CONCAT(" + strings.Join(args, ", ") + ")"
}
