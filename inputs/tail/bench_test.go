package tail

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func BenchmarkRead(b *testing.B) {
	line := "Nov 22 10:00:00 host sshd[12345]: Failed password for invalid user admin from 203.0.113.7 port 40022 ssh2 xyz\n"
	dir := b.TempDir()
	data := strings.Repeat(line, 1_000_000)
	if err := os.WriteFile(filepath.Join(dir, "auth.log"), []byte(data), 0o644); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	before := cpu(b)
	defer func() { b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op") }()
	for b.Loop() {
		tl, err := New(Config{Paths: []string{filepath.Join(dir, "*.log")}}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		err = tl.ReadToEnd(context.Background(), func(_ context.Context, c *Chunk) error { n += len(c.Lines); return nil })
		if err != nil || n != 1_000_000 {
			b.Fatal(n, err)
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPosition(b *testing.B) {
	p := place{path: "/var/log/auth.log", origin: "/var/log/auth.log"}
	tail := make([]byte, 2*tailLen)
	b.ReportAllocs()
	for b.Loop() {
		p.advance(markAt(p.mark.off+100_000, tail))
		if len(p.appendTo(make([]byte, 0, 200))) == 0 {
			b.Fatal()
		}
	}
}
