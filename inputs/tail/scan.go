package tail

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// hold is a copy of a file that is still followed: what it holds is read through the original. When the original is
// truncated or gone the copy takes its place.
type hold struct {
	of          *source
	size, mtime int64
	short       bool   // it ends before what was read of the original
	seen        uint64 // the last scan that found it
}

// found is a path that a glob matched.
type found struct {
	path string
	info info
}

// scan compares what the globs match with what is followed, in this order: files that are known by inode; files that
// lost their path, which may be under another name, copied or compressed; files that are new.
func (t *Tailer) scan(ctx context.Context, emit Emit) error {
	t.scanNo++
	t.scanNow = false
	t.peeked, t.listed = make(map[string]peek), make(map[string][]entry)
	if err := t.recordStart(ctx, emit); err != nil {
		return err
	}
	matches := t.matches()
	var unknown []found
	for _, path := range matches {
		in, err := statPath(path)
		if err != nil {
			if !isGone(err) {
				t.problem(path, fmt.Errorf("look at %s: %w", path, err))
			}
			continue
		}
		if s := t.byID[in.id]; s != nil {
			t.matched(s, path, in)
		} else if err := t.open.refuse(in); err != nil {
			t.problem(path, fmt.Errorf("open %s: %w", path, err))
		} else if !t.recognize(path, in) {
			unknown = append(unknown, found{path, in})
		}
	}
	t.findMissing()
	t.admitAll(unknown)
	t.forgetProblems(matches)
	for id, h := range t.held {
		if h.seen != t.scanNo {
			delete(t.held, id)
		}
	}
	t.peeked, t.listed = nil, nil
	return nil
}

// recordStart puts on record, at the very first start, that there was one: with From = End it decides what is new.
func (t *Tailer) recordStart(ctx context.Context, emit Emit) error {
	if t.cfg.From != End || t.started {
		return nil
	}
	t.started = true
	return t.emitUnlocked(ctx, emit, &Chunk{Key: startKey, Position: []byte{positionVersion, flagStart}})
}

// matches lists the paths that the globs name, each once, and tells the notifier where they are.
func (t *Tailer) matches() []string {
	var out []string
	dirs := make(map[string]bool)
	for _, glob := range t.cfg.Paths {
		dirs[fixedDir(glob)] = true
		paths, _ := filepath.Glob(glob) // the pattern was checked
		if len(paths) == 0 {
			t.globProblem(glob)
		}
		for _, p := range paths {
			if !t.excluded(p) {
				dirs[filepath.Dir(p)] = true
				out = append(out, p)
			}
		}
	}
	t.notes.watch(dirs)
	slices.Sort(out)
	return slices.Compact(out)
}

// globProblem tells of a directory that cannot be listed; Glob itself keeps silent about it.
func (t *Tailer) globProblem(glob string) {
	dir := fixedDir(glob)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		t.problem(glob, nil)
		return
	}
	t.problem(glob, fmt.Errorf("list directory %s: %w", dir, err))
}

// forgetProblems ends the problems of paths that are not there any more.
func (t *Tailer) forgetProblems(matches []string) {
	for path := range t.problems {
		_, is := slices.BinarySearch(matches, path)
		if !is && !slices.Contains(t.cfg.Paths, path) && !slices.ContainsFunc(t.live, func(s *source) bool { return s.path == path }) {
			t.problem(path, nil)
		}
	}
}

func (t *Tailer) excluded(path string) bool {
	for _, glob := range t.cfg.Exclude {
		name := path
		if !strings.Contains(glob, "/") {
			name = filepath.Base(path)
		}
		if ok, _ := filepath.Match(glob, name); ok {
			return true
		}
	}
	return false
}

func (t *Tailer) wants(path string) bool {
	for _, glob := range t.cfg.Paths {
		if ok, _ := filepath.Match(glob, path); ok {
			return !t.excluded(path)
		}
	}
	return false
}

// matched notes that a followed file is at path.
func (t *Tailer) matched(s *source, path string, in info) {
	if s.matched == t.scanNo && s.path != path {
		return // a second name of the same file, a link for example
	}
	s.matched, s.misses, s.path = t.scanNo, 0, path
	if s.done {
		if in.size != s.size || in.mtime != s.mtime {
			s.done, s.check, s.size = false, true, -1 // another file in this inode
		}
		return
	}
	s.state = Following
}

// recognize binds a file of an earlier run that is still in the inode it had.
func (t *Tailer) recognize(path string, in info) bool {
	var best *source
	for _, s := range t.gone {
		if s.id.ino != in.id.ino || best != nil && best.born > s.born {
			continue
		}
		// Device numbers may change with a boot; then the content alone has to convince.
		if s.id.dev != in.id.dev && s.fp.n < t.cfg.FingerprintSize {
			continue
		}
		if t.fits(s, path, in.id) == fitsWhole {
			best = s
		}
	}
	if best == nil {
		return false
	}
	t.bind(best, path, in, best.gzip)
	t.matched(best, path, in)
	return true
}

// bind makes s the file at path. With another inode or name than on record the position is emitted anew.
func (t *Tailer) bind(s *source, path string, in info, gzip bool) {
	t.closeSource(s)
	if t.byID[s.id] == s {
		delete(t.byID, s.id)
	}
	if s.id != in.id || s.gzip != gzip {
		s.announce = true
	}
	s.id, s.path, s.gzip = in.id, path, gzip
	s.size, s.mtime, s.check, s.misses, s.lost = -1, 0, true, 0, false
	if s.done {
		s.size, s.mtime = in.size, in.mtime
	}
	s.state, s.matched, s.buried, s.reborn = Rotated, t.scanNo, false, false
	s.btime = 0 // taken when it is opened
	t.byID[in.id] = s
	delete(t.held, in.id)
	if !slices.Contains(t.live, s) {
		t.live = append(t.live, s)
	}
	delete(t.gone, s.key)
}

