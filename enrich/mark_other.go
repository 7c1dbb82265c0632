//go:build !unix

package enrich

import "os"

func markOf(path string) (fileMark, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileMark{}, cause(err)
	}
	return fileMark{size: uint64(info.Size()), modified: info.ModTime()}, nil
}
