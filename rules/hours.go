package rules

import "time"

// Hours are opening hours: "mon-fri 07:00-19:00, sat 09:00-12:00" in a zone.
type Hours struct {
	Text string
	Zone *time.Location
	Week [7][]Span // by weekday, Sunday first
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
