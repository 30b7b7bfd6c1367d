package batch

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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
	if _, err := New(c, func(int) Handler { return nil }); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("New: %v; want an error that names the path", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "data" {
		t.Errorf("the file is now %q", got)
	}
}
