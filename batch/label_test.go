package batch

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
)

// labels of two addresses; the unix socket has 0.
var labels = [2]uint8{3, 255}

// withLabels makes a server listen on two addresses that have labels.
func withLabels(c *Config) {
	free := netip.MustParseAddrPort("127.0.0.1:0")
	c.Listen, c.Labels = []netip.AddrPort{free, free}, labels[:]
}

// dialLabel connects to address i.
func (s *server) dialLabel(i int) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addrs()[i].String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// wantLabel expects the Handler to have been told the label of a connection.
func wantLabel(t *testing.T, c net.Conn, label uint8) {
	t.Helper()
	send(t, c, "label\n")
	expect(t, c, fmt.Sprintln(label))
}

// TestLabels: the Handler is told by which listener each connection came, whichever channel serves it, and in whatever server.
func TestLabels(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withUnix(t), withLabels, func(c *Config) { c.Threads = 4 })
		try := func(s *server) {
			for range 8 {
				for i, label := range labels {
					wantLabel(t, s.dialLabel(i), label)
				}
			}
		}
		try(s)
		wantLabel(t, s.dialUnix(), 0)
		for range 50 {
			if s.Stats().Passed > 0 {
				break
			}
			try(s)
		}
		if s.Stats().Passed == 0 {
			t.Error("no connection was passed on")
		}
		next := start(t, change, func(c *Config) { c.Listen, c.Inherited, c.Threads = nil, s.bequeath(), 3 })
		s.stop()
		try(next)
	})
}

// TestLabelOfOneThatWaited: so it is with a connection that had to wait for room.
func TestLabelOfOneThatWaited(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withLabels, func(c *Config) { c.MaxConns, c.Pause = 1, true })
		first := s.dialLabel(0)
		wantLabel(t, first, labels[0])
		second := s.dialLabel(1)
		send(t, second, "label\n")
		_ = first.Close()
		expect(t, second, fmt.Sprintln(labels[1]))
	})
}

// TestNoLabelWithoutAddress: there may be fewer labels than addresses, but not more.
func TestNoLabelWithoutAddress(t *testing.T) {
	c := DefaultConfig()
	withLabels(&c)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Listen = c.Listen[:1]; c.Validate() == nil {
		t.Error("two labels for one address are not refused")
	}
}
