package fsx

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, fs FS, name, data string) File {
	t.Helper()
	f, err := fs.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WritevAt([][]byte{[]byte(data[:1]), nil, []byte(data[1:])}, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, fs FS, name string) string {
	t.Helper()
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		t.Fatal(err)
	}
	return string(b)
}

// TestFileSystems runs the same operations on each implementation.
func TestFileSystems(t *testing.T) {
	mem := NewMem()
	for name, fs := range map[string]FS{"os": OS{}, "mem": mem, "fault": NewFault(mem)} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			if err := fs.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "f")
			f := write(t, fs, path, "hello")
			for _, err := range []error{f.Sync(), f.Truncate(4), f.Allocate(6), f.Close(), fs.SyncDir(dir), fs.Rename(path, path+"2"), fs.SyncDir(dir)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := read(t, fs, path+"2"); got != "hell\x00\x00" {
				t.Errorf("read %q", got)
			}
			if names, err := fs.ReadDir(dir); err != nil || len(names) != 1 || names[0] != "f2" {
				t.Errorf("names %q, %v", names, err)
			}
			if n, err := fs.Size(path + "2"); n != 6 || err != nil {
				t.Errorf("size %d, %v", n, err)
			}
			if _, err := fs.Size(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("size of a missing file: %v", err)
			}
			lock, err := fs.Lock(filepath.Join(dir, "lock"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fs.Lock(filepath.Join(dir, "lock")); !errors.Is(err, ErrLocked) {
				t.Errorf("second lock: %v", err)
			}
			lock.Close()
			if lock, err = fs.Lock(filepath.Join(dir, "lock")); err != nil {
				t.Fatalf("lock after unlock: %v", err)
			}
			lock.Close()
			if err := fs.Remove(path + "2"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestManyBuffersAreWrittenWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := OS{}.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var bufs [][]byte
	want := strings.Builder{}
	for i := range 3000 {
		b := []byte{byte('a' + i%26), byte('a' + i%7)}[:1+i%2]
		bufs = append(bufs, b)
		want.Write(b)
	}
	if n, err := f.WritevAt(bufs, 0); err != nil || n != want.Len() {
		t.Fatalf("wrote %d: %v", n, err)
	}
	f.Close()
	if got := read(t, OS{}, path); got != want.String() {
		t.Error("not what was written")
	}
}

// TestPowerCut: what is synced stays, what is not may be anything between gone and whole.
func TestPowerCut(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		m := NewMem()
		f := write(t, m, "/f", "synced")
		if err := errors.Join(f.Sync(), m.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("+more"), 6); err != nil {
			t.Fatal(err)
		}
		write(t, m, "/new", "x")
		old := m
		m = m.Cut(rand.New(rand.NewPCG(seed, 0)))
		if err := f.Sync(); !errors.Is(err, ErrPowerCut) {
			t.Fatalf("old file: %v", err)
		}
		if _, err := old.OpenFile("/f", os.O_RDWR, 0); !errors.Is(err, ErrPowerCut) {
			t.Fatalf("old file system: %v", err)
		}
		got := read(t, m, "/f")
		if !strings.HasPrefix(got, "synced") || len(got) > 11 {
			t.Fatalf("after the cut: %q", got)
		}
		seen[got] = true
		seen["new "+read(t, m, "/new")] = true
	}
	for _, want := range []string{"synced", "synced+more", "synced+m", "synced\x00\x00\x00re", "new absent", "new x", "new "} {
		if !seen[want] {
			t.Errorf("no cut ended with %q", want)
		}
	}
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(8)
	f := write(t, m, "/f", "12345")
	n, err := f.WriteAt([]byte("6789x"), 5)
	if n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := f.Allocate(9); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("allocate: %v", err)
	}
	if _, err := f.WriteAt([]byte("abcdefgh"), 0); err != nil {
		t.Errorf("overwrite: %v", err)
	}
}

func TestFaultRules(t *testing.T) {
	f := NewFault(NewMem())
	done := 0
	f.Add(Rule{Op: OpWrite, Match: "f", Skip: 1, Short: 2, Err: syscall.EIO, Done: func() { done++ }})
	file := write(t, f, "/f", "abcd")
	if n, err := file.WritevAt([][]byte{[]byte("x"), []byte("yz")}, 4); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if _, err := file.WriteAt([]byte("!"), 6); err != nil || done != 1 {
		t.Errorf("third write: %v, done %d", err, done)
	}
	if got := read(t, f, "/f"); got != "abcdxy!" {
		t.Errorf("file holds %q", got)
	}
	if f.Count(OpWrite) != 3 {
		t.Errorf("counted %d writes", f.Count(OpWrite))
	}
}
