package engine

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := keyTable{stride: 1}
		want := map[hash]uint64{}
		var order [keyLevels][]hash
		forget := func(h hash) {
			for l := range order {
				order[l] = slices.DeleteFunc(order[l], func(o hash) bool { return o == h })
			}
		}
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			h := hash{rapid.Uint64Range(0, 3).Draw(t, "hi") << 57, rapid.Uint64Range(1, 60).Draw(t, "lo") << rapid.SampledFrom([]int{0, 20, 26}).Draw(t, "shift")}
			n := table.find(h)
			if word, ok := want[h]; ok != (n >= 0) || ok && table.first(n)[0] != word {
				t.Fatalf("find %v: %d", h, n)
			}
			level := rapid.IntRange(0, keyLevels-1).Draw(t, "level")
			switch {
			case n < 0:
				n = table.insert(h)
				want[h] = uint64(len(want))<<32 | h.lo
				table.first(n)[0] = want[h]
			case level == 0:
				table.remove(n)
				delete(want, h)
				forget(h)
				continue
			}
			table.touch(n, uint8(level))
			forget(h)
			order[level] = append(order[level], h)
		}
		var got [keyLevels][]hash
		for l := range table.lists {
			for at := table.lists[l].cold; at != 0; at = table.state(int(at - 1)).hotter {
				got[l] = append(got[l], table.state(int(at-1)).hash)
			}
			if len(got[l]) == 0 && len(order[l]) == 0 {
				got[l], order[l] = nil, nil
			}
		}
		if table.count != len(want) || !reflect.DeepEqual(got, order) {
			t.Fatalf("%d keys %v, want %d %v", table.count, got, len(want), order)
		}
	})
}
