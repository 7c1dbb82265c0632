// Package demogeo writes tiny GeoIP databases over the networks that RFC 5737 and RFC 3849 keep for documentation, with
// invented places and network names: for `gatebook demo` and for tests. It holds no data of any real database.
//
//	WriteCity, WriteASN -> *.mmdb -> enrich.GeoIP
package demogeo

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Place is one network of the demo.
type Place struct {
	Network              string
	City, Region, RegISO string
	Country, ISO         string
	Continent, ContISO   string
	Lat, Lon             float64
	Accuracy             uint16 // km
	Timezone             string
	ASN                  uint32 // of those kept for documentation (RFC 5398)
	Organization         string
}

// Places lists the networks.
var Places = []Place{
	{"192.0.2.0/25", "Berlin", "Land Berlin", "BE", "Germany", "DE", "Europe", "EU", 52.52, 13.405, 20, "Europe/Berlin", 64496, "Example Office Network"},
	{"192.0.2.128/25", "Lisbon", "Lisbon", "11", "Portugal", "PT", "Europe", "EU", 38.72, -9.14, 20, "Europe/Lisbon", 64497, "Example Home Access"},
	{"198.51.100.0/26", "Toronto", "Ontario", "ON", "Canada", "CA", "North America", "NA", 43.65, -79.38, 50, "America/Toronto", 64498, "Maple Example Telecom"},
	{"198.51.100.64/26", "Nairobi", "Nairobi County", "30", "Kenya", "KE", "Africa", "AF", -1.29, 36.82, 50, "Africa/Nairobi", 64499, "Savanna Example Mobile"},
	{"198.51.100.128/25", "Osaka", "Osaka", "27", "Japan", "JP", "Asia", "AS", 34.69, 135.5, 10, "Asia/Tokyo", 64500, "Sakura Example Cloud"},
	{"203.0.113.0/25", "Reykjavik", "Capital Region", "1", "Iceland", "IS", "Europe", "EU", 64.15, -21.94, 100, "Atlantic/Reykjavik", 64501, "Geysir Example Hosting"},
	{"203.0.113.128/26", "Sao Paulo", "Sao Paulo", "SP", "Brazil", "BR", "South America", "SA", -23.55, -46.63, 100, "America/Sao_Paulo", 64502, "Bulk Example Servers"},
	{"203.0.113.192/26", "", "", "", "Singapore", "SG", "Asia", "AS", 1.35, 103.82, 200, "Asia/Singapore", 64503, "Harbour Example Transit"},
	{"2001:db8::/33", "Berlin", "Land Berlin", "BE", "Germany", "DE", "Europe", "EU", 52.52, 13.405, 20, "Europe/Berlin", 64496, "Example Office Network"},
	{"2001:db8:8000::/33", "Wellington", "Wellington", "WGN", "New Zealand", "NZ", "Oceania", "OC", -41.29, 174.78, 50, "Pacific/Auckland", 64504, "Kiwi Example Fibre"},
}

// Write writes gatebook-demo-city.mmdb and gatebook-demo-asn.mmdb into dir and returns their paths.
func Write(dir string) (city, asn string, err error) {
	city, asn = filepath.Join(dir, "gatebook-demo-city.mmdb"), filepath.Join(dir, "gatebook-demo-asn.mmdb")
	if err := WriteCity(city, Places); err != nil {
		return "", "", err
	}
	return city, asn, WriteASN(asn, Places)
}

// WriteCity writes a City database, in place of an old one at once.
func WriteCity(path string, places []Place) error {
	return write(path, "GeoLite2-City", places, func(p *Place) mmdbtype.Map {
		name := func(s string) mmdbtype.Map { return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(s)}} }
		country, continent := name(p.Country), name(p.Continent)
		country["iso_code"], continent["code"] = mmdbtype.String(p.ISO), mmdbtype.String(p.ContISO)
		m := mmdbtype.Map{"country": country, "continent": continent, "location": mmdbtype.Map{
			"latitude": mmdbtype.Float64(p.Lat), "longitude": mmdbtype.Float64(p.Lon),
			"accuracy_radius": mmdbtype.Uint16(p.Accuracy), "time_zone": mmdbtype.String(p.Timezone),
		}}
		if p.City != "" {
			m["city"] = name(p.City)
		}
		if p.Region != "" {
			region := name(p.Region)
			region["iso_code"] = mmdbtype.String(p.RegISO)
			m["subdivisions"] = mmdbtype.Slice{region}
		}
		return m
	})
}

// WriteASN writes an ASN database, in place of an old one at once.
func WriteASN(path string, places []Place) error {
	return write(path, "GeoLite2-ASN", places, func(p *Place) mmdbtype.Map {
		return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(p.ASN),
			"autonomous_system_organization": mmdbtype.String(p.Organization)}
	})
}

func write(path, kind string, places []Place, record func(*Place) mmdbtype.Map) error {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true,
		BuildEpoch: 1767225600, Languages: []string{"en"}, // a fixed day, so that the same places give the same bytes
		Description: map[string]string{"en": "Gatebook demo: documentation networks, invented"}})
	if err != nil {
		return fmt.Errorf("make demo database: %w", err)
	}
	for i := range places {
		_, network, err := net.ParseCIDR(places[i].Network)
		if err != nil {
			return fmt.Errorf("make demo database: %w", err)
		}
		if err := tree.Insert(network, record(&places[i])); err != nil {
			return fmt.Errorf("make demo database: insert %s: %w", network, err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".mmdb-*")
	if err != nil {
		return fmt.Errorf("write demo database: %w", err)
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	w := bufio.NewWriter(f)
	_, err = tree.WriteTo(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write demo database: %w", err)
	}
	return nil
}
