package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
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
			r, whole, err := o.pair(cmd, args[0], args[1:])
			if err != nil {
				return err
			}
			return r.explain(cmd, &o, whole, args[0], at, document)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "the line to explain, as FILE:LINE of one of the logs")
	f.StringVar(&document, "event", "", "file with one record as JSON to explain; - is standard input")
	return cmd
}

// pair makes an engine that goes as far as the event, and one that reads on to the end of the logs.
func (o *replayOptions) pair(cmd *cobra.Command, rule string, files []string) (r, whole *replayer, err error) {
	s, err := o.loadYear(cmd, false, o.year)
	if err != nil {
		return nil, nil, err
	}
	if err := knownRules(s.set, []string{rule}); err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(s.set.Rules, func(r *rules.Rule) bool { return r.ID == rule })
	if one := s.set.Rules[i]; !one.Enabled {
		one.Enabled = true
		fmt.Fprintf(cmd.ErrOrStderr(), "rule %s is disabled; this is what it would do\n", rule)
	}
	if !s.set.Rules[i].OverAlerts {
		o.only = []string{rule}
	}
	if r, err = o.start(cmd, s, files); err != nil {
		return nil, nil, err
	}
	whole, err = o.start(cmd, s, files)
	return r, whole, err
}

func (r *replayer) explain(cmd *cobra.Command, o *replayOptions, whole *replayer, rule, at, document string) error {
	var explained *engine.Explanation
	var told bytes.Buffer
	var when event.Time
	var name string
	look := func(ev *event.Event, id, place string) {
		fmt.Fprintf(&told, "%s  %s\n", place, eventLine(ev))
		when, name = ev.Time, id
		explained = r.engine.Explain(rule, ev, id)
	}
	file, line := -1, int64(0)
	if at != "" {
		var err error
		if file, line, err = r.lineOf(at); err != nil {
			return err
		}
	}
	if len(r.files) > 0 {
		_, err := whole.read(cmd, o, document != "", func(ev *event.Event, id string) replay.Action {
			if f, n, _ := replay.Place(id); f == file && n == line {
				look(ev, id, at)
			} else if explained == nil {
				r.engine.Add(ev, id)
			}
			return replay.Add
		})
		if err != nil {
			return err
		}
	}
	if document != "" {
		ev, err := readEvent(cmd, document)
		if err != nil {
			return err
		}
		look(ev, "explained", "the event")
		whole.engine.Add(ev, name)
		whole.engine.Finish(0)
	}
	if explained == nil {
		return fmt.Errorf("there is no line %s with an event", at)
	}
	if _, err := told.WriteTo(cmd.OutOrStdout()); err != nil {
		return err
	}
	return r.tellExplanation(cmd.OutOrStdout(), explained, func(g *engine.Group) *replayedAlert { return whole.alertOf(rule, g, when, name) })
}

