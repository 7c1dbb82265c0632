package outputs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/outputs/elastic"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestMain lets the test binary be the server of BenchmarkSend, so that its CPU time does not count.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv("GATEBOOK_TEST_BULK_ITEMS"))
	if err != nil {
		os.Exit(m.Run())
	}
	item := []byte(`{"create":{"_index":".ds-logs-gatebook.linux.auth-default-2026.01.01-000001","status":201}}`)
	answer := append([]byte(`{"errors":false,"items":[`), bytes.Repeat(append(item, ','), n-1)...)
	answer = append(append(answer, item...), ']', '}')
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(answer)
	}))
	fmt.Println(s.URL)
	io.Copy(io.Discard, os.Stdin) // until the parent ends
}

// bulkServer starts a server that answers every bulk request with so many created items.
func bulkServer(b *testing.B, items int) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GATEBOOK_TEST_BULK_ITEMS="+strconv.Itoa(items))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// BenchmarkSend is the way of one block of 1 MB through the elasticsearch output to a server in another process.
func BenchmarkSend(b *testing.B) {
	for _, c := range []struct {
		name  string
		codec buffer.Codec
		gzip  bool
	}{{"raw", buffer.Raw, false}, {"gzip-forward", buffer.Gzip, true}, {"gzip-pack", buffer.Raw, true}} {
		b.Run(c.name, func(b *testing.B) {
			enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: epochA})
			e := event.Event{Time: 1, Dataset: "gatebook.linux.auth", Message: strings.Repeat("Failed password for root ", 12)}
			block := buffer.NewBlock()
			for i := 0; len(block.Docs) < 1<<20; i++ {
				e.Reason = fmt.Sprint(i * 7919)
				block.Docs, _ = enc.AppendItem(block.Docs, nil, &e, uint64(i))
				block.Ends = append(block.Ends, uint32(len(block.Docs)))
			}
			block.Count, block.RawSize = len(block.Ends), len(block.Docs)
			if err := block.Compress(c.codec); err != nil {
				b.Fatal(err)
			}
			client, err := elastic.New(elastic.Config{Hosts: []string{bulkServer(b, block.Count)}, Gzip: c.gzip})
			if err != nil {
				b.Fatal(err)
			}
			out := newElastic("x", client, c.gzip, false, Env{Logger: quiet()})
			defer out.Close()
			batch := &Batch{}
			batch.add(Part{Codec: block.Codec, Docs: block.Docs, Ends: block.Ends, Size: int64(block.RawSize), First: 1, from: &flight{block: block}})
			b.ReportAllocs()
			b.SetBytes(int64(block.RawSize))
			before := cpuTime()
			for b.Loop() {
				if err := out.Write(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpuTime()-before).Seconds()/(float64(b.N)*float64(block.RawSize)/1e9), "cpu-s/GB")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDriver is the driver alone: blocks of 1 MB to an output that takes everything.
func BenchmarkDriver(b *testing.B) {
	r := newMemReader()
	ds := make([]string, 1500)
	for i := range ds {
		ds[i] = "linux.auth"
	}
	r.add(ds...)
	block := r.blocks[0]
	for range 99 {
		block.Retain()
		r.blocks = append(r.blocks, block)
	}
	b.ReportAllocs()
	b.SetBytes(int64(100 * block.RawSize))
	end := make(chan struct{})
	close(end)
	for b.Loop() {
		r.next = 0
		if err := Run(context.Background(), r, ctxOutputOf(), Options{Label: "x", Logger: quiet(), End: end, Params: Params{Workers: 2}}); err != nil {
			b.Fatal(err)
		}
	}
}

func ctxOutputOf() Output {
	o := ctxOutput(func(context.Context, int) error { return nil })
	return &o
}
