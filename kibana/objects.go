// Package kibana makes Kibana's saved objects of the pages in package dashboard, and brings them and detection rules into a Kibana.
//
//	dashboard.All -> data views, saved searches, dashboards (Lens panels, maps, controls, links) -> Objects: NDJSON -> Client.ImportObjects
//
// What it promises: the same bytes from the same description; all ids begin with Prefix; references resolve; every field is in the field table, with a type that
// the panel's operation accepts; and what a panel asks Elasticsearch for gives what the embedded store gives for the same panel (tests say so of every panel). The
// objects have the form of Kibana 8.9, which later versions migrate.
package kibana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/dashboard"
	"github.com/gatebook/gatebook/query"
)

//go:generate go test -count=1 -run ^TestShippedFile$ . -update

// Prefix is what the ids of all our objects begin with. What begins otherwise is not ours and never touched.
const Prefix = "gatebook-"

// AlertsView is the id of the data view of alerts.
const AlertsView = "gatebook-alerts"

// The types of saved objects in use.
const (
	typeView      = "index-pattern"
	typeSearch    = "search"
	typeDashboard = "dashboard"
)

// object is a saved object, a line of NDJSON.
type object struct {
	Type                 string      `json:"type"`
	ID                   string      `json:"id"`
	Attributes           any         `json:"attributes"`
	References           []reference `json:"references"`
	CoreMigrationVersion string      `json:"coreMigrationVersion"`
	TypeMigrationVersion string      `json:"typeMigrationVersion"`
	Managed              bool        `json:"managed"`
}

// reference names another object, so that Kibana finds it under whatever id an import gave it.
type reference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// coreVersion is the form of the envelope; typeVersions that of the attributes. With them an import of 8.9 or later runs no older migrations on what we made.
const coreVersion = "8.8.0"

var typeVersions = map[string]string{typeView: "8.0.0", typeSearch: "8.0.0", typeDashboard: "8.9.0"}

func newObject(kind, id string, attributes any, references []reference) object {
	if references == nil {
		references = []reference{}
	}
	return object{Type: kind, ID: id, Attributes: attributes, References: references, CoreMigrationVersion: coreVersion, TypeMigrationVersion: typeVersions[kind]}
}

// inner is JSON within a string, as Kibana keeps what it does not look into.
type inner struct{ value any }

func (i inner) MarshalJSON() ([]byte, error) {
	text, err := marshal(i.value)
	if err != nil {
		return nil, err
	}
	return marshal(string(text))
}

// marshal leaves <, > and & as they are: nothing of it stands in HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// kuery is a query as Kibana keeps it.
type kuery struct {
	Query    string `json:"query"`
	Language string `json:"language"`
}

// kql says a condition in Kibana's query language; nil is all.
func kql(e query.Expr) (kuery, error) {
	k := kuery{Language: "kuery"}
	if e == nil {
		return k, nil
	}
	var err error
	k.Query, err = query.KQL(e, query.KQLOptions{})
	return k, err
}

// Objects makes everything there is to import, one object a line: data views, saved searches, dashboards. The data views are about the data streams of the
// namespaces, of all where none is named; the ids are the same whatever the namespaces, so that a space has one set of objects.
func Objects(namespaces ...string) ([]byte, error) {
	for _, n := range namespaces {
		if n == "" || strings.ContainsAny(n, "-*,/\\?\"<>| #:") {
			return nil, fmt.Errorf("make Kibana objects: %q is no namespace", n)
		}
	}
	book, err := dashboard.All()
	if err != nil {
		return nil, fmt.Errorf("make Kibana objects: %w", err)
	}
	var all []object
	for _, v := range views {
		all = append(all, v.object(namespaces))
	}
	for _, s := range book.Searches {
		o, err := searchObject(s)
		if err != nil {
			return nil, fmt.Errorf("make Kibana search %s: %w", s.ID, err)
		}
		all = append(all, o)
	}
	for i := range book.Pages {
		o, err := dashboardObject(book, &book.Pages[i])
		if err != nil {
			return nil, fmt.Errorf("make Kibana dashboard %s: %w", book.Pages[i].ID, err)
		}
		all = append(all, o)
	}
	var b bytes.Buffer
	for _, o := range all {
		line, err := marshal(o)
		if err != nil {
			return nil, fmt.Errorf("make Kibana object %s: %w", o.ID, err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}

// viewOf is the id of the data view that a panel or search looks at.
func viewOf(v dashboard.View) string {
	if v == dashboard.Alerts {
		return AlertsView
	}
	return EventsView
}
