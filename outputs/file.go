package outputs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// newFile reads
//
//	output "file" "copy" {
//	  path     = "/var/log/gatebook/records.ndjson"   # "-" is standard output
//	  max_size = "100MiB"                             # rotated past it; "0B" never
//	  max_age  = "24h"
//	  keep     = 7
//	  names    = "numbered"                           # or "timestamp"
//	  fsync    = true
//	}
func newFile(label string, body *conf.Body, env Env) (Output, Params) {
	p := Params{Workers: 1, BatchBytes: 1 << 20, BatchItems: 10000, Idempotent: true}
	path := body.RequiredString("path")
	o := fileOptions{
		path: path, maxSize: body.Size("max_size", 100<<20, 0, 0), maxAge: body.Duration("max_age", 0, time.Second, 0),
		keep: body.Int("keep", 7, 1, 10000), timestamp: body.Enum("names", "numbered", "numbered", "timestamp") == "timestamp",
		fsync: body.Bool("fsync", true),
	}
	if path == "" {
		return nil, p
	}
	if path == "-" {
		for _, name := range []string{"max_size", "max_age", "keep", "names", "fsync"} {
			if body.Has(name) {
				body.Errorf(name, "standard output is not rotated")
			}
		}
		var w io.Writer = os.Stdout
		if env.Stdout != nil {
			w = env.Stdout
		}
		return newStdout(w), p
	}
	if !filepath.IsAbs(path) {
		body.Errorf("path", "wants an absolute path, or \"-\" for standard output")
		return nil, p
	}
	return newFileOutput(o, env.Logger.With("output", label, "kind", "file")), p
}

// stdout writes documents to standard output, one a line: at least once, for nobody knows what a pipe's reader got.
type stdout struct{ w *bufio.Writer }

func newStdout(w io.Writer) *stdout { return &stdout{bufio.NewWriterSize(w, 64<<10)} }

// Write writes and flushes a batch.
func (s *stdout) Write(_ context.Context, b *Batch) error {
	err := eachDocument(b, func(doc []byte) error {
		_, err := s.w.Write(doc)
		return err
	})
	if err == nil {
		err = s.w.Flush()
	}
	if err != nil {
		return &RequestError{Host: "standard output", Unknown: true, Hold: true, Err: fmt.Errorf("write standard output: %w", err)}
	}
	return nil
}

// Close has nothing to do.
func (s *stdout) Close() error { return nil }

// eachDocument calls write with the documents of a batch, newline included.
func eachDocument(b *Batch, write func(doc []byte) error) error {
	for k := range b.Parts {
		p := &b.Parts[k]
		items, err := p.Items()
		if err != nil {
			return err
		}
		for i := range p.Ends {
			doc := event.Document(p.Item(items, i))
			if err := write(doc[:len(doc):len(doc)]); err != nil {
				return err
			}
			if err := write(newline); err != nil {
				return err
			}
		}
	}
	return nil
}

var newline = []byte{'\n'}

type fileOptions struct {
	path      string
	maxSize   int64
	maxAge    time.Duration
	keep      int
	timestamp bool
	fsync     bool
}

// fileOutput writes documents to a file, each once: the file's length is stored with the cursor, and what a crash left
// beyond it is cut off at the next start. The driver writes with one worker and commits between writes.
type fileOutput struct {
	o     fileOptions
	log   *slog.Logger
	now   func() time.Time
	state string // as restored, until the file is open

	f      *os.File
	size   int64
	opened time.Time
	buf    []byte
}

func newFileOutput(o fileOptions, log *slog.Logger) *fileOutput {
	return &fileOutput{o: o, log: log, now: time.Now}
}

// Restore takes the length that was stored with the cursor.
func (o *fileOutput) Restore(state string) error {
	o.state = state
	return nil
}

// Start opens the file and cuts off what was written after the last commit.
func (o *fileOutput) Start(context.Context) error {
	if o.f != nil {
		return nil
	}
	if err := o.open(); err != nil {
		return o.trouble("open file", err)
	}
	id, length, ok := parseFileState(o.state)
	if !ok {
		return nil
	}
	have, err := fileID(o.f)
	switch {
	case err != nil:
		return o.trouble("open file", err)
	case have != id:
		o.log.Info("output file is another one than at the last commit, its end is left as it is", "path", o.o.path)
	case o.size < length:
		o.log.Warn("output file is shorter than at the last commit: something else cut it", "path", o.o.path, "size", o.size, "committed", length)
	case o.size > length:
		if err := o.f.Truncate(length); err != nil {
			return o.trouble("cut file", err)
		}
		o.size = length
	}
	return nil
}

