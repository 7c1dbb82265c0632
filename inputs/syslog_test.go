package inputs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
)

// noLeaks holds at the end, when all that the test started is stopped, that nothing of it runs on.
func noLeaks(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

const patience = 20 * time.Second

// syslogSink keeps lines with their sources, and can be made to wait.
type syslogSink struct {
	mu      sync.Mutex
	lines   []string
	cut     int
	sources map[string]*Source // by line
	gate    chan struct{}      // nil: open; Submit waits until it is closed
	waiting atomic.Int64       // calls of Submit
	batches int
}

func (s *syslogSink) Submit(ctx context.Context, b *Batch) (Ticket, error) {
	s.waiting.Add(1)
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches++
	for _, l := range b.Lines {
		text := strings.Clone(l.Text)
		s.lines = append(s.lines, text)
		if s.sources == nil {
			s.sources = map[string]*Source{}
		}
		s.sources[text] = b.Source
		if l.Truncated {
			s.cut++
		}
	}
	b.Release()
	return nil, nil
}

func (s *syslogSink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// wait waits for so many lines and returns them.
func (s *syslogSink) wait(t testing.TB, n int) []string {
	t.Helper()
	testkit.Eventually(t, patience, func() bool { return s.count() >= n })
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *syslogSink) source(line string) *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[line]
}

// runningSyslog is an input that runs until stop.
type runningSyslog struct {
	*Syslog
	addresses []net.Addr
	end       func() error
}

func newSyslogInput(t testing.TB, block string, env Env) (*Syslog, error) {
	t.Helper()
	f, _ := conf.Parse("test.hcl", fmt.Appendf(nil, "input \"syslog\" \"x\" {\n%s\n}\n", block))
	c := Registry["syslog"].Decode("x", f.Body().Blocks("input", 2)[0].Body)
	if err := f.Diagnostics().Err(); err != nil {
		t.Fatal(err)
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	env.Host = "gate"
	in, err := c.New(env)
	if err != nil {
		return nil, err
	}
	return in.(*Syslog), nil
}

func startSyslog(t testing.TB, block string, sink Sink, env Env) *runningSyslog {
	t.Helper()
	own := env.Sockets == nil
	if own {
		env.Sockets = NewSockets()
	}
	in, err := newSyslogInput(t, block, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := env.Sockets.Sweep(); err != nil { // in the order of the agent: made, swept, run
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx, sink) }()
	r := &runningSyslog{Syslog: in}
	r.end = sync.OnceValue(func() error {
		cancel()
		err := <-done
		if own {
			err = errors.Join(err, env.Sockets.Sweep())
		}
		return err
	})
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	testkit.Eventually(t, patience, func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		r.addresses = slices.Clone(in.addresses)
		return len(r.addresses) == len(in.config.listen)
	})
	return r
}

func (r *runningSyslog) dial(t testing.TB, i int) net.Conn {
	t.Helper()
	a := r.addresses[i]
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t testing.TB, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// figure returns the value of a figure with these label values.
func (r *runningSyslog) figure(name string, labels ...string) float64 {
	for _, f := range r.Figures() {
		var values []string
		for _, l := range f.Labels {
			values = append(values, l.Value)
		}
		if f.Name == name && slices.Equal(values, labels) {
			return f.Value
		}
	}
	return -1
}

const two = `listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]`

func TestSyslogTransports(t *testing.T) {
	noLeaks(t)
	dir, err := os.MkdirTemp("/tmp", "gb") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	sink := &syslogSink{}
	r := startSyslog(t, fmt.Sprintf(`
  listen = ["udp://127.0.0.1:0", "tcp://[::1]:0", "unix://%[1]s/s", "unixgram://%[1]s/d"]
  realm  = "corp"
  mode   = "0600"
  labels = { site = "berlin" }`, dir), sink, Env{})
	for i := range r.addresses {
		send(t, r.dial(t, i), fmt.Sprintf("<1>from %d\n", i))
	}
	lines := sink.wait(t, 4)
	slices.Sort(lines)
	if got := strings.Join(lines, ","); got != "<1>from 0,<1>from 1,<1>from 2,<1>from 3" {
		t.Errorf("%s", got)
	}
	for i, want := range []Source{
		{Key: "127.0.0.1", SenderIP: "127.0.0.1", Host: "127.0.0.1"}, {Key: "::1", SenderIP: "::1", Host: "::1"}, {Key: "local", Host: "gate"}, {Key: "local", Host: "gate"},
	} {
		s := sink.source(fmt.Sprintf("<1>from %d", i))
		if s.Key != want.Key || s.SenderIP != want.SenderIP || s.Host != want.Host || s.Realm != "corp" || s.Envelope != "syslog" || s.Parser != "auto" || len(s.Labels) != 1 ||
			(s.SenderPort != 0) != (i == 1) {
			t.Errorf("%d: %+v", i, *s)
		}
	}
	for _, name := range []string{"s", "d"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A stale socket is replaced; one that somebody answers on, and a file, are not.
func TestSyslogStaleSocket(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "gb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	for _, network := range []string{"unix", "unixgram"} {
		block := fmt.Sprintf("listen = [%q]", network+"://"+path)
		if network == "unix" {
			l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			if _, err := newSyslogInput(t, block, Env{Sockets: NewSockets()}); err == nil {
				t.Errorf("%s: took the place of a living socket", network)
			}
			l.Close()
		} else {
			l, err := net.ListenUnixgram(network, &net.UnixAddr{Name: path, Net: network})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := newSyslogInput(t, block, Env{Sockets: NewSockets()}); err == nil {
				t.Errorf("%s: took the place of a living socket", network)
			}
			l.Close()
		}
		sink := &syslogSink{}
		r := startSyslog(t, block, sink, Env{})
		send(t, r.dial(t, 0), "<1>x\n")
		sink.wait(t, 1)
		if err := r.end(); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(path, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newSyslogInput(t, fmt.Sprintf("listen = [%q]", "unix://"+path), Env{Sockets: NewSockets()}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
}

// Each connection is framed in its own way; a message over the limit is cut and flagged; what is there at the close counts.
func TestSyslogConnections(t *testing.T) {
	noLeaks(t)
	sink := &syslogSink{}
	r := startSyslog(t, "listen = [\"tcp://127.0.0.1:0\"]\nmax_message = \"480B\"", sink, Env{})
	a, b := r.dial(t, 0), r.dial(t, 0)
	send(t, a, "<1>line\n<1>last without end")
	send(t, b, "10 <1>counted503 <1>"+strings.Repeat("x", 500)+"4 <1>y")
	a.Close()
	b.Close()
	lines := sink.wait(t, 5)
	slices.Sort(lines)
	want := []string{"<1>counted", "<1>last without end", "<1>line", "<1>" + strings.Repeat("x", 477), "<1>y"}
	slices.Sort(want)
	if !slices.Equal(lines, want) || sink.cut != 1 {
		t.Errorf("%q, %d cut", lines, sink.cut)
	}
	testkit.Eventually(t, patience, func() bool { return r.figure("syslog_connections", "tcp") == 0 })
	for name, want := range map[string]float64{"syslog_messages_total": 5, "syslog_connections_total": 2, "syslog_cut_total": 1, "syslog_resynchronized_total": 0} {
		if got := r.figure(name, "tcp"); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	if got := r.figure("syslog_sender_messages_total", "127.0.0.1"); got != 5 {
		t.Errorf("%v of the sender", got)
	}
}

// A message as long as the limit comes whole, however large the buffers are, and many of them on one connection.
func TestSyslogLongMessages(t *testing.T) {
	sink := &syslogSink{}
	r := startSyslog(t, "listen = [\"tcp://127.0.0.1:0\"]\nmax_message = \"1MiB\"", sink, Env{})
	c := r.dial(t, 0)
	long := "<1>" + strings.Repeat("x", 1<<20-3)
	for i := range 4 {
		send(t, c, fmt.Sprintf("%d %s5 <1>%02d", len(long), long, i))
	}
	lines := sink.wait(t, 8)
	for i := range 4 {
		if lines[2*i] != long || lines[2*i+1] != fmt.Sprintf("<1>%02d", i) {
			t.Errorf("message %d: %d bytes, then %q", i, len(lines[2*i]), lines[2*i+1])
		}
	}
}

// Bounds: connections in all and of one address, networks that are not allowed.
func TestSyslogLimits(t *testing.T) {
	noLeaks(t)
	closed := func(c net.Conn) {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("connection is open: %v", err)
		}
	}
	sink := &syslogSink{}
	r := startSyslog(t, "listen = [\"tcp://127.0.0.1:0\"]\nmax_connections = 1", sink, Env{})
	first := r.dial(t, 0)
	send(t, first, "<1>a\n")
	sink.wait(t, 1)
	closed(r.dial(t, 0))
	if got := r.figure("syslog_connections_refused_total", "tcp", "limit"); got != 1 {
		t.Errorf("limit: %v", got)
	}
	first.Close()
	testkit.Eventually(t, patience, func() bool { return r.figure("syslog_connections", "tcp") == 0 })
	send(t, r.dial(t, 0), "<1>b\n")
	sink.wait(t, 2)

	r = startSyslog(t, "listen = [\"tcp://127.0.0.1:0\"]\nmax_connections_per_address = 1", sink, Env{})
	send(t, r.dial(t, 0), "<1>c\n")
	sink.wait(t, 3)
	closed(r.dial(t, 0))
	if got := r.figure("syslog_connections_refused_total", "tcp", "limit-per-address"); got != 1 {
		t.Errorf("limit per address: %v", got)
	}

	r = startSyslog(t, two+"\nallow = [\"192.0.2.0/24\"]", sink, Env{})
	closed(r.dial(t, 1))
	send(t, r.dial(t, 0), "<1>never\n")
	testkit.Eventually(t, patience, func() bool { return r.figure("syslog_dropped_total", "udp", "not-allowed") == 1 })
	if got := r.figure("syslog_connections_refused_total", "tcp", "not-allowed"); got != 1 {
		t.Errorf("not allowed: %v", got)
	}
}

// A connection that is silent for idle_timeout is closed, and what it has sent of a message counts. Each message starts the time anew.
func TestSyslogIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &Syslog{config: syslogConfig{idle: time.Hour, lineConfig: lineConfig{maxLine: 1000}, maxConnections: 1, maxPerAddress: 1}, log: slog.New(slog.DiscardHandler),
			sockets: NewSockets(), perAddress: map[netip.Addr]int{}, conns: map[*syslogConn]struct{}{}}
		sink := &syslogSink{}
		near, far := net.Pipe()
		c := in.admit(far, syslogAddress{transport: overTCP})
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.serve(t.Context(), t.Context(), sink)
		}()
		for range 3 {
			send(t, near, "<1>x\n")
			time.Sleep(59 * time.Minute) // of the bubble's clock
		}
		send(t, near, "<1>and then silence")
		began := time.Now()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		<-done
		if silent := time.Since(began); silent < time.Hour-time.Second || silent > time.Hour+time.Second {
			t.Errorf("closed after %v of silence", silent)
		}
		if got := strings.Join(sink.lines, ","); got != "<1>x,<1>x,<1>x,<1>and then silence" || in.counts.transport[overTCP].idle.Load() != 1 {
			t.Errorf("%s; %d closed", got, in.counts.transport[overTCP].idle.Load())
		}
	})
}

// A sender waits while the log does not take what it sent, and nothing of it is lost.
func TestSyslogStreamWaitsForTheLog(t *testing.T) {
	sink := &syslogSink{gate: make(chan struct{})}
	r := startSyslog(t, "listen = [\"tcp://127.0.0.1:0\"]", sink, Env{})
	c := r.dial(t, 0)
	const n = 200_000
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < n && err == nil; i += 100 {
			_, err = c.Write([]byte(strings.Repeat("<1>message that takes its place\n", 100)))
		}
		sent <- errors.Join(err, c.Close())
	}()
	if got := r.figure("syslog_messages_total", "tcp"); got != 0 {
		t.Errorf("%v messages taken by a log that takes none", got)
	}
	close(sink.gate)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if lines := sink.wait(t, n); len(lines) != n {
		t.Errorf("%d of %d", len(lines), n)
	}
}

// While the log takes nothing, datagrams are read, kept as far as the queue goes, and counted beyond: taken and dropped are all.
func TestSyslogUDPDropsAreCounted(t *testing.T) {
	noLeaks(t)
	sink := &syslogSink{gate: make(chan struct{})}
	r := startSyslog(t, "listen = [\"udp://127.0.0.1:0\"]\nqueue = \"64KiB\"", sink, Env{})
	c := r.dial(t, 0)
	const n = 2000
	dropped := func() int { return int(r.figure("syslog_dropped_total", "udp", "queue")) }
	for i := range n {
		send(t, c, fmt.Sprintf("<1>%04d %s", i, strings.Repeat("x", 100)))
		if i%50 == 49 { // the kernel's buffer is not what is tested here
			testkit.Eventually(t, patience, func() bool { return r.figure("syslog_received_total", "udp") >= float64(i+1) })
		}
	}
	if dropped() == 0 {
		t.Error("nothing dropped with a queue of 64 KiB")
	}
	close(sink.gate)
	testkit.Eventually(t, patience, func() bool { return sink.count()+dropped() == n })
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if got := sink.count() + dropped(); got != n || r.figure("syslog_kernel_drops_total", "udp") != 0 {
		t.Errorf("%d taken, %d dropped, %d sent", sink.count(), dropped(), n)
	}
}

// Datagrams that the kernel had no room for are told.
func TestSyslogKernelDrops(t *testing.T) {
	sink := &syslogSink{}
	sockets := NewSockets()
	defer sockets.Sweep()
	const block = "listen = [\"udp://127.0.0.1:0\"]\nreceive_buffer = \"4KiB\""
	r := startSyslog(t, block, sink, Env{Sockets: sockets})
	c := r.dial(t, 0)
	if err := r.end(); err != nil { // the socket is kept, and nobody reads
		t.Fatal(err)
	}
	for range 100 {
		send(t, c, "<1>"+strings.Repeat("x", 1000))
	}
	r = startSyslog(t, block, sink, Env{Sockets: sockets})
	sink.wait(t, 1)
	testkit.Eventually(t, patience, func() bool {
		_, _ = c.Write([]byte("<1>the kernel tells its drops with the next datagram"))
		return r.figure("syslog_kernel_drops_total", "udp") > 0
	})
}

func TestSyslogOnceReturns(t *testing.T) {
	in, err := newSyslogInput(t, two, Env{Once: true, Sockets: NewSockets()})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Run(context.Background(), nil); err != nil {
		t.Error(err)
	}
}

// What is wrong with a block is said at its place, with the remedy.
func TestSyslogConfigErrors(t *testing.T) {
	f := func(block, want string) {
		t.Helper()
		file, _ := conf.Parse("test.hcl", fmt.Appendf(nil, "input \"syslog\" \"x\" {\n%s\n}\n", block))
		Registry["syslog"].Decode("x", file.Body().Blocks("input", 2)[0].Body)
		err := file.Diagnostics().Err()
		if want == "" && err == nil {
			return
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", block, err, want)
		}
	}
	f(``, "listen")
	f(`listen = []`, "names no address")
	f(`listen = ["127.0.0.1:514"]`, "is not an address")
	f(`listen = ["tcp://127.0.0.1"]`, "needs a port")
	f(`listen = ["tcp://example.org:514"]`, "not a name")
	f(`listen = ["unix://run/x"]`, "absolute path")
	f(`listen = ["unix:///run/`+strings.Repeat("x", 120)+`"]`, "too long")
	f(`listen = ["udp://:514"]`, "insecure = true")
	f(`listen = ["tcp://192.0.2.1:514"]`, "insecure = true")
	f("listen = [\"tcp://192.0.2.1:514\"]\ninsecure = true", "")
	f(`listen = ["tls://127.0.0.1:6514"]`, "needs a certificate")
	f("listen = [\"tcp://127.0.0.1:514\"]\ntls {\n cert = \"a\"\n key = \"b\"\n}", "has no use")
	f("listen = [\"tls://192.0.2.1:514\"]\ntls {\n cert = \"a\"\n key = \"b\"\n client_cert = \"optional\"\n}", "without client_ca")
	f("listen = [\"tcp://127.0.0.1:514\", \"tcp://127.0.0.1:514\"]", "given twice")
	f("listen = [\"tcp://127.0.0.1:514\", \"tls://127.0.0.1:514\"]", "given twice")
	f("listen = [\"tcp://127.0.0.1:514\"]\nallow = [\"x\"]", "is no network")
	f("listen = [\"tcp://127.0.0.1:514\"]\nallow = [\"192.0.2.1\", \"2001:db8::/32\"]\nframing = \"octet\"", "")
	f("listen = [\"unix:///run/x\"]\nmode = \"999\"", "file mode")
}
