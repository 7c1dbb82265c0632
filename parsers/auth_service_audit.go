package parsers

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// audit reads a row of the audit log: an admin changed something.
func (p *authService) audit(r *svcRow) {
	ev := r.ev
	ev.Code = r.text(svcAction)
	verb, word, object := splitAction(ev.Code)
	kind := kindOfObject(object)
	ev.Action = svcActionOf(verb, kind, object)
	ev.Comments = r.text(svcComments)
	r.errors()
	if ev.Outcome = r.said(); ev.Outcome == "" && verb != verbNone {
		ev.Outcome = event.Success // what failed is not in an audit log unless it says so
	}
	ev.Status.Name = r.scalar(svcStatus)
	actor := r.actor()
	r.client(svcClientActor, svcClientActorID)
	r.address()
	target, subject := r.resource(svcTarget, svcTargetType, svcTargetID), r.resource(svcSubject, svcSubjectType, svcSubjectID)
	if target.typ == "" {
		target.typ = object
	}
	ev.Target, ev.Subject = target.plain(), subject.plain()
	old, new := r.states()
	if old == "" && new == "" && ev.Changes != "" && (kind == kindUser || kind == kindRole) {
		r.concerned(kind, target, subject, changedSide(string(ev.Changes), "old"), changedSide(string(ev.Changes), "new"))
	} else {
		r.concerned(kind, target, subject, old, new)
	}
	if kind == kindRole && verb == verbUpdate {
		ev.Action = byRoles(ev)
	}
	m := auditText{ev: ev, actor: actor, object: firstText(object, target.typ, "something"), preposition: " "}
	if verb != verbNone {
		m.word = word
	}
	if isUser(target) && (kind == kindMFA || kind == kindPassword || kind == kindRole) {
		m.preposition = " for "
	}
	m.changes = (old == "") == (new == "") // of what is made or deleted everything changes
	p.site(ev)
	ev.Message = m.write()
}

// actor takes who did it; in the audit log that is an admin, unless the row says otherwise.
func (r *svcRow) actor() string {
	ev := r.ev
	t := r.thing(svcActor)
	if t.id == "" {
		t.id = r.scalar(svcActorID)
	}
	if t.username == "" {
		t.username = r.scalar(svcActorName)
	}
	if t.empty() {
		r.user()
		t = svcThing{id: ev.User.ID, email: ev.User.Email, username: ev.User.Name, full: ev.User.FullName}
	} else {
		t.toUser(&ev.User)
	}
	typ := strings.ToLower(t.typ)
	if s := r.scalar(svcActorType); s != "" {
		typ = strings.ToLower(s)
	}
	known := actorTypeOf(typ)
	switch {
	case known != "" && typ != "system":
		ev.Actor = known
		if known != typ {
			r.labelText("actor_type", typ)
		}
	case t.empty() && ev.User.ID == "" && !r.keys.any(svcClientActor, svcClientActorID):
		r.labelText("actor_type", typ) // nobody is named
	case typ == "system" || t.empty() || strings.EqualFold(ev.User.Name, "system"):
		ev.Actor = "service"
	default:
		ev.Actor = "admin"
		r.labelText("actor_type", typ)
	}
	return t.call()
}

// resource takes what was changed, or what else was affected.
func (r *svcRow) resource(thing, typ, id svcKey) svcThing {
	t := r.thing(thing)
	if s := r.scalar(typ); t.typ == "" {
		t.typ = s
	} else {
		r.labelText("type", s)
	}
	if s := r.scalar(id); t.id == "" {
		t.id = s
	}
	return t
}

func (t *svcThing) plain() event.Thing { return event.Thing{Type: t.typ, ID: t.id, Name: t.callNoID()} }

func (t *svcThing) callNoID() string {
	if s := t.call(); s != t.id {
		return s
	}
	return ""
}

// states takes old and new state and what differs: read from the diff, else computed.
func (r *svcRow) states() (old, new string) {
	ev := r.ev
	side := func(k svcKey) string {
		doc, text := r.document(k)
		if text != "" {
			return string(event.AppendQuoted(nil, text))
		}
		return presentJSON(doc)
	}
	old, new = side(svcOld), side(svcNew)
	ev.Old, ev.New = storedObject(old), storedObject(new)
	diffKey := r.cells[svcDiff].key
	diff, text := r.document(svcDiff)
	r.labelText(diffKey, text)
	if diff != "" {
		ev.Changes = changesFromDiff(diff)
	}
	if ev.Changes == "" {
		ev.Changes = changesOf(old, new)
	}
	return old, new
}

