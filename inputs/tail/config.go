package tail

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// From says where a file begins that was never seen before.
type From uint8

const (
	// Beginning reads every new file from its first byte.
	Beginning From = iota
	// End skips what the files hold at the very first start. Files that appear later are read from their first byte.
	End
)

// Match says to which neighbour a line that fits the multiline pattern belongs.
type Match uint8

const (
	// After joins a line that fits to the line before it.
	After Match = iota
	// Before joins a line that fits to the line after it.
	Before
)

// Multiline joins physical lines into one. The joined text is contiguous in the file, inner line ends included.
type Multiline struct {
	Pattern  *regexp.Regexp
	Negate   bool // lines that do not fit the pattern are the ones that are joined
	Match    Match
	MaxLines int           // default 500; at this count the group is closed and flagged, the rest forms the next one
	Timeout  time.Duration // default 5s; an unfinished group is closed when its file was silent for this long
}

// Config says what is followed and how. The zero value of every field but Paths has a usable default.
type Config struct {
	Paths   []string // absolute globs (path.Match syntax)
	Exclude []string // globs; one without a slash is compared with the base name
	From    From

	MaxLine   int // bytes of a line or a group, default 64 KiB; longer lines are cut there and flagged
	Multiline *Multiline
	// PartialTimeout is how long a file must be silent before a last line without newline is taken as it is.
	// Zero: never, as long as the file is at its path. Rotated and deleted files always use a timeout (5 s if zero).
	PartialTimeout time.Duration

	Poll            time.Duration // default 250ms
	Rescan          time.Duration // default 1s
	ChunkSize       int           // bytes, default 128 KiB
	FingerprintSize int           // bytes, default 1024

	MaxOpen           int           // descriptors, default half of RLIMIT_NOFILE but at most 4096, never below 8
	CloseInactive     time.Duration // default 1h; a file silent for so long is closed, and opened again when it grows
	CloseRemovedAfter time.Duration // default 1m; a deleted file is let go when it was silent for so long

	// Roots are directories that a file must lie beneath after every symbolic link is resolved. Default: the
	// fixed directory part of each glob.
	Roots          []string
	Owners         []uint32 // user ids that may own a file; empty: any
	AllowHardLinks bool     // false refuses files with more than one name
	NoNotify       bool     // polling alone
}

// Options are what the surroundings lend to a Tailer.
type Options struct {
	Logger *slog.Logger
	Now    func() time.Time
	// Wake, where given, replaces timers and notification: each receive makes one full pass.
	Wake <-chan struct{}
	// Positions are the last Position of every Key from earlier runs.
	Positions map[string][]byte
	// OnError is told of changes only: an error when a path starts to fail or fails differently, nil when it works
	// again. Called from the goroutine of Run; must not call back into the Tailer.
	OnError func(path string, err error)
}

const (
	defaultMaxLine     = 64 << 10
	defaultChunk       = 128 << 10
	defaultFingerprint = 1024
	maxBuffer          = 64 << 20
	maxChunkLines      = 2048 // lines become records of a kilobyte or so: a chunk of very short ones must not become a huge block
	rotatedGrace       = 5 * time.Second
	forgetRotated      = 24 * time.Hour
	maxTombstones      = 4096
)

func (c Config) withDefaults() (Config, error) {
	if len(c.Paths) == 0 {
		return c, errors.New("paths: at least one is needed")
	}
	for _, p := range c.Paths {
		if !filepath.IsAbs(p) {
			return c, fmt.Errorf("path %q: must be absolute", p)
		}
		if _, err := filepath.Match(p, "/"); err != nil {
			return c, fmt.Errorf("path %q: %w", p, err)
		}
	}
	for _, p := range c.Exclude {
		if _, err := filepath.Match(p, "/"); err != nil {
			return c, fmt.Errorf("exclude %q: %w", p, err)
		}
	}
	setInt(&c.MaxLine, defaultMaxLine)
	setInt(&c.ChunkSize, defaultChunk)
	setInt(&c.FingerprintSize, defaultFingerprint)
	if c.MaxLine > maxBuffer || c.ChunkSize > maxBuffer || c.FingerprintSize > maxBuffer {
		return c, fmt.Errorf("max line, chunk and fingerprint size: at most %d bytes", maxBuffer)
	}
	setDuration(&c.Poll, 250*time.Millisecond)
	setDuration(&c.Rescan, time.Second)
	setDuration(&c.CloseInactive, time.Hour)
	setDuration(&c.CloseRemovedAfter, time.Minute)
	if m := c.Multiline; m != nil {
		if m.Pattern == nil {
			return c, errors.New("multiline: a pattern is needed")
		}
		cp := *m
		setInt(&cp.MaxLines, 500)
		setDuration(&cp.Timeout, 5*time.Second)
		c.Multiline = &cp
	}
	if c.MaxOpen <= 0 {
		c.MaxOpen = descriptorShare()
	}
	if len(c.Roots) == 0 {
		for _, p := range c.Paths {
			c.Roots = append(c.Roots, fixedDir(p))
		}
	}
	for i, r := range c.Roots {
		if !filepath.IsAbs(r) {
			return c, fmt.Errorf("root %q: must be absolute", r)
		}
		c.Roots[i] = filepath.Clean(r)
	}
	return c, nil
}

func setInt(v *int, def int) {
	if *v <= 0 {
		*v = def
	}
}

func setDuration(v *time.Duration, def time.Duration) {
	if *v <= 0 {
		*v = def
	}
}

// descriptorShare is half of what this process may open: the other half is for the buffer, sockets and the store.
func descriptorShare() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 256
	}
	return int(min(max(lim.Cur/2, 8), 4096))
}

// fixedDir is the directory part of a glob before its first wildcard.
func fixedDir(glob string) string {
	if i := strings.IndexAny(glob, `*?[\`); i >= 0 {
		glob = glob[:i]
		return filepath.Clean(glob[:strings.LastIndexByte(glob, '/')+1])
	}
	return filepath.Dir(glob)
}
