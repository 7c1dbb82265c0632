package elasticsearch

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const shimDescriptor = `name=testshim
description=test endpoints for _data_stream and _ilm
version=1
elasticsearch.version=%s
java.version=%d
classname=gatebook.TestShim
extended.plugins=x-pack-core
has.native.controller=false
`

// CacheDir is where servers are built: $GATEBOOK_TESTKIT_CACHE, else gatebook-testkit in the user's cache folder.
func CacheDir() (string, error) {
	if d := os.Getenv("GATEBOOK_TESTKIT_CACHE"); d != "" {
		return filepath.Abs(d)
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder (GATEBOOK_TESTKIT_CACHE may name one): %w", err)
	}
	return filepath.Join(d, "gatebook-testkit"), nil
}

// build returns the folder of a ready server, making it first where it is not there. Processes that ask at the same time
// wait for the one that builds.
func build(ctx context.Context, opts *Options, jdk string) (string, error) {
	r := opts.recipe()
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	name, err := r.name()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	home := filepath.Join(dir, "home-"+string(opts.Flavor))
	ready := filepath.Join(home, ".ready")
	if _, err := os.Stat(ready); err == nil {
		return home, nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "", fmt.Errorf("find mvn: %w", ErrMissing)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(ready); err == nil {
		return home, nil
	}
	if err := os.RemoveAll(home); err != nil {
		return "", fmt.Errorf("clear %s: %w", home, err)
	}
	work := filepath.Join(dir, "work")
	if err := unpack(r.folder, work); err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := maven(ctx, work, r.properties, opts.Flavor); err != nil {
		return "", err
	}
	b := builder{ctx: ctx, recipe: r, jdk: jdk, work: work, target: filepath.Join(work, "target")}
	var made string
	if opts.Flavor == OpenSearch {
		made, err = b.openSearch()
	} else {
		made, err = b.elasticsearch(opts.Flavor)
	}
	if err != nil {
		return "", err
	}
	if err := openToAll(made); err != nil {
		return "", err
	}
	if err := os.Rename(made, home); err != nil {
		return "", fmt.Errorf("install server: %w", err)
	}
	return home, os.WriteFile(ready, nil, 0o644)
}

func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// unpack writes the embedded recipe into an empty folder.
func unpack(folder, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	sub, err := fs.Sub(files, folder)
	if err == nil {
		err = os.CopyFS(dir, sub)
	}
	if err != nil {
		return fmt.Errorf("unpack recipe: %w", err)
	}
	return nil
}

// maven fetches and unpacks the artifacts; offline first, so that a filled local repository needs no network.
// -llr: an artifact is taken from the local repository whichever repository id it came from.
func maven(ctx context.Context, dir string, properties []string, flavor Flavor) error {
	args := []string{"-B", "-q", "generate-resources"}
	for _, p := range properties {
		args = append(args, "-D"+p)
	}
	if flavor == Full || flavor == ESQL { // profiles of the pom
		args = append(args, "-P"+string(flavor))
	}
	if command(ctx, dir, "mvn", append([]string{"-o", "-llr"}, args...)...) == nil {
		return nil
	}
	if err := command(ctx, dir, "mvn", args...); err != nil {
		return fmt.Errorf("%w: %w", ErrFetch, err)
	}
	return nil
}

func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w\n%s", filepath.Base(name), err, lastLines(out, 20))
	}
	return nil
}

func lastLines(b []byte, n int) []byte {
	lines := bytes.Split(bytes.TrimRight(b, "\n"), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-n):], []byte("\n"))
}

type builder struct {
	ctx               context.Context // of one build call, which this value does not outlive
	recipe            recipe
	jdk, work, target string
}

// elasticsearch puts the minimal distribution, the further modules and our plugin together.
func (b builder) elasticsearch(flavor Flavor) (string, error) {
	base, err := only(filepath.Join(b.target, "base", "elasticsearch-*"))
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(filepath.Base(base), "-")
	switch flavor {
	case Full:
		err = b.addModules(base, version)
	case ESQL:
		err = b.addJars(base)
	}
	if err != nil {
		return "", err
	}
	classes := filepath.Join(b.target, "shim")
	plugin := filepath.Join(base, "plugins", "testshim")
	for _, d := range []string{classes, plugin} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", fmt.Errorf("build plugin: %w", err)
		}
	}
	cp := base + "/lib/*:" + base + "/modules/x-pack-core/*"
	if err := b.compile(cp, classes); err != nil {
		return "", err
	}
	err = command(b.ctx, b.work, filepath.Join(b.jdk, "bin", "jar"), "cf", filepath.Join(plugin, "testshim.jar"), "-C", classes, ".")
	if err != nil {
		return "", err
	}
	desc := fmt.Appendf(nil, shimDescriptor, version, b.recipe.minJDK)
	return base, os.WriteFile(filepath.Join(plugin, "plugin-descriptor.properties"), desc, 0o644)
}

