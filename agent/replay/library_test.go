package replay

import (
	"context"
	"testing"
	"time"

	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/library"
	"github.com/gatebook/gatebook/rules/ruletest"
)

// The tests of the shipped rules pass, in every way in which their events may come.
func TestLibrary(t *testing.T) {
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: f.Name, Text: f.Text, Library: true})
	}
	set := rules.Load(rules.LoadOptions{Tests: true}, sources...)
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	events := &TestEvents{Zone: time.UTC}
	tests := 0
	for _, r := range ruletest.Run(context.Background(), set, ruletest.Options{Events: events.Make, Zone: time.UTC}) {
		for _, one := range r.Tests {
			tests++
			for _, s := range one.Failures {
				t.Errorf("%s %q: %s", r.Rule.ID, one.Test.Name, s)
			}
		}
	}
	if tests < 200 {
		t.Errorf("only %d tests were run", tests)
	}
}
