package enrich

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/internal/testkit"
)

// goldenSecrets are the lines of the parsers' golden cases that hold a secret or what must be taken for one, by a part of them. All
// other lines pass byte for byte: redaction takes nothing that an analyst needs.
var goldenSecrets = []string{`"clientSecret":"s3cr3t-value"`}

func TestGoldenLinesPassUnchanged(t *testing.T) {
	r := NewRedactor(nil)
	cases, err := filepath.Glob("../parsers/testdata/*/*.txtar")
	if err != nil || len(cases) < 50 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	used := make([]bool, len(goldenSecrets))
	lines := 0
	for _, path := range cases {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(testkit.File(txtar.Parse(src), "input")), "\n") {
			lines++
			got := redactText(r, line)
			if got == line {
				continue
			}
			known := false
			for i, part := range goldenSecrets {
				if strings.Contains(line, part) {
					known, used[i] = true, true
				}
			}
			if !known {
				t.Errorf("%s\n     %s\n got %s", path, line, got)
			}
		}
	}
	for i, part := range goldenSecrets {
		if !used[i] {
			t.Errorf("no line with %q is changed any more", part)
		}
	}
	t.Logf("%d lines", lines)
}

// Real logs of SSH servers, proxies and applications hold no secret that was logged on purpose: of their lines hardly one is changed.
func TestRealLogsPassUnchanged(t *testing.T) {
	r := NewRedactor(nil)
	for name, most := range map[string]int{"corpora/loghub/OpenSSH/OpenSSH_2k.log": 0, "corpora/loghub/Linux/Linux_2k.log": 0} {
		f, err := os.Open(testkit.Shared(t, name))
		if err != nil {
			t.Fatal(err)
		}
		changed, lines := 0, 0
		for s := bufio.NewScanner(f); s.Scan(); lines++ {
			if got := redactText(r, s.Text()); got != s.Text() {
				changed++
				t.Logf("%s\n got %s", s.Text(), got)
			}
		}
		f.Close()
		if changed > most || lines < 1000 {
			t.Errorf("%s: %d of %d lines are changed", name, changed, lines)
		}
	}
}
