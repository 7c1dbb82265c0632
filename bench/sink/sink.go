// Package sink is a minimal stand-in for Elasticsearch, to measure log shippers against: it counts documents, bytes and
// sequence numbers and is never the bottleneck (5 million documents/s on two cores).
//
//	POST .../_bulk -> unpack (gzip, zstd) -> for each item: id seen? seq=N? -> count -> answer with one item each
//
// It can refuse whole requests for a while ([Sink.SetFault]) and be slow ([Settings.Delay]). Where it keeps ids it refuses a
// second document of the same _id with 409, as a create does in Elasticsearch, and does not count it.
package sink

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Settings of a measurement.
type Settings struct {
	Seq   int           // follow seq=0 ... seq=Seq-1 in the documents; 0 for none
	IDs   bool          // keep ids and refuse repeated ones
	Delay time.Duration // before each answer to a bulk
}

// Stats are the counters since the last reset.
type Stats struct {
	Docs         int64     `json:"docs"`  // stored
	Bytes        int64     `json:"bytes"` // of bulk bodies, unpacked
	Wire         int64     `json:"wire_bytes"`
	Requests     int64     `json:"reqs"`
	BadLines     int64     `json:"bad_lines"` // neither an action nor its document
	MaxBulk      int64     `json:"max_bulk_docs"`
	Rejected     int64     `json:"rejected_reqs"`
	RejectedDocs int64     `json:"rejected_docs"`
	Conflicts    int64     `json:"conflicts"` // refused with 409
	IDs          int64     `json:"ids"`       // distinct; 0 where they are not kept
	First        time.Time `json:"first"`     // arrival of the first and the last document
	Last         time.Time `json:"last"`
	Distinct     int64     `json:"seq_distinct"`
	Missing      int64     `json:"seq_missing"`
	Doubled      int64     `json:"seq_dup_docs"`
	OutOfRange   int64     `json:"seq_out_of_range"` // documents without a seq in range
	Ranges       []string  `json:"missing_ranges,omitempty"`
	Faults       []string  `json:"fault,omitempty"`
	Sample       string    `json:"sample,omitempty"` // the beginning of the first bulk request
}

const sampleBytes = 2048

// Sink is an http.Handler; its methods may be called at any time.
type Sink struct {
	seed maphash.Seed
	bufs sync.Pool

	mu    sync.Mutex
	set   Settings
	stats Stats
	seq   []uint8 // how often each was stored
	ids   map[uint64]struct{}
	fault fault
}

type fault struct {
	status int
	after  int64 // documents
	lasts  time.Duration
	until  time.Time // zero before it began
}

// New returns an empty sink.
func New() *Sink {
	s := &Sink{seed: maphash.MakeSeed()}
	s.bufs.New = func() any { return bytes.NewBuffer(make([]byte, 0, 8<<20)) }
	return s
}

// Reset begins a measurement.
func (s *Sink) Reset(set Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.stats, s.fault, s.seq, s.ids = set, Stats{}, fault{}, nil, nil
	if set.Seq > 0 {
		s.seq = make([]uint8, set.Seq)
	}
	if set.IDs {
		s.ids = map[uint64]struct{}{}
	}
}

// SetFault answers every bulk request with status, for a time that begins once after documents are stored.
func (s *Sink) SetFault(status int, after int64, lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault{status: status, after: after, lasts: lasts}
}

// Docs is Stats().Docs, cheaply.
func (s *Sink) Docs() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats.Docs
}

// Progress grows while anything arrives at all.
func (s *Sink) Progress() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats.Docs + s.stats.RejectedDocs + s.stats.Conflicts
}

// Stats returns the counters.
func (s *Sink) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.IDs = int64(len(s.ids))
	start := -1
	for i := 0; i <= len(s.seq); i++ {
		missing := i < len(s.seq) && s.seq[i] == 0
		if i < len(s.seq) {
			if missing {
				st.Missing++
			} else {
				st.Distinct++
				st.Doubled += int64(s.seq[i]) - 1
			}
		}
		switch {
		case missing && start < 0:
			start = i
		case !missing && start >= 0:
			if len(st.Ranges) < 20 {
				st.Ranges = append(st.Ranges, fmt.Sprintf("%d-%d", start, i-1))
			}
			start = -1
		}
	}
	st.Faults = append([]string(nil), s.stats.Faults...)
	return st
}

