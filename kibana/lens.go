package kibana

import (
	"fmt"
	"strconv"

	"github.com/gatebook/gatebook/dashboard"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// lens is a Lens visualization: what it asks for (datasource) and how it is drawn.
type lens struct {
	Title             string      `json:"title"`
	Description       string      `json:"description"`
	Type              string      `json:"type"`
	VisualizationType string      `json:"visualizationType"`
	References        []reference `json:"references"`
	State             lensState   `json:"state"`
}

type lensState struct {
	Query              kuery       `json:"query"`
	Filters            []struct{}  `json:"filters"`
	InternalReferences []struct{}  `json:"internalReferences"`
	AdHocDataViews     struct{}    `json:"adHocDataViews"`
	DatasourceStates   datasources `json:"datasourceStates"`
	Visualization      any         `json:"visualization"`
}

type datasources struct {
	FormBased formBased `json:"formBased"`
}

type formBased struct {
	Layers map[string]layer `json:"layers"`
}

type layer struct {
	ColumnOrder       []string          `json:"columnOrder"` // buckets, outermost first, then figures
	Columns           map[string]column `json:"columns"`
	IncompleteColumns struct{}          `json:"incompleteColumns"`
}

// column is a bucket or a figure.
type column struct {
	Label         string `json:"label"`
	CustomLabel   bool   `json:"customLabel"`
	DataType      string `json:"dataType"`
	OperationType string `json:"operationType"`
	IsBucketed    bool   `json:"isBucketed"`
	Scale         string `json:"scale"`
	SourceField   string `json:"sourceField"`
	Filter        *kuery `json:"filter,omitempty"`
	Params        any    `json:"params"`
}

type (
	termsParams struct {
		Size           int      `json:"size"`
		OrderBy        orderBy  `json:"orderBy"`
		OrderDirection string   `json:"orderDirection"`
		OtherBucket    bool     `json:"otherBucket"`
		MissingBucket  bool     `json:"missingBucket"`
		AccuracyMode   bool     `json:"accuracyMode"` // each shard tells more values, so that the most frequent ones of all are found
		ParentFormat   formatID `json:"parentFormat"`
	}
	orderBy struct {
		Type     string `json:"type"`
		ColumnID string `json:"columnId"`
	}
	formatID struct {
		ID string `json:"id"`
	}
	datesParams struct {
		Interval         string `json:"interval"`
		IncludeEmptyRows bool   `json:"includeEmptyRows"`
		DropPartials     bool   `json:"dropPartials"`
	}
	figureParams struct {
		EmptyAsNull bool `json:"emptyAsNull"` // false: a panel without records shows 0
	}
)

// lensPanel makes the visualization of a panel. The reference of its layer is to be repeated on the dashboard.
func lensPanel(p dashboard.Panel) (lens, error) {
	name := "layer-" + p.ID
	where, err := kql(p.Ask.Where)
	if err != nil {
		return lens{}, err
	}
	l := layer{Columns: map[string]column{}}
	var buckets, figures []string
	for i := range p.Ask.By {
		buckets = append(buckets, "by-"+strconv.Itoa(i))
	}
	for i := range p.Ask.Figures {
		figures = append(figures, "figure-"+strconv.Itoa(i))
	}
	l.ColumnOrder = append(append(l.ColumnOrder, buckets...), figures...)
	for i, b := range p.Ask.By {
		c, err := bucketColumn(b, figures[0])
		if err != nil {
			return lens{}, err
		}
		c.Label = p.Columns[i].Title
		l.Columns[buckets[i]] = c
	}
	for i, f := range p.Ask.Figures {
		c, err := figureColumn(f)
		if err != nil {
			return lens{}, err
		}
		c.Label = p.Columns[len(buckets)+i].Title
		l.Columns[figures[i]] = c
	}
	kind, drawn := drawing(p, name, buckets, figures)
	return lens{
		Title: p.Title, Description: p.About, Type: "lens", VisualizationType: kind,
		References: []reference{{typeView, viewOf(p.View), "indexpattern-datasource-layer-" + name}},
		State: lensState{Query: where, Filters: []struct{}{}, InternalReferences: []struct{}{},
			DatasourceStates: datasources{formBased{map[string]layer{name: l}}}, Visualization: drawn},
	}, nil
}

func bucketColumn(b query.Bucket, figure string) (column, error) {
	c := column{CustomLabel: true, IsBucketed: true, SourceField: b.Field.Name(), DataType: dataType(b.Field)}
	switch b.Kind {
	case query.Terms:
		c.OperationType, c.Scale = "terms", "ordinal"
		c.Params = termsParams{Size: b.Size, OrderBy: orderBy{"column", figure}, OrderDirection: "desc", AccuracyMode: true, ParentFormat: formatID{"terms"}}
	case query.Dates:
		c.OperationType, c.Scale = "date_histogram", "interval"
		c.Params = datesParams{Interval: "auto", IncludeEmptyRows: true}
	default:
		return c, fmt.Errorf("%s: Lens has no buckets of kind %d", b.Field.Name(), b.Kind)
	}
	return c, nil
}

var figureOperations = map[query.FigureKind]string{query.Count: "count", query.Unique: "unique_count", query.Sum: "sum", query.Min: "min", query.Max: "max"}

func figureColumn(f query.Figure) (column, error) {
	c := column{CustomLabel: true, OperationType: figureOperations[f.Kind], Scale: "ratio", DataType: "number", SourceField: "___records___", Params: figureParams{}}
	if f.Kind != query.Count {
		c.SourceField = f.Field.Name()
	}
	if f.Kind == query.Min || f.Kind == query.Max {
		c.DataType = dataType(f.Field)
	}
	if f.Where != nil {
		where, err := kql(f.Where)
		if err != nil {
			return c, err
		}
		c.Filter = &where
	}
	return c, nil
}

// dataType is the type of a field in Lens' words.
func dataType(f query.Field) string {
	switch f.Type() {
	case event.Integer, event.Float32:
		return "number"
	case event.DateTime:
		return "date"
	case event.IP:
		return "ip"
	case event.Boolean:
		return "boolean"
	}
	return "string"
}

type (
	metricDrawing struct {
		LayerID        string `json:"layerId"`
		LayerType      string `json:"layerType"`
		MetricAccessor string `json:"metricAccessor"`
		Subtitle       string `json:"subtitle,omitempty"`
		Color          string `json:"color,omitempty"`
	}
	xyDrawing struct {
		PreferredSeriesType string    `json:"preferredSeriesType"`
		Legend              legend    `json:"legend"`
		ValueLabels         string    `json:"valueLabels"`
		FittingFunction     string    `json:"fittingFunction"`
		Titles              axes      `json:"axisTitlesVisibilitySettings"`
		TickLabels          axes      `json:"tickLabelsVisibilitySettings"`
		Gridlines           axes      `json:"gridlinesVisibilitySettings"`
		Layers              []xyLayer `json:"layers"`
	}
	legend struct {
		IsVisible bool   `json:"isVisible"`
		Position  string `json:"position"`
	}
	axes struct {
		X      bool `json:"x"`
		YLeft  bool `json:"yLeft"`
		YRight bool `json:"yRight"`
	}
	xyLayer struct {
		LayerID       string    `json:"layerId"`
		LayerType     string    `json:"layerType"`
		SeriesType    string    `json:"seriesType"`
		XAccessor     string    `json:"xAccessor"`
		SplitAccessor string    `json:"splitAccessor,omitempty"`
		Accessors     []string  `json:"accessors"`
		Position      string    `json:"position"`
		ShowGridlines bool      `json:"showGridlines"`
		YConfig       []yConfig `json:"yConfig,omitempty"`
	}
	yConfig struct {
		ForAccessor string `json:"forAccessor"`
		Color       string `json:"color"`
	}
	pieDrawing struct {
		Shape  string     `json:"shape"`
		Layers []pieLayer `json:"layers"`
	}
	pieLayer struct {
		LayerID         string   `json:"layerId"`
		LayerType       string   `json:"layerType"`
		PrimaryGroups   []string `json:"primaryGroups"`
		Metrics         []string `json:"metrics"`
		NumberDisplay   string   `json:"numberDisplay"`
		CategoryDisplay string   `json:"categoryDisplay"`
		LegendDisplay   string   `json:"legendDisplay"`
		NestedLegend    bool     `json:"nestedLegend"`
	}
	tableDrawing struct {
		LayerID   string        `json:"layerId"`
		LayerType string        `json:"layerType"`
		Columns   []tableColumn `json:"columns"`
		Paging    paging        `json:"paging"`
	}
	tableColumn struct {
		ColumnID string `json:"columnId"`
	}
	paging struct {
		Size    int  `json:"size"`
		Enabled bool `json:"enabled"`
	}
)

// tones in the colours of Kibana's palette.
var tones = map[dashboard.Tone]string{dashboard.Good: "#54B399", dashboard.Bad: "#E7664C", dashboard.Warning: "#D6BF57"}

const dataLayer = "data"

// drawing is the type of the visualization and how it is drawn.
func drawing(p dashboard.Panel, name string, buckets, figures []string) (string, any) {
	switch p.Kind {
	case dashboard.Metric:
		return "lnsMetric", metricDrawing{LayerID: name, LayerType: dataLayer, MetricAccessor: figures[0], Subtitle: p.About, Color: tones[p.Columns[0].Tone]}
	case dashboard.Donut:
		return "lnsPie", pieDrawing{"donut", []pieLayer{{LayerID: name, LayerType: dataLayer, PrimaryGroups: buckets, Metrics: figures,
			NumberDisplay: "percent", CategoryDisplay: "default", LegendDisplay: "default"}}}
	case dashboard.Table:
		t := tableDrawing{LayerID: name, LayerType: dataLayer, Paging: paging{10, true}}
		for _, id := range append(append([]string(nil), buckets...), figures...) {
			t.Columns = append(t.Columns, tableColumn{id})
		}
		return "lnsDatatable", t
	}
	l := xyLayer{LayerID: name, LayerType: dataLayer, SeriesType: "bar_stacked", Accessors: figures, Position: "top"}
	switch p.Kind {
	case dashboard.Bar:
		l.SeriesType, l.XAccessor = "bar_horizontal", buckets[0]
		if len(buckets) > 1 {
			l.SeriesType, l.SplitAccessor = "bar_horizontal_stacked", buckets[1]
		}
	default:
		if p.Kind == dashboard.Line {
			l.SeriesType = "line"
		}
		l.XAccessor = buckets[len(buckets)-1]
		if len(buckets) > 1 {
			l.SplitAccessor = buckets[0]
		}
	}
	if l.SplitAccessor == "" {
		for i, id := range figures {
			if color := tones[p.Columns[len(buckets)+i].Tone]; color != "" {
				l.YConfig = append(l.YConfig, yConfig{id, color})
			}
		}
	}
	return "lnsXY", xyDrawing{PreferredSeriesType: l.SeriesType, Legend: legend{l.SplitAccessor != "" || len(figures) > 1, "right"}, ValueLabels: "hide", FittingFunction: "None",
		Titles: axes{}, TickLabels: axes{true, true, true}, Gridlines: axes{false, true, true}, Layers: []xyLayer{l}}
}
