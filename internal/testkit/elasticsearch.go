package testkit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit/elasticsearch"
)

// Node is a running Elasticsearch or OpenSearch as a test sees it: what goes wrong fails the test.
type Node struct {
	*elasticsearch.Node
	t testing.TB
}

// Option changes how a node is started.
type Option func(*elasticsearch.Options)

// Full asks for the server with ingest processors, painless and reindex (1 GB of downloads on first use; else 100 MB).
func Full() Option { return func(o *elasticsearch.Options) { o.Flavor = elasticsearch.Full } }

// ESQL asks for Elasticsearch 8 with ES|QL (POST /_query) and the KQL query; like the plain one it has no painless, no ingest
// processors and no module of aggregations beyond the server's own.
func ESQL() Option { return func(o *elasticsearch.Options) { o.Flavor = elasticsearch.ESQL } }

// Elasticsearch9 asks for Elasticsearch 9 in place of 8. It needs Java 21: where there is none the test is skipped.
func Elasticsearch9() Option { return func(o *elasticsearch.Options) { o.Version = 9 } }

// OpenSearch3 asks for OpenSearch 3: OpenSearch(t, OpenSearch3()). It needs Java 21: where there is none the test is skipped.
func OpenSearch3() Option {
	return func(o *elasticsearch.Options) { o.Flavor, o.Version = elasticsearch.OpenSearch, 3 }
}

// Security asks for https and users: see Node.Username, Password, CAFile, ClientCertFiles.
func Security() Option { return func(o *elasticsearch.Options) { o.Security = true } }

// ExtraYAML adds lines to the server's config, for example "thread_pool.write.queue_size: 1" for early 429s.
func ExtraYAML(lines ...string) Option {
	return func(o *elasticsearch.Options) { o.ExtraYAML += strings.Join(lines, "\n") + "\n" }
}

// Heap sets the JVM's heap ("512m" by default).
func Heap(size string) Option { return func(o *elasticsearch.Options) { o.Heap = size } }

// Port sets the HTTP port; a free one by default.
func Port(port int) Option { return func(o *elasticsearch.Options) { o.Port = port } }

// DataDir sets a data folder that is kept at the end; by default a temporary one is removed.
func DataDir(dir string) Option { return func(o *elasticsearch.Options) { o.DataDir = dir } }

// ProductHeader makes OpenSearch pass the product check of the Elasticsearch client.
func ProductHeader() Option { return func(o *elasticsearch.Options) { o.ProductHeader = true } }

// Elasticsearch starts a node of the test's own and stops it at the test's end. Skipped with -short.
func Elasticsearch(t testing.TB, opts ...Option) *Node {
	t.Helper()
	n := start(t, resolve(opts))
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Errorf("stop elasticsearch: %v", err)
		}
	})
	return n
}

// OpenSearch starts an OpenSearch node of the test's own, likewise.
func OpenSearch(t testing.TB, opts ...Option) *Node {
	t.Helper()
	return Elasticsearch(t, append(opts, func(o *elasticsearch.Options) { o.Flavor = elasticsearch.OpenSearch })...)
}

// shared holds the nodes that the tests of one package use together.
var shared struct {
	sync.Mutex
	nodes map[elasticsearch.Options]*elasticsearch.Node
}

// SharedElasticsearch returns a node that all tests of the package with the same options share; the first one starts it.
// It ends with the test binary. Tests use data streams and templates of their own names, and do not kill it.
func SharedElasticsearch(t testing.TB, opts ...Option) *Node {
	t.Helper()
	o := resolve(opts)
	shared.Lock()
	defer shared.Unlock()
	if n := shared.nodes[o]; n != nil {
		return &Node{Node: n, t: t}
	}
	n := start(t, o)
	if shared.nodes == nil {
		shared.nodes = map[elasticsearch.Options]*elasticsearch.Node{}
	}
	shared.nodes[o] = n.Node
	return n
}

// SharedOpenSearch is [SharedElasticsearch] for OpenSearch.
func SharedOpenSearch(t testing.TB, opts ...Option) *Node {
	t.Helper()
	return SharedElasticsearch(t, append(opts, func(o *elasticsearch.Options) { o.Flavor = elasticsearch.OpenSearch })...)
}

func resolve(opts []Option) elasticsearch.Options {
	var o elasticsearch.Options
	for _, f := range opts {
		f(&o)
	}
	return o
}