// bury ends a file. What is known of it is kept for a while, as a copy of it may turn up.
func (t *Tailer) bury(s *source) {
	t.closeSource(s)
	if t.byID[s.id] == s {
		delete(t.byID, s.id)
	}
	if i := slices.Index(t.live, s); i >= 0 {
		t.live = slices.Delete(t.live, i, i+1)
	}
	s.buried, s.lost = true, false
	if len(t.gone) >= maxTombstones {
		var oldest *source
		for _, g := range t.gone {
			if oldest == nil || g.born < oldest.born {
				oldest = g
			}
		}
		delete(t.gone, oldest.key)
	}
	t.gone[s.key] = s
}

// findMissing looks for the files that no glob matched in this scan.
func (t *Tailer) findMissing() {
	for _, s := range slices.Clone(t.live) {
		if s.matched == t.scanNo {
			continue
		}
		if s.fd >= 0 {
			t.orphan(s)
			continue
		}
		_, err := t.look(s)
		switch {
		case err == nil:
			t.orphan(s)
		case !isGone(err):
			t.problem(s.path, fmt.Errorf("look at %s: %w", s.path, err))
		case s.done:
			t.bury(s)
		case !t.locate(s):
			t.missed(s)
		}
	}
	for _, s := range t.gone {
		if !s.lost {
			continue
		}
		s.lost = false
		if s.done || !t.wants(s.origin) && !t.wants(s.path) || !t.locate(s) {
			s.buried = true
		}
	}
}

// missed counts a file that was found nowhere. It may just be on its way to another name, so it gets three scans.
func (t *Tailer) missed(s *source) {
	if s.misses++; s.misses < 3 {
		t.scanNow = t.scanNow || s.misses == 1
		return
	}
	if unread := s.size - s.mark.off; unread > 0 && !s.gzip {
		t.log.Warn("file is gone before it was read to its end", "path", s.path, "unread", unread)
		t.problem(s.path, fmt.Errorf("read %s: the file is gone and its last %d bytes were not read", s.path, unread))
	}
	t.bury(s)
}

// orphan goes on with a file that has another name now, or none: its writer may still hold it.
func (t *Tailer) orphan(s *source) {
	if s.done || s.state == Deleted {
		return
	}
	s.state = Rotated
	if s.fd < 0 {
		return
	}
	if in, err := statFD(s.fd); err == nil && in.nlink == 0 {
		s.state = Deleted
	} else if name, ok := nameOf(s.fd); ok {
		s.path = name
	}
}

// replaced is for a file whose inode holds another content now: it was truncated, or removed and its inode used
// again. The old generation goes on in its copy, if there is one. What the inode holds now is for the next scan to
// judge, like any unknown file: it may itself be a copy.
func (t *Tailer) replaced(old *source) {
	t.log.Info("file was truncated or replaced", "path", old.path, "read", old.mark.off)
	rotated := old.state == Rotated && !old.reborn && old.fd >= 0 && !old.gzip
	path, id := old.path, old.id
	t.bury(old)
	if rotated {
		// No glob may name it, so the scan would not find it.
		next := t.newSource(path, info{id: id})
		next.state = Rotated
		t.enqueue(next)
	}
	t.scanNow = true
	// A copy is complete before its original is truncated. What this scan saw earlier may be half of it.
	clear(t.peeked)
	clear(t.listed)
	if t.locate(old) {
		t.enqueue(old)
	}
}

func (t *Tailer) admitAll(unknown []found) {
	if len(unknown) == 0 {
		return
	}
	kin := t.families()
	for _, f := range unknown {
		t.admit(f, kin)
	}
}

// admit begins to follow a file that no one knew, unless it is a copy of one that is known.
func (t *Tailer) admit(f found, kin *families) {
	if s := t.byID[f.info.id]; s != nil {
		t.matched(s, f.path, f.info)
		return
	}
	if h, ok := t.held[f.info.id]; ok && h.size == f.info.size && h.mtime == f.info.mtime && (!h.of.buried || h.short) {
		h.seen = t.scanNo
		t.held[f.info.id] = h
		return
	}
	p := t.peek(f.path)
	if p.err != nil {
		if !isGone(p.err) {
			t.problem(f.path, fmt.Errorf("open %s: %w", f.path, p.err))
		}
		return
	}
	t.problem(f.path, nil)
	f.info = p.info
	if t.byID[f.info.id] == nil && t.isCopy(f, p, kin) {
		return
	}
	if s := t.byID[f.info.id]; s != nil {
		t.matched(s, f.path, f.info)
		return
	}
	delete(t.held, f.info.id)
	s := t.newSource(f.path, f.info)
	s.gzip = p.gzip
	kin.add(s)
	if t.cfg.From == End && t.first && t.scanNo == 1 {
		t.skipToEnd(s, f.info)
	}
}

// skipToEnd sets s to the end of its file. An unfinished line there is not begun in its middle.
func (t *Tailer) skipToEnd(s *source, in info) {
	s.announce = true
	if s.gzip {
		s.done, s.state, s.size, s.mtime = true, Finished, in.size, in.mtime
		t.queue = append(t.queue, s)
		s.queued = true
		return
	}
	if err := t.openSource(s); err != nil {
		return // told at the next poll; it then begins at its start, which loses nothing
	}
	b := make([]byte, min(in.size, tailLen))
	n, err := preadFull(s.fd, b, in.size-int64(len(b)))
	if err != nil || n < len(b) {
		return
	}
	s.mark = markAt(in.size, b)
	if n > 0 && b[n-1] != '\n' {
		s.skip = skipLine
	}
}
