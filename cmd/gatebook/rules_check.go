package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/ruletest"
)

func rulesTestCommand() *cobra.Command {
	var o ruleOptions
	var pattern, junit string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [RULE...]",
		Short: "Run the tests that rules carry",
		Long: `test runs the test blocks of rules. Each is run again with its events shuffled within the lateness, doubled, and with a restart at
every event: the alerts have to be the same. Raw lines go through the real parsers.`,
		Example: "  gatebook rules test\n  gatebook rules test --rules rules.d --junit report.xml\n  gatebook rules test --verbose auth.spraying",
		RunE: func(cmd *cobra.Command, ids []string) error {
			match := regexp.MustCompile("")
			if pattern != "" {
				var err error
				if match, err = regexp.Compile(pattern); err != nil {
					return usageError{fmt.Errorf("--run: %w", err)}
				}
			}
			s, err := o.load(cmd, true)
			if err != nil {
				return err
			}
			if err := knownRules(s.set, ids); err != nil {
				return err
			}
			events := &replay.TestEvents{Zone: s.zone, Parsers: o.parsers(s)}
			results := ruletest.Run(cmd.Context(), s.set, ruletest.Options{Events: events.Make, Zone: s.zone, Match: func(rule, test string) bool {
				return (len(ids) == 0 || slices.Contains(ids, rule)) && match.MatchString(rule+"/"+test)
			}})
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			told := tellTests(cmd, results, ids, verbose)
			if junit != "" {
				if err := writeTo(junit, func(w io.Writer) error { return ruletest.JUnit(w, results) }); err != nil {
					return fmt.Errorf("write %s: %w", junit, err)
				}
			}
			return told
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&pattern, "run", "", "only tests whose RULE/NAME matches this regular expression")
	f.StringVar(&junit, "junit", "", "write the results to this file as JUnit XML")
	f.BoolVarP(&verbose, "verbose", "v", false, "list every test")
	return cmd
}

// parsers makes those of the config for logs of a year; nil: there is no config.
func (o *ruleOptions) parsers(s *ruleSetup) func(year int) (*parsers.Set, error) {
	if o.config == "" {
		return nil
	}
	return func(year int) (*parsers.Set, error) {
		c := agent.LoadConfig(o.config, agent.LoadOptions{Location: s.zone, Year: year, SkipRules: true})
		return c.Parsers, c.Problems.Err()
	}
}

// knownRules refuses ids that no rule has.
func knownRules(set *rules.Set, ids []string) error {
	var names []string
	for _, r := range set.Rules {
		names = append(names, r.ID)
	}
	for _, id := range ids {
		if slices.Contains(names, id) {
			continue
		}
		if near := conf.Suggest(id, names); near != "" {
			return usageError{fmt.Errorf("there is no rule %q; did you mean %q?", id, near)}
		}
		return usageError{fmt.Errorf("there is no rule %q; gatebook rules list shows them", id)}
	}
	return nil
}

func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// tellTests prints results; errNo where a test failed or a rule that was asked for has none.
func tellTests(cmd *cobra.Command, results []ruletest.Result, ids []string, verbose bool) error {
	out := cmd.OutOrStdout()
	tests, failed := 0, 0
	for i := range results {
		r := &results[i]
		tests += len(r.Tests)
		state := "ok"
		if r.Failed() {
			state = "FAIL"
		}
		fmt.Fprintf(out, "%-4s  %-42s %3d tests  %6.3fs\n", state, r.Rule.ID, len(r.Tests), r.Took.Seconds())
		for _, t := range r.Tests {
			switch {
			case len(t.Failures) > 0:
				failed++
				fmt.Fprintf(out, "      FAIL %q (%s)\n", ruletest.Title(t.Test), ruletest.Place(t.Test))
				for _, s := range t.Failures {
					fmt.Fprintf(out, "           %s\n", s)
				}
			case verbose:
				fmt.Fprintf(out, "      ok   %q %.3fs\n", ruletest.Title(t.Test), t.Took.Seconds())
			}
		}
	}
	missing := false
	for _, id := range ids {
		if !slices.ContainsFunc(results, func(r ruletest.Result) bool { return r.Rule.ID == id }) {
			fmt.Fprintf(cmd.ErrOrStderr(), "rule %s has no tests that were run\n", id)
			missing = true
		}
	}
	fmt.Fprintf(out, "%d tests of %d rules, %d failed\n", tests, len(results), failed)
	if failed > 0 || missing || tests == 0 {
		return errNo
	}
	return nil
}

func rulesLintCommand() *cobra.Command {
	var o ruleOptions
	var strict bool
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Look for what is probably a mistake in rules",
		Long: `lint warns of what loads and is probably not meant: fields that no input fills, exceptions that have expired, rules without a test that expects
nothing, empty lists, lists and defines that nobody uses, conditions that can never hold.`,
		Example: "  gatebook rules lint --rules /etc/gatebook/rules.d",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.load(cmd, true)
			if err != nil {
				return err
			}
			found, empty := siteLists(rules.Lint(s.set, time.Now(), yields))
			if len(empty) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "lists for the site to fill (docs/rules.md): %s\n", strings.Join(empty, ", "))
			}
			if err := found.Write(cmd.OutOrStdout(), true); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d rules, %d warnings\n", len(s.set.Rules), len(found))
			if strict && len(found) > 0 || found.HasErrors() {
				return errNo
			}
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit 1 on warnings too")
	return cmd
}

var emptyList = regexp.MustCompile(`^the list "(\w+)" is empty`)

// siteLists takes out the warnings of shipped rules that a list is empty: a site fills it if it likes. It returns the names of those lists.
func siteLists(found conf.Diagnostics) (rest conf.Diagnostics, names []string) {
	for _, d := range found {
		m := emptyList.FindStringSubmatch(d.Message)
		if m == nil || !strings.HasPrefix(d.Range.Filename, agent.LibraryPrefix) {
			rest = append(rest, d)
		} else if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return rest, names
}

//go:embed yields.txt
var yieldsText string

// yieldsList are the fields that records can have: of yields.txt, which a test makes from the cases of all parsers, and what is added to every record.
var yieldsList = sync.OnceValue(func() map[string]bool {
	list := map[string]bool{}
	for _, name := range strings.Fields(yieldsText) {
		list[name] = true
	}
	return list
})

// added are fields, and beginnings of fields, that inputs, enrichment and the rules themselves fill.
var added = []string{"@timestamp", "event.", "source.geo.", "source.as.", "user_agent.", "log.", "related.", "rule.", "threat.", "agent.", "labels", "tags", "message",
	"gatebook.user.key", "gatebook.geo.", "gatebook.sender.", "gatebook.input", "gatebook.parser", "gatebook.relayed", "gatebook.alert.", "host."}

// yields tells whether records can have a field.
func yields(field string) bool {
	for _, name := range added {
		if field == name || strings.HasPrefix(field, strings.TrimSuffix(name, ".")+".") {
			return field != "event.ingested"
		}
	}
	return yieldsList()[field]
}
