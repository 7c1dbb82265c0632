package library_test

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/rules"
)

// detection is a line of detections.txt: a sentence of a guide, and the rules that do what it asks for.
type detection struct {
	seed, system string // file of the guide, and what it is called
	sentence     string
	rules        []string
}

func readDetections(t *testing.T) (list []detection) {
	t.Helper()
	f, err := os.Open("detections.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in detection
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch sentence, ids, ok := cutLast(line, " -> "); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			in.seed, in.system, _ = strings.Cut(line[1:], "] ")
		case !ok || in.seed == "":
			t.Fatalf("detections.txt: %q is neither a sentence with its rules nor a heading", line)
		default:
			list = append(list, detection{in.seed, in.system, sentence, strings.Split(ids, ", ")})
		}
	}
	return list
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// TestDetectionsName holds detections.txt against the rules: each that it names is there, and each that is there is named or marked as extra.
func TestDetectionsName(t *testing.T) {
	named := map[string]bool{}
	known := map[string]*rules.Rule{}
	for _, r := range load(t).Rules {
		known[r.ID] = r
	}
	for _, d := range readDetections(t) {
		for _, id := range d.rules {
			if named[id] = true; known[id] == nil {
				t.Errorf("%q: there is no rule %q", d.sentence, id)
			}
		}
	}
	for id, r := range known {
		if extra := slices.Contains(r.Tags, "extra"); named[id] == extra {
			t.Errorf("%s: named for a sentence %v, marked as extra %v", id, named[id], extra)
		}
	}
}

// TestDetectionsAreOfTheGuides finds each sentence in its guide, whatever the white space.
func TestDetectionsAreOfTheGuides(t *testing.T) {
	dir := testkit.Shared(t, "seeds")
	guides := map[string]string{}
	for _, d := range readDetections(t) {
		if guides[d.seed] == "" {
			b, err := os.ReadFile(filepath.Join(dir, d.seed))
			if err != nil {
				t.Fatal(err)
			}
			guides[d.seed] = squeezed(string(b))
		}
		if !strings.Contains(guides[d.seed], squeezed(d.sentence)) {
			t.Errorf("%s does not say %q", d.seed, d.sentence)
		}
	}
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestDetectionsPage keeps docs/detections.md up to date; go test -update writes it.
func TestDetectionsPage(t *testing.T) {
	set := load(t)
	testkit.GoldenFile(t, filepath.Join(testkit.RepoRoot(t), "docs", "detections.md"), []byte(page(set.Rules, readDetections(t))))
}

func page(list []*rules.Rule, detections []detection) string {
	var b strings.Builder
	b.WriteString(`<!-- Made by "go test ./rules/library -run TestDetections -update" from rules/library. Do not edit. -->
# Detections

What Gatebook detects as it is shipped: first what the guides of the covered systems ask for, in their words, with the rules that do it; then
each rule with its tests. Rules in shadow are stored and marked, and neither notified nor seen by other rules, until they have run for the
time given.
`)
	system := ""
	for _, d := range detections {
		if d.system != system {
			system = d.system
			fmt.Fprintf(&b, "\n## %s\n\n| asked for | rules |\n| --- | --- |\n", system)
		}
		links := make([]string, len(d.rules))
		for i, id := range d.rules {
			links[i] = fmt.Sprintf("[%s](#%s)", id, anchor(id))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.ReplaceAll(d.sentence, "|", `\|`), strings.Join(links, ", "))
	}
	b.WriteString("\n## Rules\n\n")
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b *rules.Rule) int { return cmp.Compare(a.ID, b.ID) })
	for _, r := range sorted {
		section(&b, r, detections)
	}
	fmt.Fprintf(&b, "%d rules.\n", len(list))
	return b.String()
}

// anchor is what a heading is linked by.
func anchor(id string) string { return strings.ReplaceAll(id, ".", "") }

func section(b *strings.Builder, r *rules.Rule, detections []detection) {
	fmt.Fprintf(b, "### %s\n\n", r.ID)
	mode := string(r.Mode)
	if r.ShadowFor > 0 {
		mode = fmt.Sprintf("shadow for %d days, then %s", int(r.ShadowFor.Hours()/24), r.Mode)
	}
	fmt.Fprintf(b, "**%s** · %s · %s", title(r), r.Severity, mode)
	if len(r.Attack) > 0 {
		names := make([]string, len(r.Attack))
		for i, a := range r.Attack {
			names[i] = a.ID + " " + a.Name
		}
		fmt.Fprintf(b, " · %s", strings.Join(names, ", "))
	}
	fmt.Fprintf(b, "\n\n%s\n\n", r.Description)
	if len(r.ByText) > 0 {
		fmt.Fprintf(b, "- by: `%s`\n", strings.Join(r.ByText, "`; `"))
	}
	fmt.Fprintf(b, "- also looks like it: %s\n- what to do: %s\n", strings.Join(r.FalsePositives, "; "), r.Runbook)
	for _, d := range detections {
		if slices.Contains(d.rules, r.ID) {
			fmt.Fprintf(b, "- asked for: %s, “%s”\n", d.system, d.sentence)
		}
	}
	b.WriteString("\n| test | shows |\n| --- | --- |\n")
	for _, test := range r.Tests {
		shows := "stays quiet"
		if !test.Negative {
			keys := make([]string, len(test.Expect))
			for i, e := range test.Expect {
				keys[i] = "`" + strings.Join(e.Key, ", ") + "`"
			}
			shows = "fires for " + strings.Join(keys, "; ")
			if len(test.Expect[0].Key) == 0 {
				shows = "fires"
			}
		}
		if test.Parser != "" {
			shows += " (lines of " + test.Parser + ")"
		}
		fmt.Fprintf(b, "| %s | %s |\n", test.Name, shows)
	}
	b.WriteString("\n")
}

// title is the rule's title as its file has it, with what is worked out as an ellipsis.
func title(r *rules.Rule) string {
	var b strings.Builder
	for _, p := range r.Title.Parts {
		switch {
		case p.Key:
			b.WriteString("KEY")
		case p.Expr != nil:
			b.WriteString("…")
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}
