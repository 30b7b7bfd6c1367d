package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// Nobody reads stderr any more, and the pipe is full: a log collector hangs. A stop saves the items all the same, and a third signal ends
// the server.
func TestStopWhileNobodyReadsStderr(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		dir := publicDir(t)
		socket, items := filepath.Join(dir, "socket"), filepath.Join(dir, "items")
		cmd, fill := unreadServer(t, "--engine", engine, "-s", socket, "-e", items, "-u", "nobody", "-v", "-m", "64")
		servertest.Eventually(t, 30*time.Second, func() error {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				err = conn.Close()
			}
			return err
		})
		fill()

		cmd.Process.Signal(syscall.SIGTERM)
		servertest.Eventually(t, 30*time.Second, func() error {
			_, err := os.Stat(items + ".meta")
			return err
		})
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		servertest.Eventually(t, 30*time.Second, func() error {
			cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
				return nil
			default:
				return errors.New("the server goes on")
			}
		})
	})
}

// unreadServer starts a server. fill fills the pipe that is its stderr.
func unreadServer(t *testing.T, flags ...string) (cmd *exec.Cmd, fill func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(servertest.Binary(), flags...)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		r.Close()
		w.Close()
	})
	return cmd, func() {
		fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		for _, size := range []int{4096, 1} {
			for err = nil; err == nil; {
				_, err = syscall.Write(fd, bytes.Repeat([]byte("."), size))
			}
			if err != syscall.EAGAIN {
				t.Fatal(err)
			}
		}
	}
}
