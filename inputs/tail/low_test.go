package tail

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThousandsOfFilesFewDescriptors runs this test binary again under a limit of 40 descriptors.
func TestThousandsOfFilesFewDescriptors(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TAIL_TEST_LOW_DESCRIPTORS="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// lowDescriptorChild is the second process: 2,000 files, each written to three times, none lost or read twice.
func lowDescriptorChild(dir string) int {
	const files = 2000
	lim := unix.Rlimit{Cur: 40, Max: 40}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		fmt.Println(err)
		return 1
	}
	tl, err := New(Config{Paths: []string{filepath.Join(dir, "*.log")}}, Options{OnError: func(p string, err error) { fmt.Println(p, err) }})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	got := map[string]int{}
	for round := range 3 {
		for i := range files {
			name := filepath.Join(dir, fmt.Sprintf("%04d.log", i))
			f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				fmt.Println(err)
				return 1
			}
			fmt.Fprintf(f, "file %d round %d\n", i, round)
			f.Close()
		}
		tl.mu.Lock()
		err := tl.pass(context.Background(), func(_ context.Context, c *Chunk) error {
			for _, l := range c.Lines {
				got[c.Text[l.Start:l.End]]++
			}
			return nil
		})
		tl.mu.Unlock()
		if err != nil || tl.opened > tl.cfg.MaxOpen || tl.cfg.MaxOpen != 20 {
			fmt.Println("round", round, err, "open", tl.opened, "of", tl.cfg.MaxOpen)
			return 1
		}
	}
	for line, n := range got {
		if n != 1 {
			fmt.Println(line, n)
			return 1
		}
	}
	if len(got) != 3*files {
		fmt.Println("lines", len(got))
		return 1
	}
	return 0
}
