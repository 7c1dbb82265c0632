package testkit

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestMissingJava runs a test of this package on a path without Java: skipped with a hint, failed in CI.
func TestMissingJava(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := func(code int, want string, env ...string) {
		t.Helper()
		p := StartCommand(t, Command{
			Path: self, Args: []string{"-test.run=^TestProxyUnknownOutcome$", "-test.v"},
			Env: append([]string{"PATH=/nowhere", "JAVA_HOME=", "GATEBOOK_TESTKIT_JVMS=/nowhere", "CI=", "GATEBOOK_REQUIRE_ELASTICSEARCH="}, env...),
		})
		got := p.Wait(30 * time.Second)
		if got != code || !strings.Contains(p.Stdout(), want) || !strings.Contains(p.Stdout(), "apt-get install openjdk") {
			t.Errorf("%v: exit code %d, want %d and %q in\n%s", env, got, code, want, p.Stdout())
		}
	}
	f(0, "--- SKIP")
	f(1, "--- FAIL", "CI=true")
	f(1, "--- FAIL", "GATEBOOK_REQUIRE_ELASTICSEARCH=1")
}
