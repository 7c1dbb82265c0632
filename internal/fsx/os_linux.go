package fsx

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// maxIovecs is IOV_MAX of Linux.
const maxIovecs = 1024

func (f *osFile) WritevAt(bufs [][]byte, off int64) (int, error) {
	total := 0
	for len(bufs) > 0 {
		n, err := unix.Pwritev(int(f.f.Fd()), bufs[:min(len(bufs), maxIovecs)], off)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return total, f.pathError("write", err)
		}
		if n == 0 && len(bufs[0]) > 0 {
			return total, f.pathError("write", io.ErrShortWrite)
		}
		total += n
		off += int64(n)
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if n > 0 {
			bufs[0] = bufs[0][n:]
		}
	}
	return total, nil
}

func (f *osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.f.Fd()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return f.pathError("fdatasync", err)
	}
}

func (f *osFile) Allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.f.Fd()), 0, 0, size)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EOPNOTSUPP) {
			return f.writeZeros(size)
		}
		return f.pathError("fallocate", err)
	}
}
