package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gatebook/gatebook/bench/gen"
	"github.com/gatebook/gatebook/bench/sink"
)

const (
	pollEvery       = 10 * time.Millisecond
	stallAfter      = 25 * time.Second // without any document
	startWithin     = 40 * time.Second
	blocksPerSecond = 20
	blockEvery      = time.Second / blocksPerSecond
)

// result of one run.
type result struct {
	Job      string  `json:"job"`
	Who      string  `json:"who"`
	Docs     int64   `json:"docs"`
	Expected int     `json:"expected"`
	CPU      float64 `json:"cpu_s"`        // until the last document, user and system
	PerM     float64 `json:"cpu_s_per_M"`  // per million documents
	Rate     float64 `json:"docs_per_s"`   // from process start to the last document
	PeakMiB  float64 `json:"peak_rss_mib"` // of the process
	BodyMB   float64 `json:"body_mb"`      // unpacked bulk bodies
	WireMB   float64 `json:"wire_mb"`      // as sent
	Requests int64   `json:"reqs"`         //
	Load     float64 `json:"load_before"`  // 1-minute load average at the start

	ServerPerM float64 `json:"server_cpu_s_per_M,omitempty"` // of a real server, merges included, per million documents
	DiskPerDoc float64 `json:"disk_bytes_per_doc,omitempty"` // there, after a merge to one segment

	Sample  string `json:"sample"`          // the beginning of the first bulk request, to see what was compared
	Trouble string `json:"error,omitempty"` // why the figures are not to be used
}

// speed runs the jobs, everybody in turn, and prints the table.
func (b *bench) speed(ctx context.Context, jobs []job) error {
	var all []result
	if err := b.warmUp(ctx, jobs); err != nil {
		return err
	}
	for run := range b.runs {
		for _, j := range jobs {
			for _, s := range b.who {
				if j.alone && s.name != "gatebook" {
					continue
				}
				b.say("run %d of %d: job %s, %s", run+1, b.runs, j.name, s.name)
				r, err := b.one(ctx, j, s)
				if err != nil {
					return err
				}
				if r.Trouble != "" {
					b.say("  %s", r.Trouble)
				}
				if err := b.print(r); err != nil {
					return err
				}
				all = append(all, r)
			}
		}
	}
	out := os.Stdout
	if b.json {
		out = os.Stderr
	}
	if err := table(out, jobs, all, b.n); err != nil {
		return err
	}
	for _, r := range all {
		if r.Who == "gatebook" && r.Trouble != "" {
			return fmt.Errorf("gatebook did not do job %s", r.Job)
		}
	}
	return nil
}

// warmUp sends so much to a real server that it runs at its usual speed: everybody's documents, in turn.
func (b *bench) warmUp(ctx context.Context, jobs []job) error {
	for b.real == nil || b.real.warm < warmUp {
		some := false
		for _, j := range jobs {
			for _, s := range b.who {
				if !j.real || j.alone && s.name != "gatebook" {
					continue
				}
				some = true
				b.say("warming up: job %s, %s", j.name, s.name)
				r, err := b.one(ctx, j, s)
				if err != nil {
					return err
				}
				if r.Trouble != "" {
					return fmt.Errorf("warm up with %s: %s", s.name, r.Trouble)
				}
			}
		}
		if !some {
			return nil
		}
	}
	return nil
}

