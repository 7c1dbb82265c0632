package tail

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*")}})
	r.check(unix.Mkfifo(r.path("fifo"), 0o644))
	r.check(os.Mkdir(r.path("directory"), 0o755))
	r.check(os.Symlink("/dev/zero", r.path("device")))
	if l, err := net.Listen("unix", r.path("socket")); err == nil {
		defer l.Close()
	}
	r.append("file", "line\n")
	r.append("linked", "linked\n")
	r.check(os.Link(r.path("linked"), r.path("linked2")))
	r.pass()
	r.pass()
	r.want("line")
	all := strings.Join(r.errs, "\n")
	for _, want := range []string{"named pipe", "directory", "socket", "device", "2 names"} {
		if !strings.Contains(all, want) {
			t.Errorf("no error about %q in\n%s", want, all)
		}
	}
	if len(r.errs) != 6 {
		t.Errorf("each is told once: %q", r.errs)
	}
	r.remove("linked2")
	r.pass()
	r.want("linked")
}

func TestLinksOutOfTheRoots(t *testing.T) {
	for _, noOpenat2 := range []bool{false, true} {
		base := t.TempDir()
		dir := filepath.Join(base, "in")
		os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
		r := newRig(t, dir, Config{Paths: []string{filepath.Join(dir, "*.log")}})
		r.tl.open.noOpenat2 = noOpenat2
		r.append("../secret", "secret\n")
		r.append("sub/target", "inside\n")
		r.check(os.Symlink("../secret", r.path("climbs.log")))
		r.check(os.Symlink(filepath.Join(base, "secret"), r.path("absolute.log")))
		r.check(os.Symlink("sub/target", r.path("good.log")))
		r.append("plain.log", "plain\n")
		r.pass()
		r.wantSet("inside", "plain")
		if len(r.errs) != 2 || !strings.Contains(r.errs[0], errOutside.Error()) || !strings.Contains(r.errs[1], errOutside.Error()) {
			t.Errorf("errors %q", r.errs)
		}
	}
}

func TestOwner(t *testing.T) {
	r := newRig(t, t.TempDir(), Config{Owners: []uint32{uint32(os.Getuid()) + 1}})
	r.append("app.log", "x\n")
	r.pass()
	r.want()
	if len(r.errs) != 1 {
		t.Fatal(r.errs)
	}
}

// TestUnreadableAndReadableAgain takes the rights of a user away from this thread, as the tests may run as root.
func TestUnreadableAndReadableAgain(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	if os.Getuid() == 0 {
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			os.Chmod(d, 0o755)
		}
		if err := unix.Setfsuid(65534); err != nil {
			t.Skip(err)
		}
		defer unix.Setfsuid(0)
	}
	mode := func(name string, m os.FileMode) {
		if os.Getuid() == 0 {
			unix.Setfsuid(0)
			defer unix.Setfsuid(65534)
		}
		if err := os.Chmod(filepath.Join(dir, name), m); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		unix.Setfsuid(0)
	}
	r := newRig(t, dir, Config{})
	r.append("app.log", "one\n")
	if os.Getuid() == 0 {
		unix.Setfsuid(65534)
	}
	mode("app.log", 0)
	r.pass()
	r.pass()
	r.want()
	mode("app.log", 0o666)
	r.pass()
	r.want("one")
	r.tl.closeAll()
	r.append("app.log", "two\n")
	mode("app.log", 0)
	r.pass()
	r.want()
	mode("app.log", 0o666)
	r.pass()
	r.want("two")
	if len(r.errs) != 4 || !strings.Contains(r.errs[0], "permission denied") || r.errs[1] != "app.log: <nil>" {
		t.Errorf("errors %q", r.errs)
	}
}
