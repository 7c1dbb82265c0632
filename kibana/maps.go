package kibana

import (
	"github.com/gatebook/gatebook/dashboard"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

type (
	mapConfig struct {
		Attributes     mapAttributes `json:"attributes"`
		MapCenter      mapCenter     `json:"mapCenter"`
		IsTOCOpen      bool          `json:"isLayerTOCOpen"`
		OpenTOCDetails []string      `json:"openTOCDetails"`
		HiddenLayers   []string      `json:"hiddenLayers"`
		Enhancements   struct{}      `json:"enhancements"`
	}
	mapCenter struct {
		Lat  float64 `json:"lat"`
		Lon  float64 `json:"lon"`
		Zoom float64 `json:"zoom"`
	}
	mapAttributes struct {
		Title         string      `json:"title"`
		Description   string      `json:"description"`
		LayerListJSON inner       `json:"layerListJSON"`
		MapStateJSON  inner       `json:"mapStateJSON"`
		UIStateJSON   inner       `json:"uiStateJSON"`
		References    []reference `json:"references"`
	}
	mapState struct {
		Zoom    float64       `json:"zoom"`
		Center  mapStateAt    `json:"center"`
		Query   kuery         `json:"query"`
		Filters []struct{}    `json:"filters"`
		Refresh refreshConfig `json:"refreshConfig"`
	}
	mapStateAt struct {
		Lon float64 `json:"lon"`
		Lat float64 `json:"lat"`
	}
	refreshConfig struct {
		IsPaused bool `json:"isPaused"`
		Interval int  `json:"interval"`
	}
	mapUIState struct {
		IsTOCOpen      bool     `json:"isLayerTOCOpen"`
		OpenTOCDetails []string `json:"openTOCDetails"`
	}
	mapLayer struct {
		ID                 string     `json:"id"`
		Label              string     `json:"label"`
		Type               string     `json:"type"`
		MinZoom            int        `json:"minZoom"`
		MaxZoom            int        `json:"maxZoom"`
		Alpha              float64    `json:"alpha"`
		Visible            bool       `json:"visible"`
		IncludeInFitBounds bool       `json:"includeInFitToBounds"`
		Source             any        `json:"sourceDescriptor"`
		Style              any        `json:"style"`
		Query              *kuery     `json:"query,omitempty"`
		Joins              []struct{} `json:"joins,omitempty"`
	}
	baseSource struct {
		Type         string `json:"type"`
		IsAutoSelect bool   `json:"isAutoSelect"`
		LightMode    string `json:"lightModeDefault"`
	}
	baseStyle struct {
		Type  string `json:"type"`
		Color string `json:"color"`
	}
	// sourceOfMap is what both layers of records have.
	sourceOfMap struct {
		Type              string `json:"type"`
		ID                string `json:"id"`
		GeoField          string `json:"geoField"`
		IndexRefName      string `json:"indexPatternRefName"`
		ApplyGlobalQuery  bool   `json:"applyGlobalQuery"`
		ApplyGlobalTime   bool   `json:"applyGlobalTime"`
		ApplyForceRefresh bool   `json:"applyForceRefresh"`
	}
	gridSource struct {
		sourceOfMap
		RequestType string      `json:"requestType"`
		Resolution  string      `json:"resolution"`
		Metrics     []mapMetric `json:"metrics"`
	}
	mapMetric struct {
		Type  string `json:"type"`
		Field string `json:"field,omitempty"`
		Label string `json:"label"`
	}
	recordSource struct {
		sourceOfMap
		FilterByMapBounds bool     `json:"filterByMapBounds"`
		ScalingType       string   `json:"scalingType"`
		TooltipProperties []string `json:"tooltipProperties"`
		SortField         string   `json:"sortField"`
		SortOrder         string   `json:"sortOrder"`
		TopHitsSplitField string   `json:"topHitsSplitField"`
		TopHitsSize       int      `json:"topHitsSize"`
	}
	vectorStyle struct {
		Type        string         `json:"type"`
		Properties  map[string]any `json:"properties"`
		IsTimeAware bool           `json:"isTimeAware"`
	}
	styleProperty struct {
		Type    string `json:"type"`
		Options any    `json:"options"`
	}
	fixedColor struct {
		Color string `json:"color"`
	}
	fixedSize struct {
		Size int `json:"size"`
	}
	sizeByFigure struct {
		MinSize int         `json:"minSize"`
		MaxSize int         `json:"maxSize"`
		Field   styledField `json:"field"`
	}
	colorByValue struct {
		Type   string          `json:"type"`
		Field  styledField     `json:"field"`
		Custom []categoryColor `json:"customColorPalette"`
		UseIt  bool            `json:"useCustomColorPalette"`
	}
	categoryColor struct {
		Stop  *string `json:"stop"`
		Color string  `json:"color"`
	}
	styledField struct {
		Name   string `json:"name"`
		Origin string `json:"origin"`
	}
)

var mapMetrics = map[query.FigureKind]string{query.Count: "count", query.Unique: "cardinality", query.Sum: "sum", query.Min: "min", query.Max: "max"}

// recordsFrom is the zoom at which single records are drawn too.
const recordsFrom = 6

// mapPanel makes a map: the world, tiles with the panel's figures, and the single records, coloured by outcome, where it is looked at closely.
func mapPanel(p dashboard.Panel) (mapConfig, error) {
	where, err := kql(p.Ask.Where)
	if err != nil {
		return mapConfig{}, err
	}
	place := p.Ask.By[0].Field.Name()
	source := func(kind, ref string) sourceOfMap {
		return sourceOfMap{Type: kind, ID: p.ID + "-" + kind, GeoField: place, IndexRefName: ref, ApplyGlobalQuery: true, ApplyGlobalTime: true, ApplyForceRefresh: true}
	}
	grid := gridSource{sourceOfMap: source("ES_GEO_GRID", "layer_1_source_index_pattern"), RequestType: "point", Resolution: "COARSE"}
	for i, f := range p.Ask.Figures {
		m := mapMetric{Type: mapMetrics[f.Kind], Label: p.Columns[1+i].Title}
		if f.Kind != query.Count {
			m.Field = f.Field.Name()
		}
		grid.Metrics = append(grid.Metrics, m)
	}
	records := recordSource{sourceOfMap: source("ES_SEARCH", "layer_2_source_index_pattern"), FilterByMapBounds: true, ScalingType: "LIMIT", SortOrder: "desc", TopHitsSize: 1}
	for _, id := range []event.FieldID{event.FieldTimestamp, event.FieldEventAction, event.FieldEventOutcome, event.FieldUserName, event.FieldSourceIp, event.FieldSourceGeoCityName,
		event.FieldSourceAsOrganizationName, event.FieldEventDataset} {
		records.TooltipProperties = append(records.TooltipProperties, id.Info().Name)
	}
	failure, success := "failure", "success"
	layers := []mapLayer{
		{ID: p.ID + "-world", Label: "World", Type: "EMS_VECTOR_TILE", MaxZoom: 24, Alpha: 1, Visible: true, IncludeInFitBounds: true,
			Source: baseSource{"EMS_TMS", true, "road_map_desaturated"}, Style: baseStyle{"EMS_VECTOR_TILE", ""}},
		{ID: p.ID + "-tiles", Label: p.Title, Type: "GEOJSON_VECTOR", MaxZoom: 24, Alpha: 0.75, Visible: true, IncludeInFitBounds: true, Source: grid, Query: &where, Joins: []struct{}{},
			Style: vectorStyle{Type: "VECTOR", IsTimeAware: true, Properties: map[string]any{
				"fillColor": styleProperty{"STATIC", fixedColor{"#6092C0"}},
				"lineColor": styleProperty{"STATIC", fixedColor{"#41729F"}},
				"lineWidth": styleProperty{"STATIC", fixedSize{1}},
				"iconSize":  styleProperty{"DYNAMIC", sizeByFigure{7, 32, styledField{"doc_count", "source"}}},
			}}},
		{ID: p.ID + "-records", Label: "Records", Type: "GEOJSON_VECTOR", MinZoom: recordsFrom, MaxZoom: 24, Alpha: 0.75, Visible: true, Source: records, Query: &where, Joins: []struct{}{},
			Style: vectorStyle{Type: "VECTOR", IsTimeAware: true, Properties: map[string]any{
				"fillColor": styleProperty{"DYNAMIC", colorByValue{Type: "CATEGORICAL", Field: styledField{event.FieldEventOutcome.Info().Name, "source"}, UseIt: true,
					Custom: []categoryColor{{nil, "#98A2B3"}, {&failure, tones[dashboard.Bad]}, {&success, tones[dashboard.Good]}}}},
				"lineColor": styleProperty{"STATIC", fixedColor{"#FFFFFF"}},
				"lineWidth": styleProperty{"STATIC", fixedSize{1}},
				"iconSize":  styleProperty{"STATIC", fixedSize{6}},
			}}},
	}
	center := mapCenter{Lat: 20, Lon: 10, Zoom: 1.6}
	return mapConfig{
		Attributes: mapAttributes{
			Title: p.Title, Description: p.About, LayerListJSON: inner{layers},
			MapStateJSON: inner{mapState{Zoom: center.Zoom, Center: mapStateAt{center.Lon, center.Lat}, Query: kuery{Language: "kuery"}, Filters: []struct{}{}, Refresh: refreshConfig{IsPaused: true}}},
			UIStateJSON:  inner{mapUIState{IsTOCOpen: false, OpenTOCDetails: []string{}}},
			References:   []reference{{typeView, viewOf(p.View), grid.IndexRefName}, {typeView, viewOf(p.View), records.IndexRefName}},
		},
		MapCenter: center, OpenTOCDetails: []string{}, HiddenLayers: []string{},
	}, nil
}
