package kibana_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// What Kibana asks Elasticsearch for, worked out from the saved objects alone.

// members is a JSON object.
type members = map[string]any

// request is a search that a panel stands for.
type request struct {
	index   string
	body    members
	buckets []string // names of nested aggregations, outermost first
	figures []string // names within each
	filters map[string]bool
}

// saved are the objects of the file, by type and id.
func saved(ndjson []byte) map[string]gjson.Result {
	m := map[string]gjson.Result{}
	for line := range bytes.Lines(ndjson) {
		o := gjson.ParseBytes(line)
		m[o.Get("type").Str+" "+o.Get("id").Str] = o
	}
	return m
}

// filtered is the query part: what the page, the panel and the clock narrow it to.
func filtered(q gjson.Result, from, to time.Time) members {
	filter := []any{}
	if text := q.Get("query").Str; text != "" {
		filter = append(filter, kueryQuery(text))
	}
	if !from.IsZero() {
		filter = append(filter, members{"range": members{"@timestamp": members{"gte": from.Format(time.RFC3339), "lt": to.Format(time.RFC3339), "format": "strict_date_optional_time"}}})
	}
	return members{"bool": members{"filter": filter}}
}

func kueryQuery(text string) members { return members{"kql": members{"query": text}} }

// lensRequest is what Lens asks for. The width of buckets of time, which Lens chooses by the time that is looked at, is given.
func lensRequest(attributes gjson.Result, objects map[string]gjson.Result, every time.Duration, from, to time.Time) (request, error) {
	r := request{filters: map[string]bool{}}
	var layer gjson.Result
	attributes.Get("state.datasourceStates.formBased.layers").ForEach(func(id, l gjson.Result) bool {
		layer = l
		view := attributes.Get(`references.#(name="indexpattern-datasource-layer-` + id.Str + `").id`).Str
		r.index = objects["index-pattern "+view].Get("attributes.title").Str
		return true
	})
	figures := members{}
	for _, id := range layer.Get("columnOrder").Array() {
		c := layer.Get("columns." + id.Str)
		if c.Get("isBucketed").Bool() {
			r.buckets = append(r.buckets, id.Str)
			continue
		}
		agg, err := figureAgg(c)
		if err != nil {
			return r, err
		}
		r.figures = append(r.figures, id.Str)
		r.filters[id.Str] = c.Get("filter").Exists()
		if agg != nil {
			figures[id.Str] = agg
		}
	}
	aggs := figures
	for i := len(r.buckets) - 1; i >= 0; i-- {
		agg, err := bucketAgg(layer, layer.Get("columns."+r.buckets[i]), every)
		if err != nil {
			return r, err
		}
		agg["aggs"] = aggs
		aggs = members{r.buckets[i]: agg}
		for name, f := range figures { // the outer buckets are ordered by them
			aggs[name] = f
		}
	}
	r.body = members{"size": 0, "track_total_hits": true, "query": filtered(attributes.Get("state.query"), from, to), "aggs": aggs}
	return r, nil
}

// figureAgg is nil for the count, which every bucket has.
func figureAgg(c gjson.Result) (members, error) {
	field := c.Get("sourceField").Str
	var agg members
	switch op := c.Get("operationType").Str; op {
	case "count":
	case "unique_count":
		agg = members{"cardinality": members{"field": field}}
	case "sum", "min", "max":
		agg = members{op: members{"field": field}}
	default:
		return nil, fmt.Errorf("operation %s", op)
	}
	if f := c.Get("filter"); f.Exists() {
		inner := members{}
		if agg != nil {
			inner["value"] = agg
		}
		agg = members{"filter": kueryQuery(f.Get("query").Str), "aggs": inner}
	}
	return agg, nil
}

func bucketAgg(layer, c gjson.Result, every time.Duration) (members, error) {
	field, params := c.Get("sourceField").Str, c.Get("params")
	switch op := c.Get("operationType").Str; op {
	case "date_histogram":
		return members{op: members{"field": field, "fixed_interval": fmt.Sprintf("%dms", every.Milliseconds()), "min_doc_count": 1}}, nil
	case "terms":
		by := params.Get("orderBy.columnId").Str
		first := layer.Get("columns." + by)
		if first.Get("filter").Exists() {
			return nil, fmt.Errorf("%s: ordered by a figure with a filter", field)
		}
		if first.Get("operationType").Str == "count" {
			by = "_count"
		}
		terms := members{"field": field, "size": params.Get("size").Int(), "order": members{by: params.Get("orderDirection").Str}}
		if params.Get("accuracyMode").Bool() {
			terms["shard_size"] = max(1000, params.Get("size").Int()*3/2+10)
		}
		return members{op: terms}, nil
	default:
		return nil, fmt.Errorf("operation %s", op)
	}
}

