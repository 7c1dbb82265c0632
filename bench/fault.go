package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/gatebook/gatebook/bench/sink"
)

// loss is what a fault run found.
type loss struct {
	Who       string     `json:"who"`
	Fault     string     `json:"fault"`
	Live      int        `json:"live_lines_per_s,omitempty"`
	KilledAt  int64      `json:"killed_at,omitempty"`
	Lost      int64      `json:"lost"`
	Doubled   int64      `json:"doubled"`
	Seconds   float64    `json:"seconds"`
	Sink      sink.Stats `json:"sink"`
	Trouble   string     `json:"error,omitempty"`
	faultKind int
}

const (
	faultLasts = 20 * time.Second
	slowSink   = 30 * time.Millisecond // a bulk, so that a fault meets it half way
	settle     = 4 * time.Second       // for what may still come after the last line
)

// faults runs every fault with everybody: kill -9 when 3 of 10 documents have arrived, and a restart after a second; or a
// sink that refuses everything for 20 s from there on. Every line carries its number. Everybody is set up as safe as it can
// be; a document with an _id that the sink has already is refused, as Elasticsearch would.
func (b *bench) faults(ctx context.Context, kinds []string) error {
	var all []loss
	for _, kind := range kinds {
		status, err := strconv.Atoi(kind)
		if kind != "kill9" && (err != nil || status < 400) {
			return fmt.Errorf("unknown fault %q: kill9, 503, 429", kind)
		}
		for _, s := range b.who {
			b.say("fault %s: %s", kind, s.name)
			l := loss{Who: s.name, Fault: kind, Live: b.live, faultKind: status}
			if err := b.fault(ctx, s, &l); err != nil {
				return err
			}
			if l.Trouble != "" {
				b.say("  %s", l.Trouble)
			}
			if err := b.print(l); err != nil {
				return err
			}
			all = append(all, l)
		}
	}
	out := os.Stdout
	if b.json {
		out = os.Stderr
	}
	if err := lossTable(out, all, b.n); err != nil {
		return err
	}
	for _, l := range all {
		if l.Who == "gatebook" && (l.Lost > 0 || l.Doubled > 0) {
			return fmt.Errorf("gatebook lost %d and doubled %d lines at fault %s", l.Lost, l.Doubled, l.Fault)
		}
	}
	return nil
}

func (b *bench) fault(ctx context.Context, s shipper, l *loss) error {
	data, err := b.data("seq")
	if err != nil {
		return err
	}
	whole := data
	if b.live > 0 {
		data = filepath.Join(b.work, "data", "live.log")
		if err := os.WriteFile(data, nil, 0o644); err != nil {
			return err
		}
	}
	t, err := b.prepare(job{name: "A"}, s, data)
	if err != nil {
		return err
	}
	t.safe = true
	cmd, err := s.command(t)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", s.name, err)
	}
	b.sink.Reset(sink.Settings{Seq: b.n, IDs: true, Delay: slowSink})
	at := int64(b.n) * 3 / 10
	if l.faultKind != 0 {
		b.sink.SetFault(l.faultKind, at, faultLasts)
	}
	start := time.Now()
	p, err := startProcess(cmd, b.log(s))
	if err != nil {
		return err
	}
	defer func() { p.kill() }()
	if b.live > 0 {
		fctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			if err := feed(fctx, whole, data, b.live); err != nil && fctx.Err() == nil {
				b.say("  feed: %v", err)
			}
		}()
	}
	if l.Fault == "kill9" {
		if err := b.until(ctx, p, l, func() bool { return b.sink.Docs() >= at }); err != nil {
			return err
		}
		p.kill()
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		l.KilledAt = b.sink.Docs()
		if s.restart != nil {
			s.restart(t)
		}
		l.Trouble = "" // what the first process did is judged by what is lost
		if p, err = startProcess(cmd, b.log(s)); err != nil {
			return err
		}
	}
	if err := b.until(ctx, p, l, func() bool { return b.sink.Docs() >= int64(b.n) && b.sink.Stats().Missing == 0 }); err != nil {
		return err
	}
	l.Seconds = time.Since(start).Seconds()
	if err := pause(ctx, settle); err != nil {
		return err
	}
	p.stop()
	l.Sink = b.sink.Stats()
	l.Lost, l.Doubled = l.Sink.Missing, l.Sink.Doubled
	if l.Trouble != "" {
		l.Trouble += "\n" + logTail(b.log(s))
	}
	return nil
}

// until waits for a condition, for the end of the process, or until nothing has come for a time.
func (b *bench) until(ctx context.Context, p *process, l *loss, cond func() bool) error {
	last, lastAt := b.sink.Progress(), time.Now()
	for !cond() {
		if err := pause(ctx, 30*time.Millisecond); err != nil {
			return err
		}
		if n := b.sink.Progress(); n != last {
			last, lastAt = n, time.Now()
		}
		switch {
		case p.ended():
			l.Trouble = fmt.Sprintf("it ended (%s)", p.how())
			return nil
		case time.Since(lastAt) > faultLasts+startWithin:
			l.Trouble = fmt.Sprintf("nothing came any more after %d documents", b.sink.Docs())
			return nil
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func lossTable(w io.Writer, all []loss, n int) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%d numbered lines\n", n)
	fmt.Fprintln(tw, "fault\twho\tlost\tdoubled\tkilled at\trefused 409\trefused by fault\tseconds\t")
	for _, l := range all {
		note := ""
		if l.Trouble != "" {
			note = "see above"
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f\t %s\n", l.Fault, l.Who, l.Lost, l.Doubled, l.KilledAt, l.Sink.Conflicts, l.Sink.RejectedDocs, l.Seconds, note)
	}
	return tw.Flush()
}
