package event

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Time is a point in time: nanoseconds since the Unix epoch, UTC. Zero is absent.
type Time int64

// TimeOf converts; the zero time.Time is absent.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixNano())
}

// Std returns the time in UTC; the zero time.Time where absent.
func (t Time) Std() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}

// String is RFC 3339 with milliseconds or finer.
func (t Time) String() string { return string(t.Append(nil)) }

// Append appends RFC 3339 in UTC: three digits of a second, nine where the time is finer than milliseconds.
func (t Time) Append(dst []byte) []byte {
	if t%1e6 == 0 {
		return t.Std().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	}
	return t.Std().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
}

// Long is an optional whole number (Elasticsearch type long).
type Long struct {
	N     int64
	Valid bool
}

// LongOf is a present number.
func LongOf(n int64) Long { return Long{n, true} }

// Float is an optional number.
type Float struct {
	F     float64
	Valid bool
}

// Bool is an optional truth value; the zero value is absent.
type Bool uint8

// The values of Bool.
const (
	Absent Bool = iota
	False
	True
)

// BoolOf is a present value.
func BoolOf(b bool) Bool {
	if b {
		return True
	}
	return False
}

// GeoPoint is an optional place, WGS 84 degrees.
type GeoPoint struct {
	Lat, Lon float64
	Valid    bool
}

// Raw is a JSON text that is written as it stands. Whoever sets it has made sure that it is valid JSON.
type Raw string

// Value is the content of one field as the back ends compare it. Kind says which member holds it.
type Value struct {
	Kind ValueKind
	Str  string
	Int  int64 // long; nanoseconds for dates; 0 or 1 for booleans
	Num  float64
	List []string
}

// ValueKind tells the members of Value apart.
type ValueKind uint8

// The kinds of Value.
const (
	None ValueKind = iota
	Str
	Int
	Num
	Date
	Truth
	List
	JSON
)

// Text renders the value as a question would show it.
func (v Value) Text() string {
	switch v.Kind {
	case Str, JSON:
		return v.Str
	case Int:
		return strconv.FormatInt(v.Int, 10)
	case Num:
		return strconv.FormatFloat(v.Num, 'g', -1, 64)
	case Date:
		return Time(v.Int).String()
	case Truth:
		return strconv.FormatBool(v.Int != 0)
	case List:
		return fmt.Sprint(v.List)
	}
	return ""
}

// ErrUnknownField is returned by Set for a name that is not in the table or that only Gatebook itself sets.
var ErrUnknownField = errors.New("no such field")

// ValueError says that a text does not fit the type of its field.
type ValueError struct {
	Field string
	Type  Type
	Text  string
}

func (e *ValueError) Error() string {
	t := e.Text
	if len(t) > 40 {
		t = t[:40] + "..."
	}
	return fmt.Sprintf("%s: %q is not of type %s", e.Field, t, e.Type)
}
