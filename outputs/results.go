package outputs

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatebook/gatebook/event"
)

// deadLetterDataset is where dead letters are told of; what is refused there is not told again.
const deadLetterDataset = event.DatasetPrefix + "deadletter"

// take deals with what became of a Write.
func (d *driver) take(res result) {
	j, now := res.job, time.Now()
	d.running--
	d.st.inFlight.Add(-int64(j.batch.Len))
	if res.start {
		d.begun(j, res.err, now)
		return
	}
	var (
		partial *PartialError
		request *RequestError
	)
	switch err := res.err; {
	case err == nil:
		d.opened()
		d.taken(j, nil, now)
	case errors.As(err, &partial):
		d.opened()
		d.taken(j, partial, now)
	case d.wctx.Err() != nil && errors.Is(err, context.Canceled):
		d.again(j, now) // given up at the end of Drain; the next start sends it again
	case errors.As(err, &request):
		d.failed(j, request, now)
	default:
		d.failed(j, &RequestError{Unknown: true, Err: err}, now)
	}
	if d.cp != nil && d.cp.Urgent() {
		d.must, d.commitAt = true, now
	}
}

// begun deals with what became of Starter.Start. What it opened is part of the output's state, to be committed before
// anything is written there.
func (d *driver) begun(j *job, err error, now time.Time) {
	var request *RequestError
	switch {
	case err == nil:
		d.started = true
		d.opened()
		d.must, d.commitAt = d.exact, now
		d.free(j)
	case errors.As(err, &request):
		d.failed(j, &RequestError{Host: request.Host, Status: request.Status, Hold: request.Hold, Remedy: request.Remedy, Err: request.Err}, now)
	default:
		d.failed(j, &RequestError{Err: err}, now)
	}
}

// opened notes that requests are answered.
func (d *driver) opened() {
	d.gate = gate{}
	d.trouble.clear("request")
}

// failed deals with a batch of which nothing is known to be taken.
func (d *driver) failed(j *job, err *RequestError, now time.Time) {
	if err.Unknown {
		j.batch.setUnknown()
		for _, w := range j.items {
			w.unknown = true
		}
	}
	switch {
	case err.TooLarge:
		d.pace.refused(now, j.batch.Size)
	case err.Status == http.StatusTooManyRequests:
		d.pace.pressed(now, j.began)
	default:
		d.pace.late(now, j.began)
	}
	if (err.TooLarge || err.Suspect) && d.split(j, err, now) {
		d.gate.probing = false // the halves go on probing
		return
	}
	if err.Elsewhere && !err.Hold {
		// Another host: at once, and by a closed gate as the next probe.
		d.gate.probing, d.gate.until = false, time.Time{}
		d.st.retried.Add(int64(j.batch.Len))
		d.again(j, now)
		return
	}
	d.gate.fail(now, &d.o, err.Hold)
	d.st.retried.Add(int64(j.batch.Len))
	d.trouble.set("request", &Problem{Host: err.Host, Status: err.Status, Text: err.Error(), Remedy: err.Remedy, Hold: err.Hold})
	j.due = time.Time{} // the gate says when
	d.retry = append(d.retry, j)
}

// again puts a job back as it is.
func (d *driver) again(j *job, now time.Time) {
	j.due = now
	d.retry = append(d.retry, j)
}

// split halves a batch that was refused as a whole, down to the item that is the cause. It returns false where one item is
// left and is not to blame.
func (d *driver) split(j *job, err *RequestError, now time.Time) bool {
	if j.batch.Len > 1 {
		return d.halve(j)
	}
	if err.Suspect && !d.trouble.answered {
		return false // nothing was ever taken: the cause is not this item
	}
	item, _ := d.only(j)
	refusal := ItemError{Verdict: Refuse, Status: err.Status, Type: "request_refused", Reason: err.Error(), Stream: string(StreamOf(item)), ID: string(IDOf(item))}
	if err.TooLarge {
		refusal.Type = "content_too_long"
	}
	d.taken(j, &PartialError{Host: err.Host, Items: []ItemError{refusal}}, now)
	return true
}

// halve makes two jobs of one, in its place. It returns false where the items cannot be read.
func (d *driver) halve(j *job) bool {
	half := j.batch.Len / 2
	var halves []*job
	for _, lower := range []bool{true, false} {
		b, err := j.batch.pick(func(i int) bool { return i < half == lower })
		if err != nil {
			return false
		}
		b.Wait = j.batch.Wait
		h := &job{batch: b, probe: j.probe, full: j.full}
		if j.items != nil && lower {
			h.items = j.items[:half:half]
		} else if j.items != nil {
			h.items = j.items[half:]
		}
		halves = append(halves, h)
	}
	if j.attempts > 0 {
		d.free(j)
	}
	d.retry = append(d.retry, halves...)
	return true
}

// only returns the item of a batch of one.
func (d *driver) only(j *job) ([]byte, error) {
	p, i := j.batch.At(0)
	items, err := p.Items()
	if err != nil {
		return nil, err
	}
	return p.Item(items, i), nil
}

// free gives the job's slot back.
func (d *driver) free(j *job) {
	if j.probe != nil {
		d.probes--
	} else {
		d.live--
	}
}

