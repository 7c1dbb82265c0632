package buffer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Stats are a log's figures since it was opened, sizes as of now.
type Stats struct {
	Bytes, MaxBytes  int64
	Segments         int
	Blocks, Items    int64 // appended and fsynced
	AppendedBytes    int64
	PendingBytes     int64 // appended, not yet fsynced
	CacheBytes       int64
	NextSequence     uint64
	Positions        int
	Fsyncs           int64
	FsyncErrors      int64
	LastFsync        time.Duration // write and fsync of the last run
	Damaged          int64         // stretches set aside
	DamagedBytes     int64
	TornBytes        int64  // cut from the end at Open
	DroppedItems     int64  // items of segments that OnFull = DropOldest deleted
	Full             string // why inputs wait: "", "max_bytes" or "disk"
	ReserveAvailable bool
	Err              error // after it nothing can be appended any more
}

// Stats returns the log's figures.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Bytes: l.bytes, MaxBytes: l.o.MaxBytes, Segments: len(l.segments), Blocks: l.blocks.Load(), Items: l.items.Load(),
		AppendedBytes: l.appendBytes.Load(), PendingBytes: l.pendingBytes, CacheBytes: l.cache.bytes, NextSequence: l.nextSeq,
		Positions: len(l.positions), Fsyncs: l.fsyncs.Load(), FsyncErrors: l.fsyncErrors.Load(),
		LastFsync: time.Duration(l.lastFsync.Load()), Damaged: l.quarantined.Load(), DamagedBytes: l.quarantinedBytes.Load(),
		TornBytes: l.tornBytes.Load(), DroppedItems: l.dropped.Load(), Full: l.full, ReserveAvailable: !l.ballast.missing(), Err: l.err,
	}
}

// ReaderStats are a reader's figures. At all times
//
//	AtOpen + Appended = Delivered + Filtered + DeadLettered + Skipped + Waiting
//
// and, when nobody is between Settle and Count, Waiting = Unsettled.
type ReaderStats struct {
	Name         string
	Open         bool // false: a cursor on disk that nobody opened; only Name, Required and Cursor are set
	Required     bool
	Cursor       Pos
	WaitingBytes int64 // from the cursor to the end
	AtOpen       uint64
	Appended     uint64
	Delivered    uint64
	Filtered     uint64
	DeadLettered uint64
	Skipped      uint64
	Waiting      int64 // by the accounts, outstanding ones included
	Unsettled    uint64
	Outstanding  int
}

// Readers returns the figures of all readers, by name.
func (l *Log) Readers() []ReaderStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]ReaderStats, 0, len(l.readers)+len(l.known))
	for _, r := range l.readers {
		cur, _ := r.cursor()
		all = append(all, ReaderStats{
			Name: r.name, Open: true, Required: r.o.Required, Cursor: cur, WaitingBytes: l.behind(cur), AtOpen: r.base,
			Appended: r.appended, Delivered: r.delivered, Filtered: r.filtered, DeadLettered: r.deadLetter, Skipped: r.skipped,
			Waiting:   int64(r.base + r.appended - r.delivered - r.filtered - r.deadLetter - r.skipped),
			Unsettled: r.unsettled, Outstanding: len(r.out),
		})
	}
	for _, c := range l.known {
		all = append(all, ReaderStats{Name: c.name, Required: c.required, Cursor: c.pos, WaitingBytes: l.behind(c.pos)})
	}
	slices.SortFunc(all, func(a, b ReaderStats) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// DropReader forgets a cursor for good: its reader, if open, gets ErrClosed, and what it held back may be deleted.
func (l *Log) DropReader(name string) error {
	l.mu.Lock()
	r, known := l.readers[name], l.known[name] != nil
	if r == nil && !known {
		l.mu.Unlock()
		return fmt.Errorf("drop reader %s: there is none", name)
	}
	delete(l.readers, name)
	delete(l.known, name)
	if r != nil {
		r.closed = true
		r.wakeUp()
	}
	l.mu.Unlock()
	if r != nil {
		r.closeFiles()
	}
	path := l.cursorFile(name)
	if err := l.o.FS.Remove(path); err != nil {
		return fmt.Errorf("drop reader %s: %w", name, err)
	}
	if err := l.o.FS.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("drop reader %s: %w", name, err)
	}
	l.reclaim()
	return nil
}
