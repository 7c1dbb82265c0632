package inputs

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
)

// stdinInput is the input on a pipe; in is what a process has of its standard input.
func stdinInput(t *testing.T, in *standardInput, more string, once bool) Input {
	t.Helper()
	f, _ := conf.Parse("test.hcl", []byte("input \"stdin\" \"x\" {\n  parser = \"raw\"\n"+more+"\n}\n"))
	c := Registry["stdin"].Decode("x", f.Body().Blocks("input", 2)[0].Body)
	if err := f.Diagnostics().Err(); err != nil {
		t.Fatal(err)
	}
	c.(*stdinConfig).in = in
	s, err := c.New(Env{Once: once, Host: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stdinPipe(t *testing.T) (*standardInput, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &standardInput{file: r}, w
}

func TestStdinReadsToItsEnd(t *testing.T) {
	in, w := stdinPipe(t)
	sink := newMemorySink()
	long := strings.Repeat("x", 200_000)
	go func() {
		fmt.Fprint(w, "one\r\n\ntwo\n", long, "\n", long[:300], "\nlast")
		w.Close()
	}()
	if err := stdinInput(t, in, `max_line = "256B"`, true).Run(context.Background(), sink); err != nil {
		t.Fatal(err)
	}
	want := []string{"one", "two", long[:256], long[:256], "last"}
	if fmt.Sprint(sink.lines) != fmt.Sprint(want) || len(sink.positions) != 0 {
		t.Errorf("%d lines: %.40q", len(sink.lines), sink.lines)
	}
}

// A reload ends the input and makes a new one: what was read of a line, and lines that the sink did not take, are the next one's.
func TestStdinOutlivesAReload(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	in, w := stdinPipe(t)
	sink := newMemorySink()
	run := func(s Sink, meanwhile func()) {
		t.Helper()
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		input := stdinInput(t, in, "", false)
		go func() { done <- input.Run(ctx, s) }()
		meanwhile()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	has := func(want string) func() bool {
		return func() bool {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			return strings.Join(sink.lines, " ") == want
		}
	}
	run(sink, func() {
		fmt.Fprint(w, "one\ntwo\nthr")
		testkit.Eventually(t, time.Minute, has("one two"))
	})
	full := fullSink{reached: make(chan struct{}, 10)}
	run(full, func() {
		fmt.Fprint(w, "ee\nfour\nfi")
		<-full.reached
	})
	run(sink, func() {
		fmt.Fprint(w, "ve\n")
		testkit.Eventually(t, time.Minute, has("one two three four five"))
		w.Close() // the end of the stream ends no agent
	})
	goleak.VerifyNone(t, ignore)
}

func TestStdinConfig(t *testing.T) {
	f, _ := conf.Parse("c.hcl", []byte("input \"file\" \"a\" {\n paths = [\"x\"]\n}\ninput \"stdin\" \"b\" {\n}\ninput \"stdin\" \"c\" {\n}\n"))
	for _, b := range f.Body().Blocks("input", 2)[1:] {
		decodeStdin(b.Labels[1], b.Body)
	}
	want := `standard input can be read once; input "stdin" "b" at line 4 reads it already`
	if ds := f.Diagnostics(); len(ds) != 1 || !strings.Contains(ds.Error(), want) || !strings.HasPrefix(ds.Error(), "c.hcl:6:") {
		t.Errorf("got %v", ds)
	}
}
