package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/cmd/ringcached/process"
	"ringcached/internal/servertest"
)

// activated is a command that starts the server as systemd does: with sockets, or whatever the files are, from descriptor 3 on.
func activated(program string, files []*os.File, flags ...string) *exec.Cmd {
	script := fmt.Sprintf(`export LISTEN_PID=$$ LISTEN_FDS=%d; exec "$0" "$@"`, len(files))
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, program, "-v", "-u", "nobody"}, flags...)...)
	cmd.ExtraFiles = files
	return cmd
}

// fileOf is a descriptor of a socket, which is then closed.
func fileOf(t *testing.T, socket interface {
	File() (*os.File, error)
	Close() error
}, err error) *os.File {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := socket.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false)
	}
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	socket.Close()
	t.Cleanup(func() { f.Close() })
	return f
}

// listenTCP and its like are the sockets of a unit.
func listenTCP(t *testing.T, addr string) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, l.(*net.TCPListener), err)
}

func listenUnixAt(t *testing.T, path string) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	return fileOf(t, l, err)
}

func listenUDP(t *testing.T) *os.File {
	t.Helper()
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return fileOf(t, l, err)
}

// supervisor collects what servers tell systemd.
func supervisor(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(publicDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		buf := make([]byte, 1000)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

// TestActivation serves what it is given, of every kind, with fewer and with more threads than sockets; hands over; and leaves the unix
// socket to the process that made it.
func TestActivation(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, threads := range []string{"1", "3"} {
			told := supervisor(t)
			path := filepath.Join(publicDir(t), "socket")
			files := []*os.File{listenTCP(t, "127.0.0.1:0"), listenTCP(t, "[::1]:0"), listenUnixAt(t, path), listenUDP(t)}
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
			l := newLineage(t)
			l.start(activated(l.program, files, "--engine", engine, "-t", threads, "-p", "1", "-l", "192.0.2.1"))
			if got, want := told(), fmt.Sprintf("READY=1\nMAINPID=%d", l.PID); got != want {
				t.Errorf("systemd got %q, want %q", got, want)
			}
			wantServed := func(servers int) {
				t.Helper()
				l.WantLog("listening on ", servers)
				said := l.Said()
				_, places, _ := strings.Cut(said[strings.LastIndex(said, "listening on"):], "listening on ")
				list := strings.Split(strings.TrimSpace(strings.Split(places, "\n")[0]), ", ")
				if len(list) != len(files) || list[3] != path {
					t.Fatalf("listens on %q", list)
				}
				for range 2 * len(files) {
					for _, addr := range list {
						if host, udp := strings.CutSuffix(addr, "/udp"); udp {
							conn, err := net.Dial("udp", host)
							if err != nil {
								t.Fatal(err)
							}
							if got := ask(t, conn, 1, "version\r\n"); got != "VERSION "+memcachedVersion+"\r\n" {
								t.Errorf("%s: %q", addr, got)
							}
							conn.Close()
							continue
						}
						l.addr = addr
						if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
							t.Errorf("%s: %q", addr, got)
						}
					}
				}
			}
			wantServed(1)
			l.handOver()
			if got, want := told(), fmt.Sprintf("MAINPID=%d", l.PID); got != want {
				t.Errorf("systemd got %q, want %q", got, want)
			}
			if got, want := told(), fmt.Sprintf("READY=1\nMAINPID=%d", l.PID); got != want {
				t.Errorf("systemd got %q, want %q", got, want)
			}
			wantServed(2)
			l.Signal(syscall.SIGTERM)
			l.WantGone(l.PID)
			if got := told(); got != "STOPPING=1" {
				t.Errorf("systemd got %q", got)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("the unix socket: %v", err)
			}
		}
	})
}

// TestActivationWithoutProtocol: sockets that others have made know of no protocol but that of -B, and the server says so.
func TestActivationWithoutProtocol(t *testing.T) {
	l := newLineage(t)
	l.start(activated(l.program, []*os.File{listenTCP(t, "127.0.0.1:0")}, "--engine", "epoll", "-l", "proto[binary]:127.0.0.1", "-B", "ascii"))
	l.WantLog("-l proto[binary]:127.0.0.1: the protocol has no effect: sockets were passed", 1)
	if got := strings.Join(protocolsAt(t, l.addr), " "); got != "text" {
		t.Errorf("clients speak %q", got)
	}
}

// TestActivationRefused: what can't be served is an error that says which descriptor it is.
func TestActivationRefused(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	socket := func(domain, kind int) *os.File {
		t.Helper()
		fd, err := syscall.Socket(domain, kind|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "socket")
		t.Cleanup(func() { f.Close() })
		return f
	}
	dir := publicDir(t)
	good := listenTCP(t, "127.0.0.1:0")
	for want, files := range map[string][]*os.File{
		"LISTEN_FDS=1: descriptor 3: not a socket":                                            {null},
		"LISTEN_FDS=2: descriptor 4: a socket that is not listened on":                        {good, socket(syscall.AF_INET, syscall.SOCK_STREAM)},
		"LISTEN_FDS=1: descriptor 3: a UDP socket without a port":                             {socket(syscall.AF_INET, syscall.SOCK_DGRAM)},
		"LISTEN_FDS=1: descriptor 3: neither a TCP, nor a UDP, nor a unix stream socket":      {socket(syscall.AF_UNIX, syscall.SOCK_DGRAM)},
		"LISTEN_FDS=2: descriptor 4: a second unix socket: one is served at most":             {listenUnixAt(t, filepath.Join(dir, "a")), listenUnixAt(t, filepath.Join(dir, "b"))},
		"-d, --daemon can't be used with sockets that were passed (LISTEN_FDS): a unit with ": {good},
	} {
		var flags []string
		if strings.HasPrefix(want, "-d") {
			flags = []string{"-d"}
		}
		out, err := activated(servertest.Binary(), files, flags...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "ringcached: "+want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%v, %q; want %q", err, out, want)
		}
	}
}

// TestActivationOfSomebodyElse: what was passed to another process is none of ours.
func TestActivationOfSomebodyElse(t *testing.T) {
	t.Setenv(process.ListenPID, "1")
	t.Setenv(process.ListenFDs, "1")
	l := startLineage(t, "epoll")
	if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
		t.Errorf("%q", got)
	}
}
