package elasticsearch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is a running server. Its methods may be called from several goroutines.
type Node struct {
	opts     Options
	jdk      string
	home     string
	as       []string // command prefix that drops privileges; nil where none are held
	tempData bool
	client   *http.Client

	mu    sync.Mutex // guards what a restart changes
	pid   int
	guard *watchdog
}

// Start builds the server if need be and starts a node on it. An error that wraps [ErrMissing] says that a tool is absent.
func Start(ctx context.Context, opts Options) (*Node, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	r := opts.recipe()
	jdk, err := findJDK(r.minJDK, r.maxJDK)
	if err != nil {
		return nil, fmt.Errorf("start %s %d: %w", opts.Flavor, opts.Version, err)
	}
	home, err := build(ctx, &opts, jdk)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", opts.Flavor, err)
	}
	n := &Node{opts: opts, jdk: jdk, home: home}
	if n.opts.Port == 0 {
		if n.opts.Port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := n.prepare(ctx); err != nil {
		n.removeData()
		return nil, fmt.Errorf("prepare %s: %w", opts.Flavor, err)
	}
	if err := n.Restart(ctx); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

// Options are those it was started with, and the defaults.
func (n *Node) Options() Options { return n.opts }

// URL is the node's base URL, without a slash at the end.
func (n *Node) URL() string {
	scheme := "http"
	if n.opts.Security {
		scheme = "https"
	}
	return scheme + "://" + n.Addr()
}

// Addr is the node's host:port.
func (n *Node) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.opts.Port)) }

// Username and Password are empty without security.
func (n *Node) Username() string {
	if !n.opts.Security {
		return ""
	}
	return "elastic"
}

// Password of [Node.Username].
func (n *Node) Password() string {
	if !n.opts.Security {
		return ""
	}
	return n.opts.Password
}

// CAFile is a PEM file with the authority that signed the server's certificate; empty without security.
func (n *Node) CAFile() string { return n.certFile("ca.pem") }

// ClientCertFiles are a PEM certificate and key that the server's authority signed for a client; empty without security.
func (n *Node) ClientCertFiles() (cert, key string) {
	return n.certFile("client.pem"), n.certFile("client.key")
}

func (n *Node) certFile(name string) string {
	if !n.opts.Security {
		return ""
	}
	return filepath.Join(n.opts.DataDir, "config", name)
}

// LogFile is where the server writes its log.
func (n *Node) LogFile() string {
	if n.opts.Flavor == OpenSearch {
		return filepath.Join(n.opts.DataDir, "logs", "node.log")
	}
	return filepath.Join(n.opts.DataDir, "logs", "testkit.log")
}

// TLSConfig trusts the node; nil without security.
func (n *Node) TLSConfig() *tls.Config {
	if !n.opts.Security {
		return nil
	}
	return n.client.Transport.(*http.Transport).TLSClientConfig.Clone()
}

// Pid of the server's process; 0 while it is stopped.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pid
}

// Request sends one request, JSON (NDJSON where the path ends in _bulk), as [Node.Username], and returns the whole answer.
func (n *Node) Request(ctx context.Context, method, path, body string) (status int, answer []byte, err error) {
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.URL()+path, rd)
	if err != nil {
		return 0, nil, fmt.Errorf("make request: %w", err)
	}
	if p, _, _ := strings.Cut(path, "?"); strings.HasSuffix(p, "_bulk") {
		req.Header.Set("Content-Type", "application/x-ndjson")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if n.opts.Security {
		req.SetBasicAuth("elastic", n.opts.Password)
	}
	res, err := n.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// Kill ends the server at once (SIGKILL) and returns when it is gone. Data stay as they are.
func (n *Node) Kill() error { return n.end(syscall.SIGKILL, 0) }

// Stop ends the server in good order (SIGKILL after 30 s) and removes the data folder if Start made it.
func (n *Node) Stop() error {
	err := n.end(syscall.SIGTERM, 30*time.Second)
	n.removeData()
	return err
}

// Shutdown ends the server in good order and keeps its data; [Node.Restart] may follow.
func (n *Node) Shutdown() error { return n.end(syscall.SIGTERM, 30*time.Second) }

func (n *Node) removeData() {
	if n.tempData {
		os.RemoveAll(n.opts.DataDir)
	}
}

func (n *Node) end(sig syscall.Signal, grace time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pid == 0 {
		return nil
	}
	n.guard.release()
	if err := syscall.Kill(n.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop server: %w", err)
	}
	if sig != syscall.SIGKILL && !waitGone(n.pid, grace) {
		_ = syscall.Kill(n.pid, syscall.SIGKILL) // it may have ended by now
	}
	if !waitGone(n.pid, 30*time.Second) {
		return fmt.Errorf("stop server: process %d is still there", n.pid)
	}
	n.pid = 0
	return nil
}

// Restart starts the server on the port and data it had, and waits until it is healthy. It ends a running one first.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Shutdown(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.opts.Timeout)
	defer cancel()
	launch := n.launchElasticsearch
	if n.opts.Flavor == OpenSearch {
		launch = n.launchOpenSearch
	}
	pid, err := launch(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.opts.Flavor, err)
	}
	drop := ""
	if n.tempData {
		drop = n.opts.DataDir
	}
	guard, err := watch(pid, n.opts.DataDir, drop)
	if err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return err
	}
	n.mu.Lock()
	n.pid, n.guard = pid, guard
	n.mu.Unlock()
	return n.waitHealthy(ctx, pid)
}

