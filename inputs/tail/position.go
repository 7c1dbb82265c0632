package tail

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"sync"
)

// fileID is what the kernel calls a file.
type fileID struct{ dev, ino uint64 }

// otherBirth says whether a file was certainly not created when p was.
func (p *place) otherBirth(in info) bool {
	return p.btime != 0 && in.btime != 0 && p.btime != in.btime
}

// fingerprint is a digest of the first n bytes of a file. It grows with the file up to Config.FingerprintSize.
type fingerprint struct {
	n   int
	sum [16]byte
}

func fingerprintOf(b []byte) fingerprint {
	s := sha256.Sum256(b)
	fp := fingerprint{n: len(b)}
	copy(fp.sum[:], s[:])
	return fp
}

// fits says whether a file that begins with prefix can be the file of this fingerprint.
func (f fingerprint) fits(prefix []byte) bool {
	return f.n == 0 || len(prefix) >= f.n && fingerprintOf(prefix[:f.n]).sum == f.sum
}

// tailLen is how many bytes before an offset are remembered (as a digest). They are read again together with the
// bytes that follow, so that a file that was truncated and has grown past the offset again is noticed even where its
// first bytes are the same, and no matter how the truncation falls between two system calls.
const tailLen = 64

// mark is a place in a file with the digest of up to tailLen bytes before it.
type mark struct {
	off int64
	n   int
	sum [8]byte
}

// markAt makes the mark at off from the bytes that end there.
func markAt(off int64, before []byte) mark {
	if len(before) > tailLen {
		before = before[len(before)-tailLen:]
	}
	m := mark{off: off, n: len(before)}
	s := sha256.Sum256(before)
	copy(m.sum[:], s[:])
	return m
}

func (m mark) fits(before []byte) bool {
	return len(before) == m.n && (m.n == 0 || markAt(m.off, before).sum == m.sum)
}

// maxMarks bounds the older marks of a position; they thin out with distance.
const maxMarks = 8

// place is a position in a file: everything that is needed to go on after it.
type place struct {
	id     fileID
	mark   mark // the offset itself
	skip   skipMode
	gzip   bool
	done   bool // never to be read
	fp     fingerprint
	head   []byte    // the bytes of fp, where known: in memory only, positions must not hold what the log says
	ends   []lineEnd // digests of the lines within fp, of a position that was read back
	born   int64     // nanoseconds; of two generations in one inode the younger counts
	btime  int64     // when the file itself was created, 0 where that is not known
	boot   uint64
	path   string // where it was last
	origin string // where it was first
	// older are marks before this one, newest first. After a power cut a file can come back shorter than what was
	// read of it; the youngest mark that still fits says how far it is the same.
	older  [maxMarks + 1]mark
	nOlder int
}

// setPrint takes b, the first bytes of the file, as its fingerprint.
func (p *place) setPrint(b []byte) {
	p.fp, p.head, p.ends = fingerprintOf(b), bytes.Clone(b), nil
}

// lineEnd is the digest of all bytes up to the end of one of a file's first lines.
type lineEnd struct {
	n   int
	sum [8]byte
}

// maxLineEnds bounds how many are stored.
const maxLineEnds = 64

func lineEndAt(b []byte, n int) lineEnd {
	e := lineEnd{n: n}
	s := sha256.Sum256(b[:n])
	copy(e.sum[:], s[:])
	return e
}

// lineEnds returns the digests to store: those at hand, or made of the head.
func (p *place) lineEnds() []lineEnd {
	if len(p.head) != p.fp.n {
		return p.ends
	}
	var ends []lineEnd
	for i, c := range p.head {
		if c == '\n' && i+1 < len(p.head) && len(ends) < maxLineEnds {
			ends = append(ends, lineEndAt(p.head, i+1))
		}
	}
	return ends
}

// beganWith says whether the file began with b, which is shorter than the fingerprint: a copy may end there, made
// before the file grew to its fingerprint.
func (p *place) beganWith(b []byte) bool {
	if len(b) == 0 || len(b) >= p.fp.n {
		return false
	}
	if len(p.head) == p.fp.n {
		return bytes.HasPrefix(p.head, b)
	}
	n := bytes.LastIndexByte(b, '\n') + 1 // the rest of an unfinished line cannot be compared
	for _, e := range p.ends {
		if e.n == n {
			return lineEndAt(b, n) == e
		}
	}
	return false
}

// endsReach is how far a position may be for the digests of the first lines to be stored with it. Past it the log would hold them with
// every chunk for a copy that ended within the first KiB and was followed by so much more before the truncation.
const endsReach = 16 << 10

// advance moves to m and keeps the former mark among the older ones.
func (p *place) advance(m mark) {
	if p.mark.off > 0 {
		copy(p.older[1:], p.older[:p.nOlder])
		p.older[0] = p.mark
		p.nOlder++
	}
	p.mark = m
	if p.nOlder <= maxMarks {
		return
	}
	// Drop the mark whose neighbours lie closest together for their distance from here.
	worst, best := 1, float64(0)
	for i := 1; i < p.nOlder-1; i++ {
		gap := float64(p.older[i-1].off-p.older[i+1].off) / float64(m.off-p.older[i+1].off+1)
		if i == 1 || gap < best {
			worst, best = i, gap
		}
	}
	copy(p.older[worst:], p.older[worst+1:p.nOlder])
	p.nOlder--
}

