package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryGoal is what the Go runtime may take while little is alive. Above it the garbage collector runs more often; it costs a
	// few percent of CPU and keeps the resident size below 64 MiB.
	memoryGoal = 40 << 20
	// memoryBeside is what there is beside the heap: stacks and what the runtime itself needs.
	memoryBeside = 8 << 20
)

// keepSmall holds memory at memoryGoal until ctx ends. Where more is alive (rule state, large batches) the limit follows it, so that
// the collector never runs without end. GOGC and GOMEMLIMIT of the environment overrule it.
func keepSmall(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(memoryGoal)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		limit := int64(memoryGoal)
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			metrics.Read(sample)
			if next := memoryLimit(sample[0].Value.Uint64()); next != limit {
				limit = next
				debug.SetMemoryLimit(limit)
			}
		}
	}()
}

// memoryLimit is the limit for a heap of which live bytes are in use: at least half as much again is left to the collector.
func memoryLimit(live uint64) int64 { return max(memoryGoal, int64(live+live/2)+memoryBeside) }
