package batch

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

// Sockets tells of what a channel has open, of most connections in a call: from 0 on also
// of what it listens on, and then from the next that the last call gave, while there are more. A
// connection that stays is told of once. Only the Handler of that channel may call it, on its own thread.
func (s *Server) Sockets(channel int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool) {
	ch := s.channels[channel]
	if from == 0 {
		s.listenersOf(ch, tell)
	}
	return ch.conns.some(from, most, func(c *conn) { tell(ch.socket(c)) })
}

// listenersOf tells of what a channel listens on.
func (s *Server) listenersOf(ch *channel, tell func(contract.Socket)) {
	since := int(time.Since(ch.started) / time.Second)
	for _, l := range ch.listeners {
		tell(s.listening(l, since))
	}
	for _, l := range ch.datagrams {
		tell(contract.Socket{FD: l.fd, Transport: "udp", Local: l.addr, Phase: contract.PhaseDatagram, Idle: since})
	}
}

// listening tells of a socket that has been listened on for so many seconds.
func (s *Server) listening(l listener, since int) contract.Socket {
	k := contract.Socket{FD: l.fd, Transport: "tcp", Local: l.addr, Phase: contract.PhaseListening, Idle: since}
	if l.isUnix() {
		k.Transport, k.Path = "unix", s.config.Unix
	}
	return k
}

// Socket tells of one connection, likewise.
func (s *Server) Socket(channel int, conn uint32) contract.Socket {
	ch := s.channels[channel]
	return ch.socket(ch.conns.at(conn))
}

// Descriptor is the FD of one connection, likewise.
func (s *Server) Descriptor(channel int, conn uint32) int {
	ch := s.channels[channel]
	return ch.descriptor(ch.conns.at(conn))
}

func (ch *channel) descriptor(c *conn) int {
	if ch.direct {
		return -1
	}
	return int(c.fd)
}

// number is what the log calls c: its descriptor, or if that is a direct one the Handler's number for it.
func (ch *channel) number(c *conn) int {
	if fd := ch.descriptor(c); fd >= 0 {
		return fd
	}
	return int(c.slot)
}

// socket asks the kernel for the addresses: a record that kept them would be larger for
// every idle connection.
func (ch *channel) socket(c *conn) contract.Socket {
	k := contract.Socket{Conn: c.slot, FD: ch.descriptor(c), Transport: "tcp", Phase: c.phase(), Idle: int(ch.second - c.active)}
	if c.is(stateLocal) {
		k.Transport, k.Path = "unix", ch.config.Unix
		return k
	}
	if k.FD >= 0 {
		k.Peer = askAddress(unix.SYS_GETPEERNAME, k.FD)
		k.Local = askAddress(unix.SYS_GETSOCKNAME, k.FD)
	}
	return k
}

// phase says what c is doing.
func (c *conn) phase() contract.Phase {
	switch {
	case c.backlog != 0:
		return contract.PhaseSending
	case c.is(stateFinishing):
		return contract.PhaseClosing
	case !c.is(stateOpen):
		return contract.PhaseNew
	case c.is(stateReady):
		return contract.PhaseReady
	case c.stash != 0:
		return contract.PhasePartial
	}
	return contract.PhaseIdle
}

// address is a socket's address; not valid if there is none.
func address(sa unix.Sockaddr, err error) netip.AddrPort {
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// Stopping says that the server has been told to stop: channels may have ended.
func (s *Server) Stopping() bool { return s.stopping.Load() }

// askAddress is an address of a socket as the system call of that number tells it; not valid if there is none. Package unix would ask for the
// protocol too, and take memory, for each of many thousands.
func askAddress(call uintptr, fd int) netip.AddrPort {
	var raw unix.RawSockaddrInet6 // the longer one
	size := uint32(unsafe.Sizeof(raw))
	if _, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return netip.AddrPort{}
	}
	switch raw.Family {
	case unix.AF_INET:
		raw := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		return netip.AddrPortFrom(netip.AddrFrom4(raw.Addr), ntohs(raw.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), ntohs(raw.Port))
	}
	return netip.AddrPort{}
}

// ntohs is a port as the network writes it.
func ntohs(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}
