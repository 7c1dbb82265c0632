// Package replaytest gives tests the shipped rules, and the records of the sample logs that they are run over.
package replaytest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/configs"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/enrich/demogeo"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
)

// Library reads the shipped rules with their tests.
func Library(t testing.TB) *rules.Set {
	t.Helper()
	set := rules.Load(rules.LoadOptions{Tests: true}, agent.LibrarySources()...)
	if len(set.Problems) > 0 {
		t.Fatalf("load the library:\n%v", set.Problems)
	}
	return set
}

// Samples are the records of the sample logs, in the order of time.
func Samples(t testing.TB) (events []*event.Event) {
	t.Helper()
	city, asn, err := demogeo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	geo, err := enrich.NewGeoIP(enrich.GeoIPOptions{City: city, ASN: asn})
	if err != nil {
		t.Fatal(err)
	}
	enrichers := []enrich.Enricher{geo, enrich.NewUserAgent(), enrich.NewUserKey(nil)}
	set, err := parsers.Build(nil, parsers.Options{Location: time.UTC, Year: 2026})
	if err != nil {
		t.Fatal(err)
	}
	read := event.TimeOf(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	entries, err := configs.Samples.ReadDir("samples")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		b, err := configs.Samples.ReadFile("samples/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		p, err := set.Get("auto")
		if err != nil {
			t.Fatal(err)
		}
		src := &inputs.Source{Input: "test", Parser: "auto", Host: "gate", Key: entry.Name(), Path: filepath.Join("/", entry.Name())}
		for lines := pipeline.NewLineReader(bytes.NewReader(b)); ; {
			line, err := lines.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n := &pipeline.Normalizer{Enrichers: enrichers} // one for each line: the events are kept
			n.Line(p, src, inputs.Line{Text: strings.Clone(line.Text), Offset: line.Offset}, read)
			events = append(events, &n.Event)
		}
	}
	slices.SortStableFunc(events, func(a, b *event.Event) int { return cmp.Compare(a.Time, b.Time) })
	return events
}
