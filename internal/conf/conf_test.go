package conf

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the errors that came into the golden cases")

// f-test helper of this file: a secret that no message may show, in the variable SECRET.
const testSecret = "hunter2-hunter2"

func testEnv(name string) (string, bool) {
	v, ok := map[string]string{
		"SECRET": testSecret, "SHORT": "pw", "PORT": "9200", "YES": "true", "EMPTY": "", "QUOTED": "a\"b\\c-secret",
	}[name]
	return v, ok
}

// decode reads the golden cases: the schema below holds a name for every getter.
func decode(f *File) {
	b := f.Body()
	b.String("string", "")
	b.Bool("bool", false)
	b.Int("int", 5, 1, 10)
	b.Int("port", 0, 0, 0)
	b.Float("float", 0.5, 0, 1)
	b.Duration("duration", time.Minute, time.Second, time.Hour)
	b.Size("size", 64<<10, 1<<10, 1<<20)
	b.Strings("strings")
	b.StringMap("map")
	b.Enum("enum", "block", "block", "drop-oldest")
	b.Regexp("regexp")
	b.Location("location", time.UTC)
	b.Expr("expr")
	b.Value("value")
	if o := b.Object("time"); o != nil {
		o.RequiredString("field")
		o.Strings("layouts")
	}
	for i, o := range b.Objects("objects") {
		if o.RequiredString("name") == "bad" {
			o.Errorf("name", "object %d is bad", i)
		}
	}
	if o := b.Object("codes"); o != nil {
		for _, field := range o.Keys() {
			codes := o.Object(field.Name)
			if codes == nil {
				continue
			}
			for _, code := range codes.Keys() {
				if c := codes.Object(code.Name); c != nil {
					c.RequiredString("name")
					c.Enum("outcome", "unknown", "success", "failure", "unknown")
				}
			}
		}
	}
	for _, in := range b.Blocks("input", 2) {
		decodeInput(in)
	}
	for _, p := range b.Blocks("parser", 1) {
		p.Body.String("dataset", "")
		p.Body.Close()
	}
	if k := b.Block("tls"); k != nil {
		k.Body.RequiredString("cert")
		k.Body.Close()
	}
	if url := b.String("url", ""); strings.HasPrefix(url, "bad") || url == testSecret || b.Sensitive("url") {
		b.Errorf("url", "cannot parse %q", url)
	}
	if b.Has("old") {
		b.String("old", "")
		b.Warnf("old", "is going away")
	}
	b.Close()
}

// decodeInput is the second step: a component reads its own block.
func decodeInput(in *Block) {
	if in.Labels[0] != "file" {
		in.LabelErrorf(0, "unknown input %q", in.Labels[0])
		return
	}
	in.Body.Require("paths", `["/var/log/auth.log"]`)
	in.Body.Strings("paths")
	in.Body.Size("max_line", 64<<10, 1<<10, 0)
	if m := in.Body.Block("multiline"); m != nil {
		m.Body.Regexp("start")
		m.Body.Close()
	}
	in.Body.Close()
}

