package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// replayOptions say what is replayed through which rules.
type replayOptions struct {
	ruleOptions
	parser string
	year   int
	only   []string
	state  string
	span   chosen
}

func (o *replayOptions) flags(cmd *cobra.Command) {
	o.ruleOptions.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.parser, "parser", "auto", "parser of the logs, or label of a parser block of the config")
	f.IntVar(&o.year, "year", 0, "year of times that carry none (default: the nearest to now)")
	f.StringVar(&o.state, "state", "64MiB", "most memory for the rules' state")
}

// replayer is a set of rules being run over logs.
type replayer struct {
	*ruleSetup
	engine *engine.Engine
	files  []string
	final  []replayedAlert
	told   int // notices
}

// replayedAlert is an alert as it closed.
type replayedAlert struct {
	engine.Alert
	evidence []string // file:line
}

// start makes the engine, with only some of the rules where that is said.
func (o *replayOptions) start(cmd *cobra.Command, s *ruleSetup, files []string) (*replayer, error) {
	if err := knownRules(s.set, o.only); err != nil {
		return nil, err
	}
	budget, err := conf.ParseSize(o.state)
	if err != nil {
		return nil, usageError{fmt.Errorf("--state: %w", err)}
	}
	for _, r := range s.set.Rules {
		if len(o.only) > 0 {
			r.Enabled = slices.Contains(o.only, r.ID)
		}
	}
	r := &replayer{ruleSetup: s, files: files}
	r.engine, err = engine.New(engine.Options{Rules: s.set, Zone: s.zone, Budget: budget, Installation: "replay", Fleet: true, Alert: r.alert,
		Tell: func(n engine.Notice) {
			if r.told++; r.told <= 10 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", n.Kind, n.Message)
			}
		}})
	return r, err
}

func (r *replayer) alert(a *engine.Alert) {
	if a.State != engine.StateClose || a.Merged {
		return
	}
	kept := replayedAlert{Alert: *a}
	for _, id := range a.Evidence {
		kept.evidence = append(kept.evidence, r.place(id))
	}
	r.final = append(r.final, kept)
}

// place is file:line of an event, or the id of an alert.
func (r *replayer) place(id string) string {
	file, line, ok := replay.Place(id)
	if !ok || file < 0 || file >= len(r.files) {
		return id
	}
	return fmt.Sprintf("%s:%d", r.files[file], line)
}

// read reads the logs.
func (r *replayer) read(cmd *cobra.Command, o *replayOptions, unfinished bool, each func(*event.Event, string) replay.Action) (replay.Result, error) {
	progress, done := progressOn(cmd.ErrOrStderr())
	defer done()
	return replay.Run(cmd.Context(), replay.Options{Parsers: r.config.Parsers, Parser: o.parser, Enrichers: r.config.Enrichers.Enrichers(), Host: r.config.Name,
		Engine: r.engine, Event: each, Unfinished: unfinished, Progress: progress}, r.files, cmd.InOrStdin())
}

// run reads the logs to the end, and sorts what was found.
func (r *replayer) run(cmd *cobra.Command, o *replayOptions) (replay.Result, error) {
	result, err := r.read(cmd, o, false, o.span.choose())
	slices.SortStableFunc(r.final, func(a, b replayedAlert) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Rule.ID, b.Rule.ID), cmp.Compare(a.By, b.By), slices.Compare(a.Key, b.Key))
	})
	return result, err
}

// progressOn shows on a terminal how far it is.
func progressOn(out io.Writer) (show func(replay.Result), done func()) {
	if !isTerminal(out) {
		return nil, func() {}
	}
	last := time.Now()
	return func(r replay.Result) {
		if time.Since(last) > 200*time.Millisecond {
			last = time.Now()
			fmt.Fprintf(out, "\r\x1b[K%d lines, %s", r.Lines, r.Last.Std().Format(time.DateTime))
		}
	}, func() { fmt.Fprint(out, "\r\x1b[K") }
}

// timeSpan is which events count, by their time.
type timeSpan struct{ since, until string }

