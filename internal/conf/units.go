package conf

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

type unit struct {
	name string
	size int64
}

// A day is 24 hours, a week 7 days and a year 365 days: these are lengths (retention, windows), not calendar steps.
var durationUnits = []unit{
	{"y", int64(365 * 24 * time.Hour)}, {"w", int64(7 * 24 * time.Hour)}, {"d", int64(24 * time.Hour)},
	{"h", int64(time.Hour)}, {"m", int64(time.Minute)}, {"s", int64(time.Second)},
	{"ms", int64(time.Millisecond)}, {"us", int64(time.Microsecond)}, {"ns", 1},
}

// Largest first, powers of 1024 before powers of 1000 of the same letter.
var sizeUnits = []unit{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1},
}

// ParseDuration reads "250ms", "15m", "1h30m", "1.5h", "30d", "12w", "7y": numbers with the units ns, us, ms, s, m, h,
// d (24 h), w (7 d) and y (365 d). Errors do not repeat s, which may be a secret that landed in the wrong place.
func ParseDuration(s string) (time.Duration, error) {
	rest := strings.TrimSpace(s)
	if rest == "" {
		return 0, errors.New("empty")
	}
	if rest[0] == '-' {
		return 0, errors.New("negative")
	}
	var total int64
	for rest != "" {
		number, name, after := cutQuantity(rest)
		rest = after
		if number == "" {
			return 0, errors.New("a number is missing")
		}
		if name == "" {
			return 0, errors.New("a unit is missing")
		}
		n, err := multiply(number, name, durationUnits, false)
		if err != nil {
			return 0, err
		}
		if total > math.MaxInt64-n {
			return 0, errors.New("longer than 292 years")
		}
		total += n
	}
	return time.Duration(total), nil
}

// ParseSize reads "512B", "64KiB", "10MB", "2GiB", "1.5GiB": KiB, MiB, GiB, TiB are powers of 1024; KB, MB, GB, TB
// powers of 1000; letter case does not matter. Errors do not repeat s.
func ParseSize(s string) (int64, error) {
	rest := strings.TrimSpace(s)
	if rest == "" {
		return 0, errors.New("empty")
	}
	if rest[0] == '-' {
		return 0, errors.New("negative")
	}
	number, name, after := cutQuantity(rest)
	switch {
	case number == "":
		return 0, errors.New("a number is missing")
	case name == "":
		return 0, errors.New("a unit is missing")
	case after != "":
		return 0, errors.New("one number and one unit are enough")
	}
	return multiply(number, name, sizeUnits, true)
}

// cutQuantity splits "1h30m" into "1", "h", "30m"; blanks between number and unit are allowed.
func cutQuantity(s string) (number, name, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	number, s = s[:i], strings.TrimLeft(s[i:], " ")
	i = 0
	for i < len(s) && s[i] != ' ' && s[i] != '.' && (s[i] < '0' || s[i] > '9') {
		i++
	}
	return number, s[:i], strings.TrimLeft(s[i:], " ")
}

func multiply(number, name string, units []unit, anyCase bool) (int64, error) {
	if len(number) > 40 {
		return 0, errors.New("too many digits")
	}
	n, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, errors.New("not a number before the unit")
	}
	for _, u := range units {
		if u.name != name && (!anyCase || !strings.EqualFold(u.name, name)) {
			continue
		}
		n.Mul(n, new(big.Rat).SetInt64(u.size))
		whole := new(big.Int).Quo(n.Num(), n.Denom())
		if !whole.IsInt64() {
			return 0, errors.New("too large")
		}
		return whole.Int64(), nil
	}
	names := make([]string, len(units))
	for i, u := range units {
		names[len(units)-1-i] = u.name
	}
	return 0, fmt.Errorf("the unit is not one of %s", strings.Join(names, ", "))
}

// FormatSize writes n so that ParseSize gives it back, with the largest unit that divides it.
func FormatSize(n int64) string {
	if n == 0 {
		return "0B"
	}
	for _, u := range sizeUnits {
		if n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B" // not reached: B divides all
}

// FormatDuration writes d so that ParseDuration gives it back: "30d", "1h30m".
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	if d < 0 {
		return "-" + FormatDuration(-max(d, -math.MaxInt64))
	}
	for _, u := range durationUnits {
		// "52w" for a year less a day would be right but hard to read: one unit where it divides, else h, m, s.
		if int64(d)%u.size == 0 && u.size >= int64(24*time.Hour) {
			return strconv.FormatInt(int64(d)/u.size, 10) + u.name
		}
	}
	var sb strings.Builder
	for _, u := range durationUnits[2:] {
		if n := int64(d) / u.size; n > 0 {
			sb.WriteString(strconv.FormatInt(n, 10) + u.name)
			d -= time.Duration(n * u.size)
		}
	}
	return sb.String()
}
