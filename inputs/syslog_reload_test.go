package inputs

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// A reload: the input is stopped and another one started, again and again, while senders go on. Nothing is lost, doubled or out of order.
func TestSyslogReloadLosesNothing(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	dir := ca.write(t, t.TempDir(), ca.issue(t, "server"))
	sockets := NewSockets()
	sink := &syslogSink{}
	block := fmt.Sprintf(`
  listen = ["tcp://127.0.0.1:0", "tls://[::1]:0", "udp://127.0.0.1:0"]
  tls {
    cert = "%[1]s/cert.pem"
    key  = "%[1]s/key.pem"
  }`, dir)
	r := startSyslog(t, block, sink, Env{Sockets: sockets})
	plain := r.dial(t, 0)
	secure, err := tls.Dial("tcp", r.addresses[1].String(), &tls.Config{RootCAs: ca.pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	packets := r.dial(t, 2)
	const rounds, perRound = 8, 500
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		for range rounds {
			if err := r.end(); err != nil {
				t.Error(err)
			}
			r = startSyslog(t, block, sink, Env{Sockets: sockets})
		}
	}()
	sent, datagrams := 0, 0
	message := func(kind string) string { return fmt.Sprintf("<1>%s %06d", kind, sent) }
	for going := true; going || sent < rounds*perRound; sent++ {
		select {
		case <-reloaded:
			going = false
		default:
		}
		p, s := message("plain"), message("secure")
		send(t, plain, fmt.Sprintf("%d %s", len(p), p)) // half a message may be in the buffer
		half := len(s) / 2
		send(t, secure, s[:half])
		send(t, secure, s[half:]+"\n")
		if sent%64 == 0 && datagrams < 200 { // more than the kernel keeps while nobody reads would be lost
			send(t, packets, message("packet"))
			datagrams++
		}
	}
	<-reloaded
	want := 2*sent + datagrams
	lines := sink.wait(t, want)
	if len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	for _, kind := range []string{"plain", "secure", "packet"} {
		last, n := "", 0
		for _, l := range lines {
			if strings.HasPrefix(l, "<1>"+kind) {
				if n++; l <= last {
					t.Fatalf("%q after %q", l, last)
				}
				last = l
			}
		}
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if err := sockets.Sweep(); err != nil {
		t.Error(err)
	}
	// Nobody has taken the connections again: they are closed.
	if err := plain.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the connection is open after Sweep: %v", err)
	}
}

// What the log does not take before the end goes to the next generation with its connection.
func TestSyslogReloadWithAFullLog(t *testing.T) {
	sockets := NewSockets()
	defer sockets.Sweep()
	const block = `listen = ["tcp://127.0.0.1:0"]`
	full := &syslogSink{gate: make(chan struct{})}
	r := startSyslog(t, block, full, Env{Sockets: sockets})
	c := r.dial(t, 0)
	send(t, c, "<1>a\n<1>b\n<1>ha")
	testkit.Eventually(t, patience, func() bool { return full.waiting.Load() == 1 })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if full.count() != 0 {
		t.Fatalf("%d lines in a full log", full.count())
	}
	sink := &syslogSink{}
	startSyslog(t, block, sink, Env{Sockets: sockets})
	send(t, c, "lf\n")
	if got := strings.Join(sink.wait(t, 3), ","); got != "<1>a,<1>b,<1>half" {
		t.Errorf("%s", got)
	}
}
