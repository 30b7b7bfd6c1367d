package batch

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// listener is a socket that is listened on, or one that receives datagrams.
type listener struct {
	fd     int
	addr   netip.AddrPort // not valid: it is the unix socket
	shared bool           // a duplicate of a descriptor that another channel, or the server, has
	index  int            // place among the sockets of the same address
	label  uint8          // for Handler.Open
}

func (l listener) isUnix() bool { return !l.addr.IsValid() }

func closeListeners(ls []listener) {
	for _, l := range ls {
		_ = unix.Close(l.fd)
	}
}

// duplicate is another descriptor of the same socket.
func (l listener) duplicate() (listener, error) {
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 0)
	l.fd, l.shared = fd, true
	return l, os.NewSyscallError("fcntl", err)
}

// duplicates are other descriptors of the TCP sockets among ls.
func duplicates(ls []listener) (others []listener, err error) {
	for _, l := range ls {
		if l.isUnix() {
			continue
		}
		if l, err = l.duplicate(); err != nil {
			return others, err
		}
		others = append(others, l)
	}
	return others, nil
}

// option is a socket option that is switched on.
type option struct{ level, name int }

var (
	streamOptions = append([]option{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR}, // connections in TIME_WAIT are no obstacle
	}, acceptedOptions...)
	// acceptedOptions are those of the listener that accepted connections are to have, too.
	acceptedOptions = []option{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY},
	}
	// joinOption lets a socket have the address of others that have it, too, and are of the same user.
	joinOption = option{unix.SOL_SOCKET, unix.SO_REUSEPORT}
)

// listen opens a listening socket for addr. Each channel has one of its own for every
// address: SO_REUSEPORT lets the kernel spread new connections over them, so that
// accepting shares nothing between cores (MegaPipe's partitioned accept queue); but see
// Config.OneQueue. join is for all sockets of an address but the first, see Server.claim.
// Accepted sockets inherit TCP_NODELAY and SO_KEEPALIVE.
func listen(addr netip.AddrPort, backlog int, join bool) (fd int, err error) {
	if fd, err = bound(addr, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, join, streamOptions...); err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listening on %v: %w", addr, os.NewSyscallError("listen", err))
	}
	return fd, nil
}

// datagramSocket opens a UDP socket for addr, one for each channel like the listeners:
// the kernel gives all datagrams of one peer to the same channel.
func datagramSocket(addr netip.AddrPort, join bool) (fd int, err error) {
	return bound(addr, unix.SOCK_DGRAM, join)
}

// bound opens a socket of the given type with options, bound to addr.
func bound(addr netip.AddrPort, typ int, join bool, options ...option) (fd int, err error) {
	if join {
		options = append(options[:len(options):len(options)], joinOption)
	}
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	} else {
		// The IPv4 addresses are listened on by themselves.
		options = append(options[:len(options):len(options)], option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY})
	}
	if fd, err = unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("listening on %v: %w", addr, os.NewSyscallError("socket", err))
	}
	for _, o := range options {
		if err = unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			err = os.NewSyscallError("setsockopt", err)
			break
		}
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(addr)))
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listening on %v: %w", addr, err)
	}
	return fd, nil
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if a := addr.Addr(); a.Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: a.As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if zone := addr.Addr().Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(ifi.Index)
		}
	}
	return sa
}

// withBoundPort returns addr with the port that fd is bound to.
func withBoundPort(addr netip.AddrPort, fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return addr, os.NewSyscallError("getsockname", err)
	}
	return netip.AddrPortFrom(addr.Addr(), address(sa, nil).Port()), nil
}
