package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
)

const defaultConfig = "/etc/gatebook/gatebook.hcl"

func checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Tell everything that is wrong with a config",
		Long:    "check reads a config as run would and prints every mistake with file, line and column. Exit code 0: none; 1: some.",
		Example: "  gatebook check --config /etc/gatebook/gatebook.hcl",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, path, agent.LoadOptions{Logger: logger(cmd)})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: %d inputs, %d outputs\n", path, len(c.Inputs), len(c.Outputs))
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultConfig, "config file")
}

// loadConfig loads a config and prints all that is wrong with it; errNo where there are errors.
func loadConfig(cmd *cobra.Command, path string, o agent.LoadOptions) (*agent.Config, error) {
	c := agent.LoadConfig(path, o)
	if err := c.Problems.Write(cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr())); err != nil {
		return nil, err
	}
	if c.Problems.HasErrors() {
		return nil, errNo
	}
	return c, nil
}
