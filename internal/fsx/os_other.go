//go:build unix && !linux

package fsx

func (f *osFile) WritevAt(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		n, err := f.f.WriteAt(b, off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (f *osFile) Sync() error { return f.f.Sync() }

func (f *osFile) Allocate(size int64) error { return f.writeZeros(size) }
