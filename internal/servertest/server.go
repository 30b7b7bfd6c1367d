package servertest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a running ringcached.
type Server struct {
	Addr   string // the first address that it listens on: host:port, host:port/udp or the path of a unix socket
	Engine string
	PID    int
	// TLS is what Dial and Stats speak TLS with; nil: they do not. A test sets it behind a start with the flags of a Certificate.
	TLS *tls.Config

	cmd    *exec.Cmd
	log    logBuffer
	exited chan struct{} // closed when the process has ended
	err    error         // how it ended, once exited is closed
	killed bool          // by the test: not to be checked at its end
}

// How long a start and a stop may take on a busy machine, with a disk that others write to.
const (
	startTime = (50 + 10*Slow) * time.Second
	stopTime  = (50 + 10*Slow) * time.Second
)

// Start runs the server with the given engine on a free port of 127.0.0.1, unless
// the flags say otherwise, and waits until it listens. As root the server becomes
// nobody. At the end of the test the server gets SIGTERM, and anything but
// exit code 0 is an error of the test, with what the server logged.
func Start(t testing.TB, engine string, flags ...string) *Server {
	t.Helper()
	return start(t, engine, func(args []string) *exec.Cmd {
		return exec.Command(binary, args...)
	}, flags)
}

// StartLimited is Start with a limit on open files that the server cannot raise:
// it is never root.
func StartLimited(t testing.TB, engine string, files int, flags ...string) *Server {
	t.Helper()
	return start(t, engine, func(args []string) *exec.Cmd {
		script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files)
		cmd := exec.Command("/bin/sh", append([]string{"-c", script, binary}, args...)...)
		if os.Getuid() == 0 {
			const nobody = 65534
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd
	}, flags)
}

// StartCommand is Start for a command that starts the server with these arguments.
func StartCommand(t testing.TB, engine string, command func(args []string) *exec.Cmd, flags ...string) *Server {
	t.Helper()
	return start(t, engine, command, flags)
}

func start(t testing.TB, engine string, command func(args []string) *exec.Cmd, flags []string) *Server {
	t.Helper()
	args := []string{"--engine", engine}
	if !has(flags, "-l", "--listen") {
		args = append(args, "-l", "127.0.0.1")
	}
	if !has(flags, "-p", "--port") {
		args = append(args, "-p", "-1")
	}
	if os.Getuid() == 0 && !has(flags, "-u", "--user") {
		args = append(args, "-u", "nobody")
	}
	if features := Features(); features != "" && !has(flags, "--ring-features") {
		args = append(args, "--ring-features", features)
	}
	s := &Server{Engine: engine, exited: make(chan struct{})}
	args = append(args, strings.Fields(os.Getenv("RINGCACHED_TEST_FLAGS"))...)
	s.cmd = command(append(args, flags...))
	s.cmd.Dir = "/"
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.PID = s.cmd.Process.Pid
	listening := make(chan string, 1)
	go s.watch(stderr, listening)
	t.Cleanup(func() { s.check(t) })
	select {
	case s.Addr = <-listening:
	case <-s.exited:
		s.killed = true
		t.Fatalf("the server did not start: %v\n%s", s.err, s.Log())
	case <-time.After(startTime):
		t.Fatalf("the server does not listen after %v\n%s", startTime, s.Log())
	}
	return s
}

func has(flags []string, names ...string) bool {
	return slices.ContainsFunc(flags, func(f string) bool {
		name, _, _ := strings.Cut(f, "=")
		return slices.Contains(names, name)
	})
}

var listeningLine = regexp.MustCompile(`listening on ([^\s,]+)`)

// watch collects the log, finds the address in it and waits for the end.
func (s *Server) watch(stderr io.Reader, listening chan<- string) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		s.log.add(line)
		if found := listeningLine.FindStringSubmatch(line); found != nil {
			select {
			case listening <- found[1]:
			default:
			}
		}
		if err != nil {
			break
		}
	}
	s.err = s.cmd.Wait()
	close(s.exited)
}

// check ends the server, if it still runs, and judges its end.
func (s *Server) check(t testing.TB) {
	if s.killed {
		<-s.exited
		return
	}
	if err := s.Stop(); err != nil {
		t.Errorf("the server ended badly: %v\n%s", err, s.Log())
	}
}

// Stop sends SIGTERM, waits and returns nil if the exit code was 0. A server
// that does not stop in time is killed.
func (s *Server) Stop() error {
	_ = s.Signal(syscall.SIGTERM)
	return s.Wait()
}

// Wait waits for the server's end and returns nil if the exit code was 0.
func (s *Server) Wait() error {
	select {
	case <-s.exited:
		return s.err
	case <-time.After(stopTime):
		_ = s.Signal(syscall.SIGQUIT) // the log then shows all goroutines
		select {
		case <-s.exited:
		case <-time.After(2 * time.Second):
			s.Kill()
		}
		return fmt.Errorf("still running %v after SIGTERM", stopTime)
	}
}

// Kill ends the server at once. The test's end then has nothing to complain of.
func (s *Server) Kill() {
	s.killed = true
	_ = s.Signal(syscall.SIGKILL)
	<-s.exited
}

// Signal sends a signal to the server's process.
func (s *Server) Signal(sig syscall.Signal) error {
	select {
	case <-s.exited:
		return errors.New("the server has ended")
	default:
		return s.cmd.Process.Signal(sig)
	}
}

// ExpectFailure is for tests that make the server fail or that stop it in a
// manner of their own: the end of the test does not judge how it ended.
func (s *Server) ExpectFailure() { s.killed = true }

// Log returns what the server has written to stderr so far.
func (s *Server) Log() string { return s.log.String() }

// Dial connects to the server. The connection is closed at the end of the test.
func (s *Server) Dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *Server) dial() (net.Conn, error) {
	network, addr := "tcp", s.Addr
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	} else if host, udp := strings.CutSuffix(addr, "/udp"); udp {
		network, addr = "udp", host
	}
	conn, err := net.DialTimeout(network, addr, 5*time.Second*Slow)
	if err != nil || s.TLS == nil {
		return conn, err
	}
	return tls.Client(conn, s.TLS), nil // which shakes hands with the first byte
}

// PublicDir makes a directory that the server may write to, whoever it becomes.
func PublicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ringcached-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// WriteBelow writes a file of a directory, and makes the directories between them.
func WriteBelow(t testing.TB, dir, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteProgram(path, text, mode); err != nil {
		t.Fatal(err)
	}
}

// WriteProgram is os.WriteFile for what will be executed. No process is forked meanwhile: until it has executed its own program it would
// have the file open for writing, and the kernel executes no such file (ETXTBSY).
func WriteProgram(path, text string, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(text), mode)
}

// logBuffer collects lines from one goroutine for others.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.WriteString(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
