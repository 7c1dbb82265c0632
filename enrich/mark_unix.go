//go:build unix

package enrich

import (
	"os"
	"syscall"
)

func markOf(path string) (fileMark, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileMark{}, cause(err)
	}
	m := fileMark{size: uint64(info.Size()), modified: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		m.inode = st.Ino
	}
	return m, nil
}
