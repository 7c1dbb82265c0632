package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/rules"
)

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rules",
		Short:   "List, test, replay and explain detection rules",
		Long:    `rules works with detection rules, the shipped ones and a site's own (docs/rules.md), without a running agent.`,
		Example: "  gatebook rules list\n  gatebook rules test --rules /etc/gatebook/rules.d\n  gatebook rules replay /var/log/auth.log",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args:    arguments(cobra.NoArgs),
	}
	cmd.AddCommand(rulesListCommand(), rulesTestCommand(), rulesLintCommand(), rulesFmtCommand(), rulesImportCommand(), rulesReplayCommand(), rulesExplainCommand(),
		rulesPlanCommand(), rulesExportCommand())
	return cmd
}

// ruleOptions say which rules a command works with.
type ruleOptions struct {
	config, rules string
	library       bool
	timezone      string
}

func (o *ruleOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "config file: the rules that its block rules names, its parsers, enrichment and time zone")
	f.StringVar(&o.rules, "rules", "", "folder or file of rules, on top of the shipped ones")
	f.BoolVar(&o.library, "library", true, "take the shipped rules too")
	f.StringVar(&o.timezone, "timezone", "", "zone of times that carry none, such as Europe/Berlin (default: the config's, else UTC)")
}

// ruleSetup is what ruleOptions come to.
type ruleSetup struct {
	config *agent.Config // of --config, else one that has the built-in parsers only
	set    *rules.Set
	zone   *time.Location
}

// load reads the rules, and prints all that is wrong with them; errNo where there are errors.
func (o *ruleOptions) load(cmd *cobra.Command, tests bool) (*ruleSetup, error) {
	return o.loadYear(cmd, tests, 0)
}

// loadYear is load with parsers that take times without a year for those of one.
func (o *ruleOptions) loadYear(cmd *cobra.Command, tests bool, year int) (*ruleSetup, error) {
	s := &ruleSetup{zone: time.UTC}
	load := agent.LoadOptions{Logger: logger(cmd), Year: year, RuleTests: tests}
	if o.timezone != "" {
		zone, err := time.LoadLocation(o.timezone)
		if err != nil {
			return nil, usageError{fmt.Errorf("--timezone: %w", err)}
		}
		s.zone, load.Location = zone, zone
	}
	if o.rules != "" {
		own, err := readRules(o.rules)
		if err != nil {
			return nil, err
		}
		load.MoreRules = own
	}
	var sources []rules.Source
	if o.config != "" {
		var err error
		if s.config, err = loadConfig(cmd, o.config, load); err != nil {
			return nil, err
		}
		s.zone = s.config.Location
		if s.config.Rules != nil {
			s.set = s.config.Rules.Set
			return s, nil
		}
	} else {
		s.config = agent.ParseConfig("built-in", []byte("timezone = \"UTC\"\noutput \"file\" \"out\" { path = \"-\" }"), load)
		if o.library {
			sources = agent.LibrarySources()
		}
	}
	s.set = rules.Load(rules.LoadOptions{Zone: s.zone, Tests: tests}, append(sources, load.MoreRules...)...)
	if err := s.set.Problems.Write(cmd.ErrOrStderr(), true); err != nil {
		return nil, err
	}
	if s.set.Problems.HasErrors() {
		return nil, errNo
	}
	return s, nil
}

// readRules reads a folder or a file.
func readRules(path string) ([]rules.Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	if info.IsDir() {
		return rules.ReadDir(path)
	}
	return rules.ReadFiles([]string{path})
}
