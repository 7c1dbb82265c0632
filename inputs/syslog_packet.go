package inputs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// packetBatch is when a sender's datagrams become the next batch.
	packetBatch = 64 << 10
	// maxPacketSources is how many senders' sources are kept; then they are made anew.
	maxPacketSources = 4096
	// maxReadFailures is after how many errors in a row a socket is taken for broken.
	maxReadFailures = 100
	// packetOverhead is what a waiting datagram takes beside its text.
	packetOverhead = 32
	// sourceOverhead is what a sender takes that has not been seen lately: anybody can make up senders.
	sourceOverhead = 768
)

// packetSource is a sender of datagrams. batch is the submitter's.
type packetSource struct {
	Source
	sender *senderCount
	seen   bool // its memory has been counted; the reader's
	batch  *Batch
}

// packet is one datagram in a queue's text.
type packet struct {
	source     *packetSource
	start, end int
	cut        bool
}

// packetQueue is what has been read from a socket and not been submitted.
type packetQueue struct {
	limit int // bytes
	wake  chan struct{}

	mu      sync.Mutex
	text    []byte
	packets []packet
	sources int // of the packets, that were new
}

// add never waits; false says that the queue is full.
func (q *packetQueue) add(src *packetSource, text []byte, cut bool) bool {
	q.mu.Lock()
	fresh := 0
	if !src.seen {
		fresh = 1
	}
	if len(q.text)+len(text)+packetOverhead*(len(q.packets)+1)+sourceOverhead*(q.sources+fresh) > q.limit {
		q.mu.Unlock()
		return false
	}
	src.seen = true
	q.sources += fresh
	start := len(q.text)
	q.text = append(q.text, text...)
	q.packets = append(q.packets, packet{src, start, len(q.text), cut})
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns all that waits, and gives the queue the memory of the last time back.
func (q *packetQueue) take(text []byte, packets []packet) ([]byte, []packet) {
	if cap(text) > 1<<20 && len(text) < cap(text)/4 {
		text, packets = nil, nil // of an overload that is over
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	outText, outPackets := q.text, q.packets
	q.sources = 0
	q.text, q.packets = text[:0], packets[:0]
	return outText, outPackets
}

// packets reads datagrams; ready runs until ctx ends.
func (s *Syslog) packets(ctx, submit context.Context, a syslogAddress, sink Sink) (ready func() error, err error) {
	socket, err := s.sockets.ListenPacket(ctx, a.network(), a.address)
	if err != nil {
		return nil, err
	}
	r := &packetReader{input: s, address: a, counts: &s.counts.transport[a.transport], udp: socket.UDP, unix: socket.Unix,
		sources: map[netip.Addr]*packetSource{}, queue: packetQueue{limit: s.config.queue, wake: make(chan struct{}, 1)}}
	local := r.setUp()
	s.mu.Lock()
	s.addresses = append(s.addresses, local)
	s.mu.Unlock()
	return func() error {
		closed := make(chan error, 1)
		stop := context.AfterFunc(ctx, func() { closed <- socket.Close() })
		var submitting sync.WaitGroup
		done := make(chan struct{})
		submitting.Go(func() { r.submit(submit, sink, done) })
		err := r.read(ctx)
		close(done)
		submitting.Wait()
		if stop() {
			return errors.Join(fmt.Errorf("read from %s: %w", a, err), socket.Close())
		}
		return <-closed
	}, nil
}

// packetReader reads one socket.
type packetReader struct {
	input   *Syslog
	address syslogAddress
	counts  *transportCounts
	udp     *net.UDPConn
	unix    *net.UnixConn
	sources map[netip.Addr]*packetSource
	queue   packetQueue
	dropped uint32 // by the kernel, as it last said
}

// setUp asks for the receive buffer and for the kernel's count of drops, and says what it got.
func (r *packetReader) setUp() net.Addr {
	var raw syscall.RawConn
	var local net.Addr
	var err error
	if r.udp != nil {
		raw, err = r.udp.SyscallConn()
		local = r.udp.LocalAddr()
	} else {
		raw, err = r.unix.SyscallConn()
		local = r.unix.LocalAddr()
	}
	want, got := r.input.config.receiveBuffer, 0
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) {
			// With CAP_NET_ADMIN the limit of net.core.rmem_max does not count.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want) != nil {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, want)
			}
			if r.udp != nil {
				err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1))
			}
			n, getErr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
			got, err = n/2, errors.Join(err, getErr) // the kernel counts its own overhead in, twice the size
		})
		err = errors.Join(controlErr, err)
	}
	r.counts.buffer.Store(int64(got))
	log := r.input.log.With("address", r.address.String(), "wanted", want, "got", got)
	switch {
	case err != nil:
		log.Warn("receive buffer cannot be set", "error", err)
	case got < want:
		log.Warn("receive buffer is smaller than wanted: raise net.core.rmem_max, or datagrams are lost in bursts")
	default:
		log.Info("receive buffer")
	}
	return local
}