// taken deals with an answered batch: everything is taken but what the errors name.
func (d *driver) taken(j *job, partial *PartialError, now time.Time) {
	var errs []ItemError
	d.learn(j, partial, now)
	if partial != nil {
		errs = partial.Items
		d.judgeStreams(j, partial, now)
	} else {
		d.press, d.pause = 0, time.Time{}
		d.clearStreams(j, now)
		d.trouble.delivers()
	}
	d.buryAll(j, errs)
	again := map[int]bool{}
	n, k := 0, 0
	for pi := range j.batch.Parts {
		p := &j.batch.Parts[pi]
		if len(errs) == k {
			d.delivered(j, p, n, 0, p.Len())
			n += p.Len()
			continue
		}
		for i := range p.Ends {
			if k < len(errs) && errs[k].Index == n {
				if !d.refused(j, p, i, n, &errs[k], now) {
					again[n] = true
				}
				k++
			} else {
				d.delivered(j, p, n, i, i+1)
			}
			n++
		}
	}
	for pi := range j.batch.Parts {
		if f := j.batch.Parts[pi].from; f != nil {
			d.settledIf(f)
		}
	}
	if len(again) == 0 {
		d.free(j)
		return
	}
	// Too many to be outstanding: what is left of the batch keeps its slot, so that less is asked of the server.
	rest, err := j.batch.pick(func(i int) bool { return again[i] })
	if err != nil {
		d.failed(j, &RequestError{Err: err}, now)
		return
	}
	j.batch, j.due = rest, now.Add(d.o.backoff(j.attempts))
	d.retry = append(d.retry, j)
}

// learn takes from an answer how large requests should be. One that had to wait for a shard says nothing of that, nor does
// a probe.
func (d *driver) learn(j *job, partial *PartialError, now time.Time) {
	if j.probe != nil {
		return
	}
	busy := 0
	if partial != nil {
		for i := range partial.Items {
			switch e := &partial.Items[i]; {
			case e.Verdict != Again:
			case e.Status == http.StatusTooManyRequests:
				busy++
			case e.Status >= 500:
				return
			}
		}
	}
	if mostly(busy, j.batch.Len) {
		d.pace.pressed(now, j.began)
		return
	}
	if j.items == nil {
		d.pace.answered(now, j.began, j.batch.Size, j.full, j.batch.Took)
	}
}

// mostly tells whether so many of all items are enough to speak of a server that is pressed.
func mostly(busy, all int) bool { return busy > 0 && busy*2 >= all }

// delivered notes that items from..to of a part, the first of them item n of the batch, are taken.
func (d *driver) delivered(j *job, p *Part, n, from, to int) {
	count := to - from
	d.st.delivered.Add(int64(count))
	d.dirty += count
	if p.from != nil {
		p.from.left -= count
		p.from.delivered += count
		return
	}
	for i := range count {
		d.release(j.items[n+i])
	}
	d.r.Count(count, 0, 0)
}

// release ends an outstanding item.
func (d *driver) release(w *waiting) {
	d.forget(w)
	if f := w.from; f != nil && !f.settled {
		// Its block is not settled yet: there it is outstanding no longer, and counted already.
		for i, s := range f.outstanding {
			if s == w.seq {
				f.outstanding[i] = f.outstanding[len(f.outstanding)-1]
				f.outstanding = f.outstanding[:len(f.outstanding)-1]
				break
			}
		}
		return
	}
	d.r.SettleItems(w.seq)
}

// forget takes an item out of its stream's accounts.
func (d *driver) forget(w *waiting) {
	w.stream.n--
	d.st.outstanding.Add(-1)
	if w.data != nil && w.from != nil {
		d.st.outstandingBytes.Add(-int64(len(w.data)))
	}
	if w.stream.n == 0 && !w.stream.troubled {
		delete(d.streams, w.stream.name)
		d.trouble.clear("stream " + w.stream.name)
	}
}

// refused deals with one item that was not taken; false means that it stays in the batch.
func (d *driver) refused(j *job, p *Part, i, n int, e *ItemError, now time.Time) bool {
	if e.Verdict == Refuse {
		d.st.deadLettered.Add(1)
		d.dirty++
		if p.from != nil {
			p.from.left--
			p.from.dead++
			return true
		}
		d.release(j.items[n])
		d.r.Count(0, 0, 1)
		return true
	}
	if e.Verdict != Later {
		d.st.retried.Add(1)
	}
	unknown := p.MayBeTaken(i) || e.Unknown
	if p.from == nil {
		w := j.items[n]
		w.unknown = unknown
		d.wait(w, e, now)
		w.stream.waiting = append(w.stream.waiting, w)
		return true
	}
	s := d.stream(e.Stream)
	items, err := p.Items()
	if err != nil || !d.room(s) {
		if unknown && p.Unknown == nil {
			p.Unknown = make([]bool, p.Len())
		}
		if unknown {
			p.Unknown[i] = true
		}
		return false
	}
	w := &waiting{seq: p.Seq(i), unknown: unknown}
	p.from.left--
	d.keep(s, p.from, w, p.Item(items, i))
	d.wait(w, e, now)
	return true
}

