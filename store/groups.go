package store

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// group is a bucket of an Aggregate, with the buckets within it.
type group struct {
	figures []figure
	within  map[atom]*group
}

// figure is the number of a bucket as it grows.
type figure struct {
	n       int64   // events or values
	a, lost float64 // sum, and what rounding took of it (Neumaier); least or most
	seen    map[atom]struct{}
}

// add counts the event at hand in a bucket and those within it.
func (g *grouping) add(to *group, depth int) {
	if to.figures == nil {
		to.figures = make([]figure, len(g.measures))
		g.held++
	}
	for i := range g.measures {
		m := &g.measures[i]
		if m.flag >= 0 && !g.truth[m.flag] {
			continue
		}
		f := &to.figures[i]
		if m.Kind == query.Count {
			f.n++
			continue
		}
		for _, v := range g.values[m.source] {
			g.held += f.add(m.Kind, v)
		}
	}
	if depth == len(g.levels) || g.held > mostGroups {
		return
	}
	for _, k := range g.keys[depth] {
		in := to.within[k]
		if in == nil {
			if to.within == nil {
				to.within = map[atom]*group{}
			}
			in = &group{}
			k.s = strings.Clone(k.s)
			to.within[k] = in
			g.held += len(k.s) / 256
		}
		g.add(in, depth+1)
	}
}

// add takes a value; it returns how much more is held.
func (f *figure) add(kind query.FigureKind, v atom) (held int) {
	switch x := v.number(); kind {
	case query.Unique:
		if _, known := f.seen[v]; known {
			return 0
		}
		if f.seen == nil {
			f.seen = map[atom]struct{}{}
		}
		v.s = strings.Clone(v.s)
		f.seen[v] = struct{}{}
		held = 1 + len(v.s)/256
	case query.Sum:
		sum := f.a + x
		if math.Abs(f.a) >= math.Abs(x) {
			f.lost += (f.a - sum) + x
		} else {
			f.lost += (x - sum) + f.a
		}
		f.a = sum
	case query.Min:
		if f.n == 0 || x < f.a {
			f.a = x
		}
	case query.Max:
		if f.n == 0 || x > f.a {
			f.a = x
		}
	}
	f.n++
	return held
}

func (f *figure) number(kind query.FigureKind) query.Number {
	switch kind {
	case query.Count, query.Unique:
		return query.Number{F: float64(f.n), Valid: true}
	case query.Sum:
		return query.Number{F: f.a + f.lost, Valid: true}
	}
	return query.Number{F: f.a, Valid: f.n > 0}
}

// rows lists the buckets in order.
func (g *grouping) rows() []query.Row {
	if g.root.figures == nil { // no event
		g.root.figures = make([]figure, len(g.measures))
	}
	return g.list(nil, &g.root, nil)
}

func (g *grouping) list(rows []query.Row, in *group, keys []query.Key) []query.Row {
	if len(keys) == len(g.levels) {
		row := query.Row{Keys: slices.Clone(keys), Figures: make([]query.Number, len(g.measures))}
		for i := range g.measures {
			row.Figures[i] = in.figures[i].number(g.measures[i].Kind)
		}
		return append(rows, row)
	}
	l := &g.levels[len(keys)]
	for _, b := range g.best(l, in.within) {
		rows = g.list(rows, b.group, append(keys, b.key.key(l)))
	}
	return rows
}

type bucket struct {
	key   atom
	first query.Number
	group *group
}

// best sorts the buckets of a level, and leaves those out that are beyond its size.
func (g *grouping) best(l *level, of map[atom]*group) []bucket {
	list := make([]bucket, 0, len(of))
	for k, in := range of {
		list = append(list, bucket{k, in.figures[0].number(g.measures[0].Kind), in})
	}
	slices.SortFunc(list, func(a, b bucket) int {
		if l.Kind != query.Dates {
			if c := descending(a.first, b.first); c != 0 {
				return c
			}
		}
		return a.key.compare(b.key)
	})
	if l.Kind == query.Terms {
		size := l.Size
		if size <= 0 {
			size = 10
		}
		list = list[:min(size, len(list))]
	}
	return list
}

// descending puts the highest first, and what has no number last.
func descending(a, b query.Number) int {
	switch {
	case a.Valid && b.Valid:
		return cmp.Compare(b.F, a.F)
	case a.Valid:
		return -1
	case b.Valid:
		return 1
	}
	return 0
}

func (a atom) compare(b atom) int {
	if a.kind == event.Num && b.kind == event.Num {
		return cmp.Compare(a.number(), b.number())
	}
	return cmp.Or(cmp.Compare(a.n, b.n), strings.Compare(a.s, b.s))
}
