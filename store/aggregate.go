package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// ErrGroups says that an Aggregate has too many groups.
var ErrGroups = errors.New("more than 1,000,000 groups and different values")

// mostGroups bounds the memory of an Aggregate: buckets, and values that are held to count different ones; long texts count as several.
const mostGroups = 1_000_000

// Aggregate computes figures of buckets of events: a row for each innermost bucket, in the order of the outer ones. Terms and Tiles come with the highest
// first figure first, ties by key ascending (addresses as numbers, those of IPv4 as within IPv6), Dates by time. One scan over the events that match fills
// all buckets:
//
//	WHERE -> rows: columns, truth of the figures' conditions, document where a field needs it -> values of each event -> tree of buckets -> best of each
func (s *Store) Aggregate(ctx context.Context, a query.Aggregate) ([]query.Row, error) {
	g, err := newGrouping(a)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	condition, args := condition(a.Where, QueryOptions{From: a.From, To: a.To})
	text, all := g.columns()
	text, all = text+" FROM event WHERE "+condition, append(all, args...)
	if len(a.By) > 0 {
		if name, ok := query.ColumnName(a.By[0].Field.ID); ok && a.By[0].Field.Key == "" {
			text += " AND +" + name + " IS NOT NULL" // what lacks it is in no bucket; +: reading all rows in order beats an index on it
		}
	}
	err = s.snapshot(ctx, func(conn *sql.Conn) error {
		return conn.Raw(func(c any) error { return g.scan(ctx, c, text, all, s.path) })
	})
	if err != nil {
		return nil, s.queryError(err)
	}
	return g.rows(), nil
}

// source is a field that is read of each event.
type source struct {
	field  query.Field
	column string // "": out of the document
	path   string // in the document
}

// level is one of Aggregate.By.
type level struct {
	query.Bucket
	source int
}

// measure is one of Aggregate.Figures.
type measure struct {
	query.Figure
	source int // of all but Count
	flag   int // of Where; -1: none
}

// grouping is an Aggregate at work.
type grouping struct {
	sources  []source
	levels   []level
	measures []measure
	flags    []string // conditions of figures, in SQL
	args     [][]any  // of each
	document bool     // some source is in it

	values [][]atom // of the event at hand: of each source, each once
	keys   [][]atom // of each level
	truth  []bool   // of each flag
	doc    []byte
	root   group
	held   int
}

func newGrouping(a query.Aggregate) (*grouping, error) {
	g := &grouping{}
	for _, b := range a.By {
		t, err := valued(b.Field)
		switch {
		case b.Kind == query.Tiles && (b.Field.Type() != event.Place || b.Zoom < 0 || b.Zoom > 29):
			return nil, fmt.Errorf("%s: tiles are of places, at levels from 0 to 29", b.Field.Name())
		case b.Kind == query.Dates && (t != event.DateTime || b.Every <= 0):
			return nil, fmt.Errorf("%s: dates are of times, with a width above zero", b.Field.Name())
		case b.Kind == query.Terms && err != nil:
			return nil, err
		case b.Kind > query.Tiles:
			return nil, fmt.Errorf("%s: unknown kind %d of buckets", b.Field.Name(), b.Kind)
		}
		g.levels = append(g.levels, level{b, g.source(b.Field)})
	}
	figures := a.Figures
	if len(figures) == 0 {
		figures = []query.Figure{{Kind: query.Count}}
	}
	for _, f := range figures {
		m := measure{Figure: f, flag: g.flag(f.Where)}
		t, err := valued(f.Field)
		number := t == event.Integer || t == event.Float32
		switch {
		case f.Kind == query.Count:
		case err != nil:
			return nil, err
		case f.Kind == query.Sum && !number:
			return nil, fmt.Errorf("%s: the sum is of numbers", f.Field.Name())
		case f.Kind > query.Sum && !number && t != event.DateTime:
			return nil, fmt.Errorf("%s: the least and the most are of numbers and times", f.Field.Name())
		}
		if f.Kind != query.Count {
			m.source = g.source(f.Field)
		}
		g.measures = append(g.measures, m)
	}
	g.values, g.keys, g.truth = make([][]atom, len(g.sources)), make([][]atom, len(g.levels)), make([]bool, len(g.flags))
	return g, nil
}

