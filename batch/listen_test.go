package batch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/internal/servertest"
)

// claiming makes a server, which has its addresses until the end of the test, and does not serve.
func claiming(t *testing.T, change ...func(*Config)) (*Server, error) {
	t.Helper()
	c := DefaultConfig()
	c.Threads = 2
	for _, f := range change {
		f(&c)
	}
	s, err := New(c, func(int) contract.Handler { return &lines{} })
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

// on makes a server listen, or receive datagrams, on addresses.
func on(udp bool, addrs ...string) func(*Config) {
	return func(c *Config) {
		list := &c.Listen
		if udp {
			list = &c.Datagram
		}
		for _, a := range addrs {
			*list = append(*list, netip.MustParseAddrPort(a))
		}
	}
}

func useOneQueue(c *Config) { c.OneQueue = true }

// withPort is an address with the port of a server's first one.
func withPort(host string, s *Server) string {
	return fmt.Sprintf("%s:%d", host, append(s.Addrs(), s.DatagramAddrs()...)[0].Port())
}

// TestOneServerPerAddress: of two servers that want the same address, or one that covers the other's, the second fails, and says who is in
// its way.
func TestOneServerPerAddress(t *testing.T) {
	pairs := [][2]string{
		{"127.0.0.1", "127.0.0.1"}, {"0.0.0.0", "127.0.0.1"}, {"127.0.0.1", "0.0.0.0"},
		{"[::1]", "[::1]"}, {"[::]", "[::1]"}, {"[::1]", "[::]"},
	}
	for _, kind := range []struct {
		name   string
		udp    bool
		change func(*Config)
	}{
		{"TCP", false, func(*Config) {}}, {"TCP, one queue", false, useOneQueue}, {"UDP", true, func(*Config) {}},
	} {
		for _, pair := range pairs {
			t.Run(kind.name+", "+pair[0]+" and "+pair[1], func(t *testing.T) {
				t.Parallel()
				first, err := claiming(t, kind.change, on(kind.udp, pair[0]+":0"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = claiming(t, kind.change, on(kind.udp, withPort(pair[1], first)))
				if want := fmt.Sprintf("(by process %d, ", os.Getpid()); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), want) {
					t.Errorf("the second server: %v; want one that is in use %s", err, want)
				}
			})
		}
	}
}

// TestOwnAddressesOverlap: a server may listen on an address and on the wildcard that covers it, in whatever order they are named.
func TestOwnAddressesOverlap(t *testing.T) {
	for _, udp := range []bool{false, true} {
		for _, hosts := range [][2]string{{"0.0.0.0", "127.0.0.1"}, {"127.0.0.1", "0.0.0.0"}, {"[::1]", "[::]"}} {
			first, err := claiming(t, on(udp, hosts[0]+":0"))
			if err != nil {
				t.Fatal(err)
			}
			first.Close()
			s, err := claiming(t, on(udp, withPort(hosts[0], first), withPort(hosts[1], first)))
			if err != nil {
				t.Errorf("UDP %v, %v: %v", udp, hosts, err)
				continue
			}
			if got := append(s.Addrs(), s.DatagramAddrs()...); len(got) != 2 || got[0].String() != withPort(hosts[0], first) {
				t.Errorf("UDP %v, %v: listens on %v", udp, hosts, got)
			}
			s.Close()
		}
	}
}

// TestServersAtOnce starts several servers at the same moment, again and again: one of them gets the address.
func TestServersAtOnce(t *testing.T) {
	const rounds, servers = 15, 4
	for _, kind := range []struct {
		name   string
		udp    bool
		change func(*Config)
	}{
		{"TCP", false, func(*Config) {}}, {"one queue", false, useOneQueue}, {"UDP", true, func(*Config) {}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			for range rounds {
				last, err := claiming(t, on(kind.udp, "127.0.0.1:0"))
				if err != nil {
					t.Fatal(err)
				}
				addr := withPort("127.0.0.1", last)
				last.Close()
				if n := startAtOnce(t, servers, kind.change, on(kind.udp, addr)); n != 1 {
					t.Fatalf("%d servers have %s", n, addr)
				}
			}
		})
	}
}

// startAtOnce returns how many of the servers got their address. As soon as one has, the others need not wait for it.
func startAtOnce(t *testing.T, servers int, change ...func(*Config)) int {
	t.Helper()
	var got atomic.Int32
	var all sync.WaitGroup
	begin, taken := make(chan struct{}), make(chan struct{})
	made := make([]*Server, servers)
	for i := range servers {
		all.Go(func() {
			<-begin
			var err error
			made[i], err = claiming(t, append(change, func(c *Config) { c.Unwanted = taken })...)
			switch {
			case err == nil && got.Add(1) == 1:
				close(taken)
			case err != nil && !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, ErrUnwanted):
				t.Error(err)
			}
		})
	}
	close(begin)
	all.Wait()
	for _, s := range made {
		if s != nil {
			s.Close()
		}
	}
	return int(got.Load())
}

