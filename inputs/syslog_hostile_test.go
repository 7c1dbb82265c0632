package inputs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Senders are compared with allow as what they are: IPv4 however either is written, IPv6 without its zone.
func TestSyslogAllow(t *testing.T) {
	in, err := newSyslogInput(t, two+"\nallow = [\"192.0.2.0/24\", \"::ffff:198.51.100.0/120\", \"::ffff:203.0.113.9\", \"2001:db8::/32\", \"fe80::/10\"]", Env{Once: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"192.0.2.1", "::ffff:192.0.2.1", "198.51.100.7", "::ffff:198.51.100.7", "203.0.113.9", "2001:db8::1", "fe80::1", "fe80::1%eth0"} {
		if !in.allowed(netip.MustParseAddr(a)) {
			t.Errorf("%s is not allowed", a)
		}
	}
	for _, a := range []string{"192.0.3.1", "203.0.113.10", "::ffff:203.0.113.10", "2001:db9::1", "::192.0.2.1"} {
		if in.allowed(netip.MustParseAddr(a)) {
			t.Errorf("%s is allowed", a)
		}
	}
}

// Addresses that somebody makes up take no more memory than the queue has, and no place in the figures from senders over connections.
func TestSyslogMadeUpSenders(t *testing.T) {
	in, err := newSyslogInput(t, two, Env{Once: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &packetReader{input: in, sources: map[netip.Addr]*packetSource{}, queue: packetQueue{limit: 64 << 10, wake: make(chan struct{}, 1)}}
	taken := 0
	for n := range 3 * maxPacketSources {
		if r.queue.add(r.source(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})), []byte("x"), false) {
			taken++
		}
	}
	if most := 64 << 10 / sourceOverhead; taken == 0 || taken > most || len(r.sources) > maxPacketSources {
		t.Errorf("%d waiting, at most %d; %d senders known", taken, most, len(r.sources))
	}
	in.counts.senders.of("192.0.2.1").messages.Add(1)
	made, known := 0, false
	for _, f := range in.Figures() {
		if f.Name == "syslog_sender_messages_total" {
			made++
			known = known || fmt.Sprint(f.Labels) == "[{sender 192.0.2.1}]"
		}
	}
	if !known || made != maxSenders+2 {
		t.Errorf("%v, %d senders", known, made)
	}
	// Who is known takes the text's room only.
	r.queue.take(nil, nil)
	src := r.source(netip.MustParseAddr("192.0.2.1"))
	for range 1000 {
		if !r.queue.add(src, []byte(strings.Repeat("x", 20)), false) {
			t.Fatal("full")
		}
	}
}
