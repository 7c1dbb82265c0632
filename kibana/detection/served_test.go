package detection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/agent/replay/replaytest"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/outputs/elastic"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// scene is a set of events that rules are run over: the sample logs, or those of one test of one rule.
type scene struct {
	name   string // data_stream.namespace of its documents
	rule   string // whose test it is; "": all rules
	test   *rules.Test
	events []*event.Event
	until  time.Time
}

// served is a server that holds the events of all scenes.
type served struct {
	t      *testing.T
	node   *testkit.Node
	scenes []scene
	asked  int // requests that ran a rule once
}

const servedIndex = "logs-gatebook.scenes-detection"

func scenesOf(t *testing.T, set *rules.Set) (list []scene) {
	list = []scene{{name: "samples", events: replaytest.Samples(t)}}
	made := &replay.TestEvents{Zone: time.UTC}
	for _, r := range set.Rules {
		for i, test := range r.Tests {
			events, start, err := made.Make(test)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, scene{name: fmt.Sprintf("%s.%d", strings.ReplaceAll(r.ID, "_", ""), i), rule: r.ID, test: test, events: events, until: start.Add(test.Until)})
		}
	}
	return list
}

// newServed indexes the documents as the agent encodes them; event.ingested, which the final pipeline sets, is the time of the event.
func newServed(t *testing.T, node *testkit.Node, scenes []scene) *served {
	mappings, err := json.Marshal(elastic.Mappings(elastic.Flattened))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{servedIndex, "logs-gatebook.alert-detection"} {
		node.Must("PUT", "/"+name, `{"mappings":`+string(mappings)+`}`, nil)
	}
	var bulk bytes.Buffer
	for s := range scenes {
		w := event.NewEncoder(event.EncoderOptions{Namespace: scenes[s].name, Epoch: strings.Repeat("0", 32)})
		for i, ev := range scenes[s].events {
			line, _ := w.AppendItem(nil, nil, ev, uint64(i+1))
			doc := event.Document(line)
			at, _ := json.Marshal(ev.Time.Std())
			doc = bytes.Replace(doc, []byte(`"event":{`), []byte(`"event":{"ingested":`+string(at)+`,`), 1)
			fmt.Fprintf(&bulk, "{\"create\":{\"_index\":%q,\"_id\":\"%s-%d\"}}\n%s\n", servedIndex, scenes[s].name, i, doc)
			if i == 0 { // the same among the alerts: no rule may find it
				fmt.Fprintf(&bulk, "{\"create\":{\"_index\":\"logs-gatebook.alert-detection\",\"_id\":\"%s-%d\"}}\n%s\n", scenes[s].name, i, doc)
			}
		}
		if bulk.Len() > 4<<20 || s == len(scenes)-1 {
			var answer struct {
				Errors bool
				Items  json.RawMessage
			}
			node.Must("POST", "/_bulk?refresh=true", bulk.String(), &answer)
			if answer.Errors {
				t.Fatalf("%.2000s", answer.Items)
			}
			bulk.Reset()
		}
	}
	return &served{t: t, node: node, scenes: scenes}
}

// selected is the query of a rule as the detection engine sends it: the text, the filters, a range of time; and here the scene.
func selected(r *Rule, s *scene, from, to time.Time) []any {
	filters := []any{map[string]any{"term": map[string]any{"data_stream.namespace": s.name}}}
	if r.Language == "kuery" {
		filters = append(filters, map[string]any{"kql": map[string]any{"query": r.Query}})
	}
	for _, f := range r.Filters {
		filters = append(filters, f.Query)
	}
	if !to.IsZero() {
		filters = append(filters, map[string]any{"range": map[string]any{r.TimestampOverride: map[string]any{
			"gte": from.UTC().Format(time.RFC3339Nano), "lte": to.UTC().Format(time.RFC3339Nano), "format": "strict_date_optional_time"}}})
	}
	return filters
}

func filtered(filters []any) map[string]any {
	return map[string]any{"bool": map[string]any{"filter": filters}}
}

