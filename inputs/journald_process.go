package inputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reading is what one run of journalctl is for.
type reading struct {
	expect  string // cursor of the entry that should come first, and is passed over: it has been read
	skipAll bool   // of the entries only the cursor counts
	follow  bool
}

// journalctlError is what journalctl said when it ended with a failure.
type journalctlError struct {
	status string
	said   string // its standard error, cut
	remedy string
	cursor bool // it does not know the cursor
}

func (e *journalctlError) Error() string {
	s := "journalctl: " + e.status
	if e.said != "" {
		s += ": " + e.said
	}
	if e.remedy != "" {
		s += " (" + e.remedy + ")"
	}
	return s
}

const permissionRemedy = "add the user that runs gatebook to the group systemd-journal: usermod -aG systemd-journal USER, then restart"

// run starts journalctl and takes its entries until it ends. It ends with ctx; nothing is left behind.
func (j *Journald) run(ctx context.Context, sink Sink, r reading, from ...string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	args := append([]string{"--output=json", "--all", "--no-pager"}, from...)
	if j.config.directory != "" {
		args = append(args, "--directory="+j.config.directory)
	}
	cmd := exec.CommandContext(ctx, j.config.command, append(args, j.config.filter...)...)
	cmd.Env = []string{"LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	complaints := &complaints{hint: func() {
		j.log.Warn("journalctl shows this user's own entries only", "remedy", permissionRemedy)
	}}
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("make a pipe for journalctl: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return notStarted(j.config.command, err)
	}
	unblock := context.AfterFunc(ctx, func() { out.Close() }) // also where somebody else keeps the pipe open
	readErr := j.read(ctx, sink, out, r)
	if readErr != nil {
		stop()
	}
	waitErr := cmd.Wait()
	unblock()
	if errors.Is(readErr, errSink) || ctx.Err() != nil && readErr != nil {
		return readErr
	}
	var status *exec.ExitError
	if errors.As(waitErr, &status) {
		return complaints.failure(status)
	}
	return errors.Join(readErr, waitErr)
}

func notStarted(command string, err error) error {
	remedy := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = "journalctl is not installed there; install systemd, or name its place in `command`, or take this input out"
	case errors.Is(err, fs.ErrPermission):
		remedy = "the user that runs gatebook may not execute it"
	}
	if remedy == "" {
		return fmt.Errorf("start %s: %w", command, err)
	}
	return fmt.Errorf("start %s: %w (%s)", command, err, remedy)
}

// complaints is the standard error of journalctl: its beginning is kept, and its hint that it may not read everything is told
// while it runs.
type complaints struct {
	hint func()

	mu     sync.Mutex
	text   []byte
	hinted bool
}

const mostComplaints = 2 << 10

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p[:min(len(p), mostComplaints-len(c.text))]...)
	if !c.hinted && bytes.Contains(c.text, []byte("not seeing messages from other users")) {
		c.hinted = true
		c.hint()
	}
	return len(p), nil
}

func (c *complaints) failure(status *exec.ExitError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := strings.Join(strings.Fields(strings.ToValidUTF8(string(c.text), "?")), " ")
	e := &journalctlError{status: status.Error(), said: said[:min(len(said), 300)]}
	low := strings.ToLower(said)
	switch {
	case strings.Contains(low, "permission"), strings.Contains(low, "access denied"):
		e.remedy = permissionRemedy
	case strings.Contains(low, "seek to cursor"), strings.Contains(low, "cursor") && strings.Contains(low, "invalid"):
		e.cursor = true
	case strings.Contains(low, "no such boot"):
		e.remedy = "the journal holds no entry of this boot yet; is systemd-journald running?"
	}
	return e
}
