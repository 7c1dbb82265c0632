package elasticsearch

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watchdog kills a server when the process that started it ends, in whatever way: the kernel closes the pipe then.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// watchScript waits for the end of its input; the command line is compared so that a reused pid is left alone.
const watchScript = `cat >/dev/null
case $(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null) in *"$2"*) kill -9 "$1" ;; esac
if [ -n "$3" ]; then sleep 1; rm -rf "$3"; fi`

// watch guards process pid, whose command line names mark; the folder drop, if any, is removed with it.
func watch(pid int, mark, drop string) (*watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("watch server: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", watchScript, "sh", strconv.Itoa(pid), mark, drop)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C at the terminal is not for it
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("watch server: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: w}, nil
}

// release ends the watch and leaves the server alone.
func (w *watchdog) release() {
	_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
	_ = w.cmd.Wait() // says that it was killed
	w.pipe.Close()
}

// gone says whether the process has ended; one that nobody has waited for counts as ended.
func gone(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	return ok && (rest[0] == 'Z' || rest[0] == 'X')
}

func waitGone(pid int, limit time.Duration) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		if gone(pid) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
