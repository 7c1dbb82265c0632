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
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// What the inputs "bulk" and "http" share: a listener with TLS and bounds, keys (listener_auth.go), bodies read within bounds
// (listener_body.go), and answers that wait for the log (listener_flight.go).
//
//	connection (bounded) -> key -> body (bounded) -> batches -> Sink -> Ticket -> answer

// listenerConfig is the part of their blocks that they share.
type listenerConfig struct {
	lineConfig
	label          string
	address        string
	tls            *tlsFiles
	maxConnections int
	maxPerAddress  int
	timeout        time.Duration
	maxBody        int64
	keys           []*senderKey
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
	c := listenerConfig{lineConfig: decodeLines(label, b, "max_line", 1<<20, 256), label: label, address: b.String("listen", "127.0.0.1:"+port)}
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
	c.maxPerAddress = b.Int("max_connections_per_address", max(1, c.maxConnections/2), 1, 1<<16)
	c.timeout = b.Duration("timeout", time.Minute, time.Second, time.Hour)
	c.maxBody = b.Size(bodyName, body, 1<<10, 256<<20)
	return c
}

// ParserNames are those of all keys.
func (c *listenerConfig) ParserNames() []string {
	names := []string{c.source.Parser}
	for _, k := range c.keys {
		names = append(names, k.source.Parser)
	}
	return names
}

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
	crowded atomic.Int64 // connections refused because their address has too many

	headerTimeout time.Duration
}

func newListener(c *listenerConfig, env Env) (*listener, error) {
	l := &listener{config: c, env: env, log: env.Logger.With("input", c.label), flights: newFlights(c.timeout), headerTimeout: headerTimeout}
	l.budget = budget{bytes: 2 * c.maxBody, requests: c.maxConnections, whole: 2 * c.maxBody}
	if c.tls != nil {
		if err := c.tls.open(env.Dir, l.log); err != nil {
			return nil, fmt.Errorf("input %q: %w", c.label, err)
		}
	}
	if !env.Once {
		if err := env.Sockets.Reserve(context.Background(), "tcp", c.address, 0); err != nil {
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
	limit := newLimitListener(inner, l.config.maxConnections, l.config.maxPerAddress, &l.crowded)
	var ln net.Listener = limit
	if l.config.tls != nil {
		ln = l.config.tls.listener(ln)
	}
	requests, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	l.flights.begin(requests, sink)
	server := l.server(requests, handler)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err = <-served:
		err = fmt.Errorf("input %q: serve on %s: %w", l.config.label, l.config.address, err)
	case <-ctx.Done():
		// Shutdown is not for this: it drops requests that it finds just read, and so connections that were just taken. Here no more are
		// taken, silent ones are closed, and the others end with the answer to their request.
		err = ln.Close()
		<-served
		server.SetKeepAlivesEnabled(false)
		grace, cancel := context.WithTimeout(requests, shutdownGrace)
		limit.wait(grace)
		cancel()
	}
	giveUp()
	if closed := server.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) && err == nil {
		err = fmt.Errorf("input %q: close: %w", l.config.label, closed)
	}
	l.flights.end()
	return err
}

// server is bounded in time and size at every step: handshake and headers, body, answer, silence between requests. It speaks HTTP/1 only.
func (l *listener) server(requests context.Context, handler http.Handler) *http.Server {
	s := &http.Server{
		Handler: l.counted(handler), ReadHeaderTimeout: l.headerTimeout, ReadTimeout: l.config.timeout, WriteTimeout: 3 * l.config.timeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return requests }, Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
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
