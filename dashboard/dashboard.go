// Package dashboard describes the pages that analysts look at, once, in terms of the field table and the query tree. Kibana's dashboards (package kibana) are
// made of it, and it is what Gatebook's own overview shows.
//
//	pages in Go (page_*.go), conditions as text -> All: parsed, placed, checked -> Book -> kibana.Objects
//	                                                                                  \--> Panel.Between(from, to) -> store.Aggregate
//
// What it promises: every condition and field has been understood by package query, panels of a page do not overlap on a grid of Columns columns, ids are
// unique and stable (made of the titles), links and searches exist.
package dashboard

import (
	"sync"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// Columns is the width of the grid.
const Columns = 48

// Book is everything there is to look at.
type Book struct {
	Pages    []Page
	Searches []Search
}

// Page is one dashboard.
type Page struct {
	ID, Title, About string
	Controls         []Control
	Panels           []Panel  // from the top; the first one has the links
	Searches         []string // ids of the searches that lead on from here
}

// Control narrows all panels of a page to some values of a field.
type Control struct {
	Field query.Field
	Title string
}

// View is the set of records that a panel or a search is about.
type View string

// The views. Alerts are among the events too: what is about events says event.kind == "event".
const (
	Events View = "events" // all records
	Alerts View = "alerts"
)

// Kind is the look of a panel.
type Kind uint8

// The kinds.
const (
	Metric  Kind = iota // one figure
	Time                // figures over time, stacked bars, split by a field where Ask has two buckets
	Line                // figures over time that are levels, not amounts: lines
	Bar                 // the most frequent values of a field, a bar each; parts of it by a second field
	Donut               // shares of one figure
	Table               // a row for each bucket
	Map                 // places: tiles with figures, and single records when looked at closely
	Records             // the records that a search finds, the latest first
	Links               // pages and searches that lead on from here
)

var kindNames = [...]string{"metric", "time", "line", "bar", "donut", "table", "map", "records", "links"}

func (k Kind) String() string { return kindNames[k] }

// Panel is one part of a page. ID is unique among all pages.
type Panel struct {
	ID, Title, About string
	Kind             Kind
	View             View
	// Ask is what it shows; without a time, and with no width of buckets of time: see Between. Maps have one bucket of tiles at level 7. None for Records and Links.
	Ask     query.Aggregate
	Columns []Column // of Ask: buckets, then figures
	Search  string   // of Records: id of the search
	To      string   // id of the page that says more
	Place   Place
}

// Column says how a bucket or a figure is shown.
type Column struct {
	Title string
	Tone  Tone
}

// Tone is what a figure means to the reader.
type Tone uint8

// The tones.
const (
	Plain Tone = iota
	Good
	Bad
	Warning
)

// Place is where a panel stands on the grid.
type Place struct{ X, Y, W, H int }

// Search is a list of records, the latest first where Sort does not say otherwise.
type Search struct {
	ID, Title, About string
	View             View
	Where            query.Expr
	Columns          []query.Field
	Sort             query.Field
	Ascending        bool
}

// All builds the book. The error is one of the description itself, never of the circumstances: a test has seen that there is none.
func All() (*Book, error) { return book() }

var book = sync.OnceValues(build)

// Between asks what the panel shows of a span of time; buckets of time get a width such that there are about sixty.
func (p Panel) Between(from, to time.Time) query.Aggregate {
	a := p.Ask
	a.From, a.To = from, to
	a.By = append([]query.Bucket(nil), a.By...)
	for i := range a.By {
		if a.By[i].Kind == query.Dates {
			a.By[i].Every = width(to.Sub(from))
		}
	}
	return a
}

var widths = []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour}

func width(span time.Duration) time.Duration {
	for _, w := range widths {
		if span <= 60*w {
			return w
		}
	}
	return span / 60
}

// Page finds a page by its id.
func (b *Book) Page(id string) (*Page, bool) {
	for i := range b.Pages {
		if b.Pages[i].ID == id {
			return &b.Pages[i], true
		}
	}
	return nil, false
}

// Search finds a search by its id.
func (b *Book) Search(id string) (*Search, bool) {
	for i := range b.Searches {
		if b.Searches[i].ID == id {
			return &b.Searches[i], true
		}
	}
	return nil, false
}

// FieldTitle is what a field is called in a heading.
func FieldTitle(f query.Field) string {
	if t, ok := titles[f.ID]; ok && f.Key == "" {
		return t
	}
	return f.Name()
}

var titles = map[event.FieldID]string{
	event.FieldTimestamp:                    "Time",
	event.FieldAgentName:                    "Gatebook on",
	event.FieldAgentVersion:                 "Version",
	event.FieldEventAction:                  "Action",
	event.FieldEventCategory:                "Category",
	event.FieldEventDataset:                 "Dataset",
	event.FieldEventDuration:                "Duration",
	event.FieldEventOutcome:                 "Outcome",
	event.FieldEventReason:                  "Reason",
	event.FieldEventSeverity:                "Severity",
	event.FieldGatebookActorType:            "Kind of user",
	event.FieldGatebookAlertKey:             "About",
	event.FieldGatebookAlertMode:            "Mode",
	event.FieldGatebookAlertState:           "State",
	event.FieldGatebookCategory:             "Kind of thing",
	event.FieldGatebookClientName:           "Application",
	event.FieldGatebookDeadletterOutput:     "Output",
	event.FieldGatebookDeadletterReason:     "Reason",
	event.FieldGatebookDeadletterStream:     "Meant for",
	event.FieldGatebookEntryName:            "Entry",
	event.FieldGatebookGrantStatus:          "Grant",
	event.FieldGatebookHealthProblems:       "Problem",
	event.FieldGatebookHealthStatus:         "Health",
	event.FieldGatebookInput:                "Input",
	event.FieldGatebookJobName:              "Job",
	event.FieldGatebookJobStatus:            "Status",
	event.FieldGatebookJobType:              "Kind of job",
	event.FieldGatebookMfaMethod:            "Second factor",
	event.FieldGatebookNotificationCategory: "Kind of mail",
	event.FieldGatebookNotificationStatus:   "Delivery",
	event.FieldGatebookParser:               "Parser",
	event.FieldGatebookProviderName:         "Identity provider",
	event.FieldGatebookSessionProtocol:      "Protocol",
	event.FieldGatebookSessionStatus:        "Session",
	event.FieldGatebookStatusName:           "Status",
	event.FieldGatebookTargetName:           "Target",
	event.FieldGatebookTargetType:           "Kind of target",
	event.FieldEmailToAddress:               "Recipient",
	event.FieldHostName:                     "Host",
	event.FieldOrganizationName:             "Company",
	event.FieldProcessExecutable:            "Program",
	event.FieldRuleId:                       "Rule id",
	event.FieldRuleName:                     "Rule",
	event.FieldSourceAsOrganizationName:     "Network",
	event.FieldSourceGeoCityName:            "City",
	event.FieldSourceGeoCountryName:         "Country",
	event.FieldSourceIp:                     "Address",
	event.FieldTags:                         "Mark",
	event.FieldThreatTacticName:             "Tactic",
	event.FieldThreatTechniqueName:          "Technique",
	event.FieldUserAgentName:                "Client program",
	event.FieldUserEffectiveName:            "Became",
	event.FieldUserName:                     "User",
}
