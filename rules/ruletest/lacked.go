package ruletest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// lacked says what the rule had made of a key by the time of an alert that did not come: the state after the last event of the key, and what of fire was
// not true then. "" where nothing can be said.
func (b *bench) lacked(in []arrival, want *rules.TestAlert) string {
	if b.rule.OverAlerts {
		return "" // alerts are not in the test: they come of other rules
	}
	e, err := engine.New(engine.Options{Rules: b.set, Installation: "ruletest", Zone: b.zone, Alert: func(*engine.Alert) {}, Lateness: lateness, Fleet: true})
	if err != nil {
		return err.Error()
	}
	last := event.TimeOf(b.start.Add(want.At))
	in = slices.Clone(in)
	slices.SortStableFunc(in, func(x, y arrival) int { return int(min(max(x.Time-y.Time, -1), 1)) })
	taken, excepted := 0, ""
	var group engine.Group
	var at event.Time
	for _, a := range in {
		if a.Time > last {
			break
		}
		x := e.Explain(b.rule.ID, a.Event, fmt.Sprintf("%08d", a.number))
		if x == nil {
			return "the rule does not run"
		}
		if x.Excepted != "" {
			excepted = x.Excepted
		}
		for _, g := range x.Groups {
			if !g.NoKey && sameKey(g.Key, want.Key) {
				taken, group, at = taken+1, g, a.Time
			}
		}
	}
	switch {
	case taken == 0 && excepted != "":
		return fmt.Sprintf("by then the rule had taken no event of this key; the exception %q took some out", excepted)
	case taken == 0:
		return "by then the rule had taken no event of this key"
	}
	text := fmt.Sprintf("by then the rule had taken %s of this key, the last at +%v", eventsText(taken), at.Std().Sub(b.start))
	if len(group.After) > 0 {
		text += "; after it " + strings.Join(group.After, "; ")
	}
	if len(group.Missing) > 0 {
		text += "; fire: " + strings.Join(group.Missing, " and ")
	}
	if group.Learning != nil {
		text += "; the rule was still learning this key"
	}
	if group.VetoedBy != "" {
		text += fmt.Sprintf("; the exception %q stopped it", group.VetoedBy)
	}
	return text
}

// sameKey compares an explained key with that of a test: without by, the one is a single empty text and the other nothing.
func sameKey(key, want []string) bool {
	return slices.Equal(key, want) || len(want) == 0 && len(key) == 1 && key[0] == ""
}

func eventsText(n int) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}
