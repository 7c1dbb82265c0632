package fsx

import (
	"io"
	"os"
	"strings"
	"sync"
)

// Op is a kind of operation that Fault can make fail.
type Op string

// The operations. OpWrite is WriteAt and WritevAt.
const (
	OpOpen     Op = "open"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpAllocate Op = "allocate"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpSyncDir  Op = "syncdir"
)

// Rule says which operations fail and how.
type Rule struct {
	Op    Op
	Match string // part of the file's name; empty matches every file
	Skip  int    // matching operations that still succeed first
	Times int    // operations that fail then; 0 is 1, negative is all
	Short int    // bytes that a failing write still writes
	Err   error
	Done  func() // called, outside locks, when an operation failed by this rule; may be nil
}

// Fault passes everything on to FS, except what a rule makes fail.
type Fault struct {
	FS
	mu    sync.Mutex
	rules []*Rule
	count map[Op]int
}

// NewFault wraps fs.
func NewFault(fs FS) *Fault { return &Fault{FS: fs, count: map[Op]int{}} }

// Add adds a rule; rules are asked in the order they were added.
func (f *Fault) Add(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Times == 0 {
		r.Times = 1
	}
	f.rules = append(f.rules, &r)
}

// Clear takes all rules away.
func (f *Fault) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Count returns how many operations of a kind were asked for.
func (f *Fault) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[op]
}

func (f *Fault) check(op Op, name string) (*Rule, error) {
	f.mu.Lock()
	f.count[op]++
	var hit *Rule
	for _, r := range f.rules {
		if r.Op != op || r.Times == 0 || !strings.Contains(name, r.Match) {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		if r.Times > 0 {
			r.Times--
		}
		hit = r
		break
	}
	f.mu.Unlock()
	if hit == nil {
		return nil, nil
	}
	if hit.Done != nil {
		hit.Done()
	}
	return hit, &os.PathError{Op: string(op), Path: name, Err: hit.Err}
}

// OpenFile implements FS.
func (f *Fault) OpenFile(name string, flag int, perm os.FileMode) (File, error) {
	if _, err := f.check(OpOpen, name); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fault: f, name: name}, nil
}

// Rename implements FS.
func (f *Fault) Rename(oldname, newname string) error {
	if _, err := f.check(OpRename, newname); err != nil {
		return err
	}
	return f.FS.Rename(oldname, newname)
}

// Remove implements FS.
func (f *Fault) Remove(name string) error {
	if _, err := f.check(OpRemove, name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// SyncDir implements FS.
func (f *Fault) SyncDir(name string) error {
	if _, err := f.check(OpSyncDir, name); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

// Lock implements FS.
func (f *Fault) Lock(name string) (io.Closer, error) { return f.FS.Lock(name) }

type faultFile struct {
	File
	fault *Fault
	name  string
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.fault.check(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if r, err := f.fault.check(OpWrite, f.name); err != nil {
		n, _ := f.File.WriteAt(p[:min(r.Short, len(p))], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultFile) WritevAt(bufs [][]byte, off int64) (int, error) {
	r, err := f.fault.check(OpWrite, f.name)
	if err == nil {
		return f.File.WritevAt(bufs, off)
	}
	total, left := 0, r.Short
	for _, b := range bufs {
		n, _ := f.File.WriteAt(b[:min(left, len(b))], off+int64(total))
		total += n
		if left -= n; left <= 0 {
			break
		}
	}
	return total, err
}

func (f *faultFile) Sync() error {
	if _, err := f.fault.check(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if _, err := f.fault.check(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Allocate(size int64) error {
	if _, err := f.fault.check(OpAllocate, f.name); err != nil {
		return err
	}
	return f.File.Allocate(size)
}
