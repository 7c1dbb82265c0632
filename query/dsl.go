package query

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// DSL makes the query, in Elasticsearch's JSON, that finds what Compile's function accepts, on documents as event.Encoder writes them and under the mapping of
// outputs/elastic. Every Elasticsearch 8 and 9 and OpenSearch 2 and 3 knows the clauses. No text of the tree becomes part of the JSON but as a JSON string.
//
// What a query cannot say is a *FieldError that names the part: anything but "exists" of fields of type text, which are indexed by their words
// (message); parts of a label's value other than its beginning; patterns that Lucene does not have; the order of values whose letter case does not matter.
//
// What the index does not hold cannot be found:
//
//   - Times are held, and so compared, in whole milliseconds, both sides rounded down. What asks for times at whole milliseconds by < or >= loses nothing,
//     and of two intervals side by side each event is in one.
//   - A text of more than 1024 characters (ignore_above) is not indexed: the field counts as absent. A field of free keys that is {} is absent, too.
//   - Numbers of type float have 24 bits.
//   - Where letter case does not matter it is that of ASCII's letters in a value of ASCII: k is not the Kelvin sign, i not the Turkish capital. With other letters
//     in the value all are found. Of a label, the letter case of the key does not matter either then, if the event has both keys.
func DSL(e Expr) ([]byte, error) {
	var b dslBuilder
	b.expr(simplify(e))
	if b.err != nil {
		return nil, b.err
	}
	return b.out, nil
}

// dslBuilder writes clauses; after an error what it has is of no use.
type dslBuilder struct {
	out []byte
	err error
}

func (b *dslBuilder) raw(text string) { b.out = append(b.out, text...) }

func (b *dslBuilder) text(s string) { b.out = event.AppendQuoted(b.out, s) }

func (b *dslBuilder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *dslBuilder) expr(e Expr) {
	switch e := e.(type) {
	case And:
		b.and(e)
	case Or:
		b.or(len(e.Of), func(i int) { b.expr(e.Of[i]) })
	case Not:
		b.raw(`{"bool":{"must_not":[`)
		b.list(alternatives(e.Of))
		b.raw(`]}}`)
	case Const:
		if e.True {
			b.raw(`{"match_all":{}}`)
		} else {
			b.raw(`{"match_none":{}}`)
		}
	case Exists:
		if err := indexed(e.Field); err != nil {
			b.fail(err)
		}
		b.exists(e.Field)
	case Compare:
		b.compare(e)
	case In:
		b.in(e)
	case Text:
		b.look(e)
	case CIDR:
		b.networks(e)
	default:
		b.fail(wrong("", "unknown node %T", e))
	}
}

func (b *dslBuilder) list(of []Expr) {
	for i, e := range of {
		if i > 0 {
			b.raw(",")
		}
		b.expr(e)
	}
}

// and writes one bool: what has to hold, and what must not.
func (b *dslBuilder) and(e And) {
	var filter, not []Expr
	for _, part := range e.Of {
		if n, ok := part.(Not); ok {
			not = append(not, alternatives(n.Of)...)
		} else {
			filter = append(filter, part)
		}
	}
	b.raw(`{"bool":{`)
	if len(filter) > 0 {
		b.raw(`"filter":[`)
		b.list(filter)
		b.raw(`]`)
	}
	if len(not) > 0 {
		if len(filter) > 0 {
			b.raw(`,`)
		}
		b.raw(`"must_not":[`)
		b.list(not)
		b.raw(`]`)
	}
	b.raw(`}}`)
}

func alternatives(e Expr) []Expr {
	if or, ok := e.(Or); ok {
		return or.Of
	}
	return []Expr{e}
}

// or writes n alternatives.
func (b *dslBuilder) or(n int, write func(i int)) {
	if n == 1 {
		write(0)
		return
	}
	b.raw(`{"bool":{"should":[`)
	for i := range n {
		if i > 0 {
			b.raw(",")
		}
		write(i)
	}
	b.raw(`],"minimum_should_match":1}}`)
}

