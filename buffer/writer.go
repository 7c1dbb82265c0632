package buffer

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

// writer is the state of the one goroutine that writes.
type writer struct {
	f       fsx.File
	seg     *segment // the segment being written, nil before the first
	broken  bool     // an operation on f failed: it is never used again
	end     int64    // everything before it in f is fsynced
	run     []*pending
	iov     [][]byte
	scratch []byte // small blocks, back to back
	head    []byte // a new segment's header and table

	pace     time.Duration
	lastSync time.Time
	syncTime time.Duration // of the last fsyncs, smoothed
	retryAt  time.Time     // a full disk is not asked before
	failures int           // runs that failed one after the other, full disks aside
	timer    *time.Timer
}

const (
	// smallBlock is the size below which copying a block beats another iovec.
	smallBlock = 16 << 10
	// fullBatch is the size at which waiting for more to share an fsync gains nothing.
	fullBatch = 1 << 20
	// maxFailures is how many new segments are tried before the disk is believed to be gone.
	maxFailures = 3
)

// run writes until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	w := &l.w
	w.timer = time.NewTimer(time.Hour)
	for {
		wait, collecting := l.pause()
		if wait > 0 {
			w.timer.Reset(wait)
			select {
			case <-l.kick:
				if collecting {
					continue // one more block shares the fsync; when it is due stays
				}
			case <-w.timer.C:
			case <-l.stop:
				// Nothing more is coming: what is queued goes out now, or is given up.
				select {
				case <-l.kick:
				default:
				}
			}
		}
		l.ballast.restore(l)
		progress := l.step()
		if l.isClosed() && !progress {
			l.giveUp()
			if w.f != nil {
				w.f.Close()
			}
			return
		}
	}
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// pause tells how long the writer may sleep, 0 is not at all, and whether it does so to collect more blocks.
func (l *Log) pause() (wait time.Duration, collecting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &l.w
	now := time.Now()
	switch {
	case l.closed:
		return 0, false
	case len(l.reserveQueue) > 0 && l.err == nil && !now.Before(w.retryAt):
		return 0, false
	case l.full != "" || len(l.reserveQueue) > 0:
		return max(w.retryAt.Sub(now), l.o.FullRetry/4), false
	case len(l.queue) == 0:
		if l.ballast.missing() {
			return l.o.FullRetry, false
		}
		return time.Hour, false
	}
	if w.pace == 0 || l.pendingBytes >= fullBatch || l.pendingBytes >= l.o.MaxPending/2 {
		return 0, false
	}
	pace := w.pace
	if l.waiters.Load() > 0 {
		// Somebody cannot go on before the fsync: sharing is worth no more than a few fsyncs' time.
		pace = min(pace, 2*w.syncTime)
	}
	due := w.lastSync.Add(pace)
	if latest := l.queue[0].at.Add(l.o.Flush); latest.Before(due) {
		due = latest
	}
	return max(due.Sub(now), 0), true
}

// step writes, fsyncs and publishes one run of blocks. It reports whether it got anything done.
func (l *Log) step() bool {
	roll, n := l.pick()
	if roll {
		if err := l.roll(); err != nil {
			return l.failed(err)
		}
		return true
	}
	if n == 0 {
		return false
	}
	start := time.Now()
	err := l.writeRun()
	if err == nil {
		l.publish()
		l.adapt(start)
		return true
	}
	l.unpick()
	return l.failed(err)
}

// adapt learns from the run that ended how long the next one should collect.
func (l *Log) adapt(start time.Time) {
	w := &l.w
	now := time.Now()
	w.lastSync = now
	w.syncTime = (3*w.syncTime + now.Sub(start)) / 4
	l.lastFsync.Store(int64(now.Sub(start)))
	l.mu.Lock()
	busy := len(l.queue) > 0
	l.mu.Unlock()
	if !busy {
		w.pace = 0
		return
	}
	w.pace = min(max(2*w.pace, time.Millisecond), l.o.Flush)
}

