package main

import "testing"

// A small heap is kept small; one that is large for good reasons is not collected without end.
func TestMemoryLimitFollowsWhatIsAlive(t *testing.T) {
	f := func(live uint64, want int64) {
		t.Helper()
		if got := memoryLimit(live); got != want {
			t.Errorf("%d bytes alive: limit %d, want %d", live, got, want)
		}
	}
	f(0, 40<<20)
	f(16<<20, 40<<20)
	f(32<<20, 56<<20)
	f(1<<30, 3<<29+8<<20)
}
