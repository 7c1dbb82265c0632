package inputs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// Five reloads, in the order of the agent, while clients open new connections all the time: none is refused, each request is answered.
func TestListenersOutliveReloads(t *testing.T) {
	for _, kind := range []string{"bulk", "http"} {
		t.Run(kind, func(t *testing.T) { listenerOutlivesReloads(t, kind) })
	}
}

func listenerOutlivesReloads(t *testing.T, kind string) {
	noLeaks(t)
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.Addr().String()
	port.Close()
	sockets, sink := NewSockets(), newTestSink()
	c, ds := decodeInput(kind, fmt.Sprintf("listen = %q\n%s", address, simpleKey))
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	generation := func() (end func()) {
		t.Helper()
		in, err := c.New(Env{Logger: testLogger(), Sockets: sockets})
		if err == nil {
			err = sockets.Sweep()
		}
		if err != nil {
			t.Error(err)
			return func() {}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx, sink) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	end := generation()
	var sent atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			transport := &http.Transport{DisableKeepAlives: n < 3} // the last one keeps its connection
			defer transport.CloseIdleConnections()
			r := &rig{url: "http://" + address, header: http.Header{}, client: &http.Client{Transport: transport, Timeout: patience}}
			r.header.Set("Authorization", "ApiKey "+testSecret)
			// A request that the server has not begun to read when it closes a silent connection is sent again by the client, where it may.
			r.header.Set("Idempotency-Key", "x")
			path, body := "/_bulk", "{\"create\":{}}\n{\"n\":1}\n"
			if kind == "http" {
				path, body = "/", `{"n":1}`
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := r.do("POST", path, body); got.err != nil || got.status != 200 {
					t.Errorf("client %d: %d %s %v", n, got.status, got.body, got.err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range 5 {
		testkit.Eventually(t, patience, func() bool { return t.Failed() || sent.Load() >= int64(40*(i+1)) })
		end()
		end = generation()
	}
	before := sent.Load()
	testkit.Eventually(t, patience, func() bool { return t.Failed() || sent.Load() >= before+40 })
	close(stop)
	clients.Wait()
	end()
	if err := sockets.Sweep(); err != nil {
		t.Error(err)
	}
	if got := len(sink.texts()); int64(got) < sent.Load() {
		t.Errorf("%d records of %d", got, sent.Load())
	}
}

// A request that has begun when the input ends is answered, and told that the connection ends with it.
func TestListenerEndsBetweenRequests(t *testing.T) {
	r := start(t, "bulk", simpleKey, newTestSink(), Env{})
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := "{\"create\":{}}\n{\"n\":1}\n"
	head := fmt.Sprintf("POST /_bulk HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n", testSecret, len(body))
	in := bufio.NewReader(c)
	answer := func() *http.Response {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	send(t, c, head+body)
	if res := answer(); res.StatusCode != 200 || res.Close {
		t.Fatalf("%+v", res)
	}
	send(t, c, head+body[:9])
	counts := r.input.(*bulkInput).config.keys[0].counts
	testkit.Eventually(t, patience, func() bool { return counts.requests.Load() == 2 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	testkit.Eventually(t, patience, func() bool { // nobody else gets in any more
		other, err := net.Dial("tcp", r.address)
		if err != nil {
			return true
		}
		defer other.Close()
		send(t, other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if err := other.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err = other.Read(make([]byte, 1))
		return isTimeout(err)
	})
	send(t, c, body[9:])
	if res := answer(); res.StatusCode != 200 || !res.Close {
		t.Errorf("%+v", res)
	}
	<-stopped
	if rest, err := io.ReadAll(in); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("%q %v", rest, err)
	}
}
