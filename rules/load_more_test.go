package rules

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// loadOne loads one rule file without errors.
func loadOne(t *testing.T, text string) *Set {
	t.Helper()
	s := Load(LoadOptions{Tests: true}, Source{Name: "rules.hcl", Text: []byte(text)})
	if s.Problems.HasErrors() {
		t.Fatal(s.Problems)
	}
	return s
}

// TestLoadSharedExample: the example of the language's design is read whole.
func TestLoadSharedExample(t *testing.T) {
	text, err := os.ReadFile(testkit.Shared(t, "example-rules.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // the list that it refers to
	if err := os.Mkdir(filepath.Join(dir, "lists"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lists", "admins.txt"), []byte("alice # of the operators\nBob\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Load(LoadOptions{Tests: true}, Source{Name: "example-rules.hcl", Text: text, Dir: dir})
	if len(s.Problems) > 0 {
		t.Fatal(s.Problems)
	}
	tests := 0
	for _, r := range s.Rules {
		tests += len(r.Tests)
	}
	if len(s.Rules) != 13 || tests != 5 {
		t.Errorf("%d rules and %d tests, want 13 and 5", len(s.Rules), tests)
	}
	admins := s.Lists["admins"]
	if !admins.Contains("alice") || admins.Contains("bob") || !admins.ContainsFold("bob") || admins.ContainsFold("carol") {
		t.Errorf("the list of admins holds %q", admins.Values)
	}
}

// TestLoadRefusesHugeFiles: what would overflow a stack or fill the memory is refused before it is parsed.
func TestLoadRefusesHugeFiles(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s := Load(LoadOptions{Tests: true}, Source{Name: "rules.hcl", Text: []byte(text)})
		if !s.Problems.HasErrors() || !strings.Contains(s.Problems.Error(), want) {
			t.Errorf("want %q, got %v", want, s.Problems)
		}
	}
	f(`rule "a" { when = `+strings.Repeat("(", 100_000)+"true"+strings.Repeat(")", 100_000)+` }`, "nested more than")
	f(`rule "a" { when = `+strings.Repeat("!", 100_000)+"true }", "more than 1000 operators")
	f(strings.Repeat("#", 5<<20), "larger than 4MiB")
	f(strings.Repeat("a ", 300_000), "more than 250000 words")
	chain := "define \"d0\" { when = event.action == \"login\" }\n"
	for i := 1; i < 20; i++ {
		chain += "define \"d" + string(rune('a'+i)) + "\" { when = " + strings.Repeat("d"+map[bool]string{true: "0", false: string(rune('a' + i - 1))}[i == 1]+" || ", 9) + "false }\n"
	}
	f(chain, "more than 2000 parts")
}

// TestTestBlocksAreBounded: a few lines of a test block neither fill the memory nor take long.
func TestTestBlocksAreBounded(t *testing.T) {
	f := func(events string) {
		t.Helper()
		text := "rule \"a\" {\n when = event.action == \"login\"\n test \"x\" {\n events = " + events + "\n expect = []\n }\n}\n"
		var s *Set
		took := testkit.CPU(t, func() { s = Load(LoadOptions{Tests: true}, Source{Name: "rules.hcl", Text: []byte(text)}) })
		if !s.Problems.HasErrors() {
			t.Errorf("%.60s: no error", events)
		}
		t.Logf("%.40s: %v", events, took)
		if took > 40*time.Second { // a second or two; the race detector takes four times as much on a loaded machine
			t.Errorf("%.60s: took %v", events, took)
		}
	}
	f(`[for i in range(100000) : [for j in range(100000) : login_ok("+0m", "a", "192.0.2.1")]]`)
	f(`range(1000000000)`)
	f(`[for i in range(100001) : login_ok("+0m", "a", "192.0.2.1")]`)
	f(`flatten([for a in range(1000) : [for b in range(1000) : [for c in range(1000) : 1]]])`)
	doubled := `"x"`
	for range 60 {
		doubled = `[for v in [` + doubled + `] : "${v}${v}"][0]`
	}
	f(doubled)
	tuple := `[1]`
	for range 8 {
		tuple = `[for v in [` + tuple + `] : [` + strings.Repeat("v, ", 200) + `]]`
	}
	f(tuple)
	f(`[for i in range(3) : join("` + strings.Repeat("x", 100_000) + `", [for k in range(100000) : "a"])]`)
	f(`[for i in range(3) : format("%999999999d", i)]`)
	f(`[for i in range(3) : concat(` + strings.Repeat("range(100000), ", 1000) + `[])]`)
	f(`[for n in [1e308] : [for m in [n * n] : [for o in [m * m] : "${o * o * o * o}"]]]`)
}

// TestListFileStaysBeneath: a list cannot read what is outside of the folder of the rules.
func TestListFileStaysBeneath(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "rules.d")
	if err := os.MkdirAll(filepath.Join(dir, "lists"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(outer, "secret"): "hunter2\n", filepath.Join(dir, "lists", "real"): "a\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"lists/out": "../../secret", "lists/abs": filepath.Join(outer, "secret"), "lists/in": "real", "up": ".."} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(path string, ok bool) {
		t.Helper()
		s := Load(LoadOptions{}, Source{Name: "r.hcl", Dir: dir, Text: []byte("list \"l\" {\n  file = \"" + path + "\"\n}\n")})
		if s.Problems.HasErrors() == ok {
			t.Errorf("%s: %v", path, s.Problems)
		}
		if l := s.Lists["l"]; ok && (l == nil || !slices.Equal(l.Values, []string{"a"})) || !ok && l != nil {
			t.Errorf("%s: %+v", path, l)
		}
	}
	f("lists/real", true)
	f("./lists/../lists/real", true)
	f("lists/in", true)
	f("lists/out", false)
	f("lists/abs", false)
	f("up/secret", false)
	f("../secret", false)
	f(filepath.Join(outer, "secret"), false)
	f("lists", false)
	f("", false)
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"20.hcl", "10.hcl", "note.txt", ".hidden.hcl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("# "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("note.txt", filepath.Join(dir, "30.hcl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.hcl"), 0o700); err != nil {
		t.Fatal(err)
	}
	names := func(sources []Source, err error) string {
		if err != nil {
			return err.Error()
		}
		var all []string
		for _, s := range sources {
			all = append(all, strings.TrimPrefix(s.Name, dir+"/"))
			if s.Dir != dir || s.Library || !strings.HasPrefix(string(s.Text), "# ") {
				t.Errorf("%+v", s)
			}
		}
		return strings.Join(all, " ")
	}
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(names(ReadDir(dir)), "10.hcl 20.hcl 30.hcl")
	f(names(ReadFiles([]string{dir + "/2*.hcl", dir + "/[0-9]*.hcl", dir + "/none*.hcl"})), "20.hcl 10.hcl 30.hcl")
	if _, err := ReadFiles([]string{dir + "/missing.hcl"}); err == nil {
		t.Error("a file that is not there is no error")
	}
	if _, err := ReadDir(dir + "/missing"); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

// TestMeaning: what decides a detection changes its meaning, everything else leaves it.
func TestMeaning(t *testing.T) {
	const base = `
list "l" { values = ["a"] }
define "failed" { when = event.action == "login" && event.outcome == "failure" }
rule "r" {
  title  = "t"
  when   = failed && in_list(user.name, list.l)
  by     = [source.ip]
  window = "15m"
  fire   = count() >= 5
  except "e" {
    when    = source.ip == "192.0.2.1"
    reason  = "x"
    expires = "2027-01-01"
  }
}
rule "s" {
  by = [user.name]
  sequence {
    within = "1h"
    step "a" { when = failed }
    step "b" { when = event.action == "logout" && source.ip != a.source.ip }
  }
}
`
	meanings := func(text string) string {
		t.Helper()
		s := loadOne(t, text)
		return s.Rules[0].Meaning + s.Rules[1].Meaning
	}
	was := meanings(base)
	f := func(old, new string, same bool) {
		t.Helper()
		if !strings.Contains(base, old) {
			t.Fatalf("no %q", old)
		}
		if got := meanings(strings.ReplaceAll(base, old, new)) == was; got != same {
			t.Errorf("%q for %q: same is %v, want %v", new, old, got, same)
		}
	}
	f(`"t"`, `"another"`, true)
	f(`["a"]`, `["b", "c"]`, true)
	f(`"x"`, `"y"`, true)
	f(`2027`, `2028`, true)
	f(`  title  = "t"`, "  severity = \"high\"\n  mode = \"shadow\"\n", true)
	f(`failed && in_list`, `(event.action == "login" && (event.outcome == "failure")) && in_list`, true)
	f(`when   = failed`, `when   = event.kind == "event" && failed`, true)
	f(`"15m"`, `"900s"`, true)
	f(`"15m"`, `"16m"`, false)
	f(`>= 5`, `>= 6`, false)
	f(`[source.ip]`, `[source.ip, user.name]`, false)
	f(`192.0.2.1`, `192.0.2.2`, false)
	f(`"failure"`, `"success"`, false)
	f(`"1h"`, `"2h"`, false)
	f(`step "b" {`, `without "b" {`, false)
}

// TestLoadTests: times, and functions of test blocks.
func TestTestTimes(t *testing.T) {
	s := loadOne(t, `
rule "r" {
  when = event.action == "login"
  by   = [user.name]
  test "x" {
    start  = "2026-03-01T00:00:00Z"
    events = [login_ok("-1d", "a", "192.0.2.1"), event("2026-03-02T01:00:00+01:00", { "user.name" = "b" })]
    expect = [{ at = "-1d", key = ["a"] }, { at = "2026-03-02T00:00:00Z", key = ["b"], count = 2 }]
    until  = "+2h"
  }
}`)
	q := s.Rules[0].Tests[0]
	if got := q.Events[0].At; !got.Equal(time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the first event is at %v", got)
	}
	if got := q.Events[1].At; !got.Equal(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the second event is at %v", got)
	}
	if q.Expect[0].At != -24*time.Hour || q.Expect[1].At != 24*time.Hour || q.Expect[1].Count != 2 || q.Until != 2*time.Hour {
		t.Errorf("%+v", q)
	}
}

func TestLists(t *testing.T) {
	f := func(kind ListKind, values []string, text string, plain, fold bool) {
		t.Helper()
		l, err := NewList("l", kind, values)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Contains(text); got != plain {
			t.Errorf("%q in %q: %v", text, values, got)
		}
		if got := l.ContainsFold(text); got != fold {
			t.Errorf("%q in %q whatever the letter case: %v", text, values, got)
		}
	}
	f(ListExact, []string{"Bob", "x"}, "Bob", true, true)
	f(ListExact, []string{"Bob", "x"}, "bob", false, true)
	f(ListExact, []string{"Bob", "x"}, "alice", false, false)
	f(ListExact, []string{"13335"}, "13335", true, true)
	f(ListExact, []string{"2001:DB8:0::1"}, "2001:db8::1", true, true)
	f(ListExact, nil, "", false, false)
	f(ListCIDR, []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}, "10.1.2.3", true, true)
	f(ListCIDR, []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}, "192.0.2.7", true, true)
	f(ListCIDR, []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}, "192.0.2.8", false, false)
	f(ListCIDR, []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}, "::ffff:10.1.2.3", true, true)
	f(ListCIDR, []string{"::ffff:10.0.0.0/104"}, "10.1.2.3", true, true)
	f(ListCIDR, []string{"2001:db8::/32"}, "2001:db8:1::9", true, true)
	f(ListCIDR, []string{"0.0.0.0/0"}, "2001:db8:1::9", false, false)
	f(ListCIDR, []string{"10.0.0.0/8"}, "bob", false, false)
	f(ListRegex, []string{"^svc-", "[0-9]$"}, "svc-x", true, true)
	f(ListRegex, []string{"^SVC-"}, "svc-x", false, true)
	f(ListRegex, []string{"^svc-"}, "my-svc-", false, false)
}

