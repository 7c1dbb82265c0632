package buffer

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/gatebook/gatebook/internal/fsx"
)

// scanResult is what a walk over one segment found.
type scanResult struct {
	end    int64 // end of the last whole block, or start where there is none
	items  uint64
	blocks int
	bad    []span // stretches without a whole block, the one after the last block included
	synced int64  // the segment had been fsynced up to here, as its own blocks tell
	next   uint64 // highest sequence plus one
	marks  []mark
}

// scan walks the whole blocks of a segment between start and size, looking for the next one after any damage.
// fn may be nil; what it is given is valid during the call.
func (l *Log) scan(f fsx.File, segNo uint64, start, size int64, fn func(h *blockHeader, body []byte) error) (*scanResult, error) {
	w := &window{f: f, size: size}
	r := &scanResult{end: start, synced: start}
	tmp := &segment{}
	for pos := start; pos < size; {
		h, body, err := l.wholeBlock(w, segNo, pos)
		if isVersion(err) {
			return nil, fmt.Errorf("read segment %d at offset %d: %w", segNo, pos, err)
		}
		if err != nil {
			to := l.nextMagic(w, pos+1)
			if n := len(r.bad); n > 0 && r.bad[n-1].to == pos {
				r.bad[n-1].to = to
			} else {
				r.bad = append(r.bad, span{pos, to})
			}
			pos = to
			continue
		}
		tmp.addMark(pos, r.items)
		if fn != nil {
			if err := fn(&h, body); err != nil {
				return nil, err
			}
		}
		pos += h.size()
		r.end = pos
		r.blocks++
		r.items += uint64(h.count)
		r.synced = max(r.synced, min(h.synced, h.offset))
		r.next = max(r.next, h.first+uint64(h.count))
	}
	r.marks = tmp.marks
	return r, nil
}

// wholeBlock checks the block at pos; the body is only valid until the window moves.
func (l *Log) wholeBlock(w *window, segNo uint64, pos int64) (h blockHeader, body []byte, err error) {
	if err = h.parse(w.at(pos, blockHeaderSize), l.seed, segNo, pos); err != nil {
		return h, nil, err
	}
	if pos+h.size() > w.size {
		return h, nil, errBounds
	}
	body = w.at(pos+blockHeaderSize, int(h.bodySize()))
	if int64(len(body)) != h.bodySize() {
		return h, nil, errBounds
	}
	if crc32.Update(l.seed, castagnoli, body) != h.bodyCRC {
		return h, nil, errChecksum
	}
	return h, body, nil
}

// nextMagic returns the offset of the next magic at or after pos, or the window's end.
func (l *Log) nextMagic(w *window, pos int64) int64 {
	for pos < w.size {
		chunk := w.at(pos, windowSize)
		if len(chunk) == 0 {
			break
		}
		if i := bytes.Index(chunk, []byte(blockMagic)); i >= 0 {
			return pos + int64(i)
		}
		if len(chunk) < len(blockMagic) {
			break
		}
		pos += int64(len(chunk) - len(blockMagic) + 1)
	}
	return w.size
}

// applyPositions puts a block's position section into the table.
func (l *Log) applyPositions(h *blockHeader, body []byte) error {
	section := body[len(body)-h.positions:]
	err := eachPosition(section, h.nPos, l.setPosition)
	if err != nil {
		return &CorruptionError{Segment: h.segment, Offset: h.offset, Err: err}
	}
	return nil
}

func (l *Log) setPosition(key, value []byte, updated int64) {
	if len(value) == 0 {
		delete(l.positions, string(key))
		return
	}
	e := l.positions[string(key)]
	if e == nil {
		e = &posEntry{}
		l.positions[string(key)] = e
	}
	e.value = append(e.value[:0], value...)
	e.updated = updated
}

// quarantineLimit bounds what the quarantine folder takes in one process; damage beyond it is counted only.
const quarantineLimit = 256 << 20

// quarantine copies a damaged stretch aside, named by segment and offset. That the copy fails is not a reason
// to stop: the damaged bytes stay in the segment.
func (l *Log) quarantine(f fsx.File, segNo uint64, s span) {
	name := filepath.Join(l.o.Dir, "quarantine", fmt.Sprintf("%020d-%d.bad", segNo, s.from))
	l.o.Logger.Error("buffer damaged: bytes without a whole block set aside", "segment", segNo, "offset", s.from, "bytes", s.to-s.from, "file", name)
	l.quarantined.Add(1)
	l.quarantinedBytes.Add(s.to - s.from)
	if _, err := l.o.FS.Size(name); err == nil || l.quarantinedBytes.Load() > quarantineLimit {
		return
	}
	if err := l.copyOut(f, name, s); err != nil {
		l.o.Logger.Error("copy of damaged buffer bytes failed", "file", name, "err", err)
		_ = l.o.FS.Remove(name)
	}
}

func (l *Log) copyOut(f fsx.File, name string, s span) error {
	if err := l.o.FS.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	out, err := l.o.FS.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	w := &window{f: f, size: s.to}
	for pos := s.from; pos < s.to; {
		chunk := w.at(pos, windowSize)
		if len(chunk) == 0 {
			break
		}
		if _, err := out.WriteAt(chunk, pos-s.from); err != nil {
			return err
		}
		pos += int64(len(chunk))
	}
	return out.Sync()
}