// changedSide makes an object of the old or new values of gatebook.changes, for rows that have nothing but a diff.
func changedSide(changes, side string) string {
	var space [16]jsonMember
	b := []byte{'{'}
	for _, m := range membersOf(space[:0], changes) {
		var values [2]jsonMember
		for _, v := range membersOf(values[:0], m.value) {
			if v.key == side {
				b = append(event.AppendQuoted(b, m.key), ':')
				b = append(append(b, v.value...), ',')
			}
		}
	}
	b[len(b)-1] = '}'
	if len(b) == 1 {
		return ""
	}
	return string(b)
}

// concerned sets the user and the group that an action is about.
func (r *svcRow) concerned(kind svcKind, target, subject svcThing, old, new string) {
	ev := r.ev
	switch kind {
	case kindUser:
		r.changedUser(target, old, new)
	case kindGroup:
		setGroup(ev, target)
	case kindMember:
		user, group := subject, target
		if isUser(target) && !isUser(subject) || subject.empty() && !isGroup(target) && isUser(target) {
			user, group = target, subject
		}
		setTargetUser(ev, user)
		setGroup(ev, group)
	case kindRole:
		switch {
		case isUser(target):
			r.changedUser(target, old, new)
		case isUser(subject):
			r.changedUser(subject, old, new)
		}
		if isGroup(target) {
			setGroup(ev, target)
		} else if isGroup(subject) {
			setGroup(ev, subject)
		}
	case kindMFA, kindPassword:
		if isUser(target) || subject.empty() {
			setTargetUser(ev, target)
		} else {
			setTargetUser(ev, subject)
		}
		if kind == kindMFA {
			ev.MFA.Used = event.Absent
			ev.MFA.Method = factorIn(ev.Code)
		}
	case kindSession, kindGrant:
		thing, user := target, subject
		if isUser(target) {
			thing, user = subject, target
		}
		if id := firstText(thing.id, thing.call()); id != "" && kind == kindSession {
			ev.Session.ID = id
		} else if id != "" {
			ev.NeedGrant().ID = id
		}
		setTargetUser(ev, user)
	default:
		if isUser(target) {
			setTargetUser(ev, target)
		} else if isUser(subject) {
			setTargetUser(ev, subject)
		}
	}
}