// pick moves the blocks to write next into w.run and gives each its place. roll says that a new segment is
// needed first.
func (l *Log) pick() (roll bool, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || time.Now().Before(l.w.retryAt) && !l.closed {
		return false, 0
	}
	w := &l.w
	w.run = w.run[:0]
	if k := len(l.segments); k > 0 && (w.seg == nil || w.broken) && l.tableSegment < l.segments[k-1].n {
		return true, 0 // the positions stand in older segments only: they may not go before there is a table
	}
	end := w.end
	usable := w.seg != nil && !w.broken
	take := func(q *[]*pending, limit int64) {
		for len(*q) > 0 {
			p := (*q)[0]
			fits := usable && (end == w.seg.start || end+p.size <= l.o.SegmentBytes)
			need := p.size
			if !fits {
				need += segmentHeaderSize + l.tableSize
			}
			if l.bytes+need > limit {
				if !l.makeRoom(need, limit, p.b.UseReserve) {
					if usable && len(w.run) == 0 && l.idleSegment() {
						roll = true // a read-out segment is given back by beginning another
					}
					return
				}
				continue
			}
			if !fits {
				roll = len(w.run) == 0
				return
			}
			p.b.place(w.seg.n, end, w.end, l.seed)
			end += p.size
			l.bytes += p.size
			l.queuedBytes -= p.size
			w.run = append(w.run, p)
			(*q)[0] = nil
			*q = (*q)[1:]
		}
	}
	take(&l.reserveQueue, l.o.MaxBytes+l.o.Reserve)
	alone := len(w.run) > 0 && l.full != "" // inputs must not ride on what the reserve pays for
	if !roll && !alone && !l.ballast.missing() {
		take(&l.queue, l.o.MaxBytes)
	}
	if l.full != "" && len(w.run) == 0 && !roll && len(l.queue) == 0 && usable && l.idleSegment() {
		roll = true
	}
	return roll && len(w.run) == 0, len(w.run)
}

// makeRoom deletes the oldest segments for need bytes where the policy is that. Called with mu held.
func (l *Log) makeRoom(need, limit int64, reserve bool) bool {
	if l.o.OnFull == DropOldest {
		for l.bytes+need > limit && l.dropOldest() {
		}
		if l.bytes+need <= limit {
			return true
		}
	}
	l.setFull(fullSize)
	if reserve {
		l.w.retryAt = time.Now().Add(l.o.FullRetry)
	}
	return false
}

// idleSegment tells whether the segment being written only takes up space. Called with mu held.
func (l *Log) idleSegment() bool {
	s := l.w.seg
	return s != nil && s.end > s.start && (l.o.OnFull == DropOldest || !l.needed(s))
}

// unpick puts the run back to the front of the queues, in order.
func (l *Log) unpick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &l.w
	var in, res []*pending
	for _, p := range w.run {
		l.bytes -= p.size
		l.queuedBytes += p.size
		if p.b.UseReserve {
			res = append(res, p)
		} else {
			in = append(in, p)
		}
	}
	l.queue = append(in, l.queue...)
	l.reserveQueue = append(res, l.reserveQueue...)
	w.run = w.run[:0]
}

// writeRun writes the run and fsyncs it.
func (l *Log) writeRun() error {
	w := &l.w
	small := 0
	for _, p := range w.run {
		if p.size < smallBlock {
			small += int(p.size)
		}
	}
	if cap(w.scratch) < small {
		w.scratch = make([]byte, 0, small)
	}
	w.scratch, w.iov = w.scratch[:0], w.iov[:0]
	total, reserve := int64(0), true
	from := 0 // start of the stretch of small blocks not yet in iov
	flush := func() {
		if len(w.scratch) > from {
			w.iov = append(w.iov, w.scratch[from:])
			from = len(w.scratch)
		}
	}
	for _, p := range w.run {
		b := p.b
		total += p.size
		reserve = reserve && b.UseReserve
		if p.size < smallBlock {
			w.scratch = append(w.scratch, b.head...)
			w.scratch = append(w.scratch, b.Docs...)
			w.scratch = append(w.scratch, b.Typed...)
			w.scratch = append(w.scratch, b.tail...)
			continue
		}
		flush()
		w.iov = append(w.iov, b.head)
		for _, part := range [][]byte{b.Docs, b.Typed, b.tail} {
			if len(part) > 0 {
				w.iov = append(w.iov, part)
			}
		}
	}
	flush()
	write := func() error { return l.writeOut(total) }
	var err error
	if reserve {
		err = l.WithReserve(write)
	} else {
		err = write()
	}
	clear(w.iov)
	return err
}

