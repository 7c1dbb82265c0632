package outputs

import (
	"slices"
	"time"
)

// stream is a data stream with items that wait.
type stream struct {
	name     string
	waiting  []*waiting // not under way
	n        int        // waiting or under way
	troubled bool       // nothing of it is taken at present: its items wait here and do not travel with others
	attempts int        // since it is troubled
	due      time.Time  // of the next probe
}

// waiting is an outstanding item.
type waiting struct {
	seq      uint64
	data     []byte  // nil: to be read from the log, once the block is settled
	from     *flight // the block it is from; nil after a restart
	stream   *stream
	unknown  bool
	attempts int
	due      time.Time
	later    bool // put off by the output, not turned away
}

// keepBytes bounds the outstanding items kept in memory; the others are read again.
const keepBytes = 8 << 20

// probeItems is how many items are sent to see whether a troubled stream works again.
const probeItems = 100

func (d *driver) stream(name string) *stream {
	s := d.streams[name]
	if s == nil {
		s = &stream{name: name}
		d.streams[name] = s
	}
	return s
}

func (s *stream) add(w *waiting) {
	w.stream = s
	s.n++
	s.waiting = append(s.waiting, w)
}

// keep makes an item of a block outstanding.
func (d *driver) keep(s *stream, f *flight, w *waiting, item []byte) {
	f.outstanding = append(f.outstanding, w.seq)
	w.from = f
	if d.st.outstandingBytes.Load()+int64(len(item)) <= keepBytes {
		w.data = slices.Clone(item)
		d.st.outstandingBytes.Add(int64(len(item)))
	}
	s.add(w)
	d.st.outstanding.Add(1)
}

// room tells whether a stream may have more outstanding items.
func (d *driver) room(s *stream) bool { return s.n < d.o.StreamOutstanding }

// deferring tells whether the streams of items have to be looked at.
func (d *driver) deferring() bool {
	for _, s := range d.streams {
		if s.troubled || !d.room(s) {
			return true
		}
	}
	return false
}

// full tells whether a block has items of a stream that cannot hold them.
func (d *driver) full(p *Part, items []byte) bool {
	need := map[*stream]int{}
	for i := range p.Ends {
		s := d.streams[string(StreamOf(p.Item(items, i)))]
		if s == nil || !s.troubled && d.room(s) {
			continue
		}
		need[s]++
		// An empty stream takes any block, or one that is larger than the bound would wait for ever.
		if s.n > 0 && s.n+need[s] > d.o.StreamOutstanding {
			return true
		}
	}
	return false
}

// dueItems makes a job of outstanding items whose time has come, of all streams that are not troubled.
func (d *driver) dueItems(now time.Time) *job {
	j := &job{batch: &Batch{}}
	sel := newSelection(nil)
	for _, s := range d.streams {
		if !s.troubled {
			d.collect(s, j, sel, now, d.o.BatchItems)
		}
	}
	return d.itemJob(j, sel)
}

// dueProbe makes a small job of a troubled stream whose time has come.
func (d *driver) dueProbe(now time.Time) *job {
	for _, s := range d.streams {
		if s.troubled && len(s.waiting) > 0 && !s.due.After(now) {
			j := &job{batch: &Batch{Wait: min(time.Second<<min(s.attempts-1, 5), 30*time.Second)}, probe: s}
			sel := newSelection(nil)
			d.collect(s, j, sel, now, probeItems)
			if j := d.itemJob(j, sel); j != nil {
				return j
			}
		}
	}
	return nil
}

func (d *driver) itemJob(j *job, sel *selection) *job {
	if sel.Len() == 0 {
		return nil
	}
	j.batch.add(sel.Part)
	return j
}

// collect takes a stream's due items into a job.
func (d *driver) collect(s *stream, j *job, sel *selection, now time.Time, most int) {
	rest := s.waiting[:0]
	for i, w := range s.waiting {
		if sel.Len() >= most || sel.Size >= d.pace.size() {
			rest = append(rest, s.waiting[i:]...)
			break
		}
		if w.due.After(now) || w.data == nil && w.from != nil && !w.from.settled {
			rest = append(rest, w)
			continue
		}
		item := w.data
		if item == nil {
			var err error
			if item, err = d.r.Item(w.seq); err != nil {
				w.attempts++
				w.due = now.Add(d.o.backoff(w.attempts))
				d.trouble.set("read", &Problem{Text: err.Error()})
				rest = append(rest, w)
				continue
			}
			d.trouble.clear("read")
		}
		sel.add(w.seq, item, w.unknown)
		j.items = append(j.items, w)
	}
	clear(s.waiting[len(rest):])
	s.waiting = rest
}

// nextDue is when the stream has something to send.
func (s *stream) nextDue() (time.Time, bool) {
	var at time.Time
	ok := false
	for _, w := range s.waiting {
		if w.data == nil && w.from != nil && !w.from.settled {
			continue
		}
		if !ok || w.due.Before(at) {
			at, ok = w.due, true
		}
	}
	if ok && s.troubled && s.due.After(at) {
		at = s.due
	}
	return at, ok
}

// fail notes that nothing of the stream was taken.
func (s *stream) fail(now time.Time, o *Options, hold bool) {
	s.troubled = true
	s.attempts++
	if hold {
		s.due = now.Add(o.holdOff(s.attempts))
	} else {
		s.due = now.Add(o.backoff(s.attempts))
	}
}

// works notes that something of the stream was taken.
func (s *stream) works(now time.Time) {
	if !s.troubled {
		return
	}
	s.troubled, s.attempts = false, 0
	for _, w := range s.waiting {
		w.due = now
	}
}
