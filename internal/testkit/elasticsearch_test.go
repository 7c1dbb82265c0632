package testkit

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit/elasticsearch"
)

// bulkOf makes a bulk request of n documents that carry their number.
func bulkOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"create\":{\"_id\":\"id-%d\"}}\n{\"@timestamp\":\"2026-11-22T10:00:00Z\",\"n\":%d}\n", i, i)
	}
	return b.String()
}

func TestElasticsearchSurvivesKill(t *testing.T) {
	es := Elasticsearch(t)
	es.Must("POST", "/kept/_bulk", bulkOf(100), nil)
	if got := es.Count("kept"); got != 100 {
		t.Fatalf("before the kill: %d documents, want 100", got)
	}
	pid := es.Pid()
	es.Kill()
	if err := syscall.Kill(pid, 0); err == nil && es.Pid() != 0 {
		t.Errorf("process %d is alive after Kill", pid)
	}
	if status, _ := es.Do("GET", "/", ""); status != 0 {
		t.Errorf("killed server answers with %d", status)
	}
	es.Restart()
	if es.Pid() == pid {
		t.Errorf("restarted under the old pid %d", pid)
	}
	if got := es.Count("kept"); got != 100 {
		t.Errorf("after restart: %d documents, want 100", got)
	}
	if got := es.Count("absent"); got != 0 {
		t.Errorf("absent index: %d documents, want 0", got)
	}
	seen := map[string]bool{}
	if got := es.Each("kept", []string{"n"}, func(h Hit) { seen[h.ID] = true }); got != 100 || len(seen) != 100 {
		t.Errorf("Each: %d documents, %d ids, want 100", got, len(seen))
	}
	if r := es.Search("kept", `{"query":{"range":{"n":{"gte":90}}}}`); r.Total != 10 || len(r.Hits) != 10 {
		t.Errorf("Search: total %d, hits %d, want 10", r.Total, len(r.Hits))
	}
}

func TestElasticsearchFullSecurity(t *testing.T) {
	es := SharedElasticsearch(t, Full(), Security())
	if again := SharedElasticsearch(t, Full(), Security()); again.Pid() != es.Pid() {
		t.Errorf("second SharedElasticsearch started another node")
	}
	var root struct{ Version struct{ Number string } }
	es.Must("GET", "/", "", &root)
	if root.Version.Number == "" {
		t.Errorf("no version in the root answer")
	}
	// without a password: refused
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: es.TLS(), DisableKeepAlives: true}}
	res, err := c.Get(es.URL())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 {
		t.Errorf("without a password: status %d, want 401", res.StatusCode)
	}
	// without the authority: not trusted
	if _, err := http.Get(es.URL()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: error %v, want one about the certificate", err)
	}
	cert, key := es.ClientCertFiles()
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Errorf("client certificate: %v", err)
	}
	// full: ingest pipelines run
	es.Must("PUT", "/_ingest/pipeline/p", `{"processors":[{"set":{"field":"event.ingested","value":"{{{_ingest.timestamp}}}"}}]}`, nil)
	es.Must("PUT", "/piped/_doc/1?pipeline=p&refresh=true", `{"a":1}`, nil)
	if r := es.Search("piped", ""); r.Total != 1 || !strings.Contains(string(r.Hits[0].Source), "ingested") {
		t.Errorf("pipeline did not set event.ingested: %+v", r)
	}
	// data streams are there
	es.Must("PUT", "/_index_template/ds", `{"index_patterns":["logs-gatebook.x-*"],"data_stream":{}}`, nil)
	es.Must("POST", "/logs-gatebook.x-default/_bulk", bulkOf(3), nil)
	if got := es.Count("logs-gatebook.x-*"); got != 3 {
		t.Errorf("data stream: %d documents, want 3", got)
	}
}

func TestOpenSearch(t *testing.T) {
	osn := OpenSearch(t, ProductHeader())
	osn.Must("POST", "/a/_bulk", bulkOf(10), nil)
	if got := osn.Count("a"); got != 10 {
		t.Errorf("%d documents, want 10", got)
	}
	osn.Kill()
	osn.Restart()
	if got := osn.Count("a"); got != 10 {
		t.Errorf("after kill and restart: %d documents, want 10", got)
	}
}

// TestElasticsearchEndsWithItsStarter starts a node in a process of its own and kills that.
func TestElasticsearchEndsWithItsStarter(t *testing.T) {
	if os.Getenv("TESTKIT_STARTER") == "1" {
		n, err := elasticsearch.Start(context.Background(), elasticsearch.Options{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("started %d %s\n", n.Pid(), n.LogFile())
		<-t.Context().Done()
	}
	SharedElasticsearch(t) // skips where there is none, and warms the cache
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := StartCommand(t, Command{Path: self, Args: []string{"-test.run=^TestElasticsearchEndsWithItsStarter$", "-test.v"}, Env: []string{"TESTKIT_STARTER=1"}})
	var pid int
	var log string
	if _, err := fmt.Sscanf(p.WaitOutput(3*time.Minute, "started "), "started %d %s", &pid, &log); err != nil {
		t.Fatal(err)
	}
	p.Kill9()
	Eventually(t, time.Minute, func() error {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(b), ") Z ") {
			return fmt.Errorf("server %d is alive", pid)
		}
		if _, err := os.Stat(log); err == nil {
			return fmt.Errorf("data folder of %s is still there", log)
		}
		return nil
	})
}
