// Package sessions works out from events who is and was logged in: one record per stay of a user, and one per user.
//
//	events, oldest first -> Tracker.Add -> Sessions: start, last seen, end, how it ended, from where, by which entry
//	                                       Users: last login, last logout, entry method, status, logged in now
//
// What belongs together: events of one session id (of one source); else of one process of one host (sshd's Accepted and its
// PAM session); else of one user and address while less than Idle passes between them. A session ends by its id, by its process, or
// by its user: a logout that names no session ends all that the user has from that address, or all where none is from there.
// A state that is told again (a session table exported every hour) changes nothing.
//
// What it promises: an event may come twice or late without making a session that was not; memory is bounded by
// MaxSessions, and what was forgotten is counted.
package sessions

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// Status is what became of a session.
type Status string

// The states of a session. Stale is worked out when it is asked: nothing was heard of an active session for longer than Idle.
const (
	Active   Status = "active"
	Ended    Status = "ended"                // the user logged out, or the source says no more than that it ended
	Expired  Status = "expired"              // by time
	Revoked  Status = "revoked"              // by an administrator or a rule of the source
	Replaced Status = "ended by new login"   // by another login of the same user
	Stale    Status = "active, not heard of" // probably gone without a word
)

// Statuses lists the states, as --status takes them.
func Statuses() []Status { return []Status{Active, Ended, Expired, Revoked, Replaced, Stale} }

// Session is one stay of one user. Times are zero where nothing was said.
type Session struct {
	ID       string // the source's own id; empty where it has none
	Key      string // gatebook.user.key
	User     string // name, else e-mail address, else id
	Dataset  string // of the event that began it, in full
	Host     string
	Client   string // application
	Provider string // identity provider, or way of authentication
	Protocol string
	Entry    string // how the user came in: name of the entry code, else provider, else protocol, else dataset
	Address  string // source.ip of the beginning
	Country  string
	Agent    string // user agent as it names itself
	MFA      bool
	Status   Status
	Reason   string // why it ended, in the source's words
	Started  event.Time
	Seen     event.Time // latest event of it
	Ended    event.Time
	Events   int

	process string // host and pid that it is also known by
}

// StatusAt is the status at a time: an active session that was not heard of for longer than idle is Stale.
func (s *Session) StatusAt(now event.Time, idle time.Duration) Status {
	if s.Status == Active && now-s.Seen > event.Time(idle) {
		return Stale
	}
	return s.Status
}

// User is one user by key.
type User struct {
	Key, Name, ID, Email, FullName string
	LastLogin                      event.Time // beginning of the latest successful login
	LastLogout                     event.Time // latest end of a session, whoever ended it
	LastFailure                    event.Time
	LastSeen                       event.Time
	Entry                          string // how the latest attempt was made
	Status                         string // what the source said of the latest attempt or session: status name, else outcome
	Address, Country               string // of the latest login
	Logins, Failures               int64  // attempts, each repeat counted
	FailuresSince                  int64  // failures since the latest successful login
	statusAt                       event.Time
}

// Options are how sessions are told apart.
type Options struct {
	// Idle is the silence after which a session without id is over, and one with id counts as Stale. Default 12 hours.
	Idle time.Duration
	// MaxSessions bounds the memory: the session that ended first is forgotten first. Default 1,000,000.
	MaxSessions int
}

// Tracker takes events, oldest first, and keeps the sessions and users. It is not safe for concurrent use.
type Tracker struct {
	o         Options
	sessions  []*Session // in the order in which they were first heard of
	users     map[string]*User
	byID      map[string]*Session // by namespace and id
	byProcess map[string]*Session // open ones by host and pid
	byStart   map[string]*Session // rows that tell their own beginning, by key, address and time
	open      map[string][]*Session
	latest    event.Time
	forgotten int
}

// New returns an empty tracker.
func New(o Options) *Tracker {
	o.Idle = cmp.Or(o.Idle, 12*time.Hour)
	o.MaxSessions = cmp.Or(o.MaxSessions, 1_000_000)
	return &Tracker{o: o, users: map[string]*User{}, byID: map[string]*Session{}, byProcess: map[string]*Session{}, byStart: map[string]*Session{},
		open: map[string][]*Session{}}
}

// FromDocuments adds every document of an answer, oldest first. It returns the first error of the answer or of a document.
func (t *Tracker) FromDocuments(docs iter.Seq2[[]byte, error]) error {
	var ev event.Event
	for doc, err := range docs {
		if err != nil {
			return err
		}
		if err := event.FromJSON(slices.Clone(doc), &ev); err != nil { // the sessions keep parts of it
			return err
		}
		t.Add(&ev)
	}
	return nil
}

// Sessions returns all sessions, the one that began last first. The records are the tracker's: they change with Add.
func (t *Tracker) Sessions() []*Session {
	list := slices.Clone(t.sessions)
	slices.SortStableFunc(list, func(a, b *Session) int { return cmp.Compare(b.Started, a.Started) })
	return list
}

// History returns the sessions of one user, the one that began last first. name is the key, or the part of it after the realm, or
// the user's name, id or e-mail address, in any letter case.
func (t *Tracker) History(name string) []*Session {
	keys := map[string]bool{}
	for _, u := range t.Find(name) {
		keys[u.Key] = true
	}
	return slices.DeleteFunc(t.Sessions(), func(s *Session) bool { return !keys[s.Key] })
}

// Users returns all users by key.
func (t *Tracker) Users() []*User {
	list := make([]*User, 0, len(t.users))
	for _, u := range t.users {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *User) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// Find returns the users that go by that name.
func (t *Tracker) Find(name string) []*User {
	return slices.DeleteFunc(t.Users(), func(u *User) bool { return !u.goesBy(name) })
}

func (u *User) goesBy(name string) bool {
	_, short, found := strings.Cut(u.Key, "/")
	for _, own := range [...]string{u.Key, u.Name, u.ID, u.Email} {
		if own != "" && strings.EqualFold(own, name) {
			return true
		}
	}
	return found && strings.EqualFold(short, name)
}

// LoggedIn returns the sessions of a user that are open at a time.
func (t *Tracker) LoggedIn(key string, now event.Time) []*Session {
	var list []*Session
	for _, s := range t.open[key] {
		if s.StatusAt(now, t.o.Idle) == Active {
			list = append(list, s)
		}
	}
	return list
}

// StatusAt is the status of a session at a time, by the tracker's Idle.
func (t *Tracker) StatusAt(s *Session, now event.Time) Status { return s.StatusAt(now, t.o.Idle) }

// Forgotten is how many ended sessions were given up to keep within MaxSessions.
func (t *Tracker) Forgotten() int { return t.forgotten }
