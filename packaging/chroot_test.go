package packaging

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/internal/testkit/elasticsearch"
)

const suite = "bookworm"

func debootstrapWanted() bool {
	return os.Getenv("CI") == "true" || os.Getenv("GATEBOOK_TEST_DEBOOTSTRAP") == "1"
}

// root is a minimal Debian of this test's own, in which it may do as it likes.
type root string

func (r root) path(p string) string { return filepath.Join(string(r), p) }

// inside runs the arguments in the root with a /proc of its own, which goes with the process. There is no fork on the way:
// what Process.Signal sends reaches the program itself.
func (r root) inside(args ...string) []string {
	return append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c",
		`mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`, string(r)}, args...)
}

var insideEnv = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "HOME=/root"}

// try runs a command in the root and returns everything it wrote.
func (r root) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	a := r.inside(args...)
	cmd := exec.CommandContext(ctx, a[0], a[1:]...)
	cmd.Env = insideEnv
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (r root) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// asAgent are the arguments that run a command as systemd does for the unit: user, group and groups from the root's own
// tables, no capabilities, no new privileges.
func asAgent(command string) []string {
	return append([]string{"setpriv", "--reuid=gatebook", "--regid=gatebook", "--init-groups", "--inh-caps=-all",
		"--bounding-set=-all", "--no-new-privs", "--"}, strings.Fields(command)...)
}

// mirror returns the Debian mirror that this machine installs from.
func mirror() (string, error) {
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, name := range append(files, "/etc/apt/sources.list") {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		uri, suites := "", ""
		for line := range strings.Lines(string(b) + "\n\n") {
			f := strings.Fields(line)
			switch {
			case len(f) == 0: // the end of a deb822 paragraph
				if uri != "" && slices.Contains(strings.Fields(suites), suite) {
					return uri, nil
				}
				uri, suites = "", ""
			case f[0] == "deb": // deb [options] uri suite components
				f = slices.DeleteFunc(f[1:], func(s string) bool { return strings.ContainsAny(s, "[]=") })
				if len(f) > 1 && f[1] == suite {
					return f[0], nil
				}
			case f[0] == "URIs:" && len(f) > 1:
				uri = f[1]
			case f[0] == "Suites:":
				suites = strings.Join(f[1:], " ")
			}
		}
	}
	return "", fmt.Errorf("no apt source of this machine has Debian %s", suite)
}

// baseRoot makes the minimal Debian, once, in the cache of the tests.
func baseRoot(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped by -short: installs packages in a Debian root")
	}
	if !debootstrapWanted() {
		t.Skip("skipped: installs packages in a Debian root, as root and with debootstrap; set GATEBOOK_TEST_DEBOOTSTRAP=1")
	}
	if os.Getuid() != 0 {
		missing(t, "root, to make a Debian root")
	}
	needTool(t, "debootstrap")
	uri, err := mirror()
	if err != nil {
		missing(t, err.Error())
	}
	cache, err := elasticsearch.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(uri))
	base := filepath.Join(cache, "debian-"+suite+"-"+runtime.GOARCH+"-"+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(base); err == nil {
		return base
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	work, err := os.MkdirTemp(cache, "debootstrap-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(work)
	if out, err := exec.Command("debootstrap", "--variant=minbase", suite, work, uri).CombinedOutput(); err != nil {
		t.Fatalf("debootstrap %s from %s: %v\n%s", suite, uri, err, out)
	}
	for _, dir := range []string{"var/cache/apt", "var/lib/apt/lists"} {
		os.RemoveAll(filepath.Join(work, dir))
	}
	if err := errors.Join(os.Chmod(work, 0o755), os.Rename(work, base)); err != nil {
		if _, there := os.Stat(base); there != nil { // else another run was faster
			t.Fatal(err)
		}
	}
	return base
}

// newRoot copies the minimal Debian.
func newRoot(t *testing.T) root {
	t.Helper()
	base := baseRoot(t)
	r := root(filepath.Join(t.TempDir(), "root"))
	output(t, "cp", "-a", "--reflink=auto", base, string(r))
	return r
}

// tree lists every file below the root with owner and mode, and the accounts; what the package system keeps for itself
// and caches of the C library are left out.
func (r root) tree(t *testing.T) []string {
	t.Helper()
	var list []string
	own := []string{"/proc", "/var/lib/dpkg", "/var/lib/rpm", "/var/log/dpkg.log", "/etc/passwd-", "/etc/group-", "/etc/shadow-",
		"/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock", "/var/cache/ldconfig"}
	err := filepath.WalkDir(string(r), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, string(r))
		if slices.Contains(own, name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		list = append(list, info.Mode().String()+" "+name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"} {
		b, err := os.ReadFile(r.path(table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			list = append(list, table+": "+line)
		}
	}
	slices.Sort(list)
	return list
}

// authLog is read by nobody but root and group adm, as Debian's rsyslog writes it.
func (r root) authLog(t *testing.T, lines ...string) {
	t.Helper()
	name := r.path("/var/log/auth.log")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		fmt.Fprintf(f, "%s web01 %s\n", time.Now().UTC().Format("Jan _2 15:04:05"), line)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.run(t, "chown", "root:adm", "/var/log/auth.log")
}

var firstLines = []string{
	"sshd[411]: Failed password for invalid user oracle from 203.0.113.7 port 50222 ssh2",
	"sshd[412]: Failed password for root from 203.0.113.7 port 50230 ssh2",
	"sshd[413]: Accepted publickey for alice from 198.51.100.4 port 61001 ssh2: ED25519 SHA256:AAAA",
}

// start runs the unit's ExecStartPre and ExecStart as systemd would.
func (r root) start(t *testing.T) *testkit.Process {
	t.Helper()
	for _, pre := range unitLines(t, "ExecStartPre") {
		r.run(t, asAgent(pre)...)
	}
	args := r.inside(asAgent(unitLines(t, "ExecStart")[0])...)
	return testkit.StartCommand(t, testkit.Command{Path: args[0], Args: args[1:], Env: insideEnv})
}

// records asks the store, as an operator would, and returns how many records a question finds.
func (r root) records(question string) (int, error) {
	out, err := r.try(asAgent("/usr/bin/gatebook query --config /etc/gatebook/gatebook.hcl --output json " + question)...)
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "{") {
			n++
		}
	}
	return n, nil
}

func (r root) eventually(t *testing.T, question string, want int) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		n, err := r.records(question)
		if err == nil && n != want {
			err = fmt.Errorf("%d records for %s, want %d", n, question, want)
		}
		return err
	})
}

