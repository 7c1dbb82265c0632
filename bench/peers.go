package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// peerKinds are whom gatebook is compared with.
var peerKinds = map[string]func(context.Context, *bench) (shipper, error){
	"rsyslog":  rsyslog,
	"syslogng": syslogng,
}

// debian unpacks Debian packages, with all that they depend on and the system lacks, into a folder, and returns it. Nothing
// is installed: rsyslog and syslog-ng could not be at the same time.
func (b *bench) debian(ctx context.Context, name string, packages ...string) (string, error) {
	root := filepath.Join(b.work, "root-"+name)
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("needs Debian's %s", tool)
		}
	}
	debs := filepath.Join(b.work, "debs-"+name)
	if err := os.MkdirAll(filepath.Join(debs, "partial"), 0o755); err != nil {
		return "", err
	}
	b.say("fetching Debian's %s", name)
	args := append([]string{"install", "--download-only", "--reinstall", "-y", "-qq", "--no-install-recommends",
		"-o", "Dir::Cache::archives=" + debs, "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"}, packages...)
	if out, err := exec.CommandContext(ctx, "apt-get", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get: %w (apt-get update first?)\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(found) == 0 {
		return "", errors.New("apt-get fetched nothing")
	}
	for _, deb := range found {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", deb, root+".part").CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack %s: %w\n%s", filepath.Base(deb), err, out)
		}
	}
	return root, os.Rename(root+".part", root)
}

// libraries is the environment in which an unpacked program finds its libraries.
func libraries(root string, more ...string) []string {
	path := ""
	for _, pattern := range append([]string{"/usr/lib/*-linux-gnu", "/lib/*-linux-gnu"}, more...) {
		dirs, _ := filepath.Glob(root + pattern) // the patterns are ours
		for _, d := range dirs {
			path += d + ":"
		}
	}
	return append(os.Environ(), "LD_LIBRARY_PATH="+path+os.Getenv("LD_LIBRARY_PATH"))
}

func folder(pattern string) (string, error) {
	m, err := filepath.Glob(pattern)
	if err != nil || len(m) == 0 {
		return "", fmt.Errorf("find %s: nothing there", pattern)
	}
	return m[len(m)-1], nil
}
