package detection

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/agent/replay/replaytest"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/rules"
)

// TestExport has one rule a case: the rule file, and what it becomes, one JSON member a line and the guide as text.
func TestExport(t *testing.T) {
	testkit.GoldenArchive(t, filepath.Join("testdata", "export"), func(t *testing.T, ar *txtar.Archive) []byte {
		set := rules.Load(rules.LoadOptions{Tests: true}, rules.Source{Name: "rules.hcl", Text: testkit.File(ar, "input")})
		if set.Problems.HasErrors() {
			t.Fatal(set.Problems)
		}
		ndjson, report, err := Export(set, Options{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for _, r := range report {
			fmt.Fprintf(&b, "# %s: %s\n", r.Rule.ID, cmp.Or(r.Kind(), "none"))
			for _, why := range r.Missing {
				fmt.Fprintf(&b, "# not exported: %s\n", why)
			}
		}
		for line := range bytes.Lines(ndjson) {
			var r map[string]any
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			note, query, setup := r["note"].(string), r["query"].(string), r["setup"].(string)
			for _, name := range []string{"note", "query", "setup", "version"} {
				delete(r, name)
			}
			b.WriteByte('\n')
			for _, name := range slices.Sorted(maps.Keys(r)) {
				fmt.Fprintf(&b, "%s: %s\n", name, marshal(r[name]))
			}
			fmt.Fprintf(&b, "query:\n%s\nsetup:\n%s\nnote:\n%s", indented(query), indented(setup), indented(note))
		}
		return b.Bytes()
	})
}

func indented(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(s, "\n") + "\n") {
		if line != "\n" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// TestStructure holds every exported rule of the library against what the import API asks of its type, and against the field table.
func TestStructure(t *testing.T) {
	set := replaytest.Library(t)
	ndjson, report, err := Export(set, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ids, parts := map[string]bool{}, 0
	for _, r := range report {
		parts += len(r.Parts)
		if len(r.Parts) == 0 && len(r.Missing) == 0 {
			t.Errorf("%s: neither exported nor a reason", r.Rule.ID)
		}
		for _, why := range r.Missing {
			if strings.HasSuffix(why, ".") || !utf8.ValidString(why) || strings.ContainsAny(why, "\n\r") {
				t.Errorf("%s: %q", r.Rule.ID, why)
			}
		}
	}
	lines := bytes.Split(bytes.TrimSuffix(ndjson, []byte("\n")), []byte("\n"))
	if len(lines) != parts {
		t.Errorf("%d lines for %d rules", len(lines), parts)
	}
	for _, line := range lines {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, wrong := range structure(r) {
			t.Errorf("%v: %s", r["rule_id"], wrong)
		}
		id, _ := r["rule_id"].(string)
		if ids[id] {
			t.Errorf("two rules with the id %s", id)
		}
		ids[id] = true
	}
}

// members are those that each rule has, with the type of their values; in front of the others those of some types of rules only.
var members = map[string]map[string]string{
	"":          {"rule_id": "text", "name": "text", "description": "text", "type": "text", "query": "text", "interval": "text", "from": "text", "to": "text", "max_signals": "number", "enabled": "bool", "version": "number", "immutable": "bool", "timestamp_override": "text", "timestamp_override_fallback_disabled": "bool", "severity": "text", "severity_mapping": "list", "risk_score": "number", "risk_score_mapping": "list", "threat": "list", "tags": "list", "false_positives": "list", "references": "list", "author": "list", "license": "string", "note": "text", "setup": "text", "required_fields": "list", "related_integrations": "list", "exceptions_list": "list", "actions": "list", "language": "text"},
	"query":     {"index": "list"},
	"threshold": {"index": "list", "threshold": "object"},
	"new_terms": {"index": "list", "new_terms_fields": "list", "history_window_start": "text"},
	"eql":       {"index": "list"},
	"esql":      {},
}

var languages = map[string]string{"query": "kuery", "threshold": "kuery", "new_terms": "kuery", "eql": "eql", "esql": "esql"}

func typeOf(v any) string {
	switch v := v.(type) {
	case string:
		if v != "" {
			return "text"
		}
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return "null"
}

// structure lists what is wrong with a rule.
func structure(r map[string]any) (wrong []string) {
	tell := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	kind, _ := r["type"].(string)
	own, known := members[kind]
	if !known {
		tell("type %q", kind)
	}
	for _, group := range []map[string]string{members[""], own} {
		for name, want := range group {
			if got := typeOf(r[name]); got != want && (want != "string" || got != "text") {
				tell("%s is %s, not %s", name, got, want)
			}
		}
	}
	for name := range r {
		if members[""][name] == "" && own[name] == "" && name != "filters" && name != "alert_suppression" {
			tell("%s is not known to rules of type %s", name, kind)
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	if r["language"] != languages[kind] {
		tell("language %v", r["language"])
	}
	within := func(name string, low, high float64) {
		if n := r[name].(float64); n < low || n > high || n != float64(int64(n)) {
			tell("%s is %v", name, n)
		}
	}
	within("risk_score", 0, 100)
	within("max_signals", 1, 1000)
	within("version", 1, 1e6)
	if !slices.Contains([]any{"low", "medium", "high", "critical"}, r["severity"]) {
		tell("severity %v", r["severity"])
	}
	if r["immutable"] != false || r["timestamp_override"] != "event.ingested" || r["timestamp_override_fallback_disabled"] != false {
		tell("immutable %v, timestamp_override %v, fallback disabled %v", r["immutable"], r["timestamp_override"], r["timestamp_override_fallback_disabled"])
	}
	if name := r["name"].(string); strings.ContainsAny(name, "\n${}") || utf8.RuneCountInString(name) > 200 {
		tell("name %q", name)
	}
	wrong = append(wrong, schedule(r)...)
	wrong = append(wrong, fieldsNamed(r)...)
	wrong = append(wrong, suppressionOf(kind, r["alert_suppression"])...)
	for _, x := range r["threat"].([]any) {
		threat := x.(map[string]any)
		tactic, _ := threat["tactic"].(map[string]any)
		list, _ := threat["technique"].([]any)
		if threat["framework"] != "MITRE ATT&CK" || !strings.HasPrefix(fmt.Sprint(tactic["id"]), "TA") || tactic["name"] == "" || tactic["reference"] != attackSite+"tactics/"+fmt.Sprint(tactic["id"])+"/" || len(list) == 0 {
			tell("threat %v", threat)
		}
		for _, x := range list {
			one := x.(map[string]any)
			id, _ := one["id"].(string)
			if _, ok := one["subtechnique"].([]any); !ok || len(id) != 5 || one["name"] == "" || one["reference"] != attackSite+"techniques/"+id+"/" {
				tell("technique %v", one)
			}
		}
	}
	if filters, ok := r["filters"].([]any); ok {
		for _, x := range filters {
			f := x.(map[string]any)
			meta, _ := f["meta"].(map[string]any)
			if meta["type"] != "custom" || len(f["query"].(map[string]any)) != 1 || !json.Valid([]byte(fmt.Sprint(meta["value"]))) {
				tell("filter %v", f)
			}
		}
	}
	return wrong
}

// schedule: a rule looks at least as far back as its last run, and at new terms' history beyond that.
func schedule(r map[string]any) (wrong []string) {
	interval, err := time.ParseDuration(r["interval"].(string))
	from, err2 := time.ParseDuration(strings.TrimPrefix(r["from"].(string), "now-"))
	if err != nil || err2 != nil || interval < time.Minute || from <= interval {
		wrong = append(wrong, fmt.Sprintf("interval %v, from %v", r["interval"], r["from"]))
	}
	if start, ok := r["history_window_start"].(string); ok {
		if history, err := time.ParseDuration(strings.TrimPrefix(start, "now-")); err != nil || history <= from {
			wrong = append(wrong, fmt.Sprintf("history_window_start %q", start))
		}
	}
	return wrong
}

// fieldsNamed: every field is in the table, with the type that is said.
func fieldsNamed(r map[string]any) (wrong []string) {
	field := func(x any, types ...event.Type) {
		name, _ := x.(string)
		id, ok := event.FieldByName(name)
		if !ok || !slices.Contains(types, event.Fields[id].Type) {
			wrong = append(wrong, fmt.Sprintf("field %q", name))
		}
	}
	for _, x := range r["required_fields"].([]any) {
		one := x.(map[string]any)
		field(one["name"], event.Type(one["type"].(string)))
	}
	countable := []event.Type{event.Keyword, event.IP, event.Integer, event.Boolean}
	single := func(x any) { // what is counted by has one value
		field(x, countable...)
		if id, _ := event.FieldByName(fmt.Sprint(x)); event.Fields[id].Array {
			wrong = append(wrong, fmt.Sprintf("field %q has several values", x))
		}
	}
	if list, ok := r["new_terms_fields"].([]any); ok {
		if len(list) < 1 || len(list) > 3 {
			wrong = append(wrong, fmt.Sprintf("%d new terms fields", len(list)))
		}
		for _, x := range list {
			single(x)
		}
	}
	if t, ok := r["threshold"].(map[string]any); ok {
		if t["value"].(float64) < 1 || len(t["field"].([]any)) > 3 || len(t["cardinality"].([]any)) > 1 {
			wrong = append(wrong, fmt.Sprintf("threshold %v", t))
		}
		for _, x := range t["field"].([]any) {
			single(x)
		}
		for _, x := range t["cardinality"].([]any) {
			field(x.(map[string]any)["field"], countable...)
			if x.(map[string]any)["value"].(float64) < 1 {
				wrong = append(wrong, "cardinality")
			}
		}
	}
	return wrong
}

func suppressionOf(kind string, x any) (wrong []string) {
	if x == nil {
		return nil
	}
	s := x.(map[string]any)
	groups, _ := s["group_by"].([]any)
	d, _ := s["duration"].(map[string]any)
	value, _ := d["value"].(float64)
	if value < 1 || !slices.Contains([]any{"s", "m", "h"}, d["unit"]) || (kind == "threshold") != (groups == nil) || len(groups) > 3 || groups != nil && s["missing_fields_strategy"] != "doNotSuppress" {
		wrong = append(wrong, fmt.Sprintf("alert_suppression %v", s))
	}
	return wrong
}

// TestStructureSees shows that the check finds what it is for.
func TestStructureSees(t *testing.T) {
	ndjson, _, err := Export(replaytest.Library(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(kind string, spoil func(map[string]any)) {
		t.Helper()
		for line := range bytes.Lines(ndjson) {
			var r map[string]any
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			if r["type"] == kind {
				spoil(r)
				if len(structure(r)) == 0 {
					t.Errorf("a spoilt rule of type %s passes", kind)
				}
				return
			}
		}
		t.Fatalf("no rule of type %s", kind)
	}
	f("query", func(r map[string]any) { delete(r, "index") })
	f("query", func(r map[string]any) { r["from"] = "now-1m" })
	f("query", func(r map[string]any) { r["risk_score"] = 101.0 })
	f("query", func(r map[string]any) { r["required_fields"].([]any)[0].(map[string]any)["name"] = "no.field" })
	f("esql", func(r map[string]any) { r["index"] = []any{"logs-*"} })
	f("eql", func(r map[string]any) { r["language"] = "kuery" })
	f("threshold", func(r map[string]any) { r["threshold"].(map[string]any)["value"] = 0.0 })
	f("threshold", func(r map[string]any) { r["threshold"].(map[string]any)["field"] = []any{"tags"} })
	f("new_terms", func(r map[string]any) { r["history_window_start"] = "now-2m" })
}

// TestNothingIsUnescaped puts awkward texts into every place of a rule that has one: the guide, the queries and the JSON stay what they are.
func TestNothingIsUnescaped(t *testing.T) {
	const awkward = "a\"b\\c|d`e```f<script>${x}{{y}}!{z} *b* _i_ [l](http://example.com) #h\n# heading\n- item\n| cell |"
	hcl := fmt.Sprintf(`
rule "awkward" {
  title           = %[1]s
  description     = %[1]s
  runbook         = %[1]s
  false_positives = [%[1]s]
  references      = [%[1]s]
  tags            = [%[1]s]
  attack          = ["T1110"]
  when            = event.code == %[1]s && event.reason != %[1]s
  by              = [source.ip]
  except "one" {
    when   = process.name == %[1]s
    reason = %[1]s
  }
  test %[1]s {
    events = [event("+1m", { "event.code" = %[1]s, "source.ip" = "203.0.113.9" })]
    expect = [{ at = "+1m", key = ["203.0.113.9"] }]
  }
}
rule "awkward_steps" {
  title = "t"
  by    = [source.ip]
  sequence {
    within = "1h"
    step "one" { when = event.code == %[1]s }
    step "two" { when = event.code != %[1]s }
  }
}
rule "awkward_figures" {
  title  = "t"
  when   = event.code != "a"
  by     = [source.ip]
  window = "1h"
  fire   = ratio(event.code == %[1]s) > 0.5
}
`, hclText(awkward))
	set := rules.Load(rules.LoadOptions{Tests: true}, rules.Source{Name: "a.hcl", Text: []byte(hcl)})
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	_, report, err := Export(set, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report {
		if len(r.Parts) != 1 || len(r.Missing) > 0 {
			t.Fatalf("%s: %d parts, %q", r.Rule.ID, len(r.Parts), r.Missing)
		}
		rule := r.Parts[0].Rule
		for line := range strings.Lines(rule.Note) {
			if strings.HasPrefix(line, "# heading") || strings.HasPrefix(line, "- item") || strings.HasPrefix(line, "| cell") {
				t.Errorf("%s: the guide has the line %q", rule.RuleID, line)
			}
		}
		for _, raw := range []string{"[l](http", "<script>", " *b*", " _i_", "{{y}}", "!{z}", "``` f"} {
			if text := withoutCode(rule.Note); strings.Contains(text, raw) {
				t.Errorf("%s: the guide has %q: %s", rule.RuleID, raw, text)
			}
		}
		if strings.Contains(rule.Query, "\n# heading") {
			t.Errorf("%s: the query has a line of the text:\n%s", rule.RuleID, rule.Query)
		}
	}
}

// withoutCode leaves out code spans, in which everything stands for itself.
func withoutCode(s string) string { return codeSpan.ReplaceAllString(s, "") }

var codeSpan = regexp.MustCompile("(?m)(^|[^`\\\\])(````? .*? ````?|`[^`]+`)")

// hclText quotes a text for a rule file.
func hclText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "${", "$${", "%{", "%%{").Replace(s) + `"`
}

// TestPage keeps the table of docs/kibana-rules.md up to date; go test -update writes it.
func TestPage(t *testing.T) {
	_, report, err := Export(replaytest.Library(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(testkit.RepoRoot(t), "docs", "kibana-rules.md")
	text := page(t, path, report)
	testkit.GoldenFile(t, path, text)
}

// TestExceptionsExpire: what is left out is left out until the day named, and a rule's version changes with its meaning alone.
func TestExceptionsExpire(t *testing.T) {
	hcl := func(title, when string) []byte {
		return []byte(`rule "r" {
  title = "` + title + `"
  when  = ` + when + `
  except "known" {
    when    = user.name == "svc"
    reason  = "ticket"
    expires = "2027-03-01"
  }
}`)
	}
	rule := func(text []byte, now time.Time) *Rule {
		set := rules.Load(rules.LoadOptions{}, rules.Source{Name: "a.hcl", Text: text})
		_, report, err := Export(set, Options{Now: now})
		if err != nil || set.Problems.HasErrors() || len(report[0].Parts) != 1 {
			t.Fatal(err, set.Problems, report)
		}
		return report[0].Parts[0].Rule
	}
	day := func(text string) time.Time { d, _ := time.Parse(time.DateOnly, text); return d }
	left := func(r *Rule) bool { return len(r.Filters) == 1 && strings.Contains(string(r.Filters[0].Query), "svc") }
	first := rule(hcl("one", `event.code == "1"`), day("2027-02-28"))
	if !left(first) || left(rule(hcl("one", `event.code == "1"`), day("2027-03-01"))) || !left(rule(hcl("one", `event.code == "1"`), time.Time{})) {
		t.Error("the exception is not left out up to its day, and no longer")
	}
	if v := rule(hcl("two", `event.code == "1"`), day("2027-02-28")).Version; v != first.Version {
		t.Error("another title makes another version")
	}
	if v := rule(hcl("one", `event.code == "2"`), day("2027-02-28")).Version; v == first.Version {
		t.Error("another meaning keeps the version")
	}
}

// TestOptions: lists that are too long are not written out, one namespace is read, suppression is left out.
func TestOptions(t *testing.T) {
	set := rules.Load(rules.LoadOptions{}, rules.Source{Name: "a.hcl", Text: []byte(`
list "names" { values = ["a", "b", "c"] }
rule "r" {
  when = in_list(event.code, list.names)
  by   = [user.name]
}`)})
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	export := func(o Options) Result {
		t.Helper()
		_, report, err := Export(set, o)
		if err != nil {
			t.Fatal(err)
		}
		return report[0]
	}
	if r := export(Options{LongestList: 2}); len(r.Parts) != 0 || !strings.Contains(r.Missing[0], "list names has 3 values") {
		t.Errorf("%+v", r)
	}
	r := export(Options{Namespace: "prod", LongestList: 3, NoSuppression: true}).Parts[0].Rule
	if r.Index[0] != "logs-gatebook.*-prod" || r.Suppression != nil {
		t.Errorf("index %q, suppression %v", r.Index, r.Suppression)
	}
	if r := export(Options{}).Parts[0].Rule; r.Suppression == nil || r.Index[0] != "logs-gatebook.*" {
		t.Errorf("index %q, suppression %v", r.Index, r.Suppression)
	}
	if _, _, err := Export(set, Options{Namespace: "a,logs-*"}); err == nil {
		t.Error("two indices pass as a namespace")
	}
}
