package gen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestAuthIsTheSameEveryTime(t *testing.T) {
	var a, b bytes.Buffer
	if err := Auth(&a, 5000, false); err != nil {
		t.Fatal(err)
	}
	Auth(&b, 5000, false)
	if a.String() != b.String() {
		t.Error("two runs differ")
	}
	lines := strings.Split(strings.TrimSuffix(a.String(), "\n"), "\n")
	if len(lines) != 5000 {
		t.Fatalf("%d lines, want 5000", len(lines))
	}
	form := regexp.MustCompile(`^Nov 22 \d\d:\d\d:\d\d [a-z0-9-]+ (sshd\[\d+\]|sudo|CRON\[\d+\]): \S?.+$`)
	for _, l := range lines {
		if !form.MatchString(l) {
			t.Fatalf("line %q", l)
		}
	}
	if failed := strings.Count(a.String(), ": Failed password"); failed < 1600 || failed > 2000 {
		t.Errorf("%d failed logins of 5000, want about 1800", failed)
	}
	if size := a.Len() / 5000; size < 95 || size > 125 {
		t.Errorf("%d bytes a line, want about 109", size)
	}
}

func TestAuthSeq(t *testing.T) {
	var a bytes.Buffer
	Auth(&a, 100, true)
	for i, l := range strings.Split(strings.TrimSuffix(a.String(), "\n"), "\n") {
		if !strings.HasSuffix(l, fmt.Sprintf(" seq=%d", i)) {
			t.Errorf("line %d is %q", i, l)
		}
	}
}

func TestAuditIsJSON(t *testing.T) {
	var a bytes.Buffer
	Audit(&a, 1000)
	n := 0
	for l := range bytes.Lines(a.Bytes()) {
		n++
		var v map[string]any
		if err := json.Unmarshal(l, &v); err != nil || len(v) != 9 {
			t.Fatalf("line %q: %v", l, err)
		}
	}
	if size := a.Len() / 1000; n != 1000 || size < 350 || size > 450 {
		t.Errorf("%d lines of %d bytes, want 1000 of about 397", n, size)
	}
}

func TestSyslog(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		if got := Syslog(line); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	f("Nov 22 10:15:32 web01 sshd[123]: Failed: x", "<86>1 2026-11-22T10:15:32.000000Z web01 sshd 123 - - Failed: x")
	f("Nov  2 10:15:32 web01 sudo:    bob : TTY", "<86>1 2026-11-02T10:15:32.000000Z web01 sudo - - -    bob : TTY")
	f("short", "")
}
