package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TAIL_TEST_LOW_DESCRIPTORS"); dir != "" {
		os.Exit(lowDescriptorChild(dir))
	}
	goleak.VerifyTestMain(m)
}

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// rig is a tailer whose clock and passes the test moves by hand, with the position table of the log behind it.
type rig struct {
	tb
	dir       string
	cfg       Config
	clock     time.Time
	positions map[string][]byte
	got       []string // lines in the order they came
	lines     []Line
	paths     []string // of each line
	errs      []string
	chunks    int
	failAfter int // chunks until emit fails; negative: never
	tl        *Tailer
	log       *slog.Logger
	logged    bytes.Buffer
}

func newRig(t tb, dir string, cfg Config) *rig {
	if len(cfg.Paths) == 0 {
		cfg.Paths = []string{filepath.Join(dir, "app.log")}
	}
	r := &rig{tb: t, dir: dir, cfg: cfg, clock: time.Now(), positions: map[string][]byte{}, failAfter: -1}
	r.restart()
	return r
}

func (r *rig) restart() {
	r.Helper()
	r.stop()
	if r.log == nil {
		r.log = slog.New(slog.NewTextHandler(&r.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	tl, err := New(r.cfg, Options{
		Logger: r.log, Now: func() time.Time { return r.clock },
		Positions: maps.Clone(r.positions),
		OnError:   func(path string, err error) { r.errs = append(r.errs, fmt.Sprintf("%s: %v", filepath.Base(path), err)) },
	})
	if err != nil {
		r.Fatalf("new: %v", err)
	}
	r.tl = tl
}

func (r *rig) stop() {
	if r.tl != nil {
		r.tl.closeAll()
	}
}

var errTestCrash = errors.New("crash")

func (r *rig) emit(_ context.Context, c *Chunk) error {
	if r.failAfter == 0 {
		return errTestCrash
	}
	r.failAfter--
	r.chunks++
	for _, l := range c.Lines {
		r.got = append(r.got, strings.Clone(c.Text[l.Start:l.End]))
		r.lines = append(r.lines, l)
		r.paths = append(r.paths, c.Path)
	}
	if len(c.Key) == 0 || len(c.Key) > 64 {
		r.Fatalf("key %q", c.Key)
	}
	r.positions[c.Key] = c.Position
	return nil
}

// pass makes one pass; it returns false where emit failed.
func (r *rig) pass() bool {
	r.Helper()
	r.tl.mu.Lock()
	defer r.tl.mu.Unlock()
	err := r.tl.pass(context.Background(), r.emit)
	if err != nil && !errors.Is(err, errTestCrash) {
		r.Fatalf("pass: %v", err)
	}
	r.clock = r.clock.Add(100 * time.Millisecond)
	return err == nil
}

func (r *rig) once() {
	r.Helper()
	if err := r.tl.ReadToEnd(context.Background(), r.emit); err != nil {
		r.Fatalf("read to end: %v", err)
	}
}

// after moves the clock and makes two passes.
func (r *rig) after(d time.Duration) {
	r.Helper()
	r.clock = r.clock.Add(d)
	r.pass()
	r.pass()
}

// want compares all lines since the last want.
func (r *rig) want(lines ...string) {
	r.Helper()
	if !slices.Equal(r.got, lines) {
		r.Fatalf("got  %q\nwant %q\nerrors %q", abbreviate(r.got), abbreviate(lines), r.errs)
	}
	r.got, r.lines, r.paths = nil, nil, nil
}

// wantSet is want for lines of several files, whose order is not promised.
func (r *rig) wantSet(lines ...string) {
	r.Helper()
	slices.Sort(r.got)
	slices.Sort(lines)
	r.want(lines...)
}

func abbreviate(lines []string) []string {
	out := slices.Clone(lines)
	for i, l := range out {
		if len(l) > 60 {
			out[i] = fmt.Sprintf("%s...(%d)", l[:60], len(l))
		}
	}
	return out
}

func (r *rig) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%v", err)
	}
}

func (r *rig) append(name string, text ...string) {
	r.Helper()
	f, err := os.OpenFile(r.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	r.check(err)
	_, err = f.WriteString(strings.Join(text, ""))
	r.check(errors.Join(err, f.Close()))
}

func (r *rig) rename(from, to string) { r.Helper(); r.check(os.Rename(r.path(from), r.path(to))) }
func (r *rig) remove(name string)     { r.Helper(); r.check(os.Remove(r.path(name))) }
func (r *rig) truncate(name string)   { r.Helper(); r.check(os.Truncate(r.path(name), 0)) }

func (r *rig) copy(from, to string) {
	r.Helper()
	b, err := os.ReadFile(r.path(from))
	r.check(err)
	r.check(os.WriteFile(r.path(to), b, 0o644))
}

// gzip compresses name to name.gz and removes it, as gzip(1) does.
func (r *rig) gzip(name string) {
	r.Helper()
	b, err := os.ReadFile(r.path(name))
	r.check(err)
	r.check(os.WriteFile(r.path(name+".gz"), compressed(b), 0o644))
	r.remove(name)
}

func compressed(b []byte) []byte {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	zw.Write(b)
	zw.Close()
	return out.Bytes()
}

// long is a text of n numbered lines, longer than a fingerprint when n > 40.
func long(tag string, n int) (text string, lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("%s line %04d of a log file", tag, i))
	}
	return strings.Join(lines, "\n") + "\n", lines
}

var bothSizes = []int{3, 200} // lines: smaller and larger than the fingerprint

func forSizes(t *testing.T, f func(t *testing.T, n int)) {
	for _, n := range bothSizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) { f(t, n) })
	}
}
