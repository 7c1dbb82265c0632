// Package state keeps what the rules know over restarts, in SQLite: the state of the engine and of each rule as blobs, the long memory as rows, and the
// position in the log up to which they hold.
//
//	engine -- Commit: cursor, blobs, rows that changed --> one transaction -> fsync -> nil
//	       <- Get: one row (beside a running Commit)
//	       <- Load: cursor and blobs, after a start
//
// What it promises: cursor, blobs and rows are always of the same Commit, whatever ended the process, and one that returned nil outlives a power cut.
// One process has it open. The files are for their owner alone to read. It does not grow without end: rows that expired are deleted, some at each Commit,
// and beyond Options.MaxBytes the owner (rule) that has the most gives up rows, those that expire first; GivenUp says so, so that they are unknown
// and not new.
//
// A damaged file is set aside, as FileName.damaged-<time>, and a new one begun: SetAside tells. The rules are then as after an installation: each key is
// learned anew, which is quiet, and nothing is "new" meanwhile.
//
// DB does what engine.Disk asks for; the types of both are aliases, so that neither package imports the other.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

// FileName is the database within its folder; SQLite keeps FileName-wal and FileName-shm beside it.
const FileName = "rules.db"

// Commit is one moment of the engine: see engine.Commit.
type Commit = struct {
	Cursor uint64
	Blobs  map[string][]byte
	Rows   []Row
	Now    int64
}

// Row is a record of the long memory: see engine.Row. Keys are longer than 8 bytes; the first 8, big endian, are the owner.
type Row = struct {
	Key, Value []byte
	Expires    int64
}

// Options bound the database.
type Options struct {
	MaxBytes int64            // of rows, with what SQLite needs for them; 1 GiB where 0
	Now      func() time.Time // names a file that is set aside; nil: time.Now
}

const defaultMaxBytes = 1 << 30

// DB is an open database. It is safe for concurrent use; Commit calls go one after the other, and Get runs beside them.
type DB struct {
	path     string
	maxBytes int64
	lock     interface{ Close() error }
	setAside error

	write  sync.Mutex // Commit and Close
	writer *writer
	read   sync.Mutex // Get, Load and Close
	reader *reader

	ownersMu sync.RWMutex
	owners   map[uint64]owner
}

// owner is what the rows of one owner are together.
type owner struct{ rows, bytes, givenUp int64 }

// Errors that callers tell apart with errors.Is.
var (
	ErrLocked  = errors.New("in use by another process")
	ErrDamaged = errors.New("the database is damaged")
	ErrNewer   = errors.New("written by a newer Gatebook")
	errClosed  = errors.New("it is closed")
)

// Open opens the database in a folder, and makes both where they are not there.
func Open(dir string) (*DB, error) { return OpenWith(dir, Options{}) }

// OpenWith is Open with bounds.
func OpenWith(dir string, o Options) (*DB, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &DB{path: filepath.Join(dir, FileName), maxBytes: o.MaxBytes}
	if err := d.open(dir, o); err != nil {
		_ = d.Close() // what matters is why it cannot be opened
		return nil, fmt.Errorf("open the rules' state %s: %w", d.path, err)
	}
	return d, nil
}

func (d *DB) open(dir string, o Options) error {
	if err := (fsx.OS{}).MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := fsx.OS{}.Lock(d.path + ".lock")
	if errors.Is(err, fsx.ErrLocked) {
		return fmt.Errorf("%w; stop that first", ErrLocked)
	}
	if err != nil {
		return err
	}
	d.lock = lock
	_, err = os.Stat(d.marker())
	if err == nil {
		err = fmt.Errorf("%w: an earlier run found it so", ErrDamaged)
	} else {
		err = d.connect()
	}
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	damage := err
	d.disconnect()
	aside := d.path + ".damaged-" + o.Now().UTC().Format("20060102T150405Z")
	for _, suffix := range []string{"-wal", "-shm", ""} { // the database last: until then the next start does this again
		if err := os.Rename(d.path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(damage, err)
		}
	}
	if err := os.Remove(d.marker()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(damage, err)
	}
	if err := (fsx.OS{}).SyncDir(dir); err != nil {
		return errors.Join(damage, err)
	}
	d.setAside = fmt.Errorf("%w; it was set aside as %s, and the rules learn anew what is usual", damage, aside)
	return d.connect()
}