// msearch runs searches on the indices of a rule.
func (s *served) msearch(index []string, bodies []map[string]any) (answers []gjson.Result) {
	s.t.Helper()
	for part := range slices.Chunk(bodies, 200) {
		var b strings.Builder
		for _, body := range part {
			head, _ := json.Marshal(map[string]any{"index": strings.Join(index, ",")})
			text, err := json.Marshal(body)
			if err != nil {
				s.t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n%s\n", head, text)
		}
		status, answer := s.node.Do("POST", "/_msearch", b.String())
		if status != 200 {
			s.t.Fatalf("msearch: %d %.2000s", status, answer)
		}
		for i, r := range gjson.GetBytes(answer, "responses").Array() {
			if r.Get("error").Exists() || r.Get("_shards.failed").Int() > 0 {
				text, _ := json.Marshal(part[i])
				s.t.Fatalf("%.3000s\n%s", r.Raw, text)
			}
			answers = append(answers, r)
		}
		s.asked += len(part)
	}
	return answers
}

// found are keys by grouping, "source.ip\n203.0.113.9", and when they were found first.
type found map[string]time.Time

func (f found) add(by string, key []string, at time.Time) {
	name := by + "\n" + strings.Join(key, "\n")
	if had, ok := f[name]; !ok || at.Before(had) {
		f[name] = at
	}
}

func (f found) without(other found) (list []string) {
	for key := range f {
		if _, ok := other[key]; !ok {
			list = append(list, strings.ReplaceAll(key, "\n", " | "))
		}
	}
	slices.Sort(list)
	return list
}

func termsName(by []rules.Expr) string {
	var list []string
	for _, e := range by {
		list = append(list, rules.Canonical(e))
	}
	return strings.Join(list, ", ")
}

// run runs a rule of Kibana over a scene as the detection engine would, at each of its times at which there is something new.
func (s *served) run(p *Part, at *scene) found {
	s.t.Helper()
	out := found{}
	var hits []*event.Event
	if p.Kind != ESQL {
		answer := s.msearch(p.Rule.Index, []map[string]any{{"size": 10000, "query": filtered(selected(p.Rule, at, time.Time{}, time.Time{}))}})[0]
		for _, h := range answer.Get("hits.hits").Array() {
			ev := &event.Event{}
			if err := event.FromJSON([]byte(h.Get("_source").Raw), ev); err != nil {
				s.t.Fatal(err)
			}
			hits = append(hits, ev)
		}
	} else {
		matches := s.matches(p)
		for _, ev := range at.events {
			if matches(ev) {
				hits = append(hits, ev)
			}
		}
	}
	if p.Kind == Query {
		for _, ev := range hits {
			for _, by := range p.By {
				if key, ok := keyOf(ev, by); ok {
					out.add(termsName(by), key, ev.Time.Std())
				}
			}
		}
		return out
	}
	if len(hits) == 0 {
		return out
	}
	interval, from := span(s.t, p.Rule.Interval), span(s.t, strings.TrimPrefix(p.Rule.From, "now-"))
	runs := runTimes(hits, interval)
	switch p.Kind {
	case Threshold:
		runs = slices.DeleteFunc(runs, func(r time.Time) bool {
			n := int64(0)
			for _, ev := range hits {
				if t := ev.Time.Std(); !t.After(r) && !t.Before(r.Add(-from)) {
					n++
				}
			}
			return n < p.Rule.Threshold.Value
		})
		s.threshold(p, at, runs, from, out)
	case NewTerms:
		s.newTerms(p, at, runs, from, out)
	case ESQL:
		s.esql(p, at, hits, runs, interval, from, out)
	}
	return out
}

// matches tells which events are something to a rule in ES|QL.
func (s *served) matches(p *Part) func(*event.Event) bool {
	var any query.Or
	for _, c := range p.conditions {
		e, ok := toQuery(c)
		if !ok {
			return func(*event.Event) bool { return true }
		}
		any.Of = append(any.Of, e)
	}
	return query.Compile(any)
}

func span(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		days, ok := strings.CutSuffix(text, "d")
		if d, err = time.ParseDuration(days + "h"); !ok || err != nil {
			t.Fatalf("%q is no length of time", text)
		}
		d *= 24
	}
	return d
}

// runTimes are the times of a rule that runs every so often at which there are events that the run before did not have.
func runTimes(hits []*event.Event, interval time.Duration) []time.Time {
	times := map[time.Time]bool{}
	for _, ev := range hits {
		at := ev.Time.Std()
		r := at.Truncate(interval)
		if r.Before(at) {
			r = r.Add(interval)
		}
		times[r] = true
	}
	return slices.SortedFunc(maps.Keys(times), time.Time.Compare)
}

