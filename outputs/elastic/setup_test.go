package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

// fakeCluster keeps what is put and gives it back as the servers do: for kinds of servers that cannot be started here.
type fakeCluster struct {
	greeting string // the member version of GET /
	ilm, ism bool
	dsl      bool
	missing  []string          // types that it does not know
	unknown  string            // how it says so, with %s
	denied   map[string]int    // path to status
	streams  string            // answer of GET /_data_stream/...
	things   map[string]string // path to body

	mu    sync.Mutex
	asked int      // requests
	sent  []string // methods and paths of what changes something
	puts  map[string]int
}

const (
	elasticsearchUnknown = "Failed to parse mapping: The mapper type [%s] declared on field [a] does not exist. It might have been created within a future version"
	openSearchUnknown    = "Failed to parse mapping [_doc]: No handler for type [%s] declared on field [a]"
)

func newFakeCluster(t *testing.T, f *fakeCluster) *Client {
	if f.things == nil {
		f.things = map[string]string{}
	}
	f.puts = map[string]int{}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := New(Config{Hosts: []string{s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (f *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	body := string(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	status, answer := f.answer(r, body)
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

func (f *fakeCluster) answer(r *http.Request, body string) (int, string) {
	none := func() (int, string) {
		return 400, fmt.Sprintf(`{"error":"no handler found for uri [%s] and method [%s]"}`, r.URL.Path, r.Method)
	}
	if s := f.denied[r.URL.Path]; s != 0 {
		return s, `{"error":{"type":"security_exception","reason":"denied"}}`
	}
	switch p := r.URL.Path; {
	case p == "/":
		return 200, `{"version":` + f.greeting + `}`
	case strings.HasPrefix(p, "/_ilm/") && !f.ilm:
		if strings.Contains(f.greeting, "serverless") {
			return 410, `{"error":{"type":"api_not_available_exception","reason":"not available when running in serverless mode"}}`
		}
		return none()
	case p == "/_ilm/status":
		return 200, `{}`
	case strings.HasPrefix(p, "/_plugins/_ism/") && !f.ism, strings.HasPrefix(p, "/_security/"):
		return none()
	case p == "/_plugins/_ism/policies":
		return 200, `{"policies":[]}`
	case p == "/_ingest/pipeline/_simulate":
		return 200, `{"docs":[{"doc":{"_source":{"event":{"ingested":"2026-11-22T10:00:00.123456789Z"}}}}]}`
	case p == "/_index_template/_simulate":
		for _, name := range f.missing {
			if strings.Contains(body, `"type": "`+name+`"`) {
				return 400, `{"error":{"type":"illegal_argument_exception","reason":"template after composition is invalid","caused_by":{"reason":"` + fmt.Sprintf(f.unknown, name) + `"}}}`
			}
		}
		if strings.Contains(body, `"data_retention"`) && !f.dsl {
			return 400, `{"error":{"type":"x_content_parse_exception","reason":"unknown field [lifecycle]"}}`
		}
		return 200, `{}`
	case p == "/_index_template":
		var list []string
		for _, name := range slices.Sorted(maps.Keys(f.things)) {
			if rest, ok := strings.CutPrefix(name, "/_index_template/"); ok {
				list = append(list, fmt.Sprintf(`{"name":%q,"index_template":%s}`, rest, f.things[name]))
			}
		}
		return 200, `{"index_templates":[` + strings.Join(list, ",") + `]}`
	case strings.HasPrefix(p, "/_data_stream/") && r.Method == "GET":
		return 200, `{"data_streams":[` + f.streams + `]}`
	case strings.HasSuffix(p, "/_mapping") && r.Method == "GET", strings.HasSuffix(p, "/_settings") && r.Method == "GET":
		return 200, `{}`
	case r.Method == "GET":
		thing, ok := f.things[p]
		if !ok {
			return 404, `{}`
		}
		name := path.Base(p)
		switch {
		case strings.HasPrefix(p, "/_component_template/"):
			return 200, fmt.Sprintf(`{"component_templates":[{"name":%q,"component_template":%s}]}`, name, thing)
		case strings.HasPrefix(p, "/_index_template/"):
			return 200, fmt.Sprintf(`{"index_templates":[{"name":%q,"index_template":%s}]}`, name, thing)
		case strings.HasPrefix(p, "/_plugins/_ism/"):
			return 200, fmt.Sprintf(`{"_id":%q,"_seq_no":%d,"_primary_term":1,%s`, name, f.puts[p], strings.TrimPrefix(strings.TrimSpace(thing), "{"))
		}
		return 200, fmt.Sprintf(`{%q:%s}`, name, thing)
	case r.Method == "PUT":
		if f.puts[p]++; f.puts[p] > 1 && strings.HasPrefix(p, "/_plugins/_ism/") && r.URL.RawQuery != fmt.Sprintf("if_seq_no=%d&if_primary_term=1", f.puts[p]-1) {
			return 409, `{"error":{"type":"version_conflict_engine_exception","reason":"` + r.URL.RawQuery + `"}}`
		}
		f.things[p] = body
		f.sent = append(f.sent, r.Method+" "+p)
		return 200, `{"acknowledged":true}`
	}
	f.sent = append(f.sent, r.Method+" "+r.URL.Path)
	return none()
}

// changes are what was sent since the last call that changes something.
func (f *fakeCluster) changes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = nil
	return sent
}

func mustSetup(t *testing.T, c *Client, o SetupOptions) []Step {
	t.Helper()
	steps, err := c.Setup(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

const (
	es8        = `{"number":"8.17.0","build_flavor":"default"}`
	serverless = `{"number":"8.11.0","build_flavor":"serverless"}`
	os2        = `{"number":"2.19.1","distribution":"opensearch"}`
)

// The chains of types, on each kind of server.
func TestTypes(t *testing.T) {
	f := func(greeting, unknown string, missing []string, want string) {
		t.Helper()
		c := newFakeCluster(t, &fakeCluster{greeting: greeting, unknown: unknown, missing: missing})
		s, err := c.findServer(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		types, err := c.findTypes(context.Background(), s)
		got := types.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("without %q: %q, want %q", missing, got, want)
		}
		if err == nil && !json.Valid(render(fieldMappings(types))) {
			t.Errorf("without %q: not JSON", missing)
		}
	}
	f(es8, elasticsearchUnknown, nil, "")
	f(es8, elasticsearchUnknown, []string{"wildcard"}, "wildcard as keyword")
	f(es8, elasticsearchUnknown, []string{"constant_keyword", "match_only_text", "wildcard"}, "constant_keyword as keyword, match_only_text as text, wildcard as keyword")
	f(es8, elasticsearchUnknown, []string{"flattened"}, "flattened as flat_object")
	f(es8, elasticsearchUnknown, []string{"flattened", "flat_object"}, "flattened as object that is not indexed")
	f(es8, elasticsearchUnknown, []string{"geo_point"}, "does not have type geo_point, and nothing stands in for it")
	f(os2, openSearchUnknown, []string{"flattened"}, "constant_keyword as keyword, flattened as flat_object, match_only_text as text, wildcard as keyword")
	f(os2, openSearchUnknown, []string{"flattened", "flat_object"}, "flattened as object that is not indexed")
}

// With ISM every time of keeping has a policy with the patterns of its datasets; who has none any more loses the patterns.
func TestSetupISM(t *testing.T) {
	f := &fakeCluster{greeting: os2, ism: true, missing: []string{"flattened"}, unknown: openSearchUnknown}
	c := newFakeCluster(t, f)
	tiers := func(by map[string]time.Duration) SetupOptions {
		return SetupOptions{Roles: true, Retention: Retention{ByDataset: by}}
	}
	steps := mustSetup(t, c, tiers(map[string]time.Duration{"linux.auth": 90 * day, "keycloak.event": 90 * day, "auth_service.audit": 7 * year}))
	if !slices.ContainsFunc(steps, func(s Step) bool { return strings.Contains(s.Did, "roles are not installed on OpenSearch") }) {
		t.Errorf("nothing of roles in %q", steps)
	}
	policy := func(name string) gjson.Result {
		return gjson.Parse(f.things["/_plugins/_ism/policies/"+name]).Get("policy")
	}
	want := func(name, patterns, age string) {
		t.Helper()
		p := policy(name)
		if got := p.Get("ism_template.0.index_patterns").Raw; strings.Join(strings.Fields(got), "") != patterns {
			t.Errorf("%s is for %s, want %s", name, got, patterns)
		}
		if got := p.Get("states.0.transitions.0.conditions.min_rollover_age").String(); got != age {
			t.Errorf("%s deletes after %s, want %s", name, got, age)
		}
	}
	want("gatebook-default", `["logs-gatebook.*-*"]`, "365d")
	want("gatebook-90d", `["logs-gatebook.keycloak.event-*","logs-gatebook.linux.auth-*"]`, "90d")
	want("gatebook-7y", `["logs-gatebook.auth_service.audit-*"]`, "2555d")
	f.changes()
	mustSetup(t, c, tiers(nil))
	if sent := f.changes(); len(sent) > 0 {
		t.Errorf("the second time: %q", sent)
	}
	mustSetup(t, c, tiers(map[string]time.Duration{"auth_service.audit": 90 * day, "keycloak.event": 0}))
	want("gatebook-90d", `["logs-gatebook.auth_service.audit-*","logs-gatebook.linux.auth-*"]`, "90d")
	want("gatebook-7y", ``, "2555d")
	wantSent := []string{"PUT /_plugins/_ism/policies/gatebook-90d", "PUT /_plugins/_ism/policies/gatebook-7y", "PUT /_index_template/gatebook-auth_service.audit", "PUT /_index_template/gatebook-keycloak.event",
		"PUT /_component_template/gatebook-done"}
	if d := cmp.Diff(wantSent, f.changes()); d != "" {
		t.Errorf("after a change of tiers (-want +got):\n%s", d)
	}
	mustSetup(t, c, tiers(nil))
	if sent := f.changes(); len(sent) > 0 {
		t.Errorf("after the change: %q", sent)
	}
	// Of somebody else, by its description.
	f.things["/_plugins/_ism/policies/gatebook-default"] = `{"policy":{"description":"mine"}}`
	if _, err := c.Setup(context.Background(), tiers(nil)); err == nil || !strings.Contains(err.Error(), "gatebook-default: there is one of this name") {
		t.Errorf("a policy of somebody else: %v", err)
	}
}

// Serverless has no ILM: templates say how long, and streams that exist are told.
func TestSetupServerless(t *testing.T) {
	stream := func(name, template, lifecycle string) string {
		return fmt.Sprintf(`{"name":"logs-gatebook.%s-default","template":%q,"indices":[{"index_name":"i"}],"lifecycle":{%s}}`, name, template, lifecycle)
	}
	f := &fakeCluster{greeting: serverless, dsl: true,
		streams: stream("a", "gatebook", ``) + "," + stream("b", "gatebook", `"data_retention":"30d"`) + "," + stream("c", "gatebook-c", `"data_retention":"30d"`) + "," + stream("d", "theirs", ``)}
	c := newFakeCluster(t, f)
	mustSetup(t, c, SetupOptions{Lifecycle: LifecycleAuto})
	if got := gjson.Get(f.things["/_index_template/gatebook"], "template.lifecycle.data_retention").String(); got != "365d" {
		t.Errorf("the template keeps for %q", got)
	}
	for thing, setting := range map[string]string{"/_component_template/gatebook-settings": "number_of_shards", "/_index_template/gatebook-alert": "refresh_interval"} {
		if strings.Contains(f.things[thing], setting) {
			t.Errorf("serverless refuses %s: %s", setting, f.things[thing])
		}
	}
	f.changes()
	f.things["/_data_stream/logs-gatebook.a-default/_lifecycle"] = ""
	steps := mustSetup(t, c, SetupOptions{Retention: Retention{ByDataset: map[string]time.Duration{"c": 90 * day}}})
	told := map[string]string{}
	for _, s := range steps {
		told[s.Path] += s.Did + ". "
	}
	for path, want := range map[string]string{
		"/_data_stream/logs-gatebook.a-default": "keeps for 365d now",
		"/_data_stream/logs-gatebook.b-default": "keeps for 30d, its template for 365d: somebody changed that",
		"/_data_stream/logs-gatebook.c-default": "keeps for 90d now",
		"/_data_stream/logs-gatebook.d-default": `goes by index template "theirs", which is not ours`,
	} {
		if !strings.Contains(told[path], want) {
			t.Errorf("%s: %q, want %q", path, told[path], want)
		}
	}
	if got := gjson.Get(f.things["/_data_stream/logs-gatebook.c-default/_lifecycle"], "data_retention").String(); got != "90d" {
		t.Errorf("c is told to keep for %q", got)
	}
	if sent := f.changes(); slices.Contains(sent, "PUT /_data_stream/logs-gatebook.b-default/_lifecycle") {
		t.Errorf("sent %q", sent)
	}
}

// What an agent asks for at its start, once all is done: three things.
func TestSetupQuick(t *testing.T) {
	f := &fakeCluster{greeting: es8, ilm: true}
	c := newFakeCluster(t, f)
	quick := func(r Retention) (asked int) {
		t.Helper()
		f.changes()
		before := f.asked
		mustSetup(t, c, SetupOptions{Quick: true, Retention: r})
		return f.asked - before
	}
	same := func(why string, r Retention) {
		t.Helper()
		if n := quick(r); n != 3 {
			t.Errorf("%s: %d requests", why, n)
		}
		if sent := f.changes(); len(sent) > 0 {
			t.Errorf("%s: sent %q", why, sent)
		}
	}
	full := func(why string, r Retention) {
		t.Helper()
		if n := quick(r); n < 10 {
			t.Errorf("%s: %d requests", why, n)
		}
	}
	tiers := Retention{Default: 90 * day, ByDataset: map[string]time.Duration{"linux.auth": 7 * year}}
	full("first", tiers)
	same("again", tiers)
	same("asked for nothing", Retention{})
	same("asked for a tier", Retention{ByDataset: tiers.ByDataset})
	full("another tier", Retention{ByDataset: map[string]time.Duration{"keycloak.event": day}})
	same("asked for the tier from before", tiers)
	full("no tier", Retention{ByDataset: map[string]time.Duration{"linux.auth": 0}})
	same("no tier again", Retention{ByDataset: map[string]time.Duration{"linux.auth": 0}})
	full("another default", Retention{Default: day})
	for _, gone := range []string{"/_ingest/pipeline/" + Pipeline, "/_index_template/" + IndexTemplate, "/_component_template/" + doneTemplate} {
		delete(f.things, gone)
		full("without "+gone, Retention{})
		if f.things[gone] == "" {
			t.Errorf("%s is not made again", gone)
		}
		same("after that", Retention{})
	}
	older := strings.Replace(f.things["/_component_template/"+doneTemplate], fmt.Sprintf(`"version": %d`, templateVersion), `"version": 1`, 1)
	f.things["/_component_template/"+doneTemplate] = older
	full("an older version", Retention{})
	if f.things["/_component_template/"+doneTemplate] == older {
		t.Error("the note stays as it was")
	}
	newer := strings.Replace(older, `"version": 1`, `"version": 1000`, 1)
	f.things["/_component_template/"+doneTemplate] = newer
	same("a newer version", Retention{})
	mustSetup(t, c, SetupOptions{})
	if f.things["/_component_template/"+doneTemplate] != newer {
		t.Error("the note of a newer version is gone")
	}
	f.things["/_index_template/"+IndexTemplate] = `{"index_patterns":["mine-*"]}`
	if _, err := c.Setup(context.Background(), SetupOptions{Quick: true}); err == nil || !strings.Contains(err.Error(), "/_index_template/gatebook: there is one of this name") {
		t.Errorf("a template of somebody else: %v", err)
	}
}

// What credentials may not do is said, or does not matter.
func TestSetupDenied(t *testing.T) {
	f := &fakeCluster{greeting: es8, ilm: true, denied: map[string]int{"/": 403}}
	c := newFakeCluster(t, f)
	mustSetup(t, c, SetupOptions{}) // without the privilege monitor
	f.denied = map[string]int{"/_data_stream/" + Streams: 403}
	steps := mustSetup(t, c, SetupOptions{})
	if last := steps[len(steps)-1].Did; !strings.Contains(last, "view_index_metadata") {
		t.Errorf("told %q", last)
	}
	f.denied = map[string]int{"/_ilm/status": 403}
	f.changes()
	if _, err := c.Setup(context.Background(), SetupOptions{}); err == nil || !strings.Contains(err.Error(), "look for a lifecycle") {
		t.Errorf("without the privilege read_ilm: %v", err)
	}
	f.denied = map[string]int{"/_component_template/" + ComponentTemplate: 403}
	if _, err := c.Setup(context.Background(), SetupOptions{}); err == nil || !strings.Contains(err.Error(), ComponentTemplate) {
		t.Errorf("without manage_index_templates: %v", err)
	}
	if sent := f.changes(); len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
	for _, l := range []Lifecycle{LifecycleISM, LifecycleStream} {
		if _, err := c.Setup(context.Background(), SetupOptions{Lifecycle: l}); err == nil || !strings.Contains(err.Error(), "no lifecycle of the kind") {
			t.Errorf("%s: %v", l, err)
		}
	}
}

func TestRetention(t *testing.T) {
	f := func(d time.Duration, name, units, rollover string) {
		t.Helper()
		if got := tierName(d) + " " + timeUnits(d) + " " + timeUnits(rolloverAge(d)); got != name+" "+units+" "+rollover {
			t.Errorf("%v: %s", d, got)
		}
		if parseUnits(timeUnits(d)) != d {
			t.Errorf("%v is read back as %v", d, parseUnits(timeUnits(d)))
		}
	}
	f(time.Hour, "1h", "1h", "1h")
	f(36*time.Hour, "36h", "36h", "9h")
	f(2*day, "2d", "2d", "1d")
	f(30*day, "30d", "30d", "7d")
	f(90*day, "90d", "90d", "7d")
	f(year, "1y", "365d", "30d")
	f(7*year, "7y", "2555d", "30d")
	bad := func(want, dataset string, d time.Duration) {
		t.Helper()
		if err := (Retention{ByDataset: map[string]time.Duration{dataset: d}}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %v: %v", dataset, d, err)
		}
	}
	bad("whole hours", "linux.auth", 90*time.Minute)
	bad("not the name of a dataset", "linux-auth", day)
	bad("not the name of a dataset", "*", day)
	bad("not the name of a dataset", "", day)
	if err := (Retention{Default: time.Minute}).Check(); err == nil {
		t.Error("a minute")
	}
}

func TestMarks(t *testing.T) {
	f := func(description string, want *mark) {
		t.Helper()
		got := textMark("d")(gjson.Parse(fmt.Sprintf(`{"d":%q}`, description)))
		if d := cmp.Diff(want, got, cmp.AllowUnexported(mark{})); d != "" {
			t.Errorf("%q (-want +got):\n%s", description, d)
		}
	}
	f("Gatebook 1: sets event.ingested", &mark{1, ""})
	f(mark{7, "0a1b2c3d"}.text("keeps for 90d (of ours), then deletes"), &mark{7, "0a1b2c3d"})
	f("Gatebook: mine", nil)
	f("mine", nil)
	f("Gatebook 99999999999999999999: x", nil)
}

func TestMatches(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if matches(pattern, name) != want {
			t.Errorf("%s matches %s: %v", pattern, name, !want)
		}
	}
	f("logs-*-*", "logs-gatebook.linux.auth-default", true)
	f("logs-gatebook.linux.auth-default", "logs-gatebook.linux.auth-default", true)
	f("logs-gatebook.linux.auth", "logs-gatebook.linux.auth-default", false)
	f("*", "logs-gatebook.linux.auth-default", true)
	f("metrics-*", "logs-gatebook.linux.auth-default", false)
	f("logs-*-prod", "logs-gatebook.linux.auth-default", false)
	f("*.linux.*-def*", "logs-gatebook.linux.auth-default", true)
	f("logs-a*a", "logs-a", false)
}

// The same requests at each call.
func TestRequestsAreDeterministic(t *testing.T) {
	o := SetupOptions{Retention: Retention{Default: 30 * day, ByDataset: map[string]time.Duration{"a": day, "b": day, "c": 2 * day, "d": 7 * year, "e": day}}}
	first := Requests(o)
	for range 20 {
		if d := cmp.Diff(first, Requests(o)); d != "" {
			t.Fatal(d)
		}
	}
	if !strings.Contains(string(Readme(first)), "PUT /_index_template/gatebook-e elasticsearch-ilm/") {
		t.Errorf("no such request in\n%s", Readme(first))
	}
}
