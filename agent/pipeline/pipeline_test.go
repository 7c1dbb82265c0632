package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeParser takes lines as they are; "no match", "bad ..." and "crash" are what they say; "slow" lets others go ahead.
type fakeParser struct{ gate chan struct{} }

func (fakeParser) Dataset() string { return "gatebook.fake" }

func (p fakeParser) Parse(l parsers.Line, ev *event.Event) error {
	switch {
	case l.Text == "no match":
		return parsers.ErrNoMatch
	case strings.HasPrefix(l.Text, "bad"):
		ev.User.Name = "left over"
		return errors.New("no time in it")
	case l.Text == "crash":
		panic(l.Text)
	case l.Text == "slow":
		<-p.gate
	}
	ev.Dataset, ev.Message = "gatebook.fake", l.Text
	return nil
}

func openLog(t testing.TB) *buffer.Log {
	t.Helper()
	l, err := buffer.Open(buffer.Options{Dir: t.TempDir(), Flush: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func batch(src *inputs.Source, texts ...string) *inputs.Batch {
	b := inputs.NewBatch()
	b.Source, b.Received = src, time.Unix(1795342532, 0)
	for i, s := range texts {
		b.Lines = append(b.Lines, inputs.Line{Text: s, Offset: int64(i)})
		b.Size += len(s)
	}
	b.Positions = append(b.Positions, inputs.Position{Key: "file/x/1", Value: []byte(texts[len(texts)-1])})
	return b
}

func options(l Log, p parsers.Parser) Options {
	return Options{Log: l, Parser: func(string, string) (parsers.Parser, error) { return p, nil }, Workers: 4,
		Encoder: event.EncoderOptions{Namespace: "default", Epoch: strings.Repeat("a", 32), Original: true, Typed: true}}
}

// drain closes the pipeline and returns the documents that a reader of the log sees.
func drain(t *testing.T, p *Pipeline, l *buffer.Log) []map[string]any {
	t.Helper()
	ctx := context.Background()
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := l.Reader("test", buffer.ReaderOptions{Required: true})
	if err != nil {
		t.Fatal(err)
	}
	var docs []map[string]any
	for {
		b, ok, err := r.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return docs
		}
		for i := range b.Count {
			item, err := b.Item(i)
			if err != nil {
				t.Fatal(err)
			}
			var doc map[string]any
			if err := json.Unmarshal(event.Document(item), &doc); err != nil {
				t.Fatalf("%v in %s", err, item)
			}
			docs = append(docs, doc)
		}
		b.Release()
	}
}

func TestEveryLineBecomesOneEvent(t *testing.T) {
	l := openLog(t)
	p := New(options(l, fakeParser{}))
	src := &inputs.Source{Input: "auth", Key: "k", Path: "/var/log/x", Host: "web01", Labels: []inputs.Label{{Key: "site", Value: "berlin"}}}
	b := batch(src, "fine", "no match", "bad time", "crash", "\x00\xff")
	b.Lines[0].Truncated = true
	ticket, err := p.Submit(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	docs := drain(t, p, l)
	if len(docs) != 5 {
		t.Fatalf("%d documents, want 5", len(docs))
	}
	f := func(i int, path, want string) {
		t.Helper()
		var v any = docs[i]
		for _, k := range strings.Split(path, ".") {
			m, _ := v.(map[string]any)
			v = m[k]
		}
		if got := fmt.Sprint(v); got != want {
			t.Errorf("document %d: %s = %s, want %s", i, path, got, want)
		}
	}
	f(0, "tags", "[line-truncated]")
	f(0, "labels.site", "berlin")
	f(0, "host.name", "web01")
	f(0, "log.offset", "0")
	f(1, "tags", "[parse-failure]")
	f(1, "event.original", "no match")
	f(1, "error", "<nil>")
	f(1, "event.dataset", "gatebook.fake")
	f(2, "error.message", "no time in it")
	f(2, "user", "<nil>")
	f(3, "tags", "[parse-failure parser-panic]")
	f(3, "message", "crash")
	f(4, "message", "\x00\ufffd")
	f(4, "event.id", strings.Repeat("a", 32)+"-5")
	if c := p.Counters(); c.Read.Load() != 5 || c.Appended.Load() != 5 || c.ParseFailures.Load() != 3 || c.Truncated.Load() != 1 {
		t.Errorf("counters: %d read, %d appended, %d failures, %d truncated", c.Read.Load(), c.Appended.Load(), c.ParseFailures.Load(), c.Truncated.Load())
	}
	if got := string(l.Positions()["file/x/1"]); got != "\x00\xff" {
		t.Errorf("position %q", got)
	}
}

// A batch that takes long to parse does not let later ones of any source overtake it in the log.
func TestBlocksAreAppendedInTheOrderOfSubmit(t *testing.T) {
	l := openLog(t)
	gate := make(chan struct{})
	p := New(options(l, fakeParser{gate}))
	src := &inputs.Source{Input: "a"}
	for i := range 4 {
		text := fmt.Sprint("line ", i)
		if i == 0 {
			text = "slow"
		}
		if _, err := p.Submit(context.Background(), batch(src, text)); err != nil {
			t.Fatal(err)
		}
	}
	// An event of our own goes ahead: it does not wait for the batch.
	ticket, err := p.Event(context.Background(), func(ev *event.Event) { ev.Message = "own" })
	if err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(gate)
	var got []string
	for _, d := range drain(t, p, l) {
		got = append(got, d["message"].(string))
	}
	if want := "own slow line 1 line 2 line 3"; strings.Join(got, " ") != want {
		t.Errorf("order %q, want %q", got, want)
	}
}

// Inputs that submit much wait; what is in flight stays bounded; another input gets its turn.
func TestBytesInFlightAreBounded(t *testing.T) {
	l := openLog(t)
	gate := make(chan struct{})
	o := options(l, fakeParser{gate})
	o.InFlight, o.PerInput = 20, 10
	p := New(o)
	if _, err := p.Submit(context.Background(), batch(&inputs.Source{Input: "loud"}, "slow")); err != nil {
		t.Fatal(err)
	}
	loud, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	refused := make(chan error, 1)
	wg.Go(func() {
		_, err := p.Submit(loud, batch(&inputs.Source{Input: "loud"}, "1234567"))
		refused <- err
	})
	if _, err := p.Submit(context.Background(), batch(&inputs.Source{Input: "quiet"}, "12345")); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-refused; !errors.Is(err, context.Canceled) {
		t.Errorf("over the bound: %v", err)
	}
	wg.Wait()
	close(gate)
	if n := len(drain(t, p, l)); n != 2 {
		t.Errorf("%d documents, want 2", n)
	}
}

func TestSubmitAfterClose(t *testing.T) {
	l := openLog(t)
	p := New(options(l, fakeParser{}))
	drain(t, p, l)
	if _, err := p.Submit(context.Background(), batch(&inputs.Source{Input: "a"}, "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
}

func TestUnknownParserIsAnError(t *testing.T) {
	l := openLog(t)
	o := options(l, nil)
	o.Parser = func(_, name string) (parsers.Parser, error) { return nil, fmt.Errorf("there is no parser %q", name) }
	p := New(o)
	_, err := p.Submit(context.Background(), batch(&inputs.Source{Input: "a", Parser: "zzz"}, "x"))
	if err == nil || err.Error() != `input "a": there is no parser "zzz"` {
		t.Errorf("%v", err)
	}
	drain(t, p, l)
}

func TestCompressedBlocksReadBack(t *testing.T) {
	l := openLog(t)
	o := options(l, fakeParser{})
	o.Codec = buffer.Gzip
	p := New(o)
	texts := make([]string, 200)
	for i := range texts {
		texts[i] = fmt.Sprint("line ", i)
	}
	if _, err := p.Submit(context.Background(), batch(&inputs.Source{Input: "a"}, texts...)); err != nil {
		t.Fatal(err)
	}
	docs := drain(t, p, l)
	if len(docs) != 200 || docs[199]["message"] != "line 199" {
		t.Errorf("%d documents", len(docs))
	}
}

// failingLog refuses the n-th block.
type failingLog struct {
	*buffer.Log
	n int
}

var errRefused = errors.New("refused")

func (l *failingLog) Append(ctx context.Context, b *buffer.Block) (*buffer.Ticket, error) {
	if l.n--; l.n == 0 {
		b.Release()
		return nil, errRefused
	}
	return l.Log.Append(ctx, b)
}

// After a block that could not be appended none is, or its lines would be passed over by the next position.
func TestNothingIsAppendedAfterAFailure(t *testing.T) {
	l := openLog(t)
	o := options(&failingLog{l, 2}, fakeParser{})
	failed := make(chan error, 1)
	o.Failed = func(err error) { failed <- err }
	p := New(o)
	src := &inputs.Source{Input: "a"}
	var last inputs.Ticket
	for i := range 3 {
		var err error
		if last, err = p.Submit(context.Background(), batch(src, fmt.Sprint("line ", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := last.Wait(context.Background()); !errors.Is(err, errRefused) {
		t.Errorf("ticket of a later batch: %v", err)
	}
	if err := <-failed; !errors.Is(err, errRefused) {
		t.Errorf("told %v", err)
	}
	if docs := drain(t, p, l); len(docs) != 1 || string(l.Positions()["file/x/1"]) != "line 0" {
		t.Errorf("%d documents, position %q", len(docs), l.Positions()["file/x/1"])
	}
}
