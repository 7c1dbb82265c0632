package buffer

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Log is an open log. All methods are safe for concurrent use.
type Log struct {
	o    Options
	id   logID
	seed uint32
	lock io.Closer

	mu           sync.Mutex
	nextSeq      uint64
	lastSegment  uint64 // highest number ever used
	tableSegment uint64 // older segments may go: this one's position table is durable and whole
	segments     []*segment
	bytes        int64 // of all segments, what was written and not yet fsynced included
	positions    map[string]*posEntry
	readers      map[string]*Reader
	known        map[string]*cursorState // cursors on disk that nobody opened yet
	cache        tailCache

	queue, reserveQueue []*pending
	pendingBytes        int64         // appended and not fsynced
	queuedBytes         int64         // the part of it that has no place yet
	room                chan struct{} // closed and renewed when Append may look again
	full                string        // why Append waits, "" when it does not
	err                 error         // sticky
	closed              bool
	waiters             atomic.Int32 // goroutines in Ticket.Wait
	tableSize           int64        // bytes of the position table when last written

	kick chan struct{} // wakes the writer
	done chan struct{} // closed when the writer has ended
	stop chan struct{} // closed by Close

	w       writer
	ballast ballast
	inspect sync.Mutex // one segment is examined at a time

	quarantined, quarantinedBytes, tornBytes        atomic.Int64
	fsyncs, fsyncErrors, blocks, items, appendBytes atomic.Int64
	dropped                                         atomic.Int64
	lastFsync                                       atomic.Int64
}

type posEntry struct {
	value   []byte
	updated int64 // Unix seconds
}

// pending is a block on its way to the disk.
type pending struct {
	b    *Block
	t    *Ticket
	size int64
	at   time.Time
}

// Ticket stands for one appended block.
type Ticket struct {
	l    *Log
	done bool
	err  error
	ch   chan struct{} // made when somebody waits
}

func newLog(o Options) *Log {
	return &Log{
		o: o, nextSeq: 1, positions: map[string]*posEntry{}, readers: map[string]*Reader{}, known: map[string]*cursorState{},
		room: make(chan struct{}), kick: make(chan struct{}, 1), done: make(chan struct{}), stop: make(chan struct{}),
		cache: tailCache{limit: o.CacheBytes},
	}
}

// Append gives a block to the log, which takes it over, also when an error is returned. It returns when the
// block has its place in the queue; Ticket.Wait tells when it is fsynced. Blocks become readable in the order
// of the calls, except that those with UseReserve go ahead. It waits while MaxPending bytes are on their way
// or, with OnFull Wait, while the log is full; then ctx ends the wait.
func (l *Log) Append(ctx context.Context, b *Block) (*Ticket, error) {
	if err := b.encodeBody(l.o.Now(), l.seed); err != nil {
		b.Release()
		return nil, err
	}
	p := &pending{b: b, size: b.hdr.size()}
	if p.size > l.o.MaxBytes/4 {
		b.Release()
		return nil, fmt.Errorf("append block of %d bytes to a buffer of %d: %w", p.size, l.o.MaxBytes, ErrTooLarge)
	}
	l.mu.Lock()
	for {
		if err := l.refusal(); err != nil {
			l.mu.Unlock()
			b.Release()
			return nil, err
		}
		if l.admits(p) {
			break
		}
		room := l.room
		l.mu.Unlock()
		l.wakeWriter()
		select {
		case <-room:
		case <-ctx.Done():
			b.Release()
			return nil, fmt.Errorf("append block: %w", context.Cause(ctx))
		}
		l.mu.Lock()
	}
	p.t, p.at = &Ticket{l: l}, time.Now()
	if b.UseReserve {
		l.reserveQueue = append(l.reserveQueue, p)
	} else {
		l.queue = append(l.queue, p)
	}
	l.pendingBytes += p.size
	l.queuedBytes += p.size
	l.nextSeq = max(l.nextSeq, b.First+uint64(b.Count))
	l.mu.Unlock()
	l.wakeWriter()
	return p.t, nil
}

// refusal says why nothing can be appended any more. Called with mu held.
func (l *Log) refusal() error {
	if l.closed {
		return ErrClosed
	}
	return l.err
}

