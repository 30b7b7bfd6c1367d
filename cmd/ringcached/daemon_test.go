package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// ownerOf is the user that a file belongs to.
func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

// launchDaemon runs the server with -d and -P and returns what it said and its process id.
func launchDaemon(t *testing.T, dir string, flags ...string) (said string, pid int) {
	t.Helper()
	cmd := exec.Command(servertest.Binary(), append([]string{"-u", "nobody", "-d", "-P", "pid", "-l", "127.0.0.1", "-p", "-1"}, flags...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log // a file, so that Wait does not wait for processes that still have it open
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err = strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) })
	return readLog(t, dir), pid
}

func readLog(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDaemon(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		dir := publicDir(t)
		said, pid := launchDaemon(t, dir, "--engine", engine)
		_, addr, found := strings.Cut(strings.TrimSpace(said), "listening on ")
		if !found || strings.Count(said, "\n") != 1 || strings.ContainsRune(said, 0) {
			t.Fatalf("it said %q", said)
		}
		conn, err := net.Dial("tcp", addr) // it listens already
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		for what, want := range map[string]string{"cwd": "/", "fd/0": "/dev/null", "fd/1": "/dev/null", "fd/2": "/dev/null"} {
			if got, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, what)); got != want {
				t.Errorf("%s is %s, %v", what, got, err)
			}
		}
		session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
		if errno != 0 || int(session) != pid {
			t.Errorf("session %d, %v; want its own, %d", session, errno, pid)
		}
		if environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); !bytes.Contains(environment, []byte("\x00-d\x00")) {
			t.Errorf("it runs as %q, %v", environment, err)
		}
		endDaemon(t, pid, filepath.Join(dir, "pid"))
	})
}

// endDaemon stops the daemon and waits until it and its file are gone.
func endDaemon(t *testing.T, pid int, pidFile string) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, pid)
	if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file: %v", err)
	}
}

// wantEnd waits until a process that is no child of the test has ended. What it has logged is written then.
func wantEnd(t *testing.T, pid int) {
	t.Helper()
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		if !servertest.Gone(pid) {
			return fmt.Errorf("process %d has not ended", pid)
		}
		return nil
	})
}

// TestDaemonKeepsOutput: with -v what it logs goes where it went before.
func TestDaemonKeepsOutput(t *testing.T) {
	dir := publicDir(t)
	_, pid := launchDaemon(t, dir, "-v", "-r")
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); cwd != dir {
		t.Errorf("with -r it has left %s for %s, %v", dir, cwd, err)
	}
	endDaemon(t, pid, filepath.Join(dir, "pid"))
	if said := readLog(t, dir); !strings.HasSuffix(said, "ringcached: terminated: stopping\n") {
		t.Errorf("it said %q", said)
	}
}

// TestDaemonThatCannotStart: the command tells why, once, and fails.
func TestDaemonThatCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	pidFile := filepath.Join(publicDir(t), "pid")
	for flags, want := range map[string]string{
		"-p " + port:  "address already in use",
		"-p 99999":    "--port: want a whole number",
		"-p -1 -m 1":  "-I, --max-item-size (1m) must be at most half",
		"-u nobodyat": "can't find the user nobodyat",
	} {
		args := append([]string{"-u", "nobody", "-d", "-P", pidFile, "-l", "127.0.0.1"}, strings.Fields(flags)...)
		out, err := exec.Command(servertest.Binary(), args...).CombinedOutput()
		var exit *exec.ExitError
		if os.Getuid() != 0 && strings.HasPrefix(flags, "-u") {
			continue
		}
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %q; want %q", flags, err, out, want)
		}
		if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the pid file: %v", flags, err)
		}
	}
}

// TestPIDFile: it is there as soon as the server serves, without -d too, replaces what
// was there before, and a symbolic link is not followed.
func TestPIDFile(t *testing.T) {
	dir := publicDir(t)
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pid")
	for _, link := range []string{path, path + ".tmp"} {
		if err := os.Symlink(precious, link); err != nil {
			t.Fatal(err)
		}
	}
	server := servertest.Start(t, "epoll", "-P", path)
	if text, err := os.ReadFile(path); string(text) != strconv.Itoa(server.PID)+"\n" {
		t.Errorf("%q, %v; want %d", text, err, server.PID)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
	if text, err := os.ReadFile(precious); string(text) != "data" {
		t.Errorf("the link's target: %q, %v", text, err)
	}
	server = servertest.Start(t, "epoll", "-P", "/no/such/directory/pid")
	if !strings.Contains(server.Log(), "warning: -P, --pidfile: ") {
		t.Errorf("no warning in %q", server.Log())
	}
}
