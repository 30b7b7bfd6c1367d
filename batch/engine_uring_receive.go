package batch

import (
	"syscall"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

func (e *uringEngine) recvEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	c := ch.conns.find(t.slot(), t.gen())
	if c != nil && c.is(stateFilling) {
		e.fillEnded(c, cqe)
		return
	}
	if id, ok := cqe.Buffer(); ok {
		if c != nil && cqe.Res > 0 {
			ch.stats.receives++
			ch.received(c, e.bufs.Take(id, int(cqe.Res)))
			switch {
			case c.is(stateFill):
				c.state |= stateBulky
			case !cqe.More():
				c.state &^= stateBulky
			}
		} else {
			e.bufs.Take(id, 0)
		}
		e.bufs.Recycle(id)
	}
	if c == nil {
		return
	}
	if cqe.More() {
		if c.is(stateFill) {
			e.cancelReceive(c) // arm goes on as befits
		}
		if (c.reply < 0 || c.is(stateLocal)) && !c.is(stateSilent) {
			c.state |= stateSilent
			e.silent = append(e.silent, t)
		}
		return
	}
	parked, asked := c.is(stateParked), c.is(stateCancelling)
	if parked {
		ch.stats.parked.Add(^uint64(0))
	}
	c.state &^= stateArmed | stateCancelling | stateParked
	c.pending--
	if c.is(stateReleasing) {
		e.closeIdle(c)
		return
	}
	if parked && cqe.Res > 0 { // there is input, or its end
		if c.is(stateReceiving) {
			e.rearm = append(e.rearm, c.token(kindRecv))
		}
		return
	}
	e.receiveAgain(c, cqe, asked)
}

// receiveAgain goes on after a receive of c that has ended, perhaps as it was asked to.
func (e *uringEngine) receiveAgain(c *conn, cqe *ring.CQE, asked bool) {
	ch := e.ch
	failed := c.is(stateFailed)
	c.state &^= stateFailed
	switch errno := syscall.Errno(-cqe.Res); {
	case !asked && (errno == unix.ECANCELED || errno == unix.EAGAIN || errno == unix.EINTR):
		c.state |= stateFailed
		if failed {
			e.rest(c.token(kindRecv), "cannot receive", errno)
		} else if c.is(stateReceiving) {
			e.rearm = append(e.rearm, c.token(rearmKind(cqe)))
		}
	case cqe.Res > 0, errno == unix.ECANCELED, errno == unix.EAGAIN, errno == unix.EINTR:
		if c.is(stateReceiving) {
			e.rearm = append(e.rearm, c.token(rearmKind(cqe)))
		}
	case cqe.Res == 0:
		ch.ended(c)
	case errno == unix.ENOBUFS:
		ch.stats.noBuffers.Add(1)
		if c.is(stateReceiving) {
			e.starved = append(e.starved, c.token(kindIgnore))
		}
	default:
		ch.lost(c, "cannot receive", errno)
	}
}

// rearmKind notes in a token of the rearm list whether the socket had more to receive.
func rearmKind(cqe *ring.CQE) kind {
	if cqe.SocketNonEmpty() {
		return kindRecv
	}
	return kindIgnore
}

// armAgain starts receives again, now that the batch's buffers are back with the
// kernel: of starved connections only as many as there are buffers, as more would only
// find none again.
func (e *uringEngine) armAgain() {
	for _, t := range e.rearm {
		if c := e.ch.conns.find(t.slot(), t.gen()); c != nil && c.is(stateReceiving) && !c.is(stateArmed) {
			e.ch.stats.rearms.Add(1)
			e.arm(c, t.kind() != kindRecv)
		}
	}
	e.rearm = e.rearm[:0]
	n := min(len(e.starved), e.bufs.Lent())
	for _, t := range e.starved[:n] {
		if c := e.ch.conns.find(t.slot(), t.gen()); c != nil && c.is(stateReceiving) && !c.is(stateArmed) {
			e.ch.stats.rearms.Add(1)
			e.arm(c, false)
		}
	}
	e.starved = append(e.starved[:0], e.starved[n:]...)
}

// tick starts the multishot receives of silent connections again. Kernels (6.18 is one)
// lose a reset that arrives together with the last data: both wake the receive, which
// runs once, takes the data, and then waits for an event that never comes again. Who
// was sent a reply afterwards is found out by the failing send; of the others nothing
// more would ever be heard. On unix sockets an orderly end is lost likewise, with or
// without replies, github.com/axboe/liburing/issues/1549. A new receive looks at the
// socket first.
func (e *uringEngine) tick() {
	for _, t := range e.silent {
		if c := e.ch.conns.find(t.slot(), t.gen()); c != nil {
			c.state &^= stateSilent
			e.cancelReceive(c) // recvEnded arms it again
		}
	}
	e.silent = e.silent[:0]
	e.park()
	e.bufs.Trim()
}

// arm starts a receive. pollFirst spares the kernel an attempt on an empty socket; one
// that has been empty for long is parked. A connection that has sent more than was
// handled, or sends large values, gets one buffer at a time: a multishot receive would
// take all that its socket holds at once.
func (e *uringEngine) arm(c *conn, pollFirst bool) {
	if c.stash == 0 {
		c.state &^= stateThrottled
	}
	sqe := e.sqe()
	switch {
	case c.fills():
		e.prepFill(sqe, c, pollFirst)
	case pollFirst && e.longIdle(c):
		c.state |= stateParked
		e.ch.stats.parked.Add(1)
		sqe.PrepPoll(int(c.fd), unix.POLLIN, false)
	default:
		sqe.PrepRecv(int(c.fd), recvGroup, e.multishot && !c.is(stateThrottled|stateBulky), pollFirst)
	}
	e.fix(sqe)
	c.state |= stateArmed
	c.pending++
	e.queue(sqe, c.token(kindRecv))
}

func (e *uringEngine) receive(c *conn) {
	if c.is(stateReceiving) {
		return
	}
	c.state |= stateReceiving
	if !c.is(stateArmed) {
		e.arm(c, true)
	}
}

func (e *uringEngine) pause(c *conn) {
	c.state &^= stateReceiving
	c.state |= stateThrottled
	e.cancelReceive(c)
}

func (e *uringEngine) cancelReceive(c *conn) {
	if c.is(stateArmed) && !c.is(stateCancelling) {
		c.state |= stateCancelling
		e.cancel(c.token(kindRecv))
	}
}
