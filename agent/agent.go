// Package agent makes a running Gatebook out of a config.
//
//	inputs -> pipeline -> log (one lock owns data_dir) -> one reader per output -> outputs
//
//	Open: data_dir, log          Run: a generation of components, replaced whole on Reload; the log stays open
//	SIGTERM: inputs end -> pipeline drains -> log synced -> outputs deliver what they can in time -> cursors committed
//
// What it promises: a config with mistakes never replaces one that works; a reload or a stop loses and doubles no line of a
// file; what is wrong is said once, with place and remedy.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
)

// Options are what the command line says.
type Options struct {
	Version string
	Once    bool // read to the end, deliver everything, end
	Logger  *slog.Logger
	Stdout  io.Writer // of outputs with path = "-"
}

// Agent is one Gatebook. Open it, Run it once.
type Agent struct {
	options Options
	log     *slog.Logger
	dir     *dataDir
	buffer  *buffer.Log
	id      string
	epoch   string
	started time.Time
	reloads chan *Config
	sockets *inputs.Sockets

	detector *detector // nil: no rules run
	alerts   *alertLog // nil: nothing is notified

	mu      sync.Mutex // guards what status and metrics look at
	config  *Config
	current *generation
}

// drainTimeout is how long a stop or reload waits for outputs to take what is in the log. What they do not take in time stays in
// the log.
const drainTimeout = 5 * time.Second

// Open takes the data_dir and opens the log, repairing what the last stop left torn.
func Open(c *Config, o Options) (*Agent, error) {
	a := &Agent{options: o, log: o.Logger, config: c, epoch: randomHex(), started: time.Now(), reloads: make(chan *Config), sockets: inputs.NewSockets()}
	var err error
	if a.dir, err = openDataDir(c.DataDir); err != nil {
		return nil, err
	}
	if a.id, err = a.dir.agentID(); err != nil {
		a.dir.close()
		return nil, err
	}
	a.buffer, err = buffer.Open(buffer.Options{
		Dir: filepath.Join(c.DataDir, "buffer"), MaxBytes: c.Buffer.MaxBytes, OnFull: c.Buffer.OnFull, Flush: c.Buffer.Flush,
		SegmentBytes: c.Buffer.SegmentBytes, Reserve: c.Buffer.Reserve, Logger: a.log,
	})
	if err != nil {
		a.dir.close()
		return nil, fmt.Errorf("open buffer: %w", err)
	}
	return a, nil
}

// Run runs the agent until ctx ends (then it drains and returns nil), everything is delivered (Once), or a component fails.
func (a *Agent) Run(ctx context.Context) (err error) {
	defer a.dir.close()
	defer func() { err = errors.Join(err, a.sockets.Sweep()) }()
	defer func() {
		if cerr := a.buffer.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close buffer: %w", cerr))
		}
	}()
	stopMetrics, err := a.serveMetrics()
	if err != nil {
		return err
	}
	defer stopMetrics()
	defer func() { err = errors.Join(err, a.closeDetector(), a.closeAlerts()) }()
	g, err := a.start(a.config)
	if err != nil {
		return err
	}
	a.log.Info("started", "version", a.options.Version, "config", a.config.Path, "data_dir", a.config.DataDir,
		"inputs", len(a.config.Inputs), "outputs", len(a.config.Outputs))
	for {
		select {
		case <-ctx.Done():
			a.log.Info("stopping: draining")
			err := g.stop(context.WithoutCancel(ctx), drainTimeout)
			a.log.Info("stopped")
			return err
		case err := <-g.failed:
			return errors.Join(err, g.stop(context.WithoutCancel(ctx), drainTimeout))
		case <-g.inputsDone: // only with Once
			err := g.stop(ctx, 0)
			if ctx.Err() != nil {
				a.log.Warn("interrupted; what is not delivered stays in the buffer for the next run")
			}
			return err
		case next := <-a.reloads:
			if g, err = a.replace(ctx, g, next); err != nil {
				return err
			}
		}
	}
}

// Reload hands a new config to Run. One with errors is refused, and so is one that changes what only a restart can.
func (a *Agent) Reload(next *Config) {
	logProblems(a.log, next.Problems)
	if next.Problems.HasErrors() {
		a.log.Error("reload refused: the config has errors; the old one goes on", "config", next.Path)
		return
	}
	a.mu.Lock()
	current := a.config
	a.mu.Unlock()
	if names := current.restartNeeded(next); len(names) > 0 {
		a.log.Error("reload refused: restart to change this; the old config goes on", "changed", strings.Join(names, ", "))
		return
	}
	a.reloads <- next
}

// replace stops one generation and starts the next on the same log.
func (a *Agent) replace(ctx context.Context, g *generation, next *Config) (*generation, error) {
	if err := g.stop(context.WithoutCancel(ctx), time.Second); err != nil {
		return nil, err
	}
	started, err := a.start(next)
	if err != nil {
		a.log.Error("reload failed; the old config goes on", "error", err)
		if started, err = a.start(a.config); err != nil {
			return nil, err
		}
		return started, nil
	}
	a.mu.Lock()
	a.config = next
	a.mu.Unlock()
	a.log.Info("reloaded", "config", next.Path, "inputs", len(next.Inputs), "outputs", len(next.Outputs))
	return started, nil
}

// encoding is how documents are written.
func (a *Agent) encoding(c *Config, typed bool) event.EncoderOptions {
	return event.EncoderOptions{Namespace: c.Namespace, Epoch: a.epoch, Original: c.Original, Typed: typed,
		Agent: event.AgentInfo{ID: a.id, Name: c.Name, Version: a.options.Version}}
}
