package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// ruleText is a rule before it is written.
type ruleText struct {
	id                      string
	title, description      string
	severity                string
	attack, tags            []string
	shadow                  bool
	falsePositives, sources []string

	when   clause
	by     []string
	keyed  bool // there are keys, by itself or by step
	window string
	fire   clause // empty: each event
	steps  []stepText
}

type stepText struct {
	when clause
	by   []string
}

const maxTexts = 64 // of tags, references and the like

// rule is what is written of a rule that no correlation uses.
func (b *baseRule) rule() *ruleText {
	w := b.head(nil)
	w.when = b.when
	if b.total == nil {
		if b.records.by != "" {
			w.by = []string{b.records.by}
		}
		return w
	}
	w.by, w.window, w.fire = b.total.by, b.total.window, atomOf(b.total.fire)
	return w
}

// head reads what a rule says of itself; a correlation in test makes a shadow, and one of rules in test does.
func (d *document) head(of []*baseRule) *ruleText {
	w := &ruleText{title: d.title, description: d.describe(), severity: "medium"}
	if w.title == "" {
		w.title = d.called()
		d.note(d.root, "title", "the rule has no title")
	}
	switch level := d.root.at("level"); level.text() {
	case "informational", "low":
		w.severity = "low"
	case "medium", "high", "critical":
		w.severity = level.text()
	case "":
		d.note(d.root, "level", "the rule has no level: medium")
	default:
		d.note(level, "level", fmt.Sprintf("the level %q is not known: medium", cut(printable(level.text()))))
	}
	d.readTags(w)
	all := []*document{d}
	for _, b := range of {
		all = append(all, b.document)
	}
	for _, x := range all {
		status := x.root.at("status")
		if s := status.text(); s != "experimental" && s != "test" {
			continue
		}
		w.shadow = true
		if x == d {
			d.note(status, "status", status.text()+": the rule is in mode shadow; take mode away once it has shown itself")
		} else {
			d.note(d.root, "correlation.rules", fmt.Sprintf("the rule %q is %s: this one is in mode shadow", x.called(), status.text()))
		}
	}
	w.falsePositives = d.list("falsepositives")
	w.sources = d.list("references")
	for _, x := range all {
		if x.id != "" {
			w.sources = append(w.sources, "Sigma rule "+x.id)
		}
	}
	return w
}

// describe is the description, and who wrote it under which license.
func (d *document) describe() string {
	var b strings.Builder
	b.WriteString(cutAt(strings.TrimSpace(printable(d.root.at("description").text())), 4000))
	for _, key := range []string{"author", "license"} {
		list, _ := d.root.at(key).texts()
		var names []string
		for _, n := range list {
			names = append(names, strings.TrimSpace(printable(n.scalar)))
		}
		if len(names) > 0 {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%s: %s.", strings.ToUpper(key[:1])+key[1:], cutAt(strings.Join(names, ", "), 500))
		}
	}
	return b.String()
}

// list reads texts that are for people.
func (d *document) list(key string) []string {
	n := d.root.at(key)
	texts, ok := n.texts()
	if !ok {
		d.note(n, key, "is no list of texts, and left out")
	}
	var list []string
	for _, one := range texts {
		if s := cutAt(strings.TrimSpace(printable(one.scalar)), 1000); s != "" && len(list) < maxTexts && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

var technique = regexp.MustCompile(`^attack\.(t[0-9]{4}(?:\.[0-9]{3})?)$`)

func (d *document) readTags(w *ruleText) {
	w.tags = []string{"sigma"}
	for _, tag := range d.list("tags") {
		if m := technique.FindStringSubmatch(strings.ToLower(tag)); m != nil {
			if id := strings.ToUpper(m[1]); !slices.Contains(w.attack, id) {
				w.attack = append(w.attack, id)
			}
		} else if !slices.Contains(w.tags, tag) {
			w.tags = append(w.tags, tag)
		}
	}
}

// hcl writes the rule.
func (w *ruleText) hcl() []byte {
	var b strings.Builder
	attribute := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	texts := func(name string, list []string) {
		if len(list) > 0 {
			attribute(name, quotedList(list))
		}
	}
	fmt.Fprintf(&b, "rule %s {\n", quoted(w.id))
	title := quoted(w.title)
	if len(w.by) > 0 || w.keyed {
		title = strings.TrimSuffix(title, `"`) + `: ${key}"`
	}
	attribute("title", title)
	if w.description != "" {
		attribute("description", quoted(w.description))
	}
	attribute("severity", quoted(w.severity))
	texts("attack", w.attack)
	texts("tags", w.tags)
	if w.shadow {
		attribute("mode", `"shadow"`)
	}
	texts("false_positives", w.falsePositives)
	texts("references", w.sources)
	if len(w.steps) == 0 {
		attribute("when", w.when.lines())
	}
	if len(w.by) > 0 {
		attribute("by", "["+strings.Join(w.by, ", ")+"]")
	}
	if len(w.steps) > 0 {
		w.sequence(&b)
	} else {
		if w.window != "" {
			attribute("window", quoted(w.window))
		}
		attribute("fire", w.fire.lines())
	}
	b.WriteString("}\n")
	return hclwrite.Format([]byte(b.String()))
}

func (w *ruleText) sequence(b *strings.Builder) {
	fmt.Fprintf(b, "\nsequence {\nwithin = %s\n", quoted(w.window))
	for i, s := range w.steps {
		fmt.Fprintf(b, "step \"step_%d\" {\nwhen = %s\n", i+1, s.when.lines())
		if len(s.by) > 0 {
			fmt.Fprintf(b, "by = [%s]\n", strings.Join(s.by, ", "))
		}
		b.WriteString("}\n")
	}
	b.WriteString("}\n")
}
