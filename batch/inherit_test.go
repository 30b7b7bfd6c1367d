package batch

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

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
