package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this binary be the shipper that the tests measure: it sends each line once, in bulks of 100, with its number
// as _id if asked to, and then waits for its end.
func TestMain(m *testing.M) {
	mode := os.Getenv("BENCH_TEST_SHIPPER")
	if mode == "" {
		os.Exit(m.Run())
	}
	data, err := os.ReadFile(os.Args[1])
	if err != nil || mode == "fails" {
		fmt.Println("the shipper gives up")
		os.Exit(1)
	}
	var bulk bytes.Buffer
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for i, l := range lines {
		meta := ""
		if mode == "ids" {
			meta = fmt.Sprintf(`"_id":"%d"`, i)
		}
		fmt.Fprintf(&bulk, "{\"create\":{%s}}\n{\"message\":%q}\n", meta, l)
		if (i+1)%100 == 0 || i == len(lines)-1 {
			for {
				res, err := http.Post("http://"+os.Args[2]+"/_bulk", "application/x-ndjson", bytes.NewReader(bulk.Bytes()))
				if err != nil {
					os.Exit(1)
				}
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					break
				}
				time.Sleep(50 * time.Millisecond) // what a shipper does when it is told to wait
			}
			bulk.Reset()
		}
	}
	end := make(chan os.Signal, 1) // a shipper goes on until it is told to end
	signal.Notify(end, syscall.SIGTERM)
	<-end
	os.Exit(0)
}

func testBench(t *testing.T, n int) *bench {
	b := &bench{n: n, runs: 1, work: t.TempDir()}
	for _, d := range []string{"data", "logs", "run"} {
		if err := os.Mkdir(filepath.Join(b.work, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if b.sink, err = listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.sink.close)
	return b
}

func testShipper(mode string) shipper {
	return shipper{name: mode, command: func(t task) (*exec.Cmd, error) {
		self, err := os.Executable()
		cmd := exec.Command(self, t.data, t.sink)
		cmd.Env = append(os.Environ(), "BENCH_TEST_SHIPPER="+mode)
		return cmd, err
	}}
}

func TestOneRun(t *testing.T) {
	b := testBench(t, 2000)
	r, err := b.one(t.Context(), jobList[0], testShipper("plain"))
	if err != nil || r.Trouble != "" {
		t.Fatalf("error %v, trouble %q", err, r.Trouble)
	}
	if r.Docs != 2000 || r.Requests != 20 || r.Rate <= 0 || r.PeakMiB < 1 || r.BodyMB <= 0 || r.Sample == "" {
		t.Errorf("result %+v", r)
	}
	r, err = b.one(t.Context(), jobList[0], testShipper("fails"))
	if err != nil || r.Docs != 0 || r.Trouble != "it ended (exit status 1) after 0 documents\nthe shipper gives up" {
		t.Errorf("a shipper that fails: %+v, error %v", r, err)
	}
}

func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for stragglers: not with -short")
	}
	f := func(mode string, doubled bool) {
		t.Helper()
		b := testBench(t, 2000)
		l := loss{Fault: "kill9"}
		if err := b.fault(t.Context(), testShipper(mode), &l); err != nil || l.Trouble != "" {
			t.Fatalf("error %v, trouble %q", err, l.Trouble)
		}
		// it begins anew after the kill: everything that was there is sent again, and with ids refused
		if l.KilledAt < 600 || l.Lost != 0 || (l.Doubled >= 600) != doubled || (l.Sink.Conflicts >= 600) == doubled {
			t.Errorf("%s: %+v", mode, l)
		}
	}
	f("ids", false)
	f("plain", true)
}
