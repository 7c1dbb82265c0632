package query

import (
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/gatebook/gatebook/event"
)

// KQLOptions say what may be lost on the way to the Kibana query language.
type KQLOptions struct {
	// ExactCase takes texts as they are written where letter case does not matter (user names: user.name == "Root" becomes user.name : "root", which does
	// not find Root). Else that is an error where the text has letters.
	ExactCase bool
}

// KQL makes a text in the Kibana query language that finds what DSL's query finds. Kibana's own reading and the "kql" query of Elasticsearch differ in places;
// only what both take alike is used (lists of values are written out, for instance). What is always true is *.
//
// What the language cannot say is a *FieldError that names the part: what DSL cannot say, letter case that does not matter (see KQLOptions), patterns,
// wildcards beside certain characters, comparisons of labels.
func KQL(e Expr, o KQLOptions) (string, error) {
	b := kqlBuilder{options: o}
	b.expr(simplify(e), false)
	if b.err != nil {
		return "", b.err
	}
	return b.String(), nil
}

type kqlBuilder struct {
	strings.Builder
	options KQLOptions
	err     error
}

func (b *kqlBuilder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// expr writes a condition; part says that it stands beside others or behind not.
func (b *kqlBuilder) expr(e Expr, part bool) {
	switch e := e.(type) {
	case And:
		b.join(len(e.Of), " and ", part, func(i int) { b.expr(e.Of[i], true) })
	case Or:
		b.join(len(e.Of), " or ", part, func(i int) { b.expr(e.Of[i], true) })
	case Not:
		b.WriteString("not ")
		b.expr(e.Of, true)
	case Const:
		if !e.True {
			b.WriteString("not ")
		}
		b.WriteString("*")
	case Exists:
		if err := indexed(e.Field); err != nil {
			b.fail(err)
		}
		b.field(e.Field, " : ", "*")
	case Compare:
		b.compare(e, part)
	case In:
		b.join(len(e.Values), " or ", part, func(i int) { b.compare(Compare{e.Field, Eq, e.Values[i]}, true) })
	case Text:
		b.look(e)
	case CIDR:
		b.join(len(e.Networks), " or ", part, func(i int) {
			if _, around := aroundIPv4(e.Networks[i]); around {
				b.fail(wrong("write a smaller network", "%s: the network holds the addresses that IPv4 has in the index, and KQL cannot leave them out", asText(e)))
			}
			b.field(e.Field, " : ", kqlQuoted(e.Networks[i].String()))
		})
	default:
		b.fail(wrong("", "unknown node %T", e))
	}
}

// join writes n parts, in parentheses where something stands beside them.
func (b *kqlBuilder) join(n int, word string, part bool, write func(i int)) {
	if part && n > 1 {
		b.WriteString("(")
		defer b.WriteString(")")
	}
	for i := range n {
		if i > 0 {
			b.WriteString(word)
		}
		write(i)
	}
}

// field writes one comparison. Names of fields, and keys of labels (event.LabelKey), have nothing to be escaped.
func (b *kqlBuilder) field(f Field, op, value string) {
	b.WriteString(f.Name())
	b.WriteString(op)
	b.WriteString(value)
}

var kqlOps = [...]string{Eq: " : ", Lt: " < ", Le: " <= ", Gt: " > ", Ge: " >= "}

func (b *kqlBuilder) compare(c Compare, part bool) {
	f := c.Field
	if err := askedWhole(c, f); err != nil {
		b.fail(err)
		return
	}
	switch f.Type() {
	case event.DateTime:
		b.field(f, kqlOps[c.Op], kqlQuoted(milliseconds(c.Value.Int)))
	case event.Integer:
		b.integer(c, part)
	case event.Float32:
		want := floatOf(c.Value)
		if math.Abs(want) > math.MaxFloat32 {
			b.fail(wrong("", "%s: no value of the field is so far out", asText(c)))
		}
		b.field(f, kqlOps[c.Op], kqlNumber(strconv.FormatFloat(want, 'f', -1, 64)))
	case event.Boolean:
		b.field(f, kqlOps[c.Op], strconv.FormatBool(c.Value.Int != 0))
	case event.IP:
		b.field(f, kqlOps[c.Op], kqlQuoted(c.Value.IP.String()))
	default:
		if f.Key != "" && c.Op != Eq {
			b.fail(wrong("", "%s: KQL cannot compare labels by their order", asText(c)))
		}
		if f.Fold && c.Op != Eq {
			b.fail(unordered(c))
		}
		b.letterCase(c, f, c.Value.Str)
		b.field(f, kqlOps[c.Op], kqlQuoted(c.Value.Str))
	}
}

// letterCase refuses a text with letters where letter case does not matter.
func (b *kqlBuilder) letterCase(e Expr, f Field, text string) {
	if !f.Fold || b.options.ExactCase {
		return
	}
	for _, r := range text {
		if unicode.SimpleFold(r) != r || unicode.ToLower(r) != r {
			b.fail(wrong("", "%s: letter case does not matter for %s, and in KQL it does", asText(e), f.Name()))
			return
		}
	}
}

func (b *kqlBuilder) integer(c Compare, part bool) {
	f := c.Field
	if c.Value.Kind != event.Num {
		b.field(f, kqlOps[c.Op], kqlNumber(strconv.FormatInt(c.Value.Int, 10)))
		return
	}
	low, high, ok := integersThat(c.Op, c.Value.Num)
	from, to := kqlNumber(strconv.FormatInt(low, 10)), kqlNumber(strconv.FormatInt(high, 10))
	switch {
	case !ok:
		b.WriteString("not *")
	case low == high:
		b.field(f, " : ", from)
	case low == math.MinInt64 && high == math.MaxInt64:
		b.field(f, " : ", "*")
	case low == math.MinInt64:
		b.field(f, " <= ", to)
	case high == math.MaxInt64:
		b.field(f, " >= ", from)
	default:
		b.join(2, " and ", part, func(i int) { b.field(f, [...]string{" >= ", " <= "}[i], [...]string{from, to}[i]) })
	}
}

// kqlNumber writes a negative number in quotes, as some readers take the sign for something else.
func kqlNumber(n string) string {
	if n[0] == '-' {
		return kqlQuoted(n)
	}
	return n
}

func (b *kqlBuilder) look(e Text) {
	f := e.Field
	if e.How != Matches && e.Text == "" {
		b.field(f, " : ", "*")
		return
	}
	if err := askedWhole(e, f); err != nil {
		b.fail(err)
		return
	}
	if e.How == Matches {
		b.fail(wrong("", "%s: KQL has no regular expressions", asText(e)))
		return
	}
	if f.Key != "" && e.How != StartsWith {
		b.fail(partOfLabel(f))
	}
	b.letterCase(e, f, e.Text)
	if i := strings.IndexFunc(e.Text, besideNoWildcard); i >= 0 {
		b.fail(wrong("", "%s: KQL cannot have a wildcard in a text with %q", asText(e), []rune(e.Text[i:])[0]))
	}
	text := e.Text + "*"
	switch e.How {
	case Contains:
		text = "*" + text
	case EndsWith:
		text = "*" + e.Text
	}
	b.field(f, " : ", text)
}

// besideNoWildcard tells the characters that Kibana, Elasticsearch's own KQL or the query that they make of it take for something else in a text with a
// wildcard, escaped or not.
func besideNoWildcard(r rune) bool {
	return strings.ContainsRune(`\():<>"*?{}`, r) || unicode.IsSpace(r) || unicode.IsControl(r)
}

// kqlQuoted writes a text that stands for itself. A backslash at its end is written by its number: Elasticsearch's reader takes the quote behind two of them
// for a part of the text.
func kqlQuoted(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if last := len(s) - 1; last >= 0 && s[last] == '\\' {
		return `"` + kqlEscaper.Replace(s[:last]) + `\u005c"`
	}
	return `"` + kqlEscaper.Replace(s) + `"`
}

var kqlEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
