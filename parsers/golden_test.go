package parsers

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
)

// received is when the lines of golden cases are read.
var received = event.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))

// build reads a config of parser blocks; the diagnostics are empty where all is well.
func build(t testing.TB, src string) (*Set, conf.Diagnostics) {
	t.Helper()
	f, _ := conf.Parse("config.hcl", []byte(src))
	set, err := Build(f.Body().Blocks("parser", 2), Options{})
	f.Body().Close()
	if err != nil {
		t.Fatal(err)
	}
	return set, f.Diagnostics()
}

// TestGolden: each case is a config.hcl, where the parser's bare name is not enough, the lines of input, and want: one document
// a line, or what is wrong with the config. A line that no parser knows is shown by its error.
func TestGolden(t *testing.T) {
	for _, name := range types() {
		if name == "linux_auth" {
			continue // has a test of its own
		}
		t.Run(name, func(t *testing.T) {
			testkit.GoldenArchive(t, filepath.Join("testdata", name), func(t *testing.T, ar *txtar.Archive) []byte {
				return runCase(t, name, ar)
			})
		})
	}
}

func runCase(t *testing.T, name string, ar *txtar.Archive) []byte {
	set, ds := build(t, string(testkit.File(ar, "config.hcl")))
	if len(ds) > 0 {
		var out bytes.Buffer
		if err := ds.Write(&out, true); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if n := len(set.blocks); n > 0 && name != "auto" {
		name = set.blocks[n-1]
	}
	p, err := set.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true, Agent: event.AgentInfo{ID: "a", Name: "gate", Version: "1"}})
	var out []byte
	var ev event.Event
	offset := int64(0)
	for text := range strings.Lines(string(testkit.File(ar, "input"))) {
		line := Line{Text: strings.TrimSuffix(text, "\n"), Received: received, Source: "/var/log/a.log", Offset: offset}
		offset += int64(len(text))
		if line.Text == "" {
			continue
		}
		ev.Reset()
		if err := p.Parse(line, &ev); err != nil {
			out = append(out, "error: "+err.Error()+"\n"...)
			continue
		}
		if ev.Time == 0 {
			ev.Time = received
		}
		out = append(enc.AppendDocument(out, &ev), '\n')
	}
	return out
}

// The documents of all golden cases are valid ECS.
func TestGoldenIsECS(t *testing.T) {
	schema := testkit.ECS(t)
	for _, name := range types() {
		paths, err := filepath.Glob(filepath.Join("testdata", name, "*.txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(testkit.File(txtar.Parse(src), "want")) {
				if !bytes.HasPrefix(line, []byte("{")) {
					continue
				}
				for _, err := range schema.Validate(bytes.TrimSpace(line), "gatebook", "log.offset") {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
	}
}

// Every kind of parser has its golden cases, its page and a line that says what it is for.
func TestRegistryIsComplete(t *testing.T) {
	for name, spec := range Registry {
		if _, err := os.Stat(filepath.Join("testdata", name)); err != nil {
			t.Errorf("parser %s has no golden cases: %v", name, err)
		}
		if spec.Summary == "" || spec.New == nil {
			t.Errorf("parser %s: Summary or New is missing", name)
		}
	}
	page := ""
	for _, name := range []string{"auth_service", "daemons", "ecs", "generic", "syslog", "payment_portal", "linux_auth", "nginx", "apache", "okta", "auth0", "user_activity", "keycloak", "activity_log"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", "parsers", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		page += string(text)
	}
	lines, err := os.ReadFile("registry.go")
	if err != nil {
		t.Fatal(err)
	}
	constructor := regexp.MustCompile(`(?m)^func (new\w+)\(\w+ string, \w+ \*conf\.Body, \w+ Options\) \(Parser, error\)`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range constructor.FindAllSubmatch(src, -1) {
			found++
			if !bytes.Contains(lines, append([]byte("New: "), m[1]...)) {
				t.Errorf("%s: %s has no line in Registry", file, m[1])
			}
		}
	}
	if found != len(Registry) {
		t.Errorf("%d constructors, %d lines in Registry", found, len(Registry))
	}
	for name := range Registry {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/parsers says nothing of `%s`", name)
		}
	}
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range folders {
		if _, ok := Registry[d.Name()]; d.IsDir() && !ok && d.Name() != "fuzz" && d.Name() != "rapid" {
			t.Errorf("testdata/%s is no parser's", d.Name())
		}
	}
}

// The blocks that the docs show are right.
func TestDocsExamples(t *testing.T) {
	for _, name := range []string{"auth_service", "ecs", "generic", "payment_portal", "nginx", "apache", "okta", "auth0", "user_activity", "keycloak", "activity_log"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", "parsers", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		n, block := 0, ""
		for line := range strings.Lines(string(text)) {
			code, ok := strings.CutPrefix(line, "    ")
			if ok && (block != "" || strings.HasPrefix(code, "parser ")) {
				block += code
			}
			if block != "" && code == "}\n" {
				n++
				if _, ds := build(t, block); len(ds) > 0 {
					t.Errorf("%s.md: %v\n%s", name, ds, block)
				}
				block = ""
			}
		}
		if n == 0 || block != "" {
			t.Errorf("%s.md: %d blocks found, rest %q", name, n, block)
		}
	}
}
