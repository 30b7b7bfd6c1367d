package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"ringcached/cmd/ringcached/process"
	"ringcached/internal/servertest"
)

// parentOf is the parent of a process.
func parentOf(t *testing.T, pid int) (parent int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nPPid:")
	if _, err := fmt.Sscan(rest, &parent); err != nil {
		t.Fatal(err)
	}
	return parent
}

// TestNotifications: systemd, notified of a new main process, finds one that is no child of the old one's, or of anybody's that is still there for it,
// and the old one says nothing more, whatever becomes of it.
func TestNotifications(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		told := supervisor(t)
		l := startLineage(t, engine, "--drain-timeout", "1h")
		notifier := &process.Notifier{Main: true, Log: func(_ int, format string, args ...any) { t.Errorf(format, args...) }}
		if got, want := told(), fmt.Sprintf("READY=1\nMAINPID=%d", l.PID); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		conn, err := l.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "set k 0 0 1000000\r\n%s\r\n", strings.Repeat("x", 1000000))
		expectLine(t, bufio.NewReader(conn), "STORED")
		_, _ = io.WriteString(conn, strings.Repeat("get k\r\n", 50)) // and nobody reads them: it stays long after the hand-over
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			if got := l.ask("stats", 40); strings.Contains(got, "STAT cmd_get 0\r\n") {
				return fmt.Errorf("no get yet: %s", got)
			}
			return nil
		})

		old, next := l.PID, 0
		l.Signal(syscall.SIGUSR2)
		if got := told(); !scans(got, "MAINPID=%d", &next) {
			t.Fatalf("%q", got)
		}
		if parent := parentOf(t, next); parent == old || parentOf(t, parent) == old {
			t.Errorf("the parent of the new main process is %d, of the old one %d", parent, old)
		}
		if got, want := told(), fmt.Sprintf("READY=1\nMAINPID=%d", next); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		l.Signal(syscall.SIGTERM) // the old one
		l.WantLog("terminated: stopping", 1)
		l.Signal(syscall.SIGTERM)
		l.WantGone(old)
		l.PID = next
		l.Signal(syscall.SIGTERM)
		l.WantGone(next)
		notifier.Send("this is the test's")
		for _, want := range []string{"STOPPING=1", "this is the test's"} {
			if got := told(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

// TestNotifiedOfFailure: a hand-over that failed shows in the status, until one succeeds.
func TestNotifiedOfFailure(t *testing.T) {
	told := supervisor(t)
	l := startLineage(t, "epoll")
	_ = told()
	l.replace("exit 3")
	l.Signal(syscall.SIGUSR2)
	if got := told(); !strings.HasPrefix(got, "STATUS=hand-over failed: process ") || !strings.HasSuffix(got, ": exit status 3") {
		t.Errorf("%q", got)
	}
	l.WantLog("hand-over failed, serving on: ", 1) // a goroutine of its own writes the log
	l.restore()
	l.handOver()
	for _, want := range []string{"STATUS=", fmt.Sprintf("MAINPID=%d", l.PID), fmt.Sprintf("READY=1\nMAINPID=%d", l.PID)} {
		if got := told(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
