package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/inputs/tail"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/outputs"
)

// recordHealth appends, every so often, a record of how this Gatebook does: whoever looks at a fleet sees which one is behind, and which one is silent.
func (g *generation) recordHealth(ctx context.Context) {
	if g.config.Health == 0 {
		return
	}
	tick := time.NewTicker(g.config.Health)
	defer tick.Stop()
	last := g.tally()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := g.tally()
		if _, err := g.pipeline.Event(ctx, func(ev *event.Event) { g.fillHealth(ev, last, now) }); err != nil {
			if ctx.Err() == nil {
				g.agent.log.Error("how this Gatebook does could not be appended", "error", err)
			}
			continue
		}
		last = now
	}
}

// tally is what has been done since the start or the last reload.
type tally struct{ lines, events, failures, delivered, deadLetters int64 }

func (g *generation) tally() tally {
	n := g.pipeline.Counters()
	t := tally{lines: int64(n.Read.Load()), events: int64(n.Appended.Load()), failures: int64(n.ParseFailures.Load())}
	for _, o := range g.outputs {
		f := o.stats.Figures()
		t.delivered += f.Delivered
		t.deadLetters += f.DeadLettered
	}
	return t
}

// fillHealth makes the record. It names figures, kinds and labels of the config, and errors of outputs: nothing of an event.
func (g *generation) fillHealth(ev *event.Event, last, now tally) {
	a := g.agent
	ev.Kind, ev.Dataset, ev.Code = event.KindState, event.DatasetPrefix+"agent", "health"
	ev.Created = event.TimeOf(time.Now())
	ev.Time, ev.Host.Name = ev.Created, g.config.Name
	h := ev.NeedHealth()
	h.Status, h.Problems = "ok", a.troubles()
	if len(h.Problems) > 0 {
		h.Status = "degraded"
	}
	h.Uptime = event.LongOf(int64(time.Since(a.started).Seconds()))
	h.Lines, h.Events = event.LongOf(now.lines-last.lines), event.LongOf(now.events-last.events)
	h.ParseFailures = event.LongOf(now.failures - last.failures)
	h.Delivered, h.DeadLetters = event.LongOf(now.delivered-last.delivered), event.LongOf(now.deadLetters-last.deadLetters)
	waiting, unread := int64(0), int64(0)
	for _, l := range g.logs {
		for _, r := range l.Readers() {
			if r.Open {
				waiting = max(waiting, r.Waiting)
			}
		}
	}
	for _, in := range g.inputs {
		if files, ok := filesOf(in); ok {
			lag, _ := behind(files)
			unread += lag
		}
	}
	s := a.buffer.Stats()
	h.Waiting, h.Unread, h.Buffer, h.BufferMost = event.LongOf(waiting), event.LongOf(unread), event.LongOf(s.Bytes), event.LongOf(s.MaxBytes)
	ev.Message = fmt.Sprintf("Gatebook is %s: %d lines read in %s, %d items wait in a buffer of %s", h.Status, h.Lines.N, g.config.Health, waiting, conf.FormatSize(s.Bytes))
}

// troubles says why not all is well; none where it is.
func (a *Agent) troubles() []string {
	var list []string
	if s := a.buffer.Stats(); s.Full != "" {
		list = append(list, "buffer is full: "+s.Full)
	}
	if g := a.running(); g != nil {
		for _, o := range g.outputs {
			if f := o.stats.Figures(); f.State != outputs.StateOK {
				list = append(list, fmt.Sprintf("output %q: %s", o.label, f.State))
			}
		}
	}
	return list
}

// filesOf tells of the files that an input follows, where it follows files.
func filesOf(in inputs.Input) ([]tail.FileStats, bool) {
	f, ok := in.(interface{ Files() []tail.FileStats })
	if !ok {
		return nil, false
	}
	return f.Files(), true
}

// behind tells how many bytes of files are not read yet, and how many files cannot be read.
func behind(files []tail.FileStats) (lag int64, failing int) {
	for _, s := range files {
		lag += s.Lag
		if s.Err != "" {
			failing++
		}
	}
	return lag, failing
}
