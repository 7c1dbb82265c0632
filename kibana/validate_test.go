package kibana_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/kibana"
)

// validator reads saved objects as Kibana does, knowing nothing of the code that makes them, and notes what Kibana would stumble over.
type validator struct {
	objects  map[string]gjson.Result // by type and id
	at       string                  // object, and panel
	problems []string
	panels   int
}

func validate(ndjson []byte) *validator {
	v := &validator{objects: map[string]gjson.Result{}}
	var order []gjson.Result
	for line := range bytes.Lines(ndjson) {
		if !gjson.ValidBytes(line) {
			v.problem("line %d is no JSON", len(order)+1)
			continue
		}
		o := gjson.ParseBytes(line)
		key := o.Get("type").Str + " " + o.Get("id").Str
		if _, twice := v.objects[key]; twice {
			v.problem("%s is there twice", key)
		}
		v.objects[key] = o
		order = append(order, o)
	}
	for _, o := range order {
		v.at = o.Get("type").Str + " " + o.Get("id").Str
		v.object(o)
	}
	return v
}

func (v *validator) problem(format string, args ...any) {
	v.problems = append(v.problems, v.at+": "+fmt.Sprintf(format, args...))
}

func (v *validator) keys(what string, o gjson.Result, want ...string) {
	var got []string
	o.ForEach(func(k, _ gjson.Result) bool { got = append(got, k.Str); return true })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		v.problem("%s has the attributes %q, want %q", what, got, want)
	}
}

// inner parses JSON within a string.
func (v *validator) inner(o gjson.Result, path string) gjson.Result {
	r := o.Get(path)
	if r.Type != gjson.String || !gjson.Valid(r.Str) {
		v.problem("%s is no JSON in a string", path)
	}
	return gjson.Parse(r.Str)
}

func (v *validator) object(o gjson.Result) {
	v.keys("object", o, "type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion", "managed")
	if !strings.HasPrefix(o.Get("id").Str, kibana.Prefix) {
		v.problem("the id does not begin with %s", kibana.Prefix)
	}
	version := map[string]string{"index-pattern": "8.0.0", "search": "8.0.0", "dashboard": "8.9.0"}[o.Get("type").Str]
	if o.Get("coreMigrationVersion").Str != "8.8.0" || version == "" || o.Get("typeMigrationVersion").Str != version {
		v.problem("versions %s, %s", o.Get("coreMigrationVersion"), o.Get("typeMigrationVersion"))
	}
	references := map[string]gjson.Result{}
	for _, r := range o.Get("references").Array() {
		v.keys("reference", r, "type", "id", "name")
		if _, there := v.objects[r.Get("type").Str+" "+r.Get("id").Str]; !there {
			v.problem("reference %s leads to no object: %s %s", r.Get("name"), r.Get("type"), r.Get("id"))
		}
		if _, twice := references[r.Get("name").Str]; twice {
			v.problem("reference %s is there twice", r.Get("name"))
		}
		references[r.Get("name").Str] = r
	}
	used := map[string]bool{}
	refer := func(name, kind string) gjson.Result {
		used[name] = true
		r, ok := references[name]
		if !ok {
			v.problem("no reference %s", name)
		} else if r.Get("type").Str != kind {
			v.problem("reference %s is of type %s, want %s", name, r.Get("type"), kind)
		}
		return r
	}
	switch o.Get("type").Str {
	case "index-pattern":
		v.view(o.Get("attributes"))
	case "search":
		v.search(o.Get("attributes"), refer)
	case "dashboard":
		v.dashboard(o.Get("attributes"), refer)
	}
	for name := range references {
		if !used[name] {
			v.problem("nothing uses the reference %s", name)
		}
	}
}

type refer = func(name, kind string) gjson.Result

// kind is what Kibana calls the type of a field; "" where there is none or it cannot be asked for.
func (v *validator) kind(name string) string {
	id, ok := event.FieldByName(name)
	if !ok {
		v.problem("no field %s", name)
		return ""
	}
	switch id.Info().Type {
	case event.Keyword:
		return "string"
	case event.Integer, event.Float32:
		return "number"
	case event.DateTime, event.IP, event.Boolean, event.Place:
		return map[event.Type]string{event.DateTime: "date", event.IP: "ip", event.Boolean: "boolean", event.Place: "geo_point"}[id.Info().Type]
	}
	return "" // text, flattened and stored: nothing to aggregate
}