func (b *dslBuilder) exists(f Field) {
	b.raw(`{"exists":{"field":`)
	b.text(f.Name())
	b.raw(`}}`)
}

func (b *dslBuilder) none() { b.raw(`{"match_none":{}}`) }

// bounds writes a range; its parts are JSON: `"gte":1`.
func (b *dslBuilder) bounds(f Field, parts ...string) {
	b.raw(`{"range":{`)
	b.text(f.Name())
	b.raw(`:{`)
	b.raw(strings.Join(parts, ","))
	b.raw(`}}}`)
}

// term writes a clause of a kind, term, prefix, wildcard or regexp, with what else belongs to it.
func (b *dslBuilder) term(kind string, f Field, value string, more string) {
	b.raw(`{"` + kind + `":{`)
	b.text(f.Name())
	b.raw(`:{"value":`)
	b.raw(value)
	b.raw(more)
	b.raw(`}}}`)
}

func quoted(s string) string { return string(event.AppendQuoted(nil, s)) }

var rangeWords = [...]string{Lt: "lt", Le: "lte", Gt: "gt", Ge: "gte"}

func bound(op Op, value string) string { return `"` + rangeWords[op] + `":` + value }

func (b *dslBuilder) compare(c Compare) {
	f := c.Field
	if err := askedWhole(c, f); err != nil {
		b.fail(err)
		return
	}
	switch f.Type() {
	case event.DateTime:
		at := quoted(milliseconds(c.Value.Int))
		format := `"format":"strict_date_optional_time"`
		if c.Op == Eq {
			b.bounds(f, bound(Ge, at), bound(Le, at), format)
		} else {
			b.bounds(f, bound(c.Op, at), format)
		}
	case event.Integer:
		b.integer(c)
	case event.Float32:
		b.float(c)
	case event.Boolean:
		b.term("term", f, strconv.FormatBool(c.Value.Int != 0), "")
	case event.IP:
		b.term("term", f, quoted(c.Value.IP.String()), "")
	default:
		b.word(c)
	}
}

func (b *dslBuilder) word(c Compare) {
	f, value := c.Field, c.Value.Str
	switch {
	case c.Op == Eq && !f.Fold:
		b.term("term", f, quoted(value), "")
	case c.Op == Eq:
		b.folded(f, "term", value, foldedPattern(value))
	case f.Fold:
		b.fail(unordered(c))
	case f.Key == "":
		b.bounds(f, bound(c.Op, quoted(value)))
	case c.Op == Lt || c.Op == Le: // a range of labels has two ends
		b.bounds(f, bound(Ge, `""`), bound(c.Op, quoted(value)))
	default:
		b.bounds(f, bound(c.Op, quoted(value)), bound(Le, quoted(strings.Repeat(string(unicode.MaxRune), 4))))
	}
}

// folded writes a clause on a text in which letter case does not matter. Elasticsearch's case_insensitive knows the letters of ASCII; for others
// the pattern names all forms of each letter.
func (b *dslBuilder) folded(f Field, kind, value, pattern string) {
	if !isASCII(value) {
		b.pattern(f, pattern)
		return
	}
	if strings.ToUpper(value) == value && strings.ToLower(value) == value { // no letters; and OpenSearch 3 finds no empty text without regard to letter case
		b.term(kind, f, quoted(value), "")
		return
	}
	if f.Key != "" { // it looks at the key as well
		b.raw(`{"bool":{"filter":[`)
		b.exists(f)
		b.raw(`,`)
		defer b.raw(`]}}`)
	}
	b.term(kind, f, quoted(value), `,"case_insensitive":true`)
}

// pattern writes a Lucene regular expression for all of a value.
func (b *dslBuilder) pattern(f Field, lucene string) {
	switch {
	case f.Key != "":
		b.fail(partOfLabel(f))
	case utf8.RuneCountInString(lucene) > mostPattern:
		b.fail(wrong("write a shorter one", "the pattern for %s has %d characters, and Elasticsearch takes %d (index.max_regex_length)",
			f.Name(), utf8.RuneCountInString(lucene), mostPattern))
	}
	b.term("regexp", f, quoted(lucene), `,"flags":"NONE"`)
}

