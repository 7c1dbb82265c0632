package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/outputs"
)

// generation is the set of running components that one config made.
type generation struct {
	agent    *Agent
	config   *Config
	pipeline *pipeline.Pipeline
	inputs   []inputs.Input
	outputs  []*output
	logs     []*buffer.Log // that have readers: the buffer, and that of alerts
	detector *detector     // nil: no rules run

	failed     chan error    // the first failure of a component
	inputsDone chan struct{} // closed when all inputs have ended by themselves (Once)

	stopInputs, stopRules, stopOutputs context.CancelFunc
	runInputs, runRules, runOutputs    sync.WaitGroup
	stopHelpers                        context.CancelFunc
	helpers                            sync.WaitGroup
	letters                            chan func(*event.Event) // what outputs have to tell
	noMore                             chan struct{}           // closed when nothing more comes from inputs
	end                                chan struct{}           // closed when nothing more will be appended
}

// output is one running output with its reader.
type output struct {
	outputs.Output
	outputs.Params
	kind, label string
	reader      *buffer.Reader
	letters     *outputs.DeadLetters
	stats       outputs.Stats
}

// start makes and starts the components of a config.
func (a *Agent) start(c *Config) (*generation, error) {
	g := &generation{agent: a, config: c, failed: make(chan error, 1), inputsDone: make(chan struct{}), noMore: make(chan struct{}), end: make(chan struct{}),
		letters: make(chan func(*event.Event), 1024)}
	if err := a.openAlerts(c); err != nil {
		return nil, err
	}
	g.logs = []*buffer.Log{a.buffer}
	if a.alerts != nil {
		g.logs = append(g.logs, a.alerts.log)
	}
	if err := g.openOutputs(); err != nil {
		return nil, errors.Join(err, g.closeOutputs())
	}
	if err := a.detect(c); err != nil {
		return nil, errors.Join(err, g.closeOutputs())
	}
	g.detector = a.detector
	typed := c.Rules != nil
	for _, o := range g.outputs {
		typed = typed || o.Typed || o.Match != nil
	}
	g.pipeline = pipeline.New(pipeline.Options{Log: a.buffer, Parser: c.Parsers.Open, Enrichers: c.Enrichers.Enrichers(),
		Encoder: a.encoding(c, typed), Codec: g.codec(), Failed: g.fail})
	if err := g.openInputs(); err != nil {
		a.sockets.Abandon()
		return nil, errors.Join(err, g.pipeline.Close(context.Background()), g.closeOutputs())
	}
	if err := a.sockets.Sweep(); err != nil {
		a.log.Warn("a socket that is no longer listened on cannot be closed", "error", err)
	}
	g.run()
	a.mu.Lock()
	a.current = g
	a.mu.Unlock()
	return g, nil
}

// codec is gzip where every output forwards blocks as gzip: then they are compressed once, for disk and wire.
func (g *generation) codec() buffer.Codec {
	for _, o := range g.outputs {
		if f, ok := o.Output.(interface{ ForwardsGzip() bool }); !ok || !f.ForwardsGzip() {
			return buffer.Raw
		}
	}
	return buffer.Gzip
}

func (g *generation) openOutputs() error {
	a := g.agent
	if err := g.dropReaders(); err != nil {
		return err
	}
	for _, c := range g.config.Outputs {
		o := &output{kind: c.Kind, label: c.Label}
		o.Output, o.Params = c.open(outputs.Env{
			DataDir: g.config.DataDir, Namespace: g.config.Namespace, Version: a.options.Version,
			Logger: a.log, Compile: compileWhen, Stdout: a.options.Stdout, Tell: g.tell,
		})
		if o.Output == nil {
			return fmt.Errorf("output %q %q: cannot be made; see gatebook check", c.Kind, c.Label)
		}
		g.outputs = append(g.outputs, o)
		log := a.buffer
		if c.onAlerts() {
			log = a.alerts.log
		}
		r, err := log.Reader(readerName(c.Kind, c.Label), buffer.ReaderOptions{Required: o.Required, MaxLag: o.MaxLag, MaxOutstanding: outputs.MaxOutstanding})
		if err != nil {
			return fmt.Errorf("output %q: %w", c.Label, err)
		}
		o.reader = r
		o.letters, err = outputs.OpenDeadLetters(outputs.DeadLetterOptions{DataDir: g.config.DataDir, Label: c.Label, Reserve: a.buffer.WithReserve, Tell: g.tellDeadLetter})
		if err != nil {
			return fmt.Errorf("output %q: %w", c.Label, err)
		}
	}
	return nil
}

