package outputs

import (
	"testing"
	"time"
)

// A lease lasts some seconds whatever the rate: what a crash leaves in doubt is in proportion to what was sent.
func TestLeaseFollowsTheRate(t *testing.T) {
	for _, c := range []struct {
		rate float64 // items per second
		want uint64  // at most so many in doubt
	}{{10, leaseLeast}, {1000, 2 * leaseLeast}, {20_000, 80_000}, {1_000_000, 1 << 17}} {
		ahead, lasted, leases := uint64(0), time.Duration(0), 0
		for spent := time.Duration(0); spent < time.Minute; spent += lasted {
			ahead = leaseAhead(ahead, lasted, 1<<17)
			lasted = time.Duration(float64(ahead) / c.rate * float64(time.Second))
			leases++
		}
		if ahead > c.want || ahead < leaseLeast {
			t.Errorf("%v items/s: %d ahead, want at most %d", c.rate, ahead, c.want)
		}
		if c.rate < 60_000 && leases > 40 {
			t.Errorf("%v items/s: %d leases in a minute", c.rate, leases)
		}
	}
	// From a burst back to a trickle.
	ahead := uint64(1 << 17)
	for range 6 {
		ahead = leaseAhead(ahead, time.Hour, 1<<17)
	}
	if ahead != leaseLeast {
		t.Errorf("%d ahead after hours of silence", ahead)
	}
	if got := leaseAhead(0, 0, 100); got != 100 {
		t.Errorf("%d ahead, 100 are the most", got)
	}
}
