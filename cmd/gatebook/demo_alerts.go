package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/store"
)

// alertTally is the alerts of one rule.
type alertTally struct {
	rule, severity, latest string
	number                 int64
	count                  int
	last                   event.Time
}

// alertsAfter is when the rules of a live agent have been through the sample logs: they wait for all sources to be heard before time moves.
const alertsAfter = 8 * time.Second

// alerts prints what the rules found: every alert once, those in shadow left out.
func (d *demo) alerts(ctx context.Context, out io.Writer) error {
	s, err := d.open()
	if err != nil {
		return err
	}
	defer s.Close()
	where, err := query.ParseSimple("event.kind=alert gatebook.alert.mode!=shadow", time.Now(), time.UTC)
	if err != nil {
		return err
	}
	seen, byRule := map[string]bool{}, map[string]*alertTally{}
	var ev event.Event
	for doc, err := range s.Query(ctx, where, store.QueryOptions{}) {
		if err != nil {
			return err
		}
		if err := event.FromJSON(doc, &ev); err != nil || ev.Alert == nil || ev.Rule == nil || seen[ev.Alert.ID] {
			continue
		}
		seen[strings.Clone(ev.Alert.ID)] = true // the document's bytes are used again
		t := byRule[ev.Rule.ID]
		if t == nil {
			t = &alertTally{rule: strings.Clone(ev.Rule.ID), severity: severityName(ev.Severity.N), number: ev.Severity.N}
			byRule[t.rule] = t
		}
		t.count++
		if ev.Time > t.last {
			t.last, t.latest = ev.Time, strings.Clone(ev.Message)
		}
	}
	list := make([]*alertTally, 0, len(byRule))
	for _, t := range byRule {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *alertTally) int {
		return cmp.Or(cmp.Compare(b.number, a.number), cmp.Compare(b.count, a.count), cmp.Compare(a.rule, b.rule))
	})
	fmt.Fprintf(out, "\n%d alerts of %d rules\n\n  SEVERITY  ALERTS  RULE                                       THE LATEST ONE\n", len(seen), len(list))
	const most = 14
	for i, t := range list {
		if i == most {
			fmt.Fprintf(out, "  and of %d more rules\n", len(list)-most)
			break
		}
		fmt.Fprintf(out, "  %-8s  %6d  %-41s  %s\n", t.severity, t.count, t.rule, printable(t.latest, 90))
	}
	return nil
}

func severityName(n int64) string {
	for _, s := range []rules.Severity{rules.Critical, rules.High, rules.Medium} {
		if n >= s.Number() {
			return string(s)
		}
	}
	return string(rules.Low)
}
