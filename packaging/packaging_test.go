// Package packaging holds what makes the deb and rpm packages, and the tests of them: what the systemd unit allows, what
// is in each package, and what installing, upgrading, removing and purging do to a minimal Debian.
//
//	packaging/build -> dist/*.deb, *.rpm -> contents (dpkg-deb, rpm)
//	                          \-> dpkg -i / rpm -i in a debootstrap root -> the agent, run as the unit does
//
// What a machine lacks (root, debootstrap, rpm, nfpm) skips the test that needs it and says so; with CI=true it fails
// instead. packaging/ci-deps names the Debian packages. -short builds nothing.
package packaging

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/internal/testkit"
)

const unitFile = "gatebook.service"

// missing skips the test for want of something, which CI has to have.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI has to have what this test needs: %s (see packaging/ci-deps)", what)
	}
	t.Skipf("skipped for want of %s", what)
}

func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, name)
	}
}

// output runs a command and returns its standard output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// unitLines returns the values of a directive of the unit, in order.
func unitLines(t *testing.T, directive string) []string {
	t.Helper()
	b, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, directive+"="); ok {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

var exposure = regexp.MustCompile(`Overall exposure level for gatebook\.service: ([0-9.]+)`)

// The promise is 2.0 on systemd's scale of 0 (everything locked) to 10.
func TestUnitExposure(t *testing.T) {
	needTool(t, "systemd-analyze")
	out := output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", unitFile)
	m := exposure.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no exposure in what systemd-analyze says:\n%s", out)
	}
	level, err := strconv.ParseFloat(m[1], 64)
	if err != nil || level > 2.0 {
		t.Errorf("exposure %s, want at most 2.0 (%v)\n%s", m[1], err, out)
	}
	t.Logf("exposure %s", m[1])
}

// What systemd does not know or cannot read it ignores with a warning, so a typing error would loosen the unit in silence.
func TestUnitIsUnderstood(t *testing.T) {
	needTool(t, "systemd-analyze")
	b, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// The program and the user do not exist on a machine without the package: verified are all other lines.
	text := strings.NewReplacer("/usr/bin/gatebook", "/bin/true", "file:///usr/share/doc/gatebook/install.md",
		"https://localhost/").Replace(string(b))
	path := filepath.Join(t.TempDir(), unitFile)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, path) || strings.Contains(line, unitFile) {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
}

// What the agent cannot do its work without, whatever else is locked.
func TestUnitLetsTheAgentWork(t *testing.T) {
	const run, check = "/usr/bin/gatebook run --config /etc/gatebook/gatebook.hcl", "/usr/bin/gatebook check --config /etc/gatebook/gatebook.hcl"
	for directive, want := range map[string][]string{
		"User":                    {"gatebook"},
		"Group":                   {"gatebook"},
		"Type":                    {"exec"},
		"ExecStartPre":            {check},
		"ExecStart":               {run},
		"ExecReload":              {check, `/bin/sh -c "kill -HUP $MAINPID"`},
		"StateDirectory":          {"gatebook"},
		"StateDirectoryMode":      {"0750"},
		"LogsDirectory":           {"gatebook"},
		"LogsDirectoryMode":       {"0750"},
		"RestrictAddressFamilies": {"AF_INET AF_INET6 AF_UNIX"},
		"InaccessiblePaths":       nil, // /var/log has to stay readable
		"PrivateNetwork":          nil,
		"ProcSubset":              nil, // boot_id, somaxconn
		"PrivateUsers":            nil, // owners of log files are checked
	} {
		if diff := cmp.Diff(want, unitLines(t, directive)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", directive, diff)
		}
	}
	needTool(t, "systemd-analyze")
	allowed := make(map[string]bool)
	for _, line := range unitLines(t, "SystemCallFilter") {
		line, refused := strings.CutPrefix(line, "~")
		for _, name := range strings.Fields(line) {
			for call := range syscallSet(t, name) {
				allowed[call] = !refused
			}
		}
	}
	for _, call := range []string{"openat2", "statx", "inotify_init1", "inotify_add_watch", "fsync", "fdatasync", "fallocate",
		"flock", "mmap", "pread64", "pwrite64", "rename", "socket", "listen", "accept4", "connect", "prlimit64", "epoll_pwait",
		"futex", "clone", "clone3", "execve", "tgkill", "sched_getaffinity", "getrandom", "splice", "copy_file_range"} {
		if !allowed[call] {
			t.Errorf("the unit's SystemCallFilter refuses %s", call)
		}
	}
}

