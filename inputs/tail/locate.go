package tail

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// peek is the beginning of a file that is not followed.
type peek struct {
	info   info
	gzip   bool
	prefix []byte // decompressed
	err    error
}

// entry is a regular file in a directory.
type entry struct {
	path string
	info info
}

type fit uint8

const (
	fitsNot   fit = iota
	fitsShort     // begins like it and ends before what was read: a copy made before the last bytes were
	fitsWhole     // begins like it and has the same bytes before the position
)

// peek reads the beginning of the file at path, once in a scan.
func (t *Tailer) peek(path string) peek {
	if p, ok := t.peeked[path]; ok {
		return p
	}
	p := t.peekNow(path)
	if t.peeked != nil {
		t.peeked[path] = p
	}
	return p
}

func (t *Tailer) peekNow(path string) (p peek) {
	t.makeRoom()
	fd, in, err := t.open.open(path)
	if err != nil {
		return peek{info: in, err: err}
	}
	defer unix.Close(fd)
	p = peek{info: in, prefix: make([]byte, min(int64(t.peekSize), in.size))}
	n, err := preadFull(fd, p.prefix, 0)
	p.prefix, p.err = p.prefix[:n], err
	if err == nil && strings.HasSuffix(path, ".gz") && (isGzip(p.prefix) || n == 0) {
		p.gzip = true
		p.prefix = make([]byte, t.peekSize)
		gz := gzStream{fd: fd}
		n, err := gz.readAt(p.prefix, 0)
		p.prefix = p.prefix[:n]
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			p.err = err // damaged
		}
	}
	return p
}

// fits compares the file at path, which must have this id, with what is known of s.
func (t *Tailer) fits(s *source, path string, id fileID) fit {
	p := t.peek(path)
	if p.err != nil || p.info.id != id || s.fp.n == 0 && s.mark.off > 0 || id == s.id && s.otherBirth(p.info) {
		return fitsNot
	}
	if !s.fp.fits(p.prefix) && (id == s.id || !s.beganWith(p.prefix)) {
		return fitsNot
	}
	if s.done {
		return fitsWhole
	}
	if !p.gzip && p.info.size < s.mark.off {
		if s.restored && s.boot != bootID() && t.fitsOlder(s, path, p) {
			return fitsWhole
		}
		return fitsShort
	}
	if f, err := t.fitsAt(path, p, s.mark); err == nil && f != fitsNot {
		return f
	}
	if s.restored && s.boot != bootID() && t.fitsOlder(s, path, p) {
		return fitsWhole
	}
	return fitsNot
}

func (t *Tailer) fitsOlder(s *source, path string, p peek) bool {
	for _, m := range s.older[:s.nOlder] {
		if f, err := t.fitsAt(path, p, m); f == fitsWhole && err == nil {
			return true
		}
	}
	return false
}

// fitsAt says whether the file has the bytes before m. A compressed file tells only when it is read to there that it
// is complete and ends before.
func (t *Tailer) fitsAt(path string, p peek, m mark) (fit, error) {
	fd, in, err := t.open.open(path)
	if err != nil {
		return fitsNot, err
	}
	defer unix.Close(fd)
	if in.id != p.info.id {
		return fitsNot, unix.ENOENT
	}
	tmp := source{fd: fd}
	if p.gzip {
		tmp.gz = &gzStream{fd: fd}
	}
	var b [tailLen]byte
	n, err := tmp.readAt(b[:m.n], m.off-int64(m.n))
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fitsNot, err
	case m.fits(b[:n]):
		return fitsWhole, nil
	case p.gzip && n < m.n && err == nil:
		return fitsShort, nil
	}
	return fitsNot, nil
}

// entries lists the regular files of a directory, once in a scan.
func (t *Tailer) entries(dir string) []entry {
	if l, ok := t.listed[dir]; ok {
		return l
	}
	var out []entry
	names, _ := os.ReadDir(dir) // an unreadable directory holds nothing for us
	for _, de := range names {
		if !de.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, de.Name())
		if in, err := statPath(path); err == nil {
			out = append(out, entry{path, in})
		}
	}
	if t.listed != nil {
		t.listed[dir] = out
	}
	return out
}

