package rules

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/internal/conf"
)

// A define counts at each use as if it were written out, so that few lines do not become a tree of millions.
func TestDefinesThatMultiply(t *testing.T) {
	src := "define_a0 = user.name == \"x\" && user.id == \"y\"\n"
	for i := range 12 {
		src += fmt.Sprintf("define_a%d = a%d || (a%d && !a%d)\n", i+1, i, i, i)
	}
	c := readExprCase(t, []byte(src))
	c.read()
	ds := c.file.Diagnostics()
	if len(ds) != 1 || !strings.Contains(ds[0].Message, "more than 2000 parts") {
		t.Errorf("got %v", ds)
	}
	for name, e := range c.defines {
		nodes := 0
		Walk(e, func(Expr) bool { nodes++; return true })
		if nodes > maxNodes {
			t.Errorf("%s has %d nodes", name, nodes)
		}
	}
}

func TestLongExpressions(t *testing.T) {
	f := func(n int, want string) {
		t.Helper()
		group := "(" + strings.TrimSuffix(strings.Repeat(`prev.user.name == "x" || `, 100), " || ") + ")"
		c := readExprCase(t, []byte("fire = "+strings.TrimSuffix(strings.Repeat(group+" && ", n), " && ")+"\n"))
		c.read()
		got := ""
		if ds := c.file.Diagnostics(); len(ds) > 0 {
			got = ds[0].Message
		}
		if got != want {
			t.Errorf("%d: got %s", n, got)
		}
	}
	f(6, "")
	f(7, "the expression has more than 2000 parts, its defines written out")
}

