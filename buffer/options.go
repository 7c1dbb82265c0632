package buffer

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

// Policy says what Append does when the log is full.
type Policy uint8

const (
	// Wait lets Append wait until readers have made room.
	Wait Policy = iota
	// DropOldest deletes the oldest segment and counts what readers lose.
	DropOldest
)

// Options configure a log. Only Dir is needed.
type Options struct {
	// Dir holds everything of the log; it is made if absent.
	Dir string
	// MaxBytes bounds the segments' bytes; default 2 GiB. Blocks with UseReserve may go past it by Reserve.
	MaxBytes int64
	// OnFull is what happens at MaxBytes, or when the disk is full.
	OnFull Policy
	// SegmentBytes is the size at which a new segment is begun; default the lesser of 64 MiB and MaxBytes/8.
	SegmentBytes int64
	// Flush is the longest time that an appended block waits for others to share its fsync; default 100 ms.
	// Where nothing else is being written the fsync is immediate.
	Flush time.Duration
	// Reserve is disk space kept for cursors, dead letters and alerts; default 16 MiB, negative is none.
	Reserve int64
	// CacheBytes bounds the memory of fsynced blocks kept for readers at the tail; default 8 MiB.
	CacheBytes int64
	// MaxPending bounds the bytes appended but not yet fsynced; default 4 MiB.
	MaxPending int64
	// PositionTTL is the age at which a position that nobody renewed is forgotten; default 30 days.
	PositionTTL time.Duration
	// FullRetry is how often a full disk is tried again; default 1 s.
	FullRetry time.Duration

	FS     fsx.FS           // default fsx.OS{}
	Logger *slog.Logger     // default slog.Default()
	Now    func() time.Time // default time.Now
}

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return errors.New("open buffer: no directory given")
	}
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.MaxBytes, 2<<30)
	def(&o.SegmentBytes, min(64<<20, o.MaxBytes/8))
	def(&o.Reserve, 16<<20)
	def(&o.CacheBytes, 8<<20)
	def(&o.MaxPending, 4<<20)
	o.Reserve = max(o.Reserve, 0)
	// Full and empty must differ: with fewer than four segments one that is being read would fill the log.
	o.SegmentBytes = min(o.SegmentBytes, o.MaxBytes/4, maxSegment)
	if o.MaxBytes < minMaxBytes || o.SegmentBytes <= 0 {
		return fmt.Errorf("open buffer %s: a size limit of %d bytes is below the least possible, %d", o.Dir, o.MaxBytes, minMaxBytes)
	}
	if o.Flush == 0 {
		o.Flush = 100 * time.Millisecond
	}
	if o.PositionTTL == 0 {
		o.PositionTTL = 30 * 24 * time.Hour
	}
	if o.FullRetry == 0 {
		o.FullRetry = time.Second
	}
	if o.FS == nil {
		o.FS = fsx.OS{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

const (
	minMaxBytes = 64 << 10
	maxSegment  = 1 << 30
	// maxBlock bounds one block's encoded bytes, and its decoded ones.
	maxBlock = 256 << 20
)

var (
	// ErrClosed is returned by everything that waits when the log is closed.
	ErrClosed = errors.New("buffer is closed")
	// ErrTooLarge is returned by Append for a block that could never fit.
	ErrTooLarge = errors.New("block is larger than the buffer takes")
)

// CorruptionError says where stored bytes are not what was written.
type CorruptionError struct {
	Segment uint64
	Offset  int64
	Err     error
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("segment %d damaged at offset %d: %v", e.Segment, e.Offset, e.Err)
}

func (e *CorruptionError) Unwrap() error { return e.Err }

// VersionError is returned for files that a newer program wrote.
type VersionError struct {
	File    string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, this program reads up to version %d: run the newer Gatebook that wrote it", e.File, e.Version, formatVersion)
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
