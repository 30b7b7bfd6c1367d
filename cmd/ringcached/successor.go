package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// successorVariable in the environment names the program that this process is to become: the old program starts itself to do so, since what
// systemd's way of passing descriptors wants to know, the process id, is known only in the process.
const successorVariable = "RINGCACHED_SUCCESSOR"

// ownProgram is the program that runs, whatever has become of its file.
const ownProgram = "/proc/self/exe"

// becomeSuccessor becomes the program that the environment names, if it does.
func becomeSuccessor() {
	program, named := os.LookupEnv(successorVariable)
	if !named {
		return
	}
	_ = os.Unsetenv(successorVariable)
	_ = os.Setenv(listenPID, strconv.Itoa(os.Getpid()))
	err := syscall.Exec(program, os.Args, os.Environ())
	fmt.Fprintf(os.Stderr, "%s: %v\n", appName, &os.PathError{Op: "exec", Path: program, Err: err})
	os.Exit(1)
}

// accessExecute is X_OK of unistd.h, which package syscall leaves out.
const accessExecute = 1

// program is how the server was started: so is the next one.
type program struct{ path, dir string }

// startedProgram finds out what was started. The path is the one that was typed, not what symbolic links made of it.
func startedProgram() (p program) {
	var err error
	if p.dir, err = os.Getwd(); err != nil {
		p.dir = "/" // it has been removed
	}
	if p.path, err = exec.LookPath(os.Args[0]); err == nil {
		p.path, err = filepath.Abs(p.path)
	}
	if err != nil || !isOwnProgram(p.path) {
		p.path, err = os.Executable()
	}
	if err != nil {
		p.path = ownProgram
	}
	return p
}

// isOwnProgram tells whether the file is the one that runs: os.Args[0] may be anything.
func isOwnProgram(path string) bool {
	here, err := os.Stat(path)
	own, ownErr := os.Stat(ownProgram)
	return err == nil && ownErr == nil && os.SameFile(here, own)
}

// successor is a process that is to serve in place of this one.
type successor struct {
	*talk
	process *os.Process
	ended   chan struct{} // closed when the process has ended
	how     error         // set before
}

// startSuccessor starts the program with the arguments and the environment of this process, and passes it the descriptors.
func startSuccessor(path, dir string, pass passed) (*successor, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer syscall.Close(pair[1])
	talk, err := newTalk(pair[0])
	if err != nil {
		return nil, err
	}
	pass = passed{pass.fds[:len(pass.fds):len(pass.fds)], pass.names[:len(pass.names):len(pass.names)]}
	pass.add(nameTalk, pair[1])
	files := []uintptr{0, 1, 2}
	for _, fd := range pass.fds {
		files = append(files, uintptr(fd))
	}
	if syscall.Access(dir, accessExecute) != nil {
		dir = "" // it is gone, or the user of -u may not enter it: here, then
	}
	// Not os/exec: an os.File makes its descriptor a blocking one, and with it the socket, of which there are others.
	pid, err := syscall.ForkExec(ownProgram, os.Args, &syscall.ProcAttr{
		Dir: dir, Env: append(os.Environ(), append(pass.environment(), successorVariable+"="+path)...), Files: files,
	})
	if err != nil {
		talk.close()
		return nil, os.NewSyscallError("fork", err)
	}
	process, _ := os.FindProcess(pid) // it never fails on Linux
	s := &successor{talk: talk, process: process, ended: make(chan struct{})}
	go s.wait()
	return s, nil
}

func (s *successor) wait() {
	defer close(s.ended)
	state, err := s.process.Wait()
	if err == nil {
		err = errors.New(state.String())
	}
	s.how = err
}

// listen returns the next word that the successor says within the time.
func (s *successor) listen(ctx context.Context, limit time.Duration) (byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready after %v", limit))
	defer cancel()
	word, err := s.read(ctx)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		select {
		case <-s.ended:
			err = s.how
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", s.process.Pid, err)
	}
	return word, nil
}

// letServe lets a successor that is ready accept connections, and returns when it does, or has failed to.
func (s *successor) letServe(limit time.Duration) {
	defer s.close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if s.say(wordYes) == nil {
		_, _ = s.read(ctx)
	}
}

// tellToStop makes the process stop as servers do.
func (s *successor) tellToStop() { _ = s.process.Signal(syscall.SIGTERM) }

// end kills the process.
func (s *successor) end() {
	_ = s.process.Kill()
	<-s.ended
	s.close() // not before: it would take that for an answer
}
