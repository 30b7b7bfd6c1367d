package batch

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

// settleSends looks through the new completions for sends of the last flush, before
// anything else is handled: a connection must not earn a reply before it is known
// whether its last one was sent.
func (e *uringEngine) settleSends(n uint32) {
	for i := range e.spill {
		if token(e.spill[i].UserData).kind() == kindSend {
			e.sendEnded(&e.spill[i])
		}
	}
	for i := range n {
		if cqe := e.r.CQE(i); token(cqe.UserData).kind() == kindSend {
			c := *cqe
			e.sendEnded(&c)
		}
	}
}

// sendEnded takes the end of a send of the last flush. A send that was taken as a whole
// may have none.
func (e *uringEngine) sendEnded(cqe *ring.CQE) {
	ch := e.ch
	r := &ch.sent.replies[token(cqe.UserData).slot()]
	if int(cqe.Res) == r.bytes {
		return
	}
	c := ch.conns.find(r.conn, r.gen)
	switch {
	case c == nil || c.life == lifeReleasing:
		ch.stats.bytesWritten -= uint64(r.bytes - max(0, int(cqe.Res)))
	case cqe.Res >= 0:
		ch.unsent(c, ch.sent, r, int(cqe.Res))
	case retriable(syscall.Errno(-cqe.Res)):
		ch.unsent(c, ch.sent, r, 0)
	default:
		ch.notSent(c, r, syscall.Errno(-cqe.Res))
	}
}

func (e *uringEngine) send(c *conn, out *Output, i uint32) {
	r := &out.replies[i]
	// What is not copied is held until the peer has acknowledged it: not while clients hold much.
	if e.zeroCopy.least > 0 && r.bytes >= e.zeroCopy.least && !e.frugal && !c.is(flagLocal|flagTLS) {
		e.sendZeroCopy(c, out, r)
		return
	}
	var msg unsafe.Pointer
	if r.count > 1 {
		if msg = out.replyMessage(r); msg == nil {
			e.ch.stats.bytesWritten -= uint64(r.bytes)
			e.ch.lacks(c, errNoArena)
			return
		}
	}
	flags, skip := e.sendFlags, e.skip
	if c.is(flagKernelTLS) { // which refuses MSG_WAITALL: a success may be a part
		flags, skip = flags&^unix.MSG_WAITALL, false
	}
	sqe := e.sqe()
	if r.count == 1 {
		s := &out.segments[r.first]
		sqe.PrepSend(int(c.fd), unsafe.Pointer(pointer(s.addr)), s.len, flags)
	} else {
		sqe.PrepSendmsg(int(c.fd), msg, flags)
	}
	if skip {
		sqe.SkipSuccess()
	}
	e.fix(sqe)
	e.queue(sqe, makeToken(kindSend, 0, i))
}

// drain sends with an operation that waits until the socket takes something.
func (e *uringEngine) drain(c *conn) {
	if c.send == sendDraining {
		return
	}
	t, b := c.token(kindDrain), e.ch.sendQueue(c)
	msg := e.ch.queueMessage(c)
	if msg == nil {
		return
	}
	sqe := e.sqe()
	if b.keep && !b.copies {
		t = e.zeroCopy.take(c, b)
		sqe.PrepSendmsgZC(int(c.fd), msg, unix.MSG_NOSIGNAL, e.zeroCopy.usage)
	} else {
		sqe.PrepSendmsg(int(c.fd), msg, unix.MSG_NOSIGNAL)
	}
	e.fix(sqe)
	c.toSend(sendDraining)
	e.ch.stats.sends++
	e.queue(sqe, t)
}

func (e *uringEngine) drainEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	c := ch.conns.find(t.slot(), t.gen())
	if c == nil {
		return
	}
	c.toSend(sendQueued)
	if c.life == lifeReleasing {
		e.closeIdle(c)
		return
	}
	switch {
	case cqe.Res >= 0:
		ch.drained(c, int(cqe.Res))
	case cqe.Res == -int32(unix.ENOBUFS), cqe.Res == -int32(unix.ENOMEM):
		e.rest(c.token(kindDrain), "cannot send", syscall.Errno(-cqe.Res))
	case retriable(syscall.Errno(-cqe.Res)):
		e.drain(c)
	default:
		ch.lost(c, "cannot send", syscall.Errno(-cqe.Res))
	}
}

// zeroCopyStop is how long a stopping engine waits for the kernel to be done with the bytes of
// its sends.
const zeroCopyStop = 100 * time.Millisecond

// zeroCopySends are sends that do not copy (Config.ZeroCopy). The kernel says twice that such a
// send has ended: that the socket took it, and, when the peer has acknowledged it, that its
// bytes are needed no more. The reply is made a send queue, which owns its bytes for so long.
type zeroCopySends struct {
	least int  // replies of at least this many bytes are sent so; 0: none
	usage bool // the kernel tells what it copied
	sends []zeroCopySend
	free  []uint32 // of sends
}

// zeroCopySend is one of them, free without a send queue.
type zeroCopySend struct {
	conn      token
	sendQueue *sendQueue
}

