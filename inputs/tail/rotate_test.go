package tail

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNewFilesAppear(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*.log"), filepath.Join(dir, "*", "x.log")}, Exclude: []string{"no*"}})
	r.append("a.log", "a1\n")
	r.append("no.log", "never\n")
	r.pass()
	r.want("a1")
	r.append("b.log", "b1\n")
	r.check(os.Mkdir(r.path("sub"), 0o755))
	r.append("sub/x.log", "x1\n")
	r.append("a.log", "a2\n")
	r.pass()
	r.wantSet("a2", "b1", "x1")
}

func TestRenameRotation(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		for _, maxOpen := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s open %d", glob, maxOpen), func(t *testing.T) {
				dir := t.TempDir()
				r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, glob)}, MaxOpen: maxOpen})
				r.append("app.log", "one\n")
				r.pass()
				r.append("app.log", "two\n")
				r.rename("app.log", "app.log.1")
				r.append("app.log", "new one\n")
				r.append("app.log.1", "late, by a writer that still holds it\n")
				r.pass()
				r.wantSet("one", "two", "late, by a writer that still holds it", "new one")
				r.append("app.log.1", "later\n")
				r.append("app.log", "new two\n")
				r.pass()
				r.wantSet("later", "new two")
			})
		}
	}
}

func TestRenameChain(t *testing.T) {
	for _, down := range []bool{false, true} {
		for _, glob := range []string{"app.log", "app.log*"} {
			t.Run(fmt.Sprintf("%s down %v", glob, down), func(t *testing.T) {
				dir := t.TempDir()
				r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, glob)}})
				var want []string
				for gen := range 4 {
					text, lines := long(fmt.Sprint("gen", gen), 60)
					r.append("app.log", text)
					r.pass()
					r.append("app.log", fmt.Sprintf("end of %d\n", gen))
					want = append(append(want, lines...), fmt.Sprintf("end of %d", gen))
					if down {
						r.stop()
					}
					for i := gen; i >= 1; i-- {
						r.rename(fmt.Sprintf("app.log.%d", i), fmt.Sprintf("app.log.%d", i+1))
					}
					r.rename("app.log", "app.log.1")
					if down {
						r.restart()
					}
				}
				r.pass()
				r.wantSet(want...)
			})
		}
	}
}

func TestCopyTruncate(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		for _, glob := range []string{"app.log", "app.log*"} {
			for _, how := range []string{"up", "down", "up gzip", "down gzip", "held", "grown past"} {
				t.Run(glob+" "+how, func(t *testing.T) {
					dir := t.TempDir()
					r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, glob)}})
					text, lines := long("old", n)
					r.append("app.log", text)
					r.pass()
					r.want(lines...)
					r.append("app.log", "unread\n") // between our last look and the copy
					down := strings.HasPrefix(how, "down")
					if down {
						r.stop()
					}
					r.copy("app.log", "app.log.1")
					if how == "held" {
						r.pass()
					}
					r.truncate("app.log")
					if strings.HasSuffix(how, "gzip") {
						r.gzip("app.log.1")
					}
					want := []string{"unread", "fresh"}
					r.append("app.log", "fresh\n")
					if how == "grown past" {
						text, more := long("another", n+20)
						r.append("app.log", text)
						want = append(want, more...)
					}
					if down {
						r.restart()
					}
					r.pass()
					r.wantSet(want...)
					r.restart()
					r.append("app.log", "last\n")
					r.pass()
					r.want("last")
				})
			}
		}
	})
}

// The same first bytes, longer than the fingerprint, and longer than before: only the bytes before the offset tell.
func TestTruncatedWithSameBeginning(t *testing.T) {
	banner := strings.Repeat("# the same banner in every file\n", 40)
	r := newRig(t, t.TempDir(), Config{})
	r.append("app.log", banner, "one\n", "two\n")
	r.pass()
	r.got = nil
	r.truncate("app.log")
	text, lines := long("new", 20)
	r.append("app.log", banner, text)
	r.pass()
	r.want(append(strings.Split(strings.TrimSuffix(banner, "\n"), "\n"), lines...)...)
}

func TestGzipRotation(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		for _, glob := range []string{"app.log", "app.log*"} {
			for _, how := range []string{"open", "closed", "down", "down chain"} {
				t.Run(glob+" "+how, func(t *testing.T) {
					dir := t.TempDir()
					r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, glob)}})
					text, lines := long("old", n)
					r.append("app.log", text)
					r.pass()
					r.want(lines...)
					if how == "closed" {
						r.tl.closeAll() // as the descriptor limit does
					}
					down := strings.HasPrefix(how, "down")
					if down {
						r.stop()
					}
					r.append("app.log", "unread\n")
					r.rename("app.log", "app.log.1")
					r.gzip("app.log.1")
					if how == "down chain" {
						r.rename("app.log.1.gz", "app.log.2.gz")
					}
					r.append("app.log", "fresh\n")
					if down {
						r.restart()
					}
					r.pass()
					r.after(2 * time.Minute)
					r.wantSet("unread", "fresh")
					r.restart()
					r.pass()
					r.after(2 * time.Minute)
					r.want()
				})
			}
		}
	})
}

