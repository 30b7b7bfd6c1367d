package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// wantNothingAt waits until nobody answers at an address, and the file of a unix socket is gone.
func wantNothingAt(t *testing.T, address string) {
	t.Helper()
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		if strings.HasPrefix(address, "/") {
			if _, err := os.Lstat(address); !os.IsNotExist(err) {
				return fmt.Errorf("the file of the socket is there, %v", err)
			}
		}
		if _, text, err := askMonitor(address, "/livez"); err == nil {
			return fmt.Errorf("%s answers %q", address, text)
		}
		return nil
	})
}

// freeAddress is one that nobody listens at now, and that hardly anybody else would take.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestMonitorMoves: the next server may have --metrics where the old one had none, at another address, or not any more. Each answers where it says, and
// what the last one to have a socket leaves is removed.
func TestMonitorMoves(t *testing.T) {
	dir := publicDir(t)
	first, second, third := filepath.Join(dir, "first"), filepath.Join(dir, "second"), freeAddress(t)
	l := startLineage(t, "epoll")
	at := func(address string) {
		t.Helper()
		wantCode(t, address, "/readyz", http.StatusOK)
		if pid := pidOf(t, address); pid != fmt.Sprint(l.PID) {
			t.Errorf("process %s answers at %s, and %d serves", pid, address, l.PID)
		}
	}
	l.addFlags("--metrics " + first)
	l.handOver()
	at(first)
	l.addFlags("--metrics " + second)
	l.handOver()
	at(second)
	wantNothingAt(t, first)
	l.addFlags("--metrics " + third)
	l.handOver()
	at(third)
	wantNothingAt(t, second)
	l.handOver()
	at(third)
	next := l.link()
	l.replace(fmt.Sprintf(`exec %s -l 127.0.0.1 -p -1 -u nobody -v --engine epoll`, next))
	l.program = next
	l.handOver()
	wantNothingAt(t, third)
	l.WantLog("there is no --metrics any more: what was answered at "+third+" ends", 1)
	l.addFlags("--metrics " + first)
	l.handOver()
	at(first)
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	wantNothingAt(t, first)
}

// TestFailedHandOverKeepsMonitor: a new server that ends when it has the listener, or that finds its own address taken, leaves the old one's as it was.
func TestFailedHandOverKeepsMonitor(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	socket := filepath.Join(publicDir(t), "http")
	l := startLineage(t, "epoll", "--metrics", socket)
	for i, flags := range []string{"-e /nowhere/items", "--metrics " + taken.Addr().String()} {
		l.replace(fmt.Sprintf(`exec %s "$@" %s`, servertest.Binary(), flags))
		l.Signal(syscall.SIGUSR2)
		l.WantLog("hand-over failed, serving on: ", i+1)
		wantCode(t, socket, "/readyz", http.StatusOK)
		if pid := pidOf(t, socket); pid != fmt.Sprint(l.PID) {
			t.Errorf("%s: process %s answers, and %d serves", flags, pid, l.PID)
		}
	}
	l.WantLog("address already in use", 1)
	l.restore()
	l.handOver()
	wantCode(t, socket, "/readyz", http.StatusOK)
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	wantNothingAt(t, socket)
}

// activatedMonitor is a command that starts the server with a socket for the cache and one for --metrics, as a unit's two sockets are passed.
func activatedMonitor(program string, cache, monitor *os.File, flags ...string) *exec.Cmd {
	cmd := activated(program, []*os.File{cache, monitor}, flags...)
	cmd.Env = append(os.Environ(), "LISTEN_FDNAMES=ringcached.socket:ringcached-metrics")
	return cmd
}

// TestActivationOfMonitor: a socket named ringcached-metrics is that of --metrics, if that asks for its address. It goes from server to server, and its file
// stays when the last one ends, as whoever has made it knows it.
func TestActivationOfMonitor(t *testing.T) {
	path := filepath.Join(publicDir(t), "http")
	l := newLineage(t)
	l.start(activatedMonitor(l.program, listenTCP(t, "127.0.0.1:0"), listenUnixAt(t, path), "--metrics", path))
	wantCode(t, path, "/readyz", http.StatusOK)
	l.handOver()
	wantCode(t, path, "/readyz", http.StatusOK)
	if pid := pidOf(t, path); pid != fmt.Sprint(l.PID) {
		t.Errorf("process %s answers, and %d serves", pid, l.PID)
	}
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("the file of the socket: %v", err)
	}

	l = newLineage(t)
	other := listenTCP(t, "127.0.0.1:0")
	listener, err := net.FileListener(other)
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := errors.Join(listener.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	l.start(activatedMonitor(l.program, listenTCP(t, "127.0.0.1:0"), other, "--metrics", path))
	l.WantLog("--metrics "+path+": the socket that was passed is at "+address+", and is closed", 1)
	wantCode(t, path, "/readyz", http.StatusOK)

	l = newLineage(t)
	l.start(activatedMonitor(l.program, listenTCP(t, "127.0.0.1:0"), other))
	l.WantLog("a socket at "+address+" was passed for --metrics, which is not there: it is closed", 1)
}

// TestActivationOfMonitorRefused: what HTTP can't be served at is one line.
func TestActivationOfMonitorRefused(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	deaf, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(deaf), "socket")
	defer socket.Close()
	for want, file := range map[string]*os.File{"socket operation on non-socket": null, "nobody listens on it": socket} {
		out, err := activatedMonitor(servertest.Binary(), listenTCP(t, "127.0.0.1:0"), file, "--metrics", "127.0.0.1:0").CombinedOutput()
		want = "ringcached: descriptor 4, the socket ringcached-metrics that was passed: " + want + "\n"
		if err == nil || string(out) != want {
			t.Errorf("%v, %q; want %q", err, out, want)
		}
	}
}