func start(t testing.TB, o elasticsearch.Options) *Node {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real Elasticsearch: not with -short")
	}
	n, err := elasticsearch.Start(context.Background(), o)
	if errors.Is(err, elasticsearch.ErrOldJDK) && os.Getenv("GATEBOOK_REQUIRE_ELASTICSEARCH") != "1" {
		// Debian 12 has Java 17 alone: also CI goes without.
		t.Skipf("no real %s %d here: %v", o.Flavor, o.Version, err)
	}
	if (errors.Is(err, elasticsearch.ErrMissing) || errors.Is(err, elasticsearch.ErrFetch)) && os.Getenv("CI") != "true" && os.Getenv("GATEBOOK_REQUIRE_ELASTICSEARCH") != "1" {
		t.Skipf("no real Elasticsearch here: %v", err)
	}
	if err != nil {
		t.Fatalf("no real Elasticsearch here: %v", err)
	}
	return &Node{Node: n, t: t}
}

// OpenSearch says that it is one, and no Elasticsearch.
func (n *Node) OpenSearch() bool { return n.Options().Flavor == elasticsearch.OpenSearch }

// Kill ends the server with SIGKILL; its data stay.
func (n *Node) Kill() {
	n.t.Helper()
	if err := n.Node.Kill(); err != nil {
		n.t.Errorf("kill elasticsearch: %v", err)
	}
}

// Restart starts the server again on its port and data, ending it first if it runs.
func (n *Node) Restart() {
	n.t.Helper()
	if err := n.Node.Restart(context.Background()); err != nil {
		n.t.Fatalf("restart elasticsearch: %v", err)
	}
}

// Do sends one request (NDJSON where the path ends in _bulk, else JSON) and returns the answer. Where none came the status
// is 0 and the body the error, so that it may be called while the server is down, and from any goroutine.
func (n *Node) Do(method, path, body string) (status int, answer []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	status, answer, err := n.Request(ctx, method, path, body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return status, answer
}

// Must is [Node.Do] for requests that have to succeed; v, if not nil, takes the JSON answer.
func (n *Node) Must(method, path, body string, v any) {
	n.t.Helper()
	status, answer := n.Do(method, path, body)
	if status == 503 && bytes.Contains(answer, []byte("no_shard_available_action_exception")) {
		// An index that is being made has no shard for a moment.
		Eventually(n.t, 30*time.Second, func() bool {
			status, answer = n.Do(method, path, body)
			return status != 503
		})
	}
	if status < 200 || status > 299 {
		n.t.Fatalf("%s %s: status %d\n%.2000s", method, path, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			n.t.Fatalf("%s %s: %v\n%.2000s", method, path, err, answer)
		}
	}
}

// Refresh makes what was written visible to searches; an index that does not exist is none of its business.
func (n *Node) Refresh(index string) {
	n.t.Helper()
	n.Must("POST", "/"+index+"/_refresh?ignore_unavailable=true", "", nil)
}

// Count refreshes and counts the documents of an index, data stream or pattern; 0 if there is none.
func (n *Node) Count(index string) int {
	n.t.Helper()
	n.Refresh(index)
	var r struct{ Count int }
	n.Must("GET", "/"+index+"/_count?ignore_unavailable=true", "", &r)
	return r.Count
}

// Hit is a found document.
type Hit struct {
	Index  string          `json:"_index"`
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
}

// Result of a search.
type Result struct {
	Total        int
	Hits         []Hit
	Aggregations json.RawMessage
}

// Search refreshes and runs a search; body is the JSON request, empty for everything. The total is exact.
func (n *Node) Search(index, body string) Result {
	n.t.Helper()
	n.Refresh(index)
	var r searchAnswer
	n.Must("POST", "/"+index+"/_search?ignore_unavailable=true&track_total_hits=true", body, &r)
	return Result{Total: r.Hits.Total.Value, Hits: r.Hits.Hits, Aggregations: r.Aggregations}
}

type searchAnswer struct {
	ScrollID string `json:"_scroll_id"`
	Hits     struct {
		Total struct{ Value int }
		Hits  []Hit
	}
	Aggregations json.RawMessage
}

// Each refreshes and calls f for every document of an index, data stream or pattern, in no order. fields limits the source
// ("log.offset"); none means all of it. It returns how many there were.
func (n *Node) Each(index string, fields []string, f func(Hit)) int {
	n.t.Helper()
	n.Refresh(index)
	src, err := json.Marshal(fields)
	if err != nil || fields == nil {
		src = []byte("true")
	}
	var r searchAnswer
	n.Must("POST", "/"+index+"/_search?ignore_unavailable=true&scroll=1m", fmt.Sprintf(`{"size":5000,"sort":["_doc"],"_source":%s}`, src), &r)
	total := 0
	for len(r.Hits.Hits) > 0 {
		for _, h := range r.Hits.Hits {
			f(h)
		}
		total += len(r.Hits.Hits)
		id := r.ScrollID
		r = searchAnswer{}
		n.Must("POST", "/_search/scroll", fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, id), &r)
	}
	return total
}

// TLS returns the client settings that trust this node; nil without security.
func (n *Node) TLS() *tls.Config { return n.TLSConfig() }