// gzip(1) writes the compressed file for a while before it removes the plain one.
func TestGzipInProgress(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
	text, lines := long("old", 3000)
	r.append("app.log", text)
	r.pass()
	r.want(lines...)
	r.rename("app.log", "app.log.1")
	z := compressed([]byte(text))
	r.append("app.log.1.gz", string(z[:len(z)/2]))
	r.pass()
	r.append("app.log.1.gz", string(z[len(z)/2:]))
	r.pass()
	r.remove("app.log.1")
	r.pass()
	r.after(2 * time.Minute)
	r.pass()
	r.want()
}

func TestGzipFileOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*")}})
	text, lines := long("history", 5000)
	r.check(os.WriteFile(r.path("x.log.7.gz"), compressed([]byte(text+"no newline")), 0o644))
	r.pass()
	r.want(append(lines, "no newline")...)
	r.restart()
	r.pass()
	r.want()
}

func TestGzipBombIsBounded(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*")}})
	r.check(os.WriteFile(r.path("bomb.gz"), compressed(make([]byte, 64<<20)), 0o644))
	r.append("small.log", "small\n")
	r.pass()
	if len(r.got) != 2 || r.got[1] != "small" && r.got[0] != "small" {
		t.Fatalf("got %q", abbreviate(r.got))
	}
}

func TestDelete(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{})
	r.append("app.log", "one\n")
	r.pass()
	f, err := os.OpenFile(r.path("app.log"), os.O_APPEND|os.O_WRONLY, 0)
	r.check(err)
	defer f.Close()
	f.WriteString("two\n")
	r.remove("app.log")
	r.pass()
	f.WriteString("three\nhalf")
	r.pass()
	r.want("one", "two", "three")
	r.after(rotatedGrace)
	r.want("half")
	r.after(2 * time.Minute)
	if st := r.tl.Stats(); len(st) != 0 {
		t.Fatalf("still there: %+v", st)
	}
}

func TestDeleteWhileDown(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		r := newRig(t, t.TempDir(), Config{})
		text, lines := long("old", n)
		r.append("app.log", text)
		r.pass()
		r.want(lines...)
		r.stop()
		r.remove("app.log")
		text, lines = long("new", n)
		r.append("app.log", text) // most likely in the same inode
		r.restart()
		r.pass()
		r.want(lines...)
	})
}

func TestInodeReuse(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		r := newRig(t, t.TempDir(), Config{})
		text, lines := long("x", n)
		reused := 0
		for range 10 {
			r.append("app.log", text)
			in1, _ := statPath(r.path("app.log"))
			r.pass()
			r.want(lines...)
			r.tl.closeAll()
			r.remove("app.log")
			r.append("app.log", text, "more\n") // the same bytes again
			in2, _ := statPath(r.path("app.log"))
			if in1.id == in2.id {
				reused++
			}
			r.pass()
			r.want(append(append([]string{}, lines...), "more")...)
			r.remove("app.log")
			r.pass()
		}
		t.Logf("inode reused in %d of 10", reused)
	})
}

func TestSymlinkSwitch(t *testing.T) {
	for _, absolute := range []bool{false, true} {
		t.Run(fmt.Sprint("absolute ", absolute), func(t *testing.T) {
			dir := t.TempDir()
			r := newRig(t, dir, Config{})
			link := func(to string) {
				if absolute {
					to = r.path(to)
				}
				r.check(os.Symlink(to, r.path("tmp")))
				r.rename("tmp", "app.log")
			}
			r.append("a.log", "a1\n")
			link("a.log")
			r.pass()
			r.append("a.log", "a2\n")
			r.append("b.log", "b1\n")
			link("b.log")
			r.append("a.log", "a3\n")
			r.pass()
			r.wantSet("a1", "a2", "a3", "b1")
			r.append("a.log", "a4\n")
			r.append("b.log", "b2\n")
			r.pass()
			r.wantSet("a4", "b2")
			link("a.log")
			r.append("a.log", "a5\n")
			r.pass()
			r.want("a5")
		})
	}
}

func TestSameFirstBytesAreTwoFiles(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		dir := t.TempDir()
		r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*.log")}})
		text, lines := long("same", n)
		r.append("a.log", text)
		r.append("b.log", text)
		r.pass()
		r.wantSet(append(append([]string{}, lines...), lines...)...)
		r.append("a.log", "a\n")
		r.append("b.log", "b\n")
		r.restart()
		r.pass()
		r.wantSet("a", "b")
	})
}

// The new file begins with the line the old one began with, and the old one is under the rotated name.
func TestNewFileWithFirstLineOfOld(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
	r.append("app.log", "header\n")
	r.pass()
	r.rename("app.log", "app.log.1")
	r.append("app.log", "header\n")
	r.pass()
	r.want("header", "header")
}

