package parsers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// portalParser reads the login activity of the payment portal: rows of CSV, JSON or key=value with an entry and a status, by
// number or by name.
//
//	row -> columns by name (header, keys) or by order -> code tables -> Event
//
// The columns of a CSV file are those of its header. A line may come before its header does, because lines of one file are
// parsed in parallel and reading may go on in the middle of a file after a restart. So the header is taken from wherever
// it is first seen: by Prime, or as a line that holds nothing but names of columns. A line of a file of which neither
// was seen is read in the order of the config or of the documentation, and tagged columns-assumed.
type portalParser struct {
	name    string
	dataset string
	times   timeReader
	format  csvFormat
	order   *portalHeader // columns without a header
	fixed   bool          // the config gives the order
	entries portalTable
	status  portalTable
	headers headerBook
}

const portalDataset = "payment_portal.login"

func newPaymentPortal(label string, body *conf.Body, o Options) (Parser, error) {
	p := &portalParser{name: "payment_portal", dataset: event.DatasetPrefix + portalDataset, times: newTimeReader(nil, o),
		format: csvFormat{',', '"'}, order: newPortalHeader(portalOrder)}
	p.entries, p.status = portalCodes()
	if body == nil {
		return p, nil
	}
	p.name = label
	p.dataset = event.DatasetPrefix + readDataset(body, portalDataset)
	p.format.delimiter = readByte(body, "delimiter", ',')
	if t := body.Object("time"); t != nil {
		p.times = readTimes(t, o)
	}
	if names := body.Strings("columns"); names != nil {
		p.order, p.fixed = newPortalHeader(names), true
		if p.order.known < 2 || !p.order.has(colEntry) && !p.order.has(colStatus) {
			body.Errorf("columns", "want at least the user or time, and the entry or status, among the names; known are %s", quoteNames(portalOrder))
		}
	}
	for _, t := range readCodes(body) {
		switch t.field {
		case "gatebook.entry.code":
			p.entries.override(t)
		case "gatebook.status.code":
			p.status.override(t)
		default:
			body.Object("codes").Errorf(t.field, "%s", unknownName("code table of the payment portal", t.field,
				[]string{"gatebook.entry.code", "gatebook.status.code"}))
		}
	}
	body.Close()
	return p, nil
}

func (p *portalParser) Dataset() string { return p.dataset }

// Prime tells what the first line of a source is, before any of its lines is parsed.
func (p *portalParser) Prime(source, first string) {
	var space [32]string
	if cells, err := p.format.split(space[:0], trimBOM(strings.TrimSpace(first))); err == nil {
		p.learn(cells, source, 0)
	}
}

// learn remembers a header, or that there is none; it reports whether the cells are one.
func (p *portalParser) learn(cells []string, source string, offset int64) bool {
	header := isPortalHeader(cells)
	if header {
		p.headers.put(source, offset, newPortalHeader(cells))
	} else if offset == 0 && p.headers.get(source, 0) == nil {
		p.headers.put(source, 0, p.order)
	}
	return header
}

func (p *portalParser) Parse(line Line, ev *event.Event) error {
	text := trimBOM(strings.TrimSpace(line.Text))
	var row portalRow
	var err error
	switch portalShape(text) {
	case shapeJSON:
		if err := checkJSON(text); err != nil {
			return err
		}
		row.members(ev, text, 0, "", 0)
		err = row.complete()
	case shapePairs:
		row.pairs(ev, text)
		err = row.complete()
	default:
		var header bool
		if header, err = p.cells(&row, line, text, ev); header {
			ev.Dataset, ev.Parser, ev.Message = p.dataset, p.name, text
			ev.Tag(tagHeader)
			return nil
		}
	}
	if err != nil {
		return err
	}
	return p.fill(&row, line, ev)
}

type shape uint8

const (
	shapeCSV shape = iota
	shapeJSON
	shapePairs
)

func portalShape(text string) shape {
	if strings.HasPrefix(text, "{") {
		return shapeJSON
	}
	if i := strings.IndexAny(text, "=,;\t\""); i > 0 && i < 40 && text[i] == '=' {
		return shapePairs
	}
	return shapeCSV
}

// cells reads a CSV row.
func (p *portalParser) cells(row *portalRow, line Line, text string, ev *event.Event) (header bool, err error) {
	var space [32]string
	cells, err := p.format.split(space[:0], text)
	if err != nil {
		return false, err
	}
	if len(cells) < 3 {
		return false, ErrNoMatch
	}
	if line.Offset == 0 || !startsWithDigit(cells) {
		if p.learn(cells, line.Source, line.Offset) {
			return true, nil
		}
	}
	h := p.headers.get(line.Source, line.Offset)
	assumed := h == nil || h == p.order
	if h == nil {
		h = p.order
		if !p.fixed {
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
			row.set(h.columns[i], strings.TrimSpace(cell))
		}
	}
	if assumed && !p.fixed && !p.fits(row, line.Received) {
		return false, errColumns
	}
	return false, nil
}