// syscallSet resolves a set of system calls with those it includes; one without @ is a call by itself.
func syscallSet(t *testing.T, name string) map[string]bool {
	t.Helper()
	calls := make(map[string]bool)
	if !strings.HasPrefix(name, "@") {
		calls[name] = true
		return calls
	}
	for line := range strings.Lines(output(t, "systemd-analyze", "--no-pager", "syscall-filter", name)) {
		word := strings.TrimSpace(line)
		if word == name || word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		for call := range syscallSet(t, word) {
			calls[call] = true
		}
	}
	return calls
}

func TestVersion(t *testing.T) {
	f := func(version, want string) {
		t.Helper()
		if got := strings.TrimSpace(output(t, "./version", version)); got != want {
			t.Errorf("version %q becomes %q, want %q", version, got, want)
		}
	}
	f("v1.2.3", "1.2.3")
	f("1.2.3", "1.2.3")
	f("v1.2.3-rc1", "1.2.3~rc1")
	f("v1.2.3-5-gabc1234", "1.2.3+5.gabc1234")
	f("v1.2.3-5-gabc1234-dirty", "1.2.3+5.gabc1234.dirty")
	f("v1.2.3-rc.1-5-gabc1234", "1.2.3~rc.1+5.gabc1234")
	f("v1.2.3-dirty", "1.2.3+dirty")
	f("dev", "0.0.0~dev")
	f("abc1234", "0.0.0~abc1234")
	f("1234567-dirty", "0.0.0~1234567.dirty")
	f("feature/x_y", "0.0.0~feature.x.y")
}

// Oldest first, as dpkg compares.
func TestVersionOrder(t *testing.T) {
	needTool(t, "dpkg")
	versions := []string{"dev", "v0.1.0-rc1", "v0.1.0-rc1-3-gabc1234", "v0.1.0", "v0.1.0-2-gabc1234", "v0.1.0-10-gabc1234", "v0.1.1-rc1", "v0.1.1"}
	for i := range versions[1:] {
		a, b := strings.TrimSpace(output(t, "./version", versions[i])), strings.TrimSpace(output(t, "./version", versions[i+1]))
		if err := exec.Command("dpkg", "--compare-versions", a, "lt", b).Run(); err != nil {
			t.Errorf("%s (%s) is not before %s (%s)", a, versions[i], b, versions[i+1])
		}
	}
}