func (s *timeSpan) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.since, "since", "", "leave out events before this time, such as 2026-11-09 or 2026-11-09T08:00:00Z")
	cmd.Flags().StringVar(&s.until, "until", "", "leave out events from this time on")
}

// chosen are the times of a timeSpan.
type chosen struct{ since, until event.Time }

func (s *timeSpan) read(zone *time.Location) (c chosen, err error) {
	for _, one := range []struct {
		name, text string
		to         *event.Time
	}{{"since", s.since, &c.since}, {"until", s.until, &c.until}} {
		if one.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, one.text)
		for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.DateTime} {
			if err != nil {
				t, err = time.ParseInLocation(layout, one.text, zone)
			}
		}
		if err != nil {
			return c, usageError{fmt.Errorf("--%s %q: want a time such as 2026-11-09 or 2026-11-09T08:00:00Z", one.name, one.text)}
		}
		*one.to = event.TimeOf(t)
	}
	return c, nil
}

// choose says of each event whether the rules get it; nil: they get all.
func (c chosen) choose() func(*event.Event, string) replay.Action {
	if c == (chosen{}) {
		return nil
	}
	return func(ev *event.Event, _ string) replay.Action {
		if ev.Time < c.since || c.until != 0 && ev.Time >= c.until {
			return replay.Skip
		}
		return replay.Add
	}
}

func rulesReplayCommand() *cobra.Command {
	var o replayOptions
	var span timeSpan
	var output string
	var shadow bool
	cmd := &cobra.Command{
		Use:   "replay LOGFILE...",
		Short: "Show what rules would have found in logs",
		Long: `replay runs rules over log files (also .gz, and - for standard input), through the real parsers and on the time of the events: the alerts are those
that the agent would have told, each as it closed. Several files are read together, by time.`,
		Example: "  gatebook rules replay /var/log/auth.log*\n  gatebook rules replay --rule auth.spraying --output json access.log | jq .",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			if output != "table" && output != "json" && output != "summary" {
				return usageError{fmt.Errorf("--output %q: want table, json or summary", output)}
			}
			s, err := o.loadYear(cmd, false, o.year)
			if err != nil {
				return err
			}
			r, err := o.start(cmd, s, files)
			if err != nil {
				return err
			}
			if o.span, err = span.read(s.zone); err != nil {
				return err
			}
			result, err := r.run(cmd, &o)
			if err != nil {
				return err
			}
			hidden := 0
			if !shadow {
				all := len(r.final)
				r.final = slices.DeleteFunc(r.final, func(a replayedAlert) bool { return a.Shadow })
				hidden = all - len(r.final)
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			switch output {
			case "json":
				r.json(w)
			case "table":
				err = r.table(w)
			default:
				err = r.summary(w)
			}
			if err := cmp.Or(err, w.Flush()); err != nil {
				return err
			}
			r.tell(cmd.ErrOrStderr(), result, hidden)
			return nil
		},
	}
	o.flags(cmd)
	span.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.only, "rule", nil, "only this rule; may be given several times")
	f.StringVarP(&output, "output", "o", "table", "table, json (one ECS document a line) or summary (by rule, day and key)")
	f.BoolVar(&shadow, "shadow", false, "show alerts in shadow too")
	return cmd
}

func (r *replayer) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FIRST\tLAST\tSEVERITY\tRULE\tKEY\tHITS\tALERT\tEVIDENCE")
	for _, a := range r.final {
		severity := string(a.Rule.Severity)
		if a.Shadow {
			severity += " (shadow)"
		}
		last, evidence := "", ""
		if a.Last != a.First {
			last = a.Last.Std().Format(time.DateTime)
		}
		if n := len(a.evidence); n > 0 {
			evidence = a.evidence[0]
			if n > 1 {
				evidence += " to " + strings.TrimPrefix(a.evidence[n-1], strings.SplitAfter(evidence, ":")[0])
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", a.First.Std().Format(time.DateTime), last, severity, a.Rule.ID, printable(strings.Join(a.Key, ", "), 60),
			a.Hits, printable(a.Title, 200), evidence)
	}
	return w.Flush()
}

