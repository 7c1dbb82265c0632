package simulate

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/gatebook/gatebook/event"
)

// Attack is somebody who guesses at the single sign-on.
type Attack struct {
	Start  time.Time
	Seed   uint64
	Guess  int  // attempts, or users where each is tried once or twice; default by kind
	Enters bool // the last guess is right
}

// SlowBruteForce guesses one user's password from one address, so seldom that no short window sees it: one guess every half hour or so.
func (c *Company) SlowBruteForce(a Attack, user int) iter.Seq[*event.Event] {
	p := c.people[user%len(c.people)]
	return c.guesses(a, 60, func(r *rand.Rand, i int) (*person, string, time.Duration) {
		return p, "203.0.113.251", time.Duration(25+r.IntN(10)) * time.Minute
	})
}

// Spraying tries a password or two with many users from one address, one every 20 to 60 seconds.
func (c *Company) Spraying(a Attack) iter.Seq[*event.Event] {
	return c.guesses(a, 60, func(r *rand.Rand, i int) (*person, string, time.Duration) {
		return c.people[i*7%len(c.people)], "203.0.113.252", time.Duration(20+r.IntN(40)) * time.Second
	})
}

// Stuffing tries pairs of names and passwords from elsewhere, quickly, from one address; most of the names are known here.
func (c *Company) Stuffing(a Attack) iter.Seq[*event.Event] {
	return c.guesses(a, 200, func(r *rand.Rand, i int) (*person, string, time.Duration) {
		return c.people[i*11%len(c.people)], "203.0.113.253", time.Duration(200+r.IntN(2000)) * time.Millisecond
	})
}

// Distributed guesses one user's password from another address each time, one every two minutes or so.
func (c *Company) Distributed(a Attack, user int) iter.Seq[*event.Event] {
	p := c.people[user%len(c.people)]
	return c.guesses(a, 40, func(r *rand.Rand, i int) (*person, string, time.Duration) {
		return p, fmt.Sprintf("2001:db8:bad:%x::1", i+1), time.Duration(60+r.IntN(120)) * time.Second
	})
}

// guesses makes the attempts: whom, from which address, and how long after the one before.
func (c *Company) guesses(a Attack, n int, next func(r *rand.Rand, i int) (*person, string, time.Duration)) iter.Seq[*event.Event] {
	if a.Guess > 0 {
		n = a.Guess
	}
	return func(yield func(*event.Event) bool) {
		r := rand.New(rand.NewPCG(a.Seed, 2))
		from := &site{city: "Reykjavik", country: "IS", region: "IS-1", lat: 64.15, lon: -21.94}
		script := device{"python-requests", "", "python-requests/2.32.3"}
		t := a.Start
		for i := range n {
			p, ip, pause := next(r, i)
			if i > 0 {
				t = t.Add(pause)
			}
			ev := &event.Event{Time: event.TimeOf(t), Kind: event.KindEvent, Dataset: "gatebook.auth_service.event", Action: event.Login, Outcome: event.Failure,
				Code: "login_failed", Reason: "Invalid credentials", Input: "simulated", Parser: "auth_service"}
			spot{from, ip, network{64666, "Example Hosting"}, 50, script}.from(ev)
			ev.User.Name, ev.User.Email, ev.User.ID, ev.Created = p.email, p.email, p.id, ev.Time
			ev.NeedOrganization().Name, ev.NeedClient().Name = "example", "Portal"
			if a.Enters && i == n-1 {
				ev.Outcome, ev.Code, ev.Reason = event.Success, "login", ""
			}
			c.complete(ev)
			if !yield(ev) {
				return
			}
		}
	}
}