const mostPattern = 1000

// integer compares whole numbers, with a value that may be none.
func (b *dslBuilder) integer(c Compare) {
	if c.Value.Kind != event.Num {
		n := strconv.FormatInt(c.Value.Int, 10)
		if c.Op == Eq {
			b.term("term", c.Field, n, "")
		} else {
			b.bounds(c.Field, bound(c.Op, n))
		}
		return
	}
	low, high, ok := integersThat(c.Op, c.Value.Num)
	switch {
	case !ok:
		b.none()
	case low == math.MinInt64 && high == math.MaxInt64:
		b.exists(c.Field)
	case low == high:
		b.term("term", c.Field, strconv.FormatInt(low, 10), "")
	default:
		b.bounds(c.Field, bound(Ge, strconv.FormatInt(low, 10)), bound(Le, strconv.FormatInt(high, 10)))
	}
}

// integersThat gives the whole numbers that compare so with a number: these from low to high, none where ok is false.
func integersThat(op Op, want float64) (low, high int64, ok bool) {
	// first finds the lowest whole number for which p holds, which it does from there on.
	first := func(p func(float64) bool) (int64, bool) {
		if !p(math.MaxInt64) {
			return 0, false
		}
		const lowest = 1 << 63
		low, high := uint64(0), uint64(math.MaxUint64) // above the lowest of all
		for low < high {
			if middle := low + (high-low)/2; p(float64(int64(middle ^ lowest))) {
				high = middle
			} else {
				low = middle + 1
			}
		}
		return int64(low ^ lowest), true
	}
	from, any := first(func(n float64) bool { return n >= want })
	above, anyAbove := first(func(n float64) bool { return n > want })
	below := func(n int64, any bool) (int64, int64, bool) { // all less than n
		if !any {
			return math.MinInt64, math.MaxInt64, true
		}
		return math.MinInt64, n - 1, n > math.MinInt64
	}
	switch op {
	case Lt:
		return below(from, any)
	case Le:
		return below(above, anyAbove)
	case Gt:
		return above, math.MaxInt64, anyAbove
	case Ge:
		return from, math.MaxInt64, any
	}
	high = math.MaxInt64
	if anyAbove {
		high = above - 1 // above is not the lowest of all where one is equal
	}
	return from, high, any && (!anyAbove || above > from)
}

func (b *dslBuilder) float(c Compare) {
	want := floatOf(c.Value)
	if math.Abs(want) > math.MaxFloat32 { // no value is so far out
		if c.Op != Eq && (want > 0) == (c.Op == Lt || c.Op == Le) {
			b.exists(c.Field)
		} else {
			b.none()
		}
		return
	}
	n := strconv.FormatFloat(want, 'g', -1, 64)
	if c.Op == Eq {
		b.term("term", c.Field, n, "")
	} else {
		b.bounds(c.Field, bound(c.Op, n))
	}
}

func floatOf(v Value) float64 {
	if v.Kind == event.Num {
		return v.Num
	}
	return float64(v.Int)
}

