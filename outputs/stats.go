package outputs

import (
	"sync/atomic"
	"time"
)

// Stats are the figures of a running output. They may be read at any time; the zero value is ready.
type Stats struct {
	delivered, filtered, deadLettered, retried, requests  atomic.Int64
	inFlight, outstanding, outstandingBytes, requestBytes atomic.Int64
	problem                                               atomic.Pointer[Problem]
	last                                                  atomic.Pointer[Problem]
}

// Figures are Stats at one moment, since the start of this process.
type Figures struct {
	Delivered    int64
	Filtered     int64
	DeadLettered int64
	Retried      int64 // items sent again, each time counted
	Requests     int64
	InFlight     int64 // items
	Outstanding  int64 // items that wait while others go on
	RequestBytes int64 // what a request comes to at present where there is enough to send, before compression
	State        string
	Problem      *Problem // what is wrong now; nil where State is "ok"
	LastProblem  *Problem // the last there was
}

// The values of Figures.State.
const (
	StateOK       = "ok"
	StateRetrying = "retrying" // it is tried again by itself
	StateHeld     = "held"     // somebody has to act; it is tried now and then
)

// Figures returns what there is to show.
func (s *Stats) Figures() Figures {
	f := Figures{
		Delivered: s.delivered.Load(), Filtered: s.filtered.Load(), DeadLettered: s.deadLettered.Load(), Retried: s.retried.Load(),
		Requests: s.requests.Load(), InFlight: s.inFlight.Load(), Outstanding: s.outstanding.Load(), RequestBytes: s.requestBytes.Load(), State: StateOK,
		Problem: s.problem.Load(), LastProblem: s.last.Load(),
	}
	if f.Problem != nil {
		f.State = StateRetrying
		if f.Problem.Hold {
			f.State = StateHeld
		}
	}
	return f
}

func (s *Stats) setProblem(p *Problem) {
	s.problem.Store(p)
	if p != nil {
		s.last.Store(p)
	}
}

// Since is how long the present problem lasts; 0 where there is none.
func (s *Stats) Since(now time.Time) time.Duration {
	if p := s.problem.Load(); p != nil {
		return now.Sub(p.Since)
	}
	return 0
}
