package kibana

import (
	"github.com/gatebook/gatebook/dashboard"
)

type searchAttributes struct {
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Columns     []string     `json:"columns"`
	Sort        [][2]string  `json:"sort"`
	Grid        struct{}     `json:"grid"`
	HideChart   bool         `json:"hideChart"`
	Meta        searchSource `json:"kibanaSavedObjectMeta"`
}

// searchSource is what every object that asks has.
type searchSource struct {
	JSON inner `json:"searchSourceJSON"`
}

type sourceOfSearch struct {
	Query        kuery      `json:"query"`
	Filter       []struct{} `json:"filter"`
	IndexRefName string     `json:"indexRefName"`
	HighlightAll bool       `json:"highlightAll"`
	Version      bool       `json:"version"`
}

// sourceOfPage narrows nothing.
type sourceOfPage struct {
	Query  kuery      `json:"query"`
	Filter []struct{} `json:"filter"`
}

const searchIndex = "kibanaSavedObjectMeta.searchSourceJSON.index"

func searchID(id string) string { return Prefix + "search-" + id }

func searchObject(s dashboard.Search) (object, error) {
	where, err := kql(s.Where)
	if err != nil {
		return object{}, err
	}
	direction := "desc"
	if s.Ascending {
		direction = "asc"
	}
	a := searchAttributes{Title: "Gatebook: " + s.Title, Description: s.About, Sort: [][2]string{{s.Sort.Name(), direction}},
		Meta: searchSource{inner{sourceOfSearch{Query: where, Filter: []struct{}{}, IndexRefName: searchIndex, HighlightAll: true, Version: true}}}}
	for _, f := range s.Columns {
		a.Columns = append(a.Columns, f.Name())
	}
	return newObject(typeSearch, searchID(s.ID), a, []reference{{typeView, viewOf(s.View), searchIndex}}), nil
}
