package engine

import (
	"runtime"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

// filledHistory has n records of first_seen, of 1000 keys.
func filledHistory(n int) (*history, *program) {
	h, p := newHistory(nil, newIDs()), historyProgram(1)
	for i := range n {
		h.feed(p, 0, historyKey(i%1000), historyHash(i), historyStart+event.Time(i), 1)
	}
	return h, p
}

func BenchmarkHistorySeenFeed(b *testing.B) {
	for name, n := range map[string]int{"10k": 10_000, "1M": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			h, p := filledHistory(n)
			keys, hashes := make([]key, 1000), make([]hash, n)
			for i := range keys {
				keys[i] = historyKey(i)
			}
			for i := range hashes {
				hashes[i] = historyHash(i)
			}
			now := historyStart + days
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				k, x := keys[i%1000], hashes[(i*7919)%n/1000*1000+i%1000]
				now++
				if yes, known := h.seen(p, 0, k, x, now-90*days, now); !yes || !known {
					b.Fatal("not seen")
				}
				h.feed(p, 0, k, x, now, 1)
			}
		})
	}
}

func BenchmarkHistoryRarity(b *testing.B) {
	h, p := newHistory(nil, newIDs()), historyProgram(1)
	now := historyStart
	for range 20 {
		now += days
		h.feed(p, 1, historyKey(0), historyHash(0), now, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		now++
		h.rarity(p, 1, historyKey(0), historyHash(0), now)
		h.feed(p, 1, historyKey(0), historyHash(0), now, 1)
	}
}

func BenchmarkHistoryBaseline(b *testing.B) {
	h, p := newHistory(nil, newIDs()), historyProgram(1)
	now := historyStart
	for range 28 * 24 {
		now += event.Time(time.Hour)
		h.feed(p, 3, historyKey(0), hash{}, now, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		now++
		h.baseline(p, 3, historyKey(0), now)
		h.feed(p, 3, historyKey(0), hash{}, now, 1)
	}
}

func BenchmarkHistoryLearn(b *testing.B) {
	h, p := newHistory(nil, newIDs()), historyProgram(1)
	now := historyStart
	b.ReportAllocs()
	for b.Loop() {
		now++
		h.learned(p, historyKey(0), now)
		h.learn(p, historyKey(0), now, 1)
	}
}

// BenchmarkHistoryBytes tells what a million records of first_seen take, by our own count and by the heap's.
func BenchmarkHistoryBytes(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		h, _ := filledHistory(1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "heapbytes/record")
		b.ReportMetric(float64(h.bytes())/1e6, "countedbytes/record")
		runtime.KeepAlive(h)
	}
}

// BenchmarkHistoryCommit gathers 10,000 changed records out of a million.
func BenchmarkHistoryCommit(b *testing.B) {
	h, p := newHistory(NewMemoryDisk(), newIDs()), historyProgram(1)
	for i := range 1_000_000 {
		h.feed(p, 0, historyKey(i%1000), historyHash(i), historyStart+event.Time(i), 1)
	}
	h.dirty()
	h.committed()
	now := historyStart + days
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range 10_000 {
			now++
			h.feed(p, 0, historyKey(i%1000), historyHash(i), now, 1)
		}
		b.StartTimer()
		if n := len(h.dirty()); n != 10_000 {
			b.Fatal(n)
		}
		h.committed()
	}
}

// TestHistoryTakesNoAllocation: what is asked of records in memory.
func TestHistoryTakesNoAllocation(t *testing.T) {
	h, p := newHistory(NewMemoryDisk(), newIDs()), historyProgram(1)
	k, x, now := historyKey(0), historyHash(0), historyStart
	each := func() {
		now++
		h.seen(p, 0, k, x, now-90*days, now)
		h.rarity(p, 1, k, x, now)
		h.baseline(p, 3, k, now)
		h.learned(p, k, now)
		for n := range 4 {
			h.feed(p, n, k, x, now, 1)
		}
		h.learn(p, k, now, 1)
		h.prev(p, k)
	}
	each()
	now += 15 * days
	each()
	if n := testing.AllocsPerRun(100, each); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
