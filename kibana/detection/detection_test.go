package detection_test

import (
	"testing"

	"github.com/gatebook/gatebook/kibana/detection"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/library"
)

// load reads the shipped rules with their tests.
func load(t testing.TB) *rules.Set {
	t.Helper()
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: "library/" + f.Name, Text: f.Text, Library: true})
	}
	set := rules.Load(rules.LoadOptions{Tests: true}, sources...)
	if len(set.Problems) > 0 {
		t.Fatalf("load the library:\n%v", set.Problems)
	}
	return set
}

func TestDump(t *testing.T) {
	ndjson, report, err := detection.Export(load(t), detection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = ndjson
	for _, r := range report {
		t.Logf("%s: %s %v", r.Rule.ID, r.Kind(), r.Missing)
		for _, p := range r.Parts {
			t.Logf("    %s %s [%s %s]\n%s %d %v %v", p.Rule.RuleID, p.Rule.Name, p.Rule.From, p.Rule.Interval, p.Rule.Query, len(p.Rule.Filters), p.Rule.Threshold, p.Rule.NewTermsFields)
			for _, f := range p.Rule.Filters { t.Logf("   F  %s", f.Query) }
		}
	}
}
