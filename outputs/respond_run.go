package outputs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatebook/gatebook/event"
)

// Times of requests.
const (
	respondPoll  = time.Second         // how often decisions are looked for
	pendingFor   = 24 * time.Hour      // how long a request waits for a person
	doFor        = time.Hour           // how long it is tried to carry one out: later it would surprise everybody
	doneFor      = 30 * 24 * time.Hour // how long finished ones are kept
	mostDone     = 10_000              // ... and how many
	respondFirst = 2 * time.Second     // wait after a failure, doubled ...
	respondMost  = 5 * time.Minute     // ... up to this
)

// run carries out what is due until ctx ends.
func (r *Responder) run(ctx context.Context) {
	ticker := time.NewTicker(respondPoll)
	defer ticker.Stop()
	for {
		r.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.wake:
		}
	}
}

// step does all that is due now. Trouble with files is told, and tried again with the next step.
func (r *Responder) step(ctx context.Context) {
	if err := r.decisions(ctx); err != nil {
		r.log.Error("decisions on requests cannot be read, trying again", "err", err)
	}
	r.prune()
	for _, q := range r.all(false) {
		if ctx.Err() != nil {
			return
		}
		now := r.now()
		var err error
		switch {
		case q.due.After(now):
		case q.state == statePending && now.Sub(q.Created) > pendingFor:
			err = r.finish(ctx, q, "expired", "nobody decided in time")
		case q.state == stateDue:
			err = r.do(ctx, q)
		case q.state == stateActive && !now.Before(q.Undo):
			err = r.undo(ctx, q)
		}
		if err != nil {
			q.attempts++
			q.due = now.Add(jitter(respondFirst, respondMost, q.attempts))
			r.log.Error("request to respond cannot be written, trying again", "request", q.ID, "err", err)
		}
	}
}

