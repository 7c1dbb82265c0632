package kibana_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/configs"
	"github.com/gatebook/gatebook/dashboard"
	"github.com/gatebook/gatebook/enrich/demogeo"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/store"
)

// sampleParsers reads the shipped sample logs.
var sampleParsers = map[string]string{"auth.log": "linux_auth", "payment_portal.csv": "payment_portal", "activity_log.json": "activity_log", "user_activity.log": "user_activity",
	"auth_service.json": "auth_service", "keycloak.log": "keycloak", "auth0.json": "auth0", "okta.json": "okta", "nginx_access.log": "nginx", "apache_error.log": "apache"}

// samples runs the real agent over the sample logs, shipped rules on, into Elasticsearch and the embedded store, and adds to both what only a running fleet
// has: records of health and a dead letter.
func samples(t *testing.T, node *testkit.Node) *store.Store {
	t.Helper()
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var inputs strings.Builder
	check(fs.WalkDir(configs.Samples, "samples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := configs.Samples.ReadFile(path)
		if err != nil {
			return err
		}
		parser, ok := sampleParsers[d.Name()]
		if !ok {
			return fmt.Errorf("no parser for the sample %s", d.Name())
		}
		fmt.Fprintf(&inputs, "input \"file\" %q {\n  paths  = [%q]\n  parser = %q\n}\n", parser, filepath.Join(dir, d.Name()), parser)
		return os.WriteFile(filepath.Join(dir, d.Name()), b, 0o600)
	}))
	check(os.WriteFile(filepath.Join(dir, "odd.json"), []byte("not what an identity provider logs\nnor this\n"), 0o600))
	fmt.Fprintf(&inputs, "input \"file\" \"odd\" {\n  paths  = [%q]\n  parser = \"okta\"\n}\n", filepath.Join(dir, "odd.json"))
	city, asn, err := demogeo.Write(dir)
	check(err)
	config := filepath.Join(dir, "gatebook.hcl")
	check(os.WriteFile(config, fmt.Appendf(nil, `
data_dir = %q
timezone = "UTC"
%s
geoip {
  city = %q
  asn  = %q
}
rules {
  library = true
}
output "store" "local" {
  retention = { default = "36500d" }
}
output "elasticsearch" "siem" {
  hosts = [%q]
  setup = true
}
`, filepath.Join(dir, "data"), inputs.String(), city, asn, node.URL()), 0o600))
	p := testkit.Start(t, testkit.Gatebook(t), "run", "--once", "--config", config)
	if code := p.Wait(3 * time.Minute); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Stderr())
	}
	s, err := store.Open(store.Options{Dir: filepath.Join(dir, "data", "store"), Retention: 36500 * 24 * time.Hour})
	check(err)
	t.Cleanup(func() { s.Close() })
	addFleet(t, node, s)
	return s
}

// addFleet adds records that a run to the end of the samples does not make.
func addFleet(t *testing.T, node *testkit.Node, s *store.Store) {
	t.Helper()
	const at = "2026-11-%02dT%02d:00:00.000Z"
	var items []store.Item
	var bulk strings.Builder
	add := func(dataset string, doc members) {
		doc["event"].(members)["dataset"], doc["ecs"] = "gatebook."+dataset, members{"version": "8.17.0"}
		doc["event"].(members)["id"] = fmt.Sprintf("00000000000000000000000000000001-%d", len(items)+1)
		doc["data_stream"] = members{"type": "logs", "dataset": "gatebook." + dataset, "namespace": "default"}
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		ev := &event.Event{}
		if err := event.FromJSON(b, ev); err != nil {
			t.Fatal(err)
		}
		items = append(items, store.Item{Doc: b, Event: ev})
		fmt.Fprintf(&bulk, "{\"create\":{\"_index\":\"logs-gatebook.%s-default\"}}\n%s\n", dataset, b)
	}
	for i := range 40 {
		name, state := fmt.Sprintf("edge-%d", i%3), members{"status": "ok", "uptime": 60 * i, "lines": 100 + i, "events": 100 + i, "parse_failures": 0, "delivered": 90 + i, "dead_letters": i % 2,
			"waiting": i * i % 17, "unread_bytes": 1024 * (i % 5), "buffer_bytes": 1 << 20, "buffer_max_bytes": 1 << 31}
		if i%7 == 0 {
			state["status"], state["problems"] = "degraded", []string{`output "siem": held`, "buffer is full: max_bytes"}
		}
		add("agent", members{"@timestamp": fmt.Sprintf(at, 18+i%4, i%24), "message": "Gatebook", "agent": members{"id": "id-" + name, "name": name, "type": "gatebook", "version": "1.0.0"},
			"host": members{"name": name}, "event": members{"kind": "state", "code": "health", "outcome": "unknown", "created": fmt.Sprintf(at, 18+i%4, i%24)}, "gatebook": members{"health": state}})
	}
	for i := range 3 {
		add("deadletter", members{"@timestamp": fmt.Sprintf(at, 20, i), "message": "refused", "agent": members{"id": "id-edge-0", "name": "edge-0", "type": "gatebook", "version": "1.0.0"},
			"event":    members{"kind": "event", "outcome": "failure", "created": fmt.Sprintf(at, 20, i)},
			"gatebook": members{"deadletter": members{"output": "siem", "stream": "logs-gatebook.linux.auth-default", "id": "x", "type": "mapper_parsing_exception", "reason": "failed to parse field", "status": 400}}})
	}
	if err := s.Append(context.Background(), items); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Errors bool
		Items  json.RawMessage
	}
	node.Must("POST", "/_bulk", bulk.String(), &answer)
	if answer.Errors {
		t.Fatalf("%.2000s", answer.Items)
	}
}

