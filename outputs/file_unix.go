//go:build unix

package outputs

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// fileID tells files apart, also across restarts.
func fileID(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("no inode number")
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
