package buffer

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/gatebook/gatebook/internal/fsx"
)

func TestMain(m *testing.M) {
	if runHelper() {
		return
	}
	goleak.VerifyTestMain(m)
}

// failer is what a test helper needs of testing.TB, and rapid has.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// logSink keeps what was logged.
type logSink struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *logSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *logSink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func testOptions(fs fsx.FS) Options {
	return Options{Dir: "/log", FS: fs, Reserve: 64 << 10, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustReader(t testing.TB, l *Log, name string, o ReaderOptions) *Reader {
	t.Helper()
	r, err := l.Reader(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// block makes a block of n items that name their sequence, and a position.
func block(l *Log, n int, size int) *Block {
	b := NewBlock()
	b.First, b.Count = l.Reserve(n), n
	for i := range n {
		b.Docs = append(b.Docs, item(b.First+uint64(i), size)...)
		b.Ends = append(b.Ends, uint32(len(b.Docs)))
	}
	b.RawSize = len(b.Docs)
	b.Typed = append(b.Typed, "typed"...)
	b.Positions = append(b.Positions, Position{"last", []byte(fmt.Sprint(b.First + uint64(n) - 1))})
	return b
}

func item(seq uint64, size int) string {
	s := fmt.Sprintf("item-%d;", seq)
	if len(s) < size {
		s += strings.Repeat("x", size-len(s))
	}
	return s
}

func mustAppend(t testing.TB, l *Log, b *Block) *Ticket {
	t.Helper()
	tk, err := l.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// put appends n items as one block and waits for the fsync; it returns the first sequence.
func put(t testing.TB, l *Log, n, size int) uint64 {
	t.Helper()
	b := block(l, n, size)
	first := b.First
	if err := mustAppend(t, l, b).Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	return first
}

// take reads one block, checks its items and settles all but those outstanding; it returns the sequences.
func take(t testing.TB, r *Reader, outstanding ...uint64) []uint64 {
	t.Helper()
	b, ok, err := r.TryNext()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil
	}
	seqs := checkBlock(t, b)
	r.Settle(b, outstanding)
	r.Count(b.Count-len(outstanding), 0, 0)
	b.Release()
	return seqs
}

func checkBlock(t failer, b *Block) (seqs []uint64) {
	t.Helper()
	for i := range b.Count {
		seq := b.First + uint64(i)
		got, err := b.Item(i)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(got), item(seq, 0)) {
			t.Fatalf("item %d reads %.40q", seq, got)
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

func drain(t testing.TB, r *Reader) (seqs []uint64) {
	t.Helper()
	for {
		got := take(t, r)
		if got == nil {
			return seqs
		}
		seqs = append(seqs, got...)
	}
}

// checkAccounts asserts the accounts of every open reader, and that the log's own bookkeeping agrees.
func checkAccounts(t failer, l *Log) {
	t.Helper()
	for _, s := range l.Readers() {
		if !s.Open {
			continue
		}
		if s.Waiting < 0 || uint64(s.Waiting) != s.Unsettled {
			t.Fatalf("reader %s: accounts say %d waiting, positions say %d: %+v", s.Name, s.Waiting, s.Unsettled, s)
		}
	}
}

func seqRange(from, to uint64) (s []uint64) {
	for ; from < to; from++ {
		s = append(s, from)
	}
	return s
}

func wantSeqs(t testing.TB, got, want []uint64) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got items %v, want %v", got, want)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func crcOf(seed uint32, b []byte) uint32 { return crc32.Update(seed, castagnoli, b) }
