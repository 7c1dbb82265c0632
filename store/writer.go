package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strings"

	"modernc.org/sqlite"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

const (
	schemaVersion = 1
	rowsAtOnce    = 16 // of one INSERT
)

// schema is run once. The time index holds what the usual questions filter by, so that they need not read the rows. No other column has
// an index: each with many values costs as much as all the rest of a row (docs/decisions/0002-store-layout.md).
func schema() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE epoch (epoch TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;\nCREATE TABLE event (id INTEGER PRIMARY KEY")
	for _, id := range columns {
		name, _ := query.ColumnName(id)
		b.WriteString(", " + name + " " + columnType(id))
	}
	b.WriteString(", doc BLOB);\nCREATE TABLE dict (id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, data BLOB NOT NULL);\n")
	b.WriteString("CREATE INDEX event_time ON event (timestamp, event_dataset, event_action, event_outcome);\n")
	for _, f := range []event.FieldID{event.FieldUserName, event.FieldSourceIp} {
		name, _ := query.ColumnName(f)
		fmt.Fprintf(&b, "CREATE INDEX event_%s ON event (%s, timestamp) WHERE %s IS NOT NULL;\n", name, name, name)
	}
	fmt.Fprintf(&b, "PRAGMA user_version = %d;\n", schemaVersion)
	return b.String()
}

func columnType(id event.FieldID) string {
	switch event.Fields[id].Type {
	case event.DateTime, event.Integer:
		return "INTEGER"
	case event.IP:
		return "BLOB"
	}
	return "TEXT"
}

// writer is the one connection that writes. It speaks to the driver itself: database/sql would convert and check every value
// of every row again.
type writer struct {
	conn        driver.Conn
	many, one   driver.StmtExecContext
	begin, end  driver.StmtExecContext
	undo, enter driver.StmtExecContext
	statements  []driver.Stmt

	args   []driver.NamedValue
	dict   dictionary
	pack   packer
	epochs map[string]int64 // number of each epoch seen
}

// connector opens connections for database/sql.
type connector struct{ dsn string }

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return registered }

// registered is the driver instance that the functions are registered with.
var registered = func() driver.Driver {
	db, err := sql.Open("sqlite", "") // opens nothing: it only names the driver
	if err != nil {
		return &sqlite.Driver{}
	}
	defer db.Close()
	return db.Driver()
}()

func openWriter(path string, cache int64) (w *writer, err error) {
	conn, err := registered.Open(dsn(path, false, cache))
	if err != nil {
		return nil, err
	}
	w = &writer{conn: conn, epochs: map[string]int64{}, dict: dictionary{}}
	defer func() {
		if err != nil {
			w.close()
			w = nil
		}
	}()
	version, err := w.number("PRAGMA user_version")
	if err != nil {
		return w, err
	}
	tables, err := w.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return w, err
	}
	if version == 0 && tables == 0 { // new, or killed while it was made
		if err := w.exec("PRAGMA page_size = 4096", "PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL",
			"BEGIN IMMEDIATE", schema(), "COMMIT"); err != nil {
			return w, err
		}
	} else if err := checkVersion(int(version)); err != nil {
		return w, err
	}
	// FULL: a commit is on the disk when it returns, which is when the log may forget. A batch is one commit, so that costs little.
	if err := w.exec("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 16000",
		"PRAGMA journal_size_limit = 134217728"); err != nil {
		return w, err
	}
	if err := w.loadPacker(); err != nil {
		return w, err
	}
	return w, w.prepare()
}

// bg: a transaction is finished or undone, not left.
var bg = context.Background()

func (w *writer) prepare() error {
	insert := "INSERT OR IGNORE INTO event (id, " // ignored: it is there already, its id is its sequence
	marks := "(?,"
	for _, id := range columns {
		name, _ := query.ColumnName(id)
		insert, marks = insert+name+", ", marks+"?,"
	}
	insert, marks = insert+"doc) VALUES ", marks+"?)"
	for _, s := range []struct {
		to   *driver.StmtExecContext
		text string
	}{
		{&w.one, insert + marks}, {&w.many, insert + marks + strings.Repeat(","+marks, rowsAtOnce-1)},
		{&w.begin, "BEGIN IMMEDIATE"}, {&w.end, "COMMIT"}, {&w.undo, "ROLLBACK"},
		{&w.enter, "INSERT INTO epoch (epoch, number) VALUES (?, ?)"},
	} {
		st, err := w.conn.Prepare(s.text)
		if err != nil {
			return err
		}
		w.statements = append(w.statements, st)
		run, ok := st.(driver.StmtExecContext)
		if !ok {
			return errors.New("the SQLite driver has no ExecContext")
		}
		*s.to = run
	}
	w.args = make([]driver.NamedValue, rowsAtOnce*(len(columns)+2))
	for i := range w.args {
		w.args[i].Ordinal = i + 1
	}
	return nil
}

func (w *writer) exec(texts ...string) error {
	for _, text := range texts {
		if _, err := w.conn.(driver.ExecerContext).ExecContext(bg, text, nil); err != nil {
			return err
		}
	}
	return nil
}

// number asks for one number.
func (w *writer) number(text string, args ...driver.NamedValue) (int64, error) {
	rows, err := w.conn.(driver.QueryerContext).QueryContext(bg, text, args)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	dest := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(dest); err != nil {
		return 0, err
	}
	n, _ := dest[0].(int64)
	return n, nil
}