// hideSocket binds a socket as a server does and keeps it without a descriptor: a message that nobody has received holds it. So a ring
// holds the sockets of a process that was killed.
func hideSocket(t *testing.T, udp bool) (addr string, end func()) {
	t.Helper()
	s, err := claiming(t, on(udp, "127.0.0.1:0"), func(c *Config) { c.Threads = 1 })
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := s.Listening()
	if err != nil {
		t.Fatal(err)
	}
	var fds []int
	for _, l := range sockets {
		fds = append(fds, l.FD)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(fds...), nil, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	closeAll(fds)
	s.Close()
	return withPort("127.0.0.1", s), sync.OnceFunc(func() { closeAll(pair[:]) })
}

// TestAddressOfTheDead: an address that no process has any more is waited for, and the log says so.
func TestAddressOfTheDead(t *testing.T) {
	for _, udp := range []bool{false, true} {
		t.Run(fmt.Sprintf("UDP %v", udp), func(t *testing.T) {
			addr, end := hideSocket(t, udp)
			defer end()
			said := make(chan string, 10)
			_, err := claiming(t, on(udp, addr), func(c *Config) {
				c.Log = func(level int, format string, args ...any) {
					said <- fmt.Sprintf("%d "+format, append([]any{level}, args...)...)
					end()
				}
			})
			if err != nil {
				t.Error(err)
			}
			if want := "0 waiting for " + addr + ": "; len(said) != 1 || !strings.HasPrefix(<-said, want) {
				t.Errorf("%d messages; want one that begins with %q", len(said), want)
			}
		})
	}
}

// TestWaitUnwanted: a server that has to stop does not wait for its address any longer.
func TestWaitUnwanted(t *testing.T) {
	addr, end := hideSocket(t, false)
	defer end()
	unwanted := make(chan struct{})
	_, err := claiming(t, on(false, addr), func(c *Config) {
		c.Unwanted = unwanted
		c.Log = func(int, string, ...any) { close(unwanted) }
	})
	if !errors.Is(err, ErrUnwanted) {
		t.Errorf("%v, want %v", err, ErrUnwanted)
	}
}

// TestTimeWait: connections that a server has closed do not keep the next one from its address.
func TestTimeWait(t *testing.T) {
	for _, change := range []func(*Config){func(*Config) {}, useOneQueue} {
		s := start(t, change)
		for range 5 {
			c := s.dial()
			send(t, c, "quit\n")
			expectEnd(t, c)
			_ = c.Close()
		}
		left := s.dial()
		send(t, left, "echo x\n")
		expect(t, left, "x\n")
		s.stop()
		begin := time.Now()
		if _, err := claiming(t, change, on(false, withPort("127.0.0.1", s.Server))); err != nil {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	}
}

// TestParseSocket reads lines as the kernel writes them.
func TestParseSocket(t *testing.T) {
	for line, want := range map[string]kernelSocket{
		"   0: 0100007F:2BCB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 38541 1 0000000000000000 100 0 0 10 0":                                             {netip.MustParseAddrPort("127.0.0.1:11211"), stateListen, 0, "38541"},
		"   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 7 1 0000000000000000 100 0 0 10 0": {netip.MustParseAddrPort("[::1]:80"), stateListen, 65534, "7"},
		" 1234: 00000000:2BCB 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 99 2 0000000000000000 0":                                                          {netip.MustParseAddrPort("0.0.0.0:11211"), 7, 1000, "99"},
	} {
		if got, ok := parseSocket(line); !ok || got != want {
			t.Errorf("%q: %v, %v; want %v", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "0: 1 2 3", "0: XX:1 0:0 0A 0:0 0:0 0 0 0 5", "0: 0100007F:1 0:0 ZZ 0:0 0:0 0 0 0 5"} {
		if got, ok := parseSocket(line); ok {
			t.Errorf("%q is %v", line, got)
		}
	}
}

// TestShare: whoever has how many threads, each socket is somebody's, and each thread has one of each address.
func TestShare(t *testing.T) {
	addrs := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:1")}
	for sockets := 1; sockets <= 5; sockets++ {
		for channels := 1; channels <= 5; channels++ {
			t.Run(fmt.Sprint(sockets, "sockets", channels, "channels"), func(t *testing.T) {
				var all []listener
				for range sockets {
					for _, addr := range addrs {
						fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // anything that can be duplicated
						if err != nil {
							t.Fatal(err)
						}
						all = append(all, listener{fd: fd, addr: addr})
					}
				}
				taken := map[int]bool{}
				for channel := range channels {
					part, err := share(all, channel, channels)
					if err != nil {
						t.Fatal(err)
					}
					defer closeListeners(part)
					for _, addr := range addrs {
						if n := count(part, func(l listener) bool { return l.addr == addr }); n == 0 || n > (sockets+channels-1)/channels {
							t.Errorf("channel %d has %d sockets of %v", channel, n, addr)
						}
					}
					for _, l := range part {
						if taken[l.fd] {
							t.Errorf("descriptor %d has two owners", l.fd)
						}
						taken[l.fd] = true
					}
				}
				for _, l := range all {
					if !taken[l.fd] {
						t.Errorf("nobody accepts from %d", l.fd)
					}
				}
				if len(taken) != len(addrs)*max(sockets, channels) {
					t.Errorf("%d descriptors", len(taken))
				}
			})
		}
	}
}

func count(ls []listener, is func(listener) bool) (n int) {
	for _, l := range ls {
		if is(l) {
			n++
		}
	}
	return n
}

// TestZoneOfInherited: an address of one link only is of that link for whoever gets the socket.
func TestZoneOfInherited(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("fe80::1")
	got := listenAddress(&unix.SockaddrInet6{Addr: addr.As16(), Port: 11211, ZoneId: uint32(lo.Index)})
	if want := netip.AddrPortFrom(addr.WithZone("lo"), 11211); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if sa, _ := sockaddr(got).(*unix.SockaddrInet6); sa == nil || sa.ZoneId != uint32(lo.Index) {
		t.Errorf("bound as %+v", sa)
	}
}

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
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
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
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
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
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
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
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
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
