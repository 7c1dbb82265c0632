package store

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/query/querytest"
)

// Both back ends answer alike: random trees over random events, in memory and in the store.
func TestMatchIsSQL(t *testing.T) {
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
		for i := range rapid.IntRange(5, 25).Draw(t, "events") {
			seq := base + uint64(i)
			drawn := querytest.Event(t)
			drawn.ID = idOf(int(seq)) // events with the same id are one event
			line, _ := w.AppendItem(nil, nil, drawn, seq)
			e := &event.Event{}
			if err := event.FromJSON(event.Document(line), e); err != nil { // as a reader of the log gets it
				t.Fatal(err)
			}
			items = append(items, Item{event.Document(line), e})
		}
		if err := s.Append(context.Background(), items); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			expr := querytest.Expr(t, 3)
			match := query.Compile(expr)
			want := map[string]int{}
			for _, it := range items {
				if match(it.Event) {
					want[string(it.Doc)]++
				}
			}
			got := 0
			for doc, err := range s.Query(context.Background(), expr, QueryOptions{}) {
				if err != nil {
					where, args := query.SQL(expr)
					t.Fatalf("%v\n%s %v", err, where, args)
				}
				got++
				if want[string(doc)]--; want[string(doc)] < 0 {
					where, args := query.SQL(expr)
					t.Fatalf("SQL finds, match does not: %s\n%+v\n%s %v", doc, expr, where, args)
				}
			}
			for doc, left := range want {
				if left > 0 {
					where, args := query.SQL(expr)
					t.Fatalf("match finds, SQL does not: %s\n%+v\n%s %v", doc, expr, where, args)
				}
			}
			if counted, err := s.Count(context.Background(), expr, QueryOptions{}); err != nil || counted != int64(got) {
				t.Fatalf("counted %d of %d: %v", counted, got, err)
			}
		}
	})
}
