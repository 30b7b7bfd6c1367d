package batch

import (
	"unsafe"

	"ringcached/ring"
)

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
