package inputs

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatebook/gatebook/inputs/tail"
	"github.com/gatebook/gatebook/internal/conf"
)

// fileConfig is a decoded `input "file"` block.
type fileConfig struct {
	lineConfig
	tail tail.Config
}

func decodeFile(label string, b *conf.Body) Config {
	defer b.Close()
	c := &fileConfig{lineConfig: decodeLocalLines(label, b, "max_line", 256)}
	if b.Require("paths", `["/var/log/auth.log"]`) {
		c.tail.Paths = b.Strings("paths")
		if len(c.tail.Paths) == 0 && b.Has("paths") {
			b.Errorf("paths", "names no file")
		}
	}
	for _, p := range c.tail.Paths {
		if _, err := filepath.Match(p, "/"); err != nil {
			b.Errorf("paths", "%q is not a pattern: %v", p, err)
		}
	}
	c.tail.Exclude = b.Strings("exclude")
	if b.Enum("from", "beginning", "beginning", "end") == "end" {
		c.tail.From = tail.End
	}
	c.tail.MaxLine = c.maxLine
	c.tail.Poll = b.Duration("poll", 250*time.Millisecond, 10*time.Millisecond, time.Minute)
	c.tail.Rescan = b.Duration("rescan", time.Second, 10*time.Millisecond, time.Hour)
	c.tail.PartialTimeout = b.Duration("partial_timeout", 0, 0, 0)
	c.tail.CloseInactive = b.Duration("close_inactive", time.Hour, time.Second, 0)
	c.tail.MaxOpen = b.Int("max_open", 0, 0, 1<<20)
	c.tail.Roots = b.Strings("roots")
	c.tail.AllowHardLinks = b.Bool("allow_hard_links", false)
	c.tail.NoNotify = !b.Bool("notify", true)
	if m := b.Block("multiline"); m != nil {
		c.tail.Multiline = decodeMultiline(m.Body)
	}
	return c
}

func decodeMultiline(b *conf.Body) *tail.Multiline {
	defer b.Close()
	m := &tail.Multiline{}
	if b.Require("pattern", `"^\\s"`) {
		m.Pattern = b.Regexp("pattern")
	}
	m.Negate = b.Bool("negate", false)
	if b.Enum("match", "after", "after", "before") == "before" {
		m.Match = tail.Before
	}
	m.MaxLines = b.Int("max_lines", 500, 2, 100000)
	m.Timeout = b.Duration("timeout", 5*time.Second, 10*time.Millisecond, time.Hour)
	return m
}

func (c *fileConfig) New(env Env) (Input, error) {
	cfg := c.tail
	absolute := func(list []string) (out []string) {
		for _, p := range list {
			if !filepath.IsAbs(p) {
				p = filepath.Join(env.Dir, p)
			}
			out = append(out, p)
		}
		return out
	}
	cfg.Paths, cfg.Roots = absolute(cfg.Paths), absolute(cfg.Roots)
	f := &File{source: c.source, once: env.Once, sources: map[string]*fileSource{}, last: maps.Clone(env.Positions)}
	if f.last == nil {
		f.last = map[string][]byte{}
	}
	if f.source.Host == "" {
		f.source.Host = env.Host
	}
	log := env.Logger.With("input", c.source.Input)
	t, err := tail.New(cfg, tail.Options{Logger: log, Positions: env.Positions, OnError: func(path string, err error) {
		if err != nil {
			log.Error("file cannot be read", "path", path, "error", err)
		} else {
			log.Info("file can be read again", "path", path)
		}
	}})
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", c.source.Input, err)
	}
	f.tailer = t
	return f, nil
}

// File is the input "file".
type File struct {
	source Source
	once   bool
	tailer *tail.Tailer

	mu      sync.Mutex // held over Submit, so that positions of one file are submitted in order
	sources map[string]*fileSource
	last    map[string][]byte // position of every file, by key
}

// fileSource is what does not change from chunk to chunk of one file; it is renewed when its path changes.
type fileSource struct {
	Source
	position string // key of its position in the log
	begun    bool   // lines of it have been submitted
}

// Run follows the files.
func (f *File) Run(ctx context.Context, sink Sink) error {
	emit := func(ctx context.Context, c *tail.Chunk) error {
		b := NewBatch()
		f.mu.Lock()
		defer f.mu.Unlock()
		src := f.sourceOf(c.Key, c.Path)
		if len(c.Lines) > 0 && !src.begun {
			src.begun = true
			if c.Lines[0].Offset > 0 {
				src.First = f.tailer.FirstLine(c.Key)
			}
		}
		f.last[c.Key] = c.Position
		b.Source, b.Received, b.Size = &src.Source, time.Now(), len(c.Text)
		for _, l := range c.Lines {
			b.Lines = append(b.Lines, Line{Text: c.Text[l.Start:l.End], Offset: l.Offset, Truncated: l.Truncated})
		}
		b.Positions = append(b.Positions, Position{Key: src.position, Value: c.Position})
		_, err := sink.Submit(ctx, b)
		return err
	}
	run := f.tailer.Run
	if f.once {
		run = f.tailer.ReadToEnd
	} else {
		var refresher sync.WaitGroup
		defer refresher.Wait()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		refresher.Go(func() { refresh(ctx, func() error { return f.submitPositions(ctx, sink) }) })
	}
	if err := run(ctx, emit); err != nil && ctx.Err() == nil {
		return fmt.Errorf("input %q: %w", f.source.Input, err)
	}
	return nil
}

// submitPositions submits the positions of the files that are there.
func (f *File) submitPositions(ctx context.Context, sink Sink) error {
	for _, s := range f.tailer.Stats() {
		if err := f.submitPosition(ctx, sink, s.Key, s.Path); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) submitPosition(ctx context.Context, sink Sink, key, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok := f.last[key]
	if !ok {
		return nil
	}
	b, src := NewBatch(), f.sourceOf(key, path)
	b.Source, b.Received = &src.Source, time.Now()
	b.Positions = append(b.Positions, Position{Key: src.position, Value: value})
	_, err := sink.Submit(ctx, b)
	return err
}

// Files tells how far each file has been read.
func (f *File) Files() []tail.FileStats { return f.tailer.Stats() }

func (f *File) sourceOf(key, path string) *fileSource {
	if s := f.sources[key]; s != nil && s.Path == path {
		return s
	}
	if len(f.sources) > 10000 { // files come and go; forgetting costs one allocation a file
		clear(f.sources)
	}
	s := &fileSource{Source: f.source, position: PositionPrefix("file", f.source.Input) + key}
	s.Key, s.Path = key, path
	f.sources[key] = s
	return s
}
