package dashboard

import "github.com/gatebook/gatebook/query"

const located = `event.kind == "event" && exists(source.geo.location)`

var geography = page{
	id: "geography", title: "Geography", about: "Where logins come from, and whose logins come from many places",
	controls: append(append([]string(nil), byEvent...), "source.geo.country_name"),
	searches: []string{"logins-with-places", "failed-logins"},
	rows: []row{
		{22, []panel{
			{width: 48, kind: Map, title: "Where logins come from", where: `event.action == "login" && exists(source.geo.location)`, by: []by{{field: "source.geo.location"}},
				figures: []figure{{title: "Logins"}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"}}},
		}},
		{6, []panel{
			{width: 12, kind: Metric, title: "Countries", where: anEvent, figures: []figure{{kind: query.Unique, field: "source.geo.country_iso_code"}}},
			{width: 12, kind: Metric, title: "Countries of failed logins", where: failedLogin, figures: []figure{{kind: query.Unique, field: "source.geo.country_iso_code", tone: Bad}}},
			{width: 12, kind: Metric, title: "Networks seen", where: anEvent, figures: []figure{{kind: query.Unique, field: "source.as.number"}}},
			{width: 12, kind: Metric, title: "Events without a place", about: "private addresses, or no GeoIP database", where: `event.kind == "event" && exists(source.ip) && !exists(source.geo.location)`},
		}},
		{13, []panel{
			{width: 24, kind: Time, title: "Logins by country over time", where: login, by: []by{{field: "source.geo.country_name", size: 12}, overTime}},
			{width: 24, kind: Time, title: "Failed logins by country over time", where: failedLogin, by: []by{{field: "source.geo.country_name", size: 12}, overTime}},
		}},
		{14, []panel{
			{width: 24, kind: Table, title: "Countries and what came of it", where: located, by: []by{{field: "source.geo.country_name", size: 30}},
				figures: []figure{{title: "Events"}, {title: "Logins", where: goodLogin, tone: Good}, {title: "Failed logins", where: failedLogin, tone: Bad}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"},
					{title: "Addresses", kind: query.Unique, field: "source.ip"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
			{width: 24, kind: Table, title: "Users in many countries", where: goodLogin, by: []by{{field: "gatebook.user.key", title: "User", size: 20}},
				figures: []figure{{title: "Countries", kind: query.Unique, field: "source.geo.country_iso_code"}, {title: "Cities", kind: query.Unique, field: "source.geo.city_name"}, {title: "Logins"},
					{title: "Latest", kind: query.Max, field: "@timestamp"}}, to: "users"},
		}},
		{13, []panel{
			{width: 24, kind: Table, title: "Cities", where: located, by: []by{{field: "source.geo.country_name", size: 15}, {field: "source.geo.city_name", size: 5}},
				figures: []figure{{title: "Events"}, {title: "Failed logins", where: failedLogin, tone: Bad}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"}}},
			{width: 24, kind: Table, title: "Networks and what came of it", where: anEvent, by: []by{{field: "source.as.organization.name", size: 20}, {field: "source.as.number", title: "Number", size: 2}},
				figures: []figure{{title: "Events"}, {title: "Failed logins", where: failedLogin, tone: Bad}, {title: "Users", kind: query.Unique, field: "gatebook.user.key"}, {title: "Addresses", kind: query.Unique, field: "source.ip"}}},
		}},
	},
}
