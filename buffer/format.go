package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The layout of every structure is in docs/buffer-format.md; the test of the hex example there holds the two together.

const (
	formatVersion = 1

	// 0xf5 never occurs in UTF-8, so that raw documents cannot hold a magic.
	blockMagic   = "\xf5GBK\r\n\x1a\x01"
	segmentMagic = "\xf5GBSEG\r\n"
	cursorMagic  = "\xf5GBCUR\r\n"
	idMagic      = "\xf5GBLOG\r\n"

	blockHeaderSize   = 96
	segmentHeaderSize = 112
	cursorHeaderSize  = 64
	idFileSize        = 32
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian

	errNoMagic  = errors.New("no header here")
	errChecksum = errors.New("checksum does not match")
	errBounds   = errors.New("lengths do not fit")
	errElse     = errors.New("block belongs elsewhere")
)

// logID is the random identity of one log directory. It seeds the checksums of blocks: bytes of an event
// cannot pass for a block, since who writes them does not know it.
type logID [16]byte

func (id logID) seed() uint32 { return crc32.Checksum(id[:], castagnoli) }

// sealHeader puts version, length and checksum into a header whose other fields are set.
func sealHeader(h []byte, magic string, seed uint32) {
	copy(h, magic)
	le.PutUint16(h[8:], formatVersion)
	le.PutUint16(h[10:], uint16(len(h)))
	le.PutUint32(h[len(h)-4:], crc32.Update(seed, castagnoli, h[:len(h)-4]))
}

// checkHeader checks magic, checksum and version, the same way for every structure and every version to come:
// the checksum is the last four bytes of as many as the header says it has.
func checkHeader(h []byte, magic string, size int, seed uint32, file string) error {
	if len(h) < size || string(h[:8]) != magic {
		return errNoMagic
	}
	version, n := int(le.Uint16(h[8:])), int(le.Uint16(h[10:]))
	if n < 32 || n > len(h) {
		return errChecksum
	}
	if crc32.Update(seed, castagnoli, h[:n-4]) != le.Uint32(h[n-4:]) {
		return errChecksum
	}
	if version != formatVersion {
		return &VersionError{File: file, Version: version}
	}
	if n != size {
		return errBounds
	}
	return nil
}

// blockHeader is the decoded form of a block's first 96 bytes.
type blockHeader struct {
	codec     Codec
	segment   uint64
	offset    int64
	synced    int64 // the segment was fsynced up to here before this block was written
	first     uint64
	count     int
	rawSize   int
	docs      int // encoded bytes
	typed     int
	positions int // encoded bytes
	nPos      int
	created   int64 // Unix nanoseconds
	bodyCRC   uint32
}

func (h *blockHeader) bodySize() int64 {
	return 4*int64(h.count) + int64(h.docs) + int64(h.typed) + int64(h.positions)
}
func (h *blockHeader) size() int64 { return blockHeaderSize + h.bodySize() }

func (h *blockHeader) put(b []byte, seed uint32) {
	b[12] = byte(h.codec)
	b[13], b[14], b[15] = 0, 0, 0
	le.PutUint64(b[16:], h.segment)
	le.PutUint64(b[24:], uint64(h.offset))
	le.PutUint64(b[32:], uint64(h.synced))
	le.PutUint64(b[40:], h.first)
	le.PutUint32(b[48:], uint32(h.count))
	le.PutUint32(b[52:], uint32(h.rawSize))
	le.PutUint32(b[56:], uint32(h.docs))
	le.PutUint32(b[60:], uint32(h.typed))
	le.PutUint32(b[64:], uint32(h.positions))
	le.PutUint32(b[68:], uint32(h.nPos))
	le.PutUint64(b[72:], uint64(h.created))
	le.PutUint64(b[80:], 0)
	le.PutUint32(b[88:], h.bodyCRC)
	sealHeader(b[:blockHeaderSize], blockMagic, seed)
}

