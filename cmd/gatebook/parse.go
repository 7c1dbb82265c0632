package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
)

func parseCommand() *cobra.Command {
	var o parseOptions
	cmd := &cobra.Command{
		Use:   "parse [FILE|-]",
		Short: "Show the records that lines become",
		Long: `parse reads lines from a file or standard input and writes one ECS JSON document a line, in the order of the lines: what an
output "file" would get, less event.id and event.created. Lines that no parser knows carry the tag parse-failure; how many
there were is told at the end, and makes the exit code 1.`,
		Example: "  gatebook parse /var/log/auth.log | head -1 | jq .\n  gatebook parse --parser billing --config gatebook.hcl login.json",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return parseLines(cmd, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.parser, "parser", "auto", "parser, or label of a parser block of the config")
	f.StringVarP(&o.config, "config", "c", "", "config file with parser, geoip and redact blocks")
	f.IntVar(&o.year, "year", 0, "year of times that carry none (default: the nearest to now)")
	f.StringVar(&o.timezone, "timezone", "", "zone of times that carry none, such as Europe/Berlin (default: the config's, else this machine's)")
	return cmd
}

type parseOptions struct {
	parser, config, timezone string
	year                     int
}

func parseLines(cmd *cobra.Command, o parseOptions, args []string) error {
	load := agent.LoadOptions{Logger: logger(cmd), Year: o.year, SkipRules: true}
	if o.timezone != "" {
		loc, err := time.LoadLocation(o.timezone)
		if err != nil {
			return usageError{fmt.Errorf("--timezone: %w", err)}
		}
		load.Location = loc
	}
	c := agent.ParseConfig("built-in", []byte(`output "file" "out" { path = "-" }`), load)
	if o.config != "" {
		var err error
		if c, err = loadConfig(cmd, o.config, load); err != nil {
			return err
		}
	}
	p, err := c.Parsers.Get(o.parser)
	if err != nil {
		return usageError{fmt.Errorf("--parser: %w", err)}
	}
	src := &inputs.Source{Input: "parse", Parser: o.parser, Host: c.Name, Key: "-"}
	in := cmd.InOrStdin()
	if len(args) == 1 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in, src.Path, src.Key = f, args[0], args[0]
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	n := &pipeline.Normalizer{Enrichers: c.Enrichers.Enrichers()}
	w := event.NewEncoder(event.EncoderOptions{Namespace: c.Namespace, Original: c.Original, Plain: true, Agent: event.AgentInfo{Name: c.Name, Version: version}})
	failed, err := documents(in, out, func(line inputs.Line, dst []byte) ([]byte, bool) {
		n.Line(p, src, line, event.TimeOf(time.Now()))
		return w.AppendDocument(dst, &n.Event), n.Failed
	})
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if failed > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d lines were not recognized; they are in the output, tagged parse-failure\n", failed)
		return errNo
	}
	return nil
}

// documents writes what convert makes of each line, and counts those that it says failed.
func documents(in io.Reader, out io.Writer, convert func(inputs.Line, []byte) ([]byte, bool)) (failed int, err error) {
	var doc []byte
	for lines := pipeline.NewLineReader(in); ; {
		line, err := lines.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return failed, nil
			}
			return failed, fmt.Errorf("read lines: %w", err)
		}
		var bad bool
		doc, bad = convert(line, doc[:0])
		if bad {
			failed++
		}
		if _, err := out.Write(append(doc, '\n')); err != nil {
			return failed, err
		}
	}
}