func (e *uringEngine) startZeroCopy() {
	least := e.ch.config.ZeroCopy
	if least > 0 && !e.features.Has(ring.SendmsgZC) {
		e.ch.config.log(0, "large replies are copied: this kernel cannot do without (requires >= 6.1)")
		least = 0
	}
	if least > 0 && e.ch.direct {
		e.ch.config.log(0, "large replies are copied: not with direct descriptors")
		least = 0
	}
	e.zeroCopy = zeroCopySends{least: least, usage: true}
}

// take notes a send of c's send queue and returns its token.
func (h *zeroCopySends) take(c *conn, b *sendQueue) token {
	n := len(h.free)
	if n == 0 {
		h.free = append(h.free, uint32(len(h.sends)))
		h.sends = append(h.sends, zeroCopySend{})
		n = 1
	}
	slot := h.free[n-1]
	h.free = h.free[:n-1]
	h.sends[slot] = zeroCopySend{c.token(kindDrain), b}
	b.zeroCopies++
	return makeToken(kindSendZeroCopy, 0, slot)
}

// inUse is how many sends the kernel still needs the bytes of.
func (h *zeroCopySends) inUse() int { return len(h.sends) - len(h.free) }

// sendZeroCopy sends a reply without copying it.
func (e *uringEngine) sendZeroCopy(c *conn, out *Output, r *reply) {
	ch := e.ch
	ch.stats.sends-- // drain counts it
	ch.stats.bytesWritten -= uint64(r.bytes)
	if !ch.postpone(c, out, r, 0) {
		ch.lacks(c, errNoSendQueue)
		return
	}
	ch.sendQueue(c).keep = true
	e.drain(c)
}

// drainToken is that of the send of c's send queue that is under way.
func (e *uringEngine) drainToken(c *conn) token {
	if b := e.ch.sendQueue(c); b != nil && b.zeroCopies > 0 {
		for i := range e.zeroCopy.sends {
			if s := &e.zeroCopy.sends[i]; s.sendQueue == b && s.conn != 0 {
				return makeToken(kindSendZeroCopy, 0, uint32(i))
			}
		}
	}
	return c.token(kindDrain)
}

// resetZeroCopy makes the end of c's descriptor a reset when its send queue is dropped: otherwise
// the kernel would go on trying to send the bytes, and hold them.
func (e *uringEngine) resetZeroCopy(c *conn) {
	if b := e.ch.sendQueue(c); b != nil && b.zeroCopies > 0 {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

// zeroCopyEnded takes either end of a send that does not copy.
func (e *uringEngine) zeroCopyEnded(t token, cqe *ring.CQE) {
	s := &e.zeroCopy.sends[t.slot()]
	if s.sendQueue == nil {
		return // too late for stopZeroCopy, which has given the bytes back
	}
	copied, notified := cqe.Notification()
	if notified {
		if copied && e.zeroCopy.usage {
			e.ch.stats.zeroCopyCopied.Add(1)
		}
		e.zeroCopyDone(t.slot())
		return
	}
	conn := s.conn
	s.conn = 0 // it has ended as far as the connection is concerned
	if cqe.More() {
		e.ch.stats.zeroCopySends.Add(1)
	} else {
		e.zeroCopyDone(t.slot())
	}
	if cqe.Res < 0 && e.sendsCopying(conn, syscall.Errno(-cqe.Res)) {
		again := *cqe
		again.Res = -int32(unix.EAGAIN)
		cqe = &again
	}
	e.drainEnded(conn, cqe)
}

// sendsCopying takes the error of a send that did not copy and reports that the bytes are to
// be sent in another way: the kernel lacks an option or has no memory to spare for them, or
// the socket cannot do it.
func (e *uringEngine) sendsCopying(conn token, errno syscall.Errno) bool {
	switch errno {
	case unix.EINVAL: // before 6.2
		if !e.zeroCopy.usage {
			return false
		}
		e.zeroCopy.usage = false
		return true
	case unix.ENOBUFS, unix.ENOMEM, unix.EOPNOTSUPP:
		if c := e.ch.conns.find(conn.slot(), conn.gen()); c != nil && c.send != sendIdle {
			e.ch.sendQueue(c).copies = true
		}
		return true
	}
	return false
}

// zeroCopyDone ends a send whose bytes the kernel needs no more.
func (e *uringEngine) zeroCopyDone(slot uint32) {
	b := e.zeroCopy.sends[slot].sendQueue
	e.zeroCopy.sends[slot] = zeroCopySend{}
	e.zeroCopy.free = append(e.zeroCopy.free, slot)
	if b.zeroCopies--; b.zeroCopies == 0 && b.ended {
		e.ch.giveBack(b)
	}
}

// stopZeroCopy waits a little for the sends that are left. What peers have not acknowledged then
// is given back all the same: the kernel keeps the pages, and nobody stores anything more.
func (e *uringEngine) stopZeroCopy() {
	for end := time.Now().Add(zeroCopyStop); e.zeroCopy.inUse() > 0 && time.Now().Before(end); {
		if err := e.poll(false); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for i := range e.zeroCopy.sends {
		if e.zeroCopy.sends[i].sendQueue != nil {
			e.zeroCopyDone(uint32(i))
		}
	}
}
