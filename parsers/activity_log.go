package parsers

import (
	"cmp"
	"errors"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// activityLogParser reads the activity log of the loyalty platform: rows of the table activity_log of spatie/laravel-activitylog, as
// JSON or CSV, with or without the joined causer and subject, and what the platform's own screen exports.
//
//	row -> values by name -> event, log name and subject -> action; properties.attributes and .old -> changes -> Event
type activityLogParser struct {
	rowParser
	codes map[string]*code // by event.code
}

const activityLogDataset = "activity_log.activity"

func newActivityLog(label string, body *conf.Body, o Options) (Parser, error) {
	p := &activityLogParser{rowParser: newRowParser("activity_log", activityLogDataset, logOrder, logColumn, isLogHeader, o)}
	if body == nil {
		return p, nil
	}
	enough := func(h *header) bool { return h.has(logDescription) || h.has(logEvent) }
	p.configure(label, body, o, enough, "the description or the event")
	p.codes = readEventCodes(body)
	body.Close()
	return p, nil
}

var errLogColumns = errors.New("the columns are not in the order of the table activity_log and no header was read; name them in a parser block: columns = [...]")

func (p *activityLogParser) Parse(line Line, ev *event.Event) error {
	text := trimBOM(strings.TrimSpace(line.Text))
	row := logRow{ev: ev}
	if strings.HasPrefix(text, "{") {
		if err := event.CheckJSON(text); err != nil {
			return err
		}
		row.members(text, "")
	} else {
		kind, err := p.read(line, text, ev, row.set)
		switch {
		case err != nil:
			return err
		case kind == rowIsHeader:
			p.headerEvent(ev, text)
			return nil
		case kind == rowAssumed && !p.fits(&row, line.Received):
			return errLogColumns
		}
		row.inner()
	}
	if !row.complete() {
		return ErrNoMatch
	}
	p.fill(&row, line.Received)
	return nil
}

// fits looks whether a row read in the order of the table can be one.
func (p *activityLogParser) fits(row *logRow, received event.Time) bool {
	_, created := p.times.read(row.text[logCreated], received)
	_, id := wholeNumber(row.text[logID])
	return created && id
}

// fill makes the event of a row.
func (p *activityLogParser) fill(row *logRow, received event.Time) {
	ev := row.ev
	ev.Dataset, ev.Parser = p.dataset, p.name
	p.fillTime(row, received)
	if ip := row.take(logIP); ip != "" {
		setAddress(ev, "ip", ip)
	}
	ev.UserAgent.Original, ev.Session.ID = row.take(logUserAgent), row.take(logSession)
	labelCell(ev, "id", row.take(logID))
	labelCell(ev, "batch_uuid", row.take(logBatch))
	row.readSubject()
	row.category()
	p.meaning(row)
	row.causer()
	row.target()
	row.changes()
	row.organization()
	if o, ok := outcomeOf(row.text[logOutcome]); ok {
		ev.Outcome = o
		row.text[logOutcome] = ""
	}
	ev.Reason = row.take(logReason)
	if c := p.codes[ev.Code]; c != nil {
		c.apply(ev)
		if c.name != "" && ev.Reason == "" {
			ev.Reason = c.name
		}
	}
	if ev.Outcome == "" {
		ev.Outcome = event.Unknown
	}
	fitType(ev)
	row.message()
	if ev.Reason == "" && ev.Outcome == event.Failure {
		ev.Reason = spaced(ev.Code)
	}
	row.rest()
}

func (p *activityLogParser) fillTime(row *logRow, received event.Time) {
	ev := row.ev
	created, updated := row.take(logCreated), row.take(logUpdated)
	if updated != created {
		labelCell(ev, "updated_at", updated) // rows are never changed, says the platform: this one was
	}
	if created != "" {
		at, ok := p.times.read(created, received)
		if ev.Time = at; !ok {
			rejectValue(ev, "created_at", created)
		}
	}
	if ev.Time == 0 {
		ev.Tag(tagArrivalTime)
	}
}

// meaning sets action, outcome and code: by the event, with the log name where that alone says nothing of access; by the
// description in rows of old versions, which have no event.
func (p *activityLogParser) meaning(row *logRow) {
	ev := row.ev
	text := row.take(logEvent)
	var set wordSet
	if text != "" {
		set, _ = wordsIn(text)
	} else {
		text, set = row.described()
	}
	ev.Code = text
	if c := p.codes[text]; c != nil && c.action != event.ActionNone {
		ev.Action = c.action
		return
	}
	log, _ := wordsIn(row.log)
	if ev.Action, ev.Outcome = set.access(); ev.Action == event.ActionNone {
		ev.Action, ev.Outcome = (set | log).joined().access()
	}
	if ev.Action == event.Login && ev.Outcome == "" && !set.any(saidAttempt) {
		ev.Outcome = event.Success // failures have an event of their own
	}
	m := row.subject.model
	if m.kind == "" {
		m = modelOf(row.log)
	}
	switch {
	case ev.Action == event.AccountLock && m.kind != "" && m.of != ofAccounts && row.subject.id != "":
		ev.Action = event.Disable
	case ev.Action == event.AccountUnlock && m.kind != "" && m.of != ofAccounts && row.subject.id != "":
		ev.Action = event.Enable
	}
	if ev.Action != event.ActionNone {
		return
	}
	if ev.Action = set.other(); ev.Action == event.ActionNone {
		return
	}
	ev.Outcome = set.done()
	ev.Action = m.action(ev.Action)
	if ev.Action == event.Transaction && row.redeems() {
		ev.Action = event.Redeem
	}
}

// described takes the event from the description: from all its words where these are few or the log is about access, else its
// first verb, because names stand in sentences.
func (r *logRow) described() (text string, set wordSet) {
	d := r.text[logDescription]
	set, n := wordsIn(d)
	log, _ := wordsIn(r.log)
	if n <= 3 || log.any(saidAuth|saidLogin|saidOTP|saidMFA|saidPassword|saidSession) {
		if n > 3 {
			return r.log, set
		}
		return d, set
	}
	const verbs = saidStart | saidChange | saidDelete | saidRestore | saidEnable | saidDisable | saidRedeem | saidExport | saidImport
	for rest := d[:min(len(d), maxNameBytes)]; rest != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		if set, _ := wordsIn(word); set.any(verbs) {
			return word, set
		}
	}
	return "", 0
}

