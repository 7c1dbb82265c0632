package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/rules"
)

func rulesListCommand() *cobra.Command {
	var o ruleOptions
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the rules",
		Long:    `list shows the rules that would run: id, severity, mode, what they look for.`,
		Example: "  gatebook rules list\n  gatebook rules list --config gatebook.hcl --output json",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q: want table or json", output)}
			}
			s, err := o.load(cmd, false)
			if err != nil {
				return err
			}
			return listRules(cmd, s.set, output)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func listRules(cmd *cobra.Command, set *rules.Set, output string) error {
	out := cmd.OutOrStdout()
	if output == "json" {
		enc := json.NewEncoder(out)
		for _, r := range set.Rules {
			if err := enc.Encode(ruleRow(r)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSEVERITY\tMODE\tATT&CK\tLOOKS FOR")
	for _, r := range set.Rules {
		row := ruleRow(r)
		technique := ""
		if len(row.Attack) > 0 {
			technique = row.Attack[0]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", row.ID, row.Severity, row.Mode, technique, row.Description)
	}
	return w.Flush()
}

// listedRule is a line of the list.
type listedRule struct {
	ID          string   `json:"id"`
	Severity    string   `json:"severity"`
	Mode        string   `json:"mode"`
	Scope       string   `json:"scope"`
	Risk        float64  `json:"risk"`
	Attack      []string `json:"attack,omitempty"`
	By          []string `json:"by,omitempty"`
	Description string   `json:"description"`
	Library     bool     `json:"library"`
	File        string   `json:"file"`
	Line        int      `json:"line"`
}

func ruleRow(r *rules.Rule) listedRule {
	row := listedRule{ID: r.ID, Severity: string(r.Severity), Mode: string(r.Mode), Scope: string(r.Scope), Risk: r.Risk, By: r.ByText,
		Description: r.Description, Library: r.Library, File: r.File, Line: r.Range.Start.Line}
	switch {
	case !r.Enabled:
		row.Mode = "disabled"
	case r.ShadowFor > 0 && r.Mode != rules.ModeShadow:
		row.Mode += fmt.Sprintf(" (shadow %.0fd)", r.ShadowFor.Hours()/24)
	}
	for _, t := range r.Attack {
		row.Attack = append(row.Attack, t.ID)
	}
	return row
}
