package buffer

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/internal/fsx"
)

const segmentSuffix = ".seg"

// Pos is a place in the log: a segment and an offset in its file.
type Pos struct {
	Segment uint64
	Offset  int64
}

func (p Pos) before(q Pos) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// span is a stretch of a segment that holds no whole block.
type span struct{ from, to int64 }

// mark is an entry of a segment's sparse index: items before the block at off.
type mark struct {
	off   int64
	items uint64
}

// markEvery is the distance of the sparse index's entries in bytes.
const markEvery = 256 << 10

// segment is one file of the log. All fields are guarded by Log.mu.
type segment struct {
	n       uint64
	start   int64 // first byte after the position table
	end     int64 // all before it is fsynced; readers stop here
	items   uint64
	created int64
	hasHead bool   // header and position table are whole
	next    uint64 // highest sequence in it, plus one, as far as known
	bad     []span // damaged stretches, in order
	scanned bool   // bad is complete as of the scan
	marks   []mark
}

func (s *segment) addMark(off int64, items uint64) {
	if len(s.marks) == 0 || off-s.marks[len(s.marks)-1].off >= markEvery {
		s.marks = append(s.marks, mark{off, items})
	}
}

func (l *Log) segmentPath(n uint64) string {
	return filepath.Join(l.o.Dir, fmt.Sprintf("%020d%s", n, segmentSuffix))
}

func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	return n, err == nil && n > 0
}

// readSegmentHead reads a segment's header and position table. An error other than VersionError means damage.
func readSegmentHead(f fsx.File, path string, size int64) (*segmentHeader, []byte, error) {
	buf := make([]byte, min(size, 4096))
	if _, err := f.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	h := &segmentHeader{}
	if err := h.parse(buf, path); err != nil {
		return nil, nil, err
	}
	if h.dataStart() > size {
		return nil, nil, errBounds
	}
	table := make([]byte, h.tableSize)
	if _, err := f.ReadAt(table, segmentHeaderSize); err != nil && (!errors.Is(err, io.EOF) || len(table) > 0) {
		return nil, nil, err
	}
	if crc32.Checksum(table, castagnoli) != h.tableCRC {
		return nil, nil, errChecksum
	}
	if err := eachPosition(table, h.tableCount, func(_, _ []byte, _ int64) {}); err != nil {
		return nil, nil, err
	}
	return h, table, nil
}

// window reads a file through a buffer that slides forward.
type window struct {
	f    fsx.File
	size int64 // bytes of the file that may be read
	buf  []byte
	off  int64
}

const windowSize = 256 << 10

// at returns n bytes at off, valid until the next call; fewer at the end. Unreadable pages read as zeros, so
// that a bad sector is damage like any other.
func (w *window) at(off int64, n int) []byte {
	n = int(min(int64(n), w.size-off))
	if n <= 0 {
		return nil
	}
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:][:n]
	}
	want := int(min(int64(max(n, windowSize)), w.size-off))
	w.buf = grow(w.buf, want)
	w.off = off
	got, err := w.f.ReadAt(w.buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		got = w.lenient(off)
	}
	w.buf = w.buf[:got]
	return w.buf[:min(n, got)]
}

func (w *window) lenient(off int64) int {
	const page = 4096
	for i := 0; i < len(w.buf); i += page {
		p := w.buf[i:min(i+page, len(w.buf))]
		n, err := w.f.ReadAt(p, off+int64(i))
		if errors.Is(err, io.EOF) && n < len(p) {
			return i + n
		}
		if err != nil {
			clear(p)
		}
	}
	return len(w.buf)
}

// openSegment opens a segment for reading and returns its size.
func (l *Log) openSegment(n uint64) (fsx.File, int64, error) { return l.openSegmentAs(n, os.O_RDONLY) }

// openSegmentAs is openSegment with the flag of os.OpenFile that says what for.
func (l *Log) openSegmentAs(n uint64, flag int) (fsx.File, int64, error) {
	f, err := l.o.FS.OpenFile(l.segmentPath(n), flag, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("open segment %d: %w", n, err)
	}
	size, err := f.Size()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open segment %d: %w", n, err)
	}
	return f, size, nil
}

func isVersion(err error) bool {
	var v *VersionError
	return errors.As(err, &v)
}
