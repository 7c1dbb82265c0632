package parsers

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"pgregory.net/rapid"
)

// splitAt reads the header of one line.
func splitAt(t *testing.T, o Options, text, received string) (syslogLine, bool) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, received)
	if err != nil {
		t.Fatal(err)
	}
	var l syslogLine
	ok := newSyslogClock(o).split(text, event.TimeOf(at), &l)
	return l, ok
}

// A time without a year is in the year that brings it nearest to the time of reading.
func TestSyslogTimeTakesTheNearestYear(t *testing.T) {
	f := func(stamp, received, want string, year int) {
		t.Helper()
		l, ok := splitAt(t, Options{Year: year}, stamp+" host sshd[1]: text", received)
		if !ok {
			t.Fatalf("%s: no header", stamp)
		}
		if l.timeText != "" {
			if want != "" {
				t.Errorf("%s read at %s: no such day, want %s", stamp, received, want)
			}
			return
		}
		if got := l.time.Std().Format(time.RFC3339); got != want {
			t.Errorf("%s read at %s: %s, want %s", stamp, received, got, want)
		}
	}
	f("Dec 31 23:59:59", "2027-01-01T00:00:01Z", "2026-12-31T23:59:59Z", 0)
	f("Jan  1 00:00:01", "2026-12-31T23:59:59Z", "2027-01-01T00:00:01Z", 0)
	f("Dec 31 23:59:59", "2026-12-31T23:59:59Z", "2026-12-31T23:59:59Z", 0)
	f("Jan  1 00:00:00", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 0)
	f("Nov 22 12:00:00", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", 0)
	f("Nov 23 12:00:00", "2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z", 0)
	f("Jun 14 15:16:01", "2026-11-22T12:00:00Z", "2026-06-14T15:16:01Z", 0)
	f("May  1 00:00:00", "2026-11-22T12:00:00Z", "2027-05-01T00:00:00Z", 0)
	f("Jun  1 00:00:00", "2026-11-22T12:00:00Z", "2026-06-01T00:00:00Z", 0)
	f("Feb 29 12:00:00", "2028-03-01T00:00:00Z", "2028-02-29T12:00:00Z", 0)
	f("Feb 29 12:00:00", "2028-02-28T00:00:00Z", "2028-02-29T12:00:00Z", 0)
	f("Feb 29 12:00:00", "2026-11-22T12:00:00Z", "2024-02-29T12:00:00Z", 0)
	f("Feb 29 12:00:00", "2100-03-01T00:00:00Z", "2096-02-29T12:00:00Z", 0)
	f("Feb 29 12:00:00", "2026-11-22T12:00:00Z", "2024-02-29T12:00:00Z", 2024)
	f("Feb 29 12:00:00", "2026-11-22T12:00:00Z", "", 2026)
	f("Feb 30 12:00:00", "2026-11-22T12:00:00Z", "", 0)
	f("Nov 31 12:00:00", "2026-11-22T12:00:00Z", "", 0)
	f("Dec 10 06:55:46", "2026-11-22T12:00:00Z", "2015-12-10T06:55:46Z", 2015)
	f("Nov 22 2019 12:00:00", "2026-11-22T12:00:00Z", "2019-11-22T12:00:00Z", 0)
	f("Nov 22 11:59:60", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", 0)
	f("Nov 22 11:59:59.250", "2026-11-22T12:00:00Z", "2026-11-22T11:59:59Z", 0)
}

// An hour that comes twice is the one nearer to the time of reading; one that does not come is read by the clock before it
// was put forward.
func TestSyslogTimeInAZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f := func(stamp, received, want string) {
		t.Helper()
		l, ok := splitAt(t, Options{Location: berlin}, stamp+" host sshd[1]: text", received)
		if got := l.time.Std().Format(time.RFC3339); !ok || got != want {
			t.Errorf("%s read at %s: %s, want %s", stamp, received, got, want)
		}
	}
	f("Nov 22 12:00:00", "2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z")
	f("Jul 22 12:00:00", "2026-07-22T12:00:00Z", "2026-07-22T10:00:00Z")
	f("Jan  1 00:30:00", "2026-12-31T23:30:01Z", "2026-12-31T23:30:00Z")
	f("Oct 25 02:30:00", "2026-10-25T00:30:10Z", "2026-10-25T00:30:00Z")
	f("Oct 25 02:30:00", "2026-10-25T01:30:10Z", "2026-10-25T01:30:00Z")
	f("Mar 29 02:30:00", "2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z")
	f("Mar 29 01:59:59", "2026-03-29T01:00:00Z", "2026-03-29T00:59:59Z")
	f("Mar 29 03:00:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z")
	f("2026-11-22T12:00:00", "2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z")
	f("2026-11-22T12:00:00+05:30", "2026-11-22T12:00:00Z", "2026-11-22T06:30:00Z")
	f("2026-11-22T12:00:00-0800", "2026-11-22T12:00:00Z", "2026-11-22T20:00:00Z")
}

// Whatever was read before, by whichever goroutine, a time is what a clock with an empty cache makes of it.
func TestSyslogClockCacheChangesNothing(t *testing.T) {
	zone, err := time.LoadLocation("Australia/Lord_Howe")
	if err != nil {
		t.Fatal(err)
	}
	shared := newSyslogClock(Options{Location: zone})
	read := func(c *syslogClock, text string, received event.Time) event.Time {
		var l syslogLine
		c.split(text, received, &l)
		return l.time
	}
	rapid.Check(t, func(r *rapid.T) {
		at := time.Unix(rapid.Int64Range(946684800, 4000000000).Draw(r, "time"), 0).In(zone)
		text := at.Format(time.Stamp) + " host sshd[1]: text"
		days := rapid.SliceOfN(rapid.IntRange(-400, 400), 2, 6).Draw(r, "days") // the same line, read again at other times
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for _, d := range days {
					received := event.TimeOf(at.AddDate(0, 0, d))
					got, want := read(shared, text, received), read(newSyslogClock(Options{Location: zone}), text, received)
					if got != want {
						t.Errorf("%s read at %s: %s, with an empty cache %s", text, received, got, want)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestDaysFromCivil(t *testing.T) {
	for day := time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC); day.Year() < 2110; day = day.AddDate(0, 0, 1) {
		y, m, d := day.Date()
		if got, want := daysFromCivil(y, int(m), d), day.Unix()/86400; got != want {
			t.Fatalf("%s: %d, want %d", day.Format(time.DateOnly), got, want)
		}
		if first := day.AddDate(0, 0, 1).Day() == 1; first != (d == daysIn(y, int(m))) {
			t.Fatalf("%s: daysIn %d", day.Format(time.DateOnly), daysIn(y, int(m)))
		}
	}
}

func TestSyslogTags(t *testing.T) {
	f := func(rest, program, module string, pid int64, message string) {
		t.Helper()
		l, ok := splitAt(t, Options{}, "Nov 22 11:00:00 host "+rest, "2026-11-22T12:00:00Z")
		if !ok || l.program != program || l.module != module || l.pid.N != pid || l.message != message {
			t.Errorf("%q: %v %q %q %d %q", rest, ok, l.program, l.module, l.pid.N, l.message)
		}
	}
	f("sshd[12]: text", "sshd", "", 12, "text")
	f("sshd: text", "sshd", "", 0, "text")
	f("sshd(pam_unix)[12]: text", "sshd", "pam_unix", 12, "text")
	f("/usr/sbin/cron[12]: text", "cron", "", 12, "text")
	f("gdm-password][12]: text", "gdm-password", "", 12, "text")
	f("(systemd)[12]: text", "(systemd)", "", 12, "text")
	f("syslogd 1.4.1: restart.", "syslogd", "", 0, "restart.")
	f(" -- root[12]: ROOT LOGIN ON tty2", "root", dashTag, 12, "ROOT LOGIN ON tty2")
	f("postfix/smtpd[12]: text", "postfix/smtpd", "", 12, "text")
	f("sshd[notanumber]: text", "sshd", "", 0, "text")
	f("no tag at all", "", "", 0, "no tag at all")
	f("sshd[12", "", "", 0, "sshd[12")
	f(": text", "", "", 0, ": text")
	f("sshd:", "sshd", "", 0, "")
	f("/: text", "/", "", 0, "text")
}

func TestNoSyslogHeader(t *testing.T) {
	for _, text := range []string{"", "<", "<34", "<999>Nov 22 11:00:00 host sshd: x", "Nov", "Nov 22", "Nov 22 11:00:00", "Nov 22 11:00:00 ",
		"Nov 22 11:00:00 host", "Nov 22 25:00:00 host sshd: x", "Nov 22 11:60:00 host sshd: x", "Nov  0 11:00:00 host sshd: x",
		"Nox 22 11:00:00 host sshd: x", "2026-11-22 11:00:00 host sshd: x", "2026-13-22T11:00:00Z host sshd: x",
		"2026-02-29T11:00:00Z host sshd: x", "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z level=info msg=started",
		"<34>1 ", "<34>1 2026-11-22T11:00:00Z host", "<34>1 x host app 1 - - text", "<34>1 2026-11-22T11:00:00Z host app 1 - [unclosed text",
		`{"a":1}`, "plain text that is long enough to hold a header", "time=2026-11-22T11:00:00Z level=info"} {
		if _, ok := splitAt(t, Options{}, text, "2026-11-22T12:00:00Z"); ok {
			t.Errorf("%q was taken for a syslog line", text)
		}
		if looksLikeLinuxAuth(text) {
			t.Errorf("%q looks like linux_auth", text)
		}
	}
	for _, text := range []string{"Feb 29 11:00:00 host sshd[1]: x", "<34>Nov 22 11:00:00 host sshd: x", "2026-11-22T11:00:00Z host sshd: x"} {
		if !looksLikeLinuxAuth(text) {
			t.Errorf("%q does not look like linux_auth", text)
		}
	}
}

// Addresses are what net/netip says they are, less zones.
func TestAddresses(t *testing.T) {
	for _, s := range []string{"1.2.3.4", "0.0.0.0", "255.255.255.255", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1..2.3", "1.2.3.", ".1.2.3",
		"::", "::1", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
		":1", "1:", ":::", "1::2::3", "12345::", "g::", "::ffff:1.2.3.4", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
		"::1.2.3", "1.2.3.4::", "", ":", "fe80::1%eth0", "1:2:3:4:5:6:7", "::1:2:3:4:5:6:7:8"} {
		checkAddress(t, s)
	}
	rapid.Check(t, func(r *rapid.T) {
		checkAddress(t, rapid.StringMatching(`[0-9a-f:.]{0,24}`).Draw(r, "text"))
		checkAddress(t, rapid.StringMatching(`([0-9a-f]{0,4}:){2,8}([0-9]{1,3}\.){0,3}[0-9a-f]{0,3}`).Draw(r, "v6"))
		checkAddress(t, rapid.StringMatching(`[0-2]?[0-9]{1,2}(\.[0-2]?[0-9]{1,2}){2,4}`).Draw(r, "v4"))
	})
}

func checkAddress(t *testing.T, s string) {
	t.Helper()
	a, err := netip.ParseAddr(s)
	want := err == nil && a.Zone() == "" && len(s) <= 45
	if got := isIPv4(s) || isIPv6(s); got != want {
		t.Errorf("%q is an address: %v, want %v", s, got, want)
	}
	var ev event.Event
	address(&ev, s)
	if ip := ev.Source.IP; ip != "" && !event.ValidIP(ip) {
		t.Errorf("%q gave the address %q", s, ip)
	}
	if strings.HasPrefix(ev.Source.IP, "::ffff:") && isIPv4(ev.Source.IP[7:]) {
		t.Errorf("%q kept its IPv6 form", s)
	}
}
