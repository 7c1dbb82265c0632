package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/rules"
)

func rulesPlanCommand() *cobra.Command {
	var o replayOptions
	var old, next, output string
	cmd := &cobra.Command{
		Use:   "plan --old DIR --new DIR LOGFILE...",
		Short: "Show what a change of rules would change",
		Long: `plan runs two versions of rules over the same logs, and shows which alerts are gained and lost, and which rules keep their state when the agent
reloads. The shipped rules belong to both, unless --library=false.`,
		Example: "  gatebook rules plan --old /etc/gatebook/rules.d --new ./rules.d /var/log/auth.log",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q: want table or json", output)}
			}
			if old == "" || next == "" {
				return usageError{fmt.Errorf("--old and --new: name the folders or files of both versions")}
			}
			var sides [2]*replayer
			for i, dir := range []string{old, next} {
				o := o
				o.rules = dir
				s, err := o.loadYear(cmd, false, o.year)
				if err != nil {
					return err
				}
				if sides[i], err = o.start(cmd, s, files); err != nil {
					return err
				}
				if _, err := sides[i].run(cmd, &o); err != nil {
					return err
				}
			}
			return tellPlan(cmd, sides[0], sides[1], output)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&old, "old", "", "folder or file of the rules as they are")
	f.StringVar(&next, "new", "", "folder or file of the rules as they are to be")
	f.StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// planLine is what becomes of an alert or a rule.
type planLine struct {
	Change   string    `json:"change"` // gained, lost, changed; of rules: new, gone, state-kept, state-reset
	Rule     string    `json:"rule"`
	Time     time.Time `json:"time,omitzero"`
	Key      []string  `json:"key,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Alert    string    `json:"alert,omitempty"`
	Before   string    `json:"before,omitempty"`
	Old      *int      `json:"old,omitempty"` // of rules: alerts by the old version, and by the new one
	New      *int      `json:"new,omitempty"`
}

func tellPlan(cmd *cobra.Command, old, next *replayer, output string) error {
	lines := append(planRules(old, next), planAlerts(old.final, next.final)...)
	out := cmd.OutOrStdout()
	if output == "json" {
		enc := json.NewEncoder(out)
		for _, l := range lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CHANGE\tRULE\tTIME\tSEVERITY\tALERT")
	same := 0
	for _, l := range lines {
		if l.Old != nil {
			if l.Change == "state-kept" {
				same++
				if *l.Old == *l.New {
					continue
				}
			}
			fmt.Fprintf(w, "%s\t%s\t\t%s\t%d alerts, were %d\n", l.Change, l.Rule, l.Severity, *l.New, *l.Old)
			continue
		}
		alert := l.Alert
		if l.Before != "" {
			alert += " (was: " + l.Before + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Change, l.Rule, l.Time.Format(time.DateTime), l.Severity, alert)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	count := func(change string) (n int) {
		for _, l := range lines {
			if l.Change == change {
				n++
			}
		}
		return n
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d alerts gained, %d lost, %d changed of %d; %d rules keep their state, %d begin anew, %d new, %d gone\n", logNames(next.files),
		count("gained"), count("lost"), count("changed"), len(old.final), same, count("state-reset"), count("new"), count("gone"))
	return nil
}

// planRules tells what becomes of each rule's state.
func planRules(old, next *replayer) (lines []planLine) {
	before, after := enabled(old.set), enabled(next.set)
	were, are := countByRule(old.final), countByRule(next.final)
	line := func(change string, r *rules.Rule) {
		was, is := were[r.ID], are[r.ID]
		lines = append(lines, planLine{Change: change, Rule: r.ID, Severity: string(r.Severity), Old: &was, New: &is})
	}
	for _, r := range next.set.Rules {
		switch was := before[r.ID]; {
		case !r.Enabled:
		case was == nil:
			line("new", r)
		case was.Meaning != r.Meaning:
			line("state-reset", r)
		default:
			line("state-kept", r)
		}
	}
	for _, r := range old.set.Rules {
		if r.Enabled && after[r.ID] == nil {
			line("gone", r)
		}
	}
	return lines
}

func countByRule(list []replayedAlert) map[string]int {
	counts := map[string]int{}
	for i := range list {
		counts[list[i].Rule.ID]++
	}
	return counts
}

func enabled(set *rules.Set) map[string]*rules.Rule {
	m := map[string]*rules.Rule{}
	for _, r := range set.Rules {
		if r.Enabled {
			m[r.ID] = r
		}
	}
	return m
}

// planAlerts holds two lists of alerts against each other: by rule, grouping, key and first hit.
func planAlerts(old, next []replayedAlert) (lines []planLine) {
	name := func(a *replayedAlert) string {
		return strings.Join(append([]string{a.Rule.ID, a.By, a.First.String()}, a.Key...), "\x00")
	}
	line := func(change string, a *replayedAlert) planLine {
		return planLine{Change: change, Rule: a.Rule.ID, Time: a.First.Std(), Key: a.Key, Severity: shown(a), Alert: printable(a.Title, 200)}
	}
	before := map[string]*replayedAlert{}
	for i := range old {
		before[name(&old[i])] = &old[i]
	}
	for i := range next {
		a := &next[i]
		was := before[name(a)]
		delete(before, name(a))
		switch {
		case was == nil:
			lines = append(lines, line("gained", a))
		case was.Hits != a.Hits || shown(was) != shown(a) || was.Last != a.Last:
			l := line("changed", a)
			l.Before = fmt.Sprintf("%s, %d hits until %s", shown(was), was.Hits, was.Last.Std().Format(time.DateTime))
			lines = append(lines, l)
		}
	}
	for i := range old {
		if before[name(&old[i])] != nil {
			lines = append(lines, line("lost", &old[i]))
		}
	}
	slices.SortStableFunc(lines, func(a, b planLine) int { return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Rule, b.Rule)) })
	return lines
}

// shown is the severity of an alert, and whether anybody is told.
func shown(a *replayedAlert) string {
	if a.Shadow {
		return string(a.Rule.Severity) + " (shadow)"
	}
	return string(a.Rule.Severity)
}
