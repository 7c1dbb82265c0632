package buffer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gatebook/gatebook/internal/fsx"
)

// ReaderOptions configure a reader.
type ReaderOptions struct {
	// Required readers hold segments back until they have committed past them.
	Required bool
	// MaxLag is the most, in bytes, that a reader that is not required may be behind; past it the reader skips
	// forward and counts. 0 is no limit: such a reader holds segments back too, but not after it is gone.
	MaxLag int64
	// MaxOutstanding bounds the outstanding items: Next waits while there are more. Default 4096.
	MaxOutstanding int
	// FromEnd lets a new name begin at the end instead of the oldest block kept.
	FromEnd bool
}

// Reader is a named durable cursor. Next and TryNext are for one goroutine at a time; everything else is safe
// for concurrent use.
type Reader struct {
	l    *Log
	name string
	o    ReaderOptions
	wake chan struct{}

	// Guarded by Log.mu.
	pos        Pos // the next block to read
	seen       uint64
	inflight   []flight
	ahead      []settledRange // settled before the restart, not reached yet
	out        map[uint64]*outBlock
	lease      uint64
	meta       map[string]string
	metaBytes  int
	pin        Pos // the oldest place that the committed cursor needs
	base       uint64
	appended   uint64
	unread     uint64 // items from pos to the end, those in ahead left out
	unsettled  uint64
	delivered  uint64
	filtered   uint64
	deadLetter uint64
	skipped    uint64
	closed     bool

	unknownBelow uint64          // never changes
	wasOut       map[uint64]bool // outstanding when the reader was opened
	handedOut    uint64          // highest sequence given out, plus one

	readMu sync.Mutex
	disk   diskReader

	itemMu    sync.Mutex
	itemBlock *Block
	itemDisk  diskReader

	commitMu sync.Mutex
	file     fsx.File
	slot     int64
	gen      uint64
	slotHead [cursorHeaderSize]byte
	payload  []byte
	last     []byte // as committed, the mark aside
}

// flight is a block handed out, or a stretch that needs no handing out, from the lowest unsettled one on.
type flight struct {
	pos, end      Pos
	seen, endSeen uint64
	first         uint64
	count         uint64
	settled       bool
}

var errOpen = errors.New("reader is open already")

// Reader opens the named cursor, at the oldest block kept (or the end) where the name is new.
func (l *Log) Reader(name string, o ReaderOptions) (*Reader, error) {
	if name == "" || len(name) > maxReaderName {
		return nil, fmt.Errorf("open reader %q: a name has 1 to %d bytes", name, maxReaderName)
	}
	if o.MaxOutstanding <= 0 {
		o.MaxOutstanding = 4096
	}
	r := &Reader{l: l, name: name, o: o, wake: make(chan struct{}, 1), out: map[uint64]*outBlock{}, meta: map[string]string{}}
	l.mu.Lock()
	before := l.known[name]
	if err := l.attach(r); err != nil {
		l.mu.Unlock()
		return nil, fmt.Errorf("open reader %s: %w", name, err)
	}
	l.mu.Unlock()
	if err := r.openCursor(); err != nil {
		l.mu.Lock()
		delete(l.readers, name)
		if before != nil {
			l.known[name] = before
		}
		l.mu.Unlock()
		return nil, err
	}
	return r, nil
}

// attach fills the reader from its cursor and makes it count. Called with mu held.
func (l *Log) attach(r *Reader) error {
	if l.closed {
		return ErrClosed
	}
	if l.readers[r.name] != nil {
		return errOpen
	}
	c := l.known[r.name]
	delete(l.known, r.name)
	if c == nil {
		c = &cursorState{pos: l.startPos()}
		if r.o.FromEnd {
			c.pos = l.endPos()
			if n := len(l.segments); n > 0 {
				c.seen = l.segments[n-1].items
			}
		}
	}
	r.pos, r.seen, r.ahead, r.lease, r.gen, r.unknownBelow = c.pos, c.seen, c.ahead, c.lease, c.gen, c.unknownBelow
	for k, v := range c.meta {
		r.meta[k] = v
		r.metaBytes += len(k) + len(v) + 8
	}
	r.pin, r.wasOut = c.pin(), map[uint64]bool{}
	for i := range c.out {
		for _, s := range c.out[i].seqs {
			r.out[s] = &c.out[i]
			r.wasOut[s] = true
		}
	}
	r.unread = r.unreadFrom(r.pos, r.seen)
	r.base = r.unread + uint64(len(r.out))
	r.unsettled = r.base
	l.readers[r.name] = r
	return nil
}

