package batch

import (
	"net/netip"
	"os"
	"testing"
	"time"
)

// bequeath returns the server's sockets for another one to serve.
func (s *server) bequeath() *Inherited {
	s.t.Helper()
	fds, err := s.Listening()
	if err != nil {
		s.t.Fatal(err)
	}
	inherited, err := Inherit(fds)
	if err != nil {
		s.t.Fatal(err)
	}
	return inherited
}

// TestRelease gives a server's sockets to another one: at no time do both take connections or datagrams from them, what comes between is
// kept, and connections that were there before are served.
func TestRelease(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		old := start(t, change, withDatagrams)
		before := old.dial()
		send(t, before, "echo before\n")
		expect(t, before, "before\n")

		inherited := old.bequeath()
		ready := make(chan struct{})
		next := start(t, change, func(c *Config) {
			c.Listen, c.Inherited, c.Hold, c.Threads = nil, inherited, true, 1
			c.Ready = func() { close(ready) }
		})
		<-ready
		if got, want := next.Addrs(), old.Addrs(); len(got) != 1 || got[0] != want[0] {
			t.Fatalf("the new server listens on %v, the old one on %v", got, want)
		}
		first := old.dial()
		send(t, first, "echo first\n")
		expect(t, first, "first\n")
		if n := next.Stats().Accepted; n != 0 {
			t.Fatalf("a server that is held back accepted %d connections", n)
		}

		old.Release()
		const many = 20
		accepted := old.Stats().Accepted
		for range many {
			c := next.dial()
			send(t, c, "echo between\n")
			defer expect(t, c, "between\n")
		}
		datagram := dialDatagram(t, next.DatagramAddrs()[0])
		if _, err := datagram.Write(append([]byte{0, 1, 0, 0, 0, 1, 0, 0}, "echo datagram\n"...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // for whoever would take them wrongly
		if a, b := old.Stats().Accepted-accepted, next.Stats().Accepted; a != 0 || b != 0 {
			t.Errorf("before Accept the old server accepted %d, the new one %d", a, b)
		}
		if a, b := old.datagrams.Load(), next.datagrams.Load(); a != 0 || b != 0 {
			t.Errorf("before Accept the old server read %d datagrams, the new one %d", a, b)
		}
		send(t, before, "echo after\n")
		expect(t, before, "after\n")

		next.Accept()
		eventually(t, "the new server has them all", func() bool { return next.Stats().Accepted == many })
		buf := make([]byte, 100)
		_ = datagram.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := datagram.Read(buf); err != nil || string(buf[8:n]) != "datagram\n" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		old.stop()
		last := next.dial()
		send(t, last, "echo last\n")
		expect(t, last, "last\n")
	})
}

// TestReleaseUnix: the path of a unix socket goes away with the server that has it last.
func TestReleaseUnix(t *testing.T) {
	old := start(t, withUnix(t))
	path := old.socket
	inherited := old.bequeath()
	next := start(t, func(c *Config) { c.Listen, c.Inherited, c.Hold = []netip.AddrPort{}, inherited, true })
	old.Release()
	next.Accept()
	next.socket = next.UnixPath()
	old.stop()
	c := next.dialUnix()
	send(t, c, "echo x\n")
	expect(t, c, "x\n")
	next.stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

// TestReleaseOfStopped: who wants to release a server that has stopped need not wait.
func TestReleaseOfStopped(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		ready := make(chan struct{})
		s := start(t, change, func(c *Config) { c.Ready = func() { close(ready) } })
		<-ready
		s.stop()
		s.Release()
		if fds, err := s.Listening(); err == nil {
			t.Errorf("it listens on %v", fds)
		}
	})
}
