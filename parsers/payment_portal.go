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
type portalParser struct {
	rowParser
	entries portalTable
	status  portalTable
}

const portalDataset = "payment_portal.login"

func newPaymentPortal(label string, body *conf.Body, o Options) (Parser, error) {
	p := &portalParser{rowParser: newRowParser("payment_portal", portalDataset, portalOrder, portalColumn, isPortalHeader, o)}
	p.entries, p.status = portalCodes()
	if body == nil {
		return p, nil
	}
	enough := func(h *header) bool { return h.known >= 2 && (h.has(colEntry) || h.has(colStatus)) }
	p.configure(label, body, o, enough, "at least the user or time, and the entry or status,")
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

func (p *portalParser) Parse(line Line, ev *event.Event) error {
	text := trimBOM(strings.TrimSpace(line.Text))
	var row portalRow
	var err error
	switch shapeOf(text) {
	case shapeJSON:
		if err := event.CheckJSON(text); err != nil {
			return err
		}
		row.members(ev, text, 0, "", 0)
		err = row.complete()
	case shapePairs:
		row.pairs(ev, text)
		err = row.complete()
	default:
		var kind rowKind
		kind, err = p.read(line, text, ev, row.set)
		switch {
		case err != nil:
		case kind == rowIsHeader:
			p.headerEvent(ev, text)
			return nil
		case kind == rowAssumed && !p.fits(&row, line.Received):
			err = errColumns
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

func shapeOf(text string) shape {
	if strings.HasPrefix(text, "{") {
		return shapeJSON
	}
	if i := strings.IndexAny(text, "=,;\t\""); i > 0 && i < 40 && text[i] == '=' {
		return shapePairs
	}
	return shapeCSV
}

var errColumns = errors.New("the columns are not in the order time, user, entry, status, ip and no header was read; name them in a parser block: columns = [...]")

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
