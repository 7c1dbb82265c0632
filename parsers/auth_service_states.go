package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// job reads a row of the job log: a background job and where it stands.
func (p *authService) job(r *svcRow) {
	ev := r.ev
	j := ev.NeedJob()
	j.ID, j.Name = firstText(r.scalar(svcJobID), r.scalar(svcID)), firstText(r.scalar(svcJobName), r.scalar(svcName))
	j.Type = firstText(r.scalar(svcJobType), r.scalar(svcType))
	j.Status = r.state()
	ev.Code, ev.Action = j.Type, event.JobRun
	r.errors()
	note := r.scalar(svcMessage)
	if stack := r.text(svcStacktrace); stack != "" {
		ev.NeedError().StackTrace = stack
	}
	ended := true
	switch j.Status {
	case "success", "succeeded", "completed", "complete", "done", "finished":
		ev.Outcome, ev.Type = event.Success, "end"
	case "failed", "failure", "error", "cancelled", "canceled", "timeout", "aborted":
		ev.Outcome, ev.Type = event.Failure, "end"
		e := ev.NeedError()
		if e.Message == "" {
			e.Message = note
		}
		if ev.Reason == "" {
			ev.Reason = firstText(e.Message, ev.Status.Name)
		}
	case "running", "started", "processing", "in progress", "in_progress":
		ev.Type, ended = "start", false
	default: // pending, and what we do not know
		ev.Type, ended = "info", false
	}
	if ended {
		r.ended()
	} else {
		r.labelTime("ended", &ev.End)
	}
	r.label("details", r.documentText(svcDetails))
	p.site(ev)
	ev.Message = jobMessage(ev, note)
}

// ended makes the time of the row the end of what has ended.
func (r *svcRow) ended() {
	ev := r.ev
	if ev.End == 0 && ev.Time != ev.Start {
		ev.End = ev.Time
	}
	r.span()
}

// labelTime keeps an end of something that goes on.
func (r *svcRow) labelTime(key string, t *event.Time) {
	if *t != 0 {
		r.labelText(key, t.String())
		*t = 0
	}
}

// documentText takes a value as JSON: a text that holds an object counts as one.
func (r *svcRow) documentText(k svcKey) string {
	doc, text := r.document(k)
	if text != "" {
		return string(event.AppendQuoted(nil, text))
	}
	return doc
}

// jobMessage writes `job "audit log trim" failed: connection refused`.
func jobMessage(ev *event.Event, note string) string {
	var buf [320]byte
	j := ev.Job
	b := append(buf[:0], "job"...)
	if name := firstText(j.Name, j.ID); name != "" {
		b = append(appendShort(append(b, ` "`...), name), '"')
	}
	b = append(b, ' ')
	switch {
	case ev.Type == "end" && ev.Outcome == event.Success:
		b = append(b, "succeeded"...)
	case j.Status == "":
		b = append(b, "is in an unknown state"...)
	case ev.Type == "end":
		b = appendShort(b, j.Status)
	default:
		b = appendShort(append(b, "is "...), j.Status)
	}
	if note != "" {
		b = append(append(b, ": "...), note...)
	}
	return string(b)
}

// notification reads a row of the notification log: one e-mail and what became of it.
func (p *authService) notification(r *svcRow) {
	ev := r.ev
	n, m := ev.NeedNotification(), ev.NeedEmail()
	n.ID = r.scalar(svcID)
	n.Category = firstText(r.scalar(svcCategory), r.scalar(svcType))
	ev.Object, ev.Code = n.Category, n.Category
	n.Status = r.state()
	n.Body = r.text(svcBody)
	m.Subject, m.MessageID = r.text(svcSubject), r.scalar(svcMessageID)
	m.To, m.CC, m.BCC = r.addresses(svcRecipient, m.To), r.addresses(svcCC, m.CC), r.addresses(svcBCC, m.BCC)
	m.From = r.addresses(svcFrom, m.From)
	if len(m.To) == 1 {
		ev.NeedUserTarget().Email = m.To[0]
	}
	r.errors()
	ev.Action = event.NotificationSend
	switch n.Status {
	case "sent", "delivered", "success":
		ev.Outcome = event.Success
	case "failed", "failure", "error", "bounced", "bounce", "rejected", "undeliverable":
		ev.Outcome = event.Failure
		if ev.Reason == "" {
			ev.Reason = ev.Status.Name
		}
	default: // pending, queued, and what we do not know
		ev.Outcome = event.Unknown
	}
	r.user() // who caused it, where the row says so
	r.label("details", r.documentText(svcDetails))
	p.site(ev)
	ev.Message = notificationMessage(ev)
}

