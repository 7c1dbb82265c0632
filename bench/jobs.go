package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/bench/gen"
)

// job is a piece of work; all who do it read the same lines.
type job struct {
	name  string
	what  string
	data  string // kind of lines: auth, audit
	alone bool   // gatebook's only: no peer has it
	store bool   // into gatebook's store, not to the sink
	tcp   bool   // lines come over the network, not from a file
	real  bool   // into one real Elasticsearch node, not to the sink
	like  string // the peers have the config of this job; empty: of the job itself
}

var jobList = []job{
	{name: "A", what: "raw lines to _bulk", data: "auth"},
	{name: "B", what: "auth lines parsed to fields, to _bulk", data: "auth"},
	{name: "C", what: "JSON audit lines parsed, to _bulk", data: "audit"},
	{name: "D", what: "job A with the disk buffer on (gatebook: always on and fsynced, so D is A)", data: "auth"},
	{name: "E", what: "syslog RFC 5424 over TCP, to _bulk", data: "auth", tcp: true},
	{name: "Z", what: "job B with gzip on the wire", data: "auth", alone: true},
	{name: "X", what: "everything: parse, ECS, GeoIP, redaction, the shipped rules, fsynced buffer, gzip", data: "auth", alone: true},
	{name: "S", what: "auth lines into the embedded store, run --once", data: "auth", alone: true, store: true},
	{name: "ES", what: "job B into one real Elasticsearch node (gatebook: gzip, as by default)", data: "auth", real: true, like: "B"},
	{name: "ESR", what: "job A into one real Elasticsearch node (gatebook: gzip, as by default)", data: "auth", real: true, like: "A"},
}

// config is the job whose config the peers take.
func (j *job) config() string {
	if j.like != "" {
		return j.like
	}
	return j.name
}

func jobNames() string {
	var s []string
	for _, j := range jobList {
		s = append(s, j.name+" "+j.what)
	}
	return strings.Join(s, "; ")
}

func pick(names []string) ([]job, error) {
	var out []job
	for _, n := range names {
		i := slices.IndexFunc(jobList, func(j job) bool { return strings.EqualFold(j.name, n) })
		if i < 0 {
			return nil, fmt.Errorf("unknown job %q: %s", n, jobNames())
		}
		out = append(out, jobList[i])
	}
	return out, nil
}

// data returns the file of that kind with so many lines, making it if it is not there.
func (b *bench) data(kind string) (string, error) {
	path := filepath.Join(b.work, "data", fmt.Sprintf("%s-%d.log", kind, b.n))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return "", fmt.Errorf("make data: %w", err)
	}
	defer f.Close()
	write := map[string]func(io.Writer) error{
		"auth":  func(w io.Writer) error { return gen.Auth(w, b.n, false) },
		"seq":   func(w io.Writer) error { return gen.Auth(w, b.n, true) },
		"audit": func(w io.Writer) error { return gen.Audit(w, b.n) },
	}[kind]
	b.say("making %s", filepath.Base(path))
	if err := write(f); err != nil {
		return "", fmt.Errorf("make data: %w", err)
	}
	return path, os.Rename(path+".part", path)
}

// feed appends the lines of a file to another at a rate, a block every 50 ms.
func feed(ctx context.Context, from, to string, rate int) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	r := bufio.NewReaderSize(in, 1<<20)
	tick := time.NewTicker(blockEvery)
	defer tick.Stop()
	var block []byte
	for {
		block = block[:0]
		for range max(1, rate/blocksPerSecond) {
			line, err := r.ReadSlice('\n')
			block = append(block, line...)
			if errors.Is(err, io.EOF) {
				_, err = out.Write(block)
				return err
			}
			if err != nil {
				return err
			}
		}
		if _, err := out.Write(block); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
