package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkWindowCount is count() >= n over so many keys, each of which has few events in its window.
func BenchmarkWindowCount(b *testing.B) {
	for _, keys := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) {
			h := newWindowHost()
			p := windowProgram(false, 15*time.Minute, atLeast(0, 1e9), aggCount)
			p.progress = func(s *scene) float64 { return s.aggregate(0).number / 1e9 }
			m := newWindowMachine(p, h)
			it := &item{bits: 1, weight: 1, keys: []key{{ok: true}}, values: make([]value, 2)}
			text := make([]byte, 15)
			each := event.Time(15*time.Minute) / event.Time(3*max(keys, 300)) // three in the window of each key, or 900
			n := 0
			step := func() {
				it.time, it.id = windowTestStart+event.Time(n)*each, eventID(1<<sequenceBits|n)
				numberedKey(&it.keys[0], text, uint64(n%keys))
				m.take(it)
				m.expire(it.time - event.Time(time.Minute))
				n++
			}
			for range 6 * max(keys, 300) {
				step()
			}
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			perSecond(b)
			b.ReportMetric(float64(m.bytes())/float64(m.keys()), "B/key")
		})
	}
}

// BenchmarkWindowDistinct has 1,800 different values in the window of one key.
func BenchmarkWindowDistinct(b *testing.B) {
	for _, late := range []int{0, 10, 500} {
		b.Run(fmt.Sprintf("%d behind", late), func(b *testing.B) {
			h := newWindowHost()
			p := windowProgram(false, 30*time.Minute, atLeast(0, 1e9), aggDistinct)
			m := newWindowMachine(p, h)
			it := &item{bits: 1, weight: 1, keys: []key{windowKey("bob")}, values: make([]value, 2)}
			names := make([]string, 3600)
			for i := range names {
				names[i] = fmt.Sprintf("user%d@example.com", i)
			}
			n := 0
			step := func() {
				at := n
				if n%2 == 1 { // two sources, the other one is behind
					at -= 2 * late
				}
				it.time, it.id = windowTestStart+event.Time(at)*1e9, eventID(1<<sequenceBits|n)
				it.values[0] = value{kind: text, text: names[n%len(names)]}
				m.take(it)
				m.expire(it.time - event.Time(time.Minute))
				n++
			}
			for range 8000 {
				step()
			}
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			perSecond(b)
		})
	}
}

// BenchmarkWindowFlood has a new key with each event, and the budget of 64 MiB.
func BenchmarkWindowFlood(b *testing.B) {
	const budget = 64 << 20
	h := newWindowHost()
	p := windowProgram(false, 15*time.Minute, atLeast(0, 5), aggCount)
	p.progress = func(s *scene) float64 { return s.aggregate(0).number / 5 }
	m := newWindowMachine(p, h)
	it, keep := &item{}, func(n int) {
		m.expire(floodMark(n))
		if over := m.bytes() - budget; n%budgetEvery == 0 && over > 0 {
			m.shrink(over + budget/16)
		}
	}
	n := 2_000_000
	flood(m, it, 0, n, 1<<40, 90_000, keep)
	b.ReportAllocs()
	for b.Loop() {
		flood(m, it, n, n+1, 1<<40, 90_000, keep)
		n++
	}
	perSecond(b)
}

func floodMark(n int) event.Time {
	return windowTestStart + event.Time(n)*90_000 - event.Time(time.Minute)
}
