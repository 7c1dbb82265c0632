package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
)

// Disk keeps the engine's state and its long memory over restarts (package rules/state). It is safe for concurrent use, so that Commit may run beside
// the engine, which goes on with Get. What is passed in is not retained and not changed.
type Disk interface {
	// Load returns what the last Commit left: its cursor and all blobs; 0 and none where there was none.
	Load() (cursor uint64, blobs map[string][]byte, err error)
	// Get returns the value of a row. ok is false where there is none; GivenUp tells whether there may have been one. The value is the caller's.
	Get(key []byte) (value []byte, ok bool, err error)
	// Commit makes all of c durable, or after an error nothing of it.
	Commit(c Commit) error
	// GivenUp is the latest Expires of the rows that were given up for want of room, of those whose keys begin with the owner (8 bytes, big
	// endian); 0: none was. A row that is absent and would expire after it has never been.
	GivenUp(owner uint64) int64
}

// Commit is one moment of the engine. It is an alias of a plain type, as Row is, so that package rules/state has the same without importing this one.
type Commit = struct {
	Cursor uint64            // position in the log up to which all of it holds
	Blobs  map[string][]byte // state by name; nil takes a name away, names that are not mentioned stay
	Rows   []Row             // of the long memory, those that changed
	Now    int64             // event time, unix seconds: rows that expired before are deleted, some at each commit; 0: none are
}

// Row is a record of the long memory. A nil Value deletes it.
type Row = struct {
	Key, Value []byte // Key begins with the 8 bytes of the owner
	Expires    int64  // unix seconds
}

// MemoryDisk is a Disk that lives as long as the process: for tests that restart an engine, and runs that leave nothing behind.
type MemoryDisk struct {
	mu      sync.Mutex
	cursor  uint64
	blobs   map[string][]byte
	rows    map[string]memoryRow
	givenUp map[uint64]int64
}

type memoryRow struct {
	value   []byte
	expires int64
}

// NewMemoryDisk returns an empty one.
func NewMemoryDisk() *MemoryDisk {
	return &MemoryDisk{blobs: map[string][]byte{}, rows: map[string]memoryRow{}, givenUp: map[uint64]int64{}}
}

// Load implements Disk.
func (d *MemoryDisk) Load() (uint64, map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	blobs := make(map[string][]byte, len(d.blobs))
	for name, b := range d.blobs {
		blobs[name] = bytes.Clone(b)
	}
	return d.cursor, blobs, nil
}

// Get implements Disk.
func (d *MemoryDisk) Get(key []byte) ([]byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	row, ok := d.rows[string(key)]
	return bytes.Clone(row.value), ok, nil
}

// Commit implements Disk.
func (d *MemoryDisk) Commit(c Commit) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cursor = c.Cursor
	for name, b := range c.Blobs {
		if b == nil {
			delete(d.blobs, name)
		} else {
			d.blobs[name] = bytes.Clone(b)
		}
	}
	for _, row := range c.Rows {
		if row.Value == nil {
			delete(d.rows, string(row.Key))
		} else {
			d.rows[string(row.Key)] = memoryRow{bytes.Clone(row.Value), row.Expires}
		}
	}
	for key, row := range d.rows {
		if row.expires < c.Now {
			delete(d.rows, key)
		}
	}
	return nil
}

// GivenUp implements Disk.
func (d *MemoryDisk) GivenUp(owner uint64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.givenUp[owner]
}

// Copy returns a disk with the same content: what a process would find that was stopped now.
func (d *MemoryDisk) Copy() *MemoryDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := NewMemoryDisk()
	c.cursor = d.cursor
	for name, b := range d.blobs {
		c.blobs[name] = bytes.Clone(b)
	}
	for key, row := range d.rows {
		c.rows[key] = row // values are replaced, not changed
	}
	for owner, n := range d.givenUp {
		c.givenUp[owner] = n
	}
	return c
}

// rowKey appends the key of a row: the owner, then the record's id.
func rowKey(b []byte, owner uint64, id hash) []byte {
	b = binary.BigEndian.AppendUint64(b, owner)
	b = binary.BigEndian.AppendUint64(b, id.hi)
	return binary.BigEndian.AppendUint64(b, id.lo)
}

// sortRows puts rows in the order of their keys, in which a disk writes them with the least effort.
func sortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
}
