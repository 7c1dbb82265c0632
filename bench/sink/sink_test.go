package sink

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func post(t *testing.T, url, body string, zip bool) (status int, statuses []int) {
	t.Helper()
	raw := []byte(body)
	if zip {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		g.Write(raw)
		g.Close()
		raw = z.Bytes()
	}
	req, _ := http.NewRequest("POST", url, bytes.NewReader(raw))
	if zip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	var v struct {
		Items []struct{ Create struct{ Status int } }
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("answer %q: %v", b, err)
	}
	for _, it := range v.Items {
		statuses = append(statuses, it.Create.Status)
	}
	return res.StatusCode, statuses
}

func doc(id string, seq int) string {
	meta := `"_index":"logs-gatebook.linux.auth-default"`
	if id != "" {
		meta += `,"_id":"` + id + `"`
	}
	// the line stands in message and in event.original: one seq all the same
	return fmt.Sprintf("{\"create\":{%s}}\n{\"message\":\"x seq=%d\",\"event\":{\"original\":\"x seq=%d\"}}\n", meta, seq, seq)
}

func TestSinkCounts(t *testing.T) {
	for _, zip := range []bool{false, true} {
		s := New()
		srv := httptest.NewServer(s)
		defer srv.Close()
		s.Reset(Settings{Seq: 6, IDs: true})
		f := func(body, want string) {
			t.Helper()
			if _, got := post(t, srv.URL+"/_bulk?filter_path=x", body, zip); fmt.Sprint(got) != want {
				t.Errorf("statuses %v, want %s", got, want)
			}
		}
		f(doc("a", 0)+doc("b", 1), "[201 201]")
		f(doc("b", 1)+doc("c", 3), "[409 201]")             // a repeated id is not stored
		f(doc("", 3)+"rubbish\n", "[201]")                  // without an id it is, twice
		f(doc("d", 9)+`{"index":{}}`+"\n{}\n", "[201 201]") // out of range, and none at all
		st := s.Stats()
		want := Stats{Docs: 6, Requests: 4, BadLines: 1, MaxBulk: 2, Conflicts: 1, IDs: 4, Distinct: 3, Missing: 3, Doubled: 1, OutOfRange: 2}
		got := st
		got.Bytes, got.Wire, got.First, got.Last, got.Ranges, got.Sample = 0, 0, time.Time{}, time.Time{}, nil, ""
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("stats\n%+v, want\n%+v", got, want)
		}
		if !strings.HasPrefix(st.Sample, doc("a", 0)) {
			t.Errorf("sample %q", st.Sample)
		}
		if got := strings.Join(st.Ranges, " "); got != "2-2 4-5" {
			t.Errorf("missing ranges %q", got)
		}
		if st.First.IsZero() || st.Last.Before(st.First) || st.Wire == 0 || zip == (st.Wire == st.Bytes) {
			t.Errorf("times %s %s, wire %d of %d bytes", st.First, st.Last, st.Wire, st.Bytes)
		}
	}
}

func TestSinkFault(t *testing.T) {
	s := New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	s.Reset(Settings{})
	s.SetFault(503, 2, time.Hour)
	for _, want := range []int{200, 200, 503, 503} {
		if got, _ := post(t, srv.URL+"/x/_bulk", doc("a", 1), false); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	s.SetFault(503, 0, -time.Second) // over as it begins
	if got, _ := post(t, srv.URL+"/x/_bulk", doc("a", 1), false); got != 200 {
		t.Errorf("after the fault: status %d", got)
	}
	if st := s.Stats(); st.Docs != 3 || st.Rejected != 2 || st.RejectedDocs != 2 || len(st.Faults) != 3 {
		t.Errorf("stats %+v", st)
	}
}

func BenchmarkSink(b *testing.B) {
	body := strings.Repeat(doc("abcdef", 12345), 4000)
	s := New()
	s.Reset(Settings{Seq: 1 << 20})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/_bulk?filter_path=x", strings.NewReader(body))
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
}
