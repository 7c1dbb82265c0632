package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The samples end the day before the demo runs, whatever day that is: in RFC 3164 lines and in RFC 3339 columns alike.
func TestShiftDates(t *testing.T) {
	from := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f := func(in, to, want string) {
		t.Helper()
		day, err := time.Parse(time.RFC3339, to)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(shiftDates([]byte(in), from, day)); got != want {
			t.Errorf("to %s: %q, want %q", to, got, want)
		}
	}
	f("Nov 22 10:00:00 a\nNov  9 10:00:00 b", "2026-11-21T14:38:00Z", "Nov 21 10:00:00 a\nNov  8 10:00:00 b")
	f("Nov 22 10:00:00 a", "2027-03-01T23:59:59Z", "Mar  1 10:00:00 a")
	f("2026-11-22T10:00:00Z,u,2026-11-22T11:00:00Z", "2027-01-02T00:00:00Z", "2027-01-02T10:00:00Z,u,2027-01-02T11:00:00Z")
	f("2026-11-22 10:00:00,123 WARN", "2026-12-01T00:00:00Z", "2026-12-01 10:00:00,123 WARN")
	f(`192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET /"`, "2026-12-01T00:00:00Z", `192.0.2.1 - - [01/Dec/2026:10:00:00 +0000] "GET /"`)
	f("[Sun Nov 22 10:00:00.123456 2026] [core:error]", "2026-12-01T00:00:00Z", "[Tue Dec 01 10:00:00.123456 2026] [core:error]")
}

// demo --once is the main job without anything else installed: every line of the samples is one record of the store.
func TestDemoOnce(t *testing.T) {
	var out, messages bytes.Buffer
	dir := t.TempDir()
	if code := run(context.Background(), []string{"demo", "--once", "--dir", dir}, strings.NewReader(""), &out, &messages); code != 0 {
		t.Fatalf("exit code %d: %s", code, messages.String())
	}
	lines := 0
	for _, s := range samples {
		log, err := os.ReadFile(filepath.Join(dir, "logs", s.file))
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(log, []byte("\n"))
	}
	if lines < 4000 {
		t.Errorf("only %d lines of samples", lines)
	}
	for _, want := range []string{fmt.Sprintf("%d records from", lines), "login failure", "203.0.113.66", "query --config",
		"auth.bruteforce_success", "mfa.fatigue", "data.mass_delete"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the summary:\n%s", want, out.String())
		}
	}
	count := func(question string) string {
		t.Helper()
		out.Reset()
		if code := run(context.Background(), []string{"query", "--config", dir + "/gatebook.hcl", "--count", question}, strings.NewReader(""), &out, &messages); code != 0 {
			t.Fatalf("query: %s", messages.String())
		}
		return strings.TrimSpace(out.String())
	}
	for _, tag := range []string{"parse-failure", "value-rejected", "unrecognized-message", "time-from-arrival", "labels-cut", "columns-assumed"} {
		if n := count("tags=" + tag); n != "0" {
			t.Errorf("%s records of the samples have the tag %s", n, tag)
		}
	}
	for _, s := range samples {
		if n := count("gatebook.input=" + s.input + " action!=null user!=null"); n == "0" && s.input != "web" {
			t.Errorf("no record of %s says who did what", s.file)
		}
	}
	out.Reset()
	if code := run(context.Background(), []string{"query", "--config", dir + "/gatebook.hcl", "--output", "json", "user=ops ip=203.0.113.66 outcome=success action=login"}, strings.NewReader(""), &out, &messages); code != 0 {
		t.Fatalf("query: %s", messages.String())
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"city_name":"Reykjavik"`) {
		t.Errorf("the intruder's login: %q", got)
	}
	if code := run(context.Background(), []string{"demo", "--once", "--dir", t.TempDir() + "/.."}, strings.NewReader(""), &out, &messages); code != 1 {
		t.Errorf("a folder that is not the demo's was taken: exit code %d", code)
	}
}
