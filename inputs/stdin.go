package inputs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatebook/gatebook/internal/conf"
)

// stdinConfig is a decoded `input "stdin"` block.
type stdinConfig struct {
	lineConfig
	in *standardInput
}

// processInput is what the process has read of its standard input: it outlives the input, which a reload makes anew.
var processInput = &standardInput{file: os.Stdin}

func decodeStdin(label string, b *conf.Body) Config {
	defer b.Close()
	for _, other := range b.File().Body().Blocks("input", 2) {
		if other.Body == b {
			break
		}
		if other.Labels[0] == "stdin" {
			b.Errorf("", "standard input can be read once; input \"stdin\" %q at line %d reads it already", other.Labels[1], other.Range.Start.Line)
			break
		}
	}
	c := &stdinConfig{lineConfig: decodeLocalLines(label, b, "max_line", 256), in: processInput}
	c.source.Key = "stdin"
	return c
}

func (c *stdinConfig) New(env Env) (Input, error) {
	s := &Stdin{source: c.source, once: env.Once, maxLine: c.maxLine, in: c.in}
	if s.source.Host == "" {
		s.source.Host = env.Host
	}
	return s, nil
}

// Stdin is the input "stdin". A pipe has no position: what was read and not yet fsynced when the process is killed is lost, what
// was not read waits in the pipe. A stop or reload loses nothing that had its newline.
type Stdin struct {
	source  Source
	once    bool
	maxLine int
	in      *standardInput
}

// standardInput is a stream and what has been read of it and not been submitted.
type standardInput struct {
	mu     sync.Mutex // held by the input that reads
	file   *os.File
	buf    []byte
	offset int64 // of buf[0] in the stream
	skip   bool  // buf[0] is in the rest of a line that was cut
	ended  bool
}

// Run reads lines until the stream ends.
func (s *Stdin) Run(ctx context.Context, sink Sink) error {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	woken, wake, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("input %q: make a pipe: %w", s.source.Input, err)
	}
	defer woken.Close()
	stop := context.AfterFunc(ctx, func() { wake.Close() })
	defer func() {
		if stop() {
			wake.Close()
		}
	}()
	for {
		if err := s.take(ctx, sink); err != nil {
			if ctx.Err() != nil {
				return nil // kept for the next input
			}
			return fmt.Errorf("input %q: submit lines: %w", s.source.Input, err)
		}
		if in.ended {
			if !s.once {
				<-ctx.Done()
			}
			return nil
		}
		if err := in.wait(int(woken.Fd())); err != nil {
			return fmt.Errorf("input %q: wait for standard input: %w", s.source.Input, err)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := in.fill(); err != nil {
			return fmt.Errorf("input %q: read standard input: %w", s.source.Input, err)
		}
	}
}

// wait returns when there is something to read, or the other end is gone, or woken has no writer any more. A read alone could not be ended.
func (in *standardInput) wait(woken int) error {
	fds := []unix.PollFd{{Fd: int32(in.file.Fd()), Events: unix.POLLIN}, {Fd: int32(woken), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

const stdinChunk = 64 << 10

func (in *standardInput) fill() error {
	n := len(in.buf)
	in.buf = slices.Grow(in.buf, stdinChunk)
	got, err := in.file.Read(in.buf[n : n+stdinChunk])
	in.buf = in.buf[:n+got]
	if errors.Is(err, io.EOF) {
		in.ended = true
		return nil
	}
	return err
}

// take submits the lines that are there: whole ones, those that reached the limit, and at the end the last one. What is not
// taken stays in the buffer.
func (s *Stdin) take(ctx context.Context, sink Sink) error {
	in := s.in
	b := NewBatch()
	b.Source, b.Received = &s.source, time.Now()
	text := string(in.buf)
	at, skip := 0, in.skip
	for at < len(text) {
		n := strings.IndexByte(text[at:], '\n')
		whole := n >= 0
		if !whole {
			n = len(text) - at
		}
		line, next := text[at:at+n], at+n
		if whole {
			next++
		}
		switch {
		case skip:
			skip = !whole
		case len(line) > s.maxLine:
			b.Lines = append(b.Lines, Line{Text: line[:s.maxLine], Offset: in.offset + int64(at), Truncated: true})
			skip = !whole
		case !whole && !in.ended:
			next = at
		default:
			if line = strings.TrimSuffix(line, "\r"); line != "" {
				b.Lines = append(b.Lines, Line{Text: line, Offset: in.offset + int64(at)})
			}
		}
		if next == at {
			break
		}
		at = next
	}
	if len(b.Lines) > 0 {
		b.Size = at
		if _, err := sink.Submit(ctx, b); err != nil {
			return err
		}
	}
	rest := copy(in.buf, in.buf[at:])
	in.buf, in.offset, in.skip = in.buf[:rest], in.offset+int64(at), skip
	return nil
}
