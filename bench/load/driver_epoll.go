package load

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// epollMover moves bytes with epoll. It costs more CPU per request than ringMover, and works on every kernel.
type epollMover struct {
	t       *thread
	epoll   int
	in      []byte
	addr    [sockaddrMax]byte
	addrLen int
	events  []syscall.EpollEvent
	ready   int // of events
}

func (m *epollMover) setup() (err error) {
	m.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		m.epoll = -1
		return os.NewSyscallError("epoll_create1", err)
	}
	m.in = make([]byte, 64<<10)
	m.events = make([]syscall.EpollEvent, burst)
	m.addrLen = m.t.target.putSockaddr(m.addr[:])
	for i := range m.t.conns {
		m.t.conns[i].slot = make([]byte, 0, m.t.slotSize())
	}
	return nil
}

// watch has epoll tell of what the connection waits for.
func (m *epollMover) watch(c *conn, op int) error {
	e := syscall.EpollEvent{Fd: int32(c.index), Pad: int32(c.generation)}
	if c.receiving {
		e.Events |= syscall.EPOLLIN
	}
	if c.connecting || c.blocked {
		e.Events |= syscall.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(m.epoll, op, c.fd, &e))
}

// connect: that of a unix socket waits for a place among those to be accepted, since epoll would not tell of one.
func (m *epollMover) connect(c *conn) error {
	limit := syscall.NsecToTimeval(int64(ConnectTimeout))
	_ = syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit)
	if err := syscall.SetNonblock(c.fd, m.t.target.transport == TransportTCP); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	addr := uintptr(unsafe.Pointer(&m.addr))
	_, _, errno := syscall.Syscall(syscall.SYS_CONNECT, uintptr(c.fd), addr, uintptr(m.addrLen))
	if errno != 0 && errno != syscall.EINPROGRESS {
		return m.t.connected(c, -int32(errno))
	}
	if err := syscall.SetNonblock(c.fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	c.connecting = true
	return m.watch(c, syscall.EPOLL_CTL_ADD)
}

func (m *epollMover) send(c *conn) error {
	for len(c.unsent) > 0 {
		n, err := syscall.SendmsgN(c.fd, c.unsent, nil, nil, syscall.MSG_NOSIGNAL)
		c.unsent = c.unsent[max(n, 0):]
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			c.blocked = true
			return m.watch(c, syscall.EPOLL_CTL_MOD)
		default:
			return m.t.sent(c, -int32(errnoOf(err)))
		}
	}
	return nil
}

// receive: from the first one on, what comes is delivered.
func (m *epollMover) receive(c *conn) error { return m.watch(c, syscall.EPOLL_CTL_MOD) }

func (m *epollMover) hangUp(c *conn) error { return m.t.received(c, nil, 0, false, Now()) }

func (m *epollMover) close(c *conn) error {
	c.blocked, c.connecting = false, false
	return os.NewSyscallError("close", syscall.Close(c.fd))
}

func (m *epollMover) wait(may bool) (ready bool, err error) {
	limit := 0
	if may {
		limit = int(idleWait / time.Millisecond)
	}
	m.ready, err = syscall.EpollWait(m.epoll, m.events, limit)
	if m.ready = max(m.ready, 0); err != nil && err != syscall.EINTR {
		return false, os.NewSyscallError("epoll_wait", err)
	}
	return m.ready > 0, nil
}

func (m *epollMover) deliver(at int64) error {
	for _, e := range m.events[:m.ready] {
		if c := &m.t.conns[e.Fd]; c.fd >= 0 && int32(c.generation) == e.Pad {
			if err := m.handle(c, e.Events, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// handle does one thing that a socket is ready for. If it is ready for more, epoll says so again.
func (m *epollMover) handle(c *conn, events uint32, at int64) error {
	switch {
	case c.connecting:
		c.connecting = false
		errno, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err == nil {
			err = m.watch(c, syscall.EPOLL_CTL_MOD)
		}
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		return m.t.connected(c, -int32(errno))
	case events&syscall.EPOLLOUT != 0 && c.blocked:
		c.blocked = false
		if err := m.watch(c, syscall.EPOLL_CTL_MOD); err != nil {
			return err
		}
		return m.send(c)
	}
	return m.read(c, at)
}

// read delivers one read.
func (m *epollMover) read(c *conn, at int64) error {
	n, err := syscall.Read(c.fd, m.in)
	switch errno := errnoOf(err); {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return nil
	case err == nil && n > 0:
		return m.t.received(c, m.in[:n], int32(n), true, at)
	default: // epoll would say so for ever
		if err := m.watch(c, syscall.EPOLL_CTL_DEL); err != nil {
			return err
		}
		return m.t.received(c, nil, -int32(errno), false, at)
	}
}

// errnoOf is the number of a system call's error, 0 if there is none.
func errnoOf(err error) (errno syscall.Errno) {
	_ = errors.As(err, &errno)
	return errno
}

func (m *epollMover) release() {
	if m.epoll >= 0 {
		_ = syscall.Close(m.epoll)
	}
}
