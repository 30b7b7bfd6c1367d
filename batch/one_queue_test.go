package batch

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOneQueue: with Config.OneQueue there is one listening socket for all channels, which serve, stop and give it away as with one each.
func TestOneQueue(t *testing.T) {
	const threads = 3
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for _, one := range []bool{false, true} {
			s := start(t, change, withDatagrams, func(c *Config) { c.Threads, c.OneQueue = threads, one })
			sockets, err := s.Listening()
			if err != nil {
				t.Fatal(err)
			}
			streams := 0
			for _, l := range sockets {
				if typ, err := unix.GetsockoptInt(l.FD, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
					t.Error(err)
				} else if typ == unix.SOCK_STREAM {
					streams++
				}
				_ = unix.Close(l.FD)
			}
			want, dgrams := threads, threads*len(s.DatagramAddrs())
			if one {
				want = 1
			}
			if streams != want || len(sockets)-streams != dgrams {
				t.Errorf("one queue %v: %d TCP sockets and %d for datagrams of %d channels, want %d and %d", one, streams, len(sockets)-streams, threads, want, dgrams)
			}
			for range 20 {
				c := s.dial()
				send(t, c, "echo served\n")
				expect(t, c, "served\n")
			}
			next := start(t, change, func(c *Config) { c.Listen, c.Inherited, c.Threads, c.OneQueue = nil, s.bequeath(), threads, one })
			s.stop()
			c := next.dial()
			send(t, c, "echo given away\n")
			expect(t, c, "given away\n")
		}
	})
}

// TestOneQueueIsNotSteered: there is nothing to choose from.
func TestOneQueueIsNotSteered(t *testing.T) {
	c := DefaultConfig()
	c.Listen, c.Threads, c.Affinity, c.Steer = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, 1, true, true
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.OneQueue = true; c.Validate() == nil {
		t.Error("steering with one queue is not refused")
	}
}
