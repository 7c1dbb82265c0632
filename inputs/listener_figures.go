package inputs

import (
	"net/http"
	"sync/atomic"
)

// keyCounts are what a key has brought.
type keyCounts struct {
	requests, bytes, taken, repeats, withoutID atomic.Int64
	fate                                       [fates]atomic.Int64 // items refused, by reason
	busy, unavailable, bad                     atomic.Int64        // requests refused as a whole
}

// refused counts a request that was refused as a whole.
func (c *keyCounts) refused(status int) {
	switch status {
	case http.StatusTooManyRequests:
		c.busy.Add(1)
	case http.StatusServiceUnavailable:
		c.unavailable.Add(1)
	default:
		c.bad.Add(1)
	}
}

// items counts the items of a request that was answered.
func (c *keyCounts) items(items []bulkItem) {
	for i := range items {
		switch f := items[i].fate; f {
		case fateTaken:
			c.taken.Add(1)
			if items[i].id == "" {
				c.withoutID.Add(1)
			}
		case fateRepeat:
			c.repeats.Add(1)
		default:
			c.fate[f].Add(1)
		}
	}
}

// figures tells the counts of all keys.
func (l *listener) figures(kind string, unauthorized int64) []Figure {
	out := []Figure{{Name: kind + "_unauthorized_total", Help: "requests without a known key", Value: float64(unauthorized)},
		{Name: kind + "_connections_refused_total", Help: "connections refused because their address had max_connections_per_address open", Value: float64(l.crowded.Load())}}
	for _, k := range l.config.keys {
		add := func(name, help string, n *atomic.Int64, labels ...Label) {
			out = append(out, Figure{Name: kind + name, Help: help, Labels: append([]Label{{"key", k.name}}, labels...), Value: float64(n.Load())})
		}
		c := k.counts
		add("_requests_total", "requests with records", &c.requests)
		add("_bytes_total", "bytes of their bodies, decompressed", &c.bytes)
		add("_items_total", "records taken into the log", &c.taken)
		const refused = "requests refused as a whole, by reason: busy (429), unavailable (503), bad (400 and others)"
		add("_refused_requests_total", refused, &c.busy, Label{"reason", "busy"})
		add("_refused_requests_total", refused, &c.unavailable, Label{"reason", "unavailable"})
		add("_refused_requests_total", refused, &c.bad, Label{"reason", "bad"})
		if kind != "bulk" {
			continue
		}
		add("_repeats_total", "records that were taken before, by their _id", &c.repeats)
		add("_items_without_id_total", "records taken that have no _id: a repeat of them would not be found out", &c.withoutID)
		for f := fateOperation; f < fates; f++ {
			add("_refused_items_total", "records refused, by reason", &c.fate[f], Label{"reason", fateText[f].name})
		}
	}
	return out
}

// Figures tells what came and what became of it.
func (h *bulkInput) Figures() []Figure {
	return append(h.figures("bulk", h.unauthorized.Load()),
		Figure{Name: "bulk_remembered_ids", Help: "ids by which repeats are found out", Value: float64(h.ids.size())})
}

// Figures tells what came and what became of it.
func (h *hookInput) Figures() []Figure { return h.figures("http", h.unauthorized.Load()) }
