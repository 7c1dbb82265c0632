package inputs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	handshakeTimeout = 10 * time.Second
	// handshakeGrace is what handshakes get on a reload: a connection can be handed over only after its handshake.
	handshakeGrace = 2 * time.Second
	smallBuffer    = 4 << 10
	largeBuffer    = 64 << 10
	buffersInAll   = 4 << 20 // beyond, buffers of new connections stay small
)

// syslogConn is one connection.
type syslogConn struct {
	net.Conn
	input   *Syslog
	address syslogAddress
	peer    netip.Addr
	source  *Source
	framer  framer
	buf     []byte // what was read and not submitted
	offset  int64
	sender  *senderCount
	known   int64 // resynchronizations that are counted

	mu          sync.Mutex
	handshaking bool
	stopping    bool
}

// streams accepts connections; ready runs until ctx ends.
func (s *Syslog) streams(ctx, submit context.Context, a syslogAddress, sink Sink) (ready func() error, err error) {
	l, err := s.sockets.Listen(ctx, a.network(), a.address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.addresses = append(s.addresses, l.Addr())
	s.mu.Unlock()
	return func() error {
		var running sync.WaitGroup
		defer running.Wait()
		closed := make(chan error, 1)
		stop := context.AfterFunc(ctx, func() { closed <- l.Close() })
		for _, kept := range s.sockets.TakeConns(a.String()) {
			if c := s.takeOver(kept, a); c != nil {
				running.Go(func() { c.serve(ctx, submit, sink) })
			}
		}
		for troubled := false; ; {
			conn, err := l.Accept()
			if err == nil {
				troubled = false
				if c := s.admit(conn, a); c != nil {
					running.Go(func() { c.serve(ctx, submit, sink) })
				}
				continue
			}
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				break
			}
			// Too many open files, or a connection that was gone before it was taken: the next may do.
			if !troubled {
				s.log.Warn("connection cannot be accepted", "address", a.String(), "error", err)
			}
			troubled = true
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		if stop() {
			return errors.Join(fmt.Errorf("accept on %s: the socket was closed", a), l.Close())
		}
		return <-closed
	}, nil
}

// admit decides about a new connection.
func (s *Syslog) admit(conn net.Conn, a syslogAddress) *syslogConn {
	c := &syslogConn{Conn: conn, input: s, address: a, framer: framer{mode: s.config.framing, limit: s.config.maxLine}}
	port := 0
	if t, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		at := t.AddrPort()
		c.peer, port = at.Addr().Unmap(), int(at.Port())
	}
	counts := &s.counts.transport[a.transport]
	refuse := func(r connRefusal) *syslogConn {
		counts.refused[r].Add(1)
		_ = conn.Close() // there is nobody to tell
		return nil
	}
	if !s.allowed(c.peer) {
		return refuse(refusedNotAllowed)
	}
	s.mu.Lock()
	full, fullAddress := len(s.conns) >= s.config.maxConnections, c.peer.IsValid() && s.perAddress[holder64(c.peer)] >= s.config.maxPerAddress
	if !full && !fullAddress {
		s.enter(c)
	}
	s.mu.Unlock()
	switch {
	case full:
		return refuse(refusedLimit)
	case fullAddress:
		return refuse(refusedAddress)
	}
	counts.connections.Add(1)
	c.source = s.sourceOf(c.peer)
	c.source.SenderPort = port
	c.offset = 1
	if a.transport == overTLS {
		c.Conn, c.handshaking = s.config.tls.server(conn), true
	}
	return c
}

// streamState is what a connection takes along to the next generation.
type streamState struct {
	framer     framer
	buf        []byte
	peer       netip.Addr
	port       int
	senderName string
	offset     int64
}

