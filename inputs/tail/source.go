package tail

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

type flushLevel uint8

const (
	flushNothing flushLevel = iota
	flushGroup              // close an unfinished multiline group
	flushAll                // and take a last line without newline
)

// source is one generation of one file: what was written to it between its creation, or a truncation, and its end.
type source struct {
	place
	key   string
	state State
	fd    int // -1: closed
	gz    *gzStream

	size, mtime int64 // as last seen; -1: never
	lastChange  time.Time
	check       bool // compare the fingerprint before reading on
	queued      bool
	announce    bool // the identity changed: the position has to be emitted even without lines
	matched     uint64
	misses      int
	lastUse     uint64
	flush       flushLevel
	flushed     flushLevel // what was tried at flushedSize
	flushedSize int64
	restored    bool // from an earlier run and not compared with a file yet
	lost        bool // from an earlier run and not looked for yet
	buried      bool
	recorded    bool // a position of it was emitted
	reborn      bool // the inode belongs to a file that was created later
}

func (t *Tailer) newSource(path string, in info) *source {
	var id [8]byte
	rand.Read(id[:]) // never fails
	s := &source{
		key: strconv.FormatUint(in.id.ino, 16) + "-" + hex.EncodeToString(id[:]),
		fd:  -1, size: -1, check: true, state: Following, matched: t.scanNo,
	}
	s.place = place{id: in.id, born: t.now().UnixNano(), path: path, origin: path}
	t.byID[in.id] = s
	t.live = append(t.live, s)
	return s
}

// poll looks at the size of the files. Files that were silent for long are looked at only where full is set.
func (t *Tailer) poll(now time.Time, full bool) {
	var silent []*source
	for _, s := range t.live {
		if s.done || (!full && s.flush == flushNothing && now.Sub(s.lastChange) > 10*time.Second && s.size <= s.mark.off && !t.notes.hinted(s.path)) {
			continue
		}
		if !t.pollSource(s, now, full) {
			silent = append(silent, s)
		}
	}
	for _, s := range silent {
		t.bury(s)
	}
}

// pollSource returns false where the file is over.
func (t *Tailer) pollSource(s *source, now time.Time, full bool) bool {
	in, err := t.look(s)
	if err != nil {
		if isGone(err) {
			t.scanNow = t.scanNow || s.misses == 0
		} else {
			t.problem(s.path, err)
		}
		return true
	}
	if s.fd >= 0 && in.nlink == 0 {
		s.state = Deleted
	}
	if in.size != s.size || in.mtime != s.mtime {
		if s.size < 0 && time.Unix(0, in.mtime).Before(now) {
			s.lastChange = time.Unix(0, in.mtime)
		} else {
			s.lastChange = now
		}
		s.size, s.mtime, s.check = in.size, in.mtime, true
		t.enqueue(s)
		return true
	}
	if full && t.problems[s.path] != "" {
		t.enqueue(s)
	}
	idle := now.Sub(s.lastChange)
	if level := t.flushDue(s, idle); level > flushNothing && (s.flushedSize != s.size || s.flushed < level) {
		s.flush = level
		t.enqueue(s)
		return true
	}
	switch {
	case s.queued:
	case s.state == Deleted && idle >= t.cfg.CloseRemovedAfter:
		return false
	case s.state == Rotated && idle >= forgetRotated:
		return false
	case s.fd >= 0 && s.state != Deleted && idle >= t.cfg.CloseInactive:
		t.closeSource(s)
	}
	return true
}

// look returns the present state of the file, by descriptor or by path.
func (t *Tailer) look(s *source) (info, error) {
	if s.fd >= 0 {
		return statFD(s.fd)
	}
	in, err := statPath(s.path)
	if err == nil && in.id != s.id {
		err = unix.ENOENT
	}
	return in, err
}

// flushDue says what of an unfinished end may be taken after this silence.
func (t *Tailer) flushDue(s *source, idle time.Duration) flushLevel {
	if s.gzip || s.size <= s.mark.off {
		return flushNothing
	}
	wait := t.cfg.PartialTimeout
	if wait <= 0 && s.state != Following {
		wait = rotatedGrace
	}
	switch {
	case wait > 0 && idle >= wait:
		return flushAll
	case t.cfg.Multiline != nil && idle >= t.cfg.Multiline.Timeout:
		return flushGroup
	}
	return flushNothing
}