// Every panel, saved search and control is asked of a real Elasticsearch as Kibana would ask it, as far as that follows from the saved object alone, and the answer held against
// the embedded store's to the description that it was made of.
func TestPanelsAgainstElasticsearch(t *testing.T) {
	node := testkit.SharedElasticsearch(t, testkit.Full())
	s := samples(t, node)
	node.Refresh("logs-gatebook.*")
	ctx := context.Background()
	n, err := s.Count(ctx, query.And{}, store.QueryOptions{})
	if got := node.Count("logs-gatebook.*"); err != nil || int64(got) != n || n < 4000 {
		t.Fatalf("%d documents in Elasticsearch, %d in the store: %v", got, n, err)
	}
	book, err := dashboard.All()
	if err != nil {
		t.Fatal(err)
	}
	c := comparison{t: t, node: node, store: s, objects: saved(objects(t))}
	for i := range book.Pages {
		c.page(&book.Pages[i])
	}
	for i := range book.Searches {
		c.search(&book.Searches[i])
	}
	c.links()
	seen := c
	t.Run("faults", func(t *testing.T) { seen.faults(t, book) })
	t.Logf("%d documents; %d panels with data of their own: %d requests, %d equal, %d rows compared; %d saved searches, %d equal; %d controls, %d equal",
		n, c.panels, c.requests, c.equal, c.rows, c.searches, c.searchesEqual, c.controls, c.controlsEqual)
}

type comparison struct {
	t       *testing.T
	node    *testkit.Node
	store   *store.Store
	objects map[string]gjson.Result

	panels, requests, equal, rows, searches, searchesEqual, controls, controlsEqual int
}

// ask runs a search.
func (c *comparison) ask(index, body string) gjson.Result {
	c.t.Helper()
	status, answer := c.node.Do("POST", "/"+index+"/_search", body)
	if status != 200 {
		c.t.Errorf("status %d\n%s\n%.1000s", status, body, answer)
	}
	return gjson.ParseBytes(answer)
}

// spans are what a page is looked at over: everything by day, and two days by the hour.
var spans = []struct {
	from, to time.Time
	every    time.Duration
}{
	{every: 24 * time.Hour},
	{time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), time.Hour},
}

func (c *comparison) page(p *dashboard.Page) {
	object := c.objects["dashboard gatebook-dashboard-"+p.ID]
	rendered := map[string]gjson.Result{}
	for _, panel := range gjson.Parse(object.Get("attributes.panelsJSON").Str).Array() {
		rendered[panel.Get("panelIndex").Str] = panel
	}
	for _, panel := range p.Panels {
		switch panel.Kind {
		case dashboard.Links, dashboard.Records: // those of searches are compared as such
			continue
		}
		c.panels++
		c.t.Run(panel.ID, func(t *testing.T) {
			for _, span := range spans {
				c.panel(t, panel, rendered[panel.ID], span.every, span.from, span.to)
			}
		})
	}
	gjson.Parse(object.Get("attributes.controlGroupInput.panelsJSON").Str).ForEach(func(id, control gjson.Result) bool {
		c.control(object, id.Str, control)
		return true
	})
}

// nothingOn tells the panels that have nothing to show on the samples, and why.
var nothingOn = map[string]string{"geography-events-without-a-place": "the demo's GeoIP database knows all addresses"}

