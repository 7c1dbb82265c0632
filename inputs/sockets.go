package inputs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Sockets keeps listeners open between two generations of inputs: on a reload the old input lets go of its listener, the new one
// takes it, and what arrives in between waits in the kernel. It is safe for concurrent use.
//
//	Listen -> in use -> Close (by the input: kept) -> Listen (by the next) -> in use
//	                                               -> Sweep (nobody wants it any more): closed
type Sockets struct {
	mu   sync.Mutex
	kept map[string]keptSocket // by network and address
	used map[string]bool
}

// keptSocket is what listeners have in common.
type keptSocket interface {
	Close() error
	SetDeadline(time.Time) error
}

// NewSockets returns an empty set.
func NewSockets() *Sockets {
	return &Sockets{kept: map[string]keptSocket{}, used: map[string]bool{}}
}

// ErrInUse says that another input has the address.
var ErrInUse = errors.New("another input listens there")

// Listen returns a listener of a stream network ("tcp", "unix"). Its Close keeps the socket for the next Listen.
func (s *Sockets) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	key := network + "://" + address
	socket, err := s.take(key, func() (keptSocket, error) {
		l, err := new(net.ListenConfig).Listen(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if u, ok := l.(*net.UnixListener); ok {
			return u, nil
		}
		return l.(*net.TCPListener), nil
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", key, err)
	}
	return &heldListener{Listener: socket.(net.Listener), holder: holder{sockets: s, key: key, socket: socket}}, nil
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

// Sweep closes what nobody has taken again.
func (s *Sockets) Sweep() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, socket := range s.kept {
		err = errors.Join(err, socket.Close())
		delete(s.kept, key)
	}
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
