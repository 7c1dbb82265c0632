package outputs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/internal/fsx"
)

// fileMessages counts the records of files by message.
func fileMessages(t *testing.T, pattern string) map[string]int {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			if line[len(line)-1] != '\n' {
				t.Errorf("%s ends within a line", p)
			}
			have[message(line)]++
		}
	}
	return have
}

// However often the power goes, and wherever: each record stands in the files once, rotation included.
func TestFileExactlyOnceThroughCrashes(t *testing.T) {
	for seed := range 8 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(seed), 3))
			path := filepath.Join(t.TempDir(), "out.ndjson")
			mem := fsx.NewMem()
			total := 0
			fo := fileOptions{path: path, keep: 1000, maxSize: int64(3000 + rng.IntN(20_000)), fsync: rng.IntN(2) == 0}
			o := Options{Label: "f", CommitEvery: 2 * time.Millisecond, Logger: quiet(), RetryFirst: time.Millisecond,
				Params: Params{Workers: 1, Idempotent: true, BatchBytes: int64(500 + rng.IntN(5000))}}
			for round := range 6 {
				l := openLogFS(t, mem, "/log", fmt.Sprintf("%032d", round))
				for i := range 10 {
					l.add(buffer.Codec(rng.IntN(3)), fmt.Sprintf("%d.%d.", round, i), "x", 1+rng.IntN(20))
				}
				total += l.total
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				r, out := l.reader("f"), newFileOutput(fo, quiet())
				go func() { done <- Run(ctx, r, out, o) }()
				timer := time.NewTimer(time.Duration(rng.IntN(15)) * time.Millisecond)
				<-timer.C
				mem = mem.Cut(rng)
				cancel()
				<-done
				out.Close()
				l.Close()
			}
			l := openLogFS(t, mem, "/log", epochB)
			defer l.Close()
			out := newFileOutput(fo, quiet())
			once(t, l.reader("f"), out, o)
			out.Close()
			wantAll(t, fileMessages(t, path+"*"), total)
		})
	}
}

func TestFileRotation(t *testing.T) {
	f := func(fo fileOptions, want int) {
		t.Helper()
		dir := t.TempDir()
		fo.path = filepath.Join(dir, "out.ndjson")
		l := openLog(t, t.TempDir(), epochA)
		defer l.Close()
		out := newFileOutput(fo, quiet())
		clock := time.Unix(1_700_000_000, 0)
		out.now = func() time.Time { clock = clock.Add(time.Second); return clock }
		r := l.reader("f")
		for i := range 6 {
			l.add(buffer.Raw, fmt.Sprint(i, "."), "x", 20)
			// A run of its own for each, so that there is a commit and a rotation between.
			once(t, r, out, Options{Label: "f", Params: Params{Workers: 1, Idempotent: true}})
		}
		out.Close()
		files, err := filepath.Glob(fo.path + "*")
		if err != nil || len(files) != want {
			t.Errorf("%v: %d files, want %d (%v)", fo, len(files), want, files)
		}
		info, err := os.Stat(files[len(files)-1])
		if err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	f(fileOptions{keep: 3}, 1)
	f(fileOptions{keep: 100, maxSize: 1}, 7)
	f(fileOptions{keep: 3, maxSize: 1}, 4)
	f(fileOptions{keep: 3, maxSize: 1, timestamp: true}, 4)
	f(fileOptions{keep: 100, maxAge: time.Millisecond}, 7)
}

// What somebody else does with the file is respected.
func TestFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.ndjson")
	if err := os.WriteFile(path, []byte("{\"message\":\"before us\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	r := l.reader("f")
	o := Options{Label: "f", Params: Params{Workers: 1, Idempotent: true}}
	run := func(prefix string) {
		l.add(buffer.Raw, prefix, "x", 2)
		out := newFileOutput(fileOptions{path: path, keep: 3}, quiet())
		once(t, r, out, o)
		out.Close()
	}
	run("a")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{\"message\":\"another file\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("b") // not cut: it is another one
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("{\"message\":\"left by a crash\"}\n{\"mess")
	f.Close()
	run("c") // cut to what was committed
	have := fileMessages(t, path+"*")
	for _, m := range []string{"before us", "a0", "a1", "another file", "b0", "b1", "c0", "c1"} {
		if have[m] != 1 {
			t.Errorf("%q is there %d times", m, have[m])
		}
	}
	if len(have) != 8 {
		t.Errorf("%v", have)
	}
}

func TestFileTrouble(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		out := newFileOutput(fileOptions{path: path, keep: 1}, quiet())
		err := out.Start(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	dir := t.TempDir()
	f(filepath.Join(dir, "none", "x"), "no such file or directory")
	f(dir, "not a regular file")
}

func TestStdout(t *testing.T) {
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.add(buffer.Gzip, "a", "x", 3)
	l.add(buffer.Raw, "b", "x", 2)
	var b bytes.Buffer
	once(t, l.reader("o"), newStdout(&b), Options{Label: "o", Params: Params{Workers: 1, Idempotent: true}})
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 5 || message([]byte(lines[0])) != "a0" || message([]byte(lines[4])) != "b1" || strings.Contains(b.String(), `"create"`) {
		t.Errorf("got:\n%s", b.String())
	}
}
