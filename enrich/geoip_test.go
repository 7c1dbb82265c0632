package enrich

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/enrich/demogeo"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

func demo(t testing.TB) GeoIPOptions {
	t.Helper()
	city, asn, err := demogeo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return GeoIPOptions{City: city, ASN: asn}
}

func openGeoIP(t testing.TB, o GeoIPOptions) *GeoIP {
	t.Helper()
	g, err := NewGeoIP(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func locate(g *GeoIP, ip string) event.Event {
	var e event.Event
	e.Source.IP = ip
	g.Enrich(&e)
	return e
}

func TestGeoIPFillsAllOfThePlace(t *testing.T) {
	g := openGeoIP(t, demo(t))
	for range 2 { // asked, then remembered
		e := locate(g, "203.0.113.7")
		want := event.Geo{CityName: "Reykjavik", ContinentCode: "EU", ContinentName: "Europe", CountryISO: "IS", CountryName: "Iceland",
			RegionISO: "IS-1", RegionName: "Capital Region", Timezone: "Atlantic/Reykjavik",
			Location: event.GeoPoint{Lat: 64.15, Lon: -21.94, Valid: true}}
		if diff := cmp.Diff(want, e.Source.Geo); diff != "" {
			t.Error(diff)
		}
		if e.Source.AS != (event.AS{Number: event.LongOf(64501), Organization: "Geysir Example Hosting"}) || e.Accuracy != event.LongOf(100) {
			t.Errorf("got %+v, accuracy %v", e.Source.AS, e.Accuracy)
		}
	}
	f := func(ip, country string) {
		t.Helper()
		if got := locate(g, ip).Source.Geo.CountryISO; got != country {
			t.Errorf("%s: got %q, want %q", ip, got, country)
		}
	}
	f("::ffff:198.51.100.70", "KE")
	f("2001:db8::1", "DE")
	f("2001:db8:ffff::1", "NZ")
	f("203.0.113.200", "SG")
	f("10.0.0.1", "")
	f("127.0.0.1", "")
	f("::1", "")
	f("fe80::1%eth0", "")
	f("not an address", "")
	f("", "")
}

func TestGeoIPLeavesWhatTheLineSaid(t *testing.T) {
	g := openGeoIP(t, demo(t))
	var e event.Event
	e.Source.IP, e.Source.Geo.CountryName, e.Source.AS.Organization = "203.0.113.7", "Norway", "Own"
	g.Enrich(&e)
	if e.Source.Geo != (event.Geo{CountryName: "Norway"}) || e.Source.AS != (event.AS{Organization: "Own"}) || e.Accuracy.Valid {
		t.Errorf("got %+v", e.Source)
	}
}

func TestGeoIPErrorsNameTheFile(t *testing.T) {
	o := demo(t)
	f := func(o GeoIPOptions, want string) {
		t.Helper()
		_, err := NewGeoIP(o)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want ... %s", err, want)
		}
	}
	f(GeoIPOptions{City: "/none.mmdb"}, "open geoip city database /none.mmdb: no such file or directory")
	f(GeoIPOptions{City: o.ASN}, `its type is "GeoLite2-ASN", which holds no city`)
	f(GeoIPOptions{ASN: o.City}, `its type is "GeoLite2-City", which holds no asn`)
	f(GeoIPOptions{City: t.TempDir()}, "not a regular file")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(GeoIPOptions{ASN: empty}, "the file is empty")
}

func TestGeoIPReload(t *testing.T) {
	o := demo(t)
	g := openGeoIP(t, o)
	reload := func(want bool, wantErr string) {
		t.Helper()
		changed, err := g.Reload()
		if changed != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("got %v %v, want %v %q", changed, err, want, wantErr)
		}
	}
	country := func(want string) {
		t.Helper()
		if got := locate(g, "203.0.113.7").Source.Geo.CountryName; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	country("Iceland")
	reload(false, "")
	places := append([]demogeo.Place(nil), demogeo.Places...)
	places[5].Country = "Elsewhere"
	if err := demogeo.WriteCity(o.City, places); err != nil {
		t.Fatal(err)
	}
	reload(true, "")
	country("Elsewhere")
	replace(t, o.City, []byte("no database"))
	reload(false, "the old one stays")
	reload(false, "") // told once
	country("Elsewhere")
	if err := os.Remove(o.City); err != nil {
		t.Fatal(err)
	}
	reload(false, "no such file")
	reload(false, "")
	country("Elsewhere")
	if err := demogeo.WriteCity(o.City, demogeo.Places); err != nil {
		t.Fatal(err)
	}
	reload(true, "")
	country("Iceland")
}

func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// Whoever copies over the file in place shortens it under the mapping.
func TestGeoIPSurvivesATruncatedFile(t *testing.T) {
	o := demo(t)
	g := openGeoIP(t, o)
	if err := os.Truncate(o.City, 0); err != nil {
		t.Fatal(err)
	}
	if got := locate(g, "203.0.113.7"); got.Source.Geo.CountryISO != "" || got.Source.AS.Number.N != 64501 {
		t.Errorf("got %+v", got.Source)
	}
}

func TestGeoIPReadersWhileReplaced(t *testing.T) {
	o := demo(t)
	o.CacheSize = 64
	g := openGeoIP(t, o)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if c := locate(g, fmt.Sprintf("203.0.113.%d", (i+w)%120)).Source.Geo.CountryISO; c != "IS" {
					t.Errorf("got %q", c)
					return
				}
			}
		})
	}
	for range 20 {
		if err := demogeo.WriteCity(o.City, demogeo.Places); err != nil {
			t.Error(err)
		}
		if changed, err := g.Reload(); !changed || err != nil {
			t.Errorf("%v %v", changed, err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestGeoIPRunReloadsAndReports(t *testing.T) {
	o := demo(t)
	var log syncBuffer
	o.Interval, o.Logger = time.Millisecond, slog.New(slog.NewTextHandler(&log, nil))
	g := openGeoIP(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	replace(t, o.ASN, []byte("broken"))
	testkit.Eventually(t, time.Minute, func() bool { return strings.Contains(log.String(), "geoip database not usable") })
	if err := demogeo.WriteASN(o.ASN, demogeo.Places); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, func() bool { return strings.Contains(log.String(), "geoip database replaced") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "not usable"); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The corpus says which network holds which record.
func TestGeoIPAgainstTheCorpus(t *testing.T) {
	for _, kind := range []string{"City", "Country", "ASN"} {
		t.Run(kind, func(t *testing.T) {
			db := testkit.Shared(t, "corpora/mmdb/test-data/GeoLite2-"+kind+"-Test.mmdb")
			var o GeoIPOptions
			*map[string]*string{"City": &o.City, "Country": &o.Country, "ASN": &o.ASN}[kind] = db
			g := openGeoIP(t, o)
			text, err := os.ReadFile(testkit.Shared(t, "corpora/mmdb/source-data/GeoLite2-"+kind+"-Test.json"))
			if err != nil {
				t.Fatal(err)
			}
			var records []map[string]sourceRecord
			if err := json.Unmarshal(text, &records); err != nil {
				t.Fatal(err)
			}
			var networks []netip.Prefix
			for _, r := range records {
				for n := range r {
					networks = append(networks, netip.MustParsePrefix(n).Masked())
				}
			}
			checked := 0
			for _, r := range records {
				for n, want := range r {
					p := netip.MustParsePrefix(n).Masked()
					if inside(networks, p) {
						continue
					}
					checked++
					e := locate(g, p.Addr().String())
					want.check(t, n, &e)
				}
			}
			if checked < 100 {
				t.Errorf("only %d networks checked", checked)
			}
		})
	}
}

// inside tells whether a narrower network begins at the same address.
func inside(networks []netip.Prefix, p netip.Prefix) bool {
	for _, n := range networks {
		if n.Bits() > p.Bits() && n.Addr() == p.Addr() {
			return true
		}
	}
	return false
}

type sourceRecord struct {
	City    struct{ Names map[string]string }
	Country struct {
		ISO   string `json:"iso_code"`
		Names map[string]string
	}
	Location struct {
		Accuracy  int64 `json:"accuracy_radius"`
		Latitude  float64
		Longitude float64
		TimeZone  string `json:"time_zone"`
	}
	ASN int64  `json:"autonomous_system_number"`
	Org string `json:"autonomous_system_organization"`
}

func (r *sourceRecord) check(t *testing.T, network string, e *event.Event) {
	t.Helper()
	g := e.Source.Geo
	got := []any{g.CityName, g.CountryISO, g.CountryName, g.Location.Lat, g.Location.Lon, g.Timezone, e.Accuracy.N, e.Source.AS.Number.N, e.Source.AS.Organization}
	want := []any{r.City.Names["en"], r.Country.ISO, r.Country.Names["en"], r.Location.Latitude, r.Location.Longitude, r.Location.TimeZone,
		r.Location.Accuracy, r.ASN, r.Org}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", network, diff)
	}
}

// A malformed database is refused or answers nothing; it never ends the process.
func TestGeoIPBadData(t *testing.T) {
	dir := testkit.Shared(t, "corpora/mmdb")
	paths, err := filepath.Glob(dir + "/bad-data/*/*.mmdb")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	more, _ := filepath.Glob(dir + "/test-data/*.mmdb")
	opened := 0
	for _, path := range append(paths, more...) {
		for i := range dbCount {
			var o GeoIPOptions
			*[dbCount]*string{&o.City, &o.Country, &o.ASN}[i] = path
			g, err := NewGeoIP(o)
			if err != nil {
				continue
			}
			opened++
			for _, ip := range []string{"1.1.1.1", "81.2.69.160", "255.255.255.255", "2001:218::", "ffff::"} {
				locate(g, ip)
			}
		}
	}
	if opened == 0 {
		t.Error("nothing could be opened")
	}
}

func BenchmarkGeoIPHit(b *testing.B) {
	g := openGeoIP(b, demo(b))
	var e event.Event
	e.Source.IP = "203.0.113.7"
	g.Enrich(&e)
	b.ReportAllocs()
	for b.Loop() {
		e.Source.Geo, e.Source.AS, e.Accuracy = event.Geo{}, event.AS{}, event.Long{}
		g.Enrich(&e)
	}
}

func BenchmarkGeoIPMiss(b *testing.B) {
	o := demo(b)
	o.CacheSize = 64
	g := openGeoIP(b, o)
	ips := make([]string, 1<<16)
	for i := range ips {
		ips[i] = fmt.Sprintf("2001:db8::%x", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		locate(g, ips[i&(1<<16-1)])
		i++
	}
}