// wait says when an item is sent again.
func (d *driver) wait(w *waiting, e *ItemError, now time.Time) {
	w.due, w.later = now, e.Verdict == Later
	switch e.Verdict {
	case Later:
		if !d.ended {
			w.due = e.Until
		}
	case Again:
		w.attempts++
		w.due = now.Add(d.o.backoff(w.attempts))
	default:
		w.attempts++
	}
}

// hurry makes due what was put off: nothing more will come.
func (d *driver) hurry(now time.Time) {
	for _, s := range d.streams {
		for _, w := range s.waiting {
			if w.later {
				w.due = now
			}
		}
	}
}

// settledIf settles a block of which everything is known.
func (d *driver) settledIf(f *flight) {
	if f.left == 0 && !f.settled && f.block != nil {
		d.settled(f)
	}
}

func (d *driver) settled(f *flight) {
	d.dirty += f.filtered + 1
	if d.exact {
		f.left = -1 // once only
		d.settling = append(d.settling, f)
		d.bytes += int64(f.block.RawSize)
		return
	}
	d.settle(f)
}

// buryAll keeps the refused items of a batch in the dead letters, with one fsync. Where that fails they are sent again: an
// item is given up only when it is safe.
func (d *driver) buryAll(j *job, errs []ItemError) {
	var letters []Letter
	for i := range errs {
		e := &errs[i]
		if e.Verdict != Refuse || datasetOf(e.Stream) == deadLetterDataset {
			continue
		}
		p, at := j.batch.At(e.Index)
		items, err := p.Items()
		if err != nil {
			continue
		}
		item := p.Item(items, at)
		letters = append(letters, Letter{Output: d.o.Label, Stream: e.Stream, ID: e.ID, Status: e.Status, Type: e.Type, Reason: e.Reason, Document: event.Document(item)})
	}
	if len(letters) == 0 {
		return
	}
	if d.o.DeadLetters == nil {
		d.trouble.buried(&letters[0], len(letters))
		return
	}
	if err := d.o.DeadLetters.Keep(d.wctx, letters); err != nil {
		d.trouble.set("deadletter", &Problem{Text: err.Error(), Remedy: "free space on the disk of data_dir, or check it"})
		for i := range errs {
			if errs[i].Verdict == Refuse {
				errs[i].Verdict = Again
			}
		}
		return
	}
	d.trouble.clear("deadletter")
	d.trouble.buried(&letters[0], len(letters))
}

// datasetOf is the middle of logs-<dataset>-<namespace>; a dataset has no dash.
func datasetOf(stream string) string {
	const prefix = "logs-"
	if len(stream) <= len(prefix) || stream[:len(prefix)] != prefix {
		return ""
	}
	for i := len(prefix); i < len(stream); i++ {
		if stream[i] == '-' {
			return stream[len(prefix):i]
		}
	}
	return stream[len(prefix):]
}

// judgeStreams finds out of which streams something was taken and of which nothing, and how hard the server is pressed.
func (d *driver) judgeStreams(j *job, partial *PartialError, now time.Time) {
	taken := map[string]int{}
	failed := map[string]*ItemError{}
	n, k, busy := 0, 0, 0
	for pi := range j.batch.Parts {
		p := &j.batch.Parts[pi]
		items, err := p.Items()
		if err != nil {
			n += p.Len()
			continue
		}
		for i := range p.Ends {
			name := StreamOf(p.Item(items, i))
			for k < len(partial.Items) && partial.Items[k].Index < n {
				k++
			}
			if k < len(partial.Items) && partial.Items[k].Index == n {
				e := &partial.Items[k]
				switch e.Verdict {
				case Again:
					failed[string(name)] = e
					if e.Status == 429 {
						busy++
					}
				default:
					taken[string(name)]++ // the stream works
				}
			} else {
				taken[string(name)]++
				d.trouble.delivers()
			}
			n++
		}
	}
	for name, e := range failed {
		if taken[name] > 0 {
			continue
		}
		d.stream(name).fail(now, &d.o, e.Remedy != "")
		d.trouble.set("stream "+name, &Problem{Host: partial.Host, Stream: name, Status: e.Status, Text: e.Type + ": " + e.Reason, Remedy: e.Remedy, Hold: e.Remedy != ""})
	}
	for name := range taken {
		d.streamWorks(name, now)
	}
	if mostly(busy, j.batch.Len) {
		d.press++
		d.pause = now.Add(min(d.o.backoff(d.press), 5*time.Second))
	} else {
		d.press, d.pause = 0, time.Time{}
	}
}

func (d *driver) streamWorks(name string, now time.Time) {
	if s := d.streams[name]; s != nil {
		s.works(now)
		d.trouble.clear("stream " + name)
	}
}

// clearStreams notes that the streams of an entirely taken batch work. Only a probe can have had items of a troubled one.
func (d *driver) clearStreams(j *job, now time.Time) {
	if j.probe != nil {
		d.streamWorks(j.probe.name, now)
	}
	for _, w := range j.items {
		d.streamWorks(w.stream.name, now)
	}
}
