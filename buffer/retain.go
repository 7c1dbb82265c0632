package buffer

import (
	"slices"
	"time"
)

// needed tells whether a reader may still ask for s: one whose committed cursor, or an outstanding item of it,
// is not past the segment's end. While no reader is known at all everything is kept. Called with mu held.
func (l *Log) needed(s *segment) bool {
	if len(l.readers)+len(l.known) == 0 {
		return true
	}
	end := Pos{s.n, s.end}
	for _, r := range l.readers {
		if r.pin.before(end) {
			return true
		}
	}
	for _, c := range l.known {
		if c.required && c.pin().before(end) {
			return true
		}
	}
	return false
}

// reclaim deletes the segments that nobody needs any more.
func (l *Log) reclaim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.readers {
		if !r.o.Required {
			l.enforceLag(r)
		}
	}
	freed := false
	for len(l.segments) > 1 {
		s := l.segments[0]
		if s.n >= l.tableSegment || s == l.w.seg || l.needed(s) {
			break
		}
		l.removeFirst()
		freed = true
	}
	if freed {
		l.spaceFreed()
	}
	if l.full != "" {
		l.wakeWriter()
	}
}

// spaceFreed lets appends and the writer look again. Called with mu held.
func (l *Log) spaceFreed() {
	l.w.retryAt = time.Time{}
	if l.full != "" {
		l.o.Logger.Info("buffer has space again", "dir", l.o.Dir, "bytes", l.bytes)
		l.full = ""
	}
	l.signalRoom()
	l.wakeWriter()
}

// removeFirst deletes the oldest segment. Called with mu held. Where the file cannot be deleted now it is
// found, and deleted, at the next start.
func (l *Log) removeFirst() {
	s := l.segments[0]
	l.segments = l.segments[1:]
	l.bytes -= s.end
	if err := l.o.FS.Remove(l.segmentPath(s.n)); err != nil {
		l.o.Logger.Error("buffer segment cannot be deleted", "segment", s.n, "err", err)
	}
}

// dropOldest deletes the oldest segment although readers still need it; what they lose is counted. It does
// nothing where only the segment being written is left. Called with mu held.
func (l *Log) dropOldest() bool {
	if len(l.segments) == 0 {
		return false
	}
	s := l.segments[0]
	if s == l.w.seg || s.n >= l.tableSegment {
		return false
	}
	next := Pos{s.n + 1, 0}
	if len(l.segments) > 1 {
		next = Pos{l.segments[1].n, l.segments[1].start}
	}
	for _, r := range l.readers {
		r.skipTo(next, 0)
		r.dropOutstanding(next)
	}
	for _, c := range l.known {
		if c.pos.before(next) {
			c.pos, c.seen = next, 0
		}
		c.out = slices.DeleteFunc(c.out, func(o outBlock) bool { return o.pos.before(next) })
	}
	l.dropped.Add(int64(s.items))
	l.o.Logger.Warn("oldest buffer segment dropped, the buffer is full", "segment", s.n, "items", s.items)
	l.removeFirst()
	l.spaceFreed()
	return true
}

// behind returns the bytes from p to the end. Called with mu held.
func (l *Log) behind(p Pos) int64 {
	n := int64(0)
	for i := len(l.segments) - 1; i >= 0; i-- {
		s := l.segments[i]
		if s.n < p.Segment {
			break
		}
		from := s.start
		if s.n == p.Segment {
			from = max(from, p.Offset)
		}
		n += s.end - from
	}
	return n
}

// enforceLag moves a reader that is too far behind forward. Called with mu held.
func (l *Log) enforceLag(r *Reader) {
	if r.o.MaxLag <= 0 || l.behind(r.pin) <= r.o.MaxLag {
		return
	}
	target, items := l.lagTarget(r.o.MaxLag)
	r.skipTo(target, items)
	// What is outstanding, or in hand and not settled, holds nothing back beyond the lag.
	first := Pos{target.Segment, 0}
	r.dropOutstanding(first)
	if r.pin.before(first) {
		r.pin = first
	}
}

// lagTarget returns the oldest place known that is at most lag bytes before the end, and the items before it
// in its segment. Called with mu held.
func (l *Log) lagTarget(lag int64) (Pos, uint64) {
	for _, s := range l.segments {
		if l.behind(Pos{s.n, s.start}) <= lag {
			return Pos{s.n, s.start}, 0
		}
		for _, m := range s.marks {
			if l.behind(Pos{s.n, m.off}) <= lag {
				return Pos{s.n, m.off}, m.items
			}
		}
	}
	if len(l.segments) == 0 {
		return l.endPos(), 0
	}
	s := l.segments[len(l.segments)-1]
	return Pos{s.n, s.end}, s.items
}

// itemsFrom returns the items from p to the end, seen of p's segment being before p. Called with mu held.
func (l *Log) itemsFrom(p Pos, seen uint64) uint64 {
	n := uint64(0)
	for _, s := range l.segments {
		switch {
		case s.n == p.Segment:
			n += s.items - min(seen, s.items)
		case s.n > p.Segment:
			n += s.items
		}
	}
	return n
}