// locate looks for a file that is not at its path any more: under another name (by inode), as a copy, or compressed.
func (t *Tailer) locate(s *source) bool {
	dirs := []string{filepath.Dir(s.path)}
	if d := filepath.Dir(s.origin); d != dirs[0] {
		dirs = append(dirs, d)
	}
	var whole, short entry
	var wholeGzip bool
	for _, dir := range dirs {
		for _, e := range t.entries(dir) {
			if other := t.byID[e.info.id]; other != nil && other != s {
				continue
			}
			if e.info.id == s.id {
				if t.fits(s, e.path, e.info.id) == fitsWhole {
					t.bind(s, e.path, e.info, s.gzip)
					return true
				}
				continue
			}
			if s.fp.n == 0 || !t.mayBeCopy(s, e.path) {
				continue
			}
			p := t.peek(e.path)
			switch t.fits(s, e.path, e.info.id) {
			case fitsWhole:
				if whole.path == "" || wholeGzip && !p.gzip {
					whole, wholeGzip = entry{e.path, p.info}, p.gzip
				}
			case fitsShort:
				// A compressed one has nothing that was not read. It is held when it is looked at as a new file.
				if !p.gzip && p.info.size > short.info.size {
					short = entry{e.path, p.info}
				}
			}
		}
	}
	switch {
	case whole.path != "":
		t.cutPrint(s, whole.path)
		t.bind(s, whole.path, whole.info, wholeGzip)
	case short.path != "" && t.takeShort(s, short):
		t.bind(s, short.path, short.info, false)
	default:
		return false
	}
	t.log.Info("file goes on under another name", "path", s.origin, "found", s.path)
	return true
}

// takeShort sets s to the end of a copy that was made before the last bytes were read: all of it was read.
func (t *Tailer) takeShort(s *source, e entry) bool {
	fd, in, err := t.open.open(e.path)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if in.id != e.info.id || in.size >= s.mark.off {
		return false
	}
	b := make([]byte, min(in.size, tailLen))
	if n, err := preadFull(fd, b, in.size-int64(len(b))); err != nil || n < len(b) {
		return false
	}
	s.mark, s.nOlder, s.skip = markAt(in.size, b), 0, skipNone
	t.cutPrint(s, e.path)
	return true
}

// cutPrint shortens the fingerprint of s for a copy that ends before it.
func (t *Tailer) cutPrint(s *source, path string) {
	if p := t.peek(path); p.err == nil && s.beganWith(p.prefix) {
		s.setPrint(p.prefix)
	}
}

// mayBeCopy says whether the name of path is one that a rotation gives to a copy of s. A copy has a longer name than
// its original (app.log -> app.log.1, app-20260101.log, app.log.1.gz), so a new file at the original's own path is
// never taken for a copy, however alike the two begin. A restored or rewritten file at the same path is the
// exception, at start only and only with a full fingerprint.
func (t *Tailer) mayBeCopy(s *source, path string) bool {
	if path == s.path && !strings.HasSuffix(path, ".gz") {
		return s.restored && t.scanNo == 1 && s.fp.n >= t.cfg.FingerprintSize
	}
	for _, name := range originals(path) {
		if name == s.path || name == s.origin || strings.HasSuffix(path, ".gz") && name == rotationRoot(s.path) {
			return true
		}
	}
	return false
}

// originals lists the paths that a file at path may be a rotated copy of.
func originals(path string) []string {
	dir, base := filepath.Split(path)
	var out []string
	if plain, ok := strings.CutSuffix(base, ".gz"); ok {
		base = plain
		out = append(out, dir+base)
	}
	ext := filepath.Ext(base)
	for i := len(base) - 1; i > 0; i-- {
		if base[i] == '.' || base[i] == '-' || base[i] == '_' || base[i] == '~' {
			out = append(out, dir+base[:i])
			if ext != "" && i < len(base)-len(ext) {
				out = append(out, dir+base[:i]+ext)
			}
		}
	}
	return out
}

var rotationSuffix = regexp.MustCompile(`([.-][0-9][0-9.T_-]*)+$`)

// rotationRoot is the path without the number or date that a rotation appended.
func rotationRoot(path string) string {
	return rotationSuffix.ReplaceAllString(path, "")
}

// families finds files by the names they may have been copied from.
type families struct {
	byName  map[string][]*source
	byPrint map[fingerprint][]*source // those with a full fingerprint
	full    int
}

func (t *Tailer) families() *families {
	k := &families{byName: make(map[string][]*source), byPrint: make(map[fingerprint][]*source), full: t.cfg.FingerprintSize}
	for _, s := range t.live {
		k.add(s)
	}
	for _, s := range t.gone {
		k.add(s)
	}
	return k
}

func (k *families) add(s *source) {
	k.byName[s.path] = append(k.byName[s.path], s)
	if s.origin != s.path {
		k.byName[s.origin] = append(k.byName[s.origin], s)
	}
	if root := rotationRoot(s.path); root != s.path && root != s.origin {
		k.byName[root] = append(k.byName[root], s)
	}
	if s.fp.n >= k.full {
		k.byPrint[s.fp] = append(k.byPrint[s.fp], s)
	}
}

