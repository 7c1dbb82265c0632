package kibana

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// view is a data view.
type view struct{ id, name, stream, all string }

var views = []view{
	{EventsView, "Gatebook: events", "logs-gatebook.*", "logs-gatebook.*"},
	{AlertsView, "Gatebook: alerts", "logs-gatebook.alert", "logs-gatebook.alert-*"},
}

type viewAttributes struct {
	Title          string `json:"title"`
	Name           string `json:"name"`
	TimeFieldName  string `json:"timeFieldName"`
	FieldFormatMap inner  `json:"fieldFormatMap"`
	AllowNoIndex   bool   `json:"allowNoIndex"` // before the first alert there is no stream of alerts
}

func (v view) object(namespaces []string) object {
	title := v.all
	if len(namespaces) > 0 {
		streams := make([]string, len(namespaces))
		for i, n := range namespaces {
			streams[i] = v.stream + "-" + n
		}
		title = strings.Join(streams, ",")
	}
	return newObject(typeView, v.id, viewAttributes{Title: title, Name: v.name, TimeFieldName: "@timestamp", FieldFormatMap: inner{formats()}, AllowNoIndex: true}, nil)
}

// format is how values of a field are shown.
type format struct {
	ID     string `json:"id"`
	Params any    `json:"params"`
}

type (
	durationParams struct {
		InputFormat   string `json:"inputFormat"`
		OutputFormat  string `json:"outputFormat"`
		UseShort      bool   `json:"useShortSuffix"`
		SpaceInSuffix bool   `json:"includeSpaceWithSuffix"`
	}
	urlParams struct {
		Type          string `json:"type"`
		URLTemplate   string `json:"urlTemplate,omitempty"`
		LabelTemplate string `json:"labelTemplate,omitempty"`
	}
	patternParams struct {
		Pattern string `json:"pattern"`
	}
	lookupParams struct {
		Entries []lookupEntry `json:"lookupEntries"`
		Unknown *string       `json:"unknownKeyValue"`
	}
	lookupEntry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
)

// formats of the fields whose values would not be read easily, or lead somewhere.
func formats() map[string]format {
	duration := func(unit string) format {
		return format{"duration", durationParams{InputFormat: unit, OutputFormat: "humanizePrecise", UseShort: true, SpaceInSuffix: true}}
	}
	size := format{"bytes", patternParams{"0,0.[0] b"}}
	code := format{"number", patternParams{"0"}} // no separators of thousands in numbers that are names
	m := map[event.FieldID]format{
		event.FieldEventDuration:                duration("nanoseconds"),
		event.FieldGatebookHealthUptime:         duration("seconds"),
		event.FieldEventSeverity:                {"static_lookup", lookupParams{Entries: []lookupEntry{{"21", "low"}, {"47", "medium"}, {"73", "high"}, {"99", "critical"}}}},
		event.FieldEventUrl:                     {"url", urlParams{Type: "a", LabelTemplate: "evidence"}},
		event.FieldRuleReference:                {"url", urlParams{Type: "a"}},
		event.FieldGatebookAlertEvents:          toDiscover(EventsView, event.FieldEventId),
		event.FieldGatebookAlertEvent:           toDiscover(EventsView, event.FieldEventId),
		event.FieldGatebookDeadletterId:         toDiscover(EventsView, event.FieldEventId),
		event.FieldGatebookAlertId:              toDiscover(AlertsView, event.FieldGatebookAlertId),
		event.FieldGatebookSessionId:            toDiscover(EventsView, event.FieldGatebookSessionId),
		event.FieldHttpResponseBodyBytes:        size,
		event.FieldGatebookHealthUnreadBytes:    size,
		event.FieldGatebookHealthBufferBytes:    size,
		event.FieldGatebookHealthBufferMaxBytes: size,
		event.FieldSourcePort:                   code,
		event.FieldSourceAsNumber:               code,
		event.FieldProcessPid:                   code,
		event.FieldHttpResponseStatusCode:       code,
		event.FieldGatebookSenderPort:           code,
		event.FieldGatebookDeadletterStatus:     code,
		event.FieldLogOffset:                    code,
	}
	named := make(map[string]format, len(m))
	for id, f := range m {
		named[id.Info().Name] = f
	}
	return named
}

// toDiscover makes a link of each value: Discover with the records of seven years whose field has it. The address is relative, so that it leads into the same
// Kibana and space; Kibana writes the value escaped in place of {{value}}.
func toDiscover(view string, field event.FieldID) format {
	return format{"url", urlParams{
		Type: "a",
		URLTemplate: "../app/discover#/?_g=(time:(from:now-7y,to:now))&_a=(dataSource:(dataViewId:" + view + ",type:dataView),index:" + view +
			",query:(language:kuery,query:'" + field.Info().Name + "%20:%20%22{{value}}%22'))",
		LabelTemplate: "{{value}}",
	}}
}
