package dashboard

// pages in the order in which they are linked.
var pages = []page{overview, authentication, audit, users, jobs, portal, geography, alerts, health}

// byEvent are the controls of pages about events.
var byEvent = []string{"event.dataset", "user.name", "source.ip", "event.outcome"}

// Conditions that several panels have.
const (
	anEvent     = `event.kind == "event"`
	login       = `event.action == "login"`
	failedLogin = `event.action == "login" && event.outcome == "failure"`
	goodLogin   = `event.action == "login" && event.outcome == "success"`
	failed      = `event.outcome == "failure"`
	succeeded   = `event.outcome == "success"`
	change      = `in(event.category, ["iam", "configuration"])`
	secondStep  = `in(event.action, ["mfa-challenge", "mfa-verify", "otp-request", "otp-verify"])`
	alert       = `event.dataset == "alert"`
	opened      = `gatebook.alert.state == "open"`
	heard       = `gatebook.alert.state == "open" && gatebook.alert.mode != "shadow"`
)
