// Package store is the embedded database: it keeps events where there is no Elasticsearch and answers the same questions.
//
//	batch of the log -> Append: one transaction of rows, each under the number that its event's id gives -> fsync -> nil
//	question -> query.Expr -> query.SQL -> Query, Count, Stats, Aggregate (any number of readers, also of other processes)
//	retention -> Prune: small steps, oldest first
//
// What it promises: when Append returns nil the events are on the disk and stay there over a power cut, and an event that is
// sent again, in whatever order, is not stored twice. One process writes; others may read meanwhile. Memory is bounded by the page caches (writer Options.Cache, each of at most four readers 4 MiB).
//
// The layout and why it is so: docs/decisions/0002-store-layout.md.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// FileName is the database within the store's folder; SQLite keeps FileName-wal and FileName-shm beside it.
const FileName = "events.db"

// Options say where the store is and how long it keeps what.
type Options struct {
	Dir       string
	ReadOnly  bool                     // beside a writer in another process; nothing is made
	Retention time.Duration            // of datasets that are not in ByDataset; 365 days where 0
	ByDataset map[string]time.Duration // short dataset name -> how long
	Cache     int64                    // bytes of memory for pages while writing; 32 MiB where 0
	Logger    *slog.Logger             // nil: nobody is told
	Now       func() time.Time         // nil: time.Now
}

// Store is safe for concurrent use; Append calls go one after the other.
type Store struct {
	options Options
	path    string
	readers *sql.DB
	unlock  func()

	lastDict atomic.Int64 // the last row of the table dict that this process knows

	mu     sync.Mutex // the writer
	writer *writer    // nil when opened read-only or closed
}

// Errors that callers tell apart with errors.Is. The text of what Open and the others return says what to do.
var (
	ErrLocked  = errors.New("in use by another process")
	ErrFull    = errors.New("the disk is full")
	ErrCorrupt = errors.New("the database is damaged")
	ErrNewer   = errors.New("written by a newer Gatebook")
	ErrAbsent  = errors.New("there is no store")
)

const defaultRetention = 365 * 24 * time.Hour

// Open opens the store, and makes it where it is not there and may be written.
func Open(o Options) (*Store, error) {
	if o.Retention <= 0 {
		o.Retention = defaultRetention
	}
	if o.Cache <= 0 {
		o.Cache = 8 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{options: o, path: filepath.Join(o.Dir, FileName), unlock: func() {}}
	if err := s.open(); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store %s: %w", o.Dir, err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := registerFunctions(); err != nil {
		return err
	}
	if s.options.ReadOnly {
		if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s does not exist; an agent with output \"store\" makes it", ErrAbsent, s.path)
		}
	} else {
		if err := os.MkdirAll(s.options.Dir, 0o750); err != nil {
			return err
		}
		unlock, err := lockFile(filepath.Join(s.options.Dir, "lock"))
		if err != nil {
			return err
		}
		s.unlock = unlock
		// SQLite would make it for all to read; its journals get the mode of the database.
		f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o640)
		if err != nil {
			return explain(err, s.path)
		}
		if err := f.Close(); err != nil {
			return explain(err, s.path)
		}
		if s.writer, err = openWriter(s.path, s.options.Cache); err != nil {
			return explain(err, s.path)
		}
	}
	s.readers = sql.OpenDB(connector{dsn(s.path, true, 4<<20)})
	s.readers.SetMaxOpenConns(4)
	s.readers.SetMaxIdleConns(1)
	var version int
	if err := s.readers.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return explain(err, s.path)
	}
	return checkVersion(version)
}

// dsn names the database with the settings of a connection.
func dsn(path string, readOnly bool, cache int64) string {
	v := url.Values{"_pragma": {"busy_timeout(10000)", "trusted_schema(0)", fmt.Sprintf("cache_size(-%d)", cache>>10)}}
	if readOnly {
		v.Set("mode", "ro")
		v.Add("_pragma", "query_only(1)")
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: v.Encode()}).String()
}

// Close ends reading and writing. What Append has confirmed needs no Close to be safe.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
		s.readers = nil
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
		s.writer = nil
	}
	s.unlock()
	s.unlock = func() {}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store %s: %w", s.options.Dir, err)
	}
	return nil
}

// Item is one event: its JSON document, and its fields (with its ID).
type Item struct {
	Doc   []byte
	Event *event.Event
}

// Append stores a batch in one transaction. Events that are there already, by their id, are passed over. Nothing is retained.
// After an error nothing of the batch is stored; it may be tried again.
func (s *Store) Append(ctx context.Context, items []Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return fmt.Errorf("append to store %s: %w", s.options.Dir, errNotWritable)
	}
	if err := s.writer.append(ctx, items); err != nil {
		return fmt.Errorf("append to store %s: %w", s.options.Dir, explain(err, s.path))
	}
	return nil
}

var errNotWritable = errors.New("it is closed or opened for reading only")

// Check reads all of the database and tells the first damage; it can take minutes.
func (s *Store) Check(ctx context.Context) error {
	var result string
	if err := s.readers.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("check store %s: %w", s.options.Dir, explain(err, s.path))
	}
	if result != "ok" {
		return fmt.Errorf("check store %s: %w", s.options.Dir, &damage{s.path, result})
	}
	return nil
}

// columns are the fields with a column, in the order of the INSERT.
var columns = query.Columns()