// takeOver goes on with a connection of an earlier generation, by the config of this one.
func (s *Syslog) takeOver(kept KeptConn, a syslogAddress) *syslogConn {
	state, ok := kept.State.(streamState)
	if !ok || !s.allowed(state.peer) || kept.SetDeadline(time.Time{}) != nil {
		_ = kept.Close()
		return nil
	}
	c := &syslogConn{Conn: kept.Conn, input: s, address: a, peer: state.peer, framer: state.framer, buf: state.buf, offset: state.offset}
	c.framer.limit, c.framer.resync = s.config.maxLine, 0
	if s.config.framing != framingAuto {
		c.framer.mode = s.config.framing
	}
	c.source = s.sourceOf(c.peer)
	c.source.SenderPort, c.source.SenderName = state.port, state.senderName
	s.mu.Lock()
	s.enter(c)
	s.mu.Unlock()
	return c
}

// enter and leave keep the books of open connections; s.mu is held.
func (s *Syslog) enter(c *syslogConn) {
	s.conns[c] = struct{}{}
	s.counts.transport[c.address.transport].open.Add(1)
	if c.peer.IsValid() {
		s.perAddress[holder64(c.peer)]++
	}
}

func (s *Syslog) leave(c *syslogConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.counts.transport[c.address.transport].open.Add(-1)
	if s.perAddress[holder64(c.peer)]--; s.perAddress[holder64(c.peer)] <= 0 {
		delete(s.perAddress, holder64(c.peer))
	}
}

// serve reads the connection until it or ctx ends. Where ctx ended it is kept for the next generation with what is not submitted.
func (c *syslogConn) serve(ctx, submit context.Context, sink Sink) {
	defer c.input.leave(c)
	counts := &c.input.counts.transport[c.address.transport]
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { c.wake(); close(woken) })
	defer stop()
	if t, ok := c.Conn.(*tls.Conn); ok && c.handshaking {
		if err := c.handshake(t); err != nil {
			counts.refused[refusedHandshake].Add(1)
			c.input.log.Debug("TLS handshake failed", "sender", c.source.SenderIP, "error", err)
			_ = c.Close()
			return
		}
		c.source.SenderName = peerName(t.ConnectionState())
	}
	c.sender = c.input.counts.senders.of(c.name())
	if c.read(ctx, submit, sink) {
		if !stop() {
			<-woken // or its deadline would end the connection in the hands of the next generation
		}
		c.input.sockets.KeepConn(c.address.String(), KeptConn{Conn: c.Conn, State: streamState{framer: c.framer, buf: c.buf, peer: c.peer,
			port: c.source.SenderPort, senderName: c.source.SenderName, offset: c.offset}})
		return
	}
	_ = c.Close()
}

func (c *syslogConn) name() string {
	if c.source.SenderIP == "" {
		return "local"
	}
	return c.source.SenderIP
}

// wake ends the read that is under way. A handshake gets a little longer: what comes of it can be handed over.
func (c *syslogConn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	at := time.Unix(1, 0)
	if c.handshaking {
		at = time.Now().Add(handshakeGrace)
	}
	_ = c.SetReadDeadline(at) // fails on a closed connection only
}

func (c *syslogConn) handshake(t *tls.Conn) error {
	c.mu.Lock()
	if !c.stopping {
		_ = c.SetDeadline(time.Now().Add(handshakeTimeout))
	}
	c.mu.Unlock()
	err := t.Handshake()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handshaking = false
	if err != nil {
		return err
	}
	if c.stopping {
		return c.SetReadDeadline(time.Unix(1, 0))
	}
	return c.SetDeadline(time.Time{})
}

