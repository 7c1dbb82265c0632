package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
)

// A crash of the rules on one event is told and counted, and the next event is seen.
func TestRulesCrash(t *testing.T) {
	set := rules.Load(rules.LoadOptions{}, rules.Source{Name: "r.hcl", Text: []byte(`rule "each" {
  when  = event.action == "login"
  by    = [user.name]
  quiet = "1s"
}`)})
	if set.Problems.HasErrors() {
		t.Fatal(set.Problems)
	}
	seen := 0
	e, err := engine.New(engine.Options{Rules: set, Alert: func(a *engine.Alert) {
		if seen++; seen == 1 {
			panic("a mistake of ours")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := &detector{engine: e, log: slog.New(slog.NewTextHandler(&log, nil))}
	for i, user := range []string{"bob", "eve"} {
		ev := &event.Event{Time: event.Time(1e18 + i), Action: event.Login}
		ev.User.Name = user
		d.add(ev, "id-"+user)
	}
	if d.crashes != 1 || seen != 2 || !strings.Contains(log.String(), "a mistake of ours") {
		t.Errorf("%d crashes, %d alerts, log %q", d.crashes, seen, log.String())
	}
}

// The place of a block is kept as one number.
func TestCursorIsAPlace(t *testing.T) {
	for _, p := range []buffer.Pos{{}, {Segment: 1, Offset: 64}, {Segment: 1 << 31, Offset: 1<<32 - 1}} {
		if got := posOf(cursorOf(p)); got != p {
			t.Errorf("%v came back as %v", p, got)
		}
	}
}
