// Package testkit is what tests and the bench share: a real Elasticsearch, a proxy that misbehaves on purpose, the
// gatebook binary as a process, golden files, the ECS schema, and the way to test data that are not part of the repository.
// Only tests and the bench import it.
//
//	test -> Process(gatebook) -> FaultProxy -> Elasticsearch
//	              \--- what it wrote ---> ECS(t).Validate, Golden
//
// What a machine lacks (Java, Maven, a network to fetch the server by, the shared test data) skips the test and says what to install. With CI=true or
// GATEBOOK_REQUIRE_ELASTICSEARCH=1 a missing Elasticsearch fails it instead.
package testkit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// RepoRoot is the folder that holds go.mod.
func RepoRoot(t testing.TB) string {
	t.Helper()
	root, err := repoRoot()
	if err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	return root
}

var repoRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			out, err := exec.Command("go", "env", "GOMOD").Output()
			return filepath.Dir(strings.TrimSpace(string(out))), err
		}
	}
})

// SharedDir is the folder of test data that are not part of the repository: $GATEBOOK_SHARED, else "shared" beside the checkout.
func SharedDir() (string, bool) {
	dir := os.Getenv("GATEBOOK_SHARED")
	if dir == "" {
		root, err := repoRoot()
		if err != nil {
			return "", false
		}
		dir = filepath.Join(filepath.Dir(root), "shared")
	}
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}

// Shared returns the path of a file or folder of the shared test data ("corpora/loghub/OpenSSH/OpenSSH_2k.log"); the test
// is skipped where it is absent.
func Shared(t testing.TB, name string) string {
	t.Helper()
	dir, ok := SharedDir()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(p); !ok || err != nil {
		t.Skipf("shared test data not present: %s (set GATEBOOK_SHARED to the folder that holds it)", name)
	}
	return p
}

// Eventually asks cond every 10 ms until it returns true or a nil error, and fails the test after timeout. It is for real
// processes, files and servers; goroutines of our own are tested with testing/synctest.
func Eventually[C func() bool | func() error](t testing.TB, timeout time.Duration, cond C) {
	t.Helper()
	ask, ok := any(cond).(func() error)
	if !ok {
		f := any(cond).(func() bool)
		ask = func() error {
			if f() {
				return nil
			}
			return errNotYet
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(timeout); ; <-tick.C {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %s: %v", timeout, err)
		}
	}
}

var errNotYet = errors.New("the condition is false")
