package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
)

// Codec is how a block's items are encoded. The values are part of the disk format.
type Codec uint8

const (
	Raw  Codec = 0
	S2   Codec = 1
	Gzip Codec = 2 // exactly one member, so that it can be forwarded as it is
)

func (c Codec) String() string {
	switch c {
	case Raw:
		return "raw"
	case S2:
		return "s2"
	case Gzip:
		return "gzip"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

var errMoreData = errors.New("decoded items are longer than the block says")

var (
	gzipReaders = sync.Pool{New: func() any { return &gzipReader{} }}
	gzipWriters = sync.Pool{New: func() any { return &gzipWriter{} }}
)

type gzipReader struct {
	src bytes.Reader
	z   gzip.Reader
	one [1]byte
}

type gzipWriter struct {
	dst bytesWriter
	z   *gzip.Writer
}

type bytesWriter struct{ b []byte }

func (w *bytesWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// decode appends the decoded items to dst, exactly size bytes or an error.
func decode(c Codec, dst, src []byte, size int) ([]byte, error) {
	switch c {
	case Raw:
		return append(dst, src...), nil
	case S2:
		n, err := s2.DecodedLen(src)
		if err != nil {
			return nil, fmt.Errorf("decode s2 items: %w", err)
		}
		if n != size {
			return nil, fmt.Errorf("decode s2 items: %d bytes, not %d", n, size)
		}
		out, err := s2.Decode(grow(dst, size), src)
		if err != nil {
			return nil, fmt.Errorf("decode s2 items: %w", err)
		}
		return out, nil
	case Gzip:
		return decodeGzip(dst, src, size)
	}
	return nil, fmt.Errorf("decode items: unknown codec %d", c)
}

func decodeGzip(dst, src []byte, size int) ([]byte, error) {
	r := gzipReaders.Get().(*gzipReader)
	defer gzipReaders.Put(r)
	r.src.Reset(src)
	if err := r.z.Reset(&r.src); err != nil {
		return nil, fmt.Errorf("decode gzip items: %w", err)
	}
	dst = grow(dst, size)
	if _, err := io.ReadFull(&r.z, dst); err != nil {
		return nil, fmt.Errorf("decode gzip items: %w", err)
	}
	// The end must follow: it is where the member's own checksum is compared.
	if n, err := r.z.Read(r.one[:]); n != 0 {
		return nil, fmt.Errorf("decode gzip items: %w", errMoreData)
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decode gzip items: %w", err)
	}
	return dst, nil
}

// encode appends src, encoded as one unit, to dst.
func encode(c Codec, dst, src []byte) ([]byte, error) {
	switch c {
	case S2:
		return s2.Encode(dst[:cap(dst)], src), nil
	case Gzip:
		w := gzipWriters.Get().(*gzipWriter)
		defer gzipWriters.Put(w)
		w.dst.b = dst
		if w.z == nil {
			z, err := gzip.NewWriterLevel(&w.dst, gzip.BestSpeed)
			if err != nil {
				return nil, err
			}
			w.z = z
		} else {
			w.z.Reset(&w.dst)
		}
		if _, err := w.z.Write(src); err != nil {
			return nil, err
		}
		if err := w.z.Close(); err != nil {
			return nil, err
		}
		out := w.dst.b
		w.dst.b = nil
		return out, nil
	}
	return nil, fmt.Errorf("unknown codec %d", c)
}