// prepare gives a shipper an empty state folder and its config.
func (b *bench) prepare(j job, s shipper, data string) (task, error) {
	t := task{job: j, data: data, conns: b.conns, sink: b.sink.addr, state: filepath.Join(b.work, "run", s.name)}
	if err := os.RemoveAll(t.state); err != nil {
		return t, fmt.Errorf("clear state: %w", err)
	}
	if err := os.MkdirAll(t.state, 0o755); err != nil {
		return t, fmt.Errorf("make state: %w", err)
	}
	os.Remove(b.log(s))
	if !j.tcp {
		return t, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return t, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	t.tcp = l.Addr().String()
	return t, nil
}

func (b *bench) log(s shipper) string { return filepath.Join(b.work, "logs", s.name+".log") }

// one run of a job. An error is trouble with the bench; what goes wrong with a shipper is told in the result.
func (b *bench) one(ctx context.Context, j job, s shipper) (result, error) {
	if j.real {
		return b.oneReal(ctx, j, s)
	}
	r := result{Job: j.name, Who: s.name, Expected: b.n, Load: loadAverage()}
	data, err := b.data(j.data)
	if err != nil {
		return r, err
	}
	t, err := b.prepare(j, s, data)
	if err != nil {
		return r, err
	}
	cmd, err := s.command(t)
	if err != nil {
		return r, fmt.Errorf("prepare %s: %w", s.name, err)
	}
	b.sink.Reset(sink.Settings{})
	start := time.Now()
	p, err := startProcess(cmd, b.log(s))
	if err != nil {
		return r, err
	}
	defer p.kill()
	if j.store {
		return r, b.untilEnd(ctx, &r, t, p, start, b.log(s))
	}
	before := 0.0
	if j.tcp {
		if err := waitListen(ctx, t.tcp, p); err != nil {
			r.Trouble = fmt.Sprintf("%v\n%s", err, logTail(b.log(s)))
			return r, nil
		}
		before, _ = p.cpu()
		start = time.Now()
		go sendSyslog(t.tcp, data, b.conns)
	}
	err = b.untilArrived(ctx, &r, p)
	r.CPU -= before
	st := b.sink.Stats()
	r.Docs, r.Requests, r.Sample = st.Docs, st.Requests, st.Sample
	r.BodyMB, r.WireMB = float64(st.Bytes)/1e6, float64(st.Wire)/1e6
	if st.Docs > 0 {
		r.Rate = float64(st.Docs) / st.Last.Sub(start).Seconds()
		r.PerM = r.CPU * 1e6 / float64(st.Docs)
	}
	p.stop()
	if late := b.sink.Docs(); late > int64(b.n) && r.Trouble == "" { // more than were there
		r.Docs, r.Trouble = late, fmt.Sprintf("%d documents for %d lines", late, b.n)
	}
	if r.Trouble != "" {
		r.Trouble += "\n" + logTail(b.log(s))
	}
	return r, err
}

// untilArrived watches the sink and the process until the last document is there, or none comes any more.
func (b *bench) untilArrived(ctx context.Context, r *result, p *process) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last, lastAt, began := int64(0), time.Now(), time.Now()
	for {
		docs := b.sink.Docs()
		if c, err := p.cpu(); err == nil && (docs != last || docs == 0) {
			r.CPU = c // as of the latest document
		}
		r.PeakMiB = max(r.PeakMiB, p.peak())
		if docs != last {
			last, lastAt = docs, time.Now()
		}
		switch {
		case docs >= int64(b.n):
			return nil
		case p.ended():
			r.Trouble = fmt.Sprintf("it ended (%s) after %d documents", p.how(), docs)
			return nil
		case docs == 0 && time.Since(began) > startWithin, docs > 0 && time.Since(lastAt) > stallAfter:
			r.Trouble = fmt.Sprintf("no more documents after %d of %d", docs, b.n)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// untilEnd waits for a process that ends by itself and counts what it has stored.
func (b *bench) untilEnd(ctx context.Context, r *result, t task, p *process, start time.Time, log string) error {
	timer := time.NewTimer(5 * time.Minute)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		r.Trouble = "not finished within 5 minutes"
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	took := time.Since(start)
	state := p.cmd.ProcessState
	r.CPU = (state.UserTime() + state.SystemTime()).Seconds()
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		r.PeakMiB = float64(u.Maxrss) / 1024
	}
	if !state.Success() {
		r.Trouble = fmt.Sprintf("it ended (%s)\n%s", p.how(), logTail(log))
		return nil
	}
	n, err := countStored(ctx, t.state)
	if err != nil {
		r.Trouble = err.Error()
		return nil
	}
	if r.Docs = n; n > 0 {
		r.Rate, r.PerM = float64(n)/took.Seconds(), r.CPU*1e6/float64(n)
	}
	if n != int64(b.n) {
		r.Trouble = fmt.Sprintf("%d rows for %d lines", n, b.n)
	}
	return nil
}

func waitListen(ctx context.Context, addr string, p *process) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		if p.ended() {
			return fmt.Errorf("it ended (%s)", p.how())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("nobody listens on %s", addr)
}

// sendSyslog sends the lines over connections in turn; trouble shows as documents that do not arrive.
func sendSyslog(addr, data string, conns int) {
	w := make([]*bufio.Writer, conns)
	for i := range w {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer conn.Close()
		w[i] = bufio.NewWriterSize(conn, 16<<10)
		defer w[i].Flush()
	}
	f, err := os.Open(data)
	if err != nil {
		return
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for i := 0; sc.Scan(); i++ {
		if _, err := io.WriteString(w[i%conns], gen.Syslog(sc.Text())+"\n"); err != nil {
			return
		}
	}
}

func loadAverage() float64 {
	var x float64
	b, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(b), &x) // no figure where there is none
	return x
}
