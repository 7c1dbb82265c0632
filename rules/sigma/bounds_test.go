package sigma_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/sigma"
)

func ruleOf(detection string) string {
	return "title: T\nstatus: stable\nlevel: low\nlogsource: {product: gatebook}\ndetection:\n" + detection
}

// TestBounds gives what grows out of little text, or is deep: it is refused.
func TestBounds(t *testing.T) {
	f := func(name, yaml, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			r, err := sigma.Import("x", []byte(yaml), sigma.Options{})
			if len(r.Rules) > 0 {
				t.Errorf("%d rules were written", len(r.Rules))
			}
			var told []string
			for _, one := range r.Reports {
				told = append(told, one.String())
			}
			if err != nil {
				told = append(told, err.Error())
			}
			if all := strings.Join(told, "\n"); !strings.Contains(all, want) {
				t.Errorf("told %.300q, want %q", all, want)
			}
		})
	}
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 6), ", "))
	}
	f("a billion laughs", laughs.String(), "more than")
	f("an alias within itself", "a: &a [*a]", "nested more than")
	f("deep", strings.Repeat("[", 5000)+strings.Repeat("]", 5000), "nested more than")
	f("very deep", strings.Repeat("[", 500_000), "read x:")
	f("long", strings.Repeat("#", 2<<20), "longer than")
	f("many values", "a: ["+strings.Repeat("x,", 30_000)+"]", "more than 20000 values")
	f("many documents", strings.Repeat("--- {a: 1}\n", 6000), "more than 5000 documents")
	f("parentheses", ruleOf("  s: {user.name: x}\n  condition: '"+strings.Repeat("(", 500)+"s"+strings.Repeat(")", 500)+"'"), "nested more than 20 deep")
	f("not not", ruleOf("  s: {user.name: x}\n  condition: '"+strings.Repeat("not ", 500)+"s'"), "nested more than 20 deep")
	f("long condition", ruleOf("  s: {user.name: x}\n  condition: '"+strings.Repeat("s or ", 5000)+"s'"), "more than 2000 words")
	f("a large selection used often", ruleOf("  s: {user.name: ["+strings.Repeat("xxxxxxxxxxxxxxxx, ", 10_000)+"y]}\n  condition: '"+strings.Repeat("s or ", 900)+"s'"), "too large")
	f("many parts", ruleOf("  s: {user.id|contains: ["+strings.Repeat("x, ", 1500)+"y]}\n  condition: s"), "too large")
	f("a long pattern", ruleOf("  s: {user.id|re: '"+strings.Repeat("x", 10_000)+"'}\n  condition: s"), "more than 4096")
	f("a pattern that explodes", ruleOf("  s: {user.id|re: '((x{100}){100}){100}'}\n  condition: s"), "RE2 does not take")
	f("a long name", ruleOf("  s: {"+strings.Repeat("x", 1000)+": x}\n  condition: s"), "more than 128")
	f("no YAML", "a: [", "read x:")
	f("not UTF-8", "title: \xff\xfe\xfd", "read x:")
	f("nothing", "", "")
}

// TestLargestRuleRuns holds the bounds against what loader and engine take.
func TestLargestRuleRuns(t *testing.T) {
	r, err := sigma.Import("x", []byte(ruleOf("  s: {user.id|contains: ["+strings.Repeat("x, ", 890)+"y]}\n  condition: s")), sigma.Options{})
	if err != nil || len(r.Rules) != 1 {
		t.Fatalf("%v %v", err, r.Reports)
	}
	if _, err := engine.New(engine.Options{Rules: loads(t, r), Alert: func(*engine.Alert) {}}); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	yaml := []byte(ruleOf("  s: {LogonId: x, user: y}\n  condition: s"))
	r, err := sigma.Import("x", yaml, sigma.Options{Fields: map[string]string{"LogonId": "labels.logon id", "user": "user.id"},
		Taken: func(id string) bool { return id == "sigma.t" }})
	if err != nil || len(r.Rules) != 1 || r.Rules[0].ID != "sigma.t_2" {
		t.Fatalf("%v %+v %v", err, r.Rules, r.Reports)
	}
	if s := string(r.HCL); !strings.Contains(s, `lower(labels.logon_id) == "x" && lower(user.id) == "y"`) {
		t.Error(s)
	}
	if _, err := sigma.Import("x", yaml, sigma.Options{Fields: map[string]string{"LogonId": "no.field"}}); err == nil || !strings.Contains(err.Error(), "LogonId") {
		t.Errorf("error %v", err)
	}
}

