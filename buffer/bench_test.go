package buffer

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

// nullFS takes writes and forgets them, so that what is measured is our own work beside the kernel's.
type nullFS struct{ fsx.FS }

func (n nullFS) OpenFile(name string, flag int, perm os.FileMode) (fsx.File, error) {
	f, err := n.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return nullFile{f}, nil
}

type nullFile struct{ fsx.File }

func (f nullFile) WritevAt(bufs [][]byte, off int64) (int, error) {
	if off < 4096 {
		return f.File.WritevAt(bufs, off)
	}
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	return n, nil
}

func (f nullFile) Sync() error { return nil }

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchAppend appends blocks of n items of size bytes; readers follow at the tail.
func benchAppend(b *testing.B, fs fsx.FS, n, size, readers int) {
	o := realBench(b, fs)
	l := mustOpen(b, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan uint64, readers)
	for i := range readers {
		r := mustReader(b, l, fmt.Sprint("r", i), ReaderOptions{Required: true})
		go func() {
			items, blocks := uint64(0), 0
			for {
				blk, err := r.Next(ctx)
				if err != nil {
					done <- items
					return
				}
				items += uint64(blk.Count)
				r.Settle(blk, nil)
				r.Count(blk.Count, 0, 0)
				blk.Release()
				if blocks++; blocks*n*size > 32<<20 {
					blocks = 0
					if err := r.Commit(); err != nil {
						b.Error(err)
					}
				}
			}
		}()
	}
	doc := []byte(item(1, size))
	b.ReportAllocs()
	b.SetBytes(int64(n * size))
	runtime.GC()
	start := cpu()
	b.ResetTimer()
	for range b.N {
		blk := NewBlock()
		blk.First, blk.Count = l.Reserve(n), n
		for range n {
			blk.Docs = append(blk.Docs, doc...)
			blk.Ends = append(blk.Ends, uint32(len(blk.Docs)))
		}
		blk.RawSize = len(blk.Docs)
		if _, err := l.Append(ctx, blk); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Sync(ctx); err != nil {
		b.Fatal(err)
	}
	for caught := false; !caught; {
		caught = true
		for _, s := range l.Readers() {
			caught = caught && s.Unsettled == 0
		}
		runtime.Gosched()
	}
	b.StopTimer()
	gb := float64(b.N) * float64(n*size) / 1e9
	b.ReportMetric((cpu()-start).Seconds()/gb, "cpu-s/GB")
	b.ReportMetric(float64(l.Stats().Fsyncs)/float64(b.N), "fsyncs/block")
	cancel()
	for range readers {
		<-done
	}
}

func realBench(b *testing.B, fs fsx.FS) Options {
	o := testOptions(fs)
	o.Dir = b.TempDir()
	return o
}

func BenchmarkAppend1MB(b *testing.B) {
	for _, readers := range []int{0, 1, 3} {
		b.Run(fmt.Sprint("readers=", readers), func(b *testing.B) { benchAppend(b, fsx.OS{}, 1200, 850, readers) })
	}
	b.Run("readers=3/nodisk", func(b *testing.B) { benchAppend(b, nullFS{fsx.OS{}}, 1200, 850, 3) })
}

func BenchmarkAppendOneItem(b *testing.B) {
	b.Run("readers=1", func(b *testing.B) { benchAppend(b, fsx.OS{}, 1, 700, 1) })
	b.Run("readers=1/nodisk", func(b *testing.B) { benchAppend(b, nullFS{fsx.OS{}}, 1, 700, 1) })
}

func BenchmarkReadDisk(b *testing.B) {
	for _, n := range []int{1, 1200} {
		b.Run(fmt.Sprint("items=", n), func(b *testing.B) {
			o := realBench(b, fsx.OS{})
			o.CacheBytes = 1
			l := mustOpen(b, o)
			blocks := 64
			if n == 1 {
				blocks = 20000
			}
			for range blocks {
				if _, err := l.Append(b.Context(), block(l, n, 850)); err != nil {
					b.Fatal(err)
				}
			}
			if err := l.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(n * 850))
			start := cpu()
			b.ResetTimer()
			r := mustReader(b, l, "r0", ReaderOptions{})
			for i, left := 0, blocks; i < b.N; i++ {
				if left == 0 {
					if err := l.DropReader(r.name); err != nil {
						b.Fatal(err)
					}
					r, left = mustReader(b, l, "r0", ReaderOptions{}), blocks
				}
				left--
				blk, ok, err := r.TryNext()
				if err != nil || !ok {
					b.Fatal(ok, err)
				}
				r.Settle(blk, nil)
				blk.Release()
			}
			b.ReportMetric((cpu()-start).Seconds()/(float64(b.N)*float64(n*850)/1e9), "cpu-s/GB")
		})
	}
}
