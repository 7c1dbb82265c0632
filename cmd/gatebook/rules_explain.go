package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules/engine"
)

func rulesExplainCommand() *cobra.Command {
	var o replayOptions
	var at, document string
	cmd := &cobra.Command{
		Use:   "explain RULE LOGFILE... --at FILE:LINE",
		Short: "Show what a rule makes of one event, and why",
		Long: `explain replays logs up to one line and shows what a rule makes of its event: the value of each part of its conditions, the state of the key before and
after, what is missing, which exception stopped it. --event takes a record as JSON (such as a line of gatebook parse or query) as the event, after the logs.`,
		Example: "  gatebook rules explain auth.bruteforce /var/log/auth.log --at /var/log/auth.log:812\n" +
			"  gatebook query --output json 'ip=203.0.113.9' | tail -1 | gatebook rules explain auth.bruteforce --event -",
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (at == "") == (document == "") {
				return usageError{fmt.Errorf("--at FILE:LINE or --event FILE: say which event")}
			}
			s, err := o.loadYear(cmd, false, o.year)
			if err != nil {
				return err
			}
			if err := knownRules(s.set, args[:1]); err != nil {
				return err
			}
			r, err := o.start(cmd, s, args[1:])
			if err != nil {
				return err
			}
			return r.explain(cmd, &o, args[0], at, document)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "the line to explain, as FILE:LINE of one of the logs")
	f.StringVar(&document, "event", "", "file with one record as JSON to explain; - is standard input")
	return cmd
}

func (r *replayer) explain(cmd *cobra.Command, o *replayOptions, rule, at, document string) error {
	var explained *engine.Explanation
	var told bytes.Buffer
	look := func(ev *event.Event, id, place string) {
		fmt.Fprintf(&told, "%s  %s\n", place, eventLine(ev))
		explained = r.engine.Explain(rule, ev, id)
	}
	var each func(*event.Event, string) replay.Action
	if at != "" {
		file, line, err := r.lineOf(at)
		if err != nil {
			return err
		}
		each = func(ev *event.Event, id string) replay.Action {
			if f, n, _ := replay.Place(id); f != file || n != line {
				return replay.Add
			}
			look(ev, id, at)
			return replay.Stop
		}
	}
	if len(r.files) > 0 {
		if _, err := r.runUnfinished(cmd, o, each); err != nil {
			return err
		}
	}
	if document != "" {
		ev, err := readEvent(cmd, document)
		if err != nil {
			return err
		}
		look(ev, "explained", "the event")
	}
	if explained == nil {
		if told.Len() == 0 {
			return fmt.Errorf("there is no line %s with an event", at)
		}
		return fmt.Errorf("rule %s does not run: it is disabled", rule)
	}
	if _, err := told.WriteTo(cmd.OutOrStdout()); err != nil {
		return err
	}
	return r.tellExplanation(cmd.OutOrStdout(), explained)
}

// runUnfinished is run, after which the engine can be given more.
func (r *replayer) runUnfinished(cmd *cobra.Command, o *replayOptions, each func(*event.Event, string) replay.Action) (replay.Result, error) {
	return replay.Run(cmd.Context(), replay.Options{Parsers: r.config.Parsers, Parser: o.parser, Enrichers: r.config.Enrichers.Enrichers(), Host: r.config.Name,
		Engine: r.engine, Event: each, Unfinished: true}, r.files, cmd.InOrStdin())
}

// lineOf reads FILE:LINE.
func (r *replayer) lineOf(at string) (file int, line int64, err error) {
	i := strings.LastIndexByte(at, ':')
	if i < 0 {
		return 0, 0, usageError{fmt.Errorf("--at %q: want FILE:LINE", at)}
	}
	line, err = strconv.ParseInt(at[i+1:], 10, 64)
	if err != nil || line < 1 {
		return 0, 0, usageError{fmt.Errorf("--at %q: %q is no line number", at, at[i+1:])}
	}
	for n, name := range r.files {
		if name == at[:i] {
			return n, line, nil
		}
	}
	return 0, 0, usageError{fmt.Errorf("--at %q: the file is none of the logs (%s)", at, strings.Join(r.files, ", "))}
}

