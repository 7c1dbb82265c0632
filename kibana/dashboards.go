package kibana

import (
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/dashboard"
)

type dashboardAttributes struct {
	Title           string       `json:"title"`
	Description     string       `json:"description"`
	TimeRestore     bool         `json:"timeRestore"`
	TimeFrom        string       `json:"timeFrom"`
	TimeTo          string       `json:"timeTo"`
	Version         int          `json:"version"`
	Controls        controlGroup `json:"controlGroupInput"`
	OptionsJSON     inner        `json:"optionsJSON"`
	PanelsJSON      inner        `json:"panelsJSON"`
	KibanaSavedMeta searchSource `json:"kibanaSavedObjectMeta"`
}

type dashboardOptions struct {
	UseMargins      bool `json:"useMargins"`
	HidePanelTitles bool `json:"hidePanelTitles"`
	SyncColors      bool `json:"syncColors"`
	SyncCursor      bool `json:"syncCursor"`
	SyncTooltips    bool `json:"syncTooltips"`
}

// panel is a part of a dashboard; what it is stands within (by value), or is another object (panelRefName).
type panel struct {
	Type             string   `json:"type"`
	PanelIndex       string   `json:"panelIndex"`
	PanelRefName     string   `json:"panelRefName,omitempty"`
	GridData         gridData `json:"gridData"`
	Title            string   `json:"title,omitempty"`
	Version          string   `json:"version"`
	EmbeddableConfig any      `json:"embeddableConfig"`
}

type gridData struct {
	X int    `json:"x"`
	Y int    `json:"y"`
	W int    `json:"w"`
	H int    `json:"h"`
	I string `json:"i"`
}

const panelVersion = "8.10.2"

func dashboardID(id string) string { return Prefix + "dashboard-" + id }

func dashboardObject(book *dashboard.Book, p *dashboard.Page) (object, error) {
	var panels []panel
	var references []reference
	for _, one := range p.Panels {
		made, of, err := makePanel(book, p, one)
		if err != nil {
			return object{}, fmt.Errorf("panel %s: %w", one.ID, err)
		}
		panels = append(panels, made)
		for _, r := range of { // on the dashboard references are named for their panel
			r.Name = made.PanelIndex + ":" + r.Name
			references = append(references, r)
		}
	}
	controls, of := makeControls(p)
	return newObject(typeDashboard, dashboardID(p.ID), dashboardAttributes{
		Title: "Gatebook: " + p.Title, Description: p.About, TimeRestore: true, TimeFrom: "now-7d", TimeTo: "now", Version: 1, Controls: controls,
		OptionsJSON: inner{dashboardOptions{UseMargins: true, SyncCursor: true}}, PanelsJSON: inner{panels},
		KibanaSavedMeta: searchSource{inner{sourceOfPage{Query: kuery{Language: "kuery"}, Filter: []struct{}{}}}},
	}, append(references, of...)), nil
}

// makePanel makes a panel, and the references that are to be on its dashboard.
func makePanel(book *dashboard.Book, page *dashboard.Page, p dashboard.Panel) (panel, []reference, error) {
	made := panel{PanelIndex: p.ID, Title: p.Title, Version: panelVersion, GridData: gridData{p.Place.X, p.Place.Y, p.Place.W, p.Place.H, p.ID}}
	switch p.Kind {
	case dashboard.Links:
		made.Type, made.Title, made.EmbeddableConfig = "visualization", "", markdownPanel(linksText(book, page))
		return made, nil, nil
	case dashboard.Records:
		made.Type, made.PanelRefName, made.EmbeddableConfig = "search", "panel_"+p.ID, searchConfig{}
		return made, []reference{{typeSearch, searchID(p.Search), made.PanelRefName}}, nil
	case dashboard.Map:
		m, err := mapPanel(p)
		if err != nil {
			return made, nil, err
		}
		made.Type, made.EmbeddableConfig = "map", m
		return made, m.Attributes.References, nil
	}
	l, err := lensPanel(p)
	if err != nil {
		return made, nil, err
	}
	enhancements, references := drilldowns(book, p)
	made.Type, made.EmbeddableConfig = "lens", lensConfig{HidePanelTitles: p.Kind == dashboard.Metric, Enhancements: enhancements, Attributes: l} // a metric has its title within
	return made, append(append([]reference(nil), l.References...), references...), nil
}

type searchConfig struct {
	Enhancements struct{} `json:"enhancements"`
}

type lensConfig struct {
	HidePanelTitles bool         `json:"hidePanelTitles"`
	Enhancements    enhancements `json:"enhancements"`
	Attributes      lens         `json:"attributes"`
}

type enhancements struct {
	DynamicActions *dynamicActions `json:"dynamicActions,omitempty"`
}

type dynamicActions struct {
	Events []drilldown `json:"events"`
}

// drilldown is what a click on a value offers beside narrowing the page.
type drilldown struct {
	EventID  string          `json:"eventId"`
	Triggers []string        `json:"triggers"`
	Action   drilldownAction `json:"action"`
}

type drilldownAction struct {
	Name      string `json:"name"`
	FactoryID string `json:"factoryId"`
	Config    any    `json:"config"`
}

type (
	toDiscoverConfig struct {
		OpenInNewTab bool `json:"openInNewTab"`
	}
	toDashboardConfig struct {
		OpenInNewTab        bool `json:"openInNewTab"`
		UseCurrentDateRange bool `json:"useCurrentDateRange"`
		UseCurrentFilters   bool `json:"useCurrentFilters"`
	}
)

