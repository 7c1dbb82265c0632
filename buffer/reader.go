package buffer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	b := fromPool(&readPool)
	b.body = grow(b.body, int(h.bodySize()))
	have := copy(b.body, d.w.rest(p.Offset+blockHeaderSize))
	if have < len(b.body) {
		if _, err := d.w.f.ReadAt(b.body[have:], p.Offset+blockHeaderSize+int64(have)); err != nil && err != io.EOF {
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

// cursor returns the start of the lowest unsettled block. Called with mu held.
func (r *Reader) cursor() (Pos, uint64) {
	if len(r.inflight) > 0 {
		return r.inflight[0].pos, r.inflight[0].seen
	}
	return r.pos, r.seen
}

// settledAhead returns the settled stretches after the cursor. Called with mu held.
func (r *Reader) settledAhead() []settledRange {
	var out []settledRange
	joined := false
	for _, f := range r.inflight {
		switch {
		case !f.settled:
			joined = false
			continue
		case joined:
			a := &out[len(out)-1]
			a.end, a.endSeen = f.end, f.endSeen
			a.items += f.count
		case len(out) < maxAhead:
			out = append(out, settledRange{f.pos, f.end, f.endSeen, f.count})
			joined = true
		}
	}
	for _, a := range r.ahead {
		if len(out) < maxAhead {
			out = append(out, a)
		}
	}
	return out
}

// sortedOutstanding returns the outstanding items by block and sequence. Called with mu held.
func (r *Reader) sortedOutstanding() []outBlock {
	if len(r.out) == 0 {
		return nil
	}
	by := map[*outBlock]int{}
	var outs []outBlock
	for seq, o := range r.out {
		i, ok := by[o]
		if !ok {
			i = len(outs)
			by[o] = i
			outs = append(outs, outBlock{pos: o.pos, seen: o.seen, first: o.first})
		}
		outs[i].seqs = append(outs[i].seqs, seq)
	}
	for i := range outs {
		slices.Sort(outs[i].seqs)
	}
	slices.SortFunc(outs, func(a, b outBlock) int {
		return cmp.Or(cmp.Compare(a.pos.Segment, b.pos.Segment), cmp.Compare(a.pos.Offset, b.pos.Offset))
	})
	return outs
}

// Settle says that all items of b are dealt with except the outstanding ones, which stay so until SettleItems.
// Blocks may be settled in any order.
func (r *Reader) Settle(b *Block, outstanding []uint64) {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Pos{b.seg, b.off}
	i, ok := slices.BinarySearchFunc(r.inflight, p, func(f flight, p Pos) int {
		if f.pos.before(p) {
			return -1
		} else if p.before(f.pos) {
			return 1
		}
		return 0
	})
	if !ok || r.inflight[i].settled {
		return
	}
	f := &r.inflight[i]
	f.settled = true
	r.unsettled -= min(f.count, r.unsettled)
	r.keepOutstanding(f, outstanding)
	for len(r.inflight) > 0 && r.inflight[0].settled {
		r.inflight = r.inflight[1:]
	}
}

func (r *Reader) keepOutstanding(f *flight, seqs []uint64) {
	if len(seqs) == 0 {
		return
	}
	l := r.l
	// A segment that was dropped, or lies beyond the lag, cannot hold them.
	gone := len(l.segments) == 0 || f.pos.Segment < l.segments[0].n || f.pos.before(r.pin)
	o := &outBlock{pos: f.pos, seen: f.seen, first: f.first}
	for _, s := range seqs {
		if s < f.first || s-f.first >= f.count || r.out[s] != nil {
			continue
		}
		if gone {
			r.skipped++
			continue
		}
		r.out[s] = o
		r.unsettled++
	}
}

// SettleItems says that outstanding items are dealt with.
func (r *Reader) SettleItems(seqs ...uint64) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	for _, s := range seqs {
		if r.out[s] != nil {
			delete(r.out, s)
			r.unsettled -= min(1, r.unsettled)
		}
	}
	if len(r.out) <= r.o.MaxOutstanding {
		r.wakeUp()
	}
}

// Outstanding returns the outstanding sequences, oldest first.
func (r *Reader) Outstanding() []uint64 {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	var seqs []uint64
	for _, o := range r.sortedOutstanding() {
		seqs = append(seqs, o.seqs...)
	}
	return seqs
}

// ErrNotOutstanding is returned by Item for a sequence that is not outstanding.
var ErrNotOutstanding = errors.New("item is not outstanding")

// Item reads an outstanding item from its segment; the bytes are the caller's.
func (r *Reader) Item(seq uint64) ([]byte, error) {
	r.itemMu.Lock()
	defer r.itemMu.Unlock()
	l := r.l
	l.mu.Lock()
	o := r.out[seq]
	if o == nil || l.closed || r.closed {
		l.mu.Unlock()
		return nil, fmt.Errorf("read item %d of reader %s: %w", seq, r.name, ErrNotOutstanding)
	}
	end := int64(0)
	for _, s := range l.segments {
		if s.n == o.pos.Segment {
			end = s.end
		}
	}
	l.mu.Unlock()
	if b := r.itemBlock; b == nil || (Pos{b.seg, b.off}) != o.pos {
		if b != nil {
			r.itemBlock = nil
			b.Release()
		}
		b, err := r.itemDisk.read(l, o.pos, end)
		if err != nil {
			return nil, fmt.Errorf("read item %d of reader %s: %w", seq, r.name, err)
		}
		r.itemBlock = b
	}
	item, err := r.itemBlock.Item(int(seq - r.itemBlock.First))
	if err != nil {
		return nil, fmt.Errorf("read item %d of reader %s: %w", seq, r.name, err)
	}
	return bytes.Clone(item), nil
}

// Lease makes durable that items below upTo may be sent from now on. It must have returned before the first of
// them is; called rarely, far ahead.
func (r *Reader) Lease(upTo uint64) error {
	r.l.mu.Lock()
	have := r.lease
	if upTo > have {
		r.lease = upTo
	}
	r.l.mu.Unlock()
	if upTo <= have {
		return nil
	}
	return r.Commit()
}

// Unknown tells whether an earlier run may have sent this item without knowing what became of it: it is not
// settled, and was below the lease when the log was opened. It is to be asked of items that this reader has
// handed out or keeps as outstanding.
func (r *Reader) Unknown(seq uint64) bool {
	if seq >= r.unknownBelow {
		return false
	}
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if r.out[seq] != nil {
		return true
	}
	if r.wasOut[seq] {
		return false
	}
	for i := range r.inflight {
		if f := &r.inflight[i]; seq >= f.first && seq-f.first < f.count && f.first > 0 {
			return !f.settled
		}
	}
	return seq >= r.handedOut
}

// Meta returns the value that was stored with the cursor, "" where there is none.
func (r *Reader) Meta(key string) string {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	return r.meta[key]
}

// SetMeta sets a value that the next Commit stores with the cursor; "" takes it away. All keys and values
// together may have 8 KiB; beyond that the call is refused.
func (r *Reader) SetMeta(key, value string) error {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	size := r.metaBytes
	if old, ok := r.meta[key]; ok {
		size -= len(key) + len(old) + 8
	}
	if value == "" {
		delete(r.meta, key)
		r.metaBytes = size
		return nil
	}
	if size += len(key) + len(value) + 8; size > maxMeta {
		return fmt.Errorf("set %q of reader %s: more than %d bytes stored with the cursor", key, r.name, maxMeta)
	}
	r.meta[key], r.metaBytes = value, size
	return nil
}

// Commit makes the cursor durable: position, outstanding items, lease and meta in one step. Segments that no
// reader needs any more are deleted then.
func (r *Reader) Commit() error {
	if err := r.l.WithReserve(func() error { return r.commit(false) }); err != nil {
		return err
	}
	r.l.reclaim()
	return nil
}

func (r *Reader) commit(force bool) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.file == nil {
		return fmt.Errorf("commit cursor %s: %w", r.name, ErrClosed)
	}
	r.l.mu.Lock()
	var pin Pos
	r.payload, pin = r.encodeState(r.payload[:0], int(r.slot))
	n := len(r.payload)
	same := bytes.Equal(r.payload, r.last)
	r.payload = appendPos(r.payload, r.l.endPos())
	force = force || r.l.closed
	r.l.mu.Unlock()
	if same && !force {
		return nil
	}
	if err := r.writeSlot(r.payload); err != nil {
		return err
	}
	r.last = append(r.last[:0], r.payload[:n]...)
	r.l.mu.Lock()
	if r.pin.before(pin) {
		r.pin = pin
	}
	r.l.mu.Unlock()
	return nil
}

// Count adds to the accounts what became of items. Every item is counted once, by whoever settles it.
func (r *Reader) Count(delivered, filtered, deadLettered int) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	r.delivered += uint64(delivered)
	r.filtered += uint64(filtered)
	r.deadLetter += uint64(deadLettered)
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
