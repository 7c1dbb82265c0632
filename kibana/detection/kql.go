package detection

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// splitQuery says a condition in Kibana's query language, and in filters what the language cannot say exactly: letter case that does not matter,
// regular expressions, hours of a time zone.
func splitQuery(c condition) (text string, filters []filter, err error) {
	parts, ok := c.(allOf)
	if !ok {
		parts = allOf{c}
	}
	var said []query.Expr
	for _, p := range parts {
		if e, ok := toQuery(p); ok {
			_, err := query.KQL(e, query.KQLOptions{})
			_, asDSL := query.DSL(e) // knows of more that an index cannot tell: the order of names in which letter case does not matter
			if err == nil && asDSL == nil {
				said = append(said, e)
				continue
			}
		}
		dsl, err := toDSL(p)
		if err != nil {
			return "", nil, err
		}
		filters = append(filters, customFilter(conditionText(p), dsl))
	}
	if text, err = query.KQL(query.And{Of: said}, query.KQLOptions{}); err != nil {
		return "", nil, cannotf("%v", err)
	}
	return text, filters, nil
}

// filter is a query of Elasticsearch beside the text of the rule's query, as the filter bar keeps it.
type filter struct {
	Meta  filterMeta      `json:"meta"`
	Query json.RawMessage `json:"query"`
	State struct {
		Store string `json:"store"`
	} `json:"$state"`
}

type filterMeta struct {
	Type     string `json:"type"`
	Alias    string `json:"alias"` // shown in place of the JSON
	Key      string `json:"key"`
	Value    string `json:"value"`
	Disabled bool   `json:"disabled"`
	Negate   bool   `json:"negate"`
}

func customFilter(alias string, dsl []byte) filter {
	f := filter{Meta: filterMeta{Type: "custom", Alias: shortened(alias, 200), Key: "query", Value: string(dsl)}, Query: dsl}
	f.State.Store = "appState"
	return f
}

// toDSL is a condition as a query of Elasticsearch.
func toDSL(c condition) ([]byte, error) {
	if e, ok := toQuery(c); ok {
		dsl, err := query.DSL(e)
		if err != nil {
			return nil, cmp.Or(unsayable(c), err)
		}
		return dsl, nil
	}
	clause := func(kind string, of ...condition) ([]byte, error) {
		list := make([]json.RawMessage, len(of))
		for i, one := range of {
			var err error
			if list[i], err = toDSL(one); err != nil {
				return nil, err
			}
		}
		return marshal(map[string]any{"bool": map[string]any{kind: list}}), nil
	}
	switch c := c.(type) {
	case allOf:
		return clause("filter", c...)
	case anyOf:
		return clause("should", c...) // one has to hold, as nothing else is in the clause
	case notOf:
		return clause("must_not", c.of)
	case inHours:
		week := make([][][2]int, 7)
		for day, spans := range c.Week {
			week[day] = [][2]int{}
			for _, s := range spans {
				week[day] = append(week[day], [2]int{s.From, s.To})
			}
		}
		return script(`int m = t.getHour() * 60 + t.getMinute(); for (s in params.week[t.getDayOfWeek().getValue() % 7]) { if (m >= s[0] && m < s[1]) { return true } } return false`,
			c.Zone, map[string]any{"week": week}), nil
	case atClock:
		value := "t.getHour()"
		if c.term.Name == "weekday" {
			value = "t.getDayOfWeek().getValue() % 7"
		}
		return script("return "+value+" "+c.op.String()+" params.n", c.term.Zone, map[string]any{"n": c.n}), nil
	}
	return nil, cannotf("%s is in no query of Elasticsearch", quoted(conditionText(c)))
}

// script asks the time of the event, in a zone; nothing of a rule is part of the program, and so one compilation serves all rules.
func script(program string, zone *time.Location, params map[string]any) []byte {
	if zone == nil {
		zone = time.UTC
	}
	params["zone"] = zone.String()
	return marshal(map[string]any{"script": map[string]any{"script": map[string]any{"lang": "painless", "params": params,
		"source": "if (doc['@timestamp'].size() == 0) { return false } ZonedDateTime t = doc['@timestamp'].value.withZoneSameInstant(ZoneId.of(params.zone)); " + program}}})
}

// countable are the fields of terms, for what Kibana counts by or looks for new values of: plain fields only.
func countable(terms []rules.Expr) ([]query.Field, bool) {
	var fields []query.Field
	for _, t := range terms {
		f, ok := plainField(t)
		if !ok {
			return nil, false
		}
		fields = append(fields, f)
	}
	return fields, true
}
