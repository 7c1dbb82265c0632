package dashboard

import "github.com/gatebook/gatebook/query"

const (
	healthRecord = `event.dataset == "agent" && event.code == "health"`
	deadLetter   = `event.dataset == "deadletter"`
	unparsed     = `tags == "parse-failure"`
)

var health = page{
	id: "health", title: "Agent health", about: "Which Gatebook reads what, which one is behind or silent, and what could not be read or delivered",
	controls: []string{"agent.name", "gatebook.input", "event.dataset", "user.name", "source.ip", "event.outcome"},
	searches: []string{"agent-records", "parse-failures", "dead-letters"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Gatebooks", figures: []figure{{kind: query.Unique, field: "agent.id"}}},
			{width: 8, kind: Metric, title: "Gatebooks with trouble", about: "said to be degraded at least once", where: healthRecord + ` && gatebook.health.status == "degraded"`, figures: []figure{{kind: query.Unique, field: "agent.id", tone: Bad}}},
			{width: 8, kind: Metric, title: "Records", where: anEvent},
			{width: 8, kind: Metric, title: "Lines that no parser knew", where: unparsed, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Dead letters", about: "refused for good by an output", where: deadLetter, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Records with marks", about: "cut lines, times from arrival, values rejected, ...", where: anEvent + ` && exists(tags)`, figures: []figure{{tone: Warning}}},
		}},
		{13, []panel{
			{width: 24, kind: Table, title: "Gatebooks and what they read", where: anEvent, by: []by{{field: "agent.name", size: 100}, {field: "agent.version", size: 2}},
				figures: []figure{{title: "Records"}, {title: "Not understood", where: unparsed, tone: Bad}, {title: "Read last", kind: query.Max, field: "event.created"}, {title: "Latest event", kind: query.Max, field: "@timestamp"}}},
			{width: 24, kind: Table, title: "Inputs", about: "an input that is silent shows by what it read last", where: anEvent, by: []by{{field: "agent.name", size: 50}, {field: "gatebook.input", size: 20}},
				figures: []figure{{title: "Records"}, {title: "Not understood", where: unparsed, tone: Bad}, {title: "Read last", kind: query.Max, field: "event.created"}, {title: "Latest event", kind: query.Max, field: "@timestamp"}}},
		}},
		{12, []panel{
			{width: 24, kind: Time, title: "Records over time", about: "by input", where: anEvent, by: []by{{field: "gatebook.input", size: 12}, overTime}},
			{width: 24, kind: Time, title: "Trouble over time", where: unparsed + ` || ` + deadLetter, by: []by{overTime},
				figures: []figure{{title: "Not understood", where: unparsed, tone: Warning}, {title: "Dead letters", where: deadLetter, tone: Bad}}},
		}},
		{12, []panel{
			{width: 32, kind: Table, title: "How each Gatebook does", about: "from the records that it writes about itself", where: healthRecord, by: []by{{field: "agent.name", size: 100}},
				figures: []figure{{title: "Records"}, {title: "Latest", kind: query.Max, field: "@timestamp"}, {title: "Degraded", where: `gatebook.health.status == "degraded"`, tone: Bad}, {title: "Lines", kind: query.Sum, field: "gatebook.health.lines"},
					{title: "Delivered", kind: query.Sum, field: "gatebook.health.delivered"}, {title: "Refused", kind: query.Sum, field: "gatebook.health.dead_letters", tone: Bad}, {title: "Most waiting", kind: query.Max, field: "gatebook.health.waiting", tone: Warning},
					{title: "Most unread", kind: query.Max, field: "gatebook.health.unread_bytes", tone: Warning}, {title: "Most buffer", kind: query.Max, field: "gatebook.health.buffer_bytes"}}},
			{width: 16, kind: Bar, title: "Problems", where: `exists(gatebook.health.problems)`, by: []by{{field: "gatebook.health.problems", size: 10}}, figures: []figure{{title: "Records", tone: Bad}}},
		}},
		{12, []panel{
			{width: 16, kind: Time, title: "Lines read over time", where: healthRecord, by: []by{{field: "agent.name", size: 10}, overTime}, figures: []figure{{title: "Lines", kind: query.Sum, field: "gatebook.health.lines"}}},
			{width: 16, kind: Line, title: "Items waiting", about: "of the output that is furthest behind", where: healthRecord, by: []by{{field: "agent.name", size: 10}, overTime}, figures: []figure{{title: "Waiting", kind: query.Max, field: "gatebook.health.waiting"}}},
			{width: 16, kind: Line, title: "Buffer on disk", where: healthRecord, by: []by{{field: "agent.name", size: 10}, overTime}, figures: []figure{{title: "Bytes", kind: query.Max, field: "gatebook.health.buffer_bytes"}}},
		}},
		{12, []panel{
			{width: 12, kind: Bar, title: "Marks", where: anEvent, by: []by{{field: "tags", size: 15}}},
			{width: 16, kind: Table, title: "Lines not understood", where: unparsed, by: []by{{field: "gatebook.input", size: 10}, {field: "event.dataset", size: 5}}, figures: []figure{{title: "Lines", tone: Bad}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
			{width: 20, kind: Table, title: "What was refused", where: deadLetter, by: []by{{field: "gatebook.deadletter.output", size: 5}, {field: "gatebook.deadletter.stream", size: 5}, {field: "gatebook.deadletter.reason", size: 5}},
				figures: []figure{{title: "Items", tone: Bad}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
		}},
	},
}
