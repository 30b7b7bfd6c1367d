package process

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

// accessExecute is X_OK of unistd.h, which package syscall leaves out.
const accessExecute = 1

// Program is how the server was started: so is the next one.
type Program struct{ path, dir string }

// StartedProgram finds out what was started. The path is the one that was typed, not what symbolic links made of it.
func StartedProgram() (p Program) {
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

// isOwnProgram reports whether the file is the one that runs: os.Args[0] may be anything.
func isOwnProgram(path string) bool {
	here, err := os.Stat(path)
	own, ownErr := os.Stat(ownProgram)
	return err == nil && ownErr == nil && os.SameFile(here, own)
}

// successor is a process that is to serve in place of this one.
type successor struct {
	*talk
	pid     int
	process *os.Process // no child of this one; nil: not met yet

	launcher *os.Process
	control  *talk         // with the launcher
	ended    chan struct{} // closed when the launcher has ended: after the process, unless it was made an orphan
	how      error         // the process has ended, set before
}

// startSuccessor starts the program with the arguments and the environment of this process, and passes it the descriptors.
func startSuccessor(ctx context.Context, path, dir string, pass passed, limit time.Duration) (*successor, error) {
	s, err := launchOf(path, dir, pass)
	if err != nil {
		return nil, err
	}
	go s.wait()
	if err := s.meet(ctx, limit); err != nil {
		s.close() // a process that has not been met does not become the program
		s.orphan()
		return nil, err
	}
	return s, nil
}

// launchOf starts the launcher of the program.
func launchOf(path, dir string, pass passed) (*successor, error) {
	talk, other, err := newTalkPair()
	if err != nil {
		return nil, err
	}
	defer syscall.Close(other) // the end is there when it is the new process's, and nobody else's
	control, far, err := newTalkPair()
	if err != nil {
		talk.close()
		return nil, err
	}
	defer syscall.Close(far) // likewise
	pass = passed{pass.fds[:len(pass.fds):len(pass.fds)], pass.names[:len(pass.names):len(pass.names)]}
	pass.add(nameTalk, other)
	files := []uintptr{0, 1, 2}
	for _, fd := range append(pass.fds, far) {
		files = append(files, uintptr(fd))
	}
	if syscall.Access(dir, accessExecute) != nil {
		dir = "" // it is gone, or the user of -u may not enter it: here, then
	}
	// Not os/exec: an os.File makes its descriptor a blocking one, and with it the socket, of which there are others.
	pid, err := syscall.ForkExec(ownProgram, os.Args, &syscall.ProcAttr{
		Dir: dir, Env: append(os.Environ(), append(pass.environment(), launchVariable+"="+path)...), Files: files,
	})
	if err != nil {
		talk.close()
		control.close()
		return nil, os.NewSyscallError("fork", err)
	}
	launcher, _ := os.FindProcess(pid) // it never fails on Linux
	return &successor{talk: talk, launcher: launcher, control: control, ended: make(chan struct{})}, nil
}

// wait waits for the launcher, which tells how the process ended.
func (s *successor) wait() {
	defer close(s.ended)
	text, _ := io.ReadAll(s.control.conn)
	_, _ = s.launcher.Wait()
	if s.how = errors.New(string(text)); len(text) == 0 {
		s.how = errors.New("ended, and so did the process that has started it")
	}
}

// meet learns which process it is, and lets it become the program.
func (s *successor) meet(ctx context.Context, limit time.Duration) error {
	var text []byte
	for {
		b, err := s.listen(ctx, limit)
		if err != nil {
			return err
		}
		if b == '\n' {
			break
		}
		text = append(text, b)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	s.pid = pid
	s.process, _ = os.FindProcess(pid) // it never fails on Linux
	return s.say(wordYes)
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
	if err != nil && s.process == nil {
		return 0, fmt.Errorf("the new process: %w", err)
	}
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", s.pid, err)
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

// orphan ends the launcher: the process is an orphan then, if it has not ended.
func (s *successor) orphan() {
	s.control.shut()
	<-s.ended
	s.control.close()
}

// askToStop makes the process stop as servers do. It is the signal that is not counted: the same may have come from elsewhere.
func (s *successor) askToStop() { _ = s.process.Signal(syscall.SIGUSR1) }

// finish returns when the process has ended, or ctx has.
func (s *successor) finish(ctx context.Context) {
	for {
		if _, err := s.read(ctx); err != nil {
			return
		}
	}
}

// end kills the process, and with it what it has started.
func (s *successor) end() {
	_ = s.control.say(wordKill)
	<-s.ended
	_ = s.process.Kill() // it is still there if the launcher was killed
	s.close()            // not before: it would take that for an answer
	s.control.close()
}
