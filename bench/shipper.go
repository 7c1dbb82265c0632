package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatebook/gatebook/bench/sink"
)

// task is what a shipper is to do.
type task struct {
	job   job
	data  string // the file to read
	state string // an empty folder of its own
	sink  string // host:port
	tcp   string // host:port to listen on, for job E
	conns int    // connections to it
	safe  bool   // as safe as it can be made, for the fault runs
}

// shipper is gatebook or a peer.
type shipper struct {
	name string
	// command writes the config into the state folder and returns what to run. It is called once a run, also where the
	// process is then started twice.
	command func(task) (*exec.Cmd, error)
	// restart removes what a killed process leaves and a supervisor would clear; may be nil.
	restart func(task)
}

// server is the sink on a port of its own.
type server struct {
	*sink.Sink
	http *http.Server
	addr string
}

func listen() (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start sink: %w", err)
	}
	s := &server{Sink: sink.New(), addr: l.Addr().String()}
	s.http = &http.Server{Handler: s.Sink}
	go func() { _ = s.http.Serve(l) }() // until close
	return s, nil
}

func (s *server) close() { s.http.Close() }

// process is a running shipper.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess runs a copy of cmd with its output in a file; cmd itself stays as it was, to be started again.
func startProcess(cmd *exec.Cmd, log string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	c := exec.Command(cmd.Path, cmd.Args[1:]...)
	c.Env, c.Dir = cmd.Env, cmd.Dir
	c.Stdout, c.Stderr = f, f
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	p := &process{cmd: c, done: make(chan struct{})}
	go func() { _ = c.Wait(); close(p.done) }() // how it ended is in its state
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// how says how it ended: "exit status 1", "signal: killed".
func (p *process) how() string { return p.cmd.ProcessState.String() }

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by now
	<-p.done
}

// stop asks it to end and kills it after 20 s.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by now
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	<-p.done
}

// clockTicks is USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

// cpu returns the seconds of CPU that the process has used, user and system, all threads.
func (p *process) cpu() (float64, error) { return cpuOf(p.cmd.Process.Pid) }

// peak returns the process's largest resident size in MiB; 0 if it has ended.
func (p *process) peak() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

func logTail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-1500):]))
}
