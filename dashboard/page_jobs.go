package dashboard

import "github.com/gatebook/gatebook/query"

const (
	job  = `event.action == "job-run"`
	mail = `event.action == "notification-send"`
)

var jobs = page{
	id: "jobs", title: "Jobs and mail", about: "Background jobs that fail, hang or did not run, and notifications that did not arrive",
	controls: []string{"event.dataset", "gatebook.job.name", "gatebook.job.status", "gatebook.notification.status", "user.name", "source.ip", "event.outcome"},
	searches: []string{"jobs", "failed-jobs", "running-jobs", "mail", "failed-mail"},
	rows: []row{
		{6, []panel{
			{width: 8, kind: Metric, title: "Runs of jobs", where: job},
			{width: 8, kind: Metric, title: "Jobs that failed", where: job + ` && ` + failed, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Records of running jobs", about: "a job that has no later record is still running, or hangs", where: `gatebook.job.status == "running"`, figures: []figure{{tone: Warning}}},
			{width: 8, kind: Metric, title: "Mails", where: mail},
			{width: 8, kind: Metric, title: "Mails that failed", where: mail + ` && ` + failed, figures: []figure{{tone: Bad}}},
			{width: 8, kind: Metric, title: "Recipients", where: mail, figures: []figure{{kind: query.Unique, field: "email.to.address"}}},
		}},
		{12, []panel{
			{width: 32, kind: Time, title: "Jobs over time", where: job, by: []by{overTime},
				figures: []figure{{title: "Succeeded", where: succeeded, tone: Good}, {title: "Failed", where: failed, tone: Bad}, {title: "Running or pending", where: `event.outcome == "unknown"`}}},
			{width: 16, kind: Donut, title: "Jobs by status", where: `exists(gatebook.job.status)`, by: []by{{field: "gatebook.job.status", size: 6}}},
		}},
		{13, []panel{
			{width: 28, kind: Table, title: "Jobs", about: "the latest success shows a job that did not run", where: `exists(gatebook.job.name)`, by: []by{{field: "gatebook.job.name", size: 30}},
				figures: []figure{{title: "Records"}, {title: "Runs", kind: query.Unique, field: "gatebook.job.id"}, {title: "Failed", where: failed, tone: Bad}, {title: "Latest success", kind: query.Max, field: "@timestamp", where: succeeded},
					{title: "Latest failure", kind: query.Max, field: "@timestamp", where: failed}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
			{width: 20, kind: Table, title: "Commands of cron", where: `event.action == "job-run" && exists(process.command_line)`, by: []by{{field: "host.name", size: 10}, {field: "process.executable", size: 10}},
				figures: []figure{{title: "Runs"}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
		}},
		{12, []panel{
			{width: 16, kind: Time, title: "Mails over time", where: mail, by: []by{{field: "gatebook.notification.status", size: 5}, overTime}},
			{width: 16, kind: Bar, title: "Mails by kind", where: mail, by: []by{{field: "gatebook.notification.category", size: 10}, {field: "gatebook.notification.status", size: 5}}},
			{width: 16, kind: Table, title: "Recipients of mails", where: mail, by: []by{{field: "email.to.address", size: 20}},
				figures: []figure{{title: "Mails"}, {title: "Failed", where: failed, tone: Bad}, {title: "Latest", kind: query.Max, field: "@timestamp"}}},
		}},
		{12, []panel{
			{width: 24, kind: Records, title: "Jobs that failed, with their errors", search: "failed-jobs"},
			{width: 24, kind: Records, title: "Mails that did not arrive", search: "failed-mail"},
		}},
	},
}