// milliseconds is a time as the index holds it.
func milliseconds(ns int64) string {
	return time.Unix(0, ns).UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

func (b *dslBuilder) in(e In) {
	f := e.Field
	plain := !f.Fold && (f.Type() == event.Keyword || f.Type() == event.IP)
	if !plain || len(e.Values) < 2 {
		if len(e.Values) == 0 {
			b.none()
			return
		}
		b.or(len(e.Values), func(i int) { b.compare(Compare{f, Eq, e.Values[i]}) })
		return
	}
	b.raw(`{"terms":{`)
	b.text(f.Name())
	b.raw(`:[`)
	for i, v := range e.Values {
		if i > 0 {
			b.raw(",")
		}
		if v.Kind == event.JSON {
			b.text(v.IP.String())
		} else {
			b.text(v.Str)
		}
	}
	b.raw(`]}}`)
}

func (b *dslBuilder) look(e Text) {
	f := e.Field
	if e.How != Matches && e.Text == "" {
		b.exists(f)
		return
	}
	if err := askedWhole(e, f); err != nil {
		b.fail(err)
		return
	}
	if e.How == Matches {
		lucene, err := lucenePattern(e.Text)
		if err != nil {
			b.fail(wrong("", "%s: %v", asText(e), err))
		}
		b.pattern(f, lucene)
		return
	}
	kind, text, before, after := "wildcard", wildcardEscaper.Replace(e.Text), "*", "*"
	switch e.How {
	case StartsWith:
		kind, text, before, after = "prefix", e.Text, "", ""
	case EndsWith:
		after = ""
	}
	if f.Key != "" && kind != "prefix" {
		b.fail(partOfLabel(f))
		return
	}
	if !f.Fold {
		b.term(kind, f, quoted(before+text+after), "")
		return
	}
	pattern := foldedPattern(e.Text)
	if e.How != StartsWith {
		pattern = ".*" + pattern
	}
	if e.How != EndsWith {
		pattern += ".*"
	}
	b.folded(f, kind, before+text+after, pattern)
}

var wildcardEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func (b *dslBuilder) networks(e CIDR) {
	var plain []string
	var ranges [][2]netip.Addr
	for _, p := range e.Networks {
		if parts, ok := aroundIPv4(p); ok {
			ranges = append(ranges, parts...)
		} else {
			plain = append(plain, p.String())
		}
	}
	n := len(ranges)
	if len(plain) > 0 {
		n++
	}
	if n == 0 {
		b.none()
		return
	}
	b.or(n, func(i int) {
		if i < len(ranges) {
			b.bounds(e.Field, bound(Ge, quoted(ranges[i][0].String())), bound(Le, quoted(ranges[i][1].String())))
			return
		}
		if len(plain) == 1 {
			b.term("term", e.Field, quoted(plain[0]), "")
			return
		}
		b.raw(`{"terms":{`)
		b.text(e.Field.Name())
		b.raw(`:[`)
		for j, p := range plain {
			if j > 0 {
				b.raw(",")
			}
			b.text(p)
		}
		b.raw(`]}}`)
	})
}

// The addresses of IPv4 stand within those of IPv6 in the index, at ::ffff:0:0/96; here they are no part of a network of IPv6.
var (
	beforeIPv4 = netip.MustParseAddr("::fffe:ffff:ffff")
	afterIPv4  = netip.MustParseAddr("::1:0:0:0")
)

// aroundIPv4 gives a network of IPv6 that holds those addresses as what is before and after them; ok is false for other networks.
func aroundIPv4(p netip.Prefix) (ranges [][2]netip.Addr, ok bool) {
	if p.Addr().Is4() || !p.Contains(beforeIPv4) || p.Bits() > 80 {
		return nil, false
	}
	ranges = append(ranges, [2]netip.Addr{p.Addr(), beforeIPv4})
	if last, ok := netip.AddrFromSlice(lastOf(p)); ok && afterIPv4.Less(last) {
		ranges = append(ranges, [2]netip.Addr{afterIPv4, last})
	}
	return ranges, true
}

// indexed refuses the fields that Elasticsearch keeps and does not index.
func indexed(f Field) error {
	if f.Type() == event.Stored {
		return wrong("", "%s cannot be asked for: it is stored and not indexed", f.Name())
	}
	return nil
}

// askedWhole refuses questions about the value of a field that is not indexed as a whole.
func askedWhole(e Expr, f Field) error {
	if err := indexed(f); err != nil {
		return err
	}
	switch f.Type() {
	case event.Text:
		return wrong("ask for another field, such as event.action or event.reason", "%s: Elasticsearch has %s by its words (type text), not as it is written", asText(e), f.Name())
	case event.Flattened, event.Place:
		return wrong("only whether it is there", "%s cannot be compared", f.Name())
	}
	return nil
}

func unordered(c Compare) error {
	return wrong("", "%s: no query of Elasticsearch has an order in which letter case does not matter", asText(c))
}

func partOfLabel(f Field) error {
	return wrong("ask for all of it, or for its beginning", "%s: of labels (type flattened) Elasticsearch finds whole values and their beginnings only", f.Name())
}