func (v *validator) fieldOf(name string, what string, kinds ...string) {
	if k := v.kind(name); !slices.Contains(kinds, k) {
		v.problem("%s does not take the field %s of type %q", what, name, k)
	}
}

func (v *validator) view(a gjson.Result) {
	v.keys("data view", a, "title", "name", "timeFieldName", "fieldFormatMap", "allowNoIndex")
	v.fieldOf(a.Get("timeFieldName").Str, "time", "date")
	v.inner(a, "fieldFormatMap").ForEach(func(name, f gjson.Result) bool {
		v.kind(name.Str)
		template := f.Get("params.urlTemplate").Str
		if template == "" {
			return true
		}
		for _, m := range regexp.MustCompile(`dataViewId:([\w-]+)|index:([\w-]+)`).FindAllStringSubmatch(template, -1) {
			if _, ok := v.objects["index-pattern "+m[1]+m[2]]; !ok {
				v.problem("the link of %s leads to no data view %s%s", name, m[1], m[2])
			}
		}
		m := regexp.MustCompile(`^\.\./app/discover#/\?_g=.*query:'([\w.]+)%20:%20%22\{\{value\}\}%22'\)\)$`).FindStringSubmatch(template)
		if m == nil {
			v.problem("the link of %s is %s", name, template)
			return true
		}
		v.kind(m[1])
		return true
	})
}

func (v *validator) search(a gjson.Result, refer refer) {
	v.keys("search", a, "title", "description", "columns", "sort", "grid", "hideChart", "kibanaSavedObjectMeta")
	source := v.inner(a, "kibanaSavedObjectMeta.searchSourceJSON")
	v.kql(source.Get("query"))
	refer(source.Get("indexRefName").Str, "index-pattern")
	for _, c := range a.Get("columns").Array() {
		v.kind(c.Str)
	}
	for _, s := range a.Get("sort").Array() {
		v.fieldOf(s.Get("0").Str, "sort", "date", "number", "string", "ip")
	}
}

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
var compared = regexp.MustCompile(`([^\s()]+) ?(?:: |:|<=|>=|<|>) ?`)

// kql checks the fields of a query; whether it is one Elasticsearch says, see TestPanelsAgainstElasticsearch.
func (v *validator) kql(q gjson.Result) {
	if q.Get("language").Str != "kuery" {
		v.problem("query language %s", q.Get("language"))
	}
	text := quoted.ReplaceAllString(q.Get("query").Str, "x")
	depth := 0
	for _, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 || strings.Contains(text, `"`) {
		v.problem("the query %s is not whole", q.Get("query"))
	}
	for _, m := range compared.FindAllStringSubmatch(text, -1) {
		v.kind(m[1])
	}
}

func (v *validator) dashboard(a gjson.Result, refer refer) {
	v.keys("dashboard", a, "title", "description", "timeRestore", "timeFrom", "timeTo", "version", "controlGroupInput", "optionsJSON", "panelsJSON", "kibanaSavedObjectMeta")
	v.inner(a, "optionsJSON")
	v.kql(v.inner(a, "kibanaSavedObjectMeta.searchSourceJSON").Get("query"))
	v.controls(a.Get("controlGroupInput"), refer)
	at := v.at
	cells, indices := map[[2]int64]string{}, map[string]bool{}
	for _, p := range v.inner(a, "panelsJSON").Array() {
		v.panels++
		index := p.Get("panelIndex").Str
		v.at = at + " panel " + index
		if index == "" || indices[index] || p.Get("gridData.i").Str != index || strings.Contains(index, ":") {
			v.problem("panelIndex %q, gridData.i %s", index, p.Get("gridData.i"))
		}
		indices[index] = true
		v.place(p.Get("gridData"), index, cells)
		v.panel(p, func(name, kind string) gjson.Result { return refer(index+":"+name, kind) })
	}
	v.at = at
}

func (v *validator) place(g gjson.Result, index string, cells map[[2]int64]string) {
	x, y, w, h := g.Get("x").Int(), g.Get("y").Int(), g.Get("w").Int(), g.Get("h").Int()
	if x < 0 || y < 0 || w < 1 || h < 1 || x+w > 48 {
		v.problem("is out of the grid: x %d, y %d, w %d, h %d", x, y, w, h)
		return
	}
	for i := x; i < x+w; i++ {
		for j := y; j < y+h; j++ {
			if other := cells[[2]int64{i, j}]; other != "" {
				v.problem("overlaps %s", other)
				return
			}
			cells[[2]int64{i, j}] = index
		}
	}
}

