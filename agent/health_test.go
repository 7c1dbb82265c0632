package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/internal/testkit"
)

// A running Gatebook says of itself how it does: what it did since the last time, and what is wrong.
func TestHealthIsRecorded(t *testing.T) {
	dir := t.TempDir()
	in, out, nowhere := filepath.Join(dir, "in.log"), filepath.Join(dir, "out.ndjson"), filepath.Join(dir, "no-folder", "out.ndjson")
	if err := os.WriteFile(in, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := agent.ParseConfig("gatebook.hcl", fmt.Appendf(nil, `
data_dir = %q
health   = "1s"
input "file" "in" {
  paths  = [%q]
  parser = "raw"
}
output "file" "out" { path = %q }
output "file" "broken" { path = %q }
`, filepath.Join(dir, "data"), in, out, nowhere), agent.LoadOptions{})
	if c.Problems.HasErrors() {
		t.Fatal(c.Problems)
	}
	a, err := agent.Open(c, agent.Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	type record struct {
		Event    struct{ Kind, Code, Dataset string }
		Gatebook struct {
			Health struct {
				Status         string
				Problems       []string
				Lines, Waiting int64
				Buffer         int64 `json:"buffer_bytes"`
			}
		}
	}
	var first, second record
	testkit.Eventually(t, time.Minute, func() bool {
		text, err := os.ReadFile(out)
		if err != nil {
			return false
		}
		n := 0
		for line := range bytes.Lines(text) {
			var r record
			if json.Unmarshal(line, &r) == nil && r.Event.Code == "health" {
				if n == 0 {
					first = r
				}
				second, n = r, n+1
			}
		}
		return n > 1
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	h := first.Gatebook.Health
	if first.Event.Kind != "state" || first.Event.Dataset != "gatebook.agent" {
		t.Errorf("record %+v", first.Event)
	}
	if h.Status != "degraded" || len(h.Problems) != 1 || h.Problems[0] != `output "broken": retrying` && h.Problems[0] != `output "broken": held` {
		t.Errorf("health %+v", h)
	}
	// The lines may have been read before the first tally was taken or after it.
	if h.Lines > 3 || h.Waiting < 3 || h.Buffer == 0 {
		t.Errorf("figures %+v", h)
	}
	if h := second.Gatebook.Health; h.Lines > 1 { // the record itself
		t.Errorf("lines of before are counted again: %+v", h)
	}
}

func TestHealthConfig(t *testing.T) {
	for text, wrong := range map[string]bool{`health = "0s"`: false, `health = "10ms"`: true, `health = "1m"`: false, ``: false} {
		c := agent.ParseConfig("g.hcl", []byte(text+"\noutput \"file\" \"x\" { path = \"-\" }\n"), agent.LoadOptions{})
		if c.Problems.HasErrors() != wrong {
			t.Errorf("%s: %v", text, c.Problems)
		}
	}
}
