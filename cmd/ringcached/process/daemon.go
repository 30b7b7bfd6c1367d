package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// A daemon is this program started once more, in a session of its own: Go programs
// cannot fork. While it starts, its stderr is a pipe to the process that the user
// started, which passes on what it says and ends when it serves.

const (
	// daemonVariable in the environment tells a process that it is the daemon.
	daemonVariable = "RINGCACHED_DAEMON"
	// keptStderr is the descriptor under which the daemon finds the user's stderr, if
	// it shall keep it.
	keptStderr = 3
	// serving is what the daemon says when it serves. It is no part of any text.
	serving = 0
)

// ErrReported is an error that the user has seen already.
var ErrReported = errors.New("reported already")

// TakeDaemonMark reports whether this process is the daemon, and removes the mark from the environment, for processes that this one may start.
func TakeDaemonMark() bool {
	_, marked := os.LookupEnv(daemonVariable)
	_ = os.Unsetenv(daemonVariable)
	return marked
}

// LaunchDaemon starts the daemon and waits until it serves. If it ends before, what it said
// has been written to stderr and the error is ErrReported.
func LaunchDaemon(stderr io.Writer, keepOutput bool) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("-d: %w", err)
	}
	said, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("-d: %w", err)
	}
	defer said.Close()
	daemon := exec.Command(self, os.Args[1:]...)
	daemon.Args[0] = os.Args[0]
	daemon.Env = append(os.Environ(), daemonVariable+"=1")
	daemon.Stderr = tell
	if keepOutput {
		daemon.Stdout = os.Stdout
		daemon.ExtraFiles = []*os.File{os.Stderr}
	}
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = daemon.Start()
	tell.Close()
	if err != nil {
		return fmt.Errorf("-d: %w", err)
	}
	spoke, ok := relay(stderr, said)
	switch {
	case ok:
		return daemon.Process.Release()
	case spoke:
		_ = daemon.Wait()
		return ErrReported
	}
	return fmt.Errorf("-d: the daemon ended before it served: %v", daemon.Wait())
}

// relay copies what the daemon says until it serves, or until it has ended and ok is
// false.
func relay(to io.Writer, from io.Reader) (spoke, ok bool) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		var text []byte
		if text, _, ok = bytes.Cut(buf[:n], []byte{serving}); len(text) > 0 {
			spoke = true
			_, _ = to.Write(text)
		}
		if ok || err != nil {
			return spoke, ok
		}
	}
}

// DetachDaemon separates the daemon from the terminal and the directory that it was started in. A daemon that took over from another (handed) has
// its output already.
func DetachDaemon(handed, keepOutput, coreDumps bool) error {
	if !handed {
		return detach(keepOutput, coreDumps)
	}
	if coreDumps {
		return nil
	}
	return os.Chdir("/")
}

// detach closes the output, unless it shall be kept, and leaves the directory, unless core files go there. Then it tells the waiting process
// that the daemon serves.
func detach(keepOutput, keepDirectory bool) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if !keepDirectory {
		if err := os.Chdir("/"); err != nil {
			return err
		}
	}
	output := int(null.Fd())
	if keepOutput {
		output = keptStderr
		defer syscall.Close(keptStderr)
	}
	stderr := int(os.Stderr.Fd())
	waiting, err := syscall.Dup(stderr)
	if err != nil {
		return os.NewSyscallError("dup", err)
	}
	defer syscall.Close(waiting)
	if err := syscall.Dup3(output, stderr, 0); err != nil {
		return os.NewSyscallError("dup3", err)
	}
	_, _ = syscall.Write(waiting, []byte{serving}) // if nobody waits any more, nobody does
	return nil
}