func TestCopyThatGoesItsOwnWay(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
	text, lines := long("x", 100)
	r.append("app.log", text)
	r.pass()
	r.want(lines...)
	r.copy("app.log", "app.log.bak")
	r.pass()
	r.append("app.log", "one\n")
	r.pass()
	r.want("one") // the copy is held
	r.append("app.log.bak", "its own\n")
	r.pass()
	r.want(append(lines, "its own")...)
}

func TestFileSmallerThanFingerprintGrows(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{})
	for i := range 100 {
		r.append("app.log", fmt.Sprintf("%d\n", i))
		if i%3 == 0 {
			r.restart()
		}
		r.pass()
		r.want(fmt.Sprint(i))
	}
}

// After a power cut the file is shorter than what was read of it, and has grown since.
func TestCutBackByPowerCut(t *testing.T) {
	text, lines := long("x", 100)
	for _, grow := range []int{0, 30} {
		t.Run(fmt.Sprint(grow), func(t *testing.T) {
			r := newRig(t, t.TempDir(), Config{})
			for _, l := range lines {
				r.append("app.log", l, "\n")
				r.pass()
			}
			r.want(lines...)
			per := len(text) / len(lines)
			r.check(os.Truncate(r.path("app.log"), int64(per*88)))
			for i := range grow {
				r.append("app.log", fmt.Sprintf("after the boot, number %d\n", i))
			}
			otherBoot(t, r)
			r.restart()
			r.pass()
			again := 0
			for len(r.got) > again && r.got[again] != "after the boot, number 0" {
				again++
			}
			if again > 20 || len(r.got)-again != grow {
				t.Fatalf("%d lines again, %d new ones: %q", again, len(r.got)-again, r.got)
			}
			t.Logf("12 lines cut off, %d lines read again", again)
		})
	}
}

func otherBoot(t *testing.T, r *rig) {
	t.Helper()
	for key, b := range r.positions {
		p, err := decodePlace(b)
		if err != nil {
			t.Fatal(err)
		}
		p.boot++
		r.positions[key] = p.appendTo(nil)
	}
}

// Restored on another disk: same path and bytes, another inode.
func TestRestoredFromBackup(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{})
	text, lines := long("x", 100)
	r.append("app.log", text)
	r.pass()
	r.want(lines...)
	r.stop()
	r.copy("app.log", "elsewhere")
	r.rename("elsewhere", "app.log")
	r.append("app.log", "new\n")
	r.restart()
	r.pass()
	r.want("new")
}

// TestTruncatedBetweenTwoReads: the file is replaced by as many other bytes while its first chunk is being taken, after
// its fingerprint was compared.
func TestTruncatedBetweenTwoReads(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{ChunkSize: 4 << 10, MaxLine: 100})
	old, _ := long("old", 1000)
	text, lines := long("new", 1000)
	r.append("app.log", old)
	first := true
	r.tl.mu.Lock()
	defer r.tl.mu.Unlock()
	err := r.tl.pass(t.Context(), func(ctx context.Context, c *Chunk) error {
		if first {
			first = false
			r.truncate("app.log")
			r.append("app.log", text)
			return nil
		}
		return r.emit(ctx, c)
	})
	r.check(err)
	r.want(lines...)
}

// TestCopyInTheMaking: the copy is seen while it is empty, and while it is shorter than the fingerprint.
func TestCopyInTheMaking(t *testing.T) {
	for _, ext := range []string{".1", ".1.gz"} {
		dir := t.TempDir()
		r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "app.log*")}})
		text, lines := long("x", 100)
		r.append("app.log", text)
		r.pass()
		r.want(lines...)
		copied := text
		if ext == ".1.gz" {
			copied = string(compressed([]byte(text)))
		}
		r.append("app.log"+ext, "")
		r.pass()
		r.append("app.log"+ext, copied[:100])
		r.pass()
		r.append("app.log"+ext, copied[100:])
		r.truncate("app.log")
		r.append("app.log", "fresh\n")
		r.pass()
		r.pass()
		r.want("fresh")
	}
}

// TestFingerprintOfWhatWasEmitted: the file was empty when it was compared and not when it was read.
func TestFingerprintOfWhatWasEmitted(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{})
	r.append("app.log", "")
	r.pass()
	s := r.tl.live[0]
	r.check(r.tl.openSource(s))
	s.check = false
	r.append("app.log", "first\n")
	r.tl.mu.Lock()
	_, err := r.tl.readChunk(t.Context(), s, r.emit)
	r.tl.mu.Unlock()
	r.check(err)
	r.append("app.log", "second\n")
	r.copy("app.log", "app.log.1")
	r.truncate("app.log")
	r.append("app.log", "third\n")
	r.pass()
	r.wantSet("first", "second", "third")
}
