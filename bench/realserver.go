package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/internal/testkit/elasticsearch"
)

// realServer is one real Elasticsearch node behind a proxy that counts bytes. It is started for the first job that wants it
// and ends with the bench.
type realServer struct {
	node    *elasticsearch.Node
	counter *counter
	warm    int // documents sent before anything is measured
}

// warmUp is how many documents a fresh server gets before its figures count: its first ones take four times the CPU.
const warmUp = 500_000

// index is where a shipper's documents of a job go, and what the template of the peers is for.
const peerIndices = "bench-peer-*"

func (t *task) index(who string) string {
	switch {
	case !t.job.real:
		return "logs"
	case who == "gatebook":
		return map[string]string{"B": "logs-gatebook.linux.auth-default", "A": "logs-gatebook.raw-default"}[t.job.like]
	}
	return "bench-peer-" + who + "-" + strings.ToLower(t.job.name)
}

// peerTemplate maps what the peers send as ours is mapped: one shard, the same codec and refresh, addresses and numbers as
// such, the text searchable, the rest keywords. What they send beside that is kept and not indexed, as with ours.
const peerTemplate = `{"index_patterns":["` + peerIndices + `"],"priority":300,"template":{
"settings":{"index":{"number_of_shards":1,"number_of_replicas":0,"refresh_interval":"5s","codec":"best_compression"}},
"mappings":{"dynamic":false,"date_detection":false,"properties":{
"@timestamp":{"type":"date"},"message":{"type":"text"},
"time":{"type":"keyword"},"host":{"type":"keyword"},"program":{"type":"keyword"},"pid":{"type":"long"},"event":{"type":"keyword"},
"user":{"type":"keyword"},"ip":{"type":"ip"},"port":{"type":"long"},"proto":{"type":"keyword"},"key":{"type":"keyword"},"service":{"type":"keyword"}}}}}`

func startReal(ctx context.Context, b *bench) (*realServer, error) {
	b.say("starting Elasticsearch")
	node, err := elasticsearch.Start(ctx, elasticsearch.Options{Flavor: elasticsearch.Full, Heap: "1g"})
	if err != nil {
		return nil, err
	}
	c, err := count(node.Addr())
	if err != nil {
		return nil, errors.Join(err, node.Stop())
	}
	r := &realServer{node: node, counter: c}
	if err := r.must(ctx, "PUT", "/_index_template/bench-peer", peerTemplate, nil); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *realServer) close() error {
	r.counter.l.Close()
	return r.node.Stop()
}

