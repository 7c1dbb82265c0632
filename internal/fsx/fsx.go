// Package fsx is the thin layer between Gatebook's durable files and the operating system.
//
// It holds the few operations that a log needs, each with the durability it gives, an implementation for
// the real file system (OS), one in memory that can lose power (Mem), and a wrapper that makes the n-th
// operation of a kind fail (Fault). What is durable on Mem after a cut is only what a correct file system
// has to keep: file data after File.Sync, directory entries after FS.SyncDir. Code that passes its tests
// on Mem therefore syncs what it must.
//
//	buffer ──> FS ──┬── OS     fdatasync, fallocate, flock
//	                ├── Mem    power cuts, limited space
//	                └── Fault ──> any of the two
package fsx

import (
	"errors"
	"io"
	"os"
)

// ErrLocked is returned by FS.Lock when another process, or another holder in this one, has the lock.
var ErrLocked = errors.New("already locked")

// FS is a file system. Implementations are safe for concurrent use.
type FS interface {
	// OpenFile opens with the flags of package os. O_APPEND is not supported: all writing is by offset.
	OpenFile(name string, flag int, perm os.FileMode) (File, error)
	Rename(oldname, newname string) error
	Remove(name string) error
	// MkdirAll makes a directory and its parents and makes the new entries durable.
	MkdirAll(name string, perm os.FileMode) error
	// ReadDir returns the names in a directory, sorted.
	ReadDir(name string) ([]string, error)
	// Size returns the length of the file in bytes, os.ErrNotExist where there is none.
	Size(name string) (int64, error)
	// SyncDir makes the entries of a directory (creations, renames, removals) durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock that ends with Close or with the process. It returns ErrLocked when it is
	// held elsewhere.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt, WriteAt and WritevAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	// WritevAt writes the buffers one after the other from off on; it returns the bytes written and an error
	// when those are fewer than all. It does not retain nor change bufs' contents, but may re-slice its elements.
	WritevAt(bufs [][]byte, off int64) (int, error)
	// Sync makes the file's data and size durable (fdatasync). After an error nothing is known about what
	// was written since the last success, and calling it again proves nothing.
	Sync() error
	Truncate(size int64) error
	// Allocate makes sure that the first size bytes have space on the disk, and grows the file to size.
	Allocate(size int64) error
	Size() (int64, error)
	Close() error
}
