package bench

import (
	"sync/atomic"
	"syscall"
)

// sources hands out the local addresses that connections come from.
//
// The client closes first, so each of its ports stays in TIME_WAIT for a minute, and one address has only some 28 000 ports: a run of short
// connections would be over in a second. All of 127.0.0.0/8 is local on Linux, so a load on a loopback server spreads over many addresses.
// Elsewhere the kernel chooses, and a run that exhausts the ports fails with EADDRNOTAVAIL.
type sources struct {
	spread bool
	next   atomic.Uint32
}

const sourceCount = 250

func newSources(server *target, w *Workload) *sources {
	a := server.addr.Addr()
	many := w.RequestsPerConnection > 0 || w.Connections > 20_000
	return &sources{spread: many && server.transport == TransportTCP && a.Is4() && a.IsLoopback()}
}

// bind gives the socket fd its local address, if it needs one. The port is left to connect, which may then use one that other addresses use too.
func (s *sources) bind(fd int) error {
	if !s.spread {
		return nil
	}
	const ipBindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, linux/in.h
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1); err != nil {
		return err
	}
	n := s.next.Add(1) % sourceCount
	return syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(n + 1)}})
}
