package detection

import (
	"encoding/json"
	"testing"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// The rule that makes alerts of Kibana of Gatebook's: what it takes, and that their severity and name come through.
func TestAlertsRule(t *testing.T) {
	line, err := Alerts(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var r Rule
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	if r.Query != `event.kind : "alert" and gatebook.alert.state : "open" and not gatebook.alert.mode : "shadow"` || r.Index[0] != "logs-gatebook.alert-*" || r.NameOverride != "rule.name" {
		t.Errorf("rule %+v", r)
	}
	levels := map[string]string{}
	for _, m := range r.SeverityMapping {
		one := m.(map[string]any)
		if one["field"] != "event.severity" || one["operator"] != "equals" {
			t.Errorf("severity %v", one)
		}
		levels[one["value"].(string)] = one["severity"].(string)
	}
	if len(levels) != 4 || levels["21"] != "low" || levels["47"] != "medium" || levels["73"] != "high" || levels["99"] != "critical" {
		t.Errorf("severities %v", levels)
	}
	for _, f := range r.RequiredFields {
		if field, err := query.FieldNamed(f.Name); err != nil || f.Type != string(event.Fields[field.ID].Type) {
			t.Errorf("required field %v: %v", f, err)
		}
	}
}
