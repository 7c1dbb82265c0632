package detection

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/rules"
)

// guide is the investigation guide: Markdown.
func (t *translator) guide(result *Result, p *Part) string {
	var b strings.Builder
	heading := func(text string) { fmt.Fprintf(&b, "\n## %s\n\n", text) }
	if t.rule.Description != "" {
		fmt.Fprintf(&b, "%s\n", escape(t.rule.Description))
	}
	if t.rule.Runbook != "" {
		heading("What to do")
		fmt.Fprintf(&b, "%s\n", escape(t.rule.Runbook))
	}
	if len(t.rule.FalsePositives) > 0 {
		heading("What else looks like it")
		for _, f := range t.rule.FalsePositives {
			fmt.Fprintf(&b, "- %s\n", escape(f))
		}
	}
	t.exceptionsText(&b, heading)
	heading("How it was translated")
	fmt.Fprintf(&b, "Made from the rule %s of Gatebook as a rule of type %s%s.\n", code(t.rule.ID), code(string(p.Kind)), t.executed(p))
	if n := len(result.Parts); n > 1 {
		fmt.Fprintf(&b, "The rule became %d rules of Kibana; this one is the part %s.\n", n, t.partText(p))
	}
	if len(p.Differences) > 0 {
		b.WriteString("\nIt differs from Gatebook's own engine:\n\n")
		for _, d := range p.Differences {
			fmt.Fprintf(&b, "- %s\n", d.Text)
		}
	}
	for _, m := range result.Missing {
		fmt.Fprintf(&b, "\nNot exported: %s.\n", m)
	}
	t.evidence(&b, heading)
	return strings.TrimSpace(b.String()) + "\n"
}

func (t *translator) executed(p *Part) string {
	if p.Kind.Executed() {
		return ""
	}
	return ", whose query was not executed before it was shipped"
}

// partText says which part of a rule this is.
func (t *translator) partText(p *Part) string {
	var words []string
	if by := t.partBy(p); by != "" {
		words = append(words, "by "+code(by))
	}
	if p.firing != nil && p.firing != t.rule.Fire {
		words = append(words, "for "+code(shortened(t.text(p.firing), 300)))
	}
	if len(words) == 0 {
		return code(string(p.Kind))
	}
	return strings.Join(words, " ")
}

// exceptionsText names what is left out, with the reasons, and what expired.
func (t *translator) exceptionsText(b *strings.Builder, heading func(string)) {
	if len(t.rule.Except) == 0 {
		return
	}
	heading("What is left out")
	for _, e := range t.rule.Except {
		text := code(e.Name) + ": " + escape(e.Reason)
		switch {
		case e.Expires.IsZero():
		case !t.options.Now.IsZero() && !t.options.Now.Before(e.Expires):
			text += " (expired on " + e.Expires.Format(time.DateOnly) + ": not left out any more)"
		default:
			text += " (until " + e.Expires.Format(time.DateOnly) + ": export the rules again then)"
		}
		fmt.Fprintf(b, "- %s\n", text)
	}
}

const (
	mostTests  = 4 // of each kind in a guide
	mostEvents = 6 // of a test
)

// evidence shows the rule's tests: what fires it, and what does not.
func (t *translator) evidence(b *strings.Builder, heading func(string)) {
	for _, kind := range []struct {
		title    string
		negative bool
	}{{"What fires it", false}, {"What does not", true}} {
		shown := 0
		for _, test := range t.rule.Tests {
			if test.Negative != kind.negative || shown == mostTests {
				continue
			}
			if shown++; shown == 1 {
				heading(kind.title)
				b.WriteString("From the tests of the rule, with Gatebook's own engine.\n\n")
			}
			fmt.Fprintf(b, "**%s**", escape(test.Name))
			if !test.Negative {
				fmt.Fprintf(b, " fires for %s", expected(test))
			}
			b.WriteString("\n\n")
			if test.Parser != "" {
				logLines(b, test)
			} else {
				eventTable(b, test)
			}
		}
	}
}

func expected(test *rules.Test) string {
	var keys []string
	for _, e := range test.Expect {
		text := code(strings.Join(e.Key, ", "))
		if len(e.Key) == 0 {
			text = "everything together"
		}
		text += " after " + conf.FormatDuration(e.At)
		if !slices.Contains(keys, text) {
			keys = append(keys, text)
		}
	}
	return strings.Join(keys, "; ")
}

func logLines(b *strings.Builder, test *rules.Test) {
	lines := strings.FieldsFunc(strings.TrimSpace(test.Log), func(r rune) bool { return r == '\n' || r == '\r' })
	fence := "```"
	for strings.Contains(test.Log, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "%s\n", fence)
	for i, line := range lines {
		if i == mostEvents {
			fmt.Fprintf(b, "... %d more\n", len(lines)-i)
			break
		}
		fmt.Fprintf(b, "%s\n", shortened(printable(strings.TrimSpace(line)), 400))
	}
	fmt.Fprintf(b, "%s\n\n", fence)
}

// eventTable has a column for each field that the events name.
func eventTable(b *strings.Builder, test *rules.Test) {
	var columns []string
	list := test.Events[:min(len(test.Events), mostEvents)]
	for _, e := range list {
		for _, f := range e.Fields {
			if !slices.Contains(columns, f.Name) {
				columns = append(columns, f.Name)
			}
		}
	}
	row := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	head, rule := []string{"after"}, []string{"---"}
	for _, c := range columns {
		head, rule = append(head, escape(c)), append(rule, "---")
	}
	row(head)
	row(rule)
	for _, e := range list {
		cells := []string{conf.FormatDuration(e.At.Sub(test.Start))}
		for _, c := range columns {
			cell := ""
			for _, f := range e.Fields {
				if f.Name == c {
					cell = escape(shortened(strings.Join(f.Values, ", "), 120))
				}
			}
			cells = append(cells, cell)
		}
		row(cells)
	}
	if more := len(test.Events) - len(list); more > 0 {
		fmt.Fprintf(b, "\n%d more events.\n", more)
	}
	b.WriteString("\n")
}

// escape makes a text stand for itself in Markdown, on one line. Kibana's guides give a meaning to {{...}} and !{...} too.
func escape(s string) string {
	var b strings.Builder
	for _, r := range printable(s) {
		if strings.ContainsRune("\\`*_{}[]<>#|~!$&^", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	text := b.String()
	// What is a list or a heading at the beginning of a line only.
	if text != "" && strings.ContainsRune("-+=", rune(text[0])) {
		text = `\` + text
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }); i > 0 && strings.ContainsRune(".)", rune(text[i])) && (i+1 == len(text) || text[i+1] == ' ') {
		text = text[:i] + `\` + text[i:]
	}
	return text
}

// code is a text in a code span that holds it as it is.
func code(s string) string {
	s = printable(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

// printable is a text on one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

// shortened cuts a long text.
func shortened(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-3]) + "..."
}