const root = `{"name":"sink","cluster_name":"sink","cluster_uuid":"AAAAAAAAAAAAAAAAAAAAAA","version":{"number":"8.19.0","build_flavor":"default","build_type":"tar","build_hash":"0","build_date":"2025-01-01T00:00:00.000Z","build_snapshot":false,"lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}`

// ServeHTTP answers bulk requests, /stats, /reset?seq=N&ids=1&delay=MS, /fault?status=503&for=20s&after=N, and what shippers
// ask at their start; whatever else is acknowledged.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	p := r.URL.Path
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(p, "_bulk"):
		s.bulk(w, r)
	case p == "/stats":
		answer(w, s.Stats())
	case p == "/reset":
		n, _ := strconv.Atoi(q.Get("seq"))
		ms, _ := strconv.Atoi(q.Get("delay"))
		s.Reset(Settings{Seq: n, IDs: q.Get("ids") != "", Delay: time.Duration(ms) * time.Millisecond})
	case p == "/fault":
		status, _ := strconv.Atoi(q.Get("status"))
		after, _ := strconv.ParseInt(q.Get("after"), 10, 64)
		lasts, _ := time.ParseDuration(q.Get("for"))
		s.SetFault(status, after, lasts)
	case p == "/":
		if r.Method != http.MethodHead {
			answer(w, json.RawMessage(root))
		}
	case strings.HasPrefix(p, "/_license"):
		answer(w, json.RawMessage(`{"license":{"status":"active","uid":"u","type":"basic"}}`))
	case strings.HasPrefix(p, "/_nodes"), strings.HasPrefix(p, "/_cluster"), strings.HasPrefix(p, "/_cat"):
		answer(w, json.RawMessage(`{"cluster_name":"sink","status":"green","nodes":{}}`))
	case strings.HasSuffix(p, "_mget"):
		answer(w, json.RawMessage(`{"docs":[]}`))
	default:
		answer(w, json.RawMessage(`{"acknowledged":true}`))
	}
}

// answer ignores errors: a client that has gone counts as one that never got its answer.
func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func readBody(r *http.Request, dst *bytes.Buffer) (wire int64, err error) {
	cr := &countReader{r: r.Body}
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(cr)
		if err != nil {
			return cr.n, err
		}
		_, err = dst.ReadFrom(z)
		return cr.n, err
	case "zstd":
		z, err := zstd.NewReader(cr, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return cr.n, err
		}
		defer z.Close()
		_, err = dst.ReadFrom(z)
		return cr.n, err
	}
	_, err = dst.ReadFrom(cr)
	return cr.n, err
}

