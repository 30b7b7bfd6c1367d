package robustness

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/seccomp"
	"ringcached/internal/servertest"
)

// recvmmsg is the number of recvmmsg(2), which package syscall leaves out on some architectures.
var recvmmsg = map[string]uintptr{"amd64": 299, "arm64": 243}

// startUnderRule starts a server whose use of one system call is up to a supervisor.
func startUnderRule(t *testing.T, engine string, call uintptr, errno syscall.Errno, flags ...string) (*servertest.Server, *seccomp.Supervisor) {
	t.Helper()
	server := servertest.StartCommand(t, engine, func(args []string) *exec.Cmd {
		return seccomp.Command([]seccomp.Rule{{Call: call, Arg: -1}}, servertest.Binary(), args...)
	}, flags...)
	return server, seccomp.Supervise(t, server.PID, errno)
}

// triesPerSecond is more than a server makes that rests between two tries, with a few threads, and far less than one that does not.
const triesPerSecond = 100

// expectRest counts the refused calls of a second.
func expectRest(t *testing.T, s *seccomp.Supervisor) {
	t.Helper()
	servertest.Eventually(t, startLimit/servertest.Slow, func() error {
		if s.Refused.Load() < 3 {
			return fmt.Errorf("refused %d times", s.Refused.Load())
		}
		return nil
	})
	before := s.Refused.Load()
	time.Sleep(time.Second)
	if n := s.Refused.Load() - before; n > triesPerSecond {
		t.Errorf("%d tries in a second", n)
	}
}

const startLimit = 20 * time.Second * servertest.Slow

// TestAcceptDenied: a client whose connection the kernel does not let the server accept costs nothing, the log says so once, and the client
// is served as soon as it may be.
func TestAcceptDenied(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.EPROTO} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			server, supervisor := startUnderRule(t, "epoll", syscall.SYS_ACCEPT4, errno, "-t", "2")
			c := mustDial(t, server) // the kernel completes it
			if err := c.say("get none\r\n"); err != nil {
				t.Fatal(err)
			}
			expectRest(t, supervisor)
			supervisor.Allow()
			if err := c.expect("END\r\n"); err != nil {
				t.Fatal(err)
			}
			expectSaidOnce(t, server, fmt.Sprintf("not accepting connections: %v\n", errno))
			if n := server.Stat(t, "accept_backoffs", "batch"); n == 0 {
				t.Error("accept_backoffs 0")
			}
		})
	}
}

// TestDatagramsDenied: so it is with datagrams, which wait in the socket.
func TestDatagramsDenied(t *testing.T) {
	call, known := recvmmsg[runtime.GOARCH]
	if !known {
		t.Skipf("the number of recvmmsg is not known for %s: add it above", runtime.GOARCH)
	}
	server, supervisor := startUnderRule(t, "epoll", call, syscall.EPERM, "-t", "1", "-p", "0", "-U", "-1")
	c := dialDatagrams(t, server)
	if _, err := c.Write([]byte(datagramTo(1, 0, 1, "get none\r\n"))); err != nil {
		t.Fatal(err)
	}
	expectRest(t, supervisor)
	supervisor.Allow()
	if reply, err := c.ask("get none\r\n"); err != nil || reply != "END\r\n" {
		t.Errorf("%q, %v", reply, err)
	}
	expectSaidOnce(t, server, "cannot receive datagrams: operation not permitted\n")
}

// expectSaidOnce waits until the server has logged a line, which it must not do twice.
func expectSaidOnce(t *testing.T, server *servertest.Server, want string) {
	t.Helper()
	servertest.Eventually(t, startLimit/servertest.Slow, func() error {
		switch said := server.Log(); strings.Count(said, want) {
		case 0:
			return fmt.Errorf("no %q in\n%s", want, said)
		case 1:
			return nil
		default:
			t.Fatalf("more than once %q in\n%s", want, said)
			return nil
		}
	})
}
