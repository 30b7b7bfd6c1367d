package batch

import (
	"syscall"
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
	case c == nil || c.is(stateReleasing):
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
	if e.held.least > 0 && r.bytes >= e.held.least && !e.frugal && !c.is(stateLocal) {
		e.sendHeld(c, out, r)
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
	sqe := e.sqe()
	if r.count == 1 {
		s := &out.segments[r.first]
		sqe.PrepSend(int(c.fd), unsafe.Pointer(pointer(s.addr)), s.len, e.sendFlags)
	} else {
		sqe.PrepSendmsg(int(c.fd), msg, e.sendFlags)
	}
	if e.skip {
		sqe.SkipSuccess()
	}
	e.fix(sqe)
	e.queue(sqe, makeToken(kindSend, 0, i))
}

// drain sends with an operation that waits until the socket takes something.
func (e *uringEngine) drain(c *conn) {
	if c.is(stateDraining) {
		return
	}
	t, b := c.token(kindDrain), e.ch.backlog(c)
	msg := b.message(e.ch.out)
	if msg == nil {
		e.ch.lacks(c, errNoArena)
		return
	}
	sqe := e.sqe()
	if b.hold && !b.copies {
		t = e.held.take(c, b)
		sqe.PrepSendmsgZC(int(c.fd), msg, unix.MSG_NOSIGNAL, e.held.usage)
	} else {
		sqe.PrepSendmsg(int(c.fd), msg, unix.MSG_NOSIGNAL)
	}
	e.fix(sqe)
	c.state |= stateDraining
	c.pending++
	e.ch.stats.sends++
	e.queue(sqe, t)
}

func (e *uringEngine) drainEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	c := ch.conns.find(t.slot(), t.gen())
	if c == nil {
		return
	}
	c.state &^= stateDraining
	c.pending--
	if c.is(stateReleasing) {
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
