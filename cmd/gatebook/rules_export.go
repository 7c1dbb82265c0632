package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/kibana/detection"
)

func rulesExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Translate rules for other detection engines",
		Example: "  gatebook rules export kibana --output gatebook-rules.ndjson",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(exportKibanaCommand())
	return cmd
}

func exportKibanaCommand() *cobra.Command {
	var o ruleOptions
	var output, namespace string
	var explain, suppression bool
	cmd := &cobra.Command{
		Use:   "kibana",
		Short: "Write rules of Kibana's detection engine",
		Long: `kibana translates rules into those of Kibana's detection engine (docs/kibana-rules.md): NDJSON for its import API, one rule a line. What became of
each rule, and why some cannot be said there, goes to standard error; with --explain that is all there is, in full, on standard output.`,
		Example: "  gatebook rules export kibana --output gatebook-rules.ndjson\n  gatebook rules export kibana --explain",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if namespace != "" && !agent.ValidNamespace(namespace) {
				return usageError{fmt.Errorf("--namespace %q: lower-case letters, digits, '_' and '.', and no '-'", namespace)}
			}
			s, err := o.load(cmd, true)
			if err != nil {
				return err
			}
			ndjson, report, err := detection.Export(s.set, detection.Options{Namespace: namespace, Now: time.Now(), NoSuppression: !suppression})
			if err != nil {
				return err
			}
			if explain {
				return explainExport(cmd.OutOrStdout(), report)
			}
			if output != "" && output != "-" {
				err = os.WriteFile(output, ndjson, 0o644)
			} else {
				_, err = cmd.OutOrStdout().Write(ndjson)
			}
			if err != nil {
				return err
			}
			return tellExport(cmd.ErrOrStderr(), report)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "file to write (default: standard output)")
	f.StringVar(&namespace, "namespace", "", "read the data streams of this namespace only")
	f.BoolVar(&suppression, "suppression", true, "fold repeated alerts, where the type of rule can and Kibana's licence has it")
	f.BoolVar(&explain, "explain", false, "write no rules; tell what each becomes, how that differs, and what cannot be said")
	return cmd
}

// tellExport is a table with one line a rule.
func tellExport(out io.Writer, report []detection.Result) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tBECOMES\tNOT EXPORTED")
	whole, inPart, made := 0, 0, 0
	for _, r := range report {
		kind := r.Kind()
		switch {
		case kind == "":
			kind = "-"
		case len(r.Missing) > 0:
			inPart++
		default:
			whole++
		}
		made += len(r.Parts)
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Rule.ID, kind, strings.Join(r.Missing, "; "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d rules: %d exported, %d in part, %d not; %d rules of Kibana\n", len(report), whole, inPart, len(report)-whole-inPart, made)
	return err
}

// explainExport says all that is known of each rule.
func explainExport(out io.Writer, report []detection.Result) error {
	var b strings.Builder
	for _, r := range report {
		fmt.Fprintf(&b, "%s\n", r.Rule.ID)
		for _, p := range r.Parts {
			run := ""
			if !p.Kind.Executed() {
				run = ", query not executed before it was shipped"
			}
			state := "off"
			if p.Rule.Enabled {
				state = "on"
			}
			fmt.Fprintf(&b, "  %s: %s (switched %s, every %s from %s%s)\n", p.Rule.RuleID, strings.ReplaceAll(string(p.Kind), "_", " "), state, p.Rule.Interval, p.Rule.From, run)
			for _, d := range p.Differences {
				fmt.Fprintf(&b, "    %s: %s\n", d.Why, d.Text)
			}
		}
		for _, why := range r.Missing {
			fmt.Fprintf(&b, "  not exported: %s\n", why)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