// TestBrokenFile keeps what stands before the place where a file is no YAML, and other files.
func TestBrokenFile(t *testing.T) {
	whole := ruleOf("  s: {user.id: x}\n  condition: s\n")
	r, err := sigma.ImportFiles([]sigma.File{{Name: "a.yml", Text: []byte(whole + "---\na: [\n")}, {Name: "b.yml", Text: []byte(whole)}}, sigma.Options{})
	if err == nil || !strings.Contains(err.Error(), "read a.yml:") || len(r.Rules) != 2 {
		t.Errorf("%v, %d rules", err, len(r.Rules))
	}
}

// TestWildcards holds values with wildcards against a plain reading of Sigma's specification.
func TestWildcards(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string, most int) string {
		var b strings.Builder
		for range rnd.IntN(most) {
			b.WriteString(from[rnd.IntN(len(from))])
		}
		return b.String()
	}
	matched := 0
	for range 3000 {
		value := pick([]string{"a", "B", "*", "?", `\`, `\*`, `\?`, ".", "${", "ä"}, 6)
		r, err := sigma.Import("x", []byte(ruleOf("  s: {labels.x: '"+value+"'}\n  condition: s")), sigma.Options{})
		if err != nil || len(r.Rules) != 1 {
			t.Fatalf("%q: %v %v", value, err, r.Reports)
		}
		set := loads(t, r)
		for range 20 {
			text := pick([]string{"a", "b", "A", "*", "?", `\`, ".", "${", "Ä", "\n"}, 6)
			if text == "" {
				continue
			}
			ev := &event.Event{Labels: []event.Label{{Key: "x", Value: text}}}
			want := glob([]rune(strings.ToLower(value)), []rune(strings.ToLower(text)))
			if got := holds(set.Rules[0].When, ev); got != want {
				t.Fatalf("value %q, text %q: %v, want %v\n%s", value, text, got, want, r.HCL)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d texts match: the test says little", matched)
	}
}

// glob reads a value character by character.
func glob(v, s []rune) bool {
	if len(v) == 0 {
		return len(s) == 0
	}
	switch {
	case v[0] == '\\' && len(v) > 1 && strings.ContainsRune(`*?\`, v[1]):
		return len(s) > 0 && s[0] == v[1] && glob(v[2:], s[1:])
	case v[0] == '*':
		return glob(v[1:], s) || len(s) > 0 && glob(v, s[1:])
	case v[0] == '?':
		return len(s) > 0 && glob(v[1:], s[1:])
	}
	return len(s) > 0 && s[0] == v[0] && glob(v[1:], s[1:])
}

// holds evaluates conditions of one event.
func holds(e rules.Expr, ev *event.Event) bool {
	switch e := e.(type) {
	case *rules.Match:
		return query.Compile(e.Of)(ev)
	case *rules.And:
		for _, one := range e.Of {
			if !holds(one, ev) {
				return false
			}
		}
		return true
	case *rules.Or:
		for _, one := range e.Of {
			if holds(one, ev) {
				return true
			}
		}
		return false
	case *rules.Not:
		return !holds(e.Of, ev)
	}
	panic(fmt.Sprintf("%T", e))
}

func FuzzImport(f *testing.F) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		f.Fatal("no cases", err)
	}
	for _, path := range cases {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		ar := txtar.Parse(text)
		f.Add(append(testkit.File(ar, "input"), testkit.File(ar, "more")...))
	}
	f.Fuzz(func(t *testing.T, yaml []byte) {
		if len(yaml) > 64<<10 {
			return
		}
		r, _ := sigma.Import("fuzz", yaml, sigma.Options{})
		loads(t, r)
	})
}
