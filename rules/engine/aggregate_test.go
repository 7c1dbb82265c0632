package engine

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDistinctValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d distinctValues
		var bytes int64
		times := map[uint64]int{}
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			h := rapid.Uint64Range(1, 40).Draw(t, "value") << rapid.SampledFrom([]int{0, 3, 60}).Draw(t, "shift")
			if rapid.IntRange(0, 2).Draw(t, "remove") > 0 {
				bytes += d.add(h)
				times[h]++
			} else {
				bytes += d.remove(h)
				if times[h]--; times[h] <= 0 {
					delete(times, h)
				}
			}
			if d.count != len(times) || bytes != int64(len(d.slots))*16 {
				t.Fatalf("%d values and %d bytes, want %d and %d", d.count, bytes, len(times), len(d.slots)*16)
			}
		}
	})
}

func TestExactSum(t *testing.T) {
	for _, c := range []struct {
		want    float64
		numbers []float64
	}{
		{1, []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}},
		{-100.1, []float64{-50.05, -50.05}},
		{5, []float64{1e18, 5, -1e18}},
		{1 << 62, []float64{math.Inf(1)}},
		{3 * (1 << 62), []float64{1 << 62, 1 << 62, 1 << 62}},
		{12345678901234, []float64{12345678901234}},
	} {
		var s exactSum
		for _, f := range c.numbers {
			s.add(millionths(f))
		}
		if got := s.float(); got != c.want {
			t.Errorf("sum of %v is %v, want %v", c.numbers, got, c.want)
		}
		for _, f := range c.numbers {
			s.add(millionths(f).negative())
		}
		if s != (exactSum{}) {
			t.Errorf("%v leaves %v", c.numbers, s)
		}
	}
}