func (o *fileOutput) open() error {
	if info, err := os.Stat(o.o.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", o.o.path) // opening a FIFO would wait for its reader
	}
	f, err := os.OpenFile(o.o.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = syncDir(filepath.Dir(o.o.path))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	o.f, o.size, o.opened = f, info.Size(), o.now()
	if o.size > 0 {
		o.opened = info.ModTime() // the best that is known of its age
	}
	return nil
}

// Write appends a batch, all of it or nothing.
func (o *fileOutput) Write(_ context.Context, b *Batch) error {
	o.buf = o.buf[:0]
	if err := eachDocument(b, func(doc []byte) error { o.buf = append(o.buf, doc...); return nil }); err != nil {
		return o.trouble("write file", err)
	}
	n, err := o.f.Write(o.buf)
	if err != nil {
		if n > 0 {
			if terr := o.f.Truncate(o.size); terr != nil {
				err = errors.Join(err, terr)
			}
		}
		return o.trouble("write file", err)
	}
	o.size += int64(n)
	if cap(o.buf) > 8<<20 {
		o.buf = nil
	}
	return nil
}

func (o *fileOutput) trouble(what string, err error) error {
	e := &RequestError{Host: o.o.path, Err: fmt.Errorf("%s %s: %w", what, o.o.path, err)}
	switch {
	case errors.Is(err, os.ErrPermission):
		e.Remedy, e.Hold = "let the user that Gatebook runs as write there", true
	case errors.Is(err, os.ErrNotExist):
		e.Remedy, e.Hold = "make the folder "+filepath.Dir(o.o.path), true
	case isNoSpace(err):
		e.Remedy = "free space on the disk"
	}
	return e
}

// Checkpoint makes what was written durable and returns which file it is, and its length.
func (o *fileOutput) Checkpoint() (string, error) {
	if o.f == nil {
		return o.state, nil
	}
	if o.o.fsync {
		if err := o.f.Sync(); err != nil {
			return "", fmt.Errorf("sync %s: %w", o.o.path, err)
		}
	}
	id, err := fileID(o.f)
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", o.o.path, err)
	}
	o.state = id + " " + strconv.FormatInt(o.size, 10)
	return o.state, nil
}

func parseFileState(s string) (id string, length int64, ok bool) {
	var err error
	for i := range len(s) {
		if s[i] == ' ' {
			length, err = strconv.ParseInt(s[i+1:], 10, 64)
			return s[:i], length, err == nil && length >= 0
		}
	}
	return "", 0, false
}

// Urgent asks for a commit when the file is to be rotated: a file is left behind only when all of it is committed.
func (o *fileOutput) Urgent() bool { return o.full() }

func (o *fileOutput) full() bool {
	return o.f != nil && o.size > 0 && (o.o.maxSize > 0 && o.size >= o.o.maxSize || o.o.maxAge > 0 && o.now().Sub(o.opened) >= o.o.maxAge)
}

// Committed rotates a full file, and takes a new one where somebody else has moved ours away.
func (o *fileOutput) Committed() (bool, error) {
	if o.f == nil {
		return false, nil
	}
	moved := o.moved()
	if !moved && !o.full() {
		return false, nil
	}
	if !moved {
		if err := o.rotate(); err != nil {
			// Better a file that is too long than records that wait.
			o.log.Warn("output file cannot be rotated", "path", o.o.path, "err", err)
			o.opened = o.now()
			return false, nil
		}
	}
	old := o.f
	if err := o.open(); err != nil {
		o.log.Warn("output file goes on where it was moved, no new one can be made", "path", o.o.path, "err", err)
		return false, nil
	}
	if err := old.Close(); err != nil {
		o.log.Warn("output file left behind with an error", "path", o.o.path, "err", err)
	}
	return true, nil
}

// moved tells whether the path leads to another file than ours, or to none.
func (o *fileOutput) moved() bool {
	ours, err := o.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(o.o.path)
	return errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(ours, there)
}

// rotate moves the file to <path>.1, older ones up by one; or to <path>.<time>.
func (o *fileOutput) rotate() error {
	if o.o.timestamp {
		return o.rotateTimestamp()
	}
	for i := o.o.keep; i > 0; i-- {
		from := o.o.path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		if err := os.Rename(from, o.o.path+"."+strconv.Itoa(i)); err != nil && (i == 1 || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return nil
}

const timestampLayout = "20060102T150405.000Z"

func (o *fileOutput) rotateTimestamp() error {
	to := o.o.path + "." + o.now().UTC().Format(timestampLayout)
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	if err := os.Rename(o.o.path, to); err != nil {
		return err
	}
	dir, base := filepath.Split(o.o.path)
	entries, err := os.ReadDir(dir) // by name, hence by time
	if err != nil {
		return err
	}
	var old []string
	for _, e := range entries {
		if n := len(base) + 1; len(e.Name()) == n+len(timestampLayout) && e.Name()[:n] == base+"." {
			if _, err := time.Parse(timestampLayout, e.Name()[n:]); err == nil {
				old = append(old, filepath.Join(dir, e.Name()))
			}
		}
	}
	for len(old) > o.o.keep {
		if err := os.Remove(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	return nil
}

// Close closes the file.
func (o *fileOutput) Close() error {
	if o.f == nil {
		return nil
	}
	err := o.f.Close()
	o.f = nil
	return err
}
