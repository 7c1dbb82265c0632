package rules

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/internal/testkit"
)

// TestLoadGolden: "input" is a rule file, "library" one that is loaded before it, other files lie in the folder of the rules. The comment may
// hold the words "lint" and "summary": what Lint says follows, and what was read.
func TestLoadGolden(t *testing.T) {
	testkit.GoldenArchive(t, "testdata/load", func(t *testing.T, ar *txtar.Archive) []byte {
		dir := t.TempDir()
		var sources []Source
		for _, f := range ar.Files {
			switch f.Name {
			case "input", "want":
				continue
			case "library", "before":
				sources = append(sources, Source{Name: f.Name + ".hcl", Text: f.Data, Library: f.Name == "library"})
				continue
			}
			path := filepath.Join(dir, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sources = append(sources, Source{Name: "rules.hcl", Text: testkit.File(ar, "input"), Dir: dir})
		s := Load(LoadOptions{Tests: true}, sources...)
		var out bytes.Buffer
		if err := s.Problems.Write(&out, true); err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(ar.Comment))
		for _, w := range words {
			switch w {
			case "lint":
				now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
				yields := func(field string) bool { return field != "user_agent.original" }
				if err := Lint(s, now, yields).Write(&out, true); err != nil {
					t.Fatal(err)
				}
			case "summary":
				summarize(&out, s)
			}
		}
		return out.Bytes()
	})
}

// summarize prints what was read, what is as usual left out.
func summarize(out *bytes.Buffer, s *Set) {
	for _, r := range s.Rules {
		fmt.Fprintf(out, "rule %s %s risk %g %s %s quiet %s\n", r.ID, r.Severity, r.Risk, r.Mode, r.Scope, r.Quiet)
		line := func(name string, value any) {
			if text := fmt.Sprint(value); text != "" && text != "0s" && text != "[]" && text != "<nil>" {
				fmt.Fprintf(out, "  %s: %s\n", name, text)
			}
		}
		title := ""
		for _, p := range r.Title.Parts {
			switch {
			case p.Key:
				title += "${key}"
			case p.Expr != nil:
				title += "${" + canonical(p.Expr) + "}"
			default:
				title += p.Text
			}
		}
		line("title", title)
		line("description", r.Description)
		line("when", canonical(r.When))
		line("by", strings.Join(r.ByText, " / "))
		line("window", r.Window)
		line("fire", canonical(r.Fire))
		line("expect_every", r.ExpectEvery)
		if q := r.Sequence; q != nil {
			line("within", q.Within)
			for _, step := range q.Steps {
				kind := "step"
				if step.Without {
					kind = "without"
				}
				by := ""
				for _, terms := range step.By {
					for _, t := range terms {
						by += " by " + canonical(t)
					}
				}
				line(kind, fmt.Sprintf("%s x%d %s%s", step.Name, step.Times, canonical(step.When), by))
			}
		}
		if q := r.Session; q != nil {
			line("open", canonical(q.Open))
			line("close", canonical(q.Close))
			line("id", canonical(q.ID))
			line("idle", q.Idle)
		}
		if r.Learn != (Learn{}) {
			line("learn", r.Learn)
		}
		for _, e := range r.Except {
			line("except", fmt.Sprintf("%s %s (%s) until %s", e.Name, canonical(e.When), e.Reason, e.Expires.Format(time.RFC3339)))
		}
		for _, a := range r.Respond {
			line("respond", *a)
		}
		for _, a := range r.Attack {
			line("attack", a)
		}
		for _, q := range r.Tests {
			line("test", fmt.Sprintf("%s negative %v until %s parser %s year %d", q.Name, q.Negative, q.Until, q.Parser, q.Year))
			for _, e := range q.Events {
				line("  event", fmt.Sprint(e.At.Format(time.RFC3339), " ", e.Fields))
			}
			line("  log", q.Log)
			for _, a := range q.Expect {
				line("  alert", a)
			}
		}
	}
	for _, n := range s.names {
		if l := s.Lists[n.name]; n.kind == "list" && l != nil {
			fmt.Fprintf(out, "list %s %s %q\n", l.Name, l.Kind, l.Values)
		}
	}
}