// fallBack moves to the older mark i, and forgets those after it.
func (p *place) fallBack(i int) {
	p.mark = p.older[i]
	p.skip = skipNone
	p.nOlder = copy(p.older[:], p.older[i+1:p.nOlder])
}

const (
	positionVersion = 1

	flagSkipLine = 1 << 0
	flagSkipNUL  = 1 << 1
	flagGzip     = 1 << 2
	flagDone     = 1 << 3
	flagEnds     = 1 << 5
	flagStart    = 1 << 4 // not of a file: "this input was started before"

	startKey = "started"
)

var errPosition = errors.New("damaged position")

// appendTo encodes the place: version, flags, then varints and digests in the order of the struct.
func (p *place) appendTo(b []byte) []byte {
	flags := byte(0)
	switch p.skip {
	case skipLine:
		flags |= flagSkipLine
	case skipNUL:
		flags |= flagSkipNUL
	}
	if p.gzip {
		flags |= flagGzip
	}
	if p.done {
		flags |= flagDone
	}
	var ends []lineEnd
	if p.mark.off <= endsReach {
		ends = p.lineEnds()
	}
	if len(ends) > 0 {
		flags |= flagEnds
	}
	b = append(b, positionVersion, flags)
	b = binary.AppendUvarint(b, p.id.dev)
	b = binary.AppendUvarint(b, p.id.ino)
	b = binary.AppendUvarint(b, uint64(p.fp.n))
	b = append(b, p.fp.sum[:]...)
	b = binary.AppendUvarint(b, uint64(p.born))
	b = binary.AppendUvarint(b, uint64(p.btime))
	b = binary.AppendUvarint(b, p.boot)
	b = appendMark(b, p.mark)
	b = append(b, byte(p.nOlder))
	for _, m := range p.older[:p.nOlder] {
		b = appendMark(b, m)
	}
	b = appendText(b, p.path)
	origin := p.origin
	if origin == p.path {
		origin = ""
	}
	b = appendText(b, origin)
	if len(ends) > 0 {
		b = binary.AppendUvarint(b, uint64(len(ends)))
		for _, e := range ends {
			b = append(binary.AppendUvarint(b, uint64(e.n)), e.sum[:]...)
		}
	}
	return b
}

func appendMark(b []byte, m mark) []byte {
	b = binary.AppendUvarint(b, uint64(m.off))
	b = append(b, byte(m.n))
	return append(b, m.sum[:]...)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decodePlace reads what appendTo wrote. It trusts nothing.
func decodePlace(b []byte) (p place, err error) {
	d := decoder{b: b}
	version, flags := d.byte(), d.byte()
	if d.bad || version != positionVersion {
		return p, errPosition
	}
	switch {
	case flags&flagSkipLine != 0:
		p.skip = skipLine
	case flags&flagSkipNUL != 0:
		p.skip = skipNUL
	}
	p.gzip, p.done = flags&flagGzip != 0, flags&flagDone != 0
	p.id = fileID{d.uvarint(), d.uvarint()}
	n := d.uvarint()
	copy(p.fp.sum[:], d.bytes(len(p.fp.sum)))
	p.born = int64(d.uvarint())
	p.btime = int64(d.uvarint())
	p.boot = d.uvarint()
	p.mark = d.mark()
	p.nOlder = min(int(d.byte()), maxMarks)
	for i := range p.nOlder {
		p.older[i] = d.mark()
	}
	p.path = d.text()
	p.origin = d.text()
	if p.origin == "" {
		p.origin = p.path
	}
	if flags&flagEnds != 0 {
		count := d.uvarint()
		d.bad = d.bad || count > maxLineEnds
		for range min(count, maxLineEnds) {
			e := lineEnd{n: int(min(d.uvarint(), maxBuffer))}
			copy(e.sum[:], d.bytes(len(e.sum)))
			p.ends = append(p.ends, e)
		}
	}
	if d.bad || n > maxBuffer || len(d.b) != 0 {
		return place{}, errPosition
	}
	p.fp.n = int(n)
	return p, nil
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return ""
	}
	return string(d.bytes(int(n)))
}

func (d *decoder) mark() mark {
	m := mark{off: int64(d.uvarint()), n: int(d.byte())}
	copy(m.sum[:], d.bytes(len(m.sum)))
	if m.off < 0 || m.n > tailLen || int64(m.n) > m.off {
		d.bad = true
	}
	return m
}

// bootID is a number that is new after every boot of the machine.
var bootID = sync.OnceValue(func() uint64 {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	s := sha256.Sum256([]byte(strings.TrimSpace(string(b))))
	return binary.LittleEndian.Uint64(s[:])
})
