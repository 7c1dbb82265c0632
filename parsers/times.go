package parsers

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// layoutKind is how a layout is read; layoutGo is one of package time.
type layoutKind uint8

const (
	layoutGo layoutKind = iota
	layoutISO
	layoutRFC3339
	layoutUnix
	layoutUnixAny
)

// timeLayout is one way to write a time.
type timeLayout struct {
	kind     layoutKind
	layout   string  // layoutGo
	unit     float64 // layoutUnix: nanoseconds
	yearless bool
	zoneName bool // has an abbreviation such as MST
}

// namedLayouts are the layouts that have a name in the config.
var namedLayouts = map[string]timeLayout{
	"rfc3339":  {kind: layoutRFC3339},
	"iso8601":  {kind: layoutISO},
	"unix":     {kind: layoutUnix, unit: 1e9},
	"unix_ms":  {kind: layoutUnix, unit: 1e6},
	"unix_us":  {kind: layoutUnix, unit: 1e3},
	"unix_ns":  {kind: layoutUnix, unit: 1},
	"unix_any": {kind: layoutUnixAny},
	"clf":      {layout: "02/Jan/2006:15:04:05 -0700"},
	"rfc1123":  {layout: time.RFC1123, zoneName: true},
	"rfc1123z": {layout: time.RFC1123Z},
	"rfc822":   {layout: time.RFC822, zoneName: true},
	"rfc822z":  {layout: time.RFC822Z},
	"rfc850":   {layout: time.RFC850, zoneName: true},
	"ansic":    {layout: time.ANSIC},
	"syslog":   {layout: time.Stamp, yearless: true},
}

// defaultLayouts are tried where the config names none.
var defaultLayouts = []timeLayout{{kind: layoutISO}, {kind: layoutUnixAny}}

// layoutNames lists the names, most usual first, for messages.
var layoutNames = []string{"rfc3339", "iso8601", "unix", "unix_ms", "unix_us", "unix_ns", "unix_any", "clf", "rfc1123", "rfc1123z", "rfc822",
	"rfc822z", "rfc850", "ansic", "syslog"}

// newTimeLayout reads a layout of the config; a non-empty problem says what is wrong with it.
func newTimeLayout(s string) (l timeLayout, problem string) {
	if named, ok := namedLayouts[s]; ok {
		return named, ""
	}
	if strings.Contains(s, "%") {
		return l, `is strftime's way; write the time of 2 January 2006, 15:04:05, as your log would, such as "2006-01-02 15:04:05"`
	}
	at := time.Date(2007, time.November, 23, 19, 48, 57, 0, time.FixedZone("XYT", 5*3600))
	written := at.Format(s)
	same := func(t time.Time) bool { return t.Format(s) == written }
	switch {
	case written == s || same(at.AddDate(0, 0, 7)) || same(at.AddDate(0, 1, 0)) && same(at.AddDate(0, -1, 0)):
		return l, `has no month and day; write the time of 2 January 2006, 15:04:05, as your log would, such as "2006-01-02 15:04:05"`
	case strings.ContainsAny(s, "yYdDhHsS") && !strings.ContainsAny(s, "0123456789"):
		return l, "is no layout"
	}
	if _, err := time.Parse(s, written); err != nil {
		return l, "cannot be read back: two parts of it contradict each other"
	}
	return timeLayout{layout: s, yearless: same(at.AddDate(1, 0, 0)), zoneName: strings.Contains(s, "MST")}, ""
}

// timeReader reads times in the layouts of a config, the first that fits.
type timeReader struct {
	layouts  []timeLayout
	location *time.Location
	year     int
}