// read drains the socket until ctx ends. It never waits on the log.
func (r *packetReader) read(ctx context.Context) error {
	scratch := make([]byte, min(r.input.config.maxLine, 1<<16)+1)
	oob := make([]byte, 64)
	for failures := 0; ; {
		n, from, err := r.receive(scratch, oob)
		if err != nil {
			// The kernel may be short of memory for a moment: the next datagram may do.
			if failures++; failures > maxReadFailures || ctx.Err() != nil || errors.Is(err, net.ErrClosed) || isTimeout(err) {
				return err
			}
			continue
		}
		failures = 0
		if !r.input.allowed(from) {
			r.counts.notAllowed.Add(1)
			continue
		}
		text, cut := scratch[:n], false
		if len(text) > r.input.config.maxLine {
			text, cut = text[:r.input.config.maxLine], true
		}
		for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r' || text[len(text)-1] == 0) {
			text = text[:len(text)-1]
		}
		if len(text) > 0 && !r.queue.add(r.source(from), text, cut) {
			r.counts.queueDrops.Add(1)
		}
		r.counts.datagrams.Add(1)
	}
}

func (r *packetReader) receive(buf, oob []byte) (int, netip.Addr, error) {
	if r.unix != nil {
		n, _, err := r.unix.ReadFromUnix(buf)
		return n, netip.Addr{}, err
	}
	n, oobn, _, from, err := r.udp.ReadMsgUDPAddrPort(buf, oob)
	if oobn >= unix.CmsgLen(4) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL {
			total := *(*uint32)(unsafe.Pointer(&oob[unix.CmsgLen(0)]))
			r.counts.kernel.Add(int64(total - r.dropped))
			r.dropped = total
		}
	}
	return n, from.Addr().Unmap(), err
}

func (r *packetReader) source(from netip.Addr) *packetSource {
	if p := r.sources[from]; p != nil {
		return p
	}
	if len(r.sources) >= maxPacketSources {
		clear(r.sources)
	}
	p := &packetSource{Source: *r.input.sourceOf(from)}
	p.sender = r.input.counts.claimed.of(p.Key)
	r.sources[from] = p
	return p
}

// submit hands over what waits until done is closed and nothing waits any more.
func (r *packetReader) submit(ctx context.Context, sink Sink, done <-chan struct{}) {
	var text []byte
	var packets []packet
	for last := false; ; {
		text, packets = r.queue.take(text, packets)
		if len(packets) > 0 {
			r.batches(ctx, sink, string(text), packets)
			continue
		}
		if last {
			return
		}
		select {
		case <-r.queue.wake:
		case <-done:
			last = true
		}
	}
}

// batches submits datagrams sender by sender, each sender's in order.
func (r *packetReader) batches(ctx context.Context, sink Sink, text string, packets []packet) {
	var order []*packetSource
	now := time.Now()
	for _, p := range packets {
		src := p.source
		if src.batch == nil {
			src.batch = NewBatch()
			src.batch.Source, src.batch.Received = &src.Source, now
			order = append(order, src)
		}
		src.batch.Lines = append(src.batch.Lines, Line{Text: text[p.start:p.end], Offset: 1, Truncated: p.cut})
		if src.batch.Size += p.end - p.start; src.batch.Size >= packetBatch {
			r.submitOne(ctx, sink, src)
			src.batch = NewBatch()
			src.batch.Source, src.batch.Received = &src.Source, now
		}
	}
	for _, src := range order {
		r.submitOne(ctx, sink, src)
	}
}

func (r *packetReader) submitOne(ctx context.Context, sink Sink, src *packetSource) {
	b := src.batch
	src.batch = nil
	n, size, cut := int64(len(b.Lines)), int64(b.Size), int64(0)
	if n == 0 {
		b.Release()
		return
	}
	for i := range b.Lines {
		if b.Lines[i].Truncated {
			cut++
		}
	}
	if _, err := sink.Submit(ctx, b); err != nil {
		r.counts.queueDrops.Add(n)
		return
	}
	r.counts.messages.Add(n)
	r.counts.bytes.Add(size)
	r.counts.cut.Add(cut)
	src.sender.messages.Add(n)
	src.sender.bytes.Add(size)
}
