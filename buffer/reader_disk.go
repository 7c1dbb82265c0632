package buffer

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// fromDisk reads the block at the read position, giving mu free meanwhile. It returns nil without an error
// where the caller has to look again.
func (r *Reader) fromDisk(s *segment) (*Block, error) {
	l := r.l
	pos, end := r.pos, s.end
	l.mu.Unlock()
	b, err := r.disk.read(l, pos, end)
	var corrupt *CorruptionError
	if errors.As(err, &corrupt) {
		err = l.examine(r, pos, corrupt)
	}
	l.mu.Lock()
	if r.pos != pos {
		// Skipped forward in the meantime, past damage or because the segment is gone.
		if b != nil {
			b.Release()
		}
		return nil, nil
	}
	return b, err
}

// diskReader reads blocks of one segment after the other with the same buffers.
type diskReader struct {
	seg uint64
	w   window
}

func (d *diskReader) close() {
	if d.w.f != nil {
		d.w.f.Close()
	}
	*d = diskReader{w: window{buf: d.w.buf[:0]}}
}

// read returns the block at p in a segment whose fsynced part ends at end.
func (d *diskReader) read(l *Log, p Pos, end int64) (*Block, error) {
	if d.w.f == nil || d.seg != p.Segment {
		d.close()
		f, _, err := l.openSegment(p.Segment)
		if err != nil {
			return nil, err
		}
		d.seg, d.w.f = p.Segment, f
	}
	// What was beyond the end when the window was filled may have been written since.
	d.w.size = end
	var h blockHeader
	if err := h.parse(d.w.at(p.Offset, blockHeaderSize), l.seed, p.Segment, p.Offset); err != nil {
		if isVersion(err) {
			return nil, fmt.Errorf("read segment %d at offset %d: %w", p.Segment, p.Offset, err)
		}
		return nil, &CorruptionError{p.Segment, p.Offset, err}
	}
	if p.Offset+h.size() > end {
		return nil, &CorruptionError{p.Segment, p.Offset, errBounds}
	}
	pool := &readPool
	if h.bodySize() <= keepSmall {
		pool = &readSmallPool
	}
	b := fromPool(pool)
	b.body = grow(b.body, int(h.bodySize()))
	have := copy(b.body, d.w.rest(p.Offset+blockHeaderSize))
	if have < len(b.body) {
		if _, err := d.w.f.ReadAt(b.body[have:], p.Offset+blockHeaderSize+int64(have)); err != nil && !errors.Is(err, io.EOF) {
			b.Release()
			return nil, &CorruptionError{p.Segment, p.Offset, err}
		}
	}
	if err := b.load(&h, l.seed); err != nil {
		b.Release()
		return nil, &CorruptionError{p.Segment, p.Offset, err}
	}
	return b, nil
}

// rest returns what the window holds from off on.
func (w *window) rest(off int64) []byte {
	if off < w.off || off >= w.off+int64(len(w.buf)) {
		return nil
	}
	return w.buf[off-w.off:]
}

// examine finds out what is left of a segment in which a reader met damage, sets the rest aside and moves the
// reader to the next whole block.
func (l *Log) examine(r *Reader, at Pos, cause *CorruptionError) error {
	l.inspect.Lock()
	defer l.inspect.Unlock()
	l.mu.Lock()
	i := slices.IndexFunc(l.segments, func(s *segment) bool { return s.n == at.Segment })
	if i < 0 {
		l.mu.Unlock()
		return nil // deleted meanwhile
	}
	s := l.segments[i]
	start, end, items := s.start, s.end, s.items
	l.mu.Unlock()

	f, size, err := l.openSegment(at.Segment)
	if err != nil {
		return err
	}
	defer f.Close()
	resume, seen, found := end, uint64(0), false
	res, err := l.scan(f, at.Segment, start, min(end, size), func(h *blockHeader, _ []byte) error {
		if h.offset >= at.Offset {
			if !found {
				resume, found = h.offset, true
			}
		} else {
			seen += uint64(h.count)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found && resume == at.Offset {
		return cause.Err // whole after all: an error of the moment, tried again by the caller
	}
	if !found {
		seen = res.items
	}
	if size < end {
		res.bad = append(res.bad, span{size, end})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range res.bad {
		if !slices.Contains(s.bad, b) {
			l.quarantine(f, s.n, b)
		}
	}
	lost := items - min(items, res.items)
	s.items -= lost
	s.bad, s.scanned = res.bad, true
	var last Pos
	if n := len(res.bad); n > 0 {
		last = Pos{s.n, res.bad[n-1].to}
	}
	for _, o := range l.readers {
		if o != r && o.pos.before(last) {
			o.lose(min(lost, o.unread))
		}
	}
	if r.pos == at {
		r.moveTo(Pos{s.n, resume}, seen)
	}
	return nil
}

// lose counts unread items as skipped. Called with mu held.
func (r *Reader) lose(n uint64) {
	r.unread -= n
	r.unsettled -= min(n, r.unsettled)
	r.skipped += n
}

// moveTo sets the read position and counts what is left out as skipped. Called with mu held.
func (r *Reader) moveTo(p Pos, seen uint64) {
	after := r.unreadFrom(p, seen)
	if r.unread > after {
		r.lose(r.unread - after)
	}
	r.unread = after
	r.pos, r.seen = p, seen
}

// skipTo moves the reader forward to p, if it is before it. Called with mu held.
func (r *Reader) skipTo(p Pos, seen uint64) {
	if !r.pos.before(p) {
		return
	}
	for len(r.ahead) > 0 && r.ahead[0].start.before(p) {
		a := r.ahead[0]
		r.ahead = r.ahead[1:]
		if p.before(a.end) {
			p, seen = a.end, a.endSeen
		}
	}
	before := r.skipped
	r.moveTo(p, seen)
	r.l.o.Logger.Warn("reader skipped forward", "reader", r.name, "items", r.skipped-before)
	r.wakeUp()
}

// dropOutstanding gives up the outstanding items of blocks before p. Called with mu held.
func (r *Reader) dropOutstanding(p Pos) {
	for seq, o := range r.out {
		if o.pos.before(p) {
			delete(r.out, seq)
			r.unsettled--
			r.skipped++
		}
	}
}
