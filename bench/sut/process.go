package sut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"ringcached/bench/load"
)

// Process is a child that is pinned to cores from its first instruction on, until stop, or its guard when we are gone.
type Process struct {
	PID   int
	args  []string
	out   tail
	ended chan struct{} // closed when the process was waited for
	err   error         // how it ended; read after ended
	guard *exec.Cmd
	life  io.Closer // the pipe to the guard
}

// startProcess starts args pinned to the cores: a child has the affinity of the thread that forks it. Its last
// words are kept, unless stderr is a file of the caller's.
func startProcess(args []string, cores []int, stderr *os.File) (*Process, error) {
	p := &Process{args: args, ended: make(chan struct{})}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if stderr != nil {
		cmd.Stderr = stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for us
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := affinity(0)
	if err == nil {
		err = setAffinity(0, cores)
	}
	if err == nil {
		err = errors.Join(cmd.Start(), setAffinity(0, before))
	}
	if cmd.Process == nil {
		return nil, fmt.Errorf("starting %s: %w", args[0], err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	if err = errors.Join(err, p.watch()); err != nil {
		p.stop(syscall.SIGKILL)
		return nil, err
	}
	return p, nil
}

// watch starts the guard: a shell that kills the process when the pipe to us closes, as it does when we are gone.
func (p *Process) watch() (err error) {
	p.guard = exec.Command("/bin/sh", "-c", fmt.Sprintf("read -r _; kill -KILL %d", p.PID))
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.life, err = p.guard.StdinPipe(); err == nil {
		err = p.guard.Start()
	}
	if err != nil {
		return fmt.Errorf("starting the guard of a server: %w", err)
	}
	return nil
}

// Running reports that the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Death describes how and with which last words the process ended.
func (p *Process) Death() error {
	how := "ended"
	if p.err != nil {
		how = p.err.Error()
	}
	if words := p.out.String(); words != "" {
		how += ": " + words
	}
	return fmt.Errorf("%s: %s", p.args[0], how)
}

// stop asks the process to end with a signal, and makes it after three seconds. It returns when the process is gone.
func (p *Process) stop(signal syscall.Signal) {
	if p.Running() {
		_ = syscall.Kill(p.PID, signal)
		select {
		case <-p.ended:
		case <-time.After(3 * time.Second):
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
			<-p.ended
		}
	}
	if p.guard.Process != nil {
		_ = p.guard.Process.Kill() // before its pipe closes, when it would act
		_ = p.guard.Wait()
	}
}

// tail keeps the end of what a process wrote.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailMax = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	t.buf = append(t.buf[:0], t.buf[max(0, len(t.buf)-tailMax):]...)
	return len(p), nil
}

// String returns the last three lines, in one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// awaitServer waits until the process, which is to be found at the endpoint, answers ask, and returns the version that it states.
func awaitServer(
	ctx context.Context, p *Process, at load.Endpoint, ask func(context.Context) (string, error),
) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, load.ConnectTimeout)
	defer cancel()
	for {
		if version, err = ask(ctx); err == nil {
			return version, nil
		}
		select {
		case <-p.ended:
			return "", p.Death()
		case <-ctx.Done():
			return "", fmt.Errorf("%s does not answer on %s: %w", p.args[0], at.Addr, err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// findProgram looks for a program next to this one first, then in PATH.
func findProgram(name string) (string, error) {
	if strings.ContainsRune(name, os.PathSeparator) {
		_, err := os.Stat(name)
		return name, err
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	return exec.LookPath(name)
}
