package inputs

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// limitListener lets no more than so many connections be open; others wait in the kernel. Of one address no more than a part of them
// may be open, and further ones are closed at once: nobody can keep the others out by holding all of them.
type limitListener struct {
	net.Listener
	slots   chan struct{}
	done    chan struct{}
	once    sync.Once
	crowded *atomic.Int64

	mu      sync.Mutex
	most    int // of one address
	holders map[netip.Addr]int
}

func newLimitListener(l net.Listener, n, ofOne int, crowded *atomic.Int64) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{}), crowded: crowded, most: ofOne, holders: map[netip.Addr]int{}}
}

// Accept waits for a free place first.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		holder := holderOf(c.RemoteAddr())
		if !l.enter(holder) {
			l.crowded.Add(1)
			_ = c.Close() // there is nobody to tell
			continue
		}
		return &limitedConn{Conn: c, free: sync.OnceFunc(func() {
			l.leave(holder)
			<-l.slots
		})}, nil
	}
}

func (l *limitListener) enter(holder netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders[holder] >= l.most {
		return false
	}
	l.holders[holder]++
	return true
}

func (l *limitListener) leave(holder netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders[holder]--; l.holders[holder] == 0 {
		delete(l.holders, holder)
	}
}

// wait returns when no connection is open any more, or ctx ends. Nobody is in Accept.
func (l *limitListener) wait(ctx context.Context) {
	for range cap(l.slots) {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
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

// holderOf is whom a connection is counted for where there is a limit by address. The zero address is a process of this machine.
func holderOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return holder64(t.AddrPort().Addr())
}

// holder64 is an address as limits count it: of IPv6 the network of 64 bits, since whoever has one address has all of it.
func holder64(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
