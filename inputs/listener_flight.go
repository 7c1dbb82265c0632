package inputs

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// flights are the requests whose lines are on their way into the log.
//
//	turn (one request at a time submits) -> Submit, batch by batch -> flight -> Ticket.Wait -> done
type flights struct {
	timeout time.Duration
	turn    chan struct{} // held while submitting: what is submitted first is first in the log
	sink    Sink
	ctx     context.Context // until the listener gives up
	running sync.WaitGroup
	broken  atomic.Bool // a ticket failed: nothing of this run is acknowledged any more

	mu     sync.Mutex
	closed bool
}

// flight is what one request has submitted.
type flight struct {
	tickets []Ticket
	done    chan struct{} // closed when err is final
	err     error
}

var errBroken = errors.New("the log has failed")

func newFlights(timeout time.Duration) flights {
	return flights{timeout: timeout, turn: make(chan struct{}, 1)}
}

func (f *flights) begin(ctx context.Context, sink Sink) { f.ctx, f.sink = ctx, sink }

// open notes a request; false is too late for it. The request ends with running.Done.
func (f *flights) open() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.running.Add(1)
	}
	return !f.closed
}

// end waits for the requests and for what is on its way.
func (f *flights) end() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.running.Wait()
}

// enter waits for the turn to submit.
func (f *flights) enter(ctx context.Context) error {
	if f.broken.Load() {
		return errBroken
	}
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *flights) leave() { <-f.turn }

// send submits a batch as part of a flight.
func (f *flights) send(ctx context.Context, fl *flight, b *Batch) error {
	t, err := f.sink.Submit(ctx, b)
	if err != nil {
		return err
	}
	if t != nil {
		fl.tickets = append(fl.tickets, t)
	}
	return nil
}

// settle waits for the tickets of a flight in the background, tells after what became of them, and closes the flight.
func (f *flights) settle(fl *flight, after func(error)) {
	f.running.Go(func() {
		for _, t := range fl.tickets {
			if err := t.Wait(f.ctx); err != nil && fl.err == nil {
				fl.err = err
				f.broken.Store(true)
			}
		}
		after(fl.err)
		close(fl.done)
	})
}

// wait returns when everything of the flights is in the log.
func (f *flights) wait(ctx context.Context, all ...*flight) error {
	for _, fl := range all {
		select {
		case <-fl.done:
			if fl.err != nil {
				return fl.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// unavailable is the answer where it is not known that everything is in the log.
func unavailable() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, typ: "unavailable_shards_exception", reason: "not everything is safe in the log; send it again", retry: 5}
}
