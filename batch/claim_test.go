package batch

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
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

// TestWaitUnwanted: a server that is told to stop does not wait for its address any longer.
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