// marker is a file that says that SQLite found damage while it ran: not all of it shows when the database is opened.
func (d *DB) marker() string { return d.path + ".damaged" }

// connect opens both connections and reads the owners.
func (d *DB) connect() error {
	// SQLite would make it for all to read; its journals get the mode of the database.
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	if d.writer, err = openWriter(d.path); err != nil {
		return explain(err)
	}
	if d.owners, err = d.writer.loadOwners(); err != nil {
		return explain(err)
	}
	if d.reader, err = openReader(d.path); err != nil {
		return explain(err)
	}
	return nil
}

func (d *DB) disconnect() {
	if d.writer != nil {
		_ = d.writer.close() // of a damaged file
		d.writer = nil
	}
	if d.reader != nil {
		_ = d.reader.close()
		d.reader = nil
	}
}

// SetAside is nil, or says that Open found a damaged database, where it is now, and what follows from that.
func (d *DB) SetAside() error { return d.setAside }

// Close ends it. What Commit has confirmed needs no Close to be safe.
func (d *DB) Close() error {
	d.write.Lock()
	defer d.write.Unlock()
	d.read.Lock()
	defer d.read.Unlock()
	var errs []error
	if d.reader != nil {
		errs = append(errs, d.reader.close())
		d.reader = nil
	}
	if d.writer != nil {
		errs = append(errs, d.writer.close())
		d.writer = nil
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
		d.lock = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the rules' state %s: %w", d.path, err)
	}
	return nil
}

// Load returns what the last Commit left: 0 and nothing where there was none.
func (d *DB) Load() (cursor uint64, blobs map[string][]byte, err error) {
	d.write.Lock() // cursor and blobs of one moment
	defer d.write.Unlock()
	d.read.Lock()
	defer d.read.Unlock()
	if d.reader == nil {
		return 0, nil, d.wrap("read", errClosed)
	}
	cursor, blobs, err = d.reader.load()
	if err != nil {
		return 0, nil, d.wrap("read", err)
	}
	return cursor, blobs, nil
}

// Get returns the value of a row; ok is false where there is none. The value is the caller's, the key is not retained.
func (d *DB) Get(key []byte) (value []byte, ok bool, err error) {
	d.read.Lock()
	defer d.read.Unlock()
	if d.reader == nil {
		return nil, false, d.wrap("read", errClosed)
	}
	value, ok, err = d.reader.get(key)
	if err != nil {
		return nil, false, d.wrap("read", err)
	}
	return value, ok, nil
}

// GivenUp is the latest Expires of the rows of an owner that were given up for want of room; 0: none was.
func (d *DB) GivenUp(number uint64) int64 {
	d.ownersMu.RLock()
	defer d.ownersMu.RUnlock()
	return d.owners[number].givenUp
}

// Commit makes all of c durable, or after an error nothing of it. Nothing is retained.
func (d *DB) Commit(c Commit) error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.writer == nil {
		return d.wrap("write", errClosed)
	}
	changed, err := d.writer.commit(c, d.owners, d.maxBytes)
	if err != nil {
		return d.wrap("write", err)
	}
	d.ownersMu.Lock()
	defer d.ownersMu.Unlock()
	for number, o := range changed {
		if o == (owner{}) {
			delete(d.owners, number)
		} else {
			d.owners[number] = o
		}
	}
	return nil
}

// wrap says what was being done. Damage is marked, so that the next start begins a new file.
func (d *DB) wrap(doing string, err error) error {
	err = explain(err)
	if errors.Is(err, ErrDamaged) {
		if f, merr := os.OpenFile(d.marker(), os.O_CREATE|os.O_WRONLY, 0o600); merr == nil {
			err = errors.Join(err, f.Close())
		}
	}
	return fmt.Errorf("%s the rules' state %s: %w", doing, d.path, err)
}

// Rows is how many rows there are, and about how many bytes they take.
func (d *DB) Rows() (rows, bytes int64) {
	d.ownersMu.RLock()
	defer d.ownersMu.RUnlock()
	for _, o := range d.owners {
		rows, bytes = rows+o.rows, bytes+o.bytes
	}
	return rows, bytes
}
