package load

import (
	"errors"
	"fmt"
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
	expires    int64  // when a request over UDP is lost
	idleSince  int64  // of a connection that is ready
	busy       bool   // a group of requests is under way
	ready      bool   // in an open loop: waits for a request to arrive
	inLine     bool   // has a place in the driver's line, whether it is ready or not any more
	receiving  bool   // a receive is under way
	ending     bool   // hung up; it is over when the receive is
	resting    bool   // the budget is spent: nothing is asked any more
	parked     bool   // waits for the next slice
	seen       bool   // was open once
}

// The user data of an operation: what it is, of which generation, of which connection.
const (
	opConnect = iota + 1
	opSend
	opRecv
	opClose
	opCancel

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
	c.fd, c.generation, c.ending, c.began = fd, c.generation+1, false, Now()
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
	fd, err := d.target.socket()
	if err != nil {
		return -1, err
	}
	if err := d.sources.bind(fd); err != nil {
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
			d.ready()
		}
	}
	if d.workload.RequestsPerConnection == 0 {
		c.began = Now()
	}
	// The latency of a short connection's first group includes connecting.
	if at := Now(); at >= d.slice.until {
		return d.proceed(c, at)
	}
	return d.proceed(c, c.began)
}

// proceed gives a connection that is idle since at what it does next.
func (d *ringDriver) proceed(c *ringConn, at int64) error {
	if d.rec.open == nil {
		if at >= d.slice.until {
			d.park(c)
			return nil
		}
		return d.ask(c, at)
	}
	c.idleSince = at
	d.line.add(c)
	return nil
}

// rest ends a connection's part in the load: the budget is spent.
func (d *ringDriver) rest(c *ringConn) {
	c.resting = true
	d.active--
}

// ask sends the session's next group of requests, whose latency counts from since. Without a budget left the connection rests.
func (d *ringDriver) ask(c *ringConn, since int64) error {
	group := d.fill(c.session, c.slot[:0], since)
	if len(group) == 0 {
		d.rest(c)
		return nil
	}
	c.unsent, c.busy = group, true
	if d.target.datagrams() {
		c.expires = Now() + int64(d.patience)
	}
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
		return d.broken(c, ErrClosedEarly)
	case cqe.Res < 0 && syscall.Errno(-cqe.Res) != syscall.ENOBUFS:
		return d.broken(c, fmt.Errorf("receiving: %w", syscall.Errno(-cqe.Res)))
	case !c.busy: // a late datagram
		return nil
	case !c.session.idle() && !c.receiving:
		return d.receive(c)
	case !c.session.idle():
		return nil
	}
	d.settle(c)
	if c.session.spent() {
		return d.end(c)
	}
	return d.proceed(c, at)
}

// settle notes that a connection's group is answered or given up.
func (d *ringDriver) settle(c *ringConn) {
	if c.busy {
		c.busy = false
		d.settled()
	}
}

// ErrClosedEarly is a connection that the server closed while a reply was due.
var ErrClosedEarly = errors.New("the server closed the connection")

// broken counts a failed connection and puts a new one in its place.
func (d *ringDriver) broken(c *ringConn, err error) error {
	d.settle(c)
	c.ready = false
	if c.parked {
		c.parked = false
		d.parked--
	}
	if err := d.fail(err); err != nil {
		return err
	}
	if !c.receiving {
		return d.end(c)
	}
	c.ending = true // the receive must end first
	return d.hangUp(c)
}

// hangUp makes a connection's operations end. A receive of datagrams would not notice a shutdown.
func (d *ringDriver) hangUp(c *ringConn) error {
	if !d.target.datagrams() {
		_ = syscall.Shutdown(c.fd, syscall.SHUT_RDWR)
		return nil
	}
	e, err := d.sqe()
	if err != nil {
		return err
	}
	e.PrepCancel(c.data(opRecv))
	e.SetUserData(c.data(opCancel))
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
	if d.stopping.Load() || d.budget <= 0 {
		d.active--
		return nil
	}
	if Now() >= d.slice.until {
		d.park(c)
		return nil
	}
	d.active--
	return d.connect(c)
}
