package dashboard

import "github.com/gatebook/gatebook/query"

// Each alert has one record that opens it, and later ones (update, close) that repeat what it is about: what counts alerts counts the first.
var alerts = page{
	id: "alerts", title: "Alerts", about: "What the rules found: by severity, rule, technique, user and address, with links to the evidence",
	controls: []string{"rule.name", "event.severity", "user.name", "source.ip", "gatebook.alert.mode"},
	searches: []string{"alerts-opened", "alerts-all", "alerts-shadow"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Alerts opened", view: Alerts, where: heard},
			{width: 8, kind: Metric, title: "High and critical", view: Alerts, where: heard + ` && event.severity >= 73`, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Medium", view: Alerts, where: heard + ` && event.severity >= 47 && event.severity < 73`, figures: []figure{{tone: Warning}}},
			{width: 8, kind: Metric, title: "Low", view: Alerts, where: heard + ` && event.severity < 47`},
			{width: 8, kind: Metric, title: "Users concerned", view: Alerts, where: heard, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 8, kind: Metric, title: "Opened in shadow", about: "stored, told to nobody: rules on trial", view: Alerts, where: `gatebook.alert.state == "open" && gatebook.alert.mode == "shadow"`},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Alerts opened over time", about: "by severity", view: Alerts, where: heard, by: []by{{field: "event.severity", size: 4}, overTime}},
			{width: 16, kind: Donut, title: "Alerts by severity", view: Alerts, where: heard, by: []by{{field: "event.severity", size: 4}}},
		}},
		{15, []panel{
			{width: 32, kind: Table, title: "Rules", view: Alerts, where: opened, by: []by{{field: "rule.name", size: 50}, {field: "event.severity", size: 2}, {field: "gatebook.alert.mode", size: 2}},
				figures: []figure{{title: "Alerts"}, {title: "About how many", kind: query.Unique, field: "gatebook.alert.key"}, {title: "First", kind: query.Min, field: "@timestamp"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
			{width: 16, kind: Table, title: "Tactics and techniques", about: "MITRE ATT&CK", view: Alerts, where: heard, by: []by{{field: "threat.tactic.name", size: 14}, {field: "threat.technique.name", size: 5}},
				figures: []figure{{title: "Alerts"}}},
		}},
		{13, []panel{
			{width: 16, kind: Table, title: "Users in alerts", view: Alerts, where: heard, by: []by{{field: "gatebook.user.key", title: "User", size: 20}},
				figures: []figure{{title: "Alerts"}, {title: "Rules", kind: query.Unique, field: "rule.id"}, {title: "Worst", kind: query.Max, field: "event.severity"}}, to: "users"},
			{width: 16, kind: Table, title: "Addresses in alerts", view: Alerts, where: heard, by: []by{{field: "source.ip", size: 20}},
				figures: []figure{{title: "Alerts"}, {title: "Rules", kind: query.Unique, field: "rule.id"}, {title: "Worst", kind: query.Max, field: "event.severity"}}, to: "geography"},
			{width: 16, kind: Bar, title: "Kinds of rules", view: Alerts, where: heard, by: []by{{field: "rule.category", title: "Group of rules", size: 12}, {field: "event.severity", size: 4}}},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Opened and closed over time", view: Alerts, where: `exists(gatebook.alert.state)`, by: []by{overTime},
				figures: []figure{{title: "Opened", where: opened, tone: Warning}, {title: "Closed", where: `gatebook.alert.state == "close"`, tone: Good}}},
			{width: 24, kind: Table, title: "Alerts with most hits", view: Alerts, where: `gatebook.alert.mode != "shadow"`, by: []by{{field: "gatebook.alert.id", title: "Alert", size: 15}, {field: "rule.name", size: 1}, {field: "gatebook.alert.key", size: 1}},
				figures: []figure{{title: "Hits", kind: query.Max, field: "gatebook.alert.count"}, {title: "Records"}}},
		}},
		{16, []panel{{width: 48, kind: Records, title: "Latest alerts", about: "event.id of the evidence leads to the events", search: "alerts-opened"}}},
	},
}
