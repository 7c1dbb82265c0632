package sessions

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// joinWithin is how long after the beginning of a session another line may be taken for its second half: sshd's Accepted, PAM's
// "session opened", logind's "New session".
const joinWithin = event.Time(10 * time.Second)

// notLogins are protocols of PAM sessions in which nobody comes in.
var notLogins = map[string]bool{"cron": true, "crond": true, "atd": true, "sudo": true, "su": true, "su-l": true, "sudo-i": true, "runuser": true,
	"runuser-l": true, "systemd-user": true, "polkit-1": true, "pkexec": true, "chsh": true, "passwd": true}

// Actions are the events that sessions are made of: a question for them finds all that Add wants.
var Actions = []event.Action{event.Login, event.Logout, event.SessionStart, event.SessionEnd, event.SessionExpire, event.SessionRevoke,
	event.LoginDetail, event.MFAChallenge, event.MFAVerify, event.SystemStart, event.SystemStop}

// Add takes one event. Events of other kinds only tell that a session is alive; alerts are passed over.
func (t *Tracker) Add(ev *event.Event) {
	if ev.Kind == event.KindAlert || notLogins[ev.Session.Protocol] {
		return
	}
	t.latest = max(t.latest, ev.Time)
	u := t.user(ev)
	switch ev.Action {
	case event.Login:
		t.login(ev, u)
	case event.SessionStart:
		if ev.Outcome != event.Failure {
			t.begin(ev, u)
		}
	case event.Logout, event.SessionEnd:
		if status := Ended; ev.Outcome != event.Failure {
			if replaced(ev) {
				status = Replaced
			}
			t.end(ev, u, status)
		}
	case event.SessionExpire:
		t.end(ev, u, Expired)
	case event.SessionRevoke:
		if ev.Outcome != event.Failure {
			t.end(ev, u, Revoked)
		}
	case event.LoginDetail:
		t.detail(ev)
	case event.SystemStart, event.SystemStop:
		t.endHost(ev)
	default:
		if s := t.find(ev); s != nil {
			t.touch(s, ev)
		}
	}
	t.forget()
}

// detail reads what logind adds to a login that another line has told of: its id for the session, and that it is gone.
func (t *Tracker) detail(ev *event.Event) {
	s := t.find(ev)
	if ev.Session.ID != "" && ev.Session.Status == "active" {
		if s != nil && s.Status == Active && ev.Time-s.Started > joinWithin {
			s = nil // ids begin anew with every start of the system
		}
		if s == nil {
			s = t.half(ev)
		}
		if s != nil {
			s.ID = ev.Session.ID
			t.byID[spaceOf(ev)+s.ID] = s
		}
	}
	if s == nil {
		return
	}
	t.touch(s, ev)
	if ev.Session.Status == "closed" {
		t.close(s, ev, Ended)
	}
}

// endHost ends all sessions on a host that started or is going down.
func (t *Tracker) endHost(ev *event.Event) {
	if ev.Host.Name == "" {
		return
	}
	for _, s := range t.byProcess {
		if s.Host == ev.Host.Name && s.Started < ev.Time {
			t.close(s, ev, Ended)
		}
	}
}

// replaced says that the source calls the end one by a new login (the payment portal's status 7).
func replaced(ev *event.Event) bool {
	return strings.Contains(strings.ToLower(ev.Status.Name), "new login") || strings.Contains(strings.ToLower(ev.Reason), "new login")
}

func (t *Tracker) login(ev *event.Event, u *User) {
	n := int64(1)
	if ev.Count.Valid {
		n = max(1, ev.Count.N)
	}
	if u != nil {
		u.Logins += n
	}
	if ev.Outcome == event.Success {
		s := t.begin(ev, u)
		if u == nil || s == nil {
			return
		}
		u.FailuresSince = 0
		if at := startOf(ev); at >= u.LastLogin {
			u.LastLogin, u.Address, u.Country = at, ev.Source.IP, ev.Source.Geo.CountryISO
		}
	} else if ev.Outcome == event.Failure && u != nil {
		u.LastFailure = max(u.LastFailure, ev.Time)
		u.Failures += n
		u.FailuresSince += n
	}
	u.said(ev)
}

