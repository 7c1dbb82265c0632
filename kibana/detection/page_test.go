package detection

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	tableBegins = "<!-- The table is made by \"go test ./kibana/detection -run TestPage -update\". Do not edit. -->\n"
	tableEnds   = "<!-- End of the table. -->\n"
)

// page is the page with the table renewed.
func page(t *testing.T, path string, report []Result) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(text, []byte(tableBegins))
	_, after, ok2 := bytes.Cut(rest, []byte(tableEnds))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(tableBegins)
	table(t, &b, report)
	b.WriteString(tableEnds)
	b.Write(after)
	return b.Bytes()
}

func table(t *testing.T, b *bytes.Buffer, report []Result) {
	whole, inPart, none, made := 0, 0, 0, 0
	kinds, byKind := []Kind{Query, Threshold, NewTerms, EQL, ESQL}, map[Kind]int{}
	for _, r := range report {
		switch {
		case len(r.Parts) == 0:
			none++
		case len(r.Missing) > 0:
			inPart++
		default:
			whole++
		}
		had := map[Kind]bool{}
		for _, p := range r.Parts {
			made++
			if !had[p.Kind] {
				byKind[p.Kind]++
			}
			had[p.Kind] = true
		}
	}
	var words []string
	for _, k := range kinds {
		words = append(words, fmt.Sprintf("%d `%s`", byKind[k], k))
	}
	share := fmt.Sprintf("Of %d shipped rules %d are exported whole, %d in part and %d not; they become %d rules of Kibana. By type (a rule may become several): %s.", len(report), whole, inPart, none, made, strings.Join(words, ", "))
	t.Log(share)
	fmt.Fprintf(b, "%s\n\n| rule | becomes | executed in the tests | differs in, or why it is not exported |\n| --- | --- | --- | --- |\n", share)
	for _, r := range report {
		executed := "yes"
		var notes []string
		for _, p := range r.Parts {
			if !p.Kind.Executed() {
				executed = "**not executed**"
			}
			for _, d := range p.Differences {
				if word := string(d.Why); d.Why != Repeat && !strings.Contains(strings.Join(notes, " "), word) {
					notes = append(notes, word)
				}
			}
		}
		text := strings.Join(notes, ", ")
		for _, why := range r.Missing {
			text = strings.TrimPrefix(text+"; not exported: "+cell(why), "; ")
		}
		kind := r.Kind()
		if kind == "" {
			kind, executed = "not exported", ""
			text = strings.TrimPrefix(text, "not exported: ")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.Rule.ID, kind, executed, text)
	}
}

// cell is Markdown in a table, where | stands between cells even within code.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
