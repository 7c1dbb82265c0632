package outputs

import (
	"context"
	"errors"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
)

// fetch reads blocks and hands them over when asked: as many as make up a request, as few as there are. What comes in while
// all slots are busy is coalesced that way, and nothing waits when none is.
func (d *driver) fetch(ctx context.Context) {
	defer close(d.groups)
	nctx, stop := context.WithCancel(ctx)
	defer stop()
	if d.o.End != nil {
		go func() {
			select {
			case <-d.o.End:
			case <-nctx.Done():
			}
			stop()
		}()
	}
	var next *buffer.Block // read, and too much for the group before
	for {
		b := next
		if next = nil; b == nil {
			var err error
			if b, err = d.first(ctx, nctx); b == nil || err != nil {
				return
			}
		}
		select {
		case <-d.want:
		case <-ctx.Done():
			b.Release()
			return
		}
		group := []*buffer.Block{b}
		size, items := int64(b.RawSize), b.Count
		for size < d.st.requestBytes.Load() && items < d.o.BatchItems {
			b, ok, err := d.r.TryNext()
			if !ok || err != nil {
				break
			}
			if !d.pace.fits(size, int64(b.RawSize)) {
				next = b
				break
			}
			group = append(group, b)
			size, items = size+int64(b.RawSize), items+b.Count
		}
		select {
		case d.groups <- group:
		case <-ctx.Done():
			for _, b := range group {
				b.Release()
			}
			if next != nil {
				next.Release()
			}
			return
		}
	}
}

// first returns the next block; nil at the end. An error of reading is told and tried again: it may be of the moment.
func (d *driver) first(ctx, nctx context.Context) (*buffer.Block, error) {
	for attempts := 1; ; attempts++ {
		b, err := d.r.Next(nctx)
		if err == nil {
			return b, nil
		}
		if nctx.Err() != nil && ctx.Err() == nil { // Options.End: what is there by now is all
			var ok bool
			if b, ok, err = d.r.TryNext(); err == nil && !ok {
				return nil, nil
			} else if ok {
				return b, nil
			}
		}
		if errors.Is(err, buffer.ErrClosed) || ctx.Err() != nil {
			return nil, err
		}
		if attempts == 1 {
			d.o.Logger.Error("buffer cannot be read, trying again", "output", d.o.Label, "err", err)
		}
		timer := time.NewTimer(d.o.backoff(attempts))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// admit makes a job of the blocks at hand; nil where they come to nothing, or must wait for a full stream.
func (d *driver) admit() *job {
	b := &Batch{}
	for len(d.parked) > 0 && (b.Len == 0 || b.Size < d.pace.size() && b.Len < d.o.BatchItems) {
		block := d.parked[0]
		if b.Len > 0 && !d.pace.fits(b.Size, int64(block.RawSize)) {
			break
		}
		if !d.admitBlock(b, block) {
			break
		}
		d.parked = d.parked[1:]
	}
	if len(d.parked) == 0 {
		d.parked = nil
	}
	if b.Len == 0 {
		return nil
	}
	return &job{batch: b, full: b.Size >= d.pace.size() || b.Len >= d.o.BatchItems || len(d.parked) > 0 || d.pace.ceiling > 0 && b.Size > d.pace.ceiling/2}
}

// admitBlock adds a block to the batch: whole where it can be. It returns false where the block has to wait.
func (d *driver) admitBlock(b *Batch, block *buffer.Block) bool {
	f := &flight{block: block, left: block.Count}
	unknown := d.unknown(block)
	whole := Part{
		Codec: block.Codec, Docs: block.Docs, Ends: block.Ends, Size: int64(block.RawSize), First: block.First,
		Typed: block.Typed, Unknown: unknown, from: f,
	}
	if d.o.Match == nil && !d.deferring() {
		b.add(whole)
		return true
	}
	items, err := block.Items()
	if err != nil {
		// Its checksum was right, so this is a fault of ours: what cannot be read cannot be sent. It is counted, never hidden.
		d.o.Logger.Error("block of the buffer cannot be unpacked, its items are lost", "output", d.o.Label, "first", block.First, "items", block.Count, "err", err)
		f.dead, f.left = block.Count, 0
		d.st.deadLettered.Add(int64(block.Count))
		d.settled(f)
		return true
	}
	p := Part{Ends: block.Ends}
	if d.full(&p, items) {
		return false
	}
	s := d.sift(f, &p, items, unknown)
	d.st.filtered.Add(int64(f.filtered))
	switch {
	case s == nil:
		b.add(whole) // as it lies: packed already
	case s.Len() > 0:
		b.add(s.Part)
	}
	d.settledIf(f)
	return true
}

// sift takes out of a block what the output does not want and what waits for a stream, and returns the rest; nil: all of it.
func (d *driver) sift(f *flight, p *Part, items []byte, unknown []bool) *selection {
	var (
		rest *selection
		dec  event.Decoder
		ev   event.Event
	)
	dec.Reset(f.block.Typed)
	first := f.block.First
	add := func(i int) { rest.add(first+uint64(i), p.Item(items, i), unknown != nil && unknown[i]) }
	for i := range p.Ends {
		item := p.Item(items, i)
		// What cannot be read back is sent: better too much than lost.
		out := d.o.Match != nil && dec.Next(item, &ev) == nil && !d.o.Match(&ev)
		if out {
			f.filtered++
		} else if st := d.streams[string(StreamOf(item))]; st != nil && st.troubled {
			d.keep(st, f, &waiting{seq: first + uint64(i), unknown: unknown != nil && unknown[i]}, item)
			out = true
		}
		if out {
			f.left--
			if rest == nil {
				rest = newSelection(f)
				for k := range i {
					add(k)
				}
			}
		} else if rest != nil {
			add(i)
		}
	}
	return rest
}

// unknown asks which items of a block an earlier run may have sent; nil: none.
func (d *driver) unknown(b *buffer.Block) []bool {
	if d.o.Idempotent || !d.r.Unknown(b.First) && !d.r.Unknown(b.First+uint64(b.Count)-1) {
		return nil
	}
	u := make([]bool, b.Count)
	for i := range u {
		u[i] = d.r.Unknown(b.First + uint64(i))
	}
	return u
}