func (v *validator) controls(g gjson.Result, refer refer) {
	v.keys("controls", g, "controlStyle", "chainingSystem", "panelsJSON", "ignoreParentSettingsJSON")
	v.inner(g, "ignoreParentSettingsJSON")
	orders := map[int64]bool{}
	v.inner(g, "panelsJSON").ForEach(func(id, c gjson.Result) bool {
		if c.Get("explicitInput.id").Str != id.Str || c.Get("type").Str != "optionsListControl" || orders[c.Get("order").Int()] {
			v.problem("control %s: id %s, type %s, order %s", id, c.Get("explicitInput.id"), c.Get("type"), c.Get("order"))
		}
		orders[c.Get("order").Int()] = true
		v.fieldOf(c.Get("explicitInput.fieldName").Str, "a list of options", "string", "ip", "boolean", "number")
		refer("controlGroup_"+id.Str+":optionsListDataView", "index-pattern")
		return true
	})
}

func (v *validator) panel(p gjson.Result, refer refer) {
	config := p.Get("embeddableConfig")
	switch p.Get("type").Str {
	case "search":
		refer(p.Get("panelRefName").Str, "search")
	case "visualization":
		v.markdown(config.Get("savedVis.params.markdown").Str)
	case "map":
		v.mapped(config.Get("attributes"), refer)
	case "lens":
		v.lens(config.Get("attributes"), refer)
		v.drilldowns(config.Get("enhancements.dynamicActions.events"), refer)
	default:
		v.problem("is of type %s", p.Get("type"))
	}
}

func (v *validator) markdown(text string) {
	links := regexp.MustCompile(`\[[^\]]+\]\(([^)]*)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 8 {
		v.problem("%d links", len(links))
	}
	for _, m := range links {
		kind := "dashboard "
		id, ok := strings.CutPrefix(m[1], "#/view/")
		if !ok {
			kind = "search "
			id, ok = strings.CutPrefix(m[1], "discover#/view/")
		}
		if _, there := v.objects[kind+id]; !ok || !there {
			v.problem("the link %s leads nowhere", m[1])
		}
	}
}

func (v *validator) drilldowns(events gjson.Result, refer refer) {
	seen := map[string]bool{}
	for _, e := range events.Array() {
		id := e.Get("eventId").Str
		if id == "" || seen[id] || e.Get("triggers").Raw != `["FILTER_TRIGGER"]` || e.Get("action.name").Str == "" {
			v.problem("drill-down %s", e.Raw)
		}
		seen[id] = true
		switch factory := e.Get("action.factoryId").Str; factory {
		case "OPEN_IN_DISCOVER_DRILLDOWN":
		case "DASHBOARD_TO_DASHBOARD_DRILLDOWN":
			refer("drilldown:"+factory+":"+id+":dashboardId", "dashboard")
		default:
			v.problem("drill-down of the kind %s", factory)
		}
	}
}

// mapped checks a map: its layers of records.
func (v *validator) mapped(a gjson.Result, refer refer) {
	v.inner(a, "mapStateJSON")
	v.inner(a, "uiStateJSON")
	own := map[string]string{}
	for _, r := range a.Get("references").Array() {
		own[r.Get("name").Str] = r.Get("id").Str
	}
	for i, l := range v.inner(a, "layerListJSON").Array() {
		source := l.Get("sourceDescriptor")
		if source.Get("type").Str == "EMS_TMS" {
			continue
		}
		name := source.Get("indexPatternRefName").Str
		if r := refer(name, "index-pattern"); name != fmt.Sprintf("layer_%d_source_index_pattern", i) || own[name] != r.Get("id").Str {
			v.problem("layer %d refers to %s: %q here and %s on the dashboard", i, name, own[name], r.Get("id"))
		}
		v.kql(l.Get("query"))
		v.fieldOf(source.Get("geoField").Str, "a map", "geo_point")
		for _, m := range source.Get("metrics").Array() {
			v.figure(m.Get("type").Str, m.Get("field").Str, "")
		}
		for _, f := range source.Get("tooltipProperties").Array() {
			v.kind(f.Str)
		}
		for _, f := range l.Get("style.properties.@values.#.options.field.name").Array() {
			if f.Str != "doc_count" {
				v.kind(f.Str)
			}
		}
	}
}

// figure checks that an operation takes a field, and that what comes out has the type that the column says.
func (v *validator) figure(operation, field, dataType string) {
	switch operation {
	case "count":
		if field != "___records___" && field != "" {
			v.problem("counts %s", field)
		}
		field = ""
	case "unique_count", "cardinality":
		v.fieldOf(field, operation, "string", "number", "ip", "boolean", "date")
		field = ""
	case "sum", "average":
		v.fieldOf(field, operation, "number")
	case "min", "max":
		v.fieldOf(field, operation, "number", "date")
	default:
		v.problem("operation %s", operation)
	}
	want := "number"
	if field != "" {
		want = v.kind(field)
	}
	if dataType != "" && dataType != want {
		v.problem("%s of %s is of type %s, want %s", operation, field, dataType, want)
	}
}

func (v *validator) lens(a gjson.Result, refer refer) {
	v.kql(a.Get("state.query"))
	layers := a.Get("state.datasourceStates.formBased.layers")
	if len(layers.Map()) != 1 {
		v.problem("%d layers", len(layers.Map()))
	}
	layers.ForEach(func(id, l gjson.Result) bool {
		name := "indexpattern-datasource-layer-" + id.Str
		own := a.Get(`references.#(name="` + name + `").id`).Str
		if r := refer(name, "index-pattern"); own != r.Get("id").Str {
			v.problem("%s is %q in the panel and %s on the dashboard", name, own, r.Get("id"))
		}
		v.columns(l)
		v.drawn(a.Get("visualizationType").Str, a.Get("state.visualization"), id.Str, l)
		return true
	})
}

