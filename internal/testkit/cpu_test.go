package testkit

import (
	"testing"
	"time"
)

func TestCPU(t *testing.T) {
	x := uint64(1)
	work := func() {
		for i := range uint64(10_000_000) {
			x = x*6364136223846793005 + i
		}
	}
	if d := CPU(t, work); d < time.Millisecond {
		t.Errorf("10 million steps took %v", d)
	}
	wait := time.NewTimer(200 * time.Millisecond)
	if d := CPU(t, func() { <-wait.C }); d > 100*time.Millisecond {
		t.Errorf("waiting took %v", d)
	}
	if x == 0 {
		t.Error("the work was left out")
	}
}