func (s *Sink) bulk(w http.ResponseWriter, r *http.Request) {
	buf := s.bufs.Get().(*bytes.Buffer)
	buf.Reset()
	defer s.bufs.Put(buf)
	wire, err := readBody(r, buf)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body := buf.Bytes()
	docs, bad := items(body, nil)
	s.mu.Lock()
	if status := s.refuse(); status != 0 {
		s.stats.Rejected++
		s.stats.RejectedDocs += int64(docs)
		s.mu.Unlock()
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"type":"es_rejected_execution_exception","reason":"busy"},"status":%d}`, status)
		return
	}
	delay := s.set.Delay
	s.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	refused := s.store(body, docs, bad, wire)
	buf.Reset()
	writeAnswer(buf, docs, refused, r.URL.Query().Get("filter_path") != "")
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	_, _ = w.Write(buf.Bytes())
}

// refuse returns the status of a fault that is on; the caller holds the lock.
func (s *Sink) refuse() int {
	f := &s.fault
	if f.status == 0 || s.stats.Docs < f.after {
		return 0
	}
	now := time.Now()
	if f.until.IsZero() {
		f.until = now.Add(f.lasts)
		s.stats.Faults = append(s.stats.Faults, fmt.Sprintf("%d from %d documents on", f.status, s.stats.Docs))
	}
	if now.After(f.until) {
		s.stats.Faults = append(s.stats.Faults, fmt.Sprintf("ended at %d documents", s.stats.Docs))
		f.status = 0
		return 0
	}
	return f.status
}

// store counts a request and returns the numbers of the items that it refuses.
func (s *Sink) store(body []byte, docs, bad int, wire int64) (refused map[int]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq != nil || s.ids != nil {
		items(body, func(i int, action, doc []byte) {
			if s.repeated(action) {
				if refused == nil {
					refused = map[int]bool{}
				}
				refused[i] = true
				return
			}
			s.trackSeq(doc)
		})
	}
	st := &s.stats
	stored := int64(docs - len(refused))
	if stored > 0 {
		st.Last = time.Now()
		if st.First.IsZero() {
			st.First = st.Last
		}
	}
	st.Docs += stored
	st.Conflicts += int64(len(refused))
	st.BadLines += int64(bad)
	st.Bytes += int64(len(body))
	st.Wire += wire
	if st.Requests++; st.Requests == 1 {
		st.Sample = string(body[:min(len(body), sampleBytes)])
	}
	st.MaxBulk = max(st.MaxBulk, int64(docs))
	return refused
}

// repeated notes the action's id and says whether it was there; without one a document is always new.
func (s *Sink) repeated(action []byte) bool {
	if s.ids == nil {
		return false
	}
	_, rest, ok := bytes.Cut(action, []byte(`"_id":"`))
	if !ok {
		return false
	}
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	h := maphash.Bytes(s.seed, id)
	if _, ok := s.ids[h]; ok {
		return true
	}
	s.ids[h] = struct{}{}
	return false
}

// trackSeq counts the first seq=N of a document; a line may stand in it more than once.
func (s *Sink) trackSeq(doc []byte) {
	if s.seq == nil {
		return
	}
	i := bytes.Index(doc, []byte("seq="))
	n, digits := 0, 0
	if i >= 0 {
		for _, c := range doc[i+4:] {
			if c < '0' || c > '9' || digits > 9 {
				break
			}
			n, digits = n*10+int(c-'0'), digits+1
		}
	}
	if digits == 0 || n >= len(s.seq) {
		s.stats.OutOfRange++
		return
	}
	if s.seq[n] < 255 {
		s.seq[n]++
	}
}

// items walks a bulk body: an action line ({"create":{...}} or {"index":{...}}), then its document.
func items(b []byte, f func(i int, action, doc []byte)) (n, bad int) {
	next := func() []byte {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		return line
	}
	for len(b) > 0 {
		action := next()
		if len(action) == 0 || len(action) == 1 && action[0] == '\r' {
			continue
		}
		head := action[:min(len(action), 24)]
		if action[0] != '{' || !bytes.Contains(head, []byte(`"create"`)) && !bytes.Contains(head, []byte(`"index"`)) {
			bad++
			continue
		}
		doc := next()
		if f != nil {
			f(n, action, doc)
		}
		n++
	}
	return n, bad
}

func writeAnswer(buf *bytes.Buffer, docs int, refused map[int]bool, short bool) {
	const (
		full     = `{"create":{"_index":"x","_id":"a","_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":201}}`
		brief    = `{"create":{"status":201}}`
		conflict = `{"create":{"_index":"x","_id":"a","status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}}}`
	)
	fmt.Fprintf(buf, `{"took":1,"errors":%t,"items":[`, len(refused) > 0)
	for i := range docs {
		if i > 0 {
			buf.WriteByte(',')
		}
		switch {
		case refused[i]:
			buf.WriteString(conflict)
		case short:
			buf.WriteString(brief)
		default:
			buf.WriteString(full)
		}
	}
	buf.WriteString(`]}`)
}
