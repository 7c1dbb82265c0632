package buffer

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/gatebook/gatebook/internal/fsx"
)

// Open opens the log in o.Dir, or makes it, and repairs what a crash or a disk left behind.
func Open(o Options) (*Log, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	l := newLog(o)
	if err := l.open(); err != nil {
		if l.lock != nil {
			l.lock.Close()
		}
		return nil, fmt.Errorf("open buffer %s: %w", o.Dir, err)
	}
	go l.run()
	return l, nil
}

func (l *Log) open() error {
	if err := l.o.FS.MkdirAll(filepath.Join(l.o.Dir, "cursors"), 0o700); err != nil {
		return err
	}
	lock, err := l.o.FS.Lock(filepath.Join(l.o.Dir, "lock"))
	if errors.Is(err, fsx.ErrLocked) {
		return fmt.Errorf("%w: another Gatebook runs on this directory", err)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	l.lock = lock
	heads, err := l.listSegments()
	if err != nil {
		return err
	}
	if err := l.loadID(heads); err != nil {
		return err
	}
	if err := l.loadCursors(); err != nil {
		return err
	}
	if err := l.loadSegments(heads); err != nil {
		return err
	}
	l.expirePositions()
	for k, e := range l.positions {
		l.tableSize += int64(14 + len(k) + len(e.value))
	}
	l.settleCursors()
	l.openBallast()
	return nil
}

// headOf is what Open learns of one segment file before reading its blocks.
type headOf struct {
	n     uint64
	f     fsx.File
	size  int64
	h     *segmentHeader // nil: damaged
	table []byte
}

func (l *Log) listSegments() ([]*headOf, error) {
	names, err := l.o.FS.ReadDir(l.o.Dir)
	if err != nil {
		return nil, err
	}
	var heads []*headOf
	for _, name := range names {
		n, ok := parseSegmentName(name)
		if !ok {
			continue
		}
		f, size, err := l.openSegmentAs(n, os.O_RDWR)
		if err != nil {
			return nil, err
		}
		s := &headOf{n: n, f: f, size: size}
		s.h, s.table, err = readSegmentHead(f, l.segmentPath(n), size)
		if isVersion(err) {
			return nil, err
		}
		if err != nil || s.h.segment != n {
			s.h, s.table = nil, nil
		}
		heads = append(heads, s)
	}
	slices.SortFunc(heads, func(a, b *headOf) int { return int(int64(a.n) - int64(b.n)) })
	return heads, nil
}

// loadID finds the log's identity: in its file, else in a segment; else it makes one.
func (l *Log) loadID(heads []*headOf) error {
	path := filepath.Join(l.o.Dir, "id")
	buf := make([]byte, idFileSize+24)
	have := false
	f, err := l.o.FS.OpenFile(path, os.O_RDONLY, 0)
	if err == nil {
		n, _ := f.ReadAt(buf, 0)
		f.Close()
		err = checkHeader(buf[:n], idMagic, idFileSize, 0, path)
		if isVersion(err) {
			return err
		}
		if have = err == nil; have {
			copy(l.id[:], buf[12:28])
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read id: %w", err)
	}
	for _, s := range heads {
		if s.h == nil {
			continue
		}
		if !have {
			l.id, have = s.h.id, true
			l.o.Logger.Warn("buffer identity restored from a segment", "dir", l.o.Dir, "segment", s.n)
			break
		}
	}
	known := have && err == nil
	if !have {
		if _, err := rand.Read(l.id[:]); err != nil {
			return err
		}
		if len(heads) > 0 {
			l.o.Logger.Error("buffer identity lost: what the segments hold cannot be read", "dir", l.o.Dir, "segments", len(heads))
		}
	}
	l.seed = l.id.seed()
	if known {
		return nil
	}
	return l.writeID(path)
}

func (l *Log) writeID(path string) error {
	buf := make([]byte, idFileSize)
	copy(buf[12:], l.id[:])
	sealHeader(buf, idMagic, 0)
	f, err := l.o.FS.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("write id: %w", err)
	}
	_, err = f.WriteAt(buf, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = l.o.FS.Rename(path+".new", path)
	}
	if err == nil {
		err = l.o.FS.SyncDir(l.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("write id: %w", err)
	}
	return nil
}

// loadSegments repairs the segments and builds the position table. Segments that a successor vouches for are
// not read: their damage, if any, is found when a reader gets there.
func (l *Log) loadSegments(heads []*headOf) error {
	defer func() {
		for _, s := range heads {
			s.f.Close()
		}
	}()
	type sealed struct {
		end   int64
		items uint64
	}
	seals := map[uint64]sealed{}
	table := -1 // the last segment whose position table is whole
	for i, s := range heads {
		if s.h == nil {
			continue
		}
		if s.h.id != l.id {
			l.o.Logger.Error("segment belongs to another buffer, its blocks are not read", "segment", s.n, "dir", l.o.Dir)
			continue
		}
		table = i
		l.nextSeq = max(l.nextSeq, s.h.nextSeq)
		if p := seals[s.h.prevSegment]; s.h.prevEnd > p.end {
			seals[s.h.prevSegment] = sealed{s.h.prevEnd, s.h.prevItems}
		}
	}
	if table >= 0 {
		h := heads[table]
		l.tableSegment = h.n
		if err := eachPosition(h.table, h.h.tableCount, l.setPosition); err != nil {
			return fmt.Errorf("read positions of segment %d: %w", h.n, err)
		}
	} else if len(heads) > 0 {
		l.o.Logger.Error("no segment has a whole position table: positions are those of the blocks that are left", "dir", l.o.Dir)
	}
	for i, s := range heads {
		seg := &segment{n: s.n, start: segmentHeaderSize, hasHead: s.h != nil}
		if s.h != nil {
			seg.start, seg.created, seg.next = s.h.dataStart(), s.h.created, s.h.nextSeq
		}
		seal, ok := seals[s.n]
		if ok && i < table && seal.end <= s.size && seal.end >= seg.start && s.h != nil {
			seg.end, seg.items = seal.end, seal.items
		} else {
			limit := int64(-1)
			if ok {
				limit = seal.end
			}
			drop, err := l.repair(s, seg, limit, i >= table, i == len(heads)-1)
			if err != nil {
				return err
			}
			if drop {
				continue
			}
		}
		l.nextSeq = max(l.nextSeq, seg.next)
		l.lastSegment = max(l.lastSegment, s.n)
		l.segments = append(l.segments, seg)
		l.bytes += seg.end
	}
	if n := len(heads); n > 0 {
		l.lastSegment = max(l.lastSegment, heads[n-1].n)
	}
	return nil
}

// repair reads a whole segment. sealed is where its successor says it ends, or -1. The last segment's end that
// was never known to be fsynced is cut at the first damage: a later block of the same unfinished write may be
// whole, but its positions would step over the items that are lost. Everywhere else damage is set aside.
func (l *Log) repair(s *headOf, seg *segment, sealed int64, positions, last bool) (drop bool, err error) {
	size := s.size
	if sealed >= 0 {
		size = min(size, sealed)
	}
	res, err := l.scan(s.f, s.n, min(seg.start, size), size, nil)
	if err != nil {
		return false, err
	}
	if s.h == nil {
		if res.blocks == 0 && last && sealed < 0 {
			// The crash came while the segment was begun.
			l.o.Logger.Warn("unfinished segment removed", "segment", s.n)
			return true, l.o.FS.Remove(l.segmentPath(s.n))
		}
		l.quarantine(s.f, s.n, span{0, min(segmentHeaderSize, size)})
	}
	if last && sealed < 0 {
		durable := max(res.synced, l.cursorMark(s.n))
		for i, b := range res.bad {
			if b.from < durable {
				continue
			}
			if err := l.cutTail(s, b.from, res.end); err != nil {
				return false, err
			}
			size = b.from
			res.bad = res.bad[:i]
			break
		}
		if size != s.size || len(res.bad) == 0 {
			size = min(size, s.size)
		}
		if durable > size {
			l.o.Logger.Error("segment is shorter than what had been made durable", "segment", s.n, "offset", size, "missing", durable-size)
		}
	}
	for _, b := range res.bad {
		l.quarantine(s.f, s.n, b)
	}
	var apply func(h *blockHeader, body []byte) error
	if positions {
		apply = l.applyPositions
	}
	if res, err = l.scan(s.f, s.n, min(seg.start, size), size, apply); err != nil {
		return false, err
	}
	// What is read from now on must be on the disk, not only in the page cache that a killed process left.
	if last {
		if err := s.f.Sync(); err != nil {
			return false, fmt.Errorf("sync segment %d: %w", s.n, err)
		}
	}
	seg.end, seg.items, seg.bad, seg.scanned, seg.marks = size, res.items, res.bad, true, res.marks
	seg.next = max(seg.next, res.next)
	seg.start = min(seg.start, seg.end)
	return false, nil
}

// cutTail truncates the torn end of the last segment. Whole blocks beyond the tear are kept in quarantine.
func (l *Log) cutTail(s *headOf, at, lastWhole int64) error {
	l.o.Logger.Warn("torn end of the buffer cut", "segment", s.n, "offset", at, "bytes", s.size-at)
	l.tornBytes.Add(s.size - at)
	if lastWhole > at {
		l.quarantine(s.f, s.n, span{at, s.size})
	}
	if err := s.f.Truncate(at); err != nil {
		return fmt.Errorf("cut torn end of segment %d at %d: %w", s.n, at, err)
	}
	return nil
}

// expirePositions forgets sources that nobody renewed for PositionTTL.
func (l *Log) expirePositions() {
	oldest := l.o.Now().Add(-l.o.PositionTTL).Unix()
	for k, e := range l.positions {
		if e.updated < oldest {
			delete(l.positions, k)
		}
	}
}

// ID returns the random identity of this log directory, in hex, made when the log was.
func (l *Log) ID() string { return hex.EncodeToString(l.id[:]) }

// Reserve takes n sequence numbers and returns the first. Numbers grow over restarts too; gaps are legal.
func (l *Log) Reserve(n int) (first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.nextSeq
	l.nextSeq += uint64(max(n, 0))
	return first
}

// Positions returns a copy of the position table: what the last fsynced block says, per key.
func (l *Log) Positions() map[string][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := make(map[string][]byte, len(l.positions))
	for k, e := range l.positions {
		m[k] = slices.Clone(e.value)
	}
	return m
}

// startPos is where a reader that has seen nothing begins. The zero Pos is the beginning of whatever comes.
// Called with mu held.
func (l *Log) startPos() Pos {
	if len(l.segments) == 0 {
		return Pos{}
	}
	return Pos{l.segments[0].n, l.segments[0].start}
}

// endPos is the end of what is fsynced. Called with mu held.
func (l *Log) endPos() Pos {
	if len(l.segments) == 0 {
		return Pos{}
	}
	s := l.segments[len(l.segments)-1]
	return Pos{s.n, s.end}
}
