package engine

import (
	"math"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// slot is a captured value; null where there is no item, or where it was taken before the rule's title asked for the value.
func (it *item) slot(n int) value {
	if it == nil || n >= len(it.values) {
		return value{}
	}
	return it.values[n]
}

// slot is a remembered value; null where nothing is remembered.
func (m *memo) slot(n int) value {
	if m == nil || n >= len(m.values) {
		return value{}
	}
	return m.values[n]
}

func truth(b bool) value {
	if b {
		return value{kind: boolean, number: 1}
	}
	return value{kind: boolean}
}

// compareValues holds two values against each other. With a null only != is true. Values of different kinds are different and have no order.
func compareValues(op query.Op, a, b value, fold bool) bool {
	if a.kind == null || b.kind == null || a.kind != b.kind {
		return op == query.Ne
	}
	switch a.kind {
	case text:
		if fold && (op == query.Eq || op == query.Ne) {
			return equalFolded(a.text, b.text) == (op == query.Eq)
		}
		if fold {
			a.text, b.text = strings.ToLower(a.text), strings.ToLower(b.text)
		}
		return orderHolds(op, strings.Compare(a.text, b.text))
	case position:
		same := a.place.lat == b.place.lat && a.place.lon == b.place.lon
		return op == query.Eq && same || op == query.Ne && !same
	}
	switch {
	case a.number < b.number:
		return orderHolds(op, -1)
	case a.number > b.number:
		return orderHolds(op, 1)
	case a.number == b.number:
		return orderHolds(op, 0)
	}
	return op == query.Ne
}

func orderHolds(op query.Op, order int) bool {
	switch op {
	case query.Eq:
		return order == 0
	case query.Ne:
		return order != 0
	case query.Lt:
		return order < 0
	case query.Le:
		return order <= 0
	case query.Gt:
		return order > 0
	}
	return order >= 0
}

// equalFolded tells strings.ToLower(a) == strings.ToLower(b) without making them, where they are ASCII.
func equalFolded(a, b string) bool {
	if a == b {
		return true
	}
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := a[i], b[i]
		if x >= utf8.RuneSelf || y >= utf8.RuneSelf {
			return equalLowered(a, b)
		}
		if lowerByte(x) != lowerByte(y) {
			return false
		}
	}
	return len(a) == len(b) || equalLowered(a, b)
}

// equalLowered is what query compares by; strings.EqualFold takes more for the same.
func equalLowered(a, b string) bool {
	lower := strings.ToLower(a)
	return lower == strings.ToLower(b)
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// arithmetic is null where a value is no number, and where the result is none.
func arithmetic(op byte, a, b value) value {
	if a.kind != number || b.kind != number {
		return value{}
	}
	var n float64
	switch x, y := a.number, b.number; op {
	case '+':
		n = x + y
	case '-':
		n = x - y
	case '*':
		n = x * y
	case '/':
		n = x / y
		if y == 0 {
			return value{}
		}
	case '%':
		n = math.Mod(x, y)
	}
	if math.IsNaN(n) {
		return value{}
	}
	return value{kind: number, number: n}
}

var textTests = map[string]func(string, string) bool{"contains": strings.Contains, "startswith": strings.HasPrefix, "endswith": strings.HasSuffix}

func inAny(networks []netip.Prefix, t string) bool {
	a, err := netip.ParseAddr(t)
	if err != nil {
		return false
	}
	a = a.Unmap()
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// domainOf is what stands behind the last '@', else the host's name less its first label, in lower case; null where that is nothing.
func (s *scene) domainOf(v value) value {
	if v.kind != text {
		return value{}
	}
	t := v.text
	if i := strings.LastIndexByte(t, '@'); i >= 0 {
		t = t[i+1:]
	} else {
		_, t, _ = strings.Cut(t, ".")
	}
	if t == "" {
		return value{}
	}
	return value{kind: text, text: s.lower(t)}
}

// placeOf is where the event's address is; null where nobody knows.
func placeOf(s *scene) value {
	at := s.ev.Source.Geo.Location
	if !at.Valid {
		return value{}
	}
	return value{kind: position, place: place{at.Lat, at.Lon, float64(max(0, s.ev.Accuracy.N))}}
}

// travel is the gap to the preceding event, in km, or the speed that it asks for, in km/h; 0 where the places may be one and the same.
func travel(s *scene, slot int, speed bool) value {
	a, b := s.prev.slot(slot), s.now.slot(slot)
	if a.kind != position || b.kind != position {
		return value{}
	}
	gap := max(0, distance(a.place, b.place)-a.place.radius-b.place.radius)
	if !speed || gap == 0 {
		return value{kind: number, number: gap}
	}
	hours := math.Abs(float64(s.now.time-s.prev.time)) / 3600e9
	return value{kind: number, number: gap / hours} // +Inf where no time is between them
}

const earthKM = 6371.0088 // mean radius

// distance is the length of the great circle between two places, in km.
func distance(a, b place) float64 {
	const rad = math.Pi / 180
	sinLat, sinLon := math.Sin((b.lat-a.lat)*rad/2), math.Sin((b.lon-a.lon)*rad/2)
	h := sinLat*sinLat + math.Cos(a.lat*rad)*math.Cos(b.lat*rad)*sinLon*sinLon
	return 2 * earthKM * math.Asin(math.Sqrt(min(1, h)))
}

// severalValues tells that a field can have several values.
func severalValues(f query.Field) bool { return f.Key != "" || event.Fields[f.ID].Array }
