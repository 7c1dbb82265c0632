package engine

import (
	"math"
	"math/bits"
)

// exactSum adds numbers as whole millionths in 128 bits: what was added and taken back leaves nothing behind, so that a sum depends on what is in the
// window alone, not on the way there. Whole numbers and amounts with up to six decimals are exact; numbers beyond 2^62 count as 2^62.
type exactSum struct {
	hi int64
	lo uint64
}

const (
	sumUnit  = 1e6
	sumLimit = 1 << 62
)

func millionths(f float64) exactSum {
	whole, rest := math.Modf(min(max(math.Abs(f), 0), sumLimit))
	hi, lo := bits.Mul64(uint64(whole), sumUnit)
	lo, carry := bits.Add64(lo, uint64(math.Round(rest*sumUnit)), 0)
	s := exactSum{int64(hi + carry), lo}
	if f < 0 {
		return s.negative()
	}
	return s
}

func (s exactSum) negative() exactSum {
	lo, carry := bits.Add64(^s.lo, 1, 0)
	return exactSum{int64(^uint64(s.hi) + carry), lo}
}

func (s *exactSum) add(o exactSum) {
	lo, carry := bits.Add64(s.lo, o.lo, 0)
	s.hi, s.lo = s.hi+o.hi+int64(carry), lo
}

func (s exactSum) float() float64 {
	if s.hi < 0 {
		return -s.negative().float()
	}
	switch {
	case s.hi != 0:
		return (float64(s.hi)*(1<<64) + float64(s.lo)) / sumUnit
	case s.lo < 1<<53:
		return float64(s.lo) / sumUnit
	}
	return float64(s.lo/sumUnit) + float64(s.lo%sumUnit)/sumUnit
}
