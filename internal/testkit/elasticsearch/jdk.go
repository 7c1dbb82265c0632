package elasticsearch

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrOldJDK is what Start returns, wrapped, when there is a JDK, but none of a version that the server runs on.
var ErrOldJDK = errors.New("no JDK of that version in JAVA_HOME, on the PATH or in /usr/lib/jvm")

// installedJDKs is where Linux distributions put them; $GATEBOOK_TESTKIT_JVMS is another such folder.
const installedJDKs = "/usr/lib/jvm"

// findJDK returns the folder of a JDK whose major version is at least minimum and, unless it is 0, at most maximum: the first of $JAVA_HOME,
// the one on the PATH, and those in installedJDKs.
func findJDK(minimum, maximum int) (string, error) {
	var candidates []string
	if h := os.Getenv("JAVA_HOME"); h != "" {
		candidates = append(candidates, h)
	}
	if p, err := exec.LookPath("javac"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			candidates = append(candidates, filepath.Dir(filepath.Dir(p)))
		}
	}
	// A pattern that is right has no error.
	installed, _ := filepath.Glob(filepath.Join(cmp.Or(os.Getenv("GATEBOOK_TESTKIT_JVMS"), installedJDKs), "*"))
	found := false
	for _, dir := range append(candidates, installed...) {
		version, ok := jdkVersion(dir)
		if !ok {
			continue
		}
		found = true
		if version >= minimum && (maximum == 0 || version <= maximum) {
			return dir, nil
		}
	}
	switch {
	case !found:
		return "", fmt.Errorf("find java, javac, jar: %w", ErrMissing)
	case maximum > 0:
		return "", fmt.Errorf("find Java %d to %d: %w", minimum, maximum, ErrOldJDK)
	default:
		return "", fmt.Errorf("find Java %d or newer: %w", minimum, ErrOldJDK)
	}
}

// jdkVersion reads a JDK's major version; false where the folder is none.
func jdkVersion(dir string) (int, bool) {
	for _, tool := range []string{"java", "javac", "jar"} {
		if _, err := os.Stat(filepath.Join(dir, "bin", tool)); err != nil {
			return 0, false
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "release"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, `JAVA_VERSION="`); ok {
			v = strings.TrimPrefix(v, "1.") // "1.8.0_402" is Java 8
			end := strings.IndexFunc(v, func(r rune) bool { return r < '0' || r > '9' })
			if end < 0 {
				return 0, false
			}
			n, err := strconv.Atoi(v[:end])
			return n, err == nil
		}
	}
	return 0, false
}