func TestScriptsAreShell(t *testing.T) {
	shell := "sh"
	if _, err := exec.LookPath("dash"); err == nil {
		shell = "dash" // takes nothing beyond POSIX
	}
	scripts, _ := filepath.Glob("scripts/*")
	if len(scripts) < 7 {
		t.Fatalf("found %d scripts", len(scripts))
	}
	for _, script := range append(scripts, "build", "version") {
		if out, err := exec.Command(shell, "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// packages are built once for all tests that need them. Their version is fixed.
type packages struct{ dir string }

func (p packages) deb(arch string) string {
	return filepath.Join(p.dir, "gatebook_1.2.3~rc1-1_"+arch+".deb")
}
func (p packages) rpm(arch string) string {
	return filepath.Join(p.dir, "gatebook-1.2.3~rc1-1."+arch+".rpm")
}

var build = sync.OnceValues(func() (packages, error) {
	dir, err := os.MkdirTemp("", "gatebook-packages-")
	if err != nil {
		return packages{}, err
	}
	buildDir = dir
	cmd := exec.Command("./build")
	cmd.Env = append(os.Environ(), "VERSION=v1.2.3-rc1", "DIST="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return packages{}, fmt.Errorf("packaging/build: %w\n%s", err, out)
	}
	return packages{dir}, nil
})

var buildDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// built returns the packages. Where nfpm was never installed, building would need the network, so only CI does it then.
func built(t *testing.T) packages {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped by -short: builds packages")
	}
	if _, err := os.Stat(filepath.Join(testkit.RepoRoot(t), "bin", "nfpm")); err != nil && os.Getenv("CI") != "true" && !debootstrapWanted() {
		t.Skip("skipped for want of bin/nfpm: run `make package` once, which installs it")
	}
	p, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// contents is what both packages have to hold, less the documents.
var contents = []string{
	"drwxr-x--- root:gatebook /etc/gatebook",
	"-rw-r----- root:gatebook /etc/gatebook/gatebook.hcl",
	"drwxr-x--- root:gatebook /etc/gatebook/rules.d",
	"-rwxr-xr-x root:root /usr/bin/gatebook",
	"-rw-r--r-- root:root /usr/lib/systemd/system/gatebook.service",
	"-rw-r--r-- root:root /usr/share/doc/gatebook/copyright",
	"-rw-r--r-- root:root /usr/share/doc/gatebook/install.md",
	"-rw-r--r-- root:root /usr/share/gatebook/kibana/gatebook.ndjson",
	"drwxr-x--- gatebook:gatebook /var/lib/gatebook",
}

// checkContents holds a listing against contents. Beside it there may be documents and, in a deb, folders of the system.
func checkContents(t *testing.T, got []string) {
	t.Helper()
	for _, want := range contents {
		if !slices.Contains(got, want) {
			t.Errorf("not in the package: %s", want)
		}
	}
	for _, entry := range got {
		f := strings.Fields(entry)
		system := f[0] == "drwxr-xr-x" && f[1] == "root:root"
		document := f[0] == "-rw-r--r--" && f[1] == "root:root" && strings.HasPrefix(f[2], "/usr/share/doc/gatebook/")
		if !system && !document && !slices.Contains(contents, entry) {
			t.Errorf("unexpected in the package: %s", entry)
		}
	}
	if t.Failed() {
		t.Logf("the package holds:\n%s", strings.Join(got, "\n"))
	}
}

func TestDebContents(t *testing.T) {
	p := built(t)
	needTool(t, "dpkg-deb")
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			var got []string
			for line := range strings.Lines(output(t, "dpkg-deb", "--contents", p.deb(arch))) {
				f := strings.Fields(line) // mode owner/group size date time ./path
				got = append(got, f[0]+" "+strings.Replace(f[1], "/", ":", 1)+" "+strings.TrimSuffix(f[5][1:], "/"))
			}
			checkContents(t, got)

			control := output(t, "dpkg-deb", "--field", p.deb(arch))
			for _, want := range []string{"Package: gatebook\n", "Version: 1.2.3~rc1-1\n", "Architecture: " + arch + "\n", "License: Apache-2.0\n"} {
				if !strings.Contains(control, want) {
					t.Errorf("no %q in\n%s", want, control)
				}
			}
			dir := t.TempDir()
			output(t, "dpkg-deb", "--raw-extract", p.deb(arch), dir)
			conffiles, err := os.ReadFile(filepath.Join(dir, "DEBIAN", "conffiles"))
			if err != nil || string(conffiles) != "/etc/gatebook/gatebook.hcl\n" {
				t.Errorf("conffiles: %q, %v", conffiles, err)
			}
			checkConfig(t, filepath.Join(dir, "etc/gatebook/gatebook.hcl"))
			checkBinary(t, filepath.Join(dir, "usr/bin/gatebook"), arch)
		})
	}
}

func TestRPMContents(t *testing.T) {
	p := built(t)
	needTool(t, "rpm")
	for arch, goarch := range map[string]string{"x86_64": "amd64", "aarch64": "arm64"} {
		t.Run(goarch, func(t *testing.T) {
			const format = `[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]`
			checkContents(t, strings.Split(strings.TrimSpace(output(t, "rpm", "-qp", "--qf", format, p.rpm(arch))), "\n"))
			if got := output(t, "rpm", "-qp", "--qf", `%{NAME} %{VERSION} %{ARCH} %{LICENSE}`, p.rpm(arch)); got != "gatebook 1.2.3~rc1 "+arch+" Apache-2.0" {
				t.Errorf("the header says %q", got)
			}
			var configs []string // flags c and n: %config(noreplace)
			for line := range strings.Lines(output(t, "rpm", "-qp", "--qf", `[%{FILENAMES} %{FILEFLAGS:fflags}\n]`, p.rpm(arch))) {
				if f := strings.Fields(line); len(f) == 2 && strings.ContainsAny(f[1], "cn") {
					configs = append(configs, line)
				}
			}
			if want := []string{"/etc/gatebook/gatebook.hcl cn\n"}; !slices.Equal(configs, want) {
				t.Errorf("configs %q, want %q", configs, want)
			}
		})
	}
}

// checkConfig wants the reference config, byte for byte.
func checkConfig(t *testing.T, path string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "configs", "gatebook.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("the config of the package is not configs/gatebook.hcl (%v)", err)
	}
}

// checkBinary wants a static binary of the architecture, made without the paths of this machine.
func checkBinary(t *testing.T, path, goarch string) {
	t.Helper()
	info := output(t, "go", "version", "-m", path)
	for _, want := range []string{"CGO_ENABLED=0", "GOARCH=" + goarch, "GOOS=linux", "-trimpath=true"} {
		if !strings.Contains(info, want) {
			t.Errorf("the program was not built with %s", want)
		}
	}
}
