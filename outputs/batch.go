package outputs

import (
	"bytes"
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/buffer"
)

// Batch is what one Write takes: items of one or more parts, counted through from 0.
type Batch struct {
	Parts []Part
	Len   int   // items
	Size  int64 // bytes before compression
	Final bool  // nothing more will come: nothing is to be put off any longer

	// Wait is how long the server may wait for what is not there at present, a shard or an index; 0: as long as is usual.
	Wait time.Duration
	// Took is set by Write: how long the server worked on the request by its own word; 0: it did not say.
	Took time.Duration
}

// Part is a run of items that lie together: a block of the log as it is, or chosen items one after the other.
type Part struct {
	Codec buffer.Codec
	Docs  []byte   // the items, encoded by Codec as one unit
	Ends  []uint32 // where each item ends, decoded
	Size  int64    // bytes decoded
	First uint64   // sequence of the first item; the others follow ...
	Seqs  []uint64 // ... unless they are listed here
	Typed []byte   // the block's typed index, where the part is the block
	// Unknown tells of each item whether it may have been taken by an earlier attempt; nil: none was.
	Unknown []bool

	from *flight // the block they are from; nil for outstanding items
}

// Len is the number of items.
func (p *Part) Len() int { return len(p.Ends) }

// Seq is the sequence of item i.
func (p *Part) Seq(i int) uint64 {
	if p.Seqs != nil {
		return p.Seqs[i]
	}
	return p.First + uint64(i)
}

// Items returns the decoded items, back to back as Ends says.
func (p *Part) Items() ([]byte, error) {
	if p.Codec == buffer.Raw {
		return p.Docs, nil
	}
	if p.from == nil {
		return nil, fmt.Errorf("items encoded as %v without their block", p.Codec)
	}
	return p.from.block.Items()
}

// Item returns item i of items, which Items returned.
func (p *Part) Item(items []byte, i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = p.Ends[i-1]
	}
	return items[start:p.Ends[i]]
}

// MayBeTaken tells whether an earlier attempt may have taken item i.
func (p *Part) MayBeTaken(i int) bool { return p.Unknown != nil && p.Unknown[i] }

// At finds item i of the batch: its part, and its place there.
func (b *Batch) At(i int) (part *Part, at int) {
	for k := range b.Parts {
		if n := b.Parts[k].Len(); i < n {
			return &b.Parts[k], i
		} else {
			i -= n
		}
	}
	return nil, 0
}

// add appends a part.
func (b *Batch) add(p Part) {
	b.Parts = append(b.Parts, p)
	b.Len += p.Len()
	b.Size += p.Size
}

// setUnknown marks all items as maybe taken.
func (b *Batch) setUnknown() {
	for k := range b.Parts {
		p := &b.Parts[k]
		if p.Unknown == nil {
			p.Unknown = make([]bool, p.Len())
		}
		for i := range p.Unknown {
			p.Unknown[i] = true
		}
	}
}

// selection gathers chosen items of one flight (or none) into a part of their own.
type selection struct{ Part }

func newSelection(from *flight) *selection {
	return &selection{Part{Codec: buffer.Raw, Seqs: []uint64{}, from: from}}
}

func (s *selection) add(seq uint64, item []byte, unknown bool) {
	if unknown && s.Unknown == nil {
		s.Unknown = make([]bool, len(s.Seqs), cap(s.Seqs))
	}
	if s.Unknown != nil {
		s.Unknown = append(s.Unknown, unknown)
	}
	s.Docs = append(s.Docs, item...)
	s.Ends = append(s.Ends, uint32(len(s.Docs)))
	s.Seqs = append(s.Seqs, seq)
	s.Size = int64(len(s.Docs))
}

// pick copies the items of the batch with the given indices, ascending, into a new batch.
func (b *Batch) pick(indices func(i int) bool) (*Batch, error) {
	out := &Batch{}
	n := 0
	for k := range b.Parts {
		p := &b.Parts[k]
		items, err := p.Items()
		if err != nil {
			return nil, err
		}
		s := newSelection(p.from)
		for i := range p.Ends {
			if indices(n) {
				s.add(p.Seq(i), p.Item(items, i), p.MayBeTaken(i))
			}
			n++
		}
		if s.Len() > 0 {
			out.add(s.Part)
		}
	}
	return out, nil
}

var indexKey = []byte(`"_index":"`)

// StreamOf returns the data stream that an item's action line names, nil where it has none.
func StreamOf(item []byte) []byte { return actionField(item, indexKey) }

var idKey = []byte(`"_id":"`)

// IDOf returns the _id that an item's action line names.
func IDOf(item []byte) []byte { return actionField(item, idKey) }

// actionField finds a value in the action line, which is written by our own encoder: {"create":{"_index":"...","_id":"..."}}.
func actionField(item, key []byte) []byte {
	line := item
	if n := bytes.IndexByte(item, '\n'); n >= 0 {
		line = item[:n]
	}
	i := bytes.Index(line, key)
	if i < 0 {
		return nil
	}
	line = line[i+len(key):]
	for n := 0; n < len(line); n++ {
		switch line[n] {
		case '"':
			return line[:n]
		case '\\': // an id that a sender gave
			return []byte(gjson.ParseBytes(append([]byte{'"'}, line...)).String())
		}
	}
	return nil
}
