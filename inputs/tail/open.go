package tail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// errOutside is for paths that end outside of the allowed roots.
var errOutside = errors.New("the path leads out of the allowed directories through a symbolic link")

const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// opener opens regular files beneath the allowed roots and nothing else.
type opener struct {
	roots     []string
	owners    []uint32
	hardLinks bool
	noOpenat2 bool // the kernel (or a seccomp filter) does not have it
}

// info is what fstat says of a file.
type info struct {
	id    fileID
	size  int64
	mtime int64
	nlink uint64
	mode  uint32
	uid   uint32
	btime int64 // of birth; 0: not known, or not asked for
}

func infoOf(st *unix.Stat_t) info {
	return info{
		id: fileID{st.Dev, st.Ino}, size: st.Size, mtime: st.Mtim.Nano(),
		nlink: uint64(st.Nlink), //nolint:unconvert // 32 bits wide on arm64
		mode:  st.Mode, uid: st.Uid,
	}
}

func statPath(path string) (info, error) {
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Stat(path, &st) })
	return infoOf(&st), err
}

func statFD(fd int) (info, error) {
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Fstat(fd, &st) })
	return infoOf(&st), err
}

// birthOf tells an inode that was used again from the file that had it before. Not every file system knows it.
func birthOf(fd int) int64 {
	var st unix.Statx_t
	err := ignoringEINTR(func() error { return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st) })
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
}

// refuse says why a file may not be read, or nil.
func (o *opener) refuse(in info) error {
	if in.mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("not a regular file but a %s", kindOf(in.mode))
	}
	if in.nlink > 1 && !o.hardLinks {
		return fmt.Errorf("the file has %d names (hard links); another user may have linked it here", in.nlink)
	}
	if len(o.owners) > 0 && !slices.Contains(o.owners, in.uid) {
		return fmt.Errorf("the file belongs to user id %d, which is not allowed", in.uid)
	}
	return nil
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFIFO:
		return "named pipe"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "device"
	}
	return "special file"
}

// open returns a descriptor of the regular file at path. It never blocks and never leaves the roots.
func (o *opener) open(path string) (int, info, error) {
	// Opening a device or a pipe can have effects of its own, so look first; what was opened is looked at again.
	in, err := statPath(path)
	if err != nil {
		return -1, in, err
	}
	if err := o.refuse(in); err != nil {
		return -1, in, err
	}
	fd, err := o.openBeneath(path)
	if err != nil {
		return -1, in, err
	}
	in, err = statFD(fd)
	if err == nil {
		err = o.refuse(in)
	}
	in.btime = birthOf(fd)
	if err != nil {
		unix.Close(fd)
		return -1, in, err
	}
	return fd, in, nil
}

func (o *opener) openBeneath(path string) (int, error) {
	root, rel, ok := beneath(o.roots, path)
	if ok && !o.noOpenat2 {
		fd, err := openat2(root, rel, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_MAGICLINKS)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			o.noOpenat2 = true
		case !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EAGAIN):
			return -1, err
		}
	}
	// An absolute link, or one that climbs above its root, can still end in an allowed place. Resolve it by name and
	// then walk there without following any link, so that a link put in between changes nothing.
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return -1, err
	}
	for _, root := range o.roots {
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue
		}
		if _, rel, ok := beneath([]string{real}, target); ok {
			if o.noOpenat2 {
				return walk(real, rel)
			}
			return openat2(real, rel, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
		}
	}
	return -1, errOutside
}

// beneath finds the longest root above path.
func beneath(roots []string, path string) (root, rel string, ok bool) {
	for _, r := range roots {
		if len(r) < len(root) {
			continue
		}
		if r == "/" && len(path) > 1 {
			root, rel, ok = r, path[1:], true
		} else if strings.HasPrefix(path, r) && len(path) > len(r)+1 && path[len(r)] == '/' {
			root, rel, ok = r, path[len(r)+1:], true
		}
	}
	return root, rel, ok
}

func openDir(path string) (int, error) {
	fd := -1
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func openat2(root, rel string, resolve uint64) (int, error) {
	dir, err := openDir(root)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd := -1
	err = ignoringEINTR(func() (err error) {
		fd, err = unix.Openat2(dir, rel, &unix.OpenHow{Flags: openFlags, Resolve: resolve})
		return err
	})
	return fd, err
}

// walk opens rel beneath root component by component and follows no link.
func walk(root, rel string) (int, error) {
	dir, err := openDir(root)
	if err != nil {
		return -1, err
	}
	parts := strings.Split(rel, "/")
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			unix.Close(dir)
			return -1, errOutside
		}
		flags := openFlags | unix.O_NOFOLLOW
		if i < len(parts)-1 {
			flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		next, err := unix.Openat(dir, part, flags, 0)
		unix.Close(dir)
		if err != nil {
			return -1, err
		}
		dir = next
	}
	return dir, nil
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// preadFull reads as much of p as there is at off; a short count means the end of the file.
func preadFull(fd int, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := unix.Pread(fd, p[n:], off+int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}

// fdReader reads a descriptor from its start on without moving its file offset.
type fdReader struct {
	fd  int
	off int64
}

func (r *fdReader) Read(p []byte) (int, error) {
	n, err := preadFull(r.fd, p, r.off)
	r.off += int64(n)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// nameOf asks the kernel where an open file is now.
func nameOf(fd int) (string, bool) {
	p, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return p, err == nil && filepath.IsAbs(p) && !strings.HasSuffix(p, " (deleted)")
}
