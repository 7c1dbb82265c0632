package event_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// Every action's category and type are a pair that ECS 8.17 expects, and every field of the table is ECS's or ours.
func TestActionsAndFieldsAreECS(t *testing.T) {
	schema := testkit.ECS(t)
	w := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: strings.Repeat("0", 32), Original: true,
		Agent: event.AgentInfo{ID: "a", Name: "n", Version: "1", EphemeralID: "x"}})
	check := func(name string, e *event.Event) {
		t.Helper()
		doc := w.AppendDocument(nil, e)
		for _, err := range schema.Validate(doc, "gatebook", "log.offset") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e event.Event
	for _, a := range event.Actions() {
		e.Reset()
		e.Time, e.Action = 1795342532e9, a
		check(a.String(), &e)
	}
	samples := map[event.Type]string{event.Integer: "42", event.Float32: "2.5", event.DateTime: "2026-11-22T10:15:32Z", event.IP: "203.0.113.9",
		event.Boolean: "true", event.Place: `{"lat":59.5,"lon":18.25}`, event.Flattened: `{"a":"b"}`, event.Stored: `{"a":"b"}`, event.Keyword: "x", event.Text: "x"}
	for i, f := range event.Fields {
		if f.Go == "" || f.Name == "labels" || strings.HasPrefix(f.Name, "event.") && f.Type == event.Keyword {
			continue
		}
		e.Reset()
		e.Time = 1
		e.Log.Path = "/var/log/auth.log"
		if err := e.Set(event.FieldID(i), samples[f.Type]); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprint("field ", f.Name), &e)
	}
}