// alertOf is the alert of a group to which an event belongs, as it closed; nil where it belongs to none.
func (r *replayer) alertOf(rule string, g *engine.Group, when event.Time, id string) *replayedAlert {
	for i := range r.final {
		a := &r.final[i]
		if a.Rule.ID == rule && a.By == g.By && (g.By == "" || slices.Equal(a.Key, g.Key)) && (a.First <= when && when <= a.Last || slices.Contains(a.Evidence, id)) {
			return a
		}
	}
	return nil
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

func (r *replayer) tellExplanation(out io.Writer, x *engine.Explanation, alert func(*engine.Group) *replayedAlert) error {
	file := x.Rule.Range.Filename
	fmt.Fprintf(out, "rule %s (%s:%d), severity %s\n\n", x.Rule.ID, file, x.Rule.Range.Start.Line, x.Rule.Severity)
	if !x.Takes {
		return tellRefusal(out, x)
	}
	if x.Late {
		fmt.Fprint(out, "The event is late: its turn was over, so that it counts but fires nothing.\n\n")
	}
	told := false
	for i := range x.Groups {
		g := &x.Groups[i]
		by := "everything together"
		if g.By != "" {
			by = "by " + g.By
		}
		if g.NoKey {
			fmt.Fprintf(out, "%s: the event lacks a term of the key, and is passed over\n\n", by)
			continue
		}
		if g.By != "" {
			by += ", key " + printable(fmt.Sprintf("%q", g.Key), 200)
		}
		fmt.Fprintln(out, by)
		tellState(out, "before", g.Before)
		parts := g.Parts
		if told { // what the event alone decides has been said
			parts = slices.DeleteFunc(slices.Clone(parts), func(p engine.Part) bool { return p.Of == "when" })
		}
		told = true
		if err := tellParts(out, file, parts); err != nil {
			return err
		}
		tellState(out, "after", g.After)
		fmt.Fprintf(out, "  %s\n", outcomeOf(x.Rule, g))
		if g.Learning != nil {
			fmt.Fprintf(out, "  The rule still learns: for %s more, and %d more events.\n", spanText(g.Learning.For), g.Learning.Events)
		}
		if a := alert(g); a != nil {
			fmt.Fprintf(out, "  It belongs to the alert %q, from %s to %s, hits %d.\n", printable(a.Title, 200), a.First.Std().Format(time.DateTime),
				a.Last.Std().Format(time.DateTime), a.Hits)
		}
		fmt.Fprintln(out)
	}
	if x.Shadow {
		r.tellShadow(out, x.Rule.ID)
	}
	return nil
}

// tellRefusal says why the event is nothing to the rule.
func tellRefusal(out io.Writer, x *engine.Explanation) error {
	if err := tellParts(out, x.Rule.Range.Filename, x.Event); err != nil {
		return err
	}
	switch {
	case x.Relayed:
		fmt.Fprintln(out, "\nThe event was relayed by another Gatebook, and the rule's scope is host.")
	case x.Excepted != "":
		fmt.Fprintf(out, "\nThe exception %s takes the event out.\n", exceptionText(x.Rule, x.Excepted))
	default:
		fmt.Fprintln(out, "\nThe event is nothing to this rule:")
		for _, s := range x.Missing {
			fmt.Fprintf(out, "  %s\n", printable(s, 300))
		}
	}
	return nil
}

// outcomeOf says what came of the event for one key.
func outcomeOf(r *rules.Rule, g *engine.Group) string {
	switch {
	case g.Fired:
		return "It fires: " + printable(g.Title, 200)
	case g.VetoedBy != "":
		return "It would fire; the exception " + exceptionText(r, g.VetoedBy) + " stops it."
	case len(g.Missing) > 0:
		return "It does not fire: " + printable(strings.Join(g.Missing, "; "), 300)
	case g.Asked:
		return "It does not fire anew: this event has fired before."
	}
	return "It does not fire: what is to come has not come yet."
}

// exceptionText names an exception with its reason.
func exceptionText(r *rules.Rule, name string) string {
	for _, e := range r.Except {
		if e.Name != name {
			continue
		}
		text := fmt.Sprintf("%q (%s", name, printable(e.Reason, 200))
		if !e.Expires.IsZero() {
			text += ", until " + e.Expires.Format(time.DateOnly)
		}
		return text + ")"
	}
	return strconv.Quote(name)
}

func (r *replayer) tellShadow(out io.Writer, rule string) {
	if until := r.engine.ShadowUntil(rule); !until.IsZero() {
		fmt.Fprintf(out, "The rule is in shadow until %s: its alerts are stored, and nobody is told.\n", until.Format(time.DateTime))
		return
	}
	fmt.Fprintln(out, "The rule is in shadow: its alerts are stored, and nobody is told.")
}

// spanText is a duration in days where it is that long.
func spanText(d time.Duration) string {
	if days := d.Hours() / 24; days >= 2 {
		return fmt.Sprintf("%.1f days", days)
	}
	return d.Round(time.Second).String()
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

// tellParts lists parts of conditions, each with its value, its place, and indented under what it is a part of.
func tellParts(out io.Writer, file string, parts []engine.Part) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	of := ""
	for _, p := range parts {
		if p.Of != of {
			of = p.Of
			fmt.Fprintf(w, "  %s\n", of)
		}
		value := p.Value
		switch {
		case p.True != nil:
			value = strconv.FormatBool(*p.True)
		case value == "":
			value = "?"
		case len(value) > 8:
			if n, err := strconv.ParseFloat(value, 64); err == nil && strings.Contains(value, ".") {
				value = strconv.FormatFloat(n, 'g', 5, 64)
			}
		}
		place := fmt.Sprintf("%d:%d", p.Range.Start.Line, p.Range.Start.Column)
		if p.Range.Filename != file {
			place = p.Range.Filename + ":" + place
		}
		text := strings.Repeat("  ", min(p.Depth, 20)) + printable(strings.Join(strings.Fields(p.Text), " "), 100)
		if p.Actual != "" && (p.True == nil || !*p.True) {
			text += "   (" + printable(p.Actual, 100) + ")"
		}
		fmt.Fprintf(w, "    %s\t%s\t%s\n", printable(value, 40), printable(place, 60), text)
	}
	return w.Flush()
}
