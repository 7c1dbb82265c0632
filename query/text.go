package query

import "github.com/gatebook/gatebook/event"

// TextOf gives a function that reads a field of text with one value at most, for the fields that questions and rules ask for most (event.category too: an
// event has one); nil for the others, which event.Event.Get reads. An absent field is "". It allocates nothing.
func TextOf(id event.FieldID) func(*event.Event) string {
	switch id {
	case event.FieldEventAction:
		return func(ev *event.Event) string { return ev.Action.String() }
	case event.FieldEventOutcome:
		return func(ev *event.Event) string {
			if ev.Outcome == "" {
				return string(event.Unknown)
			}
			return string(ev.Outcome)
		}
	case event.FieldEventKind:
		return func(ev *event.Event) string {
			if ev.Kind == "" {
				return string(event.KindEvent)
			}
			return string(ev.Kind)
		}
	case event.FieldEventCategory:
		return func(ev *event.Event) string {
			if ev.Category != "" {
				return ev.Category
			}
			return ev.Action.Info().Category
		}
	case event.FieldEventDataset:
		return func(ev *event.Event) string { return ev.Dataset }
	case event.FieldEventCode:
		return func(ev *event.Event) string { return ev.Code }
	case event.FieldMessage:
		return func(ev *event.Event) string { return ev.Message }
	case event.FieldUserName:
		return func(ev *event.Event) string { return ev.User.Name }
	case event.FieldGatebookUserKey:
		return func(ev *event.Event) string { return ev.UserKey }
	case event.FieldGatebookActorType:
		return func(ev *event.Event) string { return ev.Actor }
	case event.FieldGatebookSessionId:
		return func(ev *event.Event) string { return ev.Session.ID }
	case event.FieldSourceIp:
		return func(ev *event.Event) string { return ev.Source.IP }
	case event.FieldSourceGeoCountryIsoCode:
		return func(ev *event.Event) string { return ev.Source.Geo.CountryISO }
	case event.FieldSourceAsOrganizationName:
		return func(ev *event.Event) string { return ev.Source.AS.Organization }
	case event.FieldHostName:
		return func(ev *event.Event) string { return ev.Host.Name }
	case event.FieldProcessName:
		return func(ev *event.Event) string { return ev.Process.Name }
	case event.FieldUserAgentName:
		return func(ev *event.Event) string { return ev.UserAgent.Name }
	case event.FieldUserAgentOsName:
		return func(ev *event.Event) string { return ev.UserAgent.OSName }
	case event.FieldUserAgentOriginal:
		return func(ev *event.Event) string { return ev.UserAgent.Original }
	}
	return nil
}
