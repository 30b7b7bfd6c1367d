package load

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"ringcached/ring"
)

// ringMover moves bytes with one io_uring. A receive is armed once per connection and delivers into buffers that all
// connections share; a send that succeeds has no completion. So an answered request costs the load one completion and
// its share of one system call.
type ringMover struct {
	t         *thread
	r         *ring.Ring
	bufs      *ring.BufRing
	out       []byte // mapped: a send slot for each connection, and the server's sockaddr
	addr      unsafe.Pointer
	addrLen   int
	multishot bool // receives stay armed
	quiet     bool // sends that succeed have no completion
}

const (
	recvGroup = 1
	// drainLimit bounds how long the end of a driver waits for the kernel to let go of its receives.
	drainLimit = 2 * time.Second
)

// The user data of an operation: what it is, of which generation, of which connection.
const (
	opConnect = iota + 1
	opSend
	opRecv
	opOther

	opShift         = 56
	generationShift = 32
	generationMask  = 1<<(opShift-generationShift) - 1
)

func (c *conn) data(op uint64) uint64 {
	return op<<opShift | uint64(c.generation&generationMask)<<generationShift | uint64(c.index)
}

func (m *ringMover) setup() error {
	features, err := ring.Probe()
	if err != nil {
		return err
	}
	// A connection that ends after some requests is closed with its last reply. A receive that stays armed would hold
	// it open.
	w, n := m.t.workload, len(m.t.conns)
	m.multishot = features.Has(ring.MultishotRecv) && w.RequestsPerConnection == 0
	m.quiet = features.Has(ring.PartialSend)
	entries := uint32(min(max(2*n, 256), 4096))
	if m.r, err = ring.New(ring.Options{Entries: entries, CQEntries: 4 * entries, Features: features}); err != nil {
		return err
	}
	// A typical group of replies fits one receive buffer, and all together stay small enough for the cache.
	const total = 4 << 20
	size := 2 << 10
	for replies := w.Pipeline * w.Multiget * (w.ValueSize + w.KeySize + 24); size < replies && size < 64<<10; {
		size *= 2
	}
	count := min(max(2*n, 64), max(total/size, 64))
	if m.bufs, err = ring.NewBufRing(m.r, recvGroup, count, count, size); err != nil {
		return err
	}
	slot := (m.t.slotSize() + 63) &^ 63
	if m.out, err = ring.Map(n*slot + sockaddrMax); err != nil {
		return err
	}
	for i := range m.t.conns {
		m.t.conns[i].slot = m.out[i*slot : (i+1)*slot : (i+1)*slot]
	}
	m.addr, m.addrLen = unsafe.Pointer(&m.out[n*slot]), m.t.target.putSockaddr(m.out[n*slot:])
	return nil
}

// sqe returns a free submission entry for an operation, submitting what is prepared where the queue is full.
func (m *ringMover) sqe(c *conn, op uint64, prepare func(e *ring.SQE)) error {
	for range 100 {
		if e := m.r.SQE(); e != nil {
			prepare(e)
			e.SetUserData(c.data(op))
			return nil
		}
		m.bufs.Publish()
		if _, errno := m.r.Submit(); !passes(errno) {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
	}
	return errors.New("the kernel takes no submissions")
}

// passes reports that a call may be made again after an error, or that there was none.
func passes(errno syscall.Errno) bool {
	return errno == 0 || errno == syscall.EINTR || errno == syscall.EAGAIN || errno == syscall.EBUSY
}

func (m *ringMover) connect(c *conn) error {
	return m.sqe(c, opConnect, func(e *ring.SQE) { e.PrepConnect(c.fd, m.addr, m.addrLen) })
}

func (m *ringMover) send(c *conn) error {
	return m.sqe(c, opSend, func(e *ring.SQE) {
		e.PrepSend(c.fd, unsafe.Pointer(&c.unsent[0]), len(c.unsent), syscall.MSG_NOSIGNAL|syscall.MSG_WAITALL)
		if m.quiet {
			e.SkipSuccess()
		}
	})
}

func (m *ringMover) receive(c *conn) error {
	return m.sqe(c, opRecv, func(e *ring.SQE) { e.PrepRecv(c.fd, recvGroup, m.multishot, true) })
}

// hangUp: a receive of datagrams would not notice a shutdown.
func (m *ringMover) hangUp(c *conn) error {
	if !m.t.target.datagrams() {
		_ = syscall.Shutdown(c.fd, syscall.SHUT_RDWR)
		return nil
	}
	return m.sqe(c, opOther, func(e *ring.SQE) { e.PrepCancel(c.data(opRecv)) })
}

func (m *ringMover) close(c *conn) error {
	return m.sqe(c, opOther, func(e *ring.SQE) {
		e.PrepClose(c.fd)
		if m.quiet {
			e.SkipSuccess()
		}
	})
}

func (m *ringMover) wait(may bool) (ready bool, err error) {
	var errno syscall.Errno
	switch {
	case !may:
		errno = m.r.Enter(0, 0)
	case m.r.Ready() > 0:
		_, errno = m.r.Submit()
	default:
		errno = m.r.Enter(1, idleWait)
	}
	if errno != syscall.ETIME && !passes(errno) {
		return false, fmt.Errorf("io_uring_enter: %w", errno)
	}
	return m.r.Ready() > 0, nil
}

func (m *ringMover) deliver(at int64) error {
	n := min(m.r.Ready(), burst)
	for i := range n {
		cqe := *m.r.CQE(i)
		if err := m.handle(&cqe, at); err != nil {
			return err
		}
	}
	m.r.Advance(n)
	m.bufs.Publish()
	return nil
}

// handle tells the thread of a completion. But for a receive, which never outlives its socket, it may be of a socket
// that is gone.
func (m *ringMover) handle(cqe *ring.CQE, at int64) (err error) {
	op, c := cqe.UserData>>opShift, &m.t.conns[uint32(cqe.UserData)]
	current := cqe.UserData == c.data(op)
	switch {
	case op == opRecv:
		var in []byte
		id, ok := cqe.Buffer()
		if ok {
			in = m.bufs.Take(id, max(int(cqe.Res), 0))
		}
		err = m.t.received(c, in, cqe.Res, cqe.More(), at)
		if ok {
			m.bufs.Recycle(id)
		}
	case op == opConnect && current:
		err = m.t.connected(c, cqe.Res)
	case op == opSend && current:
		err = m.t.sent(c, cqe.Res)
	}
	return err
}

// release ends all connections and waits until no receive holds memory or sockets. Memory that the kernel may still
// write to is left mapped.
func (m *ringMover) release() {
	if m.r == nil {
		return
	}
	receiving := 0
	for i := range m.t.conns {
		if c := &m.t.conns[i]; c.fd >= 0 {
			if c.receiving {
				receiving++
			}
			_ = m.hangUp(c)
		}
	}
	for deadline := Now() + int64(drainLimit); receiving > 0 && Now() < deadline; {
		_ = m.r.Enter(1, idleWait)
		n := m.r.Ready()
		for i := range n {
			if cqe := m.r.CQE(i); cqe.UserData>>opShift == opRecv && !cqe.More() {
				receiving--
			}
		}
		m.r.Advance(n)
	}
	_ = m.r.Enter(0, 0) // closes that were prepared last
	if m.bufs != nil && receiving == 0 {
		_ = m.bufs.Close()
	}
	_ = m.r.Close()
	if m.out != nil && receiving == 0 {
		_ = ring.Unmap(m.out)
	}
}