func (c *comparison) panel(t *testing.T, p dashboard.Panel, rendered gjson.Result, every time.Duration, from, to time.Time) {
	got, diff, err := c.compare(p, rendered, every, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if diff != "" {
		t.Error(diff)
		return
	}
	c.equal++
	c.rows += len(got)
	if from.IsZero() && (len(got) == 0 || p.Kind == dashboard.Metric && got[0][0] == "0") != (nothingOn[p.ID] != "") {
		t.Errorf("what there is to see on the samples: %q", got)
	}
}

// compare gives what Elasticsearch answers, and where the embedded store answers otherwise.
func (c *comparison) compare(p dashboard.Panel, rendered gjson.Result, every time.Duration, from, to time.Time) (got [][]string, diff string, err error) {
	a := p.Between(from, to)
	for i := range a.By {
		if a.By[i].Kind == query.Dates {
			a.By[i].Every = every
		}
	}
	rows, err := c.store.Aggregate(context.Background(), a)
	if err != nil {
		return nil, "", err
	}
	attributes := rendered.Get("embeddableConfig.attributes")
	var r request
	if p.Kind == dashboard.Map {
		layers := gjson.Parse(attributes.Get("layerListJSON").Str)
		view := attributes.Get(`references.#(name="` + layers.Get("1.sourceDescriptor.indexPatternRefName").Str + `").id`).Str
		index := c.objects["index-pattern "+view].Get("attributes.title").Str
		r = tilesRequest(layers.Get("1"), index, a.By[0].Zoom, from, to)
		if diff := c.records(layers.Get("2"), index, a); diff != "" {
			return nil, diff, nil
		}
	} else if r, err = lensRequest(attributes, c.objects, every, from, to); err != nil {
		return nil, "", err
	}
	c.requests++
	got = r.rows(c.ask(r.index, r.json()))
	if d := cmp.Diff(stored(a, rows, got), got); d != "" {
		diff = fmt.Sprintf("%s\n(-store +Elasticsearch)\n%s", r.json(), d)
	}
	return got, diff, nil
}

// records compares the layer of a map that shows single records.
func (c *comparison) records(layer gjson.Result, index string, a query.Aggregate) (diff string) {
	var fields []string
	for _, f := range layer.Get("sourceDescriptor.tooltipProperties").Array() {
		fields = append(fields, f.Str)
	}
	body := request{body: members{"size": 1, "track_total_hits": true, "_source": false, "fields": append(fields, layer.Get("sourceDescriptor.geoField").Str), "query": filtered(layer.Get("query"), a.From, a.To)}}
	answer := c.ask(index, body.json())
	c.requests++
	want, err := c.store.Count(context.Background(), a.Where, store.QueryOptions{From: a.From, To: a.To})
	if got := answer.Get("hits.total.value").Int(); err != nil || got != want {
		return fmt.Sprintf("%d records on the map, want %d (%v)", got, want, err)
	}
	c.equal++
	return ""
}

// links follows, for each field whose values lead to Discover, the link of its most frequent value.
func (c *comparison) links() {
	for _, view := range []string{"gatebook-events", "gatebook-alerts"} {
		gjson.Parse(c.objects["index-pattern "+view].Get("attributes.fieldFormatMap").Str).ForEach(func(name, format gjson.Result) bool {
			template := format.Get("params.urlTemplate").Str
			if template == "" {
				return true
			}
			c.t.Run("link-of-"+name.Str+"-in-"+view, func(t *testing.T) {
				of := c.ask("logs-gatebook.*", request{body: members{"size": 0, "aggs": members{"v": members{"terms": members{"field": name.Str, "size": 1}}}}}.json())
				value := of.Get("aggregations.v.buckets.0.key").Str
				if value == "" {
					t.Fatalf("no value in %s", of.Raw)
				}
				address, err := url.Parse(strings.ReplaceAll(template, "{{value}}", url.QueryEscape(value)))
				if err != nil {
					t.Fatal(err)
				}
				_, rest, _ := strings.Cut(address.Fragment, ",query:(language:kuery,query:'")
				kql, ok := strings.CutSuffix(rest, "'))")
				_, rest, found := strings.Cut(address.Fragment, "dataViewId:")
				to, _, _ := strings.Cut(rest, ",")
				index := c.objects["index-pattern "+to].Get("attributes.title").Str
				if !ok || !found || index == "" {
					t.Fatalf("link %s", address)
				}
				answer := c.ask(index, request{body: members{"size": 1, "track_total_hits": true, "query": kueryQuery(kql)}}.json())
				n := answer.Get("hits.total.value").Int()
				if strings.HasPrefix(kql, "event.id ") && name.Str != "gatebook.deadletter.id" && n != 1 || !strings.HasPrefix(kql, "event.id ") && n < 2 {
					t.Errorf("%s finds %d records in %s", kql, n, index)
				}
			})
			return true
		})
	}
}

// faults proves that the comparison sees a panel that asks for something else than its description says.
func (c *comparison) faults(t *testing.T, book *dashboard.Book) {
	f := func(page, panel, from, to string) {
		t.Helper()
		p, ok := book.Page(page)
		if !ok {
			t.Fatalf("no page %s", page)
		}
		for _, one := range p.Panels {
			if one.ID != panel {
				continue
			}
			for _, rendered := range gjson.Parse(c.objects["dashboard gatebook-dashboard-"+page].Get("attributes.panelsJSON").Str).Array() {
				if rendered.Get("panelIndex").Str != panel {
					continue
				}
				if !strings.Contains(rendered.Raw, from) {
					t.Errorf("%s is not in %s", from, rendered.Raw)
				}
				_, diff, err := c.compare(one, gjson.Parse(strings.Replace(rendered.Raw, from, to, 1)), 24*time.Hour, time.Time{}, time.Time{})
				if err != nil || diff == "" {
					t.Errorf("%s: %s in place of %s is not seen (%v)", panel, to, from, err)
				}
				return
			}
		}
		t.Errorf("no panel %s", panel)
	}
	f("overview", "overview-events", `"query":"event.kind : \"event\""`, `"query":""`)
	f("overview", "overview-events", `"id":"gatebook-events"`, `"id":"gatebook-alerts"`)
	f("overview", "overview-logins-over-time", `event.outcome : \"success\"`, `event.outcome : \"unknown\"`)
	f("overview", "overview-sources", `"operationType":"max"`, `"operationType":"min"`)
	f("overview", "overview-what-was-done", `"size":15`, `"size":14`)
	f("overview", "overview-what-was-done", `"orderDirection":"desc"`, `"orderDirection":"asc"`)
	f("overview", "overview-users-seen", `"sourceField":"gatebook.user.key"`, `"sourceField":"user.name"`)
	f("alerts", "alerts-rules", `"columnOrder":["by-0","by-1"`, `"columnOrder":["by-1","by-0"`)
	f("geography", "geography-where-logins-come-from", `\"type\":\"cardinality\",\"field\":\"gatebook.user.key\"`, `\"type\":\"cardinality\",\"field\":\"source.ip\"`)
	f("geography", "geography-where-logins-come-from", `event.action : \\\"login\\\"`, `event.action : \\\"logout\\\"`)
}

func (c *comparison) control(dashboard gjson.Result, id string, control gjson.Result) {
	c.controls++
	name := control.Get("explicitInput.fieldName").Str
	c.t.Run(id, func(t *testing.T) {
		view := dashboard.Get(`references.#(name="controlGroup_` + id + `:optionsListDataView").id`).Str
		index := c.objects["index-pattern "+view].Get("attributes.title").Str
		r := request{buckets: []string{"suggestions"}, figures: []string{"count"}, body: members{"size": 0, "query": filtered(gjson.Result{}, time.Time{}, time.Time{}),
			"aggs": members{"suggestions": members{"terms": members{"field": name, "size": 10, "shard_size": 1000, "order": members{"_count": "desc"}}}}}}
		fieldID, ok := event.FieldByName(name)
		if !ok {
			t.Fatalf("no field %s", name)
		}
		a := query.Aggregate{By: []query.Bucket{{Field: query.Field{ID: fieldID}, Size: 10}}, Figures: []query.Figure{{}}}
		rows, err := c.store.Aggregate(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		got := r.rows(c.ask(index, r.json()))
		if d := cmp.Diff(stored(a, rows, got), got); d != "" || len(got) == 0 {
			t.Errorf("options of %s: (-store +Elasticsearch)\n%s", name, d)
			return
		}
		c.controlsEqual++
	})
}

func (c *comparison) search(s *dashboard.Search) {
	c.searches++
	c.t.Run("search-"+s.ID, func(t *testing.T) {
		o := c.objects["search gatebook-search-"+s.ID]
		source := gjson.Parse(o.Get("attributes.kibanaSavedObjectMeta.searchSourceJSON").Str)
		index := c.objects["index-pattern "+o.Get(`references.#(name="`+source.Get("indexRefName").Str+`").id`).Str].Get("attributes.title").Str
		sort, columns := []members{}, []string{}
		for _, by := range o.Get("attributes.sort").Array() {
			sort = append(sort, members{by.Get("0").Str: by.Get("1").Str})
		}
		for _, f := range o.Get("attributes.columns").Array() {
			columns = append(columns, f.Str)
		}
		r := request{body: members{"size": 500, "track_total_hits": true, "_source": false, "fields": columns, "sort": sort, "query": filtered(source.Get("query"), time.Time{}, time.Time{})}}
		answer := c.ask(index, r.json())
		where := s.Where
		if where == nil {
			where = query.And{}
		}
		want, err := c.store.Count(context.Background(), where, store.QueryOptions{})
		if got := answer.Get("hits.total.value").Int(); err != nil || got != want || got == 0 {
			t.Errorf("%d records, want %d (%v)\n%s", got, want, err, r.json())
			return
		}
		c.searchesEqual++
	})
}
