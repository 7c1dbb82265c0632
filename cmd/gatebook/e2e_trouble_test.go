package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// What a person sees when something is wrong, once for each trouble, and that nothing is lost by it. The texts are logged: -v shows them.

// seen returns the warnings and errors that the agent has logged.
func seen(t *testing.T, p *testkit.Process) []string {
	t.Helper()
	var lines []string
	for l := range strings.SplitSeq(p.Stderr(), "\n") {
		if strings.Contains(l, "level=ERROR") || strings.Contains(l, "level=WARN") {
			lines = append(lines, l)
		}
	}
	t.Logf("what is seen:\n%s", strings.Join(lines, "\n"))
	return lines
}

func expectSeen(t *testing.T, p *testkit.Process, atMost int, words ...string) {
	t.Helper()
	lines := seen(t, p)
	if len(lines) > atMost {
		t.Errorf("%d messages for one trouble, want at most %d", len(lines), atMost)
	}
	all := strings.Join(lines, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("%q is not said", w)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	s := newSite(t, "")
	out := filepath.Join(s.dir, "data", "out.ndjson")
	s.configure("", fmt.Sprintf("output \"file\" \"copy\" { path = %q }\n", out))
	s.write(1, 100)
	run := []string{s.binary, "run", "--config", s.config}
	if os.Geteuid() == 0 { // root may read everything: be somebody else
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Skip("setpriv (util-linux) is needed to run as another user than root")
		}
		own := filepath.Join(s.dir, "gatebook")
		copyFile(t, s.binary, own)
		run = append([]string{setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", own}, run[1:]...)
		must(t, os.MkdirAll(s.data, 0o755))
		must(t, os.Chown(s.data, 65534, 65534))
		for dir := s.dir; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
			must(t, os.Chmod(dir, 0o755))
		}
		must(t, os.Chmod(s.config, 0o644))
	}
	must(t, os.Chmod(s.log, 0))
	p := testkit.Start(t, run[0], run[1:]...)
	p.WaitLog(time.Minute, "permission denied")
	must(t, os.Chmod(s.log, 0o644))
	testkit.Eventually(t, time.Minute, func() bool { return lineCount(out) >= 100 })
	p.WaitLog(time.Minute, "can be read again")
	p.Term(time.Minute)
	expectSeen(t, p, 1, "auth.log", "permission denied")
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, 100)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}

// A full disk makes inputs wait; when there is room again it goes on by itself, and no line is lost or doubled.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	s := newSite(t, "")
	must(t, os.MkdirAll(s.data, 0o755))
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, "size=28m"); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(s.data, syscall.MNT_DETACH) })
	out := filepath.Join(s.dir, "out.ndjson")
	gate := newGate()
	defer gate.Close()
	s.configure("buffer {\n  segment = \"4MiB\"\n}\n", fmt.Sprintf("output \"elasticsearch\" \"slow\" {\n  hosts = [%q]\n}\noutput \"file\" \"copy\" { path = %q }\n", gate.url, out))
	s.write(1, 60000) // far more than 28 MB of records
	p := s.start()
	p.WaitLog(60*time.Second, "full")
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", syscall.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 60*time.Second, func() bool { return lineCount(out) >= 60000 })
	p.Term(time.Minute)
	expectSeen(t, p, 4, "full")
	c := newTally()
	countFile(t, out, c)
	c.expect(t, 1, 60000)
}

// gateServer is an Elasticsearch that answers 503 to everything: what it is to take stays in the buffer.
type gateServer struct {
	*http.Server
	url string
}

func newGate() *gateServer {
	l, err := listenLoopback()
	if err != nil {
		panic(err)
	}
	g := &gateServer{Server: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	})}, url: "http://" + l.Addr().String()}
	go func() { _ = g.Serve(l) }()
	return g
}

func TestWrongPassword(t *testing.T) {
	node := testkit.SharedElasticsearch(t)
	proxy := testkit.FaultProxy(t, node.URL())
	s := newSite(t, "")
	s.configure("namespace = \"password\"\n", fmt.Sprintf("output \"elasticsearch\" \"siem\" {\n  hosts    = [%q]\n  username = \"gatebook\"\n  password = \"hunter2\"\n  setup    = true\n}\n", proxy.URL()))
	proxy.Rule(func(*http.Request) testkit.Fault { return testkit.FaultStatus(401) })
	s.write(1, 50)
	p := s.start()
	p.WaitLog(time.Minute, "401")
	proxy.Off()
	testkit.Eventually(t, 60*time.Second, func() bool { return node.Count("logs-gatebook.linux.auth-password") == 50 })
	p.Term(time.Minute)
	expectSeen(t, p, 2, "401", proxy.URL()[len("http://"):])
	if strings.Contains(p.Stderr(), "hunter2") {
		t.Error("the password is in the messages")
	}
}

func TestUnreachableHost(t *testing.T) {
	s := newSite(t, "output \"elasticsearch\" \"siem\" {\n  hosts = [\"http://127.0.0.1:9\"]\n}\n")
	s.write(1, 50)
	p := s.start()
	p.WaitLog(time.Minute, "refused")
	p.Term(time.Minute)
	expectSeen(t, p, 2, "127.0.0.1:9", "connection refused")
}

// A record that the mapping refuses becomes a dead letter: kept with its reason, told once, and nothing else waits for it.
func TestMappingConflict(t *testing.T) {
	node := testkit.SharedElasticsearch(t)
	node.Must("PUT", "/_index_template/conflict", `{"index_patterns":["logs-gatebook.linux.auth-conflict"],"data_stream":{},"priority":900,
		"template":{"mappings":{"properties":{"user":{"properties":{"name":{"type":"long"}}}}}}}`, nil)
	s := newSite(t, "")
	s.configure("namespace = \"conflict\"\n", fmt.Sprintf(elasticOutput, node.URL(), true))
	s.write(1, 3)
	text := "Nov 22 10:00:00 web01 sshd[1]: Failed password for invalid user 4711 from 203.0.113.9 port 40022 ssh2\n"
	f, err := os.OpenFile(s.log, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
	p := s.start()
	letters := filepath.Join(s.data, "deadletter", "siem.ndjson")
	testkit.Eventually(t, 60*time.Second, func() bool { return lineCount(letters) == 3 })
	testkit.Eventually(t, 60*time.Second, func() bool { return node.Count("logs-gatebook.linux.auth-conflict") == 1 })
	testkit.Eventually(t, 60*time.Second, func() bool { return node.Count("logs-gatebook.deadletter-conflict") == 3 })
	p.Term(time.Minute)
	expectSeen(t, p, 2, "siem")
	b, err := os.ReadFile(letters)
	must(t, err)
	t.Logf("a dead letter:\n%s", strings.SplitN(string(b), "\n", 2)[0])
	if !strings.Contains(string(b), "user.name") || !strings.Contains(string(b), `"event"`) {
		t.Errorf("the letter has no reason or no document")
	}
}

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
