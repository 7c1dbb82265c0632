package detection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/outputs/elastic"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/query/querytest"
	"github.com/gatebook/gatebook/rules"
)

const (
	conditionEvents = 300
	conditionTrees  = 250
	conditionIndex  = "gatebook-conditions"
)

// holds answers a condition in memory.
func holds(c condition, ev *event.Event) bool {
	switch c := c.(type) {
	case allOf:
		return !slices.ContainsFunc(c, func(one condition) bool { return !holds(one, ev) })
	case anyOf:
		return slices.ContainsFunc(c, func(one condition) bool { return holds(one, ev) })
	case notOf:
		return !holds(c.of, ev)
	case asked:
		return query.Compile(c.Expr)(ev)
	case inHours:
		return c.Within(ev.Time.Std())
	case atClock:
		at := ev.Time.Std().In(c.term.Zone)
		n := float64(at.Hour())
		if c.term.Name == "weekday" {
			n = float64(at.Weekday())
		}
		switch c.op {
		case query.Eq:
			return n == c.n
		case query.Lt:
			return n < c.n
		}
		return n >= c.n
	}
	return false
}

// drawCondition draws a tree of questions and hours. What sayable refuses becomes a constant.
func drawCondition(zones []string, sayable func(condition) bool) *rapid.Generator[condition] {
	return rapid.Custom(func(t *rapid.T) condition {
		c := changed(fromQuery(querytest.Expr(t, 4)), func(c condition) condition {
			if !sayable(c) {
				return asked{query.Const{True: rapid.Bool().Draw(t, "in place")}}
			}
			if k, ok := c.(asked).Expr.(query.Compare); ok && k.Field.Type() == event.DateTime {
				k.Value.Int -= k.Value.Int % 1e6 // as the index has it
				return asked{k}
			}
			return c
		})
		if len(zones) == 0 || rapid.IntRange(0, 2).Draw(t, "hours") == 0 {
			return c
		}
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		text := rapid.SampledFrom([]string{"mon-fri 07:00-19:00", "sat 22:30-03:15, sun 00:00-24:00", "06:00-20:00", "tue thu 00:00-00:01 12:00-13:30, fri-mon 15:00-16:00"}).Draw(t, "hours of")
		h, err := rules.ParseHours(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		var of condition = inHours{h}
		if rapid.Bool().Draw(t, "clock") {
			of = atClock{&rules.Call{Name: rapid.SampledFrom([]string{"hour", "weekday"}).Draw(t, "term"), Zone: h.Zone}, rapid.SampledFrom([]query.Op{query.Eq, query.Lt, query.Ge}).Draw(t, "op"),
				float64(rapid.IntRange(0, 6).Draw(t, "n"))}
		}
		if rapid.Bool().Draw(t, "outside") {
			of = not(of)
		}
		if rapid.Bool().Draw(t, "or") {
			return not(anyIn(of, c))
		}
		return all(of, c)
	})
}

func changed(c condition, leaf func(condition) condition) condition {
	list := func(of []condition) (out []condition) {
		for _, one := range of {
			out = append(out, changed(one, leaf))
		}
		return out
	}
	switch c := c.(type) {
	case allOf:
		return all(list(c)...)
	case anyOf:
		return anyIn(list(c)...)
	case notOf:
		return not(changed(c.of, leaf))
	}
	return leaf(c)
}

// randomEvents are drawn events over some weeks, as documents of an index too.
func randomEvents(t *testing.T, n *testkit.Node) (events []*event.Event) {
	mappings, err := json.Marshal(elastic.Mappings(elastic.Flattened))
	if err != nil {
		t.Fatal(err)
	}
	n.Must("PUT", "/"+conditionIndex, `{"mappings":`+string(mappings)+`}`, nil)
	w := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: strings.Repeat("0", 32)})
	draw := rapid.Custom(querytest.Event)
	var bulk bytes.Buffer
	for i := range conditionEvents {
		ev := draw.Example(i)
		ev.ID = fmt.Sprintf("%032d-%d", 0, i+1)
		ev.Time += event.Time(i) * event.Time(97*time.Minute)
		line, _ := w.AppendItem(nil, nil, ev, uint64(i+1))
		fmt.Fprintf(&bulk, "{\"create\":{\"_id\":%q}}\n%s\n", ev.ID, event.Document(line))
		for _, at := range []*event.Time{&ev.Time, &ev.Created, &ev.Start, &ev.End} {
			*at -= *at % 1e6
		}
		read := &event.Event{}
		line, _ = w.AppendItem(nil, nil, ev, uint64(i+1))
		if err := event.FromJSON(event.Document(line), read); err != nil {
			t.Fatal(err)
		}
		events = append(events, read)
	}
	var answer struct{ Errors bool }
	n.Must("POST", "/"+conditionIndex+"/_bulk?refresh=true", bulk.String(), &answer)
	if answer.Errors {
		t.Fatal("the bulk request has errors")
	}
	return events
}