func readEvent(cmd *cobra.Command, path string) (*event.Event, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	const most = 4 << 20
	text, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	ev := &event.Event{}
	if err := event.FromJSON(bytes.TrimSpace(text), ev); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	if ev.Time == 0 {
		return nil, fmt.Errorf("read the event: it has no @timestamp")
	}
	return ev, nil
}

// eventLine is an event in short.
func eventLine(ev *event.Event) string {
	parts := []string{ev.Time.Std().Format(time.RFC3339), strings.TrimPrefix(ev.Dataset, event.DatasetPrefix), ev.Action.String(), string(ev.Outcome), ev.User.Name, ev.Source.IP, ev.Host.Name}
	var shown []string
	for _, s := range parts {
		if s != "" {
			shown = append(shown, printable(s, 100))
		}
	}
	return strings.Join(shown, "  ")
}

func (r *replayer) tellExplanation(out io.Writer, x *engine.Explanation) error {
	fmt.Fprintf(out, "rule %s (%s:%d), severity %s\n\n", x.Rule.ID, x.Rule.Range.Filename, x.Rule.Range.Start.Line, x.Rule.Severity)
	if !x.Takes {
		if err := tellParts(out, x.Event); err != nil {
			return err
		}
		if x.Excepted != "" {
			fmt.Fprintf(out, "\nThe exception %q takes the event out.\n", x.Excepted)
			return nil
		}
		fmt.Fprintln(out, "\nThe event is nothing to this rule: see what is false above.")
		return nil
	}
	if x.Late {
		fmt.Fprintln(out, "The event is late: its turn was over, so that it counts but fires nothing.")
	}
	for _, g := range x.Groups {
		by := "everything together"
		if g.By != "" {
			by = "by " + g.By
		}
		if g.Missing {
			fmt.Fprintf(out, "%s: the event lacks a term of the key, and is passed over\n\n", by)
			continue
		}
		fmt.Fprintf(out, "%s, key %q\n", by, g.Key)
		tellState(out, "before", g.Before)
		parts := g.Parts
		if len(parts) == 0 {
			parts = x.Event
		}
		if err := tellParts(out, parts); err != nil {
			return err
		}
		tellState(out, "after", g.After)
		switch {
		case g.Fired:
			fmt.Fprintf(out, "  It fires: %s\n", printable(g.Title, 200))
		case g.Vetoed:
			fmt.Fprintln(out, "  It would fire; an exception stops it.")
		default:
			fmt.Fprintln(out, "  It does not fire.")
		}
		if g.Learning {
			fmt.Fprintf(out, "  The rule still learns this key: %s and %d events.\n", x.Rule.Learn.For, x.Rule.Learn.MinEvents)
		}
		fmt.Fprintln(out)
	}
	if x.Shadow {
		if until := r.engine.ShadowUntil(x.Rule.ID); !until.IsZero() {
			fmt.Fprintf(out, "The rule is in shadow until %s: its alerts are stored, and nobody is told.\n", until.Format(time.DateTime))
		} else {
			fmt.Fprintln(out, "The rule is in shadow: its alerts are stored, and nobody is told.")
		}
	}
	return nil
}

func tellState(out io.Writer, when string, lines []string) {
	if len(lines) == 0 {
		lines = []string{"nothing"}
	}
	for _, s := range lines {
		fmt.Fprintf(out, "  %-6s  %s\n", when, s)
		when = ""
	}
}

// tellParts lists parts of conditions, each with its place and what it came to.
func tellParts(out io.Writer, parts []engine.Part) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, p := range parts {
		value := p.Value
		switch {
		case p.True != nil:
			value = strconv.FormatBool(*p.True)
		case value == "":
			value = "?"
		}
		text := strings.Join(strings.Fields(p.Text), " ")
		fmt.Fprintf(w, "  %s\t%d:%d\t%s\n", printable(value, 40), p.Range.Start.Line, p.Range.Start.Column, printable(text, 100))
	}
	return w.Flush()
}
