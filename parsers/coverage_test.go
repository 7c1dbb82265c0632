package parsers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// coverageRow is one line of testdata/coverage.txt:
//
//	[seed / section / list]                   what the system's own guide calls it
//	item | field, field=value ... | parser/case
//
// Its golden case has to show each field, in one record, with that value where one is given.
type coverageRow struct {
	section, item string
	fields        []string
	cases         string
}

func coverageRows(t *testing.T) (rows []coverageRow) {
	t.Helper()
	text, err := os.ReadFile("testdata/coverage.txt")
	if err != nil {
		t.Fatal(err)
	}
	section, n := "", 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			cells := strings.Split(line, " | ")
			if len(cells) != 3 || section == "" {
				t.Fatalf("coverage.txt:%d: want item | fields | case: %s", n, line)
			}
			rows = append(rows, coverageRow{section, strings.TrimSpace(cells[0]), strings.Split(cells[1], ", "), strings.TrimSpace(cells[2])})
		}
	}
	return rows
}

// prove finds the record of the row's case that has all its fields and returns them with their values.
func (r coverageRow) prove(t *testing.T) (shown []string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", r.cases+".txtar"))
	if err != nil {
		t.Errorf("%s / %s: %v", r.section, r.item, err)
		return nil
	}
	missing := "no record"
	for doc := range bytes.Lines(testkit.File(txtar.Parse(src), "want")) {
		if !bytes.HasPrefix(doc, []byte("{")) {
			continue
		}
		shown = shown[:0]
		for _, f := range r.fields {
			name, want, exact := strings.Cut(strings.TrimSpace(f), "=")
			id, ok := event.FieldByName(name)
			if label, isLabel := strings.CutPrefix(name, "labels."); !ok && isLabel {
				id, ok = event.FieldLabels, event.LabelKey(label) == label
			}
			if !ok {
				t.Fatalf("%s / %s: there is no field %q", r.section, r.item, name)
			}
			_ = id
			value := gjson.GetBytes(doc, strings.ReplaceAll(name, "@", `\@`))
			if !value.Exists() || exact && value.String() != want && !slices.Contains(texts(value), want) {
				shown, missing = nil, f
				break
			}
			shown = append(shown, fmt.Sprintf("`%s` = %s", name, cell(value)))
		}
		if len(shown) > 0 {
			return shown
		}
	}
	t.Errorf("%s / %s: %s does not show %s", r.section, r.item, r.cases, missing)
	return nil
}

func texts(v gjson.Result) (list []string) {
	for _, e := range v.Array() {
		list = append(list, e.String())
	}
	return list
}

// cell is a value as it may stand in a table.
func cell(v gjson.Result) string {
	text := v.String()
	if v.IsArray() && !strings.ContainsAny(v.Raw, "{") {
		text = strings.Join(texts(v), ", ")
	}
	if r := []rune(text); len(r) > 60 {
		text = string(r[:57]) + "..."
	}
	return "`" + strings.NewReplacer("|", `\|`, "`", "'", "\n", " ").Replace(text) + "`"
}