func (n *Node) waitHealthy(ctx context.Context, pid int) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		rctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		status, _, _ := n.Request(rctx, "GET", "/_cluster/health?wait_for_status=yellow&timeout=4s", "")
		cancel()
		if status == http.StatusOK {
			return nil
		}
		if gone(pid) {
			return fmt.Errorf("start %s: the server ended\n%s", n.opts.Flavor, n.logTail())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: not healthy in time (last status %d): %w\n%s", n.opts.Flavor, status, ctx.Err(), n.logTail())
		case <-tick.C:
		}
	}
}

func (n *Node) logTail() []byte {
	b, err := os.ReadFile(n.LogFile())
	if err != nil {
		return []byte(err.Error())
	}
	return lastLines(b, 20)
}

// launchElasticsearch uses the server's own script, which returns once the node has bound its port.
func (n *Node) launchElasticsearch(ctx context.Context) (int, error) {
	data := n.opts.DataDir
	pidFile := filepath.Join(data, "es.pid")
	os.Remove(pidFile)
	logFile, err := os.Create(filepath.Join(data, "logs", "start.log"))
	if err != nil {
		return 0, fmt.Errorf("make start log: %w", err)
	}
	defer logFile.Close()
	cmd := n.command(ctx, filepath.Join(n.home, "bin", "elasticsearch"), "-d", "-p", pidFile)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Run(); err != nil {
		out, _ := os.ReadFile(logFile.Name())
		return 0, fmt.Errorf("run server: %w\n%s", err, lastLines(out, 20))
	}
	b, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, fmt.Errorf("read pid: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// launchOpenSearch has a shell start the JVM, so that it is nobody's child to be waited for.
func (n *Node) launchOpenSearch(ctx context.Context) (int, error) {
	const script = `log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!`
	data := n.opts.DataDir
	args := []string{"-c", script, "sh", n.LogFile(), filepath.Join(n.jdk, "bin", "java"),
		"-Xms" + n.opts.Heap, "-Xmx" + n.opts.Heap, "-XX:+UseG1GC", "-Djava.io.tmpdir=" + filepath.Join(data, "tmp"),
		"-Dfile.encoding=UTF-8", "-Dlog4j2.disable.jmx=true"}
	if n.opts.Version == 2 {
		args = append(args, "-Djava.security.manager=allow")
	}
	args = append(args, strings.Fields(n.opts.JavaOpts)...)
	args = append(args, "-cp", n.home+"/classes:"+n.home+"/lib/*", "OsNode", data)
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Dir = data
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if n.opts.ProductHeader {
		cmd.Env = append(os.Environ(), "OS_ES_HEADER=1")
	}
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("run server: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// command runs one of the server's own programs as the unprivileged user.
func (n *Node) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	argv := append(append([]string{}, n.as...), name)
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	data := n.opts.DataDir
	cmd.Dir = data
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "JAVA_HOME=") && !strings.HasPrefix(kv, "HOME=") && !strings.HasPrefix(kv, "ES_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+data, "ES_JAVA_HOME="+n.jdk, "ES_PATH_CONF="+filepath.Join(data, "config"),
		"ES_TMPDIR="+filepath.Join(data, "tmp"),
		"ES_JAVA_OPTS=-Xms"+n.opts.Heap+" -Xmx"+n.opts.Heap+" "+n.opts.JavaOpts)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
