package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	bin := Build(t, "./internal/testkit/testdata/echo")
	if again := Build(t, "./internal/testkit/testdata/echo"); again != bin {
		t.Errorf("built twice: %s, %s", bin, again)
	}
	p := StartCommand(t, Command{Path: bin, Args: []string{"a", "b"}, Env: []string{"ECHO=c"}})
	if got := p.WaitLog(time.Minute, "is ready"); got != "half a line is ready" {
		t.Errorf("line %q", got)
	}
	if got := p.WaitOutput(time.Minute, "args"); got != "args [a b] c" {
		t.Errorf("output %q", got)
	}
	if code := p.Term(10 * time.Second); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	if got := p.WaitLog(time.Minute, "draining"); got != "draining" { // also after its end
		t.Errorf("line %q", got)
	}
	p.Kill9() // of no effect on a process that has ended
}

func TestProcessKill9(t *testing.T) {
	p := Start(t, Build(t, "./internal/testkit/testdata/echo"))
	p.WaitLog(time.Minute, "is ready")
	p.Kill9()
	if code := p.Wait(time.Minute); code != -1 {
		t.Errorf("exit code %d, want -1", code)
	}
	if strings.Contains(p.Stderr(), "draining") {
		t.Errorf("it noticed its end:\n%s", p.Stderr())
	}
	r := &recorder{TB: t}
	p.t = r
	r.run(func() { p.WaitLog(time.Minute, "draining") })
	if !strings.Contains(r.fatal, "the process ended") {
		t.Errorf("waiting for a line that cannot come: %q", r.fatal)
	}
}

func TestGolden(t *testing.T) {
	Golden(t, "testdata/golden", func(_ *testing.T, in []byte) []byte { return bytes.ToUpper(in) })
}

func TestGoldenRenews(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txtar")
	if err := os.WriteFile(path, []byte("comment\n-- input --\nx\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := *update
	*update = true
	Golden(t, dir, func(_ *testing.T, in []byte) []byte { return []byte("no newline") })
	*update = old
	got, _ := os.ReadFile(path)
	if want := "comment\n-- input --\nx\n-- want --\nno newline\n"; string(got) != want {
		t.Errorf("renewed to %q, want %q", got, want)
	}
	Golden(t, dir, func(_ *testing.T, in []byte) []byte { return []byte("no newline") })
}

func TestShared(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GATEBOOK_SHARED", dir)
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Shared(t, "there"); got != filepath.Join(dir, "there") {
		t.Errorf("path %q", got)
	}
	if _, err := os.Stat(filepath.Join(RepoRoot(t), "go.mod")); err != nil {
		t.Error(err)
	}
	t.Run("absent", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("an absent file does not skip the test")
			}
		}()
		Shared(t, "absent")
	})
}
