//go:build linux

package buffer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests here need real processes, mounts and file systems.

const helperDir = "BUFFER_TEST_HELPER_DIR"

func realOptions(dir string) Options {
	return Options{
		Dir: dir, MaxBytes: 256 << 20, SegmentBytes: 256 << 10, Reserve: 1 << 20,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// runHelper is the process that is killed: it appends as fast as it can and prints each sequence that a ticket
// acknowledged, while a reader settles, commits, and prints what it is about to commit.
func runHelper() bool {
	dir := os.Getenv(helperDir)
	if dir == "" {
		return false
	}
	l, err := Open(realOptions(dir))
	if err != nil {
		fmt.Println("error", err)
		return true
	}
	r, err := l.Reader("r", ReaderOptions{Required: true})
	if err != nil {
		fmt.Println("error", err)
		return true
	}
	go func() {
		for n := 0; ; n++ {
			b, err := r.Next(context.Background())
			if err != nil {
				return
			}
			last := b.First + uint64(b.Count) - 1
			r.Settle(b, nil)
			b.Release()
			if n%7 == 0 {
				fmt.Println("committing", last)
				if err := r.Commit(); err != nil {
					fmt.Println("error", err)
				}
			}
		}
	}()
	for n := 0; ; n++ {
		b := block(l, 1+n%5, 10+n%3000)
		last := b.First + uint64(b.Count) - 1
		t, err := l.Append(context.Background(), b)
		if err != nil {
			fmt.Println("error", err)
			return true
		}
		go func() {
			if t.Wait(context.Background()) == nil {
				fmt.Println("acked", last)
			}
		}()
	}
}

// lastWords reads the helper's lines until it is gone, and kills it after some of them. after says whether what it calls acknowledged
// from then on counts as well.
func lastWords(t *testing.T, dir string, lines int, after bool, kill func(*exec.Cmd)) (acked, committing uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	sc := bufio.NewScanner(out)
	for n := 0; sc.Scan(); n++ {
		word, num, _ := strings.Cut(sc.Text(), " ")
		v, err := strconv.ParseUint(num, 10, 64)
		switch {
		case word == "acked" && err == nil && (after || n <= lines):
			acked = max(acked, v)
		case word == "committing" && err == nil:
			committing = max(committing, v)
		case strings.HasPrefix(word, "error"):
			if n < lines {
				t.Fatal(sc.Text())
			}
		}
		if n == lines {
			kill(cmd)
		}
	}
	return acked, committing
}

// checkSurvivor opens what is left: everything acknowledged is there, in order and once, and the position agrees.
func checkSurvivor(t *testing.T, dir string, acked, committing uint64) {
	t.Helper()
	l, err := Open(realOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pos, _ := strconv.ParseUint(string(l.Positions()["last"]), 10, 64)
	if pos < acked {
		t.Fatalf("position %d, item %d was acknowledged", pos, acked)
	}
	r := mustReader(t, l, "r", ReaderOptions{Required: true})
	got := drain(t, r)
	if len(got) == 0 {
		if committing < acked {
			t.Fatalf("nothing to read: committing %d, acknowledged %d", committing, acked)
		}
		return
	}
	if committing > 0 && got[0] > committing+1 {
		t.Fatalf("reader goes on at %d, the last commit was up to %d", got[0], committing)
	}
	for i := range got[1:] {
		if got[i+1] != got[i]+1 {
			t.Fatalf("item %d after %d", got[i+1], got[i])
		}
	}
	if got[len(got)-1] != pos {
		t.Fatalf("last item %d, position %d", got[len(got)-1], pos)
	}
	checkAccounts(t, l)
	if s := l.Stats(); s.Damaged != 0 {
		t.Fatalf("damage after a kill: %+v", s)
	}
}

func TestKill9(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	for range 8 {
		acked, committing := lastWords(t, dir, 20+rand.IntN(2000), true, func(c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGKILL) })
		checkSurvivor(t, dir, acked, committing)
	}
}

// mount mounts for the test, or skips it.
func mount(t *testing.T, source, fstype, data string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount(source, dir, fstype, 0, data); err != nil {
		t.Skipf("mount %s: %v", fstype, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestTmpfsFull(t *testing.T) {
	mnt := mount(t, "tmpfs", "tmpfs", "size=4m")
	o := realOptions(filepath.Join(mnt, "log"))
	o.FullRetry = 20 * time.Millisecond
	l := mustOpen(t, o)
	r := mustReader(t, l, "r", ReaderOptions{Required: true})
	filler := filepath.Join(mnt, "filler")
	put(t, l, 1, 1000)
	if err := fillDisk(filler); err != nil {
		t.Fatal(err)
	}
	ticket := mustAppend(t, l, block(l, 20, 5000))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); l.Stats().Full != fullDisk; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not full: %+v", l.Stats())
		}
	}
	if err := ticket.Wait(ctxDone(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("fsynced on a full disk: %v", err)
	}
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	letters := 0
	err := l.WithReserve(func() error {
		letters++
		return os.WriteFile(filepath.Join(mnt, "letters"), make([]byte, 500<<10), 0o600)
	})
	if err != nil || letters != 2 {
		t.Fatalf("dead letters after %d tries: %v", letters, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(drain(t, r)); got != 21 {
		t.Errorf("read %d items", got)
	}
	checkAccounts(t, l)
	l.Close()
	if s := mustOpen(t, o).Stats(); s.TornBytes != 0 || s.Damaged != 0 || !s.ReserveAvailable {
		t.Errorf("the full disk left %+v", s)
	}
}

func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err == nil {
			continue
		} else if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		size /= 16
	}
	return nil
}

// TestPowerCutExt4 stops a real ext4 as a power cut does: what is in the page cache and in the journal's memory
// is lost (FS_IOC_SHUTDOWN without flushing), then mounts it again.
func TestPowerCutExt4(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("loop devices need root")
	}
	image := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	for range 4 {
		dev, err := attachLoop(image)
		if err != nil {
			t.Skipf("loop device: %v", err)
		}
		mnt := mount(t, dev.Name(), "ext4", "")
		dir := filepath.Join(mnt, "log")
		// A power cut takes the process with it. Here it lives on for a moment, and an fsync that was under way when the file
		// system stopped can return success although its blocks never got their place: those words do not count.
		acked, committing := lastWords(t, dir, 20+rand.IntN(1500), false, func(c *exec.Cmd) {
			if err := shutdown(mnt); err != nil {
				_ = c.Process.Kill()
				t.Skipf("FS_IOC_SHUTDOWN: %v", err)
			}
		})
		remount(t, dev.Name(), mnt)
		checkSurvivor(t, dir, acked, committing)
		if err := unix.Unmount(mnt, 0); err != nil {
			t.Fatal(err)
		}
		dev.Close()
	}
}

// remount mounts the device anew. While anybody still holds the old mount the kernel hands out the same, stopped
// file system: then it is tried again.
func remount(t *testing.T, dev, mnt string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		err := unix.Unmount(mnt, 0)
		if err == nil {
			err = unix.Mount(dev, mnt, "ext4", 0, "")
		}
		if err != nil && !errors.Is(err, unix.EBUSY) {
			t.Fatal(err)
		}
		if f, err := os.Create(filepath.Join(mnt, "probe")); err == nil {
			f.Close()
			return
		}
		<-tick.C
	}
	t.Skip("the stopped file system stays in use")
}

func shutdown(mnt string) error {
	const ioctl, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	d, err := os.Open(mnt)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.IoctlSetPointerInt(int(d.Fd()), ioctl, noLogFlush)
}

// attachLoop gives image a loop device that goes with its last user.
func attachLoop(image string) (*os.File, error) {
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer ctl.Close()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for range 5 {
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		cfg := unix.LoopConfig{Fd: uint32(f.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		if err = unix.IoctlLoopConfigure(int(dev.Fd()), &cfg); err == nil {
			return dev, nil
		}
		dev.Close() // somebody else was faster
		if !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
	}
	return nil, unix.EBUSY
}