func (v *validator) columns(l gjson.Result) {
	var order, have []string
	for _, id := range l.Get("columnOrder").Array() {
		order = append(order, id.Str)
	}
	l.Get("columns").ForEach(func(id, c gjson.Result) bool { have = append(have, id.Str); v.column(l, c); return true })
	sorted := slices.Sorted(slices.Values(order))
	slices.Sort(have)
	if !slices.Equal(sorted, have) {
		v.problem("columnOrder is %q, the columns are %q", order, have)
	}
	figures := false
	for _, id := range order {
		bucket := l.Get("columns." + id + ".isBucketed").Bool()
		if figures && bucket {
			v.problem("columnOrder has the bucket %s behind a figure", id)
		}
		figures = figures || !bucket
	}
	if !figures {
		v.problem("no figures")
	}
}

func (v *validator) column(l, c gjson.Result) {
	field, params := c.Get("sourceField").Str, c.Get("params")
	if c.Get("label").Str == "" || !c.Get("customLabel").Bool() {
		v.problem("a column of %s has no label", field)
	}
	if f := c.Get("filter"); f.Exists() {
		v.kql(f)
	}
	operation := c.Get("operationType").Str
	if bucket := operation == "terms" || operation == "date_histogram"; bucket != c.Get("isBucketed").Bool() {
		v.problem("%s of %s: isBucketed %s", operation, field, c.Get("isBucketed"))
	}
	switch operation {
	case "terms":
		v.fieldOf(field, operation, "string", "number", "ip", "boolean")
		if v.kind(field) != c.Get("dataType").Str || params.Get("size").Int() < 1 || params.Get("size").Int() > 1000 || c.Get("scale").Str != "ordinal" {
			v.problem("terms of %s: type %s, size %s", field, c.Get("dataType"), params.Get("size"))
		}
		by := l.Get("columns." + params.Get("orderBy.columnId").Str)
		if !by.Exists() || by.Get("isBucketed").Bool() {
			v.problem("terms of %s are ordered by the column %s", field, params.Get("orderBy.columnId"))
		}
	case "date_histogram":
		v.fieldOf(field, operation, "date")
		if c.Get("dataType").Str != "date" || params.Get("interval").Str == "" || c.Get("scale").Str != "interval" {
			v.problem("date_histogram of %s: type %s, interval %s", field, c.Get("dataType"), params.Get("interval"))
		}
	default:
		v.figure(operation, field, c.Get("dataType").Str)
	}
}

