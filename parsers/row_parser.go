package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// rowParser is what the parsers of rows have in common: rows come as JSON, as key=value, or as CSV with a header.
type rowParser struct {
	headerRows
	name    string
	dataset string
	times   timeReader
}

// newRowParser is for a parser without a block; order is the columns of CSV without a header.
func newRowParser(name, dataset string, order []string, find func(string) column, isHeader func([]string) bool, o Options) rowParser {
	return rowParser{name: name, dataset: event.DatasetPrefix + dataset, times: newTimeReader(nil, o),
		headerRows: headerRows{format: csvFormat{',', '"'}, find: find, isHeader: isHeader, order: newHeader(order, find)}}
}

// configure reads the attributes dataset, delimiter, time and columns. Columns that are not enough for a row are told of with want.
func (p *rowParser) configure(label string, body *conf.Body, o Options, enough func(*header) bool, want string) {
	known := p.order.labels
	p.name = label
	p.dataset = event.DatasetPrefix + readDataset(body, strings.TrimPrefix(p.dataset, event.DatasetPrefix))
	p.format.delimiter = readByte(body, "delimiter", ',')
	if t := body.Object("time"); t != nil {
		p.times = readTimes(t, o)
	}
	if columns := body.Strings("columns"); columns != nil {
		p.order, p.fixed = newHeader(columns, p.find), true
		if !enough(p.order) {
			body.Errorf("columns", "want %s among the names; known are %s", want, quoteNames(known))
		}
	}
}

// Dataset implements Parser.
func (p *rowParser) Dataset() string { return p.dataset }

// Prime implements Primer.
func (p *rowParser) Prime(source, first string) { p.prime(source, first) }

// headerEvent makes the event of a line that names the columns.
func (p *rowParser) headerEvent(ev *event.Event, text string) {
	ev.Dataset, ev.Parser, ev.Message = p.dataset, p.name, text
	ev.Tag(tagHeader)
}
