package batch

import (
	"math"
	"syscall"
	"time"
	"unsafe"

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

// A multishot receive puts all that comes into provided buffers, until it has ended. So
// when the Handler wants the rest of a value in its own memory, the receive is cancelled,
// what it still brings is handled as ever, and arm starts one that fills that memory.
// From then on the connection receives one buffer at a time, so that the header of its
// next value is there before the value is received. It is not waited for the whole value
// (MSG_WAITALL): the kernel leaves a receive that was woken too often to a thread. And it is
// received into one chunk of a chain at a time: for several it takes a recvmsg, and the
// kernel writes to the msghdr of one when it completes, which is long after the memory that
// messages are composed in has other uses.

// prepFill prepares a receive into the memory that c's next bytes belong in.
func (e *uringEngine) prepFill(sqe *ring.SQE, c *conn, pollFirst bool) {
	c.state |= stateFilling
	part := e.ch.room(c, 1)[0]
	sqe.PrepRecvInto(int(c.fd), unsafe.Pointer(unsafe.SliceData(part)), len(part), pollFirst)
}

// fillEnded takes the end of such a receive.
func (e *uringEngine) fillEnded(c *conn, cqe *ring.CQE) {
	asked := c.is(stateCancelling)
	c.state &^= stateArmed | stateCancelling | stateFilling
	c.pending--
	if c.is(stateReleasing) {
		e.ch.closed(c)
		e.closeIdle(c)
		return
	}
	if cqe.Res > 0 {
		e.ch.stats.receives++
		e.ch.filled(c, int(cqe.Res))
	}
	e.receiveAgain(c, cqe, asked)
}

// A receive that waits costs the kernel 864 bytes (6.18): the request, the message that it is to fill, and its place among those who
// wait for the socket. A request that only waits for input is 256. So a connection that has sent nothing for Config.ParkAfter is parked:
// its receive is cancelled, and when that has taken effect, arm makes a poll instead of another receive. When there is input, or its
// end, the poll completes, and the receive that then follows finds it at once.

// parkStep is how many connections one tick parks at most, so that nobody waits for long when many have become idle together: 3.5 us each.
const parkStep = 128

// park begins to park connections that are idle for long.
func (e *uringEngine) park() {
	if e.parkAfter == parkNever {
		return
	}
	left := parkStep
	e.ch.conns.each(func(c *conn) {
		if left > 0 && e.longIdle(c) && c.is(stateReceiving) && c.is(stateArmed) && !c.is(stateParked|stateCancelling|stateFilling) {
			e.cancelReceive(c) // recvEnded arms it again
			left--
		}
	})
}

// longIdle says that c has sent nothing for Config.ParkAfter.
func (e *uringEngine) longIdle(c *conn) bool { return e.ch.second-c.active >= e.parkAfter }

// parkNever is more seconds than go by.
const parkNever = math.MaxUint32

// parkSeconds is how many seconds' difference show that after has gone by: they are counted whole, so one more.
func parkSeconds(after time.Duration) uint32 {
	if after == 0 {
		return parkNever
	}
	return uint32(after/time.Second) + 1
}
