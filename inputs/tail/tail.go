package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Chunk is a piece of one file. A chunk without lines only carries a position.
type Chunk struct {
	Path     string // of the file now; empty in the one chunk that records that the input was started
	Key      string // names the file in the position table: printable, at most 64 bytes, the same after a rename
	Text     string // one allocation; may be retained, as may its substrings
	Lines    []Line // belongs to the tailer again when Emit returns
	Position []byte // opaque; everything needed to go on after this chunk. May be retained
	Size     int    // bytes of the file that this chunk stands for, passed-over ones included
}

// Emit takes a chunk, always from the same goroutine. It may block for as long as it wants. Once it returns nil the
// position counts as reached; an error ends Run and the chunk counts as not taken.
type Emit func(ctx context.Context, c *Chunk) error

// Tailer follows files. Run and ReadToEnd must not be called at the same time; Stats may be called at any time.
type Tailer struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	wake  <-chan struct{}
	onErr func(string, error)
	split splitter
	open  opener

	mu       sync.Mutex // held while working, not while Emit blocks or while waiting
	byID     map[fileID]*source
	live     []*source
	gone     map[string]*source // files that cannot be found any more; a copy of one may still turn up
	held     map[fileID]hold
	problems map[string]string
	queue    []*source
	opened   int
	use      uint64
	scanNo   uint64
	scanNow  bool
	first    bool // nothing was known when this tailer was made
	started  bool // the start is on record
	peekSize int
	peeked   map[string]peek
	listed   map[string][]entry

	buf   []byte
	lines []Line
	notes *notifier
}

// New checks the configuration and the positions. It touches no file.
func New(cfg Config, o Options) (*Tailer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Tailer{
		cfg: cfg, log: o.Logger, now: o.Now, wake: o.Wake, onErr: o.OnError,
		split:    splitter{maxLine: cfg.MaxLine, multi: cfg.Multiline},
		open:     opener{roots: cfg.Roots, owners: cfg.Owners, hardLinks: cfg.AllowHardLinks},
		byID:     make(map[fileID]*source),
		gone:     make(map[string]*source),
		held:     make(map[fileID]hold),
		problems: make(map[string]string),
		first:    len(o.Positions) == 0,
		peekSize: cfg.FingerprintSize,
		// Room for a group of the greatest length and the line that ends it, so that every read makes progress.
		buf: make([]byte, tailLen+max(cfg.ChunkSize, 2*cfg.MaxLine+4, cfg.FingerprintSize)),
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.onErr == nil {
		t.onErr = func(string, error) {}
	}
	for key, b := range o.Positions {
		if err := t.restore(key, b); err != nil {
			return nil, fmt.Errorf("read position of %q: %w", key, err)
		}
	}
	return t, nil
}

func (t *Tailer) restore(key string, b []byte) error {
	if len(b) == 2 && b[0] == positionVersion && b[1] == flagStart {
		t.started = true
		return nil
	}
	p, err := decodePlace(b)
	if err != nil {
		return err
	}
	t.peekSize = max(t.peekSize, p.fp.n)
	t.gone[key] = &source{place: p, key: key, fd: -1, size: -1, restored: true, lost: true, recorded: true}
	return nil
}

// Run follows the files until ctx ends (nil) or emit returns an error (that error).
func (t *Tailer) Run(ctx context.Context, emit Emit) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.closeAll()
	if t.wake == nil && !t.cfg.NoNotify {
		t.notes = newNotifier(t.log)
		defer func() { t.notes.close(); t.notes = nil }()
	}
	err := t.loop(ctx, emit)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (t *Tailer) loop(ctx context.Context, emit Emit) error {
	var lastScan, nextScan, nextPoll time.Time
	t.scanNow = true
	for ctx.Err() == nil {
		now := t.now()
		hints := t.notes.take()
		if hints.scan {
			// Soon, but names that change all the time must not make it scan all the time.
			nextScan = earlier(nextScan, lastScan.Add(hintedScan))
		}
		switch {
		case t.scanNow || !now.Before(nextScan):
			if err := t.scan(ctx, emit); err != nil {
				return err
			}
			t.poll(now, true)
			lastScan, nextScan, nextPoll = now, now.Add(t.cfg.Rescan), now.Add(t.cfg.Poll)
		case !now.Before(nextPoll) || hints.changed:
			t.poll(now, false)
			nextPoll = now.Add(t.cfg.Poll)
		}
		if len(t.queue) > 0 {
			if err := t.serveNext(ctx, emit); err != nil {
				return err
			}
			continue
		}
		if t.wake != nil {
			nextScan = time.Time{}
		}
		if !t.scanNow || t.wake != nil {
			t.wait(ctx, min(nextScan.Sub(now), nextPoll.Sub(now)))
		}
	}
	return nil
}

const hintedScan = 50 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// wait sleeps until something may have changed.
func (t *Tailer) wait(ctx context.Context, d time.Duration) {
	t.mu.Unlock()
	defer t.mu.Lock()
	if t.wake != nil {
		select {
		case <-ctx.Done():
		case <-t.wake:
		}
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-t.notes.woken():
	}
}

// ReadToEnd reads everything that is there now, an unfinished last line or group included, and returns.
func (t *Tailer) ReadToEnd(ctx context.Context, emit Emit) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.closeAll()
	if err := t.pass(ctx, emit); err != nil {
		return err
	}
	for _, s := range slices.Clone(t.live) {
		s.flush = flushAll
		t.enqueue(s)
	}
	return t.serveAll(ctx, emit)
}

