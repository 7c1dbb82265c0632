package inputs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// journaldConfig is a decoded `input "journald"` block.
type journaldConfig struct {
	lineConfig
	command   string
	directory string
	filter    []string // arguments: --unit=, --identifier=, then matches
	fromEnd   bool
	retry     time.Duration // first wait before journalctl is started again
}

// journalMatch is what journalctl takes for a match; "+" between two is its "or".
var journalMatch = regexp.MustCompile(`^(\+|[A-Z_][A-Z0-9_]*=[^\x00]*)$`)

func decodeJournald(label string, b *conf.Body) Config {
	defer b.Close()
	c := &journaldConfig{lineConfig: decodeLocalLines(label, b, "max_line", 4<<10), retry: time.Second}
	c.source.Key, c.source.Envelope = "journal", "journald"
	c.command = b.String("command", "/usr/bin/journalctl")
	if !filepath.IsAbs(c.command) {
		b.Errorf("command", "%q is no absolute path; write where journalctl is", c.command)
	}
	c.directory = b.String("directory", "")
	for _, o := range []struct{ name, flag string }{{"units", "--unit="}, {"identifiers", "--identifier="}} {
		for _, v := range b.Strings(o.name) {
			if v == "" || strings.ContainsRune(v, 0) {
				b.Errorf(o.name, "%q is no name", v)
			}
			c.filter = append(c.filter, o.flag+v)
		}
	}
	matches := b.Strings("matches")
	for _, m := range matches {
		if !journalMatch.MatchString(m) {
			b.Errorf("matches", `%q is no match; write "FIELD=value", as in "_COMM=sshd", or "+" for "or"`, m)
		}
	}
	if len(matches) > 0 {
		c.filter = append(append(c.filter, "--"), matches...)
	}
	c.fromEnd = b.Enum("from", "beginning", "beginning", "end") == "end"
	return c
}

func (c *journaldConfig) New(env Env) (Input, error) {
	j := &Journald{config: *c, once: env.Once, cursor: string(env.Positions[journalCursor])}
	j.source = &j.config.source
	if j.source.Host == "" {
		j.source.Host = env.Host
	}
	if d := j.config.directory; d != "" && !filepath.IsAbs(d) {
		j.config.directory = filepath.Join(env.Dir, d)
	}
	j.log = env.Logger.With("input", j.source.Input)
	return j, nil
}

// journalCursor is the key of the position: the cursor of the last entry, as journalctl writes it.
const journalCursor = "cursor"

// Journald is the input "journald". It lets journalctl read the journal, which knows all its formats, and takes the entries from
// its standard output:
//
//	journalctl without --follow, from the cursor, of all boots -> to the end       then, but with Once:
//	journalctl --follow, after the cursor (of this boot, as journalctl has it)     -> until it ends; wait; from the top
//
// A batch carries the cursor of its last entry, so nothing is lost or doubled by a restart of either.
type Journald struct {
	config journaldConfig
	source *Source
	once   bool
	log    *slog.Logger
	told   string // problem that was told last; "" when all is well

	mu     sync.Mutex // held over Submit, so that cursors are submitted in order
	cursor string
}

const longestRetry = time.Minute

// Run reads the journal.
func (j *Journald) Run(ctx context.Context, sink Sink) error {
	if !j.once {
		var refresher sync.WaitGroup
		defer refresher.Wait()
		inner, stop := context.WithCancel(ctx)
		defer stop()
		refresher.Go(func() { refresh(inner, func() error { return j.submitCursor(inner, sink) }) })
	}
	for wait := j.config.retry; ; {
		before := j.cursor
		err := j.round(ctx, sink)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errSink):
			return fmt.Errorf("input %q: %w", j.source.Input, err)
		case j.once && err == nil:
			return nil
		case j.once:
			return fmt.Errorf("input %q: read the journal: %w", j.source.Input, err)
		}
		if err == nil {
			err = errors.New("journalctl ended")
		}
		j.tell(err)
		if j.cursor != before {
			wait = j.config.retry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		wait = min(2*wait, longestRetry)
	}
}

// errSink says that a batch was not taken: the sink is closing.
var errSink = errors.New("submit entries of the journal")

// round reads to the end of the journal and, where that is wanted, follows it.
func (j *Journald) round(ctx context.Context, sink Sink) error {
	if j.cursor == "" && j.config.fromEnd {
		if err := j.run(ctx, sink, reading{skipAll: true}, "--lines=1"); err != nil {
			return err
		}
		j.config.fromEnd = false // where there was no entry, all that come are new
	}
	var from []string
	if j.cursor != "" {
		from = []string{"--cursor=" + j.cursor} // not --after-cursor: its first entry shows whether the cursor is still known
	}
	err := j.run(ctx, sink, reading{expect: j.cursor}, from...)
	if e := (*journalctlError)(nil); errors.As(err, &e) && e.cursor && j.cursor != "" {
		j.log.Warn("journalctl does not understand the cursor of the last entry read; the journal is read from its beginning, so entries may come twice",
			"cursor", j.cursor)
		j.mu.Lock()
		j.cursor = ""
		j.mu.Unlock()
		err = j.run(ctx, sink, reading{})
	}
	if err != nil || j.once || ctx.Err() != nil {
		return err
	}
	follow := []string{"--follow", "--no-tail"}
	if j.config.directory != "" {
		follow = append(follow, "--merge") // else journalctl follows this machine's present boot only
	}
	if j.cursor != "" {
		follow = append(follow, "--after-cursor="+j.cursor)
	}
	return j.run(ctx, sink, reading{follow: true}, follow...)
}

// tell says once what is wrong, until it is another thing or all is well again.
func (j *Journald) tell(err error) {
	if text := err.Error(); text != j.told {
		j.told = text
		j.log.Error("the journal cannot be read; it is tried again and again", "error", err)
	}
}

func (j *Journald) well() {
	if j.told != "" {
		j.told = ""
		j.log.Info("the journal can be read again")
	}
}

// submit hands entries and the cursor after them to the sink.
func (j *Journald) submit(ctx context.Context, sink Sink, lines []Line, size int, cursor string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.submitLocked(ctx, sink, lines, size, cursor)
}

// submitLocked does it; j.mu is held.
func (j *Journald) submitLocked(ctx context.Context, sink Sink, lines []Line, size int, cursor string) error {
	b := NewBatch()
	b.Source, b.Received, b.Size = j.source, time.Now(), size
	b.Lines = append(b.Lines, lines...)
	if cursor != "" {
		b.Positions = append(b.Positions, Position{Key: PositionPrefix("journald", j.source.Input) + journalCursor, Value: []byte(cursor)})
	}
	if _, err := sink.Submit(ctx, b); err != nil {
		return fmt.Errorf("%w: %w", errSink, err)
	}
	if cursor != "" {
		j.cursor = cursor
	}
	return nil
}

// submitCursor submits the cursor alone.
func (j *Journald) submitCursor(ctx context.Context, sink Sink) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cursor == "" {
		return nil
	}
	return j.submitLocked(ctx, sink, nil, 0, j.cursor)
}
