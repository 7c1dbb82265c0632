package outputs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// Roles, and what the keys of agents may do.
func TestSetupSecurity(t *testing.T) {
	n := testkit.SharedElasticsearch(t, testkit.Full(), testkit.Security())
	admin := elastic.Config{Hosts: []string{n.URL()}, Username: n.Username(), Password: n.Password(), CA: n.CAFile()}
	b := &setupBench{t: t, n: n, client: admin, ilm: true}
	b.reset()
	roleNames := []string{"gatebook_agent", "gatebook_agent_lookup", "gatebook_analyst", "gatebook_setup"}
	var paths []string
	for _, r := range roleNames {
		n.Do("DELETE", "/_security/role/"+r, "")
		paths = append(paths, "/_security/role/"+r)
	}
	n.Must("PUT", "/_security/role/gatebook_analyst", `{"cluster":["monitor"]}`, nil)
	if _, err := b.try(elastic.SetupOptions{Roles: true}); !errors.Is(err, elastic.ErrForeign) || !strings.Contains(err.Error(), "/_security/role/gatebook_analyst") {
		t.Errorf("a role of somebody else: %v", err)
	}
	n.Must("DELETE", "/_security/role/gatebook_analyst", "", nil)
	b.wantTold(b.setup(elastic.SetupOptions{Roles: true}), "installed", paths...)
	b.wantSame(b.setup(elastic.SetupOptions{Roles: true}))

	user := func(name, role string) elastic.Config {
		n.Must("PUT", "/_security/user/"+name, `{"password":"of-`+name+`","roles":["`+role+`"]}`, nil)
		c := admin
		c.Username, c.Password = name, "of-"+name
		return c
	}
	// What the role gatebook_setup may do is enough: templates, streams that exist, keys; and no more than that.
	b.reset()
	b.client = user("preparer", "gatebook_setup")
	b.first("")
	b.create(upgraded, "1", `"source":{"ip":"192.0.2.1"}`)
	told := b.setup(elastic.SetupOptions{Roles: true})
	b.wantTold(told, "upgraded from version 1", "/_index_template/gatebook")
	b.wantTold(told, "new fields are indexed", "/_data_stream/"+upgraded)
	b.wantTold(told, "lack manage_security", "")
	b.wantKept(upgraded, "gatebook-1y")
	b.reset()
	b.first(`,"source":{"properties":{"ip":{"type":"keyword"}}}`)
	b.create(upgraded, "1", `"source":{"ip":"192.0.2.1"}`)
	b.wantTold(b.setup(elastic.SetupOptions{}), "has a new index", "/_data_stream/"+upgraded)

	preparer := newClient(t, b.client)
	key, err := preparer.CreateAgentKey(context.Background(), elastic.AgentKey{Name: "web1", Expires: 90 * day})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := preparer.CreateAgentKey(context.Background(), elastic.AgentKey{Name: "web2", Lookup: true}); err == nil || !strings.Contains(err.Error(), "read") {
		t.Errorf("gave a privilege that it does not have: %v", err)
	}
	withKey := admin
	withKey.Username, withKey.Password, withKey.APIKey = "", "", key
	if _, err := newClient(t, withKey).CreateAgentKey(context.Background(), elastic.AgentKey{Name: "web3"}); !errors.Is(err, elastic.ErrKeyMakesKey) {
		t.Errorf("a key made a key: %v", err)
	}
	adminClient := newClient(t, admin)
	lookup, err := adminClient.CreateAgentKey(context.Background(), elastic.AgentKey{Name: "web4", Lookup: true})
	if err != nil {
		t.Fatal(err)
	}
	prod, err := adminClient.CreateAgentKey(context.Background(), elastic.AgentKey{Name: "web5", Namespace: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	var about struct {
		APIKeys []struct{ Expiration, Creation int64 } `json:"api_keys"`
	}
	n.Must("GET", "/_security/api_key?name=web1", "", &about)
	if len(about.APIKeys) == 0 || about.APIKeys[0].Expiration-about.APIKeys[0].Creation != (90*day).Milliseconds() {
		t.Errorf("the key's time: %+v", about)
	}
	user("analyst", "gatebook_analyst")
	keyPowers(t, n, key, lookup, prod)
}

func newClient(t *testing.T, c elastic.Config) *elastic.Client {
	client, err := elastic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// keyPowers asks for everything with each key: what it is for works, all else is forbidden.
func keyPowers(t *testing.T, n *testkit.Node, key, lookup, prod string) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: n.TLS()}}
	defer client.CloseIdleConnections()
	ask := func(auth func(*http.Request), method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, n.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		auth(req)
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(answer)
	}
	withKey := func(key string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "ApiKey "+key) }
	}
	const stream = "logs-gatebook.linux.auth-default"
	write := gjson.Get(mustGet(t, n, "/_data_stream/"+stream), "data_streams.0.indices.@reverse.0.index_name").String()
	doc := `{"@timestamp":"2026-11-22T10:00:00Z","message":"x"}`
	item := func(action, id string) string {
		return fmt.Sprintf(`{%q:{"_index":%q,"_id":%q}}`, action, stream, id) + "\n" + doc + "\n"
	}
	type request struct{ name, method, path, body string }
	appends := []request{{"append", "POST", "/_bulk?require_data_stream=true", item("create", "%d")}}
	reads := []request{
		{"search", "GET", "/" + stream + "/_search", ""},
		{"count", "GET", "/" + stream + "/_count", ""},
		{"read by id", "GET", "/" + write + "/_doc/1", ""},
		{"look ids up", "POST", "/_mget", `{"docs":[{"_index":"` + write + `","_id":"1"}]}`},
	}
	never := []request{
		// Of a data stream only its indices take other than new documents, and those only with the number of the change before.
		{"overwrite", "PUT", "/" + write + "/_doc/1?if_seq_no=0&if_primary_term=1", doc},
		{"overwrite by bulk", "POST", "/_bulk", `{"index":{"_index":"` + write + `","_id":"1","if_seq_no":0,"if_primary_term":1}}` + "\n" + doc + "\n"},
		{"change", "POST", "/" + write + "/_update/1", `{"doc":{"message":"y"}}`},
		{"change by query", "POST", "/" + stream + "/_update_by_query", ""},
		{"delete", "DELETE", "/" + write + "/_doc/1", ""},
		{"delete by bulk", "POST", "/_bulk", `{"delete":{"_index":"` + write + `","_id":"1"}}` + "\n"},
		{"delete by query", "POST", "/" + stream + "/_delete_by_query", `{"query":{"match_all":{}}}`},
		// DELETE _data_stream is the test server's own, and asks for no privilege.
		{"delete index", "DELETE", "/" + write, ""},
		{"rollover", "POST", "/" + stream + "/_rollover", ""},
		{"mapping", "PUT", "/" + stream + "/_mapping", `{"properties":{"x":{"type":"keyword"}}}`},
		{"settings", "PUT", "/" + stream + "/_settings", `{"index.refresh_interval":"60s"}`},
		{"template", "PUT", "/_index_template/mine", `{"index_patterns":["mine-*"]}`},
		{"policy", "PUT", "/_ingest/pipeline/mine", `{"processors":[]}`},
		{"other index", "PUT", "/mine/_create/1", doc},
		{"key", "POST", "/_security/api_key", `{"name":"more"}`},
		{"user", "GET", "/_security/user", ""},
		{"cluster", "GET", "/_cluster/state", ""},
	}
	// forbidden looks into bulk and mget answers, which have a status for each item.
	forbidden := func(status int, answer string) bool {
		return status == 403 || strings.Contains(answer, `"security_exception"`)
	}
	id := 1000
	check := func(who string, auth func(*http.Request), may []request, not ...[]request) {
		t.Helper()
		for _, r := range may {
			id++
			body := strings.ReplaceAll(r.body, `%d`, fmt.Sprint(id))
			if status, answer := ask(auth, r.method, r.path, body); status >= 300 && status != 404 || forbidden(status, answer) || strings.Contains(answer, `"errors":true`) {
				t.Errorf("%s: %s: %d %.300s", who, r.name, status, answer)
			}
		}
		for _, r := range slices.Concat(not...) {
			body := strings.ReplaceAll(r.body, `%d`, "1")
			if status, answer := ask(auth, r.method, r.path, body); !forbidden(status, answer) {
				t.Errorf("%s: %s: not forbidden: %d %.300s", who, r.name, status, answer)
			}
		}
	}
	check("agent", withKey(key), appends, reads, never)
	check("agent that looks up", withKey(lookup), append(appends, reads...), never)
	check("analyst", func(r *http.Request) { r.SetBasicAuth("analyst", "of-analyst") }, reads, appends, never[:15])
	check("agent of prod", withKey(prod), nil, appends, reads, never)
	other := strings.ReplaceAll(item("create", "1"), "-default", "-prod")
	if status, answer := ask(withKey(prod), "POST", "/_bulk?require_data_stream=true", other); status != 200 || !strings.Contains(answer, `"status":201`) {
		t.Errorf("agent of prod: append: %d %s", status, answer)
	}
	if got := n.Count(stream); got < 2 {
		t.Errorf("%d records after all that", got)
	}
}

func mustGet(t *testing.T, n *testkit.Node, path string) string {
	t.Helper()
	status, answer := n.Do("GET", path, "")
	if status != 200 {
		t.Fatalf("GET %s: %d %s", path, status, answer)
	}
	return string(answer)
}
