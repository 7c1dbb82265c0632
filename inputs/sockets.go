package inputs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Sockets keeps listeners and connections open between two generations of inputs: on a reload the old input lets go of them, the new
// one takes them, and what arrives in between waits in the kernel. It is safe for concurrent use.
//
//	Reserve (by the new input, while it is made: opened where it is not there yet)
//	   -> Listen -> in use -> Close (by the input: kept) -> Reserve, Listen (by the next) -> in use
//	                                                     -> Sweep (nobody wants it any more): closed
//	KeepConn (by the input, with what was read and is no whole message) -> TakeConns (by the next), or Sweep: closed
type Sockets struct {
	mu       sync.Mutex
	kept     map[string]keptSocket // by network and address
	used     map[string]bool
	reserved map[string]bool
	conns    map[string][]KeptConn // by what the input calls its listener
}

// KeptConn is a connection on its way from one generation to the next.
type KeptConn struct {
	net.Conn
	State any // the input's own: what was read and not submitted
}

// keptSocket is what listeners have in common.
type keptSocket interface {
	Close() error
	SetDeadline(time.Time) error
}

// NewSockets returns an empty set.
func NewSockets() *Sockets {
	return &Sockets{kept: map[string]keptSocket{}, used: map[string]bool{}, reserved: map[string]bool{}, conns: map[string][]KeptConn{}}
}

// ErrInUse says that another input has the address.
var ErrInUse = errors.New("another input listens there")

// Reserve opens a socket where it is not open yet and keeps it for the next Listen or ListenPacket, also over a Sweep. An input that is being
// made calls it, so that an address that cannot be had is known before the old generation's sockets are closed.
func (s *Sockets) Reserve(ctx context.Context, network, address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := network + "://" + address
	if s.kept[key] == nil && !s.used[key] {
		socket, err := openSocket(ctx, network, address)
		if err == nil {
			err = socket.SetDeadline(time.Unix(1, 0))
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w", key, err)
		}
		s.kept[key] = socket
	}
	s.reserved[key] = true
	return nil
}

// has says that a generation has left the socket.
func (s *Sockets) has(network, address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[network+"://"+address] != nil
}

// Abandon gives up what was reserved by inputs that will not run: the next Sweep closes it, unless it is reserved again.
func (s *Sockets) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.reserved)
}

// openSocket opens a socket of the network: "tcp", "udp", "unix", "unixgram".
func openSocket(ctx context.Context, network, address string) (keptSocket, error) {
	config := new(net.ListenConfig)
	switch network {
	case "udp", "unixgram":
		p, err := config.ListenPacket(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if u, ok := p.(*net.UnixConn); ok {
			return unixPacket{u, address}, nil
		}
		return p.(*net.UDPConn), nil
	}
	l, err := config.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		return u, nil
	}
	return l.(*net.TCPListener), nil
}

// unixPacket takes its file away with it, as listeners of streams do.
type unixPacket struct {
	*net.UnixConn
	path string
}

func (u unixPacket) Close() error { return errors.Join(u.UnixConn.Close(), os.Remove(u.path)) }

// Listen returns a listener of a stream network ("tcp", "unix"). Its Close keeps the socket for the next Listen.
func (s *Sockets) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	key := network + "://" + address
	socket, err := s.take(key, func() (keptSocket, error) { return openSocket(ctx, network, address) })
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", key, err)
	}
	return &heldListener{Listener: socket.(net.Listener), holder: holder{sockets: s, key: key, socket: socket}}, nil
}

// ListenPacket returns a socket of a datagram network ("udp", "unixgram"). Its Close keeps the socket for the next ListenPacket, and wakes
// whoever reads from it with a timeout.
func (s *Sockets) ListenPacket(ctx context.Context, network, address string) (*HeldPacket, error) {
	key := network + "://" + address
	socket, err := s.take(key, func() (keptSocket, error) { return openSocket(ctx, network, address) })
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", key, err)
	}
	p := &HeldPacket{holder: holder{sockets: s, key: key, socket: socket}}
	switch c := socket.(type) {
	case *net.UDPConn:
		p.UDP = c
	case unixPacket:
		p.Unix = c.UnixConn
	}
	return p, nil
}

// HeldPacket is a datagram socket whose Close keeps it. One of UDP and Unix is set.
type HeldPacket struct {
	UDP  *net.UDPConn
	Unix *net.UnixConn
	holder
}

// Close keeps the socket.
func (p *HeldPacket) Close() error { return p.giveBack() }

// KeepConn keeps a connection for the next TakeConns of the same key.
func (s *Sockets) KeepConn(key string, c KeptConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[key] = append(s.conns[key], c)
}

// ReserveConns keeps the connections of a key over the next Sweep.
func (s *Sockets) ReserveConns(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved[key] = true
}

// TakeConns hands out the connections that were kept under the key. Their deadlines are the caller's matter.
func (s *Sockets) TakeConns(key string) []KeptConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := s.conns[key]
	delete(s.conns, key)
	return conns
}

// take hands out the socket of that key, kept or new.
func (s *Sockets) take(key string, open func() (keptSocket, error)) (keptSocket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[key] {
		return nil, ErrInUse
	}
	socket := s.kept[key]
	if socket == nil {
		var err error
		if socket, err = open(); err != nil {
			return nil, err
		}
	} else if err := socket.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("take over the socket: %w", err)
	}
	delete(s.kept, key)
	delete(s.reserved, key)
	s.used[key] = true
	return socket, nil
}

// keep takes a socket back. Whoever waits on it wakes up with a timeout.
func (s *Sockets) keep(key string, socket keptSocket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used, key)
	if err := socket.SetDeadline(time.Unix(1, 0)); err != nil {
		return errors.Join(err, socket.Close())
	}
	s.kept[key] = socket
	return nil
}

// Sweep closes what nobody has taken again or reserved.
func (s *Sockets) Sweep() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, socket := range s.kept {
		if !s.reserved[key] {
			err = errors.Join(err, socket.Close())
			delete(s.kept, key)
		}
	}
	for key, conns := range s.conns {
		if s.reserved[key] {
			continue
		}
		for _, c := range conns {
			if cerr := c.Close(); !errors.Is(cerr, net.ErrClosed) {
				err = errors.Join(err, cerr)
			}
		}
		delete(s.conns, key)
	}
	clear(s.reserved)
	return err
}

// holder gives a socket back once.
type holder struct {
	sockets *Sockets
	key     string
	socket  keptSocket
	once    sync.Once
}

func (h *holder) giveBack() (err error) {
	h.once.Do(func() { err = h.sockets.keep(h.key, h.socket) })
	return err
}

// heldListener is a listener whose Close keeps the socket.
type heldListener struct {
	net.Listener
	holder
}

func (l *heldListener) Close() error { return l.giveBack() }

// Accept says net.ErrClosed after Close, as any listener does.
func (l *heldListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil, net.ErrClosed
	}
	return c, err
}