// isCopy decides whether an unknown file is a copy, plain or compressed, of one that is known: then it either takes
// its place or is held until the original is gone.
func (t *Tailer) isCopy(f found, p peek, kin *families) bool {
	tried := make(map[*source]bool)
	consider := func(s *source) bool {
		if tried[s] || s.id == p.info.id {
			return false
		}
		tried[s] = true
		if s.fp.n == 0 && !t.firstLook(s, p) {
			return false
		}
		if !s.buried && len(p.prefix) < s.fp.n && t.beginsLike(s, p) {
			t.hold(s, p, false)
			return true
		}
		return (s.fp.fits(p.prefix) || s.buried && s.beganWith(p.prefix)) && t.adopt(s, f, p)
	}
	for _, name := range originals(f.path) {
		for _, s := range kin.byName[name] {
			if t.mayBeCopy(s, f.path) && consider(s) {
				return true
			}
		}
	}
	if p.gzip && len(p.prefix) >= kin.full {
		for _, s := range kin.byPrint[fingerprintOf(p.prefix[:kin.full])] {
			if consider(s) {
				return true
			}
		}
	}
	return false
}

func (t *Tailer) hold(s *source, p peek, short bool) {
	t.held[p.info.id] = hold{of: s, size: p.info.size, mtime: p.info.mtime, short: short, seen: t.scanNo}
}

// firstLook takes the fingerprint of an original that was found in the same scan as its copy p, and not read yet.
func (t *Tailer) firstLook(s *source, p peek) bool {
	if s.buried || s.done || p.gzip || t.openSource(s) != nil {
		return false
	}
	same, err := t.verify(s)
	return err == nil && same && s.fp.n > 0
}

// beginsLike says whether a file that is still shorter than the fingerprint of s may be a copy of it in the making.
// The answer is yes, too, where s was truncated since: the copy was complete by then and is looked at again.
func (t *Tailer) beginsLike(s *source, p peek) bool {
	if err := t.openSource(s); err != nil {
		return isGone(err) // it was removed in this moment: the next scan judges
	}
	b := make([]byte, len(p.prefix))
	n, err := s.readAt(b, 0)
	if err != nil {
		return false
	}
	if string(b[:n]) == string(p.prefix) {
		return true
	}
	same, err := t.verify(s)
	return err == nil && !same
}

// adopt is isCopy for one possible original whose fingerprint the file has.
func (t *Tailer) adopt(s *source, f found, p peek) bool {
	if !s.buried {
		if t.adoptLiving(s, f, p) {
			return true
		}
		if p = t.peek(f.path); !s.buried || p.err != nil || p.info.id != f.info.id {
			return false
		}
	}
	switch t.fits(s, f.path, p.info.id) {
	case fitsWhole:
		t.cutPrint(s, f.path)
		t.bind(s, f.path, p.info, p.gzip)
		t.matched(s, f.path, p.info)
		t.enqueue(s)
		return true
	case fitsShort:
		if h, known := t.held[p.info.id]; known && h.short && h.of == s && h.size != p.info.size {
			return false // it grows on its own
		}
		t.hold(s, p, true)
		return true
	}
	return t.holdMoved(s, f, p)
}

// holdMoved holds a file that got another name while it was compared: the next scan judges.
func (t *Tailer) holdMoved(s *source, f found, p peek) bool {
	in, err := statPath(f.path)
	if err == nil && in.id == p.info.id {
		return false
	}
	t.hold(s, p, false)
	return true
}

// adoptLiving holds a file that has the bytes of s, which is still followed. Where s turns out to be truncated, before
// or while the two are compared, it is buried, and the file may have been given to it.
func (t *Tailer) adoptLiving(s *source, f found, p peek) bool {
	if err := t.openSource(s); err != nil {
		if isGone(err) {
			t.hold(s, p, false) // it was removed in this moment: the next scan judges
			return true
		}
		return false
	}
	if p.gzip || t.sameBytes(s, f.path, p.info) {
		// If s was truncated before, this is found out when it is read, and then the file is looked at again.
		if same, err := t.verify(s); err != nil || same {
			t.hold(s, p, false)
			return true
		}
	} else if same, err := t.verify(s); err != nil || same {
		return t.holdMoved(s, f, p)
	}
	t.replaced(s)
	return t.byID[p.info.id] != nil
}

// sameBytes compares the last 4 KiB of the file at path with the same place in s.
func (t *Tailer) sameBytes(s *source, path string, in info) bool {
	fd, now, err := t.open.open(path)
	if err != nil || now.id != in.id {
		return false
	}
	defer unix.Close(fd)
	n := min(now.size, 4096)
	a, b := make([]byte, n), make([]byte, n)
	na, err1 := preadFull(fd, a, now.size-n)
	nb, err2 := s.readAt(b, now.size-n)
	return err1 == nil && err2 == nil && na == nb && string(a[:na]) == string(b[:nb])
}
