package outputs

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatebook/gatebook/outputs/elastic"
)

// fakeES is a model of what matters of Elasticsearch here: data streams whose write index takes an id once, rollover, bulk,
// _mget. Tests hook into it to let it misbehave.
type fakeES struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	streams map[string]*fakeStream
	bulks   int
	gets    int
	// before is asked first; a status other than 0 is answered to the whole request.
	before func(n int, items int) int
	// item is asked for each item; a status other than 0 is its answer.
	item func(stream, id string, doc []byte) int
	// after may change the answer of a request that was carried out; nil cuts the connection.
	after func(n int, answer []byte) []byte
	// rollover rolls all streams over before this many bulks, then again.
	rollEvery int
	denyRead  bool
	maxBody   int
	status    map[string]int // path to status
	red       string         // the write index of this stream has no active shard
	redGets   int            // look-ups there
}

type fakeStream struct {
	generation int
	indices    map[string]map[string][]byte // index -> id -> document
}

func (s *fakeStream) writeIndex(name string) string {
	return fmt.Sprintf(".ds-%s-2026.01.01-%06d", name, s.generation)
}

func newFakeES(t testing.TB) *fakeES {
	f := &fakeES{t: t, streams: map[string]*fakeStream{}, status: map[string]int{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeES) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			f.t.Errorf("unpack body: %v", err)
		}
	}
	f.mu.Lock()
	status := f.status[r.URL.Path]
	f.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"type":"x","reason":"y"},"status":%d}`, status)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		f.bulk(w, body)
	case r.URL.Path == "/_mget":
		f.mget(w, body)
	default:
		w.WriteHeader(404)
	}
}

type bulkAction struct {
	Create struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
	}
}

func (f *fakeES) bulk(w http.ResponseWriter, body []byte) {
	f.mu.Lock()
	f.bulks++
	n := f.bulks
	lines := bytes.Split(body, []byte("\n"))
	if len(lines) < 3 || len(lines[len(lines)-1]) != 0 || len(lines)%2 != 1 {
		f.t.Errorf("bulk body of %d lines", len(lines))
	}
	status := 0
	if f.before != nil {
		status = f.before(n, len(lines)/2)
	}
	if f.maxBody > 0 && len(body) > f.maxBody {
		status = 413
	}
	if status != 0 {
		f.mu.Unlock()
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"type":"fake","reason":"told to"},"status":%d}`, status)
		return
	}
	if f.rollEvery > 0 && n%f.rollEvery == 0 {
		for _, s := range f.streams {
			s.generation++
		}
	}
	var out bytes.Buffer
	errs := false
	for i := 0; i+1 < len(lines); i += 2 {
		var a bulkAction
		if err := json.Unmarshal(lines[i], &a); err != nil {
			f.t.Errorf("action %q: %v", lines[i], err)
		}
		if i > 0 {
			out.WriteByte(',')
		}
		index, status := f.create(a.Create.Index, a.Create.ID, lines[i+1])
		if status < 300 {
			fmt.Fprintf(&out, `{"create":{"_index":%q,"status":%d}}`, index, status)
			continue
		}
		errs = true
		if a.Create.Index == f.red {
			fmt.Fprintf(&out, `{"create":{"_index":%[1]q,"status":503,"error":{"type":"unavailable_shards_exception","reason":"[%[1]s][0] primary shard is not active Timeout: [30s], request: [BulkShardRequest [[%[1]s][0]] containing [index {[x][1], source[{\"message\":\"secret\"}]}]]"}}}`, index)
			continue
		}
		fmt.Fprintf(&out, `{"create":{"_index":%q,"status":%d,"error":{"type":"type_%d","reason":"reason \"of\" %d","caused_by":{"type":"inner","reason":"why"}}}}`, index, status, status, status)
	}
	answer := fmt.Appendf(nil, `{"errors":%v,"items":[%s]}`, errs, out.String())
	after := f.after
	f.mu.Unlock()
	if after != nil {
		if answer = after(n, answer); answer == nil {
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer)
}

func (f *fakeES) create(stream, id string, doc []byte) (string, int) {
	s := f.streams[stream]
	if s == nil {
		s = &fakeStream{generation: 1, indices: map[string]map[string][]byte{}}
		f.streams[stream] = s
	}
	index := s.writeIndex(stream)
	if stream == f.red {
		return index, 503
	}
	if f.item != nil {
		if status := f.item(stream, id, doc); status != 0 {
			return index, status
		}
	}
	if s.indices[index] == nil {
		s.indices[index] = map[string][]byte{}
	}
	if _, ok := s.indices[index][id]; ok {
		return index, 409
	}
	s.indices[index][id] = bytes.Clone(doc)
	return index, 201
}

func (f *fakeES) mget(w http.ResponseWriter, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	if f.denyRead {
		w.WriteHeader(403)
		io.WriteString(w, `{"error":{"type":"security_exception","reason":"may not read"},"status":403}`)
		return
	}
	var q struct {
		Docs []struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
	}
	if err := json.Unmarshal(body, &q); err != nil {
		f.t.Errorf("mget %q: %v", body, err)
	}
	var out []string
	for _, d := range q.Docs {
		if s := f.streams[f.red]; s != nil && d.Index == s.writeIndex(f.red) {
			f.redGets++
			out = append(out, fmt.Sprintf(`{"_index":%q,"_id":%q,"error":{"type":"no_shard_available_action_exception","reason":"No shard available"}}`, d.Index, d.ID))
			continue
		}
		found := false
		for _, s := range f.streams {
			_, ok := s.indices[d.Index][d.ID]
			found = found || ok
		}
		out = append(out, fmt.Sprintf(`{"found":%v}`, found))
	}
	fmt.Fprintf(w, `{"docs":[%s]}`, strings.Join(out, ","))
}

// count returns how often each document's text is there, over all indices.
func (f *fakeES) count() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[string]int{}
	for _, s := range f.streams {
		for _, docs := range s.indices {
			for _, d := range docs {
				n[message(d)]++
			}
		}
	}
	return n
}

func message(doc []byte) string {
	var d struct{ Message string }
	if err := json.Unmarshal(doc, &d); err != nil {
		return "not JSON: " + string(doc)
	}
	return d.Message
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// output makes an elasticsearch output for the fake.
func (f *fakeES) output(gzip bool) *elasticOutput {
	c, err := elastic.New(elastic.Config{Hosts: []string{f.server.URL}, Gzip: gzip})
	if err != nil {
		f.t.Fatal(err)
	}
	o := newElastic("test", c, gzip, false, Env{Logger: quiet()})
	f.t.Cleanup(func() { o.Close() })
	return o
}
