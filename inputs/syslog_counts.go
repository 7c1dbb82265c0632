package inputs

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// senderCount is what one sender has brought.
type senderCount struct{ messages, bytes atomic.Int64 }

// maxSenders is how many senders one senderCounts tells apart; the rest are "other".
const maxSenders = 100

// senderCounts counts by the socket's address, within bounds.
type senderCounts struct {
	mu    sync.Mutex
	by    map[string]*senderCount
	other senderCount
}

// of returns the count of a sender; who asks keeps it.
func (s *senderCounts) of(address string) *senderCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.by[address]; c != nil {
		return c
	}
	if len(s.by) >= maxSenders {
		return &s.other
	}
	if s.by == nil {
		s.by = map[string]*senderCount{}
	}
	c := new(senderCount)
	s.by[address] = c
	return c
}

// appendSenders appends the figures of each sender, the sum of what all have counted of it.
func appendSenders(out []Figure, all ...*senderCounts) []Figure {
	type sum struct{ messages, bytes int64 }
	sums := map[string]sum{}
	add := func(sender string, c *senderCount) {
		was := sums[sender]
		sums[sender] = sum{was.messages + c.messages.Load(), was.bytes + c.bytes.Load()}
	}
	for _, s := range all {
		s.mu.Lock()
		for address, c := range s.by {
			add(address, c)
		}
		add("other", &s.other)
		s.mu.Unlock()
	}
	const of = " by the sender's address; the first 100 senders over connections and the first 100 of datagrams, then \"other\"."
	for sender, n := range sums {
		labels := []Label{{"sender", sender}}
		out = append(out, Figure{Name: "syslog_sender_messages_total", Help: "Messages" + of, Labels: labels, Value: float64(n.messages)},
			Figure{Name: "syslog_sender_bytes_total", Help: "Bytes of messages" + of, Labels: labels, Value: float64(n.bytes)})
	}
	return out
}

// transport is how messages come.
type transport uint8

const (
	overUDP transport = iota
	overTCP
	overTLS
	overUnix
	overUnixgram
	transports
)

var transportNames = [transports]string{"udp", "tcp", "tls", "unix", "unixgram"}

// connRefusal is why a connection was not taken.
type connRefusal uint8

const (
	refusedLimit connRefusal = iota
	refusedAddress
	refusedNotAllowed
	refusedHandshake
	connRefusals
)

var connRefusalNames = [connRefusals]string{"limit", "limit-per-address", "not-allowed", "handshake"}

// transportCounts are the figures of one transport.
type transportCounts struct {
	used                              bool
	messages, bytes, cut, resync      atomic.Int64
	connections, open, idle, broken   atomic.Int64
	refused                           [connRefusals]atomic.Int64
	datagrams, queueDrops, notAllowed atomic.Int64
	kernel, buffer                    atomic.Int64
}

// syslogCounts are the figures of an input.
type syslogCounts struct {
	transport [transports]transportCounts
	senders   senderCounts // of connections
	claimed   senderCounts // of datagrams, apart: made-up addresses cannot fill the places of the others
}

// Figures tells what came and what became of it.
func (s *Syslog) Figures() []Figure {
	var out []Figure
	for t := range s.counts.transport {
		c := &s.counts.transport[t]
		if !c.used {
			continue
		}
		add := func(name, help string, v *atomic.Int64, more ...Label) {
			out = append(out, Figure{Name: "syslog_" + name, Help: help, Labels: append([]Label{{"transport", transportNames[t]}}, more...), Value: float64(v.Load())})
		}
		add("messages_total", "Messages submitted.", &c.messages)
		add("bytes_total", "Bytes of messages submitted.", &c.bytes)
		add("cut_total", "Messages over max_message, or ended in the middle of a counted one; they are tagged line-truncated.", &c.cut)
		if t == int(overUDP) || t == int(overUnixgram) {
			const dropped = "Messages dropped, by reason: queue (the log did not take them in time), not-allowed (by `allow`)."
			add("received_total", "Datagrams read from the socket.", &c.datagrams)
			add("dropped_total", dropped, &c.queueDrops, Label{"reason", "queue"})
			add("dropped_total", dropped, &c.notAllowed, Label{"reason", "not-allowed"})
			add("kernel_drops_total", "Datagrams that the kernel dropped because the socket's buffer was full.", &c.kernel)
			add("receive_buffer_bytes", "Receive buffer that the kernel gave.", &c.buffer)
			continue
		}
		add("connections_total", "Connections taken.", &c.connections)
		add("connections", "Connections open now.", &c.open)
		add("connections_idle_closed_total", "Connections closed because they were silent for idle_timeout.", &c.idle)
		add("connections_failed_total", "Connections that ended with an error of the network.", &c.broken)
		add("resynchronized_total", "Octet counts that were wrong; reading went on at the next newline.", &c.resync)
		for r := range c.refused {
			add("connections_refused_total", "Connections refused, by reason.", &c.refused[r], Label{"reason", connRefusalNames[r]})
		}
	}
	out = appendSenders(out, &s.counts.senders, &s.counts.claimed)
	slices.SortStableFunc(out, func(a, b Figure) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// addressText is how an address is written everywhere: IPv4 as such, no zone.
func addressText(a netip.Addr) string { return a.Unmap().WithZone("").String() }
