package outputs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatebook/gatebook/event"
)

// Letter is an item that an output refused for good.
type Letter struct {
	Time     time.Time       `json:"time"`
	Output   string          `json:"output"`
	Stream   string          `json:"stream"`
	ID       string          `json:"id"`
	Status   int             `json:"status"`
	Type     string          `json:"type"`
	Reason   string          `json:"reason"`
	Document json.RawMessage `json:"document"` // as in the log: after redaction
}

// DeadLetters keeps what one output refused for good, one JSON object a line in <data_dir>/deadletter/<label>.ndjson. Past
// MaxBytes the file is moved to <label>.1.ndjson, in place of the one before, whose letters are then dropped and counted.
type DeadLetters struct {
	path    string
	max     int64
	reserve func(func() error) error
	tell    func(ctx context.Context, fill func(*event.Event)) error
	now     func() time.Time

	mu      sync.Mutex
	f       *os.File
	size    int64
	kept    int64
	dropped int64
	untold  int64
}

// DeadLetterOptions are for OpenDeadLetters.
type DeadLetterOptions struct {
	DataDir  string
	Label    string // of the output; checked to be fit for a file name
	MaxBytes int64  // of the file before it is moved; 0 is 64 MiB
	// Reserve is buffer.Log.WithReserve, so that a full disk loses no letter; nil writes without.
	Reserve func(func() error) error
	// Tell appends one event to the log; fill sets what is ours of it. nil tells nobody.
	Tell func(ctx context.Context, fill func(*event.Event)) error
	Now  func() time.Time
}

// OpenDeadLetters opens the dead letters of an output. The file is made when there is a letter.
func OpenDeadLetters(o DeadLetterOptions) (*DeadLetters, error) {
	if !ValidLabel(o.Label) {
		return nil, fmt.Errorf("open dead letters: the label %q is not fit for a file name", o.Label)
	}
	d := &DeadLetters{
		path: filepath.Join(o.DataDir, "deadletter", o.Label+".ndjson"), max: o.MaxBytes, reserve: o.Reserve, tell: o.Tell, now: o.Now,
	}
	if d.max <= 0 {
		d.max = 64 << 20
	}
	if d.reserve == nil {
		d.reserve = func(f func() error) error { return f() }
	}
	if d.now == nil {
		d.now = time.Now
	}
	return d, nil
}

// ValidLabel tells whether a label may be part of a file name: letters, digits, "_", "-" and ".", not first.
func ValidLabel(s string) bool {
	if s == "" || len(s) > 100 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// Keep appends letters and returns when they are fsynced; it then tells of each once. Telling may fail: it is counted.
func (d *DeadLetters) Keep(ctx context.Context, letters []Letter) error {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false)
	for i := range letters {
		l := &letters[i]
		l.Time = d.now().UTC()
		if !json.Valid(l.Document) { // then it is kept as text
			l.Document, _ = json.Marshal(string(l.Document))
		}
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("write dead letter: %w", err)
		}
	}
	if err := d.write(lines.Bytes(), len(letters)); err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	if d.tell == nil {
		return nil
	}
	untold := int64(0)
	for i := range letters {
		if err := d.tell(ctx, letters[i].fill); err != nil {
			untold++
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.untold += untold
	return nil
}

func (d *DeadLetters) write(lines []byte, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.reserve(func() error { return d.append(lines) }); err != nil {
		return err
	}
	d.kept += int64(n)
	return nil
}

// fill sets what an event about the letter says.
func (l *Letter) fill(e *event.Event) {
	e.Dataset = deadLetterDataset
	e.Time = event.TimeOf(l.Time)
	e.Outcome = event.Failure
	e.Message = fmt.Sprintf("%s refused an event for good: status %d, %s", l.Output, l.Status, l.Type)
	e.Reason = l.Reason
	g := e.NeedDeadLetter()
	g.Output, g.Stream, g.ID, g.Type, g.Reason = l.Output, l.Stream, l.ID, l.Type, l.Reason
	g.Status = event.LongOf(int64(l.Status))
}

// append writes lines at the end and fsyncs. What a failed attempt left behind is cut off first.
func (d *DeadLetters) append(lines []byte) error {
	if err := d.open(); err != nil {
		return err
	}
	if d.size > 0 && d.size+int64(len(lines)) > d.max {
		if err := d.rotate(); err != nil {
			return err
		}
	}
	_, err := d.f.WriteAt(lines, d.size)
	if err == nil {
		err = d.f.Sync()
	}
	if err != nil {
		// After a failed fsync this descriptor tells nothing any more.
		_ = d.f.Truncate(d.size)
		d.close()
		return err
	}
	d.size += int64(len(lines))
	return nil
}

func (d *DeadLetters) open() error {
	if d.f != nil {
		return nil
	}
	dir := filepath.Dir(d.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	size, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	d.f, d.size = f, size
	return nil
}

// wholeLines is the size of a file up to its last newline: what a crash left after it is no letter.
func wholeLines(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for size > 0 {
		n := min(size, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}

func (d *DeadLetters) oldPath() string { return d.path[:len(d.path)-len(".ndjson")] + ".1.ndjson" }

// rotate moves the full file aside, over the one before.
func (d *DeadLetters) rotate() error {
	lost, err := countLines(d.oldPath())
	if err != nil {
		return err
	}
	d.close()
	if err := os.Rename(d.path, d.oldPath()); err != nil {
		return err
	}
	d.dropped += lost
	return d.open()
}

func countLines(path string) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := int64(0)
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		_, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			n++
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF:
			return n, nil
		default:
			return n, err
		}
	}
}

func (d *DeadLetters) close() {
	if d.f != nil {
		d.f.Close()
		d.f = nil
	}
}

// DeadLetterFigures count letters since the start of this process.
type DeadLetterFigures struct{ Kept, Dropped, Untold int64 }

// Figures returns the counts.
func (d *DeadLetters) Figures() DeadLetterFigures {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DeadLetterFigures{d.kept, d.dropped, d.untold}
}

// Close closes the file.
func (d *DeadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.close()
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
