package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/query/querytest"
)

// plainAggregate computes an Aggregate in the plainest way, from the events themselves.
func plainAggregate(a query.Aggregate, events []*event.Event) (rows []query.Row) {
	match := func(e query.Expr, ev *event.Event) bool { return e == nil || query.Compile(e)(ev) }
	var in []*event.Event
	for _, ev := range events {
		if match(a.Where, ev) && (a.From.IsZero() || !ev.Time.Std().Before(a.From)) && (a.To.IsZero() || ev.Time.Std().Before(a.To)) {
			in = append(in, ev)
		}
	}
	figures := a.Figures
	if len(figures) == 0 {
		figures = []query.Figure{{}}
	}
	compute := func(in []*event.Event) (list []query.Number) {
		for _, f := range figures {
			var numbers []float64
			different, count := map[string]bool{}, 0
			for _, ev := range in {
				if match(f.Where, ev) {
					count++
					for k := range plainValues(f.Field, ev) {
						different[fmt.Sprint(k)] = true
						n := k.Num
						if k.Kind != event.Num {
							n = float64(k.Int)
						}
						numbers = append(numbers, n)
					}
				}
			}
			var n query.Number
			switch f.Kind {
			case query.Count:
				n = query.Number{F: float64(count), Valid: true}
			case query.Unique:
				n = query.Number{F: float64(len(different)), Valid: true}
			case query.Sum:
				n.Valid = true
				for _, x := range numbers {
					n.F += x
				}
			case query.Min:
				if len(numbers) > 0 {
					n = query.Number{F: slices.Min(numbers), Valid: true}
				}
			case query.Max:
				if len(numbers) > 0 {
					n = query.Number{F: slices.Max(numbers), Valid: true}
				}
			}
			list = append(list, n)
		}
		return list
	}
	var split func(by []query.Bucket, keys []query.Key, in []*event.Event)
	split = func(by []query.Bucket, keys []query.Key, in []*event.Event) {
		if len(by) == 0 {
			rows = append(rows, query.Row{Keys: slices.Clone(keys), Figures: compute(in)})
			return
		}
		b := by[0]
		groups := map[string][]*event.Event{}
		shown := map[string]query.Key{}
		for _, ev := range in {
			for k := range plainValues(b.Field, ev) {
				switch b.Kind {
				case query.Dates:
					k.Int = int64(math.Floor(float64(k.Int/1e6)/float64(b.Every/1e6))) * int64(b.Every)
				case query.Tiles:
					k = plainTile(ev.Source.Geo.Location, b.Zoom)
				}
				id := fmt.Sprint(k)
				groups[id], shown[id] = append(groups[id], ev), k
			}
		}
		order := make([]string, 0, len(groups))
		for id := range groups {
			order = append(order, id)
		}
		slices.SortFunc(order, func(x, y string) int {
			if b.Kind == query.Dates {
				return cmp.Compare(shown[x].Int, shown[y].Int)
			}
			fx, fy := compute(groups[x])[0], compute(groups[y])[0]
			if fx.Valid != fy.Valid {
				return map[bool]int{true: -1, false: 1}[fx.Valid]
			}
			return cmp.Or(cmp.Compare(fy.F, fx.F), plainOrder(b, shown[x], shown[y]))
		})
		if b.Kind == query.Terms {
			order = order[:min(len(order), cmp.Or(b.Size, 10))]
		}
		for _, id := range order {
			split(by[1:], append(keys, shown[id]), groups[id])
		}
	}
	split(a.By, nil, in)
	return rows
}

func plainOrder(b query.Bucket, x, y query.Key) int {
	if b.Field.Type() == event.IP {
		p, q := netip.MustParseAddr(x.Str).As16(), netip.MustParseAddr(y.Str).As16()
		return slices.Compare(p[:], q[:])
	}
	if b.Kind == query.Tiles {
		var z, px, py, qx, qy int
		fmt.Sscanf(x.Str, "%d/%d/%d", &z, &px, &py)
		fmt.Sscanf(y.Str, "%d/%d/%d", &z, &qx, &qy)
		return cmp.Or(cmp.Compare(px, qx), cmp.Compare(py, qy))
	}
	return cmp.Or(cmp.Compare(x.Int, y.Int), cmp.Compare(x.Num, y.Num), strings.Compare(x.Str, y.Str))
}

// plainValues gives the different values of a field, in the form of keys.
func plainValues(f query.Field, ev *event.Event) func(yield func(query.Key) bool) {
	var texts []string
	v := ev.Get(f.ID)
	if f.Key != "" {
		v = query.Key{Kind: event.List}
		for _, l := range ev.Labels {
			if l.Key == f.Key {
				texts = append(texts, l.Value)
			}
		}
	}
	return func(yield func(query.Key) bool) {
		switch v.Kind {
		case event.None:
			return
		case event.Str:
			texts = []string{v.Str}
		case event.List:
			texts = append(texts, v.List...)
		default:
			yield(v)
			return
		}
		if f.Type() == event.IP {
			for i := range texts {
				texts[i] = netip.MustParseAddr(texts[i]).Unmap().String()
			}
		}
		slices.Sort(texts)
		for _, s := range slices.Compact(texts) {
			if !yield(query.Key{Kind: event.Str, Str: s}) {
				return
			}
		}
	}
}

// plainTile is the formula of web maps.
func plainTile(g event.GeoPoint, zoom int) query.Key {
	n := math.Exp2(float64(zoom))
	lat := max(-85.0511, min(85.0511, g.Lat)) * math.Pi / 180
	x := min(n-1, math.Floor((g.Lon+180)/360*n))
	y := math.Floor((1 - math.Asinh(math.Tan(lat))/math.Pi) / 2 * n)
	return query.Key{Kind: event.Str, Str: fmt.Sprintf("%d/%.0f/%.0f", zoom, x, y)}
}

