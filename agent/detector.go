package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/kibana"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/state"
)

// detector runs the rules over the log, as a reader of it, and appends their alerts to it. It lives over reloads.
//
//	log -> reader "rules" -> engine -> alert -> alert log (where something is to be notified) and log
//	                           |
//	                           every 30 s: alerts fsynced -> snapshot (state, history, cursor: one transaction) -> blocks settled -> cursor committed
//
// What it promises: after a crash the engine goes on from its snapshot and reads again what came after; the alerts that this makes again have the same ids,
// and those that a log has already are not appended to it again. So no event is forgotten or counted twice, and no alert told twice.
type detector struct {
	log    *slog.Logger
	disk   *state.DB
	engine *engine.Engine
	buffer *buffer.Log
	reader *buffer.Reader
	alerts *alertLog // nil: nothing is notified

	told     *toldAlerts
	cursor   buffer.Pos   // last block that was dealt with
	places   []buffer.Pos // of blocks to be settled after the next snapshot
	held     int64        // bytes of those
	count    int          // events of those
	saved    time.Time
	settings detectorSettings
	last     inputs.Ticket      // of the record that was appended last; nil: it is durable
	pipeline *pipeline.Pipeline // of the running generation
	ctx      context.Context    // of the running generation: alerts are appended within the engine's calls
	failed   error              // of appending an alert: the engine has told it, so that its state may not be saved any more
	event    event.Event
	once     bool

	unreadable, snapshots, crashes uint64

	mu      sync.Mutex // guards what metrics look at
	figures detectorFigures
}

// detectorSettings are what a detector is opened with: where they change it is opened anew.
type detectorSettings struct {
	state, heldMost int64
	lateness        time.Duration
	snapshot        time.Duration
	zone            string
	fleet           bool
	kibana          kibana.Link
}

type detectorFigures struct {
	engine     engine.Stats
	rules      []engine.RuleStats
	unreadable uint64
	snapshots  uint64
	crashes    uint64
	watermark  event.Time
}

const (
	rulesReader   = "rules"
	heldMost      = 64 << 20 // bytes of the log that may wait for a snapshot; of a small log an eighth
	saveWithin    = 5 * time.Second
	unwrittenMost = 100_000 // records of the history that may
	backfillAge   = time.Hour
	alertIDPrefix = "alert-"
)

// openDetector makes the engine and opens its reader.
func (a *Agent) openDetector(c *Config) (*detector, error) {
	d := &detector{log: a.log, buffer: a.buffer, once: a.options.Once, settings: c.detectorSettings()}
	var err error
	if d.disk, err = state.Open(filepath.Join(c.DataDir, "rules")); err != nil {
		return nil, fmt.Errorf("open the state of the rules: %w", err)
	}
	if err := d.disk.SetAside(); err != nil {
		a.log.Error("the state of the rules was damaged; it is kept, and they begin anew", "error", err)
	}
	d.told = &toldAlerts{Disk: d.disk, ids: recordIDs{}}
	d.engine, err = engine.New(engine.Options{
		Rules: c.Rules.Set, Budget: d.settings.state, Lateness: d.settings.lateness, Zone: c.Location, Installation: a.id, Fleet: d.settings.fleet,
		Now: time.Now, Disk: d.told, Alert: d.alert, Tell: d.notice,
	})
	if err != nil {
		return nil, errors.Join(err, d.disk.Close())
	}
	d.cursor = posOf(d.engine.Cursor())
	if err := d.openReader(a.buffer); err != nil {
		return nil, errors.Join(err, d.disk.Close())
	}
	d.saved = time.Now()
	return d, nil
}

