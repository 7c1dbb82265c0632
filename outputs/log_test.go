package outputs

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/fsx"
)

// testLog is a real log that tests append to.
type testLog struct {
	t   testing.TB
	dir string
	*buffer.Log
	enc   *event.Encoder
	total int
}

func openLog(t testing.TB, dir, epoch string) *testLog { return openLogFS(t, fsx.OS{}, dir, epoch) }

func openLogFS(t testing.TB, fs fsx.FS, dir, epoch string) *testLog {
	l, err := buffer.Open(buffer.Options{Dir: dir, Flush: time.Millisecond, Logger: quiet(), Reserve: -1, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return &testLog{t: t, dir: dir, Log: l, enc: event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: epoch, Original: true, Typed: true})}
}

// add appends a block of events with the messages "<prefix>0" ... of a dataset.
func (l *testLog) add(codec buffer.Codec, prefix, dataset string, n int) {
	l.t.Helper()
	l.addMixed(codec, prefix, []string{dataset}, n)
}

// addMixed does so with events of the datasets in turn.
func (l *testLog) addMixed(codec buffer.Codec, prefix string, datasets []string, n int) {
	l.t.Helper()
	b := buffer.NewBlock()
	b.First, b.Count = l.Reserve(n), n
	b.Typed = event.AppendTypedHeader(b.Typed)
	var e event.Event
	for i := range n {
		e.Reset()
		e.Time = event.TimeOf(time.Unix(1_700_000_000, 0))
		e.Dataset = event.DatasetPrefix + datasets[i%len(datasets)]
		e.Action = event.Login
		e.Message = fmt.Sprintf("%s%d", prefix, i)
		e.Original = "original of " + e.Message
		b.Docs, b.Typed = l.enc.AppendItem(b.Docs, b.Typed, &e, b.First+uint64(i))
		b.Ends = append(b.Ends, uint32(len(b.Docs)))
	}
	b.RawSize = len(b.Docs)
	if err := b.Compress(codec); err != nil {
		l.t.Fatal(err)
	}
	ticket, err := l.Append(context.Background(), b)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := ticket.Wait(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.total += n
}

func (l *testLog) reader(name string) *buffer.Reader {
	l.t.Helper()
	r, err := l.Reader(name, buffer.ReaderOptions{Required: true, MaxOutstanding: MaxOutstanding})
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// once runs an output until everything in the log is settled.
func once(t testing.TB, r Reader, out Output, o Options) *Stats {
	t.Helper()
	end := make(chan struct{})
	close(end)
	o.End = end
	if o.Logger == nil {
		o.Logger = quiet()
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := Run(ctx, r, out, o); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("not done: %+v", o.Stats.Figures())
	}
	return o.Stats
}

// wantAll checks that each message of each prefix is there once.
func wantAll(t testing.TB, have map[string]int, total int) {
	t.Helper()
	if len(have) != total {
		t.Errorf("%d different documents, want %d", len(have), total)
	}
	for m, n := range have {
		if n != 1 {
			t.Errorf("%q is there %d times", m, n)
		}
	}
}

// wantAccounts checks that the log's accounts of a reader are even.
func (l *testLog) wantAccounts(name string, delivered, filtered, dead int) {
	l.t.Helper()
	for _, s := range l.Readers() {
		if s.Name != name {
			continue
		}
		if int(s.Delivered) != delivered || int(s.Filtered) != filtered || int(s.DeadLettered) != dead || s.Waiting != 0 || s.Unsettled != 0 || s.Outstanding != 0 {
			l.t.Errorf("accounts: %+v, want %d delivered, %d filtered, %d dead-lettered", s, delivered, filtered, dead)
		}
		return
	}
	l.t.Errorf("no reader %s", name)
}
