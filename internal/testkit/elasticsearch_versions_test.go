package testkit

import (
	"fmt"
	"strings"
	"testing"
)

// The servers of other major versions do what a sender of logs needs. One node at a time: each start costs the machine 15 s.
func TestElasticsearchVersions(t *testing.T) {
	f := func(want string, check func(*testing.T, *Node), opts ...Option) {
		t.Helper()
		t.Run(want, func(t *testing.T) {
			n := Elasticsearch(t, opts...)
			var root struct{ Version struct{ Number string } }
			n.Must("GET", "/", "", &root)
			if !strings.HasPrefix(root.Version.Number, want) {
				t.Errorf("version %q, want %s", root.Version.Number, want)
			}
			checkDataStream(t, n)
			check(t, n)
		})
	}
	f("8.", checkESQL, ESQL())
	f("9.", checkPipeline, Elasticsearch9(), Full())
	f("3.", checkPipeline, OpenSearch3(), ProductHeader())
}

// checkPipeline has an ingest pipeline set a field.
func checkPipeline(t *testing.T, n *Node) {
	t.Helper()
	n.Must("PUT", "/_ingest/pipeline/p", `{"processors":[{"set":{"field":"event.ingested","value":"{{{_ingest.timestamp}}}"}}]}`, nil)
	n.Must("PUT", "/piped/_doc/1?pipeline=p&refresh=true", `{"a":1}`, nil)
	if r := n.Search("piped", ""); r.Total != 1 || !strings.Contains(string(r.Hits[0].Source), "ingested") {
		t.Errorf("pipeline did not set event.ingested: %+v", r)
	}
}

// checkESQL asks in ES|QL and in KQL.
func checkESQL(t *testing.T, n *Node) {
	t.Helper()
	n.Must("PUT", "/asked", `{"mappings":{"properties":{"@timestamp":{"type":"date"},"user.name":{"type":"keyword"},"source.ip":{"type":"ip"}}}}`, nil)
	n.Must("POST", "/asked/_bulk?refresh=true", `{"create":{}}
{"@timestamp":"2026-11-22T10:00:00Z","user.name":"alice","source.ip":"192.0.2.1"}
{"create":{}}
{"@timestamp":"2026-11-22T10:04:00Z","user.name":"alice","source.ip":"192.0.2.2"}
{"create":{}}
{"@timestamp":"2026-11-22T10:05:00Z","user.name":"bob","source.ip":"198.51.100.1"}
`, nil)
	var answer struct{ Values [][]any }
	n.Must("POST", "/_query", `{"query":"FROM asked | WHERE CIDR_MATCH(source.ip, \"192.0.2.0/24\") | STATS n = COUNT(*), ips = COUNT_DISTINCT(source.ip) BY user.name, at = DATE_TRUNC(5 minutes, @timestamp) | WHERE n >= 2 | KEEP user.name, n, ips"}`, &answer)
	if got := fmt.Sprint(answer.Values); got != "[[alice 2 2]]" {
		t.Errorf("ES|QL: %s", got)
	}
	if r := n.Search("asked", `{"query":{"kql":{"query":"user.name: b* and not source.ip: 192.0.2.0/24"}}}`); r.Total != 1 {
		t.Errorf("KQL: %d hits", r.Total)
	}
}

// checkDataStream makes a data stream by templates and writes to it, across a rollover.
func checkDataStream(t *testing.T, n *Node) {
	t.Helper()
	n.Must("PUT", "/_component_template/mappings", `{"template":{"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"},"n":{"type":"long"}}}}}`, nil)
	n.Must("PUT", "/_index_template/stream", `{"index_patterns":["logs-gatebook.v-*"],"data_stream":{},"priority":250,"composed_of":["mappings"],"template":{"settings":{"index.codec":"best_compression"}}}`, nil)
	statuses := func() string {
		t.Helper()
		var r struct {
			Items []struct{ Create struct{ Status int } }
		}
		n.Must("POST", "/logs-gatebook.v-default/_bulk?refresh=true", bulkOf(3), &r)
		s := ""
		for _, item := range r.Items {
			s += fmt.Sprint(item.Create.Status, " ")
		}
		return s
	}
	if got := statuses(); got != "201 201 201 " {
		t.Errorf("bulk create: statuses %s, want 201", got)
	}
	if got := statuses(); got != "409 409 409 " {
		t.Errorf("the same again: statuses %s, want 409", got)
	}
	n.Must("POST", "/logs-gatebook.v-default/_rollover", "", nil)
	if got := statuses(); got != "201 201 201 " {
		t.Errorf("after the rollover: statuses %s, want 201: ids are unique to a backing index", got)
	}
	if got := n.Count("logs-gatebook.v-*"); got != 6 {
		t.Errorf("%d documents, want 6", got)
	}
	var streams struct {
		Streams []struct {
			Name     string
			Template string
			Status   string
			Indices  []struct {
				Name string `json:"index_name"`
			}
		} `json:"data_streams"`
	}
	n.Must("GET", "/_data_stream/logs-gatebook.v-*", "", &streams)
	if len(streams.Streams) != 1 || len(streams.Streams[0].Indices) != 2 || streams.Streams[0].Template != "stream" || streams.Streams[0].Status != "YELLOW" {
		t.Errorf("data streams: %+v; want one with two indices", streams.Streams)
	}
	n.Must("DELETE", "/_data_stream/logs-gatebook.v-default", "", nil)
	if got := n.Count("logs-gatebook.v-*"); got != 0 {
		t.Errorf("after the data stream was deleted: %d documents", got)
	}
	if status, _ := n.Do("GET", "/_ilm/policy", ""); status == 200 {
		n.Must("PUT", "/_ilm/policy/p", `{"policy":{"phases":{"hot":{"actions":{"rollover":{"max_age":"30d"}}},"delete":{"min_age":"365d","actions":{"delete":{}}}}}}`, nil)
		var policies map[string]struct{ Version int }
		n.Must("GET", "/_ilm/policy/p", "", &policies)
		if policies["p"].Version != 1 {
			t.Errorf("lifecycle policies: %+v", policies)
		}
		n.Must("DELETE", "/_ilm/policy/p", "", nil)
	}
}
