package detection

import (
	"testing"
)

func TestDump(t *testing.T) {
	ndjson, report, err := Export(load(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = ndjson
	for _, r := range report {
		t.Logf("%s: %s %v", r.Rule.ID, r.Kind(), r.Missing)
		for _, p := range r.Parts {
			t.Logf("    %s %s [%s %s]\n%s %d %v %v", p.Rule.RuleID, p.Rule.Name, p.Rule.From, p.Rule.Interval, p.Rule.Query, len(p.Rule.Filters), p.Rule.Threshold, p.Rule.NewTermsFields)
			for _, f := range p.Rule.Filters {
				t.Logf("   F  %s", f.Query)
			}
		}
	}
}
