// Package simulate makes the events of a company that does not exist, as the parsers and enrichers would give them: what rules are tried
// on before they meet a real one.
//
//	seed, Options -> Company: people, offices, addresses, devices
//	                    | a day at a time: working days, administration, machines
//	                    v
//	                 Events, in the order of time <- Merge - attacks (attacks.go)
//
// What it promises: the same seed and options give the same events; events come in the order of time, each is whole and may be kept;
// addresses and names are those reserved for documentation; nothing in Events is an attack, but everything there that resembles one and is
// none: shared and changing addresses, mistyped and forgotten passwords, telephones that try the old password, journeys by aeroplane, new
// devices, second factors refused, administrators who work in the evening, programs that log in and delete, monthly clean-ups.
package simulate

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/gatebook/gatebook/event"
)

// Options say how large a company, and for how long.
type Options struct {
	People  int       // default 500
	Start   time.Time // first day, by the calendar of UTC; default Monday, 5 January 2026
	Days    int       // default 90: two months in which rules learn, and one to look at
	Aliases bool      // one user key for the accounts that a person has in all sources, as with a table of aliases; else each source's own
}

// Company is what events are made of.
type Company struct {
	options  Options
	random   *rand.Rand // of the company as a whole
	people   []*person
	admins   []*person // of people
	manager  *person   // of records
	names    map[string]string
	leaving  []leaver
	pending  []*event.Event // in no order, of this day and later ones
	sessions int
	day      day
}

// day is what the makers of a day need to know of it.
type day struct {
	number  int
	date    time.Time // midnight UTC
	weekend bool
	closing bool // one of the last two working days of the month
}

// Zone is the zone of the headquarters.
var Zone = time.FixedZone("headquarters", int(time.Hour/time.Second))

// New makes a company.
func New(seed uint64, o Options) *Company {
	if o.People == 0 {
		o.People = 500
	}
	if o.Days == 0 {
		o.Days = 90
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	}
	o.Start = o.Start.UTC().Truncate(24 * time.Hour)
	c := &Company{options: o, random: rand.New(rand.NewPCG(seed, 1)), names: map[string]string{}}
	for i := range o.People {
		c.people = append(c.people, c.hire(i, seed))
	}
	c.appoint()
	return c
}

// Start is the beginning of the first day, and End of the day after the last.
func (c *Company) Start() time.Time { return c.options.Start }

// End is when the last day is over: nothing comes after it.
func (c *Company) End() time.Time { return c.options.Start.AddDate(0, 0, c.options.Days) }

// Events gives all events in the order of time. It can be had once.
func (c *Company) Events() iter.Seq[*event.Event] {
	return func(yield func(*event.Event) bool) {
		for n := range c.options.Days {
			c.day = c.dayOf(n)
			c.work()
			c.administer()
			c.machines()
			if !c.release(event.TimeOf(c.day.date.Add(24*time.Hour)), yield) {
				return
			}
		}
	}
}

func (c *Company) dayOf(n int) day {
	d := day{number: n, date: c.options.Start.AddDate(0, 0, n)}
	weekday := d.date.Weekday()
	d.weekend = weekday == time.Saturday || weekday == time.Sunday
	left := 0 // working days of the month that are left, this one included
	for t := d.date; t.Month() == d.date.Month(); t = t.AddDate(0, 0, 1) {
		if t.Weekday() != time.Saturday && t.Weekday() != time.Sunday {
			left++
		}
	}
	d.closing = !d.weekend && left <= 2
	return d
}

// release gives what is before a time; no maker makes anything before the day that it was called for.
func (c *Company) release(until event.Time, yield func(*event.Event) bool) bool {
	slices.SortStableFunc(c.pending, func(a, b *event.Event) int { return cmp.Compare(a.Time, b.Time) })
	n, _ := slices.BinarySearchFunc(c.pending, until, func(ev *event.Event, t event.Time) int { return cmp.Compare(ev.Time, t) })
	for _, ev := range c.pending[:n] {
		c.complete(ev)
		if !yield(ev) {
			return false
		}
	}
	c.pending = append(c.pending[:0:0], c.pending[n:]...)
	return true
}

// add makes an event of a source. What the day's makers would have before the day takes its beginning.
func (c *Company) add(t time.Time, dataset string, a event.Action, o event.Outcome, code string) *event.Event {
	if t.Before(c.day.date) {
		t = c.day.date
	}
	ev := &event.Event{Time: event.TimeOf(t.Truncate(time.Millisecond)), Kind: event.KindEvent, Dataset: "gatebook." + dataset, Action: a, Outcome: o, Code: code}
	ev.Input, ev.Parser = "simulated", parserOf(dataset)
	ev.Created = ev.Time + event.Time(200*time.Millisecond)
	c.pending = append(c.pending, ev)
	return ev
}

func parserOf(dataset string) string {
	for _, p := range [...]string{"auth_service", "payment_portal", "activity_log", "user_activity", "keycloak", "nginx"} {
		if len(dataset) > len(p) && dataset[:len(p)] == p {
			return p
		}
	}
	return "linux_auth"
}

// complete fills what enrichers would: the user's key as enrich.UserKey does, and related.*.
func (c *Company) complete(ev *event.Event) {
	defer ev.Finish()
	who := &ev.User
	if t := ev.UserTarget; t != nil && canonical(t) != "" {
		if category := ev.Action.Info().Category; category == "iam" || category == "session" || canonical(who) == "" {
			who = t
		}
	}
	user := canonical(who)
	if user == "" {
		return
	}
	if c.options.Aliases {
		if name, ok := c.names[user]; ok {
			ev.UserKey = "example/" + name
			return
		}
	}
	ev.UserKey = user
	if ev.Realm != "" {
		ev.UserKey = ev.Realm + "/" + user
	} else if ev.Organization != nil {
		ev.UserKey = ev.Organization.Name + "/" + user
	}
}

func canonical(u *event.User) string {
	switch {
	case u.Name != "":
		return u.Name
	case u.Email != "":
		return u.Email
	}
	return u.ID
}

func (c *Company) session() string {
	c.sessions++
	return "s-" + strconv.FormatInt(int64(c.sessions), 36)
}

// Merge joins two sequences of events that are each in the order of time.
func Merge(a, b iter.Seq[*event.Event]) iter.Seq[*event.Event] {
	return func(yield func(*event.Event) bool) {
		next, stop := iter.Pull(b)
		defer stop()
		other, more := next()
		for ev := range a {
			for ; more && other.Time < ev.Time; other, more = next() {
				if !yield(other) {
					return
				}
			}
			if !yield(ev) {
				return
			}
		}
		for ; more; other, more = next() {
			if !yield(other) {
				return
			}
		}
	}
}