// dropReaders gives up the places of outputs, and of the rules, that are no longer in the config.
func (g *generation) dropReaders() error {
	a := g.agent
	known := g.config.readerNames()
	for _, log := range g.logs {
		for _, r := range log.Readers() {
			if slices.Contains(known, r.Name) {
				continue
			}
			a.log.Warn("output is no longer in the config: its place in the buffer is given up", "output", r.Name, "waiting_bytes", r.WaitingBytes)
			if err := log.DropReader(r.Name); err != nil {
				return fmt.Errorf("drop reader of output %s: %w", r.Name, err)
			}
		}
	}
	return nil
}

func (g *generation) openInputs() error {
	a := g.agent
	positions := a.buffer.Positions()
	dir, err := filepath.Abs(filepath.Dir(g.config.Path))
	if err != nil {
		return fmt.Errorf("find the folder of the config: %w", err)
	}
	for _, c := range g.config.Inputs {
		prefix := inputs.PositionPrefix(c.Kind, c.Label)
		own := map[string][]byte{}
		for key, value := range positions {
			if rest, ok := strings.CutPrefix(key, prefix); ok {
				own[rest] = value
			}
		}
		in, err := c.Config.New(inputs.Env{Logger: a.log, Host: g.config.Name, Once: a.options.Once, Positions: own, Dir: dir,
			Sockets: a.sockets, Full: func() bool { return a.buffer.Stats().Full != "" }})
		if err != nil {
			return err
		}
		g.inputs = append(g.inputs, in)
	}
	return nil
}

func (g *generation) run() {
	in, stopInputs := context.WithCancel(context.Background())
	out, stopOutputs := context.WithCancel(context.Background())
	detecting, stopRules := context.WithCancel(context.Background())
	helpers, stopHelpers := context.WithCancel(context.Background())
	g.stopInputs, g.stopRules, g.stopOutputs, g.stopHelpers = stopInputs, stopRules, stopOutputs, stopHelpers
	if d := g.detector; d != nil {
		g.runRules.Go(func() {
			if err := d.run(detecting, g.pipeline, g.noMore); err != nil && detecting.Err() == nil {
				g.fail(err)
			}
		})
	}
	g.helpers.Go(func() {
		if err := g.config.Enrichers.Run(helpers); err != nil && helpers.Err() == nil {
			g.agent.log.Error("enrichment is no longer renewed", "error", err)
		}
	})
	g.helpers.Go(func() { g.appendTold(helpers) })
	g.helpers.Go(func() { g.prune(helpers) })
	g.helpers.Go(func() { g.recordHealth(helpers) })
	for _, o := range g.outputs {
		g.runOutputs.Go(func() {
			err := outputs.Run(out, o.reader, o.Output, outputs.Options{
				Kind: o.kind, Label: o.label, Params: o.Params, Logger: g.agent.log, Stats: &o.stats,
				DeadLetters: o.letters, End: g.end,
			})
			if err != nil && out.Err() == nil {
				g.fail(fmt.Errorf("output %q: %w", o.label, err))
			}
		})
	}
	for _, i := range g.inputs {
		g.runInputs.Go(func() {
			if err := i.Run(in, g.pipeline); err != nil && in.Err() == nil {
				g.fail(err)
			}
		})
	}
	if g.agent.options.Once {
		go func() {
			g.runInputs.Wait()
			close(g.inputsDone)
		}()
	}
}

// appendTold appends what outputs have to tell: dead letters, responses. It is apart from them, so that an output never waits for the
// log that waits for it.
func (g *generation) appendTold(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case fill := <-g.letters:
			if _, err := g.pipeline.Event(ctx, fill); err != nil && ctx.Err() == nil {
				g.agent.log.Error("what an output has to tell could not be appended; its own files have it", "error", err)
			}
		}
	}
}

var errTooMuchToTell = errors.New("too much to tell at once")

func (g *generation) tellDeadLetter(ctx context.Context, fill func(*event.Event)) error {
	return g.tell(ctx, func(ev *event.Event) {
		fill(ev)
		ev.Dataset = event.DatasetPrefix + "deadletter"
	})
}