func composite(fields []string, more map[string]any) map[string]any {
	var sources []any
	for i, f := range fields {
		sources = append(sources, map[string]any{fmt.Sprint("k", i): map[string]any{"terms": map[string]any{"field": f}}})
	}
	a := map[string]any{"composite": map[string]any{"size": 10000, "sources": sources}}
	if more != nil {
		a["aggs"] = more
	}
	return map[string]any{"keys": a}
}

func bucketKey(b gjson.Result, fields []string) (key []string) {
	for i := range fields {
		key = append(key, b.Get(fmt.Sprint("key.k", i)).String())
	}
	return key
}

func (s *served) threshold(p *Part, at *scene, runs []time.Time, from time.Duration, out found) {
	th := p.Rule.Threshold
	figures := map[string]any{}
	for i, c := range th.Cardinality {
		figures[fmt.Sprint("c", i)] = map[string]any{"cardinality": map[string]any{"field": c.Field}}
	}
	var bodies []map[string]any
	for _, r := range runs {
		aggs := figures
		if len(th.Field) > 0 {
			aggs = composite(th.Field, figures)
		}
		bodies = append(bodies, map[string]any{"size": 0, "track_total_hits": true, "query": filtered(selected(p.Rule, at, r.Add(-from), r)), "aggs": aggs})
	}
	enough := func(count int64, b gjson.Result) bool {
		for i, c := range th.Cardinality {
			if b.Get(fmt.Sprintf("c%d.value", i)).Int() < c.Value {
				return false
			}
		}
		return count >= th.Value
	}
	for i, answer := range s.msearch(p.Rule.Index, bodies) {
		if len(th.Field) == 0 {
			if enough(answer.Get("hits.total.value").Int(), answer.Get("aggregations")) {
				out.add(termsName(p.By[0]), nil, runs[i])
			}
			continue
		}
		for _, b := range answer.Get("aggregations.keys.buckets").Array() {
			if enough(b.Get("doc_count").Int(), b) {
				out.add(termsName(p.By[0]), folded(p.By[0], bucketKey(b, th.Field)), runs[i])
			}
		}
	}
}

// newTerms runs at the times when something occurs for the first time of all, and at some others.
func (s *served) newTerms(p *Part, at *scene, runs []time.Time, from time.Duration, out found) {
	fields := p.Rule.NewTermsFields
	history := span(s.t, strings.TrimPrefix(p.Rule.HistoryStart, "now-"))
	first := s.msearch(p.Rule.Index, []map[string]any{{"size": 0, "query": filtered(selected(p.Rule, at, time.Time{}, time.Time{})),
		"aggs": composite(fields, map[string]any{"first": map[string]any{"min": map[string]any{"field": "@timestamp"}}})}})[0]
	telling := map[time.Time]bool{}
	for _, b := range first.Get("aggregations.keys.buckets").Array() {
		t := time.UnixMilli(b.Get("first.value").Int()).UTC()
		i, _ := slices.BinarySearchFunc(runs, t, time.Time.Compare)
		telling[runs[min(i, len(runs)-1)]] = true
	}
	if len(runs) > 300 {
		kept := runs[:0:0]
		for i, r := range runs {
			if telling[r] || i%20 == 0 {
				kept = append(kept, r)
			}
		}
		runs = kept
	}
	var bodies []map[string]any
	for _, r := range runs {
		for _, span := range [][2]time.Time{{r.Add(-from), r}, {r.Add(-history), r.Add(-from - time.Millisecond)}} {
			bodies = append(bodies, map[string]any{"size": 0, "query": filtered(selected(p.Rule, at, span[0], span[1])), "aggs": composite(fields, nil)})
		}
	}
	answers := s.msearch(p.Rule.Index, bodies)
	for i := 0; i < len(answers); i += 2 {
		known := map[string]bool{}
		for _, b := range answers[i+1].Get("aggregations.keys.buckets").Array() {
			known[strings.Join(bucketKey(b, fields), "\n")] = true
		}
		for _, b := range answers[i].Get("aggregations.keys.buckets").Array() {
			if key := bucketKey(b, fields); !known[strings.Join(key, "\n")] {
				out.add(termsName(p.By[0]), folded(p.By[0], key[:len(p.By[0])]), runs[i/2])
			}
		}
	}
}