// said keeps what the source says of the latest attempt or session.
func (u *User) said(ev *event.Event) {
	if u == nil || ev.Time < u.statusAt {
		return
	}
	u.statusAt = ev.Time
	u.Status = cmp.Or(ev.Status.Name, string(cmp.Or(ev.Outcome, event.Unknown)))
	if e := entryOf(ev); e != "" {
		u.Entry = e
	}
}

// user finds or makes the record of the event's user; nil where it names none.
func (t *Tracker) user(ev *event.Event) *User {
	if ev.UserKey == "" {
		return nil
	}
	u := t.users[ev.UserKey]
	if u == nil && ev.Session.ID != "" {
		// A line that has the user's id alone, of a session whose beginning told the name.
		if s := t.byID[spaceOf(ev)+ev.Session.ID]; s != nil && s.Key != "" && ev.User.Email == "" && (ev.User.Name == "" || ev.User.Name == ev.User.ID) {
			u = t.users[s.Key]
		}
	}
	if u == nil {
		u = &User{Key: ev.UserKey}
		t.users[ev.UserKey] = u
	}
	who := &ev.User
	if ev.UserTarget != nil && !keyIs(ev.UserKey, who) && keyIs(ev.UserKey, ev.UserTarget) {
		who = ev.UserTarget
	}
	u.Name, u.ID = cmp.Or(who.Name, u.Name), cmp.Or(who.ID, u.ID)
	u.Email, u.FullName = cmp.Or(who.Email, u.Email), cmp.Or(who.FullName, u.FullName)
	u.LastSeen = max(u.LastSeen, ev.Time)
	return u
}

// keyIs says whether a user's key is made of one of his names.
func keyIs(key string, u *event.User) bool {
	for _, name := range [...]string{u.Name, u.Email, u.ID} {
		if name != "" && len(key) >= len(name) && strings.EqualFold(key[len(key)-len(name):], name) {
			return true
		}
	}
	return false
}

func startOf(ev *event.Event) event.Time { return cmp.Or(ev.Start, ev.Time) }

func endOf(ev *event.Event) event.Time { return cmp.Or(ev.End, ev.Time) }

// entryOf is how the user came in.
func entryOf(ev *event.Event) string {
	provider := ""
	if ev.Provider != nil {
		provider = cmp.Or(ev.Provider.Name, ev.Provider.ID)
	}
	return cmp.Or(ev.Entry.Name, provider, ev.Session.Protocol, strings.TrimPrefix(ev.Dataset, event.DatasetPrefix))
}

// spaceOf is what a session id is unique within: the tenant, else the host for the lines of an operating system, and the application.
func spaceOf(ev *event.Event) string {
	application, _, _ := strings.Cut(strings.TrimPrefix(ev.Dataset, event.DatasetPrefix), ".")
	where := ""
	if o := ev.Organization; o != nil {
		where = strings.ToLower(cmp.Or(o.Name, o.ID))
	} else if application == "linux" {
		where = ev.Host.Name
	}
	return application + "/" + where + "/"
}

func processOf(ev *event.Event) string {
	if !ev.Process.PID.Valid || ev.Host.Name == "" || !strings.HasPrefix(ev.Dataset, event.DatasetPrefix+"linux.") {
		return ""
	}
	return ev.Host.Name + "/" + strconv.FormatInt(ev.Process.PID.N, 10)
}

func startKey(ev *event.Event) string {
	if ev.Start == 0 || ev.UserKey == "" {
		return ""
	}
	return ev.UserKey + "\x00" + ev.Source.IP + "\x00" + strconv.FormatInt(int64(ev.Start), 10)
}

