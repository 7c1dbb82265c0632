package outputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/fsx"
	"github.com/gatebook/gatebook/internal/testkit"
)

const epochA, epochB = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func TestElasticsearchTakesAll(t *testing.T) {
	for _, gzip := range []bool{true, false} {
		f := newFakeES(t)
		l := openLog(t, t.TempDir(), epochA)
		for i, codec := range []buffer.Codec{buffer.Raw, buffer.Gzip, buffer.S2, buffer.Raw, buffer.Gzip} {
			l.add(codec, string(rune('a'+i)), "linux.auth", 100)
			l.add(codec, string(rune('k'+i)), "activity_log.activity", 10)
		}
		once(t, l.reader("es"), f.output(gzip), Options{Label: "es", Params: Params{Workers: 2}})
		wantAll(t, f.count(), l.total)
		l.wantAccounts("es", l.total, 0, 0)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// quick are options with short waits.
func quick() Options {
	return Options{Label: "es", RetryFirst: time.Millisecond, RetryMost: 5 * time.Millisecond, CommitEvery: 5 * time.Millisecond, Params: Params{Workers: 2}}
}

// A wrong password holds the output; when it is mended everything is delivered.
func TestUnauthorizedHolds(t *testing.T) {
	f := newFakeES(t)
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.add(buffer.Gzip, "x", "linux.auth", 50)
	f.status["/_bulk"] = 401
	o := quick()
	o.Stats = &Stats{}
	var logged syncBuffer
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r, out := l.reader("es"), f.output(true)
	go func() { done <- Run(ctx, r, out, o) }()
	testkit.Eventually(t, time.Minute, func() bool { return o.Stats.Figures().Requests >= 3 })
	if g := o.Stats.Figures(); g.State != StateHeld || g.Problem.Status != 401 || !strings.Contains(g.Problem.Remedy, "check api_key") {
		t.Errorf("figures %+v, problem %+v", g, g.Problem)
	}
	f.mu.Lock()
	delete(f.status, "/_bulk")
	f.mu.Unlock()
	testkit.Eventually(t, time.Minute, func() bool { return o.Stats.Figures().Delivered == 50 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantAll(t, f.count(), 50)
	if s := logged.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "level=ERROR") || !strings.Contains(s, "works again") {
		t.Errorf("logged:\n%s", s)
	}
}

// Two machines with one epoch: what the other wrote under our ids is not ours, ours is sent under new ids. Nothing of
// either is lost, also when the power goes between the answer and the second attempt.
func TestClonedMachine(t *testing.T) {
	f := newFakeES(t)
	dir := t.TempDir()
	l := openLog(t, dir, epochA)
	for i := range 30 { // the other one was here first
		id := fmt.Sprintf("%s-%d", epochA, i+1)
		f.create("logs-gatebook.linux.auth-default", id, []byte(fmt.Sprintf(`{"message":"other %d"}`, i)))
	}
	l.add(buffer.Gzip, "ours ", "linux.auth", 20)
	l.add(buffer.Raw, "later ", "linux.auth", 20)
	out := f.output(true)
	once(t, l.reader("es"), out, quick())
	wantAll(t, f.count(), 70)
	if g, _ := Elastic(out); g.Collisions != 30 {
		t.Errorf("%d collisions", g.Collisions)
	}
	f.mu.Lock()
	for _, docs := range f.streams["logs-gatebook.linux.auth-default"].indices {
		for id, d := range docs {
			if m := message(d); strings.HasPrefix(m, "ours") && (strings.HasPrefix(id, epochA) || !strings.Contains(string(d), `"event":{"id":"`+id+`"`)) {
				t.Errorf("document %s has id %s", d, id)
			}
		}
	}
	f.mu.Unlock()
	l.wantAccounts("es", 40, 0, 0)
	l.Close()
}

func TestClonedMachineAndRestart(t *testing.T) {
	f := newFakeES(t)
	mem := fsx.NewMem()
	l := openLogFS(t, mem, "/log", epochA)
	for i := range 30 {
		f.create("logs-gatebook.linux.auth-default", fmt.Sprintf("%s-%d", epochA, i+1), []byte(fmt.Sprintf(`{"message":"other %d"}`, i)))
	}
	l.add(buffer.Gzip, "ours ", "linux.auth", 30)
	// The second request, which has the new ids, is carried out and its answer lost; then the power goes.
	cut := make(chan *fsx.Mem, 1)
	f.after = func(n int, answer []byte) []byte {
		if n == 2 {
			cut <- mem.Cut(rand.New(rand.NewPCG(1, 2)))
			return nil
		}
		return answer
	}
	o := quick()
	o.Stats, o.Logger = &Stats{}, quiet()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r := l.reader("es")
	go func() { done <- Run(ctx, r, f.output(true), o) }()
	after := <-cut
	cancel()
	<-done
	l.Close()
	f.behave()
	l = openLogFS(t, after, "/log", epochB)
	defer l.Close()
	once(t, l.reader("es"), f.output(true), quick())
	wantAll(t, f.count(), 60)
}

// Items that waited at a stop are sent after the next start, and found where they are already.
func TestOutstandingAfterRestart(t *testing.T) {
	f := newFakeES(t)
	dir := t.TempDir()
	l := openLog(t, dir, epochA)
	l.add(buffer.Gzip, "a", "linux.auth", 50)
	l.add(buffer.Gzip, "b", "red", 20)
	f.item = func(stream, _ string, _ []byte) int {
		if stream == "logs-gatebook.red-default" {
			return 503
		}
		return 0
	}
	o := quick()
	o.Stats, o.Logger = &Stats{}, quiet()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r := l.reader("es")
	go func() { done <- Run(ctx, r, f.output(true), o) }()
	testkit.Eventually(t, time.Minute, func() bool { g := o.Stats.Figures(); return g.Delivered == 50 && g.Outstanding == 20 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = openLog(t, dir, epochB)
	defer l.Close()
	r = l.reader("es")
	if n := len(r.Outstanding()); n != 20 {
		t.Errorf("%d outstanding after the restart", n)
	}
	f.behave()
	once(t, r, f.output(true), quick())
	wantAll(t, f.count(), 70)
}

// Refused items are dead letters, one event each; those of the dead-letter stream are only counted.
func TestDeadLetters(t *testing.T) {
	f := newFakeES(t)
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	dir := t.TempDir()
	l.add(buffer.Gzip, "a", "linux.auth", 10)
	l.add(buffer.Gzip, "b", "deadletter", 3)
	f.item = func(_, id string, _ []byte) int {
		if strings.HasSuffix(id, "-4") || strings.HasSuffix(id, "-12") {
			return 400
		}
		return 0
	}
	told := 0
	dl, err := OpenDeadLetters(DeadLetterOptions{DataDir: dir, Label: "es", Tell: func(_ context.Context, fill func(*event.Event)) error {
		told++
		return errors.New("log is closed") // counted, no more
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer dl.Close()
	o := quick()
	o.DeadLetters = dl
	once(t, l.reader("es"), f.output(true), o)
	l.wantAccounts("es", 11, 0, 2)
	b, err := os.ReadFile(filepath.Join(dir, "deadletter", "es.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n != 1 || told != 1 || dl.Figures() != (DeadLetterFigures{Kept: 1, Untold: 1}) {
		t.Errorf("%d letters, %d told, %+v:\n%s", n, told, dl.Figures(), b)
	}
	if !strings.Contains(string(b), `"type":"type_400","reason":"reason \"of\" 400: why"`) {
		t.Errorf("letter: %s", b)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestSplitBacking(t *testing.T) {
	f := func(index, stream, rest string) {
		t.Helper()
		s, r := splitBacking([]byte(index))
		if string(s) != stream || string(r) != rest {
			t.Errorf("%s: %q %q", index, s, r)
		}
	}
	f(".ds-logs-gatebook.linux.auth-default-2026.11.22-000001", "logs-gatebook.linux.auth-default", "2026.11.22-000001")
	f(".ds-logs-gatebook.linux.auth-default-000012", "logs-gatebook.linux.auth-default", "000012")
	f("logs-gatebook.linux.auth-default", "", "")
	f(".ds-", "", "")
	f(".ds-000001", "", "")
	f(".ds-x-", "", "")
}

func TestElasticState(t *testing.T) {
	var s elasticState
	s.init()
	for g := range 12 {
		s.answered(fmt.Appendf(nil, ".ds-logs-a-default-2026.01.01-%06d", g))
	}
	s.answered([]byte(".ds-logs-b-default-000001"))
	for _, seq := range []uint64{5, 7, 6, 100, 3} {
		s.rename(seq)
	}
	var back elasticState
	back.init()
	back.parse(s.text())
	if got := back.backing([]byte("logs-a-default")); len(got) != maxBacking || got[0] != ".ds-logs-a-default-2026.01.01-000011" {
		t.Errorf("backing %v", got)
	}
	for seq, want := range map[uint64]bool{2: false, 3: true, 4: false, 5: true, 6: true, 7: true, 8: false, 100: true} {
		if got := back.id(seq, []byte("old")) != "old"; got != want {
			t.Errorf("sequence %d renamed: %v", seq, got)
		}
	}
	back.forget(6)
	if back.id(6, []byte("old")) != "old" || back.id(5, []byte("old")) == "old" || back.id(7, []byte("old")) == "old" {
		t.Error("forget")
	}
	for i := range 1000 {
		s.answered(fmt.Appendf(nil, ".ds-logs-gatebook.some.dataset.%d-default-2026.01.01-000001", i))
		s.rename(uint64(2 * i))
	}
	text := s.text()
	if len(text) > maxState {
		t.Errorf("state of %d bytes", len(text))
	}
	back.parse(text + "z from the future\n")
}