func (h *blockHeader) parse(b []byte, seed uint32, segment uint64, offset int64) error {
	if err := checkHeader(b, blockMagic, blockHeaderSize, seed, "a block"); err != nil {
		return err
	}
	*h = blockHeader{
		codec: Codec(b[12]), segment: le.Uint64(b[16:]), offset: int64(le.Uint64(b[24:])), synced: int64(le.Uint64(b[32:])),
		first: le.Uint64(b[40:]), count: int(le.Uint32(b[48:])), rawSize: int(le.Uint32(b[52:])), docs: int(le.Uint32(b[56:])),
		typed: int(le.Uint32(b[60:])), positions: int(le.Uint32(b[64:])), nPos: int(le.Uint32(b[68:])),
		created: int64(le.Uint64(b[72:])), bodyCRC: le.Uint32(b[88:]),
	}
	switch {
	case h.segment != segment || h.offset != offset:
		return errElse
	case h.bodySize() > maxBlock || h.rawSize > maxBlock || h.codec > Gzip:
		return errBounds
	}
	return nil
}

// segmentHeader is the decoded form of a segment's first 112 bytes; the position table follows it.
type segmentHeader struct {
	id          logID
	segment     uint64
	nextSeq     uint64
	created     int64
	prevSegment uint64 // the segment before this one, 0: none
	prevEnd     int64  // where it ended, all of it fsynced
	prevItems   uint64 // the items in it
	tableSize   int
	tableCount  int
	tableCRC    uint32
}

func (h *segmentHeader) dataStart() int64 { return segmentHeaderSize + int64(h.tableSize) }

func (h *segmentHeader) put(b []byte) {
	clear(b[:segmentHeaderSize])
	copy(b[16:], h.id[:])
	le.PutUint64(b[32:], h.segment)
	le.PutUint64(b[40:], h.nextSeq)
	le.PutUint64(b[48:], uint64(h.created))
	le.PutUint64(b[56:], h.prevSegment)
	le.PutUint64(b[64:], uint64(h.prevEnd))
	le.PutUint64(b[72:], h.prevItems)
	le.PutUint32(b[80:], uint32(h.tableSize))
	le.PutUint32(b[84:], uint32(h.tableCount))
	le.PutUint32(b[104:], h.tableCRC)
	sealHeader(b[:segmentHeaderSize], segmentMagic, 0)
}

func (h *segmentHeader) parse(b []byte, file string) error {
	if err := checkHeader(b, segmentMagic, segmentHeaderSize, 0, file); err != nil {
		return err
	}
	*h = segmentHeader{
		segment: le.Uint64(b[32:]), nextSeq: le.Uint64(b[40:]), created: int64(le.Uint64(b[48:])), prevSegment: le.Uint64(b[56:]),
		prevEnd: int64(le.Uint64(b[64:])), prevItems: le.Uint64(b[72:]),
		tableSize: int(le.Uint32(b[80:])), tableCount: int(le.Uint32(b[84:])), tableCRC: le.Uint32(b[104:]),
	}
	copy(h.id[:], b[16:32])
	return nil
}

// Limits of one position.
const (
	maxPositionKey   = 1<<16 - 1
	maxPositionValue = 1 << 20
)

// appendPosition adds an entry of a position table.
func appendPosition(b []byte, key string, value []byte, updated int64) []byte {
	b = le.AppendUint16(b, uint16(len(key)))
	b = le.AppendUint32(b, uint32(len(value)))
	b = le.AppendUint64(b, uint64(updated))
	b = append(b, key...)
	return append(b, value...)
}

// eachPosition walks a position table; key and value are only valid during the call.
func eachPosition(b []byte, n int, fn func(key, value []byte, updated int64)) error {
	for range n {
		if len(b) < 14 {
			return errBounds
		}
		k, v, updated := int(le.Uint16(b)), int(le.Uint32(b[2:])), int64(le.Uint64(b[6:]))
		if v > maxPositionValue || len(b) < 14+k+v {
			return errBounds
		}
		fn(b[14:14+k], b[14+k:14+k+v], updated)
		b = b[14+k+v:]
	}
	if len(b) != 0 {
		return fmt.Errorf("%d bytes after the position table: %w", len(b), errBounds)
	}
	return nil
}
