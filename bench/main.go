// Command bench measures gatebook beside rsyslog and syslog-ng: the same jobs over the same generated lines into the same
// sink, one after the other in one session, so that the ratios mean something on a machine whose speed varies.
//
//	bench/gen -> bench-work/data/*.log -> shipper (a process of its own, measured) -> bench/sink in this process
//
// The figure to trust is CPU-seconds (user and system, all threads) per million lines. The peers are Debian's packages,
// unpacked into the work folder on first use and never installed; where that cannot be done they are skipped, and the
// output says so.
//
// It ends with an error where gatebook did not do a job, or lost or doubled a line.
//
//	go run ./bench                                  # jobs A B C D, gatebook, rsyslog, syslog-ng, a million lines
//	go run ./bench -jobs A,B -runs 3 -peers syslogng
//	go run ./bench -jobs S,X                        # gatebook alone: into the store; with everything on
//	go run ./bench -jobs ES,ESR -runs 3 -n 300000   # into a real Elasticsearch, which testkit starts: its CPU, too
//	go run ./bench -mappings all -runs 3 -n 300000  # what a setting or a part of the mapping costs that server
//	go run ./bench -fault kill9,503 -peers syslogng # lost and doubled lines in place of speed
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	b := &bench{}
	jobs := flag.String("jobs", "A,B,C,D", "jobs to run: "+jobNames())
	peers := flag.String("peers", "rsyslog,syslogng", "whom to compare with; empty for nobody")
	faults := flag.String("fault", "", "count lost and doubled lines instead: kill9, 503, 429 (comma-separated)")
	mappings := flag.String("mappings", "", "what settings and parts of our mapping cost a real server: all, or words of their names (comma-separated)")
	flag.IntVar(&b.runs, "runs", 1, "runs of each job; the table shows the median")
	flag.IntVar(&b.n, "n", 1_000_000, "lines")
	flag.IntVar(&b.conns, "conns", 2, "connections of job E")
	flag.IntVar(&b.live, "live", 0, "with -fault: a file that grows by so many lines a second, in place of a whole one")
	flag.StringVar(&b.work, "work", "bench-work", "folder for data, packages and states")
	flag.StringVar(&b.binary, "gatebook", "", `binary to measure; built from this tree if empty, "none" for the peers only`)
	flag.BoolVar(&b.json, "json", false, "results as JSON, one a line, on standard output; the table goes to standard error")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.main(ctx, split(*jobs), split(*peers), split(*faults), split(*mappings)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// bench is one session.
type bench struct {
	n, runs, live int
	conns         int
	work, binary  string
	json          bool

	sink *server
	real *realServer
	who  []shipper
}

func (b *bench) main(ctx context.Context, jobs, peers, faults, mappings []string) (err error) {
	if b.work, err = filepath.Abs(b.work); err != nil {
		return err
	}
	if b.n < 1 || b.runs < 1 || b.conns < 1 {
		return fmt.Errorf("-n, -runs and -conns must be at least 1")
	}
	for _, d := range []string{"data", "bin", "run", "logs"} {
		if err := os.MkdirAll(filepath.Join(b.work, d), 0o755); err != nil {
			return fmt.Errorf("make work folder: %w", err)
		}
	}
	picked, err := pick(jobs)
	if err != nil {
		return err
	}
	if b.sink, err = listen(); err != nil {
		return err
	}
	defer b.sink.close()
	defer func() {
		if b.real != nil {
			err = errors.Join(err, b.real.close())
		}
	}()
	if err := b.setUp(ctx, peers); err != nil {
		return err
	}
	if len(mappings) > 0 {
		return b.mappings(ctx, mappings)
	}
	if len(faults) > 0 {
		return b.faults(ctx, faults)
	}
	return b.speed(ctx, picked)
}

// setUp finds the shippers. A peer that cannot be had is left out; gatebook not building is an error.
func (b *bench) setUp(ctx context.Context, peers []string) error {
	if b.binary != "none" {
		g, err := b.gatebook(ctx)
		if err != nil {
			return err
		}
		b.who = append(b.who, g)
	}
	for _, name := range peers {
		find, ok := peerKinds[name]
		if !ok {
			return fmt.Errorf("unknown peer %q: rsyslog, syslogng", name)
		}
		p, err := find(ctx, b)
		if err != nil {
			b.say("%s is skipped: %v", name, err)
			continue
		}
		b.who = append(b.who, p)
	}
	if len(b.who) == 0 {
		return fmt.Errorf("nobody to measure")
	}
	return nil
}

// print writes a result as JSON, if that is asked for.
func (b *bench) print(v any) error {
	if !b.json {
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// say tells the person at the terminal what happens; results go elsewhere.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