// find returns the session that an event is of, nil where it is of none that is known.
func (t *Tracker) find(ev *event.Event) *Session {
	if ev.Session.ID != "" {
		return t.byID[spaceOf(ev)+ev.Session.ID]
	}
	if k := startKey(ev); k != "" {
		if s := t.byStart[k]; s != nil {
			return s
		}
	}
	if p := processOf(ev); p != "" {
		if s := t.byProcess[p]; s != nil && (ev.UserKey == "" || s.Key == "" || s.Key == ev.UserKey) {
			return s
		}
	}
	if ev.UserKey == "" || ev.Source.IP == "" || ev.Start != 0 || processOf(ev) != "" {
		return nil
	}
	for _, s := range slices.Backward(t.open[ev.UserKey]) {
		if s.Address == ev.Source.IP && s.Status == Active && ev.Time-s.Seen <= event.Time(t.o.Idle) {
			return s
		}
	}
	return nil
}

// half returns the session of the same user that has just begun and of which this line is the other half: neither names a session id,
// an address or a process that differs from the other's, and one of them lacks an id or address that the other has.
func (t *Tracker) half(ev *event.Event) *Session {
	if ev.UserKey == "" {
		return nil
	}
	agree := func(a, b string) bool { return a == "" || b == "" || a == b }
	process := processOf(ev)
	if ev.Action == event.LoginDetail {
		process = "" // logind's own: it speaks of all sessions
	}
	for _, s := range slices.Backward(t.open[ev.UserKey]) {
		apart := max(startOf(ev), s.Started) - min(startOf(ev), s.Started)
		adds := (s.ID == "") != (ev.Session.ID == "") || (s.Address == "") != (ev.Source.IP == "")
		if apart <= joinWithin && adds && agree(s.ID, ev.Session.ID) && agree(s.Address, ev.Source.IP) && agree(s.Host, ev.Host.Name) &&
			agree(s.process, process) {
			return s
		}
	}
	return nil
}

// begin finds or makes the session that a successful login or the start of a session is of.
func (t *Tracker) begin(ev *event.Event, u *User) *Session {
	s := t.find(ev)
	if s != nil && s.Status != Active && ev.Start == 0 && ev.Time > s.Ended && (ev.Session.ID == "" || ev.Action == event.Login) {
		s = nil // ended: a new one of the same user
	}
	if s == nil {
		s = t.half(ev)
	}
	if s == nil {
		s = &Session{Status: Active, Started: startOf(ev)}
		t.sessions = append(t.sessions, s)
	}
	t.touch(s, ev)
	if at := startOf(ev); at < s.Started {
		s.Started = at
	}
	t.index(s, ev)
	if u != nil && ev.Action == event.SessionStart && startOf(ev) > u.LastLogin && u.LastLogin < s.Started {
		u.LastLogin, u.Address, u.Country = s.Started, s.Address, s.Country
		u.said(ev)
	}
	return s
}

// index makes the session known by all that the event says of it.
func (t *Tracker) index(s *Session, ev *event.Event) {
	if s.ID == "" && ev.Session.ID != "" {
		s.ID = ev.Session.ID
	}
	if ev.Session.ID != "" {
		t.byID[spaceOf(ev)+ev.Session.ID] = s
	}
	if s.Status != Active {
		return
	}
	if p := processOf(ev); p != "" && s.process == "" {
		s.process = p
		t.byProcess[p] = s
	}
	if k := startKey(ev); k != "" {
		t.byStart[k] = s
	}
	if s.Key != "" && !slices.Contains(t.open[s.Key], s) {
		t.open[s.Key] = append(t.open[s.Key], s)
	}
}

