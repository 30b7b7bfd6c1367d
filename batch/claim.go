package batch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// endingWait is how long a server waits for an address that no process seems to have. The kernel ends the rings of a process that was
	// killed, and closes the sockets that they accept from, after the process: 100 ms after it with thousands of connections.
	endingWait = 10 * time.Second
	// holderWait is how long it waits for one that a process has, which may be about to end.
	holderWait = time.Second

	claimRetry     = 5 * time.Millisecond // from one try to the next: twice as long each time,
	claimRetryMost = 320 * time.Millisecond
)

// ErrUnwanted says that Config.Unwanted has ended New's wait for an address.
var ErrUnwanted = errors.New("stopped while waiting for an address")

// claims are the sockets that claim addresses. They become the first channel's.
type claims struct{ streams, datagrams []listener }

// claim takes the addresses. If somebody else has one of them it fails.
//
// The first socket of an address does not have SO_REUSEPORT until the kernel has given it the address. (It does so for TCP when the socket
// listens.) So of servers that start at the same moment one gets the address. Then SO_REUSEPORT lets the other channels' sockets join the
// first one. Another server's first socket cannot join, because it does not have the option itself.
func (s *Server) claim() (err error) {
	if in := s.config.Inherited; in != nil {
		s.addrs, s.dgrams, s.config.Unix = addresses(in.streams), in.DatagramAddrs(), in.path
		s.unixFD = in.unixFD
		if s.unixFD >= 0 && !s.config.UnixStays {
			s.file = identify(in.path)
		}
		return nil
	}
	if s.first.streams, err = s.claimAll(s.addrs, unix.SOCK_STREAM); err != nil {
		return err
	}
	if s.first.datagrams, err = s.claimAll(s.dgrams, unix.SOCK_DGRAM); err != nil {
		return err
	}
	if path := s.config.Unix; path != "" {
		var replaced string
		s.unixFD, s.file, replaced, err = listenUnix(path, s.config.UnixMode, s.config.Backlog)
		s.ownsPath = err == nil
		if replaced != "" {
			s.config.log(0, "warning: %s listens on %s too: its connections stay, new ones come here", replaced, path)
		}
	}
	return err
}

// claimAll claims each of the addresses, which get their real ports.
func (s *Server) claimAll(addrs []netip.AddrPort, typ int) ([]listener, error) {
	claimed := make([]listener, len(addrs))
	for i := range claimed {
		claimed[i].fd = -1
	}
	for _, i := range claimOrder(addrs) {
		fd, err := s.await(addrs[i], typ, covered(addrs[i], claimed))
		if err == nil {
			claimed[i].fd = fd
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		}
		if err == nil {
			addrs[i], err = withBoundPort(addrs[i], fd)
			claimed[i].addr = addrs[i]
		}
		if err != nil {
			closeListeners(claimed)
			return nil, err
		}
	}
	return claimed, nil
}

// claimOrder returns the indices of the addresses in the order in which every server claims them: of two servers that want the same
// addresses one gets them all. A wildcard comes before the addresses that it covers.
func claimOrder(addrs []netip.AddrPort) []int {
	order := make([]int, len(addrs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return addrs[a].Compare(addrs[b]) })
	return order
}

// covered tells whether the wildcard of addr's family and port is claimed already: then nobody else has addr, and its socket may join.
func covered(addr netip.AddrPort, claimed []listener) bool {
	return slices.ContainsFunc(claimed, func(l listener) bool {
		return l.fd >= 0 && l.addr.Port() == addr.Port() && l.addr.Addr().IsUnspecified() && l.addr.Addr().BitLen() == addr.Addr().BitLen()
	})
}

// await opens the first socket of an address. While the address is in use it waits, if that can help.
func (s *Server) await(addr netip.AddrPort, typ int, join bool) (fd int, err error) {
	begin, told := time.Now(), false
	for pause := claimRetry; ; pause = min(2*pause, claimRetryMost) {
		if typ == unix.SOCK_DGRAM {
			fd, err = datagramSocket(addr, join)
		} else {
			fd, err = listen(addr, s.config.Backlog, join)
		}
		if !errors.Is(err, unix.EADDRINUSE) || addr.Port() == 0 {
			return fd, err
		}
		h := findHolder(addr, typ)
		if time.Since(begin) >= h.patience() {
			return -1, fmt.Errorf("%w (%s)", err, h)
		}
		if h == (holder{}) && !told {
			told = true
			s.config.log(0, "waiting for %v: it is in use, but by no process that can be seen; perhaps one was killed, and the kernel has not closed its sockets yet", addr)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): // at random: two servers that listen at the same moment can both fail
		case <-s.config.Unwanted:
			return -1, ErrUnwanted
		}
	}
}