// writeOut writes w.iov at the segment's end and fsyncs. A write that found no space is taken back.
func (l *Log) writeOut(total int64) error {
	w := &l.w
	if w.broken {
		return fmt.Errorf("write segment %d: %w", w.seg.n, errBroken)
	}
	// WritevAt may re-slice what it is given, and a retry needs all of it again.
	iov := slices.Clone(w.iov)
	n, err := w.f.WritevAt(iov, w.end)
	if err == nil && int64(n) != total {
		err = fmt.Errorf("wrote %d of %d bytes", n, total)
	}
	if err != nil {
		if !isNoSpace(err) {
			w.broken = true
		} else if terr := w.f.Truncate(w.end); terr != nil {
			w.broken = true
		}
		return fmt.Errorf("write segment %d at offset %d: %w", w.seg.n, w.end, err)
	}
	l.fsyncs.Add(1)
	if err := w.f.Sync(); err != nil {
		l.fsyncErrors.Add(1)
		w.broken = true
		return fmt.Errorf("sync segment %d: %w", w.seg.n, err)
	}
	return nil
}

var errBroken = errors.New("descriptor given up after an error")

// failed deals with an error of the disk: no space is waited for, a broken descriptor is replaced by a new
// segment at once, and what remains is final.
func (l *Log) failed(err error) bool {
	w := &l.w
	l.mu.Lock()
	defer l.mu.Unlock()
	if isNoSpace(err) {
		if l.o.OnFull == DropOldest && l.dropOldest() {
			return true
		}
		mixed := len(l.reserveQueue) > 0 && l.full == ""
		l.setFull(fullDisk)
		if mixed {
			return true // at once again, without the inputs
		}
		w.retryAt = time.Now().Add(l.o.FullRetry)
		return false
	}
	w.failures++
	if w.failures < maxFailures {
		l.o.Logger.Error("buffer segment given up after an error of the disk, going on in a new one", "dir", l.o.Dir, "err", err)
		return true
	}
	l.err = fmt.Errorf("buffer %s cannot be written: %w", l.o.Dir, err)
	l.o.Logger.Error("buffer cannot be written any more", "dir", l.o.Dir, "err", err)
	l.failQueues(l.err)
	return false
}

// failQueues gives up what is queued. Called with mu held.
func (l *Log) failQueues(err error) {
	for _, q := range []*[]*pending{&l.reserveQueue, &l.queue} {
		for _, p := range *q {
			l.pendingBytes -= p.size
			l.queuedBytes -= p.size
			p.t.finish(err)
			p.b.Release()
		}
		*q = nil
	}
	l.signalRoom()
}

// giveUp ends the writer.
func (l *Log) giveUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.queue) + len(l.reserveQueue); n > 0 {
		l.o.Logger.Warn("buffer closed with blocks that found no space", "dir", l.o.Dir, "blocks", n)
	}
	l.failQueues(ErrClosed)
	for _, r := range l.readers {
		r.wakeUp()
	}
}

// publish makes the fsynced run visible: positions, tickets, readers.
func (l *Log) publish() {
	w := &l.w
	l.mu.Lock()
	defer l.mu.Unlock()
	s := w.seg
	for _, p := range w.run {
		b := p.b
		for i := range b.Positions {
			l.position(&b.Positions[i], b.created/int64(time.Second))
		}
		b.Positions = b.Positions[:0]
		s.addMark(s.end, s.items)
		s.end += p.size
		s.items += uint64(b.Count)
		s.next = max(s.next, b.First+uint64(b.Count))
		l.pendingBytes -= p.size
		l.blocks.Add(1)
		l.items.Add(int64(b.Count))
		l.appendBytes.Add(p.size)
		for _, r := range l.readers {
			r.appended += uint64(b.Count)
			r.unread += uint64(b.Count)
			r.unsettled += uint64(b.Count)
		}
		if len(l.readers) > 0 {
			l.cache.add(b)
		} else {
			b.Release()
		}
		p.t.finish(nil)
	}
	w.end = s.end
	clear(w.run)
	w.run = w.run[:0]
	if l.full == fullDisk && !l.ballast.missing() {
		l.spaceFreed()
	}
	w.failures = 0
	for _, r := range l.readers {
		r.wakeUp()
	}
	l.signalRoom()
}

