package testkit

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// backend is a stand-in that takes every bulk item and counts requests and items.
type backend struct {
	*httptest.Server
	requests, items atomic.Int64
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				http.Error(w, err.Error(), 400)
				return
			}
			body, _ = io.ReadAll(z)
		}
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		if !strings.HasSuffix(r.URL.Path, "_bulk") {
			fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
			return
		}
		items, err := parseBulk(body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		b.items.Add(int64(len(items)))
		var out bulkAnswer
		for _, it := range items {
			out.Items = append(out.Items, json.RawMessage(fmt.Sprintf(`{"create":{"_id":%q,"status":201}}`, it.id)))
		}
		json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(b.Close)
	return b
}

func bulkRequest(url, body string, zip bool) (status int, items []map[string]struct {
	ID     string `json:"_id"`
	Status int
}, err error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	raw := []byte(body)
	if zip {
		var z bytes.Buffer
		for part := range bytes.SplitAfterSeq(raw, []byte("\n")) { // one member a line, as a forwarder may send it
			g := gzip.NewWriter(&z)
			g.Write(part)
			g.Close()
		}
		raw = z.Bytes()
	}
	req, _ := http.NewRequest("POST", url+"/_bulk?timeout=30s", bytes.NewReader(raw))
	req.Header.Set("Content-Type", "application/x-ndjson")
	if zip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, nil, err
	}
	var v struct {
		Items []map[string]struct {
			ID     string `json:"_id"`
			Status int
		}
	}
	json.Unmarshal(b, &v)
	return res.StatusCode, v.Items, nil
}

func TestProxyWholeRequestFaults(t *testing.T) {
	// requests is how many the backend sees; err whether the client gets none or no whole answer
	f := func(fault Fault, status int, requests int64, wantErr bool) {
		t.Helper()
		b := newBackend(t)
		p := FaultProxy(t, b.URL)
		p.Next(fault)
		got, items, err := bulkRequest(p.URL(), bulkOf(4), false)
		if got != status || (err != nil) != wantErr || b.requests.Load() != requests {
			t.Errorf("%s: status %d error %v, backend saw %d; want %d, error %t, %d", fault.Name, got, err, b.requests.Load(), status, wantErr, requests)
		}
		if status == 200 && !wantErr && len(items) != 4 {
			t.Errorf("%s: %d items, want 4", fault.Name, len(items))
		}
		if p.Count(fault.Name) != 1 {
			t.Errorf("%s: counters %v", fault.Name, p.Counts())
		}
	}
	f(FaultPass(), 200, 1, false)
	for _, s := range []int{400, 401, 403, 413, 429, 503} {
		f(FaultStatus(s), s, 0, false)
	}
	f(FaultCutBefore(), 0, 0, true)
	f(FaultCutAfter(), 0, 1, true)
	f(FaultHalf(), 200, 1, true)
	f(FaultSlow(time.Millisecond, time.Millisecond), 200, 1, false)
	f(FaultDrip(10, time.Millisecond), 200, 1, false)
}

func TestProxySlowWaits(t *testing.T) {
	b := newBackend(t)
	p := FaultProxy(t, b.URL)
	p.Next(FaultSlow(30*time.Millisecond, 40*time.Millisecond))
	start := time.Now()
	if _, _, err := bulkRequest(p.URL(), bulkOf(1), false); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 70*time.Millisecond {
		t.Errorf("answered after %s, want at least 70ms", d)
	}
}