// serve reads one chunk of s. again asks for another turn; the error is the one of emit.
func (t *Tailer) serve(ctx context.Context, s *source, emit Emit) (again bool, err error) {
	if s.buried {
		return false, nil
	}
	if s.done {
		if s.announce {
			s.announce = false
			return false, t.emitPosition(ctx, s, emit)
		}
		return false, nil
	}
	if err := t.openSource(s); err != nil {
		if isGone(err) {
			t.scanNow = t.scanNow || s.misses == 0
		} else {
			t.problem(s.path, fmt.Errorf("open %s: %w", s.path, err))
		}
		return false, nil
	}
	if s.check {
		same, err := t.verify(s)
		if err != nil {
			t.problem(s.path, fmt.Errorf("read %s: %w", s.path, err))
			return false, nil
		}
		if !same {
			t.replaced(s)
			return false, nil
		}
		s.check = false
	}
	t.problem(s.path, nil)
	if s.announce {
		s.announce = false
		if err := t.emitPosition(ctx, s, emit); err != nil {
			return false, err
		}
	}
	return t.readChunk(ctx, s, emit)
}

// openSource makes sure that s has a descriptor of its own file.
func (t *Tailer) openSource(s *source) error {
	t.use++
	s.lastUse = t.use
	if s.fd >= 0 {
		return nil
	}
	t.makeRoom()
	fd, in, err := t.open.open(s.path)
	if err != nil {
		return err
	}
	if in.id != s.id {
		unix.Close(fd)
		return unix.ENOENT
	}
	s.fd, s.check = fd, true
	t.opened++
	if s.gzip {
		s.gz = &gzStream{fd: fd}
	}
	if s.otherBirth(in) {
		s.reborn = true
	} else {
		s.btime = in.btime
	}
	return nil
}

// makeRoom closes the file that was served longest ago. One that has no name any more could not be opened again, so
// it goes last.
func (t *Tailer) makeRoom() {
	for t.opened >= t.cfg.MaxOpen {
		var victim *source
		for _, s := range t.live {
			if s.fd < 0 {
				continue
			}
			if victim == nil || (s.state == Deleted) != (victim.state == Deleted) && victim.state == Deleted ||
				(s.state == Deleted) == (victim.state == Deleted) && s.lastUse < victim.lastUse {
				victim = s
			}
		}
		if victim == nil {
			return
		}
		if in, err := statFD(victim.fd); err == nil && in.nlink == 0 && victim.state != Deleted {
			victim.state = Deleted // unlinked since the last look: choose again
			continue
		}
		t.closeSource(victim)
	}
}

func (t *Tailer) closeSource(s *source) {
	if s.fd < 0 {
		return
	}
	if s.state != Following {
		if name, ok := nameOf(s.fd); ok {
			s.path = name
		}
	}
	unix.Close(s.fd)
	s.fd, s.gz = -1, nil
	t.opened--
}

// readAt reads the (decompressed) stream; short counts mean its present end.
func (s *source) readAt(p []byte, off int64) (int, error) {
	if s.gz != nil {
		return s.gz.readAt(p, off)
	}
	return preadFull(s.fd, p, off)
}

// verify compares the file with what is known of it and lets the fingerprint grow. False: it is another content.
func (t *Tailer) verify(s *source) (bool, error) {
	if s.reborn {
		return false, nil
	}
	prefix := t.buf[:min(max(t.cfg.FingerprintSize, s.fp.n), len(t.buf))]
	n, err := s.readAt(prefix, 0)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	prefix = prefix[:n]
	if !s.fp.fits(prefix) {
		return false, nil
	}
	ok, err := s.holds(s.mark)
	if err == nil && !ok && s.restored && s.boot != bootID() {
		ok = s.cutBack()
	}
	if ok {
		if n := max(min(len(prefix), t.cfg.FingerprintSize), s.fp.n); n != len(s.head) {
			s.setPrint(prefix[:n])
		}
		s.restored, s.boot = false, bootID()
	}
	return ok, err
}

