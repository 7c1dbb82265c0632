package enrich

import (
	"strings"
	"unicode/utf8"

	"github.com/mileusna/useragent"

	"github.com/gatebook/gatebook/event"
)

// UserAgent fills user_agent.name, version, os and device from user_agent.original. It adds nothing where the line itself
// gave any of them.
type UserAgent struct{ cache *cache[*event.UserAgent] }

const (
	userAgents       = 2048 // remembered
	longestUserAgent = 512  // of which the rest is not looked at: real ones are shorter
)

// NewUserAgent returns the enricher.
func NewUserAgent() *UserAgent { return &UserAgent{newCache[*event.UserAgent](userAgents)} }

// Enrich implements Enricher.
func (u *UserAgent) Enrich(ev *event.Event) {
	ua := &ev.UserAgent
	if ua.Original == "" || ua.Name != "" || ua.OSName != "" || ua.Device != "" || ua.Version != "" || ua.OSVersion != "" {
		return
	}
	text := ua.Original
	if len(text) > longestUserAgent {
		text = text[:longestUserAgent]
	}
	parsed, ok := u.cache.get(text, "")
	if !ok {
		parsed = parseUserAgent(strings.Clone(text))
		u.cache.put(text, "", parsed)
	}
	original := ua.Original
	*ua = *parsed
	ua.Original = original
}

// parseUserAgent survives a panic of the library on odd input.
func parseUserAgent(text string) (out *event.UserAgent) {
	out = &event.UserAgent{}
	defer func() {
		if recover() != nil {
			out = &event.UserAgent{}
		}
	}()
	p := useragent.Parse(text)
	if p.Name == text || !utf8.ValidString(p.Name) { // the library repeats what it does not know
		p.Name, p.Version = "", ""
	}
	*out = event.UserAgent{Name: p.Name, Version: p.Version, OSName: p.OS, OSVersion: p.OSVersion, Device: p.Device}
	return out
}
