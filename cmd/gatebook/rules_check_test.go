package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// yields.txt names the fields that the documents of the parsers' cases have.
func TestYieldsIsUpToDate(t *testing.T) {
	cases, err := filepath.Glob("../../parsers/testdata/*/*.txtar")
	if err != nil || len(cases) < 100 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	found := map[string]bool{}
	for _, path := range cases {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ar.Files {
			if f.Name != "want" {
				continue
			}
			for line := range strings.Lines(string(f.Data)) {
				var doc map[string]any
				if json.Unmarshal([]byte(line), &doc) == nil {
					collectFields("", doc, found)
				}
			}
		}
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	testkit.GoldenFile(t, "yields.txt", []byte(strings.Join(names, "\n")+"\n"))
	if !yields("user.name") || !yields("source.geo.country_iso_code") || yields("gatebook.deadletter.reason") || yields("event.ingested") {
		t.Error("yields does not tell fields apart")
	}
}

func collectFields(prefix string, doc map[string]any, found map[string]bool) {
	for key, v := range doc {
		name := prefix + key
		if _, ok := event.FieldByName(name); ok {
			found[name] = true
		} else if group, ok := v.(map[string]any); ok {
			collectFields(name+".", group, found)
		}
	}
}
