package batch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/internal/servertest"
)

func withUnix(t *testing.T) func(*Config) {
	path := filepath.Join(t.TempDir(), "socket")
	return func(c *Config) {
		c.Listen, c.Unix, c.UnixMode = nil, path, 0o600
	}
}

func TestUnixSocket(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withUnix(t))
		if info, err := os.Stat(s.socket); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("socket %v, %v; want mode 0600", info, err)
		}
		var wg sync.WaitGroup
		for range 10 {
			c := s.dialUnix()
			wg.Go(func() {
				requests, replies := echoes(0, 300)
				go func() { _, _ = io.WriteString(c, requests+"ref 1000000\n") }()
				expect(t, c, replies+string(pattern(1000000))+"\n")
			})
		}
		wg.Wait()
		s.stop()
		if _, err := os.Stat(s.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
}

// TestUnixEnds closes connections right behind the last data, orderly or not, with and
// without replies: each must be seen to end.
func TestUnixEnds(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, withUnix(t))
		const clients = 100
		for i := range clients {
			c := s.dialUnix()
			send(t, c, []string{"echo unfin", "echo done\n"}[i%2])
			if i%4 < 2 {
				_ = c.Close()
			} else {
				_ = c.CloseWrite()
			}
		}
		eventually(t, "all connections are gone", func() bool { return s.Stats().Conns == 0 && s.Stats().Accepted == clients })
	})
}

// TestUnixHalfClose: a client that ends its output right behind a request is answered and closed at once, and not at the next tick.
func TestUnixHalfClose(t *testing.T) {
	const clients = 30
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, withUnix(t))
		begin := time.Now()
		for range clients { // one after the other: with a tick for each it takes as many seconds
			c := s.dialUnix()
			send(t, c, "echo last\n")
			_ = c.CloseWrite()
			expect(t, c, "last\n")
			expectEnd(t, c)
			_ = c.Close()
		}
		if ticks := time.Since(begin) / tick; ticks > clients/2*servertest.Slow {
			t.Errorf("%d clients took %d ticks", clients, ticks)
		}
	})
}

func TestUnixSocketReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	s := start(t, func(c *Config) { c.Listen, c.Unix, c.UnixMode = nil, path, 0o700 })
	c := s.dialUnix()
	send(t, c, "echo new\n")
	expect(t, c, "new\n")
}

func TestUnixSocketIsNotAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Unix, c.UnixMode = path, 0o700
	if _, err := New(c, func(int) contract.Handler { return nil }); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("New: %v; want an error that names the path", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "data" {
		t.Errorf("the file is now %q", got)
	}
}

// TestUnixSocketTaken: a server takes the path of one that is still there, says so, and keeps it when that one ends.
func TestUnixSocketTaken(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		path := withUnix(t)
		first := start(t, change, path)
		old := first.dialUnix()
		said := make(chan string, 10)
		second := start(t, change, path, func(c *Config) {
			c.Log = func(_ int, format string, args ...any) { said <- fmt.Sprintf(format, args...) }
		})
		if want := fmt.Sprintf("warning: process %d listens on %s too", os.Getpid(), second.socket); len(said) == 0 || !strings.HasPrefix(<-said, want) {
			t.Errorf("it did not say %q", want)
		}
		send(t, old, "echo old\n")
		expect(t, old, "old\n")
		if first.HasUnixPath() || !second.HasUnixPath() {
			t.Error("the path is still the first server's")
		}
		first.stop()
		c := second.dialUnix()
		send(t, c, "echo new\n")
		expect(t, c, "new\n")
		second.stop()
		if _, err := os.Lstat(second.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
}

// TestUnixSocketGivenAway: the last server removes the socket, unless it has become another's.
func TestUnixSocketGivenAway(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for _, taken := range []bool{false, true} {
			path := withUnix(t)
			first := start(t, change, path)
			next := start(t, change, func(c *Config) { c.Listen, c.Inherited, c.Hold = nil, first.bequeath(), true })
			next.socket = first.socket
			first.Release()
			next.Accept()
			first.stop()
			c := next.dialUnix()
			send(t, c, "echo next\n")
			expect(t, c, "next\n")
			if peer, err := unix.GetsockoptUcred(descriptorOf(c), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil || int(peer.Pid) != os.Getpid() {
				t.Errorf("peer %v, %v", peer, err)
			}
			if taken {
				start(t, change, path)
			}
			next.stop()
			if _, err := os.Lstat(first.socket); taken != (err == nil) {
				t.Errorf("taken by another server %v: %v", taken, err)
			}
		}
	})
}

// TestUnixSocketRelative: a server that has changed its directory removes the socket all the same; and @ is the beginning of a name like any
// other.
func TestUnixSocketRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"socket", "@socket"} {
		s := start(t, func(c *Config) { c.Listen, c.Unix, c.UnixMode = nil, name, 0o600 })
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
		if err := os.Chdir("/"); err != nil {
			t.Fatal(err)
		}
		s.stop()
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
		if err := os.Chdir(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnixServersAtOnce: of servers that start on one path at the same moment, the last has it, and keeps it while the others end.
func TestUnixServersAtOnce(t *testing.T) {
	for range 20 {
		path := withUnix(t)
		made := make([]*Server, 4)
		var all sync.WaitGroup
		for i := range made {
			all.Go(func() {
				var err error
				if made[i], err = claiming(t, path); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		var has []*Server
		for _, s := range made {
			if s.HasUnixPath() {
				has = append(has, s)
			} else {
				s.Close()
			}
		}
		if len(has) != 1 || !has[0].HasUnixPath() {
			t.Fatalf("%d servers have the path", len(has))
		}
		c, err := net.DialTimeout("unix", has[0].UnixPath(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

// TestUnixPathTooLong: the error says how long a path may be.
func TestUnixPathTooLong(t *testing.T) {
	dir := t.TempDir()
	for n, want := range map[int]string{mostPath: "", mostPath + 1: "the path has 108 bytes, and a unix socket's has 107 at most"} {
		path := filepath.Join(dir, strings.Repeat("x", n-len(dir)-1))
		_, err := claiming(t, func(c *Config) { c.Unix, c.UnixMode = path, 0o700 })
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%d bytes: %v; want %q", n, err, want)
		}
	}
}
