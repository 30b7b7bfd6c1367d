package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// UnixPrefix is what the address of a unix socket begins with, as in unix:/run/memcached.sock. Others are host:port.
const UnixPrefix = "unix:"

// TransportOf is the transport that an address is for, empty where that is open: host:port is an address of TCP and
// of UDP.
func TransportOf(addr string) string {
	if strings.HasPrefix(addr, UnixPrefix) {
		return TransportUnix
	}
	return ""
}

// IsAddress reports whether text has the form of a server's address: host:port or unix:PATH.
func IsAddress(text string) bool {
	_, _, err := net.SplitHostPort(text)
	return err == nil || strings.HasPrefix(text, UnixPrefix)
}

// SplitAddr returns the network and the address as package net wants them, of a stream socket.
func SplitAddr(addr string) (network, at string) {
	if path, ok := strings.CutPrefix(addr, UnixPrefix); ok {
		return "unix", path
	}
	return "tcp", addr
}

// target is where the sessions of a load send their requests, and where their sockets come from.
//
// The client closes first, so each of its ports stays in TIME_WAIT for a minute, and one address has only some 28 000
// ports: a run of short connections would be over in a second. All of 127.0.0.0/8 is local on Linux, so a load on a
// loopback server spreads over many addresses. Elsewhere the kernel chooses, and a run that exhausts the ports fails
// with EADDRNOTAVAIL.
type target struct {
	transport string         // one of the Transport constants
	addr      netip.AddrPort // of TCP and UDP
	path      string         // of a unix socket
	spread    bool           // connections come from sourceCount local addresses
	sources   atomic.Uint32
}

const sourceCount = 250

// newTarget resolves an address; many says that its connections need more ports than one local address has.
func newTarget(addr, transport string, many bool) (*target, error) {
	network, at := SplitAddr(addr)
	t := &target{transport: transport, path: at}
	if (network == "unix") != (transport == TransportUnix) {
		return nil, fmt.Errorf("transport: %s is no address for %s: that of %s is %sPATH, others are host:port",
			addr, transport, TransportUnix, UnixPrefix)
	}
	if network == "unix" {
		if most := sockaddrMax - sizeofFamily - len("\x00"); len(at) == 0 || len(at) > most {
			return nil, fmt.Errorf("address: the path of a unix socket is 1 to %d bytes long: %q", most, at)
		}
		return t, nil
	}
	a, err := net.ResolveTCPAddr("tcp", at)
	if port, ok := strings.CutPrefix(at, "localhost:"); ok && err != nil { // an empty container has no /etc/hosts
		a, err = net.ResolveTCPAddr("tcp", "127.0.0.1:"+port)
	}
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	ip := a.AddrPort().Addr().Unmap()
	t.addr = netip.AddrPortFrom(ip, uint16(a.Port))
	t.spread = many && transport == TransportTCP && ip.Is4() && ip.IsLoopback()
	return t, nil
}

// datagrams reports that requests and replies are datagrams.
func (t *target) datagrams() bool { return t.transport == TransportUDP }

// socket opens a socket that can be connected.
func (t *target) socket() (fd int, err error) {
	family, kind := syscall.AF_INET6, syscall.SOCK_STREAM
	switch {
	case t.transport == TransportUnix:
		family = syscall.AF_UNIX
	case t.addr.Addr().Is4():
		family = syscall.AF_INET
	}
	if t.datagrams() {
		kind = syscall.SOCK_DGRAM
	}
	fd, err = syscall.Socket(family, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if t.transport == TransportTCP {
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err == nil && t.spread {
		err = t.bind(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("preparing a socket: %w", err)
	}
	return fd, nil
}

// bind gives the socket fd a local address. The port is left to connect, which may then use one that other addresses
// use too.
func (t *target) bind(fd int) error {
	const ipBindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, linux/in.h
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1); err != nil {
		return err
	}
	return syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(1 + t.sources.Add(1)%sourceCount)}})
}

const (
	// sockaddrMax is the size of the largest sockaddr that putSockaddr writes.
	sockaddrMax = syscall.SizeofSockaddrUnix
	// sizeofFamily is the size of the address family, which every sockaddr begins with.
	sizeofFamily = 2
)

// putSockaddr writes the address the way connect(2) reads it, and returns its length.
func (t *target) putSockaddr(mem []byte) int {
	clear(mem[:sockaddrMax])
	if t.transport == TransportUnix {
		binary.NativeEndian.PutUint16(mem, syscall.AF_UNIX)
		return sizeofFamily + copy(mem[sizeofFamily:], t.path) + len("\x00")
	}
	family, at, size := uint16(syscall.AF_INET6), 8, syscall.SizeofSockaddrInet6
	if t.addr.Addr().Is4() {
		family, at, size = syscall.AF_INET, 4, syscall.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(mem, family)
	binary.BigEndian.PutUint16(mem[2:], t.addr.Port())
	copy(mem[at:], t.addr.Addr().AsSlice())
	return size
}

// FreePort finds a port of 127.0.0.1, free for TCP and UDP, below the range that clients' ports come from, so that no
// connection can take it before the server does.
func FreePort() (int, error) {
	for range 100 {
		port := 11300 + rand.IntN(32000-11300)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		if datagrams, err := net.ListenPacket("udp4", addr); err == nil {
			return port, datagrams.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
