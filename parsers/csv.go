package parsers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// csvParser reads separated values (RFC 4180, one record a line) in the order of columns. A line that repeats the names of the
// columns is a header, wherever it stands.
type csvParser struct {
	m       *mapping
	format  csvFormat
	columns []string
	nodes   []*node  // by column
	labels  []string // label key by column; empty for none
	header  bool
}

// csvFormat is how cells are separated and quoted.
type csvFormat struct {
	delimiter byte
	quote     byte // 0: nothing is quoted
}

// maxCells is how many cells of a line are looked at.
const maxCells = 256

func newCSV(label string, body *conf.Body, o Options) (Parser, error) {
	if body == nil {
		return nil, errors.New(`parser "csv" needs a block that names its columns`)
	}
	p := &csvParser{format: csvFormat{delimiter: readByte(body, "delimiter", ','), quote: readByte(body, "quote", '"')}}
	body.Require("columns", `["time", "user", "ip"]`)
	p.columns = body.Strings("columns")
	if len(p.columns) > maxCells {
		body.Errorf("columns", "more than %d columns", maxCells)
		p.columns = p.columns[:maxCells]
	}
	sources := []string{}
	seen := map[string]bool{}
	for i, c := range p.columns {
		if c == "" {
			continue // a column that nobody wants
		}
		if seen[c] {
			body.Errorf("columns", "column %d: %q is given twice", i+1, c)
			continue
		}
		seen[c] = true
		sources = append(sources, c)
	}
	if p.format.delimiter == p.format.quote {
		body.Errorf("delimiter", "is the same as the quote")
	}
	p.header = body.Bool("header", true)
	if p.columns == nil {
		sources = nil // told already
	}
	p.m = newMapping("csv", label, body, o, sources)
	for _, c := range p.columns {
		n := p.m.nodes[c]
		key := ""
		if c != "" && (p.m.labels == labelsAll && (n == nil || !n.consumed) || n != nil && n.label) {
			key = event.LabelKey(c)
		}
		p.nodes, p.labels = append(p.nodes, n), append(p.labels, key)
	}
	body.Close()
	return p, nil
}

// readByte reads one ASCII character; empty is 0.
func readByte(body *conf.Body, name string, def byte) byte {
	s := body.String(name, string(def))
	switch {
	case s == "" && name == "quote":
		return 0
	case s == `\t`:
		return '\t'
	case len(s) != 1 || s[0] >= 0x80 || s[0] == '\n' || s[0] == '\r':
		body.Errorf(name, "%q: want one ASCII character", s)
		return def
	}
	return s[0]
}

func (p *csvParser) Dataset() string { return p.m.dataset }

func (p *csvParser) Parse(line Line, ev *event.Event) error {
	var space [32]string
	cells, err := p.format.split(space[:0], line.Text)
	if err != nil {
		return err
	}
	if len(cells) == 1 && len(p.columns) > 1 {
		return ErrNoMatch
	}
	if p.header && p.isHeader(cells) {
		ev.Dataset, ev.Parser, ev.Message = p.m.dataset, p.m.name, line.Text
		ev.Tag(tagHeader)
		return nil
	}
	if p.header && line.Offset == 0 {
		if i := p.differs(cells); i >= 0 {
			return fmt.Errorf("header: column %d is %q, the config says %q", i+1, cells[i], p.columns[i])
		}
	}
	f := p.m.begin(ev, line.Received)
	for i, cell := range cells {
		if i >= len(p.nodes) {
			f.label(extraColumn(i), cell)
			continue
		}
		if p.nodes[i] != nil {
			f.put(p.nodes[i], cell)
		}
		if p.labels[i] != "" {
			f.label(p.labels[i], cell)
		}
	}
	f.finish(line.Text)
	return nil
}

func extraColumn(i int) string { return fmt.Sprintf("column_%d", i+1) }

func (p *csvParser) isHeader(cells []string) bool {
	if len(cells) != len(p.columns) {
		return false
	}
	for i, c := range cells {
		if !strings.EqualFold(strings.TrimSpace(trimBOM(c)), p.columns[i]) {
			return false
		}
	}
	return true
}

// differs finds the column of a header in another order: every cell is the name of a column, not all in their place.
func (p *csvParser) differs(cells []string) int {
	at := -1
	for i, c := range cells {
		known := false
		for _, name := range p.columns {
			known = known || name != "" && strings.EqualFold(strings.TrimSpace(trimBOM(c)), name)
		}
		if !known {
			return -1
		}
		if at < 0 && i < len(p.columns) && !strings.EqualFold(strings.TrimSpace(trimBOM(c)), p.columns[i]) {
			at = i
		}
	}
	return at
}

func trimBOM(s string) string { return strings.TrimPrefix(s, "\ufeff") }

var (
	errQuoteOpen = errors.New("a quoted cell never ends")
	errAfter     = errors.New("text after the end of a quoted cell")
	errCells     = fmt.Errorf("more than %d cells", maxCells)
)

// split appends the cells of a line to dst. Only a cell that holds a doubled quote takes an allocation.
func (c csvFormat) split(dst []string, line string) ([]string, error) {
	for {
		if len(dst) == maxCells {
			return nil, errCells
		}
		if c.quote == 0 || line == "" || line[0] != c.quote {
			i := strings.IndexByte(line, c.delimiter)
			if i < 0 {
				return append(dst, strings.TrimSuffix(line, "\r")), nil
			}
			dst, line = append(dst, line[:i]), line[i+1:]
			continue
		}
		cell, rest, err := c.quoted(line)
		if err != nil {
			return nil, err
		}
		dst = append(dst, cell)
		switch {
		case rest == "" || rest == "\r":
			return dst, nil
		case rest[0] != c.delimiter:
			return nil, errAfter
		}
		line = rest[1:]
	}
}

// quoted reads the cell whose opening quote is line[0].
func (c csvFormat) quoted(line string) (cell, rest string, err error) {
	doubled := false
	for i := 1; ; i++ {
		j := strings.IndexByte(line[i:], c.quote)
		if j < 0 {
			return "", "", errQuoteOpen
		}
		i += j
		if i+1 < len(line) && line[i+1] == c.quote {
			doubled = true
			i++
			continue
		}
		cell = line[1:i]
		if doubled {
			q := string(c.quote)
			cell = strings.ReplaceAll(cell, q+q, q)
		}
		return cell, line[i+1:], nil
	}
}
