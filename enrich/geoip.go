package enrich

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/geoip2-golang"

	"github.com/gatebook/gatebook/event"
)

// GeoIPOptions says where the databases are; each is optional.
type GeoIPOptions struct {
	City, Country, ASN string        // paths of MaxMind databases (GeoLite2, GeoIP2, DB-IP ...)
	CacheSize          int           // addresses whose answer is remembered; 16384 where 0
	Interval           time.Duration // how often Run looks for a new file; one minute where 0
	Logger             *slog.Logger  // told when a database was replaced or a new one is broken; nil: nobody
}

// GeoIP adds where an address is (source.geo.*, gatebook.geo.accuracy_km) and whose network it is in (source.as.*). It adds
// nothing to a place that the line itself gave.
//
//	source.ip -> cache -> (miss) City, else Country; ASN -> answer, kept for the next line
//	                              ^ swapped as a whole, cache included, when a file changed
//
// A database is mapped, not read: only the pages that are asked for take memory. It is unmapped by the garbage collector, which
// is when nobody can be reading it any more. Replace files by renaming, as geoipupdate does; a file overwritten in place gives
// no answers until it is whole again, and no crash.
type GeoIP struct {
	options GeoIPOptions
	now     atomic.Pointer[geoState]
	reload  sync.Mutex // one Reload at a time; holds told
	told    map[string]fileMark
}

// geoState is one set of open databases with the answers they gave.
type geoState struct {
	dbs   [dbCount]database
	cache *cache[*answer]
}

type database struct {
	reader *geoip2.Reader // nil: not configured
	mark   fileMark
}

const (
	dbCity = iota
	dbCountry
	dbASN
	dbCount
)

var dbNames = [dbCount]string{"city", "country", "asn"}

// answer is what the databases say of one address. Its texts are shared by all events.
type answer struct {
	geo      event.Geo
	as       event.AS
	accuracy event.Long
}

// fileMark tells whether a path still names the file that was opened.
type fileMark struct {
	inode, size uint64
	modified    time.Time
}