// touch notes an event of a session: what it says for the first time stays.
func (t *Tracker) touch(s *Session, ev *event.Event) {
	s.Events++
	s.Seen = max(s.Seen, ev.Time)
	s.Key = cmp.Or(s.Key, ev.UserKey)
	s.User = cmp.Or(s.User, ev.User.Name, ev.User.Email, ev.User.ID)
	s.Dataset, s.Host = cmp.Or(s.Dataset, ev.Dataset), cmp.Or(s.Host, ev.Host.Name)
	s.Address, s.Country = cmp.Or(s.Address, ev.Source.IP), cmp.Or(s.Country, ev.Source.Geo.CountryISO)
	s.Agent, s.Protocol = cmp.Or(s.Agent, ev.UserAgent.Original), cmp.Or(s.Protocol, ev.Session.Protocol)
	s.Entry = cmp.Or(s.Entry, entryOf(ev))
	if c := ev.Client; c != nil {
		s.Client = cmp.Or(s.Client, c.Name, c.ID)
	}
	if p := ev.Provider; p != nil {
		s.Provider = cmp.Or(s.Provider, p.Name, p.ID)
	}
	s.MFA = s.MFA || ev.MFA.Used == event.True
}

// end closes what the event ends.
func (t *Tracker) end(ev *event.Event, u *User, status Status) {
	told := u == nil || u.LastLogout >= endOf(ev) // before, or by a later line
	if u != nil {
		u.LastLogout = max(u.LastLogout, endOf(ev))
		u.said(ev)
	}
	s := t.find(ev)
	if s == nil && ev.Session.ID == "" && ev.Start == 0 {
		if !told && processOf(ev) == "" {
			t.endAll(ev, status)
		}
		return
	}
	if s == nil { // its beginning was never told, or this line tells it as well
		s = &Session{Status: Active, Started: ev.Start}
		t.sessions = append(t.sessions, s)
		t.touch(s, ev)
		t.index(s, ev)
		if u != nil && ev.Start > u.LastLogin {
			u.LastLogin, u.Address, u.Country = ev.Start, s.Address, s.Country
		}
	} else {
		t.touch(s, ev)
	}
	t.close(s, ev, status)
}

// endAll closes all open sessions of a user, or those from the event's address where it names one and there are such.
func (t *Tracker) endAll(ev *event.Event, status Status) {
	open := slices.Clone(t.open[ev.UserKey])
	if ip := ev.Source.IP; ip != "" && slices.ContainsFunc(open, func(s *Session) bool { return s.Address == ip }) {
		open = slices.DeleteFunc(open, func(s *Session) bool { return s.Address != ip })
	}
	space := spaceOf(ev)
	for _, s := range open {
		if application, _, _ := strings.Cut(strings.TrimPrefix(s.Dataset, event.DatasetPrefix), "."); !strings.HasPrefix(space, application+"/") {
			continue // of another application
		}
		t.touch(s, ev)
		t.close(s, ev, status)
	}
}

// close ends a session, unless an earlier word of its end is known.
func (t *Tracker) close(s *Session, ev *event.Event, status Status) {
	if s.Status != Active {
		return
	}
	s.Status, s.Ended = status, max(endOf(ev), s.Started)
	s.Reason = cmp.Or(ev.Reason, s.Reason)
	delete(t.byProcess, s.process)
	list := t.open[s.Key]
	if i := slices.Index(list, s); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(t.open, s.Key)
	} else {
		t.open[s.Key] = list
	}
}

// forget gives up an eighth of the sessions when there are too many: those that ended first, then those not heard of for longest.
func (t *Tracker) forget() {
	if len(t.sessions) <= t.o.MaxSessions {
		return
	}
	order := slices.Clone(t.sessions)
	slices.SortStableFunc(order, func(a, b *Session) int {
		if (a.Status == Active) != (b.Status == Active) {
			if a.Status == Active {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Seen, b.Seen)
	})
	gone := map[*Session]bool{}
	for _, s := range order[:max(1, len(order)/8)] {
		gone[s] = true
	}
	t.forgotten += len(gone)
	out := func(s *Session) bool { return gone[s] }
	t.sessions = slices.DeleteFunc(t.sessions, out)
	for _, index := range []map[string]*Session{t.byID, t.byProcess, t.byStart} {
		for key, s := range index {
			if gone[s] {
				delete(index, key)
			}
		}
	}
	for key, list := range t.open {
		if list = slices.DeleteFunc(list, out); len(list) == 0 {
			delete(t.open, key)
		} else {
			t.open[key] = list
		}
	}
}