// position applies one position. Called with mu held.
func (l *Log) position(p *Position, now int64) {
	if len(p.Value) == 0 {
		delete(l.positions, p.Key)
		return
	}
	e := l.positions[p.Key]
	if e == nil {
		e = &posEntry{}
		l.positions[p.Key] = e
	}
	e.value = append(e.value[:0], p.Value...)
	e.updated = now
}

// roll begins a new segment: header and full position table, fsynced with its directory entry, before any
// block goes in and before any older segment may be deleted.
func (l *Log) roll() error {
	w := &l.w
	l.mu.Lock()
	l.lastSegment++
	n := l.lastSegment
	l.expirePositions()
	h := segmentHeader{id: l.id, segment: n, nextSeq: l.nextSeq, created: l.o.Now().UnixNano()}
	if k := len(l.segments); k > 0 {
		prev := l.segments[k-1]
		h.prevSegment, h.prevEnd, h.prevItems = prev.n, prev.end, prev.items
	}
	w.head = grow(w.head, segmentHeaderSize)
	h.tableCount = len(l.positions)
	for k, e := range l.positions {
		w.head = appendPosition(w.head, k, e.value, e.updated)
	}
	l.mu.Unlock()
	table := w.head[segmentHeaderSize:]
	h.tableSize, h.tableCRC = len(table), crc32.Checksum(table, castagnoli)
	h.put(w.head)

	var f fsx.File
	create := func() error {
		var err error
		f, err = l.createSegment(n, w.head)
		return err
	}
	err := create()
	if isNoSpace(err) && l.reserveWaits() {
		err = l.WithReserve(create)
	}
	if err != nil {
		return err
	}
	old, wasBroken, oldEnd := w.f, w.broken, w.end
	var oldNumber uint64
	if w.seg != nil {
		oldNumber = w.seg.n
	}
	l.mu.Lock()
	s := &segment{n: n, start: h.dataStart(), end: h.dataStart(), created: h.created, hasHead: true, next: h.nextSeq, scanned: true}
	l.segments = append(l.segments, s)
	l.bytes += s.end
	l.tableSize, l.tableSegment = int64(h.tableSize), n
	w.f, w.seg, w.end, w.broken = f, s, s.end, false
	l.mu.Unlock()
	if old != nil {
		old.Close()
		if wasBroken {
			l.cutBroken(oldNumber, oldEnd)
		}
	}
	l.reclaim()
	return nil
}

func (l *Log) reserveWaits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.reserveQueue) > 0
}

// cutBroken takes from a given-up segment what was written again elsewhere. Its successor's header says where
// it ends as well, so that this may fail.
func (l *Log) cutBroken(n uint64, end int64) {
	f, err := l.o.FS.OpenFile(l.segmentPath(n), os.O_RDWR, 0)
	if err != nil {
		return
	}
	if f.Truncate(end) == nil {
		_ = f.Sync()
	}
	f.Close()
}

func (l *Log) createSegment(n uint64, head []byte) (f fsx.File, err error) {
	path := l.segmentPath(n)
	f, err = l.o.FS.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err == nil {
		_, err = f.WriteAt(head, 0)
	}
	if err == nil {
		l.fsyncs.Add(1)
		err = f.Sync()
	}
	if err == nil {
		err = l.o.FS.SyncDir(l.o.Dir)
	}
	if err != nil {
		if f != nil {
			f.Close()
			_ = l.o.FS.Remove(path)
		}
		return nil, fmt.Errorf("begin segment %d: %w", n, err)
	}
	return f, nil
}
