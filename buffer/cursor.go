package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/internal/fsx"
)

// cursorState is what a cursor file says.
type cursorState struct {
	name     string
	required bool
	gen      uint64
	foreign  bool // written for another log
	damaged  bool // no slot could be read

	pos     Pos
	seen    uint64 // items of pos's segment that are before pos
	nextSeq uint64
	lease   uint64
	ahead   []settledRange
	out     []outBlock
	meta    map[string]string
	mark    Pos // the log was fsynced up to here

	unknownBelow uint64
}

// settledRange is a stretch after the cursor that is settled already.
type settledRange struct {
	start, end Pos
	endSeen    uint64
	items      uint64
}

// outBlock is a block of which items are outstanding.
type outBlock struct {
	pos   Pos
	seen  uint64
	first uint64
	seqs  []uint64 // as read or to be written; open readers keep them in a map
}

func (c *cursorState) pin() Pos {
	p := c.pos
	for i := range c.out {
		if c.out[i].pos.before(p) {
			p = c.out[i].pos
		}
	}
	return p
}

const (
	cursorSuffix   = ".cursor"
	maxReaderName  = 200
	maxMeta        = 8 << 10
	maxAhead       = 512
	slotBase       = cursorHeaderSize + maxReaderName + maxMeta + maxAhead*48 + 1024
	perOutstanding = 30
)

// cursorFile names a reader's file: what is not a plain letter or digit is escaped, so that no name leaves the folder.
func (l *Log) cursorFile(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return filepath.Join(l.o.Dir, "cursors", b.String()+cursorSuffix)
}

func cursorName(file string) (string, bool) {
	s, ok := strings.CutSuffix(file, cursorSuffix)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		var c byte
		if i+2 >= len(s) {
			return "", false
		}
		if _, err := fmt.Sscanf(s[i+1:i+3], "%02x", &c); err != nil {
			return "", false
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String(), true
}

// loadCursors reads all cursor files, those of readers that may never be opened again included: they hold
// their segments until DropReader.
func (l *Log) loadCursors() error {
	dir := filepath.Join(l.o.Dir, "cursors")
	names, err := l.o.FS.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, file := range names {
		name, ok := cursorName(file)
		if !ok {
			continue
		}
		c, err := l.readCursor(filepath.Join(dir, file), name)
		if err != nil {
			return err
		}
		l.known[name] = c
		l.nextSeq = max(l.nextSeq, c.nextSeq, c.lease)
		l.lastSegment = max(l.lastSegment, c.pos.Segment, c.mark.Segment)
	}
	return nil
}

func (l *Log) readCursor(path, name string) (*cursorState, error) {
	f, err := l.o.FS.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("read cursor %s: %w", name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("read cursor %s: %w", name, err)
	}
	best := &cursorState{name: name, required: true, damaged: true}
	if size > 64<<20 {
		return best, nil
	}
	buf := make([]byte, size)
	if _, err := f.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) {
		return best, nil
	}
	half := len(buf) / 2
	for _, slot := range [][]byte{buf[:half], buf[half:]} {
		c, err := parseSlot(slot, path, l.id)
		if isVersion(err) {
			return nil, fmt.Errorf("read cursor %s: %w", name, err)
		}
		if err != nil || c.name != name || !best.damaged && c.gen < best.gen {
			continue
		}
		best = c
	}
	best.name = name
	return best, nil
}

func parseSlot(slot []byte, path string, id logID) (*cursorState, error) {
	if err := checkHeader(slot, cursorMagic, cursorHeaderSize, 0, path); err != nil {
		return nil, err
	}
	c := &cursorState{required: le.Uint32(slot[12:])&1 != 0, gen: le.Uint64(slot[32:]), foreign: logID(slot[16:32]) != id}
	n := int(le.Uint32(slot[40:]))
	if n > len(slot)-cursorHeaderSize {
		return nil, errBounds
	}
	payload := slot[cursorHeaderSize:][:n]
	if crc32.Checksum(payload, castagnoli) != le.Uint32(slot[56:]) {
		return nil, errChecksum
	}
	d := &decoder{b: payload}
	c.name = d.str()
	c.pos, c.seen = d.pos(), d.uint()
	c.nextSeq, c.lease = d.uint(), d.uint()
	for range d.count() {
		c.ahead = append(c.ahead, settledRange{start: d.pos(), end: d.pos(), endSeen: d.uint(), items: d.uint()})
	}
	for range d.count() {
		o := outBlock{pos: d.pos(), seen: d.uint(), first: d.uint()}
		seq := o.first
		for range d.count() {
			seq += d.uint()
			o.seqs = append(o.seqs, seq)
		}
		c.out = append(c.out, o)
	}
	c.meta = map[string]string{}
	for range d.count() {
		k := d.str()
		c.meta[k] = d.str()
	}
	c.mark = d.pos()
	return c, d.err
}

