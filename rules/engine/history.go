package engine

import "github.com/gatebook/gatebook/event"

// history is the long memory of the rules: what was seen when, how often, and the preceding event of each key. All times are event times.
type history struct{}

// seen tells whether the tuple was seen for the key within [since, before); known is false where what would tell was given up.
func (h *history) seen(p *program, agg int, k key, tuple hash, since, before event.Time) (yes, known bool) {
	return false, false
}

// feed notes the tuple for first_seen and rarity, and the event for baseline, of weight occurrences.
func (h *history) feed(p *program, agg int, k key, tuple hash, t event.Time, weight int64) {}

// rarity is the share of the key's occurrences in [t-horizon, t) that have the tuple; null where there are none or not all is known.
func (h *history) rarity(p *program, agg int, k key, tuple hash, t event.Time) value { return value{} }

// baseline is the quantile of the counts of the same slot over the horizon, zeros included, t's own slot excluded; null before 14 days.
func (h *history) baseline(p *program, agg int, k key, t event.Time) value { return value{} }

// learned tells whether rule.Learn is over for the key (or the rule) at t; learn counts an event for it, after learned was asked.
func (h *history) learned(p *program, k key, t event.Time) bool        { return false }
func (h *history) learn(p *program, k key, t event.Time, weight int64) {}

// prev is the preceding event of the key, nil where none is known. It is not to be changed. setPrev keeps m where it is later than what is kept.
func (h *history) prev(p *program, k key) *memo       { return nil }
func (h *history) setPrev(p *program, k key, m *memo) {}