// prune takes away finished requests, once in a while.
func (r *Responder) prune() {
	now := r.now()
	if now.Sub(r.pruned) < time.Hour {
		return
	}
	r.pruned = now
	done := r.all(true)
	for i, q := range done {
		if len(done)-i <= mostDone && now.Sub(q.Finished) <= doneFor {
			continue
		}
		if err := os.Remove(r.path(stateDone, q.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.log.Warn("finished request cannot be removed", "request", q.ID, "err", err)
			return
		}
		r.mu.Lock()
		delete(r.requests, q.ID)
		r.mu.Unlock()
	}
}

// all returns the requests that are done, or those that are not, in the order of their making.
func (r *Responder) all(done bool) []*respondRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*respondRequest
	for _, q := range r.requests {
		if (q.state == stateDone) == done {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(a, b *respondRequest) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// decisions takes in what Approve and Deny said.
func (r *Responder) decisions(ctx context.Context) error {
	ids, err := requestIDs(filepath.Join(r.dir, decidedDir))
	if err != nil {
		return err
	}
	for _, id := range ids {
		path := filepath.Join(r.dir, decidedDir, id+".json")
		r.mu.Lock()
		q := r.requests[id]
		r.mu.Unlock()
		if q != nil && q.state == statePending {
			var d decision
			if err := readRequest(path, &d); err != nil {
				r.log.Error("decision on a request cannot be read: it counts as none", "file", path, "err", err)
			} else if err := r.decided(ctx, q, &d); err != nil {
				return err
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (r *Responder) decided(ctx context.Context, q *respondRequest, d *decision) error {
	q.By, q.Decided = cleanText(d.By, 100), r.now().UTC()
	if !d.Approve {
		return r.finish(ctx, q, "denied", "")
	}
	return r.move(ctx, q, stateDue, "approved", "")
}

// do asks for the action. What the config says now counts.
func (r *Responder) do(ctx context.Context, q *respondRequest) error {
	a := r.actions[q.Action]
	switch {
	case a == nil:
		return r.finish(ctx, q, "refused", "the action is no longer in the config")
	case a.never.holds(&q.Target):
		return r.finish(ctx, q, "refused", "the target is never to be touched")
	case a.dryRun:
		return r.finish(ctx, q, "dry-run", "dry_run = true: nothing was asked")
	case r.now().Sub(q.Decided) > doFor:
		return r.finish(ctx, q, "failed", "it could not be asked for within an hour: "+q.Reason)
	}
	got := a.hook.post(ctx, q.ID, q.body("do", r.now()))
	switch {
	case ended(ctx):
		return nil // the next start asks again
	case got.ok():
		q.Done = r.now().UTC()
		q.Undo = q.Done.Add(min(time.Duration(q.TTL)*time.Second, a.ttlMax))
		return r.move(ctx, q, stateActive, "done", "")
	case got.refused:
		return r.finish(ctx, q, "failed", got.reason)
	}
	r.later(ctx, q, &got)
	return nil
}

// undo takes the action back, and does not give up.
func (r *Responder) undo(ctx context.Context, q *respondRequest) error {
	a := r.actions[q.Action]
	if a == nil {
		r.later(ctx, q, &answer{reason: "the action is no longer in the config: put it back, or undo it by hand and remove " + r.path(stateActive, q.ID)})
		return nil
	}
	got := a.hook.post(ctx, q.ID, q.body("undo", r.now()))
	if ended(ctx) {
		return nil
	}
	if got.ok() {
		return r.finish(ctx, q, "undone", "")
	}
	r.later(ctx, q, &got)
	return nil
}

// ended tells that the agent stops: what came of an attempt is no answer then.
func ended(ctx context.Context) bool { return ctx.Err() != nil }

// later says when an attempt is made again. The first failure is told, and each hundredth.
func (r *Responder) later(ctx context.Context, q *respondRequest, got *answer) {
	q.attempts++
	q.due = r.now().Add(jitter(respondFirst, respondMost, q.attempts))
	reason := got.reason
	if got.request != nil {
		reason = got.request.Error()
	}
	q.Reason = cleanText(reason, mostText)
	if q.attempts%100 == 1 {
		r.say(ctx, q, "retry", q.Reason)
	}
}

// body is what the webhook gets.
func (q *respondRequest) body(phase string, now time.Time) []byte {
	m := struct {
		Version int           `json:"version"`
		ID      string        `json:"id"`
		Phase   string        `json:"phase"`
		Action  string        `json:"action"`
		Target  respondTarget `json:"target"`
		Rule    string        `json:"rule"`
		Title   string        `json:"title"`
		Alert   string        `json:"alert"`
		TTL     int64         `json:"ttl"`
		Time    string        `json:"time"`
		By      string        `json:"approved_by,omitempty"`
	}{1, q.ID, phase, q.Action, q.Target, q.Rule, q.Title, q.Alert, q.TTL, now.UTC().Format(time.RFC3339), q.By}
	data, err := json.Marshal(m)
	if err != nil {
		return nil // there is nothing in it that cannot be encoded
	}
	return data
}

// move makes a new state durable, and tells of it.
func (r *Responder) move(ctx context.Context, q *respondRequest, state, step, reason string) error {
	q.Step, q.Reason = step, reason
	q.attempts, q.due = 0, time.Time{}
	said := *q // once it is put the request belongs to run
	if err := r.put(q, state); err != nil {
		return err
	}
	r.say(ctx, &said, step, reason)
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

// finish ends a request.
func (r *Responder) finish(ctx context.Context, q *respondRequest, step, reason string) error {
	r.mu.Lock()
	old := r.requests[q.ID]
	r.mu.Unlock()
	if old != nil && old != q {
		return nil // told already
	}
	q.Finished = r.now().UTC()
	return r.move(ctx, q, stateDone, step, reason)
}

// say tells a step, in the program's log and as an event.
func (r *Responder) say(ctx context.Context, q *respondRequest, step, reason string) {
	r.log.Info("respond", "step", step, "action", q.Action, "target", q.Target.String(), "rule", q.Rule, "request", q.ID, "by", q.By, "reason", reason)
	if r.tell == nil {
		return
	}
	m := *q
	at := r.now()
	err := r.tell(context.WithoutCancel(ctx), func(e *event.Event) { m.fill(e, step, reason, at) })
	if err != nil {
		r.log.Warn("step of a request could not be told as an event", "request", q.ID, "step", step, "err", err)
	}
}

// fill sets what an event about a step says.
func (q *respondRequest) fill(e *event.Event, step, reason string, at time.Time) {
	e.Dataset, e.Time, e.Code, e.Reason = respondDataset, event.TimeOf(at), step, reason
	e.Message = fmt.Sprintf("respond %s on %s: %s", q.Action, q.Target.String(), step)
	switch step {
	case "done", "undone":
		e.Outcome = event.Success
	case "failed", "retry", "refused", "expired":
		e.Outcome = event.Failure
	}
	e.User.Name = q.By
	if q.Target.Type == "user" && q.Target.Name != "" {
		e.NeedUserTarget().Name = q.Target.Name
	}
	e.Source.IP = q.Target.Address
	e.NeedRule().ID = q.Rule
	e.NeedAlert().ID = q.Alert
	e.Label("respond_action", q.Action)
	e.Label("respond_request", q.ID)
}