// NewGeoIP opens the databases. An error names the file.
func NewGeoIP(o GeoIPOptions) (*GeoIP, error) {
	if o.CacheSize <= 0 {
		o.CacheSize = 16384
	}
	if o.Interval <= 0 {
		o.Interval = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &GeoIP{options: o, told: map[string]fileMark{}}
	st := &geoState{cache: newCache[*answer](o.CacheSize)}
	var errs []error
	for i, path := range g.paths() {
		if path == "" {
			continue
		}
		mark, err := markOf(path)
		if err == nil {
			st.dbs[i].mark = mark
			st.dbs[i].reader, err = openDatabase(i, path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("open geoip %s database %s: %w", dbNames[i], path, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	g.now.Store(st)
	return g, nil
}

func (g *GeoIP) paths() [dbCount]string {
	return [dbCount]string{g.options.City, g.options.Country, g.options.ASN}
}

// Enrich implements Enricher.
func (g *GeoIP) Enrich(ev *event.Event) {
	ip := ev.Source.IP
	if ip == "" {
		return
	}
	st := g.now.Load()
	a, ok := st.cache.get(ip, "")
	if !ok {
		a = st.ask(ip)
	}
	if a == nil {
		return
	}
	if ev.Source.Geo == (event.Geo{}) {
		ev.Source.Geo = a.geo
		ev.Accuracy = a.accuracy
	}
	if ev.Source.AS == (event.AS{}) {
		ev.Source.AS = a.as
	}
}

// ask looks an address up and keeps the answer; nil where no database knows it.
func (st *geoState) ask(ip string) *answer {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return nil
	}
	a := st.lookup(net.IP(addr.Unmap().AsSlice()))
	st.cache.put(ip, "", a)
	return a
}

func (st *geoState) lookup(ip net.IP) *answer {
	var a answer
	if db := st.dbs[dbCity].reader; db != nil {
		if c, err := guarded(db, ip, (*geoip2.Reader).City); err == nil {
			a.setCity(c)
		}
	}
	if db := st.dbs[dbCountry].reader; db != nil && a.geo.CountryISO == "" {
		if c, err := guarded(db, ip, (*geoip2.Reader).Country); err == nil {
			a.setCountry(c)
		}
	}
	if db := st.dbs[dbASN].reader; db != nil {
		if n, err := guarded(db, ip, (*geoip2.Reader).ASN); err == nil && n.AutonomousSystemNumber != 0 {
			a.as = event.AS{Number: event.LongOf(int64(n.AutonomousSystemNumber)), Organization: n.AutonomousSystemOrganization}
		}
	}
	if a == (answer{}) {
		return nil
	}
	return &a
}

func (a *answer) setCity(c *geoip2.City) {
	g := &a.geo
	g.CityName, g.PostalCode, g.Timezone = c.City.Names["en"], c.Postal.Code, c.Location.TimeZone
	g.ContinentCode, g.ContinentName = c.Continent.Code, c.Continent.Names["en"]
	g.CountryISO, g.CountryName = c.Country.IsoCode, c.Country.Names["en"]
	if len(c.Subdivisions) > 0 {
		s := &c.Subdivisions[0]
		g.RegionName = s.Names["en"]
		if s.IsoCode != "" && g.CountryISO != "" {
			g.RegionISO = g.CountryISO + "-" + s.IsoCode
		}
	}
	lat, lon := c.Location.Latitude, c.Location.Longitude
	if (lat != 0 || lon != 0) && lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180 {
		g.Location = event.GeoPoint{Lat: lat, Lon: lon, Valid: true}
		if r := c.Location.AccuracyRadius; r > 0 {
			a.accuracy = event.LongOf(int64(r))
		}
	}
}

func (a *answer) setCountry(c *geoip2.Country) {
	a.geo.ContinentCode, a.geo.ContinentName = c.Continent.Code, c.Continent.Names["en"]
	a.geo.CountryISO, a.geo.CountryName = c.Country.IsoCode, c.Country.Names["en"]
}

// errDatabase stands for a panic or a memory fault of the reader on a malformed or shortened file.
var errDatabase = errors.New("malformed database")

// guarded keeps a malformed file from ending the process, and the mapping alive until the answer is read.
func guarded[T any](db *geoip2.Reader, ip net.IP, ask func(*geoip2.Reader, net.IP) (*T, error)) (out *T, err error) {
	old := debug.SetPanicOnFault(true) // a mapped file that was cut short faults
	defer func() {
		debug.SetPanicOnFault(old)
		if recover() != nil {
			out, err = nil, errDatabase
		}
	}()
	out, err = ask(db, ip)
	runtime.KeepAlive(db)
	return out, err
}

// openDatabase opens a file and asks it for a few addresses, which finds wrong types and most damage.
func openDatabase(kind int, path string) (db *geoip2.Reader, err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if recover() != nil {
			db, err = nil, errDatabase
		}
	}()
	if info, err := os.Stat(path); err != nil {
		return nil, cause(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	} else if info.Size() == 0 {
		return nil, errors.New("the file is empty")
	}
	db, err = geoip2.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	for _, s := range [...]string{"1.1.1.1", "8.8.8.8", "81.2.69.160", "89.160.20.112", "175.16.199.0", "198.51.100.1", "2001:218::1", "2a02:e00::1"} {
		if err := probe(db, kind, net.ParseIP(s)); err != nil {
			return nil, err
		}
	}
	return db, nil
}

func probe(db *geoip2.Reader, kind int, ip net.IP) (err error) {
	if db.Metadata().IPVersion == 4 && ip.To4() == nil {
		return nil
	}
	switch kind {
	case dbCity:
		_, err = guarded(db, ip, (*geoip2.Reader).City)
	case dbCountry:
		_, err = guarded(db, ip, (*geoip2.Reader).Country)
	case dbASN:
		_, err = guarded(db, ip, (*geoip2.Reader).ASN)
	}
	var method geoip2.InvalidMethodError
	if errors.As(err, &method) {
		return fmt.Errorf("its type is %q, which holds no %s", db.Metadata().DatabaseType, dbNames[kind])
	}
	return err
}

// cause is the error without the path, which the caller's text has.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Reload opens what has changed since it was opened, and swaps it in. Where a new file cannot be used the old one stays, and the
// error says so; the same broken file is tried once.
func (g *GeoIP) Reload() (changed bool, err error) {
	g.reload.Lock()
	defer g.reload.Unlock()
	old := g.now.Load()
	st := &geoState{dbs: old.dbs}
	var errs []error
	for i, path := range g.paths() {
		if path == "" {
			continue
		}
		mark, err := markOf(path)
		if err == nil && mark == old.dbs[i].mark {
			delete(g.told, path)
			continue
		}
		if told, ok := g.told[path]; ok && told == mark {
			continue
		}
		var db *geoip2.Reader
		if err == nil {
			db, err = openDatabase(i, path)
		}
		if err != nil {
			g.told[path] = mark
			errs = append(errs, fmt.Errorf("reload geoip %s database %s, the old one stays: %w", dbNames[i], path, err))
			continue
		}
		delete(g.told, path)
		st.dbs[i] = database{db, mark}
		changed = true
	}
	if changed {
		st.cache = newCache[*answer](g.options.CacheSize)
		g.now.Store(st)
	}
	return changed, errors.Join(errs...)
}

// Run reloads at every interval until ctx ends.
func (g *GeoIP) Run(ctx context.Context) error {
	tick := time.NewTicker(g.options.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := g.Reload()
		if err != nil {
			g.options.Logger.Warn("geoip database not usable", "error", err)
		}
		if changed {
			g.options.Logger.Info("geoip database replaced")
		}
	}
}