func newTimeReader(layouts []timeLayout, o Options) timeReader {
	if len(layouts) == 0 {
		layouts = defaultLayouts
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	return timeReader{layouts: layouts, location: o.Location, year: o.Year}
}

// read returns the time that the text stands for; received decides the year of one that has none.
func (r *timeReader) read(text string, received event.Time) (event.Time, bool) {
	for i := range r.layouts {
		l := &r.layouts[i]
		var t event.Time
		var ok bool
		switch l.kind {
		case layoutRFC3339:
			t, ok = parseISO(text, nil)
		case layoutISO:
			t, ok = parseISO(text, r.location)
		case layoutUnix:
			t, ok = parseUnix(text, l.unit)
		case layoutUnixAny:
			t, ok = parseUnix(text, 0)
		default:
			t, ok = r.parseGo(l, text, received)
		}
		if ok {
			return t, true
		}
	}
	return 0, false
}

func (r *timeReader) parseGo(l *timeLayout, text string, received event.Time) (event.Time, bool) {
	if len(text) > 64 {
		return 0, false
	}
	t, err := time.ParseInLocation(l.layout, text, r.location)
	if err != nil {
		return 0, false
	}
	if l.zoneName {
		// Package time takes an abbreviation that it does not know for UTC. An hour's error is worse than no time.
		name, offset := t.Zone()
		if offset == 0 && name != "UTC" && name != "GMT" && name != "Z" && t.Location() != r.location {
			return 0, false
		}
	}
	if l.yearless {
		return nearestYear(t, r.year, received)
	}
	return stdTime(t)
}

// stdTime refuses times that do not fit 64 bits of nanoseconds (before 1678, after 2261).
func stdTime(t time.Time) (event.Time, bool) {
	if y := t.Year(); y < 1700 || y > 2200 {
		return 0, false
	}
	return event.Time(t.UnixNano()), true
}

// nearestYear gives a time without a year the one that puts it nearest to the time of reading.
func nearestYear(t time.Time, year int, received event.Time) (event.Time, bool) {
	first, last := year, year
	if year == 0 {
		y := received.Std().In(t.Location()).Year()
		if received == 0 {
			y = 1970
		}
		first, last = y-1, y+1
	}
	var best event.Time
	found := false
	for y := first; y <= last; y++ {
		c := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
		if c.Month() != t.Month() || c.Day() != t.Day() {
			continue // 29 February of a common year
		}
		ct := event.Time(c.UnixNano())
		if !found || absTime(ct-received) < absTime(best-received) {
			best, found = ct, true
		}
	}
	return best, found
}

func absTime(t event.Time) event.Time {
	if t < 0 {
		return -t
	}
	return t
}

// parseUnix reads a number of units since 1970; unit 0 takes seconds, milli-, micro- or nanoseconds by the size of the number.
func parseUnix(text string, unit float64) (event.Time, bool) {
	if len(text) == 0 || len(text) > 24 {
		return 0, false
	}
	if n, ok := parseDigits(text); ok { // exact: a float64 has 53 bits
		u := int64(unit)
		if u == 0 {
			switch {
			case n < 1e11:
				u = 1e9
			case n < 1e14:
				u = 1e6
			case n < 1e17:
				u = 1e3
			default:
				u = 1
			}
		}
		if n == 0 || n > math.MaxInt64/u {
			return 0, false
		}
		return event.Time(n * u), true
	}
	dot := strings.IndexByte(text, '.')
	if dot <= 0 {
		return 0, false
	}
	whole, ok := parseUnix(text[:dot], unit)
	if !ok || len(text)-dot-1 > 12 {
		return 0, false
	}
	f, err := strconv.ParseFloat("0"+text[dot:], 64)
	if err != nil {
		return 0, false
	}
	if unit == 0 {
		unit = 1e9
		if n, _ := parseDigits(text[:dot]); n >= 1e11 {
			unit = float64(int64(whole) / n)
		}
	}
	return whole + event.Time(math.Round(f*unit)), true
}

func parseDigits(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 && (len(s) != 19 || s >= "9223372036854775807") {
		return 0, false
	}
	n := int64(0)
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}

// parseISO reads RFC 3339 and, where location is not nil, what people also write: a space or nothing else between date and time,
// a comma before the fraction, no seconds, an offset without colon, no offset (then location), no time of day.
func parseISO(s string, location *time.Location) (event.Time, bool) {
	if len(s) < 10 || len(s) > 48 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, ok1 := parseDigits(s[:4])
	month, ok2 := parseDigits(s[5:7])
	day, ok3 := parseDigits(s[8:10])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || year < 1700 || year > 2200 || day > int64(daysIn(int(year), int(month))) {
		return 0, false
	}
	lenient := location != nil
	hour, minute, second, nano, rest, ok := parseClock(s[10:], lenient)
	if !ok {
		return 0, false
	}
	offset, zoned, ok := parseOffset(rest, lenient)
	if !ok {
		return 0, false
	}
	if !zoned && location != time.UTC {
		t := time.Date(int(year), time.Month(month), int(day), int(hour), int(minute), int(second), int(nano), location)
		return event.Time(t.UnixNano()), true
	}
	secs := ((daysFromCivil(int(year), int(month), int(day))*24+hour)*60+minute)*60 + second - offset
	return event.Time(secs*1e9 + nano), true
}

// parseClock reads "T15:04:05.999" and returns what follows.
func parseClock(s string, lenient bool) (hour, minute, second, nano int64, rest string, ok bool) {
	if s == "" {
		return 0, 0, 0, 0, "", lenient // a date alone is its midnight
	}
	if len(s) < 6 || s[0] != 'T' && s[0] != 't' && s[0] != ' ' || s[3] != ':' {
		return 0, 0, 0, 0, "", false
	}
	hour, ok1 := parseDigits(s[1:3])
	minute, ok2 := parseDigits(s[4:6])
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, 0, 0, 0, "", false
	}
	s = s[6:]
	if len(s) < 3 || s[0] != ':' {
		return hour, minute, 0, 0, s, lenient
	}
	second, ok = parseDigits(s[1:3])
	if !ok || second > 60 { // 60 is a leap second; it counts as the next minute's first
		return 0, 0, 0, 0, "", false
	}
	s = s[3:]
	if len(s) > 1 && (s[0] == '.' || s[0] == ',' && lenient) {
		i, unit := 1, int64(1e8)
		for ; i < len(s) && s[i]-'0' <= 9; i++ {
			nano += int64(s[i]-'0') * unit
			unit /= 10
		}
		if i == 1 {
			return 0, 0, 0, 0, "", false
		}
		s = s[i:]
	}
	return hour, minute, second, nano, s, true
}

// parseOffset reads the zone, seconds east of UTC.
func parseOffset(s string, lenient bool) (offset int64, zoned, ok bool) {
	if lenient && len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	switch {
	case s == "":
		return 0, false, lenient
	case s == "Z" || s == "z" || lenient && (s == "UTC" || s == "GMT"):
		return 0, true, true
	case s[0] != '+' && s[0] != '-':
		return 0, false, false
	}
	sign := int64(1)
	if s[0] == '-' {
		sign = -1
	}
	var h, m string
	switch {
	case len(s) == 6 && s[3] == ':':
		h, m = s[1:3], s[4:6]
	case lenient && len(s) == 5:
		h, m = s[1:3], s[3:5]
	case lenient && len(s) == 3:
		h, m = s[1:3], "00"
	default:
		return 0, false, false
	}
	hours, ok1 := parseDigits(h)
	minutes, ok2 := parseDigits(m)
	return sign * (hours*3600 + minutes*60), true, ok1 && ok2 && hours < 24 && minutes < 60
}
