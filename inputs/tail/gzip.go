package tail

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gzStream gives a compressed file the shape of readAt. It holds one window of decompressed bytes and no more, so a
// file that decompresses to any size costs time in turns but never memory. Going back starts over.
type gzStream struct {
	fd     int
	zr     *gzip.Reader
	window []byte // the last bytes that were read
	start  int64  // offset of window[0]
	err    error  // what ended the stream: io.EOF or damage
}

func isGzip(b []byte) bool { return len(b) >= 3 && bytes.Equal(b[:3], []byte{0x1f, 0x8b, 8}) }

func (g *gzStream) rewind() error {
	g.window, g.start, g.err = g.window[:0], 0, nil
	src := bufio.NewReaderSize(&fdReader{fd: g.fd}, 32<<10)
	if g.zr == nil {
		zr, err := gzip.NewReader(src)
		g.zr = zr
		return err
	}
	return g.zr.Reset(src)
}

// readAt is preadFull for the decompressed stream. A stream that ends early, because it is still being written, gives
// the bytes that are there and io.ErrUnexpectedEOF.
func (g *gzStream) readAt(p []byte, off int64) (int, error) {
	if g.zr == nil || off < g.start {
		if err := g.rewind(); err != nil {
			g.zr = nil
			return 0, unexpected(err)
		}
	}
	for {
		if have := g.start + int64(len(g.window)) - off; have >= int64(len(p)) || g.err != nil {
			break
		}
		// Keep from off on, then fill up; before off is reached the window is only passed through.
		if drop := off - g.start; drop > 0 {
			drop = min(drop, int64(len(g.window)))
			g.window = g.window[:copy(g.window, g.window[drop:])]
			g.start += drop
		}
		if cap(g.window) < len(p) {
			g.window = append(make([]byte, 0, max(len(p), 32<<10)), g.window...)
		}
		n, err := g.zr.Read(g.window[len(g.window):cap(g.window)])
		g.window = g.window[:len(g.window)+n]
		g.err = err
	}
	n := 0
	if skip := off - g.start; skip < int64(len(g.window)) {
		n = copy(p, g.window[skip:])
	}
	if n < len(p) && g.err != nil && !errors.Is(g.err, io.EOF) {
		return n, unexpected(g.err)
	}
	return n, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
