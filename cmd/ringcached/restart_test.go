package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ringcached/internal/servertest"

	"ringcached/bench/load"
)

// killServing ends a server by a signal while it has connections, and waits no longer than for the process.
func killServing(t *testing.T, server *servertest.Server, sig syscall.Signal) {
	t.Helper()
	for range 700 {
		server.Dial(t)
	}
	server.ExpectFailure()
	if err := server.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err == nil {
		t.Errorf("%v ended it with exit code 0", sig)
	}
}

// TestRestartAfterKill: a server that was killed, or crashed, can be started again at once, though the kernel may have its sockets still.
func TestRestartAfterKill(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGABRT} {
			port, err := load.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			flags := []string{"-p", fmt.Sprint(port), "-U", fmt.Sprint(port)}
			server := servertest.Start(t, engine, flags...)
			killServing(t, server, sig)
			server = servertest.Start(t, engine, flags...)
			fmt.Fprint(server.Dial(t), "quit\r\n") // Start has failed if it did not serve
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestRestartAfterKillUnix: so it can on the same unix socket, and nothing is said, since nobody is there.
func TestRestartAfterKillUnix(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(publicDir(t), "socket")
		killServing(t, servertest.Start(t, engine, "-s", path), syscall.SIGKILL)
		server := servertest.Start(t, engine, "-s", path)
		if strings.Contains(server.Log(), "warning") {
			t.Errorf("it said %q", server.Log())
		}
		wantServer(t, path, server)
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
}

// TestUnixSocketOfTheNext: a server that was started on the path of another keeps it when that one ends.
func TestUnixSocketOfTheNext(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(publicDir(t), "socket")
		first := servertest.Start(t, engine, "-s", path)
		next := servertest.Start(t, engine, "-s", path)
		if want := fmt.Sprintf("warning: process %d listens on %s too", first.PID, path); !strings.Contains(next.Log(), want) {
			t.Errorf("no %q in %q", want, next.Log())
		}
		if err := first.Stop(); err != nil {
			t.Error(err)
		}
		wantServer(t, path, next)
	})
}

// wantServer asks who serves the unix socket.
func wantServer(t *testing.T, path string, server *servertest.Server) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if pid := statsOver(t, conn)["pid"]; pid != fmt.Sprint(server.PID) {
		t.Errorf("process %s serves %s, want %d", pid, path, server.PID)
	}
}

// TestUnixSocketOfDaemon: a daemon changes its directory, and removes its socket all the same.
func TestUnixSocketOfDaemon(t *testing.T) {
	dir := publicDir(t)
	_, pid := launchDaemon(t, dir, "-s", "socket")
	if _, err := os.Lstat(filepath.Join(dir, "socket")); err != nil {
		t.Error(err)
	}
	endDaemon(t, pid, filepath.Join(dir, "pid"))
	if _, err := os.Lstat(filepath.Join(dir, "socket")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// TestStartedAtOnce: of servers that are started at the same moment for the same port, one serves, and the others say that it is in use.
func TestStartedAtOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for range 4 {
			port, err := load.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			var commands []*exec.Cmd
			for range 4 {
				commands = append(commands, exec.Command(servertest.Binary(), "--engine", engine, "-u", "nobody", "-l", "127.0.0.1", "-p", fmt.Sprint(port)))
			}
			first := firstLines(t, commands)
			serve := 0
			for i, line := range first {
				switch {
				case strings.Contains(line, "address already in use"):
				case strings.Contains(line, fmt.Sprintf("listening on 127.0.0.1:%d\n", port)):
					serve++
				default:
					t.Errorf("server %d said %q", i, line)
				}
			}
			if serve != 1 {
				t.Errorf("%d servers have port %d: %q", serve, port, first)
			}
		}
	})
}

// firstLines starts the servers at once, waits until each has said whether it serves, and ends them.
func firstLines(t *testing.T, commands []*exec.Cmd) []string {
	t.Helper()
	lines := make([]string, len(commands))
	var said sync.WaitGroup
	for i, cmd := range commands {
		stderr, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said.Go(func() {
			for out := bufio.NewReader(stderr); lines[i] == "" || strings.Contains(lines[i], "waiting for"); {
				var err error
				if lines[i], err = out.ReadString('\n'); err != nil {
					return
				}
			}
		})
	}
	said.Wait()
	for _, cmd := range commands {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	return lines
}