// tilesRequest is what a layer of a map asks for that shows tiles.
func tilesRequest(layer gjson.Result, index string, zoom int, from, to time.Time) request {
	r := request{index: index, buckets: []string{"grid"}, filters: map[string]bool{}}
	aggs := members{}
	for i, m := range layer.Get("sourceDescriptor.metrics").Array() {
		name := "figure-" + strconv.Itoa(i)
		r.figures = append(r.figures, name)
		if kind := m.Get("type").Str; kind != "count" {
			aggs[name] = members{kind: members{"field": m.Get("field").Str}}
		}
	}
	r.body = members{"size": 0, "query": filtered(layer.Get("query"), from, to), "aggs": members{
		"grid": members{"geotile_grid": members{"field": layer.Get("sourceDescriptor.geoField").Str, "precision": zoom, "size": 10000}, "aggs": aggs}}}
	return r
}

func (r request) json() string {
	b, err := json.Marshal(r.body)
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return string(b)
}

// rows are the buckets of an answer in words: keys, then figures.
func (r request) rows(answer gjson.Result) [][]string {
	root := answer.Get("aggregations")
	if len(r.buckets) == 0 {
		return [][]string{r.figuresOf(root, answer.Get("hits.total.value"))}
	}
	return r.below(root, r.buckets, nil)
}

func (r request) below(at gjson.Result, buckets, keys []string) (rows [][]string) {
	for _, b := range at.Get(buckets[0] + ".buckets").Array() {
		key := b.Get("key").Str
		if b.Get("key").Type == gjson.Number {
			key = figureText(b.Get("key").Num)
		}
		now := append(keys[:len(keys):len(keys)], key)
		if len(buckets) > 1 {
			rows = append(rows, r.below(b, buckets[1:], now)...)
		} else {
			rows = append(rows, append(now, r.figuresOf(b, b.Get("doc_count"))...))
		}
	}
	return rows
}

func (r request) figuresOf(at, count gjson.Result) (list []string) {
	for _, id := range r.figures {
		f := at.Get(id)
		value := f.Get("value")
		switch {
		case !f.Exists():
			value = count
		case r.filters[id] && f.Get("value").Exists():
			value = f.Get("value.value")
		case r.filters[id]:
			value = f.Get("doc_count")
		}
		if value.Type == gjson.Null {
			list = append(list, "none")
		} else {
			list = append(list, figureText(value.Num))
		}
	}
	return list
}

// stored are the rows of the embedded store, in the same words. Elasticsearch has dates in milliseconds; the store's figures are exact to 128 nanoseconds, so
// that a date may round to two of them: then what Elasticsearch says counts.
func stored(a query.Aggregate, rows []query.Row, got [][]string) (list [][]string) {
	for i, row := range rows {
		var words []string
		for _, k := range row.Keys {
			switch k.Kind {
			case event.Str:
				words = append(words, k.Str)
			case event.Date:
				words = append(words, figureText(float64(k.Int/1e6)))
			case event.Num:
				words = append(words, figureText(k.Num))
			default:
				words = append(words, figureText(float64(k.Int)))
			}
		}
		for j, f := range row.Figures {
			word := figureText(f.F)
			if kind := a.Figures[j].Kind; (kind == query.Min || kind == query.Max) && a.Figures[j].Field.Type() == event.DateTime {
				word = figureText(float64((int64(f.F) - 256) / 1e6))
				if next := figureText(float64((int64(f.F) + 256) / 1e6)); i < len(got) && len(words) < len(got[i]) && got[i][len(words)] == next {
					word = next
				}
			}
			if !f.Valid {
				word = "none"
			}
			words = append(words, word)
		}
		list = append(list, words)
	}
	return list
}

func figureText(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
