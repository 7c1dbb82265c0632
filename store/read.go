package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// QueryOptions bound an answer.
type QueryOptions struct {
	From, To    time.Time // of @timestamp: From <= t < To; zero: no bound
	Limit       int       // 0: all
	OldestFirst bool      // else the newest come first
}

// Query gives the documents of the events that match. A document is valid until the next one. The first error ends it. Breaking off
// the loop is fine at any time.
func (s *Store) Query(ctx context.Context, where query.Expr, o QueryOptions) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		text, args := condition(where, o)
		text = "SELECT doc FROM event WHERE " + text + " ORDER BY timestamp"
		if o.OldestFirst {
			text += ", id"
		} else {
			text += " DESC, id DESC"
		}
		if o.Limit > 0 {
			text += " LIMIT ?"
			args = append(args, o.Limit)
		}
		stopped := false
		err := s.snapshot(ctx, func(conn *sql.Conn) error {
			rows, err := conn.QueryContext(ctx, text, args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			var doc []byte
			for rows.Next() {
				var stored sql.RawBytes
				if err := rows.Scan(&stored); err != nil {
					return err
				}
				if doc, err = decodeDocument(doc, stored); err != nil {
					return &damage{s.path, err.Error()}
				}
				if stopped = !yield(doc, nil); stopped {
					return nil
				}
			}
			return rows.Err()
		})
		if err != nil && !stopped {
			yield(nil, s.queryError(err))
		}
	}
}

// snapshot runs f on a connection that sees one state of the store, with the dictionaries of that state at hand.
func (s *Store) snapshot(ctx context.Context, f func(*sql.Conn) error) error {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") }() // nothing was written
	if err := s.loadDictionaries(ctx, conn); err != nil {
		return err
	}
	return f(conn)
}

func (s *Store) loadDictionaries(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, "SELECT id, data FROM dict WHERE id > ? ORDER BY id", s.lastDict.Load())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		addDictionary(data)
		s.lastDict.Store(id)
	}
	return rows.Err()
}

// Count tells how many events match.
func (s *Store) Count(ctx context.Context, where query.Expr, o QueryOptions) (int64, error) {
	text, args := condition(where, o)
	var n int64
	err := s.snapshot(ctx, func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, "SELECT count(*) FROM event WHERE "+text, args...).Scan(&n)
	})
	if err != nil {
		return 0, s.queryError(err)
	}
	return n, nil
}

func (s *Store) queryError(err error) error {
	return fmt.Errorf("query store %s: %w", s.options.Dir, explain(err, s.path))
}

func condition(where query.Expr, o QueryOptions) (string, []any) {
	all := query.And{}
	if where != nil {
		all.Of = append(all.Of, where)
	}
	at := func(op query.Op, t time.Time) {
		if !t.IsZero() {
			all.Of = append(all.Of, query.Compare{Field: query.Field{ID: event.FieldTimestamp}, Op: op,
				Value: query.Value{Kind: event.Int, Int: t.UnixNano()}})
		}
	}
	at(query.Ge, o.From)
	at(query.Lt, o.To)
	return query.SQL(all)
}

// Tally is a value and how many events have it.
type Tally struct {
	Name  string
	Count int64
}

// Stats is what the store holds.
type Stats struct {
	Rows           int64
	Bytes          int64 // of the database file
	Oldest, Newest time.Time
	Outcomes       []Tally // "login failure", most first
	Users          []Tally // the ten with most events
	Addresses      []Tally // the ten with most events
}

// Stats counts the events that match; nil matches all. Tallies are of the matching events as well.
func (s *Store) Stats(ctx context.Context, where query.Expr) (st Stats, err error) {
	err = s.snapshot(ctx, func(conn *sql.Conn) error { return st.read(ctx, conn, where) })
	if err != nil {
		return st, s.queryError(err)
	}
	return st, nil
}

func (st *Stats) read(ctx context.Context, conn *sql.Conn, where query.Expr) error {
	text, args := condition(where, QueryOptions{})
	var oldest, newest sql.NullInt64
	err := conn.QueryRowContext(ctx, "SELECT count(*), min(timestamp), max(timestamp) FROM event WHERE "+text, args...).
		Scan(&st.Rows, &oldest, &newest)
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&st.Bytes)
	}
	if err != nil {
		return err
	}
	st.Oldest, st.Newest = event.Time(oldest.Int64).Std(), event.Time(newest.Int64).Std()
	for _, t := range []struct {
		to   *[]Tally
		text string
	}{
		{&st.Outcomes, "SELECT coalesce(event_action || ' ', '') || coalesce(event_outcome, ''), count(*) AS n FROM event WHERE " + text +
			" GROUP BY event_action, event_outcome ORDER BY n DESC, 1"},
		{&st.Users, "SELECT user_name, count(*) AS n FROM event WHERE user_name IS NOT NULL AND " + text +
			" GROUP BY user_name ORDER BY n DESC, 1 LIMIT 10"},
		{&st.Addresses, "SELECT source_ip, count(*) AS n FROM event WHERE source_ip IS NOT NULL AND " + text +
			" GROUP BY source_ip ORDER BY n DESC, 1 LIMIT 10"},
	} {
		if *t.to, err = tally(ctx, conn, t.text, args); err != nil {
			return err
		}
	}
	return nil
}

func tally(ctx context.Context, conn *sql.Conn, text string, args []any) ([]Tally, error) {
	rows, err := conn.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Tally
	for rows.Next() {
		var name any
		var t Tally
		if err := rows.Scan(&name, &t.Count); err != nil {
			return nil, err
		}
		t.Name = shown(name)
		list = append(list, t)
	}
	return list, rows.Err()
}
