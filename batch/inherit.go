package batch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Inherited are sockets that somebody else has bound, as systemd does, or an earlier server. A Server that is made with them owns their
// descriptors.
type Inherited struct {
	streams, datagrams []listener // TCP and UDP, any number for each address
	unixFD             int        // -1: none
	path               string     // of the unix socket
}

// Passed is a socket that was passed to this process.
type Passed struct {
	FD    int
	Label uint8 // as in Config.Labels
}

// Inherit finds out what the sockets are. It is an error if one of them can't be served.
func Inherit(sockets []Passed) (*Inherited, error) {
	in := &Inherited{unixFD: -1}
	for _, s := range sockets {
		if err := in.add(s.FD, s.Label); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", s.FD, err)
		}
	}
	return in, nil
}

// Addrs returns the TCP addresses, each once, and their labels.
func (in *Inherited) Addrs() (addrs []netip.AddrPort, labels []uint8) {
	addrs = addresses(in.streams)
	for _, addr := range addrs {
		first := slices.IndexFunc(in.streams, func(l listener) bool { return l.addr == addr })
		labels = append(labels, in.streams[first].label)
	}
	return addrs, labels
}

// DatagramAddrs returns the UDP addresses, likewise.
func (in *Inherited) DatagramAddrs() []netip.AddrPort { return addresses(in.datagrams) }

// UnixPath returns the path of the unix socket, "" if there is none.
func (in *Inherited) UnixPath() string { return in.path }

func addresses(ls []listener) (addrs []netip.AddrPort) {
	for _, l := range ls {
		if !slices.Contains(addrs, l.addr) {
			addrs = append(addrs, l.addr)
		}
	}
	return addrs
}

var (
	errNoSocket     = errors.New("not a socket")
	errConnection   = errors.New("a socket that is not listened on (in a systemd socket unit: Accept=no is needed)")
	errSocketKind   = errors.New("neither a TCP, nor a UDP, nor a unix stream socket")
	errUnboundUDP   = errors.New("a UDP socket without a port")
	errSecondSocket = errors.New("a second unix socket: one is served at most")
)

func (in *Inherited) add(fd int, label uint8) error {
	unix.CloseOnExec(fd)
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSocket, err)
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	path, isUnix := name.(*unix.SockaddrUnix)
	addr := listenAddress(name)
	switch {
	case !isUnix && !addr.IsValid(), kind != unix.SOCK_STREAM && (isUnix || kind != unix.SOCK_DGRAM):
		return errSocketKind
	case kind == unix.SOCK_DGRAM && addr.Port() == 0:
		return errUnboundUDP
	case kind == unix.SOCK_DGRAM:
		in.datagrams = append(in.datagrams, listener{fd: fd, addr: addr})
		return os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
	case listening == 0:
		return errConnection
	case isUnix && in.unixFD >= 0:
		return errSecondSocket
	case isUnix:
		in.unixFD, in.path = fd, path.Name
		return nil
	}
	in.streams = append(in.streams, listener{fd: fd, addr: addr, label: label})
	for _, o := range acceptedOptions {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// listenAddress is not valid for what is no address of the internet. Unlike address it leaves what is written as IPv6 so.
func listenAddress(sa unix.Sockaddr) netip.AddrPort {
	if sa, ok := sa.(*unix.SockaddrInet6); ok {
		addr := netip.AddrFrom16(sa.Addr)
		if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
			addr = addr.WithZone(ifi.Name)
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	return address(sa, nil)
}

// share is a channel's part of the sockets. Of each address it has at least one, and each socket is at least one channel's: where there are
// fewer than channels, several accept from one socket, each through a descriptor of its own.
func share(all []listener, channel, channels int) (part []listener, err error) {
	for _, addr := range addresses(all) {
		same := slices.DeleteFunc(slices.Clone(all), func(l listener) bool { return l.addr != addr })
		for n := channel; n < max(len(same), channels); n += channels {
			l := same[n%len(same)]
			l.index = n % len(same)
			if n >= len(same) {
				if l, err = l.duplicate(); err != nil {
					return part, err
				}
			}
			part = append(part, l)
		}
	}
	return part, nil
}