// checkConditions asks random conditions of the server and of memory.
func checkConditions(t *testing.T, events []*event.Event, draw *rapid.Generator[condition], ask func(condition) (ids []string, text string)) {
	t.Helper()
	telling := 0
	for i := range conditionTrees {
		c := draw.Example(i)
		want := []string{}
		for _, ev := range events {
			if holds(c, ev) {
				want = append(want, ev.ID)
			}
		}
		got, text := ask(c)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-memory +server:\n%s\n%s\n%s", diff, conditionText(c), text)
		}
		if len(want) > 0 && len(want) < len(events) {
			telling++
		}
	}
	if telling < conditionTrees/5 {
		t.Errorf("only %d of %d conditions find some events and not all", telling, conditionTrees)
	}
}

// conditionsByQuery asks as rules of type query do: in KQL, and by filters for the rest, the hours of time zones among them.
func conditionsByQuery(t *testing.T, n *testkit.Node) {
	draw := drawCondition([]string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Tokyo"}, func(c condition) bool { _, _, err := splitQuery(c); return err == nil })
	checkConditions(t, randomEvents(t, n), draw, func(c condition) ([]string, string) {
		text, filters, err := splitQuery(c)
		if err != nil {
			t.Fatalf("%v: its parts can be said: %s", err, conditionText(c))
		}
		body := marshal(map[string]any{"size": 10000, "_source": false, "query": filtered(selected(&Rule{Language: "kuery", Query: text, Filters: filters}, &scene{name: "default"}, time.Time{}, time.Time{}))})
		status, answer := n.Do("POST", "/"+conditionIndex+"/_search", string(body))
		if status != 200 {
			t.Fatalf("%d %.2000s\n%s", status, answer, body)
		}
		ids := []string{}
		for _, h := range gjson.GetBytes(answer, "hits.hits.#._id").Array() {
			ids = append(ids, h.String())
		}
		return ids, string(body)
	})
}

// conditionsByESQL asks as rules in ES|QL do.
func conditionsByESQL(t *testing.T, n *testkit.Node) {
	draw := drawCondition([]string{"UTC"}, func(c condition) bool { var w esqlWriter; w.condition(c); return w.err == nil })
	checkConditions(t, randomEvents(t, n), draw, func(c condition) ([]string, string) {
		var w esqlWriter
		text := "FROM " + conditionIndex + " METADATA _id | WHERE " + w.condition(c) + " | KEEP _id | LIMIT 10000"
		if w.err != nil {
			t.Fatalf("%v: its parts can be said: %s", w.err, conditionText(c))
		}
		status, answer := n.Do("POST", "/_query", string(marshal(map[string]any{"query": text})))
		if status != 200 {
			t.Fatalf("%d %.2000s\n%s", status, answer, text)
		}
		ids := []string{}
		for _, row := range gjson.GetBytes(answer, "values").Array() {
			ids = append(ids, row.Get("0").String())
		}
		return ids, text
	})
}