// admits tells whether the block may join the queue now. Called with mu held.
func (l *Log) admits(p *pending) bool {
	if p.b.UseReserve {
		return true
	}
	if l.pendingBytes > 0 && l.pendingBytes+p.size > l.o.MaxPending {
		return false
	}
	if l.o.OnFull == DropOldest {
		return true
	}
	if l.bytes+l.queuedBytes+p.size+l.headroom() > l.o.MaxBytes {
		l.setFull(fullSize)
		return false
	}
	if l.ballast.missing() {
		l.setFull(fullDisk)
		return false
	}
	return l.full == ""
}

// headroom is what beginning new segments for all that is pending may cost. Called with mu held.
func (l *Log) headroom() int64 {
	return (segmentHeaderSize + l.tableSize) * (1 + (l.queuedBytes+l.o.SegmentBytes-1)/l.o.SegmentBytes)
}

// Why the log is full.
const (
	fullSize = "max_bytes"
	fullDisk = "disk"
)

// setFull notes why appends wait. Called with mu held.
func (l *Log) setFull(why string) {
	if l.full == "" {
		l.o.Logger.Warn("buffer full: inputs wait", "dir", l.o.Dir, "reason", why, "bytes", l.bytes, "max_bytes", l.o.MaxBytes)
	}
	l.full = why
}

func (l *Log) wakeWriter() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// signalRoom lets waiting Appends look again. Called with mu held.
func (l *Log) signalRoom() {
	close(l.room)
	l.room = make(chan struct{})
}

// Wait returns nil once the block is fsynced, and the error when it will never be.
func (t *Ticket) Wait(ctx context.Context) error {
	t.l.mu.Lock()
	if t.done {
		defer t.l.mu.Unlock()
		return t.err
	}
	if t.ch == nil {
		t.ch = make(chan struct{})
	}
	ch := t.ch
	t.l.mu.Unlock()
	t.l.waiters.Add(1)
	defer t.l.waiters.Add(-1)
	t.l.wakeWriter()
	select {
	case <-ch:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish completes the ticket. Called with mu held.
func (t *Ticket) finish(err error) {
	t.done, t.err = true, err
	if t.ch != nil {
		close(t.ch)
	}
}

// Sync returns when everything appended before the call is fsynced.
func (l *Log) Sync(ctx context.Context) error {
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return l.err
	}
	var last []*Ticket
	for _, q := range [][]*pending{l.w.run, l.queue, l.reserveQueue} {
		if n := len(q); n > 0 {
			last = append(last, q[n-1].t)
		}
	}
	l.mu.Unlock()
	for _, t := range last {
		if err := t.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close writes what is in the queue, commits the cursors and gives the directory free. Blocks that find no
// space are given up, their tickets say so. Readers' calls return ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	close(l.stop)
	l.signalRoom()
	readers := make([]*Reader, 0, len(l.readers))
	for _, r := range l.readers {
		readers = append(readers, r)
	}
	l.mu.Unlock()
	l.wakeWriter()
	<-l.done
	err := l.err
	for _, r := range readers {
		if cerr := r.Commit(); err == nil {
			err = cerr
		}
		r.closeFiles()
	}
	l.mu.Lock()
	l.cache.clear()
	l.mu.Unlock()
	if cerr := l.lock.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("close buffer %s: %w", l.o.Dir, err)
	}
	return nil
}

// tailCache keeps the last fsynced blocks in memory for readers that keep up. Guarded by Log.mu.
type tailCache struct {
	limit  int64
	bytes  int64
	blocks []*Block // oldest first
}

func (c *tailCache) add(b *Block) {
	c.blocks = append(c.blocks, b)
	c.bytes += b.Size()
	for c.bytes > c.limit && len(c.blocks) > 0 {
		c.dropFirst()
	}
}

func (c *tailCache) dropFirst() {
	b := c.blocks[0]
	c.blocks[0] = nil
	c.blocks = c.blocks[1:]
	c.bytes -= b.Size()
	b.Release()
}

func (c *tailCache) clear() {
	for len(c.blocks) > 0 {
		c.dropFirst()
	}
	c.limit = 0
}

// get returns the block at p, retained, or nil.
func (c *tailCache) get(p Pos) *Block {
	i, ok := slices.BinarySearchFunc(c.blocks, p, func(b *Block, p Pos) int {
		if q := (Pos{b.seg, b.off}); q.before(p) {
			return -1
		} else if p.before(q) {
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	c.blocks[i].Retain()
	return c.blocks[i]
}

// trim drops blocks that every reader has passed. Called with Log.mu held.
func (c *tailCache) trim(low Pos) {
	for len(c.blocks) > 0 && (Pos{c.blocks[0].seg, c.blocks[0].off}).before(low) {
		c.dropFirst()
	}
}