// decoder reads the varints of a cursor; after an error everything is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errBounds
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count is a number of things that follow, each at least a byte long.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errBounds
		return 0
	}
	return int(n)
}

func (d *decoder) str() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) pos() Pos { return Pos{d.uint(), int64(d.uint())} }

func appendPos(b []byte, p Pos) []byte {
	b = binary.AppendUvarint(b, p.Segment)
	return binary.AppendUvarint(b, uint64(p.Offset))
}

func appendStr(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// encodeState appends the reader's state. It returns the oldest place that the state needs. Where the
// outstanding items do not fit the slot the cursor is put before the first that does not: what follows is
// read again after a restart, and counts as unknown. Called with mu held.
func (r *Reader) encodeState(b []byte, limit int) ([]byte, Pos) {
	l := r.l
	pos, seen := r.cursor()
	ahead := r.settledAhead()
	outs := r.sortedOutstanding()
	budget := (limit - slotBase) / perOutstanding
	for i, o := range outs {
		if budget -= len(o.seqs); budget < 0 {
			if o.pos.before(pos) {
				pos, seen, ahead = o.pos, o.seen, nil
			}
			outs = outs[:i]
			break
		}
	}
	pin := pos
	if len(outs) > 0 && outs[0].pos.before(pin) {
		pin = outs[0].pos
	}
	b = appendStr(b, r.name)
	b = appendPos(b, pos)
	b = binary.AppendUvarint(b, seen)
	// Sequence numbers as handed out now: what the log forgot to give them out again is told by the cursors.
	b = binary.AppendUvarint(b, l.nextSeqMark())
	b = binary.AppendUvarint(b, r.lease)
	b = binary.AppendUvarint(b, uint64(len(ahead)))
	for _, a := range ahead {
		b = appendPos(appendPos(b, a.start), a.end)
		b = binary.AppendUvarint(b, a.endSeen)
		b = binary.AppendUvarint(b, a.items)
	}
	b = binary.AppendUvarint(b, uint64(len(outs)))
	for _, o := range outs {
		b = appendPos(b, o.pos)
		b = binary.AppendUvarint(b, o.seen)
		b = binary.AppendUvarint(b, o.first)
		b = binary.AppendUvarint(b, uint64(len(o.seqs)))
		last := o.first
		for _, s := range o.seqs {
			b = binary.AppendUvarint(b, s-last)
			last = s
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.meta)))
	for _, k := range slices.Sorted(maps.Keys(r.meta)) {
		b = appendStr(appendStr(b, k), r.meta[k])
	}
	return b, pin
}

// nextSeqMark is the highest sequence among fsynced blocks, plus one. Called with mu held.
func (l *Log) nextSeqMark() uint64 {
	if n := len(l.segments); n > 0 {
		return l.segments[n-1].next
	}
	return 0
}

func slotSize(maxOutstanding int) int64 {
	n := int64(slotBase + perOutstanding*maxOutstanding)
	return (n + 4095) &^ 4095
}

// openCursor opens the reader's file; a missing or smaller one is made anew beside it and moved into place.
func (r *Reader) openCursor() error {
	l := r.l
	path := l.cursorFile(r.name)
	want := slotSize(r.o.MaxOutstanding)
	if size, err := l.o.FS.Size(path); err == nil && size >= 2*want && size%2 == 0 {
		f, err := l.o.FS.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("open cursor %s: %w", r.name, err)
		}
		r.file, r.slot = f, size/2
		return l.WithReserve(func() error { return r.commit(true) })
	}
	return l.WithReserve(func() error {
		f, err := r.makeCursor(path+".new", want)
		if err != nil {
			return fmt.Errorf("make cursor %s: %w", r.name, err)
		}
		r.file, r.slot = f, want
		if err = r.commit(true); err == nil {
			err = l.o.FS.Rename(path+".new", path)
		}
		if err == nil {
			err = l.o.FS.SyncDir(filepath.Dir(path))
		}
		if err != nil {
			f.Close()
			r.file = nil
			return fmt.Errorf("make cursor %s: %w", r.name, err)
		}
		return nil
	})
}

