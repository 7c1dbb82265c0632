package dashboard

import "github.com/gatebook/gatebook/query"

var overview = page{
	id: "overview", title: "Overview", about: "What happened, who was active, and what needs a look",
	controls: byEvent,
	searches: []string{"events", "failed-logins", "alerts-opened"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Events", where: anEvent},
			{width: 8, kind: Metric, title: "Successful logins", where: goodLogin, figures: []figure{{tone: Good}}, to: "authentication"},
			{width: 8, kind: Metric, title: "Failed logins", where: failedLogin, figures: []figure{{tone: Bad}}, to: "authentication"},
			{width: 8, kind: Metric, title: "Users seen", where: anEvent, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}, to: "users"},
			{width: 8, kind: Metric, title: "Addresses seen", where: anEvent, figures: []figure{{kind: query.Unique, field: "source.ip"}}, to: "geography"},
			{width: 8, kind: Metric, title: "Alerts", view: Alerts, where: heard, figures: []figure{{tone: Warning}}, to: "alerts", about: "without those of rules in shadow"},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Events over time", about: "by dataset", where: anEvent, by: []by{{field: "event.dataset", size: 12}, overTime}},
			{width: 16, kind: Donut, title: "Outcomes", where: anEvent, by: []by{{field: "event.outcome", size: 3}}},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Logins over time", where: login, by: []by{overTime}, to: "authentication",
				figures: []figure{{title: "Succeeded", where: succeeded, tone: Good}, {title: "Failed", where: failed, tone: Bad}}},
			{width: 24, kind: Time, title: "Alerts over time", about: "opened, by severity", view: Alerts, where: heard, by: []by{{field: "event.severity", size: 4}, overTime}, to: "alerts"},
		}},
		{14, []panel{
			{width: 16, kind: Bar, title: "What was done", where: anEvent, by: []by{{field: "event.action", size: 15}}, to: "audit"},
			{width: 16, kind: Bar, title: "Most active users", where: anEvent, by: []by{{field: "user.name", size: 15}}, to: "users"},
			{width: 16, kind: Donut, title: "Categories", where: anEvent, by: []by{{field: "event.category", size: 12}}},
		}},
		{13, []panel{
			{width: 24, kind: Table, title: "Sources", about: "a source that is silent shows by its latest event", where: anEvent, by: []by{{field: "event.dataset", size: 50}},
				figures: []figure{{title: "Events"}, {title: "Failures", where: failed, tone: Bad}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"},
					{title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "health"},
			{width: 24, kind: Table, title: "Rules that fired", view: Alerts, where: heard, by: []by{{field: "rule.name", size: 20}, {field: "event.severity", size: 4}},
				figures: []figure{{title: "Alerts"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "alerts"},
		}},
	},
}
