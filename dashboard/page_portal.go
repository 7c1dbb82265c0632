package dashboard

import "github.com/gatebook/gatebook/query"

const (
	portalRecord = `event.dataset == "payment_portal.login"`
	portalEnd    = `in(event.action, ["session-end", "session-expire"])`
)

var portal = page{
	id: "portal", title: "Payment portal", about: "Login activity by entry and status, as the portal's security page has it",
	controls: []string{"organization.name", "user.name", "source.ip", "event.outcome", "gatebook.entry.name", "gatebook.status.name", "event.dataset"},
	searches: []string{"portal", "portal-failures", "failed-logins"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Portal records", where: portalRecord},
			{width: 8, kind: Metric, title: "Portal users", where: portalRecord, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 8, kind: Metric, title: "Portal logins", where: portalRecord + ` && ` + goodLogin, figures: []figure{{tone: Good}}},
			{width: 8, kind: Metric, title: "Portal failures", where: portalRecord + ` && ` + failed, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Invalid passwords", where: portalRecord + ` && gatebook.status.code == 5`, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Users locked by second factor", where: portalRecord + ` && gatebook.status.code == 20`, figures: []figure{{tone: Warning}}},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Entries over time", where: portalRecord, by: []by{{field: "gatebook.entry.name", size: 8}, overTime}},
			{width: 16, kind: Donut, title: "Entries", where: portalRecord, by: []by{{field: "gatebook.entry.name", size: 8}}},
		}},
		{14, []panel{
			{width: 24, kind: Bar, title: "Status by name", where: portalRecord, by: []by{{field: "gatebook.status.name", size: 25}}},
			{width: 24, kind: Table, title: "Entry and status", where: portalRecord, by: []by{{field: "gatebook.entry.name", size: 8}, {field: "gatebook.status.name", size: 25}},
				figures: []figure{{title: "Records"}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
		}},
		{16, []panel{
			{width: 48, kind: Table, title: "Users of the portal", about: "last login and logout of each, as the portal's list has them", where: portalRecord, by: []by{{field: "organization.name", size: 20}, {field: "user.name", size: 20}},
				figures: []figure{{title: "Records"}, {title: "Last login", kind: query.Max, field: "@timestamp", where: goodLogin}, {title: "Last end of a session", kind: query.Max, field: "@timestamp", where: portalEnd},
					{title: "Failures", where: failed, tone: Bad}, {title: "Addresses", kind: query.Unique, field: "source.ip"}}, to: "users"},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Failures over time", where: portalRecord + ` && ` + failed, by: []by{{field: "gatebook.status.name", size: 10}, overTime}},
			{width: 12, kind: Table, title: "Failures by company", where: portalRecord + ` && ` + failed, by: []by{{field: "organization.name", size: 15}},
				figures: []figure{{title: "Failures", tone: Bad}, {title: "Users", kind: query.Unique, field: "user.name"}}},
			{width: 12, kind: Table, title: "Failures by address", where: portalRecord + ` && ` + failed, by: []by{{field: "source.ip", size: 15}},
				figures: []figure{{title: "Failures", tone: Bad}, {title: "Users", kind: query.Unique, field: "user.name"}}, to: "geography"},
		}},
		{15, []panel{{width: 48, kind: Records, title: "Latest records of the portal", search: "portal"}}},
	},
}
