package inputs

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// syslogConfig is a decoded `input "syslog"` block.
type syslogConfig struct {
	lineConfig
	listen         []syslogAddress
	tls            *tlsFiles
	framing        framing
	maxConnections int
	maxPerAddress  int
	idle           time.Duration
	receiveBuffer  int
	queue          int
	allow          []netip.Prefix
	mode           os.FileMode
}

// syslogAddress is one of listen.
type syslogAddress struct {
	transport transport
	address   string // host:port, or a path
}

// network is what the socket is of.
func (a syslogAddress) network() string {
	if a.transport == overTLS {
		return "tcp"
	}
	return transportNames[a.transport]
}

func (a syslogAddress) String() string { return transportNames[a.transport] + "://" + a.address }

func (a syslogAddress) packets() bool { return a.transport == overUDP || a.transport == overUnixgram }

func (a syslogAddress) isUnix() bool { return a.transport == overUnix || a.transport == overUnixgram }

func decodeSyslog(label string, b *conf.Body) Config {
	defer b.Close()
	c := &syslogConfig{lineConfig: decodeLocalLines(label, b, "max_message", 480)}
	c.source.Envelope = "syslog"
	if b.Require("listen", `["udp://127.0.0.1:5514", "tcp://127.0.0.1:5514"]`) {
		c.decodeListen(b)
	}
	c.framing = framings[b.Enum("framing", "auto", "auto", "octet", "newline", "null")]
	c.maxConnections = b.Int("max_connections", 1024, 1, 1<<16)
	c.maxPerAddress = b.Int("max_connections_per_address", 512, 1, 1<<16)
	c.idle = b.Duration("idle_timeout", time.Hour, 0, 0)
	c.receiveBuffer = int(b.Size("receive_buffer", 4<<20, 4<<10, 1<<30))
	c.queue = int(b.Size("queue", 4<<20, 64<<10, 256<<20))
	for _, text := range b.Strings("allow") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			if a, addrErr := netip.ParseAddr(text); addrErr == nil {
				p, err = a.Prefix(a.BitLen())
			}
		}
		if err != nil {
			b.Errorf("allow", "%q is no network; write \"192.0.2.0/24\" or an address", text)
			continue
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 { // senders are compared as IPv4
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		c.allow = append(c.allow, p.Masked())
	}
	mode := b.String("mode", "0660")
	if n, err := strconv.ParseUint(mode, 8, 12); err != nil || n > 0o777 {
		b.Errorf("mode", "%q is no file mode; write it as \"0660\"", mode)
	} else {
		c.mode = os.FileMode(n)
	}
	return c
}

func (c *syslogConfig) decodeListen(b *conf.Body) {
	insecure := b.Bool("insecure", false)
	if t := b.Block("tls"); t != nil {
		c.tls = decodeTLS(t.Body)
	}
	seen := map[string]bool{}
	usesTLS := false
	for _, text := range b.Strings("listen") {
		a, problem := parseSyslogAddress(text)
		if problem != "" {
			b.Errorf("listen", "%q %s", text, problem)
			continue
		}
		if key := a.network() + "://" + a.address; seen[key] {
			b.Errorf("listen", "%q is given twice", text)
		} else {
			seen[key] = true
		}
		usesTLS = usesTLS || a.transport == overTLS
		switch {
		case a.transport == overTLS && c.tls == nil:
			b.Errorf("listen", "%q needs a certificate; add tls { cert = \"server.pem\"  key = \"server.key\" }", text)
		case (a.transport == overUDP || a.transport == overTCP) && !insecure && beyondLoopback(a.address):
			b.Errorf("listen", "%q can be reached from other machines, and messages travel there in the clear, from anybody; use tls://, or write insecure = true (and allow = [...]) for devices that know nothing else", text)
		}
		c.listen = append(c.listen, a)
	}
	if len(c.listen) == 0 && b.Has("listen") {
		b.Errorf("listen", "names no address that can be listened on")
	}
	if c.tls != nil && !usesTLS && len(c.listen) > 0 {
		b.Errorf("listen", "no address begins with tls://, so tls { } has no use; add one or take the block away")
	}
}

// parseSyslogAddress reads "udp://127.0.0.1:5514" and its kin.
func parseSyslogAddress(text string) (a syslogAddress, problem string) {
	const forms = `; write "udp://127.0.0.1:5514", "tcp://...", "tls://...", "unix:///run/gatebook.sock" or "unixgram:///..."`
	u, err := url.Parse(text)
	if err != nil {
		return a, "is not an address" + forms
	}
	known := false
	for t, name := range transportNames {
		if name == u.Scheme {
			a.transport, known = transport(t), true
		}
	}
	switch {
	case !known || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return a, "is not an address" + forms
	case a.isUnix():
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return a, "needs an absolute path: three slashes, as in unix:///run/gatebook.sock"
		}
		if len(u.Path) > 107 {
			return a, "is too long for a socket: 107 bytes is the most"
		}
		a.address = filepath.Clean(u.Path)
		return a, ""
	}
	host, port, err := net.SplitHostPort(u.Host)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || u.Path != "" {
		return a, "needs a port" + forms
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return a, "has to name an address of this machine, not a name; leave it empty for all"
	}
	a.address = u.Host
	return a, ""
}

