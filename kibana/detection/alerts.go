package detection

import (
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// Alerts makes the one rule that turns alerts of Gatebook's own rules into alerts of Kibana: with their names, severities and risk scores. It takes the place of
// exported rules where Gatebook's engine runs, which knows what Kibana cannot say; with both, each finding would be told twice.
func Alerts(o Options) ([]byte, error) {
	opened := query.And{Of: []query.Expr{
		compare(event.FieldEventKind, query.Eq, string(event.KindAlert)),
		compare(event.FieldGatebookAlertState, query.Eq, "open"),
		compare(event.FieldGatebookAlertMode, query.Ne, string(rules.ModeShadow)),
	}}
	text, err := query.KQL(opened, query.KQLOptions{})
	if err != nil {
		return nil, err
	}
	namespace := o.Namespace
	if namespace == "" {
		namespace = "*"
	}
	r := &Rule{
		RuleID: "gatebook-alerts", Name: "Gatebook alerts", Type: string(Query), Language: "kuery", Query: text,
		Description:  "One alert for each that a rule of Gatebook opened, with the rule's name, severity and risk score.",
		Index:        []string{"logs-gatebook.alert-" + namespace},
		NameOverride: "rule.name",
		// A minute's look at two minutes: what is found twice is one alert, for it is the same document.
		Interval: "1m", From: "now-120s", To: "now", MaxSignals: 1000, Enabled: true, Version: 1,
		TimestampOverride: "event.ingested",
		Severity:          string(rules.Medium), RiskScore: int(rules.Medium.Number()),
		RiskMapping: []any{map[string]any{"field": "event.risk_score", "operator": "equals", "value": ""}},
		Threat:      []threat{}, Tags: []string{"Gatebook"}, FalsePositives: []string{}, References: []string{},
		Author: []string{"Gatebook"}, License: "Apache-2.0",
		RequiredFields: required([]query.Field{{ID: event.FieldEventKind}, {ID: event.FieldEventRiskScore}, {ID: event.FieldEventSeverity}, {ID: event.FieldGatebookAlertMode},
			{ID: event.FieldGatebookAlertState}, {ID: event.FieldRuleName}}),
		Related: []any{}, Exceptions: []any{}, Actions: []any{},
		Note: "## Investigation guide\n\nThe alert of Gatebook is in the source document: `message` says what was found, `gatebook.alert.summary` the evidence in words, " +
			"`gatebook.alert.runbook` what its author advises. `gatebook.alert.events` has the ids of the events that are the evidence; in Discover, with the data view " +
			"*Gatebook: alerts*, they are links, and `event.url` leads to all of them where the config names Kibana. `gatebook.alert.id` joins this record with those that followed it.",
		Setup: "Alerts are there where a Gatebook runs rules (block `rules`) and delivers to this cluster. Do not enable exported rules beside it: each finding would be told twice.",
	}
	for _, s := range []rules.Severity{rules.Low, rules.Medium, rules.High, rules.Critical} {
		r.SeverityMapping = append(r.SeverityMapping, map[string]any{"field": "event.severity", "operator": "equals", "value": itoa(int(s.Number())), "severity": string(s)})
	}
	return append(marshal(r), '\n'), nil
}

func compare(f event.FieldID, op query.Op, text string) query.Compare {
	return query.Compare{Field: query.Field{ID: f}, Op: op, Value: query.Value{Kind: event.Str, Str: text}}
}
