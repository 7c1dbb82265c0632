package testkit

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the processor time that f takes. What else the machine does at the time does not count, so that a limit on it holds
// where wall time would not: on a loaded machine, in the middle of other tests. f does its work on the goroutine it is called on.
func CPU(t testing.TB, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
			t.Fatalf("read the thread's clock: %v", err)
		}
		return time.Duration(ts.Nano())
	}
	begin := now()
	f()
	return now() - begin
}
