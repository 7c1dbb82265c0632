package inputs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	wanted   map[string]bool       // keys of conns that are kept over the next Sweep
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
	return &Sockets{kept: map[string]keptSocket{}, used: map[string]bool{}, reserved: map[string]bool{}, conns: map[string][]KeptConn{}, wanted: map[string]bool{}}
}

// ErrInUse says that another input has the address.
var ErrInUse = errors.New("another input listens there")

// Reserve opens a socket where it is not open yet and keeps it for the next Listen or ListenPacket, also over a Sweep. An input that is being
// made calls it, so that an address that cannot be had is known before the agent says that it has started, and before the old generation's
// sockets are closed. mode is that of a Unix socket's file.
func (s *Sockets) Reserve(ctx context.Context, network, address string, mode os.FileMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := network + "://" + address
	if s.reserved[key] || s.used[key] {
		return fmt.Errorf("listen on %s: %w", key, ErrInUse)
	}
	if s.kept[key] == nil {
		socket, err := openSocket(ctx, network, address, mode)
		if errors.Is(err, syscall.EADDRINUSE) && s.makeWay(network, address) {
			socket, err = openSocket(ctx, network, address, mode)
		}
		if err == nil {
			err = socket.SetDeadline(time.Unix(1, 0))
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w%s", key, err, remedyOf(err, address))
		}
		s.kept[key] = socket
	}
	if err := setMode(network, address, mode); err != nil {
		return fmt.Errorf("set mode of %s: %w", key, err)
	}
	s.reserved[key] = true
	return nil
}

// makeWay closes what an earlier generation has left on the same port: a listener that moves from 127.0.0.1 to all addresses is in its
// own way. Where the new generation cannot start, the old one opens it again.
func (s *Sockets) makeWay(network, address string) (some bool) {
	_, port, err := net.SplitHostPort(address)
	if err != nil || strings.HasPrefix(network, "unix") {
		return false
	}
	for key, socket := range s.kept {
		if strings.HasPrefix(key, network+"://") && strings.HasSuffix(key, ":"+port) && !s.reserved[key] {
			delete(s.kept, key)
			some = socket.Close() == nil || some
		}
	}
	return some
}

// remedyOf is what helps where a socket cannot be opened.
func remedyOf(err error, address string) string {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && port != "":
		return "; another program has the port: `ss -lnptu sport = :" + port + "` names it. Stop it, or choose another port"
	case errors.Is(err, syscall.EADDRINUSE):
		return "; another program answers there: stop it, or choose another path"
	case errors.Is(err, fs.ErrPermission) && port != "":
		return "; ports below 1024 need CAP_NET_BIND_SERVICE (in a systemd unit, AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose a port above"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return "; the folder has to be there, and the user that runs gatebook has to be allowed to write in it"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "; no interface of this machine has that address"
	}
	return ""
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
	clear(s.wanted)
}

// openSocket opens a socket of the network: "tcp", "udp", "unix", "unixgram".
func openSocket(ctx context.Context, network, address string, mode os.FileMode) (keptSocket, error) {
	config := new(net.ListenConfig)
	if strings.HasPrefix(network, "unix") {
		config.Control = narrow(mode)
	}
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

// ownerOnly is the mode of a Unix socket that nobody has reserved.
const ownerOnly = 0o600

// narrow gives a Unix socket its mode before it has a file: bind takes it over, less the umask. Set only afterwards, it would be open to
// others for a moment.
func narrow(mode os.FileMode) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		controlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(mode.Perm())) })
		return errors.Join(controlErr, err)
	}
}

// setMode adds what the umask has taken. It follows no link that somebody has put in the socket's place.
func setMode(network, path string, mode os.FileMode) error {
	if !strings.HasPrefix(network, "unix") {
		return nil
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var about unix.Stat_t
	if err := unix.Fstat(fd, &about); err != nil {
		return err
	}
	if about.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("there is something else in its place")
	}
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode.Perm())
}

// Listen returns a listener of a stream network ("tcp", "unix"). Its Close keeps the socket for the next Listen.
func (s *Sockets) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	key := network + "://" + address
	socket, err := s.take(key, func() (keptSocket, error) { return openSocket(ctx, network, address, ownerOnly) })
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", key, err)
	}
	return &heldListener{Listener: socket.(net.Listener), holder: holder{sockets: s, key: key, socket: socket}}, nil
}

// ListenPacket returns a socket of a datagram network ("udp", "unixgram"). Its Close keeps the socket for the next ListenPacket, and wakes
// whoever reads from it with a timeout.
func (s *Sockets) ListenPacket(ctx context.Context, network, address string) (*HeldPacket, error) {
	key := network + "://" + address
	socket, err := s.take(key, func() (keptSocket, error) { return openSocket(ctx, network, address, ownerOnly) })
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
	s.wanted[key] = true
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
		if s.wanted[key] {
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
	clear(s.wanted)
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