func (r *replayer) json(out *bufio.Writer) {
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true, Agent: event.AgentInfo{Name: r.config.Name, Version: version}})
	var ev event.Event
	var doc []byte
	for _, a := range r.final {
		ev.Reset()
		a.Fill(&ev)
		for i, place := range a.evidence {
			ev.NeedAlert().Events[i] = place
		}
		ev.Finish()
		doc = enc.AppendDocument(doc[:0], &ev)
		out.Write(append(doc, '\n'))
	}
}

// summary counts alerts by rule, by day, and by key.
func (r *replayer) summary(out io.Writer) error {
	type tally struct {
		rule *rules.Rule
		name string
		n    int
	}
	count := func(of func(*replayedAlert) (string, *rules.Rule)) []tally {
		by := map[string]*tally{}
		for i := range r.final {
			name, rule := of(&r.final[i])
			if by[name] == nil {
				by[name] = &tally{rule: rule, name: name}
			}
			by[name].n++
		}
		list := make([]tally, 0, len(by))
		for _, t := range by {
			list = append(list, *t)
		}
		slices.SortFunc(list, func(a, b tally) int { return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.name, b.name)) })
		return list
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ALERTS\tRULE\tSEVERITY")
	for _, t := range count(func(a *replayedAlert) (string, *rules.Rule) { return a.Rule.ID, a.Rule }) {
		fmt.Fprintf(w, "%d\t%s\t%s\n", t.n, t.name, t.rule.Severity)
	}
	fmt.Fprintln(w, "\nALERTS\tDAY\tRULES")
	ofDay := map[string]map[string]int{}
	for i := range r.final {
		day := r.final[i].First.Std().Format(time.DateOnly)
		if ofDay[day] == nil {
			ofDay[day] = map[string]int{}
		}
		ofDay[day][r.final[i].Rule.ID]++
	}
	days := count(func(a *replayedAlert) (string, *rules.Rule) { return a.First.Std().Format(time.DateOnly), a.Rule })
	slices.SortFunc(days, func(a, b tally) int { return strings.Compare(a.name, b.name) })
	for _, t := range days {
		var list []string
		for _, id := range slices.Sorted(maps.Keys(ofDay[t.name])) {
			list = append(list, fmt.Sprintf("%s %d", id, ofDay[t.name][id]))
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", t.n, t.name, strings.Join(list, ", "))
	}
	fmt.Fprintln(w, "\nALERTS\tKEY")
	keys := count(func(a *replayedAlert) (string, *rules.Rule) { return printable(strings.Join(a.Key, ", "), 200), a.Rule })
	for i, t := range keys {
		if i == 20 {
			break
		}
		fmt.Fprintf(w, "%d\t%s\n", t.n, t.name)
	}
	return w.Flush()
}

// tell says what was read.
func (r *replayer) tell(out io.Writer, result replay.Result, hidden int) {
	s := r.engine.Stats()
	fmt.Fprintf(out, "%d lines of %d files", result.Lines, len(r.files))
	if result.Lines > 0 {
		fmt.Fprintf(out, " from %s to %s in %.1f s, %.0f lines/s", result.First.Std().Format(time.DateTime), result.Last.Std().Format(time.DateTime), result.Took.Seconds(),
			float64(result.Lines)/max(result.Took.Seconds(), 1e-3))
	}
	fmt.Fprintf(out, "; %d alerts", len(r.final))
	if hidden > 0 {
		fmt.Fprintf(out, ", %d more in shadow (--shadow)", hidden)
	}
	fmt.Fprintln(out)
	if result.Failed > 0 {
		fmt.Fprintf(out, "%d lines were not recognized; see gatebook parse\n", result.Failed)
	}
	if s.EvictedKeys > 0 || s.Forced > 0 || s.Late > 0 {
		fmt.Fprintf(out, "%d keys were given up (--state), %d events had their turn early, %d late\n", s.EvictedKeys, s.Forced, s.Late)
	}
}

// logNames are the files as messages name them.
func logNames(files []string) string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = filepath.Base(f)
	}
	return strings.Join(names, ", ")
}
