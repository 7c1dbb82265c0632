package parsers

import (
	"math"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// stampForm is how a daemon writes its times.
type stampForm uint8

const (
	stampNone  stampForm = iota
	stampTAI             // @400000004c91b044077a9e94, TAI64N of multilog
	stampDate            // 2026-11-22 12:00:00[.123|,123][ +0100]; mysqld: 2026-11-22  9:00:00
	stampISO             // 2026-11-22T12:00:00.123456Z
	stampShort           // 261122 12:00:00, 261122  9:00:00
	stampNamed           // 22-Nov-2026 12:00:00.123
	stampEpoch           // 1795348800.123
	stampCtime           // Sun Nov 22 12:00:00 2026
	stampBSD             // Nov 22 12:00:00
)

// daemonTime reads a time at the beginning of s, sets d.time, and returns its form and length. A blank follows it.
func (d *daemonLine) daemonTime(c *syslogClock, s string, received event.Time) (form stampForm, n int) {
	if len(s) < 16 {
		return stampNone, 0
	}
	var ok bool
	switch {
	case s[0] == '@':
		form, n = stampTAI, 25
		ok = len(s) > n && d.taiTime(s[1:n])
	case !isDigit(s[0]):
		form = stampBSD
		if s[3] == ' ' && monthOf(s) == 0 {
			form = stampCtime
		}
		n, ok = d.monthTime(c, s, received, form)
	case s[2] == '-':
		form = stampNamed
		n, ok = d.namedTime(c, s)
	case s[4] == '-' && len(s) > 19 && s[10] == 'T':
		form = stampISO
		n, ok = c.isoTime(s, &d.time)
	case s[4] == '-' && len(s) > 19:
		form = stampDate
		n, ok = d.dateTime(c, s)
	case s[6] == ' ':
		form = stampShort
		n, ok = d.shortTime(c, s)
	default:
		form = stampEpoch
		n, ok = d.epochTime(s)
	}
	if !ok || n >= len(s) || s[n] != ' ' {
		return stampNone, 0
	}
	return form, n
}

// set takes a time by the wall clock. It refuses what nanoseconds cannot count.
func (d *daemonLine) set(c *syslogClock, year, month, day, hour, minute, second int, nanos int64) bool {
	if year < 1700 || year > 2200 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return false
	}
	wall := daysFromCivil(year, month, day)*secondsADay + int64(hour*3600+minute*60)
	unix, _ := c.wall(wall, wall)
	d.time = event.Time((unix+int64(second))*1e9 + nanos)
	return true
}

// clockTime reads "12:00:00[.fraction]" or " 9:00:00" at i.
func clockTime(s string, i int) (hour, minute, second int, nanos int64, end int, ok bool) {
	if i < len(s) && s[i] == ' ' {
		i++
	}
	hour, j := digits(s, i, 2)
	if j == i || j+6 > len(s) || s[j] != ':' || s[j+3] != ':' {
		return 0, 0, 0, 0, 0, false
	}
	minute, second = two(s, j+1), two(s, j+4)
	end, nanos = fraction(s, j+6)
	return hour, minute, second, nanos, end, true
}

func (d *daemonLine) dateTime(c *syslogClock, s string) (n int, ok bool) {
	if s[7] != '-' || s[10] != ' ' {
		return 0, false
	}
	hour, minute, second, nanos, n, ok := clockTime(s, 11)
	if !ok || !d.set(c, two(s, 0)*100+two(s, 2), two(s, 5), two(s, 8), hour, minute, second, nanos) {
		return 0, false
	}
	// exim's log_timezone
	if n+6 < len(s) && s[n] == ' ' && (s[n+1] == '+' || s[n+1] == '-') && s[n+6] == ' ' && two(s, n+2) < 24 && two(s, n+4) < 60 {
		var utc daemonLine
		utc.set(looksClock, two(s, 0)*100+two(s, 2), two(s, 5), two(s, 8), hour, minute, second, nanos)
		offset := event.Time(two(s, n+2)*3600+two(s, n+4)*60) * 1e9
		if s[n+1] == '+' {
			offset = -offset
		}
		d.time = utc.time + offset
		n += 6
	}
	return n, true
}

func (d *daemonLine) shortTime(c *syslogClock, s string) (n int, ok bool) {
	hour, minute, second, nanos, n, ok := clockTime(s, 7)
	year, month, day := two(s, 0), two(s, 2), two(s, 4)
	if !ok || year > 99 {
		return 0, false
	}
	return n, d.set(c, 2000+year, month, day, hour, minute, second, nanos)
}

func (d *daemonLine) namedTime(c *syslogClock, s string) (n int, ok bool) {
	month := monthOf(s[3:])
	if month == 0 || s[6] != '-' || s[11] != ' ' {
		return 0, false
	}
	hour, minute, second, nanos, n, ok := clockTime(s, 12)
	return n, ok && d.set(c, two(s, 7)*100+two(s, 9), month, two(s, 0), hour, minute, second, nanos)
}

// monthTime reads the forms that begin with names: of the month, or of the weekday and the month with the year behind the clock.
func (d *daemonLine) monthTime(c *syslogClock, s string, received event.Time, form stampForm) (n int, ok bool) {
	if form == stampBSD {
		var l syslogLine
		n, ok = c.bsdTime(s, received, &l)
		d.time, d.timeText = l.time, l.timeText
		return n, ok
	}
	if len(s) < 25 || s[7] != ' ' || s[10] != ' ' || s[19] != ' ' {
		return 0, false
	}
	month := monthOf(s[4:])
	day := two(s, 8)
	if s[8] == ' ' && isDigit(s[9]) {
		day = int(s[9] - '0')
	}
	hour, minute, second, _, n, ok := clockTime(s, 11)
	if !ok || n != 19 || month == 0 {
		return 0, false
	}
	return 24, d.set(c, two(s, 20)*100+two(s, 22), month, day, hour, minute, second, 0)
}

// epochTime reads seconds since 1970 with a fraction, as squid writes them.
func (d *daemonLine) epochTime(s string) (n int, ok bool) {
	seconds, i := int64(0), 0
	for ; i < len(s) && i < 10 && isDigit(s[i]); i++ {
		seconds = seconds*10 + int64(s[i]-'0')
	}
	if i < 9 || i >= len(s) || s[i] != '.' {
		return 0, false
	}
	n, nanos := fraction(s, i)
	d.time = event.Time(seconds*1e9 + nanos)
	return n, n > i
}

// taiTime reads 24 hexadecimal digits: 2^62 + seconds of TAI, which multilog takes to be 10 ahead of Unix', and nanoseconds.
func (d *daemonLine) taiTime(s string) bool {
	var v [3]uint64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isHex(c) {
			return false
		}
		x := uint64(c - '0')
		if c > '9' {
			x = uint64(c|0x20) - 'a' + 10
		}
		v[i/8] = v[i/8]<<4 | x
	}
	seconds := int64(v[0]<<32|v[1]) - 1<<62 - 10
	if seconds < 0 || seconds > math.MaxInt64/1_000_000_000-1 || v[2] > 999_999_999 {
		return false
	}
	d.time = event.Time(seconds*1e9 + int64(v[2]))
	return true
}

// cutOwnTime takes a time of a daemon's own off, where it stands within the text of a syslog line.
func cutOwnTime(s string) string {
	if s == "" || !isDigit(s[0]) {
		return s
	}
	var d daemonLine
	if form, n := d.daemonTime(looksClock, s, 0); form == stampDate || form == stampISO || form == stampShort {
		return strings.TrimLeft(s[n:], " ")
	}
	return s
}
