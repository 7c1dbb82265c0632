package dashboard

import "github.com/gatebook/gatebook/query"

const (
	sessionBegan = `event.action == "session-start"`
	sessionEnded = `in(event.action, ["session-end", "session-expire", "session-revoke"])`
)

var users = page{
	id: "users", title: "Users and sessions", about: "When each user came last and left last, from where, sessions and grants",
	controls: append([]string{"gatebook.actor.type"}, byEvent...),
	searches: []string{"events", "successful-logins", "sessions", "grants"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Users", where: anEvent, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 8, kind: Metric, title: "Users who logged in", where: goodLogin, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 8, kind: Metric, title: "Sessions begun", where: sessionBegan},
			{width: 8, kind: Metric, title: "Sessions ended", where: sessionEnded},
			{width: 8, kind: Metric, title: "Sessions revoked", where: `event.action == "session-revoke"`, figures: []figure{{tone: Warning}}},
			{width: 8, kind: Metric, title: "Grants given", where: `event.action == "grant-create"`},
		}},
		{18, []panel{
			{width: 48, kind: Table, title: "Users by last login and logout", where: `exists(gatebook.user.key) && ` + anEvent, by: []by{{field: "gatebook.user.key", title: "User", size: 100}},
				figures: []figure{{title: "Events"}, {title: "Last login", kind: query.Max, field: "@timestamp", where: goodLogin},
					{title: "Last logout", kind: query.Max, field: "@timestamp", where: `in(event.action, ["logout", "session-end", "session-expire", "session-revoke"])`},
					{title: "Logins", where: goodLogin, tone: Good}, {title: "Failed logins", where: failedLogin, tone: Bad}, {title: "Addresses", kind: query.Unique, field: "source.ip"},
					{title: "Countries", kind: query.Unique, field: "source.geo.country_iso_code"}, {title: "Client programs", kind: query.Unique, field: "user_agent.name"}}},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Sessions over time", where: `event.category == "session"`, by: []by{overTime},
				figures: []figure{{title: "Begun", where: sessionBegan, tone: Good}, {title: "Ended", where: `event.action == "session-end"`}, {title: "Expired", where: `event.action == "session-expire"`, tone: Warning},
					{title: "Revoked", where: `event.action == "session-revoke"`, tone: Bad}}},
			{width: 8, kind: Donut, title: "Session records by status", where: anEvent, by: []by{{field: "gatebook.session.status", size: 5}}},
			{width: 8, kind: Donut, title: "Sessions by protocol", where: sessionBegan, by: []by{{field: "gatebook.session.protocol", size: 5}}},
		}},
		{13, []panel{
			{width: 16, kind: Bar, title: "Users with most addresses", about: "logins that succeeded", where: goodLogin, by: []by{{field: "gatebook.user.key", title: "User", size: 12}},
				figures: []figure{{title: "Addresses", kind: query.Unique, field: "source.ip"}}, to: "geography"},
			{width: 16, kind: Table, title: "Longest sessions", where: sessionEnded + ` && exists(event.duration)`, by: []by{{field: "gatebook.user.key", title: "User", size: 15}},
				figures: []figure{{title: "Longest", kind: query.Max, field: "event.duration"}, {title: "All together", kind: query.Sum, field: "event.duration"}, {title: "Sessions"}}},
			{width: 16, kind: Table, title: "Grants by application", where: `exists(gatebook.grant.status)`, by: []by{{field: "gatebook.client.name", size: 10}, {field: "gatebook.grant.status", size: 3}},
				figures: []figure{{title: "Records"}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Activity of the most active users", where: anEvent, by: []by{{field: "gatebook.user.key", title: "User", size: 10}, overTime}},
			{width: 24, kind: Table, title: "Identities taken on", where: `exists(user.effective.name)`, by: []by{{field: "user.name", size: 10}, {field: "user.effective.name", size: 3}},
				figures: []figure{{title: "Times"}, {title: "Hosts", kind: query.Unique, field: "host.name"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "audit"},
		}},
	},
}