// valued refuses the fields that have no values to compare.
func valued(f query.Field) (event.Type, error) {
	t := f.Type()
	switch t {
	case event.Flattened, event.Place, event.Stored:
		return t, fmt.Errorf("%s has no values that could be compared", f.Name())
	}
	return t, nil
}

func (g *grouping) source(f query.Field) int {
	f.Fold = false // letter case counts
	for i := range g.sources {
		if g.sources[i].field == f {
			return i
		}
	}
	s := source{field: f, path: f.Name()}
	if name, ok := query.ColumnName(f.ID); ok && f.Key == "" && !query.Folds(f.ID) {
		s.column = name
	} else {
		g.document = true
	}
	g.sources = append(g.sources, s)
	return len(g.sources) - 1
}

func (g *grouping) flag(where query.Expr) int {
	if where == nil {
		return -1
	}
	text, args := query.SQL(where)
	for i := range g.flags {
		if g.flags[i] == text && fmt.Sprint(g.args[i]) == fmt.Sprint(args) {
			return i
		}
	}
	g.flags, g.args = append(g.flags, text), append(g.args, args)
	return len(g.flags) - 1
}

// columns is the SELECT: columns of sources, flags, document. It has at least one.
func (g *grouping) columns() (string, []any) {
	var list []string
	var args []any
	for i := range g.sources {
		if s := &g.sources[i]; s.column != "" {
			list = append(list, s.column)
		}
	}
	for i, text := range g.flags {
		list, args = append(list, "("+text+")"), append(args, g.args[i]...)
	}
	if g.document || len(list) == 0 {
		name := "1"
		if g.document {
			name = "doc"
		}
		list = append(list, name)
	}
	return "SELECT " + strings.Join(list, ", "), args
}

// scan reads the rows from the driver itself: database/sql would convert every value once more.
func (g *grouping) scan(ctx context.Context, conn any, text string, args []any, path string) error {
	asker, ok := conn.(driver.QueryerContext)
	if !ok {
		return errors.New("the SQLite driver has no QueryContext")
	}
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return err
		}
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	rows, err := asker.QueryContext(ctx, text, named)
	if err != nil {
		return err
	}
	defer rows.Close()
	dest := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(dest); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := g.read(dest); err != nil {
			return &damage{path, err.Error()}
		}
		g.add(&g.root, 0)
		if g.held > mostGroups {
			return fmt.Errorf("%w: ask for a shorter time, fewer events or wider buckets", ErrGroups)
		}
	}
}

// read takes the values of an event out of its row.
func (g *grouping) read(row []driver.Value) error {
	doc := ""
	if g.document {
		stored, _ := row[len(row)-1].([]byte)
		var err error
		if g.doc, err = decodeDocument(g.doc, stored); err != nil {
			return err
		}
		doc = unsafe.String(unsafe.SliceData(g.doc), len(g.doc)) // until the next event: what is kept is cloned
	}
	at := 0
	for i := range g.sources {
		s, list := &g.sources[i], g.values[i][:0]
		if s.column != "" {
			if a, ok := atomOfColumn(row[at], s.field.Type()); ok {
				list = append(list, a)
			}
			at++
		} else {
			list = atomsOfDocument(list, gjson.Get(doc, s.path), s.field.Type())
		}
		g.values[i] = list
	}
	for i := range g.flags {
		n, _ := row[at].(int64)
		g.truth[i] = n != 0
		at++
	}
	for i, l := range g.levels {
		g.keys[i] = l.keys(g.keys[i][:0], g.values[l.source])
	}
	return nil
}

// keys are the buckets that the values of an event are in.
func (l *level) keys(list, values []atom) []atom {
	switch l.Kind {
	case query.Dates:
		for _, v := range values {
			begin := v.n - v.n%int64(l.Every)
			if v.n%int64(l.Every) < 0 {
				begin -= int64(l.Every)
			}
			list = append(list, atom{kind: event.Date, n: begin})
		}
	case query.Tiles:
		for _, v := range values {
			list = append(list, tileOf(v, l.Zoom))
		}
	default:
		return values
	}
	return list
}

// atom is a value that can be the key of a map.
type atom struct {
	kind event.ValueKind // Str; Int, Date, Truth: n; Num: n, the bits; JSON: s, the 16 bytes of an address; None: s, the JSON of a place; List: n, a tile
	n    int64
	s    string
}