// pass looks at every path and file once and reads what is there.
func (t *Tailer) pass(ctx context.Context, emit Emit) error {
	t.scanNow = true
	for tries := 0; t.scanNow && tries < 4; tries++ {
		if err := t.scan(ctx, emit); err != nil {
			return err
		}
		t.poll(t.now(), true)
		if err := t.serveAll(ctx, emit); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tailer) serveAll(ctx context.Context, emit Emit) error {
	for len(t.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.serveNext(ctx, emit); err != nil {
			return err
		}
	}
	return nil
}

// serveNext gives the file at the head of the queue one chunk's turn.
func (t *Tailer) serveNext(ctx context.Context, emit Emit) error {
	s := t.queue[0]
	t.queue[0] = nil
	t.queue = t.queue[1:]
	s.queued = false
	again, err := t.serve(ctx, s, emit)
	if again {
		t.enqueue(s)
	}
	return err
}

func (t *Tailer) enqueue(s *source) {
	if !s.queued && !s.buried && !s.done {
		s.queued = true
		t.queue = append(t.queue, s)
	}
}

// emitUnlocked lets Stats in while the log makes us wait.
func (t *Tailer) emitUnlocked(ctx context.Context, emit Emit, c *Chunk) error {
	t.mu.Unlock()
	defer t.mu.Lock()
	return emit(ctx, c)
}

func (t *Tailer) closeAll() {
	for _, s := range t.live {
		t.closeSource(s)
	}
}

// problem tells of an error of a path once, and of its end.
func (t *Tailer) problem(path string, err error) {
	if err == nil {
		if _, had := t.problems[path]; had {
			delete(t.problems, path)
			t.onErr(path, nil)
		}
		return
	}
	if text := err.Error(); t.problems[path] != text {
		t.problems[path] = text
		t.onErr(path, err)
	}
}

// State says what a file is to the tailer.
type State string

const (
	Following State = "following" // at a path that a glob names
	Rotated   State = "rotated"   // moved away; read on until it is silent
	Deleted   State = "deleted"   // no name left; read on until it is silent
	Finished  State = "finished"  // a compressed file, read to its end
)

// FileStats is the state of one file.
type FileStats struct {
	Path, Key string
	Offset    int64 // reached, in the decompressed stream
	Size      int64 // as last seen, compressed for a compressed file
	Lag       int64 // bytes not read yet; 0 for a compressed file
	Open      bool
	State     State
	Err       string
}

// Stats lists the files that are followed now, and the paths that cannot be.
func (t *Tailer) Stats() []FileStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]FileStats, 0, len(t.live))
	failing := make(map[string]bool, len(t.problems))
	for _, s := range t.live {
		st := FileStats{Path: s.path, Key: s.key, Offset: s.mark.off, Size: max(s.size, 0), Open: s.fd >= 0, State: s.state, Err: t.problems[s.path]}
		if !s.gzip {
			st.Lag = max(0, s.size-s.mark.off)
		}
		failing[s.path] = true
		out = append(out, st)
	}
	for path, text := range t.problems {
		if !failing[path] {
			out = append(out, FileStats{Path: path, Err: text})
		}
	}
	slices.SortFunc(out, func(a, b FileStats) int { return strings.Compare(a.Path+a.Key, b.Path+b.Key) })
	return out
}

// isGone says whether an error means that there is no file of that name.
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

var errIncomplete = fmt.Errorf("the compressed file is not complete: %w", io.ErrUnexpectedEOF)
