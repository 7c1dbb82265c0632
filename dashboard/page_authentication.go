package dashboard

import "github.com/gatebook/gatebook/query"

// attempts are the figures of a table of logins.
var attempts = []figure{{title: "Attempts"}, {title: "Succeeded", where: succeeded, tone: Good}, {title: "Failed", where: failed, tone: Bad}}

var authentication = page{
	id: "authentication", title: "Authentication", about: "Logins, why they fail, who is attacked from where, second factors and passwords",
	controls: byEvent,
	searches: []string{"failed-logins", "successful-logins", "second-factors", "passwords", "lockouts"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Login attempts", where: login},
			{width: 8, kind: Metric, title: "Logins that succeeded", where: goodLogin, figures: []figure{{tone: Good}}},
			{width: 8, kind: Metric, title: "Logins that failed", where: failedLogin, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Users with failed logins", where: failedLogin, figures: []figure{{kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 8, kind: Metric, title: "Second factors that failed", where: secondStep + ` && ` + failed, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Accounts locked", where: `event.action == "account-lock"`, figures: []figure{{tone: Warning}}},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Attempts over time", where: login, by: []by{overTime},
				figures: []figure{{title: "Succeeded", where: succeeded, tone: Good}, {title: "Failed", where: failed, tone: Bad}}},
			{width: 16, kind: Bar, title: "Why logins fail", where: failedLogin, by: []by{{field: "event.reason", size: 12}}},
		}},
		{14, []panel{
			{width: 24, kind: Table, title: "Addresses with failed logins", about: "many users from one address: spraying, or lists of stolen passwords", where: failedLogin,
				by: []by{{field: "source.ip", size: 25}},
				figures: []figure{{title: "Failed", tone: Bad}, {title: "Users", kind: query.Unique, field: "user.name"}, {title: "Sources", kind: query.Unique, field: "event.dataset"},
					{title: "First", kind: query.Min, field: "@timestamp"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "geography"},
			{width: 24, kind: Table, title: "Users with failed logins by name", about: "many failures of one user: guessing; many addresses: distributed guessing", where: failedLogin,
				by: []by{{field: "user.name", size: 25}},
				figures: []figure{{title: "Failed", tone: Bad}, {title: "Addresses", kind: query.Unique, field: "source.ip"}, {title: "Sources", kind: query.Unique, field: "event.dataset"},
					{title: "First", kind: query.Min, field: "@timestamp"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "users"},
		}},
		{12, []panel{
			{width: 16, kind: Bar, title: "Logins by source", where: login, by: []by{{field: "event.dataset", size: 12}, {field: "event.outcome", size: 3}}},
			{width: 16, kind: Bar, title: "Logins by identity provider", where: login, by: []by{{field: "gatebook.provider.name", size: 10}, {field: "event.outcome", size: 3}}},
			{width: 16, kind: Bar, title: "Logins by application", where: login, by: []by{{field: "gatebook.client.name", size: 10}, {field: "event.outcome", size: 3}}},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Second factors over time", where: secondStep, by: []by{overTime},
				figures: []figure{{title: "Asked for", where: `in(event.action, ["mfa-challenge", "otp-request"])`},
					{title: "Passed", where: `in(event.action, ["mfa-verify", "otp-verify"]) && ` + succeeded, tone: Good},
					{title: "Failed", where: `in(event.action, ["mfa-verify", "otp-verify"]) && ` + failed, tone: Bad}}},
			{width: 10, kind: Donut, title: "Second factors by method", where: `exists(gatebook.mfa.method)`, by: []by{{field: "gatebook.mfa.method"}}},
			{width: 14, kind: Table, title: "Passwords, factors and locks", about: "what changes how a user logs in",
				where: `in(event.action, ["password-reset-request", "password-reset", "password-change", "mfa-enroll", "mfa-enable", "mfa-disable", "mfa-reset", "mfa-change", "account-lock", "account-unlock", "account-disable", "account-enable"])`,
				by:    []by{{field: "event.action", size: 15}}, figures: []figure{{title: "Times"}, {title: "Failed", where: failed, tone: Bad}}},
		}},
		{13, []panel{
			{width: 16, kind: Table, title: "Client programs", where: login, by: []by{{field: "user_agent.name", size: 15}}, figures: attempts},
			{width: 16, kind: Table, title: "Networks", where: login, by: []by{{field: "source.as.organization.name", size: 15}}, figures: attempts},
			{width: 16, kind: Table, title: "Hosts", where: login, by: []by{{field: "host.name", size: 15}}, figures: attempts},
		}},
		{15, []panel{{width: 48, kind: Records, title: "Latest failed logins", search: "failed-logins"}}},
	},
}
