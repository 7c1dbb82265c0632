package detection

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// complete fills in what all kinds of rules have.
func (t *translator) complete(result *Result, p *Part) {
	r, rule := t.rule, p.Rule
	suffix, beside := t.distinguish(result, p)
	rule.RuleID = "gatebook-" + r.ID + suffix
	rule.Name = r.Name() + beside
	rule.Description = r.Description
	if rule.Description == "" {
		rule.Description = r.Name() + "."
	}
	rule.To, rule.MaxSignals = "now", 100
	if p.Kind == Query {
		rule.MaxSignals = 1000
	}
	rule.Enabled = t.enabled(p)
	rule.Version = versionOf(r)
	rule.TimestampOverride = "event.ingested"
	rule.Severity, rule.SeverityMapping = string(r.Severity), []any{}
	rule.RiskScore, rule.RiskMapping = int(math.Round(r.Risk)), []any{}
	rule.Threat = threats(r.Attack)
	rule.Tags = t.tags(p)
	rule.FalsePositives, rule.References = orEmpty(r.FalsePositives), orEmpty(r.References)
	rule.Author, rule.License = []string{"Gatebook"}, "Apache-2.0"
	if !r.Library {
		rule.License = ""
	}
	rule.RequiredFields = required(p.fields())
	rule.Related, rule.Exceptions, rule.Actions = []any{}, []any{}, []any{}
	rule.Setup = t.setup(p)
	rule.Note = t.guide(result, p)
}

// distinguish tells the parts of a rule apart: by their groupings, by their kinds, by numbers.
func (t *translator) distinguish(result *Result, p *Part) (suffix, beside string) {
	if len(result.Parts) < 2 {
		return "", ""
	}
	words := func(p *Part) (words []string, text string) {
		for i := range result.Parts {
			if t.partBy(&result.Parts[i]) != t.partBy(p) && t.partBy(p) != "" {
				words = append(words, "by-"+slug(t.partBy(p)))
				text = "by " + t.partBy(p)
				break
			}
		}
		for i := range result.Parts {
			if result.Parts[i].Kind != p.Kind {
				words = append(words, string(p.Kind))
				text = strings.TrimPrefix(text+", "+strings.ReplaceAll(string(p.Kind), "_", " "), ", ")
				break
			}
		}
		return words, text
	}
	mine, text := words(p)
	number := 1
	for i := range result.Parts {
		if &result.Parts[i] == p {
			break
		}
		if other, _ := words(&result.Parts[i]); slices.Equal(other, mine) {
			number++
		}
	}
	if number > 1 || len(mine) == 0 {
		mine = append(mine, itoa(number))
		text = strings.TrimPrefix(text+", "+itoa(number), ", ")
	}
	return "-" + strings.Join(mine, "-"), " (" + text + ")"
}

func (t *translator) partBy(p *Part) string {
	if len(p.By) != 1 {
		return ""
	}
	return t.termsText(p.By[0])
}

// slug makes a word of an id.
func slug(s string) string {
	return strings.Trim(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_'
	}), "-"), "-")
}

// enabled is set for rules whose alerts would be told here: not in shadow, and not where Kibana has yet to see what Gatebook would learn first.
func (t *translator) enabled(p *Part) bool {
	return t.rule.Mode != rules.ModeShadow && t.rule.ShadowFor == 0 && p.Kind != NewTerms
}

// versionOf is the same number as long as the rule means the same.
func versionOf(r *rules.Rule) int {
	h := fnv.New32a()
	h.Write([]byte(r.Meaning))
	return int(h.Sum32()%999_999) + 1
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (t *translator) tags(p *Part) []string {
	tags := []string{"Gatebook", "Gatebook rule: " + t.rule.ID}
	for _, a := range t.rule.Attack {
		tags = append(tags, "ATT&CK: "+a.ID)
	}
	for _, c := range p.conditions {
		for _, dataset := range datasets(c) {
			tags = append(tags, "Dataset: "+strings.TrimPrefix(dataset, event.DatasetPrefix))
		}
	}
	tags = append(tags, t.rule.Tags...)
	var out []string
	for _, tag := range tags {
		if !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	return out
}

// datasets are those that a condition names as the only ones.
func datasets(c condition) (list []string) {
	switch c := c.(type) {
	case allOf:
		for _, one := range c {
			list = append(list, datasets(one)...)
		}
	case asked:
		if k, ok := c.Expr.(query.Compare); ok && k.Field.ID == event.FieldEventDataset && k.Op == query.Eq {
			list = append(list, k.Value.Str)
		}
	}
	return list
}

// fields are those that the part reads.
func (p *Part) fields() []query.Field {
	fields := []query.Field{{ID: event.FieldTimestamp}, {ID: event.FieldEventIngested}}
	for _, c := range p.conditions {
		fields = append(fields, fieldsOf(c)...)
	}
	term := func(e rules.Expr) {
		rules.Walk(e, func(e rules.Expr) bool {
			if f, ok := e.(*rules.Field); ok {
				fields = append(fields, f.Field)
			}
			return true
		})
	}
	for _, by := range p.By {
		for _, e := range by {
			term(e)
		}
	}
	term(p.firing)
	return fields
}

func (t *translator) setup(p *Part) string {
	lines := []string{"Reads the data streams " + code("logs-gatebook.*") + ", whose templates " + code("gatebook setup") + " installs. " +
		code("event.ingested") + " is set by their final pipeline; events without it are taken by " + code("@timestamp") + "."}
	if p.Rule.Suppression != nil {
		lines = append(lines, "Alert suppression needs a licence that has it (read in Elastic's documentation, not tried).")
	}
	switch p.Kind {
	case NewTerms:
		lines = append(lines, fmt.Sprintf("Exported switched off: until the index holds %s of events, most of what happens is new. Switch it on then.", days(historyOf(p))))
	case EQL:
		lines = append(lines, "The query was written after Elastic's documentation of EQL and not executed before it was shipped. Preview the rule before you trust it.")
	}
	switch {
	case t.rule.Mode == rules.ModeShadow:
		lines = append(lines, "Exported switched off: the rule is in shadow.")
	case t.rule.ShadowFor > 0:
		lines = append(lines, fmt.Sprintf("Exported switched off: in Gatebook the rule is in shadow for its first %s. Preview it on as much of your own data first.", days(t.rule.ShadowFor)))
	}
	return strings.Join(lines, "\n\n")
}

// historyOf is how far back a new terms rule looks.
func historyOf(p *Part) (d time.Duration) {
	rules.Walk(p.firing, func(e rules.Expr) bool {
		if a, ok := e.(*rules.Aggregate); ok && a.Kind == rules.FirstSeen {
			d = a.Horizon
		}
		return true
	})
	return d
}