// tell hands over what an output has to tell of itself, or says at once that there is too much.
func (g *generation) tell(_ context.Context, fill func(*event.Event)) error {
	select {
	case g.letters <- func(ev *event.Event) {
		fill(ev)
		ev.Created = event.TimeOf(time.Now())
		if ev.Time == 0 {
			ev.Time = ev.Created
		}
		ev.Host.Name = g.config.Name
	}:
		return nil
	default:
		return errTooMuchToTell
	}
}

func (g *generation) fail(err error) {
	select {
	case g.failed <- err:
	default:
	}
}

// stop ends the components in the order of the data: inputs, pipeline, log, outputs. Outputs get wait to deliver what is in the
// log (0: as long as it takes, until ctx ends).
func (g *generation) stop(ctx context.Context, wait time.Duration) error {
	g.stopInputs()
	g.runInputs.Wait()
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if wait > 0 {
		bounded, cancel = context.WithTimeout(ctx, wait)
	}
	defer cancel()
	// What does not get into a full log was never acknowledged: its lines are read again at the next start.
	drainErr := g.pipeline.Close(bounded)
	if err := g.agent.buffer.Sync(bounded); err != nil && drainErr == nil {
		drainErr = err
	}
	close(g.noMore)
	if !g.agent.options.Once {
		g.stopRules() // they go on from here at the next start
	}
	waitFor(bounded, &g.runRules, g.stopRules)
	if d := g.detector; d != nil {
		d.save(ctx)
	}
	if err := g.agent.buffer.Sync(bounded); err != nil && drainErr == nil {
		drainErr = err
	}
	close(g.end)
	waitFor(bounded, &g.runOutputs, g.stopOutputs)
	g.stopHelpers()
	g.helpers.Wait()
	if drainErr != nil {
		g.agent.log.Warn("not everything that was read got into the buffer; it is read again at the next start", "error", drainErr)
	}
	g.account(drainErr == nil)
	return g.closeOutputs()
}

// waitFor waits for the goroutines of a group, and ends them when ctx does.
func waitFor(ctx context.Context, group *sync.WaitGroup, end context.CancelFunc) {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	end()
	<-done
}

// account holds the books against each other: what was read is in the log, and what is in the log was delivered, filtered, refused for
// good, skipped, or waits. That they do not agree is a mistake of this program's.
func (g *generation) account(drained bool) {
	log, n := g.agent.log, g.pipeline.Counters()
	read, appended := n.Read.Load(), n.Appended.Load()
	if drained && read != appended {
		log.Error("accounts do not add up", "read", read, "appended", appended)
	}
	waiting := map[string]int64{}
	var readers []buffer.ReaderStats
	for _, l := range g.logs {
		readers = append(readers, l.Readers()...)
	}
	for _, r := range readers {
		waiting[r.Name] = r.Waiting
		if in, out := int64(r.AtOpen+r.Appended), int64(r.Delivered+r.Filtered+r.DeadLettered+r.Skipped)+r.Waiting; r.Open && (in != out || r.Waiting != int64(r.Unsettled)) {
			log.Error("accounts do not add up", "output", r.Name, "at_open", r.AtOpen, "appended", r.Appended, "delivered", r.Delivered, "filtered", r.Filtered,
				"dead_letters", r.DeadLettered, "skipped", r.Skipped, "waiting", r.Waiting, "unsettled", r.Unsettled)
		}
	}
	for _, o := range g.outputs {
		f := o.stats.Figures()
		log.Info("output", "output", o.label, "delivered", f.Delivered, "filtered", f.Filtered, "dead_letters", f.DeadLettered, "waiting", waiting[readerName(o.kind, o.label)])
	}
	log.Info("input", "lines", read, "parse_failures", n.ParseFailures.Load(), "truncated", n.Truncated.Load())
}

func (g *generation) closeOutputs() (err error) {
	for _, o := range g.outputs {
		if cerr := o.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close output %q: %w", o.label, cerr))
		}
		if o.letters != nil {
			err = errors.Join(err, o.letters.Close())
		}
		if o.reader != nil {
			if cerr := o.reader.Close(); cerr != nil {
				err = errors.Join(err, fmt.Errorf("close reader of output %q: %w", o.label, cerr))
			}
		}
	}
	return err
}
