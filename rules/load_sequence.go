package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/internal/conf"
)

const (
	maxSteps = 16
	maxTimes = 1000
)

// sequence reads steps in the order of the file.
func (x *ruleReader) sequence() {
	b := x.body.Block("sequence")
	if b == nil {
		return
	}
	r, s := x.rule, &Sequence{}
	r.Sequence = s
	if b.Body.Require("within", `"12h"`) {
		s.Within = b.Body.Duration("within", 0, time.Second, maxWindow)
	}
	blocks := append(b.Body.Blocks("step", 1), b.Body.Blocks("without", 1)...)
	b.Body.Close()
	slices.SortFunc(blocks, func(a, b *conf.Block) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	if len(blocks) > maxSteps {
		x.file.ErrorAt(blocks[maxSteps].Range, fmt.Sprintf("a sequence of more than %d steps", maxSteps), "")
		blocks = blocks[:maxSteps]
	}
	x.steps = make([]string, 0, len(blocks)) // steps refer to those before them
	for i, one := range blocks {
		x.step(i, one, blocks[:i])
	}
	switch {
	case len(blocks) == 0 && x.brokenWithin(b):
	case len(blocks) < 2:
		x.file.ErrorAt(b.Range, "a sequence has at least two steps", `for several events of one kind write window = "15m" and fire = count() >= 5`)
	case s.Steps[0].Without:
		x.file.ErrorAt(blocks[0].Range, "a sequence begins with a step", "what must not come stands between steps, or behind the last one")
	}
	for i := 1; i < len(s.Steps); i++ {
		if s.Steps[i].Without && s.Steps[i-1].Without {
			x.file.ErrorAt(blocks[i].Range, "two steps that must not come stand next to each other", "join their conditions by ||")
		}
	}
	x.stepGroupings(blocks)
}

// brokenWithin tells that the parser found something wrong within the block: what is missing may stand there.
func (x *ruleReader) brokenWithin(b *conf.Block) bool {
	return x.file.Diagnostics().HasErrors() && !b.Body.HasBlock("step")
}

func (x *ruleReader) step(i int, b *conf.Block, before []*conf.Block) {
	name := b.Labels[0]
	s := &Step{Name: name, Without: b.Type == "without", Times: 1, Range: b.Range}
	x.rule.Sequence.Steps = append(x.rule.Sequence.Steps, s)
	good := x.source.checkName(b)
	for _, o := range before {
		if o.Labels[0] == name && o.Type != b.Type { // of one type package conf tells
			b.LabelErrorf(0, "there is a %s with the name %q already", o.Type, name)
		}
	}
	if !s.Without {
		s.Times = b.Body.Int("times", 1, 1, maxTimes)
	}
	if b.Body.Require("when", `event.action == "login"`) {
		e := x.expressions()
		e.steps = append(slices.Clone(x.steps), "")
		s.When = withKind(e.condition(b.Body.Expr("when")))
		x.onlyOf(s.When, "step")
		if i == 0 && s.When != nil && usesAggregate(s.When, FirstSeen) && s.Times > 1 {
			b.Body.Errorf("times", "a step that asks for first_seen() is made of one event")
		}
	}
	if b.Body.Has("by") {
		s.By, _ = x.reader(x.source).groupings(b.Body.Expr("by"))
	}
	b.Body.Close()
	if s.Without || !good {
		name = ""
	}
	x.steps = append(x.steps, name)
}

func usesAggregate(e Expr, kind AggregateKind) bool {
	uses := false
	Walk(e, func(e Expr) bool {
		if a, ok := e.(*Aggregate); ok {
			uses = uses || a.Kind == kind
		}
		return !uses
	})
	return uses
}

// stepGroupings checks that the groupings of all steps can be held against each other.
func (x *ruleReader) stepGroupings(blocks []*conf.Block) {
	r, steps := x.rule, x.rule.Sequence.Steps
	if len(steps) == 0 {
		return
	}
	if !x.body.Has("by") && blocks[0].Body.Has("by") {
		r.By, _ = x.reader(x.source).groupings(blocks[0].Body.Expr("by"))
		_, r.ByText = x.reader(x.source).groupings(blocks[0].Body.Expr("by"))
		for i, b := range blocks {
			if !b.Body.Has("by") {
				x.file.ErrorAt(b.Range, fmt.Sprintf("%s %q has no by, as the first step has", b.Type, steps[i].Name), "write by for the rule, or for each step")
			}
		}
	}
	for i, s := range steps {
		if s.By == nil {
			continue
		}
		if len(s.By) != len(r.By) {
			x.file.ErrorAt(blocks[i].Body.Range("by"), fmt.Sprintf("by: %d groupings, and the rule has %d", len(s.By), len(r.By)),
				"each grouping of a step stands for the one at the same place of the rule's by")
			continue
		}
		for k := range s.By {
			if len(s.By[k]) != len(r.By[k]) {
				x.file.ErrorAt(blocks[i].Body.Range("by"), fmt.Sprintf("by: grouping %d has %d terms, and the rule's has %d", k+1, len(s.By[k]), len(r.By[k])),
					"the keys of a sequence's steps are held against each other term by term")
			}
		}
	}
}

func (x *ruleReader) session() {
	b := x.body.Block("session")
	if b == nil {
		return
	}
	s := &Session{}
	x.rule.Session = s
	if b.Body.Require("open", `event.action == "session-start"`) {
		s.Open = withKind(x.reader(x.source).condition(b.Body.Expr("open")))
	}
	if b.Body.Has("close") {
		s.Close = withKind(x.reader(x.source).condition(b.Body.Expr("close")))
	}
	if b.Body.Has("id") {
		s.ID = x.reader(x.source).term(b.Body.Expr("id"))
	}
	s.Idle = b.Body.Duration("idle", 30*time.Minute, time.Second, maxWindow)
	b.Body.Close()
	if x.body.Require("fire", "active_distinct(source.ip) >= 2") {
		x.rule.Fire = x.expressions().condition(x.body.Expr("fire"))
		x.onlyOf(x.rule.Fire, "fire")
	}
}

// emptyRange is a place before an expression that the file does not have.
func emptyRange(at hcl.Range) hcl.Range {
	at.End = at.Start
	return at
}
