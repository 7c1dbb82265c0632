package agent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataDir is the folder that one agent owns: buffer, store, positions, dead letters.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the folder where needed and takes its lock.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("make data_dir: %w; make the folder for the user that Gatebook runs as, or set data_dir", err)
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open data_dir: %w; the user that Gatebook runs as must own the folder", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: another Gatebook runs on this data_dir", path)
	}
	return &dataDir{path, f}, nil
}

func (d *dataDir) close() { d.lock.Close() }

// agentID returns the id that lives as long as the folder.
func (d *dataDir) agentID() (string, error) {
	name := filepath.Join(d.path, "agent.id")
	b, err := os.ReadFile(name)
	if id := strings.TrimSpace(string(b)); err == nil && len(id) == 32 {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read agent id: %w", err)
	}
	id := randomHex()
	if err := os.WriteFile(name, []byte(id+"\n"), 0o640); err != nil {
		return "", fmt.Errorf("write agent id: %w", err)
	}
	return id, nil
}

// randomHex returns 128 random bits as 32 hexadecimal digits.
func randomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