func TestProxyItems(t *testing.T) {
	f := func(zip bool, fault Fault, forwarded int64, want ...int) {
		t.Helper()
		b := newBackend(t)
		p := FaultProxy(t, b.URL)
		p.Next(fault)
		_, items, err := bulkRequest(p.URL(), bulkOf(4), zip)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for i, it := range items {
			c := it["create"]
			got = append(got, c.Status)
			if want := fmt.Sprintf("id-%d", min(i, 3)); c.ID != want {
				t.Errorf("item %d has id %q, want %q", i, c.ID, want)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || b.items.Load() != forwarded {
			t.Errorf("statuses %v, forwarded %d; want %v, %d", got, b.items.Load(), want, forwarded)
		}
	}
	for _, zip := range []bool{false, true} {
		f(zip, FaultItems(EveryNth(2, 429)), 2, 429, 201, 429, 201)
		f(zip, FaultItems(EveryNth(1, 503)), 0, 503, 503, 503, 503)
		f(zip, FaultItems(func(_ int, _, doc []byte) int {
			if bytes.Contains(doc, []byte(`"n":1`)) {
				return 400
			}
			return 0
		}), 3, 201, 400, 201, 201)
		f(zip, FaultItemCount(-1), 4, 201, 201, 201)
		f(zip, FaultItemCount(1), 4, 201, 201, 201, 201, 201)
	}
}

func TestProxyPassesOtherRequests(t *testing.T) {
	b := newBackend(t)
	p := FaultProxy(t, b.URL)
	p.Random(1, Weighted{FaultStatus(503), 100})
	res, err := http.Post(p.URL()+"/_index_template/a%20b?q=1", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, _ := io.ReadAll(res.Body)
	if want := "POST /_index_template/a%20b?q=1 {}"; string(got) != want {
		t.Errorf("backend saw %q, want %q", got, want)
	}
	p.Rule(func(r *http.Request) Fault {
		if r.Method == "GET" {
			return FaultStatus(401)
		}
		return Fault{}
	})
	if res, err = http.Get(p.URL()); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 || res.Header.Get("X-Elastic-Product") != "" {
		t.Errorf("rule: status %d, product header %q; want 401 without", res.StatusCode, res.Header.Get("X-Elastic-Product"))
	}
}

func TestProxyRandomRepeats(t *testing.T) {
	row := func(seed uint64) string {
		b := newBackend(t)
		p := FaultProxy(t, b.URL)
		p.Random(seed, Weighted{FaultStatus(429), 30}, Weighted{FaultCutAfter(), 30})
		var s strings.Builder
		for range 40 {
			status, _, _ := bulkRequest(p.URL(), bulkOf(1), false)
			fmt.Fprint(&s, status, " ")
		}
		if p.Count("429")+p.Count("cut-after")+p.Count("pass") != 40 || p.Count("429") < 5 || p.Count("cut-after") < 5 {
			t.Errorf("counters %v", p.Counts())
		}
		p.Off()
		if status, _, err := bulkRequest(p.URL(), bulkOf(1), false); status != 200 {
			t.Errorf("after Off: status %d, error %v", status, err)
		}
		return s.String()
	}
	a, again, other := row(1), row(1), row(2)
	if a != again || a == other {
		t.Errorf("rows of faults:\n%s\n%s\n%s\nwant the first two equal, the third different", a, again, other)
	}
}

func TestProxyDeadBackend(t *testing.T) {
	b := newBackend(t)
	p := FaultProxy(t, b.URL)
	b.Close()
	if _, _, err := bulkRequest(p.URL(), bulkOf(1), false); err == nil || p.Count("backend-error") != 1 {
		t.Errorf("error %v, counters %v; want an error, counted", err, p.Counts())
	}
}

// TestProxyUnknownOutcome shows on a real server what cut-after is for: the documents are there though nobody said so.
func TestProxyUnknownOutcome(t *testing.T) {
	es := SharedElasticsearch(t)
	p := FaultProxy(t, es.URL())
	p.Next(FaultCutAfter(), FaultPass())
	url := p.URL() + "/unknown"
	if _, _, err := bulkRequest(url, bulkOf(5), true); err == nil {
		t.Error("the cut request got an answer")
	}
	if got := es.Count("unknown"); got != 5 {
		t.Errorf("after the cut: %d documents, want 5", got)
	}
	_, items, err := bulkRequest(url, bulkOf(5), true)
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range items {
		if it["create"].Status != 409 {
			t.Errorf("item %d sent again: status %d, want 409", i, it["create"].Status)
		}
	}
}

func TestEventually(t *testing.T) {
	n := 0
	Eventually(t, time.Minute, func() bool { n++; return n == 3 })
	Eventually(t, time.Minute, func() error {
		if n++; n < 6 {
			return errors.New("not yet")
		}
		return nil
	})
	if n != 6 {
		t.Errorf("asked %d times, want 6", n)
	}
	r := &recorder{TB: t}
	r.run(func() { Eventually(r, 20*time.Millisecond, func() bool { return false }) })
	if !strings.Contains(r.fatal, "not within 20ms") {
		t.Errorf("a condition that stays false: %q", r.fatal)
	}
}

// recorder keeps what would end a test.
type recorder struct {
	testing.TB
	fatal string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) run(f func()) {
	defer func() {
		if v := recover(); v != nil && v != any(r) {
			panic(v)
		}
	}()
	f()
}