// drawn checks that what is drawn are columns that there are, each once, and all of them.
func (v *validator) drawn(kind string, d gjson.Result, layer string, l gjson.Result) {
	var buckets, figures []string
	layerID := d.Get("layerId").Str
	list := func(to *[]string, r gjson.Result) {
		if r.IsArray() {
			for _, id := range r.Array() {
				*to = append(*to, id.Str)
			}
		} else if r.Exists() {
			*to = append(*to, r.Str)
		}
	}
	switch kind {
	case "lnsMetric":
		list(&figures, d.Get("metricAccessor"))
	case "lnsDatatable":
		for _, id := range d.Get("columns.#.columnId").Array() {
			if l.Get("columns." + id.Str + ".isBucketed").Bool() {
				buckets = append(buckets, id.Str)
			} else {
				figures = append(figures, id.Str)
			}
		}
	case "lnsPie":
		layerID = d.Get("layers.0.layerId").Str
		list(&buckets, d.Get("layers.0.primaryGroups"))
		list(&figures, d.Get("layers.0.metrics"))
	case "lnsXY":
		layerID = d.Get("layers.0.layerId").Str
		list(&buckets, d.Get("layers.0.xAccessor"))
		list(&buckets, d.Get("layers.0.splitAccessor"))
		list(&figures, d.Get("layers.0.accessors"))
		for _, y := range d.Get("layers.0.yConfig.#.forAccessor").Array() {
			if !slices.Contains(figures, y.Str) {
				v.problem("a colour for the column %s", y)
			}
		}
	default:
		v.problem("visualization of type %s", kind)
	}
	if layerID != layer {
		v.problem("draws the layer %s", layerID)
	}
	for _, id := range append(slices.Clone(buckets), figures...) {
		c := l.Get("columns." + id)
		if !c.Exists() {
			v.problem("draws the column %s, which is not there", id)
		} else if c.Get("isBucketed").Bool() != slices.Contains(buckets, id) {
			v.problem("draws the column %s as what it is not", id)
		}
	}
	if n := len(l.Get("columns").Map()); len(buckets)+len(figures) != n {
		v.problem("draws %d of %d columns", len(buckets)+len(figures), n)
	}
}

