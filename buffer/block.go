package buffer

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"
)

// Position is how far a source was read: opaque to the log. An empty Value forgets the key.
type Position struct {
	Key   string
	Value []byte
}

// Block is what is appended and read at once: items under one checksum, with the positions reached after them.
//
// A producer gets one from NewBlock, fills the exported fields and gives it to Append, which takes it over
// whatever the outcome. Readers get the same block, shared: they change nothing and call Release when done.
type Block struct {
	First uint64 // sequence of the first item; the items have First..First+Count-1
	Count int    // 0 for a block that carries positions only
	Codec Codec
	// Docs holds the items back to back, encoded by Codec as one unit (gzip: exactly one member).
	Docs    []byte
	RawSize int      // bytes of the decoded items
	Ends    []uint32 // end of each item in the decoded items
	Typed   []byte   // opaque section beside the items, may be empty; stored as it is
	// Positions are the sources' positions after these items. Blocks from a Reader carry none: see Log.Positions.
	Positions []Position
	// UseReserve lets the block go past MaxBytes into the reserve, and ahead of blocks that wait for space. For alerts.
	UseReserve bool

	refs    atomic.Int32
	pool    *sync.Pool
	seg     uint64
	off     int64
	created int64
	hdr     blockHeader
	head    []byte // header and item ends as on disk
	tail    []byte // positions as on disk
	body    []byte // of a block read from disk; Docs and Typed point into it

	mu      sync.Mutex
	decoded bool
	decErr  error
	raw     []byte
}

// Small blocks have pools of their own: a record of an alert in the room of a megabyte would hold that for as long as a reader holds the record.
var (
	newPool       = sync.Pool{}
	newSmallPool  = sync.Pool{}
	readPool      = sync.Pool{}
	readSmallPool = sync.Pool{}
	// spare holds the buffers that items stood in before they were compressed: a block that waits for its readers keeps
	// its tenth of that only.
	spare = sync.Pool{}
)

// keepBuffer bounds the buffers that go back into the pool, keepSmall those of small blocks.
const (
	keepBuffer = 4 << 20
	keepSmall  = 32 << 10
)

// NewBlock returns an empty block, its buffers reused: append to Docs, Ends, Typed and Positions.
func NewBlock() *Block {
	b := fromPool(&newPool)
	if b.Docs == nil {
		if buf, ok := spare.Get().(*[]byte); ok {
			b.Docs = *buf
		}
	}
	return b
}

// NewSmallBlock is NewBlock for a few items, of some KiB together.
func NewSmallBlock() *Block { return fromPool(&newSmallPool) }

func fromPool(p *sync.Pool) *Block {
	b, _ := p.Get().(*Block)
	if b == nil {
		b = &Block{pool: p}
	}
	b.refs.Store(1)
	return b
}

// Retain adds a holder: the block lives until each has called Release.
func (b *Block) Retain() { b.refs.Add(1) }

// Release gives the block back. It must not be used afterwards, nor anything that points into it.
func (b *Block) Release() {
	switch n := b.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		// A double release would hand one block to two users: better no pooling for it than corrupt items.
		return
	}
	clear(b.Positions)
	if b.Codec != Raw && b.pool == &newPool {
		b.Docs, b.raw = nil, b.Docs // compressed: it is the next one's room for that
	}
	keep := keepBuffer
	if b.pool == &newSmallPool || b.pool == &readSmallPool {
		keep = keepSmall
	}
	*b = Block{
		pool: b.pool, Docs: reuse(b.Docs, keep), Ends: b.Ends[:0], Typed: reuse(b.Typed, keep), Positions: b.Positions[:0],
		head: reuse(b.head, keep), tail: reuse(b.tail, keep), body: reuse(b.body, keep), raw: reuse(b.raw, keep),
	}
	if b.pool == &readPool || b.pool == &readSmallPool {
		b.Docs, b.Typed = nil, nil
	}
	b.pool.Put(b)
}

func reuse(buf []byte, keep int) []byte {
	if cap(buf) > keep {
		return nil
	}
	return buf[:0]
}

// Appended returns when the block was appended.
func (b *Block) Appended() time.Time { return time.Unix(0, b.created) }

// Pos returns where the block stands in the log.
func (b *Block) Pos() Pos { return Pos{b.seg, b.off} }

// Size returns the block's bytes on disk.
func (b *Block) Size() int64 { return b.hdr.size() }

