package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// Hours are opening hours: "mon-fri 07:00-19:00, sat 09:00-12:00" in a zone.
type Hours struct {
	Text string
	Zone *time.Location
	Week [7][]Span // by weekday, Sunday first; in order, apart from each other
}

// Span is a part of a day, in minutes from midnight; To is not in it and may be 1440.
type Span struct{ From, To int }

// Within tells whether a time is in the hours.
func (h *Hours) Within(t time.Time) bool {
	t = t.In(h.Zone)
	minute := t.Hour()*60 + t.Minute()
	for _, s := range h.Week[t.Weekday()] {
		if minute >= s.From && minute < s.To {
			return true
		}
	}
	return false
}

// ParseHours reads hours of a time zone by its IANA name; "" is UTC. Parts stand between commas: days, then times. "mon-fri 07:00-12:00
// 13:00-19:00, sat sun 09:00-12:00"; without days it is every day. What ends before it begins goes over midnight: "fri 22:00-06:00" ends
// on Saturday, and "fri-mon" are four days. The error is a *query.FieldError.
func ParseHours(text, zone string) (*Hours, error) {
	loc := time.UTC
	if zone != "" {
		var err error
		if loc, err = zoneNamed(zone); err != nil {
			return nil, err
		}
	}
	return parseHours(text, loc)
}

func zoneNamed(name string) (*time.Location, error) {
	if name != "" && name != "Local" { // which differs from host to host
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, &query.FieldError{Message: fmt.Sprintf("unknown time zone %q", name), Remedy: `write a name such as "Europe/Berlin" or "UTC"`}
}

func hoursError(format string, args ...any) error {
	return &query.FieldError{Message: fmt.Sprintf(format, args...), Remedy: `write hours as "mon-fri 07:00-19:00, sat 09:00-12:00"`}
}

func parseHours(text string, zone *time.Location) (*Hours, error) {
	h := &Hours{Text: text, Zone: zone}
	for part := range strings.SplitSeq(text, ",") {
		if err := h.add(strings.Fields(part)); err != nil {
			return nil, err
		}
	}
	for i := range h.Week {
		h.Week[i] = merged(h.Week[i])
	}
	return h, nil
}

// add reads one part: days, then times.
func (h *Hours) add(words []string) error {
	var days [7]bool
	anyDay, anySpan := false, false
	for _, w := range words {
		if w[0] >= '0' && w[0] <= '9' {
			if !anyDay {
				days = [7]bool{true, true, true, true, true, true, true}
			}
			from, to, err := spanOf(w)
			if err != nil {
				return err
			}
			h.put(days, from, to)
			anyDay, anySpan = true, true
			continue
		}
		if anySpan {
			return hoursError("%q: days stand before times, and a comma before the next days", w)
		}
		if err := daysOf(w, &days); err != nil {
			return err
		}
		anyDay = true
	}
	if !anySpan {
		if len(words) == 0 {
			return hoursError("the hours are empty")
		}
		return hoursError("%q: times are missing; a whole day is 00:00-24:00", strings.Join(words, " "))
	}
	return nil
}

func (h *Hours) put(days [7]bool, from, to int) {
	for d, on := range days {
		switch {
		case !on:
		case from < to:
			h.Week[d] = append(h.Week[d], Span{from, to})
		default:
			next := (d + 1) % 7
			h.Week[d] = append(h.Week[d], Span{from, 24 * 60})
			if to > 0 {
				h.Week[next] = append(h.Week[next], Span{0, to})
			}
		}
	}
}

var dayNames = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// dayOf knows three letters and the whole name.
func dayOf(word string) (int, error) {
	for i, name := range dayNames {
		if w := strings.ToLower(word); w == name || w == name[:3] {
			return i, nil
		}
	}
	if near := conf.Suggest(word, dayNames); near != "" {
		return 0, hoursError("%q is no day, did you mean %q?", word, near[:3])
	}
	return 0, hoursError("%q is no day", word)
}

func daysOf(word string, days *[7]bool) error {
	a, b, isRange := strings.Cut(word, "-")
	from, err := dayOf(a)
	if err != nil {
		return err
	}
	to := from
	if isRange {
		if to, err = dayOf(b); err != nil {
			return err
		}
	}
	for d := from; ; d = (d + 1) % 7 {
		days[d] = true
		if d == to {
			return nil
		}
	}
}

func spanOf(word string) (from, to int, err error) {
	a, b, ok := strings.Cut(word, "-")
	if !ok {
		return 0, 0, hoursError("%q: the end is missing", word)
	}
	if from, err = minuteOf(a); err != nil {
		return 0, 0, err
	}
	if to, err = minuteOf(b); err != nil {
		return 0, 0, err
	}
	if from == to || from == 24*60 {
		return 0, 0, hoursError("%q holds no time; a whole day is 00:00-24:00", word)
	}
	return from, to, nil
}

// minuteOf reads 07:00, 7:00 or 24:00.
func minuteOf(text string) (int, error) {
	hour, minute, ok := strings.Cut(text, ":")
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(minute) != 2 || len(hour) > 2 || m > 59 || h*60+m > 24*60 {
		return 0, hoursError("%q is no time of the day", text)
	}
	return int(h*60 + m), nil
}

// merged sorts and joins what overlaps or touches.
func merged(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(a.From-b.From, a.To-b.To) })
	var out []Span
	for _, s := range spans {
		if n := len(out); n > 0 && s.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, s.To)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// canonical writes the hours day by day.
func (h *Hours) canonical() string {
	var parts []string
	for i := range 7 {
		d := (i + 1) % 7
		if len(h.Week[d]) == 0 {
			continue
		}
		part := dayNames[d][:3]
		for _, s := range h.Week[d] {
			part += fmt.Sprintf(" %02d:%02d-%02d:%02d", s.From/60, s.From%60, s.To/60, s.To%60)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
