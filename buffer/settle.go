package buffer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

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
func (r *Reader) Settle(b *Block, outstanding []uint64) { r.settleAt(b.Pos(), outstanding) }

// SettleAt is Settle for a block that was released long ago, by its place, with nothing outstanding.
func (r *Reader) SettleAt(p Pos) { r.settleAt(p, nil) }

func (r *Reader) settleAt(p Pos, outstanding []uint64) {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
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
