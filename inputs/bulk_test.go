package inputs

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatebook/gatebook/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bulkOf is a request of documents with these ids; "" has none.
func bulkOf(ids ...string) string {
	var b strings.Builder
	for i, id := range ids {
		head := "{}"
		if id != "" {
			head = fmt.Sprintf(`{"_id":%q}`, id)
		}
		fmt.Fprintf(&b, "{\"create\":%s}\n{\"message\":\"%s-%d\"}\n", head, id, i)
	}
	return b.String()
}

const simpleKey = `api_key = "` + testSecret + `"`

// statuses are the items' statuses of an answer.
func statuses(t testing.TB, body string) (out []int) {
	t.Helper()
	var v struct {
		Errors bool
		Items  []map[string]struct {
			Status int
			Error  *struct{ Type, Reason string }
		}
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	bad := false
	for _, i := range v.Items {
		for _, x := range i {
			out = append(out, x.Status)
			bad = bad || x.Status >= 300
			if (x.Error != nil) != (x.Status >= 300) {
				t.Errorf("status %d and error %v", x.Status, x.Error)
			}
		}
	}
	if bad != v.Errors {
		t.Errorf("errors is %v: %s", v.Errors, body)
	}
	return out
}

func wantStatuses(t testing.TB, body, want string) {
	t.Helper()
	if got := fmt.Sprint(statuses(t, body)); got != want {
		t.Errorf("items %s, want %s: %s", got, want, body)
	}
}

// Nothing is answered before the fsync; a failed one is answered with 503, and nothing is acknowledged after it.
func TestBulkAnswersAfterFsync(t *testing.T) {
	sink := newTestSink()
	sink.held = true
	r := start(t, "bulk", simpleKey, sink, Env{})
	answers := make(chan reply, 1)
	go func() { answers <- r.do("POST", "/_bulk", bulkOf("a", "b")) }()
	<-sink.arrived
	select {
	case got := <-answers:
		t.Fatalf("answered before the fsync: %+v", got)
	default:
	}
	sink.release(nil)
	got := <-answers
	if got.err != nil || got.status != 200 || got.header.Get("X-Elastic-Product") != "Elasticsearch" {
		t.Fatalf("%+v", got)
	}
	wantStatuses(t, got.body, "[201 201]")
	go func() { answers <- r.do("POST", "/_bulk", bulkOf("c")) }()
	<-sink.arrived
	sink.release(errDisk)
	if got := <-answers; got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Fatalf("%+v", got)
	}
	sink.mu.Lock()
	sink.held = false
	sink.mu.Unlock()
	for _, id := range []string{"c", "d"} { // also the repeat: nobody knows whether the first is safe
		if got := r.do("POST", "/_bulk", bulkOf(id)); got.status != 503 {
			t.Fatalf("%s: %+v", id, got)
		}
	}
	if n := len(sink.texts()); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// The same request ten times is taken once, also by another key's name and after a restart.
func TestBulkRepeats(t *testing.T) {
	sink := newTestSink()
	const two = simpleKey + "\nkey \"other\" { api_key = \"another-secret-of-some-length\" }"
	r := start(t, "bulk", two, sink, Env{})
	body := bulkOf("a", "b", "a", "", "c")
	wantStatuses(t, r.want(200, "POST", "/_bulk", body).body, "[201 201 409 201 201]")
	for range 9 {
		wantStatuses(t, r.want(200, "PUT", "/logs/_bulk", body).body, "[409 409 409 201 409]")
	}
	wantStatuses(t, r.want(200, "POST", "/_bulk", strings.ReplaceAll(body, "create", "index")).body, "[200 200 200 201 200]")
	wantStatuses(t, r.want(200, "POST", "/_bulk", bulkOf("a", "d"), "Authorization", "ApiKey another-secret-of-some-length").body, "[201 201]")
	if n := len(sink.texts()); n != 3+11+2 {
		t.Errorf("%d lines", n)
	}
	if sink.lines[0].ID != "default:a" || sink.lines[2].ID != "" || sink.lines[len(sink.lines)-1].ID != "other:d" || sink.sources[0].Envelope != "ecs" {
		t.Errorf("lines %+v", sink.lines)
	}
	f := func(name, label string, want float64) {
		t.Helper()
		if got := figure(r.input, name, label); got != want {
			t.Errorf("%s %s: %v, want %v", name, label, got, want)
		}
	}
	f("bulk_requests_total", "default", 11)
	f("bulk_items_total", "default", 14)
	f("bulk_items_total", "other", 2)
	f("bulk_repeats_total", "default", 1+9*4+4)
	f("bulk_items_without_id_total", "default", 11)
	f("bulk_remembered_ids", "", 5)
	r.stop()

	r = start(t, "bulk", two, sink, Env{Positions: sink.own(PositionPrefix("bulk", "fleet"))})
	wantStatuses(t, r.want(200, "POST", "/_bulk", bulkOf("b", "e")).body, "[409 201]")
	r.stop()
	r = start(t, "bulk", two, sink, Env{Positions: sink.own(PositionPrefix("bulk", "fleet"))})
	wantStatuses(t, r.want(200, "POST", "/_bulk", bulkOf("e", "a")).body, "[409 409]")
}

// Requests with the same ids at the same time: each id is taken once, and a repeat is not answered before the first is safe.
func TestBulkRepeatsInFlight(t *testing.T) {
	sink := newTestSink()
	sink.held = true
	r := start(t, "bulk", simpleKey, sink, Env{})
	const n = 8
	answers := make(chan reply, n)
	for range n {
		go func() { answers <- r.do("POST", "/_bulk", bulkOf("a", "b")) }()
	}
	<-sink.arrived
	testkit.Eventually(t, time.Minute, func() bool { return figure(r.input, "bulk_requests_total", "default") == n })
	select { // the others submit nothing, and wait
	case <-sink.arrived:
		t.Fatal("taken twice")
	case got := <-answers:
		t.Fatalf("answered before the first is safe: %+v", got)
	default:
	}
	sink.release(nil)
	created, repeated := 0, 0
	for range n {
		got := <-answers
		for _, s := range statuses(t, got.body) {
			switch s {
			case 201:
				created++
			case 409:
				repeated++
			}
		}
	}
	if created != 2 || repeated != 2*(n-1) || len(sink.texts()) != 2 {
		t.Errorf("%d created, %d repeated, %d lines", created, repeated, len(sink.texts()))
	}
}

// Many senders, ids that overlap: every id once.
func TestBulkConcurrent(t *testing.T) {
	sink := newTestSink()
	r := start(t, "bulk", simpleKey, sink, Env{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10 {
				var ids []string
				for k := range 50 {
					ids = append(ids, fmt.Sprintf("id-%d", (g*7+i*13+k)%300))
				}
				if got := r.do("POST", "/_bulk", bulkOf(ids...)); got.status != 200 {
					t.Errorf("%+v", got)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, l := range sink.lines {
		seen[l.ID]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d times", id, n)
		}
	}
}

// What is wrong with an item is the item's, what is wrong with the form is the request's, and then nothing is taken.
func TestBulkItems(t *testing.T) {
	sink := newTestSink()
	r := start(t, "bulk", simpleKey+"\nmax_line = \"1KiB\"", sink, Env{})
	doc := `{"message":"x"}`
	wantStatuses(t, r.want(200, "POST", "/_bulk", strings.Join([]string{
		`{"create":{"_index":"logs-x"}}`, doc,
		`{"update":{"_id":"1"}}`, `{"doc":{}}`,
		`{"delete":{"_id":"1"}}`,
		`{"index":{"_id":""}}`, doc,
		`{"index":{"_id":"` + strings.Repeat("i", 504) + `"}}`, doc,
		`{"index":{"_id":"` + strings.Repeat("i", 505) + `"}}`, doc,
		`{"create":{}}`, `{"message":`,
		`{"create":{}}`, `[1]`,
		`{"create":{}}`, ``,
		`{"create":{}}`, `{"message":"` + strings.Repeat("x", 1024) + `"}`,
		`{"create":{}}`, `{"event":{"kind":"alert"}}`,
		`{"create":{}}`, `{"event.kind":["alert"]}`,
		`{"create":{}}`, `{"gatebook":{"alert":{"id":"x"}}}`,
		`{"create":{"_id":7,"pipeline":"p"}}` + "\r", doc + "\r",
		``, ``}, "\n")).body, "[201 400 400 400 201 400 400 400 400 413 403 403 403 201]")
	if got := strings.Join(sink.texts(), "|"); got != doc+"|"+doc+"|"+doc || sink.lines[2].ID != "default:7" {
		t.Errorf("lines %s", got)
	}
	for _, body := range []string{"", "\n", "x\n", `{"create":{}}` + "\n", `{"create":{}}` + "\n" + doc, "{}\n" + doc + "\n", `{"upsert":{}}` + "\n" + doc + "\n",
		`{"create":{},"index":{}}` + "\n" + doc + "\n", `{"create":1}` + "\n" + doc + "\n", "[]\n" + doc + "\n",
		`{"create":{"_id":"` + strings.Repeat("x", 9000) + `"}}` + "\n" + doc + "\n", bulkOf("p") + "half"} {
		got := r.want(400, "POST", "/_bulk", body)
		if !strings.Contains(got.body, `"status":400`) || !json.Valid([]byte(got.body)) {
			t.Errorf("%q: %s", body, got.body)
		}
	}
	r.want(413, "POST", "/_bulk", strings.Repeat(bulkOf(""), maxItems+1))
	if n := len(sink.texts()); n != 3 {
		t.Errorf("%d lines", n)
	}
	if n := figure(r.input, "bulk_refused_items_total", "alert"); n != 3 {
		t.Errorf("%v alerts counted", n)
	}
}

// What a key may deliver goes with its lines; another Gatebook's key takes alerts.
func TestBulkKeySources(t *testing.T) {
	sink := newTestSink()
	r := start(t, "bulk", `
labels = { site = "a" }
key "edge" {
  api_key  = "`+testSecret+`"
  gatebook = true
  datasets = ["gatebook.linux.*", "shop"]
  hosts    = ["WEB-*"]
  parser   = "raw"
  realm    = "r"
  labels   = { rack = "7" }
}`, sink, Env{})
	wantStatuses(t, r.want(200, "POST", "/_bulk", "{\"create\":{\"_id\":\"e-1\"}}\n{\"event\":{\"kind\":\"alert\"}}\n").body, "[201]")
	s := sink.sources[0]
	if got := fmt.Sprint(s.Trusted, s.Datasets, s.Hosts, s.Labels, " "+s.Parser+" "+s.Realm+" "+s.SenderName+" "+s.Key); got != "true [linux.* shop] [web-*] [{site a} {rack 7}] raw r edge edge|127.0.0.1" {
		t.Error(got)
	}
}

// A full log, or too much in flight, is told before anything is submitted.
func TestBulkBusy(t *testing.T) {
	full := false
	sink := newTestSink()
	r := start(t, "bulk", simpleKey+"\nmax_connections = 2\nmax_request = \"64KiB\"", sink, Env{Full: func() bool { return full }})
	full = true
	got := r.want(429, "POST", "/_bulk", bulkOf("a"))
	if got.header.Get("Retry-After") == "" || !strings.Contains(got.body, `"type":"es_rejected_execution_exception"`) {
		t.Errorf("%+v", got)
	}
	r.want(200, "GET", "/", "") // others are answered
	full = false
	in := r.input.(*bulkInput)
	in.budget.requests = 0
	r.want(429, "POST", "/_bulk", bulkOf("a"))
	in.budget.requests, in.budget.bytes = 1, 100
	r.want(429, "POST", "/_bulk", strings.Repeat(bulkOf("a"), 10))
	if in.budget.requests != 1 || in.budget.bytes != 100 || len(sink.texts()) != 0 {
		t.Errorf("budget %d %d, %d lines", in.budget.requests, in.budget.bytes, len(sink.texts()))
	}
	in.budget.bytes = 1 << 20
	wantStatuses(t, r.want(200, "POST", "/_bulk", bulkOf("a")).body, "[201]")
	if n := figure(r.input, "bulk_refused_requests_total", "busy"); n != 3 {
		t.Errorf("%v counted", n)
	}
}

// What shippers ask at their start gets the answers that they want; everything else is not found.
func TestBulkProbes(t *testing.T) {
	r := start(t, "bulk", simpleKey+"\nversion = \"9.1.0\"", newTestSink(), Env{})
	f := func(method, path string, status int, want string) {
		t.Helper()
		got := r.want(status, method, path, "")
		if !strings.Contains(got.body, want) || got.header.Get("X-Elastic-Product") != "Elasticsearch" || got.body != "" && !json.Valid([]byte(got.body)) {
			t.Errorf("%s %s: %s", method, path, got.body)
		}
	}
	f("GET", "/", 200, `"number":"9.1.0"`)
	f("GET", "/", 200, `"tagline":"You Know, for Search"`)
	f("HEAD", "/", 200, "")
	f("GET", "/_license", 200, `"status":"active"`)
	f("GET", "/_xpack", 200, `"ilm"`)
	f("GET", "/_cluster/health", 200, `"green"`)
	for _, p := range []string{"/_index_template/filebeat-8.17.0", "/_component_template/x", "/_template/x", "/_ilm/policy/filebeat", "/_ingest/pipeline/p", "/_data_stream/filebeat-8.17.0"} {
		f("GET", p, 200, "{}")
		f("HEAD", p, 200, "")
		f("PUT", p, 200, `"acknowledged":true`)
		f("DELETE", p, 404, `"resource_not_found_exception"`)
	}
	f("GET", "/_search", 404, `"status":404`)
	f("GET", "/_ilm/policy/a/b", 404, `"status":404`)
	f("POST", "/a/b/_bulk", 404, `"status":404`)
	f("GET", "/_bulk", 405, `"status":405`)
}

// A reload keeps the socket, and lets the requests under way end.
func TestBulkReload(t *testing.T) {
	sockets, sink := NewSockets(), newTestSink()
	sink.held = true
	r := start(t, "bulk", simpleKey, sink, Env{Sockets: sockets})
	answers := make(chan reply, 1)
	go func() { answers <- r.do("POST", "/_bulk", bulkOf("a")) }()
	<-sink.arrived
	go sink.release(nil)
	r.stop()
	if got := <-answers; got.status != 200 {
		t.Errorf("%+v", got)
	}
	if got := r.do("GET", "/", ""); got.err == nil {
		t.Errorf("the socket is still open: %+v", got)
	}
}

// The memory of ids is bounded; the oldest are forgotten first; what is in the log is what is in memory.
func TestIDMemory(t *testing.T) {
	positions := map[string][]byte{}
	m := newIDMemory("", 4*slotIDs, nil)
	id := func(i int) idHash { return hashID(fmt.Sprint(i)) }
	add := func(m *idMemory, from, to int) {
		var list []idHash
		for i := from; i < to; i++ {
			list = append(list, id(i))
		}
		plan := m.plan(list)
		for _, p := range m.positions(nil, plan) {
			if positions[p.Key] = p.Value; len(p.Value) == 0 {
				delete(positions, p.Key)
			}
		}
		m.commit(plan, nil)
		m.settled(list)
	}
	has := func(m *idMemory, i int) bool { known, _ := m.lookup(id(i)); return known }
	next := 0
	sizes := []int{1, 100, 27, 1, 300, 128, 5, 3 * slotIDs, 1, 1000, 7}
	for random := rand.New(rand.NewPCG(1, 2)); len(sizes) < 200; {
		sizes = append(sizes, 1+random.IntN(200))
	}
	for _, n := range sizes {
		add(m, next, next+n)
		next += n
		held := map[idHash]bool{}
		for _, value := range m.slots {
			for i := range idsOf(value) {
				held[idAt(value, i)] = true
			}
		}
		used := 0
		for _, cell := range m.cells {
			used += min(int(cell), 1)
		}
		if m.size() > 4*slotIDs || len(m.pending) != 0 || m.size() != len(held) || used != len(held) {
			t.Fatalf("%d ids, %d pending, %d in slots, %d cells", m.size(), len(m.pending), len(held), used)
		}
		for h := range held {
			if known, _ := m.lookup(h); !known {
				t.Fatalf("%x is not found", h)
			}
		}
		for i := next - min(next, 3*slotIDs); i < next; i++ {
			if !has(m, i) {
				t.Fatalf("%d of %d is forgotten", i, next)
			}
		}
		restored := newIDMemory("", 4*slotIDs, positions)
		if restored.size() != m.size() || restored.seq != m.seq || restored.at != m.at {
			t.Fatalf("restored %d ids at slot %d of %d; %d, %d, %d are there", restored.size(), restored.at, restored.seq, m.size(), m.at, m.seq)
		}
		m = restored
	}
	if has(m, 0) || len(positions) != 4 {
		t.Errorf("the first is remembered: %d slots", len(positions))
	}
	// An id that comes again after its slot was begun anew stays.
	add(m, 0, 1)
	add(m, next, next+4*slotIDs-20)
	if size := 0; true {
		for _, v := range positions {
			size += len(v)
		}
		if size > 4*(slotHeader+slotIDs*len(idHash{})) {
			t.Errorf("%d bytes in the log", size)
		}
	}
	// A smaller memory gives back what it has no room for, a broken one too.
	positions["ids/x"], positions["other"] = []byte("12345678"), []byte("no slot")
	small := newIDMemory("", 2*slotIDs, positions)
	add(small, 5000, 5001)
	if len(positions) != 3 || !has(small, 5000) {
		t.Errorf("%d positions", len(positions))
	}
	if none := newIDMemory("", 0, nil); none.plan([]idHash{id(1)}) != nil {
		t.Error("a memory of none remembers")
	}
}

// FuzzBulk: any body is split or refused; what is taken is in the body, in its order, and answered item by item.
func FuzzBulk(f *testing.F) {
	f.Add(bulkOf("a", "", "b"))
	f.Add("{\"delete\":{\"_id\":\"1\"}}\n\n{\"update\":{}}\n{}\n")
	f.Add("{\"create\":{\"_index\":\"\\ud800\",\"_id\":\"\\\"\"}}\r\n{\"event.kind\":[\"alert\"]}\r\n")
	k := &senderKey{name: "k"}
	f.Fuzz(func(t *testing.T, body string) {
		items, refused := readBulk(body, "i")
		if refused != nil {
			if refused.status < 400 || refused.reason == "" {
				t.Fatalf("%+v", refused)
			}
			return
		}
		rest := body
		for i := range items {
			items[i].judge(k, 1000)
			at := strings.Index(rest, items[i].doc)
			if at < 0 {
				t.Fatalf("item %d is not in the body", i)
			}
			rest = rest[at+len(items[i].doc):]
		}
		var v struct{ Items []map[string]json.RawMessage }
		if err := json.Unmarshal(appendAnswer(nil, items, 1), &v); err != nil || len(v.Items) != len(items) {
			t.Fatalf("%v: %d answers to %d items", err, len(v.Items), len(items))
		}
	})
}

// BenchmarkBulk is a request of 1,000 documents with ids, without the log behind it.
func BenchmarkBulk(b *testing.B) {
	sink := discardSink{}
	c, _ := decodeInput("bulk", simpleKey)
	in, err := c.New(Env{Logger: testLogger()})
	if err != nil {
		b.Fatal(err)
	}
	h := in.(*bulkInput)
	h.flights.begin(b.Context(), sink)
	var body strings.Builder
	request := func(n int) string {
		body.Reset()
		for i := range 1000 {
			fmt.Fprintf(&body, "{\"create\":{\"_index\":\"logs-linux.auth-default\",\"_id\":\"%032d-%d\"}}\n", n, i)
			body.WriteString(`{"@timestamp":"2026-01-10T10:00:05.123Z","agent":{"ephemeral_id":"e1","id":"f1","name":"edge","type":"filebeat","version":"8.17.0"},"log":{"file":{"path":"/var/log/auth.log"},"offset":4711},"message":"Jan 10 10:00:00 gate sshd[812]: Failed password for invalid user bob from 203.0.113.9 port 4022 ssh2","input":{"type":"filestream"},"ecs":{"version":"8.0.0"},"host":{"name":"edge.example.com","os":{"platform":"debian"}}}` + "\n")
		}
		return body.String()
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(request(0))))
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		r, err := http.NewRequest("POST", "/_bulk", strings.NewReader(request(n)))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "ApiKey "+testSecret)
		w := &discardWriter{header: http.Header{}}
		b.StartTimer()
		h.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatal(w.status)
		}
	}
}