func (r *realServer) must(ctx context.Context, method, path, body string, into any) error {
	status, answer, err := r.node.Request(ctx, method, path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if status >= 300 {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, status, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// indexStats is what the server says of an index; nothing where there is none yet.
type indexStats struct {
	Indexing struct {
		Total  int64 `json:"index_total"`
		Failed int64 `json:"index_failed"`
	}
	Merges struct{ Current int64 }
	Store  struct {
		Size int64 `json:"size_in_bytes"`
	}
}

func (r *realServer) stats(ctx context.Context, index string) (indexStats, error) {
	var all struct {
		Indices map[string]struct{ Primaries indexStats }
	}
	status, answer, err := r.node.Request(ctx, "GET", "/"+index+"/_stats/indexing,merge,store", "")
	if err != nil || status == http.StatusNotFound {
		return indexStats{}, err
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return indexStats{}, fmt.Errorf("read stats: %w", err)
	}
	var s indexStats
	for _, i := range all.Indices {
		s.Indexing.Total += i.Primaries.Indexing.Total
		s.Indexing.Failed += i.Primaries.Indexing.Failed
		s.Merges.Current += i.Primaries.Merges.Current
		s.Store.Size += i.Primaries.Store.Size
	}
	return s, nil
}

// clear removes what a run has left.
func (r *realServer) clear(ctx context.Context, index string) error {
	path := "/" + index
	if strings.HasPrefix(index, "logs-") {
		path = "/_data_stream/" + index
	}
	status, answer, err := r.node.Request(ctx, "DELETE", path, "")
	if err == nil && status >= 300 && status != http.StatusNotFound {
		err = fmt.Errorf("remove %s: status %d: %.300s", index, status, answer)
	}
	return err
}

// cpu is the server's, user and system, in seconds.
func (r *realServer) cpu() (float64, error) { return cpuOf(r.node.Pid()) }

// oneReal is a run into the real server.
func (b *bench) oneReal(ctx context.Context, j job, s shipper) (result, error) {
	r := result{Job: j.name, Who: s.name, Expected: b.n, Load: loadAverage()}
	data, err := b.data(j.data)
	if err != nil {
		return r, err
	}
	if b.real == nil {
		if b.real, err = startReal(ctx, b); err != nil {
			return r, err
		}
	}
	t, err := b.prepare(j, s, data)
	if err != nil {
		return r, err
	}
	t.sink = b.real.counter.l.Addr().String()
	index := t.index(s.name)
	if err := b.real.clear(ctx, index); err != nil {
		return r, err
	}
	cmd, err := s.command(t)
	if err != nil {
		return r, fmt.Errorf("prepare %s: %w", s.name, err)
	}
	before, err := b.real.cpu()
	if err != nil {
		return r, err
	}
	b.real.counter.n.Store(0)
	start := time.Now()
	p, err := startProcess(cmd, b.log(s))
	if err != nil {
		return r, err
	}
	defer p.kill()
	last, err := b.untilIndexed(ctx, &r, p, index)
	if err != nil {
		return r, err
	}
	if r.Docs > 0 {
		r.Rate = float64(r.Docs) / last.Sub(start).Seconds()
		r.PerM = r.CPU * 1e6 / float64(r.Docs)
	}
	p.stop()
	if err := b.real.settle(ctx, index, before, &r); err != nil {
		return r, err
	}
	r.WireMB = float64(b.real.counter.n.Load()) / 1e6
	b.real.warm += int(r.Docs)
	if r.Trouble != "" {
		r.Trouble += "\n" + logTail(b.log(s))
	}
	return r, nil
}

// untilIndexed watches the server and the process until the last document is there, or none comes any more. It returns when
// the last one came.
func (b *bench) untilIndexed(ctx context.Context, r *result, p *process, index string) (time.Time, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	lastAt := began
	for {
		st, err := b.real.stats(ctx, index)
		if err != nil {
			return lastAt, err
		}
		if c, err := p.cpu(); err == nil && (st.Indexing.Total != r.Docs || r.Docs == 0) {
			r.CPU = c // as of the latest document
		}
		r.PeakMiB = max(r.PeakMiB, p.peak())
		if st.Indexing.Total != r.Docs {
			r.Docs, lastAt = st.Indexing.Total, time.Now()
		}
		switch {
		case r.Docs >= int64(b.n):
			return lastAt, nil
		case p.ended():
			r.Trouble = fmt.Sprintf("it ended (%s) after %d documents", p.how(), r.Docs)
			return lastAt, nil
		case r.Docs == 0 && time.Since(began) > startWithin, r.Docs > 0 && time.Since(lastAt) > stallAfter:
			r.Trouble = fmt.Sprintf("no more documents after %d of %d", r.Docs, b.n)
			return lastAt, nil
		}
		select {
		case <-ctx.Done():
			return lastAt, ctx.Err()
		case <-tick.C:
		}
	}
}

// storeCached is how long the server repeats what it last said of the size on disk, and a little.
const storeCached = 11 * time.Second

// settle waits for what the server still has to do for the documents, and takes its CPU and their size on disk.
func (r *realServer) settle(ctx context.Context, index string, before float64, res *result) error {
	if res.Docs == 0 {
		return nil
	}
	if err := r.must(ctx, "POST", "/"+index+"/_flush?wait_if_ongoing=true", "", nil); err != nil {
		return err
	}
	for range 600 { // merges of a minute
		st, err := r.stats(ctx, index)
		if err != nil {
			return err
		}
		if st.Merges.Current == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	after, err := r.cpu()
	if err != nil {
		return err
	}
	if err := r.must(ctx, "POST", "/"+index+"/_forcemerge?max_num_segments=1", "", nil); err != nil {
		return err
	}
	if err := r.must(ctx, "POST", "/"+index+"/_flush?force=true&wait_if_ongoing=true", "", nil); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(storeCached):
	}
	st, err := r.stats(ctx, index)
	if err != nil {
		return err
	}
	res.ServerPerM = (after - before) * 1e6 / float64(res.Docs)
	res.DiskPerDoc = float64(st.Store.Size) / float64(res.Docs)
	if st.Indexing.Failed > 0 {
		res.Trouble += fmt.Sprintf("%d documents refused", st.Indexing.Failed)
	}
	if st.Indexing.Total > res.Docs {
		res.Trouble += fmt.Sprintf("%d documents for %d lines", st.Indexing.Total, res.Docs)
	}
	return nil
}

// counter is a proxy that counts what is sent to the server. The kernel moves the bytes.
type counter struct {
	l net.Listener
	n atomic.Int64
}

func count(server string) (*counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	c := &counter{l: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go c.serve(conn, server)
		}
	}()
	return c, nil
}

func (c *counter) serve(from net.Conn, server string) {
	defer from.Close()
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(from, to) // ends when either end does
		from.Close()
	}()
	for {
		n, err := io.CopyN(to, from, 64<<10)
		c.n.Add(n)
		if err != nil {
			return
		}
	}
}

// cpuOf returns the seconds of CPU that a process has used, user and system, all threads.
func cpuOf(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name before it may hold spaces
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, errors.New("short /proc stat")
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	sys, err2 := strconv.ParseFloat(f[12], 64)
	return (user + sys) / clockTicks, errors.Join(err1, err2)
}
