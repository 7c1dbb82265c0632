// Package querytest draws random events and random trees of questions about them, for the tests that hold the back ends of package query against
// each other: the values are few and awkward, so that trees find something and letter case, quotes, wildcards and forms of addresses matter.
package querytest

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

var words = []string{"a", "b", "A", "root", "Root", "ROOT", "Ägir", "ägir", "bob@example.com", "BOB@Example.com", "a'b", `a"b\`, "100%", "_", "x y", ""}
var ips = []string{"203.0.113.7", "203.0.113.9", "198.51.100.1", "2001:db8::1", "2001:DB8:0::1", "::ffff:203.0.113.7", "10.0.0.1"}

// Fields are those that a question may name, with two labels.
var Fields = func() (list []query.Field) {
	for _, name := range append(event.FieldNames(), "labels.one", "labels.two") {
		if f, err := query.FieldNamed(name); err == nil {
			list = append(list, f)
		}
	}
	return list
}()

// often are fields of each type and kind that half of all draws are of, so that questions and events meet.
var often = func() (list []query.Field) {
	for _, name := range []string{"user.name", "source.ip", "event.action", "event.outcome", "tags", "event.severity", "event.start", "@timestamp", "related.ip",
		"related.user", "event.dataset", "event.code", "event.risk_score", "gatebook.mfa.used", "source.geo.location", "labels.one", "labels.two"} {
		if f, err := query.FieldNamed(name); err == nil {
			list = append(list, f)
		}
	}
	return list
}()

func drawField(t *rapid.T) query.Field {
	if !rapid.Bool().Draw(t, "seldom") {
		return rapid.SampledFrom(often).Draw(t, "field")
	}
	return rapid.SampledFrom(Fields).Draw(t, "field")
}

// Event draws an event of up to a dozen fields.
func Event(t *rapid.T) *event.Event {
	e := &event.Event{Time: event.Time(1763800000_000000000 + rapid.Int64Range(0, 5).Draw(t, "ms")*1_000_000 + rapid.Int64Range(0, 1).Draw(t, "ns"))}
	for range rapid.SampledFrom([]int{8, 12, 20, 3, 0}).Draw(t, "fields") {
		f := drawField(t)
		if f.Key != "" {
			e.Label(f.Key, rapid.SampledFrom(words).Draw(t, "label"))
			continue
		}
		_ = e.Set(f.ID, Text(t, f)) // a value that does not fit is refused
	}
	return e
}

// Text draws a text that is a value of the field.
func Text(t *rapid.T, f query.Field) string {
	switch event.Fields[f.ID].Type {
	case event.Integer:
		return fmt.Sprint(rapid.Int64Range(-2, 3).Draw(t, "n"))
	case event.Float32:
		return fmt.Sprint(float64(rapid.Int64Range(-2, 3).Draw(t, "n")) / 2)
	case event.DateTime:
		return event.Time(1763800000_000000000 + rapid.Int64Range(0, 3).Draw(t, "ms")*1_000_000 + rapid.Int64Range(0, 1).Draw(t, "ns")).String()
	case event.Boolean:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case event.IP:
		return rapid.SampledFrom(ips).Draw(t, "ip")
	case event.Place:
		return rapid.SampledFrom([]string{`{"lat":1.5,"lon":2}`, `{"lat":-33.25,"lon":151.75}`, `{"lat":89,"lon":-179.5}`, `{"lat":1.75,"lon":2}`}).Draw(t, "place")
	case event.Flattened:
		if f.Key == "" {
			return `{"a":"b"}`
		}
	}
	switch f.ID {
	case event.FieldEventAction:
		return rapid.SampledFrom([]string{"login", "logout", "user-create"}).Draw(t, "action")
	case event.FieldEventOutcome:
		return rapid.SampledFrom([]string{"success", "failure", "unknown"}).Draw(t, "outcome")
	case event.FieldEventKind:
		return rapid.SampledFrom([]string{"event", "alert"}).Draw(t, "kind")
	case event.FieldEventDataset:
		return rapid.SampledFrom([]string{"gatebook.linux.auth", "gatebook.raw"}).Draw(t, "dataset")
	}
	return rapid.SampledFrom(words).Draw(t, "word")
}

// Expr draws a tree; depth bounds it.
func Expr(t *rapid.T, depth int) query.Expr {
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "leaf") < 2 {
		var parts []query.Expr
		for range rapid.SampledFrom([]int{2, 3, 1, 0}).Draw(t, "parts") {
			parts = append(parts, Expr(t, depth-1))
		}
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return query.And{Of: parts}
		case 1:
			return query.Or{Of: parts}
		}
		return query.Not{Of: Expr(t, depth-1)}
	}
	f := drawField(t)
	typ := event.Fields[f.ID].Type
	isText := f.Key != "" || typ == event.Keyword || typ == event.Text
	if isText && rapid.IntRange(0, 4).Draw(t, "lower") == 0 {
		f.Fold = true
	}
	exists := query.Exists{Field: f}
	switch rapid.IntRange(0, 5).Draw(t, "leaf") {
	case 0:
		return exists
	case 1:
		how := query.How(rapid.IntRange(0, 3).Draw(t, "how"))
		var text string
		if how == query.Matches {
			text = rapid.SampledFrom([]string{"a", "t$", "^r|[A-Z]o", "(?i)ROOT", "^$", ".@", `\\$|"`, "^[^a-z]+$", "(^|x )[ay](b|$)", "^.{3,4}$", ""}).Draw(t, "pattern")
		} else {
			text = rapid.SampledFrom([]string{"a", "ro", "O", "", "ä", "%", "_", "oo", "@", `"`, `\`, " ", "Ro"}).Draw(t, "text")
		}
		e, err := query.NewText(f, how, text)
		if err != nil {
			return exists
		}
		return e
	case 2:
		e, err := query.NewCIDR(f, []string{rapid.SampledFrom([]string{"203.0.113.0/29", "2001:db8::/32", "0.0.0.0/0", "::/0", "::ffff:203.0.113.7"}).Draw(t, "net"), "10.0.0.1"})
		if err != nil {
			return exists
		}
		return e
	case 3:
		in := query.In{Field: f}
		for range rapid.IntRange(0, 3).Draw(t, "values") {
			if v, err := query.ValueFor(f, Text(t, f), nil); err == nil {
				in.Values = append(in.Values, v)
			}
		}
		if !isText && typ != event.IP {
			return exists
		}
		return in
	}
	text := Text(t, f)
	if typ == event.Integer && rapid.IntRange(0, 3).Draw(t, "broken") == 0 {
		text = rapid.SampledFrom([]string{"0.5", "-1.5", "1e19", "2.0"}).Draw(t, "number")
	}
	v, err := query.ValueFor(f, text, nil)
	if err != nil {
		return exists
	}
	e, err := query.NewCompare(f, query.Op(rapid.IntRange(0, 5).Draw(t, "op")), v)
	if err != nil {
		return exists
	}
	return e
}

// Aggregate draws an aggregate that every back end can answer.
func Aggregate(t *rapid.T) query.Aggregate {
	a := query.Aggregate{}
	if rapid.IntRange(0, 3).Draw(t, "filtered") == 3 {
		a.Where = Expr(t, 1)
	}
	if rapid.IntRange(0, 3).Draw(t, "bounded") == 3 {
		a.From = event.Time(1763800000_001000000).Std()
		a.To = event.Time(1763800000_004000000).Std()
	}
	for range rapid.SampledFrom([]int{2, 1, 3, 0}).Draw(t, "levels") {
		b := query.Bucket{Field: drawField(t), Size: rapid.SampledFrom([]int{0, 3, 1, 2}).Draw(t, "size")}
		switch b.Field.Type() {
		case event.Flattened, event.Stored:
			continue
		case event.Place:
			b.Kind, b.Zoom = query.Tiles, rapid.IntRange(0, 20).Draw(t, "zoom")
		case event.DateTime:
			b.Kind, b.Every = query.Dates, time.Duration(rapid.IntRange(1, 3).Draw(t, "every"))*time.Millisecond
		}
		a.By = append(a.By, b)
	}
	for range rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "figures") {
		f := query.Figure{Field: drawField(t)}
		if rapid.IntRange(0, 2).Draw(t, "some") == 0 {
			f.Where = Expr(t, 1)
		}
		most := 0
		switch f.Field.Type() {
		case event.Flattened, event.Stored, event.Place:
		case event.Integer, event.Float32:
			most = 4
		default:
			most = 1
		}
		f.Kind = query.FigureKind(rapid.IntRange(0, most).Draw(t, "kind"))
		if f.Field.Type() == event.DateTime && rapid.Bool().Draw(t, "most") {
			f.Kind = query.Max
		}
		a.Figures = append(a.Figures, f)
	}
	return a
}
