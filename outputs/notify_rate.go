package outputs

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// rate is so many in so long.
type rate struct {
	n   int
	per time.Duration
}

// readRate reads "60/m", "10/h" and the like. "0" is no bound.
func readRate(body *conf.Body, name string, def rate) rate {
	s := body.String(name, "")
	if !body.Has(name) {
		return def
	}
	r, ok := parseRate(s)
	if !ok {
		body.Errorf(name, `wants a number and a unit, such as "60/m" or "10/h", or "0" for no bound`)
		return def
	}
	return r
}

func parseRate(s string) (rate, bool) {
	if s == "0" {
		return rate{}, true
	}
	number, unit, ok := strings.Cut(strings.ReplaceAll(s, " ", ""), "/")
	n, err := strconv.Atoi(number)
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	return rate{n, per}, ok && err == nil && n > 0 && n <= 1_000_000 && per > 0
}

// limiter lets so many through in so long, a burst of a third of it at once. It is used by one goroutine.
type limiter struct {
	rate
	tokens float64
	last   time.Time
	now    func() time.Time
}

func newLimiter(r rate, now func() time.Time) *limiter {
	l := &limiter{rate: r, now: now, last: now()}
	l.tokens = l.burst()
	return l
}

func (l *limiter) burst() float64 { return max(1, float64(l.n)/3) }

// take takes one token; where there is none it says how long until there is.
func (l *limiter) take() time.Duration {
	if l.n == 0 {
		return 0
	}
	now, each := l.now(), float64(l.per)/float64(l.n)
	l.tokens = min(l.burst(), l.tokens+max(0, float64(now.Sub(l.last)))/each)
	l.last = now
	if l.tokens < 1 {
		return time.Duration((1-l.tokens)*each) + time.Millisecond
	}
	l.tokens--
	return 0
}

// wait takes one token when there is one.
func (l *limiter) wait(ctx context.Context) error {
	for {
		d := l.take()
		if d == 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
