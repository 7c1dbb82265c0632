package enrich

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Chain is what every event goes through, in order.
type Chain struct {
	list  []Enricher
	geoIP *GeoIP
}

// Blocks are the blocks of the config that the chain is built from, each nil where it is not there.
type Blocks struct{ GeoIP, Redact, Users *conf.Body }

// FromConfig builds the chain. Errors in the blocks are noted in them, also that a database or the table of aliases cannot be read; the
// chain is not to be used then. Relative paths of the table begin in dir.
func FromConfig(b Blocks, dir string, log *slog.Logger) *Chain {
	c := &Chain{}
	if b.GeoIP != nil {
		if c.geoIP = geoIPConfig(b.GeoIP, log); c.geoIP != nil {
			c.list = append(c.list, c.geoIP)
		}
	}
	var aliases *Aliases
	if b.Users != nil {
		aliases = readAliases(b.Users, dir)
	}
	c.list = append(c.list, NewUserAgent(), NewRedactor(b.Redact), NewUserKey(aliases))
	return c
}

func geoIPConfig(b *conf.Body, log *slog.Logger) *GeoIP {
	defer b.Close()
	o := GeoIPOptions{City: b.String("city", ""), Country: b.String("country", ""), ASN: b.String("asn", ""), Logger: log,
		CacheSize: b.Int("cache", 16384, 64, 1<<22), Interval: b.Duration("reload", time.Minute, time.Second, 0)}
	paths := [dbCount]string{o.City, o.Country, o.ASN}
	if paths == [dbCount]string{} {
		b.Errorf("", "names no database; write city = \"...\", country = \"...\" or asn = \"...\"")
		return nil
	}
	ok := true
	for i, path := range paths {
		if path == "" {
			continue
		}
		if _, err := openDatabase(i, path); err != nil {
			b.Errorf(dbNames[i], "cannot be used: %v", err)
			ok = false
		}
	}
	if !ok {
		return nil
	}
	g, err := NewGeoIP(o)
	if err != nil { // changed since the look above
		b.Errorf("", "%v", err)
		return nil
	}
	return g
}

// Enrichers lists the chain in order: where the address is, user agent, redaction, user key.
func (c *Chain) Enrichers() []Enricher { return c.list }

// Enrich implements Enricher: all of the chain.
func (c *Chain) Enrich(ev *event.Event) {
	for _, e := range c.list {
		e.Enrich(ev)
	}
}

// Reload opens databases that have changed.
func (c *Chain) Reload() error {
	if c.geoIP == nil {
		return nil
	}
	if _, err := c.geoIP.Reload(); err != nil {
		return fmt.Errorf("reload enrichers: %w", err)
	}
	return nil
}

// Run looks for changed databases until ctx ends.
func (c *Chain) Run(ctx context.Context) error {
	if c.geoIP == nil {
		<-ctx.Done()
		return nil
	}
	return c.geoIP.Run(ctx)
}