// read submits what comes until the connection ends (false) or ctx does (true: keep it).
func (c *syslogConn) read(ctx, submit context.Context, sink Sink) (keep bool) {
	counts := &c.input.counts.transport[c.address.transport]
	buf := append(make([]byte, 0, max(smallBuffer, len(c.buf))), c.buf...)
	c.buf = nil
	var spans []span
	var deadline time.Time
	for first := true; ; first = false {
		if ctx.Err() != nil {
			c.buf = buf
			return true
		}
		buf = c.room(buf)
		var n int
		var err error
		if !first || len(buf) == 0 { // what an earlier generation has left is looked at first
			if c.input.config.idle > 0 {
				deadline = c.extend(ctx, deadline)
			}
			n, err = c.Read(buf[len(buf):cap(buf)])
			if buf = buf[:len(buf)+n]; len(buf) == cap(buf) {
				buf = c.widen(buf)
			}
		}
		before := c.framer
		var used int
		spans, used = c.framer.frames(buf, spans[:0])
		ended := err != nil && !isTimeout(err)
		if ended {
			spans = c.framer.lastOf(buf, used, spans)
		}
		if !c.submit(submit, sink, buf, spans, counts) {
			c.framer, c.buf = before, buf
			return ctx.Err() != nil
		}
		switch {
		case ended:
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				counts.broken.Add(1)
			}
			return false
		case err != nil && ctx.Err() == nil:
			counts.idle.Add(1)
			// What came before the silence is a message, if not a whole one.
			c.submit(submit, sink, buf, c.framer.lastOf(buf, used, nil), counts)
			return false
		}
		buf = buf[:copy(buf, buf[used:])]
		if cap(buf) > largeBuffer && len(buf) < smallBuffer { // a long message is over
			buf = append(make([]byte, 0, smallBuffer), buf...)
		}
	}
}

// extend moves the deadline on, at most once a second.
func (c *syslogConn) extend(ctx context.Context, deadline time.Time) time.Time {
	now := time.Now()
	idle := c.input.config.idle
	slack := min(idle/8, time.Second)
	if deadline.Sub(now) > idle-slack {
		return deadline
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping || ctx.Err() != nil {
		return deadline
	}
	deadline = now.Add(idle)
	_ = c.SetReadDeadline(deadline) // fails on a closed connection only
	return deadline
}

// room makes place for the next read: a message may be as long as the limit, with its count before it.
func (c *syslogConn) room(buf []byte) []byte {
	const least = smallBuffer / 4
	if cap(buf)-len(buf) >= least {
		return buf
	}
	size := min(2*cap(buf), c.framer.limit+maxCount+2+smallBuffer)
	return append(make([]byte, 0, max(size, len(buf)+least)), buf...)
}

// widen doubles a buffer that a read has filled, where few connections are open, so that busy ones take more messages at once.
func (c *syslogConn) widen(buf []byte) []byte {
	c.input.mu.Lock()
	share := buffersInAll / max(1, len(c.input.conns))
	c.input.mu.Unlock()
	if 2*cap(buf) > min(share, largeBuffer) {
		return buf
	}
	return append(make([]byte, 0, 2*cap(buf)), buf...)
}

// submit hands the messages over as one batch: one text, of which they are parts. False says that the log did not take them.
func (c *syslogConn) submit(ctx context.Context, sink Sink, buf []byte, spans []span, counts *transportCounts) bool {
	if n := c.framer.resync; n != c.known {
		counts.resync.Add(n - c.known)
		c.known = n
	}
	if len(spans) == 0 {
		return true
	}
	start, end := spans[0].start, spans[len(spans)-1].end
	text := string(buf[start:end])
	b := NewBatch()
	b.Source, b.Received, b.Size = c.source, time.Now(), len(text)
	cut, size := 0, 0
	for _, s := range spans {
		b.Lines = append(b.Lines, Line{Text: text[s.start-start : s.end-start], Offset: c.offset + int64(s.start-start), Truncated: s.cut})
		size += s.end - s.start
		if s.cut {
			cut++
		}
	}
	if _, err := sink.Submit(ctx, b); err != nil {
		return false
	}
	c.offset += int64(end - start)
	counts.messages.Add(int64(len(spans)))
	counts.bytes.Add(int64(size))
	counts.cut.Add(int64(cut))
	c.sender.messages.Add(int64(len(spans)))
	c.sender.bytes.Add(int64(size))
	return true
}

// lastOf adds what is left behind used when the connection has ended.
func (f *framer) lastOf(buf []byte, used int, spans []span) []span {
	n := len(spans)
	spans = f.last(buf[used:], spans)
	for i := n; i < len(spans); i++ {
		spans[i].start += used
		spans[i].end += used
	}
	return spans
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
