package batch

import (
	"math"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

// multishotReceived takes input that a multishot receive brought, or its end.
func (e *uringEngine) multishotReceived(t token, cqe *ring.CQE) {
	c := e.deliver(t, cqe)
	switch {
	case c == nil:
	case !cqe.More():
		e.receiveEnded(c, cqe)
	default:
		if c.is(flagUpload) {
			e.cancelReceive(c) // then arm starts one into memory of the Handler's
		}
		if c.reply < 0 && !c.is(flagSilent|flagLocal) {
			c.set(flagSilent)
			e.silent = append(e.silent, t)
		}
	}
}

// singleReceived takes the end of a receive into one buffer.
func (e *uringEngine) singleReceived(t token, cqe *ring.CQE) {
	if c := e.deliver(t, cqe); c != nil {
		e.receiveEnded(c, cqe)
	}
}

// deliver gives the channel what a receive put into a shared buffer, and the buffer back. It returns the connection; nil: it is gone.
func (e *uringEngine) deliver(t token, cqe *ring.CQE) *conn {
	ch := e.ch
	c := ch.conns.find(t.slot(), t.gen())
	id, ok := cqe.Buffer()
	if !ok {
		return c
	}
	if c != nil && cqe.Res > 0 {
		ch.stats.receives++
		ch.received(c, e.bufs.Take(id, int(cqe.Res)))
		switch {
		case c.is(flagUpload):
			c.set(flagBulky)
		case !cqe.More():
			c.clear(flagBulky)
		}
	} else {
		e.bufs.Take(id, 0)
	}
	e.bufs.Recycle(id)
	return c
}

// uploadReceived takes the end of a receive into memory of the Handler's.
func (e *uringEngine) uploadReceived(t token, cqe *ring.CQE) {
	ch := e.ch
	c := ch.conns.find(t.slot(), t.gen())
	if c == nil {
		return
	}
	asked := c.cancelling()
	c.toReceive(recvNone)
	if c.life == lifeReleasing {
		ch.closed(c)
		e.closeIdle(c)
		return
	}
	if cqe.Res > 0 {
		ch.stats.receives++
		if ch.uploadAdvanced(c, int(cqe.Res)); ch.conns.find(t.slot(), t.gen()) == nil {
			return
		}
	}
	e.receiveAgain(c, cqe, asked)
}

// inputPolled takes the end of a parked connection's poll: there is input, or its end, or the poll was cancelled.
func (e *uringEngine) inputPolled(t token, cqe *ring.CQE) {
	c := e.ch.conns.find(t.slot(), t.gen())
	if c == nil {
		return
	}
	e.ch.stats.parked.Add(^uint64(0))
	if cqe.Res <= 0 || c.life == lifeReleasing {
		e.receiveEnded(c, cqe)
		return
	}
	c.toReceive(recvNone)
	e.receiveSoon(c, true)
}

// receiveEnded goes on with a connection whose receive has ended.
func (e *uringEngine) receiveEnded(c *conn, cqe *ring.CQE) {
	asked := c.cancelling()
	c.toReceive(recvNone)
	if c.life == lifeReleasing {
		e.closeIdle(c)
		return
	}
	e.receiveAgain(c, cqe, asked)
}

// receiveAgain goes on after a receive of c that has ended, perhaps as it was asked to.
func (e *uringEngine) receiveAgain(c *conn, cqe *ring.CQE, asked bool) {
	ch := e.ch
	failed := c.is(flagFailed)
	c.clear(flagFailed)
	switch errno := syscall.Errno(-cqe.Res); {
	case !asked && (errno == unix.ECANCELED || errno == unix.EAGAIN || errno == unix.EINTR):
		c.set(flagFailed)
		if failed {
			e.rest(c.token(kindRecvSingle), "cannot receive", errno)
		} else {
			e.receiveSoon(c, cqe.SocketNonEmpty())
		}
	case cqe.Res > 0, errno == unix.ECANCELED, errno == unix.EAGAIN, errno == unix.EINTR:
		e.receiveSoon(c, cqe.SocketNonEmpty())
	case cqe.Res == 0:
		ch.ended(c)
	case errno == unix.ENOBUFS:
		ch.stats.noBuffers.Add(1)
		c.set(flagBulky) // one buffer at first, so that there is one for everybody who found none
		if c.input == inputWanted {
			e.noBuffer = append(e.noBuffer, c.token(kindNone))
		}
	default:
		ch.lost(c, "cannot receive", errno)
	}
}

// rearm is a connection whose receive starts again after this batch.
type rearm struct {
	conn token
	more bool // the socket had more to receive
}

// receiveSoon starts c's receive again after this batch, if its input is wanted.
func (e *uringEngine) receiveSoon(c *conn, more bool) {
	if c.input == inputWanted {
		e.rearms = append(e.rearms, rearm{c.token(kindNone), more})
	}
}

// armAgain starts receives again, now that the batch's buffers are back with the
// kernel: of starved connections only as many as there are buffers, as more would only
// find none again.
func (e *uringEngine) armAgain() {
	for _, r := range e.rearms {
		e.rearm(r.conn, !r.more)
	}
	e.rearms = e.rearms[:0]
	n := min(len(e.noBuffer), e.bufs.Lent())
	for _, t := range e.noBuffer[:n] {
		e.rearm(t, false)
	}
	e.noBuffer = append(e.noBuffer[:0], e.noBuffer[n:]...)
}

// rearm starts a connection's receive again, if it is still wanted: not of one that waits for its send to end, to be closed.
func (e *uringEngine) rearm(t token, pollFirst bool) {
	if c := e.ch.conns.find(t.slot(), t.gen()); c != nil && c.life != lifeReleasing && c.input == inputWanted && c.receive == recvNone {
		e.ch.stats.rearms.Add(1)
		e.arm(c, pollFirst)
	}
}

// tick starts the multishot receives of silent connections again. One that polls first
// loses a reset that has arrived with the last data before it was armed, in all kernels:
// it takes the data, and waits for an event that never comes again. Where a reply was sent
// afterwards the failing send tells; of the others nothing more would ever be heard. A
// new receive looks at the socket first.
func (e *uringEngine) tick() {
	for _, t := range e.silent {
		if c := e.ch.conns.find(t.slot(), t.gen()); c != nil {
			c.clear(flagSilent)
			e.cancelReceive(c) // receiveEnded has it armed again
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
	if c.inputBuffer == 0 {
		c.clear(flagThrottled)
	}
	next := e.nextReceive(c, pollFirst)
	pollFirst = pollFirst && !c.is(flagLocal)
	sqe := e.sqe()
	e.prepReceive(sqe, c, next, pollFirst)
	e.fix(sqe)
	c.toReceive(next)
	e.queue(sqe, c.token(next.kind()))
}

func (e *uringEngine) prepReceive(sqe *ring.SQE, c *conn, what receiveState, pollFirst bool) {
	switch what {
	case recvUpload:
		part := e.ch.uploadBuffer(c, 1)[0]
		sqe.PrepRecvInto(int(c.fd), unsafe.Pointer(unsafe.SliceData(part)), len(part), pollFirst)
	case recvPoll:
		e.ch.stats.parked.Add(1)
		sqe.PrepPoll(int(c.fd), unix.POLLIN, false)
	default:
		sqe.PrepRecv(int(c.fd), recvGroup, what == recvMultishot, pollFirst)
	}
}

// nextReceive chooses the receive of a connection that has none, see arm.
func (e *uringEngine) nextReceive(c *conn, empty bool) receiveState {
	switch {
	case c.wantsUpload():
		return recvUpload
	case empty && e.longIdle(c):
		return recvPoll
	case e.multishot && !e.frugal && !c.is(flagThrottled|flagBulky):
		return recvMultishot
	}
	return recvSingle
}

// allow makes the kernel bring less input at a time where clients hold much: what it brings of one that has to wait is kept.
func (e *uringEngine) allow(a *allowance) {
	e.frugal = a.share > 1
	e.bufs.Limit(e.ch.config.Buffers / a.share)
}

func (e *uringEngine) receive(c *conn) {
	if c.input != inputPaused {
		return
	}
	c.toInput(inputWanted)
	if c.receive == recvNone {
		e.arm(c, true)
	}
}

func (e *uringEngine) pause(c *conn) {
	if c.input == inputWanted {
		c.toInput(inputPaused)
	}
	c.set(flagThrottled)
	e.cancelReceive(c)
}

// cancelReceive asks the kernel to end the receive that is under way, if there is one.
func (e *uringEngine) cancelReceive(c *conn) {
	if c.receive == recvNone || c.cancelling() {
		return
	}
	t := c.token(c.receive.kind())
	if c.receive == recvUpload {
		c.toReceive(recvCancellingUpload)
	} else {
		c.toReceive(recvCancelling)
	}
	e.cancel(t)
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
		if left > 0 && e.longIdle(c) && c.input == inputWanted && (c.receive == recvMultishot || c.receive == recvSingle) {
			e.cancelReceive(c) // receiveEnded has it armed again
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