func objects(t *testing.T) []byte {
	t.Helper()
	b, err := kibana.Objects()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestObjectsAreValid(t *testing.T) {
	v := validate(objects(t))
	for _, p := range v.problems {
		t.Error(p)
	}
	counts := map[string]int{}
	for key := range v.objects {
		kind, _, _ := strings.Cut(key, " ")
		counts[kind]++
	}
	if counts["index-pattern"] != 2 || counts["dashboard"] != 9 || counts["search"] < 20 || v.panels < 100 {
		t.Errorf("%v objects, %d panels", counts, v.panels)
	}
	t.Logf("%v, %d panels", counts, v.panels)
}

// The validator sees each kind of damage.
func TestValidatorFindsMistakes(t *testing.T) {
	var whole []byte // four pages are enough
	for line := range bytes.Lines(objects(t)) {
		if o := gjson.ParseBytes(line); o.Get("type").Str != "dashboard" || slices.Contains([]string{"overview", "authentication", "audit", "geography"}, strings.TrimPrefix(o.Get("id").Str, "gatebook-dashboard-")) {
			whole = append(whole, line...)
		}
	}
	inString := func(s string) string { // as it stands in a string of JSON
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[1 : len(b)-1])
	}
	damage := func(want, from, to string) {
		t.Helper()
		if !bytes.Contains(whole, []byte(from)) {
			t.Fatalf("%s is not in the objects", from)
		}
		v := validate(bytes.Replace(whole, []byte(from), []byte(to), 1))
		if !strings.Contains(strings.Join(v.problems, "\n"), want) {
			t.Errorf("%s for %s: problems %q, want %q", to, from, v.problems, want)
		}
	}
	within := func(want, from, to string) { t.Helper(); damage(want, inString(from), inString(to)) }

	damage("is no JSON", `{"type":"dashboard"`, `{"type":dashboard"`)
	damage("is there twice", `{"type":"dashboard","id":"gatebook-dashboard-audit","attributes"`, `{"type":"dashboard","id":"gatebook-dashboard-overview","attributes"`)
	damage("does not begin with", `{"type":"dashboard","id":"gatebook-dashboard-audit","attributes"`, `{"type":"dashboard","id":"audit","attributes"`)
	damage("versions", `"typeMigrationVersion":"8.9.0"`, `"typeMigrationVersion":"10.1.0"`)
	damage("has the attributes", `"timeRestore":true`, `"timeRestored":true`)
	damage("leads to no object", `"type":"index-pattern","id":"gatebook-events","name":"overview-events:`, `"type":"index-pattern","id":"gatebook-event","name":"overview-events:`)
	damage("nothing uses the reference", `"name":"overview-events:indexpattern-datasource-layer-layer-overview-events"`, `"name":"overview-events:other"`)
	damage("no reference overview-events:indexpattern-datasource-layer-layer-overview-events", `"name":"overview-events:indexpattern-datasource-layer-layer-overview-events"`, `"name":"overview-events:other"`)
	damage("no reference controlGroup_overview-control-user-name:optionsListDataView", `"name":"controlGroup_overview-control-user-name:optionsListDataView"`, `"name":"x"`)
	damage("no reference geography-where-logins-come-from:layer_1_source_index_pattern", `"name":"geography-where-logins-come-from:layer_1_source_index_pattern"`, `"name":"x"`)
	damage("no reference authentication-latest-failed-logins:panel_authentication-latest-failed-logins", `"name":"authentication-latest-failed-logins:panel_`, `"name":"x`)
	damage("drilldown:DASHBOARD_TO_DASHBOARD_DRILLDOWN", `:drilldown:DASHBOARD_TO`, `:drilldown:TO`)
	damage("is no JSON in a string", `"panelsJSON":"[{`, `"panelsJSON":"[`)
	damage("no field user.nam", `"columns":["event.dataset","event.action","event.outcome","user.name"`, `"columns":["event.dataset","event.action","event.outcome","user.nam"`)
	damage("no reference other", `\"indexRefName\":\"kibanaSavedObjectMeta.searchSourceJSON.index\"`, `\"indexRefName\":\"other\"`)
	damage("no field event.knd", `\"query\":\"event.kind :`, `\"query\":\"event.knd :`)
	within("in the panel and gatebook-events on the dashboard", `"references":[{"type":"index-pattern","id":"gatebook-events"`, `"references":[{"type":"index-pattern","id":"gatebook-alerts"`)
	within("no field gatebook.user.kee", `"operationType":"unique_count","isBucketed":false,"scale":"ratio","sourceField":"gatebook.user.key"`, `"operationType":"unique_count","isBucketed":false,"scale":"ratio","sourceField":"gatebook.user.kee"`)
	within(`sum does not take the field gatebook.user.key of type "string"`, `"operationType":"unique_count"`, `"operationType":"sum"`)
	within(`terms does not take the field message of type ""`, `"operationType":"terms","isBucketed":true,"scale":"ordinal","sourceField":"event.dataset"`, `"operationType":"terms","isBucketed":true,"scale":"ordinal","sourceField":"message"`)
	within(`date_histogram does not take the field user.name`, `"scale":"interval","sourceField":"@timestamp"`, `"scale":"interval","sourceField":"user.name"`)
	damage(`a map does not take the field source.ip of type "ip"`, inString(inString(`"geoField":"source.geo.location"`)), inString(inString(`"geoField":"source.ip"`)))
	within("is of type number, want date", `"dataType":"date","operationType":"max"`, `"dataType":"number","operationType":"max"`)
	within("are ordered by the column figure-9", `"orderBy":{"type":"column","columnId":"figure-0"}`, `"orderBy":{"type":"column","columnId":"figure-9"}`)
	within("columnOrder is", `"columnOrder":["by-0","figure-0"]`, `"columnOrder":["by-0"]`)
	within("behind a figure", `"columnOrder":["by-0","figure-0"]`, `"columnOrder":["figure-0","by-0"]`)
	within("draws the column figure-9, which is not there", `"metricAccessor":"figure-0"`, `"metricAccessor":"figure-9"`)
	within("draws the column by-0 as what it is not", `"primaryGroups":["by-0"],"metrics":["figure-0"]`, `"primaryGroups":["figure-0"],"metrics":["by-0"]`)
	within("draws 1 of 5 columns", `"columns":[{"columnId":"by-0"},{"columnId":"figure-0"},{"columnId":"figure-1"},{"columnId":"figure-2"},{"columnId":"figure-3"}]`, `"columns":[{"columnId":"by-0"}]`)
	within("draws the layer other", `"visualization":{"layerId":"layer-overview-events"`, `"visualization":{"layerId":"other"`)
	within("overlaps overview-events", `"gridData":{"x":8,"y":5`, `"gridData":{"x":7,"y":5`)
	within("is out of the grid", `"gridData":{"x":40,"y":5,"w":8`, `"gridData":{"x":40,"y":5,"w":9`)
	within("gridData.i", `"i":"overview-events"`, `"i":"other"`)
	within("leads nowhere", `(#/view/gatebook-dashboard-audit)`, `(#/view/gatebook-dashboard-audits)`)
	damage("is not whole", inString(inString(`event.outcome : "failure"`)), inString(inString(`event.outcome : "failure`)))
	within("drill-down of the kind", `"factoryId":"OPEN_IN_DISCOVER_DRILLDOWN"`, `"factoryId":"OPEN"`)
	within("leads to no data view", `dataViewId:gatebook-alerts`, `dataViewId:alerts`)
}