// TestAttackTable: every entry has a name, tactics that exist, and of a sub-technique the parent.
func TestAttackTable(t *testing.T) {
	for id, entry := range techniques {
		got, known := TechniqueByID(id)
		if !validTechnique(id) || !known || got.Name == "" || len(got.TacticIDs) == 0 || slices.Contains(got.TacticNames, "") {
			t.Errorf("%s: %+v", id, got)
		}
		if parent, _, isSub := strings.Cut(id, "."); isSub {
			if techniques[parent].name == "" || got.ParentName == "" || got.ParentID != parent {
				t.Errorf("%s has no parent: %+v", id, got)
			}
		} else if entry.tactics == "" {
			t.Errorf("%s has no tactics", id)
		}
	}
	got, known := TechniqueByID("T1110.099")
	if known || got.ID != "T1110.099" || got.ParentName != "Brute Force" || !slices.Equal(got.TacticIDs, []string{"TA0006"}) {
		t.Errorf("unknown sub-technique: %+v", got)
	}
}

// FuzzLoad: whatever stands in a rule file, Load ends, and a Set without errors is whole.
func FuzzLoad(f *testing.F) {
	cases, _ := filepath.Glob("testdata/load/*.txtar")
	for _, path := range cases {
		if text, err := os.ReadFile(path); err == nil {
			_, rest, _ := strings.Cut(string(text), "-- input --\n")
			input, _, _ := strings.Cut(rest, "\n-- ")
			f.Add(input)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := Load(LoadOptions{Tests: true}, Source{Name: "rules.hcl", Text: []byte(text)})
		Lint(s, time.Unix(0, 0), func(string) bool { return false })
		if s.Problems.HasErrors() {
			return
		}
		for _, r := range s.Rules {
			if len(r.filters()) == 0 || r.Title == nil || r.Meaning == "" {
				t.Errorf("rule %s is not whole: %+v", r.ID, r)
			}
			for _, e := range r.Except {
				if e.When == nil {
					t.Errorf("rule %s has an empty exception", r.ID)
				}
			}
		}
	})
}

// TestDocsExamples: all examples of docs/rules.md together are a rule file without errors, in which each rule is another one.
func TestDocsExamples(t *testing.T) {
	page, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i, part := range strings.Split(string(page), "```") {
		if code, ok := strings.CutPrefix(part, "hcl\n"); ok && i%2 == 1 {
			text.WriteString(code + "\n")
		}
	}
	s := loadOne(t, text.String())
	if len(s.Problems) > 0 || len(s.Rules) < 8 {
		t.Errorf("%d rules, %v", len(s.Rules), s.Problems)
	}
	for _, f := range functions {
		if !strings.Contains(string(page), f.name) {
			t.Errorf("docs/rules.md does not explain %s()", f.name)
		}
	}
}
