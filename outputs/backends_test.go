package outputs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
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
	"github.com/gatebook/gatebook/store"
)

const (
	backIndex  = "gatebook-back-ends"
	backEvents = 400
	backTrees  = 400
)

// backEnds holds the same random events in a server, in a store, and in memory. Those in the store and in memory have whole milliseconds, which is
// what the server's index has; the documents of the server are as they were drawn.
type backEnds struct {
	t      *testing.T
	n      *testkit.Node
	kql    bool // the server has the query "kql"
	open   bool // it has labels as flat_object
	store  *store.Store
	events []*event.Event
}

// realBackEnds asks random questions of the server (as DSL, and as KQL where it knows it), of the store and of the function in memory: what they find, and the
// figures of random aggregates, are equal.
func realBackEnds(t *testing.T, n *testkit.Node) {
	b := newBackEnds(t, n)
	t.Run("questions", func(t *testing.T) { b.t = t; b.questions() })
	t.Run("aggregates", func(t *testing.T) { b.t = t; b.aggregates() })
	t.Run("not indexed", func(t *testing.T) { b.t = t; b.notIndexed() })
}

func newBackEnds(t *testing.T, n *testkit.Node) *backEnds {
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &backEnds{t: t, n: n, store: s}
	b.n.Do("DELETE", "/"+backIndex, "")
	for _, kind := range []string{elastic.Flattened, elastic.FlatObject} {
		mappings, err := json.Marshal(elastic.Mappings(kind))
		if err != nil {
			t.Fatal(err)
		}
		status, answer := n.Do("PUT", "/"+backIndex, `{"mappings":`+string(mappings)+`}`)
		if b.open = kind == elastic.FlatObject; status == 200 {
			break
		}
		if kind == elastic.FlatObject {
			t.Fatalf("make index: %d %s", status, answer)
		}
	}
	status, _ := n.Do("POST", "/"+backIndex+"/_search", `{"query":{"kql":{"query":"*"}}}`)
	b.kql = status == 200
	var server struct{ Version struct{ Number string } }
	n.Must("GET", "/", "", &server)
	if !b.kql && strings.HasPrefix(server.Version.Number, "8.") { // that of version 9 is put together without the module
		t.Errorf("Elasticsearch %s takes no KQL", server.Version.Number)
	}

	epoch := strings.Repeat("0", 32)
	w := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: epoch})
	draw := rapid.Custom(querytest.Event)
	var bulk bytes.Buffer
	var items []store.Item
	for i := range backEvents {
		ev := draw.Example(i)
		ev.ID = fmt.Sprintf("%s-%d", epoch, i+1)
		line, _ := w.AppendItem(nil, nil, ev, uint64(i+1))
		fmt.Fprintf(&bulk, "{\"create\":{\"_id\":%q}}\n%s\n", ev.ID, event.Document(line))
		for _, at := range []*event.Time{&ev.Time, &ev.Created, &ev.Start, &ev.End} {
			*at -= *at % 1e6
		}
		line, _ = w.AppendItem(nil, nil, ev, uint64(i+1))
		read := &event.Event{}
		if err := event.FromJSON(event.Document(line), read); err != nil {
			t.Fatal(err)
		}
		items, b.events = append(items, store.Item{Doc: event.Document(line), Event: read}), append(b.events, read)
	}
	if err := s.Append(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Errors bool
		Items  json.RawMessage
	}
	n.Must("POST", "/"+backIndex+"/_bulk?refresh=true", bulk.String(), &answer)
	if answer.Errors {
		t.Fatalf("%.2000s", answer.Items)
	}
	return b
}

func (b *backEnds) inServer(body string) []string {
	b.t.Helper()
	status, answer := b.n.Do("POST", "/"+backIndex+"/_search?_source=false&size=10000&filter_path=hits.hits._id,error", body)
	if status != 200 {
		b.t.Fatalf("status %d to %s\n%.1500s", status, body, answer)
	}
	var ids []string
	for _, h := range gjson.GetBytes(answer, "hits.hits.#._id").Array() {
		ids = append(ids, h.String())
	}
	slices.Sort(ids)
	return ids
}

