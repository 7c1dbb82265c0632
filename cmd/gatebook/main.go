// Command gatebook reads authentication and activity logs, normalizes every line to one ECS record, and forwards the records to
// Elasticsearch, files or the embedded store without losing or doubling one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	_ "time/tzdata" // time zones by name, on hosts without a zone database

	"github.com/spf13/cobra"
)

var version = "dev" // set by the build

// Exit codes: scripts depend on them.
const (
	exitOK    = 0
	exitNo    = 1 // the answer is no, or it did not work
	exitUsage = 2
)

// errNo ends with exitNo; what is wrong has been printed.
var errNo = errors.New("no")

// usageError ends with exitUsage.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "gatebook",
		Short: "Who came in, when, from where, and what they did",
		Long: `Gatebook tails authentication and activity logs, turns every line into one ECS record, and forwards the
records to Elasticsearch, to files, or to its own store, without losing or doubling one.`,
		Example:       "  gatebook demo\n  gatebook check --config /etc/gatebook/gatebook.hcl\n  gatebook run --config /etc/gatebook/gatebook.hcl",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), demoCommand(), checkCommand(), parseCommand(), queryCommand(), usersCommand(), sessionsCommand(), rulesCommand(), respondCommand(), setupCommand(), versionCommand())
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNo):
		return exitNo
	case errors.As(err, &usage), cmd == root && !cmd.Runnable():
		fmt.Fprintf(stderr, "gatebook: %v\nsee %s --help\n", err, cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(stderr, "gatebook: %v\n", err)
	return exitNo
}

// arguments turns cobra's complaint about arguments into a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// logger writes messages for people to standard error.
func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func logger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  gatebook version", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(cmd.OutOrStdout(), "gatebook %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
