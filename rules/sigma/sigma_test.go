package sigma_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/sigma"
)

// TestGolden gives the rules and, as comments behind them, the reports. A file "more" is imported together with the input.
func TestGolden(t *testing.T) {
	testkit.GoldenArchive(t, "testdata", func(t *testing.T, ar *txtar.Archive) []byte {
		files := []sigma.File{{Name: "input", Text: testkit.File(ar, "input")}}
		if more := testkit.File(ar, "more"); more != nil {
			files = append(files, sigma.File{Name: "more", Text: more})
		}
		r, err := sigma.ImportFiles(files, sigma.Options{})
		loads(t, r)
		var b bytes.Buffer
		b.Write(r.HCL)
		for _, one := range r.Reports {
			fmt.Fprintf(&b, "# %s\n", one)
		}
		if err != nil {
			fmt.Fprintf(&b, "# error: %v\n", err)
		}
		return b.Bytes()
	})
}

// loads checks that all that was written is one rule file.
func loads(t testing.TB, r sigma.Result) *rules.Set {
	t.Helper()
	set := rules.Load(rules.LoadOptions{}, rules.Source{Name: "imported.hcl", Text: r.HCL})
	if set.Problems.HasErrors() {
		t.Fatalf("load what was imported:\n%v\n%s", set.Problems, r.HCL)
	}
	if len(set.Rules) != len(r.Rules) {
		t.Fatalf("%d rules load, %d were imported", len(set.Rules), len(r.Rules))
	}
	for i, rule := range set.Rules {
		if rule.ID != r.Rules[i].ID {
			t.Errorf("rule %d is %q, imported as %q", i, rule.ID, r.Rules[i].ID)
		}
	}
	if !bytes.Equal(hclwrite.Format(r.HCL), r.HCL) {
		t.Errorf("what was imported is not formatted:\n%s", r.HCL)
	}
	for _, one := range r.Reports {
		if s := one.String(); strings.ContainsAny(s, "\n\r\x1b") {
			t.Errorf("a report has control characters: %q", s)
		}
	}
	return set
}
