package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const schemaVersion = 1

// Rows stand in the order of their keys, so those of an owner are together. The index finds the ones that expire first.
const schema = `
CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 1), cursor INTEGER NOT NULL);
INSERT INTO position (id, cursor) VALUES (1, 0);
CREATE TABLE blob (name TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE record (key BLOB PRIMARY KEY, owner INTEGER NOT NULL, expires INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX record_expires ON record (owner, expires);
CREATE TABLE owner (number INTEGER PRIMARY KEY, records INTEGER NOT NULL, bytes INTEGER NOT NULL, given_up INTEGER NOT NULL);
PRAGMA user_version = 1;`

// bg: a transaction is finished or undone, not left.
var bg = context.Background()

// connection speaks to the driver itself: database/sql would convert and check every value of every row again.
type connection struct {
	conn       driver.Conn
	statements []driver.Stmt
}

func connect(path string, cache string, readOnly bool) (*connection, error) {
	v := url.Values{"_pragma": {"busy_timeout(10000)", "trusted_schema(0)", "cache_size(" + cache + ")"}}
	if readOnly {
		v.Set("mode", "ro")
		v.Add("_pragma", "query_only(1)")
	}
	conn, err := (&sqlite.Driver{}).Open((&url.URL{Scheme: "file", Path: path, RawQuery: v.Encode()}).String())
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn}, nil
}

func (c *connection) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

func (c *connection) exec(texts ...string) error {
	for _, text := range texts {
		if _, err := c.conn.(driver.ExecerContext).ExecContext(bg, text, nil); err != nil {
			return err
		}
	}
	return nil
}

// statement is prepared and may be run again and again.
type statement struct {
	stmt driver.Stmt
	args []driver.NamedValue
}

func (c *connection) prepare(text string) (*statement, error) {
	st, err := c.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	c.statements = append(c.statements, st)
	return &statement{stmt: st}, nil
}

func (s *statement) bind(values []driver.Value) {
	s.args = s.args[:0]
	for i, v := range values {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
}

func (s *statement) exec(values ...driver.Value) error {
	s.bind(values)
	defer clear(s.args) // they are the caller's
	_, err := s.stmt.(driver.StmtExecContext).ExecContext(bg, s.args)
	return err
}

// each calls f for every row of the answer; row is reused, its blobs are not.
func (s *statement) each(f func(row []driver.Value) error, values ...driver.Value) error {
	s.bind(values)
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(bg, s.args)
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return rows.Close()
		}
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

// number asks for one number.
func (c *connection) number(text string) (n int64, err error) {
	st, err := c.conn.Prepare(text)
	if err != nil {
		return 0, err
	}
	defer st.Close()
	err = (&statement{stmt: st}).each(func(row []driver.Value) error {
		n, _ = row[0].(int64)
		return nil
	})
	return n, err
}

// blob is a value of the driver's as bytes: an empty one comes as nil.
func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	if b == nil {
		return []byte{}
	}
	return b
}

// reader is the connection of Get and Load.
type reader struct {
	*connection
	one, position, blobs *statement
}

func openReader(path string) (r *reader, err error) {
	c, err := connect(path, "-2048", true)
	if err != nil {
		return nil, err
	}
	r = &reader{connection: c}
	for _, s := range []struct {
		to   **statement
		text string
	}{
		{&r.one, "SELECT value FROM record WHERE key = ?"}, {&r.position, "SELECT cursor FROM position"}, {&r.blobs, "SELECT name, data FROM blob"},
	} {
		if *s.to, err = r.prepare(s.text); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *reader) get(key []byte) (value []byte, ok bool, err error) {
	err = r.one.each(func(row []driver.Value) error {
		value, ok = blob(row[0]), true
		return nil
	}, key)
	return value, ok, err
}

func (r *reader) load() (cursor uint64, blobs map[string][]byte, err error) {
	err = r.position.each(func(row []driver.Value) error {
		n, _ := row[0].(int64)
		cursor = uint64(n)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	blobs = map[string][]byte{}
	err = r.blobs.each(func(row []driver.Value) error {
		name, _ := row[0].(string)
		blobs[name] = blob(row[1])
		return nil
	})
	return cursor, blobs, err
}

// explain turns SQLite's codes into errors that can be told apart.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full; it goes on by itself when there is space (%w)", err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w (%w)", ErrLocked, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return err
}
