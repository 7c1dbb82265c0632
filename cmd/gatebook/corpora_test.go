package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/internal/testkit"
)

// Real logs through the whole agent: each line is exactly one document, each document is valid ECS 8.17, and no line of a program that
// linux_auth covers is a parse failure.
func TestRealLogs(t *testing.T) {
	f := func(name string, lines, failedLines, failedCount int) {
		t.Helper()
		log := testkit.Shared(t, name)
		schema := testkit.ECS(t)
		dir := t.TempDir()
		local := filepath.Join(dir, "auth.log")
		b, err := os.ReadFile(log)
		must(t, err)
		if n := bytes.Count(b, []byte("\n")); !bytes.HasSuffix(b, []byte("\n")) && n+1 != lines || n > lines {
			t.Fatalf("%s has %d lines", name, n)
		}
		must(t, os.WriteFile(local, b, 0o644))
		out := filepath.Join(dir, "out.ndjson")
		config := filepath.Join(dir, "gatebook.hcl")
		must(t, os.WriteFile(config, fmt.Appendf(nil, "data_dir = %q\ninput \"file\" \"auth\" {\n  paths = [%q]\n  parser = \"linux_auth\"\n}\noutput \"file\" \"copy\" {\n  path = %q\n}\n",
			filepath.Join(dir, "data"), local, out), 0o644))
		var messages bytes.Buffer
		if code := run(context.Background(), []string{"run", "--once", "--config", config}, strings.NewReader(""), &messages, &messages); code != 0 {
			t.Fatalf("exit code %d: %s", code, messages.String())
		}
		docs, err := os.Open(out)
		must(t, err)
		defer docs.Close()
		offsets := map[int64]bool{}
		gotLines, gotCount := 0, 0
		scan := bufio.NewScanner(docs)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			for _, problem := range schema.Validate(scan.Bytes(), "log.offset") {
				t.Errorf("%v in %s", problem, scan.Bytes())
			}
			var d struct {
				Tags  []string
				Log   struct{ Offset int64 }
				Event struct {
					Action, Outcome string
				}
				Gatebook struct{ Count int }
			}
			must(t, json.Unmarshal(scan.Bytes(), &d))
			if offsets[d.Log.Offset] {
				t.Errorf("offset %d is there twice", d.Log.Offset)
			}
			offsets[d.Log.Offset] = true
			if slices.Contains(d.Tags, "parse-failure") {
				t.Errorf("parse failure: %s", scan.Bytes())
			}
			if d.Event.Action == "login" && d.Event.Outcome == "failure" {
				gotLines++
				gotCount += max(1, d.Gatebook.Count)
			}
		}
		if len(offsets) != lines {
			t.Errorf("%s: %d documents, want %d", name, len(offsets), lines)
		}
		t.Logf("%s: %d documents, %d failed logins, %d counting repeats", name, len(offsets), gotLines, gotCount)
		if failedLines > 0 && (gotLines != failedLines || gotCount != failedCount) {
			t.Errorf("%s: %d failed logins, %d counted; want %d and %d", name, gotLines, gotCount, failedLines, failedCount)
		}
	}
	f("corpora/loghub/OpenSSH/OpenSSH_2k.log", 2000, 524, 532)
	f("corpora/loghub/Linux/Linux_2k.log", 2000, 0, 0)
}
