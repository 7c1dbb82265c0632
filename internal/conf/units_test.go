package conf

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	f := func(s string, want time.Duration) {
		t.Helper()
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	bad := func(s, want string) {
		t.Helper()
		if got, err := ParseDuration(s); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, %v, want %q", s, got, err, want)
		}
	}
	const day = 24 * time.Hour
	f("250ms", 250*time.Millisecond)
	f("15m", 15*time.Minute)
	f("1h30m", 90*time.Minute)
	f("1h 30m", 90*time.Minute)
	f("1.5h", 90*time.Minute)
	f("30d", 30*day)
	f("12w", 84*day)
	f("7y", 7*365*day)
	f("0s", 0)
	bad("", "empty")
	bad("15", "a unit is missing")
	bad("1h30", "a unit is missing")
	bad("m", "a number is missing")
	bad("-1s", "negative")
	bad("5 min", "the unit is not one of ns, us, ms, s, m, h, d, w, y")
	bad("5M", "the unit is not one of ns, us, ms, s, m, h, d, w, y")
	bad("1.2.3s", "not a number before the unit")
	bad("300y", "too large")
	bad("200y200y", "longer than 292 years")
	bad("99999999999999999999999999999999999999999999s", "too many digits")
}

func TestParseSize(t *testing.T) {
	f := func(s string, want int64) {
		t.Helper()
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	bad := func(s, want string) {
		t.Helper()
		if got, err := ParseSize(s); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, %v, want %q", s, got, err, want)
		}
	}
	f("512B", 512)
	f("64KiB", 65536)
	f("64 kib", 65536)
	f("10MB", 10_000_000)
	f("2GiB", 2<<30)
	f("1.5GiB", 3<<29)
	bad("", "empty")
	bad("64", "a unit is missing")
	bad("KiB", "a number is missing")
	bad("64K", "the unit is not one of B, KB, KiB, MB, MiB, GB, GiB, TB, TiB")
	bad("1GiB1MiB", "one number and one unit are enough")
	bad("9999999TiB", "too large")
	bad("-1B", "negative")
}

func TestFormat(t *testing.T) {
	d := func(v time.Duration, want string) {
		t.Helper()
		if got := FormatDuration(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
	d(0, "0s")
	d(90*time.Minute, "1h30m")
	d(1500*time.Millisecond, "1s500ms")
	d(30*24*time.Hour, "30d")
	d(7*365*24*time.Hour, "7y")
	if got := FormatSize(65536); got != "64KiB" {
		t.Error(got)
	}
	if got := FormatSize(10_000_000); got != "10MB" {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		if got, err := ParseSize(FormatSize(n)); err != nil || got != n {
			t.Fatalf("size %d -> %s -> %d, %v", n, FormatSize(n), got, err)
		}
		if got, err := ParseDuration(FormatDuration(time.Duration(n))); err != nil || got != time.Duration(n) {
			t.Fatalf("duration %d -> %s -> %d, %v", n, FormatDuration(time.Duration(n)), got, err)
		}
	})
}

func TestSuggest(t *testing.T) {
	known := []string{"paths", "parser", "max_line", "user.name", "linux_auth"}
	f := func(given, want string) {
		t.Helper()
		if got := Suggest(given, known); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
	f("path", "paths")
	f("prser", "parser")
	f("MaxLine", "max_line")
	f("max-line", "max_line")
	f("user_name", "user.name")
	f("linux_aut", "linux_auth")
	f("elephant", "")
	f("x", "")
	f("", "")
}
