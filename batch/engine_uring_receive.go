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
		if c.reply < 0 && !c.is(stateSilent|stateLocal) {
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
		c.state |= stateBulky // one buffer at first, so that there is one for everybody who found none
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

// tick starts the multishot receives of silent connections again. One that polls first
// loses a reset that has arrived with the last data before it was armed, in all kernels:
// it takes the data, and waits for an event that never comes again. Where a reply was sent
// afterwards the failing send tells; of the others nothing more would ever be heard. A
// new receive looks at the socket first.
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
// that has been empty for long is parked. From a unix socket the attempt is made
// all the same: since Linux 6.17 a multishot receive that polls first loses its end as tick
// says of a reset, and clients end unix sockets right behind a request. A connection that
// has sent more than was handled, or sends large values, gets one buffer at a time: a
// multishot receive would take all that its socket holds at once. So does every connection while clients hold much.
func (e *uringEngine) arm(c *conn, pollFirst bool) {
	if c.stash == 0 {
		c.state &^= stateThrottled
	}
	sqe := e.sqe()
	park := pollFirst && e.longIdle(c)
	pollFirst = pollFirst && !c.is(stateLocal)
	switch {
	case c.fills():
		e.prepFill(sqe, c, pollFirst)
	case park:
		c.state |= stateParked
		e.ch.stats.parked.Add(1)
		sqe.PrepPoll(int(c.fd), unix.POLLIN, false)
	default:
		sqe.PrepRecv(int(c.fd), recvGroup, e.multishot && !e.frugal && !c.is(stateThrottled|stateBulky), pollFirst)
	}
	e.fix(sqe)
	c.state |= stateArmed
	c.pending++
	e.queue(sqe, c.token(kindRecv))
}

// allow makes the kernel bring less input at a time where clients hold much: what it brings of one that has to wait is kept.
func (e *uringEngine) allow(a *allowance) {
	e.frugal = a.part > 1
	e.bufs.Limit(e.ch.config.Buffers / a.part)
}

func (e *uringEngine) receive(c *conn) {
	if c.is(stateReceiving | stateCut) {
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
