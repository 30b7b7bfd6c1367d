package batch

import (
	"syscall"
	"time"

	"ringcached/ring"
)

// An operation that the kernel ends at once with an error would end so again. Whoever only starts it again takes a whole core
// for nothing, and if the kernel refuses it nobody is told. So what fails again rests for acceptRetry, all together.

// resting are operations that failed, by their tokens, and when they are tried again.
type resting struct {
	tokens []token
	until  time.Time
}

// rest makes the operation of the token wait, and logs why.
func (e *uringEngine) rest(t token, what string, errno syscall.Errno) {
	r := &e.resting
	if len(r.tokens) == 0 {
		r.until = time.Now().Add(acceptRetry)
	}
	r.tokens = append(r.tokens, t)
	e.ch.server.complain(what, errno)
}

// goOn starts what has rested long enough.
func (e *uringEngine) goOn() {
	r := &e.resting
	if len(r.tokens) == 0 || time.Now().Before(r.until) {
		return
	}
	tokens := r.tokens
	r.tokens = nil
	for _, t := range tokens {
		switch t.kind() {
		case kindWake:
			e.pollFD(e.ch.wakeFD, kindWake)
		case kindTimer:
			e.pollFD(e.ch.timerFD, kindTimer)
		case kindDatagram:
			if d := &e.datagrams; !d.stopping {
				d.again = append(d.again, t)
			}
		case kindRecv:
			e.rearm = append(e.rearm, t) // armAgain looks whether it is still wanted
		case kindDrain:
			if c := e.ch.conns.find(t.slot(), t.gen()); c != nil && c.backlog != 0 && !c.is(stateReleasing) {
				e.drain(c)
			}
		}
	}
}

// ignoredEnded takes the end of an operation whose success is of no interest: a cancel or a close.
func (e *uringEngine) ignoredEnded(cqe *ring.CQE) {
	if errno := syscall.Errno(-cqe.Res); cqe.Res < 0 && denied(errno) {
		e.ch.server.complain("cannot cancel operations or close connections", errno)
	}
}