// addresses takes a list of addresses, or one text with commas or semicolons between them. "Jane <jane@example.com>" is the address.
func (r *svcRow) addresses(k svcKey, list []string) []string {
	v := r.take(k)
	if v != "" && v[0] == '"' {
		list = appendWords(list, plainJSON(v), ",;")
	} else {
		list = appendNames(list, v)
	}
	for i, s := range list {
		if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
			if inner := s[open+1 : len(s)-1]; isMailAddress(inner) {
				list[i] = inner
			}
		}
	}
	return list
}

// notificationMessage writes `mail "Reset your password" to jane@example.com bounced: mailbox full`.
func notificationMessage(ev *event.Event) string {
	var buf [320]byte
	b := append(buf[:0], "mail"...)
	if s := ev.Email.Subject; s != "" {
		b = append(appendShort(append(b, ` "`...), s), '"')
	}
	if to := ev.Email.To; len(to) > 0 {
		b = appendShort(append(b, " to "...), to[0])
		if len(to) > 1 {
			b = append(appendInt(append(b, " and "...), int64(len(to)-1)), " more"...)
		}
	}
	if status := ev.Notification.Status; status == "pending" {
		b = append(b, " is pending"...)
	} else if status != "" {
		b = appendShort(append(b, ' '), status)
	}
	if ev.Reason != "" && ev.Reason != ev.Status.Name {
		b = appendShort(append(b, ": "...), ev.Reason)
	}
	return string(b)
}

// lifeStates are the states of sessions and grants.
var lifeStates = newNames(map[uint8]string{
	lifeActive:  "active created new open valid",
	lifeExpired: "expired timeout timedout",
	lifeRevoked: "revoked terminated removed invalidated",
	lifeEnded:   "ended closed loggedout logout completed",
})

const (
	_ uint8 = iota
	lifeActive
	lifeExpired
	lifeRevoked
	lifeEnded
)

// life sets the action of a session's or grant's status.
func (r *svcRow) life(status string, actions [5]event.Action) {
	ev := r.ev
	state := lifeStates.find(status)
	ev.Code, ev.Action = status, actions[state]
	if state == 0 {
		ev.Outcome = event.Unknown
		return
	}
	ev.Outcome = event.Success
	if state == lifeActive {
		r.labelTime("ended", &ev.End)
		return
	}
	r.ended()
}

// session reads a row of the sessions.
func (p *authService) session(r *svcRow) {
	ev := r.ev
	s := &ev.Session
	if s.ID = r.scalar(svcSessionID); s.ID == "" {
		s.ID = r.scalar(svcID)
	}
	s.Protocol, s.Status = protocolName(r.scalar(svcProtocol)), r.state()
	r.life(s.Status, [5]event.Action{lifeActive: event.SessionStart, lifeExpired: event.SessionExpire, lifeRevoked: event.SessionRevoke, lifeEnded: event.SessionEnd})
	r.details()
	r.client(svcClient, svcClientID)
	r.provider()
	r.address()
	r.user()
	claims, text := r.document(svcClaims)
	s.Claims = storedObject(claims)
	r.labelText("claims", text)
	r.claimed(claims)
	s.Scopes = r.words(svcScopes, s.Scopes)
	r.grantOf()
	r.label("session_parameters", r.documentText(svcParameters))
	r.errors()
	p.site(ev)
	ev.Message = lifeMessage(ev, "session", s.ID, s.Status)
}

