package fsx

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// ErrPowerCut is what everything returns that was in use when the power was cut.
var ErrPowerCut = errors.New("power cut")

// Mem is a file system in memory whose power can be cut: Cut forgets everything that was not made durable,
// or keeps parts of it, torn at any byte and in any order, as a disk does. Locks end with the power.
type Mem struct {
	*memDisk
	boot int // a Mem of an earlier boot is dead
}

// memDisk is what survives.
type memDisk struct {
	mu       sync.Mutex
	dirs     map[string]*memDir
	locks    map[string]*memLock
	boots    int
	capacity int64 // 0: unlimited
}

type memDir struct {
	now     map[string]*memNode
	durable map[string]*memNode
	pending []dirOp
}

// dirOp sets name to node; nil removes it.
type dirOp struct {
	name string
	node *memNode
}

type memNode struct {
	data    []byte
	durable []byte
	pending []fileOp
}

// fileOp is a write, or a truncation to off when data is nil.
type fileOp struct {
	off  int64
	data []byte
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	return &Mem{memDisk: &memDisk{dirs: map[string]*memDir{"/": newMemDir(), ".": newMemDir()}, locks: map[string]*memLock{}}}
}

func newMemDir() *memDir {
	return &memDir{now: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// SetCapacity limits the bytes of all files; writing past it is ENOSPC after a short write. 0 is no limit.
func (m *Mem) SetCapacity(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}

// Used returns the bytes of all files.
func (m *Mem) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used()
}

func (m *Mem) used() int64 {
	var n int64
	for _, d := range m.dirs {
		for _, f := range d.now {
			n += int64(len(f.data))
		}
	}
	return n
}

// Cut cuts the power and returns the file system as it is when it is on again: locks are gone, and of everything
// that was not synced a random part is left. m and its files are dead: whoever still runs on them changes
// nothing any more. The same rng gives the same outcome.
func (m *Mem) Cut(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boots++
	m.locks = map[string]*memLock{}
	seen := map[*memNode]bool{}
	for _, path := range sortedKeys(m.dirs) {
		d := m.dirs[path]
		keep := rng.IntN(len(d.pending) + 1)
		for _, op := range d.pending[:keep] {
			op.apply(d.durable)
		}
		d.pending = nil
		d.now = make(map[string]*memNode, len(d.durable))
		for name, n := range d.durable {
			d.now[name] = n
		}
		for _, name := range sortedKeys(d.now) {
			if n := d.now[name]; !seen[n] {
				seen[n] = true
				n.cut(rng)
			}
		}
	}
	return &Mem{m.memDisk, m.boots}
}

// enter locks the disk for an operation; the caller unlocks when the error is nil.
func (m *Mem) enter(op, name string) error {
	m.mu.Lock()
	if m.boot != m.boots {
		m.mu.Unlock()
		return &os.PathError{Op: op, Path: name, Err: ErrPowerCut}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (op dirOp) apply(to map[string]*memNode) {
	if op.node == nil {
		delete(to, op.name)
	} else {
		to[op.name] = op.node
	}
}

func (n *memNode) cut(rng *rand.Rand) {
	mode := rng.IntN(4) // whole outcomes are as likely as mixed ones
	for _, op := range n.pending {
		switch {
		case mode == 0: // all of it was still in memory
			continue
		case mode == 1: // all of it had reached the disk
		case op.data == nil:
			if rng.IntN(2) == 0 {
				continue
			}
		default:
			switch rng.IntN(4) {
			case 0:
				continue
			case 1:
				op.data = op.data[:rng.IntN(len(op.data)+1)]
			case 2:
				cut := rng.IntN(len(op.data) + 1)
				op = fileOp{off: op.off + int64(cut), data: op.data[cut:]}
			}
		}
		n.durable = op.applyTo(n.durable)
	}
	n.pending = nil
	n.data = slices.Clone(n.durable)
}

func (op fileOp) applyTo(data []byte) []byte {
	if op.data == nil {
		return resize(data, op.off)
	}
	if end := op.off + int64(len(op.data)); end > int64(len(data)) {
		data = resize(data, end)
	}
	copy(data[op.off:], op.data)
	return data
}

func resize(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size]
	}
	have := len(data)
	data = slices.Grow(data, int(size)-have)[:size]
	clear(data[have:])
	return data
}

func (m *Mem) dir(name string) (*memDir, string, error) {
	name = filepath.Clean(name)
	d := m.dirs[filepath.Dir(name)]
	if d == nil {
		return nil, "", &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return d, filepath.Base(name), nil
}

func (d *memDir) set(name string, n *memNode) {
	op := dirOp{name, n}
	op.apply(d.now)
	d.pending = append(d.pending, op)
}

// OpenFile implements FS.
func (m *Mem) OpenFile(name string, flag int, _ os.FileMode) (File, error) {
	if err := m.enter("open", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	d, base, err := m.dir(name)
	if err != nil {
		return nil, err
	}
	n := d.now[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	case n == nil:
		n = &memNode{}
		d.set(base, n)
	case flag&os.O_EXCL != 0 && flag&os.O_CREATE != 0:
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrExist}
	case flag&os.O_TRUNC != 0:
		n.do(fileOp{})
	}
	return &memFile{m: m, n: n, name: name}, nil
}

func (n *memNode) do(op fileOp) {
	n.data = op.applyTo(n.data)
	n.pending = append(n.pending, op)
}

// Rename implements FS, within one directory.
func (m *Mem) Rename(oldname, newname string) error {
	if err := m.enter("rename", oldname); err != nil {
		return err
	}
	defer m.mu.Unlock()
	d, from, err := m.dir(oldname)
	if err != nil {
		return err
	}
	d2, to, err := m.dir(newname)
	if err != nil {
		return err
	}
	if d != d2 {
		return &os.PathError{Op: "rename", Path: oldname, Err: syscall.EXDEV}
	}
	n := d.now[from]
	if n == nil {
		return &os.PathError{Op: "rename", Path: oldname, Err: os.ErrNotExist}
	}
	d.set(to, n)
	d.set(from, nil)
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	if err := m.enter("remove", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	d, base, err := m.dir(name)
	if err != nil {
		return err
	}
	if d.now[base] == nil {
		return &os.PathError{Op: "remove", Path: name, Err: os.ErrNotExist}
	}
	d.set(base, nil)
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string, _ os.FileMode) error {
	if err := m.enter("mkdir", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for name = filepath.Clean(name); m.dirs[name] == nil; name = filepath.Dir(name) {
		m.dirs[name] = newMemDir()
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]string, error) {
	if err := m.enter("readdir", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	d := m.dirs[name]
	if d == nil {
		return nil, &os.PathError{Op: "readdir", Path: name, Err: os.ErrNotExist}
	}
	names := sortedKeys(d.now)
	for path := range m.dirs {
		if rest, ok := strings.CutPrefix(path, name+"/"); ok && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Size implements FS.
func (m *Mem) Size(name string) (int64, error) {
	if err := m.enter("stat", name); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	d, base, err := m.dir(name)
	if err != nil {
		return 0, err
	}
	if n := d.now[base]; n != nil {
		return int64(len(n.data)), nil
	}
	return 0, &os.PathError{Op: "stat", Path: name, Err: os.ErrNotExist}
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	if err := m.enter("sync", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	d := m.dirs[filepath.Clean(name)]
	if d == nil {
		return &os.PathError{Op: "sync", Path: name, Err: os.ErrNotExist}
	}
	for _, op := range d.pending {
		op.apply(d.durable)
	}
	d.pending = nil
	return nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.m.locks[l.name] == l {
		delete(l.m.locks, l.name)
	}
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	if err := m.enter("lock", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	if m.locks[name] != nil {
		return nil, ErrLocked
	}
	l := &memLock{m, name}
	m.locks[name] = l
	return l, nil
}

type memFile struct {
	m    *Mem
	n    *memNode
	name string
}

func (f *memFile) use(op string) error { return f.m.enter(op, f.name) }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.use("read"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.use("write"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	var err error
	if grow := off + int64(len(p)) - int64(len(f.n.data)); f.m.capacity > 0 && grow > 0 {
		if over := f.m.used() + grow - f.m.capacity; over > 0 {
			p = p[:max(0, int64(len(p))-over)]
			err = &os.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
		}
	}
	if len(p) > 0 {
		f.n.do(fileOp{off: off, data: slices.Clone(p)})
	}
	return len(p), err
}

func (f *memFile) WritevAt(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		n, err := f.WriteAt(b, off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (f *memFile) Sync() error {
	if err := f.use("sync"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	for _, op := range f.n.pending {
		f.n.durable = op.applyTo(f.n.durable)
	}
	f.n.pending = nil
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.use("truncate"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.n.do(fileOp{off: size})
	return nil
}

func (f *memFile) Allocate(size int64) error {
	if err := f.use("allocate"); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	grow := size - int64(len(f.n.data))
	if grow <= 0 {
		return nil
	}
	if f.m.capacity > 0 && f.m.used()+grow > f.m.capacity {
		return &os.PathError{Op: "allocate", Path: f.name, Err: syscall.ENOSPC}
	}
	f.n.do(fileOp{off: size})
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.use("stat"); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error { return nil }
