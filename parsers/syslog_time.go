package parsers

import (
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/event"
)

// syslogClock reads the times of syslog headers. It is safe for concurrent use and does not allocate.
type syslogClock struct {
	location *time.Location
	year     int // 0: the nearest to the time of reading
	// cache is the last minute that was read: 20 bits of month, day, hour and minute, 34 bits of Unix seconds, 1 bit valid.
	// One word, so that workers share it without a lock.
	cache atomic.Uint64
}

const (
	cacheValid  = 1 << 63
	secondBits  = 34
	secondMask  = 1<<secondBits - 1
	nearEnough  = 181 * 86400 // a date this near to the time of reading is in the nearest year
	secondsADay = 86400
	aheadAtMost = 184 * secondsADay
)

// bsdTime reads "Nov 22 12:00:00" (RFC 3164 4.1.2), also with one blank before a one-digit day, a fraction, or a year
// before or after the clock, and returns its length.
func (c *syslogClock) bsdTime(s string, received event.Time, l *syslogLine) (n int, ok bool) {
	month := monthOf(s)
	if month == 0 || s[3] != ' ' {
		return 0, false
	}
	i := 4
	if s[i] == ' ' {
		i++
	}
	day, i := digits(s, i, 2)
	if day < 1 || day > 31 || i >= len(s) || s[i] != ' ' {
		return 0, false
	}
	year := c.year
	i++
	if i+5 < len(s) && s[i+4] == ' ' && isDigit(s[i+3]) {
		year, i = digits(s, i, 4)
		i++
	}
	if i+8 > len(s) || s[i+2] != ':' || s[i+5] != ':' {
		return 0, false
	}
	hour, minute, second := two(s, i), two(s, i+3), two(s, i+6)
	if hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	i += 8
	i, nanos := fraction(s, i)
	base, found := c.minute(year, month, day, hour, minute, received)
	if !found {
		l.timeText = s[:i]
	}
	l.time = event.Time((base+int64(second))*1e9 + nanos)
	return i, true
}

// minute returns the Unix time of a minute by the wall clock.
func (c *syslogClock) minute(year, month, day, hour, minute int, received event.Time) (int64, bool) {
	key := uint64(month)<<16 | uint64(day)<<11 | uint64(hour)<<6 | uint64(minute)
	now := int64(received) / 1e9
	if v := c.cache.Load(); v&cacheValid != 0 && v>>secondBits&(1<<20-1) == key && year == c.year {
		unix := int64(v & secondMask)
		if d := unix - now; year != 0 || d < nearEnough && d > -nearEnough {
			return unix, true
		}
	}
	unix, unique, ok := c.nearest(year, month, day, hour, minute, now)
	if ok && unique && year == c.year && unix >= 0 && unix <= secondMask {
		c.cache.Store(cacheValid | key<<secondBits | uint64(unix))
	}
	return unix, ok
}

// nearest returns the point nearest to now that has this date; the year is given, or any that has the day. A 29 February
// that is further ahead than half a year is taken for the one before: lines come late, not early.
func (c *syslogClock) nearest(year, month, day, hour, minute int, now int64) (unix int64, unique, ok bool) {
	if year != 0 {
		if day > daysIn(year, month) {
			return 0, false, false
		}
		unix, unique = c.wall(daysFromCivil(year, month, day)*secondsADay+int64(hour*3600+minute*60), now)
		return unix, unique, true
	}
	span := 1
	if month == 2 && day == 29 {
		span = 8
	}
	around := time.Unix(now, 0).In(c.location).Year()
	for y := around - span; y <= around+span; y++ {
		if day > daysIn(y, month) {
			continue
		}
		t, one := c.wall(daysFromCivil(y, month, day)*secondsADay+int64(hour*3600+minute*60), now)
		if ok && t-now > aheadAtMost {
			continue
		}
		if !ok || distance(t, now) < distance(unix, now) {
			unix, unique, ok = t, one, true
		}
	}
	return unix, unique, ok
}

// wall turns seconds by the wall clock into Unix time. An hour that comes twice (end of summer time) is the one nearer to
// now; one that does not come (begin of summer time) is read as if the clock had not been put forward yet.
func (c *syslogClock) wall(wall, now int64) (unix int64, unique bool) {
	if c.location == time.UTC {
		return wall, true
	}
	before, after := c.offset(wall-secondsADay), c.offset(wall+secondsADay)
	a, b := wall-before, wall-after
	okA, okB := c.offset(a) == before, c.offset(b) == after
	switch {
	case a == b:
		return a, true
	case okA && okB:
		if distance(b, now) < distance(a, now) {
			a = b
		}
		return a, false
	case okB:
		return b, true
	}
	return a, true
}

func (c *syslogClock) offset(unix int64) int64 {
	_, offset := time.Unix(unix, 0).In(c.location).Zone()
	return int64(offset)
}

// isoTime reads RFC 3339, also with a zone without colon or none, and returns its length.
func (c *syslogClock) isoTime(s string, t *event.Time) (n int, ok bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year, month, day := two(s, 0)*100+two(s, 2), two(s, 5), two(s, 8)
	hour, minute, second := two(s, 11), two(s, 14), two(s, 17)
	if year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	i, nanos := fraction(s, 19)
	unix := daysFromCivil(year, month, day)*secondsADay + int64(hour*3600+minute*60)
	switch {
	case i < len(s) && (s[i] == 'Z' || s[i] == 'z'):
		i++
	case i+4 < len(s) && (s[i] == '+' || s[i] == '-'):
		m := i + 3
		if s[m] == ':' {
			m++
		}
		if m+2 > len(s) || two(s, i+1) > 23 || two(s, m) > 59 {
			return 0, false
		}
		offset := int64(two(s, i+1)*3600 + two(s, m)*60)
		if s[i] == '+' {
			offset = -offset
		}
		unix += offset
		i = m + 2
	default:
		unix, _ = c.wall(unix, unix)
	}
	if year < 1678 || year > 2261 { // beyond what nanoseconds can count
		return 0, false
	}
	*t = event.Time((unix+int64(second))*1e9 + nanos)
	return i, true
}

// fraction reads ".123456" or ",123456".
func fraction(s string, i int) (end int, nanos int64) {
	if i+1 >= len(s) || s[i] != '.' && s[i] != ',' || !isDigit(s[i+1]) {
		return i, 0
	}
	unit := int64(1e8)
	for i++; i < len(s) && isDigit(s[i]); i++ {
		nanos += int64(s[i]-'0') * unit
		unit /= 10
	}
	return i, nanos
}

func monthOf(s string) int {
	if len(s) < 4 {
		return 0
	}
	switch s[:3] {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// digits reads at most n digits from i; 0 where there is none.
func digits(s string, i, n int) (value, end int) {
	for ; n > 0 && i < len(s) && isDigit(s[i]); n-- {
		value = value*10 + int(s[i]-'0')
		i++
	}
	return value, i
}

// two reads two digits; more than 99 where they are none.
func two(s string, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return 10000
	}
	return int(a)*10 + int(b)
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func distance(a, b int64) int64 {
	if a < b {
		return b - a
	}
	return a - b
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysFromCivil counts days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is last.
func daysFromCivil(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return int64(365*year+year/4-year/100+year/400+(153*(month-3)+2)/5+day-1) - 719468
}
