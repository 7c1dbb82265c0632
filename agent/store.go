package agent

import (
	"context"
	"time"

	"github.com/gatebook/gatebook/outputs"
)

// pruneEvery is how often the retention of the embedded store is looked after.
const pruneEvery = time.Hour

// prune deletes from embedded stores what is past its retention, until ctx ends.
func (g *generation) prune(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, o := range g.outputs {
			s := outputs.StoreOf(o.Output)
			if s == nil {
				continue
			}
			if _, err := s.Prune(ctx); err != nil && ctx.Err() == nil {
				g.agent.log.Error("events past their retention could not be deleted; tried again in an hour", "output", o.label, "error", err)
			}
		}
	}
}