// Random aggregates over random events are what a plain computation gives.
func TestAggregateIsPlain(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	if err := s.writer.exec("PRAGMA synchronous = OFF"); err != nil {
		t.Fatal(err)
	}
	base := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		if err := s.writer.exec("DELETE FROM event"); err != nil {
			t.Fatal(err)
		}
		base += 1000
		w := newEncoder()
		var items []Item
		var events []*event.Event
		for i := range rapid.IntRange(0, 40).Draw(t, "events") {
			drawn := querytest.Event(t)
			drawn.ID = idOf(int(base) + i)
			line, _ := w.AppendItem(nil, nil, drawn, base+uint64(i))
			ev := &event.Event{}
			if err := event.FromJSON(event.Document(line), ev); err != nil {
				t.Fatal(err)
			}
			items, events = append(items, Item{event.Document(line), ev}), append(events, ev)
		}
		if err := s.Append(context.Background(), items); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			a := querytest.Aggregate(t)
			got, err := s.Aggregate(context.Background(), a)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(plainAggregate(a, events), got); diff != "" {
				t.Fatalf("%+v\n(-want +got):\n%s", a, diff)
			}
		}
	})
}

func field(t testing.TB, name string) query.Field {
	t.Helper()
	f, err := query.FieldNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAggregateRefuses(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	f := func(want string, by []query.Bucket, figures ...query.Figure) {
		t.Helper()
		if _, err := s.Aggregate(context.Background(), query.Aggregate{By: by, Figures: figures}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("no values", []query.Bucket{{Field: field(t, "labels")}})
	f("of times", []query.Bucket{{Field: field(t, "user.name"), Kind: query.Dates, Every: time.Hour}})
	f("above zero", []query.Bucket{{Field: field(t, "time"), Kind: query.Dates}})
	f("of places", []query.Bucket{{Field: field(t, "source.ip"), Kind: query.Tiles}})
	f("of numbers", nil, query.Figure{Kind: query.Sum, Field: field(t, "user.name")})
	f("of numbers and times", nil, query.Figure{Kind: query.Max, Field: field(t, "user.name")})
	f("no values", nil, query.Figure{Kind: query.Unique, Field: field(t, "source.geo.location")})
}

// An aggregate of too many groups is an error that says what to do, however the groups come about.
func TestAggregateIsBounded(t *testing.T) {
	for _, a := range []query.Aggregate{
		{By: []query.Bucket{{Field: field(t, "event.code")}}},
		{Figures: []query.Figure{{Kind: query.Unique, Field: field(t, "event.code")}}},
	} {
		g, err := newGrouping(a)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; g.held <= mostGroups && n < 3*mostGroups; n++ {
			g.values[0] = append(g.values[0][:0], atom{kind: event.Str, s: fmt.Sprint(n)})
			if len(g.keys) > 0 {
				g.keys[0] = g.values[0]
			}
			g.add(&g.root, 0)
		}
		if n < mostGroups-10 || n > mostGroups+10 {
			t.Errorf("%d different values were held", n)
		}
	}
	s := mustOpen(t, Options{Dir: t.TempDir()})
	w := newEncoder()
	e := &event.Event{ID: idOf(1), Time: 1763800000_000000000}
	for i := range 1200 {
		e.Tags = append(e.Tags, fmt.Sprint(i))
		e.Label("k", fmt.Sprint(i))
	}
	item, _ := w.AppendItem(nil, nil, e, 1)
	if err := s.Append(t.Context(), []Item{{event.Document(item), e}}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Aggregate(t.Context(), query.Aggregate{By: []query.Bucket{{Field: field(t, "tags")}, {Field: field(t, "labels.k")}}})
	if !errors.Is(err, ErrGroups) || !strings.Contains(err.Error(), "shorter time") {
		t.Errorf("1200 times 1200 groups: %v", err)
	}
}

func BenchmarkAggregate(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.writer.exec("PRAGMA synchronous = OFF"); err != nil {
		b.Fatal(err)
	}
	const events = 200_000
	for _, items := range batches(events/2000, 2000) {
		if err := s.Append(b.Context(), items); err != nil {
			b.Fatal(err)
		}
	}
	failed, err := query.ParseSimple("outcome=failure", time.Now(), nil)
	if err != nil {
		b.Fatal(err)
	}
	count := query.Figure{Kind: query.Count}
	for _, c := range []struct {
		name string
		a    query.Aggregate
	}{
		{"total", query.Aggregate{}},
		{"actions", query.Aggregate{By: []query.Bucket{{Field: field(b, "event.action")}}}},
		{"hours-outcomes", query.Aggregate{By: []query.Bucket{{Field: field(b, "time"), Kind: query.Dates, Every: time.Hour}, {Field: field(b, "event.outcome")}}}},
		{"addresses-failed", query.Aggregate{By: []query.Bucket{{Field: field(b, "source.ip")}}, Figures: []query.Figure{{Kind: query.Count, Where: failed}, count}}},
		{"addresses-users", query.Aggregate{Where: failed, By: []query.Bucket{{Field: field(b, "source.ip")}}, Figures: []query.Figure{count, {Kind: query.Unique, Field: field(b, "user.name")}}}},
		{"users", query.Aggregate{By: []query.Bucket{{Field: field(b, "user.name")}}}},
		{"related", query.Aggregate{By: []query.Bucket{{Field: field(b, "related.ip")}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Aggregate(b.Context(), c.a); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/events, "ns/event")
		})
	}
}
