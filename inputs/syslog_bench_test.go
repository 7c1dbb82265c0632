package inputs

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// countingSink takes everything at once.
type countingSink struct{ lines atomic.Int64 }

func (s *countingSink) Submit(_ context.Context, b *Batch) (Ticket, error) {
	s.lines.Add(int64(len(b.Lines)))
	b.Release()
	return nil, nil
}

// From the socket to the sink: read, frame, batch. The time includes the sender, in the same process.
func BenchmarkSyslogTCP(b *testing.B) {
	const message = "<86>1 2026-11-22T11:00:00.123456Z web01 sshd 4711 - - Failed password for invalid user admin from 203.0.113.9 port 51234 ssh2\n"
	const perWrite = 64
	text := []byte(strings.Repeat(message, perWrite))
	for _, conns := range []int{1, 200} {
		b.Run(fmt.Sprintf("connections=%d", conns), func(b *testing.B) {
			sink := &countingSink{}
			r := startSyslog(b, `listen = ["tcp://127.0.0.1:0"]`, sink, Env{})
			writers := make([]func() error, conns)
			for i := range writers {
				c := r.dial(b, 0)
				writers[i] = func() error { _, err := c.Write(text); return err }
			}
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			b.ResetTimer()
			sent := int64(0)
			for i := 0; sent < int64(b.N); i++ {
				if err := writers[i%conns](); err != nil {
					b.Fatal(err)
				}
				sent += perWrite
			}
			for sink.lines.Load() < sent {
				runtime.Gosched()
			}
		})
	}
}
