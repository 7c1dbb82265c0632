package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model writes numbered lines through rotations of every kind and knows what must have been read.
type model struct {
	*rig
	t       *rapid.T
	written []string
	half    string // written without its newline yet
	gen     int
	width   int
}

// shortest is what each line has after its number: with it the first KiB of a file has less than maxLineEnds lines. A copy that ends
// behind so many is not known again after a restart in the window of a copytruncate (docs/tail.md).
const shortest = 8

func (m *model) write() {
	for range rapid.IntRange(1, 30).Draw(m.t, "lines") {
		line := fmt.Sprintf("n%06d %s", len(m.written), strings.Repeat("x", shortest+rapid.IntRange(0, m.width).Draw(m.t, "pad")))
		m.written = append(m.written, line)
		m.append("app.log", line[len(m.half):], "\n")
		m.half = ""
	}
}

func (m *model) writeHalf() {
	if m.half == "" {
		m.half = fmt.Sprintf("n%06d ", len(m.written))
		m.append("app.log", m.half)
	}
}

// settle ends a half line and lets the tailer see everything: for the steps that destroy what was not read.
func (m *model) settle() {
	if m.half != "" {
		m.write()
	}
	m.pass()
}

// seen makes sure that the tailer knows the file: one that is rotated before it was ever seen, to a name that no glob
// covers, cannot be found by anyone.
func (m *model) seen() {
	m.write()
	m.pass()
	if rapid.Bool().Draw(m.t, "more") {
		m.write()
	}
}

func (m *model) endHalf() {
	if m.half != "" {
		m.written = append(m.written, m.half)
		m.append("app.log", "\n")
		m.half = ""
	}
}

func (m *model) shift() {
	for i := 12; i >= 1; i-- {
		for _, ext := range []string{"", ".gz"} {
			old := m.path(fmt.Sprintf("app.log.%d%s", i, ext))
			if _, err := os.Lstat(old); err == nil {
				m.check(os.Rename(old, m.path(fmt.Sprintf("app.log.%d%s", i+1, ext))))
			}
		}
	}
}

func (m *model) rotate() {
	m.endHalf()
	m.seen()
	m.shift()
	m.rename("app.log", "app.log.1")
	kind := rapid.SampledFrom([]string{"", "", "gzip", "late"}).Draw(m.t, "rotation")
	switch kind {
	case "gzip":
		m.gzip("app.log.1")
	case "late":
		line := fmt.Sprintf("n%06d late", len(m.written))
		m.written = append(m.written, line)
		m.append("app.log.1", line, "\n")
	}
	m.append("app.log", "")
}

func (m *model) copyTruncate() {
	m.endHalf()
	m.seen()
	m.shift()
	m.copy("app.log", "app.log.1")
	if rapid.Bool().Draw(m.t, "pass between") {
		m.pass()
	}
	// The writer goes on after the copy and is read in time. An unfinished group would not be.
	if m.cfg.Multiline == nil && rapid.Bool().Draw(m.t, "window") {
		m.write()
		m.read()
		if rapid.Bool().Draw(m.t, "restart in window") {
			m.restart()
		}
	}
	m.truncate("app.log")
	if rapid.Bool().Draw(m.t, "compressed") {
		m.gzip("app.log.1")
	}
}

func (m *model) deleteCreate() {
	m.settle()
	m.after(2 * time.Hour) // an unfinished group is let go
	m.remove("app.log")
	m.append("app.log", "")
}

func (m *model) switchLink() {
	m.endHalf()
	m.gen++
	name := fmt.Sprintf("target%d", m.gen)
	if in, err := os.Lstat(m.path("app.log")); err == nil && in.Mode().IsRegular() {
		m.shift()
		m.rename("app.log", "app.log.1")
	}
	m.append(name, "")
	m.check(os.Symlink(name, m.path("tmp")))
	m.rename("tmp", "app.log")
}

// TestNothingLostNothingDoubled: after any course of writes, rotations and restarts at any chunk boundary the lines
// read are the lines written.
func TestNothingLostNothingDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "tail")
		if err != nil {
			t.Fatalf("%v", err)
		}
		defer os.RemoveAll(dir)
		cfg := Config{
			MaxOpen: rapid.SampledFrom([]int{2, 100}).Draw(t, "open"), MaxLine: 300,
			ChunkSize: rapid.SampledFrom([]int{700, 128 << 10}).Draw(t, "chunk"),
			Paths:     []string{filepath.Join(dir, rapid.SampledFrom([]string{"app.log", "app.log*"}).Draw(t, "glob"))},
		}
		if rapid.Bool().Draw(t, "multiline") {
			cfg.Multiline = &Multiline{Pattern: regexp.MustCompile(`^n\d*[1-4,6-9] `), Match: After, Timeout: time.Hour}
		}
		m := &model{rig: newRig(t, dir, cfg), t: t, width: rapid.SampledFrom([]int{5, 100, 250}).Draw(t, "width")}
		defer m.stop()
		m.append("app.log", "")
		var steps []string
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			step := rapid.SampledFrom([]string{"write", "write", "write", "half", "pass", "pass", "rotate", "copytruncate", "delete", "link", "restart", "crash", "close", "wait"}).Draw(t, "step")
			steps = append(steps, step)
			linked := false
			if in, err := os.Lstat(m.path("app.log")); err == nil {
				linked = in.Mode()&os.ModeSymlink != 0
			}
			switch step {
			case "write":
				m.write()
			case "half":
				m.writeHalf()
			case "pass":
				m.pass()
			case "rotate":
				if !linked {
					m.rotate()
				}
			case "copytruncate":
				if !linked {
					m.copyTruncate()
				}
			case "delete":
				if !linked {
					m.deleteCreate()
				}
			case "link":
				// A target that was never seen cannot be found later, whatever one does.
				m.settle()
				m.switchLink()
			case "restart":
				m.restart()
			case "crash":
				m.failAfter = rapid.IntRange(0, 3).Draw(t, "after")
				m.pass()
				m.failAfter = -1
				m.restart()
			case "close":
				m.tl.closeAll()
			case "wait":
				m.clock = m.clock.Add(time.Minute)
			}
		}
		m.endHalf()
		m.pass()
		m.pass()
		m.once()
		var got []string
		for _, l := range m.got {
			got = append(got, strings.Split(l, "\n")...)
		}
		slices.Sort(got)
		slices.Sort(m.written)
		if !slices.Equal(got, m.written) {
			for i, l := range m.got {
				t.Logf("%s %d %s", filepath.Base(m.paths[i]), m.lines[i].Offset, abbreviate([]string{l})[0])
			}
			t.Fatalf("steps %q errors %q log %s\n%s", steps, m.errs, m.logged.String(), difference(got, m.written))
		}
	})
}

func difference(got, want []string) string {
	count := map[string]int{}
	for _, l := range got {
		count[l]++
	}
	for _, l := range want {
		count[l]--
	}
	var out []string
	for l, n := range count {
		if n != 0 {
			out = append(out, fmt.Sprintf("%+d %s", n, abbreviate([]string{l})[0]))
		}
	}
	slices.Sort(out)
	return strings.Join(out[:min(len(out), 20)], "\n")
}
