package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent/replay"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/engine"
	"github.com/gatebook/gatebook/rules/library"
)

// BenchmarkRun replays an authentication log, again and again with later dates, through the parsers and the whole library.
func BenchmarkRun(b *testing.B) {
	sample, err := os.ReadFile("../../configs/samples/auth.log")
	if err != nil {
		b.Fatal(err)
	}
	log := repeated(b, sample, 100)
	path := filepath.Join(b.TempDir(), "auth.log")
	if err := os.WriteFile(path, log, 0o600); err != nil {
		b.Fatal(err)
	}
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: f.Name, Text: f.Text, Library: true})
	}
	set := rules.Load(rules.LoadOptions{}, sources...)
	known, err := parsers.Build(nil, parsers.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		alerts := 0
		e, err := engine.New(engine.Options{Rules: set, Alert: func(*engine.Alert) { alerts++ }})
		if err != nil {
			b.Fatal(err)
		}
		r, err := replay.Run(context.Background(), replay.Options{Parsers: known, Enrichers: []enrich.Enricher{enrich.NewUserAgent(), enrich.NewUserKey(nil)}, Engine: e},
			[]string{path}, nil)
		if err != nil || alerts == 0 || r.Failed > 0 {
			b.Fatalf("%v, %d alerts, %d lines that nobody knows", err, alerts, r.Failed)
		}
		b.ReportMetric(float64(r.Lines)/r.Took.Seconds(), "lines/s")
	}
}

// repeated is a log of syslog lines so many times, each time a fortnight later, its times with years.
func repeated(tb testing.TB, sample []byte, times int) []byte {
	tb.Helper()
	const stamp = len(time.Stamp)
	var out bytes.Buffer
	for i := range times {
		for line := range bytes.Lines(sample) {
			at, err := time.Parse(time.Stamp, string(line[:stamp]))
			if err != nil {
				tb.Fatal(err)
			}
			fmt.Fprintf(&out, "%s%s", at.AddDate(2000, 0, 14*i).Format("2006-01-02T15:04:05+00:00"), line[stamp:])
		}
	}
	return out.Bytes()
}
