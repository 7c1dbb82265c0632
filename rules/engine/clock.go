package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// clock works out how far time has come from what each source has said: the watermark is the least of the sources' latest times, less the lateness. It is
// worked out anew only when the source that holds it back says something.
type clock struct {
	lateness event.Time
	now      func() time.Time
	started  time.Time // of a live engine; until it has settled the watermark stays
	settled  bool
	joined   bool // a source was heard for the first time since the last tick

	sources  map[sourceName]*source
	last     *source // of the event before, which is often the next one's
	slowest  *source
	latest   event.Time // of all sources
	farthest event.Time // of all events, those with the time of their arrival too
	mark     event.Time
}

// sourceName is where events come from in order: a file or a sender, of one agent.
type sourceName struct{ agent, place string }

type source struct {
	name   sourceName
	latest event.Time
	fresh  bool      // has said something since the last tick
	heard  time.Time // by the clock, of ticks
}

const maxSources = 1 << 16

func (c *clock) init(o Options) {
	c.lateness, c.now, c.sources = event.Time(o.Lateness), o.Now, map[sourceName]*source{}
	if c.now != nil {
		c.started = c.now()
	} else {
		c.settled = true
	}
}

// hear notes an event's time, and returns the time that it counts with. What carries the time of its arrival only (a line without one, a header) moves
// nothing, and counts with the latest time of its source: a file that is read long after it was written would be late from there on.
func (c *clock) hear(ev *event.Event, t event.Time) event.Time {
	s := c.source(ev)
	s.fresh = true // asking the clock for each event is dear: the next tick does
	if ev.Created != 0 && ev.Time == ev.Created || slices.Contains(ev.Tags, tagArrivalTime) {
		if s.latest != 0 {
			t = s.latest
		}
	} else if t > s.latest {
		s.latest = t
		c.latest = max(c.latest, t)
	}
	c.farthest = max(c.farthest, t)
	return t
}

// tagArrivalTime marks events whose lines have no time of their own.
const tagArrivalTime = "time-from-arrival"

// source finds where an event is from.
func (c *clock) source(ev *event.Event) *source {
	name := sourceName{place: ev.Log.Path}
	if name.place == "" {
		if name.place = ev.Sender.IP; name.place == "" {
			name.place = ev.Input
		}
	}
	if ev.Relayed == event.True && ev.Agent != nil {
		name.agent = ev.Agent.ID
	}
	if c.last != nil && c.last.name == name {
		return c.last
	}
	s := c.sources[name]
	if s == nil {
		s = c.join(name)
	}
	c.last = s
	return s
}

// join makes a source. Beyond maxSources all new ones are one.
func (c *clock) join(name sourceName) *source {
	if len(c.sources) >= maxSources {
		name = sourceName{place: "*"}
		if s := c.sources[name]; s != nil {
			return s
		}
	}
	s := &source{name: sourceName{strings.Clone(name.agent), strings.Clone(name.place)}}
	c.sources[s.name] = s
	c.slowest, c.joined = nil, true
	return s
}

// watermark is how far time has come; it never goes back.
func (c *clock) watermark() event.Time {
	if !c.settled || c.latest == 0 {
		return c.mark
	}
	if s := c.slowest; s != nil && s != c.last {
		return c.mark
	}
	c.slowest = nil
	for _, s := range c.sources {
		if s.latest != 0 && (c.slowest == nil || s.latest < c.slowest.latest) {
			c.slowest = s
		}
	}
	if c.slowest != nil {
		c.mark = max(c.mark, c.slowest.latest-c.lateness)
	}
	return c.mark
}

// tick lets silent sources move with the clock.
func (c *clock) tick(now time.Time) {
	if !c.settled && now.Sub(c.started) < settling && (c.joined || now.Sub(c.started) < settling/5) {
		c.joined = false
		return
	}
	c.settled = true
	for _, s := range c.sources {
		if s.fresh || s.heard.IsZero() {
			s.fresh, s.heard = false, now
		} else if now.Sub(s.heard) >= silent && s.latest != 0 {
			s.latest = max(s.latest, event.TimeOf(now))
			c.latest = max(c.latest, s.latest)
		}
	}
	c.slowest = nil
	if c.latest == 0 { // no event has a time of its own: arrival is all there is
		c.mark = max(c.mark, event.TimeOf(now)-c.lateness)
	}
}
