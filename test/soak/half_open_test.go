package soak

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"ringcached/internal/servertest"
)

// A client that resets its connection sends one packet, which nobody repeats. Where the kernel drops it, because it lacks memory for TCP
// (net.ipv4.tcp_mem) or the queue of the loopback device is full (net.core.netdev_max_backlog), the server has a connection for ever whose
// client is gone, and cannot know it. Seen on Linux 6.18 while another test made TCP's memory scarce.

// established is the state of a connection in /proc/net/tcp.
const established = "01"

// halfOpen lists the clients' addresses of the server's connections at addr that have no other end.
func (s *server) halfOpen(addr string) (clients []netip.AddrPort) {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", s.PID))
	if err != nil {
		s.t.Fatal(s.dead(), err)
	}
	here := netip.MustParseAddrPort(addr)
	theirs := make(map[netip.AddrPort]bool)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] == "sl" {
			continue
		}
		switch from, to := kernelAddress(s.t, f[1]), kernelAddress(s.t, f[2]); {
		case to == here:
			theirs[from] = true
		case from == here && f[3] == established:
			clients = append(clients, to)
		}
	}
	gone := clients[:0]
	for _, client := range clients {
		if !theirs[client] {
			gone = append(gone, client)
		}
	}
	return gone
}

// kernelAddress reads an address of /proc/net/tcp: a number in this machine's order of bytes, and a port.
func kernelAddress(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host + port)
	if err != nil || len(b) != 6 {
		t.Fatalf("the kernel lists address %q", text)
	}
	var addr [4]byte
	binary.BigEndian.PutUint32(addr[:], binary.NativeEndian.Uint32(b))
	return netip.AddrPortFrom(netip.AddrFrom4(addr), binary.BigEndian.Uint16(b[4:]))
}

// resetHalfOpen tells the server of clients that are gone, as the next connection from the same port does: the kernel answers what the
// server says to it with a reset (RFC 9293, 3.5.1). It returns how many there were.
func (s *server) resetHalfOpen() (n int) {
	s.t.Helper()
	for _, addr := range []string{s.tcp, s.secure} {
		for _, client := range s.halfOpen(addr) {
			n++
			d := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(client)}
			if conn, err := d.Dial("tcp", addr); err == nil { // else somebody else has the port for now
				conn.Close()
			}
		}
	}
	return n
}

// outstanding is how many bytes that the socket sent its peer's kernel has not acknowledged.
func outstanding(raw syscall.RawConn) (n int32, err error) {
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("ioctl TIOCOUTQ", errno)
	}
	return n, err
}

func TestHalfOpen(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		s := start(t, engine)
		c, err := s.connect(rand.New(rand.NewPCG(uint64(os.Getpid()), 0)), s.tcp) // from an address whose ports hardly anybody else has
		if err != nil {
			t.Fatal(err)
		}
		if err := c.say([]byte("set key 0 0 100\r\nhalf")); err != nil {
			t.Fatal(err)
		}
		raw, err := c.tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		s.eventually(func() error { // else the server's kernel says yet that it has it, and learns that nobody is there
			n, err := outstanding(raw)
			if err == nil && n > 0 {
				err = fmt.Errorf("%d bytes are on their way", n)
			}
			return err
		})
		const tcpRepair = 19 // TCP_REPAIR of include/uapi/linux/tcp.h: a socket that is closed like this tells its peer nothing
		if err := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpRepair, 1)
		}); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			c.Close()
			t.Skipf("TCP_REPAIR: %v (root may)", err)
		}
		c.Close()
		if got := s.halfOpen(s.tcp); len(got) != 1 || got[0] != netip.MustParseAddrPort(c.LocalAddr().String()) {
			t.Fatalf("half open: %v, want %v", got, c.LocalAddr())
		}
		s.eventually(func() error { // the thread that answers may not be the one that accepts it
			if stats, err := s.stats(""); err != nil || stats["curr_connections"] != "2" {
				return fmt.Errorf("%q connections, %v, want 2", stats["curr_connections"], err)
			}
			return nil
		})
		s.rest()
		if got := s.halfOpen(s.tcp); len(got) != 0 {
			t.Fatalf("half open after the reset: %v", got)
		}
	})
}
