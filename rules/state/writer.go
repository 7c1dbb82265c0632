package state

import (
	"cmp"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

const (
	rowOverhead  = 100  // bytes that SQLite takes for a row beside its value: twice the key, numbers, half empty pages
	expireAtOnce = 5000 // expired rows that one Commit deletes
	evictAtOnce  = 20000
)

// writer is the connection of Commit.
type writer struct {
	*connection
	begin, end, undo                *statement
	length, insert, update, refresh *statement
	remove, soonest                 *statement
	putBlob, dropBlob               *statement
	position, putOwner, dropOwner   *statement

	owners  map[uint64]owner // as of the last commit
	changed map[uint64]owner // of this one
}

func openWriter(path string) (*writer, error) {
	c, err := connect(path, "-8192", false)
	if err != nil {
		return nil, err
	}
	w := &writer{connection: c}
	if err := errors.Join(w.setUp()); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *writer) setUp() error {
	version, err := w.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	tables, err := w.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	switch {
	case version == 0 && tables == 0: // new, or killed while it was made
		if err := w.exec("PRAGMA page_size = 4096", "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", schema, "COMMIT"); err != nil {
			return err
		}
	case version > schemaVersion:
		return fmt.Errorf("%w: its schema is %d, this one knows %d; use that version, or move the file away", ErrNewer, version, schemaVersion)
	case version != schemaVersion:
		return fmt.Errorf("%w: its schema is %d, not %d", ErrDamaged, version, schemaVersion)
	}
	// FULL: a commit is on the disk when it returns.
	if err := w.exec("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 4000",
		"PRAGMA journal_size_limit = 67108864"); err != nil {
		return err
	}
	for _, s := range []struct {
		to   **statement
		text string
	}{
		{&w.begin, "BEGIN IMMEDIATE"}, {&w.end, "COMMIT"}, {&w.undo, "ROLLBACK"},
		{&w.length, "SELECT length(value), expires FROM record WHERE key = ?"},
		{&w.insert, "INSERT INTO record (key, owner, expires, value) VALUES (?, ?, ?, ?)"},
		{&w.update, "UPDATE record SET value = ? WHERE key = ?"}, // leaves the index alone
		{&w.refresh, "UPDATE record SET value = ?, expires = ? WHERE key = ?"},
		{&w.remove, "DELETE FROM record WHERE key = ?"},
		{&w.soonest, "SELECT key, length(value), expires FROM record INDEXED BY record_expires WHERE owner = ? AND expires < ? ORDER BY expires, key LIMIT ?"},
		{&w.putBlob, "INSERT INTO blob (name, data) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data"},
		{&w.dropBlob, "DELETE FROM blob WHERE name = ?"},
		{&w.position, "UPDATE position SET cursor = ?"},
		{&w.putOwner, "INSERT OR REPLACE INTO owner (number, records, bytes, given_up) VALUES (?, ?, ?, ?)"},
		{&w.dropOwner, "DELETE FROM owner WHERE number = ?"},
	} {
		if *s.to, err = w.prepare(s.text); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) loadOwners() (map[uint64]owner, error) {
	owners := map[uint64]owner{}
	st, err := w.prepare("SELECT number, records, bytes, given_up FROM owner")
	if err != nil {
		return nil, err
	}
	err = st.each(func(row []driver.Value) error {
		number, _ := row[0].(int64)
		var o owner
		o.rows, _ = row[1].(int64)
		o.bytes, _ = row[2].(int64)
		o.givenUp, _ = row[3].(int64)
		owners[uint64(number)] = o
		return nil
	})
	return owners, err
}

// commit is DB.Commit within the lock; it returns the owners that changed.
func (w *writer) commit(c Commit, owners map[uint64]owner, maxBytes int64) (map[uint64]owner, error) {
	w.owners, w.changed = owners, map[uint64]owner{}
	if err := w.begin.exec(); err != nil {
		return nil, err
	}
	err := w.fill(c, maxBytes)
	if err == nil {
		err = w.end.exec()
	}
	if err != nil {
		_ = w.undo.exec() // after a full disk SQLite has undone it already
		return nil, err
	}
	return w.changed, nil
}

func (w *writer) fill(c Commit, maxBytes int64) error {
	for _, row := range c.Rows {
		if err := w.put(row); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Blobs)) {
		var err error
		if b := c.Blobs[name]; b == nil {
			err = w.dropBlob.exec(name)
		} else {
			err = w.putBlob.exec(name, b)
		}
		if err != nil {
			return err
		}
	}
	if err := w.expire(c.Now); err != nil {
		return err
	}
	if err := w.evict(maxBytes, evictAtOnce+len(c.Rows)); err != nil {
		return err
	}
	for number, o := range w.changed {
		o = w.forget(number, o, c.Now)
		var err error
		if o == (owner{}) {
			err = w.dropOwner.exec(int64(number))
		} else {
			err = w.putOwner.exec(int64(number), o.rows, o.bytes, o.givenUp)
		}
		if err != nil {
			return err
		}
	}
	return w.position.exec(int64(c.Cursor))
}

// forget takes away what was given up so long ago that it would have expired.
func (w *writer) forget(number uint64, o owner, now int64) owner {
	if o.givenUp < now {
		o.givenUp = 0
		w.changed[number] = o
	}
	return o
}

// put writes or deletes one row.
func (w *writer) put(row Row) error {
	if len(row.Key) <= 8 {
		return fmt.Errorf("the key of a row has %d bytes, it needs more than 8", len(row.Key))
	}
	length, expires := int64(-1), int64(0)
	err := w.length.each(func(r []driver.Value) error {
		length, _ = r[0].(int64)
		expires, _ = r[1].(int64)
		return nil
	}, row.Key)
	if err != nil {
		return err
	}
	number := binary.BigEndian.Uint64(row.Key)
	switch {
	case row.Value == nil && length < 0:
		return nil
	case row.Value == nil:
		w.account(number, -1, -length-rowOverhead)
		return w.remove.exec(row.Key)
	case length < 0:
		w.account(number, 1, int64(len(row.Value))+rowOverhead)
		return w.insert.exec(row.Key, int64(number), row.Expires, row.Value)
	}
	w.account(number, 0, int64(len(row.Value))-length)
	if expires == row.Expires {
		return w.update.exec(row.Value, row.Key)
	}
	return w.refresh.exec(row.Value, row.Expires, row.Key)
}

func (w *writer) owner(number uint64) owner {
	if o, ok := w.changed[number]; ok {
		return o
	}
	return w.owners[number]
}

func (w *writer) account(number uint64, rows, bytes int64) {
	o := w.owner(number)
	o.rows, o.bytes = o.rows+rows, o.bytes+bytes
	w.changed[number] = o
}

// numbers are all owners, in their order.
func (w *writer) numbers() []uint64 {
	list := slices.Collect(maps.Keys(w.owners))
	for number := range w.changed {
		if _, ok := w.owners[number]; !ok {
			list = append(list, number)
		}
	}
	slices.Sort(list)
	return list
}

// expire deletes rows that expired before now, no more than expireAtOnce.
func (w *writer) expire(now int64) error {
	left := expireAtOnce
	for _, number := range w.numbers() {
		if left <= 0 {
			return nil
		}
		_, rows, err := w.take(number, now, left, 1<<62)
		if err != nil {
			return err
		}
		left -= rows
	}
	return nil
}

// evict gives up rows where there are more bytes than may be, of the owner that has the most.
func (w *writer) evict(maxBytes int64, left int) error {
	var total int64
	numbers := w.numbers()
	for _, number := range numbers {
		total += w.owner(number).bytes
	}
	for total > maxBytes && left > 0 {
		number := slices.MaxFunc(numbers, func(a, b uint64) int { return cmp.Compare(w.owner(a).bytes, w.owner(b).bytes) })
		had := w.owner(number).bytes
		last, rows, err := w.take(number, 1<<62, min(left, 1000), total-maxBytes)
		if err != nil {
			return err
		}
		if rows == 0 {
			return fmt.Errorf("%w: it counts %d rows of an owner that has none", ErrDamaged, w.owner(number).rows)
		}
		o := w.owner(number)
		o.givenUp = max(o.givenUp, last)
		w.changed[number] = o
		total -= had - o.bytes
		left -= rows
	}
	return nil
}

// take deletes rows of an owner that expire before a time, the soonest first: no more than limit, and no more than needed for so many bytes. It
// returns when the last of them would have expired.
func (w *writer) take(number uint64, before int64, limit int, bytes int64) (last int64, rows int, err error) {
	type victim struct {
		key  []byte
		size int64
	}
	var victims []victim
	err = w.soonest.each(func(r []driver.Value) error {
		if bytes <= 0 {
			return nil
		}
		length, _ := r[1].(int64)
		last, _ = r[2].(int64)
		victims = append(victims, victim{blob(r[0]), length + rowOverhead})
		bytes -= length + rowOverhead
		return nil
	}, int64(number), before, int64(limit))
	if err != nil {
		return 0, 0, err
	}
	for _, v := range victims {
		if err := w.remove.exec(v.key); err != nil {
			return 0, 0, err
		}
		w.account(number, -1, -v.size)
	}
	return last, len(victims), nil
}