const (
	filterTrigger   = "FILTER_TRIGGER"
	discoverFactory = "OPEN_IN_DISCOVER_DRILLDOWN"
	pageFactory     = "DASHBOARD_TO_DASHBOARD_DRILLDOWN"
)

// drilldowns leads from a value to its records in Discover, and to the page that says more of it. Metrics have no values to click on.
func drilldowns(book *dashboard.Book, p dashboard.Panel) (enhancements, []reference) {
	if p.Kind == dashboard.Metric {
		return enhancements{}, nil
	}
	events := []drilldown{{p.ID + "-discover", []string{filterTrigger}, drilldownAction{"Show its records", discoverFactory, toDiscoverConfig{}}}}
	var references []reference
	if page, ok := book.Page(p.To); ok {
		id := p.ID + "-to-" + page.ID
		events = append(events, drilldown{id, []string{filterTrigger}, drilldownAction{"Go to " + page.Title, pageFactory, toDashboardConfig{false, true, true}}})
		references = append(references, reference{typeDashboard, dashboardID(page.ID), "drilldown:" + pageFactory + ":" + id + ":dashboardId"})
	}
	return enhancements{&dynamicActions{events}}, references
}

type (
	markdownConfig struct {
		HidePanelTitles bool     `json:"hidePanelTitles"`
		Enhancements    struct{} `json:"enhancements"`
		SavedVis        savedVis `json:"savedVis"`
	}
	savedVis struct {
		ID          string         `json:"id"`
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Type        string         `json:"type"`
		Params      markdownParams `json:"params"`
		UIState     struct{}       `json:"uiState"`
		Data        savedVisData   `json:"data"`
	}
	markdownParams struct {
		FontSize          int    `json:"fontSize"`
		OpenLinksInNewTab bool   `json:"openLinksInNewTab"`
		Markdown          string `json:"markdown"`
	}
	savedVisData struct {
		Aggs         []struct{}   `json:"aggs"`
		SearchSource sourceOfPage `json:"searchSource"`
	}
)

func markdownPanel(text string) markdownConfig {
	return markdownConfig{HidePanelTitles: true, SavedVis: savedVis{Type: "markdown", Params: markdownParams{FontSize: 12, Markdown: text},
		Data: savedVisData{Aggs: []struct{}{}, SearchSource: sourceOfPage{Query: kuery{Language: "kuery"}, Filter: []struct{}{}}}}}
}

// linksText has the other pages, and the searches of this one. The addresses are relative to that of the dashboard, .../app/dashboards, so that they lead into
// the same Kibana and space.
func linksText(book *dashboard.Book, page *dashboard.Page) string {
	var pages, searches []string
	for _, p := range book.Pages {
		if p.ID == page.ID {
			pages = append(pages, "**"+p.Title+"**")
		} else {
			pages = append(pages, "["+p.Title+"](#/view/"+dashboardID(p.ID)+")")
		}
	}
	for _, id := range page.Searches {
		if s, ok := book.Search(id); ok {
			searches = append(searches, "["+s.Title+"](discover#/view/"+searchID(id)+")")
		}
	}
	return strings.Join(pages, " | ") + "\n\nRecords: " + strings.Join(searches, " | ")
}

type (
	controlGroup struct {
		ControlStyle   string `json:"controlStyle"`
		ChainingSystem string `json:"chainingSystem"`
		PanelsJSON     inner  `json:"panelsJSON"`
		IgnoreSettings inner  `json:"ignoreParentSettingsJSON"`
	}
	ignoreSettings struct {
		Filters     bool `json:"ignoreFilters"`
		Query       bool `json:"ignoreQuery"`
		Timerange   bool `json:"ignoreTimerange"`
		Validations bool `json:"ignoreValidations"`
	}
	control struct {
		Order         int          `json:"order"`
		Width         string       `json:"width"`
		Grow          bool         `json:"grow"`
		Type          string       `json:"type"`
		ExplicitInput controlInput `json:"explicitInput"`
	}
	controlInput struct {
		ID              string   `json:"id"`
		FieldName       string   `json:"fieldName"`
		Title           string   `json:"title"`
		SelectedOptions []string `json:"selectedOptions"`
		Enhancements    struct{} `json:"enhancements"`
	}
)

// makeControls makes lists of values to choose from, each narrowed by those before it, and the references to the data view that they look at.
func makeControls(p *dashboard.Page) (controlGroup, []reference) {
	controls, references := map[string]control{}, []reference(nil)
	for i, c := range p.Controls {
		id := p.ID + "-control-" + strings.NewReplacer("@", "", ".", "-", "_", "-").Replace(c.Field.Name())
		controls[id] = control{Order: i, Width: "medium", Grow: true, Type: "optionsListControl",
			ExplicitInput: controlInput{ID: id, FieldName: c.Field.Name(), Title: c.Title, SelectedOptions: []string{}}}
		references = append(references, reference{typeView, EventsView, "controlGroup_" + id + ":optionsListDataView"})
	}
	return controlGroup{ControlStyle: "oneLine", ChainingSystem: "HIERARCHICAL", PanelsJSON: inner{controls}, IgnoreSettings: inner{ignoreSettings{}}}, references
}