// holds says whether the file still has the bytes that were read before m.
func (s *source) holds(m mark) (bool, error) {
	var b [tailLen]byte
	n, err := s.readAt(b[:m.n], m.off-int64(m.n))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return m.fits(b[:n]), nil
}

// cutBack goes to the youngest older mark that the file still has. The machine went down since: what was read of the
// file had not reached the disk.
func (s *source) cutBack() bool {
	for i := range s.nOlder {
		if ok, err := s.holds(s.older[i]); ok && err == nil {
			s.fallBack(i)
			return true
		}
	}
	return false
}

// readChunk reads, splits and emits one chunk, and moves the position once it was taken.
func (t *Tailer) readChunk(ctx context.Context, s *source, emit Emit) (again bool, err error) {
	back := s.mark.n
	n, rerr := s.readAt(t.buf, s.mark.off-int64(back))
	if rerr != nil && !errors.Is(rerr, io.ErrUnexpectedEOF) {
		t.problem(s.path, fmt.Errorf("read %s: %w", s.path, rerr))
		return false, nil
	}
	if n < back || !s.mark.fits(t.buf[:back]) {
		t.replaced(s)
		return false, nil
	}
	next := s.place
	if s.mark.off == int64(back) {
		// This read is from the first byte on: take the fingerprint from the very bytes that are emitted, as the file
		// may have grown, or been truncated, since it was compared.
		if !next.fp.fits(t.buf[:n]) {
			t.replaced(s)
			return false, nil
		}
		if most := min(n, t.cfg.FingerprintSize); most > next.fp.n {
			next.setPrint(t.buf[:most])
		}
	}
	full := n == len(t.buf)
	level := s.flush
	if s.gzip && rerr == nil && !full {
		level = flushAll // nothing is ever appended to a complete compressed file
	}
	if full {
		level = flushNothing
	}
	data := t.buf[back:n]
	lines, taken, skip := t.split.split(data, s.mark.off, s.skip, level >= flushGroup, level == flushAll, t.lines[:0])
	t.lines = lines
	full = full || len(lines) >= maxChunkLines // there is more in hand
	if !full {
		s.flushed, s.flushedSize, s.flush = level, s.size, flushNothing
	}
	if taken > 0 || skip != s.skip {
		next.skip = skip
		next.advance(markAt(s.mark.off+int64(taken), t.buf[:back+taken]))
		if err := t.emitChunk(ctx, s, &next, data[:taken], emit); err != nil {
			return false, err
		}
		s.place, s.recorded = next, true
	} else if !s.recorded && s.fp.n > 0 {
		// Nothing to emit yet, but if the file is rotated while we are down this is how we know it again.
		s.recorded = true
		if err := t.emitPosition(ctx, s, emit); err != nil {
			return false, err
		}
	}
	if s.gzip && !full {
		return false, t.endOfGzip(ctx, s, rerr == nil, emit)
	}
	return full, nil
}

// endOfGzip lets go of a compressed file at its end, and puts that on record so that it need not be decompressed
// again to find nothing. One that is not complete is tried again when it changes.
func (t *Tailer) endOfGzip(ctx context.Context, s *source, complete bool, emit Emit) error {
	t.closeSource(s)
	if !complete {
		t.problem(s.path, fmt.Errorf("read %s: %w", s.path, errIncomplete))
		return nil
	}
	s.state, s.done = Finished, true
	return t.emitPosition(ctx, s, emit)
}

func (t *Tailer) emitChunk(ctx context.Context, s *source, next *place, data []byte, emit Emit) error {
	c := Chunk{Path: s.path, Key: s.key, Size: len(data)}
	if len(t.lines) > 0 {
		first, last := t.lines[0].Start, t.lines[len(t.lines)-1].End
		c.Text = string(data[first:last])
		if first > 0 {
			for i := range t.lines {
				t.lines[i].Start -= first
				t.lines[i].End -= first
			}
		}
		c.Lines = t.lines
	}
	c.Position = next.appendTo(make([]byte, 0, 192+2*len(s.path)))
	return t.emitUnlocked(ctx, emit, &c)
}

func (t *Tailer) emitPosition(ctx context.Context, s *source, emit Emit) error {
	return t.emitUnlocked(ctx, emit, &Chunk{Path: s.path, Key: s.key, Position: s.appendTo(nil)})
}