// agentWorks starts the agent, sees what is in the log come out of the store, ends it, and sees a second start go on where
// the first ended.
func (r root) agentWorks(t *testing.T) {
	t.Helper()
	r.authLog(t, firstLines...)
	agent := r.start(t)
	r.eventually(t, "source.ip=203.0.113.7", 2)
	r.eventually(t, "source.ip=198.51.100.4", 1)
	if code := agent.Term(time.Minute); code != 0 {
		t.Fatalf("SIGTERM ends the agent with %d\n%s", code, agent.Stderr())
	}

	agent = r.start(t)
	r.authLog(t, "sshd[414]: Failed password for root from 203.0.113.7 port 50240 ssh2")
	r.eventually(t, "source.ip=203.0.113.7", 3)
	if code := agent.Term(time.Minute); code != 0 {
		t.Fatalf("SIGTERM ends the agent with %d\n%s", code, agent.Stderr())
	}
	// What it wrote belongs to it and to nobody else.
	if out := r.run(t, "find", "/var/lib/gatebook", "!", "-user", "gatebook", "-o", "-perm", "/007"); out != "" {
		t.Errorf("in /var/lib/gatebook, of another owner or open to all:\n%s", out)
	}
}

// refusesWrongConfig sees that the check before the start fails for a wrong config, and says where.
func (r root) refusesWrongConfig(t *testing.T) {
	t.Helper()
	const name = "/etc/gatebook/gatebook.hcl"
	good, err := os.ReadFile(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		if err := os.WriteFile(r.path(name), b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	write(append(slices.Clone(good), "\ninput \"file\" {\n"...))
	defer write(good)
	out, err := r.try(asAgent(unitLines(t, "ExecStartPre")[0])...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, name+":") {
		t.Errorf("the check of a wrong config: %v, want exit code 1 and the place", err)
	}
}

// checkInstalled holds the files, the user and its groups against the promises.
func (r root) checkInstalled(t *testing.T) {
	t.Helper()
	for _, entry := range contents {
		f := strings.Fields(entry)
		if got := strings.TrimSpace(r.run(t, "stat", "--format=%A %U:%G %n", f[2])); got != entry {
			t.Errorf("installed: %s, want %s", got, entry)
		}
	}
	if got := r.run(t, "id", "-nG", "gatebook"); got != "gatebook adm\n" {
		t.Errorf("groups of the user: %q, want gatebook and adm", got)
	}
	got := strings.Split(strings.TrimSpace(r.run(t, "getent", "passwd", "gatebook")), ":")
	if want := []string{"Gatebook log collector", "/var/lib/gatebook", "/usr/sbin/nologin"}; !slices.Equal(got[4:], want) {
		t.Errorf("the user: %q, want %q at the end", got, want)
	}
	if !strings.Contains(r.run(t, "gatebook", "version"), "1.2.3-rc1") {
		t.Error("gatebook version does not say 1.2.3-rc1")
	}
}

// put copies a package into the root.
func (r root) put(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := "/tmp/" + filepath.Base(file)
	if err := os.WriteFile(r.path(name), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDebInstall(t *testing.T) {
	r := newRoot(t)
	deb := r.put(t, built(t).deb(runtime.GOARCH))
	r.authLog(t)
	before := r.tree(t)

	r.run(t, "dpkg", "-i", deb)
	r.checkInstalled(t)
	if out, err := r.try("test", "-L", "/etc/systemd/system/multi-user.target.wants/gatebook.service"); err != nil {
		t.Errorf("the service is not enabled: %v\n%s", err, out)
	}
	r.refusesWrongConfig(t)
	r.agentWorks(t)

	// An upgrade keeps what the administrator set: config, its mode, groups of the user, disabled service.
	appendTo(t, r.path("/etc/gatebook/gatebook.hcl"), "# mine\n")
	r.run(t, "chmod", "0600", "/etc/gatebook/gatebook.hcl")
	r.run(t, "chown", "gatebook", "/etc/gatebook/gatebook.hcl")
	r.run(t, "gpasswd", "--delete", "gatebook", "adm")
	r.run(t, "dpkg", "-i", deb)
	if got := r.run(t, "stat", "--format=%a %U:%G", "/etc/gatebook/gatebook.hcl"); got != "600 gatebook:gatebook\n" {
		t.Errorf("after an upgrade the config has %s", got)
	}
	if got := lastLine(t, r.path("/etc/gatebook/gatebook.hcl")); got != "# mine" {
		t.Errorf("after an upgrade the config ends with %q", got)
	}
	if got := r.run(t, "id", "-nG", "gatebook"); got != "gatebook\n" {
		t.Errorf("after an upgrade the user is in %q; it had been taken out of adm", got)
	}
	if n, err := r.records("source.ip=203.0.113.7"); n != 3 {
		t.Errorf("after an upgrade the store has %d records, want 3 (%v)", n, err)
	}

	// Removal keeps config, state and user; again installed, all of it serves.
	r.run(t, "dpkg", "-r", "gatebook")
	for _, gone := range []string{"/usr/bin/gatebook", "/usr/lib/systemd/system/gatebook.service", "/usr/share/doc/gatebook"} {
		if _, err := os.Lstat(r.path(gone)); err == nil {
			t.Errorf("%s is still there after dpkg -r", gone)
		}
	}
	if got := lastLine(t, r.path("/etc/gatebook/gatebook.hcl")); got != "# mine" {
		t.Errorf("after dpkg -r the config ends with %q", got)
	}
	r.run(t, "dpkg", "-i", deb)
	if n, err := r.records("source.ip=203.0.113.7"); n != 3 {
		t.Errorf("installed again the store has %d records, want 3 (%v)", n, err)
	}

	// A purge leaves nothing but what the administrator put there.
	appendTo(t, r.path("/etc/gatebook/mine.key"), "key")
	r.run(t, "install", "-d", "-o", "gatebook", "-g", "gatebook", "/var/log/gatebook") // as the unit makes it
	r.run(t, "dpkg", "-P", "gatebook")
	r.run(t, "rm", "/etc/gatebook/mine.key")
	r.run(t, "rmdir", "/etc/gatebook")
	if diff := cmp.Diff(before, r.tree(t)); diff != "" {
		t.Errorf("a purge leaves other than was before the installation (-before +after):\n%s", diff)
	}
	r.run(t, "dpkg", "-i", deb)
	r.checkInstalled(t)
}

// The scripts of the rpm run in the same root, where all but the package system is as on any Linux.
func TestRPMInstall(t *testing.T) {
	r := newRoot(t)
	p := built(t)
	needTool(t, "rpm")
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if arch == "" {
		t.Skipf("skipped: there is no package for %s", runtime.GOARCH)
	}
	rpm := func(args ...string) {
		t.Helper()
		args = append([]string{"--root", string(r), "--dbpath", "/var/lib/rpm", "--noplugins", "--nodeps"}, args...)
		output(t, "rpm", args...)
	}
	rpm("--install", p.rpm(arch))
	r.checkInstalled(t)
	r.agentWorks(t)

	appendTo(t, r.path("/etc/gatebook/gatebook.hcl"), "# mine\n")
	rpm("--upgrade", "--force", p.rpm(arch))
	if got := lastLine(t, r.path("/etc/gatebook/gatebook.hcl")); got != "# mine" {
		t.Errorf("after an upgrade the config ends with %q", got)
	}
	if n, err := r.records("source.ip=203.0.113.7"); n != 3 {
		t.Errorf("after an upgrade the store has %d records, want 3 (%v)", n, err)
	}

	rpm("--erase", "gatebook")
	for _, gone := range []string{"/usr/bin/gatebook", "/usr/lib/systemd/system/gatebook.service", "/usr/share/doc/gatebook"} {
		if _, err := os.Lstat(r.path(gone)); err == nil {
			t.Errorf("%s is still there after rpm -e", gone)
		}
	}
	for _, kept := range []string{"/etc/gatebook/gatebook.hcl.rpmsave", "/var/lib/gatebook"} {
		if _, err := os.Lstat(r.path(kept)); err != nil {
			t.Errorf("rpm -e does not keep %s: %v", kept, err)
		}
	}
	r.run(t, "getent", "passwd", "gatebook")
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func lastLine(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	last := ""
	for s := bufio.NewScanner(f); s.Scan(); {
		last = s.Text()
	}
	return last
}
