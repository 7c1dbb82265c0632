package parsers

import (
	"cmp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// model is a kind of thing that the platform keeps.
type model struct {
	kind     string // card, stamp_card, member
	category string // cards, stamp_cards, members
	actor    string // gatebook.actor.type where it can log in
	of       modelGroup
}

type modelGroup uint8

const (
	ofThings modelGroup = iota
	ofAccounts
	ofTransactions
	ofRedemptions
)

// models are the kinds that the platform has, by their folded names.
var models = func() map[string]model {
	m := map[string]model{}
	add := func(v model, names string) {
		for _, name := range strings.Fields(names) {
			m[name] = v
		}
	}
	add(model{"card", "cards", "", ofThings}, "card cards loyaltycard loyaltycards")
	add(model{"stamp_card", "stamp_cards", "", ofThings}, "stampcard stampcards")
	add(model{"reward", "rewards", "", ofThings}, "reward rewards")
	add(model{"voucher", "vouchers", "", ofThings}, "voucher vouchers")
	add(model{"club", "clubs", "", ofThings}, "club clubs")
	add(model{"network", "networks", "", ofThings}, "network networks")
	add(model{"transaction", "transactions", "", ofTransactions}, "transaction transactions stamptransaction stamptransactions pointtransaction pointtransactions")
	add(model{"redemption", "redemptions", "", ofRedemptions}, "redemption redemptions rewardredemption rewardredemptions voucherredemption")
	add(model{"member", "members", "customer", ofAccounts}, "member members")
	add(model{"customer", "customers", "customer", ofAccounts}, "customer customers")
	add(model{"user", "users", "customer", ofAccounts}, "user users")
	add(model{"staff", "staff", "staff", ofAccounts}, "staff staffs staffmember staffmembers employee employees")
	add(model{"partner", "partners", "partner", ofAccounts}, "partner partners business")
	add(model{"admin", "admins", "admin", ofAccounts}, "admin admins administrator administrators superadmin")
	return m
}()

// modelOf reads the name of a class (App\Models\StampCard), of a log (stamp_cards) or of the screen (Stamp Card).
func modelOf(name string) model {
	if i := strings.LastIndexAny(name, `\/`); i >= 0 {
		name = name[i+1:]
	}
	var buf [32]byte
	if m, ok := models[string(foldName(buf[:0], name))]; ok {
		return m
	}
	kind := snake(name)
	return model{kind: kind, category: kind}
}

// snake writes a name in small letters with underscores.
func snake(name string) string {
	clean := true
	for i := 0; i < len(name) && clean; i++ {
		c := name[i]
		clean = c >= 'a' && c <= 'z' || isDigit(c) || c == '_'
	}
	if clean || len(name) > 128 {
		return name
	}
	var b []byte
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == ' ' || c == '-' || c == '.' || c == '_':
			if len(b) > 0 && b[len(b)-1] != '_' {
				b = append(b, '_')
			}
			continue
		case isCapital(c):
			if i > 0 && isSmall(name[i-1]) {
				b = append(b, '_')
			}
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// action makes the plain action one of the kind that it was done to.
func (m *model) action(a event.Action) event.Action {
	switch m.of {
	case ofAccounts:
		switch a {
		case event.Create:
			return event.UserCreate
		case event.Update:
			return event.UserUpdate
		case event.Delete:
			return event.UserDelete
		case event.Enable:
			return event.AccountEnable
		case event.Disable:
			return event.AccountDisable
		}
	case ofTransactions:
		if a == event.Create {
			return event.Transaction
		}
	case ofRedemptions:
		if a == event.Create || a == event.Transaction {
			return event.Redeem
		}
	}
	return a
}

// readSubject reads what was acted on: by class and id, or as the screen writes it: "Card: Gold", "Member #7", "Gold".
func (r *logRow) readSubject() {
	s := &r.subject
	s.id, s.name, s.email = r.take(logSubjectID), r.take(logSubject), r.take(logSubjectEmail)
	typ := r.take(logSubjectType)
	if typ == "" {
		if kind, name, ok := strings.Cut(s.name, ": "); ok && knownModel(kind) {
			typ, s.name = kind, name
		} else if kind, id, ok := strings.Cut(s.name, " #"); ok && knownModel(kind) {
			typ, s.name = kind, ""
			if s.id == "" {
				s.id = id
			}
		}
	}
	if typ != "" {
		s.model = modelOf(typ)
	}
	for _, c := range [...]column{logOld, logNew} { // the name it had
		if s.name == "" {
			s.name = memberText(r.raw(c), "name", "title")
		}
		if s.email == "" && s.model.of == ofAccounts {
			s.email = memberText(r.raw(c), "email")
		}
	}
	if s.email == "" && s.model.of == ofAccounts && strings.IndexByte(s.name, '@') > 0 {
		s.email = s.name
	}
}

func knownModel(kind string) bool {
	var buf [32]byte
	_, ok := models[string(foldName(buf[:0], kind))]
	return ok
}

// memberText returns the first of the members that is a text.
func memberText(object string, keys ...string) string {
	var space [24]jsonMember
	list := membersOf(space[:0], object)
	for _, key := range keys {
		for i := range list {
			if list[i].key == key && list[i].value[0] == '"' {
				_, text := scalar(list[i].value, 0)
				return text
			}
		}
	}
	return ""
}

// category is the name of the log, else of what was acted on. "default" is what the library calls a log that nobody named.
func (r *logRow) category() {
	log, category := r.take(logName), r.take(logCategory)
	r.log = log
	if log == "" || strings.EqualFold(log, "default") {
		r.log = category
	}
	if r.log != "" {
		r.ev.Object = modelOf(r.log).category
	} else {
		r.ev.Object = r.subject.model.category
	}
	if r.log == log && log != "" && snake(log) != r.ev.Object && modelOf(log).category != snake(log) {
		labelCell(r.ev, "log_name", log)
	}
	if s := &r.subject; s.model.kind == "" && knownModel(r.log) && (s.id != "" || s.name != "") {
		s.model = modelOf(r.log) // the screen says only the name
	}
	if category != "" && log != "" && modelOf(category).category != r.ev.Object {
		labelCell(r.ev, "category", category)
	}
}

// causer sets who did it. Ids are unique only within a kind, so that one who has no name is called by both: "member:7".
func (r *logRow) causer() {
	ev := r.ev
	typ, userType := r.take(logCauserType), r.text[logUserType]
	kind := modelOf(typ)
	id, name, email := r.take(logCauserID), r.take(logCauser), r.take(logCauserEmail)
	s := &r.subject
	access := isAccess(ev.Action) || selfService(ev.Action)
	if id == "" && name == "" && email == "" && access {
		// Nobody is logged in yet: the one who was tried.
		if attempt := r.take(logAttempt); attempt != "" {
			if name = attempt; strings.IndexByte(attempt, '@') > 0 {
				email, name = attempt, ""
			}
		} else if email = attemptedEmail(r); email == "" && s.model.of == ofAccounts {
			kind, id, name, email = s.model, s.id, s.name, s.email
		}
	}
	if id != "" && id == s.id && kind.kind == s.model.kind {
		r.self = true
		name, email = cmp.Or(name, s.name), cmp.Or(email, s.email)
	}
	identify(&ev.User, kind.kind, id, name, email)
	if role := r.take(logRole); role != "" {
		ev.User.Roles = append(ev.User.Roles, role)
	}
	if attempt := r.text[logAttempt]; attempt == ev.User.Email || attempt == ev.User.Name {
		r.text[logAttempt] = ""
	}
	switch {
	case loyaltyActor(typ) != "":
		ev.Actor = loyaltyActor(typ)
	case kind.actor != "":
		ev.Actor = kind.actor
	case userType != "":
		ev.Actor = loyaltyActor(userType)
	case typ == "" && r.text[logGuard] != "":
		ev.Actor = loyaltyActor(r.text[logGuard])
	case typ == "" && access && memberText(r.raw(logNew), "guard") != "":
		ev.Actor = loyaltyActor(memberText(r.raw(logNew), "guard"))
	}
	if ev.Actor != "" && loyaltyActor(userType) == ev.Actor {
		r.text[logUserType] = ""
	}
	if ev.Actor == "" {
		labelCell(ev, "causer_type", strings.ReplaceAll(typ, `\\`, `\`))
	}
}

// isAccess says that an action is about coming in, not about what is kept.
func isAccess(a event.Action) bool {
	category := a.Info().Category
	return category == "authentication" || category == "session"
}

// selfService are the actions that somebody who is not logged in does to the own account.
func selfService(a event.Action) bool {
	return a == event.PasswordReset || a == event.PasswordResetRequest || a == event.AccountLock
}

// attemptedEmail is the address that was tried, where the application logs it as attributes.
func attemptedEmail(r *logRow) string { return memberText(r.raw(logNew), "email", "username", "login") }

// loyaltyActor is gatebook.actor.type of what the screen calls a type of user, or of the name of a guard.
func loyaltyActor(name string) string {
	if name == "" {
		return ""
	}
	m := modelOf(name)
	if m.actor != "" {
		return m.actor
	}
	return actorTypeOf(m.kind)
}

// identify sets a user of the platform. People log in by their address, so that it is the name where it is known.
func identify(u *event.User, kind, id, name, email string) {
	u.ID, u.Email = id, email
	if email == "" && strings.IndexByte(name, '@') > 0 {
		u.Email = name
	}
	switch {
	case u.Email != "":
		u.Name = u.Email
	case name != "":
		u.Name = name
	case id != "" && kind != "":
		u.Name = kind + ":" + id
	}
	if name != u.Email {
		u.FullName = name
	}
}

// target sets what it was done to: the subject, and the user where that is an account of somebody else or the event is about accounts.
func (r *logRow) target() {
	ev, s := r.ev, &r.subject
	ev.Subject = event.Thing{Type: s.model.kind, ID: s.id, Name: s.name}
	if ev.Subject.Name == "" {
		ev.Subject.Name = s.email
	}
	if isAccess(ev.Action) {
		return
	}
	ev.Target = ev.Subject
	account := ev.Action == event.UserCreate || ev.Action == event.UserUpdate || ev.Action == event.UserDelete
	if s.model.of != ofAccounts || ev.Action.Info().Category != "iam" || r.self && !account {
		return // a thing, or one's own password
	}
	identify(ev.NeedUserTarget(), s.model.kind, s.id, s.name, s.email)
	name, email := memberText(r.raw(logNew), "name"), memberText(r.raw(logNew), "email")
	if ev.Action == event.UserUpdate && (name != "" && name != s.name || email != "" && email != s.email) {
		c := ev.NeedUserChanges()
		if name != s.name {
			c.FullName = name
		}
		if email != s.email {
			c.Email = email
		}
	}
}

// organization is the partner, else the network or club, that the row names beside its subject.
func (r *logRow) organization() {
	for _, c := range [...]column{logPartner, logNetwork, logClub} {
		if r.text[c] != "" || r.text[c+1] != "" {
			name := r.take(c)
			organize(r.ev, r.take(c+1), name)
			return
		}
	}
}

// changes sets what it was and what it is now.
func (r *logRow) changes() {
	ev := r.ev
	before, after := r.take(logOld), r.take(logNew)
	if list := r.text[logChanges]; isContainer(list) {
		b, a, ok := pairedChanges(list)
		if ok && before == "" && after == "" {
			before, after = b, a
			r.text[logChanges] = ""
		}
	}
	if isAccess(ev.Action) {
		// Nothing changed: what was noted about the attempt.
		labelNoted(ev, "properties_old", before)
		labelNoted(ev, "properties_attributes", after)
		return
	}
	if ev.Action == event.Delete || ev.Action == event.UserDelete {
		if before == "" { // older versions log the last state as attributes
			before, after = after, ""
		}
	}
	ev.Old, ev.New, ev.Changes = storedObject(before), storedObject(after), changesOf(before, after)
}

// labelNoted keeps an object that is no state of anything.
func labelNoted(ev *event.Event, key, object string) {
	if object != "" {
		labelRest(ev, key, gjson.Parse(object))
	}
}

// pairedChanges reads the changes as a screen or an API gives them: {"attributes":{..},"old":{..}}, {"name":{"old":..,"new":..}} or
// [{"field":"name","old":..,"new":..}]; as two objects.
func pairedChanges(list string) (before, after string, ok bool) {
	var pair changePairs
	var space [24]jsonMember
	if list[0] == '{' {
		all := membersOf(space[:0], list)
		if b, a, ok := oldNew(list, false); ok && (b == "" || b[0] == '{') && (a == "" || a[0] == '{') {
			return b, a, true
		}
		for _, m := range all {
			b, a, ok := oldNew(m.value, false)
			if !ok {
				return "", "", false
			}
			pair.add(m.key, b, a)
		}
		return pair.objects()
	}
	for i := skipSpace(list, 1); list[i] != ']'; {
		end := valueEnd(list, i)
		field := ""
		if list[i] == '{' {
			field = memberText(list[i:end], "field", "attribute", "key", "column", "name", "property")
		}
		b, a, ok := oldNew(list[i:end], true)
		if !ok || field == "" {
			return "", "", false
		}
		pair.add(field, b, a)
		i = afterComma(list, end)
	}
	return pair.objects()
}

// oldNew reads the two values of an object; others are allowed where it names its field as well.
func oldNew(s string, others bool) (before, after string, ok bool) {
	if s[0] != '{' {
		return "", "", false
	}
	var space [8]jsonMember
	for _, m := range membersOf(space[:0], s) {
		switch m.key {
		case "old", "from", "before", "_old", "old_value", "oldValue", "Old":
			before = m.value
		case "new", "to", "after", "_new", "new_value", "newValue", "attributes", "New":
			after = m.value
		default:
			if !others {
				return "", "", false
			}
		}
	}
	return before, after, before != "" || after != ""
}

// changePairs builds two objects member by member.
type changePairs struct{ before, after []byte }

func (p *changePairs) add(key, before, after string) {
	p.before, p.after = addMember(p.before, key, before), addMember(p.after, key, after)
}

func addMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	if len(b) == 0 {
		b = append(b, '{')
	} else {
		b = append(b, ',')
	}
	return append(append(event.AppendQuoted(b, key), ':'), value...)
}

func (p *changePairs) objects() (before, after string, ok bool) {
	closed := func(b []byte) string {
		if len(b) == 0 {
			return ""
		}
		return string(append(b, '}'))
	}
	return closed(p.before), closed(p.after), len(p.before)+len(p.after) > 0
}
