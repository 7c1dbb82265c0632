package dashboard

import "github.com/gatebook/gatebook/query"

const deletion = `in(event.action, ["delete", "user-delete", "group-delete"])`

var audit = page{
	id: "audit", title: "Audit trail", about: "Who changed what: accounts, groups, rights, settings, things of the business, and data taken out",
	controls: append([]string{"gatebook.actor.type"}, byEvent...),
	searches: []string{"changes", "deletions", "rights", "settings", "exports", "commands"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Changes", where: change},
			{width: 8, kind: Metric, title: "Who changed something", where: change, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 8, kind: Metric, title: "Deletions", where: deletion, figures: []figure{{tone: Warning}}},
			{width: 8, kind: Metric, title: "Accounts made", where: `event.action == "user-create"`},
			{width: 8, kind: Metric, title: "Rights and members of groups", where: `in(event.action, ["role-grant", "role-revoke", "group-member-add", "group-member-remove"])`, figures: []figure{{tone: Warning}}},
			{width: 8, kind: Metric, title: "Exports and downloads", where: `in(event.action, ["export", "download"])`},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Changes over time", about: "by action", where: change, by: []by{{field: "event.action", size: 10}, overTime}},
			{width: 16, kind: Donut, title: "Who acts", where: anEvent, by: []by{{field: "gatebook.actor.type", size: 5}}},
		}},
		{14, []panel{
			{width: 24, kind: Table, title: "Who changes what", where: change, by: []by{{field: "user.name", size: 15}, {field: "event.action", size: 5}},
				figures: []figure{{title: "Changes"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "users"},
			{width: 24, kind: Table, title: "What was changed", where: change, by: []by{{field: "gatebook.target.type", size: 10}, {field: "gatebook.target.name", size: 5}},
				figures: []figure{{title: "Changes"}, {title: "By how many", kind: query.Unique, field: "user.name"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Deletions over time", about: "by user: many within a short time, or at odd hours, need a look", where: deletion, by: []by{{field: "user.name", size: 8}, overTime}},
			{width: 12, kind: Bar, title: "Kinds of things", where: anEvent, by: []by{{field: "gatebook.category", size: 10}, {field: "event.action", size: 6}}},
			{width: 12, kind: Bar, title: "Accounts that were changed", where: change, by: []by{{field: "user.target.name", size: 12}}},
		}},
		{12, []panel{
			{width: 16, kind: Table, title: "Commands with more rights", where: `event.action == "command-run"`, by: []by{{field: "user.name", size: 10}, {field: "process.executable", size: 5}},
				figures: []figure{{title: "Times"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
			{width: 16, kind: Table, title: "Data taken out or in", where: `in(event.action, ["export", "download", "import", "upload"])`, by: []by{{field: "user.name", size: 10}, {field: "event.action", size: 4}},
				figures: []figure{{title: "Times"}, {title: "Addresses", kind: query.Unique, field: "source.ip"}}},
			{width: 16, kind: Table, title: "Addresses of changes", where: change, by: []by{{field: "source.ip", size: 15}},
				figures: []figure{{title: "Changes"}, {title: "Users", kind: query.Unique, field: "user.name"}}, to: "geography"},
		}},
		{18, []panel{{width: 48, kind: Records, title: "Latest changes", search: "changes"}}},
	},
}