// openReader opens the reader, after a look at the alerts that are in the log already.
func (d *detector) openReader(log *buffer.Log) error {
	options := buffer.ReaderOptions{Required: true}
	r, err := log.Reader(rulesReader, options)
	if err != nil {
		return err
	}
	for {
		b, ok, err := r.TryNext()
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if !ok {
			break
		}
		err = eachID(b, func(id string) {
			if strings.HasPrefix(id, alertIDPrefix) {
				d.told.add(id)
			}
		})
		d.told.end = b.Pos()
		b.Release()
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	if err := r.Close(); err != nil {
		return err
	}
	d.reader, err = log.Reader(rulesReader, options)
	return err
}

// eachID calls f with the id of each item of a block.
func eachID(b *buffer.Block, f func(id string)) error {
	items, err := b.Items()
	if err != nil {
		return err
	}
	start := uint32(0)
	for _, end := range b.Ends {
		f(string(outputs.IDOf(items[start:end])))
		start = end
	}
	return nil
}

// posOf and cursorOf write a place in the log as one number; segments are smaller than 4 GiB.
func posOf(cursor uint64) buffer.Pos {
	return buffer.Pos{Segment: cursor >> 32, Offset: int64(cursor & (1<<32 - 1))}
}

func cursorOf(p buffer.Pos) uint64 { return p.Segment<<32 | uint64(p.Offset) }

// run reads the log until ctx ends, or end is closed and all of it has been read.
func (d *detector) run(ctx context.Context, p *pipeline.Pipeline, end <-chan struct{}) error {
	d.ctx, d.pipeline = ctx, p
	waiting, stopWaiting := context.WithCancel(ctx)
	defer stopWaiting()
	go func() {
		select {
		case <-end:
			stopWaiting()
		case <-waiting.Done():
		}
	}()
	tick := time.Now()
	for ctx.Err() == nil {
		b, err := d.next(waiting)
		switch {
		case errors.Is(err, buffer.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("rules: read the buffer: %w", err)
		case b != nil:
			if err := d.block(b); err != nil {
				return err
			}
		case waiting.Err() != nil && ctx.Err() == nil: // end is closed, and there is nothing more
			if d.once {
				d.engine.Finish(0)
			}
			return d.failed
		}
		if now := time.Now(); now.Sub(tick) >= time.Second || b == nil {
			tick = now
			d.engine.Tick()
			d.told.came(d.cursor, now)
			d.publish()
		}
		if d.failed != nil {
			return d.failed
		}
		if time.Since(d.saved) >= d.settings.snapshot || d.held > d.settings.heldMost || d.engine.Unwritten() > unwrittenMost {
			d.save(ctx)
		}
	}
	return nil
}

// next returns the next block, nil after a second without one.
func (d *detector) next(ctx context.Context) (*buffer.Block, error) {
	if b, ok, err := d.reader.TryNext(); ok || err != nil {
		return b, err
	}
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	b, err := d.reader.Next(wait)
	if wait.Err() != nil && err != nil && !errors.Is(err, buffer.ErrClosed) {
		return nil, nil
	}
	return b, err
}

// block gives the events of a block to the engine.
func (d *detector) block(b *buffer.Block) error {
	defer b.Release()
	place := b.Pos()
	d.places, d.held, d.count = append(d.places, place), d.held+b.Size(), d.count+b.Count
	if cursorOf(place) <= cursorOf(d.cursor) {
		return nil // was before the snapshot
	}
	items, err := b.Items()
	if err != nil {
		d.log.Error("the rules cannot read a block of the buffer and go on with the next", "events", b.Count, "error", err)
		d.unreadable += uint64(b.Count)
		d.cursor = place
		return nil
	}
	var dec event.Decoder
	dec.Reset(b.Typed)
	start := uint32(0)
	for _, to := range b.Ends {
		item := items[start:to]
		start = to
		if err := dec.Next(item, &d.event); err != nil {
			d.unreadable++
			continue
		}
		id := string(outputs.IDOf(item))
		if d.event.Kind == event.KindAlert {
			if d.event.Relayed != event.True {
				continue // our own: rules over alerts have seen it when it was made
			}
			if d.alerts != nil {
				if err := d.alerts.relay(d.ctx, id, item); err != nil {
					d.failed = fmt.Errorf("rules: append an alert for notification: %w", err)
					return d.failed
				}
			}
		}
		d.add(&d.event, id)
	}
	d.cursor = place
	return d.failed
}

// add gives an event to the engine. A crash of it on one event must not become one of the agent, which would meet the same event after each start.
func (d *detector) add(ev *event.Event, id string) {
	defer func() {
		if p := recover(); p != nil {
			if d.crashes++; d.crashes&(d.crashes-1) == 0 { // at each power of two
				d.log.Error("the rules crashed on an event and go on with the next; please report it", "times", d.crashes, "panic", fmt.Sprintf("%.200v", p),
					"stack", string(debug.Stack()))
			}
		}
	}()
	d.engine.Add(ev, id)
}

// alert appends a record of an alert to the logs.
func (d *detector) alert(a *engine.Alert) {
	if d.failed != nil {
		return
	}
	fill := func(ev *event.Event) {
		a.Fill(ev)
		ev.Created = event.TimeOf(time.Now())
		first, last := a.Span()
		ev.Link = d.settings.kibana.Events(a.Evidence, first.Std(), last.Std())
		if ev.Created-a.Last > event.Time(backfillAge) {
			ev.Tag("backfill")
		}
	}
	if d.alerts != nil {
		if err := d.alerts.append(d.ctx, a.EventID, fill); err != nil {
			d.failed = fmt.Errorf("rules: append an alert for notification: %w", err)
			return
		}
	}
	if d.told.ids.take(a.EventID) {
		return
	}
	t, err := d.pipeline.Event(d.ctx, fill)
	if err != nil {
		d.failed = fmt.Errorf("rules: append an alert: %w", err)
		return
	}
	d.last = t
}

// notice tells operators what the engine has to say of itself, in the program's log and as an event.
func (d *detector) notice(n engine.Notice) {
	d.log.Warn("rules", "kind", n.Kind, "rule", n.Rule, "count", n.Count, "message", n.Message)
	if d.pipeline == nil { // before the start
		return
	}
	_, err := d.pipeline.Event(d.ctx, func(ev *event.Event) {
		ev.Dataset, ev.Code, ev.Message = event.DatasetPrefix+"agent", n.Kind, n.Message
		ev.Created = event.TimeOf(time.Now())
		ev.Time = ev.Created
		if n.Rule != "" {
			ev.NeedRule().ID = n.Rule
		}
		ev.Count = event.LongOf(n.Count)
	})
	if err != nil && d.failed == nil {
		d.failed = fmt.Errorf("rules: append a notice: %w", err)
	}
}

// save makes the state durable, and then gives free what it stands for. Where that fails the log keeps its blocks, and it is tried again; but not
// after an alert could not be appended, which the state takes for told: the next start makes it again.
func (d *detector) save(ctx context.Context) {
	if d.failed != nil {
		return
	}
	d.saved = time.Now()
	if err := d.trySave(ctx); err != nil && ctx.Err() == nil {
		d.log.Error("the state of the rules could not be saved; the buffer keeps what came since the last time", "error", err)
	}
}

func (d *detector) trySave(ctx context.Context) error {
	if len(d.places) == 0 {
		return nil
	}
	// Alerts first. Nothing else is waited for: what inputs append to a full log waits for the place that this gives free.
	ctx, cancel := context.WithTimeoutCause(ctx, saveWithin, errors.New("there is no room for alerts in the buffer"))
	defer cancel()
	if d.last != nil {
		if err := d.last.Wait(ctx); err != nil {
			return fmt.Errorf("wait for the alerts to be durable: %w", err)
		}
		d.last = nil
	}
	if d.alerts != nil {
		if err := d.alerts.log.Sync(ctx); err != nil {
			return err
		}
	}
	if err := d.engine.Snapshot(cursorOf(d.cursor)); err != nil {
		return err
	}
	for _, p := range d.places {
		d.reader.SettleAt(p)
	}
	d.reader.Count(d.count, 0, 0)
	d.places, d.held, d.count = d.places[:0], 0, 0
	d.snapshots++
	return d.reader.Commit()
}

// close saves and lets go of everything. What cannot be saved is read again at the next start.
func (d *detector) close(ctx context.Context) error {
	d.save(ctx)
	var err error
	if cerr := d.reader.Close(); cerr != nil && !errors.Is(cerr, buffer.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return errors.Join(err, d.disk.Close())
}

func (d *detector) publish() {
	f := detectorFigures{engine: d.engine.Stats(), rules: d.engine.RuleStats(), unreadable: d.unreadable, snapshots: d.snapshots, crashes: d.crashes,
		watermark: d.engine.Watermark()}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.figures = f
}

// hearsOthers tells whether other Gatebooks may deliver to this one.
func (c *Config) hearsOthers() bool {
	for _, in := range c.Inputs {
		if in.Kind == "bulk" {
			return true
		}
	}
	return false
}

func (c *Config) detectorSettings() detectorSettings {
	return detectorSettings{state: c.Rules.State, heldMost: min(heldMost, c.Buffer.MaxBytes/8), lateness: c.Rules.Lateness, snapshot: c.Rules.Snapshot,
		zone: c.Location.String(), fleet: c.hearsOthers(), kibana: c.Rules.Kibana}
}

// openAlerts opens the log of alerts where an output wants it.
func (a *Agent) openAlerts(c *Config) (err error) {
	for _, o := range c.Outputs {
		if o.onAlerts() && a.alerts == nil {
			a.alerts, err = openAlertLog(c.DataDir, a.encoding(c, true), a.log)
		}
	}
	return err
}

// detect makes the detector fit the config: the rules that did not change keep their state.
func (a *Agent) detect(c *Config) (err error) {
	if c.Rules == nil {
		return a.closeDetector()
	}
	if d := a.detector; d != nil && d.failed == nil {
		d.ctx = context.Background() // the alerts of rules that are gone are closed
		if err := d.engine.Reload(c.Rules.Set); err != nil {
			return fmt.Errorf("reload the rules: %w", err)
		}
	}
	if d := a.detector; d != nil && (d.failed != nil || d.settings != c.detectorSettings()) {
		if err := a.closeDetector(); err != nil {
			return err
		}
		if a.alerts != nil { // what could not be saved is told again
			if err := a.alerts.learn(); err != nil {
				return fmt.Errorf("read the log of alerts: %w", err)
			}
		}
	}
	if a.detector == nil {
		if a.detector, err = a.openDetector(c); err != nil {
			return err
		}
	}
	a.detector.alerts = a.alerts
	return nil
}

func (a *Agent) closeDetector() error {
	if a.detector == nil {
		return nil
	}
	d := a.detector
	a.detector = nil
	return d.close(context.Background())
}

func (a *Agent) closeAlerts() error {
	if a.alerts == nil {
		return nil
	}
	l := a.alerts
	a.alerts = nil
	return l.log.Close()
}
