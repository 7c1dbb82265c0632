package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oschwald/geoip2-golang"
	"net"
)

func TestGeoKnowsEveryAddress(t *testing.T) {
	b := &bench{work: t.TempDir()}
	if err := os.Mkdir(filepath.Join(b.work, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	city, asn, err := b.geo()
	if err != nil {
		t.Fatal(err)
	}
	db, err := geoip2.Open(city)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, ip := range []string{"45.1.2.3", "218.255.1.1", "203.1.2.3", "198.77.1.1"} {
		if c, err := db.City(net.ParseIP(ip)); err != nil || c.Country.IsoCode == "" {
			t.Errorf("%s: country %q, error %v", ip, c.Country.IsoCode, err)
		}
	}
	if _, err := os.Stat(asn); err != nil {
		t.Error(err)
	}
}

func TestEveryJobHasAConfig(t *testing.T) {
	b := &bench{work: t.TempDir()}
	os.Mkdir(filepath.Join(b.work, "data"), 0o755)
	for _, j := range jobList {
		conf, err := b.gatebookConfig(task{job: j, data: "/d/auth.log", state: "/s", sink: "127.0.0.1:1", tcp: "127.0.0.1:2"})
		if err != nil || conf == "" || strings.ContainsAny(conf, "\x00") {
			t.Errorf("job %s: config %q, error %v", j.name, conf, err)
		}
		for _, left := range []string{"{data}", "{state}", "{sink}", "{tcp}", "{gzip}", "{city}", "{asn}"} {
			if strings.Contains(conf, left) {
				t.Errorf("job %s: %s is left in its config", j.name, left)
			}
		}
	}
	if _, err := pick([]string{"a", "X"}); err != nil {
		t.Error(err)
	}
	if _, err := pick([]string{"Q"}); err == nil {
		t.Error("job Q is not refused")
	}
}

func TestCountStored(t *testing.T) {
	dir := t.TempDir()
	if _, err := countStored(context.Background(), dir); err == nil {
		t.Error("a folder without a database is not refused")
	}
	os.WriteFile(filepath.Join(dir, "other"), []byte("x"), 0o644)
	db, err := sql.Open("sqlite", filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE few(a); CREATE TABLE many(a); INSERT INTO few VALUES(1); INSERT INTO many VALUES(1),(2),(3)`); err != nil {
		t.Fatal(err)
	}
	if n, err := countStored(context.Background(), dir); n != 3 || err != nil {
		t.Errorf("%d rows, error %v; want 3", n, err)
	}
}

func TestTableShowsMedianAndRatio(t *testing.T) {
	var all []result
	for _, cpu := range []float64{3, 1, 2} {
		all = append(all, result{Job: "A", Who: "gatebook", PerM: cpu, Docs: 10}, result{Job: "A", Who: "rsyslog", PerM: cpu * 5, Docs: 10})
	}
	all = append(all, result{Job: "A", Who: "syslogng", Trouble: "it ended", Docs: 4})
	var w bytes.Buffer
	if err := table(&w, jobList[:1], all, 10); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(w.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{"A gatebook 2.00 1.00 0 0 0 0 10 - -", "A rsyslog 10.00 5.00 0 0 0 0 10 - -", "A syslogng - - - - - - 4 - - no figures: see above"} {
		if !strings.Contains(strings.Join(rows, "\n"), want) {
			t.Errorf("table\n%s\nlacks %q", w.String(), want)
		}
	}
}