// redeems says that a transaction is one: its own attributes call it so.
func (r *logRow) redeems() bool {
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], r.raw(logNew)) {
		if c := logColumn(m.key); c == logEvent || c == logKind {
			_, text := scalarOrJSON(m.value)
			if set, _ := wordsIn(text); set.any(saidRedeem) {
				return true
			}
		}
	}
	return false
}

// message keeps a description that is a sentence, and writes one where it is only the event's name.
func (r *logRow) message() {
	ev := r.ev
	d := r.take(logDescription)
	if strings.Count(d, " ") >= 2 {
		ev.Message = d
		return
	}
	if !sameName(d, ev.Code) {
		labelCell(ev, "description", d)
	}
	verb, ok := logVerbs[ev.Action]
	t := &ev.Target
	if !ok || t.Type == "" && t.Name == "" && t.ID == "" {
		ev.Message = activityMessage(ev)
		return
	}
	if set, _ := wordsIn(ev.Code); set.any(saidRestore) {
		verb = "restored"
	}
	var buf [256]byte
	b := append(buf[:0], personOf(&ev.User)...)
	if len(b) == 0 {
		b = append(b, "somebody"...)
	}
	if b = append(b, ' '); ev.Outcome == event.Failure {
		b = append(b, "failed: "...)
	}
	b = append(b, verb...)
	if t.Type != "" {
		b = append(b, ' ')
	}
	for i := 0; i < len(t.Type); i++ {
		if c := t.Type[i]; c != '_' {
			b = append(b, c)
		} else {
			b = append(b, ' ')
		}
	}
	if name := cmp.Or(t.Name, t.ID); name != "" {
		b = append(append(b, ' '), name...)
	}
	ev.Message = string(appendWhyWhere(b, ev, true))
}

// sameName says that two names differ in letter case and separators at most.
func sameName(a, b string) bool {
	var x, y [64]byte
	return strings.EqualFold(a, b) || len(a) < len(x) && string(foldName(x[:0], a)) == string(foldName(y[:0], b))
}

// logVerbs are the actions whose sentence names their target.
var logVerbs = map[event.Action]string{event.Create: "created", event.Update: "updated", event.Delete: "deleted", event.Enable: "enabled", event.Disable: "disabled",
	event.UserCreate: "created", event.UserUpdate: "updated", event.UserDelete: "deleted", event.Transaction: "made", event.Redeem: "redeemed",
	event.Export: "exported", event.Import: "imported", event.Download: "downloaded", event.Upload: "uploaded", event.ConfigChange: "changed",
	event.Request: "viewed"}

// looksLikeActivityLog wants the keys of the table, or the names of the platform's screen.
func looksLikeActivityLog(text string) bool {
	text = trimBOM(strings.TrimSpace(text))
	if !strings.HasPrefix(text, "{") {
		if len(text) > 4096 {
			return false
		}
		var space [32]string
		cells, err := csvFormat{',', '"'}.split(space[:0], text)
		return err == nil && (isLogHeader(cells) || len(cells) == len(logOrder) && logLike(cells))
	}
	var seen [logColumns]bool
	for i, n := 0, 0; i >= 0 && n < 64; n++ {
		var key string
		if key, _, i = nextMember(text, i); i < 0 {
			break
		}
		seen[logColumn(key)] = true
		what := seen[logDescription] || seen[logEvent]
		whose := seen[logCauserType] || seen[logSubjectType] || seen[logBatch]
		if what && (seen[logName] && (whose || seen[logProperties]) || seen[logCauserType] && seen[logSubjectType]) {
			return true
		}
		if seen[logDescription] && seen[logEvent] && seen[logUserType] && (seen[logSubject] || seen[logCategory]) {
			return true
		}
	}
	return false
}

// logLike says that cells could be a row of the table: its id and the classes.
func logLike(cells []string) bool {
	_, id := wholeNumber(cells[0])
	return id && (strings.Contains(cells[3], `\`) || strings.Contains(cells[6], `\`))
}

func (p *activityLogParser) looks(text string) bool {
	if looksLikeActivityLog(text) {
		return true
	}
	var space [32]string
	cells, err := p.format.split(space[:0], trimBOM(strings.TrimSpace(text)))
	return err == nil && (isLogHeader(cells) || p.fixed && len(cells) == len(p.order.columns))
}
