package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
	"ringcached/store"
)

// TestStopWhileNobodyReadsStderr: the pipe is full, since a log collector hangs. A stop saves the items all the same, and one signal will do.
func TestStopWhileNobodyReadsStderr(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		u := startUnread(t, engine, "-v")
		u.fill()
		answer(t, u.dial(), "set k 0 0 1\r\nv", 1)
		u.wantStopped()
		if info, err := os.Stat(u.items + store.MetaSuffix); err != nil || info.Size() == 0 {
			t.Errorf("the items were not saved: %v", err)
		}
	})
}

// TestVerbosityWhileNobodyReadsStderr: any client may ask for a line for each request. When nobody reads them the others are served as ever, and
// the lines that are dropped are counted.
func TestVerbosityWhileNobodyReadsStderr(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		u := startUnread(t, engine)
		conn := u.dial()
		in := bufio.NewReader(conn)
		u.fill()
		fmt.Fprint(conn, "verbosity 2\r\n")
		expectLine(t, in, "OK")
		key := strings.Repeat("k", 200)
		const requests = 10_000 // of which each has a line, as has its reply: more than fit
		for range requests / 100 {
			fmt.Fprint(conn, strings.Repeat("set "+key+" 0 0 1\r\nv\r\n", 100))
			for range 100 {
				expectLine(t, in, "STORED")
			}
		}
		fmt.Fprint(conn, "stats\r\n")
		dropped := 0
		for line := ""; line != "END\r\n"; {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Sscanf(line, "STAT log_stderr_dropped %d", &dropped)
		}
		if dropped < 1000 {
			t.Errorf("%d lines were dropped", dropped)
		}
		u.wantStopped()
	})
}

// unread is a server whose stderr is a pipe that nobody reads.
type unread struct {
	t             *testing.T
	cmd           *exec.Cmd
	socket, items string
	stderr        *os.File
}

func startUnread(t *testing.T, engine string, flags ...string) *unread {
	t.Helper()
	dir := publicDir(t)
	u := &unread{t: t, socket: filepath.Join(dir, "socket"), items: filepath.Join(dir, "items")}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	u.stderr = w
	u.cmd = exec.Command(servertest.Binary(), append(flags, "--engine", engine, "-s", u.socket, "-e", u.items, "-u", "nobody", "-m", "64")...)
	u.cmd.Stderr = w
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		u.cmd.Process.Kill()
		r.Close()
		w.Close()
	})
	servertest.Eventually(t, patience, func() error {
		conn, err := net.Dial("unix", u.socket)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return u
}

func (u *unread) dial() net.Conn {
	u.t.Helper()
	conn, err := net.Dial("unix", u.socket)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// fill leaves no room in the pipe.
func (u *unread) fill() {
	u.t.Helper()
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", u.stderr.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		u.t.Fatal(err)
	}
	defer syscall.Close(fd)
	for _, size := range []int{4096, 1} {
		for err = nil; err == nil; {
			_, err = syscall.Write(fd, bytes.Repeat([]byte("."), size))
		}
		if err != syscall.EAGAIN {
			u.t.Fatal(err)
		}
	}
}

// wantStopped tells it to stop, once, and waits until it has.
func (u *unread) wantStopped() {
	u.t.Helper()
	u.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- u.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			u.t.Error(err)
		}
	case <-time.After(patience):
		u.t.Error("the server goes on")
	}
}
