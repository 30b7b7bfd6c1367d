package batch

import "ringcached/ring"

// localGen marks in a token's generation what came by the unix socket.
const localGen = 1 << 23

func (e *uringEngine) pass(a arrival, to *channel) bool {
	if !e.ch.direct {
		return to.give(a)
	}
	fd := to.ringFD.Load()
	if fd == 0 || !to.inbox.expect() { // it has no ring yet, or has ended
		return false
	}
	gen := uint32(to.id)
	if a.local {
		gen |= localGen
	}
	sqe := e.sqe()
	sqe.PrepSendDirect(int(fd), int(a.fd), uint64(makeToken(kindPassed, gen, 0)))
	e.passing++
	e.queue(sqe, makeToken(kindPass, gen, uint32(a.fd)))
	return true
}

// passEnded takes the end of pass: the other ring has a descriptor of its own, or else the connection stays here.
func (e *uringEngine) passEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	e.passing--
	if cqe.Res >= 0 {
		sqe := e.sqe()
		sqe.PrepCloseDirect(int(t.slot()))
		sqe.SkipSuccess()
		e.queue(sqe, makeToken(kindIgnore, 0, 0))
		return
	}
	to := ch.server.channels[t.gen()&^localGen]
	to.load.Add(-1)
	to.inbox.came()
	ch.load.Add(1)
	ch.openArrival(arrival{int32(t.slot()), t.gen()&localGen != 0})
}

// passed takes a direct descriptor that another ring has sent.
func (e *uringEngine) passed(t token, cqe *ring.CQE) {
	e.ch.openArrival(arrival{cqe.Res, t.gen()&localGen != 0})
	e.ch.inbox.came()
}