// words takes a list, or a text with spaces or commas between the words.
func (r *svcRow) words(k svcKey, list []string) []string {
	v := r.take(k)
	if v != "" && v[0] == '"' {
		return appendWords(list, plainJSON(v), ", ")
	}
	return appendNames(list, v)
}

// claimed takes from the claims of a token who the user is, where the row does not say it.
func (r *svcRow) claimed(claims string) {
	if claims == "" || claims[0] != '{' {
		return
	}
	u := &r.ev.User
	var space [24]jsonMember
	for _, m := range membersOf(space[:0], claims) {
		var to *string
		switch m.key {
		case "sub":
			to = &u.ID
		case "email":
			to = &u.Email
		case "preferred_username":
			to = &u.Name
		case "name":
			to = &u.FullName
		}
		if to != nil && *to == "" && m.value[0] == '"' {
			*to = plainJSON(m.value)
		}
	}
	if u.Name == "" {
		u.Name = u.Email
	}
}

// grantOf takes what a session tells of its grant: an id, or an object; the rest of the object becomes labels.
func (r *svcRow) grantOf() {
	ev := r.ev
	id, typ := r.scalar(svcGrantID), r.scalar(svcGrantType)
	const key = "grant"
	doc, text := r.document(svcGrant)
	if id != "" || typ != "" || text != "" {
		g := ev.NeedGrant()
		g.ID, g.Type = firstText(id, text), typ
	}
	if doc == "" || doc[0] != '{' {
		r.label(key, doc)
		return
	}
	g := ev.NeedGrant()
	var space [16]jsonMember
	for _, m := range membersOf(space[:0], doc) {
		var to *string
		switch k := svcNames.find(m.key); k {
		case svcGrantID, svcID:
			to = &g.ID
		case svcGrantType, svcType:
			to = &g.Type
		case svcStatus:
			to = &g.Status
		case svcScopes:
			if m.value[0] == '"' {
				g.Scopes = appendWords(g.Scopes, plainJSON(m.value), ", ")
			} else {
				g.Scopes = appendNames(g.Scopes, m.value)
			}
			continue
		}
		if to == nil || *to != "" || m.value[0] == '{' || m.value[0] == '[' {
			r.label(key+"_"+m.key, m.value)
			continue
		}
		*to = plainJSON(m.value)
	}
}

// grant reads a row of the grants: what a user has allowed an application to do.
func (p *authService) grant(r *svcRow) {
	ev := r.ev
	g := ev.NeedGrant()
	if g.ID = r.scalar(svcGrantID); g.ID == "" {
		g.ID = r.scalar(svcID)
	}
	g.Status = r.state()
	r.life(g.Status, [5]event.Action{lifeActive: event.GrantCreate, lifeExpired: event.GrantExpire, lifeRevoked: event.GrantRevoke, lifeEnded: event.GrantExpire})
	r.details()
	g.Type = r.scalar(svcGrantType)
	r.client(svcClient, svcClientID)
	r.provider()
	r.address()
	r.user()
	ev.Session.ID = r.scalar(svcSessionID)
	g.Scopes = r.words(svcScopes, g.Scopes)
	r.errors()
	p.site(ev)
	ev.Message = lifeMessage(ev, "grant", g.ID, g.Status)
}

// lifeMessage writes "session s-1 of jane@example.com with portal: revoked".
func lifeMessage(ev *event.Event, what, id, status string) string {
	var buf [256]byte
	b := append(buf[:0], what...)
	if id != "" {
		b = appendShort(append(b, ' '), id)
	}
	if who := firstText(ev.User.Name, ev.User.Email); who != "" {
		b = appendShort(append(b, " of "...), who)
	} else if ev.User.ID != "" {
		b = appendShort(append(b, " of user "...), ev.User.ID)
	}
	if ev.Client != nil {
		b = appendShort(append(b, " for "...), firstText(ev.Client.Name, ev.Client.ID))
	}
	if status != "" {
		b = appendShort(append(b, ": "...), status)
	}
	return string(b)
}
