package batch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mostPath is the longest path that a unix socket can be bound to: sun_path of sockaddr_un without its end.
const mostPath = len(unix.RawSockaddrUnix{}.Path) - 1

// socketFile is the file of a unix socket. Another server may have put its own in its place, so it is known by its number, which no other
// file gets while the socket is open.
type socketFile struct {
	path             string // absolute: a daemon changes its directory
	device, fileNode uint64
}

// identify finds out which file is at path now. A file that is not there is no server's.
func identify(path string) (f socketFile) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return f
	}
	info, err := os.Lstat(absolute)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return f
	}
	status := info.Sys().(*syscall.Stat_t)
	return socketFile{absolute, status.Dev, status.Ino}
}

// there tells whether the file is still at its path.
func (f socketFile) there() bool { return f.path != "" && identify(f.path) == f }

// remove removes the file, unless another one has taken its place.
func (f socketFile) remove() {
	if f.there() {
		_ = os.Remove(f.path)
	}
}

// listenUnix opens a listening socket at path. It takes the place of another server's socket, as in memcached, be that server there still or
// not, but not that of a file of another kind. Unix sockets know no SO_REUSEPORT: all channels accept from this one, each through a
// descriptor of its own. replaced says who has listened at path.
func listenUnix(path string, mode os.FileMode, backlog int) (fd int, file socketFile, replaced string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("listening on %s: %w", path, err)
		}
	}()
	if len(path) > mostPath {
		return -1, file, "", fmt.Errorf("the path has %d bytes, and a unix socket's has %d at most", len(path), mostPath)
	}
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return -1, file, "", os.NewSyscallError("socket", err)
	}
	defer lockDirectory(filepath.Dir(path))()
	replaced, err = bindUnix(fd, path)
	if err == nil {
		file = identify(path)
		if err = os.Chmod(path, mode); err == nil {
			err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, file, "", err
	}
	return fd, file, replaced, nil
}

// bindUnix removes the socket that is at path and binds fd there.
func bindUnix(fd int, path string) (replaced string, err error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		replaced = listenerAt(path)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return replaced, os.NewSyscallError("bind", unix.Bind(fd, unixAddress(path)))
}

// unixAddress is a file's, whatever its name: package unix takes an @ for the mark of a name that is no file's.
func unixAddress(path string) *unix.SockaddrUnix {
	if strings.HasPrefix(path, "@") {
		path = "./" + path
	}
	return &unix.SockaddrUnix{Name: path}
}

// listenerAt says who listens at path, "" if nobody does.
func listenerAt(path string) string {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, unixAddress(path)); err {
	case nil:
	case unix.EAGAIN, unix.EACCES:
		return "somebody"
	default:
		return ""
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || peer.Pid == 0 {
		return "somebody"
	}
	if unix.Kill(int(peer.Pid), 0) == unix.ESRCH {
		return "" // it was killed, and the kernel has not closed its socket yet
	}
	return fmt.Sprintf("process %d", peer.Pid)
}

// lockDirectory keeps other servers from the unix sockets of a directory until unlock is called: between a server's bind and its look at the
// file none can take that away. It waits for a second at most, since others may lock directories for reasons of their own.
func lockDirectory(dir string) (unlock func()) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	for range 100 {
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return func() { _ = unix.Close(fd) }
}
