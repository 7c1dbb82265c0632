package inputs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// What the inputs "bulk" and "http" share: a listener with TLS and bounds, keys (listener_auth.go), bodies read within bounds
// (listener_body.go), and answers that wait for the log (listener_flight.go).
//
//	connection (bounded) -> key -> body (bounded) -> batches -> Sink -> Ticket -> answer

// listenerConfig is the part of their blocks that they share.
type listenerConfig struct {
	label          string
	address        string
	tls            *tlsFiles
	maxConnections int
	timeout        time.Duration
	maxBody        int64
	maxLine        int
	keys           []*senderKey
	source         Source
}

// beyondLoopback says whether other machines can reach the address.
func beyondLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// decodeListener reads what the blocks share, keys aside.
func decodeListener(label string, b *conf.Body, port, bodyName string, body int64) listenerConfig {
	c := listenerConfig{label: label, address: b.String("listen", "127.0.0.1:"+port)}
	if host, p, err := net.SplitHostPort(c.address); err != nil || p == "" {
		b.Errorf("listen", "%q is not an address and a port; write %q", c.address, "127.0.0.1:"+port)
	} else if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		b.Errorf("listen", "%q is not an IP address of this machine; write %q", host, "127.0.0.1:"+port)
	}
	if t := b.Block("tls"); t != nil {
		c.tls = decodeTLS(t.Body)
	} else if beyondLoopback(c.address) {
		b.Errorf("listen", "%s can be reached from other machines, and keys and records would travel there in the clear; add tls { cert = \"...\"  key = \"...\" }, or listen on 127.0.0.1:%s", c.address, port)
	}
	c.maxConnections = b.Int("max_connections", 256, 1, 1<<16)
	c.timeout = b.Duration("timeout", time.Minute, time.Second, time.Hour)
	c.maxBody = b.Size(bodyName, body, 1<<10, 256<<20)
	c.maxLine = int(b.Size("max_line", 1<<20, 256, 4<<20))
	c.source = Source{Input: label, Parser: b.String("parser", "auto"), Realm: b.String("realm", "")}
	for _, kv := range b.Pairs("labels") {
		c.source.Labels = append(c.source.Labels, Label{kv.Key, kv.Value})
	}
	return c
}

// ParserName is the parser of keys that name none.
func (c *listenerConfig) ParserName() string { return c.source.Parser }

// ParserNames are those of all keys.
func (c *listenerConfig) ParserNames() []string {
	names := []string{c.source.Parser}
	for _, k := range c.keys {
		names = append(names, k.source.Parser)
	}
	return names
}

// MaxLine is the most bytes of one document.
func (c *listenerConfig) MaxLine() int64 { return int64(c.maxLine) }

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	// shutdownGrace is how long requests that are under way may take to end on a reload or stop. What is not answered then is
	// sent again by its sender.
	shutdownGrace = 3 * time.Second
)

// listener serves one address until its context ends.
type listener struct {
	config  *listenerConfig
	env     Env
	log     *slog.Logger
	flights flights
	budget  budget
}

func newListener(c *listenerConfig, env Env) (*listener, error) {
	l := &listener{config: c, env: env, log: env.Logger.With("input", c.label), flights: newFlights(c.timeout)}
	l.budget = budget{bytes: 2 * c.maxBody, requests: c.maxConnections}
	if c.tls != nil {
		if err := c.tls.open(env.Dir, l.log); err != nil {
			return nil, fmt.Errorf("input %q: %w", c.label, err)
		}
	}
	return l, nil
}

// full says that the log takes nothing more at present.
func (l *listener) full() bool { return l.env.Full != nil && l.env.Full() }

// serve answers requests until ctx ends, and then those that are under way.
func (l *listener) serve(ctx context.Context, sink Sink, handler http.Handler) error {
	if l.env.Once {
		return nil // nobody can know when everything has come
	}
	inner, err := l.env.Sockets.Listen(ctx, "tcp", l.config.address)
	if err != nil {
		return fmt.Errorf("input %q: %w", l.config.label, err)
	}
	var ln net.Listener = newLimitListener(inner, l.config.maxConnections)
	if l.config.tls != nil {
		ln = l.config.tls.listener(ln)
	}
	requests, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	l.flights.begin(requests, sink)
	server := &http.Server{
		Handler: l.counted(handler), ReadHeaderTimeout: headerTimeout, ReadTimeout: l.config.timeout, WriteTimeout: 3 * l.config.timeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err = <-served:
		err = fmt.Errorf("input %q: serve on %s: %w", l.config.label, l.config.address, err)
	case <-ctx.Done():
		err = nil
		grace, cancel := context.WithTimeout(requests, shutdownGrace)
		if server.Shutdown(grace) != nil {
			giveUp()
		}
		cancel()
		<-served
	}
	giveUp()
	if closed := server.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) && err == nil {
		err = fmt.Errorf("input %q: close: %w", l.config.label, closed)
	}
	l.flights.end()
	return err
}

// counted notes requests that are under way, so that serve does not return before they do.
func (l *listener) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.flights.open() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer l.flights.running.Done()
		h.ServeHTTP(w, r)
	})
}

// limitListener lets no more than so many connections be open; others wait in the kernel.
type limitListener struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

func newLimitListener(l net.Listener, n int) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a free place first.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends Accept, too.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}

// sender returns the source of a request's lines: the key's, with the socket's own statement of who sends.
func sender(k *senderKey, r *http.Request) *Source {
	s := k.source
	if !k.open() {
		s.SenderName = k.name
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		s.SenderIP, s.SenderPort = at.Addr().Unmap().WithZone("").String(), int(at.Port())
	}
	if r.TLS != nil {
		if name := peerName(*r.TLS); name != "" {
			s.SenderName = name
		}
	}
	s.Key = strings.Join([]string{s.Key, s.SenderIP}, "|")
	return &s
}