// Items returns the decoded items, back to back as Ends says. Safe for concurrent use, decoded once; valid
// until Release.
func (b *Block) Items() ([]byte, error) {
	if b.Codec == Raw {
		return b.Docs, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.decoded {
		b.raw, b.decErr = decode(b.Codec, b.raw[:0], b.Docs, b.RawSize)
		if b.decErr != nil {
			b.decErr = &CorruptionError{Segment: b.seg, Offset: b.off, Err: b.decErr}
		}
		b.decoded = true
	}
	return b.raw, b.decErr
}

// Item returns the i-th item, valid until Release.
func (b *Block) Item(i int) ([]byte, error) {
	if i < 0 || i >= b.Count {
		return nil, fmt.Errorf("read item %d of a block of %d", i, b.Count)
	}
	items, err := b.Items()
	if err != nil {
		return nil, err
	}
	start := uint32(0)
	if i > 0 {
		start = b.Ends[i-1]
	}
	return items[start:b.Ends[i]], nil
}

// Compress encodes a raw block's Docs in place. Items of the block have to be decoded again for a reader that wants them.
func (b *Block) Compress(c Codec) error {
	if b.Codec != Raw || c == Raw {
		return nil
	}
	out, err := encode(c, b.raw[:0], b.Docs)
	if err != nil {
		return fmt.Errorf("compress block: %w", err)
	}
	b.RawSize = len(b.Docs)
	if old := reuse(b.Docs, keepBuffer); old != nil {
		spare.Put(&old)
	}
	b.raw, b.Docs, b.Codec = nil, out, c
	return nil
}

func (b *Block) check() error {
	switch {
	case b.Count != len(b.Ends):
		return fmt.Errorf("append block: %d items and %d ends", b.Count, len(b.Ends))
	case b.Codec > Gzip:
		return fmt.Errorf("append block: unknown codec %d", b.Codec)
	case b.Codec == Raw && b.RawSize != len(b.Docs):
		return fmt.Errorf("append block: raw size %d of %d bytes", b.RawSize, len(b.Docs))
	case len(b.Docs) > maxBlock || b.RawSize > maxBlock || len(b.Typed) > maxBlock:
		return ErrTooLarge
	}
	for i := range b.Positions {
		if p := &b.Positions[i]; len(p.Key) > maxPositionKey || len(p.Value) > maxPositionValue {
			return fmt.Errorf("append block: position of %d bytes for a key of %d bytes: %w", len(p.Value), len(p.Key), ErrTooLarge)
		}
	}
	return checkEnds(b.Ends, b.RawSize)
}

func checkEnds(ends []uint32, size int) error {
	last := uint32(0)
	for _, e := range ends {
		if e < last {
			return errors.New("item ends go backwards")
		}
		last = e
	}
	if int(last) != size {
		return fmt.Errorf("items end at %d of %d bytes", last, size)
	}
	return nil
}

// encodeBody does what can be done before the block's place in the log is known, in the caller's goroutine.
func (b *Block) encodeBody(now time.Time, seed uint32) error {
	if err := b.check(); err != nil {
		return err
	}
	b.created = now.UnixNano()
	b.head = grow(b.head, blockHeaderSize+4*b.Count)
	ends := b.head[blockHeaderSize:]
	for i, e := range b.Ends {
		le.PutUint32(ends[4*i:], e)
	}
	b.tail = b.tail[:0]
	for i := range b.Positions {
		b.tail = appendPosition(b.tail, b.Positions[i].Key, b.Positions[i].Value, now.Unix())
	}
	crc := crc32.Update(seed, castagnoli, ends)
	crc = crc32.Update(crc, castagnoli, b.Docs)
	crc = crc32.Update(crc, castagnoli, b.Typed)
	crc = crc32.Update(crc, castagnoli, b.tail)
	b.hdr = blockHeader{
		codec: b.Codec, first: b.First, count: b.Count, rawSize: b.RawSize, docs: len(b.Docs), typed: len(b.Typed),
		positions: len(b.tail), nPos: len(b.Positions), created: b.created, bodyCRC: crc,
	}
	if b.hdr.bodySize() > maxBlock {
		return ErrTooLarge
	}
	return nil
}

// place sets where the block goes.
func (b *Block) place(segment uint64, offset, synced int64, seed uint32) {
	b.seg, b.off = segment, offset
	b.hdr.segment, b.hdr.offset, b.hdr.synced = segment, offset, synced
	b.hdr.put(b.head, seed)
}

// load fills the block from a checked header and the body that is in b.body.
func (b *Block) load(h *blockHeader, seed uint32) error {
	if crc32.Update(seed, castagnoli, b.body) != h.bodyCRC {
		return errChecksum
	}
	b.hdr = *h
	b.seg, b.off, b.created = h.segment, h.offset, h.created
	b.First, b.Count, b.Codec, b.RawSize = h.first, h.count, h.codec, h.rawSize
	if cap(b.Ends) < h.count {
		b.Ends = make([]uint32, h.count)
	}
	b.Ends = b.Ends[:h.count]
	for i := range b.Ends {
		b.Ends[i] = le.Uint32(b.body[4*i:])
	}
	rest := b.body[4*h.count:]
	b.Docs = rest[:h.docs:h.docs]
	b.Typed = rest[h.docs : h.docs+h.typed : h.docs+h.typed]
	if h.codec == Raw && h.docs != h.rawSize {
		return errBounds
	}
	return checkEnds(b.Ends, h.rawSize)
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
