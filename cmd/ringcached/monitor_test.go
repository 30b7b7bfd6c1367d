package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// askMonitor asks for a path at the unix socket of --metrics, on a connection of its own.
func askMonitor(socket, path string) (code int, body string, err error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	client := http.Client{Transport: transport, Timeout: patience}
	answer, err := client.Get("http://monitor" + path)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// wantCode waits until a path is answered with code.
func wantCode(t *testing.T, socket, path string, code int) {
	t.Helper()
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		got, text, err := askMonitor(socket, path)
		if err != nil || got != code {
			return fmt.Errorf("%s answers %d %q, %v", path, got, text, err)
		}
		return nil
	})
}

// TestDraining: after a first signal the server is alive and not ready, and serves clients until a second one comes, which stops it as a first one does.
func TestDraining(t *testing.T) {
	for _, engine := range servertest.Engines() {
		socket := filepath.Join(publicDir(t), "http")
		server := servertest.Start(t, engine, "--metrics", socket, "--drain-delay", "1h")
		wantCode(t, socket, "/readyz", http.StatusOK)
		if err := server.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		wantCode(t, socket, "/readyz", http.StatusServiceUnavailable)
		for _, path := range []string{"/livez", "/metrics", "/stats.json"} {
			if code, text, err := askMonitor(socket, path); code != http.StatusOK || err != nil {
				t.Errorf("%s while draining: %d %q, %v", path, code, text, err)
			}
		}
		if version := server.Stats(t)["version"]; version == "" { // over a new connection
			t.Error("a client is not served while the server drains")
		}
		if err := server.Stop(); err != nil { // by a second signal
			t.Errorf("stopping: %v\n%s", err, server.Log())
		}
		if _, err := os.Lstat(socket); !os.IsNotExist(err) {
			t.Errorf("the file of the socket: %v", err)
		}
	}
}

// TestMonitorIsHandedOver: whoever asks at the address of --metrics is answered by the old server, or by the new one, and never refused.
func TestMonitorIsHandedOver(t *testing.T) {
	for _, file := range []string{"", "items"} {
		dir := publicDir(t)
		socket, flags := filepath.Join(dir, "http"), []string{}
		if file != "" {
			flags = []string{"-e", filepath.Join(dir, file)}
		}
		l := startLineage(t, "epoll", append(flags, "--metrics", socket)...)
		wantCode(t, socket, "/readyz", http.StatusOK)
		before := pidOf(t, socket)
		asked, done := make(chan error, 1), make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					asked <- nil
					return
				default:
				}
				if code, text, err := askMonitor(socket, "/livez"); err != nil || code != http.StatusOK {
					asked <- fmt.Errorf("%d %q: %w", code, text, err)
					return
				}
			}
		}()
		l.Signal(syscall.SIGUSR2)
		l.Follow()
		wantCode(t, socket, "/readyz", http.StatusOK)
		close(done)
		if err := <-asked; err != nil {
			t.Errorf("-e %q: %v", file, err)
		}
		if after := pidOf(t, socket); after == before {
			t.Errorf("-e %q: process %s still answers", file, after)
		}
	}
}

// pidOf is the process that /stats.json is about.
func pidOf(t *testing.T, socket string) string {
	t.Helper()
	_, text, err := askMonitor(socket, "/stats.json")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(text, `"pid":"`)
	pid, _, _ := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no pid in %q", text)
	}
	return pid
}

// TestMonitorsAddress: an address that is taken, or makes no sense, is refused with one line; the file of a server that has crashed is not in the way.
func TestMonitorsAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct{ flags, want string }{
		{"--metrics " + taken.Addr().String(), "address already in use"},
		{"--metrics localhost", "want host:port"},
		{"--metrics :http", "want a port"},
		{"--metrics :70000", "want a port"},
		{"--metrics /nowhere/at/all", "no such file"},
		{"--metrics-keys", "--metrics-keys needs --metrics"},
		{"--drain-delay 2h", "--drain-delay"},
	} {
		var stderr strings.Builder
		args := append([]string{appName, "-l", "127.0.0.1", "-p", "-1", "-u", "nobody"}, strings.Fields(c.flags)...)
		if code := run(args, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), c.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", c.flags, code, stderr.String())
		}
	}
	socket := filepath.Join(publicDir(t), "http")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	servertest.Start(t, "epoll", "--metrics", socket)
	wantCode(t, socket, "/readyz", http.StatusOK)
}
