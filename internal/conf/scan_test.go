package conf

import (
	"strings"
	"syscall"
	"testing"
)

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

// Each of these ends the process with a stack overflow, or comes near it, when it gets as far as the parser or evaluator.
func TestBombs(t *testing.T) {
	const n = 10_000
	f := func(name, src, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			file, ds := Parse("t.hcl", []byte(src))
			if !strings.Contains(ds.Error(), want) {
				t.Fatalf("got %.300q, want %q", ds.Error(), want)
			}
			decode(file) // no panic on what is left
		})
	}
	deep, long := "nested more than 64 deep", "more than 1000 operators"
	f("brackets", "a = "+strings.Repeat("[", 100_000), deep)
	f("closed brackets", "a = "+strings.Repeat("[", n)+strings.Repeat("]", n), deep)
	f("braces", "a = "+strings.Repeat("{a=", n), deep)
	f("parentheses", "a = "+strings.Repeat("(", n), deep)
	f("calls", "a = "+strings.Repeat("lower(", n), deep)
	f("blocks", strings.Repeat("a {\n", n), deep)
	f("templates", "a = "+strings.Repeat(`"${`, n), deep)
	f("heredoc", "a = "+strings.Repeat("<<A\n${", n), deep)
	f("template if", `a = "`+strings.Repeat("%{ if true }", n)+`"`, deep)
	f("template for", `a = "`+strings.Repeat("%{~ for x in [] ~}", n)+`"`, deep)
	f("hidden by a string", "a = \"[\"\nb = "+strings.Repeat("[", n), deep)
	f("wrong closers", "a = "+strings.Repeat("[}", n), deep)
	f("not", "a = "+strings.Repeat("!", n)+"true", long)
	f("minus", "a = "+strings.Repeat("-", n)+"1", long)
	f("sum", "a = 1"+strings.Repeat("+1", n), long)
	f("sum over lines", "a = (1"+strings.Repeat("\n+1", n)+")", long)
	f("sum over lines and comments", "a = (1"+strings.Repeat("\n\n# x\n/* y */\n+ # z\n1", n)+")", long)
	f("conditional", "a = "+strings.Repeat("true ? 1 : ", n)+"1", long)
	f("index", "a = x"+strings.Repeat("[0]", n), long)
	f("splat", "a = x"+strings.Repeat(".*", n), long)
	f("splat index", "a = x"+strings.Repeat("[*]", n), long)
	many := "more than 250000 words and brackets"
	f("brackets to the limit", strings.Repeat("[", maxFile), many)
	f("words", strings.Repeat("a\n", maxFile/2), many)
	f("strings", strings.Repeat("\"x\",", maxFile/4), many)
	f("templates in a string", "a = \""+strings.Repeat("${1}", maxFile/5)+"\"", many)
	f("size", strings.Repeat("#", maxFile+1), "larger than 4MiB")
}

// Deep-looking but harmless: what a real file may hold many of.
func TestScanAccepts(t *testing.T) {
	f := func(src string) {
		t.Helper()
		if _, ds := Parse("t.hcl", []byte(src)); len(ds) > 0 {
			t.Errorf("%.40q: %.300v", src, ds.Error())
		}
	}
	f("a = " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + "\n")
	f("a = [" + strings.Repeat("-1,\n", 5000) + "]\n")
	f("a = [" + strings.Repeat("[1],", 5000) + "]\n")
	f("a = {\n" + strings.Repeat("\"x\" : [1] # c\n", 5000) + "}\n")
	f(strings.Repeat("b { # c\n  a = [1] // c\n  c = -1 /* c */\n}\n", 5000))
	f("a = \"" + strings.Repeat("[({", 5000) + "\"\n")
	f("# " + strings.Repeat("[({", 5000) + "\n")
	f("a = <<E\n" + strings.Repeat("[({\n", 5000) + "E\n")
	f("a = \"" + strings.Repeat("${1}%{ if true }x%{ endif }", 2000) + "\"\n")
	f("a = x" + strings.Repeat(".y", 5000) + "\n")
	f("a = [" + strings.Repeat("\"[a-z]+ \\\"x\\\" (b|c)*\",\n", 50_000) + "]\n")
}

// An expression's value must not be far larger than its text.
func TestEvaluationBombs(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		file, _ := Parse("t.hcl", []byte("a = "+expr+"\n"))
		file.Body().Value("a")
		if got := file.Diagnostics().Error(); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
	f(`"${1e999999999}"`, "out of range")
	f(`format("%999999999d", 1)`, "more than three digits")
	f(`format("%.999999999f", 1)`, "more than three digits")
	f(`[for a in [1, 2] : [for b in [1, 2] : b]]`, "for expressions are not available")
	f(`"%{ for a in [1] }x%{ endfor }"`, "for expressions are not available")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a = 1\n", "input \"file\" \"x\" {\n paths = [\"a\"]\n}\n", "a = \"${env(\"X\")}\"", "a = <<E\nx\nE\n", "time = { a = [1], (\"b\") = 2 }",
		"codes = { \"x\" = { \"1\" = { name = \"a\" } } }", "size = 64KiB\n", "a = format(\"%5d\", 1)", "when = a.b == \"x\" && !c", "a = [[{", "\xff\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, _ := Parse("fuzz.hcl", src, WithEnv(testEnv), func(f *File) { f.noEnvironment = len(src)%2 == 0 })
		decode(file)
		for _, name := range []string{"a", "x", "time", "codes"} {
			file.Body().Value(name)
			file.Body().Object(name)
			file.Body().Pairs(name)
		}
		ds := file.Diagnostics()
		if len(ds) > maxDiagnostics+1 {
			t.Fatalf("%d diagnostics", len(ds))
		}
		var sb strings.Builder
		if err := ds.Write(&sb, true); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(ds.Error(), "\n") {
			if line != "" && !strings.HasPrefix(line, "fuzz.hcl") {
				t.Fatalf("a line without its place: %q", line)
			}
		}
	})
}
