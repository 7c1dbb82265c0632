package parsers

import (
	"slices"
	"strings"
	"sync"

	"github.com/gatebook/gatebook/event"
)

// headerRows reads rows of CSV whose columns are those of a header. A line may come before its header does, because lines of one
// file are parsed in parallel and reading may go on in the middle of a file after a restart. So the header is taken from
// wherever it is first seen: by prime, or as a line that holds nothing but names of columns. A line of a file of which neither
// was seen is read in the order of the config or of the documentation, and tagged columns-assumed.
type headerRows struct {
	format   csvFormat
	find     func(name string) column
	isHeader func(cells []string) bool
	order    *header // columns without a header
	fixed    bool    // the config gives the order
	headers  headerBook
}

// column is what a column means to the parser of its file.
type column uint8

// colOther is a column that has no meaning: it becomes a label.
const colOther column = 0

// header is the columns of one file.
type header struct {
	columns []column
	labels  []string // key of a column that has no meaning
	known   int
}

// newHeader numbers the columns; find returns colOther for a name that is not known. A second column of one meaning has none.
func newHeader(names []string, find func(string) column) *header {
	h := &header{}
	for i, name := range names {
		name = strings.Clone(trimBOM(strings.TrimSpace(name)))
		c := find(name)
		if c != colOther && h.has(c) {
			c = colOther
		}
		if c != colOther {
			h.known++
		}
		if name == "" {
			name = extraColumn(i)
		}
		h.columns, h.labels = append(h.columns, c), append(h.labels, event.LabelKey(name))
	}
	return h
}

func (h *header) has(c column) bool { return slices.Contains(h.columns, c) }

// rowKind says by what a row was read.
type rowKind uint8

const (
	rowIsHeader rowKind = iota // it names the columns itself
	rowNamed                   // by a header, or by the order of the config
	rowAssumed                 // in the documented order, because no header was seen: it may not fit
)

// prime tells what the first line of a source is, before any of its lines is parsed.
func (r *headerRows) prime(source, first string) {
	var space [32]string
	if cells, err := r.format.split(space[:0], trimBOM(strings.TrimSpace(first))); err == nil {
		r.learn(cells, source, 0)
	}
}

// learn remembers a header, or that there is none; it reports whether the cells are one.
func (r *headerRows) learn(cells []string, source string, offset int64) bool {
	is := r.isHeader(slices.Clone(cells)) // a copy, so that the cells of usual rows stay on the stack
	if is {
		r.headers.put(source, offset, newHeader(cells, r.find))
	} else if offset == 0 && r.headers.get(source, 0) == nil {
		r.headers.put(source, 0, r.order)
	}
	return is
}

// read gives the cells of a row to set, and those that have no meaning to the labels.
func (r *headerRows) read(line Line, text string, ev *event.Event, set func(c column, text string)) (rowKind, error) {
	var space [32]string
	cells, err := r.format.split(space[:0], text)
	if err != nil {
		return rowNamed, err
	}
	if len(cells) < 3 {
		return rowNamed, ErrNoMatch
	}
	if line.Offset == 0 || !startsWithDigit(cells) {
		if r.learn(cells, line.Source, line.Offset) {
			return rowIsHeader, nil
		}
	}
	h := r.headers.get(line.Source, line.Offset)
	kind := rowNamed
	if (h == nil || h == r.order) && !r.fixed {
		kind = rowAssumed
	}
	if h == nil {
		if h = r.order; !r.fixed {
			ev.Tag(tagColumnsAssumed)
		}
	}
	for i, cell := range cells {
		switch {
		case i >= len(h.columns):
			labelCell(ev, extraColumn(i), cell)
		case h.columns[i] == colOther:
			labelCell(ev, h.labels[i], cell)
		default:
			set(h.columns[i], strings.TrimSpace(cell))
		}
	}
	return kind, nil
}

const tagColumnsAssumed = "columns-assumed" // the order of the columns was not seen in the file

func labelCell(ev *event.Event, key, text string) {
	f := filling{ev: ev}
	f.label(key, strings.TrimSpace(text))
}

func absent(s string) bool { return s == "" || s == "-" }

func startsWithDigit(cells []string) bool {
	for _, c := range cells {
		if c = strings.TrimLeft(c, " "); c != "" && isDigit(c[0]) {
			return true
		}
	}
	return false
}

// headerBook remembers the columns of many files, bounded.
type headerBook struct {
	mu      sync.RWMutex
	sources map[string][]headerAt
}

type headerAt struct {
	offset int64
	header *header
}

const (
	maxSources = 1024 // files and senders remembered; beyond that any is forgotten
	maxHeaders = 4    // of one file
)

// get returns the columns that hold at an offset of a source, nil where none are known.
func (b *headerBook) get(source string, offset int64) *header {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var best *header
	at := int64(-1)
	for _, h := range b.sources[source] {
		if h.offset <= offset && h.offset > at {
			best, at = h.header, h.offset
		}
	}
	return best
}

// put remembers a header; one at the beginning of a file makes it a new file.
func (b *headerBook) put(source string, offset int64, h *header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sources == nil {
		b.sources = map[string][]headerAt{}
	}
	list, known := b.sources[source]
	if !known && len(b.sources) >= maxSources {
		for other := range b.sources {
			delete(b.sources, other)
			break
		}
	}
	if offset == 0 {
		list = nil
	}
	list = slices.DeleteFunc(slices.Clone(list), func(o headerAt) bool { return o.offset == offset })
	if len(list) == maxHeaders {
		list = list[1:]
	}
	b.sources[strings.Clone(source)] = append(list, headerAt{offset, h})
}