var errColumns = errors.New("the columns are not in the order time, user, entry, status, ip and no header was read; name them in a parser block: columns = [...]")

const tagColumnsAssumed = "columns-assumed" // the order of the columns was not seen in the file

// fits looks whether a row read in the documented order can be one: its time is a time, or most of the rest is right.
func (p *portalParser) fits(row *portalRow, received event.Time) bool {
	n := 0
	if _, ok := p.times.read(row.text[colTime], received); ok || row.text[colTime] == "" {
		n++
	}
	if p.entries.fits(row.text[colEntry]) {
		n++
	}
	if p.status.fits(row.text[colStatus]) {
		n++
	}
	if ip := row.text[colIP]; absent(ip) || event.ValidIP(ip) {
		n++
	}
	return n >= 3
}

func labelCell(ev *event.Event, key, text string) {
	f := filling{ev: ev}
	f.label(key, strings.TrimSpace(text))
}

func absent(s string) bool { return s == "" || s == "-" }

// fill makes the event of a row.
func (p *portalParser) fill(row *portalRow, line Line, ev *event.Event) error {
	start, err := p.time("time", row.text[colTime], line.Received)
	if err != nil {
		return err
	}
	end, err := p.time("logout time", row.text[colLogout], line.Received)
	if err != nil {
		return err
	}
	ev.Start, ev.End, ev.Time = start, end, max(start, end)
	if ev.Time == 0 {
		ev.Tag(tagArrivalTime)
	}
	if start != 0 && end >= start {
		ev.Duration = event.LongOf(int64(end - start))
	}
	ev.Dataset, ev.Parser = p.dataset, p.name
	ev.User.Name, ev.User.Email = row.value(colUser), row.value(colEmail)
	if ev.User.Name == "" {
		ev.User.Name = ev.User.Email
	}
	if ip := row.value(colIP); event.ValidIP(ip) {
		ev.Source.IP = ip
	} else if ip != "" {
		ev.Tag(tagValueRejected)
		labelCell(ev, "ip", ip)
	}
	if company := row.value(colCompany); company != "" {
		ev.NeedOrganization().Name, ev.Realm = company, company
	}
	ev.Session.ID, ev.UserAgent.Original = row.value(colSession), row.value(colUserAgent)
	labelCell(ev, "details", row.value(colDetails))
	entry, status := p.codes(row, ev)
	ev.Message = portalMessage(ev, entry, status)
	return nil
}

func (p *portalParser) time(what, text string, received event.Time) (event.Time, error) {
	if absent(text) {
		return 0, nil
	}
	t, ok := p.times.read(text, received)
	if !ok {
		if len(text) > 40 {
			text = text[:40] + "..."
		}
		return 0, fmt.Errorf("%s: %q cannot be read as a time", what, text)
	}
	return t, nil
}

// codes sets what follows from entry and status, the status last.
func (p *portalParser) codes(row *portalRow, ev *event.Event) (entry, status *portalCode) {
	entry = p.entries.set(ev, &ev.Entry, row.value(colEntry), row.value(colEntryName))
	status = p.status.set(ev, &ev.Status, row.value(colStatus), row.value(colStatusName))
	login := false
	if entry != nil {
		login = entry.action == event.Login
		entry.apply(ev)
	}
	if status != nil {
		c := status.code
		if status.ofLogin && !login {
			c.action = event.ActionNone
		}
		c.apply(ev)
	}
	if ev.Reason == "" {
		ev.Reason = ev.Status.Name
	}
	if ev.Outcome == "" {
		ev.Outcome = event.Unknown
	}
	fitType(ev)
	ev.Code = row.value(colStatus)
	if status != nil && status.number != "" {
		ev.Code = status.number
	}
	return entry, status
}

// portalMessage writes "bob: membership login, Invalid password, from 203.0.113.9".
func portalMessage(ev *event.Event, entry, status *portalCode) string {
	var buf [256]byte
	b := buf[:0]
	if ev.User.Name != "" {
		b = append(append(b, ev.User.Name...), ": "...)
	}
	mark := len(b)
	part := func(kind string, c *portalCode, got event.Coded) {
		if c == nil && got.Name == "" && !got.Code.Valid {
			return
		}
		if len(b) > mark {
			b = append(b, ", "...)
		}
		switch {
		case c != nil && kind == "entry ":
			b = append(b, c.phrase...)
		case got.Name != "":
			b = append(b, got.Name...)
		default:
			b = appendInt(append(b, kind...), got.Code.N)
		}
	}
	part("entry ", entry, ev.Entry)
	part("status ", status, ev.Status)
	if ev.Source.IP != "" {
		if len(b) > mark {
			b = append(b, ", "...)
		}
		b = append(append(b, "from "...), ev.Source.IP...)
	}
	return string(b)
}
