package batch

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

func (e *uringEngine) accept() {
	if e.accepts {
		return
	}
	e.accepts = true
	for i, l := range e.ch.listeners {
		// Operations on a non-blocking descriptor may fail with EAGAIN instead of waiting.
		if err := unix.SetNonblock(l.fd, false); err != nil {
			e.ch.server.complain("accepting may fail", err)
		}
		if !e.accepting[i] { // else its end, a cancel that is under way, starts it again
			e.armAccept(uint32(i))
		}
	}
}

func (e *uringEngine) armAccept(listener uint32) {
	sqe := e.sqe()
	// Not SOCK_NONBLOCK, for the same reason as the listeners in accept.
	flags := uint32(unix.SOCK_CLOEXEC)
	if e.ch.direct {
		flags = 0 // meaningless there, and refused
	}
	sqe.PrepAccept(e.ch.listeners[listener].fd, flags, true, e.ch.direct)
	e.accepting[listener] = true
	e.queue(sqe, makeToken(kindAccept, 0, listener))
}

func (e *uringEngine) acceptEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	again := true
	if cqe.Res >= 0 {
		ch.accepted(cqe.Res, t.slot())
	} else {
		again = ch.acceptFailed(syscall.Errno(-cqe.Res))
	}
	if cqe.More() {
		return
	}
	e.accepting[t.slot()] = false
	if !again && cqe.Res != -int32(unix.ECANCELED) {
		e.stopAccept() // all listeners rest together
	}
	if e.accepts {
		e.armAccept(t.slot())
	}
}

func (e *uringEngine) stopAccept() {
	if !e.accepts {
		return
	}
	e.accepts = false
	for i := range e.ch.listeners {
		e.cancel(makeToken(kindAccept, 0, uint32(i)))
	}
}

func (e *uringEngine) quiet() bool {
	return !slices.Contains(e.accepting, true) && e.passing == 0 && (!e.datagrams.stopping || e.datagrams.armed == 0)
}
