package testkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit/elasticsearch"
)

// Gatebook builds the gatebook command of this tree, once per test binary, and returns its path. $GATEBOOK_BINARY names one
// to use instead.
func Gatebook(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("GATEBOOK_BINARY"); p != "" {
		return p
	}
	return Build(t, "./cmd/gatebook")
}

// GatebookRace is [Gatebook] with the race detector, which needs a C compiler.
func GatebookRace(t testing.TB) string {
	t.Helper()
	return Build(t, "./cmd/gatebook", "-race")
}

var builds sync.Map // package and flags -> func() (string, error)

// Build builds a main package of this repository ("./cmd/gatebook") and returns the binary's path, in the cache folder
// under the name of its content: tests that run at the same time do not overwrite each other's.
func Build(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	root := RepoRoot(t)
	once, _ := builds.LoadOrStore(fmt.Sprint(pkg, flags), sync.OnceValues(func() (string, error) { return BuildBinary(root, pkg, flags...) }))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// BuildBinary is [Build] for programs other than tests.
func BuildBinary(root, pkg string, flags ...string) (string, error) {
	cache, err := elasticsearch.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	sweep(dir)
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", fmt.Errorf("make build folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	name := filepath.Base(pkg)
	out := filepath.Join(tmp, name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
	cmd.Dir = root
	cgo := "0"
	if strings.Contains(strings.Join(flags, " "), "-race") {
		cgo = "1"
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	sum := sha256.Sum256(b)
	path := filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:8]))
	if err := os.Rename(out, path); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return path, nil
}

// sweep removes binaries of earlier days.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// Command says what to run. The environment is the test's own with Env on top.
type Command struct {
	Path  string
	Args  []string
	Env   []string
	Dir   string // default: a temporary folder
	Stdin io.Reader
}

// Process is a started program. Its standard error is watched line by line; at the test's end it is killed, and where the
// test failed the end of its standard error is logged.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout lineBuffer
	stderr lineBuffer
	done   chan struct{}
	err    error // of Wait; read after done
}

// Start runs a program.
func Start(t testing.TB, path string, args ...string) *Process {
	t.Helper()
	return StartCommand(t, Command{Path: path, Args: args})
}

// StartCommand runs a program with more settings.
func StartCommand(t testing.TB, c Command) *Process {
	t.Helper()
	p := &Process{t: t, done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir = c.Dir
	if c.Dir == "" {
		p.cmd.Dir = t.TempDir()
	}
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stdin = c.Stdin
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // not to outlive a test binary that was killed
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.Path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended by now
		<-p.done
		if t.Failed() {
			t.Logf("%s %s, end of standard error:\n%s", filepath.Base(c.Path), strings.Join(c.Args, " "), p.stderr.tail(4000))
		}
	})
	return p
}

// Pid of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stdout is what it has written so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr is what it has written so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// WaitLog waits for a line of standard error that contains text, and returns the first such line.
func (p *Process) WaitLog(timeout time.Duration, text string) string {
	p.t.Helper()
	return p.waitLine(&p.stderr, timeout, text)
}

// WaitOutput waits for a line of standard output that contains text, and returns the first such line.
func (p *Process) WaitOutput(timeout time.Duration, text string) string {
	p.t.Helper()
	return p.waitLine(&p.stdout, timeout, text)
}

func (p *Process) waitLine(b *lineBuffer, timeout time.Duration, text string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	from, ended := 0, false
	for {
		line, next, grown := b.find(from, text)
		if grown == nil {
			return line
		}
		from = next
		if ended {
			p.t.Fatalf("wait for %q: the process ended: %v\n%s", text, p.err, b.tail(4000))
		}
		select {
		case <-grown:
		case <-p.done:
			ended = true // look once more: what it wrote last is there now
		case <-ctx.Done():
			p.t.Fatalf("wait for %q: not within %s\n%s", text, timeout, b.tail(4000))
		}
	}
}

// Signal sends a signal; one to a process that has ended is ignored.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("signal %v: %v", sig, err)
	}
}

// Kill9 kills the process and returns when it is gone.
func (p *Process) Kill9() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Term asks the process to end and returns its exit code; it fails the test after timeout.
func (p *Process) Term(timeout time.Duration) int {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait(timeout)
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns the exit code (-1 after a signal); it fails the test after timeout.
func (p *Process) Wait(timeout time.Duration) int {
	p.t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-timer.C:
		p.t.Fatalf("wait for the end of process %d: not within %s\n%s", p.Pid(), timeout, p.stderr.tail(4000))
		return 0
	}
}

// lineBuffer collects what a process writes and tells those who wait for a line.
type lineBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	grown chan struct{} // closed at the next write; nil while nobody waits
}

func (b *lineBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.grown != nil {
		close(b.grown)
		b.grown = nil
	}
	return b.buf.Write(p)
}

func (b *lineBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lineBuffer) tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}

// find looks for text in the whole lines from offset from on. Found: grown is nil. Else next is where to go on, once grown
// is closed.
func (b *lineBuffer) find(from int, text string) (line string, next int, grown <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.buf.Bytes()[from:]
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if bytes.Contains(rest[:i], []byte(text)) {
			return string(rest[:i]), from, nil
		}
		rest, from = rest[i+1:], from+i+1
	}
	if b.grown == nil {
		b.grown = make(chan struct{})
	}
	return "", from, b.grown
}
