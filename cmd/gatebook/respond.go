package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/outputs"
)

func respondCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "respond",
		Short: "Approve or deny what rules ask for",
		Long: `respond decides on the actions that rules ask for and that wait for a person (docs/alerts.md): disable a user, revoke sessions,
block an address. The agent carries out what is approved. Run it as the user that the agent runs as, on its machine.`,
		Example: "  gatebook respond list --config /etc/gatebook/gatebook.hcl\n  gatebook respond approve 5f0c... --config /etc/gatebook/gatebook.hcl",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(respondListCommand(), decideCommand("approve", "Let requests be carried out", outputs.Approve), decideCommand("deny", "End requests that wait", outputs.Deny))
	return cmd
}

func respondListCommand() *cobra.Command {
	var config, output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the requests that wait for a person",
		Example: "  gatebook respond list --config /etc/gatebook/gatebook.hcl",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q: want table or json", output)}
			}
			dir, err := respondDir(cmd, config)
			if err != nil {
				return err
			}
			pending, err := outputs.Approvals(dir)
			if err != nil {
				return err
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				for _, p := range pending {
					if err := enc.Encode(p); err != nil {
						return err
					}
				}
				return nil
			}
			if len(pending) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "nothing waits for a decision")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tSINCE\tACTION\tTARGET\tFOR\tRULE\tALERT")
			for _, p := range pending {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Created.UTC().Format(time.DateTime), p.Action, p.Target, p.TTL, p.Rule, p.Title)
			}
			return w.Flush()
		},
	}
	configFlag(cmd, &config)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// decideCommand makes approve and deny.
func decideCommand(verb, short string, decide func(dir, id, who string) error) *cobra.Command {
	var config, who string
	cmd := &cobra.Command{
		Use:     verb + " ID...",
		Short:   short,
		Example: "  gatebook respond " + verb + " 5f0c8f0e... --config /etc/gatebook/gatebook.hcl --by alice",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			dir, err := respondDir(cmd, config)
			if err != nil {
				return err
			}
			if who == "" {
				u, err := user.Current()
				if err != nil {
					return usageError{errors.New("--by: say who decides")}
				}
				who = u.Username
			}
			var failed error
			for _, id := range ids {
				if err := decide(dir, id, who); err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s %q: %w", verb, id, err))
				}
			}
			return failed
		},
	}
	configFlag(cmd, &config)
	cmd.Flags().StringVar(&who, "by", "", "who decides, for the audit trail (default: the user that runs this)")
	return cmd
}

func respondDir(cmd *cobra.Command, config string) (string, error) {
	c, err := loadConfig(cmd, config, agent.LoadOptions{Logger: logger(cmd), SkipRules: true})
	if err != nil {
		return "", err
	}
	return outputs.RespondDir(c.DataDir), nil
}
