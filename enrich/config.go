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

// FromConfig builds the chain from the config's blocks geoip and redact, each nil where it is not there. Errors in the blocks are
// noted in them, also that a database cannot be opened; the chain is not to be used then.
func FromConfig(geoip, redact *conf.Body, log *slog.Logger) *Chain {
	c := &Chain{}
	if geoip != nil {
		if c.geoIP = geoIPConfig(geoip, log); c.geoIP != nil {
			c.list = append(c.list, c.geoIP)
		}
	}
	c.list = append(c.list, NewUserAgent(), NewRedactor(redact), NewUserKey())
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