func firstText(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func isUser(t svcThing) bool {
	return t.email != "" || t.username != "" || strings.EqualFold(t.typ, "user") || strings.EqualFold(t.typ, "account")
}

func isGroup(t svcThing) bool { return strings.EqualFold(t.typ, "group") }

func setGroup(ev *event.Event, t svcThing) {
	if t.id != "" || t.callNoID() != "" {
		g := ev.NeedGroup()
		g.ID, g.Name = t.id, t.callNoID()
	}
}

func setTargetUser(ev *event.Event, t svcThing) {
	if t.call() != "" {
		t.toUser(ev.NeedUserTarget())
	}
}

// changedUser sets whom it was done to, as before, and what is new of that user.
func (r *svcRow) changedUser(t svcThing, old, new string) {
	ev := r.ev
	was, is := userState(old), userState(new)
	before := was
	if old == "" {
		before = is
	}
	fill := func(to *string, s string) {
		if *to == "" {
			*to = s
		}
	}
	if t.name != "" && t.email == "" && t.username == "" && t.name != before.full {
		t.username, t.name = t.name, ""
	}
	fill(&t.id, before.id)
	fill(&t.email, before.email)
	if t.name == "" || t.name == before.full {
		fill(&t.full, before.full)
	}
	fill(&t.username, before.username)
	t.roles = was.roles
	if t.call() != "" || t.roles != "" {
		t.toUser(ev.NeedUserTarget())
	}
	if new == "" {
		return
	}
	differs := func(was, is string) string {
		if old == "" || was == is {
			return ""
		}
		return is
	}
	c := svcThing{id: differs(was.id, is.id), email: differs(was.email, is.email), username: differs(was.username, is.username),
		full: differs(was.full, is.full)}
	if is.roles != "" && (was.roles == "" || !sameJSON(was.roles, is.roles, 0)) {
		c.roles = is.roles
	}
	if c.empty() {
		return
	}
	u := ev.NeedUserChanges()
	u.ID, u.Email, u.Name, u.FullName = c.id, c.email, c.username, c.full
	u.Roles = appendNames(u.Roles, c.roles)
}

// userState reads the state of a user, in old or new.
func userState(doc string) (t svcThing) {
	if doc == "" || doc[0] != '{' {
		return t
	}
	t.read(doc, nil)
	if t.full == "" {
		t.full = t.name
	}
	t.name = ""
	return t
}

// byRoles tells what a change of roles was: some given, or only some taken.
func byRoles(ev *event.Event) event.Action {
	var was, is []string
	if ev.UserTarget != nil {
		was = ev.UserTarget.Roles
	}
	if ev.UserChanges != nil {
		is = ev.UserChanges.Roles
	}
	if was == nil && is == nil {
		return ev.Action
	}
	for _, role := range is {
		if !slices.Contains(was, role) {
			return event.RoleGrant
		}
	}
	return event.RoleRevoke
}

// auditText is what the message of an audit row is made of.
type auditText struct {
	ev          *event.Event
	actor, word string // word: the verb; "" where nobody knows it
	object      string
	preposition string // between the object and its name
	changes     bool
}

// write writes `jane.admin@example.com updated IdentityProvider "Google": enabled true -> false`.
func (m *auditText) write() string {
	var buf [320]byte
	ev, actor := m.ev, m.actor
	if actor == "" && ev.Client != nil {
		actor = firstText(ev.Client.Name, ev.Client.ID)
	}
	b := appendShort(buf[:0], firstText(actor, "somebody"))
	if m.word == "" {
		b = appendShort(append(b, ": "...), ev.Code)
	} else {
		b = append(appendPast(append(b, ' '), m.word), ' ')
		b = appendShort(b, m.object)
	}
	if name := firstText(ev.Target.Name, ev.Target.ID); name != "" {
		b = append(appendShort(append(append(b, m.preposition...), '"'), name), '"')
	}
	if name := firstText(ev.Subject.Name, ev.Subject.ID); name != "" {
		b = append(appendShort(append(b, ` (subject "`...), name), `")`...)
	}
	if ev.Outcome == event.Failure {
		b = append(b, ", which failed"...)
	}
	if m.changes {
		b = appendChanges(b, string(ev.Changes))
	}
	return string(b)
}

const (
	shownChanges = 3  // of a message
	shownValue   = 32 // longest value in a message
	shownName    = 80 // longest name in a message
)

// appendShort appends a name, cut where it is very long.
func appendShort(b []byte, s string) []byte {
	if len(s) <= shownName {
		return append(b, s...)
	}
	n := shownName
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return append(append(b, s[:n]...), "..."...)
}

// appendChanges appends the first few changes. A value is shown whole or not at all, so that the redactor knows it again, and none
// of a field that may be a secret.
func appendChanges(b []byte, changes string) []byte {
	if changes == "" {
		return b
	}
	n := 0
	for i := 1; changes[i] != '}'; n++ {
		end, _ := stringEnd(changes, i)
		path := changes[i:end]
		i = end + 1
		end = valueEnd(changes, i)
		if n < shownChanges {
			b = append(b, [...]string{": ", ", ", ", "}[n]...)
			b = appendChange(b, plainJSON(path), changes[i:end])
		}
		i = end
		if changes[i] == ',' {
			i++
		}
	}
	if n > shownChanges {
		b = append(appendInt(append(b, " and "...), int64(n-shownChanges)), " more"...)
	}
	return b
}

func appendChange(b []byte, path, entry string) []byte {
	var space [2]jsonMember
	var old, new string
	for _, m := range membersOf(space[:0], entry) {
		if m.key == "old" {
			old = m.value
		} else {
			new = m.value
		}
	}
	b = appendShort(b, path)
	switch {
	case maySecret(path) || !showable(old) || !showable(new):
		return append(b, " changed"...)
	case old == "":
		return append(append(b, " added "...), shownText(new)...)
	case new == "":
		return append(append(b, " removed "...), shownText(old)...)
	}
	b = append(append(b, ' '), shownText(old)...)
	return append(append(b, " -> "...), shownText(new)...)
}

// showable says that a value is short and no object: those may have secrets in them.
func showable(s string) bool {
	return len(s) <= shownValue && (s == "" || s[0] == '"' || strings.IndexByte(s, '{') < 0)
}

// shownText shows an empty text as "" and any other without its quotes.
func shownText(s string) string {
	if s == `""` || s == "null" {
		return s
	}
	return plainJSON(s)
}

// maySecret says that a field's value had better not be repeated.
func maySecret(path string) bool {
	var buf [maxChangePath]byte
	s := string(foldName(buf[:0], path))
	for _, word := range []string{"pass", "secret", "token", "key", "credential", "otp", "pin", "cvv", "cert", "hash", "code", "pwd", "auth", "cookie", "jwt"} {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}
