package main

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// The proxy counts what goes to the server, and only that.
func TestCounter(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	defer s.Close()
	c, err := count(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.l.Close()
	const size = 300_000
	client := &http.Client{Transport: &http.Transport{}}
	for range 3 {
		res, err := client.Post("http://"+c.l.Addr().String(), "text/plain", strings.NewReader(strings.Repeat("y", size)))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err != nil || len(b) != 1<<20 {
			t.Fatalf("%d bytes, error %v", len(b), err)
		}
		res.Body.Close()
	}
	client.CloseIdleConnections() // what is left of the last piece is counted when the connection ends
	testkit.Eventually(t, time.Minute, func() bool { return c.n.Load() >= 3*size })
	if n := c.n.Load(); n < 3*size || n > 3*size+2000 {
		t.Errorf("%d bytes counted of 3 requests of %d", n, size)
	}
}

// Each peer writes to an index of its own that the template of the peers is for.
func TestPeerIndices(t *testing.T) {
	for _, j := range jobList {
		tk := task{job: j, sink: "127.0.0.1:1", tcp: "127.0.0.1:2", state: t.TempDir()}
		want := "logs"
		if j.real {
			want = "bench-peer-"
		}
		if conf := rsyslogConfig(tk); !strings.Contains(conf, `searchIndex="`+want) {
			t.Errorf("job %s: rsyslog's config %s", j.name, conf)
		}
		if conf := syslogngConfig(tk, "4"); !strings.Contains(conf, `{\"_index\":\"`+want) {
			t.Errorf("job %s: syslog-ng's config %s", j.name, conf)
		}
	}
}

// A variant changes the field that it names and no other.
func TestVariants(t *testing.T) {
	names := map[string]bool{}
	for _, v := range variants {
		if names[v.name] {
			t.Errorf("two variants are %q", v.name)
		}
		names[v.name] = true
	}
	keyword := func() map[string]any { return map[string]any{"type": "keyword"} }
	props := map[string]any{"event": map[string]any{"properties": map[string]any{"id": keyword(), "code": keyword()}}, "id": keyword()}
	unindexed("event.id")(props)
	seen := map[string]bool{}
	each(props, "", func(name string, m map[string]any) { seen[name] = m["index"] == false && m["doc_values"] == false })
	if want := map[string]bool{"event.id": true, "event.code": false, "id": false}; !maps.Equal(seen, want) {
		t.Errorf("changed: %v", seen)
	}
}
