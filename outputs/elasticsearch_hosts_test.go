package outputs

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// Three hosts of one cluster, one of them dead and one slow: the third does the work, nothing waits for the dead one, and a
// person reads once that it fails.
func TestThreeHosts(t *testing.T) {
	f := newFakeES(t)
	gone := httptest.NewServer(f)
	gone.Close()
	var slow, fast atomic.Int64
	slowly := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slow.Add(1)
		time.Sleep(400 * time.Millisecond)
		f.ServeHTTP(w, r)
	}))
	defer slowly.Close()
	quickly := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fast.Add(1)
		f.ServeHTTP(w, r)
	}))
	defer quickly.Close()
	var logged syncBuffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	client, err := elastic.New(elastic.Config{Hosts: []string{gone.URL, slowly.URL, quickly.URL}, Gzip: true, OnHost: hostTold(log)})
	if err != nil {
		t.Fatal(err)
	}
	out := newElastic("test", client, true, false, Env{Logger: log})
	defer out.Close()
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	for i := range 100 {
		l.add(buffer.Gzip, fmt.Sprintf("%d.", i), "linux.auth", 20)
	}
	o := quick()
	o.BatchBytes, o.Latency, o.Logger = 1, time.Second, log // a request for each block
	o.RetryFirst, o.RetryMost = time.Hour, time.Hour        // a wait would be one without an end
	st := once(t, l.reader("es"), out, o)
	wantAll(t, f.count(), l.total)
	l.wantAccounts("es", l.total, 0, 0)
	if n := slow.Load(); n > 20 || n == 0 {
		t.Errorf("the slow host got %d of %d requests", n, n+fast.Load())
	}
	if g := st.Figures(); g.LastProblem != nil {
		t.Errorf("a problem is told where all is delivered: %+v", g.LastProblem)
	}
	if s := logged.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "output delivers") || !strings.Contains(s, "a host fails, the others are used") || !strings.Contains(s, gone.URL) {
		t.Errorf("logged:\n%s", s)
	}
}

// What failed at one host goes to another at once, through a closed gate too; where the last has failed the waits begin.
func TestElsewhereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMemReader()
		var tries []time.Duration
		begin := time.Now()
		out := funcOutput(func([]string) error {
			tries = append(tries, time.Since(begin))
			switch n := len(tries); {
			case n == 3:
				return &RequestError{Err: errors.New("all rest"), Unknown: true}
			case n < 6:
				return &RequestError{Err: errors.New("refused"), Elsewhere: true, Unknown: true}
			}
			return nil
		})
		st := &Stats{}
		stop := running(t, r, out, Options{Stats: st, Params: Params{Workers: 1}})
		r.add("linux.auth")
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if len(tries) != 6 || tries[2] != tries[0] || tries[3] < 300*time.Millisecond || tries[5] != tries[3] {
			t.Errorf("tries at %v", tries)
		}
		if f := st.Figures(); f.Delivered != 1 || f.State != StateOK {
			t.Errorf("figures %+v", f)
		}
	})
}