func (b *backEnds) inMemory(e query.Expr) (ids []string) {
	match := query.Compile(e)
	for _, ev := range b.events {
		if match(ev) {
			ids = append(ids, ev.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (b *backEnds) inStore(e query.Expr) (ids []string) {
	b.t.Helper()
	for doc, err := range b.store.Query(b.t.Context(), e, store.QueryOptions{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		ids = append(ids, gjson.GetBytes(doc, "event.id").String())
	}
	slices.Sort(ids)
	return ids
}

func (b *backEnds) questions() {
	t := b.t
	draw := rapid.Custom(func(t *rapid.T) query.Expr { return querytest.Expr(t, 5) })
	telling, kept := 0, 0
	for i := range backTrees {
		asked := changeLeaves(draw.Example(i), sayable(func(e query.Expr) error {
			_, err := query.DSL(e)
			if err == nil {
				kept++
			}
			return err
		}))
		dsl, err := query.DSL(asked)
		if err != nil {
			t.Fatalf("%v: its parts can be said: %+v", err, asked)
		}
		whole := changeLeaves(asked, wholeMilliseconds)
		want := b.inMemory(whole)
		if len(want) > 0 && len(want) < backEvents {
			telling++
		}
		same := func(how, text string, got []string, want []string) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-memory +%s):\n%s\n%s", how, how, text, diff)
			}
		}
		same("DSL", string(dsl), b.inServer(`{"query":`+string(dsl)+`}`), want)
		same("store", string(dsl), b.inStore(whole), want)
		if !b.kql {
			continue
		}
		for _, o := range []query.KQLOptions{{}, {ExactCase: true}} {
			asked := asked
			if o.ExactCase {
				asked = changeLeaves(asked, exactCase)
			}
			asked = changeLeaves(asked, sayable(func(e query.Expr) error { _, err := query.KQL(e, o); return err }))
			kql, err := query.KQL(asked, o)
			if err != nil {
				t.Fatalf("%v: its parts can be said: %+v", err, asked)
			}
			text, _ := json.Marshal(kql)
			same("KQL", kql, b.inServer(`{"query":{"kql":{"query":`+string(text)+`}}}`), b.inMemory(changeLeaves(asked, wholeMilliseconds)))
		}
	}
	if telling < backTrees/5 {
		t.Errorf("only %d of %d questions find some events and not all", telling, backTrees)
	}
	t.Logf("%d questions of %d conditions over %d events, %d of them find some and not all; KQL: %v", backTrees, kept, backEvents, telling, b.kql)
}

// changeLeaves makes a tree of another with changed leaves.
func changeLeaves(e query.Expr, change func(query.Expr) query.Expr) query.Expr {
	list := func(of []query.Expr) (out []query.Expr) {
		for _, e := range of {
			out = append(out, changeLeaves(e, change))
		}
		return out
	}
	switch e := e.(type) {
	case query.And:
		return query.And{Of: list(e.Of)}
	case query.Or:
		return query.Or{Of: list(e.Of)}
	case query.Not:
		return query.Not{Of: changeLeaves(e.Of, change)}
	}
	return change(e)
}

// sayable puts a constant where a back end refuses.
func sayable(try func(query.Expr) error) func(query.Expr) query.Expr {
	return func(e query.Expr) query.Expr {
		if try(e) != nil {
			return query.Const{True: true}
		}
		return e
	}
}

// wholeMilliseconds rounds times down, as the index does.
func wholeMilliseconds(e query.Expr) query.Expr {
	if c, ok := e.(query.Compare); ok && c.Field.Type() == event.DateTime {
		c.Value.Int -= c.Value.Int % 1e6
		return c
	}
	return e
}

// exactCase is the question that KQL asks with ExactCase.
func exactCase(e query.Expr) query.Expr {
	switch e := e.(type) {
	case query.Compare:
		e.Field.Fold = false
		return e
	case query.In:
		e.Field.Fold = false
		return e
	case query.Text:
		if e.How != query.Matches {
			e.Field.Fold = false
		}
		return e
	}
	return e
}

func (b *backEnds) aggregates() {
	t := b.t
	draw := rapid.Custom(querytest.Aggregate)
	asked, rows := 0, 0
	for i := 0; asked < 250; i++ {
		if i > 5000 {
			t.Fatalf("%d aggregates of %d could be asked", asked, i)
		}
		a := draw.Example(i)
		saying := func(e query.Expr) query.Expr {
			if e == nil {
				return nil
			}
			return changeLeaves(changeLeaves(e, sayable(func(e query.Expr) error { _, err := query.DSL(e); return err })), wholeMilliseconds)
		}
		a.Where = saying(a.Where)
		for i := range a.Figures {
			a.Figures[i].Where = saying(a.Figures[i].Where)
		}
		if !b.canAggregate(a) {
			continue
		}
		asked++
		got, err := b.store.Aggregate(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		body := aggregation(t, a)
		status, answer := b.n.Do("POST", "/"+backIndex+"/_search?size=0", body)
		if status != 200 {
			t.Fatalf("status %d to %s\n%.1500s", status, body, answer)
		}
		want := bucketsOf(a, gjson.GetBytes(answer, "aggregations"), nil, nil)
		rows += len(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n(-server +store):\n%s", body, diff)
		}
	}
	t.Logf("%d aggregates with %d rows", asked, rows)
}

// canAggregate leaves out what the server has no buckets or figures for (text), or orders otherwise: it puts buckets without a least or most value
// first, tiles by the count of all their events.
func (b *backEnds) canAggregate(a query.Aggregate) bool {
	first := query.Figure{}
	if len(a.Figures) > 0 {
		first = a.Figures[0]
	}
	if first.Kind > query.Sum {
		return false
	}
	for _, by := range a.By {
		if by.Field.Type() == event.Text || by.Kind == query.Tiles && (first.Kind != query.Count || first.Where != nil) || b.isOpenLabel(by.Field) {
			return false
		}
	}
	for _, f := range a.Figures {
		if f.Kind == query.Unique && (f.Field.Type() == event.Text || b.isOpenLabel(f.Field)) {
			return false
		}
	}
	return true
}

// isOpenLabel tells a field that the server has as flat_object, of which OpenSearch has no buckets.
func (b *backEnds) isOpenLabel(f query.Field) bool { return f.Key != "" && b.open }

// aggregation is the request of an aggregate.
func aggregation(t *testing.T, a query.Aggregate) string {
	t.Helper()
	filter := func(e query.Expr) string {
		if e == nil {
			e = query.Const{True: true}
		}
		dsl, err := query.DSL(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(dsl)
	}
	figures := a.Figures
	if len(figures) == 0 {
		figures = []query.Figure{{}}
	}
	names := [...]string{query.Unique: "cardinality", query.Sum: "sum", query.Min: "min", query.Max: "max"}
	var parts []string
	for i, f := range figures {
		part := fmt.Sprintf(`"f%d":{"filter":%s`, i, filter(f.Where))
		if f.Kind != query.Count {
			part += fmt.Sprintf(`,"aggs":{"v":{%q:{"field":%q}}}`, names[f.Kind], f.Field.Name())
		}
		parts = append(parts, part+"}")
	}
	order := "f0"
	if figures[0].Kind != query.Count {
		order = "f0>v"
	}
	inner := strings.Join(parts, ",")
	for _, by := range slices.Backward(a.By) {
		kind := ""
		switch by.Kind {
		case query.Terms:
			size := by.Size
			if size == 0 {
				size = 10
			}
			kind = fmt.Sprintf(`"terms":{"field":%q,"size":%d,"order":[{%q:"desc"},{"_key":"asc"}]}`, by.Field.Name(), size, order)
		case query.Dates:
			kind = fmt.Sprintf(`"date_histogram":{"field":%q,"fixed_interval":"%dms","min_doc_count":1}`, by.Field.Name(), by.Every.Milliseconds())
		case query.Tiles:
			kind = fmt.Sprintf(`"geotile_grid":{"field":%q,"precision":%d}`, by.Field.Name(), by.Zoom)
		}
		inner = strings.Join(parts, ",") + `,"by":{` + kind + `,"aggs":{` + inner + `}}`
	}
	var all query.And
	if a.Where != nil {
		all.Of = append(all.Of, a.Where)
	}
	at := query.Field{ID: event.FieldTimestamp}
	if !a.From.IsZero() {
		all.Of = append(all.Of, query.Compare{Field: at, Op: query.Ge, Value: query.Value{Kind: event.Int, Int: a.From.UnixNano()}})
	}
	if !a.To.IsZero() {
		all.Of = append(all.Of, query.Compare{Field: at, Op: query.Lt, Value: query.Value{Kind: event.Int, Int: a.To.UnixNano()}})
	}
	return `{"query":` + filter(all) + `,"aggs":{` + inner + `}}`
}

// bucketsOf reads the rows out of the answer.
func bucketsOf(a query.Aggregate, in gjson.Result, keys []query.Key, rows []query.Row) []query.Row {
	if len(keys) == len(a.By) {
		row := query.Row{Keys: slices.Clone(keys)}
		figures := a.Figures
		if len(figures) == 0 {
			figures = []query.Figure{{}}
		}
		for i, f := range figures {
			v := in.Get(fmt.Sprintf("f%d", i))
			n := query.Number{F: v.Get("doc_count").Num, Valid: true}
			if f.Kind != query.Count {
				v = v.Get("v.value")
				n = query.Number{F: v.Num, Valid: v.Type == gjson.Number}
				if n.Valid && f.Kind > query.Sum && f.Field.Type() == event.DateTime {
					n.F = float64(int64(n.F) * 1e6)
				}
			}
			row.Figures = append(row.Figures, n)
		}
		return append(rows, row)
	}
	by := a.By[len(keys)]
	in.Get("by.buckets").ForEach(func(_, bucket gjson.Result) bool {
		v := bucket.Get("key")
		k := query.Key{Kind: event.Str, Str: v.String()}
		switch by.Field.Type() {
		case event.DateTime:
			k = query.Key{Kind: event.Date, Int: v.Int() * int64(time.Millisecond)}
		case event.Integer:
			k = query.Key{Kind: event.Int, Int: v.Int()}
		case event.Float32:
			k = query.Key{Kind: event.Num, Num: v.Num}
		case event.Boolean:
			k = query.Key{Kind: event.Truth, Int: v.Int()}
		case event.IP:
			if addr, err := netip.ParseAddr(v.String()); err == nil {
				k.Str = addr.String()
			}
		}
		rows = bucketsOf(a, bucket, append(keys, k), rows)
		return true
	})
	return rows
}

// notIndexed shows what query.DSL's documentation says of what the index does not hold.
func (b *backEnds) notIndexed() {
	long := strings.Repeat("x", 1025)
	docs := []string{`{"event":{"reason":"` + long + `"}}`, `{"event":{"reason":"` + long[1:] + `"}}`, `{"user":{"name":"\u212ate"}}`, `{"labels":{"One":"Root","one":"b"}}`}
	var bulk strings.Builder
	for i, d := range docs {
		bulk.WriteString(`{"index":{"_id":"extra` + strconv.Itoa(i) + "\"}}\n" + d + "\n")
	}
	b.n.Must("POST", "/"+backIndex+"/_bulk?refresh=true", bulk.String(), nil)
	f := func(e query.Expr, err error, want string) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
		dsl, err := query.DSL(e)
		if err != nil {
			b.t.Fatal(err)
		}
		got := b.inServer(`{"query":{"bool":{"filter":[{"ids":{"values":["extra0","extra1","extra2","extra3"]}},` + string(dsl) + `]}}}`)
		if fmt.Sprint(got) != want {
			b.t.Errorf("%s finds %v, want %s", dsl, got, want)
		}
	}
	question := func(text string, want string) {
		b.t.Helper()
		e, err := query.ParseSimple(text, time.Now(), nil)
		f(e, err, want)
	}
	question("event.reason!=null", "[extra1]")
	question("event.reason~xx", "[extra1]")
	question("user.name=kte", "[]") // the Kelvin sign is no letter of ASCII
	question("labels.one=Root", "[]")
	folded := query.Field{ID: event.FieldLabels, Key: "one", Fold: true}
	f(query.Compare{Field: folded, Op: query.Eq, Value: query.Value{Kind: event.Str, Str: "root"}}, nil, "[extra3]") // labels.One, as there is a labels.one too
}