// TestGolden: each case is input.hcl, files beside it, and "want": what Write prints with source lines.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var input, want []byte
			dir := t.TempDir()
			for _, file := range ar.Files {
				switch file.Name {
				case "input.hcl":
					input = file.Data
				case "want":
					want = file.Data
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, file.Name), file.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			opts := []Option{WithEnv(testEnv)}
			if strings.Contains(string(ar.Comment), "without environment") {
				opts = append(opts, WithoutEnvironment())
			}
			f, _ := Parse(filepath.Join(dir, "input.hcl"), input, opts...)
			decode(f)
			var sb strings.Builder
			if err := f.Diagnostics().Write(&sb, true); err != nil {
				t.Fatal(err)
			}
			// Only the source line may hold what the author wrote; no line may hold what env() gave.
			got := strings.ReplaceAll(sb.String(), dir+"/", "")
			if strings.Contains(got, testSecret) {
				t.Errorf("the secret is shown:\n%s", got)
			}
			if *update {
				writeWant(t, path, ar, got)
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func writeWant(t *testing.T, path string, ar *txtar.Archive, got string) {
	t.Helper()
	files := ar.Files[:0]
	for _, file := range ar.Files {
		if file.Name != "want" {
			files = append(files, file)
		}
	}
	ar.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
		t.Fatal(err)
	}
}

// parse is for tests of right values: no diagnostics are expected.
func parse(t *testing.T, src string) *Body {
	t.Helper()
	f, ds := Parse("test.hcl", []byte(src), WithEnv(testEnv))
	if len(ds) > 0 {
		t.Fatalf("parse: %v", ds)
	}
	t.Cleanup(func() {
		if ds := f.Diagnostics(); len(ds) > 0 {
			t.Errorf("unexpected:\n%v", ds)
		}
	})
	return f.Body()
}

func TestValues(t *testing.T) {
	b := parse(t, `
s        = "text"
null_one = null
yes      = true
n        = 7
f        = 0.25
d        = "1h30m"
size     = "1.5GiB"
list     = concat(["a"], [upper("b")])
map      = { z = "1", "a.b" = "2" }
enum     = "drop-oldest"
re       = "^a+$"
tz       = "Europe/Berlin"
when     = event.kind == "alert"
any      = [1, "x"]
e        = env("SECRET")
port     = env("PORT")
flag     = env("YES")
default  = env("NOT_SET", "fallback")
joined   = "x-${env("SECRET")}"
`)
	var got []any
	got = append(got, b.String("s", "d"), b.String("absent", "d"), b.String("null_one", "d"), b.Has("null_one"), b.Has("s"), b.Has("absent"))
	got = append(got, b.Bool("yes", false), b.Int("n", 0, 0, 0), b.Float("f", 0, 0, 1), b.Duration("d", 0, 0, 0), b.Size("size", 0, 0, 0))
	got = append(got, b.Strings("list"), b.StringMap("map"), b.Pairs("map")[0].Key, b.Enum("enum", "block", "block", "drop-oldest"))
	got = append(got, b.Regexp("re").String(), b.Location("tz", nil).String(), b.Expr("when").Range().Start.Line, b.Value("any").LengthInt())
	got = append(got, b.String("e", ""), b.Sensitive("e"), b.Sensitive("s"), b.Int("port", 0, 0, 65535), b.Bool("flag", false),
		b.String("default", ""), b.Sensitive("default"), b.String("joined", ""), b.Sensitive("joined"))
	b.Close()
	want := []any{"text", "d", "d", false, true, false,
		true, 7, 0.25, 90 * time.Minute, int64(3 << 29),
		[]string{"a", "B"}, map[string]string{"z": "1", "a.b": "2"}, "z", "drop-oldest",
		"^a+$", "Europe/Berlin", 14, 2,
		testSecret, true, false, 9200, true,
		"fallback", false, "x-" + testSecret, true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The second step may come when the root is long closed: places must still be those of the file.
func TestTwoSteps(t *testing.T) {
	f, ds := Parse("g.hcl", []byte("data_dir = \"/x\"\n\ninput \"file\" \"auth\" {\n  paths = [\"a\"]\n  multiline {\n    start = \"(\"\n    stop = 1\n  }\n  max_line = 64\n}\n"))
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	f.Body().String("data_dir", "")
	inputs := f.Body().Blocks("input", 2)
	f.Body().Close()
	if ds := f.Diagnostics(); len(ds) > 0 {
		t.Fatalf("after the first step: %v", ds)
	}
	decodeInput(inputs[0])
	want := `g.hcl:6:13: start: not a regular expression: missing closing ) in "("; the syntax is RE2's
g.hcl:7:5: unknown attribute "stop" in multiline; known here: "start"
g.hcl:9:14: max_line: want a size such as "64KiB" or "2GiB", got a number; with its unit, in quotes: max_line = "64B"`
	if diff := cmp.Diff(want, f.Diagnostics().Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestObjectPlaces(t *testing.T) {
	b := parse(t, "fields = {\n  b = \"1\"\n  \"a.x\" = \"2\"\n}\n")
	var got []string
	for _, p := range b.Pairs("fields") {
		got = append(got, fmt.Sprintf("%s=%s %d:%d %d:%d", p.Key, p.Value, p.KeyRange.Start.Line, p.KeyRange.Start.Column,
			p.ValueRange.Start.Line, p.ValueRange.Start.Column))
	}
	if diff := cmp.Diff([]string{"b=1 2:3 2:7", "a.x=2 3:3 3:11"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	f := func(name, want string) {
		t.Helper()
		_, ds := Load(filepath.Join(dir, name))
		if got := strings.ReplaceAll(ds.Error(), dir+"/", ""); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ok.hcl", []byte("a = 1\n"))
	write("bom.hcl", []byte("\ufeffa = 1\r\n"))
	write("big.hcl", []byte(strings.Repeat("# xxxxxxx\n", 1<<20)))
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Fatal(err)
	}
	f("ok.hcl", "")
	f("bom.hcl", "")
	f("none.hcl", "none.hcl: read config: no such file or directory")
	f("big.hcl", "big.hcl: read config: larger than 4MiB")
	f("fifo", "fifo: read config: not a regular file")
}

func TestFileFunction(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("key", "s3cret-value\n", 0o600)
	write("crlf", "s3cret-value\r\n", 0o600)
	write("public", "s3cret-value\n", 0o644)
	write("big", strings.Repeat("x", maxSecretFile+1), 0o600)
	write("binary", "\xff\xfe", 0o600)
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Fatal(err)
	}
	f := func(expr, value, want string) {
		t.Helper()
		file, _ := Parse(filepath.Join(dir, "c.hcl"), []byte("key = "+expr+"\n"), WithEnv(testEnv))
		if got := file.Body().String("key", ""); got != value {
			t.Errorf("%s: got %q, want %q", expr, got, value)
		}
		if got := strings.ReplaceAll(file.Diagnostics().Error(), dir+"/", ""); got != want {
			t.Errorf("%s:\n got %s\nwant %s", expr, got, want)
		}
	}
	f(`file("key")`, "s3cret-value", "")
	f(`file("`+dir+`/key")`, "s3cret-value", "")
	f(`file("crlf")`, "s3cret-value", "")
	f(`file("public")`, "s3cret-value",
		`c.hcl:1:7: warning: key: every user of this machine can read file "public"; if it is a secret: chmod o-r`)
	f(`file("none")`, "", `c.hcl:1:7: key: read file "none": no such file or directory`)
	f(`file("big")`, "", `c.hcl:1:7: key: read file "big": larger than 1MiB`)
	f(`file("binary")`, "", `c.hcl:1:7: key: read file "binary": not valid UTF-8`)
	f(`file("fifo")`, "", `c.hcl:1:7: key: read file "fifo": not a regular file`)
	f(`file(env("SECRET"))`, "", `c.hcl:1:7: key: read file (hidden): no such file or directory`)
}

// Every way for a value to get into a message that we know of.
func TestSecretsStayHidden(t *testing.T) {
	for _, secret := range []string{testSecret, "pw7", "9200\"\\x", "not-a-size 12XB"} {
		env := func(name string) (string, bool) { return secret, name == "S" }
		for _, expr := range []string{`env("S")`, `env(env("S"))`, `file(env("S"))`, `"${env("S")}"`, `{a=1}[env("S")]`, `[1][env("S")]`,
			`format("%d", env("S"))`, `format(env("S"), 1)`, `env("S") + 1`, `{ (env("S")) = 1 }`, `[env("S")]`, `{ a = env("S") }`,
			`env("S") ? 1 : 2`, `join(env("S"), 1)`, `concat(env("S"))`, `-env("S")`, `env("S").x`, `env("S")[0]`, `lower({a=env("S")})`,
			`"%{ if env("S") }x%{ endif }"`, `{ a = env("S") }.b`, `coalesce(env("S"), [])`, `{ a = { b = env("S") } }`} {
			read := func(get func(b *Body)) {
				f, _ := Parse("t.hcl", []byte("x = "+expr+"\n"), WithEnv(env))
				get(f.Body())
				f.Body().Value("x") // who names a value has read it
				f.Body().Errorf("x", "value %q, %v", secret, secret)
				f.Body().Close()
				if got := f.Diagnostics().Error(); strings.Contains(strings.ReplaceAll(got, "t.hcl:", ""), secret) {
					t.Errorf("%s is shown:\n%s", expr, got)
				}
			}
			read(func(b *Body) { b.Bool("x", false) })
			read(func(b *Body) { b.Int("x", 0, 1, 2) })
			read(func(b *Body) { b.Float("x", 0, 1, 2) })
			read(func(b *Body) { b.Duration("x", 0, 1, 2) })
			read(func(b *Body) { b.Size("x", 0, 1, 2) })
			read(func(b *Body) { b.Strings("x") })
			read(func(b *Body) { b.StringMap("x") })
			read(func(b *Body) { b.Enum("x", "", "a", "b") })
			read(func(b *Body) { b.Regexp("x") })
			read(func(b *Body) { b.Location("x", nil) })
			read(func(b *Body) { b.Value("x") })
			read(func(b *Body) { b.Object("x") })
		}
	}
}

func TestManyErrors(t *testing.T) {
	f, _ := Parse("t.hcl", []byte(manyAttributes(maxDiagnostics+5)))
	f.Body().Close()
	ds := f.Diagnostics()
	if len(ds) != maxDiagnostics+1 || ds[len(ds)-1].Message != "5 more not shown" {
		t.Errorf("%d diagnostics, last %q", len(ds), ds[len(ds)-1].Message)
	}
}

func manyAttributes(n int) string {
	var sb strings.Builder
	for i := range n {
		fmt.Fprintf(&sb, "a%d = 1\n", i)
	}
	return sb.String()
}

func TestErr(t *testing.T) {
	if (Diagnostics{{Severity: Warning}}).Err() != nil {
		t.Error("a warning is not an error")
	}
	if (Diagnostics{{Severity: Warning}, {}}).Err() == nil {
		t.Error("an error is an error")
	}
}

// A library's explanation of a failed expression may quote what env() returned, even where it is too short for hide.
func TestLibraryDetailsStayHidden(t *testing.T) {
	f, _ := Parse("t.hcl", []byte("x = env(\"SHORT\")\n"), WithEnv(testEnv))
	b := f.Body()
	a := b.get("x")
	b.addEvaluation(a, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unsupported attribute", Detail: `There is no attribute named "pw".`})
	want := "t.hcl:1:5: x: Unsupported attribute; the details are hidden: they may show what env() or file() returned"
	if got := f.Diagnostics().Error(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
