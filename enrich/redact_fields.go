package enrich

import "github.com/gatebook/gatebook/event"

// eachText gives f every text of the event that a line may have put there, but for labels, addresses and JSON. A test holds it
// against the struct: a new field cannot be forgotten.
func eachText(ev *event.Event, f func(*string)) {
	for _, s := range [...]*string{&ev.Original, &ev.Message, &ev.Code, &ev.Reason, &ev.Link, &ev.Host.Name, &ev.Host.Hostname,
		&ev.Log.Path, &ev.Log.Level, &ev.Process.Name, &ev.Process.CommandLine, &ev.Process.Executable, &ev.Process.WorkingDirectory,
		&ev.Source.Domain, &ev.UserAgent.Original, &ev.UserAgent.Name, &ev.UserAgent.Version, &ev.UserAgent.OSName,
		&ev.UserAgent.OSVersion, &ev.UserAgent.Device, &ev.Service.Name, &ev.Service.Type, &ev.Service.ID, &ev.Service.Version,
		&ev.Entry.Name, &ev.Status.Name, &ev.UserKey, &ev.Actor, &ev.MFA.Method, &ev.Sender.Name, &ev.Session.ID,
		&ev.Session.Protocol, &ev.Session.Status, &ev.Target.Type, &ev.Target.ID, &ev.Target.Name, &ev.Subject.Type, &ev.Subject.ID,
		&ev.Subject.Name, &ev.Object, &ev.Comments, &ev.Realm} {
		f(s)
	}
	each(f, ev.Tags, ev.Session.Scopes, ev.Related.User, ev.Related.Hosts)
	eachGeo(&ev.Source.Geo, f)
	f(&ev.Source.AS.Organization)
	eachUser(&ev.User, f)
	eachUser(ev.UserTarget, f)
	eachUser(ev.UserChanges, f)
	eachUser(ev.UserEffective, f)
	eachRare(ev, f)
}

func each(f func(*string), lists ...[]string) {
	for _, list := range lists {
		for i := range list {
			f(&list[i])
		}
	}
}

func eachGeo(g *event.Geo, f func(*string)) {
	for _, s := range [...]*string{&g.CityName, &g.ContinentCode, &g.ContinentName, &g.CountryISO, &g.CountryName, &g.RegionISO,
		&g.RegionName, &g.PostalCode, &g.Timezone} {
		f(s)
	}
}

func eachUser(u *event.User, f func(*string)) {
	if u == nil {
		return
	}
	for _, s := range [...]*string{&u.Name, &u.ID, &u.Email, &u.FullName, &u.Domain} {
		f(s)
	}
	each(f, u.Roles)
}

func eachNamed(n *event.Named, f func(*string)) {
	if n != nil {
		f(&n.ID)
		f(&n.Name)
	}
}

func eachRare(ev *event.Event, f func(*string)) {
	some := func(list ...*string) {
		for _, s := range list {
			f(s)
		}
	}
	if g := ev.Agent; g != nil {
		some(&g.ID, &g.Name, &g.Type, &g.Version, &g.EphemeralID)
	}
	if g := ev.Syslog; g != nil {
		some(&g.Hostname, &g.AppName, &g.ProcID, &g.MsgID, &g.Version, &g.FacilityName, &g.SeverityName)
	}
	if g := ev.Group; g != nil {
		some(&g.ID, &g.Name, &g.Domain)
	}
	if g := ev.URL; g != nil {
		some(&g.Original, &g.Full, &g.Scheme, &g.Domain, &g.Path, &g.Query)
	}
	if g := ev.HTTP; g != nil {
		some(&g.Version, &g.Method, &g.Referrer)
	}
	if g := ev.Email; g != nil {
		some(&g.Subject, &g.MessageID)
		each(f, g.From, g.To, g.CC, g.BCC)
	}
	if g := ev.Error; g != nil {
		some(&g.Message, &g.Code, &g.Type, &g.StackTrace)
	}
	eachNamed(ev.Organization, f)
	eachNamed(ev.Client, f)
	eachNamed(ev.Provider, f)
	if g := ev.Rule; g != nil {
		some(&g.ID, &g.Name, &g.Description, &g.Category, &g.Ruleset, &g.Version, &g.Reference)
		each(f, g.Author)
	}
	if g := ev.Threat; g != nil {
		some(&g.Framework)
		each(f, g.TacticID, g.TacticName, g.TechniqueID, g.TechniqueName, g.SubID, g.SubName)
	}
	if g := ev.Grant; g != nil {
		some(&g.ID, &g.Type, &g.Status)
		each(f, g.Scopes)
	}
	if g := ev.Job; g != nil {
		some(&g.ID, &g.Name, &g.Type, &g.Status)
	}
	if g := ev.Notification; g != nil {
		some(&g.ID, &g.Status, &g.Category, &g.Body)
	}
	if g := ev.Alert; g != nil {
		some(&g.ID, &g.State, &g.Key, &g.Summary, &g.Mode, &g.By, &g.Event, &g.Runbook)
		each(f, g.Events)
		each(f, g.Respond)
	}
	if g := ev.DeadLetter; g != nil {
		some(&g.Output, &g.Stream, &g.ID, &g.Reason, &g.Type)
	}
	if g := ev.Health; g != nil {
		some(&g.Status)
		each(f, g.Problems)
	}
}

// eachRaw gives f every JSON text of the event.
func eachRaw(ev *event.Event, f func(*event.Raw)) {
	f(&ev.Old)
	f(&ev.New)
	f(&ev.Changes)
	f(&ev.Session.Claims)
	if ev.Syslog != nil {
		f(&ev.Syslog.StructuredData)
	}
}
