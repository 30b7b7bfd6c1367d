package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/cmd/ringcached/process"
	"ringcached/cmd/ringcached/web"
	"ringcached/internal/servertest"
)

// askMonitor asks for a path at the address of --metrics, on a connection of its own.
func askMonitor(address, path string) (code int, body string, err error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
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
func wantCode(t *testing.T, address, path string, code int) {
	t.Helper()
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		got, text, err := askMonitor(address, path)
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

// TestMonitorIsHandedOver: whoever asks at the address of --metrics is answered by the old server, or by the new one, and never refused. Without -e one of
// them is ready all the time, and with -e none is while the items go over.
func TestMonitorIsHandedOver(t *testing.T) {
	for _, file := range []string{"", "items"} {
		dir := publicDir(t)
		socket, flags, always := filepath.Join(dir, "http"), []string{}, "/readyz"
		if file != "" {
			always = "/livez"
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
				if code, text, err := askMonitor(socket, always); err != nil || code != http.StatusOK {
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
func pidOf(t *testing.T, address string) string {
	t.Helper()
	_, text, err := askMonitor(address, "/stats.json")
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

// listenDeaf listens at a path until the test ends, and accepts nobody: whoever connects is refused, as by a process that has too many clients.
func listenDeaf(t *testing.T, path string) {
	t.Helper()
	socket := func() int {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		return fd
	}
	l := socket()
	if err := errors.Join(syscall.Bind(l, &syscall.SockaddrUnix{Name: path}), syscall.Listen(l, 0)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := syscall.Connect(socket(), &syscall.SockaddrUnix{Name: path}); err == syscall.EAGAIN {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the queue has no end")
}

// TestMonitorOfIPv4: 0.0.0.0 is every address of IPv4 and none of IPv6, as it is for -l.
func TestMonitorOfIPv4(t *testing.T) {
	l, err := new(service).listenHTTP("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a := l.Addr().(*net.TCPAddr); a.IP.To4() == nil {
		t.Errorf("it listens at %v", a)
	}
}

// TestMonitorsAddress: an address that is taken, or makes no sense, is refused with one line; the file of a server that has crashed is not in the way.
func TestMonitorsAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := publicDir(t)
	plain, live, deaf, socket := filepath.Join(dir, "plain"), filepath.Join(dir, "live"), filepath.Join(dir, "deaf"), filepath.Join(dir, "http")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	defer listenUnixAt(t, live).Close()
	listenDeaf(t, deaf)
	for _, c := range []struct{ flags, want string }{
		{"--metrics " + taken.Addr().String(), "address already in use"},
		{"--metrics " + plain, "there is a file that is no socket"},
		{"--metrics " + live, "another process listens there"},
		{"--metrics " + deaf, "another process seems to listen there"},
		{"--metrics /" + strings.Repeat("x", 107), "the path has 108 bytes, and a unix socket's has 107 at most"},
		{"--metrics :-1", "want a port"},
		{"--metrics 127.0.0.1:9150:9150", "want host:port"},
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
	left := listenUnixAt(t, socket)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	server := servertest.Start(t, "epoll", "--metrics", socket, "-a", "0750")
	wantCode(t, socket, "/readyz", http.StatusOK)
	info, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if mode, owner := info.Mode().Perm(), fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid); mode != 0o750 || owner != strings.Fields(server.Status(t, "Uid"))[0] {
		t.Errorf("the socket has mode %o and belongs to user %s", mode, owner)
	}
}

// TestMonitorWhenFull: with as many clients as there may be, of the cache and of HTTP, there are descriptors for all.
func TestMonitorWhenFull(t *testing.T) {
	const connections = 50
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		socket := filepath.Join(publicDir(t), "http")
		server := servertest.StartLimited(t, engine, process.FilesNeeded(connections, 1, web.FilesMost),
			"-t", "1", "-c", fmt.Sprint(connections), "--metrics", socket)
		for range web.FilesMost { // they ask for nothing, until they are cut off
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		for range connections {
			answer(t, server.Dial(t), "version", 1)
		}
		wantCode(t, socket, "/readyz", http.StatusOK)
		if log := server.Log(); strings.Contains(log, "warning: ") || strings.Contains(log, syscall.EMFILE.Error()) {
			t.Error(log)
		}
	})
}

// TestMonitorWithoutDescriptors: where the system gives too few, whoever asks waits until there is one again.
func TestMonitorWithoutDescriptors(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		socket := filepath.Join(publicDir(t), "http")
		server := servertest.StartLimited(t, engine, 60, "-t", "1", "-c", "60", "--metrics", socket)
		var conns []net.Conn
		for range 60 {
			conns = append(conns, server.Dial(t)) // the kernel completes it, accepted or not
		}
		refused := false
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			_ = conns[0].SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(conns[0], "stats batch\r\n"); err != nil {
				return err
			}
			for in := bufio.NewScanner(conns[0]); in.Scan() && in.Text() != "END"; {
				if n, found := strings.CutPrefix(in.Text(), "STAT accept_errors "); found && n != "0" {
					refused = true
				}
			}
			if !refused {
				return errors.New("there are descriptors still")
			}
			return nil
		})
		answered := make(chan error, 1)
		go func() {
			code, text, err := askMonitor(socket, "/readyz")
			if err == nil && code != http.StatusOK {
				err = fmt.Errorf("%d %q", code, text)
			}
			answered <- err
		}()
		for _, conn := range conns {
			conn.Close()
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}
