package main

import (
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gatebook/gatebook/agent"
)

func runCommand() *cobra.Command {
	var path string
	var profile string
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent",
		Long: `run is the daemon: it follows the inputs of the config and delivers to its outputs until SIGTERM or SIGINT, then drains. SIGHUP
reloads the config; one with mistakes is refused and the old one goes on. With --once it reads what is there, delivers all
of it, and ends.`,
		Example: "  gatebook run --config /etc/gatebook/gatebook.hcl\n  gatebook run --once --config import.hcl",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reload := make(chan os.Signal, 1) // first of all: the default action of SIGHUP is to die
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			c, err := loadConfig(cmd, path, agent.LoadOptions{Logger: logger(cmd)})
			if err != nil {
				return err
			}
			if profile != "" {
				f, err := os.Create(profile)
				if err != nil {
					return err
				}
				defer f.Close()
				if err := pprof.StartCPUProfile(f); err != nil {
					return err
				}
				defer pprof.StopCPUProfile()
			}
			keepSmall(cmd.Context())
			a, err := agent.Open(c, agent.Options{Version: version, Once: once, Logger: logger(cmd), Stdout: cmd.OutOrStdout()})
			if err != nil {
				return err
			}
			go func() {
				for range reload {
					a.Reload(agent.LoadConfig(path, agent.LoadOptions{Logger: logger(cmd)}))
				}
			}()
			return a.Run(cmd.Context())
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile of the run to this file")
	cmd.Flags().BoolVar(&once, "once", false, "read to the end, deliver everything, exit")
	return cmd
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
