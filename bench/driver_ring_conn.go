package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"ringcached/ring"
)

// ringConn is one session's connection in a ringDriver.
type ringConn struct {
	session    *session
	index      int
	generation uint32 // of the socket: completions of an earlier one are recognised by it
	fd         int    // -1: none
	slot       []byte // mapped, the session's alone
	unsent     []byte // rest of the group in slot that is being sent
	began      int64  // when connecting began
	receiving  bool   // a receive is under way
	ending     bool   // shut down; it is over when the receive is
	resting    bool   // the budget is spent: nothing is asked any more
	seen       bool   // was open once
}

// The user data of an operation: what it is, of which generation, of which connection.
const (
	opConnect = iota + 1
	opSend
	opRecv
	opClose

	opShift         = 56
	generationShift = 32
	generationMask  = 1<<(opShift-generationShift) - 1
)

func (c *ringConn) data(op uint64) uint64 {
	return op<<opShift | uint64(c.generation&generationMask)<<generationShift | uint64(c.index)
}

// handle does what a completion calls for.
func (d *ringDriver) handle(cqe *ring.CQE, at int64) error {
	op := cqe.UserData >> opShift
	c := &d.conns[uint32(cqe.UserData)]
	current := uint32(cqe.UserData>>generationShift)&generationMask == c.generation&generationMask
	switch {
	case op == opRecv:
		return d.received(c, cqe, at) // never outlives its socket
	case !current:
		return nil
	case op == opConnect:
		return d.connected(c, cqe.Res)
	case op == opSend:
		return d.wasSent(c, cqe.Res)
	}
	return nil
}

// connect opens a socket and begins to connect it.
func (d *ringDriver) connect(c *ringConn) error {
	fd, err := d.socket()
	if err != nil {
		return err
	}
	c.fd, c.generation, c.ending, c.began = fd, c.generation+1, false, now()
	e, err := d.sqe()
	if err != nil {
		return err
	}
	e.PrepConnect(fd, unsafe.Pointer(&d.addrMem[0]), d.addrLen)
	e.SetUserData(c.data(opConnect))
	d.active++
	return nil
}

func (d *ringDriver) socket() (int, error) {
	family := syscall.AF_INET6
	if d.addr.Addr().Is4() {
		family = syscall.AF_INET
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err == nil {
		err = d.sources.bind(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("preparing a socket: %w", err)
	}
	return fd, nil
}

func (d *ringDriver) connected(c *ringConn, res int32) error {
	if res < 0 {
		return fmt.Errorf("connecting: %w", syscall.Errno(-res))
	}
	d.rec.Connects++
	if !c.seen {
		c.seen = true
		if d.unready--; d.unready == 0 {
			d.opened()
		}
	}
	if d.workload.RequestsPerConnection == 0 {
		c.began = now()
	}
	// The latency of a short connection's first group includes connecting.
	return d.ask(c, c.began)
}

// ask sends the session's next group of requests. Without a budget left the connection rests.
func (d *ringDriver) ask(c *ringConn, at int64) error {
	group := d.fill(c.session, c.slot[:0], at)
	if len(group) == 0 {
		c.resting = true
		d.active--
		return nil
	}
	c.unsent = group
	if err := d.send(c); err != nil {
		return err
	}
	if c.receiving {
		return nil
	}
	return d.receive(c)
}

func (d *ringDriver) send(c *ringConn) error {
	e, err := d.sqe()
	if err != nil {
		return err
	}
	e.PrepSend(c.fd, unsafe.Pointer(&c.unsent[0]), len(c.unsent), syscall.MSG_NOSIGNAL|syscall.MSG_WAITALL)
	e.SetUserData(c.data(opSend))
	if d.quiet {
		e.SkipSuccess()
	}
	return nil
}

// wasSent looks after a send that has a completion: it failed, was short, or the kernel is too old to leave successes out.
func (d *ringDriver) wasSent(c *ringConn, res int32) error {
	switch {
	case c.ending:
		return nil
	case res < 0:
		return d.broken(c, fmt.Errorf("sending: %w", syscall.Errno(-res)))
	case int(res) < len(c.unsent):
		c.unsent = c.unsent[res:]
		return d.send(c)
	}
	return nil
}

func (d *ringDriver) receive(c *ringConn) error {
	e, err := d.sqe()
	if err != nil {
		return err
	}
	e.PrepRecv(c.fd, recvGroup, d.multishot, true)
	e.SetUserData(c.data(opRecv))
	c.receiving = true
	d.receiving++
	return nil
}

// received hands what came to the session and does what comes next.
func (d *ringDriver) received(c *ringConn, cqe *ring.CQE, at int64) error {
	if !cqe.More() {
		c.receiving = false
		d.receiving--
	}
	var err error
	if id, ok := cqe.Buffer(); ok {
		in := d.bufs.Take(id, max(int(cqe.Res), 0))
		if !c.ending {
			err = c.session.receive(in, at, d.rec)
		}
		d.bufs.Recycle(id)
	}
	switch {
	case c.resting:
		return nil
	case c.ending:
		if !c.receiving {
			return d.end(c)
		}
		return nil
	case err != nil:
		return d.broken(c, err)
	case cqe.Res == 0:
		return d.broken(c, errClosedEarly)
	case cqe.Res < 0 && syscall.Errno(-cqe.Res) != syscall.ENOBUFS:
		return d.broken(c, fmt.Errorf("receiving: %w", syscall.Errno(-cqe.Res)))
	case !c.session.idle() && !c.receiving:
		return d.receive(c)
	case !c.session.idle():
		return nil
	case c.session.spent():
		return d.end(c)
	}
	return d.ask(c, at)
}

var errClosedEarly = errors.New("the server closed the connection with requests unanswered")

// broken counts a failed connection and puts a new one in its place.
func (d *ringDriver) broken(c *ringConn, err error) error {
	if err := d.fail(err); err != nil {
		return err
	}
	if !c.receiving {
		return d.end(c)
	}
	c.ending = true // the receive must end first
	_ = syscall.Shutdown(c.fd, syscall.SHUT_RDWR)
	return nil
}

// end closes a connection that nothing is under way on but perhaps a send that nobody waits for, and opens the next.
func (d *ringDriver) end(c *ringConn) error {
	e, err := d.sqe()
	if err != nil {
		return err
	}
	e.PrepClose(c.fd)
	e.SetUserData(c.data(opClose))
	if d.quiet {
		e.SkipSuccess()
	}
	c.fd = -1
	c.session.reconnect()
	d.active--
	if d.stopping.Load() || d.budget <= 0 {
		return nil
	}
	return d.connect(c)
}

// sockaddrMax is the size of the largest sockaddr that putSockaddr writes.
const sockaddrMax = syscall.SizeofSockaddrInet6

// putSockaddr writes the address the way connect(2) reads it, and returns its length.
func putSockaddr(mem []byte, a netip.AddrPort) int {
	clear(mem[:sockaddrMax])
	binary.BigEndian.PutUint16(mem[2:], a.Port())
	if a.Addr().Is4() {
		binary.NativeEndian.PutUint16(mem, syscall.AF_INET)
		ip := a.Addr().As4()
		copy(mem[4:], ip[:])
		return syscall.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(mem, syscall.AF_INET6)
	ip := a.Addr().As16()
	copy(mem[8:], ip[:])
	return syscall.SizeofSockaddrInet6
}