// TestCoverage writes docs/coverage.md (with -update) and holds it: for each thing that the systems' own guides name, the record field
// that it lands in, with its value in the golden case that proves it.
func TestCoverage(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("<!-- Made by \"go test ./parsers -run TestCoverage -update\" from parsers/testdata/coverage.txt. Do not edit. -->\n# What of each system lands where\n\n" +
		"Every field, event type, status and code that the guides of the five systems name, the record field that it lands in, and the golden\n" +
		"case (`parsers/testdata/`) in which it does, with the value that it has there. A test reads each value from its case.\n")
	section, last := "", ""
	rows := coverageRows(t)
	for _, r := range rows {
		if r.section != section {
			parts := strings.Split(r.section, " / ")
			if parts[0] != last {
				fmt.Fprintf(&b, "\n## %s\n", parts[0])
			}
			section, last = r.section, parts[0]
			fmt.Fprintf(&b, "\n### %s\n\n| named there | record fields | golden case |\n| --- | --- | --- |\n", strings.Join(parts[1:], ": "))
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", strings.ReplaceAll(r.item, "|", `\|`), strings.Join(r.prove(t), "<br>"), r.cases)
	}
	fmt.Fprintf(&b, "\n%d rows.\n", len(rows))
	testkit.GoldenFile(t, filepath.Join("..", "docs", "coverage.md"), b.Bytes())
}

// guideLists are the lists of the guides that name what is logged: file, section, list. An empty section is the whole file.
var guideLists = []struct{ file, title, section, list string }{
	{"auth-service-monitoring.txt", "Auth service", "Audit Logs", "Administrative actions"},
	{"auth-service-monitoring.txt", "Auth service", "Audit Logs", "Who, what, when, where"},
	{"auth-service-monitoring.txt", "Auth service", "Audit Logs", "Table columns"},
	{"auth-service-monitoring.txt", "Auth service", "Event Logs", "Login events"},
	{"auth-service-monitoring.txt", "Auth service", "Event Logs", "Event details"},
	{"auth-service-monitoring.txt", "Auth service", "Event Logs", "Table columns"},
	{"auth-service-monitoring.txt", "Auth service", "Job Logs", "Job types"},
	{"auth-service-monitoring.txt", "Auth service", "Job Logs", "Job details"},
	{"auth-service-monitoring.txt", "Auth service", "Job Logs", "Table columns"},
	{"auth-service-monitoring.txt", "Auth service", "Notification Logs", "Email types"},
	{"auth-service-monitoring.txt", "Auth service", "Notification Logs", "Email details"},
	{"auth-service-monitoring.txt", "Auth service", "Notification Logs", "Table columns"},
	{"auth-service-monitoring.txt", "Auth service", "Sessions", "Session information"},
	{"auth-service-monitoring.txt", "Auth service", "Sessions", "Session lifecycle"},
	{"auth-service-monitoring.txt", "Auth service", "Sessions", "Table columns"},
	{"auth-service-monitoring.txt", "Auth service", "Sessions", "View full session information"},
	{"auth-service-monitoring.txt", "Auth service", "Grants", "Grant information"},
	{"auth-service-monitoring.txt", "Auth service", "Grants", "Grant lifecycle"},
	{"auth-service-monitoring.txt", "Auth service", "Grants", "Table columns"},
	{"loyalty-activity-logs.txt", "Loyalty platform", "", "User Actions"},
	{"loyalty-activity-logs.txt", "Loyalty platform", "", "Authentication Events"},
	{"loyalty-activity-logs.txt", "Loyalty platform", "", "System Information"},
	{"loyalty-activity-logs.txt", "Loyalty platform", "", "Every activity includes"},
	{"loyalty-activity-logs.txt", "Loyalty platform", "", "Find exactly what you need"},
	{"loyalty-security-monitoring.txt", "Loyalty platform, security", "", "For each failed login, check"},
	{"loyalty-security-monitoring.txt", "Loyalty platform, security", "", "Click on a login record to view"},
}

// unlogged are items of those lists that are no data of a row.
var unlogged = map[string]bool{"Details": true, "Remove": true, "Search by description": true}

var portalCodeRow = regexp.MustCompile(`(?m)^(\d+) \|\n(.+?) \|`)

var activityKindRow = regexp.MustCompile(`(?m)^(Login attempts|MFA events|Password changes|Sessions|Lockouts)([A-Z].+)$`)

// TestCoverageIsComplete reads the guides themselves: whatever they list has its row.
func TestCoverageIsComplete(t *testing.T) {
	have := map[string]bool{}
	for _, r := range coverageRows(t) {
		have[r.section+" / "+r.item] = true
	}
	missing := 0
	want := func(section, item string) {
		t.Helper()
		if !have[section+" / "+item] && !unlogged[item] {
			missing++
			t.Errorf("no row for [%s] %s", section, item)
		}
	}
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join(testkit.Shared(t, "seeds"), file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, g := range guideLists {
		items := listed(read(g.file), g.section, g.list)
		if len(items) == 0 {
			t.Errorf("%s: the list %s / %s is not found", g.file, g.section, g.list)
		}
		section := g.title + " / " + g.list
		if g.section != "" {
			section = g.title + " / " + g.section + " / " + g.list
		}
		for _, item := range items {
			want(section, item)
		}
	}
	kind := "Entry"
	rows := portalCodeRow.FindAllStringSubmatch(read("payment-portal-login-activity.txt")+" |", -1)
	if len(rows) != 33 {
		t.Errorf("%d codes of the payment portal, want 8 and 25", len(rows))
	}
	for i, m := range rows {
		if i > 0 && m[1] == "1" {
			kind = "Status"
		}
		want("Payment portal / "+kind+" types", m[1]+" "+strings.TrimSpace(m[2]))
	}
	for _, m := range activityKindRow.FindAllStringSubmatch(read("user-activity-monitoring.txt"), -1) {
		for what := range strings.SplitSeq(strings.ReplaceAll(m[2], "/", ", "), ", ") {
			want("User activity / "+m[1], what)
		}
	}
}

// listed returns the items of a list: what stands after "- " and before ":", " — " or " (".
func listed(text, section, list string) (items []string) {
	inSection, inList := section == "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		heading := strings.TrimSuffix(line, "¶")
		if heading != line && slices.Contains([]string{"Audit Logs", "Event Logs", "Job Logs", "Notification Logs", "Sessions", "Grants", "Natural Language Queries"}, heading) {
			inSection = section == "" || heading == section
		}
		item, isItem := strings.CutPrefix(line, "- ")
		switch {
		case strings.TrimSuffix(item, ":") == list:
			inList = inSection
		case !isItem:
			inList = false
		case inList:
			item, _, _ = strings.Cut(item, " — ")
			if name, _, found := strings.Cut(item, ": "); found {
				item = name
			}
			items = append(items, item)
		}
	}
	return items
}