// esql runs at each time that brings something new and, for what should have come, at the time when it is over.
func (s *served) esql(p *Part, at *scene, hits []*event.Event, runs []time.Time, interval, from time.Duration, out found) {
	if strings.Contains(p.Rule.Query, "NOW()") {
		wait := from - 2*interval
		began, _ := toQuery(p.conditions[0])
		first := slices.DeleteFunc(slices.Clone(hits), func(ev *event.Event) bool { return !query.Compile(began)(ev) })
		var later []time.Time
		for _, r := range runTimes(first, interval) {
			later = append(later, r, r.Add(wait), r.Add(wait+interval))
		}
		last := at.until
		if n := len(at.events); n > 0 && last.Before(at.events[n-1].Time.Std()) {
			last = at.events[n-1].Time.Std()
		}
		runs = slices.DeleteFunc(later, func(r time.Time) bool { return r.After(last.Add(interval)) })
		slices.SortFunc(runs, time.Time.Compare)
		runs = slices.Compact(runs)
	}
	const most = 150
	if len(runs) > most { // those with most events, and some others
		busy := func(r time.Time) (n int) {
			for _, ev := range hits {
				if t := ev.Time.Std(); !t.After(r) && !t.Before(r.Add(-from)) {
					n++
				}
			}
			return n
		}
		order := slices.Clone(runs)
		slices.SortStableFunc(order, func(a, b time.Time) int { return busy(b) - busy(a) })
		step := (len(order) - most/2) / (most / 2)
		kept := slices.Clone(order[:most/2])
		for i := most / 2; i < len(order); i += step + 1 {
			kept = append(kept, order[i])
		}
		runs = kept
	}
	for _, r := range runs {
		s.esqlAt(p, at, r, from, out)
	}
}

// esqlAt runs once.
func (s *served) esqlAt(p *Part, at *scene, r time.Time, from time.Duration, out found) {
	s.t.Helper()
	now := `TO_DATETIME("` + r.UTC().Format("2006-01-02T15:04:05.000Z") + `")`
	body, err := json.Marshal(map[string]any{"query": strings.ReplaceAll(p.Rule.Query, "NOW()", now), "filter": filtered(selected(p.Rule, at, r.Add(-from), r))})
	if err != nil {
		s.t.Fatal(err)
	}
	status, answer := s.node.Do("POST", "/_query", string(body))
	if status != 200 {
		s.t.Fatalf("%s: %d %.3000s\n%s", p.Rule.RuleID, status, answer, p.Rule.Query)
	}
	s.asked++
	var columns []string
	for _, c := range gjson.GetBytes(answer, "columns.#.name").Array() {
		columns = append(columns, c.String())
	}
	for _, row := range gjson.GetBytes(answer, "values").Array() {
		value := func(name string) string {
			if i := slices.Index(columns, name); i >= 0 {
				return row.Get(fmt.Sprint(i)).String()
			}
			s.t.Fatalf("%s: no column %s in %q", p.Rule.RuleID, name, columns)
			return ""
		}
		for _, by := range p.By {
			var key []string
			for i, term := range by {
				if f, ok := plainField(term); ok {
					key = append(key, value(f.Name()))
				} else {
					key = append(key, value("gatebook_key_"+itoa(i+1)))
				}
			}
			out.add(termsName(by), folded(by, key), r)
		}
	}
}

// folded writes those values of a key in small letters of which letter case does not matter.
func folded(by []rules.Expr, key []string) []string {
	for i, e := range by {
		if rules.Folds(e) {
			key[i] = strings.ToLower(key[i])
		}
	}
	return key
}

// keyOf works out what an event is grouped by.
func keyOf(ev *event.Event, by []rules.Expr) (key []string, ok bool) {
	for _, e := range by {
		value := ""
		for _, f := range fieldsOfTerm(e) {
			switch v := ev.Get(f.ID); v.Kind {
			case event.Str:
				value = v.Str
			case event.Int:
				value = fmt.Sprint(v.Int)
			}
			if value != "" {
				break
			}
		}
		if value == "" {
			return nil, false
		}
		key = append(key, value)
	}
	return folded(by, key), true
}

func fieldsOfTerm(e rules.Expr) (fields []query.Field) {
	rules.Walk(e, func(e rules.Expr) bool {
		if f, ok := e.(*rules.Field); ok {
			fields = append(fields, f.Field)
		}
		return true
	})
	return fields
}