func TestParseHours(t *testing.T) {
	f := func(text, zone, want string) {
		t.Helper()
		h, err := ParseHours(text, zone)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got := h.canonical(); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	f("mon-fri 07:00-19:00, sat 09:00-12:00", "", "mon 07:00-19:00, tue 07:00-19:00, wed 07:00-19:00, thu 07:00-19:00, fri 07:00-19:00, sat 09:00-12:00")
	f("Sunday 00:00-24:00", "UTC", "sun 00:00-24:00")
	f("sat 22:00-06:00", "UTC", "sat 22:00-24:00, sun 00:00-06:00")
	f("tue 20:00-00:00", "UTC", "tue 20:00-24:00")
	f("sat-mon 7:00-8:00", "UTC", "mon 07:00-08:00, sat 07:00-08:00, sun 07:00-08:00")
	f("mon wed 07:00-12:00 11:00-13:00 14:00-15:00, mon 15:00-16:00", "UTC", "mon 07:00-13:00 14:00-16:00, wed 07:00-13:00 14:00-15:00")
	f("08:00-09:00", "UTC", "mon 08:00-09:00, tue 08:00-09:00, wed 08:00-09:00, thu 08:00-09:00, fri 08:00-09:00, sat 08:00-09:00, sun 08:00-09:00")

	for _, bad := range []string{"", ",", "mon", "mon 07:00", "mon 07:00-", "mon 7:0-8:00", "mon 24:00-06:00", "mon 24:01-06:00", "mon-xyz 07:00-08:00", "mon- 07:00-08:00",
		"mon 007:00-08:00", "mon -7:00-8:00", "mon 07:00-08:00 tue", "mon 07:00-08:00-09:00"} {
		if h, err := ParseHours(bad, ""); err == nil {
			t.Errorf("%q: got %s", bad, h.canonical())
		}
	}
	for _, zone := range []string{"Local", "Nowhere/None", "../../etc/passwd"} {
		if _, err := ParseHours("mon 07:00-08:00", zone); err == nil {
			t.Errorf("zone %q is taken", zone)
		}
	}
}

// Hours are those of the clock on the wall, summer and winter.
func TestHoursWithin(t *testing.T) {
	h, err := ParseHours("mon-fri 07:00-19:00, fri 22:00-02:00", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f := func(at string, want bool) {
		t.Helper()
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if h.Within(when) != want {
			t.Errorf("%s: got %v", at, !want)
		}
	}
	f("2026-01-12T06:00:00Z", true) // a Monday, 07:00 in winter
	f("2026-01-12T05:59:59Z", false)
	f("2026-01-12T17:59:59Z", true)
	f("2026-01-12T18:00:00Z", false)
	f("2026-07-13T05:00:00Z", true) // 07:00 in summer
	f("2026-07-13T04:59:59Z", false)
	f("2026-01-16T21:30:00Z", true) // a Friday, 22:30
	f("2026-01-17T00:59:00Z", true) // the Saturday after, 01:59
	f("2026-01-17T01:00:00Z", false)
	f("2026-01-17T10:00:00Z", false)
}

func TestConstants(t *testing.T) {
	f := func(src string, want float64) {
		t.Helper()
		c := readExprCase(t, []byte("term = "+src+"\n"))
		n, ok := constNumber(c.reader("term").term(c.attrs[0].Expr))
		if !ok || math.Abs(n-want) > 1e-9 {
			t.Errorf("%s: got %v %v", src, n, c.file.Diagnostics())
		}
	}
	f("1 + 2 * 3", 7)
	f("(1 + 2) * -3", -9)
	f("7 % 4 - 10 / 4", 0.5)
	f(`duration("1h30m") / 60`, 90)
	f(`-duration("250ms")`, -0.25)
}

// FuzzCondition reads any text as every kind of expression: there is either a result or an error, never both, never neither.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{`failed && !(user.name == "x" || source.ip == null)`, `count() >= 3 * baseline("hour-of-week", "28d", 0.99)`,
		`[[source.ip], [lower(user.name), labels["a b"]]]`, `"${count()} of ${key}, $${x}"`, `in(coalesce(user.email, prev.user.name), ["a", 1])`,
		`contains(list.nets, change.source.ip) && outside("mon-fri 22:00-06:00", "UTC")`, `-time % 1e400 < duration("1y") ? a : [for x in y : x]`,
		`distinct([source.ip, hour("Europe/Berlin")]) > (1 - event.severity) / 0`, `matches(message, "%{if true}(%{endif}")`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		text := []byte(someDefines + "x = (" + src + "\n)\n")
		file, _ := conf.Parse("rule.hcl", text, conf.WithoutEnvironment())
		if file.Diagnostics().HasErrors() {
			return
		}
		parsed, diags := hclsyntax.ParseConfig(text, "rule.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			return
		}
		a := parsed.Body.(*hclsyntax.Body).Attributes["x"]
		if a == nil {
			return
		}
		for _, place := range []string{"when", "fire", "step"} {
			for kind := range 4 {
				c := readExprCase(t, []byte(someDefines))
				c.read()
				x := c.reader(place)
				made := false
				switch kind {
				case 0:
					e := x.condition(a.Expr)
					made = e != nil
					checkTree(t, e, true)
				case 1:
					e := x.term(a.Expr)
					made = e != nil
					checkTree(t, e, false)
				case 2:
					tpl := x.template(a.Expr)
					made = tpl != nil
				case 3:
					by, text := x.groupings(a.Expr)
					made = by != nil || !c.file.Diagnostics().HasErrors() // by = []
					if len(by) != len(text) {
						t.Errorf("%d groupings, %d texts", len(by), len(text))
					}
				}
				if failed := c.file.Diagnostics().HasErrors(); failed == made {
					t.Errorf("%s %d: result %v, errors %v: %v", place, kind, made, failed, c.file.Diagnostics())
				}
			}
		}
	})
}

func checkTree(t *testing.T, e Expr, condition bool) {
	if e == nil {
		return
	}
	if isCondition(e) != condition {
		t.Errorf("%s: a condition is %v", Canonical(e), !condition)
	}
	if text := Canonical(e); text == "" || strings.Contains(text, "*rules.") {
		t.Errorf("written as %q", text)
	}
	EventAlone(e)
	nodes := 0
	Walk(e, func(e Expr) bool {
		if nodes++; e == nil {
			t.Error("a nil within a tree")
		}
		return true
	})
	if nodes > 2*maxNodes {
		t.Errorf("%d nodes", nodes)
	}
}