// unreadFrom counts what is to be read from p on. Called with mu held.
func (r *Reader) unreadFrom(p Pos, seen uint64) uint64 {
	n := r.l.itemsFrom(p, seen)
	for _, a := range r.ahead {
		if !a.start.before(p) {
			n -= min(n, a.items)
		}
	}
	return n
}

func (r *Reader) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Next returns the next fsynced block that has items, waiting for one. The caller shares it with other
// readers, must not change it, and calls Release when done with it; Settle may come before or after that.
// It waits, too, while more than MaxOutstanding items are outstanding. After Close it returns ErrClosed.
func (r *Reader) Next(ctx context.Context) (*Block, error) {
	for {
		b, ok, err := r.TryNext()
		if ok || err != nil {
			return b, err
		}
		select {
		case <-r.wake:
		case <-r.l.stop:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// TryNext is Next that does not wait: false means that there is nothing to read now.
func (r *Reader) TryNext() (*Block, bool, error) {
	r.readMu.Lock()
	defer r.readMu.Unlock()
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed || r.closed {
			return nil, false, ErrClosed
		}
		if len(r.out) > r.o.MaxOutstanding {
			return nil, false, nil
		}
		if !r.o.Required {
			l.enforceLag(r)
		}
		s := r.locate()
		if s == nil {
			r.disk.close()
			return nil, false, nil
		}
		if r.jump(s) {
			continue
		}
		b := l.cache.get(r.pos)
		if b == nil {
			var err error
			if b, err = r.fromDisk(s); err != nil {
				return nil, false, err
			}
			if b == nil {
				continue
			}
		}
		r.take(b)
		l.cache.trim(l.lowestRead())
		if b.Count > 0 {
			return b, true, nil
		}
		b.Release()
	}
}

// locate returns the segment of the read position, moved to the next one at its end; nil at the end of the
// log. Called with mu held.
func (r *Reader) locate() *segment {
	for _, s := range r.l.segments {
		if s.n < r.pos.Segment {
			continue
		}
		if s.n > r.pos.Segment {
			r.pos, r.seen = Pos{s.n, s.start}, 0
		}
		if r.pos.Offset < s.start {
			r.pos.Offset, r.seen = s.start, 0
		}
		if r.pos.Offset < s.end {
			return s
		}
	}
	return nil
}

// jump steps over what needs no reading. Called with mu held.
func (r *Reader) jump(s *segment) bool {
	for len(r.ahead) > 0 && !r.pos.before(r.ahead[0].start) {
		a := r.ahead[0]
		r.ahead = r.ahead[1:]
		if r.pos.before(a.end) {
			if len(r.inflight) > 0 {
				r.inflight = append(r.inflight, flight{pos: r.pos, end: a.end, seen: r.seen, endSeen: a.endSeen, count: a.items, settled: true})
			}
			r.pos, r.seen = a.end, a.endSeen
			return true
		}
	}
	for _, b := range s.bad {
		if r.pos.Offset >= b.from && r.pos.Offset < b.to {
			r.pos.Offset = b.to
			return true
		}
	}
	return false
}

// take notes that b is handed out. Called with mu held.
func (r *Reader) take(b *Block) {
	f := flight{pos: r.pos, end: Pos{b.seg, b.off + b.Size()}, seen: r.seen, first: b.First, count: uint64(b.Count)}
	f.endSeen = f.seen + f.count
	r.pos, r.seen = f.end, f.endSeen
	if b.Count == 0 {
		return
	}
	r.unread -= min(r.unread, f.count)
	r.inflight = append(r.inflight, f)
	r.handedOut = max(r.handedOut, b.First+uint64(b.Count))
}

// lowestRead returns the oldest read position of the open readers. Called with mu held.
func (l *Log) lowestRead() Pos {
	low := l.endPos()
	for _, r := range l.readers {
		if r.pos.before(low) {
			low = r.pos
		}
	}
	return low
}

func (r *Reader) closeFiles() {
	r.commitMu.Lock()
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
	r.commitMu.Unlock()
	r.readMu.Lock()
	r.disk.close()
	r.readMu.Unlock()
	r.itemMu.Lock()
	r.itemDisk.close()
	if r.itemBlock != nil {
		r.itemBlock.Release()
		r.itemBlock = nil
	}
	r.itemMu.Unlock()
}