func (c *syslogConfig) New(env Env) (Input, error) {
	s := &Syslog{config: *c, sockets: env.Sockets, log: env.Logger.With("input", c.source.Input), once: env.Once, host: env.Host,
		perAddress: map[netip.Addr]int{}, conns: map[*syslogConn]struct{}{}}
	if s.once {
		return s, nil
	}
	if c.tls != nil {
		if err := c.tls.open(env.Dir, s.log); err != nil {
			return nil, fmt.Errorf("input %q: %w", c.source.Input, err)
		}
	}
	for _, a := range c.listen {
		s.counts.transport[a.transport].used = true
		if err := s.reserve(a); err != nil {
			return nil, fmt.Errorf("input %q: %w", c.source.Input, err)
		}
	}
	return s, nil
}

// reserve opens the socket, or keeps the one that an earlier generation had.
func (s *Syslog) reserve(a syslogAddress) error {
	if a.isUnix() && !s.sockets.has(a.network(), a.address) {
		if err := removeStale(a); err != nil {
			return err
		}
	}
	if err := s.sockets.Reserve(context.Background(), a.network(), a.address, s.config.mode); err != nil {
		return err
	}
	s.sockets.ReserveConns(a.String())
	return nil
}

// removeStale removes the socket that a killed process has left. One that somebody answers on stays, and listening will say so.
func removeStale(a syslogAddress) error {
	info, _ := os.Lstat(a.address)
	if info == nil { // nothing there, or listening says what is wrong
		return nil
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listen on %s: there is a file that is no socket", a)
	}
	conn, err := net.Dial(a.network(), a.address)
	if err == nil {
		return conn.Close()
	}
	if isRefused(err) {
		if err := os.Remove(a.address); err != nil {
			return fmt.Errorf("remove the stale socket of %s: %w", a, err)
		}
	}
	return nil
}

// Syslog is the input "syslog".
//
//	udp, unixgram: socket -> reader (never waits on the log) -> queue (bounded; full: dropped and counted) -> submitter -> Sink
//	tcp, tls, unix: listener -> connection -> buffer -> framer -> one batch a read -> Sink (waits: the sender waits, too)
//
// Headers are read by the pipeline's workers (parsers.Envelopes["syslog"]). What it promises: nothing that was taken from a stream is lost
// by a reload, and what is dropped is counted by reason. Syslog has no acknowledgement: docs/syslog.md says what that means.
type Syslog struct {
	config  syslogConfig
	sockets *Sockets
	log     *slog.Logger
	once    bool
	host    string // of this machine
	counts  syslogCounts

	mu         sync.Mutex
	conns      map[*syslogConn]struct{}
	perAddress map[netip.Addr]int
	addresses  []net.Addr // of the listeners, in the order of the config
}

// submitGrace is how long what has been read may take into the log after the input's end.
const submitGrace = 2 * time.Second

// Run listens until ctx ends.
func (s *Syslog) Run(ctx context.Context, sink Sink) error {
	if s.once {
		s.log.Warn("nothing is listened for with --once: nobody knows when every message has come")
		return nil
	}
	submit, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(submitGrace, cancel) })()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, len(s.config.listen))
	var running sync.WaitGroup
	for _, a := range s.config.listen {
		serve := s.streams
		if a.packets() {
			serve = s.packets
		}
		ready, err := serve(ctx, submit, a, sink)
		if err != nil {
			stop()
			running.Wait()
			return fmt.Errorf("input %q: %w", s.config.source.Input, err)
		}
		running.Go(func() {
			if err := ready(); err != nil {
				failed <- fmt.Errorf("input %q: %w", s.config.source.Input, err)
				stop()
			}
		})
	}
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// sourceOf is the source of lines from an address; the zero address is a process of this machine.
func (s *Syslog) sourceOf(a netip.Addr) *Source {
	src := s.config.source
	src.Key = "local"
	if a.IsValid() {
		src.SenderIP = addressText(a)
		src.Key = src.SenderIP
	}
	if src.Host == "" {
		if src.Host = src.SenderIP; src.Host == "" {
			src.Host = s.host
		}
	}
	return &src
}

// allowed asks `allow`. A process of this machine may always send.
func (s *Syslog) allowed(a netip.Addr) bool {
	if len(s.config.allow) == 0 || !a.IsValid() {
		return true
	}
	a = a.Unmap().WithZone("") // a network contains no address with a zone
	for _, p := range s.config.allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
