package parsers

import (
	"errors"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// userActivityParser reads what an application logs of its users' logins, second factors, passwords, sessions and lock-outs: JSON,
// key=value, or the CSV export of its activity log.
//
//	line -> values by name (keys, header) -> words of the event's name -> action, outcome -> Event
//
// Names of values and events are taken in any spelling (names, wordsIn). What an event means follows from its words, not from a list
// of names; a site adds its own names with codes.
type userActivityParser struct {
	rowParser
	codes map[string]*code // by event.code
}

const userActivityDataset = "user_activity.event"

func newUserActivity(label string, body *conf.Body, o Options) (Parser, error) {
	p := &userActivityParser{rowParser: newRowParser("user_activity", userActivityDataset, activityOrder, activityColumn, isActivityHeader, o)}
	if body == nil {
		return p, nil
	}
	p.configure(label, body, o, hasEvent, "the event")
	p.codes = readEventCodes(body)
	body.Close()
	return p, nil
}

var errActivityColumns = errors.New("the columns are not in the order time, user, event, status, ip, details and no header was read; " +
	"name them in a parser block: columns = [...]")

func (p *userActivityParser) Parse(line Line, ev *event.Event) error {
	text := trimBOM(strings.TrimSpace(line.Text))
	row := activityRow{ev: ev}
	switch shapeOf(text) {
	case shapeJSON:
		if err := event.CheckJSON(text); err != nil {
			return err
		}
		row.members(text, "", "", 0)
	case shapePairs:
		row.pairs(text)
	default:
		kind, err := p.read(line, text, ev, row.set)
		switch {
		case err != nil:
			return err
		case kind == rowIsHeader:
			p.headerEvent(ev, text)
			return nil
		case kind == rowAssumed && !p.fits(&row, line.Received):
			return errActivityColumns
		}
	}
	if !row.complete() {
		return ErrNoMatch
	}
	p.fill(&row, line.Received)
	return nil
}

// fits looks whether a row read in the documented order can be one.
func (p *userActivityParser) fits(row *activityRow, received event.Time) bool {
	_, ok := p.times.read(row.text[actTime], received)
	set, _ := wordsIn(row.text[actEvent])
	action, _ := set.access()
	ip := row.text[actIP]
	return ok && action != event.ActionNone && (absent(ip) || event.ValidIP(ip))
}

// fill makes the event of a row.
func (p *userActivityParser) fill(row *activityRow, received event.Time) {
	ev := row.ev
	ev.Dataset, ev.Parser = p.dataset, p.name
	p.fillTimes(row, received)
	if ip := row.take(actIP); ip != "" {
		setAddress(ev, "ip", ip)
	}
	ev.Session.ID = row.take(actSession)
	ev.UserAgent.Original = row.take(actUserAgent)
	if ev.UserAgent.Original == "" {
		ev.UserAgent.Device = row.take(actDevice) // else the user agent says more
	}
	tenant, tenantID := row.take(actTenant), row.take(actTenantID)
	organize(ev, tenantID, tenant)
	if row.text[actClient] != "" || row.text[actClientID] != "" {
		c := ev.NeedClient()
		c.ID, c.Name = row.take(actClientID), row.take(actClient)
	}
	if name := row.take(actProvider); name != "" {
		ev.NeedProvider().Name = name
	}
	ev.Object = row.take(actCategory)
	said := p.meaning(row)
	p.people(row)
	p.outcome(row, said)
	fillFactor(row, said)
	fillActivityChanges(row)
	p.reason(row)
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
	if ev.Message = row.take(actMessage); ev.Message == "" {
		ev.Message = activityMessage(ev)
	}
	if ev.Reason == "" && !plain(ev) && (ev.Action != event.Login || said.any(saidFailure)) {
		ev.Reason = spaced(ev.Code)
	}
	row.rest()
}

func (p *userActivityParser) fillTimes(row *activityRow, received event.Time) {
	ev := row.ev
	read := func(c column) event.Time {
		text := row.take(c)
		if text == "" {
			return 0
		}
		at, ok := p.times.read(text, received)
		if !ok {
			rejectValue(ev, activityKeys[c], text)
		}
		return at
	}
	ev.Time, ev.Start, ev.End = read(actTime), read(actStart), read(actEnd)
	if ev.Time == 0 {
		ev.Time = max(ev.Start, ev.End)
	}
	if ev.Time == 0 {
		ev.Tag(tagArrivalTime)
	}
	if ev.Start != 0 && ev.End >= ev.Start {
		ev.Duration = event.LongOf(int64(ev.End - ev.Start))
	}
}

// meaning sets action and code by what the line calls the event, and returns all words of it. The first name that says something of
// access by itself decides; where none does, all of them and the status together: {"event":"mfa","action":"verify"}.
func (p *userActivityParser) meaning(row *activityRow) wordSet {
	ev := row.ev
	var sets [len(eventColumns)]wordSet
	var all wordSet
	for i, c := range eventColumns {
		sets[i], _ = wordsIn(row.text[c])
		all |= sets[i]
		if site := p.codes[row.text[c]]; site != nil && site.action != event.ActionNone {
			ev.Action, ev.Code = site.action, row.take(c)
			return all
		}
	}
	status, _ := wordsIn(row.text[actStatus])
	category, _ := wordsIn(ev.Object)
	all = (all | status).joined()
	wider, outcome := all.access()
	if wider == event.ActionNone {
		wider, outcome = (all | category).joined().access()
	}
	for i, c := range eventColumns {
		action, own := sets[i].access()
		if action == event.ActionNone {
			continue
		}
		refined := action == event.PasswordReset && wider == event.PasswordResetRequest || action == event.AccountLock && wider == event.AccountUnlock
		if action != wider && !refined {
			ev.Action, ev.Outcome, ev.Code = action, own, row.take(c)
			return all
		}
		ev.Action, ev.Outcome = wider, outcome
		if !refined {
			ev.Code = row.take(c)
			return all
		}
		break
	}
	if wider == event.ActionNone {
		for i, c := range eventColumns {
			if ev.Action = sets[i].other(); ev.Action != event.ActionNone {
				ev.Outcome, ev.Code = all.done(), row.take(c)
				return all
			}
		}
		wider = all.other()
	}
	ev.Action, ev.Outcome = wider, outcome
	for _, c := range eventColumns {
		text := row.take(c)
		switch {
		case ev.Code == "":
			ev.Code = text
		case text != "" && !strings.EqualFold(text, ev.Code):
			ev.Code += "." + text
		}
	}
	return all
}

// outcome lets the line's own word for it win over what the name of the event implies.
func (p *userActivityParser) outcome(row *activityRow, said wordSet) {
	ev := row.ev
	for _, c := range [...]column{actSuccess, actStatus} {
		text := row.text[c]
		if o, ok := outcomeOf(text); ok {
			ev.Outcome = o
			row.text[c] = ""
			return
		}
	}
	status := row.take(actStatus)
	set, _ := wordsIn(status)
	switch {
	case status == "":
	case set.any(saidFailure) || ev.Action == event.Login && set.any(saidLock|saidDisable|saidExpire):
		ev.Outcome = event.Failure
	case set.any(saidSuccess):
		ev.Outcome = event.Success
	}
	if n, ok := wholeNumber(status); ok {
		ev.Status.Code = event.LongOf(n)
	} else {
		ev.Status.Name = status
	}
	if ev.Outcome == "" && ev.Action == event.Login && status == "" && !said.any(saidAttempt|saidRequest) {
		// Who logs failures as failures logs a success as "login".
		if ev.Outcome = event.Success; row.text[actReason] != "" || row.text[actError] != "" {
			ev.Outcome = event.Failure
		}
	}
}

// fillFactor says whether a second factor was in play, and which.
func fillFactor(row *activityRow, said wordSet) {
	ev := row.ev
	factor := said.any(saidMFA) || ev.Action == event.OTPRequest || ev.Action == event.OTPVerify
	used := row.take(actMFA)
	switch strings.ToLower(used) {
	case "true", "yes", "1", "used", "enabled", "passed", "verified":
		ev.MFA.Used = event.True
	case "false", "no", "0", "none", "disabled":
		ev.MFA.Used = event.False
	case "":
	default:
		setFactor(ev, activityKeys[actMFA], used)
	}
	setFactor(ev, activityKeys[actMFAMethod], row.take(actMFAMethod))
	if factor && ev.MFA.Method == "" {
		setFactor(ev, activityKeys[actMethod], row.take(actMethod))
	}
	if !managesFactor(ev.Action) && ev.MFA.Used == event.Absent && (factor || ev.MFA.Method != "") {
		ev.MFA.Used = event.True
	}
}

// reason takes what the line says of why: the reason, what triggered it, the error, the details, the status.
func (p *userActivityParser) reason(row *activityRow) {
	ev := row.ev
	if row.text[actErrorCode] != "" {
		ev.NeedError().Code = row.take(actErrorCode)
	}
	if row.text[actError] != "" && row.text[actReason] != "" {
		ev.NeedError().Message = row.take(actError)
	}
	for _, c := range [...]column{actReason, actTrigger, actError, actDetails} {
		if ev.Reason == "" && (c != actDetails || !plain(ev)) {
			ev.Reason = row.take(c)
		}
	}
	if ev.Reason == "" {
		ev.Reason = ev.Status.Name
	}
}

// plain says that an event needs no reason: somebody came or went as usual, or it is not about access.
func plain(ev *event.Event) bool {
	switch ev.Action {
	case event.Login:
		return ev.Outcome != event.Failure
	case event.LoginDetail, event.MFAChallenge, event.MFAVerify, event.MFAEnroll, event.MFAEnable, event.MFADisable, event.MFAReset, event.MFAChange,
		event.OTPRequest, event.OTPVerify, event.PasswordResetRequest, event.PasswordReset, event.PasswordChange, event.AccountLock,
		event.AccountUnlock, event.AccountEnable, event.AccountDisable, event.SessionEnd, event.SessionExpire, event.SessionRevoke:
		return false
	}
	return true
}

// spaced writes the name of an event in words: "account_locked" is "account locked".
func spaced(name string) string {
	if !strings.ContainsAny(name, "._-") {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' {
			return ' '
		}
		return r
	}, name)
}
