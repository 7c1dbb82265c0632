package tail

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// firstLineBytes bounds what FirstLine reads: it is for the header row of a CSV file.
const firstLineBytes = 8 << 10

// FirstLine returns the first line of an open plain file by its key, "" where there is none or it is longer than 8 KiB. It may be
// called from Emit: after a restart reading goes on in the middle of a file whose first line says how to read the rest.
func (t *Tailer) FirstLine(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.live {
		if s.key != key || s.fd < 0 || s.gzip {
			continue
		}
		buf := make([]byte, firstLineBytes)
		n := 0
		err := ignoringEINTR(func() (err error) { n, err = unix.Pread(s.fd, buf, 0); return err })
		if end := bytes.IndexByte(buf[:max(n, 0)], '\n'); err == nil && end >= 0 {
			return string(bytes.TrimSuffix(buf[:end], []byte("\r")))
		}
	}
	return ""
}
