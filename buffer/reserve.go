package buffer

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// ballast is a file of reserved disk space that is given up when something small must be written on a full disk.
type ballast struct {
	mu      sync.Mutex
	size    int64
	out     atomic.Bool // given up, or never had
	using   int         // calls that are being run on what was given up
	retryAt time.Time
}

func (l *Log) ballastPath() string { return filepath.Join(l.o.Dir, "reserve") }

// openBallast takes the reserve at the start; a disk too full for it is not an error, readers must be able to
// empty the log.
func (l *Log) openBallast() {
	b := &l.ballast
	b.size = l.o.Reserve
	if b.size == 0 {
		_ = l.o.FS.Remove(l.ballastPath())
		return
	}
	if err := l.allocateBallast(); err != nil {
		b.out.Store(true)
		l.o.Logger.Warn("disk space for the reserve is missing, inputs wait for it", "dir", l.o.Dir, "bytes", b.size, "err", err)
	}
}

func (l *Log) allocateBallast() error {
	f, err := l.o.FS.OpenFile(l.ballastPath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	have, err := f.Size()
	if err != nil {
		return err
	}
	if have > l.ballast.size {
		return f.Truncate(l.ballast.size)
	}
	if err := f.Allocate(l.ballast.size); err != nil {
		// A part that was allocated would only take space from others.
		_ = f.Truncate(0)
		return err
	}
	return f.Sync()
}

// missing tells whether the reserve is given up at present: inputs wait then.
func (b *ballast) missing() bool { return b.out.Load() }

// restore takes the reserve again once there is space for it. Called by the writer.
func (b *ballast) restore(l *Log) {
	if !b.missing() {
		return
	}
	b.mu.Lock()
	if b.using > 0 || time.Now().Before(b.retryAt) {
		b.mu.Unlock()
		return
	}
	err := l.allocateBallast()
	b.out.Store(err != nil)
	b.retryAt = time.Now().Add(l.o.FullRetry)
	b.mu.Unlock()
	if err != nil {
		return
	}
	l.mu.Lock()
	l.spaceFreed()
	l.mu.Unlock()
}

// WithReserve runs fn and, where that fails because the disk is full, gives up the reserve and runs it again.
// Inputs get none of that space: they wait until the reserve could be taken again. For cursors, dead letters
// and alerts.
func (l *Log) WithReserve(fn func() error) error {
	err := fn()
	if !isNoSpace(err) || l.o.Reserve == 0 {
		return err
	}
	b := &l.ballast
	b.mu.Lock()
	if !b.out.Swap(true) {
		if terr := l.dropBallast(); terr != nil {
			b.mu.Unlock()
			return fmt.Errorf("give up the reserve: %w (for: %w)", terr, err)
		}
		l.o.Logger.Warn("disk full: the reserve is being used", "dir", l.o.Dir, "bytes", b.size)
	}
	b.using++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.using--
		b.retryAt = time.Now().Add(l.o.FullRetry)
		b.mu.Unlock()
		l.wakeWriter()
	}()
	return fn()
}

func (l *Log) dropBallast() error {
	f, err := l.o.FS.OpenFile(l.ballastPath(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(0)
}