func (w *writer) close() error {
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// append is Store.Append within the lock.
func (w *writer) append(ctx context.Context, items []Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	bg := context.Background() // a transaction is finished or undone, not left
	if _, err := w.begin.ExecContext(bg, nil); err != nil {
		return err
	}
	if err := w.rows(bg, items); err != nil {
		_, _ = w.undo.ExecContext(bg, nil) // after a full disk SQLite has undone it already
		w.pack.forget()
		clear(w.epochs)
		return err
	}
	w.pack.added = w.pack.added[:0]
	return nil
}

func (w *writer) rows(ctx context.Context, items []Item) error {
	for len(items) > 0 {
		n, st := rowsAtOnce, w.many
		if len(items) < n {
			n, st = 1, w.one
		}
		width := len(columns) + 2
		w.pack.buf = w.pack.buf[:0]
		for i := range n {
			if err := w.fill(ctx, w.args[i*width:(i+1)*width], items[i:]); err != nil {
				return err
			}
		}
		if _, err := st.ExecContext(ctx, w.args[:n*width]); err != nil {
			return err
		}
		items = items[n:]
	}
	for i := range w.args { // the batch's memory is not ours to hold
		w.args[i].Value = nil
	}
	_, err := w.end.ExecContext(ctx, nil)
	return err
}

// A row's id is made of its event's, <epoch>-<sequence>, so that the table itself knows what it has: the number of the epoch in the
// table epoch, then sequenceBits of sequence. Rows of one epoch stand in the order of its log.
const (
	sequenceBits = 40
	maxEpochs    = 1 << (63 - sequenceBits - 1)
)

// rowID returns the id of an event's row. Ids of another form (of alerts, of other senders) become negative numbers, by hash.
func (w *writer) rowID(ctx context.Context, id string) (int64, error) {
	epoch, seq, ours := event.SplitID(id)
	if !ours || seq >= 1<<sequenceBits {
		h := fnv.New64a()
		h.Write([]byte(id))
		return -int64(h.Sum64()>>1) - 1, nil
	}
	n, known := w.epochs[epoch]
	if !known {
		var err error
		if n, err = w.epoch(ctx, strings.Clone(epoch)); err != nil {
			return 0, err
		}
	}
	return n<<sequenceBits | int64(seq), nil
}

// epoch finds or gives the number of an epoch, within the transaction of the batch.
func (w *writer) epoch(ctx context.Context, epoch string) (int64, error) {
	arg := driver.NamedValue{Ordinal: 1, Value: epoch}
	n, err := w.number("SELECT coalesce((SELECT number FROM epoch WHERE epoch = ?), 0)", arg)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		if n, err = w.number("SELECT coalesce(max(number), 0) + 1 FROM epoch"); err != nil {
			return 0, err
		}
		if n >= maxEpochs {
			return 0, errors.New("the agent was started more often than the store can count; begin a new store")
		}
		if _, err := w.enter.ExecContext(ctx, []driver.NamedValue{arg, {Ordinal: 2, Value: n}}); err != nil {
			return 0, err
		}
	}
	if len(w.epochs) > 1000 {
		clear(w.epochs)
	}
	w.epochs[epoch] = n
	return n, nil
}

// fill sets the values of one row, that of the first of items.
func (w *writer) fill(ctx context.Context, args []driver.NamedValue, items []Item) error {
	ev := items[0].Event
	id, err := w.rowID(ctx, ev.ID)
	if err != nil {
		return err
	}
	args[0].Value = id
	for i, id := range columns {
		args[i+1].Value = w.column(ev, id)
	}
	x, err := w.pack.of(ev.Dataset, items, w.saveDictionary)
	if err != nil {
		return err
	}
	args[len(columns)+1].Value = w.pack.pack(x, items[0].Doc) // copied by the driver before Exec returns
	return nil
}

// column is what a column holds: nanoseconds of a time, bytes of an address, lower case of user names, nil for nothing.
func (w *writer) column(ev *event.Event, id event.FieldID) driver.Value {
	switch id {
	case event.FieldTimestamp:
		if ev.Time == 0 {
			return nil
		}
		return int64(ev.Time)
	case event.FieldSourceIp:
		a, err := netip.ParseAddr(ev.Source.IP)
		if err != nil {
			return nil
		}
		return query.AddressBytes(a)
	}
	v := ev.Get(id)
	switch v.Kind {
	case event.None, event.List, event.JSON:
		return nil
	case event.Str:
		if query.Folds(id) {
			return w.dict.boxed(strings.ToLower(v.Str))
		}
		return w.dict.boxed(v.Str)
	case event.Num:
		return v.Num
	}
	return v.Int
}

// dictionary keeps texts that come again and again (actions, hosts, users) in the form that the driver takes, which would
// else be an allocation each time.
type dictionary map[string]driver.Value

func (d dictionary) boxed(s string) driver.Value {
	if v, ok := d[s]; ok {
		return v
	}
	if len(d) >= 4096 {
		clear(d)
	}
	s = strings.Clone(s)
	v := driver.Value(s)
	if len(s) <= 128 {
		d[s] = v
	}
	return v
}