func (r *Reader) makeCursor(path string, slot int64) (fsx.File, error) {
	f, err := r.l.o.FS.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// Written, not only allocated: overwriting then needs no space on the disk, not for metadata either.
	if _, err = f.WriteAt(make([]byte, 2*slot), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		_ = r.l.o.FS.Remove(path)
		return nil, err
	}
	return f, nil
}

// writeSlot writes payload into the slot that does not hold the last good state, and makes it durable.
func (r *Reader) writeSlot(payload []byte) error {
	h := r.slotHead[:]
	clear(h)
	if r.o.Required {
		le.PutUint32(h[12:], 1)
	}
	copy(h[16:], r.l.id[:])
	le.PutUint64(h[32:], r.gen+1)
	le.PutUint32(h[40:], uint32(len(payload)))
	le.PutUint32(h[56:], crc32.Checksum(payload, castagnoli))
	sealHeader(h, cursorMagic, 0)
	if int64(len(payload)+len(h)) > r.slot {
		return fmt.Errorf("commit cursor %s: %w", r.name, errSlot)
	}
	off := int64((r.gen + 1) % 2 * uint64(r.slot))
	if _, err := r.file.WritevAt([][]byte{h, payload}, off); err != nil {
		return fmt.Errorf("commit cursor %s: %w", r.name, err)
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("commit cursor %s: %w", r.name, err)
	}
	r.gen++
	return nil
}

var errSlot = errors.New("state does not fit its slot")

// settleCursors checks every cursor against what the segments hold.
func (l *Log) settleCursors() {
	end := l.endPos()
	for _, c := range l.known {
		switch {
		case c.damaged:
			l.o.Logger.Error("cursor damaged: reader starts again at the oldest block kept, what is there may be delivered twice", "reader", c.name)
			l.resetCursor(c)
		case c.foreign:
			l.o.Logger.Error("cursor belongs to another buffer: reader starts at the oldest block kept", "reader", c.name)
			l.resetCursor(c)
		case end.before(c.pos):
			l.o.Logger.Error("buffer ends before what this reader has read, as after a restore or a deletion: reader starts at the oldest block kept",
				"reader", c.name, "cursor_segment", c.pos.Segment, "cursor_offset", c.pos.Offset, "last_segment", end.Segment, "end", end.Offset)
			l.resetCursor(c)
		default:
			c.unknownBelow = c.lease
			if end.before(c.mark) {
				l.o.Logger.Error("buffer lost blocks that had been fsynced, as after a restore: what is waiting may have been delivered already", "reader", c.name)
				c.unknownBelow = l.nextSeq
			}
			l.fitCursor(c)
		}
	}
}

func (l *Log) resetCursor(c *cursorState) {
	c.pos, c.seen, c.ahead, c.out = l.startPos(), 0, nil, nil
	c.unknownBelow = l.nextSeq
}

// fitCursor takes out of a cursor what is no longer there.
func (l *Log) fitCursor(c *cursorState) {
	start := l.startPos()
	if c.pos.before(start) {
		c.pos, c.seen = start, 0
	}
	lost := 0
	c.out = slices.DeleteFunc(c.out, func(o outBlock) bool {
		if o.pos.before(start) {
			lost += len(o.seqs)
			return true
		}
		return false
	})
	if lost > 0 {
		l.o.Logger.Warn("outstanding items are gone with their segments", "reader", c.name, "items", lost)
	}
	c.ahead = slices.DeleteFunc(c.ahead, func(a settledRange) bool { return !c.pos.before(a.end) })
	for _, s := range l.segments {
		if s.n == c.pos.Segment && len(s.bad) > 0 {
			// The count before the cursor may have had items that are damaged now.
			c.seen = l.countBefore(s, c.pos.Offset)
		}
	}
}

// countBefore counts the items of whole blocks before off.
func (l *Log) countBefore(s *segment, off int64) uint64 {
	f, _, err := l.openSegment(s.n)
	if err != nil {
		return 0
	}
	defer f.Close()
	res, err := l.scan(f, s.n, s.start, min(off, s.end), nil)
	if err != nil {
		return 0
	}
	return res.items
}

// cursorMark returns up to where cursors tell that a segment had been fsynced.
func (l *Log) cursorMark(n uint64) int64 {
	m := int64(0)
	for _, c := range l.known {
		if !c.foreign && c.mark.Segment == n {
			m = max(m, c.mark.Offset)
		}
	}
	return m
}
