package elastic

import (
	"bytes"
	"compress/gzip"
	"context"
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

func TestHosts(t *testing.T) {
	f := func(want string, hosts ...string) {
		t.Helper()
		_, err := ParseHosts(hosts)
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%q: got %q, want %q", hosts, got, want)
		}
	}
	f("<nil>", "https://es1:9200", "http://10.0.0.1:9200/prefix/")
	f(`no hosts given: hosts = ["https://localhost:9200"]`)
	f("host 1 wants http:// or https:// and a host name, such as https://es1:9200", "es1:9200")
	f("host 2 is given twice", "https://es1:9200", "https://es1:9200/")
	f("host 1 holds a user name: credentials go to username and password, or api_key", "https://elastic:hunter2@es1:9200")
	f("host 1 is not a URL such as https://es1:9200", "https://elastic:hunter2@es1:92x00")
	f("host 1 has more than scheme, host, port and path", "https://es1:9200/?api_key=hunter2")
}

// A refused connection is known to have done nothing; the next request goes to another host.
func TestDeadHost(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	deadURL := dead.URL
	dead.Close()
	alive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"errors":false,"items":[{"create":{"_index":"x","status":201}}]}`)
	}))
	defer alive.Close()
	c, err := New(Config{Hosts: []string{deadURL, alive.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	parts := []Part{{Data: []byte("{\"create\":{}}\n{}\n")}}
	var a Answer
	err = c.Bulk(context.Background(), parts, 1, 0, &a)
	var re *RequestError
	if !errors.As(err, &re) || re.Unknown || re.Host != deadURL || !strings.Contains(Remedy(err), "nothing listens there") {
		t.Errorf("got %v (%+v), remedy %q", err, re, Remedy(err))
	}
	for range 4 {
		if err := c.Bulk(context.Background(), parts, 1, 0, &a); err != nil {
			t.Errorf("second host: %v", err)
		}
	}
}

// What is sent is what the parts say, packed or not.
func TestBody(t *testing.T) {
	var got, encoding, length atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		encoding.Store(r.Header.Get("Content-Encoding"))
		length.Store(fmt.Sprint(r.ContentLength == int64(len(b)), r.URL.RawQuery))
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Error(err)
				return
			}
			b, _ = io.ReadAll(z)
		}
		got.Store(string(b))
		io.WriteString(w, `{"errors":false,"items":[]}`)
	}))
	defer s.Close()
	pack := func(s string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.Bytes()
	}
	f := func(zip bool, parts []Part, want string) {
		t.Helper()
		c, err := New(Config{Hosts: []string{s.URL}, Gzip: zip, APIKey: "c2VjcmV0"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 3 { // the pools are used again
			var a Answer
			if err := c.Bulk(context.Background(), parts, 0, 0, &a); err != nil {
				t.Fatal(err)
			}
			if got.Load() != want || (encoding.Load() == "gzip") != zip || !strings.HasPrefix(length.Load().(string), "true") {
				t.Errorf("got %q %q %q, want %q", got.Load(), encoding.Load(), length.Load(), want)
			}
		}
	}
	plain := func(s string) Part { return Part{Data: []byte(s)} }
	zipped := func(s string) Part { return Part{Gzip: true, Data: pack(s)} }
	f(false, []Part{plain("a\n"), plain("b\n")}, "a\nb\n")
	f(true, []Part{plain("a\n"), plain("b\n")}, "a\nb\n")
	f(true, []Part{zipped("a\n"), zipped("b\n")}, "a\nb\n")
	f(true, []Part{plain("a\n"), zipped("b\n"), plain("c\n"), plain("d\n"), zipped("e\n")}, "a\nb\nc\nd\ne\n")
}

// An early answer, sent while the body is on its way: the bytes are given back only when nobody reads them any more.
func TestEarlyAnswer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(413)
		io.WriteString(w, `{"error":{"type":"content_too_long_exception","reason":"too long"},"status":413}`)
	}))
	defer s.Close()
	c, err := New(Config{Hosts: []string{s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	data := bytes.Repeat([]byte("x"), 16<<20)
	for range 5 {
		var a Answer
		err := c.Bulk(context.Background(), []Part{{Data: data}}, 1, 0, &a)
		var re *RequestError
		if !errors.As(err, &re) || re.Status != 413 && re.Err == nil {
			t.Fatalf("got %v", err)
		}
		clear(data) // with -race: nobody may be reading
	}
}

// A server that does not know require_data_stream says so once.
func TestRequireDataStream(t *testing.T) {
	var with, without atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Query().Has("require_data_stream") {
			with.Add(1)
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"type":"illegal_argument_exception","reason":"request [/_bulk] contains unrecognized parameter: [require_data_stream]"},"status":400}`)
			return
		}
		without.Add(1)
		io.WriteString(w, `{"errors":false,"items":[{"create":{"status":201}}]}`)
	}))
	defer s.Close()
	c, err := New(Config{Hosts: []string{s.URL}, Gzip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		var a Answer
		if err := c.Bulk(context.Background(), []Part{{Data: []byte("{}\n{}\n")}}, 1, 0, &a); err != nil {
			t.Fatal(err)
		}
	}
	if with.Load() != 1 || without.Load() != 3 {
		t.Errorf("%d with, %d without", with.Load(), without.Load())
	}
}

// Timeouts leave the outcome unknown; the error names the host and no secret.
func TestTimeout(t *testing.T) {
	ask := func(timeout time.Duration) (arrived bool, err error) {
		var asked atomic.Bool
		stop := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Store(true); <-stop }))
		defer s.Close()
		defer close(stop)
		c, err := New(Config{Hosts: []string{s.URL}, Timeout: timeout, Username: "u", Password: "hunter2"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var a Answer
		err = c.Bulk(context.Background(), []Part{{Data: []byte("{}\n{}\n")}}, 1, 0, &a)
		return asked.Load(), err
	}
	timeout := 50 * time.Millisecond
	arrived, err := ask(timeout)
	for !arrived { // on a busy machine that is not even time to be asked
		timeout *= 2
		arrived, err = ask(timeout)
	}
	var re *RequestError
	if !errors.As(err, &re) || !re.Unknown || strings.Contains(err.Error(), "hunter2") || !strings.Contains(Remedy(err), "does not answer in time") {
		t.Errorf("got %v, %+v, remedy %q", err, re, Remedy(err))
	}
}

// A request says how long the server may wait for a shard, and what the server says of its work comes back.
func TestWaitAndTook(t *testing.T) {
	var query string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		query = r.URL.RawQuery
		io.WriteString(w, `{"took":123,"errors":false,"items":[{"create":{"_index":"x","status":201}}]}`)
	}))
	defer s.Close()
	c, err := New(Config{Hosts: []string{s.URL}, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for wait, want := range map[time.Duration]string{time.Second: "timeout=1000ms", 0: "timeout=10000ms", time.Hour: "timeout=10000ms"} {
		var a Answer
		if err := c.Bulk(context.Background(), []Part{{Data: []byte("{}\n{}\n")}}, 1, wait, &a); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(query, want) || !strings.Contains(query, "filter_path=took%2C") || a.Took != 123 {
			t.Errorf("wait %v: query %s, took %d; want %s", wait, query, a.Took, want)
		}
	}
	var a Answer
	for _, took := range []string{`"x"`, `-1`, `null`, `1.5`, `{}`, `99999999999999999999`} {
		if err := a.Scan([]byte(`{"took": ` + took + `,"items":[]}`)); err != nil || a.Took != 0 {
			t.Errorf("took %s: %d, %v", took, a.Took, err)
		}
	}
}