// addModules copies the stock modules; they must be of exactly the server's version.
func (b builder) addModules(base, version string) error {
	from, err := only(filepath.Join(b.target, "extra", "sonarqube-*", "elasticsearch", "modules"))
	if err != nil {
		return err
	}
	for _, m := range b.recipe.modules {
		desc, err := os.ReadFile(filepath.Join(from, m, "plugin-descriptor.properties"))
		if err != nil {
			return fmt.Errorf("add module %s: %w", m, err)
		}
		if !strings.Contains("\n"+string(desc)+"\n", "\nelasticsearch.version="+version+"\n") {
			return fmt.Errorf("add module %s: it is not for Elasticsearch %s", m, version)
		}
		if err := os.CopyFS(filepath.Join(base, "modules", m), os.DirFS(filepath.Join(from, m))); err != nil {
			return fmt.Errorf("add module %s: %w", m, err)
		}
	}
	return nil
}

// addJars makes a module of each folder of jars that Maven filled. A module's descriptor is in its own jar; of the modules that it extends those
// stay that are there (ES|QL runs without painless and machine learning, apart from what it has of them).
func (b builder) addJars(base string) error {
	folders, err := filepath.Glob(filepath.Join(b.target, "modules", "*"))
	if err != nil || len(folders) == 0 {
		return fmt.Errorf("add modules: none in %s: %w", b.target, errors.Join(err, fs.ErrNotExist))
	}
	for _, folder := range folders {
		name := filepath.Base(folder)
		jar, err := only(filepath.Join(folder, name+"-[0-9]*.jar"))
		if err != nil {
			return fmt.Errorf("add module %s: %w", name, err)
		}
		to := filepath.Join(base, "modules", name)
		if err := os.CopyFS(to, os.DirFS(folder)); err != nil {
			return fmt.Errorf("add module %s: %w", name, err)
		}
		desc, err := descriptor(jar, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "plugin-descriptor.properties"), desc, 0o644)
		}
		if err != nil {
			return fmt.Errorf("add module %s: %w", name, err)
		}
	}
	return nil
}

func descriptor(jar, name string) ([]byte, error) {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	text, err := fs.ReadFile(z, "META-INF/es-plugins/"+name+"/plugin-descriptor.properties")
	if err != nil {
		return nil, err
	}
	return regexp.MustCompile(`,(lang-painless|x-pack-ml)\b`).ReplaceAll(text, nil), nil
}

// openSearch compiles the launcher beside the class path that Maven copied.
func (b builder) openSearch() (string, error) {
	home := filepath.Join(b.target, "home")
	if err := os.MkdirAll(filepath.Join(home, "classes"), 0o755); err != nil {
		return "", fmt.Errorf("build launcher: %w", err)
	}
	if err := os.Rename(filepath.Join(b.target, "lib"), filepath.Join(home, "lib")); err != nil {
		return "", fmt.Errorf("build launcher: %w", err)
	}
	return home, b.compile(filepath.Join(home, "lib")+"/*", filepath.Join(home, "classes"))
}

// compile compiles the recipe's sources into a folder.
func (b builder) compile(classPath, dir string) error {
	args := []string{"-nowarn", "-Xlint:none", "-proc:none", "--release", strconv.Itoa(b.recipe.minJDK), "-cp", classPath, "-d", dir}
	return command(b.ctx, b.work, filepath.Join(b.jdk, "bin", "javac"), append(args, b.recipe.sources...)...)
}

func only(pattern string) (string, error) {
	m, err := filepath.Glob(pattern)
	if err != nil || len(m) != 1 {
		return "", fmt.Errorf("find %s: %d matches", pattern, len(m))
	}
	return m[0], nil
}

// openToAll lets another user read the server: as root it runs under an unprivileged one.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 || filepath.Base(filepath.Dir(p)) == "bin" {
			mode |= 0o555
		}
		return os.Chmod(p, mode)
	})
}