func atomOfColumn(v driver.Value, t event.Type) (atom, bool) {
	switch v := v.(type) {
	case string:
		return atom{kind: event.Str, s: v}, true
	case []byte:
		a, ok := netip.AddrFromSlice(v)
		return atomOfAddress(a), ok
	case int64:
		if t == event.DateTime {
			return atom{kind: event.Date, n: v}, true
		}
		return atom{kind: event.Int, n: v}, true
	}
	return atom{}, false
}

func atomOfAddress(a netip.Addr) atom {
	b := a.As16()
	return atom{kind: event.JSON, s: string(b[:])}
}

// atomsOfDocument appends what a field of a document has, each value once.
func atomsOfDocument(list []atom, v gjson.Result, t event.Type) []atom {
	if !v.IsArray() {
		if a, ok := atomOfJSON(v, t); ok {
			list = append(list, a)
		}
		return list
	}
	var seen map[atom]struct{}
	v.ForEach(func(_, v gjson.Result) bool {
		a, ok := atomOfJSON(v, t)
		if !ok {
			return true
		}
		if len(list) == 16 && seen == nil {
			seen = make(map[atom]struct{}, 64)
			for _, o := range list {
				seen[o] = struct{}{}
			}
		}
		if seen != nil {
			if _, twice := seen[a]; twice {
				return true
			}
			seen[a] = struct{}{}
		} else {
			for _, o := range list {
				if o == a {
					return true
				}
			}
		}
		list = append(list, a)
		return true
	})
	return list
}

func atomOfJSON(v gjson.Result, t event.Type) (atom, bool) {
	switch {
	case v.Type == gjson.Null:
		return atom{}, false
	case t == event.Place:
		return atom{s: v.Raw}, true
	case v.Type == gjson.True, v.Type == gjson.False:
		return atom{kind: event.Truth, n: map[bool]int64{true: 1}[v.Type == gjson.True]}, true
	case v.Type == gjson.Number && t == event.Integer:
		n, err := strconv.ParseInt(v.Raw, 10, 64)
		return atom{kind: event.Int, n: n}, err == nil
	case v.Type == gjson.Number:
		return atom{kind: event.Num, n: int64(math.Float64bits(v.Num + 0))}, true
	case v.Type != gjson.String:
		return atom{}, false
	case t == event.IP:
		a, err := netip.ParseAddr(v.Str)
		if err != nil {
			return atom{}, false
		}
		return atomOfAddress(a.WithZone("")), true
	case t == event.DateTime:
		at, err := time.Parse(time.RFC3339Nano, v.Str)
		return atom{kind: event.Date, n: at.UnixNano()}, err == nil
	}
	return atom{kind: event.Str, s: v.Str}, true
}

// tileOf is the tile of a map that a place is on, as Elasticsearch's geotile_grid has it: x and y of 29 bits.
func tileOf(place atom, zoom int) atom {
	p := gjson.Parse(place.s)
	tiles := float64(int64(1) << zoom)
	x := math.Floor((p.Get("lon").Num + 180) / 360 * tiles)
	sin := math.Sin(p.Get("lat").Num * math.Pi / 180)
	y := math.Floor((0.5 - math.Log((1+sin)/(1-sin))/(4*math.Pi)) * tiles)
	clip := func(n float64) int64 { return int64(max(0, min(tiles-1, n))) } // the poles are beyond the map
	return atom{kind: event.List, n: clip(x)<<29 | clip(y)}
}

// key shows an atom.
func (a atom) key(l *level) query.Key {
	switch a.kind {
	case event.JSON:
		addr, _ := netip.AddrFromSlice([]byte(a.s))
		return query.Key{Kind: event.Str, Str: addr.Unmap().String()}
	case event.List:
		return query.Key{Kind: event.Str, Str: fmt.Sprintf("%d/%d/%d", l.Zoom, a.n>>29, a.n&(1<<29-1))}
	case event.Num:
		return query.Key{Kind: event.Num, Num: math.Float64frombits(uint64(a.n))}
	}
	return query.Key{Kind: a.kind, Int: a.n, Str: a.s}
}

func (a atom) number() float64 {
	if a.kind == event.Num {
		return math.Float64frombits(uint64(a.n))
	}
	return float64(a.n)
}
